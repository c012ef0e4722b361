//! From a name's hash to its place: a hash table in partitions, none of which is big.
//!
//! ```text
//! parts: [ from 0 | Arc -> places ][ from hash | Arc -> places ] ...      in the order of the hashes that they begin with
//! ```
//!
//! A partition holds places alone; whoever asks knows the names, and their hashes, at the places. A partition that is full is
//! divided at the middle of its range of hashes, neighbours that have become small are merged. So nothing here takes longer than hashing
//! some hundred names, and a clone shares all partitions but those that were written. Places are looked up, never listed: how the
//! partitions grew shows nowhere.
//!
//! Names lie all over the memory, so hashes are asked for many at once: whoever looks the names up can wait for several at a time.

use hashbrown::HashTable;
use triomphe::Arc;

use super::ARC_BYTES;
use crate::fetch::{FETCHED_MAX, look};

/// No partition holds more: a table of 512 buckets is full then, and never grows beyond them. A write behind a clone copies one, 2.5 KiB.
const PART_PLACES_MAX: usize = 448;
/// A partition is divided, and its table enlarged, earlier by up to this part of what it holds at most.
const EARLIER_PART: usize = 4;
/// Neighbours that hold fewer places together are merged.
const MERGED_PLACES_MAX: usize = 224;

/// See the module.
#[derive(Clone)]
pub(super) struct Index {
    parts: Vec<Part>,
    table_bytes: usize,
}

#[derive(Clone)]
struct Part {
    from: u64,
    table: Arc<HashTable<u32>>,
}

impl Part {
    fn new(from: u64, table: HashTable<u32>) -> Self {
        Self { from, table: Arc::new(table) }
    }
}

/// The hash within a partition. The upper bits, which the table tells places apart by, are alike in a partition: others take their place.
fn table_hash(hash: u64) -> u64 {
    hash << 32 | hash & 0xffff_ffff
}

/// How many of so many places a partition takes. Partitions fill alike: were it the same number for all, all of them would be divided, or their
/// tables enlarged, at once, each for the time of many insertions.
fn taken_of(places: usize, from: u64) -> usize {
    let share = usize::from(from.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]);
    places - places / EARLIER_PART * share / usize::from(u8::MAX)
}

fn place_of(place: usize) -> u32 {
    u32::try_from(place).expect("2^32 members take more memory than there is")
}

impl Index {
    pub(super) fn new() -> Self {
        Self { parts: vec![Part::new(0, HashTable::new())], table_bytes: 0 }
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        self.table_bytes + self.parts.len() * (size_of::<Part>() + ARC_BYTES + size_of::<HashTable<u32>>())
    }

    fn part_of(&self, hash: u64) -> usize {
        self.parts.partition_point(|part| part.from <= hash) - 1
    }

    /// The place with this hash that is the right one.
    pub(super) fn find(&self, hash: u64, is_right: impl Fn(usize) -> bool) -> Option<usize> {
        let table = &self.parts[self.part_of(hash)].table;
        table.find(table_hash(hash), |&place| is_right(place as usize)).map(|&place| place as usize)
    }

    /// Brings near where places with these hashes are listed, or would be. See `fetch`.
    pub(super) fn fetch(&self, hashes: &[u64]) {
        let mut tables = [&self.parts[0].table; FETCHED_MAX];
        for (table, &hash) in tables.iter_mut().zip(hashes) {
            *table = &self.parts[self.part_of(hash)].table;
        }
        let tables = || tables.iter().zip(hashes);
        look(tables().map(|(table, _)| table.len()));
        look(tables().filter_map(|(table, &hash)| table.find(table_hash(hash), |_| true)).map(|&place| place as usize));
    }

    /// Adds a place that is not listed. `hashes_at` says the hashes of listed places.
    pub(super) fn insert(&mut self, hash: u64, place: usize, hashes_at: impl Fn(&[u32]) -> Vec<u64>) {
        let mut at = self.part_of(hash);
        if self.parts[at].table.len() >= taken_of(PART_PLACES_MAX, self.parts[at].from) && self.divide(at, &hashes_at) {
            at = self.part_of(hash);
        }
        let Part { from, table } = &self.parts[at];
        if table.len() >= taken_of(table.capacity(), *from) {
            let (from, places) = (*from, places_with(&hashes_at, table.iter()));
            self.replace(at, table_of(&places, 2 * places.len(), from));
        }
        self.change(at, |table| {
            table.insert_unique(table_hash(hash), place_of(place), |_| unreachable!("there is room"));
        });
    }

    /// Takes a listed place out.
    pub(super) fn remove(&mut self, hash: u64, place: usize, hashes_at: impl Fn(&[u32]) -> Vec<u64>) {
        let at = self.part_of(hash);
        self.change(at, |table| {
            let found = table.find_entry(table_hash(hash), |&listed| listed == place_of(place));
            let Ok(found) = found else { unreachable!("the place is listed") };
            found.remove();
        });
        self.maybe_merge(at, hashes_at);
    }

    /// Changes a listed place.
    pub(super) fn relocate(&mut self, hash: u64, from: usize, to: usize) {
        let at = self.part_of(hash);
        let table = Arc::make_mut(&mut self.parts[at].table);
        let listed = table.find_mut(table_hash(hash), |&listed| listed == place_of(from));
        *listed.expect("the place is listed") = place_of(to);
    }

    /// Changes a table and the books with it.
    fn change(&mut self, at: usize, change: impl FnOnce(&mut HashTable<u32>)) {
        let table = Arc::make_mut(&mut self.parts[at].table);
        let before = table.allocation_size();
        change(table);
        self.table_bytes = self.table_bytes - before + table.allocation_size();
    }

    /// Puts another table in the place of one.
    fn replace(&mut self, at: usize, table: HashTable<u32>) {
        let before = &mut self.parts[at].table;
        self.table_bytes = self.table_bytes - before.allocation_size() + table.allocation_size();
        *before = Arc::new(table);
    }

    /// Divides a partition at the middle of its range of hashes; not if there is only one.
    fn divide(&mut self, at: usize, hashes_at: &impl Fn(&[u32]) -> Vec<u64>) -> bool {
        let start = self.parts[at].from;
        let end = self.parts.get(at + 1).map_or(u64::MAX, |next| next.from);
        let middle = start + (end - start) / 2;
        if middle == start {
            return false;
        }
        let places = places_with(hashes_at, self.parts[at].table.iter());
        let (lower, upper): (Vec<_>, Vec<_>) = places.into_iter().partition(|&(hash, _)| hash < middle);
        let (lower, upper) = (table_of(&lower, lower.len(), start), table_of(&upper, upper.len(), middle));
        self.table_bytes += upper.allocation_size();
        self.replace(at, lower);
        self.parts.insert(at + 1, Part::new(middle, upper));
        true
    }

    /// Merges a partition with a neighbour if both are small; gives memory back if it is the only one.
    fn maybe_merge(&mut self, at: usize, hashes_at: impl Fn(&[u32]) -> Vec<u64>) {
        if self.parts.len() == 1 {
            let table = &self.parts[0].table;
            if table.capacity() > 64 && table.len() < table.capacity() / 8 {
                let places = places_with(&hashes_at, table.iter());
                self.replace(0, table_of(&places, places.len() * 2, 0));
            }
            return;
        }
        let lower = if at + 1 < self.parts.len() { at } else { at - 1 };
        let [low, high] = [&self.parts[lower].table, &self.parts[lower + 1].table];
        if low.len() + high.len() < MERGED_PLACES_MAX {
            let places = places_with(&hashes_at, low.iter().chain(high.iter()));
            self.table_bytes -= high.allocation_size();
            self.replace(lower, table_of(&places, places.len(), self.parts[lower].from));
            self.parts.remove(lower + 1);
        }
    }
}

/// Places with the hashes of their names.
fn places_with<'a>(hashes_at: &impl Fn(&[u32]) -> Vec<u64>, places: impl Iterator<Item = &'a u32>) -> Vec<(u64, u32)> {
    let places: Vec<u32> = places.copied().collect();
    hashes_at(&places).into_iter().zip(places).collect()
}

/// A table of these places with room for so many, and for one more, of the partition that begins with a hash.
fn table_of(places: &[(u64, u32)], room: usize, from: u64) -> HashTable<u32> {
    let mut table = HashTable::with_capacity(room.max(places.len() + 1));
    if places.len() >= taken_of(table.capacity(), from) {
        table = HashTable::with_capacity(table.capacity() + 1);
    }
    for &(hash, place) in places {
        table.insert_unique(table_hash(hash), place, |_| unreachable!("there is room for all"));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_at(place: usize) -> u64 {
        (place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn hashes_at(places: &[u32]) -> Vec<u64> {
        places.iter().map(|&place| hash_at(place as usize)).collect()
    }

    /// Partitions are divided and merged; every place is found all the while.
    #[test]
    fn finds_what_is_listed() {
        let mut index = Index::new();
        let empty = index.allocated_bytes();
        for place in 0..20_000 {
            index.insert(hash_at(place), place, hashes_at);
        }
        assert!(index.parts.len() > 8);
        for place in 0..20_000 {
            assert_eq!(index.find(hash_at(place), |found| found == place), Some(place));
        }
        for place in 100..20_000 {
            index.remove(hash_at(place), place, hashes_at);
            assert_eq!(index.find(hash_at(place), |found| found == place), None);
        }
        assert!(index.parts.len() < 4, "small partitions are merged");
        for place in 0..100 {
            assert_eq!(index.find(hash_at(place), |found| found == place), Some(place));
            index.relocate(hash_at(place), place, place + 30_000);
            assert_eq!(index.find(hash_at(place), |found| found == place + 30_000), Some(place + 30_000));
            index.remove(hash_at(place), place + 30_000, |places| {
                places.iter().map(|&place| hash_at(place as usize % 30_000)).collect()
            });
        }
        assert!(index.allocated_bytes() < empty + 2048);
        let booked: usize = index.parts.iter().map(|part| part.table.allocation_size()).sum();
        assert_eq!(booked, index.table_bytes);
    }

    /// Names with the same hash cannot be told apart by dividing.
    #[test]
    fn equal_hashes_stay_together() {
        let mut index = Index::new();
        (0..PART_PLACES_MAX + 10).for_each(|place| index.insert(7, place, |places| vec![7; places.len()]));
        assert_eq!(index.find(7, |found| found == PART_PLACES_MAX + 9), Some(PART_PLACES_MAX + 9));
        assert!(index.parts.len() < 70);
    }
}
