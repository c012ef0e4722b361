//! Values as Redis's RDB writes them, and snapshots of a keyspace made of them.
//!
//! Bytes in, bytes out: no file, no checksum of a file, no command. Reading is total: whatever the bytes are, the answer is a value or an
//! [`Error`], and what is held on the way is bounded by what was given.
//!
//! ```text
//! number        lengths and doubles                  string      strings, as bytes, integers or compressed (`lzf`)
//! listpack      small collections in one string      integers    sets of integers in one string
//! write, read   a value, piece by piece              snapshot    a keyspace, in chunks
//! save, load    a whole value, for other servers     payload     such a value with its footer: DUMP, RESTORE
//! ziplist, zipmap   what small collections were before Redis 7
//! ```
//!
//! What RDB says of a value is its contents in order. A snapshot must keep more, so that a replica that was restored goes on exactly as one
//! that was not: which encoding a collection has although another would do, where a list is cut into pieces, whether a string
//! counts as raw. The pieces are RDB's own nodes; the rest is a shape beside the value.

#![warn(clippy::cast_possible_truncation)]

mod error;
mod input;
mod integers;
mod listpack;
mod load;
mod lzf;
mod number;
mod payload;
mod read;
mod save;
mod snapshot;
mod stream;
mod string;
mod value_type;
mod write;
mod ziplist;
mod zipmap;

pub use error::Error;
pub use load::loaded;
pub use payload::{PayloadError, dump, dumped_bytes, restore};
pub use snapshot::{FORMAT, Restored, SnapshotReader, SnapshotWriter};
