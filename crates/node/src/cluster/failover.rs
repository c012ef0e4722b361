//! CLUSTER FAILOVER: this node's replica is to lead its home shard.
//!
//! ```text
//! a voter     asks the leader, which answers what it owes, holds new commands back, and transfers; not while voters change,
//!             and not to one that is to lose its vote: that one is made a voter first
//! a learner   is made a voter first, through the topology: where there is one vote only, in the place of the leader's
//! FORCE       tried again and again, whoever leads meanwhile: a dead leader's successor hands over as well
//! ```
//!
//! In none of these ways is anything lost: who leads in the end was elected by a majority of the shard's voters.

use std::sync::Arc;
use std::time::Duration;

use faces::FailoverMode;
use raft::{Group, GroupId, ReplicaId};

use super::Cluster;
use crate::formation;
use crate::messages::{Answer, Request};
use crate::node::Shared;
use crate::platform::Platform;
use crate::replica::Replica;
use crate::shard::EntryWaiter;

/// How long it may take while the leader is there.
const WITHIN: Duration = Duration::from_secs(3);
/// How long FORCE may take: an election, and then a leader that hands over.
const FORCED_WITHIN: Duration = Duration::from_secs(5);
/// How long one leader is waited for; longer than a transfer takes.
const ASKED_FOR: Duration = Duration::from_secs(2);
/// Between two attempts.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

const NOT_READY: &str = "The node is not ready yet";
const STOPPING: &str = "The node is stopping";
const DEAD: &str = "Master is down or failed, please use CLUSTER FAILOVER FORCE";

/// Returns once this node's replica leads its home shard.
///
/// # Errors
/// Why it does not; what was begun may still come about when it took too long.
pub(crate) async fn fail_over<P: Platform>(node: &Arc<Shared<P>>, mode: FailoverMode) -> Result<(), String> {
    let is_forced = mode == FailoverMode::Force;
    let within = if is_forced { FORCED_WITHIN } else { WITHIN };
    match tokio::time::timeout(within, lead_home(node, is_forced)).await {
        Ok(done) => done,
        Err(_) if is_forced => Err("No majority of the shard's voters elects this replica: it may still happen".into()),
        Err(_) => Err("Nobody handed leadership over in time: it may still happen".into()),
    }
}

async fn lead_home<P: Platform>(node: &Shared<P>, is_forced: bool) -> Result<(), String> {
    let home = node.home();
    if home.leads() {
        return Err("You should send CLUSTER FAILOVER to a replica".to_owned());
    }
    let (Some(group), Some(cluster)) = (home.group(), &node.cluster) else { return Err(NOT_READY.to_owned()) };
    // One that has just started is handed nothing yet.
    group.eligible().await;
    let mut goes_on = is_forced;
    let mut news = cluster.news();
    while !home.leads() {
        if is_to_learn(cluster, group) {
            become_voter(node, cluster, group).await?;
            // A learner that takes the place of the only voter is handed leadership without being asked for.
            goes_on = true;
        }
        let asked = tokio::select! {
            biased;
            led = begins_to_lead(&home, &mut news) => return led,
            asked = ask_leader(node, &home, group) => asked,
        };
        match asked {
            Ok(true) => drop(tokio::time::timeout(ASKED_FOR, begins_to_lead(&home, &mut cluster.news())).await),
            Ok(false) => tokio::time::sleep(AGAIN_AFTER).await,
            Err(_) if goes_on => tokio::time::sleep(AGAIN_AFTER).await,
            Err(why) => return Err(why),
        }
    }
    Ok(())
}

/// Whether this node's replica does not vote, or is about to lose its vote: were it handed leadership, it would give it up again.
fn is_to_learn(cluster: &Cluster, group: &Group<EntryWaiter>) -> bool {
    !group.status().borrow().voters.contains_key(&group.me().replica)
        || !is_wanted_to_vote(cluster, group.id(), group.me().replica)
}

/// Whether the topology, as far as it is known here, wants a replica of a shard to vote.
fn is_wanted_to_vote(cluster: &Cluster, group: GroupId, replica: ReplicaId) -> bool {
    let Some(topology) = cluster.topology() else { return false };
    let replicas = topology.replicas(topology::Group::Shard(topology::ShardId(group.0)));
    replicas.iter().any(|known| known.id.0 == replica.0 && known.wanted == topology::Standing::Voter)
}

async fn begins_to_lead(home: &Replica, news: &mut tokio::sync::watch::Receiver<u64>) -> Result<(), String> {
    while !home.leads() {
        news.changed().await.map_err(|_| STOPPING.to_owned())?;
    }
    Ok(())
}

/// Whether the leader hands over; if not, it is to be asked again in a moment.
async fn ask_leader<P: Platform>(node: &Shared<P>, home: &Replica, group: &Group<EntryWaiter>) -> Result<bool, String> {
    let transport = node.transport().ok_or(NOT_READY)?;
    let leader = home.status().leader.ok_or(DEAD)?;
    let request = Request::HandOver { group: group.id(), to: group.me().replica };
    match formation::ask(transport, &leader.address(), &request).await {
        Some(Answer::Accepted(_)) => Ok(true),
        Some(Answer::Ask(_)) => Ok(false),
        Some(Answer::Refused(why)) => Err(why),
        _ => Err(DEAD.to_owned()),
    }
}

/// Has this node's replica made a voter, and waits until it is one.
async fn become_voter<P: Platform>(
    node: &Shared<P>,
    cluster: &Cluster,
    group: &Group<EntryWaiter>,
) -> Result<(), String> {
    let topology = cluster.topology().ok_or(NOT_READY)?;
    let changes = topology::promote(&topology, cluster.me());
    if !changes.is_empty() {
        match node.change_topology(changes).await {
            Ok(Ok(_)) => (),
            Ok(Err(refusal)) => return Err(refusal.to_string()),
            Err(_) => return Err("The cluster has no majority to let this replica vote".to_owned()),
        }
    }
    let me = group.me().replica;
    let mut status = group.status();
    let votes = status.wait_for(|status| status.voters.contains_key(&me) && !status.is_joint()).await;
    votes.map(drop).map_err(|_| STOPPING.to_owned())
}

/// The leader's side.
pub(crate) async fn hand_over<P: Platform>(node: Arc<Shared<P>>, group: GroupId, to: ReplicaId) -> Answer {
    let Some(replica) = node.replica_of(group).filter(|replica| replica.leads()) else {
        return Answer::Refused("Another node leads by now, ask again".to_owned());
    };
    let (status, cluster) = (replica.status(), node.cluster.as_ref());
    // Whoever the change of voters under way leaves out, or the next one will, would have to give leadership up again.
    if status.is_joint() || cluster.is_some_and(|cluster| !is_wanted_to_vote(cluster, group, to)) {
        return Answer::Ask(String::new());
    }
    if !status.voters.contains_key(&to) {
        return Answer::Refused("The replica does not vote: it has not caught up yet".to_owned());
    }
    if replica.yield_to(|member| member.replica == to).await {
        Answer::Accepted(None)
    } else {
        Answer::Refused("The replica could not take over in time, ask again".to_owned())
    }
}
