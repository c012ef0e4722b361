//! Decimal integers, both ways, as the protocol spells them: no sign but `-`, no leading zero, no space.

/// `00` to `99`, so that formatting takes two digits a step.
const PAIRS: [u8; 200] = pairs();

const fn pairs() -> [u8; 200] {
    let mut table = [0; 200];
    let mut number = 0_u8;
    while number < 100 {
        table[number as usize * 2] = b'0' + number / 10;
        table[number as usize * 2 + 1] = b'0' + number % 10;
        number += 1;
    }
    table
}

/// The longest text of an `i64`: `-9223372036854775808`.
const TEXT_MAX: usize = 20;

/// An integer's decimal text, held without an allocation.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    /// The text stands at the end, from `start` on.
    text: [u8; TEXT_MAX],
    start: usize,
}

impl Decimal {
    /// The text of `value`, as Redis spells it.
    pub fn new(value: i64) -> Self {
        let mut text = [0; TEXT_MAX];
        let mut start = write_digits(&mut text, value.unsigned_abs());
        if value < 0 {
            start -= 1;
            text[start] = b'-';
        }
        Self { text, start }
    }

    /// The text: 1 to 20 ASCII bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[self.start..]
    }
}

impl AsRef<[u8]> for Decimal {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// Writes the digits of `value` at the end of `text`, which has room for them; returns where they start.
fn write_digits(text: &mut [u8], mut value: u64) -> usize {
    let mut start = text.len();
    while value >= 10 {
        let pair = (value % 100) as usize * 2;
        value /= 100;
        start -= 2;
        text[start..start + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    // Either nothing is written yet, or one digit may be left; an even count of digits leaves a zero, which is not.
    if value > 0 || start == text.len() {
        start -= 1;
        text[start] = b'0' + (value % 10) as u8;
    }
    start
}

/// Appends a line of a type byte and a number: `$12\r\n`, `:-3\r\n`.
#[inline]
pub(crate) fn push_line(out: &mut Vec<u8>, kind: u8, negative: bool, magnitude: u64) {
    let mut line = [0; TEXT_MAX + 4];
    line[TEXT_MAX + 2..].copy_from_slice(b"\r\n");
    let mut start = write_digits(&mut line[..TEXT_MAX + 2], magnitude);
    if negative {
        start -= 1;
        line[start] = b'-';
    }
    start -= 1;
    line[start] = kind;
    out.extend_from_slice(&line[start..]);
}

/// Reads a length and its line end at the start of `bytes`: the length, and where the line ends. `None` for all
/// that is not that at once: cut short, negative, over ten digits, or wrong.
#[inline]
pub(crate) fn short_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (count, &byte) in bytes.iter().take(11).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let ends = byte == b'\r' && bytes.get(count + 1) == Some(&b'\n');
            let spelled_well = count == 1 || (count > 1 && bytes[0] != b'0');
            return (ends && spelled_well).then_some((value, count + 2));
        }
        value = value * 10 + usize::from(digit);
    }
    None
}

/// Reads a whole text as an integer of the protocol's only spelling. // redis: util.c string2ll
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let value: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (Decimal::new(value).as_bytes() == text).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_print_as_the_standard_library_prints_them() {
        let mut values = vec![0, i64::MIN, i64::MAX];
        for exponent in 0..19 {
            let power = 10_i64.pow(exponent);
            values.extend([power - 1, power, power + 1, -power, 1 - power, power.wrapping_mul(7)]);
        }
        for value in values {
            assert_eq!(Decimal::new(value).as_bytes(), value.to_string().as_bytes());
            assert_eq!(integer(value.to_string().as_bytes()), Some(value));
            let mut line = Vec::new();
            push_line(&mut line, b':', value < 0, value.unsigned_abs());
            assert_eq!(line, format!(":{value}\r\n").into_bytes());
        }
        let mut line = Vec::new();
        push_line(&mut line, b'$', true, u64::MAX);
        assert_eq!(line, format!("$-{}\r\n", u64::MAX).into_bytes());
    }

    #[test]
    fn only_one_spelling_is_read() {
        for text in ["", "-", "+1", " 1", "1 ", "01", "-0", "00", "1a", "9223372036854775808", "-9223372036854775809"] {
            assert_eq!(integer(text.as_bytes()), None, "{text}");
            assert_eq!(short_length(format!("{text}\r\n").as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn short_lengths_are_read_with_their_line_end() {
        assert_eq!(short_length(b"0\r\n"), Some((0, 3)));
        assert_eq!(short_length(b"16384\r\nabc"), Some((16384, 7)));
        assert_eq!(short_length(b"9999999999\r\n"), Some((9_999_999_999, 12)));
        for bytes in [&b"10000000000\r\n"[..], b"12", b"12\r", b"12\rx", b"-1\r\n", b"\r\n", b""] {
            assert_eq!(short_length(bytes), None);
        }
    }
}
