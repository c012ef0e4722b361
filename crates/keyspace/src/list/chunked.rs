//! Big lists: blocks in a spine.
//!
//! The ends are O(1), an index is found in O(log n) and a walk within its block. A frozen view shares the blocks, a write copies one.

use std::ops::Range;

use super::chunk::Chunk;
use super::limits::Limits;
use crate::big::{At, Counted, Spine};

impl Counted for Chunk {
    type Mark = ();

    fn count(&self) -> usize {
        self.len()
    }

    fn held_bytes(&self) -> usize {
        self.allocated_bytes() - size_of::<Self>()
    }

    fn mark(&self) {}
}

/// See the module.
#[derive(Clone)]
pub(super) struct Chunked {
    spine: Spine<Chunk>,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self { spine: Spine::new() }
    }

    /// Adds a chunk, which is not empty, at the end.
    pub(super) fn push_chunk(&mut self, chunk: Chunk) {
        self.spine.push(chunk);
    }

    pub(super) fn len(&self) -> usize {
        self.spine.len()
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        size_of::<Self>() + self.spine.allocated_bytes()
    }

    pub(super) fn chunks(&self) -> impl DoubleEndedIterator<Item = &Chunk> + Clone {
        self.spine.chunks()
    }

    /// The only chunk, if there is no other.
    pub(super) fn only_chunk(&self) -> Option<&Chunk> {
        let (first, last) = (self.spine.first()?, self.spine.last()?);
        if first == last { Some(self.spine.chunk(first)) } else { None }
    }

    /// The elements from an index (at most the length) on.
    pub(super) fn elements_from(&self, index: usize) -> impl Iterator<Item = &[u8]> + Clone {
        let start = if index < self.len() { Some(self.spine.locate(index)) } else { None };
        let first = start.map(|(at, within)| self.spine.chunk(at).elements_from(within));
        let rest = start.and_then(|(at, _)| Some((self.spine.next(at)?, self.spine.last()?)));
        let rest = rest.into_iter().flat_map(|(next, last)| self.spine.between(next, last));
        first.into_iter().flatten().chain(rest.flat_map(|(_, chunk)| chunk.elements()))
    }

    /// Adds an element at an end: to the chunk there if it has room, else in a new one.
    pub(super) fn push(&mut self, element: &[u8], at_front: bool, limits: &Limits) {
        let end = if at_front { self.spine.first() } else { self.spine.last() };
        if let Some(at) = end.filter(|&at| limits.allow_insert(self.spine.chunk(at), element)) {
            self.spine.change(at, |chunk| chunk.insert(if at_front { 0 } else { chunk.len() }, element));
            return;
        }
        let mut chunk = Chunk::new();
        chunk.insert(0, element);
        self.spine.insert_after(end.filter(|_| !at_front), chunk);
    }

    /// Puts an element in front of the one with this index; at the length, at the end.
    pub(super) fn insert(&mut self, index: usize, element: &[u8], limits: &Limits) {
        if index == self.len() {
            return self.push(element, false, limits);
        }
        let (at, within) = self.spine.locate(index);
        self.spine.change(at, |chunk| chunk.insert(within, element));
        self.divide(at, limits);
    }

    /// Puts another element into the place of the one with this index.
    pub(super) fn set(&mut self, index: usize, element: &[u8], limits: &Limits) {
        let (at, within) = self.spine.locate(index);
        self.spine.change(at, |chunk| chunk.set(within, element));
        self.divide(at, limits);
    }

    /// Divides a chunk until its pieces are within the limits, or single elements.
    fn divide(&mut self, mut at: At, limits: &Limits) {
        if !is_too_big(self.spine.chunk(at), limits) {
            return;
        }
        let mut pieces = Vec::new();
        self.spine.change(at, |chunk| divide_into(chunk, limits, &mut pieces));
        for piece in pieces {
            at = self.spine.insert_after(Some(at), piece);
        }
    }

    /// Keeps the elements of a range of indexes within the list.
    pub(super) fn keep(&mut self, range: Range<usize>) {
        let (front, back) = self.spine.keep_chunks(range);
        if let Some(first) = self.spine.first().filter(|_| front > 0) {
            self.spine.change(first, |chunk| chunk.remove(0..front));
        }
        if let Some(last) = self.spine.last().filter(|_| back > 0) {
            self.spine.change(last, |chunk| chunk.remove(chunk.len() - back..chunk.len()));
        }
    }

    /// Removes at most so many elements that are equal to this one, counted from an end, and returns how many they were.
    pub(super) fn remove_equal(&mut self, element: &[u8], count_max: usize, from_back: bool) -> usize {
        let mut next = if from_back { self.spine.last() } else { self.spine.first() };
        let (mut removed, mut is_emptied) = (0, false);
        while let Some(at) = next.filter(|_| removed < count_max) {
            // A chunk that stays as it is stays shared.
            if self.spine.chunk(at).elements().any(|found| found == element) {
                removed += self.spine.change(at, |chunk| chunk.remove_equal(element, count_max - removed, from_back));
                is_emptied |= self.spine.chunk(at).len() == 0;
            }
            next = if from_back { self.spine.previous(at) } else { self.spine.next(at) };
        }
        if is_emptied {
            self.spine.drop_empty_chunks();
        }
        removed
    }
}

fn is_too_big(chunk: &Chunk, limits: &Limits) -> bool {
    chunk.len() > 1 && limits.are_exceeded_by(chunk.weight(), chunk.len())
}

/// Cuts a chunk down to its first piece, and puts the others into `pieces`, in order.
fn divide_into(chunk: &mut Chunk, limits: &Limits, pieces: &mut Vec<Chunk>) {
    if !is_too_big(chunk, limits) {
        return;
    }
    let mut upper = chunk.split_off(chunk.middle());
    divide_into(chunk, limits, pieces);
    let place = pieces.len();
    divide_into(&mut upper, limits, pieces);
    pieces.insert(place, upper);
}
