//! How many elements the registers speak of.
//!
//! Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", arXiv:1702.01284, algorithm 6. Nothing but sums, products and square roots, which are
//! the same on every machine.

use super::{COUNT_MAX, REGISTER_COUNT};

/// 0.5 / ln 2
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// The estimate, from how many registers have each value.
#[expect(clippy::cast_possible_truncation, reason = "the estimate is finite, positive and below 2^64")]
#[expect(clippy::cast_sign_loss, reason = "the same")]
pub(super) fn estimate(histogram: &[u32; 64]) -> u64 {
    let registers = f64::from(u32::try_from(REGISTER_COUNT).expect("16384"));
    let full = f64::from(histogram[usize::from(COUNT_MAX)]);
    let mut sum = registers * tau((registers - full) / registers);
    for count in (1..usize::from(COUNT_MAX)).rev() {
        sum += f64::from(histogram[count]);
        sum *= 0.5;
    }
    sum += registers * sigma(f64::from(histogram[0]) / registers);
    (ALPHA * registers * registers / sum).round() as u64
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}
