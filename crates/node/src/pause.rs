//! CLIENT PAUSE: holds the commands of all clients, or only those that write, for a time or until CLIENT UNPAUSE.
//!
//! A command looks at one atomic. That time is up is found out by the first one that it holds.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use raft::Clock;
use tokio::sync::Notify;

const OFF: u8 = 0;
const WRITES: u8 = 1;
const ALL: u8 = 2;

/// Whether commands are held.
#[derive(Default)]
pub(crate) struct Pause {
    mode: AtomicU8,
    /// On the monotonic clock.
    until_ns: Mutex<u64>,
    ended: Notify,
}

impl Pause {
    /// Holds commands for so long; a pause that is on and longer stays as long as it was.
    pub(crate) fn begin(&self, clock: &impl Clock, time: Duration, all: bool) {
        let now_ns = clock.monotonic_ns();
        let until_ns = now_ns.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let mut held_until_ns = self.until_ns.lock();
        *held_until_ns = if self.mode.load(Ordering::Relaxed) == OFF { until_ns } else { until_ns.max(*held_until_ns) };
        self.mode.store(if all { ALL } else { WRITES }, Ordering::Relaxed);
    }

    /// Lets all go on.
    pub(crate) fn end(&self) {
        let _changing = self.until_ns.lock();
        self.mode.store(OFF, Ordering::Relaxed);
        self.ended.notify_waiters();
    }

    /// Whether a command is held; `writes` is asked only during a pause of writes. After its time the pause may still seem on:
    /// [`Self::over`] knows better.
    pub(crate) fn holds(&self, writes: impl FnOnce() -> bool) -> bool {
        match self.mode.load(Ordering::Relaxed) {
            OFF => false,
            WRITES => writes(),
            _ => true,
        }
    }

    /// Waits until the pause is over.
    pub(crate) async fn over(&self, clock: &impl Clock) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            let Some((left, _)) = self.left(clock) else { return self.end() };
            // Whichever comes first is looked at anew.
            let _ = tokio::time::timeout(left, ended).await;
        }
    }

    /// How long the pause goes on, and whether it holds all commands; `None` without one.
    pub(crate) fn left(&self, clock: &impl Clock) -> Option<(Duration, bool)> {
        let until_ns = self.until_ns.lock();
        let left_ns = until_ns.checked_sub(clock.monotonic_ns()).filter(|&left| left > 0);
        let mode = self.mode.load(Ordering::Relaxed);
        left_ns.filter(|_| mode != OFF).map(|left| (Duration::from_nanos(left), mode == ALL))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[derive(Clone, Default)]
    struct Hand(Arc<AtomicU64>);

    impl Clock for Hand {
        fn monotonic_ns(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }

        fn wall_ms(&self) -> u64 {
            0
        }
    }

    #[test]
    fn a_pause_lasts_as_long_as_the_longest() {
        let (clock, pause) = (Hand::default(), Pause::default());
        assert!(!pause.holds(|| true));
        pause.begin(&clock, Duration::from_secs(2), false);
        assert!(pause.holds(|| true) && !pause.holds(|| false));
        pause.begin(&clock, Duration::from_secs(1), true);
        assert!(pause.holds(|| false));
        assert_eq!(pause.left(&clock), Some((Duration::from_secs(2), true)));
        clock.0.store(2_000_000_000, Ordering::Relaxed);
        assert_eq!(pause.left(&clock), None);
        pause.end();
        assert!(!pause.holds(|| true));
        // The time of one that is over says nothing about the next.
        pause.begin(&clock, Duration::from_millis(1), false);
        assert_eq!(pause.left(&clock), Some((Duration::from_millis(1), false)));
    }
}
