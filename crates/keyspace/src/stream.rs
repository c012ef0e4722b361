//! Streams: entries with ids that only grow, and groups of consumers that read them.
//!
//! ```text
//! chunks:  ordered map of id of the first stream entry -> (count of those left, bytes, Arc -> chunk)  see `chunk`
//! groups:  ordered map of name -> group                                                              see `group`
//! producers: what was added under ids of those who sent it                                            see `producers`
//! ```
//!
//! Chunks begin and end where Redis's nodes do, to the byte: trimming with `~` takes whole ones, and how many of them there are is shown by XINFO. So a
//! deleted stream entry stays in its chunk, and a chunk goes when nothing in it is left. (Trimming by id may leave one without any at the front.)
//!
//! A clone is one step; a change copies a chunk and the path to it. A stream may be without stream entries: it goes only with its key.

mod chunk;
mod group;
mod id;
mod producers;
#[cfg(test)]
mod tests;
mod tree;
mod trim;

use triomphe::Arc;

use crate::collection::{CollectionValue, ValueType, collection_variant};
use crate::digest::Digest;
use crate::effects::DISCARD_BYTES_MIN;
use crate::ordered::OrderedMap;
use crate::settings::Settings;
use chunk::Chunk;
pub use chunk::StreamEntry;
pub use group::{Pending, StreamConsumer, StreamGroup, StreamName};
pub use id::StreamId;
pub use producers::{IdempotentId, ProducerLimits, ProducerRecord, Producers};
pub use trim::{References, Trim, TrimPlan, TrimTo};

/// A stream with more chunks is handed out to be freed (redis: lazyfree.c LAZYFREE_THRESHOLD).
const CHUNKS_FREED_AT_ONCE_MAX: usize = 64;
/// A stream entry's fields and values may not take more.
const ENTRY_BYTES_MAX: usize = 1 << 30;

/// A stream.
#[derive(Clone, Default)]
pub struct StreamValue {
    chunks: OrderedMap<StreamId, Link>,
    length: usize,
    last_id: StreamId,
    max_deleted_id: StreamId,
    entries_added: u64,
    groups: OrderedMap<StreamName, StreamGroup>,
    /// None as long as no producer has an id of its own.
    producers: Option<Arc<Producers>>,
    /// Of chunks, groups and producers.
    allocated_bytes: usize,
}

#[derive(Clone)]
struct Link {
    /// The entries that are not deleted, and the bytes in memory: kept here, so that whole chunks can be counted without touching them.
    live: usize,
    bytes: usize,
    chunk: Arc<Chunk>,
}

impl Link {
    const OVERHEAD_BYTES: usize = OrderedMap::<StreamId, Self>::PAIR_BYTES;
}

impl StreamValue {
    /// How many stream entries there are.
    pub fn entry_count(&self) -> usize {
        self.length
    }

    /// The id of the last stream entry that was added, or what XSETID made of it.
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The greatest id of a stream entry that was deleted otherwise than by trimming.
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// How many stream entries were ever added.
    pub fn entries_added(&self) -> u64 {
        self.entries_added
    }

    /// Sets what XSETID sets.
    pub fn set_counters(&mut self, last_id: StreamId, max_deleted_id: StreamId, entries_added: u64) {
        (self.last_id, self.max_deleted_id, self.entries_added) = (last_id, max_deleted_id, entries_added);
    }

    /// The id of the first stream entry, `0-0` if there is none.
    pub fn first_id(&self) -> StreamId {
        self.range(StreamId::MIN, StreamId::MAX).next().map_or(StreamId::MIN, |entry| entry.id)
    }

    /// The last stream entry.
    pub fn last(&self) -> Option<StreamEntry<'_>> {
        self.range_back(StreamId::MIN, StreamId::MAX).next()
    }

    /// The stream entries between two ids, both included, in order.
    pub fn range(&self, from: StreamId, to: StreamId) -> impl Iterator<Item = StreamEntry<'_>> {
        let (rank, is_first) = self.chunks.rank(&from);
        let start = if is_first { rank } else { rank.saturating_sub(1) };
        let lying = self.chunks.range(start..self.chunks.len()).flat_map(|(first, link)| link.chunk.entries(*first));
        let entries =
            lying.skip_while(move |lying| lying.entry.id < from).take_while(move |lying| lying.entry.id <= to);
        entries.filter(|lying| !lying.is_deleted).map(|lying| lying.entry)
    }

    /// The stream entries between two ids, both included, the last one first.
    pub fn range_back(&self, from: StreamId, to: StreamId) -> impl Iterator<Item = StreamEntry<'_>> {
        let (rank, is_first) = self.chunks.rank(&to);
        let chunks = self.chunks.range(0..rank + usize::from(is_first)).rev();
        let lying = chunks.flat_map(|(first, link)| link.chunk.entries(*first).rev());
        let entries =
            lying.skip_while(move |lying| lying.entry.id > to).take_while(move |lying| lying.entry.id >= from);
        entries.filter(|lying| !lying.is_deleted).map(|lying| lying.entry)
    }

    /// The stream entry with an id.
    pub fn get(&self, id: StreamId) -> Option<StreamEntry<'_>> {
        self.range(id, id).next()
    }

    /// Whether there is a stream entry with an id.
    pub fn contains(&self, id: StreamId) -> bool {
        self.get(id).is_some()
    }

    /// Whether a stream entry with these fields and values is too big for any stream.
    pub fn is_too_big<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> bool {
        text_bytes(pairs) > ENTRY_BYTES_MAX
    }

    /// Adds a stream entry, whose id comes behind that of the last one.
    pub fn append<'a>(
        &mut self,
        id: StreamId,
        pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
        settings: &Settings,
    ) {
        debug_assert!(id > self.last_id);
        let bytes_max = match settings.stream_chunk_bytes_max {
            0 => ENTRY_BYTES_MAX,
            bytes_max => bytes_max.min(ENTRY_BYTES_MAX),
        };
        let last = self.chunks.last().map(|(first, link)| (*first, &link.chunk));
        let entry_bytes = text_bytes(pairs.clone());
        match last {
            Some((first, chunk)) if chunk.has_room(entry_bytes, bytes_max, settings.stream_chunk_entries_max) => {
                self.change_chunk(first, |chunk| chunk.push(first, id, pairs));
            }
            last => {
                if let Some(first) = last.map(|(first, _)| first) {
                    self.change_chunk(first, Chunk::close);
                }
                self.add_chunk(id, Chunk::new(pairs));
            }
        }
        self.entries_added = self.entries_added.wrapping_add(1);
        self.last_id = id;
    }

    /// Removes a stream entry; says whether it was there. What the groups know of it stays.
    pub fn remove(&mut self, id: StreamId) -> bool {
        let (rank, is_first) = self.chunks.rank(&id);
        let Some(rank) = (rank + usize::from(is_first)).checked_sub(1) else { return false };
        let (&first, link) = self.chunks.at(rank).expect("the rank of a chunk");
        let found = link.chunk.entries(first).find(|lying| lying.entry.id >= id);
        let Some(place) = found.filter(|lying| lying.entry.id == id && !lying.is_deleted).map(|lying| lying.place())
        else {
            return false;
        };
        if link.live == 1 {
            self.remove_chunk(first);
        } else {
            self.change_chunk(first, |chunk| chunk.delete(&[place]));
        }
        true
    }

    /// Removes a stream entry as XDEL does: its id is remembered as deleted. Says whether it was there.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let is_removed = self.remove(id);
        if is_removed {
            self.max_deleted_id = self.max_deleted_id.max(id);
        }
        is_removed
    }

    /// The chunks from a place on: the id under which each stands, and its bytes, which are Redis's listpack. A snapshot keeps them.
    pub fn chunks_at(&self, place: usize) -> impl Iterator<Item = (StreamId, &[u8])> {
        let chunks = self.chunks.range(place.min(self.chunks.len())..self.chunks.len());
        chunks.map(|(first, link)| (*first, link.chunk.bytes()))
    }

    /// Adds a chunk as [`StreamValue::chunks_at`] gave it, whatever the limits; says whether it is one and comes behind the others.
    pub fn restore_chunk(&mut self, first: StreamId, bytes: Vec<u8>) -> bool {
        let is_behind = self.chunks.last().is_none_or(|(before, link)| link.chunk.last_id(*before) < first);
        let chunk = if is_behind { Chunk::restore(first, bytes) } else { None };
        let is_sound = chunk.is_some();
        chunk.into_iter().for_each(|chunk| self.add_chunk(first, chunk));
        is_sound
    }

    fn add_chunk(&mut self, first: StreamId, chunk: Chunk) {
        let (live, bytes) = (chunk.live(), Link::OVERHEAD_BYTES + chunk.allocated_bytes());
        self.length += live;
        self.allocated_bytes += bytes;
        self.chunks.insert(first, Link { live, bytes, chunk: Arc::new(chunk) });
    }

    fn remove_chunk(&mut self, first: StreamId) {
        if let Some(link) = self.chunks.remove(&first) {
            self.length -= link.live;
            self.allocated_bytes -= link.bytes;
        }
    }

    /// Changes the chunk that stands under an id, and the books with it.
    fn change_chunk(&mut self, first: StreamId, change: impl FnOnce(&mut Chunk)) {
        let link = self.chunks.value_mut(&first).expect("the chunk is there");
        let before = (link.live, link.bytes);
        let chunk = Arc::make_mut(&mut link.chunk);
        change(chunk);
        (link.live, link.bytes) = (chunk.live(), Link::OVERHEAD_BYTES + chunk.allocated_bytes());
        self.length = self.length - before.0 + link.live;
        self.allocated_bytes = self.allocated_bytes - before.1 + link.bytes;
    }

    // Groups.

    /// How many groups it has.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The groups by name.
    pub fn groups(&self) -> impl Iterator<Item = (&StreamName, &StreamGroup)> + Clone {
        self.groups.iter()
    }

    /// A group.
    pub fn group(&self, name: &[u8]) -> Option<&StreamGroup> {
        self.groups.get(name)
    }

    /// Adds a group; says whether the name was free.
    pub fn add_group(&mut self, name: &[u8], group: StreamGroup) -> bool {
        if self.groups.contains(name) {
            return false;
        }
        self.allocated_bytes += group_bytes(name, &group);
        self.groups.insert(StreamName::new(name), group);
        true
    }

    /// Takes a group out, as a stream with nothing else in it, for another thread to free.
    pub fn take_group(&mut self, name: &[u8]) -> Option<Self> {
        let group = self.groups.remove(name)?;
        self.allocated_bytes -= group_bytes(name, &group);
        let mut taken = Self::default();
        taken.add_group(name, group);
        Some(taken)
    }

    /// Changes a group.
    pub fn change_group<R>(&mut self, name: &[u8], change: impl FnOnce(&mut StreamGroup) -> R) -> Option<R> {
        let group = self.groups.value_mut(name)?;
        let before = group.allocated_bytes();
        let result = change(group);
        self.allocated_bytes = self.allocated_bytes - before + group.allocated_bytes();
        Some(result)
    }

    /// Forgets, in every group, that a stream entry was given to anybody.
    pub fn dereference(&mut self, id: StreamId) {
        let names: Vec<_> =
            self.groups.iter().filter(|(_, group)| group.pending(id).is_some()).map(|of| of.0.clone()).collect();
        for name in names {
            self.change_group(&name, |group| group.acknowledge(id));
        }
    }

    /// Whether a group has still to read a stream entry, or to acknowledge it.
    pub fn is_referenced(&self, id: StreamId) -> bool {
        self.groups.iter().any(|(_, group)| group.last_id < id || group.pending(id).is_some())
    }

    /// What of the stream tells how far groups have come.
    pub fn progress(&self) -> Progress {
        Progress {
            length: self.length as u64,
            entries_added: self.entries_added,
            first_id: self.first_id(),
            last_id: self.last_id,
            max_deleted_id: self.max_deleted_id,
        }
    }

    // Producers.

    /// What is remembered of producers with ids of their own; `None`: there were none, and nobody has set the limits.
    pub fn producers(&self) -> Option<&Producers> {
        self.producers.as_deref()
    }

    /// Changes what is remembered of producers.
    pub fn change_producers<R>(&mut self, change: impl FnOnce(&mut Producers) -> R) -> R {
        let before = self.producers.as_ref().map_or(0, |producers| producers.allocated_bytes());
        let producers = self.producers.get_or_insert_with(|| Arc::new(Producers::new(ProducerLimits::default())));
        let producers = Arc::make_mut(producers);
        let result = change(producers);
        self.allocated_bytes = self.allocated_bytes - before + producers.allocated_bytes();
        result
    }

    /// How many stream entries a group has still to read, if that is known.
    pub fn lag(&self, group: &StreamGroup) -> Option<i64> {
        let progress = self.progress();
        let added = self.entries_added.cast_signed();
        if added == 0 {
            return Some(0);
        }
        if progress.has_counted(group) {
            // Unlike `advance`, whether or not trimming has overtaken the group.
            return Some(added.wrapping_sub(group.entries_read));
        }
        match progress.added_up_to(group.last_id) {
            -1 => None,
            read => Some(added.wrapping_sub(read)),
        }
    }
}

/// See [`StreamValue::progress`].
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    length: u64,
    entries_added: u64,
    first_id: StreamId,
    last_id: StreamId,
    max_deleted_id: StreamId,
}

impl Progress {
    /// Whether a stream entry that was deleted lies between this id and the end, so that what lies there cannot be counted.
    fn has_deleted_from(&self, from: StreamId) -> bool {
        self.length > 0 && self.max_deleted_id != StreamId::MIN && from <= self.max_deleted_id
    }

    /// Whether what a group has read is known and still leads to the end.
    fn has_counted(&self, group: &StreamGroup) -> bool {
        group.entries_read != -1 && !self.has_deleted_from(group.last_id)
    }

    /// How many stream entries were added up to this id; -1: nobody knows.
    pub fn added_up_to(&self, id: StreamId) -> i64 {
        let added = self.entries_added.cast_signed();
        if added == 0 {
            return 0;
        }
        if id == self.last_id || (self.length == 0 && id < self.last_id) {
            return added;
        }
        let has_gaps = self.max_deleted_id != StreamId::MIN && self.max_deleted_id >= self.first_id;
        let is_before_gap = id != StreamId::MIN && id < self.max_deleted_id;
        if id > self.last_id || has_gaps || is_before_gap || id > self.first_id {
            return -1;
        }
        let before_first = added.wrapping_sub(self.length.cast_signed());
        if id < self.first_id { before_first } else { before_first.wrapping_add(1) }
    }

    /// Moves a group on to a stream entry that it reads.
    pub fn advance(&self, group: &mut StreamGroup, id: StreamId) {
        if group.last_id >= id {
            return;
        }
        if group.last_id >= self.first_id && self.has_counted(group) {
            group.entries_read = group.entries_read.wrapping_add(1);
        } else if self.entries_added > 0 {
            group.entries_read = self.added_up_to(id);
        }
        group.last_id = id;
    }
}

fn text_bytes<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> usize {
    pairs.map(|(field, value)| field.len() + value.len()).sum()
}

fn group_bytes(name: &[u8], group: &StreamGroup) -> usize {
    OrderedMap::<StreamName, StreamGroup>::PAIR_BYTES + 2 * size_of::<usize>() + name.len() + group.allocated_bytes()
}

impl CollectionValue for StreamValue {
    const TYPE: ValueType = ValueType::Stream;

    fn empty() -> Self {
        Self::default()
    }

    /// Never: a stream without stream entries keeps its key.
    fn is_empty(&self) -> bool {
        false
    }

    fn allocated_bytes(&self) -> usize {
        size_of::<Self>() + self.chunks.root_bytes() + self.groups.root_bytes() + self.allocated_bytes
    }

    /// Its chunks may be small, and many for their bytes.
    fn is_slow_to_free(&self) -> bool {
        self.chunks.len() > CHUNKS_FREED_AT_ONCE_MAX || self.allocated_bytes() >= DISCARD_BYTES_MIN
    }

    fn encoding(&self) -> &'static str {
        "stream"
    }

    fn digest(&self, digest: &mut Digest) {
        digest.number(self.chunks.len() as u64);
        for (first, link) in self.chunks.iter() {
            digest.bytes(&first.to_bytes());
            digest.bytes(link.chunk.bytes());
        }
        digest.bytes(&self.last_id.to_bytes());
        digest.bytes(&self.max_deleted_id.to_bytes());
        digest.number(self.entries_added);
        digest.number(self.groups.len() as u64);
        for (name, group) in self.groups.iter() {
            digest.bytes(name);
            group.digest(digest);
        }
        if let Some(producers) = &self.producers {
            producers.digest(digest);
        }
    }

    collection_variant!(Stream);
}
