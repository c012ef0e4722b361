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
use crate::keyspace::Keyspace;
use crate::part::Placed;
use crate::random::Random;

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
    /// The keys from a cursor on that are wanted: of about `count`, few more where several share a place.
    pub fn scan<'a>(
        &'a self,
        context: &Context,
        cursor: u64,
        count: usize,
        is_wanted: impl Fn(ScannedKey<'a>) -> bool,
    ) -> ScanPage<'a> {
        let mut page = ScanPage { cursor: SCAN_DONE, keys: Vec::new() };
        let Some(database) = &self.databases[context.database] else { return page };
        let hash_key = self.settings().hash_key;
        let Some(slot) = scan_slot(cursor) else { return page };
        let (mut seen, mut last) = (0, None);
        for Placed { slot, hash, record } in database.walk(hash_key, slot, cursor << HASH_DROPPED_BITS) {
            let this = u64::from(slot.number()) << HASH_BITS | hash >> HASH_DROPPED_BITS;
            if seen >= count && last != Some(this) {
                page.cursor = this;
                return page;
            }
            last = Some(this);
            seen += 1;
            let key = ScannedKey { name: record.key, value_type: record.value_type() };
            if is_wanted(key) && !self.is_hidden(context, &record) {
                page.keys.push(key);
            }
        }
        page
    }

    /// Every key of the database, in the order of the keyspace.
    pub fn keys<'a>(&'a self, context: &'a Context) -> impl Iterator<Item = &'a [u8]> {
        let hash_key = self.settings().hash_key;
        let databases = self.databases[context.database].iter();
        let keys = databases.flat_map(move |database| database.walk(hash_key, Slot::FIRST, 0)).map(|key| key.record);
        keys.filter(|record| !context.is_due(record.deadline_ms)).map(|record| record.key)
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
            let record = database.span(slot)?.key_at_rank(self.settings().hash_key, slot, rank)?;
            if !self.is_hidden(context, &record) {
                return Some(record.key);
            }
        }
        None
    }
}
