//! The task on the raft thread that seals a shard's batches and proposes them.
//!
//! One task does it all, so proposals keep their order, and the entry's clock never runs back. It is woken when a
//! batch is due: by the connection that filled it, by the commit of the entry before, or by an answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use raft::Clock;
use tokio::time::Instant;

use crate::node::Shared;
use crate::platform::{Platform, Random};
use crate::replica::Replica;
use crate::shard::{EntryWaiter, SealContext};
use crate::tasks;

/// How often it looks for keys that are due and for answers that are overdue, where there can be any.
const TICK: Duration = Duration::from_millis(100);

/// How often it looks how full the disk is, how much memory is used and how far the clock is from the peers'.
const LOOK_AROUND_EVERY: Duration = Duration::from_secs(1);

/// A node whose clock is this far from its peers' median warns …
const CLOCK_OFF_MS: u64 = 500;
/// … and this far, it does not lead.
const CLOCK_WRONG_MS: u64 = 5000;

/// Runs until the node stops.
pub(crate) async fn run<P: Platform>(node: Arc<Shared<P>>, replica: Arc<Replica>, group: raft::Group<EntryWaiter>) {
    let (mut ticked, mut looked_around) = (Instant::now(), Instant::now());
    let (mut proposed_at_ns, mut warned) = (0, false);
    loop {
        // An idle node has many replicas; each of its wakes counts.
        let until_tick = if may_be_due(&replica) { TICK } else { LOOK_AROUND_EVERY };
        let tick = tokio::select! {
            biased;
            () = replica.shard.due.notified() => false,
            () = tokio::time::sleep_until(ticked + until_tick) => true,
        };
        let now_ns = node.clock.monotonic_ns();
        if tick {
            ticked = Instant::now();
            replica.shard.give_up_overdue(now_ns);
            replica.shard.retry();
            if looked_around.elapsed() >= LOOK_AROUND_EVERY {
                looked_around = ticked;
                look_at_disk(&node, &replica);
                node.note_memory();
                warned = look_at_clock(&node, &replica, warned);
            }
        }
        let quiet = now_ns.saturating_sub(proposed_at_ns) >= TICK.as_nanos() as u64;
        if propose_due(&node, &replica, &group, tick && quiet && is_key_due(&node, &replica)) {
            proposed_at_ns = now_ns;
        }
    }
}

/// Seals and proposes what is due; a tick too if `tick` says so. Returns whether anything was proposed.
fn propose_due<P: Platform>(
    node: &Shared<P>,
    replica: &Replica,
    group: &raft::Group<EntryWaiter>,
    mut tick: bool,
) -> bool {
    let mut proposed = false;
    loop {
        let term = replica.leading_term.load(Ordering::Acquire);
        let context = SealContext {
            term,
            now_ns: node.clock.monotonic_ns(),
            wall_ms: node.clock.wall_ms(),
            seed: node.random.next_u64(),
            tick: std::mem::take(&mut tick),
        };
        let Some(sealed) = replica.shard.seal(context) else { return proposed };
        group.propose(sealed.payload, sealed.waiter, sealed.term);
        proposed = true;
    }
}

fn look_at_disk<P: Platform>(node: &Shared<P>, replica: &Replica) {
    let is_low = node.is_disk_low();
    if replica.shard.disk_low.swap(is_low, Ordering::Relaxed) != is_low {
        if is_low {
            tracing::warn!("the disk of the data directory is nearly full: commands that add data are refused");
        } else {
            tracing::info!("the disk of the data directory has room again");
        }
    }
}

/// Warns of a clock that is far from those of the peers; a leader whose clock is very far gives leadership up, because keys
/// would expire by it. Returns whether it has warned.
fn look_at_clock<P: Platform>(node: &Arc<Shared<P>>, replica: &Arc<Replica>, warned: bool) -> bool {
    let Some(offset_ms) = node.clock_offset_ms() else { return false };
    let is_off = offset_ms.unsigned_abs() >= CLOCK_OFF_MS;
    if is_off && !warned {
        tracing::warn!(offset_ms, "the clock is far from those of the other nodes: keys expire by the leader's clock");
    }
    if offset_ms.unsigned_abs() >= CLOCK_WRONG_MS && replica.leads() && !replica.abdicates() {
        tracing::warn!(offset_ms, "giving leadership up: the clock is too far from those of the other nodes");
        let replica = Arc::clone(replica);
        let node = Arc::clone(node);
        drop(tasks::beside(async move { node.abdicate(&replica).await }));
    }
    is_off
}

/// Whether an answer may become overdue, or a key due, before anything else happens here. What is in flight may bring a
/// first deadline.
fn may_be_due(replica: &Replica) -> bool {
    let has_deadlines = replica.shard.next_deadline_ms.load(Ordering::Relaxed) != u64::MAX;
    !replica.shard.is_idle() || (replica.leads() && has_deadlines)
}

fn is_key_due<P: Platform>(node: &Shared<P>, replica: &Replica) -> bool {
    replica.leads() && replica.shard.next_deadline_ms.load(Ordering::Relaxed) <= node.clock.wall_ms()
}
