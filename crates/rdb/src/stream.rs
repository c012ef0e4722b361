//! Streams: their chunks as they are, what is counted, and the groups with what they have not acknowledged.
//!
//! ```text
//! stream:    count | chunk ... | length | last id | first id | greatest deleted id | ever added | count | group ...
//! chunk:     a string of 16 bytes: the id under which it stands | a string: its listpack
//! group:     name | last id | read | count | pending ... | count | consumer ...
//! pending:   id, 16 bytes | delivered ms, 8 bytes | deliveries
//! consumer:  name | seen ms, 8 bytes | active ms, 8 bytes | count | id, 16 bytes ...
//! ```
//!
//! Ids without a width are two lengths. Redis 7.0 writes no time of activity; before it there was neither that, nor first and deleted ids, nor what was
//! ever added or read.

use std::collections::BTreeMap;

use keyspace::{Pending, StreamConsumer, StreamGroup, StreamId, StreamName, StreamValue};

use crate::input::{Input, Read, bad};
use crate::number::{read_length, write_length};
use crate::string::{read_string, write_compressed, write_string};
use crate::value_type::{STREAM, STREAM_5, STREAM_7};

/// The parts of a stream, in the order in which they are written. A snapshot may break between them.
pub(crate) enum Piece<'a> {
    Chunk(StreamId, &'a [u8]),
    Counters(&'a StreamValue),
    Group(&'a StreamName, &'a StreamGroup),
    Pending(StreamId, &'a Pending),
    ConsumerCount(usize),
    Consumer(&'a StreamName, &'a StreamConsumer),
    Owned(StreamId),
}

/// The parts of a stream from one on. Finding it takes a step for each group in front of it.
pub(crate) fn pieces(stream: &StreamValue, from: usize) -> impl Iterator<Item = Piece<'_>> {
    let chunk_count = stream.chunk_count();
    let chunks = stream.chunks_at(from).map(|(first, listpack)| Piece::Chunk(first, listpack));
    let counters = if from <= chunk_count { Some(Piece::Counters(stream)) } else { None };
    let mut skip = from.saturating_sub(chunk_count + 1);
    let groups = stream.groups().flat_map(move |(name, group)| {
        let size = 2 + 2 * group.pending_count() + group.consumer_count();
        let skipped = skip.min(size);
        skip -= skipped;
        pieces_of_group(name, group, skipped)
    });
    chunks.chain(counters).chain(groups)
}

fn pieces_of_group<'a>(
    name: &'a StreamName,
    group: &'a StreamGroup,
    from: usize,
) -> impl Iterator<Item = Piece<'a>> + use<'a> {
    let head = if from == 0 { Some(Piece::Group(name, group)) } else { None };
    let pending = group.pending_at(from.saturating_sub(1)).map(|(id, pending)| Piece::Pending(id, pending));
    let count_at = 1 + group.pending_count();
    let count = if from <= count_at { Some(Piece::ConsumerCount(group.consumer_count())) } else { None };
    let mut skip = from.saturating_sub(count_at + 1);
    let consumers = group.consumers().flat_map(move |(name, consumer)| {
        let skipped = skip.min(1 + consumer.pending_count());
        skip -= skipped;
        let head = if skipped == 0 { Some(Piece::Consumer(name, consumer)) } else { None };
        head.into_iter().chain(consumer.pending_at(skipped.saturating_sub(1)).map(Piece::Owned))
    });
    head.into_iter().chain(pending).chain(count).chain(consumers)
}

/// Writes a part as Redis 7.2 does.
pub(crate) fn write_piece(out: &mut Vec<u8>, piece: &Piece<'_>) {
    if let Piece::Chunk(first, listpack) = piece {
        write_string(out, &first.to_bytes());
        write_length(out, listpack.len() as u64);
        return out.extend_from_slice(listpack);
    }
    write_behind_chunks(out, piece, true);
}

/// Writes a whole stream as Redis 7.0 does.
pub(crate) fn save(out: &mut Vec<u8>, stream: &StreamValue) {
    out.push(STREAM_7);
    write_length(out, stream.chunk_count() as u64);
    for piece in pieces(stream, 0) {
        match piece {
            Piece::Chunk(first, listpack) => {
                write_compressed(out, &first.to_bytes());
                write_compressed(out, listpack);
            }
            piece => write_behind_chunks(out, &piece, false),
        }
    }
}

fn write_behind_chunks(out: &mut Vec<u8>, piece: &Piece<'_>, has_activity: bool) {
    match piece {
        Piece::Chunk(..) => unreachable!("the caller writes chunks"),
        Piece::Counters(stream) => {
            write_length(out, stream.entry_count() as u64);
            write_id(out, stream.last_id());
            write_id(out, stream.first_id());
            write_id(out, stream.max_deleted_id());
            write_length(out, stream.entries_added());
            write_length(out, stream.group_count() as u64);
        }
        Piece::Group(name, group) => {
            write_string(out, name);
            write_id(out, group.last_id);
            write_length(out, group.entries_read.cast_unsigned());
            write_length(out, group.pending_count() as u64);
        }
        Piece::Pending(id, pending) => {
            out.extend_from_slice(&id.to_bytes());
            out.extend_from_slice(&pending.delivered_ms.to_le_bytes());
            write_length(out, pending.deliveries.cast_unsigned());
        }
        Piece::ConsumerCount(count) => write_length(out, *count as u64),
        Piece::Consumer(name, consumer) => {
            write_string(out, name);
            out.extend_from_slice(&consumer.seen_ms.to_le_bytes());
            if has_activity {
                out.extend_from_slice(&consumer.active_ms.to_le_bytes());
            }
            write_length(out, consumer.pending_count() as u64);
        }
        Piece::Owned(id) => out.extend_from_slice(&id.to_bytes()),
    }
}

fn write_id(out: &mut Vec<u8>, id: StreamId) {
    write_length(out, id.ms);
    write_length(out, id.seq);
}

/// A stream that is being read.
pub(crate) struct StreamReader {
    /// The way it is written.
    value_type: u8,
    stream: StreamValue,
    next: Next,
    groups_left: u64,
}

/// What comes next.
enum Next {
    Chunks(u64),
    Counters,
    Group,
    Pending(Box<Group>, u64),
    ConsumerCount(Box<Group>),
    Consumer(Box<Group>, u64),
    /// The consumer's name, how many ids it has still to get, and how many consumers are to come.
    Owned(Box<Group>, Vec<u8>, u64, u64),
    Nothing,
}

struct Group {
    name: Vec<u8>,
    group: StreamGroup,
    /// When and how often it was delivered, and to whom is not known yet.
    unowned: BTreeMap<StreamId, (i64, i64)>,
}

impl StreamReader {
    /// Begins behind the type.
    pub(crate) fn new(value_type: u8, input: &mut Input<'_>) -> Read<Self> {
        let next = match read_length(input)? {
            0 => Next::Counters,
            count => Next::Chunks(count),
        };
        Ok(Self { value_type, stream: StreamValue::default(), next, groups_left: 0 })
    }

    /// Takes the next part; says whether it was the last. What is short changes nothing.
    pub(crate) fn read(&mut self, input: &mut Input<'_>) -> Read<bool> {
        match &mut self.next {
            Next::Chunks(left) => {
                let (first, listpack) = (read_string(input)?, read_string(input)?);
                let Ok(first) = <[u8; 16]>::try_from(&*first) else { return bad("a chunk of a stream without its id") };
                if !self.stream.restore_chunk(StreamId::from_bytes(first), listpack.into_owned()) {
                    return bad("a chunk of a stream that is none");
                }
                *left -= 1;
                if *left == 0 {
                    self.next = Next::Counters;
                }
            }
            Next::Counters => self.read_counters(input)?,
            Next::Group => {
                let (group, pending) = self.read_group(input)?;
                self.groups_left -= 1;
                self.next = Self::behind_pending(group, pending);
            }
            Next::Pending(group, left) => {
                let id = StreamId::from_bytes(input.array()?);
                let (ms, count) = (i64::from_le_bytes(input.array()?), read_length(input)?.cast_signed());
                if group.unowned.insert(id, (ms, count)).is_some() {
                    return bad("a stream entry that is pending twice");
                }
                *left -= 1;
                if *left == 0 {
                    self.advance()?;
                }
            }
            Next::ConsumerCount(_) => {
                let count = read_length(input)?;
                let Next::ConsumerCount(group) = std::mem::replace(&mut self.next, Next::Nothing) else {
                    unreachable!("it was just matched")
                };
                self.next = Next::Consumer(group, count);
                self.maybe_end_group()?;
            }
            Next::Consumer(..) => self.read_consumer(input)?,
            Next::Owned(group, consumer, left, _) => {
                let id = StreamId::from_bytes(input.array()?);
                let Some((ms, count)) = group.unowned.remove(&id) else {
                    return bad("a consumer with what is not pending");
                };
                group.group.assign(id, consumer, ms, count);
                *left -= 1;
                if *left == 0 {
                    self.advance()?;
                }
            }
            Next::Nothing => {}
        }
        if let (Next::Group, 0) = (&self.next, self.groups_left) {
            self.next = Next::Nothing;
        }
        Ok(matches!(self.next, Next::Nothing))
    }

    /// What was read.
    pub(crate) fn finish(self) -> StreamValue {
        self.stream
    }

    fn behind_pending(group: Box<Group>, left: u64) -> Next {
        if left == 0 { Next::ConsumerCount(group) } else { Next::Pending(group, left) }
    }

    /// Goes on when a list of ids is read to its end.
    fn advance(&mut self) -> Read<()> {
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Pending(group, _) => self.next = Next::ConsumerCount(group),
            Next::Owned(group, _, _, consumers_left) => self.next = Next::Consumer(group, consumers_left),
            _ => unreachable!("only lists of ids end here"),
        }
        self.maybe_end_group()
    }

    /// Puts a group into the stream if all of its consumers are there.
    fn maybe_end_group(&mut self) -> Read<()> {
        if !matches!(self.next, Next::Consumer(_, 0)) {
            return Ok(());
        }
        let Next::Consumer(group, _) = std::mem::replace(&mut self.next, Next::Group) else {
            unreachable!("it was just matched")
        };
        if !group.unowned.is_empty() {
            return bad("a group with what is pending and nobody's");
        }
        self.stream.add_group(&group.name, group.group);
        Ok(())
    }

    fn read_counters(&mut self, input: &mut Input<'_>) -> Read<()> {
        let length = read_length(input)?;
        let last_id = read_id(input)?;
        let (mut max_deleted_id, mut entries_added) = (StreamId::MIN, length);
        if self.value_type != STREAM_5 {
            // The first id follows from the stream entries.
            read_id(input)?;
            (max_deleted_id, entries_added) = (read_id(input)?, read_length(input)?);
        }
        let groups_left = read_length(input)?;
        if length != self.stream.entry_count() as u64 {
            return bad("a stream has not the length that it says");
        }
        if self.stream.last().is_some_and(|last| last.id > last_id) {
            return bad("a stream with ids behind its last");
        }
        self.stream.set_counters(last_id, max_deleted_id, entries_added);
        (self.groups_left, self.next) = (groups_left, Next::Group);
        Ok(())
    }

    fn read_group(&self, input: &mut Input<'_>) -> Read<(Box<Group>, u64)> {
        let name = read_string(input)?.into_owned();
        let last_id = read_id(input)?;
        let entries_read = match self.value_type {
            STREAM_5 => self.stream.progress().added_up_to(last_id),
            _ => read_length(input)?.cast_signed(),
        };
        let pending = read_length(input)?;
        if self.stream.group(&name).is_some() {
            return bad("a stream with a group twice");
        }
        let group = StreamGroup::new(last_id, entries_read);
        Ok((Box::new(Group { name, group, unowned: BTreeMap::new() }), pending))
    }

    fn read_consumer(&mut self, input: &mut Input<'_>) -> Read<()> {
        let name = read_string(input)?.into_owned();
        let seen_ms = i64::from_le_bytes(input.array()?);
        let active_ms = if self.value_type == STREAM { i64::from_le_bytes(input.array()?) } else { seen_ms };
        let owned = read_length(input)?;
        let Next::Consumer(mut group, left) = std::mem::replace(&mut self.next, Next::Nothing) else {
            unreachable!("the caller has matched it")
        };
        if !group.group.add_consumer(&name, seen_ms) {
            return bad("a group with a consumer twice");
        }
        if let Some(consumer) = group.group.consumer_mut(&name) {
            consumer.active_ms = active_ms;
        }
        self.next = match owned {
            0 => Next::Consumer(group, left - 1),
            owned => Next::Owned(group, name, owned, left - 1),
        };
        self.maybe_end_group()
    }
}

fn read_id(input: &mut Input<'_>) -> Read<StreamId> {
    Ok(StreamId::new(read_length(input)?, read_length(input)?))
}
