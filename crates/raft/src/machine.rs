//! The seam to the state machine: what a group's owner gives in and gets back.

use std::future::Future;
use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::ids::LogId;

/// What waits on this node for one proposal. Dropping it unanswered means: the outcome is unknown.
pub trait Waiter: Send + 'static {
    /// The proposal is committed at this place; it reaches [`Machine::apply`] next. Called on the raft thread,
    /// in log order, and must not block. The place for starting the next batch.
    fn committed(&mut self, id: LogId);
    /// Raft refused the proposal before it accepted it: it did not and will not happen.
    fn refused(self, reason: Refusal);
}

/// Why Raft did not accept a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This replica does not lead, or not in the term that the proposal named.
    NotLeader,
    /// It leads, but has not heard from a majority for a lease; it may again.
    NoLease,
    /// The group is stopping.
    Stopping,
}

/// A committed entry on its way to the state machine.
pub struct CommittedEntry<W> {
    /// Its place.
    pub id: LogId,
    /// What was proposed; `None` for Raft's own entries (blank, membership).
    pub payload: Option<Bytes>,
    /// What waits for it, if it was proposed here and nobody gave up.
    pub waiter: Option<W>,
}

/// The state that a group replicates.
pub trait Machine: Send + 'static {
    /// What waits for a proposal.
    type Waiter: Waiter;
    /// A consistent view of the state at one log id, written out while the machine goes on.
    type Frozen: Frozen;

    /// Applies committed entries in log order, each once. Returns when their effects are visible to readers.
    fn apply(&mut self, entries: Vec<CommittedEntry<Self::Waiter>>) -> impl Future<Output = ()> + Send;

    /// Freezes the state as of the last applied entry. Cheap: nothing is copied that does not change later.
    fn freeze(&mut self) -> impl Future<Output = Self::Frozen> + Send;

    /// Replaces the whole state by a snapshot, chunk after chunk. On an error the old state stays, and the node
    /// stops with the error's text.
    fn install<R: crate::log_store::SnapshotReader>(
        &mut self,
        last: LogId,
        chunks: R,
    ) -> impl Future<Output = io::Result<()>> + Send;
}

/// A frozen state, encoded piece by piece.
pub trait Frozen: Send + 'static {
    /// The next piece, of 1 MiB at most; `None` at the end. Called on the raft thread, which must not be kept from its heartbeats: whoever
    /// has much to encode does so elsewhere and is waited for. With an error the snapshot is given up.
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>>;
}
