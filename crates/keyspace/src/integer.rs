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

/// Reads a number of bytes: `1k` is 1000, `1kb` is 1024, and so on, in any case. What does not fit is the largest number.
/// No digits are 0, as in Redis.
pub fn parse_memory(bytes: &[u8]) -> Option<u64> {
    let word = std::str::from_utf8(bytes).ok()?;
    let digits_end = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    let (digits, unit) = word.split_at(digits_end);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    match digits {
        "" => Some(0),
        // All digits, so that only the size can be wrong.
        _ => Some(digits.parse::<u64>().map_or(u64::MAX, |number| number.saturating_mul(factor))),
    }
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
    fn memory_has_redis_units() {
        for (text, bytes) in [
            ("10", 10),
            ("1b", 1),
            ("1k", 1000),
            ("1KB", 1024),
            ("2m", 2_000_000),
            ("2mb", 2 << 20),
            ("1G", 1_000_000_000),
            ("1gb", 1 << 30),
            ("", 0),
        ] {
            assert_eq!(parse_memory(text.as_bytes()), Some(bytes), "{text}");
        }
        assert_eq!(parse_memory(b"99999999999999999999gb"), Some(u64::MAX));
        for text in ["1tb", "-1", "1.5mb", "10%", " 1"] {
            assert_eq!(parse_memory(text.as_bytes()), None, "{text}");
        }
    }

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
