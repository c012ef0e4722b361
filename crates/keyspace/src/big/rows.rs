//! Rows in chunks: any one in O(1), pushed and popped at the end.
//!
//! ```text
//! groups: [ Arc -> 32 chunks ] ... [ Arc -> 32 chunks ]         every chunk of 128 rows
//! tail:   [ Arc -> 128 rows ] ... [ Arc -> 1 to 128 rows ]      the 1 to 32 chunks behind the last group; none if there are no rows
//! ```
//!
//! A row is a *head*, of a fixed size, and bytes. It is no allocation of its own: a million rows cost their bytes and little more, and a copy of
//! a chunk copies two or three blocks instead of counting a hundred sharers. See `chunk`.

mod chunk;

use triomphe::Arc;

use super::ARC_BYTES;
pub(crate) use chunk::{Body, Row};
use chunk::{CHUNK_ROWS, Chunk};

/// A write behind a clone copies a group and a chunk, so a group has few: it costs next to no memory.
const GROUP_CHUNKS: usize = 32;

type Group<H> = [Arc<Chunk<H>>; GROUP_CHUNKS];

/// See the module.
#[derive(Clone)]
pub(super) struct Rows<H> {
    groups: Vec<Arc<Group<H>>>,
    tail: Vec<Arc<Chunk<H>>>,
    count: usize,
    /// What the chunks hold.
    held_bytes: usize,
}

impl<H: Copy> Rows<H> {
    pub(super) fn new() -> Self {
        Self { groups: Vec::new(), tail: Vec::new(), count: 0, held_bytes: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The bytes of the chunks and of what refers to them.
    pub(super) fn allocated_bytes(&self) -> usize {
        let per_chunk = ARC_BYTES + size_of::<Chunk<H>>() + size_of::<Arc<Chunk<H>>>();
        self.held_bytes + self.count.div_ceil(CHUNK_ROWS) * per_chunk
    }

    #[inline]
    fn chunk(&self, at: usize) -> &Chunk<H> {
        match self.groups.get(at / GROUP_CHUNKS) {
            Some(group) => &group[at % GROUP_CHUNKS],
            None => &self.tail[at - self.groups.len() * GROUP_CHUNKS],
        }
    }

    /// The row at a place below the length.
    #[inline]
    pub(super) fn at(&self, place: usize) -> Row<'_, H> {
        self.chunk(place / CHUNK_ROWS).row(place % CHUNK_ROWS)
    }

    /// Its head.
    pub(super) fn head(&self, place: usize) -> H {
        self.chunk(place / CHUNK_ROWS).head(place % CHUNK_ROWS)
    }

    /// Its bytes, for another row.
    pub(super) fn body(&self, place: usize) -> Body<'_> {
        self.chunk(place / CHUNK_ROWS).body(place % CHUNK_ROWS)
    }

    /// The rows, in order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Row<'_, H>> + Clone {
        let grouped = self.groups.iter().flat_map(|group| group.iter());
        grouped.chain(self.tail.iter()).flat_map(|chunk| chunk.rows())
    }

    /// Changes the chunk of a place and the books with it. Copies what a clone shares.
    fn change<R>(&mut self, place: usize, change: impl FnOnce(&mut Chunk<H>, usize) -> R) -> R {
        let (at, grouped) = (place / CHUNK_ROWS, self.groups.len() * GROUP_CHUNKS);
        let chunk = match self.groups.get_mut(at / GROUP_CHUNKS) {
            Some(group) => &mut Arc::make_mut(group)[at % GROUP_CHUNKS],
            None => &mut self.tail[at - grouped],
        };
        let before = chunk.held_bytes();
        let result = change(Arc::make_mut(chunk), place % CHUNK_ROWS);
        self.held_bytes = self.held_bytes - before + chunk.held_bytes();
        result
    }

    /// Changes the head of a row.
    pub(super) fn set_head(&mut self, place: usize, head: H) {
        self.change(place, |chunk, row| chunk.set_head(row, head));
    }

    /// Puts other contents into a row.
    pub(super) fn replace(&mut self, place: usize, head: H, body: Body<'_>) {
        self.change(place, |chunk, row| chunk.replace(row, head, body));
    }

    /// Adds a row behind all others.
    pub(super) fn push(&mut self, head: H, body: Body<'_>) {
        if self.count.is_multiple_of(CHUNK_ROWS) {
            if self.tail.len() == GROUP_CHUNKS {
                let full = std::mem::take(&mut self.tail).try_into();
                self.groups.push(Arc::new(full.unwrap_or_else(|_| unreachable!("so many fill a group"))));
            }
            // The second chunk and those behind it are sure to fill up.
            let chunk = Chunk::new(self.count > 0);
            self.held_bytes += chunk.held_bytes();
            if self.count == 0 {
                // Most collections have one.
                self.tail.reserve_exact(1);
            }
            self.tail.push(Arc::new(chunk));
        }
        self.change(self.count, |chunk, _| chunk.push(head, body));
        self.count += 1;
    }

    /// Takes a row out; the last one gets its place.
    pub(super) fn swap_remove(&mut self, place: usize) {
        let (head, taken) = self.change(self.count - 1, |chunk, _| chunk.pop());
        self.count -= 1;
        if self.count.is_multiple_of(CHUNK_ROWS) {
            self.drop_last_chunk();
        }
        if place < self.count {
            self.replace(place, head, taken.body());
        }
    }

    /// Takes the last chunk out, which is empty.
    fn drop_last_chunk(&mut self) {
        let empty = self.tail.pop().expect("the last row was in it");
        self.held_bytes -= empty.held_bytes();
        if self.tail.is_empty()
            && let Some(group) = self.groups.pop()
        {
            self.tail = group.to_vec();
        }
    }
}

#[cfg(test)]
mod tests;
