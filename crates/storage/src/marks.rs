//! The file `marks`: what the log must hold at the next start, at the least.
//!
//! sled cuts its log without a word at the first record that does not fit, and the journal ends at the first of its
//! own. So this file keeps, per group, the vote
//! and the last entry that were durable; a log that knows less is damaged. It is written in place, in two slots that
//! take turns, so that a write that was cut off leaves the other slot; nothing is answered before its write is synced.
//!
//! ```text
//! 0          128 KiB        256 KiB
//! | slot 0     | slot 1       |       the slot with the higher generation and a good checksum counts
//!
//! slot:  "CAIRNMRK"  version u32  generation u64  stopped u8  count u32  length u32  records  crc u32
//! record: group u128  vote number u64  vote length u8  vote  durable u8  term u64  index u64
//! ```
//! Numbers are little-endian; `length` is that of the records, `crc` is of everything before it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut, Bytes};
use raft::{GroupId, LogId};

use crate::{Error, files};

const MAGIC: &[u8; 8] = b"CAIRNMRK";
const FORMAT: u32 = 1;
const SLOT_BYTES: usize = 128 << 10;
const HEAD_BYTES: usize = 8 + 4 + 8 + 1 + 4 + 4;

/// The longest vote that is taken. Raft's has a term and a replica.
pub(crate) const VOTE_BYTES_MAX: usize = 64;

/// The most groups on one node. All of their marks fit in a slot.
pub(crate) const GROUPS_MAX: usize = 1000;

/// What one group's log held when it was last made durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The number of the vote, 0 for none.
    pub(crate) vote_sequence: u64,
    /// The vote.
    pub(crate) vote: Bytes,
    /// The last durable entry, or the last purged one.
    pub(crate) durable: Option<LogId>,
}

/// The open file and what it holds, or will with the next [`Marks::write`].
#[derive(Debug)]
pub(crate) struct Marks {
    path: PathBuf,
    file: File,
    generation: u64,
    /// Whether the log was closed in order, with everything synced.
    pub(crate) stopped: bool,
    /// Per group.
    pub(crate) groups: BTreeMap<GroupId, Mark>,
}

impl Marks {
    /// Creates the file, durable, with no group. It gets its name when it is whole.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let aside = path.with_extension("tmp");
        let create = || {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&aside)?;
            file.set_len(2 * SLOT_BYTES as u64)?;
            Ok(file)
        };
        let file = create().map_err(|source| Error::from_io(path, source))?;
        let path = path.to_path_buf();
        let mut marks = Self { path, file, generation: 0, stopped: true, groups: BTreeMap::new() };
        marks.write()?;
        let name = || marks.file.sync_all().and_then(|()| fs::rename(&aside, &marks.path));
        name().map_err(|source| Error::from_io(&marks.path, source))?;
        marks.path.parent().map_or(Ok(()), files::sync_dir)?;
        Ok(marks)
    }

    /// Opens the file; `None` if there is none.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, Error> {
        let Some(bytes) = files::read_if_present(path)? else { return Ok(None) };
        let mut newest: Option<(u64, bool, BTreeMap<GroupId, Mark>)> = None;
        for slot in bytes.chunks(SLOT_BYTES) {
            match decode(slot) {
                Slot::Newer(found) => return Err(Error::Newer { path: path.to_path_buf(), found, known: FORMAT }),
                Slot::Torn => {}
                Slot::Whole { generation, stopped, groups } => {
                    if newest.as_ref().is_none_or(|(held, ..)| *held < generation) {
                        newest = Some((generation, stopped, groups));
                    }
                }
            }
        }
        let Some((generation, stopped, groups)) = newest else {
            return Err(Error::damaged(path, "neither of its two slots has a good checksum"));
        };
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|source| Error::from_io(path, source))?;
        Ok(Some(Self { path: path.to_path_buf(), file, generation, stopped, groups }))
    }

    /// The file's place, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the slot that does not count, and syncs it: from then on it counts.
    pub(crate) fn write(&mut self) -> Result<(), Error> {
        assert!(self.groups.len() <= GROUPS_MAX, "the store takes no more groups than that");
        let generation = self.generation + 1;
        let slot = encode(generation, self.stopped, &self.groups);
        let at = (generation % 2) * SLOT_BYTES as u64;
        self.file
            .write_all_at(&slot, at)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| Error::from_io(&self.path, source))?;
        self.generation = generation;
        Ok(())
    }
}

fn encode(generation: u64, stopped: bool, groups: &BTreeMap<GroupId, Mark>) -> Vec<u8> {
    let mut records = Vec::new();
    for (group, mark) in groups {
        let durable = mark.durable.unwrap_or_default();
        records.put_u128_le(group.0);
        records.put_u64_le(mark.vote_sequence);
        records.put_u8(u8::try_from(mark.vote.len()).expect("votes have at most 64 bytes"));
        records.put_slice(&mark.vote);
        records.put_u8(mark.durable.is_some().into());
        records.put_u64_le(durable.term);
        records.put_u64_le(durable.index);
    }
    let mut slot = Vec::with_capacity(HEAD_BYTES + records.len() + 4);
    slot.put_slice(MAGIC);
    slot.put_u32_le(FORMAT);
    slot.put_u64_le(generation);
    slot.put_u8(stopped.into());
    slot.put_u32_le(u32::try_from(groups.len()).expect("at most 1000 groups"));
    slot.put_u32_le(u32::try_from(records.len()).expect("the records fit in a slot"));
    slot.put_slice(&records);
    slot.put_u32_le(crc32fast::hash(&slot));
    assert!(slot.len() <= SLOT_BYTES, "1000 groups with votes of 64 bytes fit in a slot");
    slot
}

/// One of the two slots.
enum Slot {
    /// Never written, or its write was cut off.
    Torn,
    Newer(u32),
    Whole {
        generation: u64,
        stopped: bool,
        groups: BTreeMap<GroupId, Mark>,
    },
}

fn decode(slot: &[u8]) -> Slot {
    let Some(mut head) = slot.get(..HEAD_BYTES) else { return Slot::Torn };
    if !head.starts_with(MAGIC) {
        return Slot::Torn;
    }
    head.advance(MAGIC.len());
    let version = head.get_u32_le();
    if version > FORMAT {
        return Slot::Newer(version);
    }
    let (generation, stopped, count) = (head.get_u64_le(), head.get_u8() != 0, head.get_u32_le());
    let end = HEAD_BYTES.saturating_add(head.get_u32_le() as usize);
    let (Some(body), Some(crc)) = (slot.get(..end), slot.get(end..end.saturating_add(4))) else { return Slot::Torn };
    if crc != crc32fast::hash(body).to_le_bytes() {
        return Slot::Torn;
    }
    match decode_records(&body[HEAD_BYTES..], count) {
        Some(groups) => Slot::Whole { generation, stopped, groups },
        None => Slot::Torn,
    }
}

fn decode_records(mut records: &[u8], count: u32) -> Option<BTreeMap<GroupId, Mark>> {
    let mut groups = BTreeMap::new();
    for _ in 0..count {
        let group = GroupId(records.try_get_u128_le().ok()?);
        let vote_sequence = records.try_get_u64_le().ok()?;
        let length = usize::from(records.try_get_u8().ok()?);
        let vote = Bytes::copy_from_slice(records.get(..length)?);
        records.advance(length);
        let present = records.try_get_u8().ok()? != 0;
        let id = LogId { term: records.try_get_u64_le().ok()?, index: records.try_get_u64_le().ok()? };
        groups.insert(group, Mark { vote_sequence, vote, durable: present.then_some(id) });
    }
    records.is_empty().then_some(groups)
}
