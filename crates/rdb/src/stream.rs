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
//! ever added or read. Snapshots keep more, for which the others have no place:
//!
//! ```text
//! stream:    ... | ever added | producers | count | group ...
//! producers: 0, or 1 | seconds | most records | added | duplicates | count | record ...
//! record:    producer | idempotent id | id, 16 bytes | ms, 8 bytes
//! group:     ... | pending ... | count | released id, 16 bytes ... | count | consumer ...
//! ```
//!
//! For other servers, what was released belongs to a consumer without a name that was never seen, and what is known of producers is left out.

use std::collections::BTreeMap;

use keyspace::{
    Pending, ProducerLimits, ProducerRecord, Producers, StreamConsumer, StreamGroup, StreamId, StreamName, StreamValue,
};

use crate::input::{Input, Read, bad};
use crate::number::{read_length, write_length};
use crate::string::{read_string, write_compressed, write_string};
use crate::value_type::{STREAM, STREAM_5, STREAM_7, STREAM_WHOLE};

/// The name of the consumer that has what was released.
const NOBODY: &[u8] = b"";
/// When that consumer was seen.
const NEVER_MS: i64 = 0;

/// The parts of a stream, in the order in which they are written. A snapshot may break between them.
pub(crate) enum Piece<'a> {
    Chunk(StreamId, &'a [u8]),
    Counters(&'a StreamValue),
    /// What is known of producers, without the records.
    Producers(Option<&'a Producers>),
    Record(&'a ProducerRecord),
    GroupCount(usize),
    Group(&'a StreamName, &'a StreamGroup),
    Pending(StreamId, &'a Pending),
    ReleasedCount(usize),
    Released(StreamId),
    ConsumerCount(usize),
    Consumer(&'a StreamName, &'a StreamConsumer),
    Owned(StreamId),
}

/// The parts of a stream from one on. Finding it takes a step for each group in front of it.
pub(crate) fn pieces(stream: &StreamValue, from: usize) -> impl Iterator<Item = Piece<'_>> {
    let chunk_count = stream.chunk_count();
    let chunks = stream.chunks_at(from).map(|(first, listpack)| Piece::Chunk(first, listpack));
    let counters = if from <= chunk_count { Some(Piece::Counters(stream)) } else { None };
    let producers_at = chunk_count + 1;
    let producers = if from <= producers_at { Some(Piece::Producers(stream.producers())) } else { None };
    let records_at = producers_at + 1;
    let records = stream.producers().into_iter().flat_map(move |of| of.records_at(from.saturating_sub(records_at)));
    let count_at = records_at + stream.producers().map_or(0, Producers::record_count);
    let count = if from <= count_at { Some(Piece::GroupCount(stream.group_count())) } else { None };
    let mut skip = from.saturating_sub(count_at + 1);
    let groups = stream.groups().flat_map(move |(name, group)| {
        let size = 3 + 2 * group.pending_count() + group.consumer_count();
        let skipped = skip.min(size);
        skip -= skipped;
        pieces_of_group(name, group, skipped)
    });
    chunks.chain(counters).chain(producers).chain(records.map(Piece::Record)).chain(count).chain(groups)
}

fn pieces_of_group<'a>(
    name: &'a StreamName,
    group: &'a StreamGroup,
    from: usize,
) -> impl Iterator<Item = Piece<'a>> + use<'a> {
    let head = if from == 0 { Some(Piece::Group(name, group)) } else { None };
    let pending = group.pending_at(from.saturating_sub(1)).map(|(id, pending)| Piece::Pending(id, pending));
    let released_count_at = 1 + group.pending_count();
    let released_count =
        if from <= released_count_at { Some(Piece::ReleasedCount(group.released_count())) } else { None };
    let released_at = released_count_at + 1;
    let released = group.turns_at(0).take(group.released_count()).skip(from.saturating_sub(released_at));
    let count_at = released_at + group.released_count();
    let count = if from <= count_at { Some(Piece::ConsumerCount(group.consumer_count())) } else { None };
    let mut skip = from.saturating_sub(count_at + 1);
    let consumers = group.consumers().flat_map(move |(name, consumer)| {
        let skipped = skip.min(1 + consumer.pending_count());
        skip -= skipped;
        let head = if skipped == 0 { Some(Piece::Consumer(name, consumer)) } else { None };
        head.into_iter().chain(consumer.pending_at(skipped.saturating_sub(1)).map(Piece::Owned))
    });
    let in_front = head.into_iter().chain(pending).chain(released_count).chain(released.map(Piece::Released));
    in_front.chain(count).chain(consumers)
}

/// Writes a part as a snapshot has it.
pub(crate) fn write_piece(out: &mut Vec<u8>, piece: &Piece<'_>) {
    if let Piece::Chunk(first, listpack) = piece {
        write_string(out, &first.to_bytes());
        write_length(out, listpack.len() as u64);
        return out.extend_from_slice(listpack);
    }
    write_behind_chunks(out, piece, Form::Snapshot);
}

/// Writes a whole stream as Redis 7.0 does.
pub(crate) fn save(out: &mut Vec<u8>, stream: &StreamValue) {
    out.push(STREAM_7);
    write_length(out, stream.chunk_count() as u64);
    let (mut released, mut has_nobody) = (Vec::new(), false);
    for piece in pieces(stream, 0) {
        match piece {
            Piece::Chunk(first, listpack) => {
                write_compressed(out, &first.to_bytes());
                write_compressed(out, listpack);
            }
            Piece::Group(name, group) => {
                released.clear();
                has_nobody = group.consumer(NOBODY).is_some();
                write_behind_chunks(out, &Piece::Group(name, group), Form::Redis7);
            }
            Piece::Released(id) => released.push(id),
            Piece::ConsumerCount(count) if !released.is_empty() && !has_nobody => {
                write_length(out, count as u64 + 1);
                write_string(out, NOBODY);
                out.extend_from_slice(&NEVER_MS.to_le_bytes());
                write_length(out, released.len() as u64);
                released.drain(..).for_each(|id| out.extend_from_slice(&id.to_bytes()));
            }
            // Somebody is called so: what was released is theirs.
            Piece::Consumer(name, consumer) if name[..] == *NOBODY => {
                write_string(out, name);
                out.extend_from_slice(&consumer.seen_ms.to_le_bytes());
                write_length(out, (consumer.pending_count() + released.len()) as u64);
                released.drain(..).for_each(|id| out.extend_from_slice(&id.to_bytes()));
            }
            piece => write_behind_chunks(out, &piece, Form::Redis7),
        }
    }
}

/// For whom a stream is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Snapshot,
    Redis7,
}

fn write_behind_chunks(out: &mut Vec<u8>, piece: &Piece<'_>, form: Form) {
    match piece {
        Piece::Chunk(..) => unreachable!("the caller writes chunks"),
        Piece::Counters(stream) => {
            write_length(out, stream.entry_count() as u64);
            write_id(out, stream.last_id());
            write_id(out, stream.first_id());
            write_id(out, stream.max_deleted_id());
            write_length(out, stream.entries_added());
        }
        Piece::Producers(producers) if form == Form::Snapshot => write_producers(out, *producers),
        Piece::Record(record) if form == Form::Snapshot => {
            write_string(out, &record.producer);
            write_string(out, &record.idempotent_id);
            out.extend_from_slice(&record.entry.to_bytes());
            out.extend_from_slice(&record.added_ms.to_le_bytes());
        }
        Piece::ReleasedCount(count) if form == Form::Snapshot => write_length(out, *count as u64),
        Piece::Released(id) if form == Form::Snapshot => out.extend_from_slice(&id.to_bytes()),
        Piece::Producers(_) | Piece::Record(_) | Piece::ReleasedCount(_) | Piece::Released(_) => {}
        Piece::GroupCount(count) => write_length(out, *count as u64),
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
            if form == Form::Snapshot {
                out.extend_from_slice(&consumer.active_ms.to_le_bytes());
            }
            write_length(out, consumer.pending_count() as u64);
        }
        Piece::Owned(id) => out.extend_from_slice(&id.to_bytes()),
    }
}

fn write_producers(out: &mut Vec<u8>, producers: Option<&Producers>) {
    out.push(u8::from(producers.is_some()));
    if let Some(producers) = producers {
        let (limits, (added, duplicates)) = (producers.limits(), producers.counts());
        write_length(out, limits.duration_s);
        write_length(out, limits.records_max as u64);
        write_length(out, added);
        write_length(out, duplicates);
        write_length(out, producers.record_count() as u64);
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
    Producers,
    Records(u64),
    GroupCount,
    Group,
    Pending(Box<Group>, u64),
    ReleasedCount(Box<Group>),
    Released(Box<Group>, u64),
    ConsumerCount(Box<Group>),
    Consumer(Box<Group>, u64),
    /// The consumer's name, or that it is nobody; how many ids it has still to get, and how many consumers are to come.
    Owned(Box<Group>, Option<Vec<u8>>, u64, u64),
    Nothing,
}

struct Group {
    name: Vec<u8>,
    group: StreamGroup,
    /// When and how often it was delivered, and to whom is not known yet.
    unowned: BTreeMap<StreamId, (i64, i64)>,
}

impl Group {
    fn read_pending(&mut self, input: &mut Input<'_>) -> Read<()> {
        let id = StreamId::from_bytes(input.array()?);
        let (ms, count) = (i64::from_le_bytes(input.array()?), read_length(input)?.cast_signed());
        match self.unowned.insert(id, (ms, count)) {
            None => Ok(()),
            Some(_) => bad("a stream entry that is pending twice"),
        }
    }

    fn assign(&mut self, id: StreamId, consumer: &[u8]) -> Read<()> {
        let Some((ms, count)) = self.unowned.remove(&id) else { return bad("a consumer with what is not pending") };
        self.group.assign(id, consumer, ms, count);
        Ok(())
    }

    fn release(&mut self, id: StreamId) -> Read<()> {
        let Some((_, count)) = self.unowned.remove(&id) else { return bad("what was released is not pending") };
        self.group.release(id, count);
        Ok(())
    }
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
                read_chunk(&mut self.stream, input)?;
                *left -= 1;
                if *left == 0 {
                    self.next = Next::Counters;
                }
            }
            Next::Counters => self.read_counters(input)?,
            Next::Producers => self.read_producers(input)?,
            Next::Records(left) => {
                read_record(&mut self.stream, input)?;
                *left -= 1;
                if *left == 0 {
                    self.next = Next::GroupCount;
                }
            }
            Next::GroupCount => {
                self.groups_left = read_length(input)?;
                self.next = Next::Group;
            }
            Next::Group => {
                let (group, pending) = self.read_group(input)?;
                self.groups_left -= 1;
                self.next = match pending {
                    0 => self.behind_pending(group),
                    pending => Next::Pending(group, pending),
                };
            }
            Next::Pending(group, left) => {
                group.read_pending(input)?;
                *left -= 1;
                if *left == 0 {
                    self.advance()?;
                }
            }
            Next::ReleasedCount(_) | Next::ConsumerCount(_) => self.read_count(input)?,
            Next::Released(group, left) => {
                let id = StreamId::from_bytes(input.array()?);
                group.release(id)?;
                *left -= 1;
                if *left == 0 {
                    self.advance()?;
                }
            }
            Next::Consumer(..) => self.read_consumer(input)?,
            Next::Owned(group, consumer, left, _) => {
                let id = StreamId::from_bytes(input.array()?);
                match consumer {
                    Some(consumer) => group.assign(id, consumer)?,
                    None => group.release(id)?,
                }
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

    /// Takes how many released ids, or consumers, a group has.
    fn read_count(&mut self, input: &mut Input<'_>) -> Read<()> {
        let count = read_length(input)?;
        self.next = match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::ReleasedCount(group) if count == 0 => Next::ConsumerCount(group),
            Next::ReleasedCount(group) => Next::Released(group, count),
            Next::ConsumerCount(group) => Next::Consumer(group, count),
            _ => unreachable!("the caller has matched it"),
        };
        self.maybe_end_group()
    }

    /// What was read.
    pub(crate) fn finish(self) -> StreamValue {
        self.stream
    }

    fn behind_pending(&self, group: Box<Group>) -> Next {
        if self.value_type == STREAM_WHOLE { Next::ReleasedCount(group) } else { Next::ConsumerCount(group) }
    }

    /// Goes on when a list of ids is read to its end.
    fn advance(&mut self) -> Read<()> {
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Pending(group, _) => self.next = self.behind_pending(group),
            Next::Released(group, _) => self.next = Next::ConsumerCount(group),
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
        let is_whole = self.value_type == STREAM_WHOLE;
        let groups_left = if is_whole { 0 } else { read_length(input)? };
        if length != self.stream.entry_count() as u64 {
            return bad("a stream has not the length that it says");
        }
        if self.stream.last().is_some_and(|last| last.id > last_id) {
            return bad("a stream with ids behind its last");
        }
        self.stream.set_counters(last_id, max_deleted_id, entries_added);
        (self.groups_left, self.next) = (groups_left, if is_whole { Next::Producers } else { Next::Group });
        Ok(())
    }

    fn read_producers(&mut self, input: &mut Input<'_>) -> Read<()> {
        let [is_there] = input.array()?;
        if is_there == 0 {
            self.next = Next::GroupCount;
            return Ok(());
        }
        let (duration_s, records_max) = (read_length(input)?, read_length(input)?);
        let (added, duplicates, count) = (read_length(input)?, read_length(input)?, read_length(input)?);
        let Ok(records_max) = usize::try_from(records_max) else { return bad("producers with too many records") };
        self.stream.change_producers(|producers| {
            producers.set_limits(ProducerLimits { duration_s, records_max });
            producers.set_counts(added, duplicates);
        });
        self.next = if count == 0 { Next::GroupCount } else { Next::Records(count) };
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
        let has_activity = matches!(self.value_type, STREAM | STREAM_WHOLE);
        let active_ms = if has_activity { i64::from_le_bytes(input.array()?) } else { seen_ms };
        let owned = read_length(input)?;
        let Next::Consumer(mut group, left) = std::mem::replace(&mut self.next, Next::Nothing) else {
            unreachable!("the caller has matched it")
        };
        let is_nobody = self.value_type != STREAM_WHOLE && name == NOBODY && seen_ms == NEVER_MS && owned > 0;
        if !is_nobody && !group.group.add_consumer(&name, seen_ms) {
            return bad("a group with a consumer twice");
        }
        if let Some(consumer) = group.group.consumer_mut(&name) {
            consumer.active_ms = active_ms;
        }
        self.next = match owned {
            0 => Next::Consumer(group, left - 1),
            owned => Next::Owned(group, Some(name).filter(|_| !is_nobody), owned, left - 1),
        };
        self.maybe_end_group()
    }
}

fn read_chunk(stream: &mut StreamValue, input: &mut Input<'_>) -> Read<()> {
    let (first, listpack) = (read_string(input)?, read_string(input)?);
    let Ok(first) = <[u8; 16]>::try_from(&*first) else { return bad("a chunk of a stream without its id") };
    let is_sound = stream.restore_chunk(StreamId::from_bytes(first), listpack.into_owned());
    if is_sound { Ok(()) } else { bad("a chunk of a stream that is none") }
}

fn read_record(stream: &mut StreamValue, input: &mut Input<'_>) -> Read<()> {
    let (producer, id) = (read_string(input)?, read_string(input)?);
    let (entry, ms) = (StreamId::from_bytes(input.array()?), u64::from_le_bytes(input.array()?));
    stream.change_producers(|producers| producers.restore(&producer, &id, entry, ms));
    Ok(())
}

fn read_id(input: &mut Input<'_>) -> Read<StreamId> {
    Ok(StreamId::new(read_length(input)?, read_length(input)?))
}
