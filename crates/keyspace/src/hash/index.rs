//! From a field's hash to its position: a hash table in parts, none of which is big.
//!
//! ```text
//! parts: [ from 0 | Arc -> table ][ from tag | Arc -> table ] ...      in the order of the tags that they begin with
//! table: places (tag, position) of the tags from here up to the next part
//! ```
//!
//! A tag is half of a field's hash. A table that is full is split in two where its tags are halved, neighbours that have become small are
//! merged; so nothing here ever takes longer than moving a few thousand places, and a frozen view shares all parts but those
//! that were written. Positions are looked up, never listed: how the parts grew shows nowhere.

use hashbrown::HashTable;
use triomphe::Arc;

/// A part that would hold more places is split.
const PART_PLACES_MAX: usize = 4096;
/// Neighbours that hold fewer places together are merged.
const MERGED_PLACES_MAX: usize = 1024;

/// See the module.
#[derive(Clone)]
pub(super) struct Index {
    parts: Vec<Part>,
}

#[derive(Clone)]
struct Part {
    from: u32,
    table: Arc<HashTable<Place>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    tag: u32,
    position: u32,
}

impl Place {
    fn new(tag: u32, position: usize) -> Self {
        Self { tag, position: u32::try_from(position).expect("2^32 pairs take more memory than there is") }
    }

    /// The hash within a part, where all tags begin alike.
    fn hash(self) -> u64 {
        u64::from(self.tag).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Index {
    pub(super) fn new() -> Self {
        Self { parts: vec![Part { from: 0, table: Arc::new(HashTable::new()) }] }
    }

    /// The half of a hash that serves as tag.
    pub(super) fn tag_of(hash: u64) -> u32 {
        u32::try_from(hash >> 32).expect("the upper half has 32 bits")
    }

    fn part_of(&self, tag: u32) -> usize {
        self.parts.partition_point(|part| part.from <= tag) - 1
    }

    /// The position with this tag that is the right one.
    pub(super) fn find(&self, tag: u32, is_right: impl Fn(usize) -> bool) -> Option<usize> {
        let table = &self.parts[self.part_of(tag)].table;
        let hash = Place::new(tag, 0).hash();
        let found = table.find(hash, |place| place.tag == tag && is_right(place.position as usize))?;
        Some(found.position as usize)
    }

    /// Adds a position that is not listed.
    pub(super) fn insert(&mut self, tag: u32, position: usize) {
        let mut at = self.part_of(tag);
        if self.parts[at].table.len() >= PART_PLACES_MAX && self.split(at) {
            at = self.part_of(tag);
        }
        let place = Place::new(tag, position);
        Arc::make_mut(&mut self.parts[at].table).insert_unique(place.hash(), place, |moved| moved.hash());
    }

    /// Takes a listed position out.
    pub(super) fn remove(&mut self, tag: u32, position: usize) {
        let at = self.part_of(tag);
        let place = Place::new(tag, position);
        let table = Arc::make_mut(&mut self.parts[at].table);
        table.find_entry(place.hash(), |found| *found == place).ok().expect("the position is listed").remove();
        self.maybe_merge(at);
    }

    /// Changes a listed position.
    pub(super) fn relocate(&mut self, tag: u32, from: usize, to: usize) {
        let at = self.part_of(tag);
        let (old, new) = (Place::new(tag, from), Place::new(tag, to));
        let table = Arc::make_mut(&mut self.parts[at].table);
        *table.find_mut(old.hash(), |found| *found == old).expect("the position is listed") = new;
    }

    /// Splits a part where its tags are halved; not if they are all the same.
    fn split(&mut self, at: usize) -> bool {
        let mut places: Vec<Place> = self.parts[at].table.iter().copied().collect();
        let middle = places.len() / 2;
        let middle_tag = places.select_nth_unstable_by_key(middle, |place| place.tag).1.tag;
        if places.iter().all(|place| place.tag >= middle_tag) {
            return false;
        }
        let (upper, lower): (Vec<Place>, Vec<Place>) = places.into_iter().partition(|place| place.tag >= middle_tag);
        self.parts[at].table = Arc::new(table_of(&lower));
        self.parts.insert(at + 1, Part { from: middle_tag, table: Arc::new(table_of(&upper)) });
        true
    }

    /// Merges a part with a neighbour, if both are small.
    fn maybe_merge(&mut self, at: usize) {
        let lower = if at + 1 < self.parts.len() { at } else { at.saturating_sub(1) };
        let Some([low, high]) = self.parts.get_mut(lower..lower + 2) else { return };
        if low.table.len() + high.table.len() < MERGED_PLACES_MAX {
            let places: Vec<Place> = low.table.iter().chain(high.table.iter()).copied().collect();
            low.table = Arc::new(table_of(&places));
            self.parts.remove(lower + 1);
        }
    }
}

fn table_of(places: &[Place]) -> HashTable<Place> {
    let mut table = HashTable::with_capacity(places.len());
    places.iter().for_each(|&place| {
        table.insert_unique(place.hash(), place, |moved| moved.hash());
    });
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts split and merge; every position is found all the while.
    #[test]
    fn finds_what_is_listed() {
        let mut index = Index::new();
        let tag = |position: usize| Index::tag_of((position as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for position in 0..20_000 {
            index.insert(tag(position), position);
        }
        assert!(index.parts.len() > 4);
        for position in 0..20_000 {
            assert_eq!(index.find(tag(position), |found| found == position), Some(position));
        }
        for position in 100..20_000 {
            index.remove(tag(position), position);
            assert_eq!(index.find(tag(position), |found| found == position), None);
        }
        assert!(index.parts.len() < 4, "small parts are merged");
        for position in 0..100 {
            assert_eq!(index.find(tag(position), |found| found == position), Some(position));
        }
    }

    /// Fields with the same tag cannot be told apart by splitting.
    #[test]
    fn equal_tags_stay_together() {
        let mut index = Index::new();
        (0..PART_PLACES_MAX + 10).for_each(|position| index.insert(7, position));
        assert_eq!(index.parts.len(), 1);
        assert_eq!(index.find(7, |found| found == PART_PLACES_MAX + 9), Some(PART_PLACES_MAX + 9));
    }
}
