//! sled, and what has to be done around it: the only file that opens, writes and syncs it.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::{Error, files, keys};

/// The open tree.
pub(crate) struct Disk {
    db: sled::Db,
    /// The file that sled writes. sled's own flush does not sync it.
    file: File,
    path: PathBuf,
    /// What waits for its sync, in a store that withholds; `None` in one that does not.
    withheld: Option<(Duration, Vec<sled::Batch>)>,
}

impl Disk {
    /// Opens or creates the tree in `path`. `fresh` says that the directory was never used; otherwise sled's file has to
    /// be there.
    pub(crate) fn open(path: &Path, cache_bytes: u64, fresh: bool, withhold: Option<Duration>) -> Result<Self, Error> {
        let db_file = path.join("db");
        if !fresh && !db_file.is_file() {
            let dir = path.parent().unwrap_or(path).to_path_buf();
            return Err(Error::Missing { dir, missing: db_file });
        }
        files::create_dir(path)?;
        remove_snapshots(path, ".generating")?;
        let db = match open_sled(path, cache_bytes) {
            Ok(db) => db,
            Err(error @ Error::Damaged { .. }) => {
                // sled's own snapshots only shorten its start and were found half-written before; without them it
                // reads its whole log.
                if !remove_snapshots(path, "")? {
                    return Err(error);
                }
                open_sled(path, cache_bytes)?
            }
            Err(error) => return Err(error),
        };
        let file = File::open(&db_file).map_err(|source| Error::from_io(&db_file, source))?;
        let disk = Self { db, file, path: path.to_path_buf(), withheld: withhold.map(|delay| (delay, Vec::new())) };
        disk.check_format(fresh)?;
        Ok(disk)
    }

    fn check_format(&self, fresh: bool) -> Result<(), Error> {
        let found = self.db.get(keys::FORMAT_KEY).map_err(|error| self.error(error))?;
        let Some(value) = found else {
            if !fresh {
                return Err(Error::damaged(&self.path, "sled recovered nothing from its log"));
            }
            self.db.insert(keys::FORMAT_KEY, keys::encode_format(keys::FORMAT)).map_err(|error| self.error(error))?;
            self.db.flush().map_err(|error| self.error(error))?;
            self.file.sync_all().map_err(|source| Error::from_io(&self.path, source))?;
            for dir in [&self.path, &self.path.join("blobs")] {
                files::sync_dir(dir)?;
            }
            return Ok(());
        };
        match keys::open(keys::FORMAT_KEY, &value).and_then(keys::decode_format) {
            Some(found) if found > keys::FORMAT => {
                Err(Error::Newer { path: self.path.clone(), found, known: keys::FORMAT })
            }
            Some(_) => Ok(()),
            None => Err(Error::damaged(&self.path, "the checksum of its format's version does not match")),
        }
    }

    /// The directory, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// For readers.
    pub(crate) fn tree(&self) -> sled::Tree {
        sled::Tree::clone(&self.db)
    }

    /// Applies a batch atomically. Not durable before [`Disk::sync`].
    pub(crate) fn write(&mut self, batch: sled::Batch) -> io::Result<()> {
        if let Some((_, batches)) = &mut self.withheld {
            batches.push(batch);
            return Ok(());
        }
        self.db.apply_batch(batch).map_err(io::Error::from)
    }

    /// Makes everything that was written durable. An error is final.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if let Some((delay, batches)) = &mut self.withheld {
            pause(*delay);
            for batch in batches.drain(..) {
                self.db.apply_batch(batch)?;
            }
        }
        self.db.flush()?;
        // sled's flush ends in sync_file_range, which neither writes the file's metadata nor empties the drive's cache.
        self.file.sync_data()
    }

    /// Makes what was written visible to readers: in a store that withholds, only a sync does.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        match &self.withheld {
            Some((_, batches)) if !batches.is_empty() => self.sync(),
            _ => Ok(()),
        }
    }

    fn error(&self, error: sled::Error) -> Error {
        sort(&self.path, error)
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

fn open_sled(path: &Path, cache_bytes: u64) -> Result<sled::Db, Error> {
    let config = sled::Config::new()
        .path(path)
        .cache_capacity(cache_bytes)
        .segment_size(keys::SEGMENT_BYTES)
        .mode(sled::Mode::HighThroughput)
        // The periodic flusher is also the only one that reclaims space.
        .flush_every_ms(Some(500))
        .use_compression(false);
    // sled asserts where it should report: a damaged file can make its recovery panic. Where panics unwind (tests,
    // development) that becomes an error; in release the process ends with sled's message.
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(opened) => opened.map_err(|error| sort(path, error)),
        Err(panic) => {
            let why = panic.downcast_ref::<String>().map(String::as_str);
            let why = why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
            Err(Error::damaged(path, format!("sled gave up on it: {why}")))
        }
    }
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

/// Holds the log thread up: the moment in which a power cut would take what waits for its sync.
fn pause(delay: Duration) {
    let nobody = Mutex::new(());
    Condvar::new().wait_for(&mut nobody.lock(), delay);
}
