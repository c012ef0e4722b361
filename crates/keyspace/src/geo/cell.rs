//! Cells: the places that share the first bits of their scores.
//!
//! ```text
//! step 1       step 2
//! 01 | 11      0101 0111 1101 1111
//! ---+---      0100 0110 1100 1110      north is up: the higher bit of a pair is that of the longitude
//! 00 | 10      0001 0011 1001 1011
//!              0000 0010 1000 1010
//! ```

use std::ops::Range;

use super::Position;

/// The bits of a coordinate in a score.
pub(super) const STEP_MAX: u32 = 26;

/// The extent of what is divided into cells, in degrees on either side of zero.
#[derive(Clone, Copy)]
pub(super) struct Ranges {
    pub(super) longitude_max: f64,
    pub(super) latitude_max: f64,
}

/// A cell: so many first bits of the coordinates. At the upper end of a range a coordinate takes one bit more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    longitude: u32,
    latitude: u32,
    step: u32,
}

/// The ends of a cell, in degrees.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) longitude: (f64, f64),
    pub(super) latitude: (f64, f64),
}

impl Cell {
    /// The cell of a place, of 2^step by 2^step.
    #[expect(clippy::cast_possible_truncation, reason = "a fraction of 2^step, or 2^step itself")]
    #[expect(clippy::cast_sign_loss, reason = "not negative")]
    pub(super) fn around(position: Position, ranges: Ranges, step: u32) -> Self {
        let part = |place: f64, end: f64| ((place + end) / (end + end) * f64::from(1u32 << step)) as u32;
        Self {
            longitude: part(position.longitude, ranges.longitude_max),
            latitude: part(position.latitude, ranges.latitude_max),
            step,
        }
    }

    /// The smallest cell with these bits.
    pub(super) fn of_bits(bits: u64) -> Self {
        Self { longitude: gather(bits >> 1), latitude: gather(bits), step: STEP_MAX }
    }

    /// The bits of its coordinates in turn.
    pub(super) fn to_bits(self) -> u64 {
        spread(self.latitude) | spread(self.longitude) << 1
    }

    /// The scores of all places in it.
    #[expect(clippy::cast_precision_loss, reason = "as Redis rounds the few beyond 53 bits")]
    pub(super) fn scores(self) -> Range<f64> {
        let bits = self.to_bits();
        let score = |bits: u64| (bits << (2 * (STEP_MAX - self.step))) as f64;
        score(bits)..score(bits + 1)
    }

    /// Where it ends.
    pub(super) fn bounds(self, ranges: Ranges) -> Bounds {
        let place = |part: u32, end: f64| {
            let at = |part: f64| -end + part / f64::from(1u32 << self.step) * (end + end);
            (at(f64::from(part)), at(f64::from(part) + 1.0))
        };
        Bounds {
            longitude: place(self.longitude, ranges.longitude_max),
            latitude: place(self.latitude, ranges.latitude_max),
        }
    }

    /// The cell so many to the east and so many to the north (each -1, 0 or 1), around the ends of the ranges.
    pub(super) fn moved(self, east: i32, north: i32) -> Self {
        let mask = (1u32 << self.step) - 1;
        let moved = |part: u32, by: i32| if by == 0 { part } else { part.wrapping_add_signed(by) & mask };
        Self { longitude: moved(self.longitude, east), latitude: moved(self.latitude, north), step: self.step }
    }
}

/// Puts a zero in front of each bit.
fn spread(part: u32) -> u64 {
    let mut bits = u64::from(part);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// Takes every other bit, the lowest among them.
fn gather(bits: u64) -> u32 {
    let mut part = bits & 0x5555_5555_5555_5555;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        part = (part | part >> shift) & mask;
    }
    u32::try_from(part).expect("masked to 32 bits")
}
