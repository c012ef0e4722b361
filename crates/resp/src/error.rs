//! What a client did wrong with the protocol itself. The connection answers with the error and closes.

use std::fmt;

/// The bytes are no command. The reader is out of step with the client from here on, so the only sound reaction
/// is [`Reply::protocol_error`](crate::Reply::protocol_error), then close.
///
/// Displayed as Redis words it, with the leading `ERR ` and without the `-` and the line end (a quoted byte that
/// cannot stand in text is shown escaped, which the reply does not do).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// An inline command has no line end within [`Limits::inline_max_bytes`](crate::Limits::inline_max_bytes).
    InlineTooBig,
    /// The line that gives the number of arguments has no end within that bound.
    CountLineTooBig,
    /// The line that gives an argument's length has no end within that bound.
    BulkLineTooBig,
    /// The number of arguments is not a number, or too large.
    InvalidCount,
    /// An argument's length is not a number, negative, or too large.
    InvalidBulkLength,
    /// A client that has not authenticated announces more than 10 arguments.
    UnauthenticatedCount,
    /// A client that has not authenticated announces an argument of more than 16384 bytes.
    UnauthenticatedBulkLength,
    /// An argument begins with this byte where `$` must stand.
    ExpectedBulk(u8),
    /// A line or an argument does not end in CR LF.
    InvalidLineEnd,
    /// A quote of an inline command is not closed, or something other than space follows where it closes.
    UnbalancedQuotes,
}

impl ProtocolError {
    /// The error's line as bytes: as displayed, but with the client's own byte where one is quoted.
    pub(crate) fn line(self) -> Vec<u8> {
        match self {
            Self::ExpectedBulk(byte) => [b"ERR Protocol error: expected '$', got '", &[byte][..], b"'"].concat(),
            _ => self.to_string().into_bytes(),
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ERR Protocol error: ")?;
        f.write_str(match self {
            Self::InlineTooBig => "too big inline request",
            Self::CountLineTooBig => "too big mbulk count string",
            Self::BulkLineTooBig => "too big bulk count string",
            Self::InvalidCount => "invalid multibulk length",
            Self::InvalidBulkLength => "invalid bulk length",
            Self::UnauthenticatedCount => "unauthenticated multibulk length",
            Self::UnauthenticatedBulkLength => "unauthenticated bulk length",
            Self::ExpectedBulk(b'\r' | b'\n') => "expected '$', got ' '",
            Self::ExpectedBulk(byte) => return write!(f, "expected '$', got '{}'", byte.escape_ascii()),
            Self::InvalidLineEnd => "invalid CRLF in request",
            Self::UnbalancedQuotes => "unbalanced quotes in request",
        })
    }
}

impl std::error::Error for ProtocolError {}
