//! A set of nothing but integers, in ascending order.
//!
//! ```text
//! [ number ][ number ] ...      little-endian, all of `width` bytes (2, 4 or 8): the width that the widest ever put in needs
//! ```

use crate::integer::format_integer;

/// See the module.
#[derive(Clone)]
pub(crate) struct Integers {
    bytes: Vec<u8>,
    width: u8,
}

impl Integers {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), width: 2 }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / usize::from(self.width)
    }

    pub(crate) fn allocated_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// The number at an index below the length.
    pub(crate) fn at(&self, index: usize) -> i64 {
        let width = usize::from(self.width);
        let bytes = &self.bytes[index * width..][..width];
        let mut wide = [if bytes[width - 1] & 0x80 == 0 { 0 } else { 0xff }; 8];
        wide[..width].copy_from_slice(bytes);
        i64::from_le_bytes(wide)
    }

    /// Where the number is, or where it would be.
    pub(crate) fn find(&self, number: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.at(middle).cmp(&number) {
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Adds a number; says whether it is new.
    pub(crate) fn insert(&mut self, number: i64) -> bool {
        let Err(index) = self.find(number) else { return false };
        let needed = width_of(number);
        if needed > self.width {
            self.widen(needed);
        }
        let width = usize::from(self.width);
        self.bytes.splice(index * width..index * width, number.to_le_bytes().into_iter().take(width));
        true
    }

    /// Removes the number at an index below the length.
    pub(crate) fn remove_at(&mut self, index: usize) {
        let width = usize::from(self.width);
        self.bytes.drain(index * width..(index + 1) * width);
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator {
        (0..self.len()).map(|index| self.at(index))
    }

    /// The digits of the longest number, its sign included; 0 if there is none.
    pub(crate) fn longest(&self) -> usize {
        let ends = [self.iter().next(), self.iter().next_back()];
        ends.into_iter().flatten().map(|number| format_integer(number).len()).max().unwrap_or(0)
    }

    fn widen(&mut self, width: u8) {
        let bytes = self.iter().flat_map(|number| number.to_le_bytes().into_iter().take(usize::from(width))).collect();
        *self = Self { bytes, width };
    }
}

fn width_of(number: i64) -> u8 {
    if i16::try_from(number).is_ok() {
        2
    } else if i32::try_from(number).is_ok() {
        4
    } else {
        8
    }
}
