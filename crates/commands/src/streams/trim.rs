//! XADD and XTRIM: what comes, and what has to go for it.

use keyspace::{Context, Edit, Keyspace, Producers, References, Settings, StreamId, StreamValue, Trim, TrimTo};
use resp::Reply;

use super::id::{NewId, parse_id, parse_new_id, write_id};
use super::producers::Producer;
use crate::args::Args;
use crate::error::{CommandError, CommandResult, StreamError};

/// How many stream entries may go in an approximate trimming without LIMIT, if chunks have no bound, and at most.
const COUNT_DEFAULT: usize = 10_000;
const COUNT_MOST: usize = 1_000_000;
/// Otherwise so many chunks.
const CHUNKS_DEFAULT: usize = 100;

/// The options of XADD and XTRIM.
#[derive(Default)]
struct Options {
    /// And whether it may be less.
    trim: Option<(TrimTo, bool)>,
    limit: Option<i64>,
    references: References,
    is_add_only: bool,
}

impl Options {
    /// Takes one option; says whether there was one.
    fn take(&mut self, args: &mut Args<'_>, is_xadd: bool) -> Result<bool, CommandError> {
        let has_more = args.remaining() > 1;
        if has_more && args.keyword("MAXLEN") {
            self.take_trim(args, |text| match keyspace::parse_integer(text).ok_or(CommandError::NotInteger)? {
                length @ 0.. => Ok(TrimTo::Length(usize::try_from(length).unwrap_or(usize::MAX))),
                _ => Err(StreamError::NegativeOption("MAXLEN").into()),
            })?;
        } else if has_more && args.keyword("MINID") {
            self.take_trim(args, |text| Ok(TrimTo::Id(parse_id(text, 0)?)))?;
        } else if has_more && args.keyword("LIMIT") {
            self.limit = match args.integer()? {
                limit @ 0.. => Some(limit),
                _ => return Err(StreamError::NegativeOption("LIMIT").into()),
            };
        } else if is_xadd && args.keyword("NOMKSTREAM") {
            self.is_add_only = true;
        } else if let Some(references) = take_references(args) {
            self.references = references;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn take_trim(
        &mut self,
        args: &mut Args<'_>,
        parse: impl Fn(&[u8]) -> Result<TrimTo, CommandError>,
    ) -> CommandResult {
        if self.trim.is_some() {
            return Err(StreamError::SeveralTrims.into());
        }
        let is_approximate = args.remaining() > 1 && args.keyword("~");
        if !is_approximate && args.remaining() > 1 {
            args.keyword("=");
        }
        self.trim = Some((parse(args.bytes()?)?, is_approximate));
        Ok(())
    }

    /// How to trim, when all options are known.
    fn finish(&self, is_xadd: bool, settings: &Settings) -> Result<Option<Trim>, CommandError> {
        let Some((to, is_approximate)) = self.trim else {
            return match self.limit {
                Some(1..) => Err(StreamError::LimitOfNothing.into()),
                _ if !is_xadd => Err(StreamError::NoTrim.into()),
                Some(_) => Err(StreamError::LimitOfExact.into()),
                None => Ok(None),
            };
        };
        let count_max = match self.limit {
            Some(_) if !is_approximate => return Err(StreamError::LimitOfExact.into()),
            Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
            None if !is_approximate => 0,
            None if settings.stream_chunk_entries_max == 0 => COUNT_DEFAULT,
            None => settings.stream_chunk_entries_max.saturating_mul(CHUNKS_DEFAULT).min(COUNT_MOST),
        };
        Ok(Some(Trim { to, is_approximate, count_max, references: self.references }))
    }
}

/// Takes KEEPREF, DELREF or ACKED.
pub(super) fn take_references(args: &mut Args<'_>) -> Option<References> {
    let all = [("KEEPREF", References::Keep), ("DELREF", References::Remove), ("ACKED", References::Acknowledged)];
    all.into_iter().find(|(keyword, _)| args.keyword(keyword)).map(|(_, references)| references)
}

pub(super) fn xadd(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, mut options, settings) = (args.bytes()?, Options::default(), *k.settings());
    let (mut id, mut producer) = (None, None);
    while id.is_none() && !args.is_empty() {
        if args.peek() == Some(b"*") {
            args.bytes()?;
            id = Some(NewId::Auto);
        } else if let Some(given) = Producer::take(args)? {
            if producer.replace(given).is_some() {
                return Err(StreamError::SeveralProducers.into());
            }
        } else if !options.take(args, true)? {
            id = Some(parse_new_id(args.bytes()?)?);
        }
    }
    if producer.is_some() && id.is_some_and(|id| id != NewId::Auto) {
        return Err(StreamError::IdOfProducer.into());
    }
    let trim = options.finish(true, &settings)?;
    let Some(id) = id.filter(|_| args.remaining() >= 2 && args.remaining().is_multiple_of(2)) else {
        return Err(CommandError::WrongArity("xadd".to_owned()));
    };
    if id == NewId::Exactly(StreamId::MIN) {
        return Err(StreamError::ZeroId.into());
    }
    let words = args.take_rest();
    let pairs = words.clone().step_by(2).zip(words.skip(1).step_by(2));
    if options.is_add_only && k.edit::<StreamValue>(context, key)?.is_none() {
        reply.null();
        return Ok(());
    }
    let mut stream = k.edit_or_new::<StreamValue>(context, key)?;
    let idempotent = producer.map(|producer| (producer.name, producer.id(pairs.clone())));
    if let Some((name, id)) = &idempotent
        && let Some(known) = stream.producers().and_then(|producers| producers.find(name, id, context.now_ms))
    {
        stream.change_producers(Producers::count_duplicate);
        write_id(reply, known);
        return Ok(());
    }
    let id = next_id(id, stream.last_id(), context.now_ms)?;
    if StreamValue::is_too_big(pairs.clone()) {
        return Err(StreamError::EntryTooBig.into());
    }
    stream.append(id, pairs, &settings);
    if let Some((name, idempotent_id)) = &idempotent {
        stream.change_producers(|producers| producers.add(name, idempotent_id, id, context.now_ms));
    }
    if let Some(trim) = trim {
        run_trim(&mut stream, &trim);
    }
    write_id(reply, id);
    Ok(())
}

/// The id of a new stream entry behind this one.
fn next_id(id: NewId, last: StreamId, now_ms: u64) -> Result<StreamId, StreamError> {
    let behind = last.next().ok_or(StreamError::IdsExhausted)?;
    let id = match id {
        NewId::Auto if now_ms > last.ms => StreamId::new(now_ms, 0),
        NewId::Auto => behind,
        // Never into the next ms.
        NewId::OfTime(ms) if ms == last.ms && behind.ms != ms => return Err(StreamError::IdTooSmall),
        NewId::OfTime(ms) if ms == last.ms => behind,
        NewId::OfTime(ms) => StreamId::new(ms, 0),
        NewId::Exactly(id) => id,
    };
    if id > last { Ok(id) } else { Err(StreamError::IdTooSmall) }
}

/// Trims, and returns how many stream entries went.
fn run_trim(stream: &mut Edit<'_, StreamValue>, trim: &Trim) -> usize {
    let plan = stream.plan_trim(trim);
    let count = plan.count();
    // Looks first: only a change may be seen as one.
    if !plan.is_nothing() {
        let removed = stream.trim(&plan);
        stream.discard(removed);
    }
    count
}

pub(super) fn xtrim(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, mut options) = (args.bytes()?, Options::default());
    while !args.is_empty() {
        if !options.take(args, false)? {
            return Err(CommandError::Syntax);
        }
    }
    let trim = options.finish(false, k.settings())?.ok_or(StreamError::NoTrim)?;
    let stream = k.edit::<StreamValue>(context, key)?;
    reply.count(stream.map_or(0, |mut stream| run_trim(&mut stream, &trim)));
    Ok(())
}

/// The options of XSETID.
#[derive(Default)]
struct Counters {
    entries_added: Option<u64>,
    max_deleted_id: StreamId,
}

impl Counters {
    fn parse(args: &mut Args<'_>, id: StreamId) -> Result<Self, CommandError> {
        let mut counters = Self::default();
        while !args.is_empty() {
            let has_more = args.remaining() > 1;
            if has_more && args.keyword("ENTRIESADDED") {
                let added = u64::try_from(args.integer()?).map_err(|_| StreamError::NegativeAdded)?;
                counters.entries_added = Some(added);
            } else if has_more && args.keyword("MAXDELETEDID") {
                counters.max_deleted_id = parse_id(args.bytes()?, 0)?;
                if id < counters.max_deleted_id {
                    return Err(StreamError::LastIdBelowGivenDeleted.into());
                }
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(counters)
    }
}

pub(super) fn xsetid(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let id = parse_id(args.bytes()?, 0)?;
    let counters = Counters::parse(args, id)?;
    let mut stream = k.edit::<StreamValue>(context, key)?.ok_or(CommandError::NoSuchKey)?;
    if id < stream.max_deleted_id() {
        return Err(StreamError::LastIdBelowDeleted.into());
    }
    if let Some(last) = stream.last().map(|last| last.id) {
        if id < last {
            return Err(StreamError::LastIdBelowTop.into());
        }
        if counters.entries_added.is_some_and(|added| added < stream.entry_count() as u64) {
            return Err(StreamError::AddedBelowLength.into());
        }
    }
    let entries_added = counters.entries_added.unwrap_or_else(|| stream.entries_added());
    let max_deleted_id = match counters.max_deleted_id {
        StreamId::MIN => stream.max_deleted_id(),
        given => given,
    };
    stream.set_counters(id, max_deleted_id, entries_added);
    reply.ok();
    Ok(())
}
