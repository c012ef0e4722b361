//! MEET: how a cluster of one becomes part of another, step by step; every step may be repeated, also after a crash.
//!
//! ```text
//! Hello                  which cluster is the other of? The same: done. Two larger ones: refused
//! who joins              the single one; of two single ones that with the larger cluster id, whoever was asked
//! Joining                in the joiner's own meta group: nothing else may change there any more
//! TakeIn                 the other cluster's topology takes node, shard and slots in, or refuses: then UndoJoining
//! Joined                 the own meta group is retired; the node goes on with its replica of the other's
//! ```

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft::{Clock, GroupId, NodeId, PeerAddress, ReplicaId};
use topology::{Change, ClusterId, Meeting, Phase, Refusal, Topology};

use super::meta::Meta;
use super::open::{Ground, endpoint, forget, open_meta};
use crate::formation;
use crate::holdings::Joining;
use crate::messages::{Answer, Identity, Request};
use crate::node::Shared;
use crate::platform::{Platform, Random};

/// How long a MEET is tried while the other does not answer, or is joining somebody itself.
const MEET_WITHIN: Duration = Duration::from_secs(15);
/// Between two attempts.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A MEET that was asked for: the peer address of the other node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meet {
    pub(crate) address: String,
}

/// How one attempt went.
enum Attempt {
    Done,
    Again,
    Refused(String),
}

/// Carries MEETs out, one after the other, for as long as the node lives.
pub(super) async fn run<P: Platform>(ground: Ground<P>) {
    let waiting = ground.cluster().waiting_meets.lock().take();
    let mut meets = waiting.expect("a node carries its MEETs out once");
    resume(&ground).await;
    while let Some(Meet { address }) = meets.recv().await {
        let began_ns = ground.node.clock.monotonic_ns();
        loop {
            match meet(&ground, &address).await {
                Attempt::Done => break,
                Attempt::Refused(why) => {
                    tracing::warn!(address, "CLUSTER MEET was refused: {why}");
                    break;
                }
                Attempt::Again => (),
            }
            // Looked at between attempts only: a join that has begun is not left half done.
            let tried = Duration::from_nanos(ground.node.clock.monotonic_ns().saturating_sub(began_ns));
            if tried > MEET_WITHIN {
                tracing::warn!(address, "CLUSTER MEET was given up: the node did not answer, or is busy");
                break;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

fn peer(address: &str) -> PeerAddress {
    PeerAddress { node: NodeId([0; 20]), address: address.to_owned() }
}

async fn meet<P: Platform>(ground: &Ground<P>, address: &str) -> Attempt {
    let other = formation::ask(&ground.transport, &peer(address), &Request::Hello).await;
    let Some(Answer::Cluster { node, cluster: theirs, nodes, joining }) = other else { return Attempt::Again };
    let cluster = ground.cluster();
    let Some(topology) = cluster.topology() else { return Attempt::Again };
    let meeting = topology.meeting(ClusterId(theirs.0), usize::try_from(nodes).unwrap_or(usize::MAX));
    match meeting {
        Meeting::Same => {
            cluster.reached(theirs, node, address);
            introduce(ground, &topology);
            Attempt::Done
        }
        _ if topology.phase() != Phase::Living => {
            // Begun in an attempt before this one, which did not hear that it had begun.
            resume(ground).await;
            Attempt::Again
        }
        _ if joining => Attempt::Again,
        Meeting::Refused => Attempt::Refused("both nodes are of clusters with other nodes".to_owned()),
        Meeting::WeJoin => join(ground, theirs, address).await,
        Meeting::TheyJoin => {
            let me = endpoint(&ground.node);
            let come = Request::Come(super::members::address(&me.ip, me.peer_port));
            // It asks to be taken in by and by; until then it is asked again. It refuses when others have joined it since it said
            // that it is single: then it is this node that joins.
            formation::ask(&ground.transport, &peer(address), &come).await;
            Attempt::Again
        }
    }
}

/// Tells every node of the cluster where this one is reached, and those that are heard to be somewhere else than the topology
/// says. Who does not hear it learns it from the topology.
pub(super) fn introduce<P: Platform>(ground: &Ground<P>, topology: &Topology) {
    let (cluster, me) = (ground.cluster(), endpoint(&ground.node));
    let own = (ground.node.id(), super::members::address(&me.ip, me.peer_port));
    for (node, address) in cluster.addresses.moved().into_iter().chain([own]) {
        let here = Request::Here(GroupId(topology.cluster().0), node, address);
        cluster.tell_others(topology, &ground.transport, &here);
    }
}

/// Why a MEET of the node at this address will come to nothing, if that is certain before it is tried.
pub(crate) async fn forbids<P: Platform>(node: &Shared<P>, address: &str) -> Option<String> {
    let (topology, transport) = (node.cluster.as_ref()?.topology()?, node.transport()?);
    let other = formation::ask(transport, &peer(address), &Request::Hello).await;
    let Some(Answer::Cluster { cluster, nodes, .. }) = other else { return None };
    let count = usize::try_from(nodes).unwrap_or(usize::MAX);
    (topology.meeting(ClusterId(cluster.0), count) == Meeting::Refused).then(|| {
        "Both nodes are of clusters with other nodes, and clusters do not merge: CLUSTER RESET one of the two first"
            .to_owned()
    })
}

/// Joins another cluster: from the first step, or from where a crash left it.
async fn join<P: Platform>(ground: &Ground<P>, theirs: GroupId, address: &str) -> Attempt {
    let node = &ground.node;
    let replica = ReplicaId(node.random.next_u64());
    let joining = Joining { cluster: theirs, replica, address: address.to_owned() };
    // BEFORE the first step: what the other is told must be the same after a crash.
    if node.change_holdings(|holdings| holdings.joining = Some(joining.clone())).is_err() {
        return Attempt::Again;
    }
    match node.change_topology(vec![Change::Joining { cluster: ClusterId(theirs.0) }]).await {
        Ok(Ok(_)) => ask_in(ground, &joining).await,
        Ok(Err(refusal)) => give_up(ground, refusal.to_string()).await,
        Err(_) => Attempt::Again,
    }
}

/// Takes up a join that was interrupted, by a crash, or because its beginning took longer than it was waited for.
async fn resume<P: Platform>(ground: &Ground<P>) {
    let Some(joining) = ground.node.holdings().joining else { return };
    let Some(meta) = ground.cluster().meta() else { return };
    // BEFORE the phase is looked at: until the log is applied to its end, the topology is one of the past.
    meta.wait_to_lead().await;
    let topology = meta.wait_for(|_| true).await;
    match topology.phase() {
        // Nothing was asked yet: whoever wanted it asks again.
        Phase::Living => drop(give_up(ground, "the node stopped before".to_owned()).await),
        Phase::Joining(_) => {
            // Once it is of no cluster that it joins, whoever wanted it asks again.
            while matches!(ask_in(ground, &joining).await, Attempt::Again) && is_joining(&meta) {
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
        Phase::Retired(_) => move_over(ground, &joining).await,
    }
}

fn is_joining(meta: &Meta) -> bool {
    meta.topology().is_some_and(|topology| matches!(topology.phase(), Phase::Joining(_)))
}

/// Asks the other cluster until it has decided.
async fn ask_in<P: Platform>(ground: &Ground<P>, joining: &Joining) -> Attempt {
    let Some(topology) = ground.cluster().topology() else { return Attempt::Again };
    let cluster = ClusterId(joining.cluster.0);
    if topology.phase() != Phase::Joining(cluster) {
        return Attempt::Again;
    }
    let Some(change) = topology.join_change(topology::ReplicaId(joining.replica.0)) else { return Attempt::Again };
    let payload = Bytes::from(topology::encode_batch(&[vec![change]]));
    let request = Request::TakeIn(joining.cluster, payload);
    loop {
        match formation::ask(&ground.transport, &peer(&joining.address), &request).await {
            Some(Answer::Accepted(_)) => break,
            Some(Answer::Refused(why)) => {
                insist(ground, Change::UndoJoining { cluster }).await;
                let gave_up = give_up(ground, why).await;
                // It joined another cluster itself since it was asked: then it is asked again, as a node of that.
                return if has_moved(ground, joining).await { Attempt::Again } else { gave_up };
            }
            _ => tokio::time::sleep(AGAIN_AFTER).await,
        }
    }
    insist(ground, Change::Joined { cluster }).await;
    move_over(ground, joining).await;
    Attempt::Done
}

/// Changes the topology of this cluster of one. Until this is done the node could do nothing else, so it is tried for as long as
/// it takes: it is refused by no state that it can be in.
async fn insist<P: Platform>(ground: &Ground<P>, change: Change) {
    while !matches!(ground.node.change_topology(vec![change.clone()]).await, Ok(Ok(_))) {
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Whether the node that was asked is of another cluster by now.
async fn has_moved<P: Platform>(ground: &Ground<P>, joining: &Joining) -> bool {
    let other = formation::ask(&ground.transport, &peer(&joining.address), &Request::Hello).await;
    matches!(other, Some(Answer::Cluster { cluster, .. }) if cluster != joining.cluster)
}

async fn give_up<P: Platform>(ground: &Ground<P>, why: String) -> Attempt {
    match ground.node.change_holdings(|holdings| holdings.joining = None) {
        Ok(()) => Attempt::Refused(why),
        Err(_) => Attempt::Again,
    }
}

/// Goes on with the other cluster's meta group.
async fn move_over<P: Platform>(ground: &Ground<P>, joining: &Joining) {
    let cluster = ground.cluster();
    let old = cluster.meta();
    let identity =
        Identity { group: joining.cluster, replica: joining.replica, hash_key: [0; 2], founders: Vec::new() };
    let moved = ground.node.change_holdings(|holdings| {
        (holdings.meta, holdings.joining) = (Some(identity.clone()), None);
        // The shard came along: what it was founded with is past.
        holdings.shards.iter_mut().for_each(|held| held.identity.founders.clear());
    });
    let opened = match moved {
        Ok(()) => open_meta(ground, identity, None).await.map(drop),
        Err(why) => Err(why),
    };
    if let Err(why) = opened {
        return ground.node.fail(why.to_string());
    }
    if let Some(old) = old {
        old.stop().await;
        forget(ground, old.identity.group);
    }
    tracing::info!(cluster = %joining.cluster, "joined a cluster");
}

/// Answers what other nodes ask about meeting and joining.
pub(crate) async fn answer<P: Platform>(node: Arc<Shared<P>>, request: Request) -> Answer {
    let Some(cluster) = &node.cluster else { return Answer::Refused("the node is not one of a cluster".to_owned()) };
    let (Some(meta), Some(topology)) = (cluster.meta(), cluster.topology()) else {
        return Answer::Ask(String::new());
    };
    match request {
        Request::Hello => Answer::Cluster {
            node: node.id(),
            cluster: meta.identity.group,
            nodes: topology.nodes().len() as u64,
            joining: topology.phase() != Phase::Living,
        },
        Request::Come(address) => {
            if topology.nodes().len() > 1 {
                return Answer::Refused("the node is of a cluster with other nodes".to_owned());
            }
            cluster.meet(Meet { address });
            Answer::Accepted(None)
        }
        Request::TakeIn(group, payload) if group == meta.identity.group => take_in(&node, &payload).await,
        _ => Answer::Refused("the node is of another cluster".to_owned()),
    }
}

async fn take_in<P: Platform>(node: &Shared<P>, payload: &[u8]) -> Answer {
    let changes = topology::decode_batch(payload).map(|commands| commands.concat());
    let is_join = |changes: &Vec<Change>| matches!(changes.as_slice(), [Change::Join(_)]);
    let Some(changes) = changes.ok().filter(is_join) else {
        return Answer::Refused("it does not say who is to be taken in".to_owned());
    };
    match node.change_topology(changes).await {
        Ok(Ok(_)) => Answer::Accepted(None),
        // It may be over soon.
        Ok(Err(Refusal::Joining | Refusal::ReplicaLeaving)) | Err(_) => Answer::Ask(String::new()),
        Ok(Err(refusal)) => Answer::Refused(refusal.to_string()),
    }
}
