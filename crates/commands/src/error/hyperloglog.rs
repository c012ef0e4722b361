//! What HyperLogLogs refuse.

use std::fmt;

/// Why a command on HyperLogLogs failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HyperLogLogError {
    /// PFDEBUG of a key that is not there.
    NoSuchKey,
    /// PFDEBUG DECODE of a dense one.
    NotSparse,
    /// PFDEBUG SIMD of anything but ON and OFF.
    NeitherOnNorOff,
    /// PFDEBUG of something else; what.
    UnknownSubcommand(String),
    /// PFSELFTEST: the two encodings count differently.
    EncodingsDisagree,
    /// PFSELFTEST: the estimate is not near the truth.
    TooFarOff {
        /// How many elements were added.
        number: u64,
        /// By how many the estimate is wrong.
        error: u64,
    },
}

impl HyperLogLogError {
    /// As its line can show it: line breaks would end it.
    pub(crate) fn unknown_subcommand(name: &[u8]) -> Self {
        Self::UnknownSubcommand(String::from_utf8_lossy(name).replace(['\r', '\n'], " "))
    }
}

impl fmt::Display for HyperLogLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchKey => f.write_str("ERR The specified key does not exist"),
            Self::NotSparse => f.write_str("ERR HLL encoding is not sparse"),
            Self::NeitherOnNorOff => f.write_str("ERR Argument must be ON or OFF"),
            Self::UnknownSubcommand(name) => write!(f, "ERR Unknown PFDEBUG subcommand '{name}'"),
            Self::EncodingsDisagree => f.write_str("ERR TESTFAILED dense/sparse disagree"),
            Self::TooFarOff { number, error } => {
                write!(f, "ERR TESTFAILED Too big error. card:{number} abserr:{error}")
            }
        }
    }
}
