//! What HIMPORT refuses.

use std::fmt;

/// Why HIMPORT failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashError {
    /// The session has prepared none of this name.
    NoSuchFieldset,
    /// A fieldset names a field twice.
    FieldTwice,
    /// There are more values than fields, or fewer.
    ValueCount,
    /// The session's fieldsets would take too many bytes.
    TooManyFieldsets,
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchFieldset => "ERR no such fieldset",
            Self::FieldTwice => "ERR duplicate field name in fieldset",
            Self::ValueCount => "ERR value count does not match fieldset field count",
            Self::TooManyFieldsets => "ERR the fieldsets of this client would take more than 16 MiB",
        })
    }
}
