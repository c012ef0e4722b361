//! Big hashes: pairs in a dense vector, and an index of their fields.
//!
//! ```text
//! chunks: [ Arc -> 128 pairs ][ Arc -> 128 pairs ] ... [ Arc -> 1 to 128 pairs ]
//! pair:   one allocation [ count 8 | field length 4 | - 4 | length 8 | field | value ]
//! index:  field -> position                      see `index`
//! ```
//!
//! A position finds its chunk by division, so any pair is reached in O(1). A removal puts the last pair into the hole. A
//! frozen view shares chunks, pairs and parts of the index; a write copies one chunk (its pointers, not its pairs) and one or two parts of the index.
//!
//! The order of the pairs is a matter of the commands that built the hash and nothing else: the index never shows.

use triomphe::{Arc, ThinArc};

use super::index::Index;
use crate::part::hash_of;

const CHUNK_PAIRS: usize = 128;
/// What a pair costs besides its bytes: the head of its allocation, its word in the chunk, its place in the index.
const PAIR_OVERHEAD_BYTES: usize = 24 + 8 + 12;

/// See the module.
#[derive(Clone)]
pub(super) struct DenseHash {
    hash_key: [u64; 2],
    chunks: Vec<Arc<Vec<Pair>>>,
    count: usize,
    index: Index,
    allocated_bytes: usize,
}

/// A field and its value.
#[derive(Clone)]
struct Pair(ThinArc<u32, u8>);

impl Pair {
    fn new(field: &[u8], value: &[u8]) -> Self {
        let field_bytes = u32::try_from(field.len()).expect("an entry bounds its arguments to 4 GiB");
        Self(ThinArc::from_header_and_slice(field_bytes, &[field, value].concat()))
    }

    fn split(&self) -> (&[u8], &[u8]) {
        self.0.slice.split_at(self.0.header.header as usize)
    }

    fn field(&self) -> &[u8] {
        self.split().0
    }

    /// Overwrites the value in place, if it is as long and nobody shares the pair.
    fn overwrite(&mut self, value: &[u8]) -> bool {
        if self.split().1.len() != value.len() {
            return false;
        }
        self.0.with_arc_mut(|arc| {
            let Some(pair) = Arc::get_mut(arc) else { return false };
            let start = pair.slice().len() - value.len();
            pair.slice_mut()[start..].copy_from_slice(value);
            true
        })
    }

    fn allocated_bytes(&self) -> usize {
        PAIR_OVERHEAD_BYTES + self.0.slice.len()
    }
}

impl DenseHash {
    pub(super) fn new(hash_key: [u64; 2]) -> Self {
        Self { hash_key, chunks: Vec::new(), count: 0, index: Index::new(), allocated_bytes: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        size_of::<Self>() + self.allocated_bytes
    }

    /// The half of the field's hash that the index goes by.
    fn tag(&self, field: &[u8]) -> u32 {
        Index::tag_of(hash_of(self.hash_key, field))
    }

    fn at(&self, position: usize) -> &Pair {
        &self.chunks[position / CHUNK_PAIRS][position % CHUNK_PAIRS]
    }

    fn at_mut(&mut self, position: usize) -> &mut Pair {
        &mut Arc::make_mut(&mut self.chunks[position / CHUNK_PAIRS])[position % CHUNK_PAIRS]
    }

    fn find(&self, tag: u32, field: &[u8]) -> Option<usize> {
        self.index.find(tag, |position| self.at(position).field() == field)
    }

    pub(super) fn get(&self, field: &[u8]) -> Option<&[u8]> {
        self.find(self.tag(field), field).map(|position| self.at(position).split().1)
    }

    /// The pair at a position below the length.
    pub(super) fn pair(&self, position: usize) -> (&[u8], &[u8]) {
        self.at(position).split()
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).map(Pair::split)
    }

    /// Gives a field a value; says whether the field is new.
    pub(super) fn insert(&mut self, field: &[u8], value: &[u8]) -> bool {
        let tag = self.tag(field);
        let Some(position) = self.find(tag, field) else {
            self.push(tag, Pair::new(field, value));
            return true;
        };
        let pair = self.at_mut(position);
        if !pair.overwrite(value) {
            let new = Pair::new(field, value);
            let (before, after) = (pair.allocated_bytes(), new.allocated_bytes());
            *pair = new;
            self.allocated_bytes = self.allocated_bytes + after - before;
        }
        false
    }

    fn push(&mut self, tag: u32, pair: Pair) {
        self.allocated_bytes += pair.allocated_bytes();
        if self.count.is_multiple_of(CHUNK_PAIRS) {
            self.chunks.push(Arc::new(Vec::new()));
        }
        Arc::make_mut(self.chunks.last_mut().expect("just pushed if there was none")).push(pair);
        self.index.insert(tag, self.count);
        self.count += 1;
    }

    /// Removes a field; says whether it was there. The last pair takes its place.
    pub(super) fn remove(&mut self, field: &[u8]) -> bool {
        let tag = self.tag(field);
        let Some(position) = self.find(tag, field) else { return false };
        self.index.remove(tag, position);
        let last_chunk = self.chunks.last_mut().expect("it holds the field");
        let last = Arc::make_mut(last_chunk).pop().expect("no chunk is empty");
        if last_chunk.is_empty() {
            self.chunks.pop();
        }
        self.count -= 1;
        let removed = if position == self.count {
            last
        } else {
            self.index.relocate(self.tag(last.field()), self.count, position);
            std::mem::replace(self.at_mut(position), last)
        };
        self.allocated_bytes -= removed.allocated_bytes();
        true
    }
}
