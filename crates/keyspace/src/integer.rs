//! Integers as Redis reads and writes them.

use std::fmt::Write;

/// The longest decimal form of an `i64`: `-9223372036854775808`.
pub const INTEGER_BYTES_MAX: usize = 20;

/// Reads a decimal `i64` in canonical form: no plus, no leading zeros, no spaces, no `-0`.
///
/// Only what [`format_integer`] would write is read, so a string that holds a number can be kept as that number.
pub fn parse_integer(bytes: &[u8]) -> Option<i64> {
    if bytes == b"0" {
        return Some(0);
    }
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() >= INTEGER_BYTES_MAX || !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    // 19 digits fit into a u64.
    let mut magnitude = 0u64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit - b'0');
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// The decimal form of a number, on the stack.
pub fn format_integer(number: i64) -> Digits {
    let mut digits = Digits { bytes: [0; INTEGER_BYTES_MAX], length: 0 };
    write!(digits, "{number}").expect("an i64 has at most 20 bytes");
    digits
}

/// A short decimal text without an allocation; reads as a byte slice.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    bytes: [u8; INTEGER_BYTES_MAX],
    length: usize,
}

impl std::ops::Deref for Digits {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Write for Digits {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for number in [0, 1, -1, 42, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1, 1_000_000_007] {
            assert_eq!(parse_integer(&format_integer(number)), Some(number));
        }
    }

    #[test]
    fn refuses_everything_else() {
        let bad = [
            "",
            "-",
            "+1",
            "01",
            "-0",
            "-01",
            " 1",
            "1 ",
            "1.0",
            "abc",
            "9223372036854775808",
            "-9223372036854775809",
            "92233720368547758070",
            "1_0",
            "0x10",
        ];
        for text in bad {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text:?}");
        }
    }
}
