//! Many rows with names: by place, and by name.
//!
//! A new row goes to the end; when one leaves, the last takes its place. So the order is a function of the history of changes
//! alone, a random row is one look away, and a walk from the end to the front returns what is there throughout, however
//! much comes and goes: what moves, moves towards the front.
//!
//! A name is looked up in an index, but few rows have none: they are looked through. An index goes when half as many rows are left.

use siphasher::sip::SipHasher13;

use super::FEW_MAX;
use super::index::Index;
use super::rows::{Body, Row, Rows};
use crate::fetch::{FAR_ROWS_MIN, first_of};

/// What stands in front of a row's bytes: as much as it is copied with them.
pub(crate) trait Head: Copy {
    /// What the row is found by: a piece of its bytes.
    fn name(self, bytes: &[u8]) -> &[u8];
}

/// Of rows that are names and nothing else.
impl Head for () {
    fn name(self, bytes: &[u8]) -> &[u8] {
        bytes
    }
}

impl<'a, H: Head> Row<'a, H> {
    fn name(self) -> &'a [u8] {
        self.head.name(self.bytes)
    }
}

/// See the module. No two rows have the same name.
#[derive(Clone)]
pub(crate) struct Dense<H> {
    hash_key: [u64; 2],
    rows: Rows<H>,
    index: Option<Index>,
}

impl<H: Head> Dense<H> {
    /// Without rows.
    pub(crate) fn new(hash_key: [u64; 2]) -> Self {
        Self { hash_key, rows: Rows::new(), index: None }
    }

    /// Without rows, with the same hash key.
    pub(crate) fn new_like(other: &Self) -> Self {
        Self::new(other.hash_key)
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The bytes of the rows and the index.
    pub(crate) fn allocated_bytes(&self) -> usize {
        self.rows.allocated_bytes() + self.index.as_ref().map_or(0, Index::allocated_bytes)
    }

    /// The row at a place below the length.
    pub(crate) fn at(&self, place: usize) -> Row<'_, H> {
        self.rows.at(place)
    }

    /// The head of the row at a place below the length.
    pub(crate) fn head(&self, place: usize) -> H {
        self.rows.head(place)
    }

    /// The name of the row at a place below the length.
    #[inline]
    pub(crate) fn name(&self, place: usize) -> &[u8] {
        self.rows.at(place).name()
    }

    /// The bytes of the row at a place below the length, for another row.
    pub(crate) fn body(&self, place: usize) -> Body<'_> {
        self.rows.body(place)
    }

    /// The rows in order of their places.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Row<'_, H>> + Clone {
        self.rows.iter()
    }

    /// The place of the row with this name.
    pub(crate) fn place(&self, name: &[u8]) -> Option<usize> {
        match &self.index {
            Some(index) => index.find(hash_of(self.hash_key, name), |place| self.name(place) == name),
            None => self.rows.iter().position(|row| row.name() == name),
        }
    }

    /// Brings near what comes first when rows with these names are put or looked for. See `fetch`.
    pub(crate) fn fetch<'a>(&self, names: impl Iterator<Item = &'a [u8]>) {
        if let Some(index) = &self.index
            && self.len() >= FAR_ROWS_MIN
        {
            let (hashes, count) = first_of(names.map(|name| hash_of(self.hash_key, name)));
            index.fetch(&hashes[..count]);
        }
    }

    /// Adds a row whose name is not there.
    pub(crate) fn push(&mut self, head: H, body: Body<'_>) {
        let Self { hash_key, rows, index } = self;
        let place = rows.len();
        rows.push(head, body);
        let hash_at = |place| hash_of(*hash_key, rows.at(place).name());
        if let Some(index) = index {
            index.insert(hash_at(place), place);
        } else if place == FEW_MAX {
            let index = index.insert(Index::new());
            (0..=place).for_each(|place| index.insert(hash_at(place), place));
        }
    }

    /// Changes the head of a row, but not where its name is.
    pub(crate) fn set_head(&mut self, place: usize, head: H) {
        self.rows.set_head(place, head);
    }

    /// Puts other contents under the same name into a row.
    pub(crate) fn replace(&mut self, place: usize, head: H, body: Body<'_>) {
        self.rows.replace(place, head, body);
    }

    /// Takes out the row at a place below the length.
    pub(crate) fn remove(&mut self, place: usize) {
        let Self { hash_key, rows, index } = self;
        let hash_at = |place| hash_of(*hash_key, rows.at(place).name());
        let last = rows.len() - 1;
        if last <= FEW_MAX / 2 {
            *index = None;
        } else if let Some(index) = index {
            index.remove(hash_at(place), place);
            if place < last {
                index.relocate(hash_at(last), last, place);
            }
        }
        rows.swap_remove(place);
    }
}

/// The upper half of the hash of a name; the index keeps no more.
fn hash_of(hash_key: [u64; 2], name: &[u8]) -> u32 {
    let hash = SipHasher13::new_with_keys(hash_key[0], hash_key[1]).hash(name);
    u32::try_from(hash >> 32).expect("it is 32 bits")
}
