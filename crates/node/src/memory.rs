//! What memory is used for, as INFO and MEMORY tell it.
//!
//! ```text
//! used = startup + data
//! ```
//!
//! `startup` is what the process held before it held any key, and stays; `data` is what the books of all replicas on this node say of keys and
//! values. Not in it: buffers of connections, the log's tail, and what a snapshot being written keeps alive. What the system calls resident shows these.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::node::Shared;
use crate::platform::Platform;

/// What a node remembers of its memory.
pub(crate) struct Remembered {
    /// The bytes that were resident when the node was started; 0 where the platform cannot tell.
    startup_bytes: u64,
    /// The most that was used at any look.
    peak_bytes: AtomicU64,
}

/// What memory is used for at a moment, in bytes.
pub(crate) struct Usage {
    pub(crate) startup_bytes: u64,
    /// Keys and values of all replicas of this node.
    pub(crate) data_bytes: u64,
    pub(crate) peak_bytes: u64,
    /// Where the platform can tell.
    pub(crate) resident_bytes: Option<u64>,
}

impl Remembered {
    pub(crate) fn new(startup_bytes: u64) -> Self {
        Self { startup_bytes, peak_bytes: AtomicU64::new(startup_bytes) }
    }

    /// Takes what data takes now into account; returns the peak.
    fn look(&self, data_bytes: u64) -> u64 {
        let used = self.startup_bytes + data_bytes;
        self.peak_bytes.fetch_max(used, Ordering::Relaxed).max(used)
    }
}

impl<P: Platform> Shared<P> {
    /// Looks at the memory; not for the raft thread, which waits for no command.
    pub(crate) fn memory_usage(&self) -> Usage {
        let replicas = self.replicas();
        let data_bytes = replicas.iter().map(|replica| replica.shard.data.read().allocated_bytes() as u64).sum();
        let peak_bytes = self.memory.look(data_bytes);
        let (startup_bytes, resident_bytes) = (self.memory.startup_bytes, self.resident_bytes());
        Usage { startup_bytes, data_bytes, peak_bytes, resident_bytes }
    }

    /// Looks for the peak's sake, at what the last entries have left: to be called every second.
    pub(crate) fn note_memory(&self) {
        let replicas = self.replicas();
        self.memory.look(replicas.iter().map(|replica| replica.shard.data_bytes.load(Ordering::Relaxed)).sum());
    }
}

impl Usage {
    pub(crate) fn used_bytes(&self) -> u64 {
        self.startup_bytes + self.data_bytes
    }

    /// What is used, in percent of the most that was.
    pub(crate) fn percent_of_peak(&self) -> f64 {
        percent(self.used_bytes(), self.peak_bytes)
    }

    /// What data takes, in percent of what was added since the start: that is data and nothing else.
    pub(crate) fn percent_of_data(&self) -> f64 {
        if self.data_bytes == 0 { 0.0 } else { 100.0 }
    }

    /// Resident bytes for each byte that is used.
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub(crate) fn ratio(&self) -> Option<f64> {
        let used = self.used_bytes();
        self.resident_bytes.filter(|_| used > 0).map(|resident| resident as f64 / used as f64)
    }

    /// Resident bytes beyond those that are used; less than 0 where the books say more than is resident.
    pub(crate) fn excess_bytes(&self) -> Option<i64> {
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.resident_bytes.map(|resident| signed(resident) - signed(self.used_bytes()))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_server_uses_what_it_took_at_the_start() {
        let empty = Usage { startup_bytes: 30, data_bytes: 0, peak_bytes: 40, resident_bytes: Some(33) };
        assert_eq!((empty.used_bytes(), empty.excess_bytes()), (30, Some(3)));
        assert_eq!([empty.percent_of_peak(), empty.percent_of_data(), empty.ratio().unwrap()], [75.0, 0.0, 1.1]);
        let unknown = Usage { startup_bytes: 0, data_bytes: 0, peak_bytes: 0, resident_bytes: None };
        assert_eq!((unknown.percent_of_peak(), unknown.ratio(), unknown.excess_bytes()), (0.0, None, None));
        let full = Usage { data_bytes: 70, peak_bytes: 100, ..empty };
        assert_eq!((full.used_bytes(), full.percent_of_data(), full.excess_bytes()), (100, 100.0, Some(-67)));
    }
}
