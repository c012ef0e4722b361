//! Lengths.
//!
//! ```text
//! 00|6 bits                     10000000|32 bits       big-endian
//! 01|6 bits|8 bits              10000001|64 bits       big-endian
//! 11|6 bits                     no length: a special string, see `string`
//! ```

use crate::input::{Input, Read, bad};

const WIDE_32: u8 = 0x80;
const WIDE_64: u8 = 0x81;

/// What stands where a length may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Plain(u64),
    /// A special string with this number.
    Special(u8),
}

pub(crate) fn write_length(out: &mut Vec<u8>, length: u64) {
    let [.., second, first] = length.to_be_bytes();
    if length < 1 << 6 {
        out.push(first);
    } else if length < 1 << 14 {
        out.extend_from_slice(&[0x40 | second, first]);
    } else if let Ok(length) = u32::try_from(length) {
        out.push(WIDE_32);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(WIDE_64);
        out.extend_from_slice(&length.to_be_bytes());
    }
}

pub(crate) fn read_length_or_special(input: &mut Input<'_>) -> Read<Length> {
    let first = input.byte()?;
    let low = first & 0x3f;
    Ok(match first >> 6 {
        0 => Length::Plain(u64::from(low)),
        1 => Length::Plain(u64::from(low) << 8 | u64::from(input.byte()?)),
        3 => Length::Special(low),
        _ if first == WIDE_32 => Length::Plain(u64::from(u32::from_be_bytes(input.array()?))),
        _ if first == WIDE_64 => Length::Plain(u64::from_be_bytes(input.array()?)),
        _ => return bad("a length of an unknown form"),
    })
}

pub(crate) fn read_length(input: &mut Input<'_>) -> Read<u64> {
    match read_length_or_special(input)? {
        Length::Plain(length) => Ok(length),
        Length::Special(_) => bad("a string where a length belongs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_written() {
        for length in [0, 1, 63, 64, 16383, 16384, u64::from(u32::MAX), u64::from(u32::MAX) + 1, u64::MAX] {
            let mut out = Vec::new();
            write_length(&mut out, length);
            assert_eq!(read_length(&mut Input::new(&out)), Ok(length));
        }
    }
}
