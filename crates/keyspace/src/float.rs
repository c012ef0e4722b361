//! Floating-point numbers as Redis reads and writes them. The one parser and the one formatter.
//!
//! A score is an `f64`: [`parse_double`], [`format_double`]. The sums of INCRBYFLOAT and HINCRBYFLOAT are computed in [`Extended`].
//!
//! ```text
//! digits that read back as the same number (see `grisu`), then
//!   integers up to 2^62                                  3        -120
//!   few zeros behind the digits                          1230000000000000000000
//!   up to six zeros in front, or a moderate exponent     0.00001  3.0000000000000004
//!   else                                                 1.5e-9   1e+30
//! ```

mod extended;
mod grisu;

pub use extended::{Extended, Parsed};

/// Whole numbers up to here are written as integers.
const INTEGER_MAX: f64 = 4_611_686_018_427_387_904.0;

/// Reads a double as `strtod` does, all of the text, in decimal: `1`, `-.5`, `+3e10`, `inf`, `-Infinity`. `None` for anything else, for `nan`, and for
/// what is too big or too small (but not zero) for a double.
pub fn parse_double(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let number: f64 = text.parse().ok()?;
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    if number.is_nan()
        || (number.is_infinite() && mantissa.contains(|letter: char| letter.is_ascii_digit()))
        || (number == 0.0 && mantissa.contains(|letter: char| matches!(letter, '1'..='9')))
    {
        return None;
    }
    Some(number)
}

/// Writes a double as Redis replies with scores.
pub fn format_double(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if number == 0.0 {
        return if number.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    if number.fract() == 0.0 && number.abs() <= INTEGER_MAX {
        return format!("{number:.0}");
    }
    let sign = if number < 0.0 { "-" } else { "" };
    let (digits, zeros) = grisu::digits(number.abs());
    format!("{sign}{}", place_point(&digits, zeros))
}

/// Writes an integer of these digits times ten to `zeros`, by the rules of the module's drawing.
fn place_point(digits: &str, zeros: i32) -> String {
    let count = i32::try_from(digits.len()).expect("a double has at most 17 digits");
    let exponent = zeros + count - 1;
    if zeros >= 0 && exponent.abs() < count + 7 {
        return format!("{digits}{}", "0".repeat(zeros.unsigned_abs() as usize));
    }
    if zeros < 0 && (zeros > -7 || exponent.abs() < 4) {
        let before_point = count + zeros;
        if before_point <= 0 {
            return format!("0.{}{digits}", "0".repeat(before_point.unsigned_abs() as usize));
        }
        let (whole, fraction) = digits.split_at(before_point.unsigned_abs() as usize);
        return format!("{whole}.{fraction}");
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{first}{point}{rest}e{sign}{}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_as_redis_does() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e20, "1e+20"),
            (1e21, "1e+21"),
            (1.5e-9, "1.5e-9"),
            (1e-5, "0.00001"),
            (3.0e15, "3000000000000000"),
            (f64::INFINITY, "inf"),
            (5e-324, "5e-324"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (123456.789, "123456.789"),
            (99.99, "99.99"),
        ];
        for (number, text) in cases {
            assert_eq!(format_double(number), text);
        }
    }

    #[test]
    fn reads_what_it_writes_and_refuses_the_rest() {
        for number in [0.1, 1e300, -2.5e-300, 5e-324, f64::INFINITY, 1e21, 123.456] {
            assert_eq!(parse_double(format_double(number).as_bytes()), Some(number));
        }
        assert_eq!(parse_double(b"+.5e1"), Some(5.0));
        assert_eq!(parse_double(b"-Infinity"), Some(f64::NEG_INFINITY));
        for text in ["", " 1", "1 ", "nan", "1e", "abc", "1e400", "1e-400", "1_0", "--1", "1.2.3", "\u{ff11}"] {
            assert_eq!(parse_double(text.as_bytes()), None, "{text:?}");
        }
    }
}
