//! What a client asks of this node alone: to lead its shard, and to leave its cluster.

use std::sync::Arc;
use std::time::Duration;

use topology::{Change, Liveness, Phase, Refusal};

use super::Cluster;
use super::members::peer;
use super::open::{Ground, forget, found};
use crate::formation;
use crate::messages::{Answer, Request};
use crate::node::Shared;
use crate::platform::Platform;

/// How long the cluster may take to let a node go.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);
/// Between two attempts.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// How long the groups may take to let its replicas go.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const NOT_LET_GO: &str = "The cluster does not let the node go: others must take over what it votes and serves first";

/// CLUSTER FAILOVER: asks the leader of the home shard to hand over to this node's replica, and waits until it leads.
pub(crate) async fn fail_over<P: Platform>(node: &Arc<Shared<P>>) -> Result<(), String> {
    let home = node.home();
    if home.leads() {
        return Err("You should send CLUSTER FAILOVER to a replica".to_owned());
    }
    let (Some(group), Some(cluster), Some(transport)) = (home.group(), &node.cluster, node.transport()) else {
        return Err("The node is not ready yet".to_owned());
    };
    let leader = home.status().leader.ok_or("Master is down or failed, please use CLUSTER FAILOVER FORCE")?;
    let request = Request::HandOver { group: group.id(), to: group.me().replica };
    match formation::ask(transport, &leader.address(), &request).await {
        Some(Answer::Accepted(_)) => (),
        Some(Answer::Refused(why)) => return Err(why),
        _ => return Err("Master is down or failed, please use CLUSTER FAILOVER FORCE".to_owned()),
    }
    let mut news = cluster.news();
    while !home.leads() {
        news.changed().await.map_err(|_| "The node is stopping".to_owned())?;
    }
    Ok(())
}

/// The leader's side of [`fail_over`].
pub(crate) async fn hand_over<P: Platform>(node: Arc<Shared<P>>, group: raft::GroupId, to: raft::ReplicaId) -> Answer {
    let Some(replica) = node.replica_of(group).filter(|replica| replica.leads()) else {
        return Answer::Refused("Another node leads by now, ask again".to_owned());
    };
    if !replica.status().voters.contains_key(&to) {
        return Answer::Refused("The replica does not vote: it has not caught up yet".to_owned());
    }
    replica.hand_over_to(|member| member.replica == to).await;
    replica.shard.pause(false);
    Answer::Accepted(None)
}

/// CLUSTER RESET SOFT: leaves the cluster, drops all data of it, and begins as a cluster of one under the same node id.
pub(crate) async fn reset<P: Platform>(node: &Arc<Shared<P>>) -> Result<(), String> {
    let cluster = node.cluster.as_ref().ok_or("The node is none of a cluster")?;
    let topology = cluster.topology().ok_or("The node is not ready yet")?;
    if topology.phase() != Phase::Living {
        return Err("The node is joining another cluster".to_owned());
    }
    if topology.nodes().len() > 1 && topology.node(cluster.me).is_some() && !was_forgotten(node).await {
        tokio::time::timeout(LEAVE_WITHIN, let_go(node, cluster))
            .await
            .unwrap_or_else(|_| Err(NOT_LET_GO.to_owned()))?;
    }
    if tokio::time::timeout(GONE_WITHIN, wait_until_gone(node, cluster)).await.is_err() {
        tracing::warn!("leaving a cluster that does not say that it has let this node go");
    }
    cluster.begin_anew().await
}

/// Waits until the leaders of the groups whose replicas are here say that these are no members any more: without them, and with
/// the node gone, a group could be left without a majority.
async fn wait_until_gone<P: Platform>(node: &Shared<P>, cluster: &Cluster) {
    let (Some(transport), Some(topology)) = (node.transport(), cluster.topology()) else { return };
    if topology.nodes().keys().all(|id| *id == cluster.me) {
        return;
    }
    let holdings = node.holdings();
    let held = holdings.shards.iter().map(|held| &held.identity).chain(&holdings.meta);
    // A shard that nobody else knows goes with the node.
    let is_shared = |group: u128| group == topology.cluster().0 || topology.shard(topology::ShardId(group)).is_some();
    for identity in held.filter(|identity| is_shared(identity.group.0)) {
        let request = Request::IsMember(identity.group, identity.replica);
        'gone: loop {
            for (id, other) in topology.nodes().iter().filter(|(id, _)| **id != cluster.me) {
                let answer = formation::ask(transport, &peer(*id, &other.endpoint), &request).await;
                if matches!(answer, Some(Answer::Refused(_))) {
                    break 'gone;
                }
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

/// Another node's question, answered by the leader of the group: whether the replica is a member, or may still be one.
pub(crate) fn is_member<P: Platform>(node: &Shared<P>, group: raft::GroupId, replica: raft::ReplicaId) -> Answer {
    let status = match (node.meta_of(group), node.replica_of(group)) {
        (Some(meta), _) => meta.status(),
        (None, Some(replica)) => replica.status(),
        (None, None) => return Answer::Ask(String::new()),
    };
    let is_settled = status.leads() && status.ready && !status.joint && status.members_stand;
    let is_known = status.voters.contains_key(&replica) || status.learners.contains_key(&replica);
    match (is_settled, is_known) {
        (true, false) => Answer::Refused("it is no member".to_owned()),
        (true, true) => Answer::Accepted(None),
        (false, _) => Answer::Ask(String::new()),
    }
}

/// Gives the slots up that this node serves (it has no keys of them), hands its votes to others, and leaves the topology.
async fn let_go<P: Platform>(node: &Shared<P>, cluster: &Cluster) -> Result<(), String> {
    let me = cluster.me;
    loop {
        let topology = cluster.topology().ok_or("The node is not ready yet")?;
        let refusal = match node.change_topology(vec![Change::Forget { node: me }]).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(refusal)) => refusal,
            Err(_) => return Err("The cluster has no majority to let the node go".to_owned()),
        };
        let first = match refusal {
            Refusal::LeadsSlots | Refusal::LastHome => vec![vec![Change::FlushSlots { node: me }]],
            Refusal::Majority(_) => topology::release(&topology, &Liveness::all_live(&topology), me),
            other => return Err(other.to_string()),
        };
        // Refused when it is under way already; by and by the next attempt succeeds.
        let _ = node.change_topology_by(&first).await;
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Whether the other nodes know this one no more: then nobody tells it.
async fn was_forgotten<P: Platform>(node: &Shared<P>) -> bool {
    let Some((cluster, transport)) = node.cluster.as_ref().zip(node.transport()) else { return false };
    let Some(topology) = cluster.topology() else { return false };
    for (id, other) in topology.nodes().iter().filter(|(id, _)| **id != cluster.me) {
        let request = Request::Knows(node.id);
        match formation::ask(transport, &peer(*id, &other.endpoint), &request).await {
            Some(Answer::Accepted(_)) => return false,
            Some(Answer::Refused(_)) => return true,
            _ => (),
        }
    }
    false
}

/// Carries resets out, on the raft thread, for as long as the node lives.
pub(super) async fn run<P: Platform>(ground: Ground<P>) {
    let cluster = ground.cluster();
    let waiting = cluster.waiting_resets.lock().take();
    let mut resets = waiting.expect("a node carries its resets out once");
    while let Some(done) = resets.recv().await {
        // Whoever asked has gone otherwise.
        let _ = done.send(leave(&ground).await.map_err(|why| why.to_string()));
    }
}

async fn leave<P: Platform>(ground: &Ground<P>) -> std::io::Result<()> {
    let (cluster, node) = (ground.cluster(), &ground.node);
    let old = node.holdings();
    let replicas = std::mem::take(&mut *cluster.replicas.lock());
    let meta = cluster.meta.write().take();
    for replica in replicas.values() {
        replica.shard.close();
        replica.stop().await;
    }
    if let Some(meta) = meta {
        meta.stop().await;
    }
    node.change_holdings(|holdings| *holdings = crate::holdings::Holdings::default())?;
    for identity in old.shards.iter().map(|held| &held.identity).chain(&old.meta) {
        forget(ground, identity.group);
    }
    *cluster.overlay.lock() = topology::Overlay::default();
    found(ground).await?;
    let meta = cluster.meta().ok_or_else(|| std::io::Error::other("it was founded just now"))?;
    meta.wait_for(|_| true).await;
    cluster.changed.notify_one();
    tracing::info!("left the cluster: a cluster of one again");
    Ok(())
}
