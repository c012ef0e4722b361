//! A piece of a list: one block of elements, to be walked from both ends.
//!
//! ```text
//! block:   [ element ][ element ] ...
//! element: [ length | bytes | length, backwards ]        lengths as in `block`
//! ```

use std::ops::Range;

use crate::block;
use crate::integer::parse_integer;

/// What Redis' listpack has around its elements.
const WEIGHT_EMPTY: usize = 7;

/// See the module.
#[derive(Clone)]
pub(super) struct Chunk {
    block: Vec<u8>,
    count: usize,
    /// The bytes that Redis' listpack of the same elements would take: the thresholds are in its terms.
    weight: usize,
}

impl Chunk {
    pub(super) fn new() -> Self {
        Self { block: Vec::new(), count: 0, weight: WEIGHT_EMPTY }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        size_of::<Self>() + self.block.capacity()
    }

    pub(super) fn elements(&self) -> Elements<'_> {
        Elements { block: &self.block }
    }

    /// The elements from an index (at most the length) on.
    pub(super) fn elements_from(&self, index: usize) -> Elements<'_> {
        Elements { block: &self.block[self.offset(index)..] }
    }

    /// Where the element with this index (at most the length) begins. Walks from the nearer end.
    fn offset(&self, index: usize) -> usize {
        let mut elements = self.elements();
        if index <= self.count / 2 {
            (0..index).for_each(|_| {
                elements.next();
            });
            self.block.len() - elements.block.len()
        } else {
            (index..self.count).for_each(|_| {
                elements.next_back();
            });
            elements.block.len()
        }
    }

    /// Puts an element in front of the one with this index; at the length, at the end.
    pub(super) fn insert(&mut self, index: usize, element: &[u8]) {
        let at = self.offset(index);
        write(block::replace(&mut self.block, at..at, element_bytes(element)), element);
        self.count += 1;
        self.weight += weight_of(element);
    }

    /// Adds elements at the end.
    pub(super) fn extend<T: AsRef<[u8]>>(&mut self, elements: impl IntoIterator<Item = T>) {
        elements.into_iter().for_each(|element| self.insert(self.count, element.as_ref()));
    }

    /// Puts another element into the place of the one with this index.
    pub(super) fn set(&mut self, index: usize, element: &[u8]) {
        let start = self.offset(index);
        let old = self.elements_from(index).next().expect("the index is below the length");
        let end = start + element_bytes(old);
        self.weight -= weight_of(old);
        self.weight += weight_of(element);
        write(block::replace(&mut self.block, start..end, element_bytes(element)), element);
    }

    /// Removes the elements of a range of indexes.
    pub(super) fn remove(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let (start, end) = (self.offset(range.start), self.offset(range.end));
        let removed = Elements { block: &self.block[start..end] };
        self.weight -= removed.map(weight_of).sum::<usize>();
        self.count -= range.len();
        block::replace(&mut self.block, start..end, 0);
    }

    /// Removes the elements from an index on, and returns them.
    pub(super) fn split_off(&mut self, index: usize) -> Self {
        let upper = self.elements_from(index).block.to_vec();
        let weight = WEIGHT_EMPTY + Elements { block: &upper }.map(weight_of).sum::<usize>();
        let upper = Self { block: upper, count: self.count - index, weight };
        self.block.truncate(self.block.len() - upper.block.len());
        self.block.shrink_to_fit();
        self.count = index;
        self.weight -= upper.weight - WEIGHT_EMPTY;
        upper
    }

    /// Removes at most so many elements that are equal to this one, counted from an end, and returns how many they were.
    pub(super) fn remove_equal(&mut self, element: &[u8], count_max: usize, from_back: bool) -> usize {
        let equal = self.elements().filter(|found| *found == element).count();
        let removed = equal.min(count_max);
        // The first and the last of the equal ones to go, counted from the front.
        let gone = if from_back { equal - removed..equal } else { 0..removed };
        let mut kept = Vec::with_capacity(self.block.len() - removed * element_bytes(element));
        let mut seen = 0;
        for found in self.elements() {
            let is_equal = found == element;
            if !is_equal || !gone.contains(&seen) {
                let end = kept.len();
                write(block::replace(&mut kept, end..end, element_bytes(found)), found);
            }
            seen += usize::from(is_equal);
        }
        self.block = kept;
        self.count -= removed;
        self.weight -= removed * weight_of(element);
        removed
    }

    /// An index that parts the bytes in halves, with at least one element on both sides. There are two or more elements.
    pub(super) fn middle(&self) -> usize {
        let mut elements = self.elements();
        let before = |elements: &Elements<'_>| self.block.len() - elements.block.len() < self.block.len() / 2;
        let mut index = 0usize;
        while before(&elements) && elements.next().is_some() {
            index += 1;
        }
        // The element that reaches over the middle goes to the right, so that a huge one ends up alone.
        index.saturating_sub(1).clamp(1, self.count - 1)
    }
}

/// The bytes that an element takes in a block.
fn element_bytes(element: &[u8]) -> usize {
    2 * block::length_bytes(element.len()) + element.len()
}

/// Fills a room of [`element_bytes`] bytes.
fn write(room: &mut [u8], element: &[u8]) {
    let head = block::write_length(room, element.len());
    let end = head + element.len();
    room[head..end].copy_from_slice(element);
    block::write_length(&mut room[end..], element.len());
    room[end..].reverse();
}

/// The bytes that an element takes in Redis' listpack: an integer by its size, else the bytes; and the length, twice.
fn weight_of(element: &[u8]) -> usize {
    let content = match parse_integer(element) {
        Some(0..=127) => 1,
        Some(-4096..=4095) => 2,
        Some(-0x8000..=0x7fff) => 3,
        Some(-0x80_0000..=0x7f_ffff) => 4,
        Some(-0x8000_0000..=0x7fff_ffff) => 5,
        Some(_) => 9,
        None => {
            element.len()
                + match element.len() {
                    0..64 => 1,
                    64..4096 => 2,
                    _ => 5,
                }
        }
    };
    content + block::length_bytes(content)
}

/// Walks over the elements of a block, from both ends.
#[derive(Clone)]
pub(super) struct Elements<'a> {
    block: &'a [u8],
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.block.is_empty() {
            return None;
        }
        let (length, head) = block::read_length(self.block.iter());
        let element = &self.block[head..head + length];
        self.block = &self.block[head + length + head..];
        Some(element)
    }
}

impl DoubleEndedIterator for Elements<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.block.is_empty() {
            return None;
        }
        let (length, head) = block::read_length(self.block.iter().rev());
        let start = self.block.len() - 2 * head - length;
        let element = &self.block[start + head..start + head + length];
        self.block = &self.block[..start];
        Some(element)
    }
}
