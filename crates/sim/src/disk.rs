//! A host's disk: changes take their time to become durable, and a power cut drops those that are not.
//!
//! As a machine's log thread does, one sync makes everything durable that was there when it began. Snapshots take their
//! own time, beside the log.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use raft::memory::{MemoryLogStore, MemorySnapshotReader, MemorySnapshotWriter};
use raft::{
    Done, Durability, GroupId, GroupLog, LogChange, LogId, LogStore, SnapshotMeta, SnapshotWriter, StoredEntry,
};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::Notify;
use tokio::time::{self, Instant};

use crate::host::Around;
use crate::kept::{How, Kept};
use crate::trace::{Topic, Trace};

/// How long what nobody waits for stays in memory.
const SECOND: Duration = Duration::from_secs(1);

/// How fast a disk is while it is well.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How long a sync takes at most, in ms.
    pub(crate) sync_ms_max: u64,
    /// How long a piece of a snapshot takes at most, and its end, in ms.
    pub(crate) snapshot_ms_max: u64,
}

/// The disk of one host as one start of its node sees it.
#[derive(Clone)]
pub(crate) struct SimDisk {
    host: usize,
    store: MemoryLogStore,
    submitted: Arc<Notify>,
    trace: Trace,
    kept: Kept,
    /// The longest that a sync takes, in ms; the shortest is 1.
    sync_ms_max: Arc<AtomicU64>,
    /// The longest that a piece of a snapshot takes, and its end, in ms.
    snapshot_ms_max: u64,
    random: Arc<Mutex<SmallRng>>,
}

impl SimDisk {
    /// An empty disk.
    pub(crate) fn new(host: usize, seed: u64, pace: Pace, around: &Around) -> Self {
        let store = MemoryLogStore::new();
        store.hold();
        Self {
            host,
            store,
            submitted: Arc::default(),
            trace: around.trace.clone(),
            kept: around.kept.clone(),
            sync_ms_max: Arc::new(AtomicU64::new(pace.sync_ms_max)),
            snapshot_ms_max: pace.snapshot_ms_max,
            random: Arc::new(Mutex::new(SmallRng::seed_from_u64(seed))),
        }
    }

    /// How long a sync takes at most from now on.
    pub(crate) fn set_sync_ms_max(&self, sync_ms_max: u64) {
        self.sync_ms_max.store(sync_ms_max, Ordering::Relaxed);
    }

    /// Syncs what is submitted, for as long as the host has power: what nobody waits for every second.
    pub(crate) async fn run(self) {
        let mut due = None;
        loop {
            self.submitted.notified().await;
            loop {
                let count = self.store.pending();
                if count == 0 {
                    break;
                }
                if !self.store.is_awaited() {
                    let due = *due.get_or_insert_with(|| Instant::now() + SECOND);
                    if time::timeout_at(due, self.submitted.notified()).await.is_ok() {
                        continue;
                    }
                }
                due = None;
                let ms = self.random.lock().random_range(1..=self.sync_ms_max.load(Ordering::Relaxed));
                time::sleep(Duration::from_millis(ms)).await;
                self.sync(count);
                self.trace.note(Topic::Disk, self.host, "synced", &count.to_le_bytes());
            }
        }
    }

    /// Cuts the power, and returns the disk of the next start. Of what was not synced a part, in order, may have
    /// reached the disk all the same.
    pub(crate) fn cut_power(&self) -> Self {
        let pending = self.store.pending();
        let kept = self.random.lock().random_range(0..=pending);
        self.sync(kept);
        self.next(self.store.crash())
    }

    /// The process ended in order: everything is on the disk. Returns the disk of the next start.
    pub(crate) fn close(&self) -> Self {
        self.sync(usize::MAX);
        self.store.release();
        self.next(self.store.crash())
    }

    /// Makes the oldest changes durable.
    fn sync(&self, count: usize) {
        if self.kept.is_watched() {
            // BEFORE anybody hears that they are.
            let entries = self.store.pending_entries(count);
            entries.iter().for_each(|bytes| self.kept.note(self.host, How::Stored, bytes));
        }
        self.store.sync(count);
    }

    fn next(&self, store: MemoryLogStore) -> Self {
        store.hold();
        Self { store, submitted: Arc::default(), ..self.clone() }
    }
}

impl LogStore for SimDisk {
    type SnapshotWriter = SimSnapshotWriter;
    type SnapshotReader = MemorySnapshotReader;

    fn load(&self, group: GroupId) -> io::Result<GroupLog> {
        self.store.load(group)
    }

    fn submit(&self, group: GroupId, change: LogChange, done: Done) {
        match &change {
            LogChange::Append(entries) => {
                for entry in entries {
                    self.trace.note(Topic::Disk, self.host, "append", &entry.bytes);
                    self.kept.note(self.host, How::Held, &entry.bytes);
                }
            }
            other => self.trace.note(Topic::Disk, self.host, "change", format!("{other:?}").as_bytes()),
        }
        self.store.submit(group, change, done);
        self.submitted.notify_one();
    }

    fn set_durability(&self, group: GroupId, durability: Durability) {
        self.store.set_durability(group, durability);
    }

    fn durability(&self, group: GroupId) -> Durability {
        self.store.durability(group)
    }

    fn synced(&self, group: GroupId) -> Option<LogId> {
        self.store.synced(group)
    }

    async fn read(&self, group: GroupId, from: u64, to: u64, max_bytes: usize) -> io::Result<Vec<StoredEntry>> {
        self.store.read(group, from, to, max_bytes).await
    }

    async fn create_snapshot(&self, group: GroupId) -> io::Result<SimSnapshotWriter> {
        self.trace.note(Topic::Disk, self.host, "snapshot begun", &[]);
        let writer = self.store.create_snapshot(group).await?;
        Ok(SimSnapshotWriter { writer, bytes: Vec::new(), disk: self.clone() })
    }

    fn newest_snapshot(&self, group: GroupId) -> io::Result<Option<(SnapshotMeta, MemorySnapshotReader)>> {
        let newest = self.store.newest_snapshot(group)?;
        let last = newest.as_ref().map(|(meta, _)| meta.last);
        self.trace.note(Topic::Disk, self.host, "snapshot", format!("{last:?}").as_bytes());
        Ok(newest)
    }
}

/// Writes a snapshot, at the disk's pace.
pub(crate) struct SimSnapshotWriter {
    writer: MemorySnapshotWriter,
    /// All of it, where it is looked for values in it.
    bytes: Vec<u8>,
    disk: SimDisk,
}

impl SimSnapshotWriter {
    async fn take_time(&self) {
        let ms = self.disk.random.lock().random_range(0..=self.disk.snapshot_ms_max);
        time::sleep(Duration::from_millis(ms)).await;
    }
}

impl SnapshotWriter for SimSnapshotWriter {
    async fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        self.take_time().await;
        if self.disk.kept.is_watched() {
            self.bytes.extend_from_slice(&chunk);
        }
        self.writer.write(chunk).await
    }

    async fn finish(self, meta: SnapshotMeta) -> io::Result<()> {
        self.take_time().await;
        self.writer.finish(meta).await?;
        for how in [How::Held, How::Stored] {
            self.disk.kept.note(self.disk.host, how, &self.bytes);
        }
        Ok(())
    }
}
