//! Random choices from a seed: the same seed gives the same choices on every replica.

use std::collections::BTreeSet;

/// A generator for one command, drawn from its context's seed. (SplitMix64; not for secrets.)
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is positive. Every number is equally likely up to one part in 2^64 / bound.
    #[expect(clippy::cast_possible_truncation, reason = "the product's high half is below bound, a usize")]
    pub fn below(&mut self, bound: usize) -> usize {
        debug_assert!(bound > 0);
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// So many (at most `bound`) different numbers below `bound`, in ascending order. Every choice is equally likely.
    pub fn distinct(&mut self, count: usize, bound: usize) -> Vec<usize> {
        assert!(count <= bound, "there are only so many numbers below the bound");
        if count > bound / 4 {
            // Knuth, The Art of Computer Programming, 3.4.2, algorithm S: a walk over all numbers.
            let mut wanted = count;
            let mut is_chosen = |number| {
                let chosen = wanted > 0 && self.below(bound - number) < wanted;
                wanted -= usize::from(chosen);
                chosen
            };
            return (0..bound).filter(|&number| is_chosen(number)).collect();
        }
        // Floyd's: as many draws as numbers wanted.
        let mut chosen = BTreeSet::new();
        for last in bound - count..bound {
            let drawn = self.below(last + 1);
            if !chosen.insert(drawn) {
                chosen.insert(last);
            }
        }
        chosen.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_numbers_are_fair() {
        let mut random = Random::new(3);
        for (count, bound) in [(0, 0), (0, 9), (3, 40), (20, 40), (40, 40)] {
            let mut hits = vec![0usize; bound];
            for _ in 0..2000 {
                let chosen = random.distinct(count, bound);
                assert_eq!(chosen.len(), count);
                assert!(chosen.is_sorted_by(|left, right| left < right));
                chosen.iter().for_each(|&number| hits[number] += 1);
            }
            let fair = 2000 * count / bound.max(1);
            assert!(hits.iter().all(|&hits| hits.abs_diff(fair) <= fair / 3 + 1), "{hits:?}");
        }
    }
}
