//! The records of a part's keys, by index: bytes in few chunks, and where each of them begins.
//!
//! ```text
//! listed: [ chunk 2 | offset 2 | access mark 4 ] ...             by index
//! chunk:  [ record ][ record ][ hole ][ record ] ...             in the order in which they were written; or one long record
//! ```
//!
//! A record of the same length is written over the old one. Any other is written into the chunk that is being filled and leaves a hole; when the
//! holes are too many, all is written anew without them. With an allocation for each key, a pointer, a count of sharers, a length
//! and what the allocator rounds up to would cost a short one as much again. With one chunk for all, a part would go through all of the
//! allocator's sizes as it grows, and leave its pages half empty.
//!
//! The access mark is an atomic, so that a read may set it; it is no part of the state.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::block::allocated;
use crate::deadlines::Deadlines;
use crate::record::{Body, Record};

/// What a key costs besides its record, its print included.
const LISTED_BYTES: usize = size_of::<Listed>() + size_of::<u16>();
/// A key's share of what is nobody's alone, measured with 50,000 to a million keys: the lists of the part, and the room in them and in its chunks.
const SHARE_BYTES: usize = 8;
/// What a chunk is filled to.
const CHUNK_BYTES: usize = 4096;
/// By how much it grows until then: through few of the allocator's sizes, so that none of them has many half-empty pages.
const CHUNK_STEP_BYTES: usize = 512;
/// Of the first records of a part, which may be the only ones, it takes little more than their bytes.
const SMALL_STEP_BYTES: usize = 64;
const SMALL_BYTES_MAX: usize = 256;
/// A longer record has a chunk of its own.
const SHARING_BYTES_MAX: usize = 256;
/// No share of holes is too big while they are fewer bytes.
const HOLE_BYTES_MIN: usize = 256;
/// By how many items a list grows: of a size that the allocator has, beyond 64 pointers too.
const GROWTH: usize = 8;
const GROWTH_FROM_64: usize = 16;

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct Records {
    listed: Vec<Listed>,
    chunks: Vec<Vec<u8>>,
    /// The chunk that is being filled, if there is one.
    open: Option<u16>,
    /// The bytes of the records.
    bytes: u32,
    /// The bytes of chunks that hold no record any more, and of the list's items for chunks that are gone.
    hole_bytes: u32,
}

struct Listed {
    chunk: u16,
    offset: u16,
    access_mark: AtomicU32,
}

impl Clone for Listed {
    fn clone(&self) -> Self {
        Self { access_mark: AtomicU32::new(self.access_mark.load(Ordering::Relaxed)), ..*self }
    }
}

/// A record where it is kept.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'a> {
    record: Record<'a>,
    access_mark: &'a AtomicU32,
}

impl<'a> Deref for Kept<'a> {
    type Target = Record<'a>;
    fn deref(&self) -> &Record<'a> {
        &self.record
    }
}

impl Kept<'_> {
    /// The access mark: whatever the owner of eviction keeps there. Outside of state, digest and snapshot.
    pub(crate) fn access_mark(&self) -> u32 {
        self.access_mark.load(Ordering::Relaxed)
    }

    /// Sets the access mark.
    pub(crate) fn mark_access(&self, mark: u32) {
        self.access_mark.store(mark, Ordering::Relaxed);
    }

    /// The bytes of the record, and of what its part has for it.
    pub(crate) fn allocated_bytes(&self) -> usize {
        allocated_bytes(&self.record)
    }
}

/// What a record takes, with what its part has for it: for a value beside the key, that value's place; for a long one, a chunk of its own.
/// And with its deadline's place in their order.
fn allocated_bytes(record: &Record<'_>) -> usize {
    let beside_bytes = match record.body {
        Body::Inline { .. } | Body::PackedHash { .. } => 0,
        Body::Beside { .. } => size_of::<Option<crate::Collection>>(),
    };
    let length = record.length();
    let kept_bytes = if length > SHARING_BYTES_MAX { size_of::<Vec<u8>>() + allocated(length) } else { length };
    let deadline_bytes = if record.deadline_ms.is_some() { Deadlines::DEADLINE_BYTES } else { 0 };
    LISTED_BYTES + SHARE_BYTES + beside_bytes + kept_bytes + deadline_bytes
}

impl Records {
    pub(crate) fn len(&self) -> usize {
        self.listed.len()
    }

    /// Looks at the ends of the lists.
    pub(crate) fn look_at_lists(&self) -> usize {
        let offset = self.listed.last().map_or(0, |listed| usize::from(listed.offset));
        offset + self.open.map_or(0, |open| self.chunks[usize::from(open)].len())
    }

    /// Looks at the end of the chunk that is being filled.
    pub(crate) fn look_at_end(&self) -> usize {
        self.open.and_then(|open| self.chunks[usize::from(open)].last()).map_or(0, |&byte| usize::from(byte))
    }

    /// The bytes of all records.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes as usize
    }

    fn read(&self, index: usize) -> Record<'_> {
        let listed = &self.listed[index];
        Record::read(&self.chunks[usize::from(listed.chunk)][usize::from(listed.offset)..])
    }

    /// The record with an index below the length.
    pub(crate) fn get(&self, index: usize) -> Kept<'_> {
        Kept { record: self.read(index), access_mark: &self.listed[index].access_mark }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Kept<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Adds a record behind all others. So many bytes of others are about to follow.
    pub(crate) fn push(&mut self, record: &Record<'_>, access_mark: u32, following: usize) {
        let (chunk, offset) = self.append(record, following);
        push(&mut self.listed, Listed { chunk, offset, access_mark: AtomicU32::new(access_mark) });
    }

    /// Puts a record into the place of another.
    pub(crate) fn replace(&mut self, index: usize, record: &Record<'_>) {
        let length = record.length();
        if self.read(index).length() == length {
            let listed = &self.listed[index];
            let (chunk, offset) = (usize::from(listed.chunk), usize::from(listed.offset));
            record.write(&mut self.chunks[chunk][offset..offset + length]);
            return;
        }
        self.let_go(index);
        (self.listed[index].chunk, self.listed[index].offset) = self.append(record, 0);
        self.maybe_write_anew();
    }

    /// Takes a record out; the last one gets its index.
    pub(crate) fn swap_remove(&mut self, index: usize) {
        self.let_go(index);
        self.listed.swap_remove(index);
        give_back(&mut self.listed);
        self.maybe_write_anew();
    }

    /// Makes a hole of a record.
    fn let_go(&mut self, index: usize) {
        let length = self.read(index).length();
        self.bytes -= count(length);
        let mut hole_bytes = length;
        if length > SHARING_BYTES_MAX {
            // Nobody else is in there.
            self.chunks[usize::from(self.listed[index].chunk)] = Vec::new();
            hole_bytes = size_of::<Vec<u8>>();
        }
        self.hole_bytes += count(hole_bytes);
    }

    /// Writes a record to where there is room, and returns its chunk and offset. So many bytes of others are about to follow.
    fn append(&mut self, record: &Record<'_>, following: usize) -> (u16, u16) {
        let length = record.length();
        self.bytes += count(length);
        let chunk = match self.open {
            _ if length > SHARING_BYTES_MAX => self.add_chunk(length),
            Some(open) if self.chunks[usize::from(open)].len() + length <= CHUNK_BYTES => open,
            _ => {
                let open = self.add_chunk(CHUNK_BYTES.min(length + following));
                self.open = Some(open);
                open
            }
        };
        let bytes = &mut self.chunks[usize::from(chunk)];
        let offset = bytes.len();
        if offset + length > bytes.capacity() {
            let needed = offset + length;
            let step = if needed <= SMALL_BYTES_MAX { SMALL_STEP_BYTES } else { CHUNK_STEP_BYTES };
            bytes.reserve_exact(needed.next_multiple_of(step) - offset);
        }
        bytes.resize(offset + length, 0);
        record.write(&mut bytes[offset..]);
        (chunk, u16::try_from(offset).expect("behind others it is in a chunk of few KiB"))
    }

    /// Adds a chunk with room for so many bytes.
    fn add_chunk(&mut self, length: usize) -> u16 {
        self.chunks.push(Vec::with_capacity(allocated(length)));
        u16::try_from(self.chunks.len() - 1).expect("a part of so many keys was split long before")
    }

    /// Writes everything anew, without holes, if these have become too many.
    fn maybe_write_anew(&mut self) {
        let holes = self.hole_bytes as usize;
        if holes < HOLE_BYTES_MIN || holes < self.bytes() / 8 {
            return;
        }
        let old = std::mem::take(self);
        self.listed = Vec::with_capacity(old.listed.capacity());
        let mut following = old.bytes();
        for kept in old.iter() {
            following -= kept.length();
            self.push(&kept, kept.access_mark(), following);
        }
    }
}

/// Of bytes of a part, whose records are bounded by what an entry may hold.
fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("an entry bounds its arguments to 4 GiB")
}

/// Adds an item, with room for few more.
pub(crate) fn push<T>(items: &mut Vec<T>, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact(if items.len() < 64 { GROWTH } else { GROWTH_FROM_64 });
    }
    items.push(item);
}

/// Gives memory back when half of it is unused.
pub(crate) fn give_back<T>(items: &mut Vec<T>) {
    if items.capacity() > 2 * GROWTH && items.len() < items.capacity() / 2 {
        items.shrink_to(items.len() + GROWTH);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Random;

    /// Puts, changes and removals of records of all lengths leave what a map holds, and holes stay few.
    #[test]
    fn records_stay_what_they_are_while_others_change() {
        let mut random = Random::new(7);
        let (mut records, mut indexes, mut model) = (Records::default(), Vec::new(), BTreeMap::new());
        for step in 0..20_000u64 {
            let key = [b'a' + u8::try_from(random.below(40)).unwrap()];
            let value = vec![key[0]; random.below(if step % 97 == 0 { 5000 } else { 50 })];
            let found = indexes.iter().position(|&other| other == key);
            if let Some(index) = found
                && random.below(3) == 0
            {
                records.swap_remove(index);
                indexes.swap_remove(index);
                model.remove(&key);
            } else {
                let deadline_ms = (random.below(2) == 0).then_some(step);
                let body = Body::Inline { bytes: &value, raw: false };
                let record = Record { key: &key, revision: step, deadline_ms, body };
                match found {
                    Some(index) => records.replace(index, &record),
                    None => {
                        records.push(&record, 9, 0);
                        indexes.push(key);
                    }
                }
                model.insert(key, (value.clone(), step, deadline_ms));
            }
            let total: usize = records.iter().map(|record| record.length()).sum();
            assert_eq!((records.len(), records.bytes()), (model.len(), total));
            assert!((records.hole_bytes as usize) < (total / 8).max(HOLE_BYTES_MIN));
        }
        assert!(model.len() > 10);
        for (index, key) in indexes.iter().enumerate() {
            let (value, revision, deadline_ms) = &model[key];
            let body = Body::Inline { bytes: value, raw: false };
            let record = Record { key, revision: *revision, deadline_ms: *deadline_ms, body };
            assert_eq!((*records.get(index), records.get(index).access_mark()), (record, 9));
        }
        (0..indexes.len()).for_each(|_| records.swap_remove(0));
        assert!(records.bytes() == 0 && (records.hole_bytes as usize) < HOLE_BYTES_MIN);
    }
}
