//! Keys by slot, for who asks about slots: COUNTKEYSINSLOT, GETKEYSINSLOT, and whether a slot that a shard gave up is empty.

use slot::{Slot, SlotSet};

use crate::context::Context;
use crate::keyspace::Keyspace;

impl Keyspace {
    /// The keys of a slot of the context's database, those that are due among them.
    pub fn slot_key_count(&self, context: &Context, slot: Slot) -> usize {
        let database = self.databases[context.database].as_ref();
        database.and_then(|database| database.slot(slot)).map_or(0, |table| table.len())
    }

    /// The keys of a slot of the context's database, in their order.
    pub fn slot_keys<'a>(&'a self, context: &'a Context, slot: Slot) -> impl Iterator<Item = &'a [u8]> {
        let hash_key = self.settings().hash_key;
        let table = self.databases[context.database].as_ref().and_then(|database| database.slot(slot));
        let parts = table.into_iter().flat_map(|table| table.parts());
        let keys = parts.flat_map(move |part| part.sorted_from(hash_key, 0));
        keys.filter(|(_, key_box)| !context.is_due(key_box.deadline_ms())).map(|(_, key_box)| key_box.key())
    }

    /// Those of the slots that hold keys, in any database.
    pub fn occupied_of(&self, slots: &SlotSet) -> SlotSet {
        let mut occupied = SlotSet::new();
        for (slot, _) in self.databases.iter().flatten().flat_map(|database| database.occupied()) {
            if slots.contains(slot) {
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
