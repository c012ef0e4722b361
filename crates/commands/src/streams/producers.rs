//! XCFGSET, XIDMPRECORD, and what XADD has of producers with ids of their own. From Redis's documentation of versions 8.6 and 8.8.

use keyspace::{Context, IdempotentId, Keyspace, ProducerLimits, StreamValue};
use resp::Reply;

use super::id::take_id;
use crate::args::Args;
use crate::error::{CommandError, CommandResult, StreamError};

const DURATION_MOST_S: u64 = 86_400;
const RECORDS_MOST: u64 = 10_000;

/// Who adds a stream entry, and by which id they know it.
pub(super) struct Producer<'a> {
    pub(super) name: &'a [u8],
    /// None: the one of its content.
    given: Option<&'a [u8]>,
}

impl<'a> Producer<'a> {
    /// Takes IDMP or IDMPAUTO; says whether it was there.
    pub(super) fn take(args: &mut Args<'a>) -> Result<Option<Self>, CommandError> {
        if args.remaining() > 2 && args.keyword("IDMP") {
            let (name, id) = (not_empty(args, "IDMP", "producer")?, not_empty(args, "IDMP", "idempotent")?);
            return Ok(Some(Self { name, given: Some(id) }));
        }
        if args.remaining() > 1 && args.keyword("IDMPAUTO") {
            return Ok(Some(Self { name: not_empty(args, "IDMPAUTO", "producer")?, given: None }));
        }
        Ok(None)
    }

    pub(super) fn id<'p>(&self, pairs: impl Iterator<Item = (&'p [u8], &'p [u8])>) -> IdempotentId {
        self.given.map_or_else(|| IdempotentId::of_content(pairs), IdempotentId::given)
    }
}

fn not_empty<'a>(args: &mut Args<'a>, option: &'static str, which: &'static str) -> Result<&'a [u8], CommandError> {
    let id = args.bytes()?;
    if id.is_empty() { Err(StreamError::EmptyProducerId(option, which).into()) } else { Ok(id) }
}

pub(super) fn xcfgset(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    if args.is_empty() {
        return Err(StreamError::NoLimit.into());
    }
    let (mut duration_s, mut records_max) = (None, None);
    while !args.is_empty() {
        let has_more = args.remaining() > 1;
        if has_more && args.keyword("IDMP-DURATION") {
            duration_s = Some(take_limit(args, "IDMP-DURATION", DURATION_MOST_S, "seconds")?);
        } else if has_more && args.keyword("IDMP-MAXSIZE") {
            records_max = Some(take_limit(args, "IDMP-MAXSIZE", RECORDS_MOST, "entries")?);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let mut stream = k.edit::<StreamValue>(context, key)?.ok_or(CommandError::NoSuchKey)?;
    stream.change_producers(|producers| {
        let mut limits: ProducerLimits = producers.limits();
        limits.duration_s = duration_s.unwrap_or(limits.duration_s);
        let records_max = records_max.and_then(|most| usize::try_from(most).ok());
        limits.records_max = records_max.unwrap_or(limits.records_max);
        producers.set_limits(limits);
    });
    reply.ok();
    Ok(())
}

fn take_limit(args: &mut Args<'_>, name: &'static str, most: u64, unit: &'static str) -> Result<u64, CommandError> {
    let limit = u64::try_from(args.integer()?).ok().filter(|limit| (1..=most).contains(limit));
    Ok(limit.ok_or(StreamError::LimitOutOfRange(name, most, unit))?)
}

pub(super) fn xidmprecord(
    k: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let key = args.bytes()?;
    let (name, id) = (not_empty(args, "IDMP", "producer")?, not_empty(args, "IDMP", "idempotent")?);
    let entry = take_id(args)?;
    args.end()?;
    let mut stream = k.edit::<StreamValue>(context, key)?.ok_or(CommandError::NoSuchKey)?;
    if !stream.contains(entry) {
        return Err(StreamError::RecordOfNothing.into());
    }
    let id = IdempotentId::given(id);
    match stream.producers().and_then(|producers| producers.find(name, &id, context.now_ms)) {
        Some(known) if known != entry => return Err(StreamError::RecordedOtherwise.into()),
        Some(_) => {}
        None => stream.change_producers(|producers| producers.add(name, &id, entry, context.now_ms)),
    }
    reply.ok();
    Ok(())
}
