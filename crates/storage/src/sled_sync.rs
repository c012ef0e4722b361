//! The thread that syncs sled, so that a file of the journal becomes free.
//!
//! It works beside the log thread: nobody's answer waits for it, unless the journal's other file is full before it is
//! done.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

#[derive(Default)]
struct State {
    is_asked: bool,
    is_closing: bool,
    failed: Option<(io::ErrorKind, String)>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A handle of the thread, which ends with it.
pub(crate) struct SledSync {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl SledSync {
    /// Starts the thread; `file` is the one that sled writes.
    pub(crate) fn start(db: sled::Db, file: Arc<File>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = crate::store::spawn("sled-sync", move || run(&theirs, &db, &file))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Asks for a sync of all that was applied before. The one before must be done.
    pub(crate) fn ask(&self) {
        let mut state = self.shared.state.lock();
        assert!(!state.is_asked, "one sync at a time");
        state.is_asked = true;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Whether the sync that was asked for is not done yet.
    pub(crate) fn is_busy(&self) -> bool {
        self.shared.state.lock().is_asked
    }

    /// The failure of a sync, which is final.
    pub(crate) fn check(&self) -> io::Result<()> {
        result(&self.shared.state.lock())
    }

    /// Waits until the sync that was asked for is done.
    pub(crate) fn wait(&self) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        while state.is_asked {
            self.shared.changed.wait(&mut state);
        }
        result(&state)
    }
}

impl Drop for SledSync {
    fn drop(&mut self) {
        self.shared.state.lock().is_closing = true;
        self.shared.changed.notify_all();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that syncs sled panicked");
        }
    }
}

fn result(state: &State) -> io::Result<()> {
    match &state.failed {
        Some((kind, why)) => Err(io::Error::new(*kind, why.clone())),
        None => Ok(()),
    }
}

fn run(shared: &Shared, db: &sled::Db, file: &File) {
    loop {
        let mut state = shared.state.lock();
        while !state.is_asked {
            if state.is_closing {
                return;
            }
            shared.changed.wait(&mut state);
        }
        let has_failed = state.failed.is_some();
        drop(state);
        // A failed sync is never tried again: the kernel may have dropped the pages and report success.
        let synced = if has_failed { Ok(()) } else { sync(db, file) };
        let mut state = shared.state.lock();
        if let Err(error) = synced {
            state.failed = Some((error.kind(), error.to_string()));
        }
        state.is_asked = false;
        drop(state);
        shared.changed.notify_all();
    }
}

/// Makes durable what was applied to sled.
fn sync(db: &sled::Db, file: &File) -> io::Result<()> {
    db.flush()?;
    // sled's flush ends in sync_file_range, which neither writes the file's metadata nor empties the drive's cache.
    file.sync_data()
}
