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
//! slot:  "CAIRNMRK"  version u32  generation u64  stopped u8  boot u128  count u32  length u32  records  crc u32
//! record: group u128  vote number u64  vote length u8  vote  flags u8  term u64  index u64
//! flags:  1 an entry is durable  2 appends are answered before that (`appendfsync`)  4 unsure
//! ```
//! Numbers are little-endian; `length` is that of the records, `crc` is of everything before it. `boot` is the run of the
//! machine, 0 where that is not known: what a process had written is lost with it, and not before. A log whose appends
//! were answered before they were durable is *unsure* when that run ended and the log had not been closed in order. Version 1
//! had no boot.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut, Bytes};
use raft::{GroupId, LogId};

use crate::{Error, files};

const MAGIC: &[u8; 8] = b"CAIRNMRK";
const FORMAT: u32 = 2;
const SLOT_BYTES: usize = 128 << 10;
const HEAD_BYTES: usize = 8 + 4 + 8 + 1 + 16 + 4 + 4;
const HEAD_BYTES_OF_1: usize = HEAD_BYTES - 16;

const DURABLE: u8 = 1;
const RELAXED: u8 = 2;
const UNSURE: u8 = 4;

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
    /// Entries behind `durable` may have been answered.
    pub(crate) is_relaxed: bool,
    /// Entries that were answered may be gone.
    pub(crate) is_unsure: bool,
}

/// The open file and what it holds, or will with the next [`Marks::write`].
#[derive(Debug)]
pub(crate) struct Marks {
    path: PathBuf,
    file: File,
    generation: u64,
    /// Whether the log was closed in order, with everything synced.
    pub(crate) stopped: bool,
    /// The run of the machine in which it was written.
    boot: Option<u128>,
    /// Per group.
    pub(crate) groups: BTreeMap<GroupId, Mark>,
    /// The groups that this process has written as relaxed.
    written_relaxed: BTreeSet<GroupId>,
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
        let mut marks = Self {
            path,
            file,
            generation: 0,
            stopped: true,
            boot: None,
            groups: BTreeMap::new(),
            written_relaxed: BTreeSet::new(),
        };
        marks.write()?;
        let name = || marks.file.sync_all().and_then(|()| fs::rename(&aside, &marks.path));
        name().map_err(|source| Error::from_io(&marks.path, source))?;
        marks.path.parent().map_or(Ok(()), files::sync_dir)?;
        Ok(marks)
    }

    /// Opens the file; `None` if there is none.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, Error> {
        let Some(bytes) = files::read_if_present(path)? else { return Ok(None) };
        let mut newest: Option<Held> = None;
        for slot in bytes.chunks(SLOT_BYTES) {
            match decode(slot) {
                Slot::Newer(found) => return Err(Error::Newer { path: path.to_path_buf(), found, known: FORMAT }),
                Slot::Torn => {}
                Slot::Whole(held) => {
                    if newest.as_ref().is_none_or(|newest| newest.generation < held.generation) {
                        newest = Some(held);
                    }
                }
            }
        }
        let Some(Held { generation, stopped, boot, groups }) = newest else {
            return Err(Error::damaged(path, "neither of its two slots has a good checksum"));
        };
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|source| Error::from_io(path, source))?;
        let written_relaxed = BTreeSet::new();
        Ok(Some(Self { path: path.to_path_buf(), file, generation, stopped, boot, groups, written_relaxed }))
    }

    /// The file's place, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A process begins, in this run of the machine, and everything that was found is durable.
    pub(crate) fn begin(&mut self, boot: Option<u128>) {
        let may_have_lost = !self.stopped && (boot.is_none() || boot != self.boot);
        for mark in self.groups.values_mut() {
            mark.is_unsure |= std::mem::take(&mut mark.is_relaxed) && may_have_lost;
        }
        (self.stopped, self.boot) = (false, boot);
    }

    /// A group's appends are answered before they are durable, from now on. Whether the file does not say so yet: what
    /// [`Marks::synced`] noted may be written later than the next answer is given.
    pub(crate) fn relax(&mut self, group: GroupId) -> bool {
        self.groups.entry(group).or_default().is_relaxed = true;
        !self.written_relaxed.contains(&group)
    }

    /// Everything of a group is durable by now.
    pub(crate) fn synced(&mut self, group: GroupId, mark: Mark, is_relaxed: bool) {
        self.groups.insert(group, Mark { is_relaxed, ..mark });
    }

    /// The group's log counts as whole again. Whether that is news.
    pub(crate) fn vouch(&mut self, group: GroupId) -> bool {
        self.groups.get_mut(&group).is_some_and(|mark| std::mem::take(&mut mark.is_unsure))
    }

    /// It does not any more. Whether that is news.
    pub(crate) fn doubt(&mut self, group: GroupId) -> bool {
        !std::mem::replace(&mut self.groups.entry(group).or_default().is_unsure, true)
    }

    /// Writes the slot that does not count, and syncs it: from then on it counts.
    pub(crate) fn write(&mut self) -> Result<(), Error> {
        assert!(self.groups.len() <= GROUPS_MAX, "the store takes no more groups than that");
        let generation = self.generation + 1;
        let slot = encode(generation, self.stopped, self.boot, &self.groups);
        let at = (generation % 2) * SLOT_BYTES as u64;
        self.file
            .write_all_at(&slot, at)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| Error::from_io(&self.path, source))?;
        self.generation = generation;
        self.written_relaxed =
            self.groups.iter().filter(|(_, mark)| mark.is_relaxed).map(|(&group, _)| group).collect();
        Ok(())
    }
}

fn encode(generation: u64, stopped: bool, boot: Option<u128>, groups: &BTreeMap<GroupId, Mark>) -> Vec<u8> {
    let mut records = Vec::new();
    for (group, mark) in groups {
        let durable = mark.durable.unwrap_or_default();
        records.put_u128_le(group.0);
        records.put_u64_le(mark.vote_sequence);
        records.put_u8(u8::try_from(mark.vote.len()).expect("votes have at most 64 bytes"));
        records.put_slice(&mark.vote);
        let flags = [(mark.durable.is_some(), DURABLE), (mark.is_relaxed, RELAXED), (mark.is_unsure, UNSURE)];
        records.put_u8(flags.iter().map(|&(is_set, flag)| if is_set { flag } else { 0 }).sum());
        records.put_u64_le(durable.term);
        records.put_u64_le(durable.index);
    }
    let mut slot = Vec::with_capacity(HEAD_BYTES + records.len() + 4);
    slot.put_slice(MAGIC);
    slot.put_u32_le(FORMAT);
    slot.put_u64_le(generation);
    slot.put_u8(stopped.into());
    slot.put_u128_le(boot.unwrap_or(0));
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
    Whole(Held),
}

/// What a slot says.
struct Held {
    generation: u64,
    stopped: bool,
    boot: Option<u128>,
    groups: BTreeMap<GroupId, Mark>,
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
    let (generation, stopped) = (head.get_u64_le(), head.get_u8() != 0);
    let (boot, head_bytes) = if version == 1 { (0, HEAD_BYTES_OF_1) } else { (head.get_u128_le(), HEAD_BYTES) };
    let count = head.get_u32_le();
    let end = head_bytes.saturating_add(head.get_u32_le() as usize);
    let (Some(body), Some(crc)) = (slot.get(..end), slot.get(end..end.saturating_add(4))) else { return Slot::Torn };
    if crc != crc32fast::hash(body).to_le_bytes() {
        return Slot::Torn;
    }
    match decode_records(&body[head_bytes..], count) {
        Some(groups) => Slot::Whole(Held { generation, stopped, boot: (boot != 0).then_some(boot), groups }),
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
        let flags = records.try_get_u8().ok()?;
        let is_set = |flag| flags & flag != 0;
        let id = LogId { term: records.try_get_u64_le().ok()?, index: records.try_get_u64_le().ok()? };
        let (is_relaxed, is_unsure) = (is_set(RELAXED), is_set(UNSURE));
        let mark = Mark { vote_sequence, vote, durable: is_set(DURABLE).then_some(id), is_relaxed, is_unsure };
        groups.insert(group, mark);
    }
    records.is_empty().then_some(groups)
}
