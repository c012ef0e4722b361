//! A log store in memory, for tests and for `sim`: what a disk does, without one.
//!
//! Two states are kept per group: what the store *sees*, changed at once by every submitted change, and what is
//! *durable*. Normally a change is durable before `submit` returns. While the disk is [held](MemoryLogStore::hold),
//! changes queue up; [`MemoryLogStore::sync`] makes the oldest of them durable and answers them;
//! [`MemoryLogStore::crash`] drops what was not, as a loss of power does, and gives the store of the next start.
//! Snapshots are durable when they are finished. Appends of a group with another [`Durability`] than the default are answered when
//! they are submitted, unless something before them still waits; a crash then leaves the group's log unsure.
//!
//! It asserts what a store may expect of its caller: appends follow each other without gaps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::ids::{GroupId, LogId};
use crate::log_store::{
    Done, Durability, GroupLog, LogChange, LogStore, SnapshotMeta, SnapshotReader, SnapshotWriter, StoredEntry,
};

/// A log store in memory. Clones share it.
#[derive(Clone)]
pub struct MemoryLogStore {
    disk: Arc<Mutex<Disk>>,
    /// Which start of the node this handle belongs to.
    life: u64,
}

#[derive(Default)]
struct Disk {
    life: u64,
    seen: BTreeMap<GroupId, Contents>,
    durable: BTreeMap<GroupId, Contents>,
    /// What is not durable; without its answer where that was given.
    pending: VecDeque<(GroupId, LogChange, Option<Done>)>,
    /// The groups whose appends are answered before they are durable.
    relaxed: BTreeSet<GroupId>,
    /// The groups of which a crash took something that was answered.
    unsure: BTreeSet<GroupId>,
    held: bool,
    failing: bool,
    snapshots: BTreeMap<GroupId, (SnapshotMeta, Arc<Vec<Bytes>>)>,
}

#[derive(Clone, Default)]
struct Contents {
    entries: BTreeMap<u64, StoredEntry>,
    vote: Option<Bytes>,
    committed: Option<LogId>,
    purged: Option<LogId>,
}

impl Contents {
    fn last(&self) -> Option<LogId> {
        self.entries.values().next_back().map(|entry| entry.id).or(self.purged)
    }

    fn change(&mut self, change: LogChange) {
        match change {
            LogChange::Append(entries) => {
                for entry in entries {
                    let next = self.last().map(|last| last.index + 1);
                    assert!(next.is_none_or(|next| next == entry.id.index), "an append leaves a gap");
                    self.entries.insert(entry.id.index, entry);
                }
            }
            LogChange::Vote(vote) => self.vote = Some(vote),
            LogChange::Committed(id) => self.committed = Some(id),
            LogChange::Truncate { keep: Some(keep) } => drop(self.entries.split_off(&(keep + 1))),
            LogChange::Truncate { keep: None } => self.entries.clear(),
            LogChange::Purge(upto) => {
                self.entries = self.entries.split_off(&(upto.index + 1));
                self.purged = self.purged.max(Some(upto));
            }
            LogChange::Forget => *self = Self::default(),
            LogChange::Sync | LogChange::Vouch | LogChange::Doubt => (),
        }
    }
}

impl Disk {
    fn make_durable(&mut self, group: GroupId, change: LogChange) {
        match change {
            LogChange::Vouch | LogChange::Forget => drop(self.unsure.remove(&group)),
            LogChange::Doubt => drop(self.unsure.insert(group)),
            _ => (),
        }
        Self::apply(&mut self.durable, group, change);
    }

    fn apply(states: &mut BTreeMap<GroupId, Contents>, group: GroupId, change: LogChange) {
        if change == LogChange::Forget {
            states.remove(&group);
        } else {
            states.entry(group).or_default().change(change);
        }
    }
}

impl Default for MemoryLogStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryLogStore {
    /// An empty one, not held.
    pub fn new() -> Self {
        Self { disk: Arc::default(), life: 0 }
    }

    /// From now on changes are not durable until [`MemoryLogStore::sync`].
    pub fn hold(&self) {
        self.disk.lock().held = true;
    }

    /// Syncs everything; from now on changes are durable at once again.
    pub fn release(&self) {
        self.sync(usize::MAX);
        self.disk.lock().held = false;
    }

    /// How many changes are not durable.
    pub fn pending(&self) -> usize {
        self.disk.lock().pending.len()
    }

    /// The entries in the oldest `count` of them.
    pub fn pending_entries(&self, count: usize) -> Vec<Bytes> {
        let disk = self.disk.lock();
        let entries = disk.pending.iter().take(count).filter_map(|(_, change, _)| match change {
            LogChange::Append(entries) => Some(entries),
            _ => None,
        });
        entries.flatten().map(|entry| entry.bytes.clone()).collect()
    }

    /// Whether somebody waits for one of them.
    pub fn is_awaited(&self) -> bool {
        self.disk.lock().pending.iter().any(|(_, _, done)| done.is_some())
    }

    /// Makes the oldest `count` changes durable and answers them, in order.
    pub fn sync(&self, count: usize) {
        for _ in 0..count {
            let Some(done) = self.sync_one() else { return };
            // Not under the lock: what is called may submit again.
            done.into_iter().for_each(|done| done(Ok(())));
        }
    }

    fn sync_one(&self) -> Option<Option<Done>> {
        let mut disk = self.disk.lock();
        let (group, change, done) = disk.pending.pop_front()?;
        disk.make_durable(group, change);
        Some(done)
    }

    /// From now on every change fails, as after a failed fsync; so do those that are not durable yet.
    pub fn fail(&self) {
        let pending = {
            let mut disk = self.disk.lock();
            disk.failing = true;
            std::mem::take(&mut disk.pending)
        };
        pending.into_iter().filter_map(|(_, _, done)| done).for_each(|done| done(Err(failed())));
    }

    /// Cuts the power: what is not durable is lost unanswered, handles of before do nothing any more, and the
    /// returned one is that of the next start. The disk is neither held nor failing then.
    pub fn crash(&self) -> Self {
        let (lost, life) = {
            let mut disk = self.disk.lock();
            disk.life += 1;
            // As a disk that cannot tell what was lost: whatever was relaxed may have been.
            let mut relaxed = std::mem::take(&mut disk.relaxed);
            if std::mem::take(&mut disk.held) {
                disk.unsure.append(&mut relaxed);
            }
            disk.failing = false;
            disk.seen = disk.durable.clone();
            (std::mem::take(&mut disk.pending), disk.life)
        };
        drop(lost);
        Self { disk: self.disk.clone(), life }
    }
}

fn failed() -> io::Error {
    io::Error::other("the disk failed")
}

fn powered_off() -> io::Error {
    io::Error::other("the power was cut")
}

impl LogStore for MemoryLogStore {
    type SnapshotWriter = MemorySnapshotWriter;
    type SnapshotReader = MemorySnapshotReader;

    fn load(&self, group: GroupId) -> io::Result<GroupLog> {
        let disk = self.disk.lock();
        let Some(state) = disk.seen.get(&group) else { return Ok(GroupLog::default()) };
        Ok(GroupLog {
            vote: state.vote.clone(),
            committed: state.committed,
            purged: state.purged,
            last: state.last(),
            unsure: disk.unsure.contains(&group),
        })
    }

    fn durability(&self, group: GroupId) -> Durability {
        if self.disk.lock().relaxed.contains(&group) { Durability::EverySecond } else { Durability::Always }
    }

    fn set_durability(&self, group: GroupId, durability: Durability) {
        let mut disk = self.disk.lock();
        if disk.life != self.life {
            return;
        }
        if durability == Durability::Always {
            disk.relaxed.remove(&group);
        } else {
            disk.relaxed.insert(group);
        }
    }

    fn synced(&self, group: GroupId) -> Option<LogId> {
        self.disk.lock().durable.get(&group).and_then(Contents::last)
    }

    fn submit(&self, group: GroupId, change: LogChange, done: Done) {
        let mut disk = self.disk.lock();
        if disk.life != self.life {
            return;
        }
        if disk.failing {
            drop(disk);
            return done(Err(failed()));
        }
        Disk::apply(&mut disk.seen, group, change.clone());
        if change == LogChange::Forget {
            disk.snapshots.remove(&group);
        }
        if disk.held {
            let relaxed = disk.relaxed.contains(&group) && matches!(change, LogChange::Append(_));
            let answers_now = relaxed && disk.pending.iter().all(|(_, _, done)| done.is_none());
            let (later, now) = if answers_now { (None, Some(done)) } else { (Some(done), None) };
            disk.pending.push_back((group, change, later));
            drop(disk);
            now.into_iter().for_each(|done| done(Ok(())));
            return;
        }
        disk.make_durable(group, change);
        drop(disk);
        done(Ok(()));
    }

    async fn read(&self, group: GroupId, from: u64, to: u64, max_bytes: usize) -> io::Result<Vec<StoredEntry>> {
        let disk = self.disk.lock();
        let Some(state) = disk.seen.get(&group) else { return Ok(Vec::new()) };
        let mut entries = Vec::new();
        let mut bytes = 0;
        for entry in state.entries.range(from..to.max(from)).map(|(_, entry)| entry) {
            bytes += entry.bytes.len();
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        Ok(entries)
    }

    async fn create_snapshot(&self, group: GroupId) -> io::Result<MemorySnapshotWriter> {
        Ok(MemorySnapshotWriter { store: self.clone(), group, chunks: Vec::new() })
    }

    fn newest_snapshot(&self, group: GroupId) -> io::Result<Option<(SnapshotMeta, MemorySnapshotReader)>> {
        let disk = self.disk.lock();
        let newest = disk.snapshots.get(&group);
        Ok(newest.map(|(meta, chunks)| (meta.clone(), MemorySnapshotReader { chunks: chunks.clone(), next: 0 })))
    }
}

/// Collects a snapshot.
pub struct MemorySnapshotWriter {
    store: MemoryLogStore,
    group: GroupId,
    chunks: Vec<Bytes>,
}

/// Hands a snapshot out again.
pub struct MemorySnapshotReader {
    chunks: Arc<Vec<Bytes>>,
    next: usize,
}

impl SnapshotWriter for MemorySnapshotWriter {
    async fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        self.chunks.push(chunk);
        Ok(())
    }

    async fn finish(self, meta: SnapshotMeta) -> io::Result<()> {
        let length: u64 = self.chunks.iter().map(|chunk| chunk.len() as u64).sum();
        if length != meta.length_bytes {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the snapshot's length is not what was written"));
        }
        let mut disk = self.store.disk.lock();
        if disk.life != self.store.life {
            return Err(powered_off());
        }
        // The newest may be another one, that was received while this one was built.
        if disk.snapshots.get(&self.group).is_none_or(|(newest, _)| newest.last <= meta.last) {
            disk.snapshots.insert(self.group, (meta, Arc::new(self.chunks)));
        }
        Ok(())
    }
}

impl SnapshotReader for MemorySnapshotReader {
    async fn read(&mut self) -> io::Result<Option<Bytes>> {
        let chunk = self.chunks.get(self.next).cloned();
        self.next += 1;
        Ok(chunk)
    }
}
