//! The last deletions, so that WATCH can tell "was never there" from "came and went".

use std::collections::VecDeque;

/// How many deletions are remembered. Older ones are taken for a deletion of whatever is asked about.
pub(crate) const DELETIONS_MAX: usize = 4096;

/// What a deletion removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The key with this slot and hash in this database.
    Key {
        /// The database.
        database: usize,
        /// The number of the key's slot.
        slot: u16,
        /// The key's hash.
        hash: u64,
    },
    /// Every key of this database (FLUSHDB, SWAPDB).
    Database(usize),
}

/// A ring of deletions with the revision of each, lowest first. Part of the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletions {
    ring: VecDeque<(u64, Deleted)>,
    /// The revision of the youngest deletion that was forgotten; none in the ring is older.
    forgotten: u64,
}

impl Deletions {
    /// Takes note of a deletion, or of the last change before one that nobody saw: the revisions need not ascend.
    pub(crate) fn push(&mut self, revision: u64, deleted: Deleted) {
        if revision <= self.forgotten {
            return;
        }
        let mut place = self.ring.partition_point(|(at, _)| *at <= revision);
        if self.ring.len() == DELETIONS_MAX {
            if place == 0 {
                self.forgotten = revision;
                return;
            }
            self.forget_oldest();
            place -= 1;
        }
        self.ring.insert(place, (revision, deleted));
    }

    fn forget_oldest(&mut self) {
        if let Some((forgotten, _)) = self.ring.pop_front() {
            self.forgotten = forgotten;
        }
    }

    /// Whether the key may have been deleted after this revision.
    pub(crate) fn any_since(&self, revision: u64, database: usize, slot: u16, hash: u64) -> bool {
        let wanted = [Deleted::Key { database, slot, hash }, Deleted::Database(database)];
        self.forgotten > revision
            || self.ring.iter().rev().take_while(|(at, _)| *at > revision).any(|(_, deleted)| wanted.contains(deleted))
    }

    /// What is remembered, oldest first, and the youngest forgotten revision: for a snapshot.
    pub fn parts(&self) -> (u64, impl ExactSizeIterator<Item = (u64, Deleted)> + '_) {
        (self.forgotten, self.ring.iter().copied())
    }

    /// Puts back what [`Deletions::parts`] gave.
    pub fn from_parts(forgotten: u64, ring: impl IntoIterator<Item = (u64, Deleted)>) -> Self {
        let mut this = Self { ring: ring.into_iter().collect(), forgotten };
        while this.ring.len() > DELETIONS_MAX {
            this.forget_oldest();
        }
        this
    }
}
