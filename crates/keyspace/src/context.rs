//! What a command is told about the world: database, time and seed. Nothing else from outside reaches the data.

use std::cell::{Cell, RefCell};

/// The number of databases of a keyspace (`SELECT 0` to `SELECT 15`).
pub const DATABASE_COUNT: usize = 16;

/// The circumstances of one command.
///
/// A write runs at apply with the values of its entry: [`Context::of_entry`]. A read on the leader runs between entries:
/// [`Context::of_read`]. A follower that serves stale reads passes the later of its two clocks as both.
#[derive(Clone, Debug)]
pub struct Context {
    /// The selected database, below [`DATABASE_COUNT`].
    pub database: usize,
    /// The log clock, in ms since 1970: what is due by it is gone.
    pub now_ms: u64,
    /// The wall clock of a reading leader, in ms since 1970; never before `now_ms`. Equal to it in an entry.
    pub wall_ms: u64,
    /// The source of every random choice of the command.
    pub seed: u64,
    /// Set by a read that met a key whose deadline lies in (`now_ms`, `wall_ms`]. Its reply must not be sent: the read is to
    /// ride in the next entry, so that the key expires for everybody at once.
    pub met_deadline: Cell<bool>,
    /// Set by a read that would leave something behind if it were a command of an entry: there it does.
    pub leaves: Cell<bool>,
    /// Keys that were met though they are due, where nothing else removes them: see [`crate::Keyspace::expires_actively`].
    pub(crate) met_due: RefCell<Vec<Box<[u8]>>>,
    /// Keys that were looked for to be read, and found.
    pub hits: Cell<u32>,
    /// Keys that were looked for to be read, and not found.
    pub misses: Cell<u32>,
    /// The hash of the key whose access was marked last.
    pub(crate) marked: Cell<Option<u64>>,
    /// Reads leave no marks of access: CLIENT NO-TOUCH.
    pub no_touch: bool,
}

impl Context {
    /// The context of a command of an entry.
    pub fn of_entry(database: usize, now_ms: u64, seed: u64) -> Self {
        Self::of_read(database, now_ms, now_ms, seed)
    }

    /// The context of a read between entries.
    pub fn of_read(database: usize, now_ms: u64, wall_ms: u64, seed: u64) -> Self {
        assert!(database < DATABASE_COUNT, "the session selects databases that exist");
        let (hits, misses) = (Cell::new(0), Cell::new(0));
        let (wall_ms, met_deadline) = (wall_ms.max(now_ms), Cell::new(false));
        let (leaves, met_due, marked) = (Cell::new(false), RefCell::default(), Cell::new(None));
        Self { database, now_ms, wall_ms, seed, met_deadline, leaves, met_due, hits, misses, marked, no_touch: false }
    }

    /// The same circumstances, seen from another database.
    pub fn in_database(&self, database: usize) -> Self {
        Self { no_touch: self.no_touch, ..Self::of_read(database, self.now_ms, self.wall_ms, self.seed) }
    }

    /// Whether a key with this deadline is gone. Notes in `met_deadline` that only the wall clock says so.
    pub(crate) fn is_due(&self, deadline_ms: Option<u64>) -> bool {
        let Some(deadline_ms) = deadline_ms else { return false };
        if deadline_ms > self.now_ms && deadline_ms <= self.wall_ms {
            self.met_deadline.set(true);
        }
        deadline_ms <= self.now_ms
    }
}
