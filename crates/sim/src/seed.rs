//! One number from which everything random of a run comes, each part from a number of its own.

/// The seed of a run, or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(u64);

impl Seed {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// The number for one purpose: parts that draw more or less do not change each other.
    pub(crate) fn of(self, purpose: &str, number: u64) -> u64 {
        purpose.bytes().fold(mix(self.0 ^ number), |sum, byte| mix(sum ^ u64::from(byte)))
    }

    /// The seed of a part.
    pub(crate) fn part(self, purpose: &str, number: usize) -> Self {
        Self(self.of(purpose, number as u64))
    }
}

/// The finalizer of splitmix64: neighbouring numbers give unrelated ones.
fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
