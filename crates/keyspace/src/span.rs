//! The keys of a span: sixteen neighbouring slots of one database.
//!
//! ```text
//! position: [ slot within the span 4 bits | upper 60 bits of the hash ]
//! parts:    [ 0, Arc<Part> ][ first position, Arc<Part> ] ...            in order; none is empty but a single one
//! ```
//!
//! Positions follow the order of the keyspace, (slot, hash), so the keys of a slot lie one behind the other. Slots share their parts because most
//! hold few keys: with a table for each, a million keys paid 25 bytes each for half-empty tables and the holes that
//! these left in the allocator's pages when all of them grew at once.
//!
//! A part over [`PART_KEYS_MAX`] keys or [`PART_BYTES_MAX`] bytes is halved, small neighbours are merged. So nothing here takes longer than
//! hashing few hundred names, and a write behind a frozen view copies the list of parts and one part. How a span is divided depends on its history; the order
//! of its keys does not.

use slot::{SLOT_COUNT, Slot};
use triomphe::Arc;

use crate::part::Part;
use crate::records::Kept;

const SLOT_BITS: u32 = 4;
/// How many spans a database has.
pub(crate) const SPAN_COUNT: usize = (SLOT_COUNT >> SLOT_BITS) as usize;

/// The most keys of a part.
const PART_KEYS_MAX: usize = 128;
/// A part with fewer keys looks for a neighbour to merge with.
const PART_KEYS_MIN: usize = 24;
/// The most bytes of a part of several keys: what a write copies behind a frozen view, and what making room in a part moves.
const PART_BYTES_MAX: usize = 32 << 10;
/// Merged parts leave room, so that they are not halved at the next insertion.
const MERGED_KEYS_MAX: usize = 80;
const MERGED_BYTES_MAX: usize = 20 << 10;

/// The span of a slot.
pub(crate) fn span_of(slot: Slot) -> usize {
    slot.index() >> SLOT_BITS
}

/// Where the keys of a slot with this hash stand in their span.
pub(crate) fn position(slot: Slot, hash: u64) -> u64 {
    // The bits of the slot that name the span are shifted out.
    u64::from(slot.number()) << (u64::BITS - SLOT_BITS) | hash >> SLOT_BITS
}

/// See the module. Holds at least one key while it is in its database.
#[derive(Clone)]
pub(crate) struct Span {
    parts: Vec<Stretch>,
}

/// A part, and the first position that belongs to it.
#[derive(Clone)]
struct Stretch {
    start: u64,
    part: Arc<Part>,
}

impl Span {
    /// Without keys.
    pub(crate) fn new() -> Self {
        Self { parts: vec![Stretch { start: 0, part: Arc::default() }] }
    }

    fn index_of(&self, position: u64) -> usize {
        self.parts.partition_point(|stretch| stretch.start <= position) - 1
    }

    /// The part of a position.
    pub(crate) fn part(&self, position: u64) -> &Part {
        &self.parts[self.index_of(position)].part
    }

    /// The part of a position, copied first if a frozen view shares it.
    pub(crate) fn part_mut(&mut self, position: u64) -> &mut Part {
        let index = self.index_of(position);
        Arc::make_mut(&mut self.parts[index].part)
    }

    /// How many parts there are.
    pub(crate) fn part_count(&self) -> usize {
        self.parts.len()
    }

    /// The part with this index below their count.
    pub(crate) fn part_at(&self, index: usize) -> &Part {
        &self.parts[index].part
    }

    /// The parts from that of a position on, in order.
    pub(crate) fn parts_from(&self, position: u64) -> impl Iterator<Item = &Part> {
        self.parts[self.index_of(position)..].iter().map(|stretch| &*stretch.part)
    }

    /// Whether there is no key.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.len() == 1 && self.parts[0].part.len() == 0
    }

    /// The key of a slot with this rank in (hash, key) order.
    pub(crate) fn key_at_rank(&self, hash_key: [u64; 2], slot: Slot, mut rank: usize) -> Option<Kept<'_>> {
        let (first, last) = (position(slot, 0), position(slot, u64::MAX));
        let from = self.index_of(first);
        for (index, Stretch { start, part }) in self.parts.iter().enumerate().skip(from) {
            let next = self.parts.get(index + 1).map_or(u64::MAX, |next| next.start);
            // Of a slot with many keys most parts hold nothing else.
            let count = if *start >= first && next <= last { part.len() } else { part.count_of(slot) };
            if rank < count {
                let of_slot = part.sorted_from(hash_key, slot, 0).into_iter().filter(|key| key.slot == slot);
                return of_slot.map(|key| key.record).nth(rank);
            }
            rank -= count;
        }
        None
    }

    /// Halves the part of a position, if it has grown too big. To be called after every put.
    pub(crate) fn maybe_split(&mut self, hash_key: [u64; 2], position: u64) {
        let index = self.index_of(position);
        let part = &self.parts[index].part;
        if part.len() <= PART_KEYS_MAX && (part.bytes() <= PART_BYTES_MAX || part.len() == 1) {
            return;
        }
        // Positions that are all the same cannot be told apart.
        let Some(start) = self.parts[index].part.division(hash_key, position) else { return };
        let upper = Arc::make_mut(&mut self.parts[index].part).split(hash_key, start);
        self.parts.insert(index + 1, Stretch { start, part: Arc::new(upper) });
    }

    /// Merges the part of a position with a neighbour, if it has become small. To be called after a removal.
    pub(crate) fn maybe_merge(&mut self, position: u64) {
        let index = self.index_of(position);
        if self.parts[index].part.len() >= PART_KEYS_MIN || self.parts.len() == 1 {
            return;
        }
        let lower = if index + 1 < self.parts.len() { index } else { index - 1 };
        let (left, right) = (&self.parts[lower].part, &self.parts[lower + 1].part);
        if left.len() + right.len() <= MERGED_KEYS_MAX && left.bytes() + right.bytes() <= MERGED_BYTES_MAX {
            let upper = self.parts.remove(lower + 1).part;
            let upper = Arc::try_unwrap(upper).unwrap_or_else(|shared| (*shared).clone());
            Arc::make_mut(&mut self.parts[lower].part).absorb(upper);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_follow_slots_and_hashes() {
        let slots = [0, 1, 15].map(|number| Slot::new(32 + number).unwrap());
        let positions: Vec<u64> =
            slots.iter().flat_map(|&slot| [0, 1 << 40, u64::MAX].map(|hash| position(slot, hash))).collect();
        assert!(positions.is_sorted_by(|left, right| left < right));
        assert_eq!((positions[0], positions[8]), (0, u64::MAX));
        assert!(slots.iter().all(|&slot| span_of(slot) == 2));
        assert_eq!(span_of(Slot::LAST), SPAN_COUNT - 1);
    }
}
