//! Up to 128 rows in three vectors.
//!
//! ```text
//! heads: [ head ] ...                        one of each row; nothing, if there is nothing in a head
//! ends:  [ end 2 ] ...                       where its bytes end; they begin where those of the row in front of it end
//! bytes: [ bytes of a row ][ bytes of the next ] ...
//! long:  [ row | Arc -> bytes ] ...          ascending: the rows of over 112 bytes, which have none in `bytes`
//! ```
//!
//! So a chunk takes at most 14 KiB beside its heads, whatever is in it: that much a write behind a clone copies. Long bytes are shared.

use triomphe::ThinArc;

use crate::block::{self, allocated};

/// How many rows a chunk holds.
pub(super) const CHUNK_ROWS: usize = 128;
/// Longer bytes are kept by themselves. A full chunk of rows as long as this is of the biggest size that the allocator has without
/// whole pages.
const SHORT_BYTES_MAX: usize = 112;

/// Bytes of a row that are kept by themselves: [ count of sharers | length | bytes ].
type Shared = ThinArc<(), u8>;

/// See the module.
#[derive(Clone)]
pub(super) struct Chunk<H> {
    heads: Vec<H>,
    ends: Vec<u16>,
    bytes: Vec<u8>,
    long: Vec<Long>,
    /// The bytes that `long` refers to.
    long_bytes: usize,
}

#[derive(Clone)]
struct Long {
    row: u8,
    bytes: Shared,
}

/// A row as it lies in its chunk.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a, H> {
    /// What stands in front of its bytes.
    pub(crate) head: H,
    /// Its bytes.
    pub(crate) bytes: &'a [u8],
}

/// The bytes of a row on their way into a chunk.
pub(crate) struct Body<'a>(Parts<'a>);

enum Parts<'a> {
    Short([&'a [u8]; 3]),
    Long(Shared),
}

/// The bytes of a row that was taken out.
pub(super) enum Taken {
    Short(Vec<u8>),
    Long(Shared),
}

impl<'a> Body<'a> {
    /// Three pieces, one behind the other.
    pub(crate) fn joined(pieces: [&'a [u8]; 3]) -> Self {
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        if length <= SHORT_BYTES_MAX {
            return Self(Parts::Short(pieces));
        }
        let shared = match pieces {
            [whole, [], []] => Shared::from_header_and_slice((), whole),
            _ => Shared::from_header_and_slice((), &pieces.concat()),
        };
        Self(Parts::Long(shared))
    }

    /// One piece.
    pub(crate) fn whole(bytes: &'a [u8]) -> Self {
        Self::joined([bytes, &[], &[]])
    }
}

impl Taken {
    pub(super) fn body(&self) -> Body<'_> {
        Body(match self {
            Self::Short(bytes) => Parts::Short([bytes, &[], &[]]),
            Self::Long(shared) => Parts::Long(shared.clone()),
        })
    }
}

fn shared_bytes(shared: &Shared) -> usize {
    allocated(2 * size_of::<usize>() + shared.slice.len())
}

impl<H: Copy> Chunk<H> {
    /// Without rows; has room for many if it is sure to fill up.
    pub(super) fn new(fills_up: bool) -> Self {
        let room = if fills_up { CHUNK_ROWS } else { 0 };
        let (heads, ends) = (Vec::with_capacity(room), Vec::with_capacity(room));
        Self { heads, ends, bytes: Vec::new(), long: Vec::new(), long_bytes: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes that the chunk refers to.
    pub(super) fn held_bytes(&self) -> usize {
        let Self { heads, ends, bytes, long, long_bytes } = self;
        let lists = allocated(size_of::<H>() * heads.capacity()) + allocated(size_of::<u16>() * ends.capacity());
        lists + allocated(bytes.capacity()) + allocated(size_of::<Long>() * long.capacity()) + long_bytes
    }

    pub(super) fn head(&self, row: usize) -> H {
        self.heads[row]
    }

    pub(super) fn set_head(&mut self, row: usize, head: H) {
        self.heads[row] = head;
    }

    /// The row with an index below the length. Inline, so that nobody waits for a head that is not looked at.
    #[inline]
    pub(super) fn row(&self, row: usize) -> Row<'_, H> {
        let (start, end) = self.bounds(row);
        let bytes = if start < end { &self.bytes[start..end] } else { self.long_bytes_of(row) };
        Row { head: self.heads[row], bytes }
    }

    #[cold]
    fn long_bytes_of(&self, row: usize) -> &[u8] {
        self.long(row).map_or(&[][..], |long| &long.slice)
    }

    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = Row<'_, H>> + Clone {
        (0..self.len()).map(|row| self.row(row))
    }

    #[inline]
    fn bounds(&self, row: usize) -> (usize, usize) {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        (usize::from(start), usize::from(self.ends[row]))
    }

    /// Where a row is in `long`, or would be.
    fn long_at(&self, row: usize) -> Result<usize, usize> {
        self.long.binary_search_by(|long| usize::from(long.row).cmp(&row))
    }

    fn long(&self, row: usize) -> Option<&Shared> {
        self.long_at(row).ok().map(|at| &self.long[at].bytes)
    }

    /// Adds a row behind all others, which are fewer than [`CHUNK_ROWS`].
    pub(super) fn push(&mut self, head: H, body: Body<'_>) {
        let row = self.len();
        push(&mut self.heads, head);
        push(&mut self.ends, end(self.bytes.len()));
        self.replace(row, head, body);
        if self.len() == CHUNK_ROWS {
            self.bytes.shrink_to(allocated(self.bytes.len()));
        }
    }

    /// Puts other contents into a row.
    pub(super) fn replace(&mut self, row: usize, head: H, body: Body<'_>) {
        self.heads[row] = head;
        self.drop_long(row);
        match body.0 {
            Parts::Short(pieces) => {
                let mut room = self.make_room(row, pieces.iter().map(|piece| piece.len()).sum());
                for piece in pieces {
                    let (front, rest) = room.split_at_mut(piece.len());
                    front.copy_from_slice(piece);
                    room = rest;
                }
            }
            Parts::Long(bytes) => {
                self.make_room(row, 0);
                self.long_bytes += shared_bytes(&bytes);
                let at = self.long_at(row).expect_err("it was dropped");
                let row = u8::try_from(row).expect("a chunk has at most 128 rows");
                if self.long.is_empty() {
                    self.long.reserve_exact(1);
                }
                self.long.insert(at, Long { row, bytes });
            }
        }
    }

    /// Takes the last row out of a chunk that is not empty.
    pub(super) fn pop(&mut self) -> (H, Taken) {
        let last = self.len() - 1;
        let Row { head, bytes } = self.row(last);
        let taken = self.long(last).map_or_else(|| Taken::Short(bytes.to_vec()), |long| Taken::Long(long.clone()));
        self.drop_long(last);
        self.make_room(last, 0);
        self.heads.pop();
        self.ends.pop();
        (head, taken)
    }

    /// A row's bytes for another row.
    pub(super) fn body(&self, row: usize) -> Body<'_> {
        match self.long(row) {
            Some(shared) => Body(Parts::Long(shared.clone())),
            None => Body::whole(self.row(row).bytes),
        }
    }

    fn drop_long(&mut self, row: usize) {
        if let Ok(at) = self.long_at(row) {
            self.long_bytes -= shared_bytes(&self.long.remove(at).bytes);
        }
    }

    /// Makes the row's room in `bytes` so long, shifting what is behind it, and returns it to be written.
    fn make_room(&mut self, row: usize, length: usize) -> &mut [u8] {
        let (start, old_end) = self.bounds(row);
        let new_end = start + length;
        if new_end == old_end {
            return &mut self.bytes[start..old_end];
        }
        for behind in &mut self.ends[row..] {
            *behind = end(usize::from(*behind) + new_end - old_end);
        }
        block::replace(&mut self.bytes, start..old_end, length)
    }
}

/// Adds an item of a row, with room for at most as many as a chunk has.
fn push<T>(items: &mut Vec<T>, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact(items.len().max(4).min(CHUNK_ROWS - items.len()));
    }
    items.push(item);
}

fn end(at: usize) -> u16 {
    u16::try_from(at).expect("a chunk's rows are few and short")
}
