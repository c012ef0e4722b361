//! Big hashes: pairs by position and by field (see `big`), and those that expire by deadline.
//!
//! ```text
//! head:  [ field length 31 bits | has a deadline 1 bit ]
//! bytes: [ deadline 8, if the head says so | field | value ]
//! ```
//!
//! The order of the pairs is a matter of the commands that built the hash and nothing else. A removal puts the last pair into the hole.

use crate::big::{Body, Head, Keyed, Ranked, Row};

const EXPIRES: u32 = 1 << 31;

/// What stands in front of a pair's bytes.
#[derive(Clone, Copy)]
struct PairHead(u32);

impl PairHead {
    fn new(field: &[u8], expires: bool) -> Self {
        let field_bytes = u32::try_from(field.len()).ok().filter(|&bytes| bytes < EXPIRES);
        let field_bytes = field_bytes.expect("a command bounds its arguments to 512 MiB");
        Self(if expires { field_bytes | EXPIRES } else { field_bytes })
    }

    /// A pair's deadline, its field and its value.
    fn split(self, bytes: &[u8]) -> (Option<u64>, &[u8], &[u8]) {
        let (deadline, rest) = bytes.split_at(if self.0 & EXPIRES == 0 { 0 } else { size_of::<u64>() });
        let (field, value) = rest.split_at((self.0 & !EXPIRES) as usize);
        (deadline.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)), field, value)
    }
}

impl Head for PairHead {
    fn name(self, bytes: &[u8]) -> &[u8] {
        self.split(bytes).1
    }
}

/// Of pairs that expire: by (deadline, field).
impl Keyed for PairHead {
    fn key(self, bytes: &[u8]) -> Option<u64> {
        self.split(bytes).0
    }
}

/// See the module.
#[derive(Clone)]
pub(crate) struct DenseHash {
    /// In an order: those that expire.
    pairs: Ranked<PairHead>,
}

impl DenseHash {
    pub(super) fn new(hash_key: [u64; 2]) -> Self {
        Self { pairs: Ranked::new(hash_key) }
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.rows().len()
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        size_of::<Self>() + self.pairs.allocated_bytes()
    }

    /// See [`super::HashValue::fetch`].
    pub(super) fn fetch<'a>(&self, fields: impl Iterator<Item = &'a [u8]>) {
        self.pairs.rows().fetch(fields);
    }

    /// The value and the deadline of a field.
    pub(super) fn get(&self, field: &[u8]) -> Option<(&[u8], Option<u64>)> {
        let place = self.pairs.rows().place(field)?;
        let found = self.pair(place);
        Some((found.value, found.deadline_ms))
    }

    /// The pair at a position below the length.
    pub(super) fn pair(&self, position: usize) -> super::Timed<'_> {
        timed(self.pairs.rows().at(position))
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = super::Timed<'_>> + Clone {
        self.pairs.rows().iter().map(timed)
    }

    /// How many fields have a deadline.
    pub(super) fn expiring_count(&self) -> usize {
        self.pairs.ranked_count()
    }

    /// The pair that expires first.
    pub(super) fn next_due(&self) -> Option<super::Timed<'_>> {
        if self.expiring_count() > 0 { Some(timed(self.pairs.at_rank(0))) } else { None }
    }

    /// How many fields have deadlines up to this one.
    pub(super) fn due_count(&self, until_ms: u64) -> usize {
        self.pairs.partition_point(|deadline_ms| deadline_ms <= until_ms)
    }

    /// Gives a field a value and a deadline; says whether the field is new.
    pub(super) fn insert(&mut self, field: &[u8], value: &[u8], deadline_ms: Option<u64>) -> bool {
        let deadline = deadline_ms.map(u64::to_le_bytes);
        let deadline = deadline.as_ref().map_or(&[][..], |bytes| &bytes[..]);
        let (head, body) = (PairHead::new(field, deadline_ms.is_some()), Body::joined([deadline, field, value]));
        let place = self.pairs.rows().place(field);
        match place {
            None => self.pairs.push(head, body),
            Some(place) => self.pairs.replace(place, head, body),
        }
        place.is_none()
    }

    /// Removes a field; says whether it was there. The last pair takes its place.
    pub(super) fn remove(&mut self, field: &[u8]) -> bool {
        let place = self.pairs.rows().place(field);
        place.inspect(|&place| self.pairs.remove(place)).is_some()
    }
}

fn timed(pair: Row<'_, PairHead>) -> super::Timed<'_> {
    let (deadline_ms, field, value) = pair.head.split(pair.bytes);
    super::Timed { field, value, deadline_ms }
}
