//! The ids of stream entries.

use std::fmt;

/// The id of a stream entry: a time, and the place among those of the same time. Written `ms-seq`; ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Usually ms since 1970.
    pub ms: u64,
    /// Counts from 0.
    pub seq: u64,
}

impl StreamId {
    /// `0-0`, the least. No stream entry has it.
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    /// The greatest.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// An id of its two numbers.
    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// The id that follows, if there is one.
    pub fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The id before this one, if there is one.
    pub fn previous(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// The 16 bytes that sort as ids do, as RDB writes them.
    pub fn to_bytes(self) -> [u8; 16] {
        self.to_number().to_be_bytes()
    }

    /// The number that sorts as ids do.
    pub(super) fn to_number(self) -> u128 {
        u128::from(self.ms) << u64::BITS | u128::from(self.seq)
    }

    /// The counterpart of [`StreamId::to_bytes`].
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let [ms, seq] = [&bytes[..8], &bytes[8..]]
            .map(|half| half.iter().fold(0u64, |number, &byte| number << 8 | u64::from(byte)));
        Self { ms, seq }
    }

    /// The id at so great a distance, as the chunks of a stream keep it.
    pub(super) fn at_distance(self, ms: i64, seq: i64) -> Self {
        Self { ms: self.ms.wrapping_add_signed(ms), seq: self.seq.wrapping_add_signed(seq) }
    }

    /// The counterpart of [`StreamId::at_distance`].
    pub(super) fn distance_from(self, first: Self) -> (i64, i64) {
        (self.ms.wrapping_sub(first.ms).cast_signed(), self.seq.wrapping_sub(first.seq).cast_signed())
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.ms, self.seq)
    }
}
