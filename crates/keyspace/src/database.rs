//! One database: its keys by slot.

use slot::Slot;
use triomphe::Arc;

use crate::deadlines::Deadlines;
use crate::fenwick::Counts;
use crate::part::{Part, Placed};
use crate::span::{SPAN_COUNT, Span, position, span_of};

/// The keys of a database by span of slots, counts by slot, and the deadlines. About 72 KiB before the first key, so a
/// keyspace makes one on first use.
pub struct Database {
    /// Shared with frozen views as a whole: freezing takes a step for each.
    spans: Vec<Option<Arc<Span>>>,
    pub(crate) counts: Counts,
    pub(crate) deadlines: Deadlines,
    /// Of each hash with fields that expire, the first of their deadlines.
    pub(crate) field_deadlines: Deadlines,
    /// The bytes of records, what refers to them, and values beside keys.
    pub(crate) allocated_bytes: usize,
}

impl Database {
    pub(crate) fn new() -> Self {
        Self {
            spans: vec![None; SPAN_COUNT],
            counts: Counts::zeros(usize::from(slot::SLOT_COUNT)),
            deadlines: Deadlines::default(),
            field_deadlines: Deadlines::default(),
            allocated_bytes: 0,
        }
    }

    /// The span of a slot, if it holds keys.
    pub(crate) fn span(&self, slot: Slot) -> Option<&Span> {
        self.spans[span_of(slot)].as_deref()
    }

    /// The spans that hold keys, in order.
    pub(crate) fn spans(&self) -> impl Iterator<Item = &Arc<Span>> {
        self.spans.iter().flatten()
    }

    /// The part for the keys of a slot with this hash, if its span holds keys.
    pub(crate) fn part(&self, slot: Slot, hash: u64) -> Option<&Part> {
        Some(self.span(slot)?.part(position(slot, hash)))
    }

    /// The same, to be changed.
    pub(crate) fn part_mut(&mut self, slot: Slot, hash: u64) -> Option<&mut Part> {
        let span = Arc::make_mut(self.spans[span_of(slot)].as_mut()?);
        Some(span.part_mut(position(slot, hash)))
    }

    /// The same, to add a key.
    pub(crate) fn part_or_new(&mut self, slot: Slot, hash: u64) -> &mut Part {
        let span = self.spans[span_of(slot)].get_or_insert_with(|| Arc::new(Span::new()));
        Arc::make_mut(span).part_mut(position(slot, hash))
    }

    /// How many keys there are.
    pub fn key_count(&self) -> usize {
        self.counts.total()
    }

    /// Books that what took `before` bytes takes `after`.
    pub(crate) fn account(&mut self, before: usize, after: usize) {
        debug_assert!(self.allocated_bytes + after >= before, "what is freed was booked");
        self.allocated_bytes = self.allocated_bytes + after - before;
    }

    /// A key was put, which may be new.
    pub(crate) fn note_put(&mut self, hash_key: [u64; 2], slot: Slot, hash: u64, is_new: bool) {
        if is_new {
            self.counts.add(slot.index(), 1);
        }
        let span = self.spans[span_of(slot)].as_mut().expect("a key is there");
        Arc::make_mut(span).maybe_split(hash_key, position(slot, hash));
    }

    /// A key was removed.
    pub(crate) fn count_removed(&mut self, slot: Slot, hash: u64) {
        self.counts.subtract(slot.index(), 1);
        let home = &mut self.spans[span_of(slot)];
        let Some(span) = home else { return };
        let span = Arc::make_mut(span);
        if span.is_empty() {
            *home = None;
        } else {
            span.maybe_merge(position(slot, hash));
        }
    }

    /// Every key from this slot and hash on, in (slot, hash, key) order. Looks at a part at a time.
    pub(crate) fn walk(&self, hash_key: [u64; 2], slot: Slot, hash: u64) -> impl Iterator<Item = Placed<'_>> {
        let (first, from) = (span_of(slot), position(slot, hash));
        let spans = self.spans.iter().enumerate().skip(first);
        let parts = spans.filter_map(|(at, span)| Some((at, span.as_deref()?))).flat_map(move |(at, span)| {
            // In the spans behind, all keys come later.
            span.parts_from(if at == first { from } else { 0 })
        });
        parts.flat_map(move |part| part.sorted_from(hash_key, slot, hash))
    }
}
