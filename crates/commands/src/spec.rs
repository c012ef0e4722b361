//! The row of a command.

mod describe;
mod facts;
mod history;
mod key_use;
mod since;
mod syntax;

pub use key_use::KeyUse;

use keyspace::{Context, Keyspace};
use resp::{Arguments, Reply};

use crate::args::Args;
use crate::blocking::Waits;
use crate::cluster::ClusterCommand;
use crate::error::CommandResult;
use crate::server::NodeCommand;
use crate::session::SessionCommand;

/// A command that cannot change the keyspace.
pub type ReadFn = fn(&Keyspace, &mut Args<'_>, &Context, &mut Reply) -> CommandResult;
/// A command that may.
pub type WriteFn = fn(&mut Keyspace, &mut Args<'_>, &Context, &mut Reply) -> CommandResult;

/// Where a command runs. The type of the function is the proof of what it may touch.
#[derive(Clone, Copy)]
pub enum Handler {
    /// Runs on any replica that may serve reads. Cannot change the keyspace.
    Read(ReadFn),
    /// Becomes (part of) a log entry; runs at apply, on every replica, with the entry's context.
    Write(WriteFn),
    /// Touches only this client's session: HELLO, MULTI, ...
    Session(SessionCommand),
    /// Asks or changes the topology; answered by a face.
    Cluster(ClusterCommand),
    /// About this process: INFO, CONFIG, ...
    Node(NodeCommand),
    /// Nothing but a name in front of subcommands, which have rows of their own. [`crate::resolve`] never returns one.
    Container,
}

/// How many arguments a command takes, its name (and its subcommand's) included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// So many.
    Exactly(usize),
    /// So many, or more.
    AtLeast(usize),
}

impl Arity {
    /// Whether a command may have so many arguments.
    pub fn accepts(self, count: usize) -> bool {
        match self {
            Self::Exactly(wanted) => count == wanted,
            Self::AtLeast(least) => count >= least,
        }
    }

    /// As COMMAND INFO shows it: negative for "at least".
    pub fn to_signed(self) -> i64 {
        match self {
            Self::Exactly(count) => i64::try_from(count).unwrap_or(i64::MAX),
            Self::AtLeast(count) => i64::try_from(count).map_or(i64::MIN, |count| -count),
        }
    }

    /// The fewest arguments.
    pub fn least(self) -> usize {
        match self {
            Self::Exactly(count) | Self::AtLeast(count) => count,
        }
    }
}

/// Which arguments are keys. Places count from the command's name, which stands at 0.
#[derive(Clone, Copy)]
pub enum Keys {
    /// None.
    None,
    /// The argument at this place.
    One(usize),
    /// From `first` to `last`, every `step`. A negative `last` counts from the end: -1 is the last argument.
    Range {
        /// The first key.
        first: usize,
        /// The last key.
        last: isize,
        /// The distance from key to key.
        step: usize,
    },
    /// The argument at `count` says how many keys follow it.
    Counted {
        /// The place of the number.
        count: usize,
        /// The place of one more key in front (the destination of ZUNIONSTORE).
        also: Option<usize>,
    },
    /// One at a known place, and others that depend on options: they are found by a function, that one with them.
    OneAndFound {
        /// The place of the known key.
        first: usize,
        /// Finds all of them; `None` if the arguments make no sense.
        find: fn(Arguments<'_>) -> Option<KeyPlaces>,
    },
    /// The first half of what follows a keyword.
    Keyword {
        /// The keyword, in upper case.
        keyword: &'static str,
        /// Where COMMAND INFO says to look for it first.
        from: usize,
        /// Finds them, whatever other options are in front; `None` if the arguments make no sense.
        find: fn(Arguments<'_>) -> Option<KeyPlaces>,
    },
    /// One at a known place or, where that is empty, all that follow a keyword, which is looked for from the end but one on.
    OneOrBehind {
        /// The place of the one key.
        first: usize,
        /// The keyword, in upper case.
        keyword: &'static str,
        /// Finds them; `None` if the arguments make no sense.
        find: fn(Arguments<'_>) -> Option<KeyPlaces>,
    },
    /// The argument at this place says how many keys follow it, each in front of its value.
    CountedPairs(usize),
    /// One at a known place, and one that may follow a keyword.
    Keywords(&'static KeywordKeys),
    /// Found by a function; `None` if the arguments make no sense.
    Custom(fn(Arguments<'_>) -> Option<KeyPlaces>),
}

/// See [`Keys::Keywords`].
pub struct KeywordKeys {
    /// The place of the known key.
    pub first: usize,
    /// The keywords, in upper case.
    pub keywords: &'static [&'static str],
    /// Where COMMAND INFO says to look for them first.
    pub from: usize,
    /// Finds all keys; `None` if the arguments make no sense.
    pub find: fn(Arguments<'_>) -> Option<KeyPlaces>,
}

/// The places of a command's keys, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPlaces {
    /// One key in front of the others.
    pub also: Option<usize>,
    /// The next of the others.
    pub next: usize,
    /// Where they end, exclusively.
    pub end: usize,
    /// From key to key; positive.
    pub step: usize,
}

impl KeyPlaces {
    const NONE: Self = Self { also: None, next: 0, end: 0, step: 1 };
}

impl Iterator for KeyPlaces {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        if let Some(also) = self.also.take() {
            return Some(also);
        }
        if self.next >= self.end {
            return None;
        }
        let place = self.next;
        self.next += self.step;
        Some(place)
    }
}

/// Properties that gates and COMMAND INFO ask about, as a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// Refused when the shard is out of memory.
    pub const DENYOOM: Self = Self(1);
    /// Takes constant or logarithmic time.
    pub const FAST: Self = Self(1 << 1);
    /// In the ACL categories `@list`, `@set` and `@sortedset`, though its group is another.
    pub const COLLECTIONS: Self = Self(1 << 22);
    /// Runs while the data is loaded.
    pub const LOADING: Self = Self(1 << 2);
    /// Runs on a replica that is out of touch.
    pub const STALE: Self = Self(1 << 3);
    /// Runs without authentication.
    pub const NO_AUTH: Self = Self(1 << 4);
    /// Not for scripts.
    pub const NOSCRIPT: Self = Self(1 << 5);
    /// Not inside of MULTI.
    pub const NO_MULTI: Self = Self(1 << 6);
    /// For operators. In the ACL categories `@admin` and `@dangerous`, too.
    pub const ADMIN: Self = Self(1 << 7);
    /// May wait.
    pub const BLOCKING: Self = Self(1 << 8);
    /// Runs while a script is running for too long.
    pub const ALLOW_BUSY: Self = Self(1 << 9);
    /// In the ACL category `@dangerous`.
    pub const DANGEROUS: Self = Self(1 << 10);
    /// In the ACL category `@keyspace`, though its group is another.
    pub const KEYSPACE: Self = Self(1 << 12);
    /// In the ACL category `@connection`, though its group is another.
    pub const CONNECTION: Self = Self(1 << 17);
    /// In the ACL category `@admin`, though open to more than operators.
    pub const ADMIN_CATEGORY: Self = Self(1 << 18);
    /// About publishing and subscribing, and in the ACL category `@pubsub`.
    pub const PUBSUB: Self = Self(1 << 19);
    /// May be called without keys, though it can have some.
    pub const NO_MANDATORY_KEYS: Self = Self(1 << 20);
    /// Not shown by MONITOR.
    pub const SKIP_MONITOR: Self = Self(1 << 21);
    /// Changes data, though it is the node that runs it.
    pub const WRITES: Self = Self(1 << 24);
    /// What the log holds of it the session makes of its arguments and of what it knows itself: see [`crate::Fieldsets`].
    pub const OF_SESSION: Self = Self(1 << 23);
    /// Not while the data is loaded behind the old.
    pub const NO_ASYNC_LOADING: Self = Self(1 << 13);
    /// Where its keys stand depends on its arguments. Follows from the row's keys.
    pub(crate) const MOVABLE_KEYS: Self = Self(1 << 15);
    /// May follow ASKING in a slot that is imported.
    pub const ASKING: Self = Self(1 << 16);
    /// Not shown in the slow log.
    pub const SKIP_SLOWLOG: Self = Self(1 << 14);
    /// May be answered before earlier commands of its connection are: its reply says nothing about data.
    pub const ORDER_FREE: Self = Self(1 << 11);

    /// Whether all of these are set.
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Both sets.
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }
}

/// Everything about a command but its code.
pub struct Spec {
    /// In upper case; a subcommand's as `CONTAINER|NAME`.
    pub name: &'static str,
    /// How many arguments it takes.
    pub arity: Arity,
    /// Which of them are keys.
    pub keys: Keys,
    /// Who runs it.
    pub handler: Handler,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Its properties.
    pub flags: Flags,
    /// What it does with its keys: with the first, and so on; the last stands for all that follow. Empty: what its handler suggests.
    pub key_uses: &'static [KeyUse],
    /// What it does with its keys in one call, where the arguments decide that ([`KeyUse::VARIABLE`]).
    pub variable_use: Option<fn(Arguments<'_>) -> KeyUse>,
    /// Of a command that reads: how it runs in an entry, if it leaves something there that it has found out. What it answers is the same.
    pub leaves: Option<WriteFn>,
    /// What it waits for where it finds nothing, if it may.
    pub waits: Option<Waits>,
    /// Hints for proxies and tests, in the words of COMMAND INFO.
    pub tips: &'static [&'static str],
}

impl Spec {
    const fn new(name: &'static str, arity: Arity, keys: Keys, handler: Handler, summary: &'static str) -> Self {
        let (flags, key_uses, variable_use, leaves, waits) = (Flags(0), &[], None, None, None);
        Self { name, arity, keys, handler, summary, flags, key_uses, variable_use, leaves, waits, tips: &[] }
    }

    /// The row of a command that reads.
    pub(crate) const fn read(n: &'static str, arity: Arity, keys: Keys, f: ReadFn, summary: &'static str) -> Self {
        Self::new(n, arity, keys, Handler::Read(f), summary)
    }

    /// The row of a command that writes.
    pub(crate) const fn write(n: &'static str, arity: Arity, keys: Keys, f: WriteFn, summary: &'static str) -> Self {
        Self::new(n, arity, keys, Handler::Write(f), summary)
    }

    /// The row of a command about the session.
    pub(crate) const fn session(n: &'static str, arity: Arity, command: SessionCommand, summary: &'static str) -> Self {
        Self::new(n, arity, Keys::None, Handler::Session(command), summary)
    }

    /// The row of a command about the process.
    pub(crate) const fn node(n: &'static str, arity: Arity, command: NodeCommand, summary: &'static str) -> Self {
        Self::new(n, arity, Keys::None, Handler::Node(command), summary)
    }

    /// The row of a command about the topology.
    pub(crate) const fn cluster(n: &'static str, arity: Arity, command: ClusterCommand, summary: &'static str) -> Self {
        Self::new(n, arity, Keys::None, Handler::Cluster(command), summary)
    }

    /// The row of a name in front of subcommands.
    pub(crate) const fn container(name: &'static str, summary: &'static str) -> Self {
        Self::new(name, Arity::AtLeast(2), Keys::None, Handler::Container, summary)
    }

    /// The same row with more flags.
    pub(crate) const fn flags(mut self, flags: Flags) -> Self {
        self.flags = self.flags.with(flags);
        self
    }

    /// The same row, with keys.
    pub(crate) const fn with_keys(mut self, keys: Keys) -> Self {
        self.keys = keys;
        self
    }

    /// The same row with what it does with its keys: see [`Spec::key_uses`].
    pub(crate) const fn uses(mut self, key_uses: &'static [KeyUse]) -> Self {
        self.key_uses = key_uses;
        self
    }

    /// The same row, with keys whose use depends on the arguments: `key_use` is the most that may happen.
    pub(crate) const fn variable_use(
        mut self,
        key_use: &'static [KeyUse],
        decide: fn(Arguments<'_>) -> KeyUse,
    ) -> Self {
        self.key_uses = key_use;
        self.variable_use = Some(decide);
        self
    }

    /// The same row of a command that reads, and leaves something behind in an entry.
    pub(crate) const fn leaves(mut self, write: WriteFn) -> Self {
        self.leaves = Some(write);
        self
    }

    /// The same row of a command that may wait.
    pub(crate) const fn waits(mut self, waits: Waits) -> Self {
        self.waits = Some(waits);
        self.flags(Flags::BLOCKING)
    }

    /// The same row with tips.
    pub(crate) const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    /// It takes constant or logarithmic time.
    pub(crate) const fn fast(self) -> Self {
        self.flags(Flags::FAST)
    }

    /// It may take more memory.
    pub(crate) const fn denyoom(self) -> Self {
        self.flags(Flags::DENYOOM)
    }

    /// Whether it changes data, by the log or by what the node does with it.
    pub const fn changes_data(&self) -> bool {
        self.is_write() || self.flags.contains(Flags::WRITES)
    }

    /// Whether it is a write, and so part of the log.
    pub const fn is_write(&self) -> bool {
        matches!(self.handler, Handler::Write(_))
    }

    /// The container's name, if this is a subcommand's row.
    pub fn container_name(&self) -> Option<&'static str> {
        self.name.split_once('|').map(|(container, _)| container)
    }

    /// The places of the keys in these arguments, which have passed the arity. `None`: the arguments make no sense, so the
    /// command will fail wherever it runs.
    pub fn keys(&self, arguments: Arguments<'_>) -> Option<KeyPlaces> {
        let count = arguments.len();
        match self.keys {
            Keys::None => Some(KeyPlaces::NONE),
            Keys::One(place) => Some(KeyPlaces { also: None, next: place, end: (place + 1).min(count), step: 1 }),
            Keys::Range { first, last, step } => {
                let end = if last < 0 { count.checked_add_signed(last + 1)? } else { last.unsigned_abs() + 1 };
                Some(KeyPlaces { also: None, next: first, end: end.min(count), step })
            }
            Keys::Counted { count: at, also } => {
                let keys = usize::try_from(leading_integer(arguments.get(at)?)).ok()?;
                let end = (at + 1).checked_add(keys).filter(|&end| end <= count)?;
                Some(KeyPlaces { also, next: at + 1, end, step: 1 })
            }
            Keys::OneAndFound { find, .. }
            | Keys::Keyword { find, .. }
            | Keys::OneOrBehind { find, .. }
            | Keys::Custom(find) => find(arguments),
            Keys::CountedPairs(at) => {
                let keys = usize::try_from(leading_integer(arguments.get(at)?)).ok()?;
                let last = (at + 1).checked_add(keys.checked_sub(1)?.checked_mul(2)?).filter(|&last| last < count)?;
                Some(KeyPlaces { also: None, next: at + 1, end: last + 1, step: 2 })
            }
            Keys::Keywords(keys) => (keys.find)(arguments),
        }
    }
}

/// The number with which a text begins, as `atoi` reads it: by it Valkey finds keys, whatever the command says of the text later.
fn leading_integer(text: &[u8]) -> i32 {
    let text = text.trim_ascii_start();
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let digits = digits.iter().take_while(|digit| digit.is_ascii_digit());
    let number = digits.fold(0_i64, |number, digit| number.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    let number = if is_negative { number.saturating_neg() } else { number };
    // What is longer is cut, as there.
    let [low @ .., _, _, _, _] = number.to_le_bytes();
    i32::from_le_bytes(low)
}

#[cfg(test)]
mod tests {
    use super::leading_integer;

    #[test]
    fn counts_are_read_as_atoi_does() {
        let texts = ["1", " 1x", "+2", "-3.5", "1.5", "", "x1", "4294967297", "99999999999999999999", "-"];
        let numbers = [1, 1, 2, -3, 1, 0, 0, 1, -1, 0];
        assert_eq!(texts.map(|text| leading_integer(text.as_bytes())), numbers);
    }
}
