//! What the data refuses.

/// Why a change or a look at the data was refused. Nothing was changed. The Redis texts are `commands`' business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataError {
    /// The key holds another type of value.
    WrongType,
    /// The value, or the argument, is not a decimal 64-bit integer.
    NotInteger,
    /// The value, or the argument, is not a finite decimal number.
    NotFloat,
    /// The value of a field is not a decimal 64-bit integer.
    FieldNotInteger,
    /// The value of a field is not a finite decimal number.
    FieldNotFloat,
    /// The sum does not fit into 64 bits.
    Overflow,
    /// The sum would be infinite or not a number.
    NotFinite,
    /// The string would be longer than [`crate::STRING_BYTES_MAX`].
    StringTooLong,
    /// The string is no HyperLogLog.
    NotHyperLogLog,
    /// The string says that it is a HyperLogLog, and its registers make no sense.
    CorruptHyperLogLog,
    /// There is no such key.
    NoSuchKey,
    /// The index lies outside of the list.
    IndexOutOfRange,
}
