//! Counts by command, of one thread: it alone writes them, everybody may read.
//!
//! A command that is quick whatever its arguments are is timed once in sixteen times, because a look at the clock costs a
//! good part of what such a command costs; the others are always timed, and so is everything while the slow log wants to
//! hear of less than a millisecond. A time counts for the calls since the last one that was timed.

use std::sync::atomic::{AtomicU64, Ordering};

use commands::Place;

use super::SlowLog;

/// One call in so many of a quick command is timed.
const TIMED_ONE_IN: u64 = 16;

/// Bucket `n` holds the times up to 2^n µs; the last one all longer ones.
const BUCKETS: usize = 31;

/// See the module.
pub(crate) struct Tally {
    rows: Box<[Row]>,
}

#[derive(Default)]
struct Row {
    calls: AtomicU64,
    timed: AtomicU64,
    nanoseconds: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

/// What one command has come to.
#[derive(Clone, Default)]
pub(crate) struct Totals {
    pub(crate) calls: u64,
    nanoseconds: u64,
    timed: u64,
    pub(crate) rejected: u64,
    pub(crate) failed: u64,
    buckets: [u64; BUCKETS],
}

impl Default for Tally {
    fn default() -> Self {
        Self { rows: commands::rows().map(|_| Row::default()).collect() }
    }
}

impl Tally {
    /// Whether the call that comes is to be timed.
    pub(crate) fn times(&self, place: Place, slow: &SlowLog) -> bool {
        !place.is_quick
            || self.rows[place.number].calls.load(Ordering::Relaxed).is_multiple_of(TIMED_ONE_IN)
            || slow.wants_all()
    }

    /// Counts a call.
    pub(crate) fn called(&self, place: Place, nanoseconds: Option<u64>, failed: bool) {
        let row = &self.rows[place.number];
        let calls = add(&row.calls, 1);
        if failed {
            add(&row.failed, 1);
        }
        let Some(nanoseconds) = nanoseconds else { return };
        let weight = calls - row.timed.load(Ordering::Relaxed);
        row.timed.store(calls, Ordering::Relaxed);
        add(&row.nanoseconds, nanoseconds.saturating_mul(weight));
        let microseconds = nanoseconds.div_ceil(1000).max(1);
        let bucket = microseconds.next_power_of_two().trailing_zeros() as usize;
        add(&row.buckets[bucket.min(BUCKETS - 1)], weight);
    }

    /// Counts a call that was refused before it ran.
    pub(crate) fn rejected(&self, place: Place) {
        add(&self.rows[place.number].rejected, 1);
    }

    pub(super) fn add_to(&self, totals: &mut [Totals]) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for (row, total) in self.rows.iter().zip(totals) {
            total.calls += read(&row.calls);
            total.timed += read(&row.timed);
            total.nanoseconds += read(&row.nanoseconds);
            total.rejected += read(&row.rejected);
            total.failed += read(&row.failed);
            for (bucket, sum) in row.buckets.iter().zip(&mut total.buckets) {
                *sum += read(bucket);
            }
        }
    }
}

/// Adds without a locked instruction, since only one thread writes. The new value.
fn add(counter: &AtomicU64, more: u64) -> u64 {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(more);
    counter.store(sum, Ordering::Relaxed);
    sum
}

impl Totals {
    /// The microseconds of all calls, those that were not timed at the mean of the others.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate"
    )]
    pub(crate) fn microseconds(&self) -> u64 {
        if self.timed == 0 {
            0
        } else {
            (self.nanoseconds as f64 / 1000.0 * (self.calls as f64 / self.timed as f64)) as u64
        }
    }

    /// The times of LATENCY HISTOGRAM: a power of two of microseconds, and how many calls took no longer; from the first that is
    /// not empty to the one that holds all.
    pub(crate) fn histogram(&self) -> Vec<(u64, u64)> {
        let mut sum = 0;
        let mut shown = Vec::new();
        for (power, &bucket) in self.buckets.iter().enumerate() {
            sum += bucket;
            if bucket > 0 {
                shown.push((1 << power, sum));
            }
        }
        shown
    }

    /// The time in microseconds that so many percent of the calls did not exceed.
    pub(crate) fn percentile(&self, percent: f64) -> u64 {
        let histogram = self.histogram();
        let all = histogram.last().map_or(0, |(_, sum)| *sum);
        #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
        let reaches = |&&(_, sum): &&(u64, u64)| sum as f64 >= all as f64 * percent / 100.0;
        histogram.iter().find(reaches).map_or(0, |(microseconds, _)| *microseconds)
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        self.calls -= other.calls;
        self.timed -= other.timed;
        self.nanoseconds -= other.nanoseconds;
        self.rejected -= other.rejected;
        self.failed -= other.failed;
        for (bucket, forgotten) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket -= forgotten;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_for_the_calls_before_it() {
        let (tally, slow) = (Tally::default(), SlowLog::default());
        let quick = commands::place_of(commands::lookup(b"GET").unwrap());
        let slower = commands::place_of(commands::lookup(b"KEYS").unwrap());
        assert!(quick.is_quick && !slower.is_quick);
        let timed = |place| {
            let timed = tally.times(place, &slow);
            tally.called(place, timed.then_some(1500), false);
            timed
        };
        assert_eq!((0..33).filter(|_| timed(quick)).count(), 3);
        assert_eq!((0..33).filter(|_| timed(slower)).count(), 33);
        tally.rejected(quick);
        let mut totals: Vec<Totals> = commands::rows().map(|_| Totals::default()).collect();
        tally.add_to(&mut totals);
        let total = &totals[quick.number];
        assert_eq!((total.calls, total.rejected, total.failed), (33, 1, 0));
        assert_eq!(total.microseconds(), 49);
        assert_eq!(total.histogram(), [(2, 33)]);
        assert_eq!(total.percentile(50.0), 2);
        slow.set_threshold(0);
        assert!(timed(quick) && timed(quick));
        // A thread that goes on counting while another resets loses nothing: the difference is shown.
        let mut later = total.clone();
        later.subtract(total);
        assert_eq!((later.calls, later.histogram()), (0, Vec::new()));
    }
}
