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

/// What a platform can tell of the process's memory, and do about it.
#[derive(Clone, Copy)]
pub struct MemoryProbe {
    /// The process's resident bytes.
    pub resident_bytes: fn() -> Option<u64>,
    /// The bytes of memory that the machine has.
    pub machine_bytes: fn() -> Option<u64>,
    /// The allocator's name and version, `jemalloc-5.3.1`.
    pub allocator: fn() -> Option<String>,
    /// The allocator's own counts.
    pub allocator_bytes: fn() -> Option<AllocatorBytes>,
    /// All that the allocator has to say, for people.
    pub report: fn() -> Option<String>,
    /// Gives the pages back that the allocator keeps and nobody uses.
    pub purge: fn(),
}

/// What an allocator says of itself, in bytes: each count is of what the one before it takes.
#[derive(Clone, Copy)]
pub struct AllocatorBytes {
    /// What the program asked for and has, rounded up to the allocator's sizes.
    pub allocated: u64,
    /// The pages with any of it.
    pub active: u64,
    /// Pages that the allocator has from the system, with its own and with free ones that it keeps for a while.
    pub resident: u64,
}

/// What a node remembers of its memory.
pub(crate) struct Remembered {
    pub(crate) probe: MemoryProbe,
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
    /// Where the platform can tell.
    pub(crate) allocator: Option<AllocatorBytes>,
}

impl MemoryProbe {
    /// A platform that can tell nothing.
    pub const UNKNOWN: Self = Self {
        resident_bytes: || None,
        machine_bytes: || None,
        allocator: || None,
        allocator_bytes: || None,
        report: || None,
        purge: || (),
    };
}

/// One amount of memory seen from another.
pub(crate) struct Beyond {
    pub(crate) ratio: f64,
    pub(crate) bytes: i64,
}

impl Beyond {
    fn new(whole: u64, part: u64) -> Self {
        Self { ratio: ratio(whole, part).unwrap_or(1.0), bytes: signed(whole) - signed(part) }
    }
}

impl Remembered {
    pub(crate) fn new(probe: MemoryProbe) -> Self {
        let startup_bytes = (probe.resident_bytes)().unwrap_or(0);
        Self { probe, startup_bytes, peak_bytes: AtomicU64::new(startup_bytes) }
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
        let probe = &self.memory.probe;
        Usage {
            startup_bytes: self.memory.startup_bytes,
            data_bytes,
            peak_bytes,
            resident_bytes: (probe.resident_bytes)(),
            allocator: (probe.allocator_bytes)(),
        }
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
    pub(crate) fn ratio(&self) -> Option<f64> {
        self.resident_bytes.and_then(|resident| ratio(resident, self.used_bytes()))
    }

    /// The allocator's pages that are in use, beyond what was asked for.
    pub(crate) fn fragmentation(&self) -> Option<Beyond> {
        self.allocator.map(|allocator| Beyond::new(allocator.active, allocator.allocated))
    }

    /// The allocator's pages, beyond those in use.
    pub(crate) fn kept(&self) -> Option<Beyond> {
        self.allocator.map(|allocator| Beyond::new(allocator.resident, allocator.active))
    }

    /// What is resident of the process, beyond the allocator's pages.
    pub(crate) fn foreign(&self) -> Option<Beyond> {
        self.allocator.zip(self.resident_bytes).map(|(allocator, resident)| Beyond::new(resident, allocator.resident))
    }

    /// Resident bytes beyond those that are used; less than 0 where the books say more than is resident.
    pub(crate) fn excess_bytes(&self) -> Option<i64> {
        self.resident_bytes.map(|resident| signed(resident) - signed(self.used_bytes()))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn ratio(amount: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| amount as f64 / of as f64)
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_server_uses_what_it_took_at_the_start() {
        let empty =
            Usage { startup_bytes: 30, data_bytes: 0, peak_bytes: 40, resident_bytes: Some(33), allocator: None };
        assert_eq!((empty.used_bytes(), empty.excess_bytes()), (30, Some(3)));
        assert_eq!([empty.percent_of_peak(), empty.percent_of_data(), empty.ratio().unwrap()], [75.0, 0.0, 1.1]);
        let unknown = Usage { startup_bytes: 0, data_bytes: 0, peak_bytes: 0, resident_bytes: None, allocator: None };
        assert_eq!((unknown.percent_of_peak(), unknown.ratio(), unknown.excess_bytes()), (0.0, None, None));
        let full = Usage { data_bytes: 70, peak_bytes: 100, ..empty };
        assert_eq!((full.used_bytes(), full.percent_of_data(), full.excess_bytes()), (100, 100.0, Some(-67)));
    }

    #[test]
    fn what_an_allocator_has_is_seen_from_what_is_used_of_it() {
        let shown = |beyond: Option<Beyond>| beyond.map(|Beyond { ratio, bytes }| (ratio, bytes));
        let mut usage =
            Usage { startup_bytes: 0, data_bytes: 90, peak_bytes: 90, resident_bytes: Some(200), allocator: None };
        assert_eq!([usage.fragmentation(), usage.kept(), usage.foreign()].map(shown), [None; 3]);
        usage.allocator = Some(AllocatorBytes { allocated: 100, active: 125, resident: 250 });
        let all = [Some((1.25, 25)), Some((2.0, 125)), Some((0.8, -50))];
        assert_eq!([usage.fragmentation(), usage.kept(), usage.foreign()].map(shown), all);
        usage.allocator = Some(AllocatorBytes { allocated: 0, active: 0, resident: 0 });
        assert_eq!(shown(usage.kept()), Some((1.0, 0)));
    }
}
