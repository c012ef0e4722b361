//! How big a packed list and a chunk may be: `list-max-listpack-size`.

use super::chunk::Chunk;
use crate::settings::Settings;

/// The bytes that -1 to -5 stand for.
const BYTES_MAX: [usize; 5] = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10];
/// The bytes of a chunk whose limit is a count.
const COUNTED_BYTES_MAX: usize = 8 << 10;
/// What an element is taken to cost besides its bytes, before it is written.
const ELEMENT_OVERHEAD_BYTES: usize = 8;

/// Bounds of a chunk, in the terms of Redis' listpack.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    weight_max: usize,
    count_max: usize,
}

impl Limits {
    pub(super) fn of(settings: &Settings) -> Self {
        let size = settings.list_packed_size;
        if let Ok(count) = usize::try_from(size) {
            return Self { weight_max: COUNTED_BYTES_MAX, count_max: count.max(1) };
        }
        let step = usize::try_from(size.unsigned_abs()).map_or(BYTES_MAX.len(), |step| step.min(BYTES_MAX.len()));
        Self { weight_max: BYTES_MAX[step - 1], count_max: usize::MAX }
    }

    pub(super) fn are_exceeded_by(&self, weight: usize, count: usize) -> bool {
        weight > self.weight_max || count > self.count_max
    }

    /// Whether a chunk has room for one more element.
    pub(super) fn allow_insert(&self, chunk: &Chunk, element: &[u8]) -> bool {
        let weight = chunk.weight() + element.len() + ELEMENT_OVERHEAD_BYTES;
        !self.are_exceeded_by(weight, chunk.len() + 1)
    }

    /// Whether a list of this one chunk is so small that it is packed again: half of what would unpack it, so that a list at the
    /// limit does not go to and fro.
    pub(super) fn allow_packing(&self, chunk: &Chunk) -> bool {
        let is_counted = self.count_max != usize::MAX;
        let weight_max = if is_counted { self.weight_max } else { self.weight_max / 2 };
        let count_max = if is_counted { self.count_max / 2 } else { usize::MAX };
        chunk.weight() <= weight_max && chunk.len() <= count_max
    }
}
