//! openraft's state machine over a [`Machine`]: entries meet their waiters here, snapshots are built and installed.
//!
//! The machine's state is in memory only. At start openraft finds nothing applied, installs the newest snapshot and
//! applies the log from there to the commit mark.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::{FutureExt, Stream, StreamExt};
use openraft::RaftSnapshotBuilder;
use openraft::entry::RaftEntry;
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine, Snapshot};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::ids::LogId;
use crate::log_store::SnapshotMeta;
use crate::machine::{CommittedEntry, Frozen, Machine, Waiter};
use crate::member::{decode_stored, encode_stored};
use crate::reply::Waiting;
use crate::snapshot::{BoxFuture, SnapshotData, Snapshots, Source};
use crate::types::{CommittedLeaderId, Membership, RaftLogId, RaftSnapshotMeta, StoredMembership, Types};
use crate::types::{log_id, raft_log_id};

/// One call of [`Machine::apply`] gets at most this many entries, or this many bytes.
const APPLY_ENTRIES_MAX: usize = 256;
const APPLY_BYTES_MAX: usize = 1 << 20;

type RaftSnapshot = Snapshot<CommittedLeaderId, u64, crate::member::Member, SnapshotData>;

/// What apply tells the rest of the group.
pub(crate) struct Progress {
    /// The last entry whose effects readers see.
    applied: Mutex<Option<LogId>>,
    /// Bytes of entries applied since the newest snapshot.
    log_bytes: AtomicU64,
    /// The length of the newest snapshot.
    snapshot_bytes: AtomicU64,
    /// Counts finished snapshots (built here or received), with the last one's id.
    pub(crate) snapshots: watch::Sender<(u64, Option<LogId>)>,
    /// Wakes the observer: the term of the last applied entry changed, or the log grew past the trigger.
    pub(crate) changed: Notify,
    /// A snapshot was asked for since the last one finished.
    asked: AtomicBool,
    log_bytes_max: u64,
}

impl Progress {
    pub(crate) fn new(log_bytes_max: u64) -> Self {
        Self {
            applied: Mutex::new(None),
            log_bytes: AtomicU64::new(0),
            snapshot_bytes: AtomicU64::new(0),
            snapshots: watch::Sender::new((0, None)),
            changed: Notify::new(),
            asked: AtomicBool::new(false),
            log_bytes_max,
        }
    }

    pub(crate) fn applied(&self) -> Option<LogId> {
        *self.applied.lock()
    }

    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_bytes.load(Ordering::Relaxed)
    }

    /// Whether the log since the newest snapshot outgrew both its own bound and the snapshot: true once a snapshot.
    pub(crate) fn take_snapshot_wish(&self) -> bool {
        self.outgrown(self.log_bytes()) && !self.asked.swap(true, Ordering::Relaxed)
    }

    fn outgrown(&self, log_bytes: u64) -> bool {
        log_bytes > self.log_bytes_max.max(self.snapshot_bytes.load(Ordering::Relaxed))
    }

    fn advance(&self, id: LogId, bytes: u64) {
        let before = self.applied.lock().replace(id);
        let sum = self.log_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let new_term = before.is_none_or(|before| before.term != id.term);
        if new_term || (self.outgrown(sum) && !self.asked.load(Ordering::Relaxed)) {
            self.changed.notify_one();
        }
    }

    fn snapshot_finished(&self, meta: &SnapshotMeta, log_bytes_left: u64) {
        self.log_bytes.store(log_bytes_left, Ordering::Relaxed);
        self.snapshot_bytes.store(meta.length_bytes, Ordering::Relaxed);
        self.asked.store(false, Ordering::Relaxed);
        self.snapshots.send_modify(|(count, last)| {
            *count += 1;
            *last = Some(meta.last);
        });
    }
}

/// A machine without its type: the group's handle knows only its waiters.
trait AnyMachine<W>: Send {
    fn apply(&mut self, entries: Vec<CommittedEntry<W>>) -> BoxFuture<'_, ()>;
    fn freeze(&mut self) -> BoxFuture<'_, Box<dyn Frozen>>;
    fn install(&mut self, last: LogId, source: Source) -> BoxFuture<'_, io::Result<()>>;
}

impl<M: Machine> AnyMachine<M::Waiter> for M {
    fn apply(&mut self, entries: Vec<CommittedEntry<M::Waiter>>) -> BoxFuture<'_, ()> {
        Box::pin(Machine::apply(self, entries))
    }

    fn freeze(&mut self) -> BoxFuture<'_, Box<dyn Frozen>> {
        Box::pin(async move { Box::new(Machine::freeze(self).await) as Box<dyn Frozen> })
    }

    fn install(&mut self, last: LogId, source: Source) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(Machine::install(self, last, source))
    }
}

/// The state machine as openraft wants it.
pub(crate) struct State<W: Waiter> {
    /// openraft asks for `Sync`, a machine is only `Send`: the lock is never contended, nor even taken.
    machine: Mutex<Box<dyn AnyMachine<W>>>,
    snapshots: Arc<dyn Snapshots>,
    waiting: Arc<Waiting<W>>,
    progress: Arc<Progress>,
    applied: Option<RaftLogId>,
    membership: StoredMembership,
}

impl<W: Waiter> State<W> {
    pub(crate) fn new<M: Machine<Waiter = W>>(
        machine: M,
        snapshots: Arc<dyn Snapshots>,
        waiting: Arc<Waiting<W>>,
        progress: Arc<Progress>,
    ) -> Self {
        Self {
            machine: Mutex::new(Box::new(machine)),
            snapshots,
            waiting,
            progress,
            applied: None,
            membership: StoredMembership::default(),
        }
    }
}

/// Entries on their way to the machine, and what is to be done when they are applied.
struct Batch<W: Waiter> {
    entries: Vec<CommittedEntry<W>>,
    responders: Vec<ApplyResponder<Types<W>>>,
    membership: Option<(RaftLogId, Membership)>,
    last: RaftLogId,
    bytes: usize,
}

impl<W: Waiter> State<W> {
    /// The next entry and those that are ready behind it.
    async fn next_batch<S>(&self, entries: &mut S) -> io::Result<Option<Batch<W>>>
    where
        S: Stream<Item = io::Result<EntryResponder<Types<W>>>> + Unpin + Send,
    {
        let Some(first) = entries.next().await else { return Ok(None) };
        let mut next = first?;
        let mut batch =
            Batch { entries: Vec::new(), responders: Vec::new(), membership: None, last: next.0.id, bytes: 0 };
        loop {
            let (entry, responder) = next;
            batch.responders.extend(responder);
            batch.last = entry.id;
            batch.bytes += entry.weight_bytes();
            if let Some(membership) = entry.get_membership() {
                batch.membership = Some((entry.id, membership));
            }
            let id = log_id(&entry.id);
            batch.entries.push(CommittedEntry { id, payload: entry.into_payload(), waiter: self.waiting.take(id) });
            if batch.entries.len() >= APPLY_ENTRIES_MAX || batch.bytes >= APPLY_BYTES_MAX {
                return Ok(Some(batch));
            }
            match entries.next().now_or_never().flatten() {
                Some(more) => next = more?,
                None => return Ok(Some(batch)),
            }
        }
    }
}

impl<W: Waiter> RaftStateMachine<Types<W>> for State<W> {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<RaftLogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types<W>>>> + Unpin + Send,
    {
        let mut entries = entries.fuse();
        while let Some(batch) = self.next_batch(&mut entries).await? {
            self.machine.get_mut().apply(batch.entries).await;
            if let Some((id, membership)) = batch.membership {
                self.membership = StoredMembership::new(Some(id), membership);
            }
            self.progress.advance(log_id(&batch.last), batch.bytes as u64);
            self.applied = Some(batch.last);
            batch.responders.into_iter().for_each(|responder| responder.send(()));
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Builder> {
        Some(self.get_snapshot_builder().await)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let frozen = self.machine.get_mut().freeze().await;
        Builder {
            frozen: Mutex::new(frozen),
            snapshots: self.snapshots.clone(),
            progress: self.progress.clone(),
            log_bytes: self.progress.log_bytes(),
            last: self.applied,
            membership: self.membership.clone(),
        }
    }

    async fn install_snapshot(&mut self, meta: &RaftSnapshotMeta, data: SnapshotData) -> io::Result<()> {
        let id = meta.last_log_id.ok_or_else(|| invalid("a snapshot of nothing"))?;
        let source = match data {
            SnapshotData::Stored(source, _) => source,
            SnapshotData::Received(sink, meta) => {
                sink.finish(meta).await?;
                self.snapshots.newest()?.ok_or_else(|| invalid("the received snapshot is gone"))?.1
            }
        };
        self.machine.get_mut().install(log_id(&id), source).await?;
        self.applied = Some(id);
        self.membership = meta.last_membership.clone();
        *self.progress.applied.lock() = Some(log_id(&id));
        if let Some((stored, _)) = self.snapshots.newest()? {
            self.progress.snapshot_finished(&stored, 0);
        }
        self.progress.changed.notify_one();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<RaftSnapshot>> {
        newest(&*self.snapshots)
    }
}

/// The newest snapshot as openraft sees it.
fn newest(snapshots: &dyn Snapshots) -> io::Result<Option<RaftSnapshot>> {
    let Some((meta, source)) = snapshots.newest()? else { return Ok(None) };
    let last_membership =
        decode_stored(meta.membership.clone()).ok_or_else(|| invalid("the membership of a snapshot cannot be read"))?;
    let raft_meta = RaftSnapshotMeta { last_log_id: Some(raft_log_id(meta.last)), last_membership };
    Ok(Some(Snapshot { meta: raft_meta, snapshot: SnapshotData::Stored(source, meta) }))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Writes one frozen state to the store, beside the machine that goes on.
pub(crate) struct Builder {
    /// For `Sync`, as in [`State`].
    frozen: Mutex<Box<dyn Frozen>>,
    snapshots: Arc<dyn Snapshots>,
    progress: Arc<Progress>,
    /// The log bytes that the frozen state covers.
    log_bytes: u64,
    last: Option<RaftLogId>,
    membership: StoredMembership,
}

impl<W: Waiter> RaftSnapshotBuilder<Types<W>> for Builder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<RaftSnapshot> {
        let last = self.last.ok_or_else(|| invalid("nothing was applied yet"))?;
        let mut sink = self.snapshots.create().await?;
        sink.write_all(&mut **self.frozen.get_mut()).await?;
        // A snapshot that was received meanwhile may be newer: it stays.
        let newer = self.snapshots.newest()?.is_some_and(|(meta, _)| meta.last > log_id(&last));
        if !newer {
            let meta = SnapshotMeta {
                last: log_id(&last),
                membership: encode_stored(&self.membership),
                length_bytes: sink.length_bytes(),
            };
            sink.finish(meta.clone()).await?;
            let left = self.progress.log_bytes().saturating_sub(self.log_bytes);
            self.progress.snapshot_finished(&meta, left);
        }
        newest(&*self.snapshots)?.ok_or_else(|| invalid("the snapshot just written is gone"))
    }
}
