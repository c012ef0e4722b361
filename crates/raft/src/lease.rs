//! The leader's lease: while it holds, no other leader can commit anything, so a read needs no round of messages.
//!
//! A lease counts from the moment the newest quorum-acknowledged message was *sent*; followers keep their
//! promise from the moment they *received* it. It is published shortened by a margin for clocks that drift and
//! threads that stall. Checking BEFORE the read is enough: a later leader commits only after the lease has
//! ended, which is after the moment of the check, and a write is acknowledged only after its apply to the memory
//! that the read looks at.
//!
//! Not here: the decision when it may be published (`observer.rs`), and the slow path (`reads.rs`).

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// One group's lease on this node, read by any thread.
#[derive(Debug, Default)]
pub struct Lease {
    /// Nanoseconds of [`crate::Clock::monotonic_ns`]; 0 for none.
    valid_until_ns: AtomicU64,
    /// The term whose leadership is being handed over: nothing is published for it any more.
    closed_for: Mutex<Option<u64>>,
}

impl Lease {
    /// Whether this replica may answer reads from memory at `now_ns` (of [`crate::Clock::monotonic_ns`], read
    /// before the data is). One atomic load.
    pub fn holds(&self, now_ns: u64) -> bool {
        now_ns < self.valid_until_ns.load(Ordering::Acquire)
    }

    /// Nanoseconds of the clock until which it holds; 0 for none. For INFO and metrics.
    pub fn valid_until_ns(&self) -> u64 {
        self.valid_until_ns.load(Ordering::Acquire)
    }

    /// Publishes the lease of `term`, or withdraws it with 0. A closed term stays at 0.
    pub(crate) fn publish(&self, term: u64, valid_until_ns: u64) {
        let mut closed_for = self.closed_for.lock();
        if closed_for.is_some_and(|closed| closed != term) {
            *closed_for = None;
        }
        let open = closed_for.is_none();
        self.valid_until_ns.store(if open { valid_until_ns } else { 0 }, Ordering::SeqCst);
    }

    /// Withdraws the lease and publishes none for `term` again. Before a leader transfer: it makes voters ignore
    /// their promise.
    pub(crate) fn close(&self, term: u64) {
        let mut closed_for = self.closed_for.lock();
        *closed_for = Some(term);
        self.valid_until_ns.store(0, Ordering::SeqCst);
    }

    /// Takes [`Lease::close`] back. Only while no transfer was triggered.
    pub(crate) fn reopen(&self) {
        *self.closed_for.lock() = None;
    }
}
