//! What is due goes: keys, and fields of hashes, at the beginning of an entry.

use slot::Slot;

use crate::collection::CollectionValue;
use crate::database::Database;
use crate::deadlines::Deadlines;
use crate::hash::HashValue;
use crate::keyspace::{Keyspace, Place};
use crate::records::Kept;

/// The place of a key, or of several with the same hash, and the deadline that comes next there.
type Due = (u64, Place);

impl Keyspace {
    /// Begins an entry: sets the log clock, never back, and removes up to `count_max` keys and fields that are due: keys first, by (deadline,
    /// database, slot, hash, key); then fields, by the same and the field. Returns how many were removed. The command that follows must
    /// begin with [`Keyspace::begin_command`].
    pub fn remove_due(&mut self, now_ms: u64, count_max: usize) -> usize {
        self.clock_ms = self.clock_ms.max(now_ms);
        self.begin_command();
        let count_max = if self.expires_actively() { count_max } else { 0 };
        let mut count = 0;
        while count < count_max
            && let Some((deadline_ms, place)) = self.next_due(|database| &database.deadlines)
            && deadline_ms <= self.clock_ms
        {
            let key = self.first_key(place, |_, record| record.deadline_ms == Some(deadline_ms));
            self.expire(place, &key);
            count += 1;
        }
        while count < count_max
            && let Some((deadline_ms, place)) = self.next_due(|database| &database.field_deadlines)
            && deadline_ms <= self.clock_ms
        {
            count += self.expire_fields(place, deadline_ms, count_max - count);
        }
        count
    }

    /// Removes up to so many keys of a database that are due, by (deadline, slot, hash, key).
    pub(crate) fn remove_due_keys_of(&mut self, database: usize, count_max: usize) {
        for _ in 0..count_max {
            let first = self.databases[database].as_ref().and_then(|found| found.deadlines.first());
            let Some((deadline_ms, slot, hash)) = first.filter(|first| first.0 <= self.clock_ms) else { return };
            let place = Place { database, slot: Slot::new(slot).expect("deadlines list slots of keys"), hash };
            let key = self.first_key(place, |_, record| record.deadline_ms == Some(deadline_ms));
            self.expire(place, &key);
        }
    }

    /// The next deadline of any key or field, in ms since 1970; `None` as well if nothing is to be removed.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        if !self.expires_actively() {
            return None;
        }
        let key = self.next_due(|database| &database.deadlines);
        let field = self.next_due(|database| &database.field_deadlines);
        [key, field].into_iter().flatten().map(|due| due.0).min()
    }

    fn next_due(&self, deadlines: impl Fn(&Database) -> &Deadlines) -> Option<Due> {
        let databases = self.databases.iter().enumerate();
        let firsts = databases.filter_map(|(database, found)| {
            let (deadline_ms, slot, hash) = deadlines(found.as_ref()?).first()?;
            let slot = Slot::new(slot).expect("deadlines list slots of keys");
            Some((deadline_ms, Place { database, slot, hash }))
        });
        firsts.min_by_key(|due| (due.0, due.1.database))
    }

    /// The first key at a place to which this applies.
    fn first_key(&self, place: Place, applies: impl Fn(&Self, Kept<'_>) -> bool) -> Vec<u8> {
        let part = self.part(place).expect("a listed deadline belongs to a key");
        let due =
            part.with_hash(self.settings().hash_key, place.slot, place.hash).filter(|record| applies(self, *record));
        due.map(|record| record.key).min().expect("a listed deadline belongs to a key").to_vec()
    }

    /// Removes the fields with this deadline, at most so many, of the first hash at a place that has any. Returns how many.
    fn expire_fields(&mut self, place: Place, deadline_ms: u64, count_max: usize) -> usize {
        let key = self.first_key(place, |keyspace, record| {
            let part = keyspace.part(place).expect("the key is there");
            record.place().is_some_and(|at| part.value(at).next_deadline_ms() == Some(deadline_ms))
        });
        let mut hash = self.edit_at::<HashValue>(place, &key).expect("only hashes have fields that expire");
        let mut count = 0;
        while count < count_max
            && let Some(due) = hash.next_due().filter(|due| due.deadline_ms == Some(deadline_ms))
        {
            let field = due.field.to_vec();
            hash.remove(&field);
            count += 1;
        }
        debug_assert!(hash.next_deadline_ms() > Some(deadline_ms) || count == count_max || hash.expiring_count() == 0);
        hash.note_expired_fields(count);
        count
    }
}
