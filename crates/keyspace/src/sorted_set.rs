//! Sorted sets.
//!
//! ```text
//! listpack:  members with their scores in one block, in order     at most `sorted_set.entries_max`, none over `value_bytes_max`
//! skiplist:  members by place and by name, and their places in order (see `big`)       everything else
//! ```
//!
//! A sorted set goes down this list as it grows, never up. (`skiplist` is what Redis calls the second; there is none in it.) A member has a
//! *rank*, its index by (score, member), and a *place* from 0 to the length, by which it is drawn and walked over: in a listpack
//! the two are the same, in a skiplist places depend on the history of changes, and a snapshot keeps them. Every range of a
//! command, by index, score or member, is a range of ranks. Scores are never NaN.

mod packed;

use std::collections::BTreeSet;
use std::ops::Range;

use triomphe::Arc;

use crate::big::{Body, Head, Keyed, Ranked, Row};
use crate::collection::{Collection, CollectionValue, Value, ValueType, collection_variant};
use crate::digest::Digest;
use crate::edit::Edit;
use crate::random::Random;
use crate::set::{sample_places, scan_step};
use crate::settings::Settings;
use packed::PackedScores;

/// Members ordered by score, and by their bytes where scores are equal.
#[derive(Clone)]
pub struct SortedSetValue(Encoding);

#[derive(Clone)]
enum Encoding {
    Packed(PackedScores),
    Many(Box<Many>),
}

/// Rows of scores and members, all of which stand in the order.
type Many = Ranked<Score>;

/// What stands in front of a member.
#[derive(Clone, Copy)]
struct Score(f64);

impl Head for Score {
    fn name(self, bytes: &[u8]) -> &[u8] {
        bytes
    }
}

const SIGN: u64 = 1 << 63;

impl Keyed for Score {
    fn key(self, _: &[u8]) -> Option<u64> {
        Some(key_of(self.0))
    }
}

/// A number that has its place among those of other scores where the score has its own.
fn key_of(score: f64) -> u64 {
    // The two zeros are equal.
    let bits = (score + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// The score that has a key.
fn score_of(key: u64) -> f64 {
    f64::from_bits(if key & SIGN == 0 { !key } else { key & !SIGN })
}

fn pair(row: Row<'_, Score>) -> (&[u8], f64) {
    (row.bytes, row.head.0)
}

/// Gives a member of a big sorted set a score; returns the score that it had.
fn put(many: &mut Many, member: &[u8], score: f64) -> Option<f64> {
    let Some(place) = many.rows().place(member) else {
        many.push(Score(score), Body::whole(member));
        return None;
    };
    let before = many.rows().head(place).0;
    if before != score {
        many.set_head(place, Score(score));
    }
    Some(before)
}

impl SortedSetValue {
    /// The number of members.
    pub fn len(&self) -> usize {
        match &self.0 {
            Encoding::Packed(packed) => packed.len(),
            Encoding::Many(many) => many.rows().len(),
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
            Encoding::Many(many) => many.rows().place(member).map(|place| many.rows().head(place).0),
        }
    }

    /// The rank of a member, from 0, lowest score first, and its score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match &self.0 {
            Encoding::Packed(packed) => packed.find(member),
            Encoding::Many(many) => {
                let place = many.rows().place(member)?;
                Some((many.rank(place)?, many.rows().head(place).0))
            }
        }
    }

    /// How many members stand in front of the first whose score does not satisfy the predicate. Those in front must all satisfy it, and
    /// none behind may.
    pub fn partition_by_score(&self, satisfies: impl Fn(f64) -> bool) -> usize {
        match &self.0 {
            Encoding::Packed(packed) => packed.iter().take_while(|&(_, score)| satisfies(score)).count(),
            Encoding::Many(many) => many.partition_point(|key| satisfies(score_of(key))),
        }
    }

    /// The same for members, if all scores are equal. If they are not, it is some number, but the same for every sorted set that is equal.
    pub fn partition_by_member(&self, satisfies: impl Fn(&[u8]) -> bool) -> usize {
        match &self.0 {
            Encoding::Packed(packed) => packed.iter().take_while(|&(member, _)| satisfies(member)).count(),
            Encoding::Many(many) => {
                // By rank, not by chunk: where those were divided must show nowhere.
                let mut left = 0..many.ranked_count();
                while !left.is_empty() {
                    let middle = left.start + left.len() / 2;
                    left =
                        if satisfies(many.at_rank(middle).bytes) { middle + 1..left.end } else { left.start..middle };
                }
                left.start
            }
        }
    }

    /// The members with these ranks, which are at most the length, and their scores, in order.
    pub fn range(&self, ranks: Range<usize>) -> impl DoubleEndedIterator<Item = (&[u8], f64)> {
        let (packed, many) = match &self.0 {
            Encoding::Packed(packed) => {
                let walked: Vec<_> = packed.iter().skip(ranks.start).take(ranks.len()).collect();
                (Some(walked), None)
            }
            Encoding::Many(many) => (None, Some(many.range(ranks).map(pair))),
        };
        packed.into_iter().flatten().chain(many.into_iter().flatten())
    }

    /// The member at a place, which is below the length, and its score.
    pub fn at(&self, place: usize) -> (&[u8], f64) {
        match &self.0 {
            Encoding::Packed(packed) => packed.iter().nth(place).expect("the place is below the length"),
            Encoding::Many(many) => pair(many.rows().at(place)),
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
                let (from, to) = scan_step(cursor, count, many.rows().len());
                (to..from)
                    .rev()
                    .map(|place| pair(many.rows().at(place)))
                    .for_each(|(member, score)| visit(member, score));
                to as u64
            }
        }
    }

    /// Tells that so many members are about to be put, the longest of so many bytes: if a listpack may not hold as much, the sorted set
    /// leaves that encoding at once.
    pub fn prepare(&mut self, count: usize, longest_bytes: usize, settings: &Settings) {
        if self.is_outgrown_by(count, longest_bytes, settings) {
            self.spread(settings);
        }
    }

    /// As [`Self::prepare`], of members that may not come to be put: Redis looks at what is named (t_zset.c zaddGenericCommand). The members
    /// are the same afterwards, so nobody is told of a change.
    pub fn expect(set: &mut Edit<'_, Self>, count: usize, longest_bytes: usize, settings: &Settings) {
        if set.is_outgrown_by(count, longest_bytes, settings) {
            set.reshape().spread(settings);
        }
    }

    fn is_outgrown_by(&self, count: usize, longest_bytes: usize, settings: &Settings) -> bool {
        let limits = settings.sorted_set;
        self.is_packed() && (count > limits.entries_max || longest_bytes > limits.value_bytes_max)
    }

    /// Brings near what will be looked at first when these members get these scores; of the first [`crate::FETCHED_MAX`]. Nothing but time comes of it.
    pub fn fetch(&self, pairs: &[(f64, &[u8])]) {
        if let Encoding::Many(many) = &self.0 {
            many.fetch(pairs.iter().map(|&(score, member)| (key_of(score), member)));
        }
    }

    /// Gives a member a score, which is a number; returns the score that it had.
    pub fn insert(&mut self, member: &[u8], score: f64, settings: &Settings) -> Option<f64> {
        debug_assert!(!score.is_nan(), "a score is a number");
        let limits = settings.sorted_set;
        if let Encoding::Packed(packed) = &mut self.0 {
            let before = packed.find(member).map(|(_, score)| score);
            if before == Some(score) {
                return before;
            }
            if before.is_some() || packed.len() < limits.entries_max && member.len() <= limits.value_bytes_max {
                packed.remove(member);
                packed.insert(member, score);
                return before;
            }
        }
        put(self.spread(settings), member, score)
    }

    /// Removes a member; returns the score that it had.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.0 {
            Encoding::Packed(packed) => packed.remove(member),
            Encoding::Many(many) => {
                let place = many.rows().place(member)?;
                let before = many.rows().head(place).0;
                many.remove(place);
                Some(before)
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
            Encoding::Many(many) if ranks.len() > many.ranked_count() / 2 => many.keep_around(ranks),
            Encoding::Many(many) => many.remove_range(ranks),
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
            Encoding::Many(many) => (None, Some(many.rows().iter().map(pair))),
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
                Encoding::Many(many) => many.push(Score(score), Body::whole(member)),
            }
        }
        Some(set)
    }

    /// The sorted set as what [`crate::Keyspace::put`] takes.
    pub fn into_value(self) -> Value {
        Value::Collection(Collection::SortedSet(Arc::new(self)))
    }

    /// Leaves the packed encoding.
    fn spread(&mut self, settings: &Settings) -> &mut Many {
        if let Encoding::Packed(packed) = &self.0 {
            let mut many = Many::new(settings.hash_key);
            packed.iter().for_each(|(member, score)| many.push(Score(score), Body::whole(member)));
            self.0 = Encoding::Many(Box::new(many));
        }
        match &mut self.0 {
            Encoding::Packed(_) => unreachable!("it was left"),
            Encoding::Many(many) => many,
        }
    }
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
            Encoding::Many(many) => size_of::<Many>() + many.allocated_bytes(),
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
