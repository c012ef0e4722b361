//! Listpacks: the elements of a small collection in one string.
//!
//! ```text
//! bytes: u32 | count: u16 (65535: unknown) | entry entry ... | 11111111             numbers little-endian
//! entry:     head | content | the length of both, 7 bits a byte, to be read backwards
//! head:      0nnnnnnn                    n         110nnnnn nnnnnnnn   13 bits, signed
//!            10llllll bytes                        1110llll llllllll bytes
//!            11110000 | u32 length | bytes         11110001 i16   11110010 i24   11110011 i32   11110100 i64
//! ```
//!
//! An integer comes back as its digits, so only what has the canonical form of one is written as one.

use std::borrow::Cow;

use keyspace::{INTEGER_BYTES_MAX, format_integer, parse_integer};

use crate::input::{Input, Read, Stop, bad};

const HEAD_BYTES: usize = 6;
const END: u8 = 0xff;
const COUNT_UNKNOWN: u16 = u16::MAX;

const STRING_32: u8 = 0xf0;
const INTEGER_16: u8 = 0xf1;
const INTEGER_24: u8 = 0xf2;
const INTEGER_32: u8 = 0xf3;
const INTEGER_64: u8 = 0xf4;

/// Puts a listpack together.
pub(crate) struct Writer {
    out: Vec<u8>,
    count: u16,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { out: vec![0; HEAD_BYTES], count: 0 }
    }

    /// The bytes by now. Whoever stays under 1 GiB gets a listpack that every reader takes.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn push(&mut self, element: &[u8]) {
        let number = if element.len() <= INTEGER_BYTES_MAX { parse_integer(element) } else { None };
        match number {
            Some(number) => self.push_integer(number),
            None => self.push_with(|out| push_bytes(out, element)),
        }
    }

    pub(crate) fn push_integer(&mut self, number: i64) {
        self.push_with(|out| push_integer(out, number));
    }

    fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.out.len();
        write(&mut self.out);
        let length = self.out.len() - start;
        push_length_backwards(&mut self.out, length);
        self.count = self.count.saturating_add(1);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.out.push(END);
        let length = u32::try_from(self.out.len()).expect("the caller keeps a listpack small");
        self.out[..4].copy_from_slice(&length.to_le_bytes());
        self.out[4..HEAD_BYTES].copy_from_slice(&self.count.to_le_bytes());
        self.out
    }
}

fn push_integer(out: &mut Vec<u8>, number: i64) {
    let bytes = number.to_le_bytes();
    match number {
        0..=127 => out.push(bytes[0]),
        -4096..=4095 => out.extend_from_slice(&[0xc0 | bytes[1] & 0x1f, bytes[0]]),
        -0x8000..=0x7fff => push_headed(out, INTEGER_16, &bytes[..2]),
        -0x80_0000..=0x7f_ffff => push_headed(out, INTEGER_24, &bytes[..3]),
        -0x8000_0000..=0x7fff_ffff => push_headed(out, INTEGER_32, &bytes[..4]),
        _ => push_headed(out, INTEGER_64, &bytes),
    }
}

fn push_headed(out: &mut Vec<u8>, head: u8, bytes: &[u8]) {
    out.push(head);
    out.extend_from_slice(bytes);
}

fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("the caller keeps a listpack small");
    let [low, second, ..] = length.to_le_bytes();
    match length {
        0..64 => out.push(0x80 | low),
        64..4096 => out.extend_from_slice(&[0xe0 | second, low]),
        _ => push_headed(out, STRING_32, &length.to_le_bytes()),
    }
    out.extend_from_slice(bytes);
}

/// The highest seven bits first and without mark; every byte behind it is marked.
fn push_length_backwards(out: &mut Vec<u8>, length: usize) {
    let groups = backwards_bytes(length);
    for group in (0..groups).rev() {
        let [low, ..] = (length >> (7 * group)).to_le_bytes();
        out.push(low & 0x7f | if group + 1 == groups { 0 } else { 0x80 });
    }
}

/// How many bytes say a length. The bounds are Redis's, which are one short of what would fit.
fn backwards_bytes(length: usize) -> usize {
    match length {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

/// An element, as it was written: whoever put it in sees the digits of an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element<'a> {
    Integer(i64),
    Bytes(&'a [u8]),
}

impl<'a> Element<'a> {
    /// The bytes that were put in.
    pub(crate) fn into_bytes(self) -> Cow<'a, [u8]> {
        match self {
            Self::Integer(number) => Cow::Owned(format_integer(number).to_vec()),
            Self::Bytes(bytes) => Cow::Borrowed(bytes),
        }
    }
}

/// Reads a listpack element by element. What it allocates is nothing.
pub(crate) struct Reader<'a> {
    input: Input<'a>,
    /// How many elements there are to be, if the listpack knows.
    expected: Option<usize>,
    count: usize,
}

impl<'a> Reader<'a> {
    /// Begins: the length must be right, and the last byte.
    pub(crate) fn new(bytes: &'a [u8]) -> Read<Self> {
        let Some((&END, content)) = bytes.split_last() else { return bad("a listpack without its end") };
        let mut input = Input::new(content);
        whole(|| {
            let length = u32::from_le_bytes(input.array()?);
            if usize::try_from(length) != Ok(bytes.len()) {
                return bad("a listpack has not the length that it says");
            }
            let expected = match u16::from_le_bytes(input.array()?) {
                COUNT_UNKNOWN => None,
                count => Some(usize::from(count)),
            };
            Ok(expected)
        })
        .map(|expected| Self { input, expected, count: 0 })
    }

    /// The next element; `None`: that was the last, and there were as many as there should be.
    pub(crate) fn next(&mut self) -> Read<Option<Element<'a>>> {
        if self.input.left() == 0 {
            let is_right = self.expected.is_none_or(|expected| expected == self.count);
            return if is_right { Ok(None) } else { bad("a listpack has not the elements that it says") };
        }
        self.count += 1;
        whole(|| read_entry(&mut self.input)).map(Some)
    }

    /// The next element, which is there.
    pub(crate) fn element(&mut self) -> Read<Element<'a>> {
        self.next()?.map_or_else(|| bad("a listpack ends too early"), Ok)
    }

    /// The next element, which is an integer.
    #[allow(dead_code, reason = "for the listpacks of streams")]
    pub(crate) fn integer(&mut self) -> Read<i64> {
        match self.element()? {
            Element::Integer(number) => Ok(number),
            Element::Bytes(_) => bad("a text in a listpack where an integer belongs"),
        }
    }

    /// The next element, as the bytes that were put in.
    pub(crate) fn bytes(&mut self) -> Read<Cow<'a, [u8]>> {
        self.element().map(Element::into_bytes)
    }
}

/// The listpack is there as a whole: what is short is damaged.
fn whole<T>(read: impl FnOnce() -> Read<T>) -> Read<T> {
    read().or_else(|stop| match stop {
        Stop::Short => bad("a listpack ends within an element"),
        stop => Err(stop),
    })
}

/// Reads every element, in order.
pub(crate) fn read<'a>(bytes: &'a [u8], mut each: impl FnMut(Cow<'a, [u8]>) -> Read<()>) -> Read<()> {
    let mut reader = Reader::new(bytes)?;
    while let Some(element) = reader.next()? {
        each(element.into_bytes())?;
    }
    Ok(())
}

fn read_entry<'a>(input: &mut Input<'a>) -> Read<Element<'a>> {
    let before = input.taken();
    let head = input.byte()?;
    let low = |mask: u8| usize::from(head & mask);
    let number = match head {
        0..0x80 => i64::from(head),
        0x80..0xc0 => return read_bytes(input, before, low(0x3f)),
        0xc0..0xe0 => {
            let bits = i64::from(head & 0x1f) << 8 | i64::from(input.byte()?);
            // The highest of the 13 bits is the sign.
            if bits < 4096 { bits } else { bits - 8192 }
        }
        0xe0..0xf0 => {
            let length = low(0x0f) << 8 | usize::from(input.byte()?);
            return read_bytes(input, before, length);
        }
        STRING_32 => {
            let length = u32::from_le_bytes(input.array()?);
            return read_bytes(input, before, usize::try_from(length).unwrap_or(usize::MAX));
        }
        INTEGER_16 => i64::from(i16::from_le_bytes(input.array()?)),
        INTEGER_24 => {
            let [low, middle, high] = input.array()?;
            i64::from(i32::from_le_bytes([0, low, middle, high]) >> 8)
        }
        INTEGER_32 => i64::from(i32::from_le_bytes(input.array()?)),
        INTEGER_64 => i64::from_le_bytes(input.array()?),
        _ => return bad("an element of a listpack of an unknown form"),
    };
    skip_length_backwards(input, before)?;
    Ok(Element::Integer(number))
}

fn read_bytes<'a>(input: &mut Input<'a>, before: usize, length: usize) -> Read<Element<'a>> {
    let bytes = input.bytes(length)?;
    skip_length_backwards(input, before)?;
    Ok(Element::Bytes(bytes))
}

fn skip_length_backwards(input: &mut Input<'_>, before: usize) -> Read<()> {
    let length = input.taken() - before;
    let groups = backwards_bytes(length);
    let mut found = 0;
    for (at, &byte) in input.bytes(groups)?.iter().enumerate() {
        if (byte & 0x80 == 0) != (at == 0) {
            return bad("an element of a listpack has no second length");
        }
        found = found << 7 | usize::from(byte & 0x7f);
    }
    if found == length { Ok(()) } else { bad("an element of a listpack has two lengths") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(bytes: &[u8]) -> Read<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        read(bytes, |element| {
            found.push(element.into_owned());
            Ok(())
        })?;
        Ok(found)
    }

    fn samples() -> Vec<Vec<u8>> {
        let numbers = [0, 127, 128, -1, 4095, -4096, 4096, -4097, 0x7fff, -0x8000, 0x8000, -0x8001];
        let wide = [0x7f_ffff, -0x80_0000, 0x80_0000, -0x80_0001, 0x7fff_ffff, -0x8000_0000, i64::MAX, i64::MIN];
        let lengths = [0, 1, 63, 64, 125, 126, 127, 128, 4095, 4096, 16_377, 16_378, 16_381, 16_384, 70_000];
        let mut all: Vec<Vec<u8>> =
            numbers.into_iter().chain(wide).map(|number: i64| number.to_string().into_bytes()).collect();
        all.extend(lengths.map(|length| vec![b'x'; length]));
        all
    }

    fn written(elements: &[Vec<u8>]) -> Vec<u8> {
        let mut writer = Writer::new();
        elements.iter().for_each(|element| writer.push(element));
        writer.finish()
    }

    #[test]
    fn elements_read_as_written() {
        assert_eq!(elements(&written(&samples())), Ok(samples()));
        assert_eq!(elements(&written(&[])), Ok(vec![]));
        let many = vec![b"1".to_vec(); 70_000];
        assert_eq!(elements(&written(&many)), Ok(many));
    }

    /// The listpack that redis-server 7.0 answers to DUMP of the hash {a: 1, b: -300}.
    #[test]
    fn is_what_redis_writes() {
        let bytes = [0x12, 0, 0, 0, 4, 0, 0x81, b'a', 2, 1, 1, 0x81, b'b', 2, 0xde, 0xd4, 2, 0xff];
        let pairs: Vec<Vec<u8>> = ["a", "1", "b", "-300"].iter().map(|text| text.as_bytes().to_vec()).collect();
        assert_eq!(written(&pairs), bytes);
        assert_eq!(elements(&bytes), Ok(pairs));
    }

    #[test]
    fn elements_are_read_one_by_one() {
        let mut writer = Writer::new();
        writer.push_integer(-70_000);
        writer.push(b"12");
        writer.push(b"x");
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes).expect("just written");
        assert_eq!((reader.integer(), reader.integer()), (Ok(-70_000), Ok(12)));
        assert!(reader.integer().is_err(), "no integer");
        assert_eq!(reader.next(), Ok(None));
        assert!(reader.element().is_err(), "nothing is left");
    }

    /// So does redis-server 7.0, though two bytes would do.
    #[test]
    fn the_longest_length_of_two_bytes_takes_three() {
        let bytes = written(&[vec![b'x'; 16_378]]);
        assert!(bytes.ends_with(&[b'x', 0x00, 0xff, 0xff, END]));
    }

    #[test]
    fn damage_is_refused_or_harmless() {
        let bytes = written(&samples()[..25]);
        assert!((0..bytes.len()).all(|end| elements(&bytes[..end]).is_err()));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let _ = elements(&flipped);
            }
        }
    }
}
