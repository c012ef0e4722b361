//! Reads a snapshot into a new keyspace.

use std::borrow::Cow;

use keyspace::{DATABASE_COUNT, Deleted, Deletions, Digest, Keyspace, PackedLimits, Settings};

use super::{DELETED_DATABASE, DELETED_KEY, END, FORMAT, HAS_DEADLINE, IS_OF_INTEGERS, IS_PACKED, IS_RAW, KEY, MAGIC};
use crate::error::Error;
use crate::input::{Input, Read, Stop, bad};
use crate::number::read_length;
use crate::read::{ValueReader, read_inline_string};
use crate::string::read_string;
use crate::write::Shape;

const NO_KEY: &str = "a key that cannot be";

/// A snapshot on its way in. Holds the keyspace so far, and at most one element of a value, or one chunk, beside it.
#[derive(Default)]
pub struct SnapshotReader {
    /// Bytes that are not understood yet.
    rest: Vec<u8>,
    digest: Digest,
    restored: Option<Restored>,
    key_count: u64,
    key: Option<Key>,
    is_ended: bool,
}

/// What a snapshot held.
pub struct Restored {
    /// The keyspace, as it was when it was frozen.
    pub keyspace: Keyspace,
    /// What its owner had given to [`super::SnapshotWriter::new`].
    pub owner: Vec<u8>,
}

/// What stands in front of a value.
struct KeyHead<'a> {
    database: usize,
    name: Cow<'a, [u8]>,
    deadline_ms: Option<u64>,
    revision: u64,
    shape: Shape,
}

/// A key whose value is being read.
struct Key {
    database: usize,
    name: Vec<u8>,
    deadline_ms: Option<u64>,
    revision: u64,
    value: ValueReader,
}

impl SnapshotReader {
    /// Begins.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next chunk of the stream. After an error nothing more is to be asked.
    ///
    /// # Errors
    ///
    /// The bytes are no snapshot that this program can read.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Error> {
        if self.rest.is_empty() {
            let taken = self.take(chunk)?;
            self.rest.extend_from_slice(&chunk[taken..]);
            return Ok(());
        }
        self.rest.extend_from_slice(chunk);
        let mut rest = std::mem::take(&mut self.rest);
        let taken = self.take(&rest)?;
        rest.drain(..taken);
        self.rest = rest;
        Ok(())
    }

    /// Ends the stream.
    ///
    /// # Errors
    ///
    /// It ended too early.
    pub fn finish(self) -> Result<Restored, Error> {
        self.restored.filter(|_| self.is_ended).ok_or(Error::Malformed("the snapshot ends too early"))
    }

    /// Reads as much as is there, and returns how many bytes that were.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let (mut taken, mut digested) = (0, 0);
        loop {
            let mut input = Input::new(&bytes[taken..]);
            let step = if self.is_at_end(&bytes[taken..]) {
                self.digest.stream(&bytes[digested..taken]);
                digested = taken;
                self.end(&mut input)
            } else {
                self.step(&mut input)
            };
            match step {
                Ok(()) => taken += input.taken(),
                Err(Stop::Short) => break,
                Err(Stop::Bad(error)) => return Err(error),
            }
        }
        if !self.is_ended {
            self.digest.stream(&bytes[digested..taken]);
        }
        Ok(taken)
    }

    fn is_at_end(&self, bytes: &[u8]) -> bool {
        self.restored.is_some() && self.key.is_none() && (self.is_ended || bytes.first() == Some(&END))
    }

    fn step(&mut self, input: &mut Input<'_>) -> Read<()> {
        let Some(restored) = &mut self.restored else {
            self.restored = Some(read_head(input)?);
            return Ok(());
        };
        let keyspace = &mut restored.keyspace;
        let Some(key) = &mut self.key else {
            let head = read_key(input)?;
            // Most values are short strings, and there: they need nothing of their own on their way.
            let mut ahead = input.clone();
            let Ok(Some(bytes)) = read_inline_string(&mut ahead) else {
                let value = ValueReader::new(head.shape, keyspace.settings());
                let KeyHead { database, name, deadline_ms, revision, .. } = head;
                self.key = Some(Key { database, name: name.into_owned(), deadline_ms, revision, value });
                return Ok(());
            };
            *input = ahead;
            let KeyHead { database, name, deadline_ms, revision, shape } = head;
            let restored = keyspace.restore_string(database, &name, &bytes, shape.raw, deadline_ms, revision);
            self.key_count += 1;
            return if restored { Ok(()) } else { bad(NO_KEY) };
        };
        if let Some(value) = key.value.read(input)? {
            if !keyspace.restore_key(key.database, &key.name, value, key.deadline_ms, key.revision) {
                return bad(NO_KEY);
            }
            self.key_count += 1;
            self.key = None;
        }
        Ok(())
    }

    fn end(&mut self, input: &mut Input<'_>) -> Read<()> {
        if self.is_ended {
            return if input.left() == 0 { Err(Stop::Short) } else { bad("bytes behind the end of the snapshot") };
        }
        input.byte()?;
        let key_count = read_length(input)?;
        let digest_at = input.taken();
        let expected = u64::from_le_bytes(input.array()?);
        let Some(restored) = &self.restored else { return bad("a snapshot without its beginning") };
        let found: usize = (0..DATABASE_COUNT).map(|database| restored.keyspace.key_count(database)).sum();
        if key_count != self.key_count || key_count != found as u64 {
            return bad("the snapshot has not the keys that it says");
        }
        self.digest.stream(&input.behind()[..digest_at]);
        if self.digest.finish() != expected {
            return bad("the snapshot's digest is not that of its bytes");
        }
        self.is_ended = true;
        Ok(())
    }
}

fn read_head(input: &mut Input<'_>) -> Read<Restored> {
    if &input.array()? != MAGIC {
        return bad("this is no snapshot of Cairn");
    }
    let format = u32::from_le_bytes(input.array()?);
    if format > FORMAT {
        return Err(Stop::Bad(Error::Newer { found: format, known: FORMAT }));
    }
    if format < FORMAT {
        return bad("a format of before the first release");
    }
    let settings = read_settings(input)?;
    let (clock_ms, revision) = (read_length(input)?, read_length(input)?);
    let expires_actively = match input.byte()? {
        byte @ 0..=1 => byte == 1,
        _ => return bad("neither yes nor no"),
    };
    let owner = read_string(input)?.into_owned();
    let (forgotten, count) = (read_length(input)?, read_length(input)?);
    let mut deletions = Vec::new();
    for _ in 0..count {
        deletions.push(read_deletion(input)?);
    }
    let ascends = deletions.is_sorted_by_key(|deletion| deletion.0);
    if !ascends || forgotten.max(deletions.last().map_or(0, |last| last.0)) > revision {
        return bad("deletions that cannot be");
    }
    let mut keyspace = Keyspace::restore(settings, clock_ms, revision, Deletions::from_parts(forgotten, deletions));
    keyspace.set_expires_actively(expires_actively);
    Ok(Restored { keyspace, owner })
}

fn read_settings(input: &mut Input<'_>) -> Read<Settings> {
    let count = |input: &mut Input<'_>| Ok(usize::try_from(read_length(input)?).unwrap_or(usize::MAX));
    let limits = |input: &mut Input<'_>| {
        let (entries_max, value_bytes_max) = (count(input)?, count(input)?);
        Ok(PackedLimits { entries_max, value_bytes_max })
    };
    let hash_key = [u64::from_le_bytes(input.array()?), u64::from_le_bytes(input.array()?)];
    let (hash, set, sorted_set) = (limits(input)?, limits(input)?, limits(input)?);
    let set_integers_max = count(input)?;
    let list_packed_size = i64::from_le_bytes(input.array()?);
    let (stream_chunk_bytes_max, stream_chunk_entries_max) = (count(input)?, count(input)?);
    let hyperloglog_sparse_bytes_max = count(input)?;
    Ok(Settings {
        hash_key,
        hash,
        set,
        set_integers_max,
        sorted_set,
        list_packed_size,
        stream_chunk_bytes_max,
        stream_chunk_entries_max,
        hyperloglog_sparse_bytes_max,
    })
}

fn read_database(input: &mut Input<'_>) -> Read<usize> {
    let database = usize::from(input.byte()?);
    if database < DATABASE_COUNT { Ok(database) } else { bad("a database that is not there") }
}

fn read_deletion(input: &mut Input<'_>) -> Read<(u64, Deleted)> {
    let revision = read_length(input)?;
    let form = input.byte()?;
    let database = read_database(input)?;
    let deleted = match form {
        DELETED_KEY => {
            let Ok(slot) = u16::try_from(read_length(input)?) else { return bad("a slot that is not there") };
            Deleted::Key { database, slot, hash: u64::from_le_bytes(input.array()?) }
        }
        DELETED_DATABASE => Deleted::Database(database),
        _ => return bad("a deletion of an unknown form"),
    };
    Ok((revision, deleted))
}

fn read_key<'a>(input: &mut Input<'a>) -> Read<KeyHead<'a>> {
    if input.byte()? != KEY {
        return bad("neither a key nor the end");
    }
    let database = read_database(input)?;
    let flags = input.byte()?;
    if flags & !(HAS_DEADLINE | IS_RAW | IS_PACKED | IS_OF_INTEGERS) != 0 {
        return bad("a key with unknown flags");
    }
    let revision = read_length(input)?;
    let deadline_ms = if flags & HAS_DEADLINE == 0 { None } else { Some(read_length(input)?) };
    let name = read_string(input)?;
    let is = |flag: u8| flags & flag != 0;
    let shape = Shape { raw: is(IS_RAW), packed: is(IS_PACKED), integers: is(IS_OF_INTEGERS) };
    Ok(KeyHead { database, name, deadline_ms, revision, shape })
}
