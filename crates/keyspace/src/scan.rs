//! Walking over keys: SCAN, KEYS, RANDOMKEY.
//!
//! ```text
//! cursor: [ slot 14 bits | upper 50 bits of a hash ]        0 begins, and 0 is the end
//! ```
//!
//! A cursor names the place where the walk goes on: every key at or behind it, in the order (slot, hash), is still to come. Keys with the same
//! upper 50 bits come in one page. So a key that is there during the whole walk is returned, once, however many others
//! come and go, and a cursor stays good on every replica and across restarts.

use slot::Slot;

use crate::collection::ValueType;
use crate::context::Context;
use crate::key_box::KeyBox;
use crate::keyspace::Keyspace;
use crate::random::Random;
use crate::slot_table::SlotTable;

/// The cursor that begins a walk, and the one that says that it is over.
pub const SCAN_DONE: u64 = 0;

const HASH_BITS: u32 = 50;
const HASH_DROPPED_BITS: u32 = u64::BITS - HASH_BITS;

/// How often RANDOMKEY draws again when it drew a due key (Redis tries as often).
const DRAWS_MAX: usize = 100;

/// The cursor from which a walk comes by the keys of this slot and those behind it; for the first slot it is the one that begins a walk.
pub const fn scan_from(slot: Slot) -> u64 {
    (slot.number() as u64) << HASH_BITS
}

/// The slot that a cursor stands in; `None` behind the last one.
pub fn scan_slot(cursor: u64) -> Option<Slot> {
    u16::try_from(cursor >> HASH_BITS).ok().and_then(Slot::new)
}

/// One step of SCAN.
pub struct ScanPage<'a> {
    /// Where the next step begins; [`SCAN_DONE`]: nowhere.
    pub cursor: u64,
    /// The keys of this step, those that are due left out.
    pub keys: Vec<ScannedKey<'a>>,
}

/// A key that SCAN came by.
#[derive(Clone, Copy, Debug)]
pub struct ScannedKey<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// The type of its value.
    pub value_type: ValueType,
}

impl Keyspace {
    /// The keys from a cursor on: about `count` of them, few more where several share a place.
    pub fn scan(&self, context: &Context, cursor: u64, count: usize) -> ScanPage<'_> {
        let mut page = ScanPage { cursor: SCAN_DONE, keys: Vec::new() };
        let Some(database) = &self.databases[context.database] else { return page };
        let hash_key = self.settings().hash_key;
        let mut slot_from = u16::try_from(cursor >> HASH_BITS).unwrap_or(u16::MAX);
        let mut hash_from = cursor << HASH_DROPPED_BITS;
        let mut seen = 0;
        while let Some((slot, table)) = database.occupied_from(slot_from) {
            if slot.number() != slot_from {
                hash_from = 0;
            }
            for part in table.parts_from(hash_from) {
                let mut prefix = None;
                for (hash, key_box) in part.sorted_from(hash_key, hash_from) {
                    let this = hash >> HASH_DROPPED_BITS;
                    if seen >= count && prefix != Some(this) {
                        page.cursor = u64::from(slot.number()) << HASH_BITS | this;
                        return page;
                    }
                    prefix = Some(this);
                    seen += 1;
                    if !context.is_due(key_box.deadline_ms()) {
                        page.keys.push(ScannedKey { name: key_box.key(), value_type: key_box.value_type() });
                    }
                }
            }
            (slot_from, hash_from) = (slot.number() + 1, 0);
        }
        page
    }

    /// Every key of the database, in the order of the keyspace.
    pub fn keys<'a>(&'a self, context: &'a Context) -> impl Iterator<Item = &'a [u8]> {
        let hash_key = self.settings().hash_key;
        let tables = self.databases[context.database].iter().flat_map(|database| database.occupied());
        let keys = tables.flat_map(|(_, table)| table.parts()).flat_map(move |part| part.sorted_from(hash_key, 0));
        keys.filter(|(_, key_box)| !context.is_due(key_box.deadline_ms())).map(|(_, key_box)| key_box.key())
    }

    /// Some key of the database, each equally likely, by the context's seed. `None`: none was found that is not due.
    pub fn random_key(&self, context: &Context) -> Option<&[u8]> {
        let database = self.databases[context.database].as_ref()?;
        let mut random = Random::new(context.seed);
        for _ in 0..DRAWS_MAX {
            let total = database.counts.total();
            if total == 0 {
                return None;
            }
            let (slot, rank) = database.counts.locate(random.below(total));
            let slot = u16::try_from(slot).ok().and_then(Slot::new).expect("counts are by slot");
            let key_box = self.key_at_rank(database.slot(slot)?, rank)?;
            if !context.is_due(key_box.deadline_ms()) {
                return Some(key_box.key());
            }
        }
        None
    }

    /// The key with this rank in (hash, key) order.
    fn key_at_rank<'a>(&self, table: &'a SlotTable, mut rank: usize) -> Option<&'a KeyBox> {
        for part in table.parts() {
            if rank < part.len() {
                let mut hashed: Vec<_> = part.hashed(self.settings().hash_key).collect();
                let by_order = |left: &(u64, &KeyBox), right: &(u64, &KeyBox)| {
                    (left.0, left.1.key()).cmp(&(right.0, right.1.key()))
                };
                return Some(hashed.select_nth_unstable_by(rank, by_order).1.1);
            }
            rank -= part.len();
        }
        None
    }
}
