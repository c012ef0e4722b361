//! Watches openraft from beside: publishes the status and the lease, asks for snapshots, purges what they cover.
//!
//! One task per group. It wakes when role, term, leader or members change, when apply says so, and every eighth of
//! a lease; never per entry. A lease that is published late is only shorter.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::{RaftDataMetrics, RaftServerMetrics};
use openraft::{AsyncRuntime, Instant, Raft, ServerState};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::ids::{LogId, ReplicaId};
use crate::lease::Lease;
use crate::log::LogState;
use crate::machine::Waiter;
use crate::member::next_voters;
use crate::runtime::{LocalInstant, SeededRuntime};
use crate::state::{Progress, State};
use crate::status::{Role, Status};
use crate::types::{Types, log_id};

/// Between two looks, the two clocks may drift apart by this much before it counts as a suspended machine.
const CLOCK_JUMP_MAX_NS: u64 = 5_000_000;

/// The watcher of one group.
pub(crate) struct Observer<W: Waiter, C> {
    pub(crate) raft: Raft<Types<W>, State<W>>,
    pub(crate) me: ReplicaId,
    pub(crate) clock: C,
    pub(crate) lease: Arc<Lease>,
    /// What followers promise: `election_timeout_max`.
    pub(crate) lease_length: Duration,
    pub(crate) progress: Arc<Progress>,
    pub(crate) log: Arc<LogState<W>>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) clocks: ClockPair,
    pub(crate) past: Past,
}

/// What was committed in the last lease, as samples: the first is as old as that once there is one.
#[derive(Default)]
pub(crate) struct Past(VecDeque<(LocalInstant, Option<LogId>)>);

impl Past {
    /// What was committed so long ago, or now if that is not known. `committed`: what is now.
    fn ago(&mut self, length: Duration, now: LocalInstant, committed: Option<LogId>) -> Option<LogId> {
        let samples = &mut self.0;
        if samples.back().is_none_or(|(at, _)| now - *at >= length / 16) {
            samples.push_back((now, committed));
        }
        while samples.get(1).is_some_and(|(at, _)| now - *at >= length) {
            samples.pop_front();
        }
        samples.front().filter(|(at, _)| now - *at >= length).map_or(committed, |(_, past)| *past)
    }
}

/// Notices when the machine was suspended: openraft's clock stands still then, the lease's does not.
pub(crate) struct ClockPair {
    origin: LocalInstant,
    last_offset_ns: Option<u64>,
    /// Acknowledgements of what was sent before this prove nothing about now.
    trusted_from: LocalInstant,
}

impl ClockPair {
    pub(crate) fn new() -> Self {
        let origin = LocalInstant::now();
        Self { origin, last_offset_ns: None, trusted_from: origin }
    }

    /// Looks at both clocks. `now_ns` was read BEFORE `now`: a stall between the two shortens the lease.
    fn look(&mut self, now_ns: u64, now: LocalInstant) {
        let run_ns = u64::try_from((now - self.origin).as_nanos()).unwrap_or(u64::MAX);
        let offset_ns = now_ns.wrapping_sub(run_ns);
        let jumped = self.last_offset_ns.is_some_and(|last| {
            let ahead = offset_ns.wrapping_sub(last);
            ahead.min(ahead.wrapping_neg()) > CLOCK_JUMP_MAX_NS
        });
        if jumped {
            self.trusted_from = now;
        }
        self.last_offset_ns = Some(offset_ns);
    }
}

impl<W: Waiter, C: Clock> Observer<W, C> {
    /// Runs until openraft stops.
    pub(crate) async fn run(mut self) {
        let mut server = self.raft.server_metrics();
        loop {
            self.observe().await;
            // Only a leader's lease goes on without other news. An idle node has many groups, and leads few.
            let period = if self.status.borrow().leads() { self.lease_length / 8 } else { self.lease_length };
            let alive = tokio::select! {
                biased;
                changed = server.changed() => changed.is_ok(),
                () = self.progress.changed.notified() => true,
                () = SeededRuntime::sleep_until(LocalInstant::now() + period) => true,
            };
            if !alive || self.raft.metrics().borrow_watched().running_state.is_err() {
                return self.stopped();
            }
        }
    }

    fn stopped(&self) {
        let why = match &self.raft.metrics().borrow_watched().running_state {
            Ok(()) => "stopped".to_owned(),
            Err(fatal) => fatal.to_string(),
        };
        self.status.send_modify(|status| {
            self.lease.publish(status.term, 0);
            status.ready = false;
            status.stopped = Some(why);
        });
    }

    async fn observe(&mut self) {
        // Cloned at once: a guard of theirs must not live across an await.
        let server = self.raft.server_metrics().borrow_watched().clone();
        let data = self.raft.data_metrics().borrow_watched().clone();
        let status = self.status(&server, &data);
        let until_ns = self.lease_until_ns(&status, &data);
        self.lease.publish(status.term, until_ns);
        if let Some(index) = releasable(&status) {
            self.log.release(index);
        }
        let purge = self.purgeable(&status);
        self.status.send_if_modified(|current| {
            let changed = *current != status;
            *current = status;
            changed
        });
        // Either fails only when the group stops.
        if self.progress.take_snapshot_wish() {
            let _ = self.raft.trigger().snapshot().await;
        }
        if let Some(upto) = purge {
            let _ = self.raft.trigger().purge_log(upto).await;
        }
    }

    fn status(&mut self, server: &RaftServerMetrics<Types<W>>, data: &RaftDataMetrics<Types<W>>) -> Status {
        let membership = server.membership_config.membership();
        let mut status = Status {
            role: match server.state {
                ServerState::Leader => Role::Leader,
                ServerState::Candidate => Role::Candidate,
                ServerState::Follower => Role::Follower,
                ServerState::Learner | ServerState::Shutdown => Role::Learner,
            },
            term: server.vote.leader_id.term,
            leader: server.current_leader.and_then(|leader| membership.get_node(&leader)).cloned(),
            next_voters: next_voters(membership),
            members_at: server.membership_config.log_id().as_ref().map_or(0, |id| id.index),
            members_stand: server.membership_config == server.committed_membership_config,
            last: self.log.last(),
            committed: data.local_committed.as_ref().map(log_id),
            applied: self.progress.applied(),
            snapshot: data.snapshot.as_ref().map(log_id),
            purged: data.purged.as_ref().map(log_id),
            log_bytes: self.progress.log_bytes(),
            ..Status::default()
        };
        for (&id, member) in membership.nodes() {
            let votes = membership.get_joint_config().iter().any(|voters| voters.contains(&id));
            let members = if votes { &mut status.voters } else { &mut status.learners };
            members.insert(ReplicaId(id), member.clone());
        }
        status.ready = status.leads() && status.applied.is_some_and(|applied| applied.term == status.term);
        if status.leads() {
            let matched = data.replication.iter().flatten();
            status.matched = matched.map(|(&id, matched)| (ReplicaId(id), matched.as_ref().map(log_id))).collect();
            status.matched.remove(&self.me);
            let asked = self.past.ago(self.lease_length, LocalInstant::now(), status.committed);
            let level = status.matched.iter().filter(|(_, matched)| matched.is_some() && **matched >= asked);
            status.caught_up = level.map(|(id, _)| *id).collect();
        } else {
            self.past = Past::default();
        }
        status
    }

    /// Until when this replica may read without asking anybody; 0 for not at all.
    fn lease_until_ns(&mut self, status: &Status, data: &RaftDataMetrics<Types<W>>) -> u64 {
        let now_ns = self.clock.monotonic_ns();
        let now = LocalInstant::now();
        self.clocks.look(now_ns, now);
        if !status.ready {
            return 0;
        }
        let alone = status.voters.len() == 1 && status.voters.contains_key(&self.me);
        let acked = if alone { Some(now) } else { data.last_quorum_acked.map(|acked| acked.into_inner()) };
        let Some(acked) = acked.filter(|acked| *acked >= self.clocks.trusted_from) else { return 0 };
        let margin = self.lease_length / 10 + Duration::from_millis(10);
        let left = self.lease_length.saturating_sub(margin).saturating_sub(now - acked);
        if left.is_zero() {
            return 0;
        }
        now_ns.saturating_add(u64::try_from(left.as_nanos()).unwrap_or(0))
    }

    /// The log up to here may go: a snapshot holds it, and memory does not: see [`releasable`].
    fn purgeable(&self, status: &Status) -> Option<u64> {
        let upto = status.snapshot?.index.min(self.log.tail_first().checked_sub(1)?);
        let purged = status.purged.map(|LogId { index, .. }| index);
        (Some(upto) > purged).then_some(upto)
    }
}

/// Up to where memory need not hold the log: a snapshot does, and every member has it, as the leader knows. So a follower that is only a
/// little behind needs no snapshot, and a shard that rests keeps no tail. Who follows keeps its own, up to its bound:
/// it may lead next.
fn releasable(status: &Status) -> Option<u64> {
    let snapshot = status.snapshot.filter(|_| status.leads())?;
    let everywhere = status.matched.values().map(|matched| matched.map_or(0, |id| id.index)).min();
    Some(everywhere.map_or(snapshot.index, |index| index.min(snapshot.index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u64) -> LogId {
        LogId { term: 1, index }
    }

    #[test]
    fn who_holds_what_was_committed_a_lease_ago_has_caught_up() {
        let (start, lease, mut past) = (LocalInstant::now(), Duration::from_millis(160), Past::default());
        // One entry a ms, looked at every ms.
        let committed = |ms| past.ago(lease, start + Duration::from_millis(ms), Some(id(ms)));
        let behind: Vec<u64> = (0..1000).map(committed).zip(0..).map(|(asked, ms)| ms - asked.unwrap().index).collect();
        assert_eq!(behind[..160], [0; 160], "nothing older is known");
        assert!(behind[160..].iter().all(|ms| (160..=170).contains(ms)), "{behind:?}");
        assert!(past.0.len() <= 18, "{}", past.0.len());
    }

    #[test]
    fn memory_holds_what_somebody_lacks() {
        let mut status = Status { role: Role::Leader, snapshot: Some(id(50)), ..Status::default() };
        assert_eq!(releasable(&status), Some(50), "nobody else is there");
        status.matched.insert(ReplicaId(2), Some(id(60)));
        assert_eq!(releasable(&status), Some(50));
        status.matched.insert(ReplicaId(3), Some(id(40)));
        assert_eq!(releasable(&status), Some(40));
        status.matched.insert(ReplicaId(4), None);
        assert_eq!(releasable(&status), Some(0), "a member that was never heard of");
        status.role = Role::Follower;
        assert_eq!(releasable(&status), None);
        status = Status { role: Role::Leader, ..Status::default() };
        assert_eq!(releasable(&status), None, "without a snapshot the log is all there is");
    }
}
