//! What the log thread knows of one group: where its log begins and ends, and which keys hold it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::Range;

use bytes::Bytes;
use raft::{GroupId, GroupLog, LogId, StoredEntry};

use crate::journal::Record;
use crate::keys::{self, Kind};
use crate::marks::{Mark, VOTE_BYTES_MAX};

/// One group's part of the tree, after all changes that were taken from the queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupState {
    vote: Option<Bytes>,
    vote_sequence: u64,
    committed: Option<LogId>,
    /// The commit mark is newer than the tree's: it rides with the next batch.
    committed_is_stale: bool,
    purged: Option<LogId>,
    pub(crate) snapshot: Option<LogId>,
    /// The last entry, or the last purged one.
    last: Option<LogId>,
    /// For `LogStore::synced`: what `last` was when this process synced it.
    pub(crate) synced: Option<LogId>,
    /// The first index that is not purged.
    first: u64,
    /// Runs of entries of one term: the first index of each run.
    terms: VecDeque<(u64, u64)>,
    /// The entries that take more than one value, with their number of values.
    parts: BTreeMap<u64, u32>,
    /// For [`GroupLog::unsure`].
    pub(crate) is_unsure: bool,
    /// Purged entries whose keys are still there, oldest first.
    leftovers: VecDeque<Range<u64>>,
}

/// Keys to write and to remove, atomically. Later calls override earlier ones for the same key.
pub(crate) struct Plan {
    record: Record,
    scratch: Vec<u8>,
}

impl Plan {
    /// An empty plan.
    pub(crate) fn new() -> Self {
        Self { record: Record::new(), scratch: Vec::new() }
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.record.is_empty()
    }

    /// Takes what is planned and leaves an empty plan.
    pub(crate) fn take(&mut self) -> Record {
        std::mem::replace(&mut self.record, Record::new())
    }

    /// Sets a key.
    pub(crate) fn insert(&mut self, key: &[u8], value: &[u8]) {
        self.record.insert(key, value);
    }

    /// Removes a key.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.record.remove(key);
    }

    fn insert_entry(&mut self, group: GroupId, entry: &StoredEntry) -> u32 {
        let parts = keys::part_count(entry.bytes.len());
        for part in 0..parts {
            let key = keys::entry_key(group, entry.id.index, part);
            keys::encode_part(&key, entry.id, &entry.bytes, part, &mut self.scratch);
            self.record.insert(&key, &self.scratch);
        }
        parts
    }
}

/// A change that does not fit what the store holds: a mistake above the seam, which must not reach the disk.
fn misfit(group: GroupId, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("group {group}: {what}"))
}

impl GroupState {
    /// For `LogStore::load`.
    pub(crate) fn log(&self) -> GroupLog {
        GroupLog {
            vote: self.vote.clone(),
            committed: self.committed,
            purged: self.purged,
            last: self.last,
            unsure: self.is_unsure,
        }
    }

    /// What `marks` has to say once everything that was written is durable.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            vote_sequence: self.vote_sequence,
            vote: self.vote.clone().unwrap_or_default(),
            durable: self.last,
            is_relaxed: false,
            is_unsure: self.is_unsure,
        }
    }

    /// The first index that is there or will be appended.
    fn next_index(&self) -> u64 {
        self.last.map_or(0, |last| last.index + 1)
    }

    /// The entries that can be read.
    pub(crate) fn range(&self) -> Range<u64> {
        self.first..self.next_index()
    }

    /// The term of a held entry, or of the last purged one.
    pub(crate) fn term_at(&self, index: u64) -> Option<u64> {
        if self.purged.is_some_and(|purged| purged.index == index) {
            return self.purged.map(|purged| purged.term);
        }
        if !self.range().contains(&index) {
            return None;
        }
        let after = self.terms.partition_point(|(from, _)| *from <= index);
        after.checked_sub(1).map(|run| self.terms[run].1)
    }

    /// Takes note of an entry behind the last one.
    pub(crate) fn push(&mut self, id: LogId, parts: u32) {
        if self.terms.back().is_none_or(|(_, term)| *term != id.term) {
            self.terms.push_back((id.index, id.term));
        }
        if parts > 1 {
            self.parts.insert(id.index, parts);
        }
        self.last = Some(id);
    }

    /// Adds entries behind the last one.
    pub(crate) fn append(&mut self, group: GroupId, entries: &[StoredEntry], plan: &mut Plan) -> io::Result<()> {
        for entry in entries {
            let expected = self.next_index();
            if entry.id.index != expected {
                return Err(misfit(group, &format!("entry {} was appended where {expected} follows", entry.id)));
            }
            let parts = plan.insert_entry(group, entry);
            self.push(entry.id, parts);
        }
        Ok(())
    }

    /// Replaces the vote.
    pub(crate) fn set_vote(&mut self, group: GroupId, vote: Bytes, plan: &mut Plan) -> io::Result<()> {
        if vote.len() > VOTE_BYTES_MAX {
            return Err(misfit(group, &format!("a vote of {} bytes", vote.len())));
        }
        let key = keys::group_key(Kind::Vote, group);
        self.vote_sequence += 1;
        plan.insert(&key, &keys::encode_vote(&key, self.vote_sequence, &vote));
        self.vote = Some(vote);
        Ok(())
    }

    /// Notes the commit mark; [`GroupState::write_committed`] writes it.
    pub(crate) fn set_committed(&mut self, committed: LogId) {
        self.committed_is_stale |= self.committed != Some(committed);
        self.committed = Some(committed);
    }

    /// Adds the commit mark to a batch, if the tree has an older one.
    pub(crate) fn write_committed(&mut self, group: GroupId, plan: &mut Plan) {
        if let (true, Some(committed)) = (self.committed_is_stale, self.committed) {
            let key = keys::group_key(Kind::Committed, group);
            plan.insert(&key, &keys::encode_id(&key, committed));
            self.committed_is_stale = false;
        }
    }

    /// Notes the newest complete snapshot.
    pub(crate) fn set_snapshot(&mut self, group: GroupId, last: LogId, plan: &mut Plan) {
        if self.snapshot.is_some_and(|newest| newest.index >= last.index) {
            return;
        }
        let key = keys::group_key(Kind::Snapshot, group);
        plan.insert(&key, &keys::encode_id(&key, last));
        self.snapshot = Some(last);
    }

    /// Removes the entries behind `keep`. From the end backwards does not matter: the batch is atomic.
    pub(crate) fn truncate(&mut self, group: GroupId, keep: Option<u64>, plan: &mut Plan) {
        let end = self.next_index();
        let from = keep.map_or(0, |keep| keep.saturating_add(1)).max(self.first);
        if from >= end {
            return;
        }
        self.remove_keys(group, from..end, plan);
        self.last = match from.checked_sub(1) {
            Some(index) => self.term_at(index).map(|term| LogId { term, index }).or(self.purged),
            None => None,
        };
        if self.synced > self.last {
            self.synced = self.last;
        }
        while self.terms.back().is_some_and(|(first, _)| *first >= from) {
            self.terms.pop_back();
        }
    }

    /// Hides the entries up to `id`; [`GroupState::sweep`] removes their keys.
    pub(crate) fn purge(&mut self, group: GroupId, id: LogId, plan: &mut Plan) {
        if self.purged.is_some_and(|purged| purged.index >= id.index) {
            return;
        }
        let key = keys::group_key(Kind::Purged, group);
        plan.insert(&key, &keys::encode_id(&key, id));
        self.hide(id);
    }

    /// Moves the log's begin behind `id`.
    fn hide(&mut self, id: LogId) {
        let end = self.next_index().min(id.index + 1);
        if self.first < end {
            self.leftovers.push_back(self.first..end);
        }
        self.purged = Some(id);
        self.first = id.index + 1;
        if self.last.is_none_or(|last| last.index <= id.index) {
            self.last = Some(id);
            self.terms.clear();
        }
        while self.terms.get(1).is_some_and(|(from, _)| *from <= self.first) {
            self.terms.pop_front();
        }
    }

    /// Whether keys of purged entries are left.
    pub(crate) fn has_leftovers(&self) -> bool {
        !self.leftovers.is_empty()
    }

    /// Removes about `count` keys of purged entries.
    pub(crate) fn sweep(&mut self, group: GroupId, count: usize, plan: &mut Plan) {
        let mut removed = 0;
        while removed < count {
            let Some(range) = self.leftovers.front_mut() else { return };
            let Some(index) = range.next() else {
                self.leftovers.pop_front();
                continue;
            };
            removed += self.remove_keys(group, index..index + 1, plan);
        }
    }

    fn remove_keys(&mut self, group: GroupId, indexes: Range<u64>, plan: &mut Plan) -> usize {
        let mut removed = 0;
        for index in indexes {
            let parts = self.parts.remove(&index).unwrap_or(1);
            for part in 0..parts {
                plan.remove(&keys::entry_key(group, index, part));
            }
            removed += parts as usize;
        }
        removed
    }

    /// Takes over a mark that was read from the tree.
    pub(crate) fn restore_mark(&mut self, kind: Kind, body: &[u8]) -> Option<()> {
        match kind {
            Kind::Vote => {
                let (sequence, vote) = keys::decode_vote(body)?;
                (self.vote_sequence, self.vote) = (sequence, Some(vote));
            }
            Kind::Committed => self.committed = Some(keys::decode_id(body)?),
            Kind::Snapshot => self.snapshot = Some(keys::decode_id(body)?),
            Kind::Purged => {
                let id = keys::decode_id(body)?;
                (self.purged, self.last, self.first) = (Some(id), Some(id), id.index + 1);
            }
            Kind::Entry => return None,
        }
        Some(())
    }

    /// Takes note of an entry that was read from the tree; an error says what does not fit.
    pub(crate) fn restore_entry(&mut self, id: LogId, parts: u32) -> Result<(), String> {
        if id.index < self.first {
            if parts > 1 {
                self.parts.insert(id.index, parts);
            }
            match self.leftovers.back_mut() {
                Some(range) if range.end == id.index => range.end += 1,
                _ => self.leftovers.push_back(id.index..id.index + 1),
            }
            return Ok(());
        }
        let expected = self.next_index();
        if id.index != expected {
            return Err(format!("entries {expected} to {} are not there", id.index - 1));
        }
        self.push(id, parts);
        Ok(())
    }

    /// Compares with what was durable before; an error says what is gone.
    pub(crate) fn check(&self, mark: &Mark) -> Result<(), String> {
        if self.vote_sequence < mark.vote_sequence {
            return Err(format!("vote {} was saved, it holds {}", mark.vote_sequence, self.vote_sequence));
        }
        let Some(durable) = mark.durable else { return Ok(()) };
        if self.purged.is_some_and(|purged| purged.index > durable.index) {
            return Ok(());
        }
        match self.term_at(durable.index) {
            Some(term) if term == durable.term => Ok(()),
            Some(term) => Err(format!("entry {durable} was durable, it holds one of term {term} there")),
            None => {
                let last = self.last.map_or_else(|| "nothing".to_owned(), |last| format!("up to {last}"));
                Err(format!("entries up to {durable} were durable, it holds {last}"))
            }
        }
    }
}
