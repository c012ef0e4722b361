//! Handles in an order of their own: members by score, fields by deadline.
//!
//! A spine of chunks of up to 256 handles. An item's chunk is found by binary search over the chunks' last items, its rank by a sum of
//! counts; a rank's item the other way round. All of that is O(log n). A full chunk is halved, small neighbours are merged.

use std::cmp::Ordering;
use std::ops::Range;

use super::spine::{At, Counted, Spine};

const CHUNK_HANDLES_MAX: usize = 256;
/// A chunk with fewer handles looks for a neighbour to merge with.
const CHUNK_HANDLES_MIN: usize = 64;
/// Merged chunks leave room, so that they are not halved at the next insertion.
const MERGED_HANDLES_MAX: usize = 192;

/// An item of an [`Order`]: a handle that is cheap to clone.
pub(crate) trait Ranked: Clone {
    /// Which of two items comes first. No two items of an order are equal.
    fn rank_against(&self, other: &Self) -> Ordering;
}

impl<T: Clone> Counted for Vec<T> {
    fn count(&self) -> usize {
        self.len()
    }

    fn held_bytes(&self) -> usize {
        self.capacity() * size_of::<T>()
    }
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Order<T> {
    spine: Spine<Vec<T>>,
}

impl<T: Ranked> Order<T> {
    /// Without items.
    pub(crate) fn new() -> Self {
        Self { spine: Spine::new() }
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.spine.len()
    }

    /// The bytes of the handles, without what they refer to.
    pub(crate) fn allocated_bytes(&self) -> usize {
        self.spine.allocated_bytes()
    }

    /// The first item.
    pub(crate) fn first(&self) -> Option<&T> {
        self.spine.first().and_then(|at| self.spine.chunk(at).first())
    }

    /// Adds an item that is not there.
    pub(crate) fn insert(&mut self, item: T) {
        let Some(at) = self.chunk_of(&item).or_else(|| self.spine.last()) else {
            return self.spine.push(vec![item]);
        };
        let at = if self.spine.chunk(at).len() < CHUNK_HANDLES_MAX { at } else { self.make_room(at, &item) };
        self.spine.change(at, |chunk| {
            let place = chunk.partition_point(|other| other.rank_against(&item).is_lt());
            if chunk.len() == chunk.capacity() {
                chunk.reserve_exact((chunk.len() / 2).max(4).min(CHUNK_HANDLES_MAX - chunk.len()));
            }
            chunk.insert(place, item);
        });
    }

    /// Removes an item that is there.
    pub(crate) fn remove(&mut self, item: &T) {
        let (at, place) = self.find(item);
        let left = self.spine.change(at, |chunk| {
            chunk.remove(place);
            chunk.len()
        });
        if left == 0 {
            self.spine.remove(at);
        } else if left < CHUNK_HANDLES_MIN {
            self.maybe_merge(at);
        }
    }

    /// Removes the items with these ranks and returns them.
    pub(crate) fn remove_range(&mut self, ranks: Range<usize>) -> Vec<T> {
        let mut removed = Vec::with_capacity(ranks.len());
        while removed.len() < ranks.len() {
            let (at, place) = self.spine.locate(ranks.start);
            let taken = (ranks.len() - removed.len()).min(self.spine.chunk(at).len() - place);
            if taken == self.spine.chunk(at).len() {
                removed.extend_from_slice(self.spine.chunk(at));
                self.spine.remove(at);
            } else {
                self.spine.change(at, |chunk| removed.extend(chunk.drain(place..place + taken)));
            }
        }
        removed
    }

    /// The rank of an item that is there.
    pub(crate) fn rank(&self, item: &T) -> usize {
        let (at, place) = self.find(item);
        self.spine.before(at) + place
    }

    /// How many items stand in front of the first that does not satisfy the predicate; those in front all do.
    pub(crate) fn partition_point(&self, satisfies: impl Fn(&T) -> bool) -> usize {
        match self.spine.partition_point(|chunk| satisfies(last_of(chunk))) {
            Some(at) => self.spine.before(at) + self.spine.chunk(at).partition_point(satisfies),
            None => self.len(),
        }
    }

    /// The items with these ranks, which are at most the length, in order.
    pub(crate) fn range(&self, ranks: Range<usize>) -> impl DoubleEndedIterator<Item = &T> {
        let bounds = if ranks.is_empty() {
            None
        } else {
            Some((self.spine.locate(ranks.start), self.spine.locate(ranks.end - 1)))
        };
        bounds.into_iter().flat_map(|((first, from), (last, to))| {
            self.spine.between(first, last).flat_map(move |(at, chunk)| {
                let start = if at == first { from } else { 0 };
                let end = if at == last { to + 1 } else { chunk.len() };
                chunk[start..end].iter()
            })
        })
    }

    /// The first chunk whose last item does not come before this one.
    fn chunk_of(&self, item: &T) -> Option<At> {
        self.spine.partition_point(|chunk| last_of(chunk).rank_against(item).is_lt())
    }

    /// Chunk and place of an item that is there.
    fn find(&self, item: &T) -> (At, usize) {
        let at = self.chunk_of(item).expect("the item is there");
        let place = self.spine.chunk(at).partition_point(|other| other.rank_against(item).is_lt());
        debug_assert!(self.spine.chunk(at)[place].rank_against(item).is_eq(), "the item is there");
        (at, place)
    }

    /// Divides a full chunk and returns where an item now belongs. Behind everything begins a chunk of its own, so that
    /// items that come in order leave full chunks.
    fn make_room(&mut self, at: At, item: &T) -> At {
        if last_of(self.spine.chunk(at)).rank_against(item).is_lt() {
            // The caller adds the item itself: a chunk is never empty, so it begins with the last of the full one.
            let moved = self.spine.change(at, |chunk| chunk.split_off(CHUNK_HANDLES_MAX - 1));
            self.spine.insert_after(Some(at), moved);
        } else {
            let upper = self.spine.change(at, |chunk| {
                let upper = chunk.split_off(CHUNK_HANDLES_MAX / 2);
                chunk.shrink_to(CHUNK_HANDLES_MAX * 3 / 4);
                upper
            });
            self.spine.insert_after(Some(at), upper);
        }
        self.chunk_of(item).or_else(|| self.spine.last()).expect("there are two chunks")
    }

    fn maybe_merge(&mut self, at: At) {
        let (low, high) = match (self.spine.next(at), self.spine.previous(at)) {
            (Some(next), _) => (at, next),
            (None, Some(previous)) => (previous, at),
            (None, None) => return,
        };
        if self.spine.chunk(low).len() + self.spine.chunk(high).len() <= MERGED_HANDLES_MAX {
            let moved = self.spine.chunk(high).clone();
            self.spine.change(low, |chunk| chunk.extend(moved));
            self.spine.remove(high);
        }
    }
}

fn last_of<T>(chunk: &[T]) -> &T {
    chunk.last().expect("no chunk is empty")
}
