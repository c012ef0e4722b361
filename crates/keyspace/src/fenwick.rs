//! Counts in a row, with prefix sums in O(log n): DBSIZE, fair samples, ranks.
//!
//! A Fenwick tree: `sums[i]` holds the counts of the `i & -i` places that end with place `i - 1`.

use crate::block::allocated;

/// Counts by place: of keys by slot, of elements by chunk.
#[derive(Clone, Default)]
pub(crate) struct Counts {
    sums: Vec<u32>,
    total: usize,
}

impl FromIterator<u32> for Counts {
    /// The counts of the places, from the first on. Takes a step for each.
    fn from_iter<I: IntoIterator<Item = u32>>(counts: I) -> Self {
        let mut sums: Vec<u32> = std::iter::once(0).chain(counts).collect();
        let total = sums.iter().map(|&count| count as usize).sum();
        for at in 1..sums.len() {
            let next = at + lowest_bit(at);
            if next < sums.len() {
                sums[next] += sums[at];
            }
        }
        Self { sums, total }
    }
}

impl Counts {
    /// So many places, with nothing in them.
    pub(crate) fn zeros(length: usize) -> Self {
        Self { sums: vec![0; length + 1], total: 0 }
    }

    /// The bytes that it refers to.
    pub(crate) fn allocated_bytes(&self) -> usize {
        allocated(self.sums.len() * size_of::<u32>())
    }

    /// The sum over all places.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// So many more at a place.
    pub(crate) fn add(&mut self, place: usize, count: u32) {
        self.total += count as usize;
        self.climb(place, |sum| *sum += count);
    }

    /// So many less at a place, which has as many.
    pub(crate) fn subtract(&mut self, place: usize, count: u32) {
        self.total -= count as usize;
        self.climb(place, |sum| *sum -= count);
    }

    fn climb(&mut self, place: usize, change: impl Fn(&mut u32)) {
        let mut at = place + 1;
        while at < self.sums.len() {
            change(&mut self.sums[at]);
            at += lowest_bit(at);
        }
    }

    /// The count of a place.
    pub(crate) fn at(&self, place: usize) -> usize {
        self.before(place + 1) - self.before(place)
    }

    /// The sum over the places in front of this one.
    pub(crate) fn before(&self, place: usize) -> usize {
        let (mut at, mut sum) = (place, 0);
        while at > 0 {
            sum += self.sums[at] as usize;
            at -= lowest_bit(at);
        }
        sum
    }

    /// The place of what has this rank (below the total), and the rank within the place.
    pub(crate) fn locate(&self, rank: usize) -> (usize, usize) {
        debug_assert!(rank < self.total);
        let (mut at, mut left) = (0, rank);
        let mut step = self.sums.len().next_power_of_two();
        while step > 0 {
            if let Some(&sum) = self.sums.get(at + step)
                && sum as usize <= left
            {
                at += step;
                left -= sum as usize;
            }
            step /= 2;
        }
        (at, left)
    }
}

fn lowest_bit(number: usize) -> usize {
    number & number.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locates_every_rank() {
        let mut counts = Counts::zeros(16384);
        for slot in [0, 0, 7, 16383, 16383, 16383] {
            counts.add(slot, 1);
        }
        let places: Vec<_> = (0..counts.total()).map(|rank| counts.locate(rank)).collect();
        assert_eq!(places, [(0, 0), (0, 1), (7, 0), (16383, 0), (16383, 1), (16383, 2)]);
        assert_eq!((counts.before(7), counts.before(8), counts.before(16384)), (2, 3, 6));
        assert_eq!((counts.at(0), counts.at(1), counts.at(16383)), (2, 0, 3));
        counts.subtract(0, 1);
        assert_eq!(counts.locate(1), (7, 0));
    }

    #[test]
    fn counts_of_any_number_of_places_add_up() {
        for length in 1..40 {
            let all: Vec<u32> = (0..length).map(|place| (place * 7) % 5 + 1).collect();
            let counts: Counts = all.iter().copied().collect();
            for place in 0..all.len() {
                let before = all[..place].iter().sum::<u32>() as usize;
                assert_eq!(counts.before(place), before);
                assert_eq!(counts.locate(before), (place, 0));
                assert_eq!(counts.locate(before + all[place] as usize - 1), (place, all[place] as usize - 1));
            }
        }
    }
}
