//! Small files that are replaced as a whole, and what the system has to be asked for.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::Error;

/// Replaces `path` by `bytes`: written aside, synced, renamed, directory synced. After a crash there is either the old
/// content or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let aside = path.with_extension("tmp");
    let write = || {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    write().map_err(|source| Error::from_io(path, source))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Reads a whole file; `None` if there is none.
pub(crate) fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::from_io(path, source)),
    }
}

/// Makes the names in a directory durable: those that were created, renamed and removed.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(|source| Error::from_io(dir, source))
}

/// Creates a directory and the ones above it, and makes their names durable.
pub(crate) fn create_dir(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(|source| Error::from_io(dir, source))?;
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => sync_dir(Path::new(".")),
    }
}

/// Fills `bytes` from the randomness of the operating system.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), Error> {
    let path = Path::new("/dev/urandom");
    File::open(path).and_then(|mut file| file.read_exact(bytes)).map_err(|source| Error::from_io(path, source))
}

/// Which run of the machine this is: what was written, but not synced, is there for as long as that lasts. `None` where the
/// system does not tell.
pub(crate) fn boot_id() -> Option<u128> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    u128::from_str_radix(&text.trim().replace('-', ""), 16).ok()
}

/// The bytes that this user can still write on the file system of `dir`.
///
/// # Errors
/// What the system says when `dir` is not there.
pub fn free_bytes(dir: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}
