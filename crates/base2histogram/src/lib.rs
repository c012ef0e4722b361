//! The histograms that openraft counts with, small.
//!
//! openraft keeps statistics of itself, which Cairn never reads, in histograms of the library of this name. That library
//! makes lookup tables for sixteen resolutions before the first count: 26 MiB of each process, more than half of what an idle
//! node took. `[patch.crates-io]` in the root manifest puts this crate in its place: as much of the library's interface as
//! openraft names, without tables.
//!
//! What is absent: resolution. A bucket is a power of two, and a percentile is the least value of its bucket:
//!
//! ```text
//! bucket   0    1    2      3     ...   64
//! values   0    1    2..3   4..7        2^63..
//! ```

use std::fmt;
use std::marker::PhantomData;

const BUCKETS: usize = 65;

/// How often values of each order of size were seen. `T` is the library's label of a period; there are no periods here.
pub struct Histogram<T = ()> {
    counts: Box<[u64; BUCKETS]>,
    label: PhantomData<fn() -> T>,
}

impl<T> Histogram<T> {
    /// Nothing was seen.
    pub fn new() -> Self {
        Self { counts: Box::new([0; BUCKETS]), label: PhantomData }
    }

    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts a value so many times.
    pub fn record_n(&mut self, value: u64, times: u64) {
        let bucket = (u64::BITS - value.leading_zeros()) as usize;
        self.counts[bucket] = self.counts[bucket].saturating_add(times);
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The value that this share of the values, in thousandths, does not exceed, rounded down to a power of two.
    fn permille(&self, share: u128) -> u64 {
        let rank = (u128::from(self.total()) * share).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= rank {
                return bucket.checked_sub(1).map_or(0, |shift| 1 << shift);
            }
        }
        0
    }

    /// The percentiles that are usually shown.
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total(),
            p0_1: self.permille(1),
            p1: self.permille(10),
            p5: self.permille(50),
            p10: self.permille(100),
            p50: self.permille(500),
            p90: self.permille(900),
            p99: self.permille(990),
            p99_9: self.permille(999),
        }
    }
}

// Derives would ask of `T` what only the counts need.
impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Histogram<T> {
    fn clone(&self) -> Self {
        Self { counts: self.counts.clone(), label: PhantomData }
    }
}

impl<T> PartialEq for Histogram<T> {
    fn eq(&self, other: &Self) -> bool {
        self.counts == other.counts
    }
}

impl<T> Eq for Histogram<T> {}

impl<T> fmt::Debug for Histogram<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.percentile_stats(), f)
    }
}

/// Percentiles of a [`Histogram`]; all 0 for an empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PercentileStats {
    /// How many values were counted.
    pub samples: u64,
    /// What a thousandth does not exceed.
    pub p0_1: u64,
    /// What one in a hundred does not exceed.
    pub p1: u64,
    /// What five in a hundred do not exceed.
    pub p5: u64,
    /// What ten in a hundred do not exceed.
    pub p10: u64,
    /// What half of them do not exceed.
    pub p50: u64,
    /// What 90 in a hundred do not exceed.
    pub p90: u64,
    /// What 99 in a hundred do not exceed.
    pub p99: u64,
    /// What 999 in a thousand do not exceed.
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values, half up to {}, 99 % up to {}", self.samples, self.p50, self.p99)
    }
}

/// Histograms by name, as text: a line each.
#[derive(Debug, Clone, Default)]
pub struct AsciiChart(Vec<(String, PercentileStats)>);

impl AsciiChart {
    /// Without a histogram.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the interface of the library")]
    pub fn add(mut self, name: &str, histogram: Histogram) -> Self {
        self.0.push((name.to_owned(), histogram.percentile_stats()));
        self
    }

    /// What is shown with details: here there are none.
    pub fn detailed(&self) -> &Self {
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, stats)| writeln!(f, "{name}: {stats}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_right_size() {
        let mut histogram = Histogram::<()>::new();
        assert_eq!((histogram.total(), histogram.percentile_stats().p99), (0, 0));
        for value in 0..1000 {
            histogram.record(value);
        }
        let stats = histogram.percentile_stats();
        assert_eq!((stats.samples, stats.p0_1, stats.p1, stats.p50, stats.p99), (1000, 0, 8, 256, 512));
        histogram.record_n(u64::MAX, 1_000_000);
        assert_eq!(histogram.percentile_stats().p50, 1 << 63);
        assert_eq!(histogram.clone(), histogram);
    }
}
