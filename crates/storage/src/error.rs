//! What can be wrong with a data directory, by what its owner has to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a data directory cannot be used. The text names the file, says why, and what to do.
#[derive(Debug)]
pub enum Error {
    /// Another process works in this directory.
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The user that runs this process may not write there, or the file system is mounted read-only.
    NotWritable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk, or this user's share of it, is full.
    Full {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A newer version wrote this. Nothing is damaged and nothing is guessed.
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of the format that was found.
        found: u32,
        /// The newest version that this binary reads.
        known: u32,
    },
    /// A part of the directory is not there: most likely a volume that was not mounted. Not damage.
    Missing {
        /// The directory.
        dir: PathBuf,
        /// What is not there.
        missing: PathBuf,
    },
    /// The file holds less than it did, or something else than was written.
    Damaged {
        /// The file or directory.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// Any other refusal of the system.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// Sorts what the system said about `path` by what the user has to do.
    pub(crate) fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::NotWritable { path, source },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, source },
            _ => Self::Io { path, source },
        }
    }

    /// Damage of `path`.
    pub(crate) fn damaged(path: &Path, why: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_path_buf(), why: why.into() }
    }

    /// Whether this is damage: the only case in which a replica may be set aside and replaced.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { dir } => write!(
                f,
                "another process holds the data directory {}: stop it, or give this one a `dir` of its own",
                dir.display()
            ),
            Self::NotWritable { path, source } => write!(
                f,
                "cannot write {}: {source}; give the user that runs the server write access, or choose another `dir`",
                path.display()
            ),
            Self::Full { path, source } => {
                write!(f, "cannot write {}: {source}; free some space there, or choose another `dir`", path.display())
            }
            Self::Newer { path, found, known } => write!(
                f,
                "{} was written by a newer version (format {found}, this one reads up to {known}): start that version; \
                 nothing was changed",
                path.display()
            ),
            Self::Missing { dir, missing } => write!(
                f,
                "the data directory {} was used before, but {} is not there: mount the volume that holds it; if the data \
                 is gone for good, start with an empty `dir`, so that the node joins as a new one",
                dir.display(),
                missing.display()
            ),
            Self::Damaged { path, why } => write!(
                f,
                "{} is damaged: {why}; keep the directory for inspection, start with an empty `dir` and let the other \
                 voters bring this node level; never start on an older copy of it",
                path.display()
            ),
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotWritable { source, .. } | Self::Full { source, .. } | Self::Io { source, .. } => Some(source),
            Self::Locked { .. } | Self::Newer { .. } | Self::Missing { .. } | Self::Damaged { .. } => None,
        }
    }
}

/// Across the seam an error is an `io::Error` that carries this one: damage as `InvalidData`.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Locked { .. } => io::ErrorKind::WouldBlock,
            Error::NotWritable { source, .. } | Error::Full { source, .. } | Error::Io { source, .. } => source.kind(),
            Error::Newer { .. } => io::ErrorKind::Unsupported,
            Error::Missing { .. } => io::ErrorKind::NotFound,
            Error::Damaged { .. } => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
