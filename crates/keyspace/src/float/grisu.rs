//! The digits of a double, by Grisu2: Florian Loitsch, "Printing floating-point numbers quickly and accurately with integers", PLDI 2010, section 5.
//!
//! They read back as the same number. Almost always they are the fewest that do, and the nearest; for two numbers of a thousand they are not, and
//! since Valkey (fpconv) writes scores in this way, so do we. Which digits those are depends on the powers of ten that are at hand, one in
//! eight, and on how far they scale a number: to a product whose exponent lies from -60 to -32.

use std::sync::OnceLock;

use super::extended::Extended;

const FRACTION_BITS: u32 = 52;
const HIDDEN_BIT: u64 = 1 << FRACTION_BITS;
const EXPONENT_BIAS: i32 = 1023 + 52;

/// The powers of ten: every eighth from the first on.
const FIRST_POWER: i32 = -348;
const POWER_STEP: i32 = 8;
const POWER_COUNT: usize = 87;
/// Where the exponent of a scaled number may lie.
const SCALED_MIN: i32 = -60;
const SCALED_MAX: i32 = -32;

/// A number as `fraction * 2^exponent`.
#[derive(Clone, Copy)]
struct Scaled {
    fraction: u64,
    exponent: i32,
}

impl Scaled {
    fn normalized(self) -> Self {
        let shift = self.fraction.leading_zeros();
        Self { fraction: self.fraction << shift, exponent: self.exponent - shift.cast_signed() }
    }

    /// The product, rounded to 64 bits.
    fn times(self, other: Self) -> Self {
        let product = u128::from(self.fraction) * u128::from(other.fraction);
        let rounded = (product + (1 << 63)) >> 64;
        Self { fraction: u64::try_from(rounded).expect("the high half"), exponent: self.exponent + other.exponent + 64 }
    }
}

/// The powers of ten with fractions of 64 bits, rounded to the nearest.
fn powers() -> &'static [Scaled; POWER_COUNT] {
    static POWERS: OnceLock<[Scaled; POWER_COUNT]> = OnceLock::new();
    POWERS.get_or_init(|| {
        std::array::from_fn(|at| {
            let at = i32::try_from(at).expect("at most 87");
            let (fraction, exponent) = Extended::power_of_ten(i64::from(FIRST_POWER + at * POWER_STEP));
            Scaled { fraction, exponent: i32::try_from(exponent).expect("of powers of ten") }
        })
    })
}

/// The power of ten that scales a number with this exponent, and which one it is.
fn power_for(exponent: i32) -> (Scaled, i32) {
    let fits = |power: &Scaled| (SCALED_MIN..=SCALED_MAX).contains(&(exponent + power.exponent + 64));
    // Of those that fit the algorithm takes the one next to the estimate, which is the first.
    let at = powers().iter().position(fits).expect("there is one for every double");
    (powers()[at], FIRST_POWER + i32::try_from(at).expect("at most 87") * POWER_STEP)
}

/// The digits of a positive finite number, and the power of ten of the last one.
pub(super) fn digits(number: f64) -> (String, i32) {
    let bits = number.to_bits();
    let (fraction, biased) = (bits & (HIDDEN_BIT - 1), i32::try_from(bits >> FRACTION_BITS & 0x7ff).expect("11 bits"));
    let exact = if biased == 0 {
        Scaled { fraction, exponent: 1 - EXPONENT_BIAS }
    } else {
        Scaled { fraction: fraction | HIDDEN_BIT, exponent: biased - EXPONENT_BIAS }
    };
    // Half of the way to the neighbours; the one below is nearer to a power of two.
    let upper = Scaled { fraction: (exact.fraction << 1) + 1, exponent: exact.exponent - 1 }.normalized();
    let nearer = if exact.fraction == HIDDEN_BIT { 2 } else { 1 };
    let lower = Scaled { fraction: (exact.fraction << nearer) - 1, exponent: exact.exponent - nearer };
    let lower = Scaled {
        fraction: lower.fraction << (lower.exponent - upper.exponent).unsigned_abs(),
        exponent: upper.exponent,
    };
    let (power, power_of_ten) = power_for(upper.exponent);
    let (upper, lower) = (upper.times(power), lower.times(power));
    // A unit inwards makes up for the rounding of the products.
    let (highest, lowest) = (upper.fraction - 1, lower.fraction + 1);
    let wanted = highest - exact.normalized().times(power).fraction;
    let (digits, scale) = generate(highest, highest - lowest, wanted, -upper.exponent);
    (digits, scale - power_of_ten)
}

/// The fewest digits within `delta` below the highest number, whose integer part stands above `point` bits; `wanted` is how far below it the number itself is.
fn generate(highest: u64, mut delta: u64, mut wanted: u64, point: i32) -> (String, i32) {
    let point = point.unsigned_abs();
    let one = 1u64 << point;
    let (mut whole, mut rest) = (highest >> point, highest & (one - 1));
    let mut digits = Vec::with_capacity(18);
    let push = |digits: &mut Vec<u8>, digit: u64| {
        if digit > 0 || !digits.is_empty() {
            digits.push(u8::try_from(digit).expect("a digit"));
        }
    };
    for place in (0..10).rev() {
        let unit = 10u64.pow(place);
        push(&mut digits, whole / unit);
        whole %= unit;
        let left = (whole << point) + rest;
        if left <= delta {
            round(&mut digits, delta, left, unit << point, wanted);
            return (text(&digits), place.cast_signed());
        }
    }
    let mut place = 0;
    loop {
        rest *= 10;
        delta *= 10;
        wanted = wanted.wrapping_mul(10);
        place -= 1;
        push(&mut digits, rest >> point);
        rest &= one - 1;
        if rest < delta {
            round(&mut digits, delta, rest, one, wanted);
            return (text(&digits), place);
        }
    }
}

/// Lowers the last digit as long as that leads nearer to the number.
fn round(digits: &mut [u8], delta: u64, mut left: u64, unit: u64, wanted: u64) {
    let last = digits.last_mut().expect("there is a digit");
    while left < wanted && delta - left >= unit && (left + unit < wanted || wanted - left > left + unit - wanted) {
        *last -= 1;
        left += unit;
    }
}

fn text(digits: &[u8]) -> String {
    digits.iter().map(|digit| char::from(b'0' + digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Taken from valkey-server: the last four are not the shortest, or not the nearest.
    #[test]
    fn digits_are_those_of_valkey() {
        let cases = [
            (1.0, "1", 0),
            (0.1, "1", -1),
            (5e-324, "5", -324),
            (1.797_693_134_862_315_7e308, "17976931348623157", 292),
            (9_007_199_254_740_993.0, "9007199254740992", 0),
            (2.42e22, "24199999999999998", 6),
            (787.44135, "7874413500000001", -13),
            (116_461_216_676_527.38, "11646121667652737", -2),
            (5.950_000_000_000_001e-28, "59500000000000006", -44),
        ];
        for (number, wanted, scale) in cases {
            assert_eq!(digits(number), (wanted.to_owned(), scale), "{number:e}");
        }
    }

    #[test]
    fn every_number_reads_back() {
        let mut random = crate::random::Random::new(9);
        for round in 0..20_000 {
            // All exponents, and the ends of the fractions.
            let bits = random.bits() >> 1;
            let bits = match round % 4 {
                0 => bits & !(HIDDEN_BIT - 1),
                1 => bits | (HIDDEN_BIT - 1),
                2 => bits & (HIDDEN_BIT - 1),
                _ => bits,
            };
            let number = f64::from_bits(bits);
            if number.is_finite() && number > 0.0 {
                let (digits, scale) = digits(number);
                assert!(digits.len() <= 17 && !digits.starts_with('0'), "{digits}");
                assert_eq!(format!("{digits}e{scale}").parse(), Ok(number));
            }
        }
    }
}
