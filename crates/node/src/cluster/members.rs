//! Brings a group's membership to what the topology wants, on the group's leader, step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use raft::{Group, GroupError, Member, NodeId, PeerAddress, Status, Waiter};
use topology::{Change, Endpoint, Group as Wanted, Members, ReplicaId, Standing, Step, Topology, next_step};

/// How long one step may take; it is tried again.
const STEP_WITHIN: Duration = Duration::from_secs(5);

/// What is left to do for the group's owner.
pub(super) enum Left {
    /// The topology is told this.
    Tell(Change),
    /// Leadership is handed over: this replica is no longer to vote, and is in the way of that. `is_logged`: the log has that change
    /// of voters already, which only one of those that stay can finish, whatever the topology says by now.
    HandOver { to: raft::ReplicaId, is_logged: bool },
}

/// Does the next step, if there is one. Returns what it leaves to do.
pub(super) async fn realise<W: Waiter>(group: &Group<W>, wanted: Wanted, topology: &Topology) -> Option<Left> {
    let status = group.status().borrow().clone();
    if !status.leads() || !status.ready {
        return None;
    }
    if status.is_joint() {
        if !status.next_voters.contains(&group.me().replica) {
            let successor = status.furthest(|member| status.next_voters.contains(&member.replica));
            return successor.map(|to| Left::HandOver { to, is_logged: true });
        }
        report("finishing a change of voters", within(group.finish_change(true)).await);
        return None;
    }
    if !status.members_stand {
        return None;
    }
    let present = members(&status);
    match next_step(topology.replicas(wanted), &present)? {
        Step::AddLearner(replica, node) => {
            let member = member_at(raft::ReplicaId(replica.0), NodeId(node.0), &topology.node(node)?.endpoint);
            report("adding a learner", within(group.add_learner(member)).await);
            None
        }
        Step::ChangeVoters(voters) => {
            let voters: BTreeSet<_> = voters.into_iter().map(|id| raft::ReplicaId(id.0)).collect();
            let successor = change_voters(group, &status, voters).await;
            successor.map(|to| Left::HandOver { to, is_logged: false })
        }
        Step::RemoveLearners(mut learners) => {
            if wanted == Wanted::Meta {
                learners.retain(|learner| !is_counted_on(&status, *learner, topology));
            }
            if learners.is_empty() {
                return None;
            }
            let learners = learners.into_iter().map(|id| raft::ReplicaId(id.0)).collect();
            report("removing learners", within(group.remove_learners(learners)).await);
            None
        }
        Step::Confirm => {
            let (voters, learners) = (present.voters.into_iter().collect(), present.learners.into_iter().collect());
            Some(Left::Tell(Change::MembershipDone { group: wanted, at: status.members_at, voters, learners }))
        }
    }
}

/// Whether a shard may still count on the node of a learner of the meta group. Until then the node must hear what the topology says: were it
/// to lead that shard, nobody else could tell it to hand over.
fn is_counted_on(status: &Status, learner: ReplicaId, topology: &Topology) -> bool {
    let Some(member) = status.learners.get(&raft::ReplicaId(learner.0)) else { return false };
    let mut held = topology.shards().values().flat_map(|shard| &shard.replicas);
    held.any(|replica| replica.node.0 == member.node.0 && replica.is != Standing::Absent)
}

/// A leader that is to leave hands over first, to the replica that is returned; where nobody of those that stay votes yet, it
/// stays with them for a step.
async fn change_voters<W: Waiter>(
    group: &Group<W>,
    status: &Status,
    mut voters: BTreeSet<raft::ReplicaId>,
) -> Option<raft::ReplicaId> {
    let me = group.me().replica;
    if !voters.contains(&me) {
        if let Some(successor) = status.furthest(|member| voters.contains(&member.replica)) {
            return Some(successor);
        }
        voters.insert(me);
    }
    report("changing the voters", within(group.change_voters(voters, true)).await);
    None
}

fn members(status: &Status) -> Members {
    let ids = |members: &BTreeMap<raft::ReplicaId, Member>| members.keys().map(|id| ReplicaId(id.0)).collect();
    let caught_up = status.caught_up.iter().map(|id| ReplicaId(id.0)).collect();
    Members { voters: ids(&status.voters), learners: ids(&status.learners), caught_up }
}

/// A replica on a node that is reached there.
pub(super) fn member_at(replica: raft::ReplicaId, node: NodeId, endpoint: &Endpoint) -> Member {
    Member {
        replica,
        node,
        peer_address: address(&endpoint.ip, endpoint.peer_port),
        client_address: address(&endpoint.ip, endpoint.port),
    }
}

/// Where the transport finds a node.
pub(crate) fn peer(node: topology::NodeId, endpoint: &Endpoint) -> PeerAddress {
    PeerAddress { node: NodeId(node.0), address: address(&endpoint.ip, endpoint.peer_port) }
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
