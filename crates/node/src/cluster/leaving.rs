//! CLUSTER RESET: a node leaves its cluster.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use raft::{LogStore, Transport};
use topology::{Change, Liveness, Phase, Refusal, ShardId};

use super::members::peer;
use super::open::{Ground, forget, found};
use super::{Cluster, Reset};
use crate::formation;
use crate::messages::{Answer, Request};
use crate::node::Shared;
use crate::platform::{Platform, Random};

/// How long the cluster may take to let a node go.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);
/// Between two attempts.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// How long the groups may take to let its replicas go.
const GONE_WITHIN: Duration = Duration::from_secs(10);
/// How often a node that loads looks whether its cluster has forgotten it.
const NOTICE_EVERY: Duration = Duration::from_secs(3);
const NOT_LET_GO: &str = "The cluster does not let the node go: others must take over what it votes and serves first";

const NOT_GONE: &str = "The cluster has let the node go, but a group still counts on its vote: ask again";

/// CLUSTER RESET: leaves the cluster, drops all data of it, and begins as a cluster of one: SOFT under the same node id, HARD under
/// a new one.
pub(crate) async fn reset<P: Platform>(node: &Arc<Shared<P>>, hard: bool) -> Result<(), String> {
    let cluster = node.cluster.as_ref().ok_or("The node is none of a cluster")?;
    let meta = cluster.meta().ok_or("The node is not ready yet")?;
    let Ok(topology) = tokio::time::timeout(LEAVE_WITHIN, meta.wait_for(|_| true)).await else {
        // It may be of a cluster that was lost before it told this node anything.
        return cluster.begin_anew(meta.identity.group, hard).await;
    };
    match topology.phase() {
        Phase::Living => (),
        // Whoever asks takes it upon himself to have the node forgotten there, should it be known.
        Phase::Joining(_) if cluster.join_is_stuck.load(Ordering::Relaxed) => (),
        _ => return Err("The node is joining another cluster".to_owned()),
    }
    let is_alone = topology.nodes().keys().all(|id| *id == cluster.me());
    if !is_alone && !was_forgotten(node).await {
        // It has just joined, and reads what was before.
        if !cluster.is_current(&topology) {
            return Err("The node is not ready yet".to_owned());
        }
        tokio::time::timeout(LEAVE_WITHIN, let_go(node, cluster))
            .await
            .unwrap_or_else(|_| Err(NOT_LET_GO.to_owned()))?;
    }
    tokio::time::timeout(GONE_WITHIN, wait_until_gone(node, cluster)).await.map_err(|_| NOT_GONE)?;
    cluster.begin_anew(meta.identity.group, hard).await
}

/// Waits until the leaders of the groups whose replicas are here say that these are no members any more: without them, and with
/// the node gone, a group could be left without a majority.
async fn wait_until_gone<P: Platform>(node: &Shared<P>, cluster: &Cluster) {
    let (Some(transport), Some(topology)) = (node.transport(), cluster.topology()) else { return };
    if topology.nodes().keys().all(|id| *id == cluster.me()) {
        return;
    }
    let holdings = node.holdings();
    let held = holdings.shards.iter().map(|held| &held.identity).chain(&holdings.meta);
    // A shard of which nobody else holds a replica goes with the node.
    let others_hold = |shard: &topology::Shard| shard.replicas.iter().any(|replica| replica.node != cluster.me());
    let is_shared =
        |group: u128| group == topology.cluster().0 || topology.shard(ShardId(group)).is_some_and(others_hold);
    for identity in held.filter(|identity| is_shared(identity.group.0)) {
        let request = Request::IsMember(identity.group, identity.replica);
        'gone: loop {
            for (id, other) in topology.nodes().iter().filter(|(id, _)| **id != cluster.me()) {
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
    let is_settled = status.leads() && status.ready && !status.is_joint() && status.members_stand;
    let is_known = status.voters.contains_key(&replica) || status.learners.contains_key(&replica);
    match (is_settled, is_known) {
        (true, false) => Answer::Refused("it is no member".to_owned()),
        (true, true) => Answer::Accepted(None),
        (false, _) => Answer::Ask(String::new()),
    }
}

/// Gives the slots up that this node serves (it has no keys of them), hands its votes to others, and leaves the topology.
async fn let_go<P: Platform>(node: &Shared<P>, cluster: &Cluster) -> Result<(), String> {
    let me = cluster.me();
    loop {
        let topology = cluster.topology().ok_or("The node is not ready yet")?;
        let decision = tokio::select! {
            biased;
            decision = node.change_topology(vec![Change::Forget { node: me }]) => decision,
            // Once its replica of the meta group is no member any more it hears nothing of it.
            () = becomes_forgotten(node) => return Ok(()),
        };
        let refusal = match decision {
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

/// Waits until the other nodes know this one no more.
async fn becomes_forgotten<P: Platform>(node: &Shared<P>) {
    tokio::time::sleep(AGAIN_AFTER).await;
    while !was_forgotten(node).await {
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Whether the other nodes know this one no more, by the word of the one that leads the meta group: then nobody tells it.
async fn was_forgotten<P: Platform>(node: &Shared<P>) -> bool {
    let Some((cluster, transport)) = node.cluster.as_ref().zip(node.transport()) else { return false };
    let Some((meta, topology)) = cluster.meta().zip(cluster.topology()) else { return false };
    let request = Request::Knows(meta.identity.group, node.id());
    for (id, other) in topology.nodes().iter().filter(|(id, _)| **id != cluster.me()) {
        match formation::ask(transport, &peer(*id, &other.endpoint), &request).await {
            Some(Answer::Accepted(_)) => return false,
            Some(Answer::Refused(_)) => return true,
            _ => (),
        }
    }
    false
}

/// A node that was forgotten while it was off hears nothing of its cluster any more: it would load for ever. It says so, and goes on with
/// what it holds, as a node that is cut off: it serves nobody, and answers.
pub(super) async fn notice_forgotten<P: Platform>(ground: Ground<P>) {
    let node = &ground.node;
    loop {
        tokio::time::sleep(NOTICE_EVERY).await;
        let was_forgotten = !node.is_loaded() && was_forgotten(node).await;
        if node.is_loaded() {
            return;
        }
        let held = node.holdings().shards;
        let open = held.iter().find_map(|held| ground.cluster().replica(ShardId(held.identity.group.0)));
        if let Some(replica) = open.filter(|_| was_forgotten) {
            tracing::warn!("its cluster has forgotten this node: CLUSTER RESET makes it a cluster of one");
            node.set_home(replica);
        }
    }
}

/// Carries resets out, on the raft thread, for as long as the node lives.
pub(super) async fn run<P: Platform>(ground: Ground<P>) {
    let cluster = ground.cluster();
    let waiting = cluster.waiting_resets.lock().take();
    let mut resets = waiting.expect("a node carries its resets out once");
    while let Some(reset) = resets.recv().await {
        let left = leave(&ground, &reset).await;
        // Whoever asked has gone otherwise.
        let _ = reset.tell.send(left.map_err(|why| why.to_string()));
    }
}

async fn leave<P: Platform>(ground: &Ground<P>, &Reset { of, hard, .. }: &Reset) -> std::io::Result<()> {
    let (cluster, node) = (ground.cluster(), &ground.node);
    let _alone = cluster.moving.lock().await;
    let refused = |why: &str| Err(std::io::Error::other(why));
    if cluster.meta().is_none_or(|meta| meta.identity.group != of) {
        return refused("The node has joined another cluster meanwhile");
    }
    match cluster.topology().map(|topology| topology.phase()) {
        Some(Phase::Retired(_)) => return refused("The node is joining another cluster"),
        // A replica with an empty log has acknowledged nothing: no group counts on it.
        None if ground.log_store.load(of)?.last.is_some() => return refused("The node is not ready yet"),
        _ => (),
    }
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
    node.begin_anew(if hard { draw_id(&node.random) } else { node.id() })?;
    if hard {
        // AFTER the record: what a peer is told is so after a crash, too.
        ground.transport.rename(node.id());
    }
    for identity in old.shards.iter().map(|held| &held.identity).chain(&old.meta) {
        forget(ground, identity.group);
    }
    node.doubts.lock().clear();
    cluster.join_is_stuck.store(false, Ordering::Relaxed);
    cluster.reset_count.fetch_add(1, Ordering::Relaxed);
    *cluster.overlay.lock() = topology::Overlay::default();
    found(ground).await?;
    let meta = cluster.meta().ok_or_else(|| std::io::Error::other("it was founded just now"))?;
    meta.wait_for(|_| true).await;
    // Whoever asked sees the node as it is now.
    cluster.renew();
    tracing::info!("left the cluster: a cluster of one again");
    Ok(())
}

fn draw_id<R: Random>(random: &R) -> raft::NodeId {
    let mut id = [0; 20];
    for part in id.chunks_mut(8) {
        part.copy_from_slice(&random.next_u64().to_be_bytes()[..part.len()]);
    }
    raft::NodeId(id)
}
