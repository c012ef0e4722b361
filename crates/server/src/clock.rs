//! The machine's clocks.

use raft::Clock;
use rustix::time::{ClockId, clock_gettime};

/// Counts while the machine is suspended, so that a lease is over when the machine wakes up.
#[cfg(target_os = "linux")]
const MONOTONIC: ClockId = ClockId::Boottime;
/// Elsewhere this clock itself counts while the machine is suspended, or there is none that does.
#[cfg(not(target_os = "linux"))]
const MONOTONIC: ClockId = ClockId::Monotonic;

/// Reads the clocks of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn monotonic_ns(&self) -> u64 {
        let time = clock_gettime(MONOTONIC);
        let (seconds, nanoseconds) = (time.tv_sec as u64, time.tv_nsec as u64);
        seconds * 1_000_000_000 + nanoseconds
    }

    fn wall_ms(&self) -> u64 {
        let time = clock_gettime(ClockId::Realtime);
        // A clock before 1970 was never set; to keys it is 1970.
        u64::try_from(time.tv_sec).unwrap_or(0) * 1000 + time.tv_nsec as u64 / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_forward() {
        let before = SystemClock.monotonic_ns();
        assert!(SystemClock.monotonic_ns() >= before);
        assert!(SystemClock.wall_ms() > 1_600_000_000_000, "after 2020");
    }
}
