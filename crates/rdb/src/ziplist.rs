//! Ziplists: what listpacks were before Redis 7. Read only.
//!
//! ```text
//! bytes: u32 | offset of the last entry: u32 | count: u16 (65535: unknown) | entry entry ... | 11111111       numbers little-endian
//! entry:     length of the one before: u8, or 254 and u32 | head | content
//! head:      00llllll bytes                          1111nnnn            n - 1, from 0 to 12
//!            01llllll llllllll bytes                 11111110 i8         11000000 i16        11110000 i24
//!            10------ | length: u32 big-endian | bytes                   11010000 i32        11100000 i64
//! ```

use keyspace::listpack::Element;

use crate::input::{Input, Read, bad};

const END: u8 = 0xff;
const COUNT_UNKNOWN: u16 = u16::MAX;
/// What stands in front of the length of an entry of at least so many bytes.
const LONG: u8 = 254;

/// Reads every element, in order.
pub(crate) fn read<'a>(bytes: &'a [u8], mut each: impl FnMut(Element<'a>) -> Read<()>) -> Read<()> {
    Input::whole(bytes, |input| {
        let length = u32::from_le_bytes(input.array()?);
        if usize::try_from(length) != Ok(bytes.len()) {
            return bad("a ziplist has not the length that it says");
        }
        let last_at = u32::from_le_bytes(input.array()?);
        let expected = u16::from_le_bytes(input.array()?);
        let (mut count, mut before, mut at) = (0usize, 0, input.taken());
        while input.left() > 1 {
            at = input.taken();
            each(read_entry(input, before)?)?;
            before = input.taken() - at;
            count += 1;
        }
        if input.byte()? != END || usize::try_from(last_at) != Ok(at) {
            return bad("a ziplist without its end");
        }
        if expected != COUNT_UNKNOWN && usize::from(expected) != count {
            return bad("a ziplist has not the elements that it says");
        }
        Ok(())
    })
}

fn read_entry<'a>(input: &mut Input<'a>, before: usize) -> Read<Element<'a>> {
    let length_before = match input.byte()? {
        LONG => usize::try_from(u32::from_le_bytes(input.array()?)),
        length => Ok(usize::from(length)),
    };
    if length_before != Ok(before) {
        return bad("an element of a ziplist does not know the one before");
    }
    let head = input.byte()?;
    let length = match head {
        0..0x40 => usize::from(head),
        0x40..0x80 => usize::from(head & 0x3f) << 8 | usize::from(input.byte()?),
        0x80..0xc0 => usize::try_from(u32::from_be_bytes(input.array()?)).unwrap_or(usize::MAX),
        _ => return read_integer(input, head).map(Element::Number),
    };
    input.bytes(length).map(Element::Bytes)
}

fn read_integer(input: &mut Input<'_>, head: u8) -> Read<i64> {
    Ok(match head {
        0xc0 => i64::from(i16::from_le_bytes(input.array()?)),
        0xd0 => i64::from(i32::from_le_bytes(input.array()?)),
        0xe0 => i64::from_le_bytes(input.array()?),
        0xf0 => {
            let [low, middle, high] = input.array()?;
            i64::from(i32::from_le_bytes([0, low, middle, high]) >> 8)
        }
        0xfe => i64::from(i8::from_le_bytes(input.array()?)),
        0xf1..=0xfd => i64::from(head & 0x0f) - 1,
        _ => return bad("an element of a ziplist of an unknown form"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(bytes: &[u8]) -> Read<Vec<String>> {
        let mut found = Vec::new();
        read(bytes, |element| {
            found.push(String::from_utf8_lossy(&element.text()).into_owned());
            Ok(())
        })?;
        Ok(found)
    }

    /// A ziplist of these entries, each without the length in front.
    fn ziplist(entries: &[&[u8]]) -> Vec<u8> {
        let (mut out, mut before, mut last_at) = (vec![0; 10], 0, 10);
        for entry in entries {
            last_at = out.len();
            match u8::try_from(before) {
                Ok(short) if short < LONG => out.push(short),
                _ => {
                    out.push(LONG);
                    out.extend_from_slice(&u32::try_from(before).unwrap().to_le_bytes());
                }
            }
            out.extend_from_slice(entry);
            before = out.len() - last_at;
        }
        out.push(END);
        let length = u32::try_from(out.len()).unwrap();
        out[..4].copy_from_slice(&length.to_le_bytes());
        out[4..8].copy_from_slice(&u32::try_from(last_at).unwrap().to_le_bytes());
        out[8..10].copy_from_slice(&u16::try_from(entries.len()).unwrap().to_le_bytes());
        out
    }

    #[test]
    fn every_form_of_an_entry() {
        let long = [&[0x41, 0x2c][..], &[b'x'; 300]].concat();
        let entries: [&[u8]; 10] = [
            b"\x02ab",
            &long,
            b"\x80\x00\x00\x00\x01z",
            &[0xf1],
            &[0xfd],
            &[0xfe, 0x80],
            &[0xc0, 0, 0x80],
            &[0xf0, 0xff, 0xff, 0xff],
            &[0xd0, 0, 0, 0, 0x80],
            &[0xe0, 255, 255, 255, 255, 255, 255, 255, 127],
        ];
        let expected: Vec<String> = ["ab", &"x".repeat(300), "z", "0", "12", "-128", "-32768", "-1", "-2147483648"]
            .into_iter()
            .chain(["9223372036854775807"])
            .map(String::from)
            .collect();
        assert_eq!(elements(&ziplist(&entries)), Ok(expected));
        assert_eq!(elements(&ziplist(&[])), Ok(vec![]));
    }

    #[test]
    fn damage_is_refused_or_harmless() {
        let bytes = ziplist(&[b"\x02ab", &[0xfe, 0x80], &[0xc0, 0, 0x80]]);
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
