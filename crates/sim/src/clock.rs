//! A host's clocks: virtual time, seen through an offset, a rate and jumps.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use raft::Clock;
use tokio::time::Instant;

/// When every run begins, by a wall clock that is right: some day in 2030.
const EPOCH_MS: u64 = 1_900_000_000_000;
const MILLION: u64 = 1_000_000;

/// The clocks of one host. Clones share the jumps.
#[derive(Clone)]
pub(crate) struct SimClock {
    start: Instant,
    rate_ppm: i32,
    monotonic_base_ns: u64,
    wall_offset_ms: Arc<AtomicI64>,
    /// The time for which the host was suspended: only the monotonic clock has seen it pass twice.
    suspended_ns: Arc<AtomicU64>,
}

impl SimClock {
    /// Clocks that gain `rate_ppm` millionths, with a wall clock that is off by `wall_offset_ms`.
    pub(crate) fn new(start: Instant, rate_ppm: i32, monotonic_base_ns: u64, wall_offset_ms: i64) -> Self {
        let wall_offset_ms = Arc::new(AtomicI64::new(wall_offset_ms));
        Self { start, rate_ppm, monotonic_base_ns, wall_offset_ms, suspended_ns: Arc::default() }
    }

    /// Moves the wall clock.
    pub(crate) fn jump(&self, by_ms: i64) {
        self.wall_offset_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// Lets the monotonic clock jump ahead of the timers, as when a machine was suspended.
    pub(crate) fn suspend(&self, time: Duration) {
        self.suspended_ns.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(0), Ordering::Relaxed);
    }

    fn run_ns(&self) -> u64 {
        let real_ns = u64::try_from(self.start.elapsed().as_nanos()).expect("a run is short");
        let factor = MILLION.checked_add_signed(i64::from(self.rate_ppm)).expect("a rate is small");
        u64::try_from(u128::from(real_ns) * u128::from(factor) / u128::from(MILLION)).expect("a run is short")
    }
}

impl Clock for SimClock {
    fn monotonic_ns(&self) -> u64 {
        self.monotonic_base_ns + self.run_ns() + self.suspended_ns.load(Ordering::Relaxed)
    }

    fn wall_ms(&self) -> u64 {
        let ms = EPOCH_MS + self.run_ns() / 1_000_000;
        ms.saturating_add_signed(self.wall_offset_ms.load(Ordering::Relaxed))
    }

    fn rate_ppm(&self) -> i32 {
        self.rate_ppm
    }
}
