//! The thread that brings sled level with the journal: it applies records, in order, and syncs sled when it is asked.
//!
//! It works beside the log thread: nobody's answer waits for it, unless a reader needs what is queued, the queue is
//! full, or the journal's other file is full before the sync is done that makes it free.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use crate::journal::{self, Record};
use crate::keys;

/// How much may wait, by [`Unapplied::cost_bytes`]. A sync may take as long as it takes a busy node to write this much.
///
/// Who has more waits for about one batch (2 to 4 ms), because all of them cost about the same. By their mere lengths, removals stood in the queue
/// unseen, some ten batches between two of the long ones, and writes beside a log that grew by 80 MB/s waited for 20 to 50 ms.
const QUEUED_COST_BYTES_MAX: usize = 4 << 20;

/// With this much waiting, sled is behind: what nobody waits for is put off, so that there is room for what somebody waits for.
const BEHIND_COST_BYTES: usize = QUEUED_COST_BYTES_MAX / 4;

/// How many bytes sled writes in the time in which it removes a key (35 us): it reads the leaf for that.
const REMOVAL_COST_BYTES: usize = 2 << 10;

/// Records that follow each other, to be applied to sled as one batch.
#[derive(Default)]
pub(crate) struct Unapplied {
    records: Vec<Record>,
    bytes: usize,
    removal_count: usize,
    /// The number of the last record.
    last: u64,
}

impl Unapplied {
    /// Adds the record with this number.
    pub(crate) fn push(&mut self, number: u64, record: Record) {
        self.bytes += record.body().len();
        self.removal_count += record.removal_count();
        self.last = number;
        self.records.push(record);
    }

    /// How many records there are.
    pub(crate) fn records(&self) -> usize {
        self.records.len()
    }

    /// What it takes sled to apply them, as the bytes that it writes in that time.
    fn cost_bytes(&self) -> usize {
        self.bytes + self.removal_count * REMOVAL_COST_BYTES
    }

    /// What sled holds in memory for them until they are applied, at most: to remove a key it reads the leaf that has it, and
    /// nothing that it lets go of is freed before the end of the batch.
    pub(crate) fn weight_bytes(&self) -> usize {
        self.bytes + self.removal_count * keys::PART_BYTES_MAX
    }

    /// Applies them, atomically, with the number of the last one and of this `start`.
    fn apply(&self, db: &sled::Db, start: u64) -> sled::Result<()> {
        let mut batch = Batch::default();
        for record in &self.records {
            batch.push(self.last, record.body()).expect("this process wrote the record");
        }
        batch.apply(db, start)
    }
}

/// Changes on their way to sled. Of several of one key the last one counts: that pays for the marks, of which every record
/// has some.
#[derive(Default)]
pub(crate) struct Batch {
    batch: sled::Batch,
    bytes: usize,
    last: Option<u64>,
}

impl Batch {
    /// Adds a record's changes; `None` if they cannot be read.
    pub(crate) fn push(&mut self, number: u64, body: &[u8]) -> Option<()> {
        for change in journal::changes(body) {
            match change? {
                (key, Some(value)) => self.batch.insert(key, value),
                (key, None) => self.batch.remove(key),
            }
        }
        self.bytes += body.len();
        self.last = Some(number);
        Some(())
    }

    /// How long its records are together.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Applies what there is, atomically, with the number of the last record and of this `start`.
    pub(crate) fn apply(&mut self, db: &sled::Db, start: u64) -> sled::Result<()> {
        let Self { mut batch, last: Some(last), .. } = std::mem::take(self) else { return Ok(()) };
        batch.insert(keys::HELD_KEY, keys::encode_held(last, start));
        db.apply_batch(batch)
    }
}

enum Job {
    Apply(Unapplied),
    Sync,
}

#[derive(Default)]
struct State {
    /// What is to be done, in order; the first is being done.
    jobs: VecDeque<Job>,
    cost_bytes: usize,
    is_syncing: bool,
    is_closing: bool,
    failed: Option<(io::ErrorKind, String)>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// The thread has something to do.
    work: Condvar,
    /// It has done something that may be waited for.
    done: Condvar,
}

/// A handle of the thread, which ends with it.
pub(crate) struct SledThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl SledThread {
    /// Starts the thread; `file` is the one that sled writes, `start` that of [`Unapplied::apply`].
    pub(crate) fn start(db: sled::Db, file: Arc<File>, start: u64) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = crate::store::spawn("sled", move || run(&theirs, &db, &file, start))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Has records applied, behind those of earlier calls. Waits while too much is queued.
    pub(crate) fn apply(&self, records: Unapplied) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        while state.cost_bytes >= QUEUED_COST_BYTES_MAX {
            self.shared.done.wait(&mut state);
        }
        state.cost_bytes += records.cost_bytes();
        self.submit(&mut state, Job::Apply(records));
        result(&state)
    }

    /// Asks for a sync of all that was handed over before. The one before must be done.
    pub(crate) fn sync(&self) {
        let mut state = self.shared.state.lock();
        assert!(!state.is_syncing, "one sync at a time");
        state.is_syncing = true;
        self.submit(&mut state, Job::Sync);
    }

    fn submit(&self, state: &mut State, job: Job) {
        state.jobs.push_back(job);
        if state.jobs.len() == 1 {
            self.shared.work.notify_one();
        }
    }

    /// Whether so much waits that no more should be added without need.
    pub(crate) fn is_behind(&self) -> bool {
        self.shared.state.lock().cost_bytes >= BEHIND_COST_BYTES
    }

    /// Whether the sync that was asked for is not done yet.
    pub(crate) fn is_syncing(&self) -> bool {
        self.shared.state.lock().is_syncing
    }

    /// The first failure, which is final.
    pub(crate) fn check(&self) -> io::Result<()> {
        result(&self.shared.state.lock())
    }

    /// Waits until the sync that was asked for is done.
    pub(crate) fn wait_for_sync(&self) -> io::Result<()> {
        self.wait_while(|state| state.is_syncing)
    }

    /// Waits until everything is done.
    pub(crate) fn settle(&self) -> io::Result<()> {
        self.wait_while(|state| !state.jobs.is_empty())
    }

    fn wait_while(&self, is_early: impl Fn(&State) -> bool) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        while is_early(&state) {
            self.shared.done.wait(&mut state);
        }
        result(&state)
    }
}

impl Drop for SledThread {
    fn drop(&mut self) {
        self.shared.state.lock().is_closing = true;
        self.shared.work.notify_one();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes to sled panicked");
        }
    }
}

fn result(state: &State) -> io::Result<()> {
    match &state.failed {
        Some((kind, why)) => Err(io::Error::new(*kind, why.clone())),
        None => Ok(()),
    }
}

fn run(shared: &Shared, db: &sled::Db, file: &File, start: u64) {
    let mut state = shared.state.lock();
    loop {
        let is_closing = state.is_closing;
        let job = match state.jobs.front_mut() {
            // It stays the first until it is done.
            Some(Job::Apply(records)) => Job::Apply(std::mem::take(records)),
            Some(Job::Sync) => Job::Sync,
            None if is_closing => return,
            None => {
                shared.work.wait(&mut state);
                continue;
            }
        };
        let has_failed = state.failed.is_some();
        drop(state);
        let (cost_bytes, is_sync) = match &job {
            Job::Apply(records) => (records.cost_bytes(), false),
            Job::Sync => (0, true),
        };
        // Nothing is tried again, nor anything after it: after a failed sync the kernel may have dropped the pages and
        // report success.
        let done = if has_failed { Ok(()) } else { work(job, db, file, start) };
        state = shared.state.lock();
        if let Err(error) = done {
            state.failed.get_or_insert_with(|| (error.kind(), error.to_string()));
        }
        state.jobs.pop_front();
        state.cost_bytes -= cost_bytes;
        state.is_syncing &= !is_sync;
        shared.done.notify_all();
    }
}

fn work(job: Job, db: &sled::Db, file: &File, start: u64) -> io::Result<()> {
    match job {
        Job::Apply(records) => records.apply(db, start).map_err(io::Error::from),
        Job::Sync => {
            db.flush()?;
            // sled's flush ends in sync_file_range, which neither writes the file's metadata nor empties the drive's
            // cache.
            file.sync_data()
        }
    }
}
