//! A run of neighbouring slots, the unit in which slot sets are written down.

use crate::{ParseSlotsError, Slot};
use std::fmt;
use std::str::FromStr;

/// The slots from `first` to `last`, both included; never empty. Printed `5461-10922`, or `5462` when it is one slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotRange {
    first: Slot,
    last: Slot,
}

impl SlotRange {
    /// Every slot.
    pub const ALL: Self = Self { first: Slot::FIRST, last: Slot::LAST };

    /// The slots from `first` to `last`; `None` if `first` is above `last`.
    pub const fn new(first: Slot, last: Slot) -> Option<Self> {
        if first.number() <= last.number() { Some(Self { first, last }) } else { None }
    }

    /// The lowest slot of the range.
    pub const fn first(self) -> Slot {
        self.first
    }

    /// The highest slot of the range.
    pub const fn last(self) -> Slot {
        self.last
    }

    /// How many slots the range holds: 1 to [`SLOT_COUNT`](crate::SLOT_COUNT).
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub const fn len(self) -> usize {
        self.last.index() - self.first.index() + 1
    }

    /// Whether the slot is in the range.
    pub fn contains(self, slot: Slot) -> bool {
        (self.first..=self.last).contains(&slot)
    }

    /// The slots in ascending order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Slot> {
        (self.first.number()..=self.last.number()).filter_map(Slot::new)
    }
}

impl From<Slot> for SlotRange {
    fn from(slot: Slot) -> Self {
        Self { first: slot, last: slot }
    }
}

impl FromStr for SlotRange {
    type Err = ParseSlotsError;

    fn from_str(text: &str) -> Result<Self, ParseSlotsError> {
        let slot = |text: &str| {
            let digits_only = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits_only).and_then(Slot::new).ok_or(ParseSlotsError)
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Self::new(slot(first)?, slot(last)?).ok_or(ParseSlotsError)
    }
}

impl fmt::Display for SlotRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

impl fmt::Debug for SlotRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
