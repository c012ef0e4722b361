//! The way of a waiter: it leaves with its proposal, hears of the commit, and meets its entry again at apply.
//!
//! openraft carries a [`Reply`] beside each proposal. When the entry is committed the reply hands its waiter to
//! [`Waiting`], under the entry's log id; apply takes it from there. The id never travels inside the entry: after
//! a restart an old entry could carry the same one.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openraft::errors::{ClientWriteError, ForwardReason};
use openraft::raft::ClientWriteResult;
use openraft::raft::responder::Responder;
use parking_lot::Mutex;

use crate::ids::LogId;
use crate::machine::{Refusal, Waiter};
use crate::types::{RaftLogId, Types, log_id};

/// The waiters of committed entries that have not been applied yet, in log order.
pub(crate) struct Waiting<W> {
    committed: Mutex<VecDeque<(LogId, W)>>,
    proposals: AtomicUsize,
}

impl<W> Waiting<W> {
    pub(crate) fn new() -> Self {
        Self { committed: Mutex::new(VecDeque::new()), proposals: AtomicUsize::new(0) }
    }

    /// Proposals that were handed to Raft and are not yet committed, refused or lost.
    pub(crate) fn proposals(&self) -> usize {
        self.proposals.load(Ordering::Relaxed)
    }

    /// The waiter of this entry. Waiters of earlier entries that never came here are dropped: outcome unknown.
    pub(crate) fn take(&self, id: LogId) -> Option<W> {
        let mut committed = self.committed.lock();
        while committed.front().is_some_and(|(front, _)| front.index < id.index) {
            committed.pop_front();
        }
        let found = committed.front().is_some_and(|(front, _)| *front == id);
        if found { committed.pop_front().map(|(_, waiter)| waiter) } else { None }
    }

    /// Gives up all waiters: the group stops.
    pub(crate) fn clear(&self) {
        let dropped = std::mem::take(&mut *self.committed.lock());
        // Not under the lock: a waiter's drop runs the owner's code.
        drop(dropped);
    }
}

/// One proposal's end inside openraft. Dropped without a word, it drops its waiter: outcome unknown.
pub(crate) struct Reply<W> {
    waiter: Option<W>,
    waiting: Arc<Waiting<W>>,
}

impl<W> Reply<W> {
    pub(crate) fn new(waiter: W, waiting: Arc<Waiting<W>>) -> Self {
        waiting.proposals.fetch_add(1, Ordering::Relaxed);
        Self { waiter: Some(waiter), waiting }
    }
}

impl<W> Drop for Reply<W> {
    fn drop(&mut self) {
        self.waiting.proposals.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<W: Waiter, T: Send + 'static> Responder<Types<W>, T> for Reply<W> {
    fn on_commit(&mut self, id: RaftLogId) {
        if let Some(mut waiter) = self.waiter.take() {
            let id = log_id(&id);
            waiter.committed(id);
            self.waiting.committed.lock().push_back((id, waiter));
        }
    }

    fn on_complete(mut self, result: T) {
        let Some(waiter) = self.waiter.take() else { return };
        let Some(Err(error)) = (&result as &dyn Any).downcast_ref::<ClientWriteResult<Types<W>>>() else { return };
        // Only this one means that the proposal never entered the log. `LogEntryDiscarded` and the rest leave the
        // outcome open, and the waiter is dropped.
        if let ClientWriteError::ForwardToLeader(forward) = error {
            waiter.refused(match forward.reason {
                ForwardReason::NotLeader => Refusal::NotLeader,
                ForwardReason::LeadershipTransfer | ForwardReason::LeaseExpired => Refusal::NoLease,
            });
        }
    }
}
