//! Places on earth, as members of sorted sets: the score of a member is its place.
//!
//! ```text
//! latitude:   -85.05112878 to 85.05112878, a fraction of the range in 26 bits
//! longitude:  -180 to 180, likewise
//! score:      longitude and latitude bit by bit in turn, 52 bits:  o a o a o a ...  o a
//! ```
//!
//! So the members of a cell, which is all places whose first bits are the same, stand side by side in the sorted set, and a search looks at
//! a cell around its middle and at the eight around that one. What a score says is the middle of the smallest cell. The latitudes end where
//! Web Mercator does.
//!
//! Sines and their kin come from `libm`, so that a distance is the same on every machine. Everything else is in the order in which
//! Redis (geohash.c, geohash_helper.c) computes, so that the digits are the same, too.

mod cell;
mod search;

pub use search::{Found, Search, Shape};

use cell::{Cell, Ranges, STEP_MAX};

/// The greatest latitude, in degrees; the least is its opposite.
const LATITUDE_MAX: f64 = 85.051_128_78;
/// The greatest longitude, in degrees; the least is its opposite.
const LONGITUDE_MAX: f64 = 180.0;
/// The quadratic mean radius of the earth of WGS-84, in metres.
const EARTH_RADIUS_M: f64 = 6_372_797.560_856;
/// A degree in radians.
const DEGREE: f64 = std::f64::consts::PI / 180.0;
/// The characters of a geohash, and how many it has.
const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
const GEOHASH_CHARACTERS: usize = 11;

/// The square of Web Mercator, in which scores are.
const MERCATOR: Ranges = Ranges { longitude_max: LONGITUDE_MAX, latitude_max: LATITUDE_MAX };
/// The whole earth, in which geohashes are.
const EARTH: Ranges = Ranges { longitude_max: 180.0, latitude_max: 90.0 };

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// East of Greenwich.
    pub longitude: f64,
    /// North of the equator.
    pub latitude: f64,
}

impl Position {
    /// A place that a score can hold; `None` for others.
    pub fn new(longitude: f64, latitude: f64) -> Option<Self> {
        let is_within = longitude.abs() <= LONGITUDE_MAX && latitude.abs() <= LATITUDE_MAX;
        is_within.then_some(Self { longitude, latitude })
    }

    /// The score of a member at this place.
    pub fn to_score(self) -> f64 {
        Cell::around(self, MERCATOR, STEP_MAX).scores().start
    }

    /// The place of a member with this score, whatever score that is.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a score that is no place is some place, the same on every machine"
    )]
    pub fn of_score(score: f64) -> Self {
        // As x86 converts to unsigned integers.
        let bits = if score < 0.0 { (score as i64).cast_unsigned() } else { unsigned(score) };
        let bounds = Cell::of_bits(bits).bounds(MERCATOR);
        let middle = |(least, most): (f64, f64), end: f64| ((least + most) / 2.0).min(end).max(-end);
        Self { longitude: middle(bounds.longitude, LONGITUDE_MAX), latitude: middle(bounds.latitude, LATITUDE_MAX) }
    }

    /// The geohash in eleven characters, the last of which has no bits left.
    pub fn to_geohash(self) -> [u8; GEOHASH_CHARACTERS] {
        let bits = Cell::around(self, EARTH, STEP_MAX).to_bits();
        std::array::from_fn(|at| {
            let index = if at + 1 == GEOHASH_CHARACTERS { 0 } else { bits >> (52 - (at + 1) * 5) & 0x1f };
            ALPHABET[usize::from(index.to_le_bytes()[0])]
        })
    }

    /// The distance along a great circle, in metres.
    pub fn distance_m(self, other: Self) -> f64 {
        let v = libm::sin((radians(other.longitude) - radians(self.longitude)) / 2.0);
        let (from, to) = (radians(self.latitude), radians(other.latitude));
        if v == 0.0 {
            return EARTH_RADIUS_M * (to - from).abs();
        }
        let u = libm::sin((to - from) / 2.0);
        let a = u * u + libm::cos(from) * libm::cos(to) * v * v;
        2.0 * EARTH_RADIUS_M * libm::asin(a.sqrt())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "saturates")]
#[expect(clippy::cast_sign_loss, reason = "not negative")]
fn unsigned(score: f64) -> u64 {
    // What is too big becomes zero, as x86 has it.
    const TOO_BIG: f64 = 18_446_744_073_709_551_616.0;
    if score >= TOO_BIG { 0 } else { score as u64 }
}

fn radians(degrees: f64) -> f64 {
    degrees * DEGREE
}

fn degrees(radians: f64) -> f64 {
    radians / DEGREE
}

#[cfg(test)]
mod tests;
