//! Counters that INFO shows, renewed once per socket read or batch.

use std::sync::atomic::{AtomicU64, Ordering};

/// What has happened since the start, or since CONFIG RESETSTAT.
#[derive(Default)]
pub(crate) struct Stats {
    pub(crate) commands: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) errors: AtomicU64,
}

impl Stats {
    /// CONFIG RESETSTAT.
    pub(crate) fn reset(&self) {
        for counter in [&self.commands, &self.bytes_in, &self.bytes_out, &self.errors] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}
