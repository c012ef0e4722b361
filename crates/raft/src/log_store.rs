//! The seam to the disk: the log of all groups of one node, and their snapshots, as bytes.
//!
//! A store knows nothing of Raft's rules. It keeps, per group, a run of entries, a vote, a commit mark and a
//! purge mark, and makes queued changes durable in the order in which they were queued. The tail of each log
//! lives in memory on this side of the seam (`raft` keeps it), so [`LogStore::read`] is for laggards and starts.

use std::future::Future;
use std::io;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::ids::{GroupId, LogId};

/// One entry as it is stored and sent: encoded once, the same bytes in the log, on the wire and in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// The entry's place.
    pub id: LogId,
    /// The encoded payload, opaque to the store. Bounded only by what a client may send (`proto-max-bulk-len`).
    pub bytes: Bytes,
}

/// A change to one group's part of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogChange {
    /// Adds entries behind the last one; indexes are contiguous.
    Append(Vec<StoredEntry>),
    /// Replaces the vote; the bytes are opaque to the store.
    Vote(Bytes),
    /// Notes how far the log is known to be committed. Never needs a sync of its own.
    Committed(LogId),
    /// Removes every entry behind `keep` (all of them for `None`): a conflicting suffix.
    Truncate {
        /// The last index that stays.
        keep: Option<u64>,
    },
    /// Removes every entry up to and including this one: a snapshot holds them. Never needs a sync of its own.
    Purge(LogId),
    /// Removes everything that is known of the group.
    Forget,
    /// Changes nothing. It is answered when everything before it is durable, whatever the group's [`Durability`].
    Sync,
    /// The log counts as whole from now on: [`GroupLog::unsure`] is taken back, durably.
    Vouch,
    /// It does not any more: [`GroupLog::unsure`] is so from now on, durably.
    Doubt,
}

/// When the appends of a group are answered. Everything else is as [`LogChange`] says, and no answer overtakes another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When they are durable.
    #[default]
    Always,
    /// When the store has them; they become durable about once a second.
    EverySecond,
    /// When the store has them; they become durable with whatever else does.
    No,
}

/// Called once, from whichever thread made the change durable, with the error that kept it from becoming so.
/// It must not block. An error is final: the node stops (a failed fsync is never tried again).
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// What the store knows of a group at start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupLog {
    /// The vote as it was last saved.
    pub vote: Option<Bytes>,
    /// The newest commit mark that reached the disk; entries up to it may be applied at start.
    pub committed: Option<LogId>,
    /// The last purged entry.
    pub purged: Option<LogId>,
    /// The last entry, or the last purged one if none is left.
    pub last: Option<LogId>,
    /// Entries may be gone that were answered: the group was not [`Durability::Always`], and the store has lost what was
    /// not durable. A voter that forgot what it acknowledged must neither vote nor acknowledge. Stays until [`LogChange::Vouch`]. Or
    /// [`LogChange::Doubt`] said so.
    pub unsure: bool,
}

/// Describes one complete snapshot of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The last entry whose effects the snapshot holds.
    pub last: LogId,
    /// The membership as of that entry, encoded by `raft`, opaque to the store.
    pub membership: Bytes,
    /// The length of its content in bytes.
    pub length_bytes: u64,
}

/// The log and the snapshots of all groups of one node. Cheap to clone.
pub trait LogStore: Clone + Send + Sync + 'static {
    /// Reads what is known of a group. An error means damage, or a newer format: its text names the file and why.
    fn load(&self, group: GroupId) -> io::Result<GroupLog>;

    /// Queues a change; returns at once. Changes become durable in the order of these calls, many with one sync;
    /// `done` is called when this one has (for those that never need a sync of their own: when it was written).
    /// The queue is bounded in bytes by the callers: openraft awaits the votes and pipelines few appends.
    fn submit(&self, group: GroupId, change: LogChange, done: Done);

    /// Queues a change at once, as [`LogStore::submit`] does; what is returned waits for its answer.
    fn submit_and_wait(
        &self,
        group: GroupId,
        change: LogChange,
    ) -> impl Future<Output = io::Result<()>> + Send + use<Self> {
        let (tell, done) = oneshot::channel();
        // Whoever asked may have gone.
        self.submit(group, change, Box::new(move |result| drop(tell.send(result))));
        async { done.await.unwrap_or_else(|_| Err(io::Error::other("the log store stopped"))) }
    }

    /// Says when the group's appends are answered, from the next one on. Not kept: a start begins with [`Durability::Always`]. A
    /// store that is stricter than it has to be need not listen.
    fn set_durability(&self, group: GroupId, durability: Durability) {
        let _ = (group, durability);
    }

    /// When the group's appends are answered now.
    fn durability(&self, group: GroupId) -> Durability {
        let _ = group;
        Durability::Always
    }

    /// The last entry of a group's log that a loss of power would leave there, as far as is known: whatever the group's
    /// [`Durability`], and never later than it is. After a start it is not known before something was synced.
    fn synced(&self, group: GroupId) -> Option<LogId>;

    /// Reads entries `from..to` (as many as fit in `max_bytes`, at least one), from what was queued before too.
    fn read(
        &self,
        group: GroupId,
        from: u64,
        to: u64,
        max_bytes: usize,
    ) -> impl Future<Output = io::Result<Vec<StoredEntry>>> + Send;

    /// Starts a snapshot file aside; several of a group may be under way. Nothing is visible until [`SnapshotWriter::finish`].
    fn create_snapshot(&self, group: GroupId) -> impl Future<Output = io::Result<Self::SnapshotWriter>> + Send;

    /// The newest complete snapshot, if there is one. An error means damage: its text names the file and why.
    fn newest_snapshot(&self, group: GroupId) -> io::Result<Option<(SnapshotMeta, Self::SnapshotReader)>>;

    /// Writes one snapshot.
    type SnapshotWriter: SnapshotWriter;
    /// Reads one snapshot; it stays readable while it is open, also when a newer one replaced it.
    type SnapshotReader: SnapshotReader;
}

/// Writes a snapshot aside; dropping it unfinished leaves nothing behind.
pub trait SnapshotWriter: Send + 'static {
    /// Adds bytes; chunks of up to 1 MiB, each under its own checksum.
    fn write(&mut self, chunk: Bytes) -> impl Future<Output = io::Result<()>> + Send;
    /// Syncs, renames into place, syncs the directory, removes older ones. `meta.length_bytes` must match.
    fn finish(self, meta: SnapshotMeta) -> impl Future<Output = io::Result<()>> + Send;
}

/// Reads a snapshot from its beginning.
pub trait SnapshotReader: Send + 'static {
    /// The next chunk; `None` at the end. A checksum that does not match is an error, never data.
    fn read(&mut self) -> impl Future<Output = io::Result<Option<Bytes>>> + Send;
}
