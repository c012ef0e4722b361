//! One database: its keys by slot.

use slot::Slot;

use crate::deadlines::Deadlines;
use crate::fenwick::Counts;
use crate::slot_table::SlotTable;

const WORD_BITS: usize = u64::BITS as usize;

/// The keys of a database by slot, a bitmap of the slots that hold any, counts by slot, and the deadlines. About 350 KiB
/// before the first key, so a keyspace makes one on first use.
pub struct Database {
    slots: Vec<Option<SlotTable>>,
    occupied: Vec<u64>,
    pub(crate) counts: Counts,
    pub(crate) deadlines: Deadlines,
    /// Of each hash with fields that expire, the first of their deadlines.
    pub(crate) field_deadlines: Deadlines,
    /// The bytes of boxes, buckets and values beside keys.
    pub(crate) allocated_bytes: usize,
}

impl Database {
    pub(crate) fn new() -> Self {
        let slot_count = usize::from(slot::SLOT_COUNT);
        Self {
            slots: vec![const { None }; slot_count],
            occupied: vec![0; slot_count / WORD_BITS],
            counts: Counts::zeros(slot_count),
            deadlines: Deadlines::default(),
            field_deadlines: Deadlines::default(),
            allocated_bytes: 0,
        }
    }

    /// The keys of a slot, if there are any.
    pub(crate) fn slot(&self, slot: Slot) -> Option<&SlotTable> {
        self.slots[slot.index()].as_ref()
    }

    /// The keys of a slot, if there are any, to be changed.
    pub(crate) fn slot_mut(&mut self, slot: Slot) -> Option<&mut SlotTable> {
        self.slots[slot.index()].as_mut()
    }

    /// The keys of a slot to which one is added.
    pub(crate) fn slot_or_new(&mut self, slot: Slot) -> &mut SlotTable {
        self.slots[slot.index()].get_or_insert_with(SlotTable::new)
    }

    /// Books that what took `before` bytes takes `after`.
    pub(crate) fn account(&mut self, before: usize, after: usize) {
        debug_assert!(self.allocated_bytes + after >= before, "what is freed was booked");
        self.allocated_bytes = self.allocated_bytes + after - before;
    }

    /// A key was added.
    pub(crate) fn count_added(&mut self, slot: Slot) {
        self.counts.add(slot.index(), 1);
        self.occupied[slot.index() / WORD_BITS] |= 1 << (slot.index() % WORD_BITS);
    }

    /// A key with this hash was removed.
    pub(crate) fn count_removed(&mut self, hash_key: [u64; 2], slot: Slot, hash: u64) {
        self.counts.subtract(slot.index(), 1);
        let Some(table) = self.slot_mut(slot) else { return };
        table.maybe_shrink(hash_key, hash);
        if table.is_empty() {
            self.slots[slot.index()] = None;
            self.occupied[slot.index() / WORD_BITS] &= !(1 << (slot.index() % WORD_BITS));
        }
    }

    /// The first slot from this one on that holds keys, with them.
    pub(crate) fn occupied_from(&self, slot: u16) -> Option<(Slot, &SlotTable)> {
        let start = usize::from(slot);
        let mut word = start / WORD_BITS;
        let mut bits = self.occupied.get(word)? & (u64::MAX << (start % WORD_BITS));
        while bits == 0 {
            word += 1;
            bits = *self.occupied.get(word)?;
        }
        let index = word * WORD_BITS + bits.trailing_zeros() as usize;
        let slot = Slot::new(u16::try_from(index).expect("a bitmap of 16384 bits")).expect("a bitmap of 16384 bits");
        Some((slot, self.slot(slot).expect("the bitmap marks slots that hold keys")))
    }

    /// Every slot that holds keys, in order.
    pub(crate) fn occupied(&self) -> impl Iterator<Item = (Slot, &SlotTable)> {
        let mut next = Some(0u16);
        std::iter::from_fn(move || {
            let found = self.occupied_from(next?)?;
            next = found.0.number().checked_add(1);
            Some(found)
        })
    }
}
