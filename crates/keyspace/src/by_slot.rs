//! Keys by slot, for who asks about slots: COUNTKEYSINSLOT, GETKEYSINSLOT, and whether a slot that a shard gave up is empty.

use slot::{Slot, SlotSet};

use crate::context::Context;
use crate::keyspace::Keyspace;

impl Keyspace {
    /// The keys of a slot of the context's database, those that are due among them.
    pub fn slot_key_count(&self, context: &Context, slot: Slot) -> usize {
        self.databases[context.database].as_ref().map_or(0, |database| database.counts.at(slot.index()))
    }

    /// The keys of a slot of the context's database, in their order.
    pub fn slot_keys<'a>(&'a self, context: &'a Context, slot: Slot) -> impl Iterator<Item = &'a [u8]> {
        let hash_key = self.settings().hash_key;
        let keys = self.databases[context.database].iter().flat_map(move |database| database.walk(hash_key, slot, 0));
        let of_slot = keys.take_while(move |key| key.slot == slot).map(|key| key.record);
        of_slot.filter(|record| !context.is_due(record.deadline_ms)).map(|record| record.key)
    }

    /// Those of the slots that hold keys, in any database.
    pub fn occupied_of(&self, slots: &SlotSet) -> SlotSet {
        let mut occupied = SlotSet::new();
        for database in self.databases.iter().flatten() {
            for slot in
                slots.iter().filter(|&slot| database.span(slot).is_some() && database.counts.at(slot.index()) > 0)
            {
                occupied.insert(slot);
            }
        }
        occupied
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn keys_are_found_by_their_slot() {
        let mut keyspace = Keyspace::new(Settings::new([1, 2]));
        let context = Context::of_entry(0, 5, 0);
        for key in [b"{a}1", b"{a}2", b"{b}3"] {
            keyspace.begin_command();
            keyspace.append(&context, key, b"v").unwrap();
        }
        let slot = Slot::of_key(b"a");
        assert_eq!(keyspace.slot_key_count(&context, slot), 2);
        let mut keys: Vec<_> = keyspace.slot_keys(&context, slot).collect();
        keys.sort_unstable();
        assert_eq!(keys, [b"{a}1", b"{a}2"]);
        let mut asked = SlotSet::new();
        asked.insert(slot);
        asked.insert(Slot::of_key(b"nothing"));
        assert_eq!(keyspace.occupied_of(&asked).iter().collect::<Vec<_>>(), [slot]);
    }
}
