//! What commands that wait refuse.

use std::fmt;

/// What is wrong with a time to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutError {
    /// Seconds that are no number.
    NotFloat,
    /// Milliseconds that are no integer.
    NotInteger,
    /// It lies in the past.
    Negative,
    /// It reaches behind the end of time.
    OutOfRange,
}

impl fmt::Display for TimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFloat => "ERR timeout is not a float or out of range",
            Self::NotInteger => "ERR timeout is not an integer or out of range",
            Self::Negative => "ERR timeout is negative",
            Self::OutOfRange => "ERR timeout is out of range",
        })
    }
}
