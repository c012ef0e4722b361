//! What keeps bytes from being read.

use std::fmt;

/// Why bytes are no value, or no snapshot. Nothing was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bytes break a rule, which the text names: they are damaged, or were never what they are taken for.
    Malformed(&'static str),
    /// A newer program wrote them: this one must not guess.
    Newer {
        /// The format of the snapshot.
        found: u32,
        /// The newest format that this program reads.
        known: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "the data is damaged: {what}"),
            Self::Newer { found, known } => {
                write!(
                    f,
                    "a newer version of Cairn wrote this: its format is {found}, this version reads up to {known}"
                )
            }
        }
    }
}

impl std::error::Error for Error {}
