//! The journal and sled as one: what is written goes to the journal first and to sled later, in the same order.
//!
//! sled lags behind the journal by the records in `unapplied` and those that wait for its thread; [`Disk::settle`] brings
//! it level for readers. Each batch of sled's says which record was its last, so that sled knows at the next start where to go on in the journal.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::fs::{FlockOperation, flock};

use crate::journal::{self, Journal, Record};
use crate::sled_thread::{Batch, SledThread, Unapplied};
use crate::{Error, Options, files, keys};

/// How much may be in the journal that was not handed over to be applied to sled: many records share a batch, which pays
/// for what sled does for each (it wakes all seven threads of its pool) and for the marks that each of them replaces. The bytes
/// include what sled holds meanwhile: when a snapshot had made a log of 118 MB superfluous, removing it in batches of 16,000
/// keys took 137 MB of memory.
const UNAPPLIED_RECORDS_MAX: usize = 128;
const UNAPPLIED_BYTES_MAX: usize = 256 << 10;

/// The longest turn of a file of the journal: bounds what a start has to apply, and how long sled goes unsynced.
const TURN_TIME: Duration = Duration::from_secs(2);

/// The open journal and the open tree.
pub(crate) struct Disk {
    /// BEFORE `db`: its thread has a handle of it.
    sled: SledThread,
    db: sled::Db,
    path: PathBuf,
    journal: Journal,
    unapplied: Unapplied,
    /// Since when the journal's turn has a record.
    turn_since: Option<Instant>,
    /// What waits for its sync, in a store that withholds; `None` in one that does not.
    withheld: Option<(Duration, Vec<Record>)>,
}

impl Disk {
    /// Opens or creates the journal and the tree, and applies to the tree what only the journal has. `fresh` says that the
    /// directory was never used; otherwise sled's file has to be there.
    pub(crate) fn open(options: &Options, fresh: bool) -> Result<Self, Error> {
        let (path, journal_dir) = (options.dir.join("raft"), options.dir.join("journal"));
        let db_file = path.join("db");
        if !fresh && !db_file.is_file() {
            return Err(Error::Missing { dir: options.dir.clone(), missing: db_file });
        }
        files::create_dir(&path)?;
        let db = open_or_repair(&path, options.cache_bytes)?;
        let file = File::open(&db_file).map_err(|source| Error::from_io(&db_file, source))?;
        let (held, start) = guard(&path, || level(&db, &file, options, fresh, &path, &journal_dir))?;
        for dir in [&path, &path.join("blobs")] {
            files::sync_dir(dir)?;
        }
        let journal = Journal::begin(&journal_dir, options.journal_bytes, held, start)?;
        let sled = SledThread::start(sled::Db::clone(&db), Arc::new(file), start);
        let sled = sled.map_err(|source| Error::from_io(&path, source))?;
        let unapplied = Unapplied::default();
        let withheld = options.withhold.map(|delay| (delay, Vec::new()));
        Ok(Self { sled, db, path, journal, unapplied, turn_since: None, withheld })
    }

    /// The directory, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// For readers.
    pub(crate) fn tree(&self) -> sled::Tree {
        sled::Tree::clone(&self.db)
    }

    /// Writes a record to the journal. Not durable before [`Disk::sync`], not there for readers before
    /// [`Disk::settle`].
    pub(crate) fn write(&mut self, record: Record) -> io::Result<()> {
        // Nothing may be answered once a sync failed, also one that nobody waits for.
        self.sled.check()?;
        if let Some((_, records)) = &mut self.withheld {
            records.push(record);
            return Ok(());
        }
        self.append(record)
    }

    fn append(&mut self, mut record: Record) -> io::Result<()> {
        if !self.journal.fits(&record) {
            self.end_turn()?;
        }
        let number = self.journal.append(&mut record)?;
        self.unapplied.push(number, record);
        Ok(())
    }

    /// Makes everything that was written durable. An error is final.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if let Some((delay, records)) = &mut self.withheld {
            // The moment in which a power cut would take what waits for its sync.
            pause(*delay);
            for record in std::mem::take(records) {
                self.append(record)?;
            }
        }
        self.journal.sync()
    }

    /// Makes what was written visible to readers: in a store that withholds, only a sync does.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        if self.withheld.as_ref().is_some_and(|(_, records)| !records.is_empty()) {
            self.sync()?;
        }
        self.apply()?;
        self.sled.settle()
    }

    /// What nobody waits for: hands over what has become much, ends a turn that has become long.
    pub(crate) fn tidy(&mut self, now: Instant) -> io::Result<()> {
        if self.unapplied.records() >= UNAPPLIED_RECORDS_MAX || self.unapplied.weight_bytes() >= UNAPPLIED_BYTES_MAX {
            self.apply()?;
        }
        if self.journal.at() == 0 {
            return Ok(());
        }
        let since = *self.turn_since.get_or_insert(now);
        if now.duration_since(since) < TURN_TIME {
            return Ok(());
        }
        // A disk that needs longer than a turn for one sync is given another.
        self.turn_since = Some(now);
        if self.sled.is_syncing() { Ok(()) } else { self.end_turn() }
    }

    /// Whether sled lags so far behind the journal that what nobody waits for should be put off.
    pub(crate) fn is_behind(&self) -> bool {
        self.sled.is_behind()
    }

    /// When [`Disk::tidy`] has something to do, although nothing more is written.
    pub(crate) fn tidy_due(&self) -> Option<Instant> {
        self.turn_since.map(|since| since + TURN_TIME)
    }

    /// Syncs sled too: the next start has nothing to apply.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        self.sync()?;
        self.sled.wait_for_sync()?;
        self.apply()?;
        self.sled.sync();
        self.sled.settle()
    }

    /// Goes on in the journal's other file, and has sled synced so that this one becomes free.
    fn end_turn(&mut self) -> io::Result<()> {
        // BEFORE the other file is written: what is in it must be in sled, synced.
        self.sled.wait_for_sync()?;
        self.journal.turn()?;
        // BEFORE the sync: sled has to hold all of the turn that ended.
        self.apply()?;
        self.sled.sync();
        self.turn_since = None;
        Ok(())
    }

    fn apply(&mut self) -> io::Result<()> {
        match self.unapplied.records() {
            0 => Ok(()),
            _ => self.sled.apply(std::mem::take(&mut self.unapplied)),
        }
    }
}

/// Applies to sled what only the journal has, or creates a journal; afterwards sled holds everything, synced. Returns
/// the number of the last record, and that of this start.
fn level(
    db: &sled::Db,
    file: &File,
    options: &Options,
    fresh: bool,
    path: &Path,
    journal_dir: &Path,
) -> Result<(u64, u64), Error> {
    let (held, start) = match read_format(db, path)? {
        None if !fresh => return Err(Error::damaged(path, "sled recovered nothing from its log")),
        // Created now, or by a version without a journal.
        None | Some(..keys::FORMAT_WITH_JOURNAL) => {
            Journal::create(journal_dir, options.journal_bytes)?;
            (0, 0)
        }
        Some(_) => {
            let value = db.get(keys::HELD_KEY).map_err(|error| sort(path, error))?;
            let held = value.and_then(|value| keys::decode_held(keys::open(keys::HELD_KEY, &value)?));
            let damaged = || Error::damaged(path, "it does not say which records of the journal it holds");
            let (held, start) = held.ok_or_else(damaged)?;
            (replay(journal_dir, path, held, start, db)?, start)
        }
    };
    let start = start + 1;
    // BEFORE the journal's first record of this start: what is in the files now is no longer needed, and the records
    // to come are told from it by their start.
    let mut batch = sled::Batch::default();
    batch.insert(keys::FORMAT_KEY, keys::encode_format(keys::FORMAT));
    batch.insert(keys::HELD_KEY, keys::encode_held(held, start));
    db.apply_batch(batch).and_then(|()| db.flush()).map_err(|error| sort(path, error))?;
    file.sync_all().map_err(|source| Error::from_io(path, source))?;
    Ok((held, start))
}

/// Applies the records behind number `held` to sled; the number of the last one.
fn replay(dir: &Path, raft: &Path, held: u64, start: u64, db: &sled::Db) -> Result<u64, Error> {
    let mut batch = Batch::default();
    let last = journal::replay(dir, raft, held, start, |number, body, path| {
        let pushed = batch.push(number, body);
        pushed.ok_or_else(|| Error::damaged(path, format!("record {number} cannot be read")))?;
        let is_due = batch.bytes() >= UNAPPLIED_BYTES_MAX;
        if is_due { batch.apply(db, start).map_err(|error| sort(raft, error)) } else { Ok(()) }
    })?;
    batch.apply(db, start).map_err(|error| sort(raft, error))?;
    Ok(last)
}

/// The version of sled's layout; `None` if there is none.
fn read_format(db: &sled::Db, path: &Path) -> Result<Option<u32>, Error> {
    let Some(value) = db.get(keys::FORMAT_KEY).map_err(|error| sort(path, error))? else { return Ok(None) };
    match keys::open(keys::FORMAT_KEY, &value).and_then(keys::decode_format) {
        Some(found) if found > keys::FORMAT => {
            Err(Error::Newer { path: path.to_path_buf(), found, known: keys::FORMAT })
        }
        Some(found) => Ok(Some(found)),
        None => Err(Error::damaged(path, "the checksum of its format's version does not match")),
    }
}

/// Sorts sled's errors by what the user has to do.
pub(crate) fn sort(path: &Path, error: sled::Error) -> Error {
    match error {
        sled::Error::Io(source) => Error::from_io(path, source),
        // Another version of sled, or other settings: not damage.
        sled::Error::Unsupported(why) => {
            Error::Io { path: path.to_path_buf(), source: io::Error::new(io::ErrorKind::Unsupported, why) }
        }
        sled::Error::Corruption { at, .. } => {
            Error::damaged(path, format!("the checksum of a record of sled does not match, at {at:?} of its file"))
        }
        other => Error::damaged(path, other.to_string()),
    }
}

fn open_or_repair(path: &Path, cache_bytes: u64) -> Result<sled::Db, Error> {
    await_lock(&path.join("db"))?;
    remove_snapshots(path, ".generating")?;
    match open_sled(path, cache_bytes) {
        // sled's own snapshots only shorten its start and were found half-written before; without them it reads its
        // whole log.
        Err(Error::Damaged { .. }) if remove_snapshots(path, "")? => open_sled(path, cache_bytes),
        opened => opened,
    }
}

/// Waits for sled's own lock of its file. No other process has it, because this one has locked the directory; but a
/// thread of sled's pool may hold the file for a moment after the tree was closed.
fn await_lock(db_file: &Path) -> Result<(), Error> {
    for _ in 0..200 {
        let file = match File::open(db_file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file.map_err(|source| Error::from_io(db_file, source))?,
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => pause(Duration::from_millis(10)),
            // Whatever else is wrong sled will say.
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// The size of sled's segments: what it has noted for itself when it was created, in text.
fn segment_bytes(path: &Path) -> usize {
    // What cannot be read is damage, which sled reports.
    let conf = fs::read(path.join("conf")).unwrap_or_default();
    let noted = format!("segment_size: {}", keys::SEGMENT_BYTES_FORMAT_2);
    let is_older = conf.split(|&byte| byte == b'\n').any(|line| line == noted.as_bytes());
    if is_older { keys::SEGMENT_BYTES_FORMAT_2 } else { keys::SEGMENT_BYTES }
}

fn open_sled(path: &Path, cache_bytes: u64) -> Result<sled::Db, Error> {
    let config = sled::Config::new()
        .path(path)
        .cache_capacity(cache_bytes)
        .segment_size(segment_bytes(path))
        .mode(sled::Mode::HighThroughput)
        // The periodic flusher is also the only one that reclaims space.
        .flush_every_ms(Some(500))
        .use_compression(false);
    guard(path, || config.open().map_err(|error| sort(path, error)))
}

/// Runs what meets sled's file for the first time. sled asserts where it should report: a damaged file can make it panic.
/// Where panics unwind (tests, development) that becomes an error; in release the process ends with sled's message.
pub(crate) fn guard<T>(path: &Path, run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().map(String::as_str);
        let why = why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        Err(Error::damaged(path, format!("sled gave up on it: {why}")))
    })
}

/// Removes sled's own snapshot files whose names end so; whether there were any.
fn remove_snapshots(path: &Path, ending: &str) -> Result<bool, Error> {
    let mut removed = false;
    for entry in fs::read_dir(path).map_err(|source| Error::from_io(path, source))? {
        let entry = entry.map_err(|source| Error::from_io(path, source))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(ending) {
            fs::remove_file(entry.path()).map_err(|source| Error::from_io(&entry.path(), source))?;
            removed = true;
        }
    }
    Ok(removed)
}

/// Holds the thread up.
fn pause(delay: Duration) {
    let nobody = Mutex::new(());
    Condvar::new().wait_for(&mut nobody.lock(), delay);
}

#[cfg(test)]
mod tests;
