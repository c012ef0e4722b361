//! Counters that INFO shows, renewed once per socket read or batch.
//!
//! Each I/O thread counts for itself: a counter that two threads add to wanders between their cores, which costs a small
//! command more than what it counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// I/O threads that have counters of their own; those beyond share them.
const COUNTS: usize = 16;

/// What has happened since the start, or since CONFIG RESETSTAT.
#[derive(Default)]
pub(crate) struct Stats([Counts; COUNTS]);

/// What one I/O thread counts. On cache lines of its own, also where they are fetched in pairs.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Counts {
    pub(crate) commands: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
}

impl Stats {
    /// The counters of the I/O thread with this number.
    pub(crate) fn of(&self, io: u16) -> &Counts {
        &self.0[usize::from(io) % COUNTS]
    }

    /// Commands that were done.
    pub(crate) fn commands(&self) -> u64 {
        self.sum(|counts| &counts.commands)
    }

    /// Bytes that clients have sent.
    pub(crate) fn bytes_in(&self) -> u64 {
        self.sum(|counts| &counts.bytes_in)
    }

    /// Bytes that clients were sent.
    pub(crate) fn bytes_out(&self) -> u64 {
        self.sum(|counts| &counts.bytes_out)
    }

    fn sum(&self, counter: impl Fn(&Counts) -> &AtomicU64) -> u64 {
        self.0.iter().map(|counts| counter(counts).load(Ordering::Relaxed)).sum()
    }

    /// CONFIG RESETSTAT.
    pub(crate) fn reset(&self) {
        for counts in &self.0 {
            for counter in [&counts.commands, &counts.bytes_in, &counts.bytes_out] {
                counter.store(0, Ordering::Relaxed);
            }
        }
    }
}
