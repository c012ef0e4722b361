//! Numbers of 64 significant bits, as the `long double` of x86 in which Redis computes INCRBYFLOAT.
//!
//! ```text
//! value = sign * mantissa * 2^exponent        mantissa: 64 bits, the highest set, or 0
//! ```
//!
//! Reading rounds the exact decimal to the nearest such number, adding rounds the exact sum, and writing rounds the exact value to 17 places
//! behind the point; ties go to even each time. That is why `0.1 + 0.2` is `0.3` here, and why the arithmetic is on integers: the answers
//! must be the same on every machine.

use std::cmp::Ordering;

/// The longest text that is read, in bytes.
const TEXT_BYTES_MAX: usize = 5 * 1024;
/// The exponents of the lowest mantissa bit of finite numbers.
const EXPONENT_MAX: i64 = 16383 - 63;
const EXPONENT_MIN: i64 = -16445 - 63;
/// The places behind the point that are written.
const PLACES: usize = 17;

/// A finite number. See the module.
#[derive(Clone, Copy, Debug)]
pub struct Extended {
    negative: bool,
    mantissa: u64,
    exponent: i64,
}

impl PartialEq for Extended {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Extended {}

impl PartialOrd for Extended {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Extended {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_below_zero(), other.is_below_zero()) {
            (false, false) => self.magnitude_cmp(*other),
            (true, true) => other.magnitude_cmp(*self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

/// What a text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A number.
    Finite(Extended),
    /// More than every number, or less.
    Infinite {
        /// Less.
        negative: bool,
    },
}

impl PartialOrd for Parsed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Parsed {
    fn cmp(&self, other: &Self) -> Ordering {
        let side = |number: &Self| match number {
            Self::Finite(_) => 0,
            Self::Infinite { negative } => {
                if *negative {
                    -1
                } else {
                    1
                }
            }
        };
        match (self, other) {
            (Self::Finite(left), Self::Finite(right)) => left.cmp(right),
            _ => side(self).cmp(&side(other)),
        }
    }
}

impl Extended {
    /// Zero.
    pub const ZERO: Self = Self { negative: false, mantissa: 0, exponent: 0 };

    /// The greatest number.
    pub const MAX: Self = Self { negative: false, mantissa: u64::MAX, exponent: EXPONENT_MAX };

    fn is_below_zero(self) -> bool {
        self.negative && self.mantissa != 0
    }

    /// Adds two numbers, given as decimal text, and writes the sum: the text that INCRBYFLOAT stores.
    ///
    /// # Errors
    ///
    /// `NotFloat` if one of the texts is no number, `NotFinite` if the sum is no finite one.
    pub fn add_text(left: &[u8], right: &[u8]) -> Result<String, crate::DataError> {
        let number = |text| Self::parse(text).ok_or(crate::DataError::NotFloat);
        let (Parsed::Finite(left), Parsed::Finite(right)) = (number(left)?, number(right)?) else {
            return Err(crate::DataError::NotFinite);
        };
        left.plus(right).map(Self::to_text).ok_or(crate::DataError::NotFinite)
    }

    /// Whether a text is a number, be it infinite.
    pub fn is_number(text: &[u8]) -> bool {
        Self::parse(text).is_some()
    }

    /// Reads a number as `strtold` does, in decimal or, behind `0x`, in hexadecimal: all of the text. `None`: it is none, or none that is in range.
    pub fn parse(text: &[u8]) -> Option<Parsed> {
        if text.len() >= TEXT_BYTES_MAX {
            return None;
        }
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
            return Some(Parsed::Infinite { negative });
        }
        let magnitude = match text {
            [b'0', b'x' | b'X', text @ ..] => {
                let (digits, power) = split(text, 16, b"pP")?;
                from_hexadecimal(&digits, power)?
            }
            _ => {
                let (digits, power) = split(text, 10, b"eE")?;
                from_decimal(&digits, power)?
            }
        };
        Some(Parsed::Finite(Self { negative, ..magnitude }))
    }

    /// A power of ten as an integer of 64 bits, the highest set, and the power of two that scales it; rounded to the nearest.
    pub(super) fn power_of_ten(power: i64) -> (u64, i64) {
        let nearest = from_decimal(&[1], power).expect("only powers of doubles are asked for");
        (nearest.mantissa, nearest.exponent)
    }

    /// The sum. `None`: it is beyond every number.
    pub fn plus(self, other: Self) -> Option<Self> {
        let (big, small) = if self.magnitude_cmp(other) == Ordering::Less { (other, self) } else { (self, other) };
        if small.mantissa == 0 {
            return Some(big);
        }
        // Two bits of room above, 62 below; what the smaller number loses is kept as one sticky bit.
        const ROOM: u32 = 62;
        let distance = u32::try_from(big.exponent - small.exponent).unwrap_or(u32::MAX);
        let left = u128::from(big.mantissa) << ROOM;
        let wide = u128::from(small.mantissa) << ROOM;
        let shifted = wide.checked_shr(distance).unwrap_or(0);
        let lost = distance > ROOM && (distance >= u128::BITS || shifted << distance != wide);
        let right = shifted | u128::from(lost);
        let sum = if big.negative == small.negative { left + right } else { left - right };
        let mut rounded = round(sum, big.exponent - i64::from(ROOM), false)?;
        rounded.negative = big.negative && rounded.mantissa != 0;
        Some(rounded)
    }

    /// The product. `None`: it is beyond every number.
    pub fn times(self, factor: u32) -> Option<Self> {
        let rounded = round(u128::from(self.mantissa) * u128::from(factor), self.exponent, false)?;
        Some(Self { negative: self.negative && rounded.mantissa != 0, ..rounded })
    }

    /// The least integer that is not below it. `None`: it has more than 64 bits.
    pub fn ceil(self) -> Option<i128> {
        let (whole, has_rest) = match u32::try_from(self.exponent) {
            Ok(_) if self.mantissa == 0 => (0, false),
            Ok(0) => (self.mantissa, false),
            Ok(_) => return None,
            Err(_) => {
                let whole = u32::try_from(-self.exponent).ok().and_then(|shift| self.mantissa.checked_shr(shift));
                let whole = whole.unwrap_or(0);
                // As many zeros below: else something was cut off.
                let is_whole = whole != 0 && i64::from(self.mantissa.trailing_zeros()) >= -self.exponent;
                (whole, !is_whole && self.mantissa != 0)
            }
        };
        let whole = i128::from(whole);
        Some(if self.negative { -whole } else { whole + i128::from(has_rest) })
    }

    fn magnitude_cmp(self, other: Self) -> Ordering {
        match (self.mantissa == 0, other.mantissa == 0) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => (self.exponent, self.mantissa).cmp(&(other.exponent, other.mantissa)),
        }
    }

    /// The difference. `None`: it is beyond every number.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.plus(other.negated())
    }

    /// The number on the other side of zero.
    pub fn negated(self) -> Self {
        Self { negative: !self.negative, ..self }
    }

    /// The number with at most 17 places behind the point, without trailing zeros.
    pub fn to_text(self) -> String {
        let digits = if self.exponent >= 0 {
            let mut whole = Natural::from(self.mantissa);
            whole.shift_left(self.exponent.unsigned_abs());
            format!("{}{}", whole.to_decimal(), "0".repeat(PLACES))
        } else {
            let scaled = u128::from(self.mantissa) * 10u128.pow(17);
            shift_right_even(scaled, self.exponent.unsigned_abs()).to_string()
        };
        let digits = format!("{digits:0>width$}", width = PLACES + 1);
        let (whole, places) = digits.split_at(digits.len() - PLACES);
        let places = places.trim_end_matches('0');
        let is_zero = whole == "0" && places.is_empty();
        let sign = if self.negative && !is_zero { "-" } else { "" };
        let point = if places.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{places}")
    }
}

/// Splits `12.50e3` into its digits as one integer and the power that scales it: of ten, or of two if the digits are of sixteen.
fn split(text: &[u8], radix: u32, marks: &[u8]) -> Option<(Vec<u8>, i64)> {
    let mut digits = Vec::with_capacity(text.len());
    let (mut places, mut seen_point, mut at) = (0i64, false, 0);
    while let Some(&byte) = text.get(at) {
        match char::from(byte).to_digit(radix) {
            Some(digit) => {
                digits.push(u8::try_from(digit).expect("below the radix"));
                places += i64::from(seen_point);
            }
            None if byte == b'.' && !seen_point => seen_point = true,
            None => break,
        }
        at += 1;
    }
    if digits.is_empty() {
        return None;
    }
    let power = match &text[at..] {
        [] => 0,
        [mark, exponent @ ..] if marks.contains(mark) => {
            let exponent = exponent.strip_prefix(b"+").unwrap_or(exponent);
            let (negative, exponent) = exponent.strip_prefix(b"-").map_or((false, exponent), |rest| (true, rest));
            if exponent.is_empty() || !exponent.iter().all(u8::is_ascii_digit) {
                return None;
            }
            // Far beyond every finite number whatever the digits are.
            let size = exponent.iter().fold(0i64, |size, digit| (size * 10 + i64::from(digit - b'0')).min(1_000_000));
            if negative { -size } else { size }
        }
        _ => return None,
    };
    Some((digits, power - if radix == 16 { 4 * places } else { places }))
}

/// The nearest number to an integer of digits of sixteen times a power of two; `None` as for [`from_decimal`].
fn from_hexadecimal(digits: &[u8], power: i64) -> Option<Extended> {
    let mut whole = Natural::from(0);
    digits.iter().for_each(|digit| whole.multiply_add(16, u32::from(*digit)));
    let dropped = whole.bits().saturating_sub(128);
    let (top, lost) = whole.top(dropped);
    round(top, power + i64::try_from(dropped).ok()?, lost)
}

/// The nearest number to an integer times a power of ten; `None` if it is too big, or too small but not zero.
fn from_decimal(digits: &[u8], power: i64) -> Option<Extended> {
    let mut numerator = Natural::from(0);
    for &digit in digits {
        numerator.multiply_add(10, u32::from(digit));
    }
    if numerator.bits() == 0 {
        return Some(Extended::ZERO);
    }
    if !(-(12_000)..=5_000).contains(&power) {
        return None;
    }
    if power >= 0 {
        for _ in 0..power {
            numerator.multiply_add(10, 0);
        }
        let bits = numerator.bits();
        let dropped = bits.saturating_sub(128);
        let (top, lost) = numerator.top(dropped);
        return round(top, i64::try_from(dropped).ok()?, lost);
    }
    let mut denominator = Natural::from(1);
    for _ in 0..power.unsigned_abs() {
        denominator.multiply_add(10, 0);
    }
    // A quotient of 100 or 101 bits: more than enough to round, and what is left only has to be zero or not.
    let shift = i64::try_from(denominator.bits()).ok()? - i64::try_from(numerator.bits()).ok()? + 100;
    if shift >= 0 {
        numerator.shift_left(shift.unsigned_abs());
    } else {
        denominator.shift_left(shift.unsigned_abs());
    }
    let (quotient, is_exact) = numerator.divide(denominator);
    round(quotient, -shift, !is_exact)
}

/// The nearest number to `wide * 2^exponent`, a little more if something was `lost`.
fn round(wide: u128, exponent: i64, lost: bool) -> Option<Extended> {
    if wide == 0 {
        return Some(Extended::ZERO);
    }
    let excess = i64::from(u128::BITS - wide.leading_zeros()) - 64;
    let (mut mantissa, mut exponent) = (wide, exponent);
    if excess > 0 {
        let shift = u32::try_from(excess).expect("at most 64");
        let rest = wide << (u128::BITS - shift);
        let half = 1u128 << 127;
        mantissa = wide >> shift;
        let up = rest > half || (rest == half && (lost || mantissa & 1 == 1));
        mantissa += u128::from(up);
        if mantissa >> 64 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    } else {
        debug_assert!(!lost, "what was lost lies below the mantissa");
        mantissa <<= (-excess).unsigned_abs();
    }
    exponent += excess;
    let mantissa = u64::try_from(mantissa).expect("shifted to 64 bits");
    (EXPONENT_MIN..=EXPONENT_MAX).contains(&exponent).then_some(Extended { negative: false, mantissa, exponent })
}

/// `value / 2^shift`, rounded to the nearest integer, ties to even.
fn shift_right_even(value: u128, shift: u64) -> u128 {
    let Some(shift) = u32::try_from(shift).ok().filter(|&shift| shift < u128::BITS) else { return 0 };
    if shift == 0 {
        return value;
    }
    let (whole, rest, half) = (value >> shift, value << (u128::BITS - shift), 1u128 << 127);
    whole + u128::from(rest > half || (rest == half && whole & 1 == 1))
}

/// A natural number of any size, in words of 32 bits, the lowest first, without zeros at the end.
#[derive(Clone, PartialEq, Eq)]
struct Natural(Vec<u32>);

const WORD_BITS: u64 = 32;

impl From<u64> for Natural {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    fn from(value: u64) -> Self {
        let mut this = Self(vec![value as u32, (value >> WORD_BITS) as u32]);
        this.trim();
        this
    }
}

impl Natural {
    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn bits(&self) -> u64 {
        self.0.last().map_or(0, |top| self.0.len() as u64 * WORD_BITS - u64::from(top.leading_zeros()))
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low half stays, the high half is carried")]
    fn multiply_add(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for word in &mut self.0 {
            carry += u64::from(*word) * u64::from(factor);
            *word = carry as u32;
            carry >>= WORD_BITS;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    fn shift_left(&mut self, bits: u64) {
        let part = (bits % WORD_BITS) as u32;
        self.multiply_add(1 << part, 0);
        self.0.splice(0..0, std::iter::repeat_n(0, (bits / WORD_BITS) as usize));
        self.trim();
    }

    /// The number without its lowest bits, which must leave at most 128; and whether those held anything.
    #[expect(clippy::cast_possible_truncation, reason = "the number of bits of a number in memory")]
    fn top(&self, dropped: u64) -> (u128, bool) {
        let (words, part) = ((dropped / WORD_BITS) as usize, (dropped % WORD_BITS) as u32);
        let mut top = 0u128;
        for (index, &word) in self.0.iter().enumerate().skip(words) {
            let place = (index - words) as u32 * 32;
            let wide = u128::from(word);
            top |= if place >= part { wide << (place - part) } else { wide >> (part - place) };
        }
        let below = self.0.iter().take(words).any(|&word| word != 0);
        let partly = part > 0 && self.0.get(words).is_some_and(|word| word & ((1 << part) - 1) != 0);
        (top, below || partly)
    }

    fn is_at_least(&self, other: &Self) -> bool {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev())).is_ge()
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low half")]
    fn subtract(&mut self, other: &Self) {
        let mut borrow = 0u64;
        for (index, word) in self.0.iter_mut().enumerate() {
            let take = u64::from(other.0.get(index).copied().unwrap_or(0)) + borrow;
            borrow = u64::from(u64::from(*word) < take);
            *word = ((borrow << WORD_BITS) + u64::from(*word) - take) as u32;
        }
        debug_assert_eq!(borrow, 0);
        self.trim();
    }

    /// The quotient, which must have less than 127 bits, and whether nothing is left. Bit by bit.
    fn divide(mut self, mut divisor: Self) -> (u128, bool) {
        let steps = (self.bits() + 1).saturating_sub(divisor.bits());
        divisor.shift_left(steps);
        let mut quotient = 0;
        for _ in 0..=steps {
            quotient <<= 1;
            if self.is_at_least(&divisor) {
                self.subtract(&divisor);
                quotient |= 1;
            }
            divisor.halve();
        }
        (quotient, self.0.is_empty())
    }

    /// Divides by two; the number is even, or no longer needed.
    fn halve(&mut self) {
        let mut carry = 0;
        for word in self.0.iter_mut().rev() {
            let next = *word << 31;
            *word = *word >> 1 | carry;
            carry = next;
        }
        self.trim();
    }

    #[expect(clippy::cast_possible_truncation, reason = "a quotient by the divisor's word fits into a word")]
    fn to_decimal(&self) -> String {
        const CHUNK: u64 = 1_000_000_000;
        let (mut words, mut chunks) = (self.0.clone(), Vec::new());
        while !words.is_empty() {
            let mut rest = 0u64;
            for word in words.iter_mut().rev() {
                rest = rest << WORD_BITS | u64::from(*word);
                *word = (rest / CHUNK) as u32;
                rest %= CHUNK;
            }
            chunks.push(rest);
            while words.last() == Some(&0) {
                words.pop();
            }
        }
        let mut text = chunks.pop().unwrap_or(0).to_string();
        chunks.iter().rev().for_each(|chunk| text.push_str(&format!("{chunk:09}")));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataError;

    fn add(left: &str, right: &str) -> String {
        Extended::add_text(left.as_bytes(), right.as_bytes()).unwrap()
    }

    /// Taken from redis-server on x86-64.
    #[test]
    fn adds_as_redis_does() {
        assert_eq!(add("0.1", "0.2"), "0.3");
        assert_eq!(add("10.50", "0.1"), "10.6");
        assert_eq!(add("5.0e3", "2.0e2"), "5200");
        assert_eq!(add("3", "-3.0"), "0");
        assert_eq!(add("-0", "-0"), "0");
        assert_eq!(add("19.99", "2.50"), "22.49");
        assert_eq!(add("1e17", "0.1"), "100000000000000000.1015625");
        assert_eq!(add("0", "1e-17"), "0.00000000000000001");
        assert_eq!(add("0", "1e-18"), "0");
        assert_eq!(add("18446744073709551615", "1"), "18446744073709551616");
        assert_eq!(add("1e30", "1"), "1000000000000000000024696061952");
        assert_eq!(add("0", "1e-4000"), "0");
    }

    /// Taken from valkey-server on x86-64, which reads seconds so: `-0.001` is no negative number of ms.
    #[test]
    fn multiplies_as_redis_does() {
        let ms = |text: &str| match Extended::parse(text.as_bytes()) {
            Some(Parsed::Finite(seconds)) => seconds.times(1000).and_then(Extended::ceil),
            _ => None,
        };
        for text in ["0", "-0", "-0.001", "-0.00100000000000000000000001", "-0.0009", "-1e-3", "-0x1p-10", "-1e-4000"] {
            assert_eq!(ms(text), Some(0), "{text}");
        }
        for text in ["-0.0010000001", "-0.00100000000000000001", "-0.0015", "-0x1p-9"] {
            assert!(ms(text).is_some_and(|ms| ms < 0), "{text}");
        }
        assert_eq!(ms("1.5"), Some(1500));
        assert_eq!(ms("0.0001"), Some(1));
        assert_eq!(ms("-2.5009"), Some(-2500));
        assert_eq!(ms("1e-4000"), Some(1));
        assert_eq!(ms("9223372036854775"), Some(9_223_372_036_854_775_000));
        assert_eq!(ms("1e30"), None);
    }

    /// Taken from valkey-server on x86-64.
    #[test]
    fn reads_hexadecimal_numbers() {
        let cases = [
            ("0x1p3", "8"),
            ("0xA", "10"),
            ("0x.8", "0.5"),
            ("-0x10", "-16"),
            ("+0x1.8p1", "3"),
            ("0X1F", "31"),
            ("0x1P-3", "0.125"),
            ("0x1.p4", "16"),
            ("0x1e3", "483"),
            ("0x123456789abcdef01234", "85968058283706962419712"),
            ("0x0p99999", "0"),
            ("0x1p-16445", "0"),
        ];
        for (text, sum) in cases {
            assert_eq!(add("0", text), sum, "{text}");
        }
        let bad = [
            "0x",
            "0x.",
            "0x1p",
            "0x1p+",
            "0xg",
            "0x1p3.5",
            "0x_1",
            "x1",
            "0x1p16384",
            "0x1p-16510",
            "0x1p99999999999",
        ];
        for text in bad {
            assert_eq!(Extended::add_text(text.as_bytes(), b"1"), Err(DataError::NotFloat), "{text}");
        }
    }

    #[test]
    fn is_ordered_as_numbers_are() {
        let texts = ["-inf", "-1e4932", "-2", "-1.5", "-1", "-1e-20", "0", "1e-20", "1", "1.5", "2", "1e4932", "inf"];
        let numbers = texts.map(|text| Extended::parse(text.as_bytes()).unwrap());
        for (at, left) in numbers.iter().enumerate() {
            for (other, right) in numbers.iter().enumerate() {
                assert_eq!(left.cmp(right), at.cmp(&other));
            }
        }
        assert_eq!(Extended::parse(b"-0"), Extended::parse(b"0"));
    }

    #[test]
    fn refuses_what_is_no_finite_number() {
        let bad = ["", "-", ".", "e5", "1e", "1e+", "1 ", " 1", "nan", "1.2.3", "abc", "1e5000", "1e-6000"];
        for text in bad {
            assert_eq!(Extended::add_text(text.as_bytes(), b"1"), Err(DataError::NotFloat), "{text:?}");
        }
        assert_eq!(Extended::add_text(b"inf", b"1"), Err(DataError::NotFinite));
        assert_eq!(Extended::add_text(b"1.1e4932", b"1.1e4932"), Err(DataError::NotFinite));
        assert_eq!(add("1e4932", "0").len(), 4933);
        assert_eq!(Extended::add_text(&[b'1'; TEXT_BYTES_MAX], b"1"), Err(DataError::NotFloat));
    }

    /// Rounding to 64 bits, against exact arithmetic on fractions that fit into integers.
    #[test]
    fn reads_the_nearest_number() {
        let mut random = crate::Random::new(3);
        for _ in 0..2_000 {
            let (digits, places) = (random.bits() >> random.below(64), random.below(19));
            let text = format!("{digits}e-{places}");
            let Some(Parsed::Finite(parsed)) = Extended::parse(text.as_bytes()) else { panic!("{text}") };
            if digits == 0 {
                continue;
            }
            // |digits / 10^places - mantissa * 2^exponent| is at most half of 2^exponent.
            assert!(parsed.exponent <= 0 && parsed.mantissa >> 63 == 1);
            let shift = parsed.exponent.unsigned_abs();
            let mut exact = Natural::from(digits);
            exact.shift_left(shift + 1);
            let mut near = Natural::from(parsed.mantissa);
            (0..places).for_each(|_| near.multiply_add(10, 0));
            near.shift_left(1);
            let half = Natural::from(10u64.pow(u32::try_from(places).unwrap()));
            let (mut high, low) = if exact.is_at_least(&near) { (exact, near) } else { (near, exact) };
            high.subtract(&low);
            assert!(half.is_at_least(&high), "{text}");
        }
    }
}
