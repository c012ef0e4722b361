//! Small hashes, and big ones of few pairs: one block.
//!
//! ```text
//! block: nothing, or [ count | pair | pair ... ]                     in the order in which the fields came, but for `swap_remove`
//! pair:  [ lengths 1 | field length, if 15 | value length, if 15 | field | value ]
//! lengths: [ field length, at most 15: 4 bits | value length, at most 15: 4 bits ]
//! ```
//!
//! The count, and lengths from 15 on, are written as those of `block`. There may be millions of small hashes, so the count stands in the block and
//! most pairs have a byte for both of their lengths. Everything walks over the block; a removal shifts what follows, a new value of another
//! length too.

use std::ops::Range;

use crate::block::{self, length_bytes, read_length, write_length};

/// See the module.
#[derive(Clone, Default)]
pub(super) struct PackedHash {
    block: Vec<u8>,
}

/// The length that says: it is written behind.
const LONG: usize = 15;
/// What a copy that is about to be changed has room for.
const SPARE_BYTES: usize = 48;

/// The bytes of a length that the first byte of a pair has no room for.
fn long_bytes(length: usize) -> usize {
    if length < LONG { 0 } else { length_bytes(length) }
}

fn pair_bytes(field: &[u8], value: &[u8]) -> usize {
    1 + long_bytes(field.len()) + long_bytes(value.len()) + field.len() + value.len()
}

/// Fills a room of [`pair_bytes`] bytes.
fn write_pair(room: &mut [u8], field: &[u8], value: &[u8]) {
    let [high, low] = [field, value].map(|part| u8::try_from(part.len().min(LONG)).expect("15 at most"));
    room[0] = high << 4 | low;
    let mut at = 1;
    for part in [field, value] {
        if part.len() >= LONG {
            at += write_length(&mut room[at..], part.len());
        }
    }
    let (field_room, value_room) = room[at..].split_at_mut(field.len());
    field_room.copy_from_slice(field);
    value_room.copy_from_slice(value);
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
        read_length(self.0.iter()).0
    }

    pub(super) fn pairs(self) -> Pairs<'a> {
        let (left, at) = read_length(self.0.iter());
        Pairs { block: self.0, at, left }
    }

    pub(super) fn get(self, field: &[u8]) -> Option<&'a [u8]> {
        self.pairs().find(|pair| pair.0 == field).map(|pair| pair.1)
    }

    /// Where the pair with this field stands in the block.
    fn find(self, field: &[u8]) -> Option<Range<usize>> {
        let mut pairs = self.pairs();
        loop {
            let start = pairs.at;
            if pairs.next()?.0 == field {
                return Some(start..pairs.at);
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
        let (_, before) = read_length(self.block.iter());
        write_length(block::replace(&mut self.block, 0..before, length_bytes(count)), count);
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        self.block.capacity()
    }

    /// Gives a field a value; says whether the field is new.
    pub(super) fn insert(&mut self, field: &[u8], value: &[u8]) -> bool {
        if let Some(place) = self.view().find(field) {
            write_pair(block::replace(&mut self.block, place, pair_bytes(field, value)), field, value);
            return false;
        }
        self.push(field, value);
        true
    }

    /// Adds a field that is not there.
    pub(super) fn push(&mut self, field: &[u8], value: &[u8]) {
        self.set_len(self.len() + 1);
        let end = self.block.len();
        write_pair(block::replace(&mut self.block, end..end, pair_bytes(field, value)), field, value);
    }

    /// The bytes of the block, with this pair added.
    pub(super) fn bytes_with(&self, field: &[u8], value: &[u8]) -> usize {
        self.block.len() + pair_bytes(field, value)
    }

    /// Removes a field, whose place the last pair takes; says whether it was there.
    pub(super) fn swap_remove(&mut self, field: &[u8]) -> bool {
        let Some(place) = self.view().find(field) else { return false };
        let last_bytes = self.view().pairs().last().map_or(0, |(field, value)| pair_bytes(field, value));
        block::swap_out(&mut self.block, place, last_bytes);
        self.set_len(self.len() - 1);
        true
    }

    /// Removes a field, those behind it move up; says whether it was there.
    pub(super) fn remove(&mut self, field: &[u8]) -> bool {
        let Some(place) = self.view().find(field) else { return false };
        block::replace(&mut self.block, place, 0);
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
    fn take(&mut self, length: usize) -> &'a [u8] {
        let taken = &self.block[self.at..self.at + length];
        self.at += length;
        taken
    }

    /// The whole of a length of which the first byte of the pair says so much.
    fn length(&mut self, said: u8) -> usize {
        if usize::from(said) < LONG {
            return usize::from(said);
        }
        let (length, taken) = read_length(self.block[self.at..].iter());
        self.at += taken;
        length
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let lengths = self.take(1)[0];
        let field_length = self.length(lengths >> 4);
        let value_length = self.length(lengths & 0xf);
        Some((self.take(field_length), self.take(value_length)))
    }
}
