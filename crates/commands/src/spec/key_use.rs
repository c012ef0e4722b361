//! What a command does with a key, as the key specifications of COMMAND INFO put it.

/// A set of flags. One of the first four says what happens to the key, the others what happens to its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUse(u16);

/// The names of the bits, in the order in which Redis shows them.
const NAMES: [&str; 11] =
    ["RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags"];

impl KeyUse {
    /// Read only.
    pub const RO: Self = Self(1);
    /// Read and written: the outcome depends on what was there.
    pub const RW: Self = Self(1 << 1);
    /// Overwritten, whatever was there.
    pub const OW: Self = Self(1 << 2);
    /// Removed.
    pub const RM: Self = Self(1 << 3);
    /// Its data is returned, copied or used.
    pub const ACCESS: Self = Self(1 << 4);
    /// Its data is changed.
    pub const UPDATE: Self = Self(1 << 5);
    /// Data is added to it, none is changed.
    pub const INSERT: Self = Self(1 << 6);
    /// Data is removed from it.
    pub const DELETE: Self = Self(1 << 7);
    /// There may be keys that are not found this way.
    pub const INCOMPLETE: Self = Self(1 << 9);
    /// The arguments decide which of these hold.
    pub const VARIABLE: Self = Self(1 << 10);

    /// Only asked about, not read: EXISTS, TYPE, STRLEN.
    pub const LOOK: Self = Self::RO;
    /// Read: GET. What a read does unless its row says otherwise.
    pub const READ: Self = Self::RO.with(Self::ACCESS);
    /// Changed: EXPIRE. What a write does unless its row says otherwise.
    pub const CHANGE: Self = Self::RW.with(Self::UPDATE);
    /// Read and changed: INCR.
    pub const READ_AND_CHANGE: Self = Self::CHANGE.with(Self::ACCESS);
    /// Added to: APPEND, SADD.
    pub const ADD: Self = Self::RW.with(Self::INSERT);
    /// Read and taken out: GETDEL, LPOP.
    pub const TAKE: Self = Self::RW.with(Self::ACCESS).with(Self::DELETE);
    /// Taken out without being read: SREM.
    pub const TAKE_AWAY: Self = Self::RW.with(Self::DELETE);
    /// Set, whatever was there: SETEX, the destination of SUNIONSTORE.
    pub const OVERWRITE: Self = Self::OW.with(Self::UPDATE);
    /// Set if it was not there: SETNX.
    pub const CREATE: Self = Self::OW.with(Self::INSERT);
    /// Removed: DEL.
    pub const REMOVE: Self = Self::RM.with(Self::DELETE);

    /// Both sets.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The same, once the arguments are known.
    pub const fn decided(self) -> Self {
        Self(self.0 & !Self::VARIABLE.0)
    }

    /// Whether all of these are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether data may be added to the key, so that one who waits for some may be served.
    pub const fn may_add(self) -> bool {
        self.contains(Self::INSERT) || self.contains(Self::UPDATE)
    }

    /// The flags' names.
    pub fn names(self) -> impl Iterator<Item = &'static str> + Clone {
        NAMES.iter().enumerate().filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, name)| *name)
    }
}
