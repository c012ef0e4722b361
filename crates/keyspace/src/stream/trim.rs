//! Trimming: removing stream entries from the front.

use super::chunk::Lying;
use super::id::StreamId;
use super::{Link, StreamValue};

/// What a trimmed stream shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrimTo {
    /// Not longer than this.
    Length(usize),
    /// Without ids below this.
    Id(StreamId),
}

/// What a stream entry that goes means to the groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum References {
    /// They still know that it was given to somebody.
    #[default]
    Keep,
    /// They forget it.
    Remove,
    /// It goes only if all of them have read and acknowledged it.
    Acknowledged,
}

/// How to trim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// What the stream shall be.
    pub to: TrimTo,
    /// Whether only whole chunks are taken.
    pub is_approximate: bool,
    /// At most so many stream entries are removed; 0: any number. Only together with `is_approximate`.
    pub count_max: usize,
    /// What it means to the groups.
    pub references: References,
}

/// What trimming would remove: see [`StreamValue::plan_trim`].
#[derive(Default)]
pub struct TrimPlan {
    /// So many chunks from the front, with so many stream entries and of so many bytes.
    chunks: usize,
    chunk_entries: usize,
    chunk_bytes: usize,
    /// These of what then is the first chunk, or (where only what was acknowledged goes) of any.
    entries: Vec<StreamId>,
    references: References,
}

impl TrimPlan {
    /// How many stream entries it removes.
    pub fn count(&self) -> usize {
        self.chunk_entries + self.entries.len()
    }

    /// Whether it changes nothing.
    pub fn is_nothing(&self) -> bool {
        self.chunks == 0 && self.entries.is_empty()
    }
}

impl StreamValue {
    /// What trimming would remove, without doing so.
    pub fn plan_trim(&self, trim: &Trim) -> TrimPlan {
        if trim.references == References::Acknowledged && self.group_count() > 0 {
            return self.plan_acknowledged(trim);
        }
        let mut plan = TrimPlan { references: trim.references, ..TrimPlan::default() };
        let mut chunks = self.chunks.iter().peekable();
        while let Some((first, link)) = chunks.next() {
            let is_done = matches!(trim.to, TrimTo::Length(most) if self.length - plan.chunk_entries <= most);
            if is_done || (trim.count_max > 0 && plan.chunk_entries + link.live > trim.count_max) {
                break;
            }
            let next = chunks.peek().map(|(next, _)| **next);
            if self.takes_chunk(trim, plan.chunk_entries, (*first, next), link) {
                plan.chunks += 1;
                plan.chunk_entries += link.live;
                plan.chunk_bytes += link.bytes;
                continue;
            }
            if !trim.is_approximate {
                self.plan_entries(trim, *first, link, &mut plan);
            }
            break;
        }
        plan
    }

    /// Whether a chunk goes as a whole, between its own first id and that of the next.
    fn takes_chunk(
        &self,
        trim: &Trim,
        removed: usize,
        (first, next): (StreamId, Option<StreamId>),
        link: &Link,
    ) -> bool {
        match trim.to {
            TrimTo::Length(most) => self.length - removed - link.live >= most,
            // The last one of those that go is the only chunk that has to be looked into.
            TrimTo::Id(least) if next.is_some_and(|next| next <= least) => true,
            TrimTo::Id(least) => first < least && link.chunk.last_id(first) < least,
        }
    }

    /// Plans to take entries of the first chunk that does not go as a whole.
    fn plan_entries(&self, trim: &Trim, first: StreamId, link: &Link, plan: &mut TrimPlan) {
        let live = link.chunk.entries(first).filter(|lying| !lying.is_deleted).map(|lying| lying.entry.id);
        plan.entries = match trim.to {
            TrimTo::Length(most) => live.take(self.length - plan.chunk_entries - most).collect(),
            TrimTo::Id(least) => live.take_while(|id| *id < least).collect(),
        };
    }

    /// Plans to take what every group has acknowledged, and to leave the rest where it is. Approximately: chunk by chunk up to the first that does
    /// not go as a whole.
    fn plan_acknowledged(&self, trim: &Trim) -> TrimPlan {
        let mut plan = TrimPlan { references: trim.references, ..TrimPlan::default() };
        let mut chunks = self.chunks.iter().peekable();
        while let Some((first, link)) = chunks.next() {
            let (next, planned) = (chunks.peek().map(|(next, _)| **next), plan.entries.len());
            let goes_whole = self.takes_chunk(trim, planned, (*first, next), link);
            let is_over = trim.count_max > 0 && planned + link.live > trim.count_max;
            if trim.is_approximate && (!goes_whole || is_over) {
                break;
            }
            for lying in link.chunk.entries(*first).filter(|lying| !lying.is_deleted) {
                let id = lying.entry.id;
                let is_beyond = match trim.to {
                    TrimTo::Length(most) => self.length - plan.entries.len() <= most,
                    TrimTo::Id(least) => id >= least,
                };
                if is_beyond {
                    return plan;
                }
                if !self.is_referenced(id) {
                    plan.entries.push(id);
                } else if trim.is_approximate {
                    // This chunk does not go, so nothing of it does.
                    plan.entries.truncate(planned);
                    return plan;
                }
            }
        }
        plan
    }

    /// Removes what was planned, nothing having changed since. Returns what was taken off, for another thread to free.
    pub fn trim(&mut self, plan: &TrimPlan) -> Self {
        let removed = Self {
            chunks: self.chunks.split_front(plan.chunks),
            length: plan.chunk_entries,
            allocated_bytes: plan.chunk_bytes,
            ..Self::default()
        };
        self.length -= removed.length;
        self.allocated_bytes -= removed.allocated_bytes;
        if plan.references == References::Remove {
            let chunks = removed.chunks.iter().flat_map(|(first, link)| link.chunk.entries(*first));
            chunks.filter(|lying| !lying.is_deleted).for_each(|lying| self.dereference(lying.entry.id));
            plan.entries.iter().for_each(|id| self.dereference(*id));
        }
        if plan.references == References::Acknowledged {
            plan.entries.iter().for_each(|id| {
                self.remove(*id);
            });
        } else {
            self.delete_in_first_chunk(&plan.entries);
        }
        removed
    }

    /// Marks the first entries of the first chunk as deleted. It stays even if they were all, as it does in Redis.
    fn delete_in_first_chunk(&mut self, ids: &[StreamId]) {
        let (Some(last), Some((&first, link))) = (ids.last(), self.chunks.first()) else { return };
        let lying = link.chunk.entries(first).take_while(|lying| lying.entry.id <= *last);
        let places: Vec<_> = lying.filter(|lying| !lying.is_deleted).map(|lying| Lying::place(&lying)).collect();
        debug_assert_eq!(places.len(), ids.len());
        self.change_chunk(first, |chunk| chunk.delete(&places));
    }
}
