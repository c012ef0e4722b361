//! What a command leaves behind besides its reply.

use crate::collection::Collection;
use crate::database::Database;

/// Freeing a value of at least this many bytes would take long in the middle of apply.
pub(crate) const DISCARD_BYTES_MIN: usize = 64 * 1024;

/// What happened since the effects were last taken. Collecting them allocates nothing unless somebody listens or
/// something big was discarded.
#[derive(Default)]
pub struct Effects {
    /// Whether anything changed, and so a revision was drawn.
    pub changed: bool,
    /// How many keys were removed because they were due.
    pub expired_count: usize,
    /// How many fields of hashes were removed because they were due.
    pub expired_fields_count: usize,
    /// The keys that were changed, removed or created, in order, possibly more than once. Empty unless
    /// [`crate::Keyspace::listen`] asked for them.
    pub touched: Vec<TouchedKey>,
    /// Big values that nothing refers to any more, for another thread to drop.
    pub discarded: Vec<Collection>,
    /// Two databases have exchanged their keys.
    pub swapped: bool,
    /// Databases that were emptied, for another thread to drop.
    pub flushed: Vec<Box<Database>>,
}

/// A key that a command changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TouchedKey {
    /// The key's database.
    pub database: usize,
    /// Its name.
    pub key: Box<[u8]>,
}
