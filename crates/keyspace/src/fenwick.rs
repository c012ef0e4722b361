//! Counts of keys by slot, with prefix sums in O(log n): DBSIZE, fair samples.
//!
//! A Fenwick tree: `sums[i]` holds the counts of the `i & -i` slots that end with slot `i - 1`.

/// Counts of 16384 slots. A database has one from its first key on.
#[derive(Clone)]
pub(crate) struct Counts {
    sums: Box<[u32]>,
    total: usize,
}

const SLOT_COUNT: usize = 16384;

impl Counts {
    pub(crate) fn new() -> Self {
        Self { sums: vec![0; SLOT_COUNT + 1].into_boxed_slice(), total: 0 }
    }

    /// The sum over all slots.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// One key more in `slot`.
    pub(crate) fn increment(&mut self, slot: usize) {
        self.total += 1;
        let mut at = slot + 1;
        while at <= SLOT_COUNT {
            self.sums[at] += 1;
            at += at & at.wrapping_neg();
        }
    }

    /// One key less in `slot`, which has one.
    pub(crate) fn decrement(&mut self, slot: usize) {
        self.total -= 1;
        let mut at = slot + 1;
        while at <= SLOT_COUNT {
            self.sums[at] -= 1;
            at += at & at.wrapping_neg();
        }
    }

    /// The slot of the key with this rank (below the total), and the rank within the slot.
    pub(crate) fn locate(&self, rank: usize) -> (usize, usize) {
        debug_assert!(rank < self.total);
        let (mut at, mut left) = (0, rank);
        let mut step = SLOT_COUNT;
        while step > 0 {
            let next = at + step;
            if next <= SLOT_COUNT && self.sums[next] as usize <= left {
                at = next;
                left -= self.sums[next] as usize;
            }
            step /= 2;
        }
        (at, left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locates_every_rank() {
        let mut counts = Counts::new();
        for slot in [0, 0, 7, 16383, 16383, 16383] {
            counts.increment(slot);
        }
        let places: Vec<_> = (0..counts.total()).map(|rank| counts.locate(rank)).collect();
        assert_eq!(places, [(0, 0), (0, 1), (7, 0), (16383, 0), (16383, 1), (16383, 2)]);
        counts.decrement(0);
        assert_eq!(counts.locate(1), (7, 0));
    }
}
