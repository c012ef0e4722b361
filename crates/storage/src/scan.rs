//! Reads and verifies the tree: all of it at the start, a range of entries later.

use std::collections::BTreeMap;
use std::io;

use bytes::{Bytes, BytesMut};
use raft::{GroupId, LogId, StoredEntry};

use crate::Error;
use crate::disk::{self, Disk};
use crate::group::GroupState;
use crate::keys::{self, Kind};
use crate::marks::Marks;

/// A group's state, or why it cannot be used. One damaged group does not hinder the others.
pub(crate) type Scanned = Result<GroupState, String>;

/// Reads everything: marks first, then each entry's parts in order, and compares with what was durable.
pub(crate) fn scan(disk: &Disk, marks: &Marks) -> Result<BTreeMap<GroupId, Scanned>, Error> {
    let mut groups = BTreeMap::new();
    for kind in Kind::MARKS {
        scan_marks(disk, kind, &mut groups)?;
    }
    scan_entries(disk, &mut groups)?;
    for (group, mark) in &marks.groups {
        let scanned = groups.entry(*group).or_insert_with(|| Ok(GroupState::default()));
        let Ok(state) = scanned else { continue };
        state.is_unsure = mark.is_unsure;
        if let Err(why) = state.check(mark) {
            *scanned = Err(format!("by {}, {why}", marks.path().display()));
        }
    }
    Ok(groups)
}

fn scan_marks(disk: &Disk, kind: Kind, groups: &mut BTreeMap<GroupId, Scanned>) -> Result<(), Error> {
    for item in disk.tree().scan_prefix([kind.byte()]) {
        let (key, value) = item.map_err(|error| disk::sort(disk.path(), error))?;
        let Some(group) = keys::group_of(&key) else {
            return Err(Error::damaged(disk.path(), format!("it holds a key that nobody wrote: {key:?}")));
        };
        let scanned = groups.entry(group).or_insert_with(|| Ok(GroupState::default()));
        if let Ok(state) = scanned {
            let body = keys::open(&key, &value);
            if body.and_then(|body| state.restore_mark(kind, body)).is_none() {
                *scanned = Err(format!("the checksum of its {kind:?} mark does not match"));
            }
        }
    }
    Ok(())
}

fn scan_entries(disk: &Disk, groups: &mut BTreeMap<GroupId, Scanned>) -> Result<(), Error> {
    let mut open: Option<(GroupId, Parts)> = None;
    for item in disk.tree().scan_prefix([Kind::Entry.byte()]) {
        let (key, value) = item.map_err(|error| disk::sort(disk.path(), error))?;
        let (Some(group), Some((index, part))) = (keys::group_of(&key), keys::index_and_part(&key)) else {
            return Err(Error::damaged(disk.path(), format!("it holds a key that nobody wrote: {key:?}")));
        };
        if let Some((unfinished, parts)) = open.take_if(|(at, parts)| *at != group || parts.index != index) {
            let why = format!("entry {} ends after part {}", parts.index, parts.next);
            fail(groups, unfinished, why);
        }
        let Ok(state) = groups.entry(group).or_insert_with(|| Ok(GroupState::default())) else { continue };
        let parts = &mut open.get_or_insert_with(|| (group, Parts::new(index))).1;
        let finished = parts.push(&key, part, &value, false).and_then(|done| {
            let parts = if done { open.take().map(|(_, parts)| parts) } else { None };
            parts.map_or(Ok(()), |parts| state.restore_entry(parts.id(), parts.next))
        });
        if let Err(why) = finished {
            open = None;
            fail(groups, group, why);
        }
    }
    if let Some((group, parts)) = open {
        fail(groups, group, format!("entry {} ends after part {}", parts.index, parts.next));
    }
    Ok(())
}

fn fail(groups: &mut BTreeMap<GroupId, Scanned>, group: GroupId, why: String) {
    groups.insert(group, Err(why));
}

/// Reads entries `from..to`, as many as fit in `max_bytes`, at least one.
pub(crate) fn read(
    tree: &sled::Tree,
    group: GroupId,
    from: u64,
    to: u64,
    max_bytes: usize,
) -> io::Result<Vec<StoredEntry>> {
    let damaged = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("the log of group {group}: {why}"));
    let mut entries = Vec::new();
    let mut open: Option<Parts> = None;
    let (mut next, mut taken) = (from, 0);
    for item in tree.range(keys::entry_key(group, from, 0)..keys::entry_key(group, to, 0)) {
        let (key, value) = item?;
        let Some((index, part)) = keys::index_and_part(&key) else {
            return Err(damaged(format!("it holds a key that nobody wrote: {key:?}")));
        };
        if index != next {
            return Err(damaged(format!("entry {next} is not there")));
        }
        let parts = open.get_or_insert_with(|| Parts::new(index));
        if part == 0 && !entries.is_empty() && taken + keys::announced_length(&value) > max_bytes {
            return Ok(entries);
        }
        if parts.push(&key, part, &value, true).map_err(damaged)?
            && let Some(parts) = open.take()
        {
            taken += parts.bytes.len();
            next += 1;
            entries.push(StoredEntry { id: parts.id(), bytes: parts.into_bytes() });
        }
    }
    match open {
        Some(parts) => Err(damaged(format!("entry {} ends after part {}", parts.index, parts.next))),
        None => Ok(entries),
    }
}

/// An entry whose parts are being read.
struct Parts {
    index: u64,
    term: u64,
    length: usize,
    seen: usize,
    next: u32,
    bytes: BytesMut,
}

impl Parts {
    fn new(index: u64) -> Self {
        Self { index, term: 0, length: 0, seen: 0, next: 0, bytes: BytesMut::new() }
    }

    fn id(&self) -> LogId {
        LogId { term: self.term, index: self.index }
    }

    fn into_bytes(self) -> Bytes {
        self.bytes.freeze()
    }

    /// Takes the next part; whether it was the last one.
    fn push(&mut self, key: &[u8], part: u32, value: &[u8], keep: bool) -> Result<bool, String> {
        if part != self.next {
            return Err(format!("entry {} lacks part {}", self.index, self.next));
        }
        let body =
            keys::open(key, value).ok_or_else(|| format!("the checksum of entry {} does not match", self.index))?;
        let bytes = if part == 0 {
            let (term, length, bytes) =
                keys::decode_first(body).ok_or_else(|| format!("entry {} has no head", self.index))?;
            (self.term, self.length) = (term, length);
            bytes
        } else {
            body
        };
        self.next += 1;
        self.seen += bytes.len();
        if keep {
            self.bytes.extend_from_slice(bytes);
        }
        if self.seen > self.length {
            return Err(format!("entry {} is longer than it says", self.index));
        }
        if part > 0 && bytes.is_empty() {
            return Err(format!("part {part} of entry {} is empty", self.index));
        }
        Ok(self.seen == self.length)
    }
}
