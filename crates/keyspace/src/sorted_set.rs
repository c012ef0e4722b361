//! Sorted sets.
//!
//! ```text
//! listpack:  members with their scores in one block, in order     at most `sorted_set.entries_max`, none over `value_bytes_max`
//! skiplist:  members by place and by name, and the same handles in order (see `big`)   everything else
//! ```
//!
//! A sorted set goes down this list as it grows, never up. (`skiplist` is what Redis calls the second; there is none in it.) A member has a
//! *rank*, its index by (score, member), and a *place* from 0 to the length, by which it is drawn and walked over: in a listpack
//! the two are the same, in a skiplist places depend on the history of changes, and a snapshot keeps them. Every range of a
//! command, by index, score or member, is a range of ranks. Scores are never NaN.

mod packed;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Range;

use triomphe::{Arc, ThinArc};

use crate::big::{Dense, Named, Order, Ranked};
use crate::collection::{Collection, CollectionValue, Value, ValueType, collection_variant};
use crate::digest::Digest;
use crate::random::Random;
use crate::set::{sample_places, scan_step};
use crate::settings::Settings;
use packed::{PackedScores, by_order};

/// Members ordered by score, and by their bytes where scores are equal.
#[derive(Clone)]
pub struct SortedSetValue(Encoding);

#[derive(Clone)]
enum Encoding {
    Packed(PackedScores),
    Many(Box<Many>),
}

/// A member of a big sorted set: [ count of sharers | score | length | bytes ].
type Scored = ThinArc<f64, u8>;

impl Named for Scored {
    fn name(&self) -> &[u8] {
        &self.slice
    }

    fn allocated_bytes(&self) -> usize {
        (3 * size_of::<usize>() + self.slice.len()).next_multiple_of(size_of::<usize>())
    }
}

impl Ranked for Scored {
    fn rank_against(&self, other: &Self) -> Ordering {
        by_order((self.header.header, &self.slice), (other.header.header, &other.slice))
    }
}

/// The members by name and by place, and the same handles by rank.
#[derive(Clone)]
struct Many {
    members: Dense<Scored>,
    order: Order<Scored>,
}

impl Many {
    fn new(settings: &Settings) -> Self {
        Self { members: Dense::new(settings.hash_key), order: Order::new() }
    }

    /// Sets the score of a member, which is new if `before` is `None`.
    fn put(&mut self, member: &[u8], score: f64, before: Option<f64>) {
        let handle = Scored::from_header_and_slice(score, member);
        if before.is_some() {
            let place = self.members.place(member).expect("it has a score");
            let old = self.members.replace(place, handle.clone());
            self.order.remove(&old);
        } else {
            self.members.push(handle.clone());
        }
        self.order.insert(handle);
    }
}

impl SortedSetValue {
    /// The number of members.
    pub fn len(&self) -> usize {
        match &self.0 {
            Encoding::Packed(packed) => packed.len(),
            Encoding::Many(many) => many.members.len(),
        }
    }

    /// Whether there is no member, which only a sorted set outside of the keyspace can be.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The score of a member.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.0 {
            Encoding::Packed(packed) => packed.find(member).map(|(_, score)| score),
            Encoding::Many(many) => many.members.find(member).map(|found| found.header.header),
        }
    }

    /// The rank of a member, from 0, lowest score first, and its score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match &self.0 {
            Encoding::Packed(packed) => packed.find(member),
            Encoding::Many(many) => {
                let found = many.members.find(member)?;
                Some((many.order.rank(found), found.header.header))
            }
        }
    }

    /// How many members stand in front of the first that does not satisfy the predicate. Those in front must all satisfy it, and
    /// none behind may.
    pub fn partition_point(&self, satisfies: impl Fn(f64, &[u8]) -> bool) -> usize {
        match &self.0 {
            Encoding::Packed(packed) => packed.iter().take_while(|&(member, score)| satisfies(score, member)).count(),
            Encoding::Many(many) => many.order.partition_point(|member| satisfies(member.header.header, &member.slice)),
        }
    }

    /// The members with these ranks, which are at most the length, and their scores, in order.
    pub fn range(&self, ranks: Range<usize>) -> impl DoubleEndedIterator<Item = (&[u8], f64)> {
        let (packed, many) = match &self.0 {
            Encoding::Packed(packed) => {
                let walked: Vec<_> = packed.iter().skip(ranks.start).take(ranks.len()).collect();
                (Some(walked), None)
            }
            Encoding::Many(many) => (None, Some(many.order.range(ranks).map(pair))),
        };
        packed.into_iter().flatten().chain(many.into_iter().flatten())
    }

    /// The member at a place, which is below the length, and its score.
    pub fn at(&self, place: usize) -> (&[u8], f64) {
        match &self.0 {
            Encoding::Packed(packed) => packed.iter().nth(place).expect("the place is below the length"),
            Encoding::Many(many) => pair(many.members.at(place)),
        }
    }

    /// `count` different members (at most all) and their scores, every choice equally likely, in order of their places.
    pub fn sample(&self, random: &mut Random, count: usize) -> impl Iterator<Item = (&[u8], f64)> {
        let places = sample_places(random, self.len(), count);
        let (packed, many) = match &self.0 {
            Encoding::Packed(packed) => (Some((packed, places)), BTreeSet::new()),
            Encoding::Many(_) => (None, places),
        };
        let walked = packed.into_iter().flat_map(|(packed, places)| {
            let walk = packed.iter().enumerate().filter(move |(place, _)| places.contains(place));
            walk.map(|(_, entry)| entry)
        });
        walked.chain(many.into_iter().map(|place| self.at(place)))
    }

    /// One step of ZSCAN: hands out about `count` members with their scores from a cursor on, 0 to begin with, and returns the next
    /// cursor, 0 at the end. See [`crate::SetValue::scan`].
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        match &self.0 {
            Encoding::Packed(packed) => {
                packed.iter().for_each(|(member, score)| visit(member, score));
                0
            }
            Encoding::Many(many) => {
                let (from, to) = scan_step(cursor, count, many.members.len());
                (to..from)
                    .rev()
                    .map(|place| pair(many.members.at(place)))
                    .for_each(|(member, score)| visit(member, score));
                to as u64
            }
        }
    }

    /// Tells that so many members are about to be put, the longest of so many bytes: if a listpack may not hold as much, the sorted set
    /// leaves that encoding at once.
    pub fn prepare(&mut self, count: usize, longest_bytes: usize, settings: &Settings) {
        let limits = settings.sorted_set;
        if count > limits.entries_max || longest_bytes > limits.value_bytes_max {
            self.spread(settings);
        }
    }

    /// Gives a member a score, which is a number; returns the score that it had.
    pub fn insert(&mut self, member: &[u8], score: f64, settings: &Settings) -> Option<f64> {
        debug_assert!(!score.is_nan(), "a score is a number");
        let before = self.score(member);
        if before == Some(score) {
            return before;
        }
        let limits = settings.sorted_set;
        let fits = self.len() < limits.entries_max && member.len() <= limits.value_bytes_max;
        if before.is_none() && !fits {
            self.spread(settings);
        }
        match &mut self.0 {
            Encoding::Packed(packed) => {
                packed.remove(member);
                packed.insert(member, score);
            }
            Encoding::Many(many) => many.put(member, score, before),
        }
        before
    }

    /// Removes a member; returns the score that it had.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.0 {
            Encoding::Packed(packed) => packed.remove(member),
            Encoding::Many(many) => {
                let removed = many.members.remove(member)?;
                many.order.remove(&removed);
                Some(removed.header.header)
            }
        }
    }

    /// Removes the members with these ranks, which are at most the length. Takes a step for each that is removed, or for each that is left, whichever
    /// are fewer.
    pub fn remove_range(&mut self, ranks: Range<usize>) {
        match &mut self.0 {
            Encoding::Packed(packed) => {
                let members: Vec<_> =
                    packed.iter().skip(ranks.start).take(ranks.len()).map(|(member, _)| member.to_vec()).collect();
                members.iter().for_each(|member| {
                    packed.remove(member);
                });
            }
            Encoding::Many(many) if ranks.len() > many.order.len() / 2 => {
                let mut rest = Many { members: Dense::new_like(&many.members), order: Order::new() };
                let kept = many.order.range(0..ranks.start).chain(many.order.range(ranks.end..many.order.len()));
                kept.for_each(|member| {
                    rest.members.push(member.clone());
                    rest.order.insert(member.clone());
                });
                **many = rest;
            }
            Encoding::Many(many) => many.order.remove_range(ranks).iter().for_each(|member| {
                many.members.remove(&member.slice);
            }),
        }
    }

    /// A sorted set of these members with their scores; of a member that repeats, the last counts.
    pub fn collect<T: AsRef<[u8]>>(all: impl Iterator<Item = (T, f64)>, settings: &Settings) -> Self {
        let mut set = Self::empty();
        all.for_each(|(member, score)| {
            set.insert(member.as_ref(), score, settings);
        });
        set
    }

    /// Whether the sorted set is one block of bytes. A snapshot keeps this: see [`SortedSetValue::restore`].
    pub fn is_packed(&self) -> bool {
        matches!(self.0, Encoding::Packed(_))
    }

    /// The members with their scores, in order of their places.
    pub fn by_place(&self) -> impl Iterator<Item = (&[u8], f64)> {
        let (packed, many) = match &self.0 {
            Encoding::Packed(packed) => (Some(packed.iter()), None),
            Encoding::Many(many) => (None, Some(many.members.iter().map(pair))),
        };
        packed.into_iter().flatten().chain(many.into_iter().flatten())
    }

    /// A sorted set as a snapshot kept it: in this encoding, whatever the limits are now, with the members in order of their places. `None`:
    /// a member comes twice, a score is not a number, or a listpack is out of order.
    pub fn restore<T: AsRef<[u8]>>(
        is_packed: bool,
        members: impl Iterator<Item = (T, f64)>,
        settings: &Settings,
    ) -> Option<Self> {
        let mut set = Self::empty();
        if !is_packed {
            set.spread(settings);
        }
        for (member, score) in members {
            let member = member.as_ref();
            if score.is_nan() || set.score(member).is_some() {
                return None;
            }
            match &mut set.0 {
                Encoding::Packed(packed) => {
                    packed.insert(member, score);
                    // What is in order stays where it was put: at the end.
                    packed.find(member).filter(|found| found.0 + 1 == packed.len())?;
                }
                Encoding::Many(many) => many.put(member, score, None),
            }
        }
        Some(set)
    }

    /// The sorted set as what [`crate::Keyspace::put`] takes.
    pub fn into_value(self) -> Value {
        Value::Collection(Collection::SortedSet(Arc::new(self)))
    }

    /// Leaves the packed encoding.
    fn spread(&mut self, settings: &Settings) {
        if let Encoding::Packed(packed) = &self.0 {
            let mut many = Many::new(settings);
            packed.iter().for_each(|(member, score)| many.put(member, score, None));
            self.0 = Encoding::Many(Box::new(many));
        }
    }
}

fn pair(member: &Scored) -> (&[u8], f64) {
    (&member.slice, member.header.header)
}

impl CollectionValue for SortedSetValue {
    const TYPE: ValueType = ValueType::SortedSet;

    fn empty() -> Self {
        Self(Encoding::Packed(PackedScores::default()))
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn allocated_bytes(&self) -> usize {
        let within = match &self.0 {
            Encoding::Packed(packed) => packed.allocated_bytes(),
            Encoding::Many(many) => many.members.allocated_bytes() + many.order.allocated_bytes(),
        };
        size_of::<Self>() + within
    }

    fn encoding(&self) -> &'static str {
        match &self.0 {
            Encoding::Packed(_) => "listpack",
            Encoding::Many(_) => "skiplist",
        }
    }

    fn digest(&self, digest: &mut Digest) {
        digest.bytes(self.encoding().as_bytes());
        // By place, not by rank: a snapshot keeps the places, and the ranks follow from the scores.
        for (member, score) in self.by_place() {
            digest.bytes(member);
            digest.number(score.to_bits());
        }
    }

    collection_variant!(SortedSet);
}

#[cfg(test)]
mod tests;
