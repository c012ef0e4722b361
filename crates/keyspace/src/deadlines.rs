//! Which key of a database, or which hash's field, expires next.

use std::collections::BTreeMap;

/// The deadlines of a database in the order in which they fall due: by deadline, then by slot and hash of the key.
///
/// A key is named by its slot and hash; keys that share all three are counted, and taken together.
#[derive(Clone, Default)]
pub(crate) struct Deadlines {
    places: BTreeMap<(u64, u16, u64), u32>,
    count: usize,
    sum_ms: u128,
}

impl Deadlines {
    /// Lists a key under another deadline, or no longer.
    pub(crate) fn change(&mut self, before_ms: Option<u64>, after_ms: Option<u64>, slot: u16, hash: u64) {
        if before_ms != after_ms {
            before_ms.inspect(|&deadline_ms| self.remove(deadline_ms, slot, hash));
            after_ms.inspect(|&deadline_ms| self.insert(deadline_ms, slot, hash));
        }
    }

    fn insert(&mut self, deadline_ms: u64, slot: u16, hash: u64) {
        *self.places.entry((deadline_ms, slot, hash)).or_insert(0) += 1;
        self.count += 1;
        self.sum_ms += u128::from(deadline_ms);
    }

    fn remove(&mut self, deadline_ms: u64, slot: u16, hash: u64) {
        let place = (deadline_ms, slot, hash);
        let keys = self.places.get_mut(&place).expect("every deadline of a key is listed");
        *keys -= 1;
        if *keys == 0 {
            self.places.remove(&place);
        }
        self.count -= 1;
        self.sum_ms -= u128::from(deadline_ms);
    }

    /// The next deadline, with the slot and hash of its key or keys.
    pub(crate) fn first(&self) -> Option<(u64, u16, u64)> {
        self.places.first_key_value().map(|(&place, _)| place)
    }

    /// The number of keys that expire.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The mean of all deadlines.
    pub(crate) fn mean_ms(&self) -> Option<u64> {
        self.sum_ms.checked_div(self.count as u128).and_then(|mean| u64::try_from(mean).ok())
    }
}
