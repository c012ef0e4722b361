//! Sets.
//!
//! ```text
//! intset:     numbers in ascending order                  at most `set_integers_max`, nothing else
//! listpack:   members in the order of their arrival       at most `set.entries_max`, none over `set.value_bytes_max`
//! hashtable:  few members as in a listpack, or a dense vector of members and a hash index           everything else
//! ```
//!
//! A set goes down this list as it grows, never up. In each encoding a member has a *place* from 0 to the length, so that a random member
//! is a random place; the order of the places is what SMEMBERS shows and what a snapshot keeps. In a hashtable the last member takes the
//! place of a removed one, and nobody sees in which of its two ways it is kept.

mod integers;
mod packed;

use std::collections::BTreeSet;
use std::ops::Deref;

use triomphe::Arc;

use crate::big::{Body, Dense, FEW_BYTES_MAX, FEW_MAX};
use crate::block::element_bytes;
use crate::collection::{Collection, CollectionValue, Value, ValueType, collection_variant};
use crate::digest::Digest;
use crate::edit::Edit;
use crate::integer::{Digits, format_integer, parse_integer};
use crate::random::Random;
use crate::settings::Settings;
use integers::Integers;
use packed::Packed;

/// A set of members.
#[derive(Clone)]
pub struct SetValue(Encoding);

#[derive(Clone)]
enum Encoding {
    Integers(Integers),
    Packed(Packed),
    Few(Packed),
    Many(Box<Dense<()>>),
}

/// How a set is kept. A snapshot keeps this: see [`SetValue::restore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetEncoding {
    /// `intset`
    Integers,
    /// `listpack`
    Packed,
    /// `hashtable`
    Many,
}

/// A member as it lies in its set; reads as bytes.
#[derive(Clone, Copy, Debug)]
pub enum Member<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// A number, written out.
    Digits(Digits),
}

impl Deref for Member<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Digits(digits) => digits,
        }
    }
}

impl AsRef<[u8]> for Member<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl SetValue {
    /// The number of members.
    pub fn len(&self) -> usize {
        match &self.0 {
            Encoding::Integers(integers) => integers.len(),
            Encoding::Packed(block) | Encoding::Few(block) => block.len(),
            Encoding::Many(members) => members.len(),
        }
    }

    /// Whether there is no member, which only a set outside of the keyspace can be.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the member is there.
    pub fn contains(&self, member: &[u8]) -> bool {
        match &self.0 {
            Encoding::Integers(integers) => parse_integer(member).is_some_and(|number| integers.find(number).is_ok()),
            Encoding::Packed(block) | Encoding::Few(block) => block.contains(member),
            Encoding::Many(members) => members.place(member).is_some(),
        }
    }

    /// The members in order of their places.
    pub fn iter(&self) -> impl Iterator<Item = Member<'_>> {
        let (integers, block, many) = match &self.0 {
            Encoding::Integers(integers) => (Some(integers), None, None),
            Encoding::Packed(block) | Encoding::Few(block) => (None, Some(block), None),
            Encoding::Many(members) => (None, None, Some(members)),
        };
        let integers =
            integers.into_iter().flat_map(|set| set.iter().map(|number| Member::Digits(format_integer(number))));
        let block = block.into_iter().flat_map(|set| set.iter().map(Member::Bytes));
        let many = many.into_iter().flat_map(|set| set.iter().map(|member| Member::Bytes(member.bytes)));
        integers.chain(block).chain(many)
    }

    /// The member at a place, which is below the length.
    pub fn at(&self, place: usize) -> Member<'_> {
        match &self.0 {
            Encoding::Integers(integers) => Member::Digits(format_integer(integers.at(place))),
            Encoding::Packed(block) | Encoding::Few(block) => {
                Member::Bytes(block.iter().nth(place).expect("the place is below the length"))
            }
            Encoding::Many(members) => Member::Bytes(members.at(place).bytes),
        }
    }

    /// `count` different members (at most all), every choice equally likely, in order of their places.
    pub fn sample(&self, random: &mut Random, count: usize) -> impl Iterator<Item = Member<'_>> {
        let places = sample_places(random, self.len(), count);
        let is_many = matches!(self.0, Encoding::Many(_));
        // A block is walked once; a dense vector is looked up place by place, for it may be much bigger than the sample.
        let (walked, looked_up) = if is_many { (BTreeSet::new(), places) } else { (places, BTreeSet::new()) };
        let walk = if is_many { None } else { Some(self.iter().enumerate()) };
        let walk = walk.into_iter().flatten().filter(move |(place, _)| walked.contains(place));
        walk.map(|(_, member)| member).chain(looked_up.into_iter().map(|place| self.at(place)))
    }

    /// One step of SSCAN: hands out about `count` members from a cursor on, 0 to begin with, and returns the next cursor, 0 at the end.
    ///
    /// A cursor is the number of places that are still to come, and the walk goes from the end to the front: see `big::dense`. A
    /// set that is not a hashtable comes as a whole.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8])) -> u64 {
        if self.set_encoding() != SetEncoding::Many {
            self.iter().for_each(|member| visit(&member));
            return 0;
        }
        let (from, to) = scan_step(cursor, count, self.len());
        (to..from).rev().for_each(|place| visit(&self.at(place)));
        to as u64
    }

    /// Tells that so many members are about to be added, `first` being the first: an empty set chooses its encoding by that, and one that
    /// has members leaves an encoding that may not hold so many. Redis looks at what is named (t_set.c saddCommand): some or all may be
    /// members already, so nobody is told of a change.
    pub fn expect(set: &mut Edit<'_, Self>, first: &[u8], count: usize, settings: &Settings) {
        let packs = count <= settings.set.entries_max;
        let keeps_integers = count <= settings.set_integers_max;
        match &set.0 {
            Encoding::Integers(_) if keeps_integers && (!set.is_empty() || parse_integer(first).is_some()) => (),
            Encoding::Integers(_) if set.is_empty() && packs => set.reshape().0 = Encoding::Packed(Packed::default()),
            Encoding::Packed(_) if packs => (),
            Encoding::Few(_) | Encoding::Many(_) => (),
            _ => set.reshape().unpack(settings),
        }
    }

    /// Brings near what will be looked at first when these members are added or looked for; of the first [`crate::FETCHED_MAX`]. Nothing but
    /// time comes of it.
    pub fn fetch<'a>(&self, members: impl Iterator<Item = &'a [u8]>) {
        if let Encoding::Many(many) = &self.0 {
            many.fetch(members);
        }
    }

    /// Adds a member; says whether it is new.
    pub fn insert(&mut self, member: &[u8], settings: &Settings) -> bool {
        if self.contains(member) {
            return false;
        }
        let fits = self.len() < settings.set.entries_max && member.len() <= settings.set.value_bytes_max;
        match (&mut self.0, parse_integer(member)) {
            (Encoding::Integers(integers), Some(number)) => {
                integers.insert(number);
                if integers.len() > settings.set_integers_max {
                    self.unpack(settings);
                }
            }
            (Encoding::Integers(integers), None) => {
                if fits && integers.longest() <= settings.set.value_bytes_max {
                    self.0 = Encoding::Packed(self.take_block());
                } else {
                    self.unpack(settings);
                }
                self.push(member, settings);
            }
            (Encoding::Packed(_), _) => {
                if !fits {
                    self.unpack(settings);
                }
                self.push(member, settings);
            }
            (Encoding::Few(_) | Encoding::Many(_), _) => self.push(member, settings),
        }
        true
    }

    /// Removes a member; says whether it was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.0 {
            Encoding::Integers(integers) => {
                let found = parse_integer(member).and_then(|number| integers.find(number).ok());
                found.inspect(|&index| integers.remove_at(index)).is_some()
            }
            Encoding::Packed(packed) => packed.remove(member),
            Encoding::Few(few) => few.swap_remove(member),
            Encoding::Many(members) => {
                let place = members.place(member);
                place.inspect(|&place| members.remove(place)).is_some()
            }
        }
    }

    /// A set of these members, which may repeat.
    pub fn collect<T: AsRef<[u8]>>(all: impl Iterator<Item = T>, settings: &Settings) -> Self {
        let mut set = Self::empty();
        all.for_each(|member| {
            set.insert(member.as_ref(), settings);
        });
        set
    }

    /// How the set is kept.
    pub fn set_encoding(&self) -> SetEncoding {
        match &self.0 {
            Encoding::Integers(_) => SetEncoding::Integers,
            Encoding::Packed(_) => SetEncoding::Packed,
            Encoding::Few(_) | Encoding::Many(_) => SetEncoding::Many,
        }
    }

    /// A set as a snapshot kept it: in this encoding, whatever the limits are now, with the members in order of their places. `None`:
    /// a member comes twice, or is no integer where it must be, or out of order.
    pub fn restore<T: AsRef<[u8]>>(
        encoding: SetEncoding,
        members: impl Iterator<Item = T>,
        settings: &Settings,
    ) -> Option<Self> {
        let mut set = Self(match encoding {
            SetEncoding::Integers => Encoding::Integers(Integers::new()),
            SetEncoding::Packed => Encoding::Packed(Packed::default()),
            SetEncoding::Many => Encoding::Few(Packed::default()),
        });
        for member in members {
            let member = member.as_ref();
            match &mut set.0 {
                Encoding::Integers(integers) => {
                    let number = parse_integer(member)?;
                    let is_next = integers.iter().next_back().is_none_or(|last| last < number);
                    if !is_next || !integers.insert(number) {
                        return None;
                    }
                }
                Encoding::Packed(packed) => packed.push(member),
                Encoding::Few(_) | Encoding::Many(_) => {
                    if set.contains(member) {
                        return None;
                    }
                    set.push(member, settings);
                }
            }
        }
        if let Encoding::Packed(packed) = &set.0 {
            let mut sorted: Vec<_> = packed.iter().collect();
            sorted.sort_unstable();
            if !sorted.is_sorted_by(|left, right| left < right) {
                return None;
            }
        }
        Some(set)
    }

    /// The set as what [`crate::Keyspace::put`] takes.
    pub fn into_value(self) -> Value {
        Value::Collection(Collection::Set(Arc::new(self)))
    }

    /// Adds a member that is not there to a set that is not of integers.
    fn push(&mut self, member: &[u8], settings: &Settings) {
        if let Encoding::Few(few) = &self.0
            && (few.len() == FEW_MAX || few.bytes_with(member) > FEW_BYTES_MAX)
        {
            self.spread(settings);
        }
        match &mut self.0 {
            Encoding::Integers(_) => unreachable!("bytes go into a set of bytes"),
            Encoding::Packed(block) | Encoding::Few(block) => block.push(member),
            Encoding::Many(members) => members.push((), Body::whole(member)),
        }
    }

    /// Takes the members of a set that is no dense vector, in a block.
    fn take_block(&mut self) -> Packed {
        if let Encoding::Packed(block) | Encoding::Few(block) = &mut self.0 {
            return std::mem::take(block);
        }
        let mut block = Packed::default();
        self.iter().for_each(|member| block.push(&member));
        block
    }

    /// Makes the set a hashtable, whatever its size.
    fn unpack(&mut self, settings: &Settings) {
        let bytes = || self.iter().map(|member| element_bytes(&member)).sum::<usize>();
        if self.len() <= FEW_MAX && bytes() <= FEW_BYTES_MAX {
            self.0 = Encoding::Few(self.take_block());
        } else {
            self.spread(settings);
        }
    }

    /// Makes the set a dense vector.
    fn spread(&mut self, settings: &Settings) {
        let mut members = Dense::new(settings.hash_key);
        self.iter().for_each(|member| {
            members.push((), Body::whole(&member));
        });
        self.0 = Encoding::Many(Box::new(members));
    }
}

/// The places of one step of a walk from the end to the front: from the first, exclusively, down to the second.
pub(crate) fn scan_step(cursor: u64, count: usize, length: usize) -> (usize, usize) {
    let from = if cursor == 0 { length } else { usize::try_from(cursor).unwrap_or(length).min(length) };
    (from, from.saturating_sub(count))
}

/// `count` different places below `length` (at most all), every choice equally likely.
pub(crate) fn sample_places(random: &mut Random, length: usize, count: usize) -> BTreeSet<usize> {
    // Floyd's way: draw below a growing bound, and take the bound itself instead of what is taken already.
    let mut places = BTreeSet::new();
    for bound in length.saturating_sub(count)..length {
        let place = random.below(bound + 1);
        if !places.insert(place) {
            places.insert(bound);
        }
    }
    places
}

impl CollectionValue for SetValue {
    const TYPE: ValueType = ValueType::Set;

    fn empty() -> Self {
        Self(Encoding::Integers(Integers::new()))
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn allocated_bytes(&self) -> usize {
        let within = match &self.0 {
            Encoding::Integers(integers) => integers.allocated_bytes(),
            Encoding::Packed(block) | Encoding::Few(block) => block.allocated_bytes(),
            Encoding::Many(members) => size_of::<Dense<()>>() + members.allocated_bytes(),
        };
        size_of::<Self>() + within
    }

    fn encoding(&self) -> &'static str {
        match self.set_encoding() {
            SetEncoding::Integers => "intset",
            SetEncoding::Packed => "listpack",
            SetEncoding::Many => "hashtable",
        }
    }

    fn digest(&self, digest: &mut Digest) {
        digest.bytes(self.encoding().as_bytes());
        self.iter().for_each(|member| digest.bytes(&member));
    }

    collection_variant!(Set);
}

#[cfg(test)]
mod tests;
