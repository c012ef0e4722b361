//! Places in an order of their own: of members by score, of fields by deadline.
//!
//! ```text
//! chunk: [ key 8 | place 4 ][ key 8 | place 4 ] ... at most 128          by (key, name at the place); in a `Spine`
//! ```
//!
//! A key is what comes first in the order, as a number: a deadline, a score (see `sorted_set`). Names are asked for only where keys are equal; this module
//! does not know them, whoever looks for an item says how the name at a place compares with the one that is looked for.
//!
//! An item's chunk is found by binary search over the chunks' last items, which are their marks, its rank by a sum of counts; a rank's item the other way
//! round. All of that is O(log n). A full chunk is divided, small neighbours are merged.

use std::cmp::Ordering;
use std::ops::Range;

use super::spine::{At, Counted, Spine, partition_point};
use crate::block::allocated;

const CHUNK_ITEMS_MAX: usize = 128;
/// A chunk with fewer items looks for a neighbour to merge with.
const CHUNK_ITEMS_MIN: usize = 32;
/// Merged chunks leave room, so that they are not divided at the next insertion.
const MERGED_ITEMS_MAX: usize = 96;

/// Where an item stands, and whose it is.
#[derive(Clone, Copy, Default)]
struct Item {
    /// The upper half and the lower one: in one number they would be padded.
    key: [u32; 2],
    place: u32,
}

impl Item {
    fn key(self) -> u64 {
        u64::from(self.key[0]) << 32 | u64::from(self.key[1])
    }

    fn place(self) -> usize {
        self.place as usize
    }
}

fn halves(key: u64) -> [u32; 2] {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).expect("it is 32 bits");
    [half(key >> 32), half(key)]
}

fn number_of(place: usize) -> u32 {
    u32::try_from(place).expect("2^32 members take more memory than there is")
}

struct Chunk(Vec<Item>);

impl Chunk {
    fn insert(&mut self, at: usize, item: Item) {
        if self.0.len() == self.0.capacity() {
            // To the next of the sizes that the allocator has.
            let bytes = allocated((self.0.len() + 1) * size_of::<Item>());
            self.0.reserve_exact((bytes / size_of::<Item>()).min(CHUNK_ITEMS_MAX) - self.0.len());
        }
        self.0.insert(at, item);
    }

    /// Looks where a search begins.
    fn look_at_quarters(&self) -> usize {
        let quarters = [1, 2, 3].map(|quarter| self.0.len() * quarter / 4);
        quarters.iter().fold(0, |seen, &at| seen ^ self.0.get(at).map_or(0, |item| item.place()))
    }
}

impl Clone for Chunk {
    /// With as much room: a write follows.
    fn clone(&self) -> Self {
        let mut items = Vec::with_capacity(self.0.capacity());
        items.extend_from_slice(&self.0);
        Self(items)
    }
}

impl Counted for Chunk {
    type Mark = Item;

    fn count(&self) -> usize {
        self.0.len()
    }

    fn held_bytes(&self) -> usize {
        allocated(self.0.capacity() * size_of::<Item>())
    }

    fn mark(&self) -> Item {
        self.0.last().copied().unwrap_or_default()
    }
}

/// An item that is looked for.
pub(super) struct Sought<F> {
    pub(super) key: u64,
    pub(super) place: usize,
    /// How the name at another place compares with its name.
    pub(super) names: F,
}

impl<F: Fn(usize) -> Ordering> Sought<F> {
    fn is_behind(&self, item: Item) -> bool {
        item.key.cmp(&halves(self.key)).then_with(|| (self.names)(item.place())).is_lt()
    }
}

/// See the module.
#[derive(Clone)]
pub(super) struct Order {
    spine: Spine<Chunk>,
}

impl Order {
    /// Without items.
    pub(super) fn new() -> Self {
        Self { spine: Spine::new() }
    }

    /// How many items there are.
    pub(super) fn len(&self) -> usize {
        self.spine.len()
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        self.spine.allocated_bytes()
    }

    /// Adds an item that is not there.
    pub(super) fn insert(&mut self, sought: &Sought<impl Fn(usize) -> Ordering>) {
        let item = Item { key: halves(sought.key), place: number_of(sought.place) };
        let Some(at) = self.chunk_of(sought).or_else(|| self.spine.last()) else {
            return self.spine.push(Chunk(vec![item]));
        };
        let at = if self.spine.chunk(at).0.len() < CHUNK_ITEMS_MAX { at } else { self.make_room(at, sought) };
        let within = partition_point(&self.spine.chunk(at).0, |&other| sought.is_behind(other));
        self.spine.change(at, |chunk| chunk.insert(within, item));
    }

    /// Brings near what comes first when items with these keys are put or looked for. See `fetch`.
    pub(super) fn fetch(&self, keys: &[u64]) {
        self.spine.fetch(keys, |&key, last| last.key() < key, &[Chunk::count, Chunk::look_at_quarters]);
    }

    /// Removes an item that is there.
    pub(super) fn remove(&mut self, sought: &Sought<impl Fn(usize) -> Ordering>) {
        let (at, within) = self.find(sought);
        self.take(at, within);
    }

    /// Removes the item with a rank below the length, and returns its place.
    pub(super) fn remove_at(&mut self, rank: usize) -> usize {
        let (at, within) = self.spine.locate(rank);
        self.take(at, within).place()
    }

    fn take(&mut self, at: At, within: usize) -> Item {
        let (item, left) = self.spine.change(at, |chunk| (chunk.0.remove(within), chunk.0.len()));
        if left == 0 {
            self.spine.remove(at);
        } else if left < CHUNK_ITEMS_MIN {
            self.maybe_merge(at);
        }
        item
    }

    /// Tells that the name of an item that is there has moved to another place.
    pub(super) fn relocate(&mut self, sought: &Sought<impl Fn(usize) -> Ordering>, to: usize) {
        let (at, within) = self.find(sought);
        self.spine.change(at, |chunk| chunk.0[within].place = number_of(to));
    }

    /// The rank of an item that is there.
    pub(super) fn rank(&self, sought: &Sought<impl Fn(usize) -> Ordering>) -> usize {
        let (at, within) = self.find(sought);
        self.spine.before(at) + within
    }

    /// The place of the item with a rank below the length.
    pub(super) fn at(&self, rank: usize) -> usize {
        let (at, within) = self.spine.locate(rank);
        self.spine.chunk(at).0[within].place()
    }

    /// How many items stand in front of the first whose key does not satisfy the predicate; those in front all do.
    pub(super) fn partition_point(&self, satisfies: impl Fn(u64) -> bool) -> usize {
        match self.spine.partition_point(|last| satisfies(last.key())) {
            Some(at) => self.spine.before(at) + self.spine.chunk(at).0.partition_point(|item| satisfies(item.key())),
            None => self.len(),
        }
    }

    /// The places of the items with these ranks, which are at most the length, in order.
    pub(super) fn range(&self, ranks: Range<usize>) -> impl DoubleEndedIterator<Item = usize> {
        let bounds = if ranks.is_empty() {
            None
        } else {
            Some((self.spine.locate(ranks.start), self.spine.locate(ranks.end - 1)))
        };
        bounds.into_iter().flat_map(|((first, from), (last, to))| {
            self.spine.between(first, last).flat_map(move |(at, chunk)| {
                let start = if at == first { from } else { 0 };
                let end = if at == last { to + 1 } else { chunk.0.len() };
                chunk.0[start..end].iter().map(|item| item.place())
            })
        })
    }

    /// The first chunk whose last item does not come before this one.
    fn chunk_of(&self, sought: &Sought<impl Fn(usize) -> Ordering>) -> Option<At> {
        self.spine.partition_point(|last| sought.is_behind(last))
    }

    /// Chunk and index within of an item that is there.
    fn find(&self, sought: &Sought<impl Fn(usize) -> Ordering>) -> (At, usize) {
        let at = self.chunk_of(sought).expect("the item is there");
        let (items, key, place) = (&self.spine.chunk(at).0, halves(sought.key), number_of(sought.place));
        // Its place tells it from those with the same key, without a look at all their names.
        let first = items.partition_point(|item| item.key < key);
        let further = items[first..].iter().position(|item| item.place == place).expect("the item is there");
        (at, first + further)
    }

    /// Divides a full chunk and returns where an item now belongs. Behind everything begins a chunk of its own, so that
    /// items that come in order leave full chunks.
    fn make_room(&mut self, at: At, sought: &Sought<impl Fn(usize) -> Ordering>) -> At {
        // The caller adds the item itself: a chunk is never empty, so that one begins with the last of the full one.
        let is_behind = sought.is_behind(self.spine.chunk(at).mark());
        let kept = if is_behind { CHUNK_ITEMS_MAX - 1 } else { CHUNK_ITEMS_MAX / 2 };
        let upper = self.spine.change(at, |chunk| {
            let upper = Chunk(chunk.0.split_off(kept));
            chunk.0.shrink_to_fit();
            upper
        });
        self.spine.insert_after(Some(at), upper);
        self.chunk_of(sought).or_else(|| self.spine.last()).expect("there are two chunks")
    }

    fn maybe_merge(&mut self, at: At) {
        let (low, high) = match (self.spine.next(at), self.spine.previous(at)) {
            (Some(next), _) => (at, next),
            (None, Some(previous)) => (previous, at),
            (None, None) => return,
        };
        if self.spine.chunk(low).0.len() + self.spine.chunk(high).0.len() <= MERGED_ITEMS_MAX {
            let moved = self.spine.chunk(high).clone();
            self.spine.change(low, |chunk| chunk.0.extend_from_slice(&moved.0));
            self.spine.remove(high);
        }
    }
}
