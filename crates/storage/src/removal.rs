//! Files that go away a piece at a time.
//!
//! While a file system gives back what a long file took, every sync waits, that of the log too: 30 to 40 ms for 150 MB (ext4 with `discard`;
//! 2 ms for a piece). So the name goes first, then the content from its end, each piece synced. Readers have a file locked, shared; what
//! is read goes away behind its last reader.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::files_thread::FilesThread;

/// What goes in one step.
const PIECE_BYTES: u64 = 4 << 20;

/// Opens a file that may be removed meanwhile; `None`: it just was. Its owner hands it to [`close`].
pub(crate) fn open(path: &Path) -> io::Result<Option<File>> {
    // For writing too: the last reader shortens what has no name any more.
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Closes a file of [`open`]'s, and gives its space back if it has no name any more and nobody else reads it.
pub(crate) fn close(file: File, thread: &FilesThread) {
    // A failure leaves it to the system, which does it all at once.
    if file.metadata().is_ok_and(|metadata| metadata.nlink() == 0) {
        give_back(file, thread);
    }
}

/// Removes a file: its name now, what it takes on the files thread, one piece after another.
pub(crate) fn remove(path: &Path, thread: &FilesThread) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    fs::remove_file(path)?;
    give_back(file, thread);
    Ok(())
}

fn give_back(file: File, thread: &FilesThread) {
    // Whoever else reads it has it locked.
    if let (Ok(metadata), Ok(())) = (file.metadata(), flock(&file, FlockOperation::NonBlockingLockExclusive)) {
        shorten(file, metadata.len(), thread);
    }
}

/// Takes a piece off a file, and leaves the next one to a later job, so that others come between.
fn shorten(file: File, length: u64, thread: &FilesThread) {
    let again = thread.clone();
    thread.run_later(move || {
        let left = length.saturating_sub(PIECE_BYTES);
        let done = file.set_len(left).and_then(|()| file.sync_data());
        if done.is_ok() && left > 0 {
            shorten(file, left, &again);
        }
    });
}
