//! The journal: where a batch becomes durable, before sled has it.
//!
//! Two files of a fixed size take turns. A record is written with one write behind the last one (blocks.rs), and one
//! fdatasync makes it durable: the files are filled with zeros when they are made, so that no sync has metadata to write. A turn
//! ends when its file is full or old; its file is written again only after sled holds, synced, all that is in it.
//!
//! ```text
//! journal/0, journal/1   records back to back from 0, then zeros, or what an earlier turn left
//! record                 crc u32 | generation u64 | number u64 | length u64 | changes
//! change                 key length u8 | value length u32, all ones for a removal | key | value
//! ```
//! Numbers are little-endian, `length` is that of the changes, `crc` is of everything behind it. Records are numbered
//! without a gap for the life of the directory; sled keeps the number of the last one that it holds. A generation
//! belongs to one turn: its upper bits count the starts of the store, its lower ones the turns since. So what an
//! earlier turn left behind the end is never taken for a record, even where lengths and numbers happen to fit: a
//! number that was lost in a crash comes again only in another start.
//!
//! A file ends at the first record that does not verify: a write that was cut off. Whether something durable followed
//! is for others to tell: a gap before the other file's first record, and `marks`.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::{Error, files};

mod blocks;

const HEAD_BYTES: usize = 4 + 8 + 8 + 8;

/// The bits of a generation that count the turns of one start. What is left counts 16 million starts.
const TURN_BITS: u32 = 40;

/// The length of a value that says: the key goes.
const REMOVED: u32 = u32::MAX;

/// Changes that become durable together, with room for the head.
pub(crate) struct Record {
    bytes: Vec<u8>,
    insertion_count: usize,
    removal_count: usize,
}

impl Record {
    /// No change.
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; HEAD_BYTES], insertion_count: 0, removal_count: 0 }
    }

    /// Whether it has no change.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.len() == HEAD_BYTES
    }

    /// Sets a key. Of several changes of one key the last one counts.
    pub(crate) fn insert(&mut self, key: &[u8], value: &[u8]) {
        let length = u32::try_from(value.len()).expect("values have a few KiB");
        self.change(key, length);
        self.bytes.extend_from_slice(value);
        self.insertion_count += 1;
    }

    /// Removes a key.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.change(key, REMOVED);
        self.removal_count += 1;
    }

    fn change(&mut self, key: &[u8], length: u32) {
        self.bytes.push(u8::try_from(key.len()).expect("keys have at most 29 bytes"));
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(key);
    }

    /// How many of its changes set a key.
    pub(crate) fn insertion_count(&self) -> usize {
        self.insertion_count
    }

    /// How many of its changes are removals.
    pub(crate) fn removal_count(&self) -> usize {
        self.removal_count
    }

    /// Its changes, for [`changes`].
    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[HEAD_BYTES..]
    }

    fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn seal(&mut self, generation: u64, number: u64) {
        let length = self.body().len() as u64;
        self.bytes[4..12].copy_from_slice(&generation.to_le_bytes());
        self.bytes[12..20].copy_from_slice(&number.to_le_bytes());
        self.bytes[20..28].copy_from_slice(&length.to_le_bytes());
        let crc = crc32fast::hash(&self.bytes[4..]);
        self.bytes[..4].copy_from_slice(&crc.to_le_bytes());
    }
}

/// One change of a record: a key, and its new value, `None` for a removal.
pub(crate) type Change<'a> = (&'a [u8], Option<&'a [u8]>);

/// The changes of a record's body; ends with a `None` where they cannot be read.
pub(crate) fn changes(mut body: &[u8]) -> impl Iterator<Item = Option<Change<'_>>> {
    std::iter::from_fn(move || {
        if body.is_empty() {
            return None;
        }
        let change = split_change(body);
        body = change.map_or(&[], |(_, rest)| rest);
        Some(change.map(|(change, _)| change))
    })
}

fn split_change(body: &[u8]) -> Option<(Change<'_>, &[u8])> {
    let (key_length, rest) = body.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(usize::from(*key_length))?;
    match u32::from_le_bytes(*length) {
        REMOVED => Some(((key, None), rest)),
        length => {
            let (value, rest) = rest.split_at_checked(length as usize)?;
            Some(((key, Some(value)), rest))
        }
    }
}

/// The two files, open for writing.
pub(crate) struct Journal {
    files: [File; 2],
    /// The size of a file; one record that is longer makes its file longer for one turn.
    file_bytes: u64,
    /// The file whose turn it is, and what writes it.
    current: usize,
    writer: blocks::Writer,
    generation: u64,
    /// The number of the next record.
    next: u64,
    is_unsynced: bool,
}

impl Journal {
    /// Creates both files in `dir`, durable, without a record; what was there is lost.
    pub(crate) fn create(dir: &Path, file_bytes: u64) -> Result<(), Error> {
        files::create_dir(dir)?;
        for path in paths(dir) {
            let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path);
            let create = |file: File| {
                fill(&file, 0, file_bytes)?;
                file.sync_all()
            };
            file.and_then(create).map_err(|source| Error::from_io(&path, source))?;
        }
        files::sync_dir(dir)
    }

    /// Opens both files for the records behind number `last`. All that is in them is given up: sled has to hold it,
    /// synced, and to keep `start`, a number that no earlier call was made with.
    pub(crate) fn begin(dir: &Path, file_bytes: u64, last: u64, start: u64) -> Result<Self, Error> {
        let open = |path: PathBuf| {
            let open = || {
                let file = OpenOptions::new().write(true).open(&path)?;
                let length = file.metadata()?.len();
                if length < file_bytes {
                    fill(&file, length, file_bytes)?;
                    file.sync_all()?;
                }
                blocks::open(&path)
            };
            open().map_err(|source| Error::from_io(&path, source))
        };
        let [first, second] = paths(dir);
        let files = [open(first)?, open(second)?];
        let generation = start << TURN_BITS;
        let writer = blocks::Writer::new();
        Ok(Self { files, file_bytes, current: 0, writer, generation, next: last + 1, is_unsynced: false })
    }

    /// Where this turn's next record goes, in bytes: 0 for a turn without a record.
    pub(crate) fn at(&self) -> u64 {
        self.writer.at()
    }

    /// Whether the record has room in this turn.
    pub(crate) fn fits(&self, record: &Record) -> bool {
        self.at() == 0 || self.at() + record.bytes() <= self.file_bytes
    }

    /// Writes a record behind the last one, and returns its number. Not durable before [`Journal::sync`].
    pub(crate) fn append(&mut self, record: &mut Record) -> io::Result<u64> {
        let number = self.next;
        record.seal(self.generation, number);
        self.is_unsynced = true;
        self.writer.append(&self.files[self.current], &record.bytes)?;
        self.next += 1;
        Ok(number)
    }

    /// Makes all records durable. An error is final.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.is_unsynced {
            self.files[self.current].sync_data()?;
            self.is_unsynced = false;
        }
        Ok(())
    }

    /// Ends the turn: the next record goes to the begin of the other file. What that one has must be in sled, synced.
    pub(crate) fn turn(&mut self) -> io::Result<()> {
        // BEFORE the other file has a record: at a start, only the newer file may end too early.
        self.sync()?;
        self.current = 1 - self.current;
        self.writer.rewind();
        self.generation += 1;
        let file = &self.files[self.current];
        if file.metadata()?.len() > self.file_bytes {
            file.set_len(self.file_bytes)?;
        }
        Ok(())
    }
}

/// Hands over the records behind number `held`, in order, and returns the number of the last one there is. `held` and
/// `start` are what sled in `raft` keeps: records that it lacks follow `held` and are of that start, or it has lost more.
pub(crate) fn replay(
    dir: &Path,
    raft: &Path,
    held: u64,
    start: u64,
    mut apply: impl FnMut(u64, &[u8], &Path) -> Result<(), Error>,
) -> Result<u64, Error> {
    let mut turns = Vec::new();
    for path in paths(dir) {
        let Some(bytes) = files::read_if_present(&path)? else {
            let dir = dir.parent().unwrap_or(dir).to_path_buf();
            return Err(Error::Missing { dir, missing: path });
        };
        turns.push(Turn::read(path, bytes));
    }
    turns.sort_by_key(|turn| turn.generation);
    let mut last = held;
    for turn in turns {
        for (number, body) in turn.records {
            if number <= last {
                continue;
            }
            let name = turn.path.display();
            if turn.generation >> TURN_BITS != start {
                let why = format!("it ends before the time of {name}, whose record {number} it lacks");
                return Err(Error::damaged(raft, why));
            }
            if number != last + 1 {
                let why = format!("with the journal it ends at record {last}, but {name} goes on with {number}");
                return Err(Error::damaged(raft, why));
            }
            apply(number, &turn.bytes[body], &turn.path)?;
            last = number;
        }
    }
    Ok(last)
}

/// What one turn left in its file.
struct Turn {
    path: PathBuf,
    bytes: Vec<u8>,
    /// 0 for a file without a record.
    generation: u64,
    /// Numbers, and where the changes are.
    records: Vec<(u64, Range<usize>)>,
}

impl Turn {
    fn read(path: PathBuf, bytes: Vec<u8>) -> Self {
        let mut turn = Self { path, bytes, generation: 0, records: Vec::new() };
        let mut at = 0;
        while let Some((generation, number, body)) = record_at(&turn.bytes, at) {
            let follows = turn.records.last().is_none_or(|(last, _)| *last + 1 == number);
            if !follows || !(turn.records.is_empty() || turn.generation == generation) {
                break;
            }
            at = body.end;
            turn.generation = generation;
            turn.records.push((number, body));
        }
        turn
    }
}

/// Generation, number and place of the changes of the record at `at`; `None` if there is none that verifies.
fn record_at(bytes: &[u8], at: usize) -> Option<(u64, u64, Range<usize>)> {
    let head = bytes.get(at..)?.first_chunk::<HEAD_BYTES>()?;
    let field = |from: usize| head[from..from + 8].first_chunk::<8>().copied().map(u64::from_le_bytes);
    let (generation, number, length) = (field(4)?, field(12)?, usize::try_from(field(20)?).ok()?);
    let body = at + HEAD_BYTES..(at + HEAD_BYTES).checked_add(length)?;
    let sealed = bytes.get(at + 4..body.end)?;
    (crc32fast::hash(sealed).to_le_bytes() == head[..4]).then_some((generation, number, body))
}

/// The two files.
fn paths(dir: &Path) -> [PathBuf; 2] {
    [dir.join("0"), dir.join("1")]
}

/// Writes zeros, so that later writes find their blocks in place.
fn fill(file: &File, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; 1 << 20];
    let mut at = from;
    while at < to {
        let length = usize::try_from(to - at).map_or(zeros.len(), |left| left.min(zeros.len()));
        file.write_all_at(&zeros[..length], at)?;
        at += length as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
