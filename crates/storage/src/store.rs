//! The store's handle: [`raft::LogStore`] over the log thread and the files thread.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use raft::{Done, Durability, GroupId, GroupLog, LogChange, LogId, LogStore, SnapshotMeta, StoredEntry};
use rustix::fs::{FlockOperation, flock};
use tokio::sync::{oneshot, watch};

use crate::disk::{self, Disk};
use crate::files_thread::FilesThread;
use crate::identity::Identity;
use crate::marks::Marks;
use crate::queue::{Queue, Work};
use crate::writer::{Shared, Writer};
use crate::{Error, files, scan, snapshot};

/// How to open a data directory.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory, created when it is not there.
    pub dir: PathBuf,
    /// What sled may keep of the log in memory, in bytes; its buffers come on top. The tails of the logs are kept by
    /// `raft`, so this serves laggards only.
    pub cache_bytes: u64,
    /// The size of each of the two files of the journal, in bytes; a larger write is taken all the same. When one is full,
    /// sled is synced.
    pub journal_bytes: u64,
    /// For tests of durability only: nothing reaches the system before its sync is due, and each sync is held up this
    /// long. So kill -9 takes whatever was not synced, as a power cut would, and an answer that was given too early
    /// is lost by it.
    pub withhold: Option<Duration>,
}

impl Options {
    /// The options of production.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), cache_bytes: 4 << 20, journal_bytes: 8 << 20, withhold: None }
    }
}

/// An open data directory.
pub struct Opened {
    /// Who this node is.
    pub identity: Identity,
    /// Its logs and snapshots.
    pub store: Store,
    /// The directory was empty before: the node id was drawn just now.
    pub is_new: bool,
}

/// Opens a data directory: locks it, reads and verifies everything in it. Blocks for as long as that takes.
///
/// # Errors
/// Every kind of [`Error`]; damage of a single group is not among them, [`LogStore::load`] reports it.
pub fn open(options: &Options) -> Result<Opened, Error> {
    let dir = &options.dir;
    files::create_dir(dir)?;
    let lock = lock(dir)?;
    let identity = Identity::read(dir)?;
    let (marks_path, snapshots) = (dir.join("marks"), dir.join("snap"));
    let is_new = identity.is_none();
    let disk = Disk::open(options, is_new)?;
    let mut marks = match (is_new, Marks::open(&marks_path)?) {
        (false, Some(marks)) => marks,
        (false, None) => return Err(Error::Missing { dir: dir.clone(), missing: marks_path }),
        (true, Some(marks)) => marks,
        (true, None) => Marks::create(&marks_path)?,
    };
    files::create_dir(&snapshots)?;
    snapshot::remove_unfinished(&snapshots).map_err(|source| Error::from_io(&snapshots, source))?;
    // AFTER the disk was opened, which makes durable what the journal has.
    marks.begin(if options.withhold.is_some() { None } else { files::boot_id() });
    let groups = disk::guard(disk.path(), || scan::scan(&disk, &marks))?;
    if is_new && !groups.is_empty() {
        let why = "the file is not there, but the logs of its groups are";
        return Err(Error::damaged(&dir.join("node"), why));
    }
    let identity = match identity {
        Some(identity) => identity,
        // LAST: a directory without this file is one whose creation was cut off, and begins anew.
        None => {
            let identity = Identity::draw(dir)?;
            identity.set(identity.node(), &[])?;
            identity
        }
    };
    marks.write()?;
    let store = Store::start(lock, groups, disk, marks, snapshots).map_err(|source| Error::from_io(dir, source))?;
    Ok(Opened { identity, store, is_new })
}

/// Locks the directory for as long as the file is open.
fn lock(dir: &Path) -> Result<File, Error> {
    let file = File::open(dir).map_err(|source| Error::from_io(dir, source))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Locked { dir: dir.to_path_buf() }),
        Err(error) => Err(Error::from_io(dir, error.into())),
    }
}

/// The logs and snapshots of all groups of one node. Cheap to clone; when the last clone goes the store is closed as
/// by [`Store::close`].
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    /// For readers; gone once the store is closed, because sled's file stays locked as long as one is left.
    tree: Mutex<Option<sled::Tree>>,
    raft: PathBuf,
    snapshots: PathBuf,
    files: FilesThread,
    log_thread: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    fn start(
        lock: File,
        groups: BTreeMap<GroupId, scan::Scanned>,
        disk: Disk,
        marks: Marks,
        snapshots: PathBuf,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Queue::new(),
            groups: Mutex::new(groups),
            durability: Mutex::default(),
            failure: watch::Sender::new(None),
        });
        let (tree, raft) = (Mutex::new(Some(disk.tree())), disk.path().to_path_buf());
        let files = FilesThread::start()?;
        let writer = Writer::new(Arc::clone(&shared), disk, marks, snapshots.clone(), files.clone());
        let log_thread = spawn("log", move || {
            writer.run();
            // LAST: only when sled's file is closed may another process have the directory.
            drop(lock);
        })?;
        let log_thread = Mutex::new(Some(log_thread));
        Ok(Self(Arc::new(Inner { shared, tree, raft, snapshots, files, log_thread })))
    }

    /// Waits until a write or a sync has failed, and says what the operator has to do. Nothing is written after that,
    /// and everything is answered with the failure.
    pub async fn failure(&self) -> String {
        let mut failure = self.0.shared.failure.subscribe();
        match failure.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            // The sender lives as long as the handle.
            Err(_) => std::future::pending().await,
        }
    }

    /// Makes everything that was queued durable, notes that the store stopped in order, and ends the log thread.
    /// Blocks until then. Later changes are refused.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        self.shared.queue.close();
        self.tree.lock().take();
        let Some(thread) = self.log_thread.lock().take() else { return };
        // The last handle may go with an answer, on the log thread itself.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the log thread panicked");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

fn stopping() -> io::Error {
    io::Error::other("the store is stopping")
}

impl LogStore for Store {
    fn load(&self, group: GroupId) -> io::Result<GroupLog> {
        match self.0.shared.groups.lock().get(&group) {
            None => Ok(GroupLog::default()),
            Some(Ok(state)) => Ok(state.log()),
            Some(Err(why)) => Err(Error::damaged(&self.0.raft, format!("group {group}: {why}")).into()),
        }
    }

    fn submit(&self, group: GroupId, change: LogChange, done: Done) {
        if let Err(Work::Change(_, _, done)) = self.0.shared.queue.push(Work::Change(group, change, done)) {
            done(Err(stopping()));
        }
    }

    fn set_durability(&self, group: GroupId, durability: Durability) {
        self.0.shared.durability.lock().insert(group, durability);
    }

    fn durability(&self, group: GroupId) -> Durability {
        self.0.shared.durability.lock().get(&group).copied().unwrap_or_default()
    }

    fn synced(&self, group: GroupId) -> Option<LogId> {
        self.0.shared.groups.lock().get(&group)?.as_ref().ok()?.synced
    }

    async fn read(&self, group: GroupId, from: u64, to: u64, max_bytes: usize) -> io::Result<Vec<StoredEntry>> {
        let (written, wait) = oneshot::channel();
        self.0.shared.queue.push(Work::Barrier(written)).map_err(|_| stopping())?;
        wait.await.map_err(|_| stopping())??;
        let held = match self.0.shared.groups.lock().get(&group) {
            None => 0..0,
            Some(Ok(state)) => state.range(),
            Some(Err(why)) => {
                return Err(Error::damaged(&self.0.raft, format!("group {group}: {why}")).into());
            }
        };
        if from < held.start {
            let why = format!("group {group}: entry {from} is purged, the log begins at {}", held.start);
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        let to = to.min(held.end);
        if from >= to {
            return Ok(Vec::new());
        }
        let tree = self.0.tree.lock().clone().ok_or_else(stopping)?;
        let raft = self.0.raft.clone();
        let read = move || {
            scan::read(&tree, group, from, to, max_bytes).map_err(|error| match error.kind() {
                io::ErrorKind::InvalidData => Error::damaged(&raft, error.to_string()).into(),
                _ => error,
            })
        };
        self.0.files.run(read).await
    }

    async fn create_snapshot(&self, group: GroupId) -> io::Result<snapshot::Writer> {
        let shared = Arc::clone(&self.0.shared);
        let finished = Box::new(move |last| {
            // When the store is stopping the next start finds the file by its name.
            let _stopping = shared.queue.push(Work::Snapshot(group, last));
        });
        snapshot::Writer::create(self.0.files.clone(), self.0.snapshots.clone(), group, finished).await
    }

    fn newest_snapshot(&self, group: GroupId) -> io::Result<Option<(SnapshotMeta, snapshot::Reader)>> {
        let expected = match self.0.shared.groups.lock().get(&group) {
            Some(Ok(state)) => state.snapshot,
            _ => None,
        };
        Ok(snapshot::newest(&self.0.snapshots, group, expected, self.0.files.clone())?)
    }

    type SnapshotWriter = snapshot::Writer;
    type SnapshotReader = snapshot::Reader;
}

/// The only place where this crate starts a thread.
#[expect(clippy::disallowed_methods, reason = "the disk blocks, so it has threads of its own; `sim` has another store")]
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}
