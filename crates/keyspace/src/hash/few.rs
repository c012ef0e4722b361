//! Big hashes of few pairs: a block of them (see `packed`), and what expires.
//!
//! ```text
//! due: [ deadline | position ] ...            of the pairs that expire, by (deadline, field)
//! ```
//!
//! Whoever looks for something walks over all. A removal puts the last pair into the hole, as in a dense hash.

use super::Timed;
use super::packed::PackedHash;
use crate::big::{FEW_BYTES_MAX, FEW_MAX};
use crate::block::allocated;

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct FewHash {
    block: PackedHash,
    due: Box<[Due]>,
}

#[derive(Clone, Copy)]
struct Due {
    deadline_ms: u64,
    position: usize,
}

impl FewHash {
    /// The pairs of a block, if they are few.
    pub(super) fn of_packed(block: &mut PackedHash) -> Option<Self> {
        let are_few = block.len() <= FEW_MAX && block.block().len() <= FEW_BYTES_MAX;
        if are_few { Some(Self { block: std::mem::take(block), due: Box::default() }) } else { None }
    }

    pub(super) fn len(&self) -> usize {
        self.block.len()
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        self.block.allocated_bytes() + allocated(size_of_val(&*self.due))
    }

    fn position(&self, field: &[u8]) -> Option<usize> {
        self.block.view().pairs().position(|pair| pair.0 == field)
    }

    fn deadline_ms(&self, position: usize) -> Option<u64> {
        self.due.iter().find(|due| due.position == position).map(|due| due.deadline_ms)
    }

    fn timed<'a>(&self, position: usize, (field, value): super::Pair<'a>) -> Timed<'a> {
        Timed { field, value, deadline_ms: self.deadline_ms(position) }
    }

    /// A field with its value and deadline.
    pub(super) fn find(&self, field: &[u8]) -> Option<Timed<'_>> {
        let found = self.block.view().pairs().enumerate().find(|(_, pair)| pair.0 == field);
        found.map(|(position, pair)| self.timed(position, pair))
    }

    /// The pair at a position below the length.
    pub(super) fn pair(&self, position: usize) -> Timed<'_> {
        self.timed(position, self.block.view().pairs().nth(position).expect("the position is below the length"))
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = Timed<'_>> + Clone {
        self.block.view().pairs().enumerate().map(|(position, pair)| self.timed(position, pair))
    }

    /// How many fields have a deadline.
    pub(super) fn expiring_count(&self) -> usize {
        self.due.len()
    }

    /// The pair that expires first.
    pub(super) fn next_due(&self) -> Option<Timed<'_>> {
        self.due.first().map(|due| self.pair(due.position))
    }

    /// How many fields have deadlines up to this one.
    pub(super) fn due_count(&self, until_ms: u64) -> usize {
        self.due.partition_point(|due| due.deadline_ms <= until_ms)
    }

    /// Whether the pairs are still few when this one is there.
    pub(super) fn takes(&self, field: &[u8], value: &[u8]) -> bool {
        self.block.bytes_with(field, value) <= FEW_BYTES_MAX && (self.len() < FEW_MAX || self.position(field).is_some())
    }

    /// Gives a field a value and a deadline; says whether the field is new.
    pub(super) fn insert(&mut self, field: &[u8], value: &[u8], deadline_ms: Option<u64>) -> bool {
        let before = self.position(field);
        let is_new = self.block.insert(field, value);
        let position = before.unwrap_or(self.len() - 1);
        if self.deadline_ms(position) != deadline_ms {
            self.set_deadline(position, field, deadline_ms);
        }
        is_new
    }

    /// Lists the pair with this field, which is at this position, under another deadline, or no longer.
    fn set_deadline(&mut self, position: usize, field: &[u8], deadline_ms: Option<u64>) {
        let mut left: Vec<Due> = self.due.iter().copied().filter(|due| due.position != position).collect();
        if let Some(deadline_ms) = deadline_ms {
            let place = |due: &Due| (due.deadline_ms, self.pair(due.position).field);
            let at = left.partition_point(|due| place(due) < (deadline_ms, field));
            left.insert(at, Due { deadline_ms, position });
        }
        self.due = left.into();
    }

    /// Removes a field; says whether it was there. The last pair takes its place.
    pub(super) fn remove(&mut self, field: &[u8]) -> bool {
        let Some(position) = self.position(field) else { return false };
        self.block.swap_remove(field);
        let last = self.len();
        let left = self.due.iter().filter(|due| due.position != position);
        let moved = |due: &Due| Due { position: if due.position == last { position } else { due.position }, ..*due };
        self.due = left.map(moved).collect();
        true
    }
}
