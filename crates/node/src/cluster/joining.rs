//! MEET: how a cluster of one becomes part of another, step by step; every step may be repeated, also after a crash.
//!
//! ```text
//! Hello                  which cluster is the other of? The same: done. Two larger ones: refused
//! who joins              the single one; of two single ones that with the larger cluster id, whoever was asked
//! Joining                in the joiner's own meta group: nothing else may change there any more
//! TakeIn                 the other cluster's topology takes node, shard and slots in, or refuses: then UndoJoining
//! Joined                 the own meta group is retired; the node goes on with its replica of the other's
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use raft::{Clock, GroupId, NodeId, PeerAddress, ReplicaId, TransportError};
use topology::{Change, ClusterId, Meeting, Phase, Refusal, Topology};

use super::MEETS_MAX;
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
    /// Nothing is decided yet, and why.
    Again(String),
    Refused(String),
}

fn busy() -> Attempt {
    Attempt::Again("the node did not answer, or is busy".to_owned())
}

/// A MEET that is being carried out.
struct Pending {
    address: String,
    /// How often the node had been reset when it was asked for: what was asked of another cluster is past.
    reset_count: u64,
    began_ns: u64,
    /// When it was tried last.
    tried_ns: Option<u64>,
}

/// Carries MEETs out, in turns, for as long as the node lives: one that nobody answers does not hold up the others.
pub(super) async fn run<P: Platform>(ground: Ground<P>) {
    let waiting = ground.cluster().waiting_meets.lock().take();
    let mut meets = waiting.expect("a node carries its MEETs out once");
    resume(&ground).await;
    let mut pending: VecDeque<Pending> = VecDeque::new();
    loop {
        while pending.len() < MEETS_MAX {
            let next = if pending.is_empty() { meets.recv().await } else { meets.try_recv().ok() };
            let Some((Meet { address }, reset_count)) = next else { break };
            let began_ns = ground.node.clock.monotonic_ns();
            pending.push_back(Pending { address, reset_count, began_ns, tried_ns: None });
        }
        let Some(mut next) = pending.pop_front() else { return };
        if try_once(&ground, &mut next).await {
            pending.push_back(next);
        }
    }
}

/// Tries a MEET, not sooner than it may be tried again; whether it is to be tried once more.
async fn try_once<P: Platform>(ground: &Ground<P>, next: &mut Pending) -> bool {
    let (clock, address) = (&ground.node.clock, next.address.as_str());
    if let Some(tried_ns) = next.tried_ns {
        let passed = Duration::from_nanos(clock.monotonic_ns().saturating_sub(tried_ns));
        tokio::time::sleep(AGAIN_AFTER.saturating_sub(passed)).await;
    }
    if ground.cluster().reset_count.load(Ordering::Relaxed) != next.reset_count {
        return false;
    }
    let why = match meet(ground, address).await {
        Attempt::Done => return false,
        Attempt::Refused(why) => {
            tracing::warn!(address, "CLUSTER MEET was refused: {why}");
            return false;
        }
        Attempt::Again(why) => why,
    };
    // Looked at between attempts only: a join that has begun is not left half done.
    if is_over(ground, next.began_ns) {
        tracing::warn!(address, "CLUSTER MEET was given up: {why}");
        return false;
    }
    next.tried_ns = Some(clock.monotonic_ns());
    true
}

fn is_over<P: Platform>(ground: &Ground<P>, began_ns: u64) -> bool {
    Duration::from_nanos(ground.node.clock.monotonic_ns().saturating_sub(began_ns)) > MEET_WITHIN
}

fn peer(address: &str) -> PeerAddress {
    PeerAddress { node: NodeId([0; 20]), address: address.to_owned() }
}

async fn meet<P: Platform>(ground: &Ground<P>, address: &str) -> Attempt {
    if ground.node.holdings().joining.is_some() {
        // Begun in an attempt before this one, which did not hear that it had begun.
        resume(ground).await;
        return busy();
    }
    let other = formation::ask(&ground.transport, &peer(address), &Request::Hello).await;
    let Some(Answer::Cluster { node, cluster: theirs, nodes, joining }) = other else { return busy() };
    let cluster = ground.cluster();
    // Who has just joined reads what was before, when the cluster was smaller.
    let Some(topology) = cluster.topology().filter(|topology| cluster.is_current(topology)) else { return busy() };
    match topology.meeting(ClusterId(theirs.0), usize::try_from(nodes).unwrap_or(usize::MAX)) {
        Meeting::Same => {
            cluster.reached(theirs, node, address);
            introduce(ground, &topology);
            Attempt::Done
        }
        _ if joining || topology.phase() != Phase::Living => busy(),
        Meeting::Refused => Attempt::Refused("both nodes are of clusters with other nodes".to_owned()),
        Meeting::WeJoin => join(ground, theirs, address).await,
        Meeting::TheyJoin => {
            let me = endpoint(&ground.node);
            let come = Request::Come(super::members::address(&me.ip, me.peer_port));
            // It asks to be taken in by and by; until then it is asked again. It refuses when others have joined it since it said
            // that it is single: then it is this node that joins.
            formation::ask(&ground.transport, &peer(address), &come).await;
            busy()
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

/// Joins another cluster, from the first step.
async fn join<P: Platform>(ground: &Ground<P>, theirs: GroupId, address: &str) -> Attempt {
    let node = &ground.node;
    let replica = ReplicaId(node.random.next_u64());
    let joining = Joining { cluster: theirs, replica, address: address.to_owned() };
    // BEFORE the first step: what the other is told must be the same after a crash.
    if node.change_holdings(|holdings| holdings.joining = Some(joining.clone())).is_err() {
        return busy();
    }
    go_on(ground, &joining, false).await
}

/// Takes up a join that was interrupted, by a crash, or because its beginning took longer than it was waited for.
async fn resume<P: Platform>(ground: &Ground<P>) {
    while let Some(joining) = ground.node.holdings().joining {
        if !matches!(go_on(ground, &joining, true).await, Attempt::Again(_)) {
            return;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Goes on with a join from wherever it is: what was done before is done again, and changes nothing. `was_asked`: the other cluster
/// may have been asked before.
async fn go_on<P: Platform>(ground: &Ground<P>, joining: &Joining, was_asked: bool) -> Attempt {
    let cluster = ClusterId(joining.cluster.0);
    // Its answer comes when the log is applied to here: before, the topology is one of the past.
    match ground.node.change_topology(vec![Change::Joining { cluster }]).await {
        Ok(Ok(_)) => ask_in(ground, joining, was_asked).await,
        Ok(Err(Refusal::Retired)) => {
            move_over(ground, joining).await;
            Attempt::Done
        }
        // Others have joined meanwhile, say: then it is another meeting.
        Ok(Err(why)) => give_up(ground, joining, Attempt::Again(why.to_string())),
        Err(_) => busy(),
    }
}

/// Asks the other cluster until it has decided.
///
/// A node that was asked, and does not answer, may have taken this one in: then nobody but it can say so, and going back would
/// leave this node's slots in two clusters. So that is waited for without end; CLUSTER RESET ends it. A node that could not even
/// be asked is given up.
async fn ask_in<P: Platform>(ground: &Ground<P>, joining: &Joining, was_asked: bool) -> Attempt {
    let cluster = ground.cluster();
    let Some(topology) = cluster.topology() else { return busy() };
    let Some(change) = topology.join_change(topology::ReplicaId(joining.replica.0)) else { return busy() };
    let payload = Bytes::from(topology::encode_batch(&[vec![change]]));
    let request = Request::TakeIn(joining.cluster, payload);
    let began_ns = ground.node.clock.monotonic_ns();
    let (mut may_be_in, mut is_stuck) = (was_asked, false);
    loop {
        match formation::try_ask(&ground.transport, &peer(&joining.address), &request).await {
            _ if !is_under_way(ground, joining) => return reset_meanwhile(),
            Ok(Answer::Accepted(_)) => break,
            Ok(Answer::Refused(why)) => return undo(ground, joining, Attempt::Refused(why)).await,
            // It joined another cluster itself since it said of which it is, and had taken nobody in: it is met as a node of that.
            Ok(Answer::Cluster { cluster, .. }) if cluster != joining.cluster => {
                return undo(ground, joining, Attempt::Again("the node has joined another cluster".to_owned())).await;
            }
            Err(TransportError::Unreachable(why)) if !may_be_in && is_over(ground, began_ns) => {
                return undo(ground, joining, Attempt::Refused(why)).await;
            }
            Err(TransportError::Unreachable(_)) => (),
            _ => may_be_in = true,
        }
        if !is_stuck && is_over(ground, began_ns) {
            is_stuck = true;
            cluster.join_is_stuck.store(true, Ordering::Relaxed);
            tracing::warn!(
                address = joining.address,
                "the node does not say whether its cluster has taken this one in: it is asked until it does. CLUSTER RESET ends that"
            );
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    cluster.join_is_stuck.store(false, Ordering::Relaxed);
    if !insist(ground, joining, Change::Joined { cluster: ClusterId(joining.cluster.0) }).await {
        return reset_meanwhile();
    }
    move_over(ground, joining).await;
    Attempt::Done
}

/// Whether this join was not ended by a reset.
fn is_under_way<P: Platform>(ground: &Ground<P>, joining: &Joining) -> bool {
    ground.node.holdings().joining.as_ref() == Some(joining)
}

fn reset_meanwhile() -> Attempt {
    Attempt::Refused("the node was reset meanwhile".to_owned())
}

/// Changes the topology of this cluster of one. Until this is done the node could do nothing else, so it is tried for as long as
/// it takes: it is refused by no state that it can be in. False if the join was ended by a reset.
async fn insist<P: Platform>(ground: &Ground<P>, joining: &Joining, change: Change) -> bool {
    while is_under_way(ground, joining) {
        if matches!(ground.node.change_topology(vec![change.clone()]).await, Ok(Ok(_))) {
            return true;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    false
}

/// Everything is as before the join, which came to nothing.
async fn undo<P: Platform>(ground: &Ground<P>, joining: &Joining, attempt: Attempt) -> Attempt {
    ground.cluster().join_is_stuck.store(false, Ordering::Relaxed);
    if !insist(ground, joining, Change::UndoJoining { cluster: ClusterId(joining.cluster.0) }).await {
        return reset_meanwhile();
    }
    give_up(ground, joining, attempt)
}

fn give_up<P: Platform>(ground: &Ground<P>, joining: &Joining, attempt: Attempt) -> Attempt {
    if !is_under_way(ground, joining) {
        return reset_meanwhile();
    }
    match ground.node.change_holdings(|holdings| holdings.joining = None) {
        Ok(()) => attempt,
        Err(_) => busy(),
    }
}

/// Goes on with the other cluster's meta group.
async fn move_over<P: Platform>(ground: &Ground<P>, joining: &Joining) {
    let cluster = ground.cluster();
    let _alone = cluster.moving.lock().await;
    if !is_under_way(ground, joining) {
        return;
    }
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
    let introduction = || Answer::Cluster {
        node: node.id(),
        cluster: meta.identity.group,
        nodes: topology.nodes().len() as u64,
        joining: topology.phase() != Phase::Living,
    };
    match request {
        Request::Hello => introduction(),
        Request::Come(address) => {
            if topology.nodes().len() > 1 {
                return Answer::Refused("the node is of a cluster with other nodes".to_owned());
            }
            cluster.meet(Meet { address });
            Answer::Accepted(None)
        }
        Request::TakeIn(group, payload) if group == meta.identity.group => take_in(&node, &payload).await,
        Request::TakeIn(..) => introduction(),
        _ => Answer::Refused("that is no question about meeting".to_owned()),
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
        // It may be over soon; who has joined another cluster says so once it goes on there.
        Ok(Err(Refusal::Joining | Refusal::Retired | Refusal::ReplicaLeaving)) | Err(_) => Answer::Ask(String::new()),
        Ok(Err(refusal)) => Answer::Refused(refusal.to_string()),
    }
}
