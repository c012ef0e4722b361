//! The fence: which slots a shard answers for, by its own log.
//!
//! Every replica keeps the set beside the data, under the same lock, and changes it by entries only. An entry's commands
//! on a slot outside of it do nothing, and every read looks here first: so no two shards ever accept commands for one
//! slot, whatever the view of a node says.
//!
//! ```text
//! in an entry (kind 2)   FENCE 17 0-5460 7000-7000   from here on the shard serves these slots and no others
//!                        KEY 9 12                    the key of the shard's hash tables; the first counts
//! ```
//!
//! The number of FENCE is the topology version that the set comes from. A lower one than the last is ignored: so what an old leader
//! knows opens nothing that was closed. Keys of a slot that was closed stay until they are dropped.

use std::ops::{Deref, DerefMut};

use commands::Spec;
use keyspace::Keyspace;
use resp::Arguments;
use slot::{Slot, SlotRange, SlotSet};

/// What a command is told whose slot the shard does not serve (any more). It did not and will not happen.
pub(crate) use faces::NOT_SERVED;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// Every slot, for good: the one shard of a server that is no cluster.
    All,
    /// Those of a shard of a cluster.
    Slots(Box<FencedSlots>),
}

/// The slots that a shard serves, and the topology version that they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FencedSlots {
    pub(crate) version: u64,
    pub(crate) slots: SlotSet,
}

/// A shard's data and the slots that it answers for: what one lock guards.
pub(crate) struct Data {
    pub(crate) keyspace: Keyspace,
    pub(crate) fence: Fence,
}

impl Data {
    /// Whether there is a slot that it is served for.
    pub(crate) fn serves_any(&self) -> bool {
        match &self.fence {
            Fence::All => true,
            Fence::Slots(fenced) => !fenced.slots.is_empty(),
        }
    }

    /// Whether commands on this slot are accepted.
    pub(crate) fn serves(&self, slot: Slot) -> bool {
        self.fence.serves(slot)
    }
}

impl Deref for Data {
    type Target = Keyspace;

    fn deref(&self) -> &Keyspace {
        &self.keyspace
    }
}

impl DerefMut for Data {
    fn deref_mut(&mut self) -> &mut Keyspace {
        &mut self.keyspace
    }
}

impl Fence {
    /// No slot: what a shard of a cluster begins with.
    pub(crate) fn closed() -> Self {
        Self::Slots(Box::default())
    }

    /// Whether commands on this slot are accepted.
    pub(crate) fn serves(&self, slot: Slot) -> bool {
        match self {
            Self::All => true,
            Self::Slots(fenced) => fenced.slots.contains(slot),
        }
    }

    /// Whether a command's keys are all in slots that are served. One without keys is served wherever it comes.
    pub(crate) fn admits(&self, spec: &Spec, arguments: Arguments<'_>) -> bool {
        let Self::Slots(fenced) = self else { return true };
        // Without places the arguments make no sense, and the command fails by itself.
        let Some(places) = spec.keys(arguments) else { return true };
        places.filter_map(|place| arguments.get(place)).all(|key| fenced.slots.contains(Slot::of_key(key)))
    }

    /// Moves to another set of slots, unless the present one is as new.
    pub(crate) fn change(&mut self, next: FencedSlots) {
        match self {
            Self::Slots(fenced) if fenced.version < next.version => **fenced = next,
            Self::Slots(_) | Self::All => (),
        }
    }

    /// The topology version of the present set; `None` where there is no fence.
    pub(crate) fn version(&self) -> Option<u64> {
        match self {
            Self::All => None,
            Self::Slots(fenced) => Some(fenced.version),
        }
    }
}

/// The words of an item that sets the key of the hash tables.
pub(crate) fn hash_key_words(key: [u64; 2]) -> Vec<String> {
    vec!["KEY".to_owned(), key[0].to_string(), key[1].to_string()]
}

/// Applies one item of an entry of this kind; false if it is none that this version knows.
pub(crate) fn apply(data: &mut Data, words: Arguments<'_>) -> bool {
    if words.name() != b"KEY" {
        return FencedSlots::parse(words).map(|next| data.fence.change(next)).is_some();
    }
    let number = |place| std::str::from_utf8(words.get(place)?).ok()?.parse().ok();
    let (Some(first), Some(second)) = (number(1), number(2)) else { return false };
    if data.keyspace.settings().hash_key == [0; 2] && data.keyspace.revision() == 0 {
        let (mut settings, clock_ms) = (*data.keyspace.settings(), data.keyspace.clock_ms());
        let accesses = data.keyspace.accesses();
        settings.hash_key = [first, second];
        data.keyspace = Keyspace::new(settings);
        data.keyspace.set_accesses(accesses);
        data.keyspace.remove_due(clock_ms, 0);
    }
    true
}

impl FencedSlots {
    /// The words of an entry's item.
    pub(crate) fn to_words(&self) -> Vec<String> {
        let ranges = self.slots.ranges().map(|range| format!("{}-{}", range.first().number(), range.last().number()));
        ["FENCE".to_owned(), self.version.to_string()].into_iter().chain(ranges).collect()
    }

    /// Reads what [`Self::to_words`] wrote.
    pub(crate) fn parse(words: Arguments<'_>) -> Option<Self> {
        let text = |word| std::str::from_utf8(word).ok();
        let version = text(words.get(1)?)?.parse().ok()?;
        let mut slots = SlotSet::new();
        for word in words.iter().skip(2) {
            let (first, last) = text(word)?.split_once('-')?;
            let number = |text: &str| text.parse().ok().and_then(Slot::new);
            slots.insert_range(SlotRange::new(number(first)?, number(last)?)?);
        }
        (words.name() == b"FENCE").then_some(Self { version, slots })
    }
}

#[cfg(test)]
mod tests {
    use resp::ArgumentRanges;

    use super::*;

    fn fenced(version: u64, numbers: &[u16]) -> FencedSlots {
        let mut slots = SlotSet::new();
        numbers.iter().for_each(|&number| assert!(slots.insert(Slot::new(number).unwrap())));
        FencedSlots { version, slots }
    }

    #[test]
    fn sets_come_back_as_they_were() {
        for set in [fenced(3, &[0, 1, 2, 9, 16383]), fenced(u64::MAX, &[])] {
            let (mut raw, words, mut ranges) = (Vec::new(), set.to_words(), ArgumentRanges::default());
            resp::write_command(&mut raw, words.iter().map(String::as_bytes));
            assert_eq!(FencedSlots::parse(resp::parse_stored(&raw, &mut ranges).unwrap()), Some(set));
        }
    }

    #[test]
    fn a_closed_slot_admits_nothing_and_an_old_set_opens_nothing() {
        let mut fence = Fence::closed();
        let raw = b"*2\r\n$3\r\nGET\r\n$3\r\nfoo\r\n";
        let mut ranges = ArgumentRanges::default();
        let arguments = resp::parse_stored(raw, &mut ranges).unwrap();
        let spec = commands::resolve(arguments).unwrap();
        assert!(!fence.admits(spec, arguments));
        let foo = Slot::of_key(b"foo").number();
        fence.change(fenced(4, &[foo]));
        assert!(fence.admits(spec, arguments));
        fence.change(fenced(6, &[]));
        fence.change(fenced(5, &[foo]));
        assert!(!fence.admits(spec, arguments));
    }
}
