//! A vector in chunks: any row in O(1), pushed and popped at its end.
//!
//! ```text
//! groups: [ Arc -> 32 chunks ] ... [ Arc -> 32 chunks ]         every chunk of 128 rows
//! tail:   [ Arc -> 128 rows ] ... [ Arc -> 1 to 128 rows ]      the 1 to 32 chunks behind the last group; none if there are no rows
//! ```

use triomphe::Arc;

use super::ARC_BYTES;

const CHUNK_ROWS: usize = 128;
/// A write behind a clone copies a group and a chunk, so a group has few: it costs next to no memory.
const GROUP_CHUNKS: usize = 32;
const GROUP_ROWS: usize = GROUP_CHUNKS * CHUNK_ROWS;
/// The rows that a fresh chunk has room for.
const CHUNK_ROWS_FIRST: usize = 4;

type Chunk<T> = Arc<Vec<T>>;

/// See the module.
#[derive(Clone)]
pub(super) struct Rows<T> {
    groups: Vec<Arc<Vec<Chunk<T>>>>,
    tail: Vec<Chunk<T>>,
    count: usize,
}

impl<T: Clone> Rows<T> {
    pub(super) fn new() -> Self {
        Self { groups: Vec::new(), tail: Vec::new(), count: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The bytes of the chunks and of what refers to them, without what the rows refer to.
    pub(super) fn allocated_bytes(&self) -> usize {
        let chunk_count = self.count.div_ceil(CHUNK_ROWS);
        let last_bytes = self.tail.last().map_or(0, |last| last.capacity() * size_of::<T>());
        let full_bytes = chunk_count.saturating_sub(1) * CHUNK_ROWS * size_of::<T>();
        let per_chunk = ARC_BYTES + size_of::<Vec<T>>() + size_of::<Chunk<T>>();
        full_bytes + last_bytes + chunk_count * per_chunk
    }

    /// The row at a place below the length.
    pub(super) fn at(&self, place: usize) -> &T {
        &self.chunk(place / CHUNK_ROWS)[place % CHUNK_ROWS]
    }

    fn chunk(&self, at: usize) -> &Chunk<T> {
        match self.groups.get(at / GROUP_CHUNKS) {
            Some(group) => &group[at % GROUP_CHUNKS],
            None => &self.tail[at - self.groups.len() * GROUP_CHUNKS],
        }
    }

    /// The row at a place below the length, to be changed. Copies what a clone shares.
    pub(super) fn at_mut(&mut self, place: usize) -> &mut T {
        let at = place / CHUNK_ROWS;
        let grouped = self.groups.len() * GROUP_CHUNKS;
        let chunk = match self.groups.get_mut(at / GROUP_CHUNKS) {
            Some(group) => &mut Arc::make_mut(group)[at % GROUP_CHUNKS],
            None => &mut self.tail[at - grouped],
        };
        &mut Arc::make_mut(chunk)[place % CHUNK_ROWS]
    }

    /// The rows, in order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + Clone {
        let grouped = self.groups.iter().flat_map(|group| group.iter());
        grouped.chain(self.tail.iter()).flat_map(|chunk| chunk.iter())
    }

    /// Adds a row at the end.
    pub(super) fn push(&mut self, row: T) {
        if self.count.is_multiple_of(CHUNK_ROWS) {
            if self.tail.len() == GROUP_CHUNKS {
                self.groups.push(Arc::new(std::mem::take(&mut self.tail)));
            }
            // The second chunk and those behind it are sure to fill up.
            let room = if self.count == 0 { CHUNK_ROWS_FIRST } else { CHUNK_ROWS / 4 };
            self.tail.push(Arc::new(Vec::with_capacity(room)));
        }
        let last = Arc::make_mut(self.tail.last_mut().expect("pushed if there was none"));
        if last.len() == last.capacity() {
            last.reserve_exact(last.len().max(CHUNK_ROWS_FIRST).min(CHUNK_ROWS - last.len()));
        }
        last.push(row);
        self.count += 1;
    }

    /// Takes the last row.
    pub(super) fn pop(&mut self) -> Option<T> {
        let row = Arc::make_mut(self.tail.last_mut()?).pop().expect("no chunk is empty");
        self.count -= 1;
        if self.count.is_multiple_of(CHUNK_ROWS) {
            self.tail.pop();
            if self.tail.is_empty()
                && let Some(group) = self.groups.pop()
            {
                self.tail = Arc::try_unwrap(group).unwrap_or_else(|shared| (*shared).clone());
            }
        }
        debug_assert!(self.count <= self.groups.len() * GROUP_ROWS + self.tail.len() * CHUNK_ROWS);
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Over the seams of chunks and groups and back, with a clone that must not change.
    #[test]
    fn behaves_as_a_vector() {
        let (mut rows, mut model) = (Rows::new(), Vec::new());
        for number in 0..2 * GROUP_ROWS + 300 {
            rows.push(number);
            model.push(number);
        }
        let frozen = rows.clone();
        for place in (0..model.len()).step_by(97) {
            *rows.at_mut(place) += 1;
            model[place] += 1;
        }
        assert!(rows.iter().eq(&model));
        assert!(rows.iter().rev().eq(model.iter().rev()));
        while let Some(expected) = model.pop() {
            assert_eq!(*rows.at(model.len() / 2), if model.is_empty() { expected } else { *rows.at(model.len() / 2) });
            assert_eq!(rows.pop(), Some(expected));
            assert_eq!(rows.len(), model.len());
        }
        assert_eq!(rows.pop(), None);
        assert!(frozen.iter().copied().eq(0..2 * GROUP_ROWS + 300));
    }
}
