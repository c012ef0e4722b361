//! Slots: the 16384 parts into which Redis Cluster cuts the space of keys, and sets of them.
//!
//! A key's slot is CRC16 (XMODEM) of its hash tag, modulo 16384. It is the unit of storage, routing and moving
//! in every mode, so this crate sits below all others. It knows nothing of who owns a slot: that is topology's.
//!
//! Invariant: a [`Slot`] is always below [`SLOT_COUNT`]; whoever holds one may index with it.
#![warn(clippy::cast_possible_truncation)]

mod range;
mod set;

pub use range::SlotRange;
pub use set::{ParseSlotsError, SlotSet};

use std::fmt;

/// How many slots there are. Part of the protocol: clients compute slots themselves.
pub const SLOT_COUNT: u16 = 16384;

/// One slot: a number below [`SLOT_COUNT`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// The lowest slot, 0.
    pub const FIRST: Self = Self(0);
    /// The highest slot, 16383.
    pub const LAST: Self = Self(SLOT_COUNT - 1);

    /// The slot of that number; `None` from [`SLOT_COUNT`] on.
    pub const fn new(number: u16) -> Option<Self> {
        if number < SLOT_COUNT { Some(Self(number)) } else { None }
    }

    /// The slot of a key: that of its [`hash_tag`].
    pub fn of_key(key: &[u8]) -> Self {
        Self(crc16::State::<crc16::XMODEM>::calculate(hash_tag(key)) % SLOT_COUNT)
    }

    /// The slot's number, below [`SLOT_COUNT`].
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The slot's number as an index into a table of [`SLOT_COUNT`] places.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// All slots in ascending order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        (0..SLOT_COUNT).map(Self)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The part of a key that decides its slot: what stands between its first `{` and the first `}` behind that,
/// if there is at least one byte between them; otherwise the whole key.
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&byte| byte == b'{') else { return key };
    let inside = &key[open + 1..];
    match inside.iter().position(|&byte| byte == b'}') {
        Some(close) if close > 0 => &inside[..close],
        _ => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_of_the_cluster_specification() {
        assert_eq!(crc16::State::<crc16::XMODEM>::calculate(b"123456789"), 0x31C3);
        assert_eq!(Slot::of_key(b"123456789").number(), 0x31C3);
    }

    #[test]
    fn keys_fall_into_the_slots_that_cluster_keyslot_reports() {
        // What CLUSTER KEYSLOT of a redis-server 7.0 answers.
        for (key, slot) in [
            (&b""[..], 0),
            (b"foo", 12182),
            (b"bar", 5061),
            (b"foo{hash_tag}", 2515),
            (b"{user1000}.following", 3443),
            (b"{user1000}.followers", 3443),
            (b"foo{}{bar}", 8363),
            (b"foo{{bar}}zap", 4015),
            (b"foo{bar}{zap}", 5061),
            (b"{", 4092),
            (b"{}", 15257),
            (b"a{b", 13340),
            (b"}a{b}", 3300),
        ] {
            assert_eq!(Slot::of_key(key).number(), slot, "{}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn a_hash_tag_is_the_first_braces_with_something_between() {
        for (key, tag) in [
            (&b"plain"[..], &b"plain"[..]),
            (b"{user}.a", b"user"),
            (b"a{user}b", b"user"),
            (b"foo{}{bar}", b"foo{}{bar}"),
            (b"foo{{bar}}zap", b"{bar"),
            (b"foo{bar}{zap}", b"bar"),
            (b"open{only", b"open{only"),
            (b"close}only", b"close}only"),
            (b"}x{y}", b"y"),
            (b"{", b"{"),
            (b"", b""),
        ] {
            assert_eq!(hash_tag(key), tag, "{}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn slots_end_at_their_count() {
        assert_eq!(Slot::new(SLOT_COUNT - 1), Some(Slot::LAST));
        assert_eq!(Slot::new(SLOT_COUNT), None);
        assert_eq!(Slot::all().len(), usize::from(SLOT_COUNT));
        assert_eq!(Slot::all().next_back(), Some(Slot::LAST));
    }
}
