//! The data of one shard replica: keys, values, encodings, deadlines, revisions, scans.
//!
//! It is a plain value: no clock, no randomness, no thread, no I/O and no default hasher. Time and seed come with each call as a
//! [`Context`], so that the same calls give the same state and the same answers on every replica. It knows neither commands
//! nor replies: refusals are a [`DataError`].
//!
//! ```text
//! Keyspace -> Database (16, on first use) -> Span (16 slots, on first use) -> Part -> Record [key | deadline | string]
//!                |  counts by slot (Fenwick)     parts by (slot, hash)        |  \-> place
//!                \  deadlines in order                                        \-> Collections
//! ```
//!
//! Invariants:
//!
//! * The order of keys is (database, slot, hash, key) wherever it shows. It depends on the shard's hash key alone, never on the
//!   history of a table.
//! * No collection in the keyspace is empty; but a stream may be without stream entries, and goes only with its key.
//! * A read (`&self`) hides what is due; a write (`&mut self`) removes it. Only writes draw revisions.
//! * Nothing outside of state shows in it: access marks, bytes and [`Effects`] are no part of the digest.
//!
//! # How a type of value is added
//!
//! A type is a module with a struct that implements [`CollectionValue`]; its variant stands in [`Collection`] and its name in
//! [`ValueType`]. Everything about keys is done here, everything about elements is a method of the value:
//!
//! ```text
//! // read:    WrongType, or None if there is no such key
//! let set: Option<&SetValue> = keyspace.read(context, key)?;
//!
//! // change what is there; look before you change: the first mutable use draws a revision
//! let Some(mut hash) = keyspace.edit::<HashValue>(context, key)? else { /* no such key */ };
//! if hash.live(context).contains(field) { hash.remove(field); }
//!
//! // change or create
//! let settings = *keyspace.settings();
//! let mut hash = keyspace.edit_or_new::<HashValue>(context, key)?;
//! hash.insert(field, value, DeadlineChange::Clear, &settings);
//! ```
//!
//! The [`Edit`] settles when it is dropped: it removes the key of an emptied collection, stamps a changed one with the command's
//! revision, books the bytes (so `allocated_bytes` must be O(1)) and hands a big discarded value to the effects. One command
//! holds one edit at a time. A result that replaces a key (SINTERSTORE) is put by [`Keyspace::put`], which an empty
//! collection turns into a removal.

#![warn(clippy::cast_possible_truncation)]

mod access;
mod big;
mod big_string;
mod bits;
mod block;
mod by_slot;
mod collection;
mod context;
mod database;
mod deadlines;
mod deletions;
mod digest;
mod edit;
mod effects;
mod error;
mod expiry;
mod fenwick;
mod fetch;
mod float;
mod frozen;
mod geo;
mod glob;
mod hash;
mod hyperloglog;
mod integer;
mod keyspace;
mod list;
pub mod listpack;
mod ordered;
mod part;
mod random;
mod record;
mod records;
mod scan;
mod set;
mod settings;
mod sorted_set;
mod span;
mod stream;
mod strings;
mod watch;

pub use access::Accesses;
pub use big_string::BigString;
pub use bits::{BitField, BitOperation, Overflow, combine_bits};
pub use collection::{Collection, CollectionValue, KeptBeside, Value, ValueType};
pub use context::{Context, DATABASE_COUNT};
pub use database::Database;
pub use deletions::{Deleted, Deletions};
pub use digest::Digest;
pub use edit::Edit;
pub use effects::{Effects, TouchedKey};
pub use error::DataError;
pub use fetch::{FETCHED_MAX, Spot};
pub use float::{Extended, Parsed, format_double, parse_double};
pub use frozen::{Frozen, FrozenKey};
pub use geo::{Found, Position, Search, Shape};
pub use glob::matches_glob;
pub use hash::{HashValue, LiveHash, Pair, PairPicker, Timed};
pub use hyperloglog::{HyperLogLog, Registers};
pub use integer::{Digits, INTEGER_BYTES_MAX, format_integer, parse_integer, parse_memory};
pub use keyspace::Keyspace;
pub use list::{ListEnd, ListValue};
pub use random::Random;
pub use scan::{SCAN_DONE, ScanPage, ScannedKey, scan_from, scan_slot};
pub use set::{Member, SetEncoding, SetValue};
pub use settings::{PackedLimits, Settings};
pub use sorted_set::SortedSetValue;
pub use stream::{
    IdempotentId, Pending, ProducerLimits, ProducerRecord, Producers, Progress, References, StreamConsumer,
    StreamEntry, StreamGroup, StreamId, StreamName, StreamValue, Trim, TrimPlan, TrimTo,
};
pub use strings::{DeadlineChange, INLINE_BYTES_MAX, STRING_BYTES_MAX, StringRef};
pub use watch::WatchMark;
