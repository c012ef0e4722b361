//! Strings.
//!
//! ```text
//! length | bytes
//! 11000000 | i8    11000001 | i16    11000010 | i32        the digits of an integer, little-endian
//! 11000011 | compressed length | length | compressed bytes   see `lzf`
//! ```

use std::borrow::Cow;

use keyspace::{STRING_BYTES_MAX, format_integer, parse_integer};

use crate::input::{Input, Read, bad};
use crate::lzf;
use crate::number::{Length, read_length, read_length_or_special, write_length};

const SPECIAL: u8 = 0xc0;
const INTEGER_8: u8 = 0;
const INTEGER_16: u8 = 1;
const INTEGER_32: u8 = 2;
const COMPRESSED: u8 = 3;
/// A string that is shorter is not worth the trial.
const COMPRESSED_BYTES_MIN: usize = 21;
/// The longest digits of a 32-bit integer.
const INTEGER_DIGITS_MAX: usize = 11;

/// Writes a string, compressed if that makes it shorter.
pub(crate) fn write_compressed(out: &mut Vec<u8>, bytes: &[u8]) {
    let compressed = if bytes.len() >= COMPRESSED_BYTES_MIN { lzf::compress(bytes) } else { None };
    // Four bytes say that it is compressed, and how.
    let Some(compressed) = compressed.filter(|compressed| compressed.len() + 4 < bytes.len()) else {
        return write_string(out, bytes);
    };
    out.push(SPECIAL | COMPRESSED);
    write_length(out, compressed.len() as u64);
    write_length(out, bytes.len() as u64);
    out.extend_from_slice(&compressed);
}

/// Writes a string as it is, or as an integer: quicker than compressed.
pub(crate) fn write_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let number = if bytes.len() <= INTEGER_DIGITS_MAX { parse_integer(bytes) } else { None };
    if let Some(number) = number.and_then(|number| i32::try_from(number).ok()) {
        return write_integer(out, number);
    }
    write_length(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn write_integer(out: &mut Vec<u8>, number: i32) {
    if let Ok(number) = i8::try_from(number) {
        out.push(SPECIAL | INTEGER_8);
        out.extend_from_slice(&number.to_le_bytes());
    } else if let Ok(number) = i16::try_from(number) {
        out.push(SPECIAL | INTEGER_16);
        out.extend_from_slice(&number.to_le_bytes());
    } else {
        out.push(SPECIAL | INTEGER_32);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// A string, or the length of one whose bytes follow.
pub(crate) enum Head<'a> {
    Whole(Cow<'a, [u8]>),
    Follows(usize),
}

/// Reads a string up to its bytes, so that a long one can be taken piece by piece.
pub(crate) fn read_head<'a>(input: &mut Input<'a>) -> Read<Head<'a>> {
    let number = match read_length_or_special(input)? {
        Length::Plain(length) => return Ok(Head::Follows(checked(length)?)),
        Length::Special(INTEGER_8) => i64::from(i8::from_le_bytes(input.array()?)),
        Length::Special(INTEGER_16) => i64::from(i16::from_le_bytes(input.array()?)),
        Length::Special(INTEGER_32) => i64::from(i32::from_le_bytes(input.array()?)),
        Length::Special(COMPRESSED) => {
            let compressed = checked(read_length(input)?)?;
            let length = checked(read_length(input)?)?;
            return Ok(Head::Whole(Cow::Owned(lzf::decompress(input.bytes(compressed)?, length)?)));
        }
        Length::Special(_) => return bad("a string of an unknown form"),
    };
    Ok(Head::Whole(Cow::Owned(format_integer(number).to_vec())))
}

pub(crate) fn read_string<'a>(input: &mut Input<'a>) -> Read<Cow<'a, [u8]>> {
    match read_head(input)? {
        Head::Whole(bytes) => Ok(bytes),
        Head::Follows(length) => Ok(Cow::Borrowed(input.bytes(length)?)),
    }
}

fn checked(length: u64) -> Read<usize> {
    let length = usize::try_from(length).ok().filter(|&length| length <= STRING_BYTES_MAX);
    length.map_or_else(|| bad("a string longer than any may be"), Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_string(&mut out, bytes);
        assert_eq!(Input::whole(&out, read_string).expect("just written"), bytes);
        out
    }

    #[test]
    fn strings_read_as_written() {
        for text in ["", "a", "007", "-0", "2147483648", "99999999999"] {
            assert_eq!(there_and_back(text.as_bytes()).len(), 1 + text.len());
        }
        there_and_back(&[7; 20_000]);
    }

    #[test]
    fn small_integers_take_few_bytes() {
        for (text, bytes) in [("0", 2), ("-128", 2), ("128", 3), ("-32768", 3), ("-2147483648", 5)] {
            assert_eq!(there_and_back(text.as_bytes()).len(), bytes);
        }
    }
}
