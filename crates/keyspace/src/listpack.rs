//! Listpacks: one element after another, to be read forwards and backwards. Chunks of streams are kept so, and RDB writes small
//! collections so.
//!
//! ```text
//! bytes: u32 | count: u16 (65535: many) | element element ... | 11111111            numbers little-endian
//! element:   head | content | the length of both, 7 bits a byte, to be read backwards
//! head:      0nnnnnnn                    n         110nnnnn nnnnnnnn   13 bits, signed
//!            10llllll bytes                        1110llll llllllll bytes
//!            11110000 | u32 length | bytes         11110001 i16   11110010 i24   11110011 i32   11110100 i64
//! ```
//!
//! The bytes are Redis's own, so that the size of a chunk decides here what it decides there, and a dump is a copy. An integer is
//! written as one only where its text has the canonical form, so that its digits come back. Reading is total.

use std::ops::Deref;

use crate::integer::{Digits, INTEGER_BYTES_MAX, format_integer, parse_integer};

/// What stands in front of the first element.
pub const HEAD_BYTES: usize = 6;
const END: u8 = 0xff;
const COUNT_MANY: u16 = u16::MAX;

const STRING_32: u8 = 0xf0;
const INTEGER_16: u8 = 0xf1;
const INTEGER_24: u8 = 0xf2;
const INTEGER_32: u8 = 0xf3;
const INTEGER_64: u8 = 0xf4;

/// An element as its bytes, those of an integer written out.
#[derive(Clone, Copy, Debug)]
pub enum Text<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// A number, written out.
    Digits(Digits),
}

impl Deref for Text<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Digits(digits) => digits,
        }
    }
}

impl AsRef<[u8]> for Text<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// An element of a listpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// A number.
    Number(i64),
}

impl<'a> Element<'a> {
    /// The bytes that were put in.
    pub fn text(self) -> Text<'a> {
        match self {
            Self::Bytes(bytes) => Text::Bytes(bytes),
            Self::Number(number) => Text::Digits(format_integer(number)),
        }
    }

    /// The number, if it is one.
    pub fn number(self) -> Option<i64> {
        match self {
            Self::Bytes(_) => None,
            Self::Number(number) => Some(number),
        }
    }
}

/// A listpack without elements.
pub fn empty() -> Vec<u8> {
    let mut bytes = vec![0; HEAD_BYTES];
    seal(&mut bytes, 0);
    bytes
}

/// Appends elements to a listpack that is open: its end was taken off by [`open`], and [`seal`] will put it back.
pub fn push_text(bytes: &mut Vec<u8>, text: &[u8]) {
    let number = if text.len() <= INTEGER_BYTES_MAX { parse_integer(text) } else { None };
    match number {
        Some(number) => push_number(bytes, number),
        None => {
            let start = bytes.len();
            push_bytes(bytes, text);
            push_length_backwards(bytes, start);
        }
    }
}

/// See [`push_text`].
pub fn push_number(bytes: &mut Vec<u8>, number: i64) {
    let start = bytes.len();
    let content = number.to_le_bytes();
    let mut headed = |head: u8, content: &[u8]| {
        bytes.push(head);
        bytes.extend_from_slice(content);
    };
    match number {
        0..=127 => bytes.push(content[0]),
        -4096..=4095 => headed(0xc0 | content[1] & 0x1f, &content[..1]),
        -0x8000..=0x7fff => headed(INTEGER_16, &content[..2]),
        -0x80_0000..=0x7f_ffff => headed(INTEGER_24, &content[..3]),
        -0x8000_0000..=0x7fff_ffff => headed(INTEGER_32, &content[..4]),
        _ => headed(INTEGER_64, &content),
    }
    push_length_backwards(bytes, start);
}

fn push_bytes(bytes: &mut Vec<u8>, text: &[u8]) {
    let length = u32::try_from(text.len()).expect("a command is shorter than 4 GiB");
    let [low, second, ..] = length.to_le_bytes();
    match length {
        0..64 => bytes.push(0x80 | low),
        64..4096 => bytes.extend_from_slice(&[0xe0 | second, low]),
        _ => {
            bytes.push(STRING_32);
            bytes.extend_from_slice(&length.to_le_bytes());
        }
    }
    bytes.extend_from_slice(text);
}

/// How many bytes say a length. The bounds are Redis's, which are one short of what would fit.
fn length_bytes(length: usize) -> usize {
    match length {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

/// A length as it stands behind an element: the highest seven bits first and without mark; every byte behind it is marked.
fn backwards(length: usize) -> impl Iterator<Item = u8> {
    let count = length_bytes(length);
    (0..count).rev().map(move |group| {
        let [low, ..] = (length >> (7 * group)).to_le_bytes();
        low & 0x7f | if group + 1 == count { 0 } else { 0x80 }
    })
}

fn push_length_backwards(bytes: &mut Vec<u8>, start: usize) {
    let length = bytes.len() - start;
    bytes.extend(backwards(length));
}

/// Takes the end off, and says how many elements the head counts.
pub fn open(bytes: &mut Vec<u8>) -> usize {
    let end = bytes.pop();
    debug_assert_eq!(end, Some(END));
    usize::from(u16::from_le_bytes([bytes[4], bytes[5]]))
}

/// Puts the end on, and says in the head that there are so many elements.
pub fn seal(bytes: &mut Vec<u8>, count: usize) {
    bytes.push(END);
    let count = u16::try_from(count).unwrap_or(COUNT_MANY);
    bytes[4..HEAD_BYTES].copy_from_slice(&count.to_le_bytes());
    write_length(bytes);
}

/// Says in the head how long the listpack is.
pub fn write_length(bytes: &mut [u8]) {
    let length = u32::try_from(bytes.len()).expect("a chunk is shorter than 4 GiB");
    bytes[..4].copy_from_slice(&length.to_le_bytes());
}

/// The element at a place, and where the next begins. `None`: there is none, or none that is whole.
pub fn read(bytes: &[u8], at: usize) -> Option<(Element<'_>, usize)> {
    let (element, length) = read_content(bytes, at)?;
    let next = at + length + length_bytes(length);
    // Behind every element stands another, or the end.
    if next < bytes.len() { Some((element, next)) } else { None }
}

/// As [`read`], of a listpack that came from elsewhere: `None` also where the length behind the element is another.
pub fn read_checked(bytes: &[u8], at: usize) -> Option<(Element<'_>, usize)> {
    let (element, length) = read_content(bytes, at)?;
    let (_, next) = read(bytes, at)?;
    bytes[at + length..next].iter().copied().eq(backwards(length)).then_some((element, next))
}

/// The element at a place, and how many bytes say it, without its length behind.
fn read_content(bytes: &[u8], at: usize) -> Option<(Element<'_>, usize)> {
    let head = *bytes.get(at)?;
    let content = &bytes[at + 1..];
    let low = |mask: u8| usize::from(head & mask);
    Some(match head {
        0..0x80 => (Element::Number(i64::from(head)), 1),
        0x80..0xc0 => (Element::Bytes(content.get(..low(0x3f))?), 1 + low(0x3f)),
        0xc0..0xe0 => {
            let bits = i64::from(head & 0x1f) << 8 | i64::from(*content.first()?);
            // The highest of the 13 bits is the sign.
            (Element::Number(if bits < 4096 { bits } else { bits - 8192 }), 2)
        }
        0xe0..0xf0 => {
            let length = low(0x0f) << 8 | usize::from(*content.first()?);
            (Element::Bytes(content[1..].get(..length)?), 2 + length)
        }
        STRING_32 => {
            let length = usize::try_from(u32::from_le_bytes(*content.first_chunk()?)).ok()?;
            (Element::Bytes(content[4..].get(..length)?), 5 + length)
        }
        INTEGER_16 => (Element::Number(i64::from(i16::from_le_bytes(*content.first_chunk()?))), 3),
        INTEGER_24 => {
            let [low, middle, high] = *content.first_chunk()?;
            (Element::Number(i64::from(i32::from_le_bytes([0, low, middle, high]) >> 8)), 4)
        }
        INTEGER_32 => (Element::Number(i64::from(i32::from_le_bytes(*content.first_chunk()?))), 5),
        INTEGER_64 => (Element::Number(i64::from_le_bytes(*content.first_chunk()?)), 9),
        _ => return None,
    })
}

/// Where the element begins that ends in front of a place. `None`: its length makes no sense.
pub fn previous(bytes: &[u8], end: usize) -> Option<usize> {
    let (mut length, mut shift, mut at) = (0usize, 0, end);
    loop {
        at = at.checked_sub(1).filter(|&at| at > HEAD_BYTES && shift < 35)?;
        length |= usize::from(bytes[at] & 0x7f) << shift;
        if bytes[at] & 0x80 == 0 {
            break;
        }
        shift += 7;
    }
    at.checked_sub(length).filter(|&start| start >= HEAD_BYTES)
}

/// How many elements the head counts (`None`: it does not say), if it says how long the bytes are and the last of them is the
/// end.
pub fn head(bytes: &[u8]) -> Option<Option<usize>> {
    let (length, count) = (*bytes.first_chunk()?, bytes.get(4..HEAD_BYTES)?);
    let count = u16::from_le_bytes([count[0], count[1]]);
    let is_whole = bytes.len() > HEAD_BYTES
        && usize::try_from(u32::from_le_bytes(length)) == Ok(bytes.len())
        && bytes.ends_with(&[END]);
    is_whole.then_some((count != COUNT_MANY).then_some(usize::from(count)))
}

/// Whether the head says what there is, and every element can be read from both sides.
pub fn is_sound(bytes: &[u8]) -> bool {
    let Some(count) = head(bytes) else { return false };
    let (mut at, mut found) = (HEAD_BYTES, 0usize);
    while at < bytes.len() - 1 {
        let Some((_, next)) = read_checked(bytes, at) else { return false };
        (at, found) = (next, found + 1);
    }
    count.is_none_or(|count| count == found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_read_as_written_from_both_sides() {
        let numbers = [0, 127, 128, -1, 4095, -4096, 4096, -4097, 0x7fff, -0x8000, 0x8000, -0x8001];
        let wide = [0x7f_ffff, -0x80_0000, 0x80_0000, -0x80_0001, 0x7fff_ffff, -0x8000_0000, i64::MAX, i64::MIN];
        let lengths = [0, 1, 63, 64, 125, 126, 127, 128, 4095, 4096, 16_378, 16_379, 16_381, 16_384, 70_000];
        let mut texts: Vec<Vec<u8>> =
            numbers.into_iter().chain(wide).map(|number: i64| number.to_string().into_bytes()).collect();
        texts.extend(lengths.map(|length| vec![b'x'; length]));
        let mut bytes = empty();
        assert!(is_sound(&bytes));
        assert_eq!(open(&mut bytes), 0);
        texts.iter().for_each(|text| push_text(&mut bytes, text));
        seal(&mut bytes, texts.len());
        assert!(is_sound(&bytes));
        let (mut at, mut places) = (HEAD_BYTES, Vec::new());
        for text in &texts {
            let (element, next) = read(&bytes, at).unwrap();
            assert_eq!(&element.text()[..], text);
            places.push(at);
            at = next;
        }
        assert_eq!(at, bytes.len() - 1);
        while let Some(place) = places.pop() {
            assert_eq!(previous(&bytes, at), Some(place));
            at = place;
        }
    }

    /// The listpack that redis-server 7.0 answers to DUMP of the hash {a: 1, b: -300}.
    #[test]
    fn is_what_redis_writes() {
        let expected = [0x12, 0, 0, 0, 4, 0, 0x81, b'a', 2, 1, 1, 0x81, b'b', 2, 0xde, 0xd4, 2, 0xff];
        let mut bytes = empty();
        open(&mut bytes);
        ["a", "1", "b", "-300"].iter().for_each(|text| push_text(&mut bytes, text.as_bytes()));
        seal(&mut bytes, 4);
        assert_eq!(bytes, expected);
    }
}
