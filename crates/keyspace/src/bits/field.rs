//! BITFIELD: integers of any width at any bit of a string.
//!
//! ```text
//! offset 7, width 10:   bytes    .......#  ########  #.......
//!                       number          9  87654321  0          the highest bit first
//! ```

use super::BYTE_BITS;
use crate::context::Context;
use crate::error::DataError;
use crate::keyspace::Keyspace;
use crate::strings::StringRef;

/// A number of 64 bits that begins anywhere in a byte ends within so many bytes.
const WINDOW_BYTES: usize = 9;

/// Where an integer stands in a string, and how it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitField {
    /// Whether it is in two's complement.
    pub is_signed: bool,
    /// Its width in bits: 1 to 64, unsigned at most 63.
    pub width: u32,
    /// The offset of its highest bit.
    pub offset: usize,
}

/// What happens to a number that does not fit into its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Its lowest bits are kept.
    Wrap,
    /// It becomes the nearest number that fits.
    Saturate,
    /// It is refused.
    Fail,
}

impl BitField {
    /// How long a string must be for the field to lie within it, in bytes.
    pub fn end_bytes(self) -> usize {
        self.offset.saturating_add(self.width as usize).div_ceil(BYTE_BITS)
    }

    /// The number in the field of a string; behind its end are zeros.
    pub fn read(self, string: Option<StringRef<'_>>) -> i64 {
        self.extend(self.bits_of(self.window(string)))
    }

    /// What is stored for a number, be it as big as a sum of two: the number itself if it fits, else what `overflow` makes of it. `None`: it is refused.
    pub fn fit(self, number: i128, overflow: Overflow) -> Option<i64> {
        let (least, most) = if self.is_signed {
            (-(1i128 << (self.width - 1)), (1i128 << (self.width - 1)) - 1)
        } else {
            (0, (1i128 << self.width) - 1)
        };
        let fitting = match overflow {
            _ if (least..=most).contains(&number) => number,
            Overflow::Fail => return None,
            Overflow::Saturate => number.clamp(least, most),
            Overflow::Wrap => {
                let low = number & ((1i128 << self.width) - 1);
                if low > most { low - (1i128 << self.width) } else { low }
            }
        };
        Some(i64::try_from(fitting).expect("a field has at most 64 bits, and 63 if it is unsigned"))
    }

    /// The bytes that the field touches, as one number.
    fn window(self, string: Option<StringRef<'_>>) -> u128 {
        let start = self.offset / BYTE_BITS;
        let mut window = [0; WINDOW_BYTES];
        if let Some(string) = string.filter(|string| start < string.len()) {
            let bytes = string.range(start, string.len().min(start + WINDOW_BYTES)).flatten();
            window.iter_mut().zip(bytes).for_each(|(byte, there)| *byte = *there);
        }
        window.iter().fold(0, |bits, byte| bits << BYTE_BITS | u128::from(*byte))
    }

    /// How far the field's lowest bit stands from the window's.
    fn shift(self) -> usize {
        WINDOW_BYTES * BYTE_BITS - self.offset % BYTE_BITS - self.width as usize
    }

    fn mask(self) -> u128 {
        (1 << self.width) - 1
    }

    fn bits_of(self, window: u128) -> u64 {
        u64::try_from(window >> self.shift() & self.mask()).expect("a field has at most 64 bits")
    }

    fn extend(self, bits: u64) -> i64 {
        let unused = u64::BITS - self.width;
        if self.is_signed { (bits << unused).cast_signed() >> unused } else { bits.cast_signed() }
    }
}

impl Keyspace {
    /// Writes a number, which fits, into a field of the string at a key. The string must reach as far: see [`Keyspace::grow_string`]. A number that
    /// is already there is no change.
    pub fn set_bit_field(
        &mut self,
        context: &Context,
        key: &[u8],
        field: BitField,
        number: i64,
    ) -> Result<(), DataError> {
        let window = field.window(self.string(context, key)?);
        let bits = u128::from(number.cast_unsigned()) & field.mask();
        let changed = window & !(field.mask() << field.shift()) | bits << field.shift();
        if changed != window {
            let start = field.offset / BYTE_BITS;
            let bytes = changed.to_be_bytes();
            let bytes = &bytes[size_of::<u128>() - WINDOW_BYTES..][..field.end_bytes() - start];
            self.set_range(context, key, start, bytes)?;
        }
        Ok(())
    }
}
