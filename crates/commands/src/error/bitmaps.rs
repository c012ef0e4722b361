//! What bitmaps refuse.

use std::fmt;

/// Why a command on bits failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitmapError {
    /// An offset that is no integer, negative, or beyond every string.
    Offset,
    /// A bit of SETBIT that is neither 0 nor 1.
    NotABit,
    /// A bit of BITPOS that is neither 0 nor 1.
    NeitherZeroNorOne,
    /// BITOP NOT of more than one key.
    NotOfSeveral,
    /// BITOP of one key where it takes two or more; the operation.
    OperationOfOne(&'static str),
    /// The type of a BITFIELD's field is none.
    InvalidFieldType,
    /// The OVERFLOW of BITFIELD is none.
    InvalidOverflow,
    /// BITFIELD_RO is to write.
    FieldReadOnly,
}

impl fmt::Display for BitmapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Offset => "ERR bit offset is not an integer or out of range",
            Self::NotABit => "ERR bit is not an integer or out of range",
            Self::NeitherZeroNorOne => "ERR The bit argument must be 1 or 0.",
            Self::NotOfSeveral => "ERR BITOP NOT must be called with a single source key.",
            Self::OperationOfOne(name) => {
                return write!(f, "ERR BITOP {name} must be called with at least two source keys.");
            }
            Self::InvalidFieldType => {
                "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
            }
            Self::InvalidOverflow => "ERR Invalid OVERFLOW type specified",
            Self::FieldReadOnly => "ERR BITFIELD_RO only supports the GET subcommand",
        })
    }
}
