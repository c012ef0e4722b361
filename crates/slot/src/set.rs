//! A set of slots as a bitmap: 2 KiB whatever it holds, so that asking is one load and one shift.
//!
//! ```text
//! words:  [ slots 0..=63 | slots 64..=127 | ... | slots 16320..=16383 ]   256 words, slot n = bit n % 64 of word n / 64
//! count:  how many bits are set, kept beside so that `len` costs nothing
//! ```

use crate::{SLOT_COUNT, Slot, SlotRange};
use std::fmt;
use std::str::FromStr;

const WORD_COUNT: usize = SLOT_COUNT as usize / 64;

/// A set of slots. Printed as its maximal ranges, `0-5460 5462`, and read back from that; the empty set is "".
#[derive(Clone, PartialEq, Eq)]
pub struct SlotSet {
    words: Box<[u64; WORD_COUNT]>,
    count: usize,
}

/// The text is not a list of slots and ascending ranges below 16384, separated by white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseSlotsError;

impl SlotSet {
    /// The empty set.
    pub fn new() -> Self {
        Self { words: Box::new([0; WORD_COUNT]), count: 0 }
    }

    /// The set of every slot.
    pub fn all() -> Self {
        Self { words: Box::new([u64::MAX; WORD_COUNT]), count: usize::from(SLOT_COUNT) }
    }

    /// How many slots are in the set.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no slot is in the set.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether the slot is in the set.
    #[inline]
    pub fn contains(&self, slot: Slot) -> bool {
        self.words[slot.index() / 64] >> (slot.index() % 64) & 1 == 1
    }

    /// Puts the slot in; returns whether it was not there before.
    pub fn insert(&mut self, slot: Slot) -> bool {
        let absent = !self.contains(slot);
        self.words[slot.index() / 64] |= 1 << (slot.index() % 64);
        self.count += usize::from(absent);
        absent
    }

    /// Takes the slot out; returns whether it was there.
    pub fn remove(&mut self, slot: Slot) -> bool {
        let present = self.contains(slot);
        self.words[slot.index() / 64] &= !(1 << (slot.index() % 64));
        self.count -= usize::from(present);
        present
    }

    /// Puts every slot of the range in.
    pub fn insert_range(&mut self, range: SlotRange) {
        range.iter().for_each(|slot| {
            self.insert(slot);
        });
    }

    /// Takes every slot of the range out.
    pub fn remove_range(&mut self, range: SlotRange) {
        range.iter().for_each(|slot| {
            self.remove(slot);
        });
    }

    /// Puts every slot of `other` in.
    pub fn union_with(&mut self, other: &Self) {
        self.combine(other, |own, theirs| own | theirs);
    }

    /// Keeps only the slots that are also in `other`.
    pub fn intersect_with(&mut self, other: &Self) {
        self.combine(other, |own, theirs| own & theirs);
    }

    /// Takes every slot of `other` out.
    pub fn subtract(&mut self, other: &Self) {
        self.combine(other, |own, theirs| own & !theirs);
    }

    /// Whether the sets share at least one slot.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.words.iter().zip(other.words.iter()).any(|(own, theirs)| own & theirs != 0)
    }

    /// Whether every slot of `other` is in this set.
    pub fn contains_all(&self, other: &Self) -> bool {
        self.words.iter().zip(other.words.iter()).all(|(own, theirs)| theirs & !own == 0)
    }

    /// The slots in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        let mut next = Some(Slot::FIRST);
        std::iter::from_fn(move || {
            let found = self.seek(next?, true)?;
            next = Slot::new(found.number() + 1);
            Some(found)
        })
    }

    /// The maximal ranges in ascending order; no two of them touch.
    pub fn ranges(&self) -> impl Iterator<Item = SlotRange> + '_ {
        let mut next = Some(Slot::FIRST);
        std::iter::from_fn(move || {
            let first = self.seek(next?, true)?;
            next = self.seek(first, false);
            let last = next.and_then(|end| Slot::new(end.number() - 1)).unwrap_or(Slot::LAST);
            SlotRange::new(first, last)
        })
    }

    /// The first slot at or behind `from` that is in the set (`member`) or not in it (`!member`).
    fn seek(&self, from: Slot, member: bool) -> Option<Slot> {
        let mut index = from.index() / 64;
        let mut hidden = (1_u64 << (from.index() % 64)) - 1;
        while let Some(&word) = self.words.get(index) {
            let candidates = (if member { word } else { !word }) & !hidden;
            if candidates != 0 {
                let number = index * 64 + candidates.trailing_zeros() as usize;
                return u16::try_from(number).ok().and_then(Slot::new);
            }
            (index, hidden) = (index + 1, 0);
        }
        None
    }

    fn combine(&mut self, other: &Self, operation: impl Fn(u64, u64) -> u64) {
        for (own, theirs) in self.words.iter_mut().zip(other.words.iter()) {
            *own = operation(*own, *theirs);
        }
        self.count = self.words.iter().map(|word| word.count_ones() as usize).sum();
    }
}

impl Default for SlotSet {
    fn default() -> Self {
        Self::new()
    }
}

impl From<SlotRange> for SlotSet {
    fn from(range: SlotRange) -> Self {
        Self::from_iter([range])
    }
}

impl FromIterator<SlotRange> for SlotSet {
    fn from_iter<T: IntoIterator<Item = SlotRange>>(ranges: T) -> Self {
        let mut set = Self::new();
        ranges.into_iter().for_each(|range| set.insert_range(range));
        set
    }
}

impl FromIterator<Slot> for SlotSet {
    fn from_iter<T: IntoIterator<Item = Slot>>(slots: T) -> Self {
        slots.into_iter().map(SlotRange::from).collect()
    }
}

impl FromStr for SlotSet {
    type Err = ParseSlotsError;

    fn from_str(text: &str) -> Result<Self, ParseSlotsError> {
        text.split_ascii_whitespace().map(str::parse::<SlotRange>).collect()
    }
}

impl fmt::Display for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ranges().enumerate().try_for_each(|(place, range)| {
            let gap = if place == 0 { "" } else { " " };
            write!(f, "{gap}{range}")
        })
    }
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotSet({self})")
    }
}

impl fmt::Display for ParseSlotsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a list of slots below 16384 and ascending ranges of them")
    }
}

impl std::error::Error for ParseSlotsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> SlotSet {
        text.parse().unwrap()
    }

    #[test]
    fn prints_and_reads_its_maximal_ranges() {
        for text in ["", "0", "16383", "0-16383", "0-5460 5462", "0 2 4 63-64 127-128 16380-16383"] {
            assert_eq!(set(text).to_string(), text);
        }
        assert_eq!(set("5 4 3 1-2 2-3").to_string(), "1-5");
        assert_eq!(SlotSet::all().to_string(), "0-16383");
        assert_eq!(SlotSet::from(SlotRange::ALL), SlotSet::all());
    }

    #[test]
    fn refuses_what_is_not_a_list_of_slots() {
        for text in ["16384", "5-4", "-1", "1-", "+1", "1-2-3", "a", "0-16384", "1,2", "99999999999"] {
            assert_eq!(text.parse::<SlotSet>(), Err(ParseSlotsError), "{text}");
        }
    }

    #[test]
    fn agrees_with_a_plain_list_of_booleans() {
        let mut plain = vec![false; usize::from(SLOT_COUNT)];
        let mut bits = SlotSet::new();
        let mut state = 12345_u32;
        for step in 0..40_000 {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
            let slot = Slot::new(u16::try_from(state >> 16).unwrap() % SLOT_COUNT).unwrap();
            let place = &mut plain[slot.index()];
            if step % 3 == 0 {
                assert_eq!(bits.remove(slot), *place);
                *place = false;
            } else {
                assert_eq!(bits.insert(slot), !*place);
                *place = true;
            }
        }
        let expected: Vec<Slot> = Slot::all().filter(|slot| plain[slot.index()]).collect();
        assert_eq!(bits.iter().collect::<Vec<_>>(), expected);
        assert_eq!(bits.len(), expected.len());
        assert!(Slot::all().all(|slot| bits.contains(slot) == plain[slot.index()]));
        assert_eq!(bits.ranges().map(SlotRange::len).sum::<usize>(), bits.len());
        assert_eq!(bits.ranges().collect::<SlotSet>(), bits);
        assert_eq!(expected.into_iter().collect::<SlotSet>(), bits);
    }

    #[test]
    fn combines() {
        let (low, high) = (set("0-100 200"), set("100-200 300"));
        let combined = |operation: fn(&mut SlotSet, &SlotSet)| {
            let mut own = low.clone();
            operation(&mut own, &high);
            assert_eq!(own.iter().count(), own.len());
            own.to_string()
        };
        assert_eq!(combined(SlotSet::union_with), "0-200 300");
        assert_eq!(combined(SlotSet::intersect_with), "100 200");
        assert_eq!(combined(SlotSet::subtract), "0-99");
        assert!(low.overlaps(&high) && !low.overlaps(&set("101-199")));
        assert!(low.contains_all(&set("5-7")) && !low.contains_all(&high));
        assert!(set("").is_empty() && low.contains_all(&set("")) && !low.overlaps(&set("")));
    }

    #[test]
    fn ranges_go_in_and_out() {
        let mut slots = SlotSet::all();
        slots.remove_range("1-16382".parse().unwrap());
        assert_eq!((slots.to_string().as_str(), slots.len()), ("0 16383", 2));
        slots.insert_range("2-16383".parse().unwrap());
        assert_eq!((slots.to_string().as_str(), slots.len()), ("0 2-16383", 16383));
    }
}
