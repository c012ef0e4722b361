//! The keys of one slot of one database.
//!
//! ```text
//! few keys:   One  -> Arc<Part>
//! many keys:  Many -> [ (0, Arc<Part>), (start hash, Arc<Part>), ... ]   in order of the hash
//! ```
//!
//! A part over [`PART_KEYS_MAX`] keys is divided at the middle of its range of hashes, so no table grows for long, a write behind a
//! frozen view copies one part only, and the parts follow each other in the order in which SCAN walks. How a slot is divided
//! depends on its history; the order of its keys, (hash, key), does not.

use triomphe::Arc;

use crate::part::Part;

/// The most keys of a part. Dividing one, or sorting it for a step of SCAN, takes about 100 µs.
pub(crate) const PART_KEYS_MAX: usize = 2048;

/// See the module. Holds at least one key while it is in its database.
#[derive(Clone)]
pub(crate) enum SlotTable {
    /// Every key of the slot.
    One(Arc<Part>),
    /// Each part with the first hash of its range; the first begins at 0. Never empty.
    Many(Vec<(u64, Arc<Part>)>),
}

impl SlotTable {
    pub(crate) fn new() -> Self {
        Self::One(Arc::new(Part::default()))
    }

    /// The part that holds a hash.
    pub(crate) fn part(&self, hash: u64) -> &Part {
        match self {
            Self::One(part) => part,
            Self::Many(parts) => &parts[index_of(parts, hash)].1,
        }
    }

    /// The part that holds a hash, copied first if a frozen view shares it.
    pub(crate) fn part_mut(&mut self, hash: u64) -> &mut Part {
        match self {
            Self::One(part) => Arc::make_mut(part),
            Self::Many(parts) => {
                let index = index_of(parts, hash);
                Arc::make_mut(&mut parts[index].1)
            }
        }
    }

    /// The parts, in order of their hashes.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        let (one, many): (Option<&Part>, &[(u64, Arc<Part>)]) = match self {
            Self::One(part) => (Some(part), &[]),
            Self::Many(parts) => (None, parts),
        };
        one.into_iter().chain(many.iter().map(|(_, part)| &**part))
    }

    /// The parts from the one that holds this hash on.
    pub(crate) fn parts_from(&self, hash: u64) -> impl Iterator<Item = &Part> {
        let skipped = match self {
            Self::One(_) => 0,
            Self::Many(parts) => index_of(parts, hash),
        };
        self.parts().skip(skipped)
    }

    /// The keys of the slot. Takes a step per part.
    pub(crate) fn len(&self) -> usize {
        self.parts().map(Part::len).sum()
    }

    /// Whether the slot holds no key. Of several parts none is empty: see [`SlotTable::maybe_shrink`].
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::One(part) => part.len() == 0,
            Self::Many(parts) => parts.len() == 1 && parts[0].1.len() == 0,
        }
    }

    /// Divides the part that holds a hash, if it has grown too big. To be called after an insertion.
    pub(crate) fn maybe_split(&mut self, hash_key: [u64; 2], hash: u64, scratch: &mut Vec<u8>) {
        if self.part(hash).len() <= PART_KEYS_MAX {
            return;
        }
        if let Self::One(part) = self {
            *self = Self::Many(vec![(0, part.clone())]);
        }
        let Self::Many(parts) = self else { unreachable!("made so above") };
        let index = index_of(parts, hash);
        let start = parts[index].0;
        let end = parts.get(index + 1).map_or(u64::MAX, |next| next.0);
        let middle = start + (end - start) / 2;
        if middle > start {
            let upper = Arc::make_mut(&mut parts[index].1).split(hash_key, middle, scratch);
            parts.insert(index + 1, (middle, Arc::new(upper)));
        }
    }

    /// Drops the part that held a hash, if nothing is left in it, or gives back memory. To be called after a removal.
    pub(crate) fn maybe_shrink(&mut self, hash_key: [u64; 2], hash: u64) {
        self.part_mut(hash).maybe_shrink(hash_key);
        let Self::Many(parts) = self else { return };
        let index = index_of(parts, hash);
        if parts[index].1.len() == 0 && parts.len() > 1 {
            parts.remove(index);
            parts[0].0 = 0;
        }
    }
}

fn index_of(parts: &[(u64, Arc<Part>)], hash: u64) -> usize {
    parts.partition_point(|&(start, _)| start <= hash) - 1
}
