//! From a name's hash to its place: a hash table in partitions, none of which is big.
//!
//! ```text
//! parts: [ from 0 | Arc -> items ][ from hash | Arc -> items ] ...      in the order of the hashes that they begin with
//! item:  [ hash 4 | place 4 ]
//! ```
//!
//! Whoever asks knows the names at the places. They lie all over the memory, so a name is looked at only where the hashes are equal. A
//! partition that is full is divided at the middle of its range of hashes, neighbours that have become small are merged, and neither asks for a
//! name. So nothing here takes longer than moving some hundred items, and a clone shares all partitions but those that were written. Places are
//! looked up, never listed: how the partitions grew shows nowhere.

use hashbrown::HashTable;
use triomphe::Arc;

use super::ARC_BYTES;
use crate::fetch::{FETCHED_MAX, look};

/// No partition holds more: a table of 256 buckets is full then, and never grows beyond them. A write behind a clone copies one, 2.5 KiB.
const PART_ITEMS_MAX: usize = 224;
/// A partition is divided earlier by up to this part of what it holds at most.
const EARLIER_PART: usize = 4;
/// Neighbours that hold fewer items together are merged.
const MERGED_ITEMS_MAX: usize = 112;

/// See the module.
#[derive(Clone)]
pub(super) struct Index {
    parts: Vec<Part>,
    table_bytes: usize,
}

#[derive(Clone)]
struct Part {
    /// The first hash that it may hold.
    from: u32,
    table: Arc<HashTable<Item>>,
}

impl Part {
    fn new(from: u32, table: HashTable<Item>) -> Self {
        Self { from, table: Arc::new(table) }
    }
}

/// What is listed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Item {
    hash: u32,
    place: u32,
}

impl Item {
    fn new(hash: u32, place: usize) -> Self {
        Self { hash, place: u32::try_from(place).expect("2^32 members take more memory than there is") }
    }

    fn place(self) -> usize {
        self.place as usize
    }
}

/// 2^64 divided by the golden ratio: what differs in a low bit differs in the upper ones behind a multiplication.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash within a partition, where the upper bits of all hashes are alike: a table needs lower bits for the bucket and upper ones to tell its items apart.
fn table_hash(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(MULTIPLIER)
}

/// How many items the partition takes that begins with a hash. Partitions fill alike: were it the same number for all, all of them would be divided at
/// once, each for the time of many insertions.
fn taken_from(from: u32) -> usize {
    let share = usize::from(table_hash(from).to_be_bytes()[0]);
    PART_ITEMS_MAX - PART_ITEMS_MAX / EARLIER_PART * share / usize::from(u8::MAX)
}

impl Index {
    pub(super) fn new() -> Self {
        Self { parts: vec![Part::new(0, HashTable::new())], table_bytes: 0 }
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        self.table_bytes + self.parts.len() * (size_of::<Part>() + ARC_BYTES + size_of::<HashTable<Item>>())
    }

    fn part_of(&self, hash: u32) -> usize {
        self.parts.partition_point(|part| part.from <= hash) - 1
    }

    /// The place with this hash that is the right one.
    pub(super) fn find(&self, hash: u32, is_right: impl Fn(usize) -> bool) -> Option<usize> {
        let table = &self.parts[self.part_of(hash)].table;
        table.find(table_hash(hash), |item| item.hash == hash && is_right(item.place())).map(|item| item.place())
    }

    /// Brings near where places with these hashes are listed, or would be. See `fetch`.
    pub(super) fn fetch(&self, hashes: &[u32]) {
        let mut tables = [&self.parts[0].table; FETCHED_MAX];
        for (table, &hash) in tables.iter_mut().zip(hashes) {
            *table = &self.parts[self.part_of(hash)].table;
        }
        let tables = || tables.iter().zip(hashes);
        look(tables().map(|(table, _)| table.len()));
        look(tables().filter_map(|(table, &hash)| table.find(table_hash(hash), |_| true)).map(|item| item.place()));
    }

    /// Adds a place that is not listed.
    pub(super) fn insert(&mut self, hash: u32, place: usize) {
        let item = Item::new(hash, place);
        let mut at = self.part_of(item.hash);
        if self.parts[at].table.len() >= taken_from(self.parts[at].from) && self.divide(at) {
            at = self.part_of(item.hash);
        }
        let table = &self.parts[at].table;
        if table.len() == table.capacity() {
            let larger = table_of(table.iter(), table.len());
            self.replace(at, larger);
        }
        self.change(at, |table| insert(table, item));
    }

    /// Takes a listed place out.
    pub(super) fn remove(&mut self, hash: u32, place: usize) {
        let item = Item::new(hash, place);
        let at = self.part_of(item.hash);
        self.change(at, |table| {
            let Ok(found) = table.find_entry(table_hash(item.hash), |listed| *listed == item) else {
                unreachable!("the place is listed")
            };
            found.remove();
        });
        self.maybe_merge(at);
    }

    /// Changes a listed place.
    pub(super) fn relocate(&mut self, hash: u32, from: usize, to: usize) {
        let [from, to] = [from, to].map(|place| Item::new(hash, place));
        let at = self.part_of(from.hash);
        let table = Arc::make_mut(&mut self.parts[at].table);
        let listed = table.find_mut(table_hash(from.hash), |listed| *listed == from);
        *listed.expect("the place is listed") = to;
    }

    /// Changes a table and the books with it.
    fn change(&mut self, at: usize, change: impl FnOnce(&mut HashTable<Item>)) {
        let table = Arc::make_mut(&mut self.parts[at].table);
        let before = table.allocation_size();
        change(table);
        self.table_bytes = self.table_bytes - before + table.allocation_size();
    }

    /// Puts another table in the place of one.
    fn replace(&mut self, at: usize, table: HashTable<Item>) {
        let before = &mut self.parts[at].table;
        self.table_bytes = self.table_bytes - before.allocation_size() + table.allocation_size();
        *before = Arc::new(table);
    }

    /// Divides a partition at the middle of its range of hashes; not if there is only one.
    fn divide(&mut self, at: usize) -> bool {
        let start = self.parts[at].from;
        let end = self.parts.get(at + 1).map_or(u32::MAX, |next| next.from);
        let middle = start + (end - start) / 2;
        if middle == start {
            return false;
        }
        let (lower, upper): (Vec<Item>, Vec<Item>) = self.parts[at].table.iter().partition(|item| item.hash < middle);
        let (lower, upper) = (table_of(lower.iter(), lower.len()), table_of(upper.iter(), upper.len()));
        self.table_bytes += upper.allocation_size();
        self.replace(at, lower);
        self.parts.insert(at + 1, Part::new(middle, upper));
        true
    }

    /// Merges a partition with a neighbour if both are small; gives memory back if it is the only one.
    fn maybe_merge(&mut self, at: usize) {
        if self.parts.len() == 1 {
            let table = &self.parts[0].table;
            if table.capacity() > 32 && table.len() < table.capacity() / 8 {
                let smaller = table_of(table.iter(), table.len());
                self.replace(0, smaller);
            }
            return;
        }
        let lower = if at + 1 < self.parts.len() { at } else { at - 1 };
        let [low, high] = [&self.parts[lower].table, &self.parts[lower + 1].table];
        let count = low.len() + high.len();
        if count < MERGED_ITEMS_MAX {
            let both = table_of(low.iter().chain(high.iter()), count);
            self.table_bytes -= high.allocation_size();
            self.replace(lower, both);
            self.parts.remove(lower + 1);
        }
    }
}

fn insert(table: &mut HashTable<Item>, item: Item) {
    table.insert_unique(table_hash(item.hash), item, |_| unreachable!("there is room"));
}

/// A table of these items, `count` of them, with room for one more.
fn table_of<'a>(items: impl Iterator<Item = &'a Item>, count: usize) -> HashTable<Item> {
    let mut table = HashTable::with_capacity(count + 1);
    items.for_each(|&item| insert(&mut table, item));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_at(place: usize) -> u32 {
        u32::try_from(table_hash(u32::try_from(place).unwrap()) >> 32).unwrap()
    }

    /// Partitions are divided and merged; every place is found all the while.
    #[test]
    fn finds_what_is_listed() {
        let mut index = Index::new();
        let empty = index.allocated_bytes();
        for place in 0..20_000 {
            index.insert(hash_at(place), place);
        }
        assert!(index.parts.len() > 8);
        for place in 0..20_000 {
            assert_eq!(index.find(hash_at(place), |found| found == place), Some(place));
        }
        for place in 100..20_000 {
            index.remove(hash_at(place), place);
            assert_eq!(index.find(hash_at(place), |found| found == place), None);
        }
        assert!(index.parts.len() < 4, "small partitions are merged");
        for place in 0..100 {
            assert_eq!(index.find(hash_at(place), |found| found == place), Some(place));
            index.relocate(hash_at(place), place, place + 30_000);
            assert_eq!(index.find(hash_at(place), |found| found == place + 30_000), Some(place + 30_000));
            index.remove(hash_at(place), place + 30_000);
        }
        assert!(index.allocated_bytes() < empty + 2048);
        let booked: usize = index.parts.iter().map(|part| part.table.allocation_size()).sum();
        assert_eq!(booked, index.table_bytes);
    }

    /// Names with the same hash cannot be told apart by dividing.
    #[test]
    fn equal_hashes_stay_together() {
        let mut index = Index::new();
        (0..PART_ITEMS_MAX + 10).for_each(|place| index.insert(7, place));
        assert_eq!(index.find(7, |found| found == PART_ITEMS_MAX + 9), Some(PART_ITEMS_MAX + 9));
        assert!(index.parts.len() < 70);
    }
}
