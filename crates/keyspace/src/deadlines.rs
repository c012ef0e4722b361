//! Which key of a database, or which hash's field, expires next.

use std::collections::BTreeMap;

/// The deadlines of a database in the order in which they fall due: by deadline, then by slot and hash of the key.
///
/// A key is named by its slot and hash; keys that share all three are counted, and taken together.
#[derive(Clone, Default)]
pub(crate) struct Deadlines {
    places: BTreeMap<Due, u16>,
    count: usize,
    sum_ms: u128,
}

/// A place in the order, in bytes that compare like the numbers and need no padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    deadline_ms: [u8; 8],
    slot: [u8; 2],
    hash: [u8; 8],
}

impl Due {
    fn new(deadline_ms: u64, slot: u16, hash: u64) -> Self {
        Self { deadline_ms: deadline_ms.to_be_bytes(), slot: slot.to_be_bytes(), hash: hash.to_be_bytes() }
    }
}

impl Deadlines {
    /// What a deadline takes, the nodes of the map being three fifths full.
    pub(crate) const DEADLINE_BYTES: usize = size_of::<(Due, u16)>() * 5 / 3;

    /// Lists a key under another deadline, or no longer.
    pub(crate) fn change(&mut self, before_ms: Option<u64>, after_ms: Option<u64>, slot: u16, hash: u64) {
        if before_ms != after_ms {
            before_ms.inspect(|&deadline_ms| self.remove(deadline_ms, slot, hash));
            after_ms.inspect(|&deadline_ms| self.insert(deadline_ms, slot, hash));
        }
    }

    fn insert(&mut self, deadline_ms: u64, slot: u16, hash: u64) {
        let due = Due::new(deadline_ms, slot, hash);
        let keys = self.places.entry(due).or_insert(0);
        *keys = keys.checked_add(1).expect("the hash key is secret: no 65,536 keys share a hash of 64 bits");
        self.count += 1;
        self.sum_ms += u128::from(deadline_ms);
    }

    fn remove(&mut self, deadline_ms: u64, slot: u16, hash: u64) {
        let due = Due::new(deadline_ms, slot, hash);
        let keys = self.places.get_mut(&due).expect("every deadline of a key is listed");
        *keys -= 1;
        if *keys == 0 {
            self.places.remove(&due);
        }
        self.count -= 1;
        self.sum_ms -= u128::from(deadline_ms);
    }

    /// The next deadline, with the slot and hash of its key or keys.
    pub(crate) fn first(&self) -> Option<(u64, u16, u64)> {
        let (due, _) = self.places.first_key_value()?;
        Some((u64::from_be_bytes(due.deadline_ms), u16::from_be_bytes(due.slot), u64::from_be_bytes(due.hash)))
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
