//! Big hashes: pairs by position and by field (see `big`), and those that expire by deadline.
//!
//! ```text
//! pair:  one allocation [ count of sharers 8 | head 8 | length 8 | deadline 8, if the head says so | field | value ]
//! head:  [ field length 31 bits | has a deadline 1 bit | - 32 ]
//! ```
//!
//! The order of the pairs is a matter of the commands that built the hash and nothing else. A removal puts the last pair into the hole.

use std::cmp::Ordering;

use triomphe::{Arc, ThinArc};

use crate::big::{Dense, Named, Order, Ranked};

const DEADLINE_BYTES: usize = size_of::<u64>();

/// What stands in front of a pair's bytes.
#[derive(Clone, Copy)]
struct Head {
    field_bytes: u32,
    expires: bool,
}

/// A field, its value and its deadline.
#[derive(Clone)]
struct Pair(ThinArc<Head, u8>);

impl Pair {
    fn new(field: &[u8], value: &[u8], deadline_ms: Option<u64>) -> Self {
        let field_bytes = u32::try_from(field.len()).expect("an entry bounds its arguments to 4 GiB");
        let head = Head { field_bytes, expires: deadline_ms.is_some() };
        let deadline = deadline_ms.map(u64::to_le_bytes);
        let deadline = deadline.as_ref().map_or(&[][..], |bytes| &bytes[..]);
        Self(ThinArc::from_header_and_slice(head, &[deadline, field, value].concat()))
    }

    fn deadline_ms(&self) -> Option<u64> {
        let bytes = self.0.slice.first_chunk().filter(|_| self.0.header.header.expires)?;
        Some(u64::from_le_bytes(*bytes))
    }

    fn split(&self) -> (&[u8], &[u8]) {
        let head = self.0.header.header;
        self.0.slice[if head.expires { DEADLINE_BYTES } else { 0 }..].split_at(head.field_bytes as usize)
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
}

impl Named for Pair {
    fn name(&self) -> &[u8] {
        self.split().0
    }

    fn allocated_bytes(&self) -> usize {
        (3 * size_of::<usize>() + self.0.slice.len()).next_multiple_of(size_of::<usize>())
    }
}

/// Of pairs that expire: by (deadline, field).
impl Ranked for Pair {
    fn rank_against(&self, other: &Self) -> Ordering {
        self.deadline_ms().cmp(&other.deadline_ms()).then_with(|| self.name().cmp(other.name()))
    }
}

/// See the module.
#[derive(Clone)]
pub(crate) struct DenseHash {
    pairs: Dense<Pair>,
    /// The pairs that have a deadline.
    expiring: Order<Pair>,
}

impl DenseHash {
    pub(super) fn new(hash_key: [u64; 2]) -> Self {
        Self { pairs: Dense::new(hash_key), expiring: Order::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        size_of::<Self>() + self.pairs.allocated_bytes() + self.expiring.allocated_bytes()
    }

    /// The value and the deadline of a field.
    pub(super) fn get(&self, field: &[u8]) -> Option<(&[u8], Option<u64>)> {
        self.pairs.find(field).map(|pair| (pair.split().1, pair.deadline_ms()))
    }

    /// The pair at a position below the length.
    pub(super) fn pair(&self, position: usize) -> super::Timed<'_> {
        timed(self.pairs.at(position))
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = super::Timed<'_>> + Clone {
        self.pairs.iter().map(timed)
    }

    /// How many fields have a deadline.
    pub(super) fn expiring_count(&self) -> usize {
        self.expiring.len()
    }

    /// The pair that expires first.
    pub(super) fn next_due(&self) -> Option<super::Timed<'_>> {
        self.expiring.first().map(timed)
    }

    /// How many fields have deadlines up to this one.
    pub(super) fn due_count(&self, until_ms: u64) -> usize {
        self.expiring.partition_point(|pair| pair.deadline_ms() <= Some(until_ms))
    }

    /// Gives a field a value and a deadline; says whether the field is new.
    pub(super) fn insert(&mut self, field: &[u8], value: &[u8], deadline_ms: Option<u64>) -> bool {
        let place = self.pairs.place(field);
        if let Some(place) = place
            && deadline_ms.is_none()
            && self.pairs.at(place).deadline_ms().is_none()
            && self.pairs.change(place, |pair| pair.overwrite(value))
        {
            return false;
        }
        let new = Pair::new(field, value, deadline_ms);
        match place {
            None => self.pairs.push(new.clone()),
            Some(place) => {
                let before = self.pairs.replace(place, new.clone());
                self.strike(&before);
            }
        }
        if deadline_ms.is_some() {
            self.expiring.insert(new);
        }
        place.is_none()
    }

    /// Removes a field; says whether it was there. The last pair takes its place.
    pub(super) fn remove(&mut self, field: &[u8]) -> bool {
        let removed = self.pairs.remove(field);
        removed.iter().for_each(|pair| self.strike(pair));
        removed.is_some()
    }

    /// Takes a pair that was removed off the list of those that expire.
    fn strike(&mut self, pair: &Pair) {
        if pair.deadline_ms().is_some() {
            self.expiring.remove(pair);
        }
    }
}

fn timed(pair: &Pair) -> super::Timed<'_> {
    let (field, value) = pair.split();
    super::Timed { field, value, deadline_ms: pair.deadline_ms() }
}
