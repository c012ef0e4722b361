//! Trimming: removing stream entries from the front.

use super::chunk::Lying;
use super::id::StreamId;
use super::{Link, StreamValue};
use crate::ordered::OrderedMap;

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
pub struct TrimPlan {
    /// So many chunks from the front.
    chunks: usize,
    /// These of what then is the first chunk, or (where only what was acknowledged goes) of any.
    entries: Vec<StreamId>,
    count: usize,
    references: References,
}

impl TrimPlan {
    /// How many stream entries it removes.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether it changes nothing.
    pub fn is_nothing(&self) -> bool {
        self.chunks == 0 && self.entries.is_empty()
    }
}

impl Trim {
    /// Whether everything up to an id goes as far as ids matter; `None`: they do not.
    fn takes_id(&self, id: StreamId) -> Option<bool> {
        match self.to {
            TrimTo::Length(_) => None,
            TrimTo::Id(least) => Some(id < least),
        }
    }
}

impl StreamValue {
    /// What trimming would remove, without doing so.
    pub fn plan_trim(&self, trim: &Trim) -> TrimPlan {
        if trim.references == References::Acknowledged && self.group_count() > 0 {
            return self.plan_acknowledged(trim);
        }
        let mut plan = TrimPlan { chunks: 0, entries: Vec::new(), count: 0, references: trim.references };
        for (first, link) in self.chunks.iter() {
            let is_done = matches!(trim.to, TrimTo::Length(most) if self.length - plan.count <= most);
            if is_done || (trim.count_max > 0 && plan.count + link.live > trim.count_max) {
                break;
            }
            if self.takes_chunk(trim, plan.count, *first, link) {
                plan.chunks += 1;
                plan.count += link.live;
                continue;
            }
            if !trim.is_approximate {
                self.plan_entries(trim, *first, link, &mut plan);
            }
            break;
        }
        plan
    }

    fn takes_chunk(&self, trim: &Trim, removed: usize, first: StreamId, link: &Link) -> bool {
        match trim.to {
            TrimTo::Length(most) => self.length - removed - link.live >= most,
            TrimTo::Id(least) => first < least && link.chunk.last_id(first) < least,
        }
    }

    /// Plans to take entries of the first chunk that does not go as a whole.
    fn plan_entries(&self, trim: &Trim, first: StreamId, link: &Link, plan: &mut TrimPlan) {
        let live = link.chunk.entries(first).filter(|lying| !lying.is_deleted).map(|lying| lying.entry.id);
        let entries: Vec<_> = match trim.to {
            TrimTo::Length(most) => live.take(self.length - plan.count - most).collect(),
            TrimTo::Id(least) => live.take_while(|id| *id < least).collect(),
        };
        plan.count += entries.len();
        plan.entries = entries;
    }

    /// Plans to take what every group has acknowledged, and to leave the rest where it is. Approximately: chunk by chunk up to the first that does
    /// not go as a whole.
    fn plan_acknowledged(&self, trim: &Trim) -> TrimPlan {
        let mut plan = TrimPlan { chunks: 0, entries: Vec::new(), count: 0, references: trim.references };
        for (first, link) in self.chunks.iter() {
            let goes_whole = self.takes_chunk(trim, plan.count.min(self.length - link.live), *first, link);
            let is_over = trim.count_max > 0 && plan.count + link.live > trim.count_max;
            if trim.is_approximate && (!goes_whole || is_over) {
                break;
            }
            let live = link.chunk.entries(*first).filter(|lying| !lying.is_deleted).map(|lying| lying.entry.id);
            for id in live.clone() {
                let is_last = match trim.to {
                    TrimTo::Length(most) => self.length - plan.entries.len() <= most,
                    TrimTo::Id(_) => trim.takes_id(id) == Some(false),
                };
                if is_last {
                    plan.count = plan.entries.len();
                    return plan;
                }
                if !self.is_referenced(id) {
                    plan.entries.push(id);
                } else if trim.is_approximate {
                    // This chunk does not go, so nothing of it does.
                    plan.entries.truncate(plan.count);
                    return plan;
                }
            }
            plan.count = plan.entries.len();
        }
        plan
    }

    /// Removes what was planned, nothing having changed since. Returns what was taken off, for another thread to free.
    pub fn trim(&mut self, plan: &TrimPlan) -> Self {
        let mut removed = Self { chunks: self.chunks.split_front(plan.chunks), ..Self::default() };
        for (_, link) in removed.chunks.iter() {
            removed.length += link.live;
            removed.allocated_bytes += OrderedMap::<StreamId, Link>::PAIR_BYTES + link.chunk.allocated_bytes();
        }
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
