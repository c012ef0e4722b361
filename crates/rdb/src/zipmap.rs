//! Zipmaps: small hashes of Redis before 2.6. Read only.
//!
//! ```text
//! count: u8 (254, 255: unknown) | pair pair ... | 11111111
//! pair:  length | field | length | free: u8 | value | so many unused bytes
//! length: u8, or 254 and u32 little-endian
//! ```

use crate::input::{Input, Read, bad};

const END: u8 = 0xff;
const LONG: u8 = 254;

/// Reads every field with its value, in order.
pub(crate) fn read<'a>(bytes: &'a [u8], mut each: impl FnMut(&'a [u8], &'a [u8]) -> Read<()>) -> Read<()> {
    Input::whole(bytes, |input| {
        let expected = input.byte()?;
        let mut count = 0usize;
        while let Some(field_bytes) = read_length(input)? {
            let field = input.bytes(field_bytes)?;
            let Some(value_bytes) = read_length(input)? else { return bad("a zipmap ends within a pair") };
            let free = usize::from(input.byte()?);
            let value = input.bytes(value_bytes)?;
            input.bytes(free)?;
            each(field, value)?;
            count += 1;
        }
        if expected < LONG && usize::from(expected) != count {
            return bad("a zipmap has not the pairs that it says");
        }
        Ok(())
    })
}

/// A length; `None` at the end.
fn read_length(input: &mut Input<'_>) -> Read<Option<usize>> {
    Ok(match input.byte()? {
        END => None,
        LONG => Some(usize::try_from(u32::from_le_bytes(input.array()?)).unwrap_or(usize::MAX)),
        length => Some(usize::from(length)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: &[u8] = b"\x02\x01a\x02\x0112-\xfe\x01\x00\x00\x00b\x00\x00\xff";

    fn pairs(bytes: &[u8]) -> Read<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut found = Vec::new();
        read(bytes, |field, value| {
            found.push((field.to_vec(), value.to_vec()));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn pairs_are_read() {
        assert_eq!(pairs(PAIRS), Ok(vec![(b"a".to_vec(), b"12".to_vec()), (b"b".to_vec(), Vec::new())]));
        assert!((0..PAIRS.len()).all(|end| pairs(&PAIRS[..end]).is_err()));
        assert!(pairs(b"\x01\xff").is_err(), "a pair is missing");
    }
}
