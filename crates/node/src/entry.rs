//! The entry: what one proposal carries through the log of a shard.
//!
//! An entry holds the commands of many connections with one context. It is written once, by the leader that
//! seals it, and read by every replica at apply; the commands are RESP arrays as the clients sent them, so the
//! log of a shard reads like an append-only file.
//!
//! ```text
//! header, 32 bytes, integers little-endian
//!   0  u8   format version, 1
//!   1  u8   kind: 0 commands, 1 settings, 2 fence
//!   2  u16  flags (none yet; a reader refuses what it does not know)
//!   4  u64  now_ms, the leader's clock, never less than in an earlier entry
//!  12  u64  seed of the entry's randomness
//!  20  u64  sequence within the leadership
//!  28  u32  number of items
//! items
//!   u8 0  a command:      u8 database, RESP array
//!   u8 1  a transaction:  u16 preconditions, u32 commands,
//!                         then each precondition: u8 database, u8 1 if present, u64 revision, u32 length, key,
//!                         then each command: u8 database, RESP array
//! settings (kind 1): each item is an RESP array of a name and a value
//! fence (kind 2): each item is an RESP array, a change of the slots that the shard serves (fence.rs)
//! ```
//!
//! What a replica cannot read stops it ([`EntryError`]): it does not guess.

use keyspace::WatchMark;
use resp::{ArgumentRanges, Arguments};

/// The format that this version writes, and the newest that it reads.
pub(crate) const FORMAT_VERSION: u8 = 1;
/// The length of the header.
pub(crate) const HEADER_BYTES: usize = 32;

const ITEM_COMMAND: u8 = 0;
const ITEM_TRANSACTION: u8 = 1;

/// What an entry is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    /// Commands of clients; without any it is a tick that moves the shard's clock.
    Commands,
    /// Settings of the shard: names and values of directives.
    Settings,
    /// Changes of the slots that the shard serves.
    Fence,
}

/// The context that all commands of an entry share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) now_ms: u64,
    pub(crate) seed: u64,
    pub(crate) sequence: u64,
    pub(crate) items: u32,
}

/// Why an entry cannot be applied. The process stops with this text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryError {
    /// Written by a newer version of Cairn.
    Newer(u8),
    /// Not something that any version wrote.
    Malformed(&'static str),
}

impl std::fmt::Display for EntryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Newer(version) => write!(
                f,
                "the log holds an entry of format {version}, this version reads up to {FORMAT_VERSION}: start a newer cairn-server"
            ),
            Self::Malformed(what) => write!(f, "the log holds an entry that cannot be read: {what}"),
        }
    }
}

/// Starts an entry's bytes: room for a header, filled in by [`seal`].
pub(crate) fn begin(bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.resize(HEADER_BYTES, 0);
}

/// Writes the header over the room that [`begin`] left.
pub(crate) fn seal(bytes: &mut [u8], header: Header) {
    assert!(bytes.len() >= HEADER_BYTES, "an entry begins with its header");
    bytes[0] = FORMAT_VERSION;
    bytes[1] = match header.kind {
        Kind::Commands => 0,
        Kind::Settings => 1,
        Kind::Fence => 2,
    };
    bytes[2..4].copy_from_slice(&[0, 0]);
    bytes[4..12].copy_from_slice(&header.now_ms.to_le_bytes());
    bytes[12..20].copy_from_slice(&header.seed.to_le_bytes());
    bytes[20..28].copy_from_slice(&header.sequence.to_le_bytes());
    bytes[28..32].copy_from_slice(&header.items.to_le_bytes());
}

/// Appends one command; `raw` is its complete RESP array.
pub(crate) fn put_command(bytes: &mut Vec<u8>, database: u8, raw: &[u8]) {
    bytes.extend_from_slice(&[ITEM_COMMAND, database]);
    bytes.extend_from_slice(raw);
}

/// A condition of a transaction: the key is as it was when it was watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Precondition {
    pub(crate) database: u8,
    pub(crate) key: Vec<u8>,
    pub(crate) mark: WatchMark,
}

/// Starts a transaction of `commands` commands; each follows by [`put_transaction_command`].
pub(crate) fn put_transaction(bytes: &mut Vec<u8>, preconditions: &[Precondition], commands: u32) {
    bytes.push(ITEM_TRANSACTION);
    let count = u16::try_from(preconditions.len()).expect("WATCH is bounded to 65535 keys a session");
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(&commands.to_le_bytes());
    for condition in preconditions {
        bytes.extend_from_slice(&[condition.database, u8::from(condition.mark.present)]);
        bytes.extend_from_slice(&condition.mark.revision.to_le_bytes());
        let length = u32::try_from(condition.key.len()).expect("a key is at most 512 MiB");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&condition.key);
    }
}

/// Appends the next command of the transaction that was started last.
pub(crate) fn put_transaction_command(bytes: &mut Vec<u8>, database: u8, raw: &[u8]) {
    bytes.push(database);
    bytes.extend_from_slice(raw);
}

/// Reads an entry item by item.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    ranges: &'a mut ArgumentRanges,
}

/// The next item of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// One command follows: [`Reader::command`].
    Command,
    /// A transaction: its preconditions, then `commands` times [`Reader::command`].
    Transaction { preconditions: Vec<PreconditionRef<'a>>, commands: u32 },
}

/// A precondition, borrowed from the entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PreconditionRef<'a> {
    pub(crate) database: u8,
    pub(crate) key: &'a [u8],
    pub(crate) mark: WatchMark,
}

impl<'a> Reader<'a> {
    /// Reads the header of `bytes`; `ranges` is scratch that is used again from entry to entry.
    pub(crate) fn open(bytes: &'a [u8], ranges: &'a mut ArgumentRanges) -> Result<(Header, Self), EntryError> {
        let header = read_header(bytes)?;
        Ok((header, Self { bytes, at: HEADER_BYTES, ranges }))
    }

    /// Reads items that have no header (yet), from their beginning.
    pub(crate) fn of_items(items: &'a [u8], ranges: &'a mut ArgumentRanges) -> Self {
        Self { bytes: items, at: 0, ranges }
    }

    /// Whether the next item is one command.
    pub(crate) fn is_at_command(&self) -> bool {
        self.rest().first() == Some(&ITEM_COMMAND)
    }

    /// The next item's head.
    pub(crate) fn item(&mut self) -> Result<Item<'a>, EntryError> {
        match self.take::<1>()?[0] {
            ITEM_COMMAND => Ok(Item::Command),
            ITEM_TRANSACTION => {
                let conditions = u16::from_le_bytes(self.take()?);
                let commands = u32::from_le_bytes(self.take()?);
                let preconditions = (0..conditions).map(|_| self.precondition()).collect::<Result<_, _>>()?;
                Ok(Item::Transaction { preconditions, commands })
            }
            _ => Err(EntryError::Malformed("an item of an unknown kind")),
        }
    }

    /// Whether the next item, of one command or of many, has at most so many arguments in all. No more than those are read.
    pub(crate) fn has_at_most(&self, arguments: usize) -> bool {
        let mut ranges = ArgumentRanges::default();
        let mut ahead = self.fork(&mut ranges);
        let commands = match ahead.item() {
            Ok(Item::Command) => 1,
            Ok(Item::Transaction { commands, .. }) => commands,
            Err(_) => return false,
        };
        let mut left = arguments;
        (0..commands).all(|_| {
            let rest = ahead.argument_count().and_then(|count| left.checked_sub(count));
            left = rest.unwrap_or(0);
            rest.is_some() && ahead.command().is_ok()
        })
    }

    /// How many arguments the next command has: told without reading them.
    fn argument_count(&self) -> Option<usize> {
        let [_, b'*', rest @ ..] = self.rest() else { return None };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
    }

    /// What was not read yet.
    pub(crate) fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// A reader of the same entry from the same place on, with scratch of its own.
    pub(crate) fn fork<'b>(&self, ranges: &'b mut ArgumentRanges) -> Reader<'b>
    where
        'a: 'b,
    {
        Reader { bytes: self.bytes, at: self.at, ranges }
    }

    /// The next command: its database and its arguments.
    pub(crate) fn command(&mut self) -> Result<(u8, Arguments<'_>), EntryError> {
        let [database] = self.take::<1>()?;
        let arguments = self.array()?;
        Ok((database, arguments))
    }

    /// The next bare RESP array (of settings).
    pub(crate) fn array(&mut self) -> Result<Arguments<'_>, EntryError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let arguments = resp::parse_stored(rest, self.ranges)
            .map_err(|_| EntryError::Malformed("a command that is no RESP array"))?;
        self.at += arguments.raw().len();
        Ok(arguments)
    }

    fn precondition(&mut self) -> Result<PreconditionRef<'a>, EntryError> {
        let [database, present] = self.take::<2>()?;
        let revision = u64::from_le_bytes(self.take()?);
        let length = u32::from_le_bytes(self.take()?) as usize;
        let key = self.bytes.get(self.at..self.at + length).ok_or(EntryError::Malformed("a cut-off key"))?;
        self.at += length;
        Ok(PreconditionRef { database, key, mark: WatchMark { present: present == 1, revision } })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], EntryError> {
        let piece = self.bytes.get(self.at..self.at + N).ok_or(EntryError::Malformed("it is cut off"))?;
        self.at += N;
        Ok(piece.try_into().expect("the slice has the length that was asked for"))
    }
}

fn read_header(bytes: &[u8]) -> Result<Header, EntryError> {
    let version = *bytes.first().ok_or(EntryError::Malformed("it is empty"))?;
    if version > FORMAT_VERSION {
        return Err(EntryError::Newer(version));
    }
    if version == 0 || bytes.len() < HEADER_BYTES {
        return Err(EntryError::Malformed("its header is cut off"));
    }
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    if bytes[2..4] != [0, 0] {
        return Err(EntryError::Malformed("flags that this version does not know"));
    }
    Ok(Header {
        kind: match bytes[1] {
            0 => Kind::Commands,
            1 => Kind::Settings,
            2 => Kind::Fence,
            _ => return Err(EntryError::Malformed("a kind that this version does not know")),
        },
        now_ms: word(4),
        seed: word(12),
        sequence: word(20),
        items: u32::from_le_bytes(bytes[28..32].try_into().expect("four bytes")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        begin(&mut bytes);
        put_command(&mut bytes, 3, b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n");
        let mark = WatchMark { present: true, revision: 77 };
        let condition = Precondition { database: 1, key: b"watched".to_vec(), mark };
        put_transaction(&mut bytes, std::slice::from_ref(&condition), 1);
        put_transaction_command(&mut bytes, 1, b"*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n");
        let header = Header { kind: Kind::Commands, now_ms: 5, seed: 6, sequence: 7, items: 2 };
        seal(&mut bytes, header);

        let mut ranges = ArgumentRanges::default();
        let (read, mut reader) = Reader::open(&bytes, &mut ranges).unwrap();
        assert_eq!(read, header);
        assert_eq!(reader.item().unwrap(), Item::Command);
        let (database, arguments) = reader.command().unwrap();
        assert_eq!((database, arguments.get(0), arguments.get(1)), (3, Some(&b"INCR"[..]), Some(&b"n"[..])));
        let expected = PreconditionRef { database: 1, key: b"watched", mark };
        assert_eq!(reader.item().unwrap(), Item::Transaction { preconditions: vec![expected], commands: 1 });
        assert_eq!(reader.command().unwrap().0, 1);
        assert!(reader.item().is_err());
    }

    #[test]
    fn every_cut_is_an_error_and_a_newer_format_is_named() {
        let mut bytes = Vec::new();
        begin(&mut bytes);
        put_command(&mut bytes, 0, b"*1\r\n$4\r\nPING\r\n");
        seal(&mut bytes, Header { kind: Kind::Commands, now_ms: 0, seed: 0, sequence: 0, items: 1 });
        for cut in 0..bytes.len() {
            let mut ranges = ArgumentRanges::default();
            let read = Reader::open(&bytes[..cut], &mut ranges)
                .and_then(|(_, mut reader)| reader.item().and_then(|_| reader.command().map(|_| ())));
            assert!(read.is_err(), "cut at {cut}");
        }
        bytes[0] = 9;
        assert_eq!(read_header(&bytes), Err(EntryError::Newer(9)));
    }
}
