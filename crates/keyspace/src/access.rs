//! Access marks: when a key was accessed last, or how often lately.
//!
//! ```text
//! timed:   [ 0 | seconds 31 bits ]
//! counted: [ 1 | minutes 23 bits | count 8 bits ]
//! ```
//!
//! Both are the time of the last access since 1970, by its lowest bits. A count grows by chance, which is the smaller the greater it is, and shrinks
//! by one for every so many minutes in which nobody came: it is about a logarithm of how often a key was accessed lately. Which of the two an
//! access leaves says [`Accesses`]; a mark of the other kind is taken for the time that it tells.
//!
//! Marks are a replica's own, and no part of the state.

use crate::random::Random;

/// What accesses leave at a key: by `maxmemory-policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accesses {
    /// When it was accessed last.
    Timed,
    /// How often it was accessed lately: what LFU policies go by.
    Counted {
        /// How much less likely every further step of a count is: `lfu-log-factor`.
        log_factor: u32,
        /// The minutes after which a count is one less; 0: it stays. `lfu-decay-time`.
        decay_minutes: u32,
    },
}

const IS_COUNTED: u32 = 1 << 31;
const SECONDS_MASK: u32 = IS_COUNTED - 1;
const COUNT_BITS: u32 = 8;
const COUNT_MASK: u32 = (1 << COUNT_BITS) - 1;
const MINUTES_MASK: u32 = SECONDS_MASK >> COUNT_BITS;
/// A new key is not the first to go.
const FIRST_COUNT: u8 = 5;

impl Accesses {
    /// The mark of a new key.
    pub(crate) fn first(self, now_ms: u64) -> u32 {
        match self {
            Self::Timed => seconds(now_ms),
            Self::Counted { .. } => counted(FIRST_COUNT, now_ms),
        }
    }

    /// The mark behind one more access. `seed` decides whether it is counted.
    pub(crate) fn next(self, mark: u32, now_ms: u64, seed: u64) -> u32 {
        let Self::Counted { log_factor, .. } = self else { return seconds(now_ms) };
        let count = self.frequency(mark, now_ms);
        let odds = u64::from(count.saturating_sub(FIRST_COUNT)) * u64::from(log_factor) + 1;
        let is_counted = Random::new(seed).bits().is_multiple_of(odds);
        counted(count.saturating_add(u8::from(is_counted)), now_ms)
    }

    /// The count that a mark tells.
    pub(crate) fn frequency(self, mark: u32, now_ms: u64) -> u8 {
        let count = if mark & IS_COUNTED == 0 { u32::from(FIRST_COUNT) } else { mark & COUNT_MASK };
        let decay_minutes = if let Self::Counted { decay_minutes, .. } = self { decay_minutes } else { 0 };
        let passed = (idle_seconds(mark, now_ms) / 60).checked_div(decay_minutes).unwrap_or(0);
        u8::try_from(count.saturating_sub(passed)).expect("a count has eight bits")
    }
}

/// The mark of a key that was accessed so often.
pub(crate) fn counted(count: u8, now_ms: u64) -> u32 {
    IS_COUNTED | minutes(now_ms) << COUNT_BITS | u32::from(count)
}

/// The mark of a key that was not accessed for so many seconds.
pub(crate) fn idle_for(idle_seconds: u64, now_ms: u64) -> u32 {
    seconds(now_ms.saturating_sub(idle_seconds.saturating_mul(1000)))
}

/// The seconds since the access that left a mark; for a counted one, as far as its minutes say.
pub(crate) fn idle_seconds(mark: u32, now_ms: u64) -> u32 {
    // The clocks of reads and of entries differ: what lies a little ahead is now.
    let since = |then: u32, now: u32, mask: u32| match now.wrapping_sub(then) & mask {
        passed if passed <= mask / 2 => passed,
        _ => 0,
    };
    if mark & IS_COUNTED == 0 {
        since(mark, seconds(now_ms), SECONDS_MASK)
    } else {
        since(mark >> COUNT_BITS, minutes(now_ms), MINUTES_MASK).saturating_mul(60)
    }
}

/// The lowest bits of a time in seconds.
fn seconds(ms: u64) -> u32 {
    u32::try_from((ms / 1000) & u64::from(SECONDS_MASK)).expect("it was cut")
}

/// The lowest bits of a time in minutes.
fn minutes(ms: u64) -> u32 {
    u32::try_from((ms / 60_000) & u64::from(MINUTES_MASK)).expect("it was cut")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;
    const MINUTE_MS: u64 = 60_000;
    const COUNTED: Accesses = Accesses::Counted { log_factor: 10, decay_minutes: 1 };

    #[test]
    fn a_timed_mark_tells_the_seconds() {
        let mark = Accesses::Timed.first(NOW_MS);
        assert_eq!(idle_seconds(mark, NOW_MS + 77_999), 77);
        assert_eq!(idle_seconds(mark, NOW_MS - 1000), 0, "the clock of a read was ahead");
        assert_eq!(idle_seconds(idle_for(77, NOW_MS), NOW_MS), 77);
        assert_eq!(idle_seconds(Accesses::Timed.next(mark, NOW_MS + 5000, 1), NOW_MS + 6000), 1);
    }

    #[test]
    fn a_count_shrinks_with_time() {
        let mark = counted(100, NOW_MS);
        let after = |minutes: u64| COUNTED.frequency(mark, NOW_MS + minutes * MINUTE_MS);
        assert_eq!([after(0), after(1), after(40), after(100), after(50_000)], [100, 99, 60, 0, 0]);
        let slow = |decay_minutes| Accesses::Counted { log_factor: 10, decay_minutes };
        assert_eq!(slow(30).frequency(mark, NOW_MS + 59 * MINUTE_MS), 99);
        assert_eq!(slow(0).frequency(mark, NOW_MS + 59 * MINUTE_MS), 100);
        assert_eq!(COUNTED.frequency(mark, NOW_MS - MINUTE_MS), 100, "the clock of a read was ahead");
    }

    #[test]
    fn a_count_grows_the_slower_the_greater_it_is() {
        let after = |accesses: Accesses, times: u64| {
            let mark = (0..times).fold(accesses.first(NOW_MS), |mark, seed| accesses.next(mark, NOW_MS, seed));
            accesses.frequency(mark, NOW_MS)
        };
        let with = |log_factor| Accesses::Counted { log_factor, decay_minutes: 1 };
        assert_eq!([after(COUNTED, 0), after(COUNTED, 1)], [5, 6]);
        // The table of Redis's documentation: about 10, 18, 142 and 255 behind 100, 1000, 100,000 and a million accesses.
        assert!((8..=12).contains(&after(COUNTED, 100)), "{}", after(COUNTED, 100));
        assert!((13..=26).contains(&after(COUNTED, 1000)), "{}", after(COUNTED, 1000));
        assert!((130..=155).contains(&after(COUNTED, 100_000)), "{}", after(COUNTED, 100_000));
        assert_eq!([after(with(0), 200), after(with(0), 10_000)], [205, 255]);
    }

    #[test]
    fn a_mark_of_the_other_kind_tells_the_time() {
        let timed = Accesses::Timed.first(NOW_MS);
        assert_eq!(COUNTED.frequency(timed, NOW_MS + 2 * MINUTE_MS), 3);
        assert_eq!(idle_seconds(counted(9, NOW_MS), NOW_MS + 2 * MINUTE_MS), 120);
    }
}
