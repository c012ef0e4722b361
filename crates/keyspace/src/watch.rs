//! What WATCH remembers of a key, and the changes of whole databases that it must not overlook.
//!
//! A key that is there has the revision of its last change. One that is absent has none: then the deletions since tell "was never there"
//! from "came and went". A key that is due counts as absent, whether it was removed or not, and its removal is no change: so
//! what expires is noted as deleted at its own last revision ([`Keyspace::expire`]).

use crate::context::Context;
use crate::deletions::Deleted;
use crate::keyspace::{Found, Keyspace, Place};

/// As many due keys are let go of before a database is emptied or exchanged, so that it may turn out to be empty.
const DUE_KEYS_MAX: usize = 1000;

/// What WATCH remembers of a key: see [`Keyspace::watch_mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchMark {
    /// Whether the key was there.
    pub present: bool,
    /// The key's revision if it was there, else the keyspace's.
    pub revision: u64,
}

impl Keyspace {
    /// What WATCH remembers: the key's revision, or that it is absent at this revision of the keyspace. What is due by either clock of the
    /// context is absent.
    pub fn watch_mark(&self, context: &Context, key: &[u8]) -> WatchMark {
        match self.live(context, self.place(context.database, key), key) {
            Some(found) => WatchMark { present: true, revision: found.record.revision },
            None => WatchMark { present: false, revision: self.revision() },
        }
    }

    /// Whether a key is surely what it was when [`Keyspace::watch_mark`] looked.
    pub fn is_unchanged(&self, context: &Context, key: &[u8], mark: WatchMark) -> bool {
        let place = self.place(context.database, key);
        if let Some(found) = self.live(context, place, key) {
            return mark.present && found.record.revision == mark.revision;
        }
        let Place { database, slot, hash } = place;
        // What is due and not removed may have come after the mark.
        let came = self.find(place, key).is_some_and(|found| found.record.revision > mark.revision);
        !mark.present && !came && !self.deletions.any_since(mark.revision, database, slot.number(), hash)
    }

    /// A key that is due by neither clock.
    fn live(&self, context: &Context, place: Place, key: &[u8]) -> Option<Found<'_>> {
        self.find(place, key).filter(|found| found.record.deadline_ms.is_none_or(|at_ms| at_ms > context.wall_ms))
    }

    /// Empties a database; says whether it held a key. The keys are freed by whoever takes the effects.
    pub fn flush(&mut self, database: usize) -> bool {
        let held = self.key_count(database) > 0;
        self.remove_due_keys_of(database, DUE_KEYS_MAX);
        if self.key_count(database) > 0 {
            let revision = self.draw_revision();
            self.deletions.push(revision, Deleted::Database(database));
        }
        self.effects.flushed.extend(self.databases[database].take());
        held
    }

    /// Exchanges the keys of two databases.
    pub fn swap(&mut self, left: usize, right: usize) {
        if left == right {
            return;
        }
        for database in [left, right] {
            self.remove_due_keys_of(database, DUE_KEYS_MAX);
        }
        let revision = self.draw_revision();
        if self.key_count(left) + self.key_count(right) > 0 {
            self.deletions.push(revision, Deleted::Database(left));
            self.deletions.push(revision, Deleted::Database(right));
        }
        self.effects.swapped = true;
        self.databases.swap(left, right);
    }
}
