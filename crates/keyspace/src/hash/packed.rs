//! Small hashes: one block.
//!
//! ```text
//! block: nothing, or [ count u32 | field | value | field | value ... ]          in the order in which the fields came
//! field, value: elements as in `block`
//! ```
//!
//! The count stands in the block, because a hash is then three words long: there may be millions of small ones. Everything walks over the block; a removal shifts what follows, a new value of another length too.

use crate::block::{self, element_bytes, write_element};

/// See the module.
#[derive(Clone, Default)]
pub(super) struct PackedHash {
    block: Vec<u8>,
}

/// The bytes of the count.
const HEAD_BYTES: usize = size_of::<u32>();
/// What a copy that is about to be changed has room for.
const SPARE_BYTES: usize = 48;

/// Where a pair stands in the block.
struct Place {
    start: usize,
    /// Where the value begins, with its length.
    value_start: usize,
    end: usize,
}

/// A block to be read, wherever it is kept.
#[derive(Clone, Copy)]
pub(crate) struct PackedView<'a>(&'a [u8]);

impl<'a> PackedView<'a> {
    /// `block`: what [`PackedHash::block`] gave.
    pub(super) fn of_block(block: &'a [u8]) -> Self {
        Self(block)
    }

    pub(super) fn len(self) -> usize {
        self.0.first_chunk().map_or(0, |count| u32::from_le_bytes(*count) as usize)
    }

    pub(super) fn pairs(self) -> Pairs<'a> {
        Pairs { block: self.0, at: HEAD_BYTES, left: self.len() }
    }

    pub(super) fn get(self, field: &[u8]) -> Option<&'a [u8]> {
        self.pairs().find(|pair| pair.0 == field).map(|pair| pair.1)
    }

    fn find(self, field: &[u8]) -> Option<Place> {
        let mut pairs = self.pairs();
        loop {
            let start = pairs.at;
            let (found, value) = pairs.next()?;
            if found == field {
                let value_start = pairs.at - value.len() - block::length_bytes(value.len());
                return Some(Place { start, value_start, end: pairs.at });
            }
        }
    }
}

impl PackedHash {
    /// A copy of a block, with room for few more bytes.
    pub(super) fn of_block(bytes: &[u8]) -> Self {
        let mut block = Vec::with_capacity(block::allocated(bytes.len() + SPARE_BYTES));
        block.extend_from_slice(bytes);
        Self { block }
    }

    pub(super) fn block(&self) -> &[u8] {
        &self.block
    }

    pub(super) fn view(&self) -> PackedView<'_> {
        PackedView(&self.block)
    }

    pub(super) fn len(&self) -> usize {
        self.view().len()
    }

    fn set_len(&mut self, count: usize) {
        let count = u32::try_from(count).expect("a block of 4 GiB is never made");
        self.block[..HEAD_BYTES].copy_from_slice(&count.to_le_bytes());
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        self.block.capacity()
    }

    /// Gives a field a value; says whether the field is new.
    pub(super) fn insert(&mut self, field: &[u8], value: &[u8]) -> bool {
        if let Some(place) = self.view().find(field) {
            write_element(block::replace(&mut self.block, place.value_start..place.end, element_bytes(value)), value);
            return false;
        }
        self.push(field, value);
        true
    }

    /// Adds a field that is not there.
    pub(super) fn push(&mut self, field: &[u8], value: &[u8]) {
        let (count, end) = (self.len(), self.block.len());
        let head = if end == 0 { HEAD_BYTES } else { 0 };
        let room = block::replace(&mut self.block, end..end, head + element_bytes(field) + element_bytes(value));
        let (field_room, value_room) = room[head..].split_at_mut(element_bytes(field));
        write_element(field_room, field);
        write_element(value_room, value);
        self.set_len(count + 1);
    }

    /// Removes a field; says whether it was there.
    pub(super) fn remove(&mut self, field: &[u8]) -> bool {
        let Some(place) = self.view().find(field) else { return false };
        block::replace(&mut self.block, place.start..place.end, 0);
        self.set_len(self.len() - 1);
        true
    }
}

/// Walks over the pairs of a block.
#[derive(Clone)]
pub(super) struct Pairs<'a> {
    block: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Pairs<'a> {
    fn element(&mut self) -> &'a [u8] {
        let (element, behind) = block::split_element(&self.block[self.at..]);
        self.at = self.block.len() - behind.len();
        element
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((self.element(), self.element()))
    }
}
