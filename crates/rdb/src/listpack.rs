//! Listpacks as RDB holds them: written element by element, and read with every check, since they come from elsewhere. Their
//! bytes are [`keyspace::listpack`]'s.

use std::borrow::Cow;

use keyspace::listpack::{self, Element, HEAD_BYTES, Text};

use crate::input::{Read, bad};

/// Puts a listpack together.
pub(crate) struct Writer {
    out: Vec<u8>,
    count: usize,
}

impl Writer {
    pub(crate) fn new() -> Self {
        let mut out = listpack::empty();
        listpack::open(&mut out);
        Self { out, count: 0 }
    }

    /// The bytes by now. Whoever stays under 1 GiB gets a listpack that every reader takes.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn push(&mut self, element: &[u8]) {
        listpack::push_text(&mut self.out, element);
        self.count += 1;
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        listpack::seal(&mut self.out, self.count);
        self.out
    }
}

/// The bytes of an element, as they were put in.
pub(crate) fn into_bytes(element: Element<'_>) -> Cow<'_, [u8]> {
    match element.text() {
        Text::Bytes(bytes) => Cow::Borrowed(bytes),
        Text::Digits(digits) => Cow::Owned(digits.to_vec()),
    }
}

/// Reads a listpack element by element. What it allocates is nothing.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// How many elements there are to be, if the listpack knows.
    expected: Option<usize>,
    count: usize,
}

impl<'a> Reader<'a> {
    /// Begins: the length must be right, and the last byte.
    pub(crate) fn new(bytes: &'a [u8]) -> Read<Self> {
        match listpack::head(bytes) {
            Some(expected) => Ok(Self { bytes, at: HEAD_BYTES, expected, count: 0 }),
            None => bad("a listpack has not the length that it says, or no end"),
        }
    }

    /// The next element; `None`: that was the last, and there were as many as there should be.
    pub(crate) fn next(&mut self) -> Read<Option<Element<'a>>> {
        if self.at + 1 == self.bytes.len() {
            let is_right = self.expected.is_none_or(|expected| expected == self.count);
            return if is_right { Ok(None) } else { bad("a listpack has not the elements that it says") };
        }
        let Some((element, next)) = listpack::read_checked(self.bytes, self.at) else {
            return bad("an element of a listpack is cut off, of an unknown form, or without its second length");
        };
        (self.at, self.count) = (next, self.count + 1);
        Ok(Some(element))
    }

    /// The next element, which is there.
    pub(crate) fn element(&mut self) -> Read<Element<'a>> {
        self.next()?.map_or_else(|| bad("a listpack ends too early"), Ok)
    }

    /// The next element, which is an integer.
    pub(crate) fn integer(&mut self) -> Read<i64> {
        self.element()?.number().map_or_else(|| bad("a text in a listpack where an integer belongs"), Ok)
    }

    /// The next element, as the bytes that were put in.
    pub(crate) fn bytes(&mut self) -> Read<Cow<'a, [u8]>> {
        self.element().map(into_bytes)
    }
}

/// Reads every element, in order.
pub(crate) fn read<'a>(bytes: &'a [u8], mut each: impl FnMut(Cow<'a, [u8]>) -> Read<()>) -> Read<()> {
    let mut reader = Reader::new(bytes)?;
    while let Some(element) = reader.next()? {
        each(into_bytes(element))?;
    }
    Ok(())
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
        writer.push(b"-70000");
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
        assert!(bytes.ends_with(&[b'x', 0x00, 0xff, 0xff, 0xff]));
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
