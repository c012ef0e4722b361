//! Brings a group's membership to what the topology wants, on the group's leader, step by step.

use std::collections::BTreeSet;
use std::time::Duration;

use raft::{Group, GroupError, Member, NodeId, Status, Waiter};
use topology::{Change, Group as Wanted, Members, ReplicaId, Step, Topology, next_step};

/// How long one step may take; it is tried again.
const STEP_WITHIN: Duration = Duration::from_secs(5);

/// Does the next step, if there is one. Returns what the topology should be told.
pub(super) async fn realise<W: Waiter>(group: &Group<W>, wanted: Wanted, topology: &Topology) -> Option<Change> {
    let status = group.status().borrow().clone();
    if !status.leads() || !status.ready {
        return None;
    }
    if status.joint {
        report("finishing a change of voters", within(group.finish_change()).await);
        return None;
    }
    if !status.members_stand {
        return None;
    }
    match next_step(topology.replicas(wanted), &members(&status))? {
        Step::AddLearner(replica, node) => {
            let member = member(topology, replica, node)?;
            report("adding a learner", within(group.add_learner(member)).await);
            None
        }
        Step::ChangeVoters(voters) => {
            let voters: BTreeSet<_> = voters.into_iter().map(|id| raft::ReplicaId(id.0)).collect();
            report("changing the voters", within(change_voters(group, &status, voters)).await);
            None
        }
        Step::RemoveLearners(learners) => {
            let learners = learners.into_iter().map(|id| raft::ReplicaId(id.0)).collect();
            report("removing learners", within(group.remove_learners(learners)).await);
            None
        }
        Step::Confirm => {
            let ids = |members: &std::collections::BTreeMap<raft::ReplicaId, Member>| {
                members.keys().map(|id| ReplicaId(id.0)).collect()
            };
            let (voters, learners) = (ids(&status.voters), ids(&status.learners));
            Some(Change::MembershipDone { group: wanted, at: status.members_at, voters, learners })
        }
    }
}

/// A leader that is to leave hands over first; where nobody of those that stay votes yet, it stays with them for a step.
async fn change_voters<W: Waiter>(
    group: &Group<W>,
    status: &Status,
    mut voters: BTreeSet<raft::ReplicaId>,
) -> Result<(), GroupError> {
    let me = group.me().replica;
    if !voters.contains(&me) {
        let stays = |id: &&raft::ReplicaId| voters.contains(id) && status.voters.contains_key(id);
        if let Some((&successor, _)) = status.matched.iter().filter(|(id, _)| stays(id)).max_by_key(|(_, at)| **at) {
            return group.transfer_leader(successor).await;
        }
        voters.insert(me);
    }
    group.change_voters(voters, true).await
}

fn members(status: &Status) -> Members {
    let ids = |members: &std::collections::BTreeMap<raft::ReplicaId, Member>| {
        members.keys().map(|id| ReplicaId(id.0)).collect()
    };
    let level = status.matched.iter().filter(|(_, matched)| **matched >= status.committed);
    let caught_up = level.map(|(id, _)| ReplicaId(id.0)).collect();
    Members { voters: ids(&status.voters), learners: ids(&status.learners), caught_up }
}

fn member(topology: &Topology, replica: ReplicaId, node: topology::NodeId) -> Option<Member> {
    let endpoint = &topology.node(node)?.endpoint;
    Some(Member {
        replica: raft::ReplicaId(replica.0),
        node: NodeId(node.0),
        peer_address: address(&endpoint.ip, endpoint.peer_port),
        client_address: address(&endpoint.ip, endpoint.port),
    })
}

/// `host:port`, with brackets around an IPv6 address.
pub(crate) fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

async fn within(step: impl Future<Output = Result<(), GroupError>>) -> Result<(), GroupError> {
    tokio::time::timeout(STEP_WITHIN, step).await.unwrap_or(Err(GroupError::Unknown))
}

fn report(what: &str, done: Result<(), GroupError>) {
    match done {
        Ok(()) => tracing::debug!("{what}: done"),
        Err(GroupError::NotLeader(_) | GroupError::InProgress) => (),
        Err(why) => tracing::info!(%why, "{what} did not succeed yet"),
    }
}
