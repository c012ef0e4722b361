//! A keyspace as a stream of bytes, written and read in chunks of any size.
//!
//! ```text
//! stream:     head | key key ... | end
//! head:       "CairnSnp" | format u32 | settings | clock ms | revision | expires actively u8 | owner | forgotten | count | deletion ...
//! settings:   hash key u64 u64 | limits of hash, set, sorted set | most integers | list size i64 | limits of streams | longest sparse HyperLogLog
//! owner:      a string: what the keyspace's owner keeps with it, as it likes
//! deletion:   revision | 0 | database u8 | slot | hash u64      or      revision | 1 | database u8
//! key:        1 | database u8 | flags u8 | revision | deadline ms, if flagged | name | type and value as in RDB
//! flags:      1 has a deadline   2 counts as raw   4 is packed   8 is of integers
//! end:        0 | keys | digest u64 of all bytes before it
//! ```
//!
//! Numbers without a width are RDB's lengths, names its strings; those with one are little-endian. Keys come in the keyspace's order, by
//! (database, slot, hash, key), and the elements of a value in the value's: replicas that applied the same entries write the same
//! bytes. The digest tells damage and ends too early apart from data; it is no protection against forgery.

mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::{Restored, SnapshotReader};
pub use writer::SnapshotWriter;

/// The newest format that is read, and the one that is written.
pub const FORMAT: u32 = 3;

const MAGIC: &[u8; 8] = b"CairnSnp";

const KEY: u8 = 1;
const END: u8 = 0;

const DELETED_KEY: u8 = 0;
const DELETED_DATABASE: u8 = 1;

const HAS_DEADLINE: u8 = 1;
const IS_RAW: u8 = 2;
const IS_PACKED: u8 = 4;
const IS_OF_INTEGERS: u8 = 8;
