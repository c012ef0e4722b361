//! Strings as vectors of bits, of which bit 0 is the highest of the first byte.
//!
//! ```text
//! byte      0                 1
//! bit       0 1 2 3 4 5 6 7   8 9 ...        behind the end of the string all bits are 0
//! ```
//!
//! What looks at many bits goes word by word over the string's pieces; what changes one bit touches one chunk.

mod combine;
mod field;

use std::ops::Range;

pub use combine::{BitOperation, combine_bits};
pub use field::{BitField, Overflow};

use crate::context::Context;
use crate::error::DataError;
use crate::keyspace::{Found, Keyspace};
use crate::strings::{STRING_BYTES_MAX, StringRef};

const BYTE_BITS: usize = 8;
const WORD_BYTES: usize = size_of::<u64>();

/// The mask of the bit at an offset, within its byte.
fn mask(bit: usize) -> u8 {
    0x80 >> (bit % BYTE_BITS)
}

impl StringRef<'_> {
    /// The byte at an offset, unless the string ends before it.
    pub(crate) fn byte(self, at: usize) -> Option<u8> {
        self.range(at.min(self.len()), at.saturating_add(1).min(self.len()))
            .next()
            .and_then(|piece| piece.first().copied())
    }

    /// The bit at an offset.
    pub fn bit(self, bit: usize) -> bool {
        self.byte(bit / BYTE_BITS).is_some_and(|byte| byte & mask(bit) != 0)
    }

    /// How many of these bits, which end within the string, are set.
    pub fn count_ones(self, bits: Range<usize>) -> usize {
        if bits.is_empty() {
            return 0;
        }
        let (first, end) = (bits.start / BYTE_BITS, bits.end.div_ceil(BYTE_BITS));
        let whole: usize = self.range(first, end).map(count_ones).sum();
        let byte = |at| self.byte(at).expect("the range ends within the string");
        let before = byte(first) & !(0xff >> (bits.start % BYTE_BITS));
        let behind = byte(end - 1) & (0xff_u16 >> (BYTE_BITS - (end * BYTE_BITS - bits.end))).to_le_bytes()[0];
        whole - (before.count_ones() + behind.count_ones()) as usize
    }

    /// The first of these bits, which end within the string, that is set, or that is not.
    pub fn find_bit(self, is_set: bool, bits: Range<usize>) -> Option<usize> {
        let flip = if is_set { 0 } else { 0xff };
        let mut base = bits.start / BYTE_BITS;
        for piece in self.range(base, bits.end.div_ceil(BYTE_BITS)) {
            let mut at = 0;
            while let Some(found) = find_not(flip, &piece[at..]) {
                at += found;
                let place = (base + at) * BYTE_BITS;
                // Of the first byte, what stands in front of the range does not count.
                let skipped = bits.start.saturating_sub(place);
                let rest = (piece[at] ^ flip) & (0xff_u16 >> skipped).to_le_bytes()[0];
                if rest != 0 {
                    let bit = place + rest.leading_zeros() as usize;
                    return (bit < bits.end).then_some(bit);
                }
                at += 1;
            }
            base += piece.len();
        }
        None
    }
}

fn count_ones(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<WORD_BYTES>();
    let in_words: usize = words.iter().map(|word| u64::from_le_bytes(*word).count_ones() as usize).sum();
    in_words + rest.iter().map(|byte| byte.count_ones() as usize).sum::<usize>()
}

/// The place of the first byte that is another.
fn find_not(byte: u8, bytes: &[u8]) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<WORD_BYTES>();
    let same = words.iter().take_while(|word| **word == [byte; WORD_BYTES]).count() * WORD_BYTES;
    bytes[same..].iter().position(|other| *other != byte).map(|place| same + place)
}

impl Keyspace {
    /// Sets a bit of the string at a key, which grows as far as that. Returns what the bit was. A bit that is already there as wanted is
    /// no change.
    pub fn set_bit(&mut self, context: &Context, key: &[u8], bit: usize, is_set: bool) -> Result<bool, DataError> {
        let place = self.place_to_write(context, key);
        let string = self.find(place, key).map(Found::string).transpose()?;
        let at = bit / BYTE_BITS;
        let byte = string.and_then(|string| string.byte(at));
        let was_set = byte.is_some_and(|byte| byte & mask(bit) != 0);
        if byte.is_none() || was_set != is_set {
            let others = byte.unwrap_or(0) & !mask(bit);
            self.write_at(place, key, at, &[if is_set { others | mask(bit) } else { others }])?;
        }
        Ok(was_set)
    }

    /// Makes the string at a key at least so many bytes long, with zeros.
    pub fn grow_string(&mut self, context: &Context, key: &[u8], length: usize) -> Result<(), DataError> {
        let place = self.place_to_write(context, key);
        let string = self.find(place, key).map(Found::string).transpose()?;
        if length > STRING_BYTES_MAX {
            return Err(DataError::StringTooLong);
        }
        if string.map_or(0, StringRef::len) < length {
            self.write_at(place, key, length - 1, &[0])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
