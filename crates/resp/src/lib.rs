//! RESP2 and RESP3, the protocol of Redis clients, as functions of bytes.
//!
//! Inwards, [`RequestDecoder`] finds commands in a connection's read buffer and shows each as [`Arguments`] that
//! borrow it; [`parse_stored`] shows a command out of a log entry the same way. Outwards, replies are written into
//! [`Reply`], an encoder over a growable buffer. Nothing here builds a tree of a request or a reply, but for
//! [`Value`], which tests, tools and simulated clients read replies into.
//!
//! The crate reads no socket, knows no command and formats no float. What it must bound it is told by [`Limits`].
//! Where Redis 7 and Valkey 9 read requests differently, the stricter one is followed: every line and every
//! argument ends in CR LF (Valkey), and a closing quote of an inline command ends its argument (Redis).
//! Bounds hold wherever the reads cut: a line too long is refused even if its end came in the same read, and
//! [`Limits::args_max`] is a limit for the authenticated too, whom they allow two thousand million arguments.
//! One thing is wider than both: a NUL byte in an inline command is an ordinary byte, where they stop reading.
//!
//! Invariant: the bytes of a decoded command, [`Arguments::raw`], are one complete array of bulk strings in its
//! only spelling: exactly what [`write_command`] makes of the same arguments. They go into the log as they are.
#![warn(clippy::cast_possible_truncation)]

mod arguments;
mod decoder;
mod error;
mod inline;
mod number;
mod reply;
mod skip;
mod value;

pub use arguments::{ArgumentRanges, Arguments, MalformedCommand, parse_stored, write_command};
pub use decoder::{Decoded, Limits, RequestDecoder};
pub use error::ProtocolError;
pub use number::Decimal;
pub use reply::{Deferred, Mark, Protocol, Reply};
pub use skip::skip_value;
pub use value::{MalformedReply, Value, parse_reply};

#[cfg(test)]
mod properties;
