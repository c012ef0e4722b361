//! What strings refuse.

use std::fmt;

/// Why a command on strings failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringError {
    /// SETRANGE with a negative offset.
    OffsetOutOfRange,
    /// DECRBY by the one number that has no opposite.
    DecrementOverflow,
    /// LCS with both LEN and IDX.
    LcsLenAndIdx,
    /// LCS of what are not strings.
    LcsNotStrings,
    /// LCS of strings whose table would not fit into memory.
    LcsTooLong,
    /// The operand of IFDEQ or IFDNE is no digest.
    InvalidDigest,
    /// DELEX with a condition that there is not.
    InvalidCondition,
    /// DELEX with a condition on a key that holds no string.
    ConditionOnNoString,
    /// MSETEX of a number of keys that is none, or not positive.
    InvalidKeyCount,
    /// A number of INCREX is not an integer; its name.
    NumberNotInteger(&'static str),
    /// A number of INCREX is not a number; its name.
    NumberNotFloat(&'static str),
    /// The lower bound of INCREX lies above the upper.
    BoundsCrossed,
    /// INCREX with ENX and without a deadline.
    FirstDeadlineOfNone,
    /// What INCREX would have added does not fit into 64 bits.
    AddedTooMuch,
    /// What INCREX would have added is infinite.
    AddedInfinity,
}

impl fmt::Display for StringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OffsetOutOfRange => "ERR offset is out of range",
            Self::DecrementOverflow => "ERR decrement would overflow",
            Self::LcsLenAndIdx => "ERR If you want both the length and indexes, please just use IDX.",
            Self::LcsNotStrings => "ERR The specified keys must contain string values",
            Self::LcsTooLong => "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
            Self::InvalidDigest => "ERR must be exactly 16 hexadecimal characters",
            Self::InvalidCondition => "ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE",
            Self::ConditionOnNoString => "ERR Key should be of string type if conditions are specified",
            Self::InvalidKeyCount => "ERR invalid numkeys value or out of range",
            Self::NumberNotInteger(name) => return write!(f, "ERR {name} is not an integer or out of range"),
            Self::NumberNotFloat(name) => return write!(f, "ERR {name} is not a valid float"),
            Self::BoundsCrossed => "ERR LBOUND can't be greater than UBOUND",
            Self::FirstDeadlineOfNone => "ERR ENX flag requires an expiration",
            Self::AddedTooMuch => "ERR applied increment would overflow",
            Self::AddedInfinity => "ERR applied increment would be Infinity",
        })
    }
}
