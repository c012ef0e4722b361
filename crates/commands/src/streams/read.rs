//! XREAD and XREADGROUP.
//!
//! Neither waits: with BLOCK they answer at once, as Redis does where nobody may wait (in a transaction, in a script).

use keyspace::{Context, Edit, Keyspace, StreamGroup, StreamId, StreamValue};
use resp::{Arguments, Deferred, Protocol, Reply};

use super::id::{parse_id, write_id};
use super::range::{write_entries, write_entry};
use super::{now, shown};
use crate::args::Args;
use crate::error::{CommandError, CommandResult, StreamError};
use crate::spec::KeyPlaces;

/// Stands for `>`: what nobody of the group was given. Nothing lies behind it anyhow.
const NEW: StreamId = StreamId::MAX;

/// The options of both.
struct Request<'a> {
    /// At most so many stream entries of each stream.
    count: usize,
    group: Option<(&'a [u8], &'a [u8])>,
    is_unacknowledged: bool,
    /// Keys with the ids behind which to read.
    streams: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Request<'a> {
    fn parse(args: &mut Args<'a>, context: &Context, is_group: bool) -> Result<Self, CommandError> {
        let mut request = Self { count: usize::MAX, group: None, is_unacknowledged: false, streams: Vec::new() };
        let only_group = |name| if is_group { Ok(()) } else { Err(StreamError::OptionOfReadGroup(name)) };
        loop {
            let has_more = args.remaining() > 1;
            if has_more && args.keyword("BLOCK") {
                check_timeout(args.bytes()?, context)?;
            } else if has_more && args.keyword("COUNT") {
                let count = usize::try_from(args.integer()?).unwrap_or(0);
                request.count = if count == 0 { usize::MAX } else { count };
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
        Ok(request)
    }
}

fn check_timeout(text: &[u8], context: &Context) -> Result<(), StreamError> {
    let timeout = keyspace::parse_integer(text).ok_or(StreamError::TimeoutNotInteger)?;
    match timeout {
        ..0 => Err(StreamError::TimeoutNegative),
        _ if timeout.checked_add(now(context)).is_none() => Err(StreamError::TimeoutOutOfRange),
        _ => Ok(()),
    }
}

/// Where the keys of XREAD and XREADGROUP stand: the first half of what follows STREAMS.
pub(super) fn find_keys(arguments: Arguments<'_>) -> Option<KeyPlaces> {
    let mut at = 1;
    loop {
        let word = arguments.get(at)?;
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword.as_bytes());
        at += match () {
            () if is("BLOCK") || is("COUNT") => 2,
            () if is("GROUP") => 3,
            () if is("NOACK") => 1,
            () if is("STREAMS") => break,
            () => return None,
        };
    }
    let count = (arguments.len() - at - 1) / 2;
    if count == 0 { None } else { Some(KeyPlaces { also: None, next: at + 1, end: at + 1 + count, step: 1 }) }
}

/// The reply while it grows: a map of streams, or, for older clients, an array of pairs.
struct Streams<'r> {
    reply: &'r mut Reply,
    open: Option<Deferred>,
    count: usize,
}

impl<'r> Streams<'r> {
    fn new(reply: &'r mut Reply) -> Self {
        Self { reply, open: None, count: 0 }
    }

    /// Begins a stream, whose array of stream entries is to follow.
    fn begin(&mut self, key: &[u8]) -> &mut Reply {
        let is_map = self.reply.protocol() == Protocol::Resp3;
        if self.open.is_none() {
            self.open = Some(if is_map { self.reply.map_deferred() } else { self.reply.array_deferred() });
        }
        self.count += 1;
        if !is_map {
            self.reply.array(2);
        }
        self.reply.bulk(key);
        self.reply
    }

    fn end(self) {
        match self.open {
            Some(open) => self.reply.finish(open, self.count),
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
    let mut streams = Streams::new(reply);
    for (key, stream, id) in found {
        let Some(stream) = stream else { continue };
        if let Some(from) = id.next()
            && stream.last().is_some_and(|last| last.id >= from)
        {
            write_entries(streams.begin(key), stream.range(from, StreamId::MAX).take(request.count));
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
    let mut streams = Streams::new(reply);
    for (&(key, _), id) in request.streams.iter().zip(ids) {
        let Some(mut stream) = k.edit::<StreamValue>(context, key)? else { continue };
        let reader = Reader { group, consumer, now_ms: now(context), request: &request };
        if id == NEW {
            reader.read_new(&mut stream, key, &mut streams);
        } else {
            reader.read_again(&mut stream, id, streams.begin(key));
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
        let last_id = stream.group(self.group).map_or(StreamId::MAX, |group| group.last_id);
        let last = stream.last().map(|last| last.id);
        let Some(from) = last_id.next().filter(|from| last.is_some_and(|last| last >= *from)) else {
            return self.change(stream, |_| ());
        };
        let mut given = Vec::new();
        let entries = stream.range(from, StreamId::MAX).take(self.request.count);
        write_entries(streams.begin(key), entries.inspect(|entry| given.push(entry.id)));
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
    }

    /// Gives the consumer once more what it has not acknowledged, behind an id.
    fn read_again(&self, stream: &mut Edit<'_, StreamValue>, behind: StreamId, reply: &mut Reply) {
        let from = behind.next().unwrap_or(StreamId::MIN);
        let consumer = stream.group(self.group).and_then(|group| group.consumer(self.consumer));
        let ids = consumer.into_iter().flat_map(|consumer| consumer.pending_from(from)).take(self.request.count);
        let ids: Vec<StreamId> = ids.collect();
        let mut given = Vec::new();
        reply.array(ids.len());
        for id in ids {
            match stream.get(id) {
                Some(entry) => {
                    write_entry(reply, &entry);
                    given.push(id);
                }
                None => {
                    reply.array(2);
                    write_id(reply, id);
                    reply.null_array();
                }
            }
        }
        self.change(stream, |group| given.iter().for_each(|id| group.redeliver(*id, self.now_ms)));
    }
}
