//! XREAD and XREADGROUP.
//!
//! Neither waits here: with BLOCK, too, they answer at once (see `blocking`).
//!
//! CLAIM, MAXCOUNT and MAXSIZE are from Redis's documentation of versions 8.4 and 8.10.

use std::borrow::Cow;

use keyspace::{Context, Edit, Keyspace, StreamEntry, StreamGroup, StreamId, StreamValue};
use resp::{Arguments, Deferred, Protocol, Reply};

use super::id::{parse_id, write_id};
use super::pending::next_delivery;
use super::range::{write_entry, write_entry_and};
use super::{now, shown};
use crate::args::Args;
use crate::blocking::block_ms;
use crate::error::{CommandError, CommandResult, StreamError};
use crate::spec::KeyPlaces;

/// Stands for `>`: what nobody of the group was given. Nothing lies behind it anyhow.
const NEW: StreamId = StreamId::MAX;

/// The options of both.
struct Request<'a> {
    /// At most so many stream entries of each stream.
    count: usize,
    /// At most so many of all streams together, and no more once the reply has so many bytes.
    bounds: Bounds,
    group: Option<(&'a [u8], &'a [u8])>,
    is_unacknowledged: bool,
    /// Also what has been pending for so many ms, whoever has it.
    claim_idle_ms: Option<i64>,
    /// Keys with the ids behind which to read.
    streams: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Request<'a> {
    fn parse(args: &mut Args<'a>, context: &Context, is_group: bool) -> Result<Self, CommandError> {
        let mut request = Self {
            count: usize::MAX,
            bounds: Bounds { count: usize::MAX, bytes: usize::MAX },
            group: None,
            is_unacknowledged: false,
            claim_idle_ms: None,
            streams: Vec::new(),
        };
        let only_group = |name| if is_group { Ok(()) } else { Err(StreamError::OptionOfReadGroup(name)) };
        loop {
            let has_more = args.remaining() > 1;
            if has_more && args.keyword("BLOCK") {
                block_ms(args.bytes()?, context.now_ms)?;
            } else if has_more && args.keyword("COUNT") {
                let count = usize::try_from(args.integer()?).unwrap_or(0);
                request.count = if count == 0 { usize::MAX } else { count };
            } else if has_more && args.keyword("MAXCOUNT") {
                request.bounds.count = take_bound(args, "MAXCOUNT")?;
            } else if has_more && args.keyword("MAXSIZE") {
                request.bounds.bytes = take_bound(args, "MAXSIZE")?;
            } else if has_more && args.keyword("CLAIM") {
                only_group("CLAIM")?;
                let idle_ms = keyspace::parse_integer(args.bytes()?).ok_or(StreamError::IdleNotInteger)?;
                request.claim_idle_ms = Some(idle_ms);
                if idle_ms < 0 {
                    return Err(StreamError::IdleNegative.into());
                }
            } else if has_more && args.keyword("STREAMS") {
                break;
            } else if args.remaining() > 2 && args.keyword("GROUP") {
                only_group("GROUP")?;
                request.group = Some((args.bytes()?, args.bytes()?));
            } else if args.keyword("NOACK") {
                only_group("NOACK")?;
                request.is_unacknowledged = true;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if !args.remaining().is_multiple_of(2) {
            let (name, sign) = if is_group { ("xreadgroup", '>') } else { ("xread", '$') };
            return Err(StreamError::Unbalanced(name, sign).into());
        }
        let keys = args.rest().take(args.remaining() / 2);
        let ids = args.rest().skip(args.remaining() / 2);
        request.streams = keys.zip(ids).collect();
        args.take_rest().for_each(drop);
        if is_group && request.group.is_none() {
            return Err(StreamError::GroupMissing.into());
        }
        if request.count != usize::MAX && request.bounds.count < request.count {
            return Err(StreamError::BoundBelowCount.into());
        }
        Ok(request)
    }
}

/// What bounds a whole reply.
#[derive(Clone, Copy)]
struct Bounds {
    count: usize,
    bytes: usize,
}

fn take_bound(args: &mut Args<'_>, name: &'static str) -> Result<usize, CommandError> {
    let bound = usize::try_from(args.integer()?).ok().filter(|&bound| bound > 0);
    Ok(bound.ok_or(StreamError::BoundNotPositive(name))?)
}

/// Where the keys of XREAD and XREADGROUP stand: the first half of what follows STREAMS.
pub(super) fn find_keys(arguments: Arguments<'_>) -> Option<KeyPlaces> {
    let (first, _) = walk_options(arguments)?;
    let count = (arguments.len() - first) / 2;
    if count == 0 { None } else { Some(KeyPlaces { also: None, next: first, end: first + count, step: 1 }) }
}

/// What stands behind the option BLOCK.
pub(crate) fn find_block(arguments: Arguments<'_>) -> Option<&[u8]> {
    walk_options(arguments)?.1
}

/// The place behind STREAMS, and what stands behind the last BLOCK in front of it.
fn walk_options(arguments: Arguments<'_>) -> Option<(usize, Option<&[u8]>)> {
    let (mut at, mut block) = (1, None);
    loop {
        let word = arguments.get(at)?;
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword.as_bytes());
        if is("BLOCK") {
            block = arguments.get(at + 1);
        }
        at += match () {
            () if ["BLOCK", "COUNT", "MAXCOUNT", "MAXSIZE", "CLAIM"].into_iter().any(is) => 2,
            () if is("GROUP") => 3,
            () if is("NOACK") => 1,
            () if is("STREAMS") => return Some((at + 1, block)),
            () => return None,
        };
    }
}

/// The same call of XREAD with every id `$` as it is now.
pub(crate) fn fix_ids(k: &Keyspace, arguments: Arguments<'_>, context: &Context) -> Vec<u8> {
    let first = walk_options(arguments).map_or(arguments.len(), |(first, _)| first);
    let count = (arguments.len() - first) / 2;
    let mut words: Vec<_> = arguments.iter().map(Cow::Borrowed).collect();
    for (place, _) in arguments.iter().enumerate().skip(first + count).filter(|(_, id)| *id == b"$") {
        let key = arguments.get(place - count).unwrap_or_default();
        let stream = k.read::<StreamValue>(context, key).ok().flatten();
        words[place] = Cow::Owned(stream.map_or(StreamId::MIN, StreamValue::last_id).to_string().into_bytes());
    }
    let mut raw = Vec::with_capacity(arguments.raw().len());
    resp::write_command(&mut raw, &words);
    raw
}

/// Whether a call of XREADGROUP has something to say: stream entries or an error.
pub(super) fn has_answer(k: &Keyspace, arguments: Arguments<'_>, context: &Context) -> bool {
    let Ok(request) = Request::parse(&mut Args::new(arguments, 1), context, true) else { return true };
    let Some((group, consumer)) = request.group else { return true };
    let reader = Reader { group, consumer, now_ms: now(context), request: &request };
    request.streams.iter().any(|&(key, id)| {
        let Ok(Some(stream)) = k.read::<StreamValue>(context, key) else { return true };
        let has_claims = || request.claim_idle_ms.is_some_and(|idle_ms| !reader.claimable(stream, idle_ms).is_empty());
        id != b">" || stream.group(group).is_none() || reader.first_new(stream).is_some() || has_claims()
    })
}

/// The reply while it grows: a map of streams, or, for older clients, an array of pairs.
struct Streams<'r> {
    reply: &'r mut Reply,
    open: Option<Deferred>,
    stream_count: usize,
    entry_count: usize,
    bounds: Bounds,
    /// The bytes that were there before.
    start: usize,
}

impl<'r> Streams<'r> {
    fn new(bounds: Bounds, reply: &'r mut Reply) -> Self {
        let start = reply.len();
        Self { reply, open: None, stream_count: 0, entry_count: 0, bounds, start }
    }

    /// Whether there is room for one more stream entry. There is for the first one, whatever its size.
    fn has_room(&self) -> bool {
        let is_small = self.entry_count == 0 || self.reply.len() - self.start < self.bounds.bytes;
        is_small && self.entry_count < self.bounds.count
    }

    /// Begins a stream, whose array of stream entries is to follow.
    fn begin(&mut self, key: &[u8]) -> Deferred {
        let is_map = self.reply.protocol() == Protocol::Resp3;
        if self.open.is_none() {
            self.open = Some(if is_map { self.reply.map_deferred() } else { self.reply.array_deferred() });
        }
        self.stream_count += 1;
        if !is_map {
            self.reply.array(2);
        }
        self.reply.bulk(key);
        self.reply.array_deferred()
    }

    /// Writes stream entries as long as there is room.
    fn write<T>(&mut self, elements: impl Iterator<Item = T>, mut write: impl FnMut(&mut Reply, T)) -> usize {
        let mut count = 0;
        for element in elements {
            if !self.has_room() {
                break;
            }
            write(self.reply, element);
            count += 1;
            self.entry_count += 1;
        }
        count
    }

    fn end(self) {
        match self.open {
            Some(open) => self.reply.finish(open, self.stream_count),
            None => self.reply.null_array(),
        }
    }
}

pub(super) fn xread(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let request = Request::parse(args, context, false)?;
    let mut found = Vec::new();
    for &(key, id) in &request.streams {
        let stream = k.read::<StreamValue>(context, key)?;
        let last_id = stream.map_or(StreamId::MIN, StreamValue::last_id);
        let id = match id {
            b"$" => last_id,
            // The last one, if it is still there.
            b"+" => last_id.previous().unwrap_or(StreamId::MIN),
            b">" => return Err(StreamError::NewOfNoGroup.into()),
            id => parse_id(id, 0)?,
        };
        found.push((key, stream, id));
    }
    let mut streams = Streams::new(request.bounds, reply);
    for (key, stream, id) in found {
        let Some(stream) = stream else { continue };
        if let Some(from) = id.next()
            && stream.last().is_some_and(|last| last.id >= from)
            && streams.has_room()
        {
            let array = streams.begin(key);
            let entries = stream.range(from, StreamId::MAX).take(request.count);
            let count = streams.write(entries, |reply, entry| write_entry(reply, &entry));
            streams.reply.finish(array, count);
        }
    }
    streams.end();
    Ok(())
}

pub(super) fn xreadgroup(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let request = Request::parse(args, context, true)?;
    let (group, consumer) = request.group.ok_or(StreamError::GroupMissing)?;
    let mut ids = Vec::with_capacity(request.streams.len());
    for &(key, id) in &request.streams {
        let stream = k.read::<StreamValue>(context, key)?;
        if stream.and_then(|stream| stream.group(group)).is_none() {
            let tail = " in XREADGROUP with GROUP option";
            return Err(StreamError::NoKeyOrGroup(shown(key), shown(group), tail).into());
        }
        ids.push(match id {
            b"$" => return Err(StreamError::MeaninglessId('$').into()),
            b"+" => return Err(StreamError::MeaninglessId('+').into()),
            b">" => NEW,
            id => parse_id(id, 0)?,
        });
    }
    let mut streams = Streams::new(request.bounds, reply);
    for (&(key, _), id) in request.streams.iter().zip(ids) {
        let Some(mut stream) = k.edit::<StreamValue>(context, key)? else { continue };
        let reader = Reader { group, consumer, now_ms: now(context), request: &request };
        match (id == NEW, request.claim_idle_ms) {
            _ if !streams.has_room() => reader.change(&mut stream, |_| ()),
            (true, None) => reader.read_new(&mut stream, key, &mut streams),
            (true, Some(idle_ms)) => reader.claim_and_read_new(&mut stream, key, idle_ms, &mut streams),
            (false, _) => reader.read_again(&mut stream, id, key, &mut streams),
        }
    }
    streams.end();
    Ok(())
}

/// A consumer of a group that is there, reading a stream.
struct Reader<'a> {
    group: &'a [u8],
    consumer: &'a [u8],
    now_ms: i64,
    request: &'a Request<'a>,
}

impl Reader<'_> {
    fn change(&self, stream: &mut Edit<'_, StreamValue>, change: impl FnOnce(&mut StreamGroup)) {
        stream.change_group(self.group, |group| {
            group.see_consumer(self.consumer, self.now_ms);
            change(group);
        });
    }

    /// Gives the consumer what nobody of the group was given.
    fn read_new(&self, stream: &mut Edit<'_, StreamValue>, key: &[u8], streams: &mut Streams<'_>) {
        let Some(from) = self.first_new(stream) else { return self.change(stream, |_| ()) };
        let array = streams.begin(key);
        let count = self.give_new(stream, from, self.request.count, streams, write_entry);
        streams.reply.finish(array, count);
    }

    /// The first id that nobody of the group was given, if there is a stream entry from there on.
    fn first_new(&self, stream: &StreamValue) -> Option<StreamId> {
        let last_id = stream.group(self.group).map_or(StreamId::MAX, |group| group.last_id);
        let last = stream.last().map(|last| last.id);
        last_id.next().filter(|from| last.is_some_and(|last| last >= *from))
    }

    /// Writes stream entries that are new to the group, and notes them as given. How many they are.
    fn give_new(
        &self,
        stream: &mut Edit<'_, StreamValue>,
        from: StreamId,
        most: usize,
        streams: &mut Streams<'_>,
        write: impl Fn(&mut Reply, &StreamEntry<'_>),
    ) -> usize {
        let mut given = Vec::new();
        streams.write(stream.range(from, StreamId::MAX).take(most), |reply, entry| {
            write(reply, &entry);
            given.push(entry.id);
        });
        let progress = stream.progress();
        self.change(stream, |group| {
            for &id in &given {
                progress.advance(group, id);
                if !self.request.is_unacknowledged {
                    group.assign(id, self.consumer, self.now_ms, 1);
                }
            }
            if !self.request.is_unacknowledged
                && let Some(consumer) = group.consumer_mut(self.consumer)
            {
                consumer.active_ms = self.now_ms;
            }
        });
        given.len()
    }

    /// Gives the consumer what has been pending for long enough, then what is new. With each, how long it was idle and how often it was given.
    fn claim_and_read_new(
        &self,
        stream: &mut Edit<'_, StreamValue>,
        key: &[u8],
        idle_ms: i64,
        streams: &mut Streams<'_>,
    ) {
        let claimed = self.claimable(stream, idle_ms);
        let from = self.first_new(stream);
        if claimed.is_empty() && from.is_none() {
            return self.change(stream, |_| ());
        }
        let array = streams.begin(key);
        let mut count = streams.write(claimed.iter(), |reply, claim| {
            if let Some(entry) = stream.get(claim.id) {
                write_entry_and(reply, &entry, &[claim.idle_ms, claim.deliveries]);
            }
        });
        self.change(stream, |group| {
            for claim in &claimed[..count] {
                group.assign(claim.id, self.consumer, self.now_ms, next_delivery(claim.deliveries, false));
            }
            if count > 0
                && let Some(consumer) = group.consumer_mut(self.consumer)
            {
                consumer.active_ms = self.now_ms;
            }
        });
        if let Some(from) = from.filter(|_| count == claimed.len()) {
            let most = self.request.count - count;
            count += self.give_new(stream, from, most, streams, |reply, entry| write_entry_and(reply, entry, &[0, 0]));
        }
        streams.reply.finish(array, count);
    }

    /// What is pending, still there, and was released or has been idle for so long; as much as is asked for.
    fn claimable(&self, stream: &StreamValue, idle_ms: i64) -> Vec<Claimable> {
        let Some(group) = stream.group(self.group) else { return Vec::new() };
        let pending = group.turns_at(0).filter_map(|id| Some((id, group.pending(id)?)));
        let claims = pending.map(|(id, pending)| {
            let claim = Claimable {
                id,
                idle_ms: self.now_ms.wrapping_sub(pending.delivered_ms).max(0),
                deliveries: pending.deliveries,
            };
            (pending.consumer().is_none(), claim)
        });
        // The released ones come first, then the others by time.
        let idle = claims.take_while(|(is_released, claim)| *is_released || claim.idle_ms >= idle_ms);
        idle.map(|(_, claim)| claim).filter(|claim| stream.contains(claim.id)).take(self.request.count).collect()
    }

    /// Gives the consumer once more what it has not acknowledged, behind an id.
    fn read_again(&self, stream: &mut Edit<'_, StreamValue>, behind: StreamId, key: &[u8], streams: &mut Streams<'_>) {
        let array = streams.begin(key);
        let from = behind.next().unwrap_or(StreamId::MIN);
        let consumer = stream.group(self.group).and_then(|group| group.consumer(self.consumer));
        let ids = consumer.into_iter().flat_map(|consumer| consumer.pending_from(from)).take(self.request.count);
        let mut given = Vec::new();
        let count = streams.write(ids, |reply, id| match stream.get(id) {
            Some(entry) => {
                write_entry(reply, &entry);
                given.push(id);
            }
            None => {
                reply.array(2);
                write_id(reply, id);
                reply.null_array();
            }
        });
        streams.reply.finish(array, count);
        self.change(stream, |group| given.iter().for_each(|id| group.redeliver(*id, self.now_ms)));
    }
}

/// What may be claimed.
struct Claimable {
    id: StreamId,
    idle_ms: i64,
    deliveries: i64,
}
