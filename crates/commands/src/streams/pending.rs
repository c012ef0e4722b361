//! XACK, XPENDING, XCLAIM, XAUTOCLAIM: what was given and not acknowledged.

use keyspace::{Context, Edit, Keyspace, Pending, StreamGroup, StreamId, StreamValue};
use resp::Reply;

use super::id::{parse_end, parse_id, parse_start, take_id, take_ids, write_id};
use super::range::write_entry;
use super::release::GIVEN_UP;
use super::{no_key_or_group, now, shown, wall};
use crate::args::Args;
use crate::error::{CommandError, CommandResult, StreamError};

/// How many XAUTOCLAIM claims unless COUNT says so, how many it may, and how many it looks at for each of them.
const CLAIMS_DEFAULT: usize = 100;
const CLAIMS_MOST: i64 = i64::MAX / 16;
const LOOKS_PER_CLAIM: usize = 10;
/// How long what was released has been idle.
const RELEASED: i64 = -1;

pub(super) fn xack(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, name) = (args.bytes()?, args.bytes()?);
    let stream = k.edit::<StreamValue>(context, key)?;
    // Redis looks at the ids only where there is a group.
    let Some(mut stream) = stream.filter(|stream| stream.group(name).is_some()) else {
        reply.integer(0);
        return Ok(());
    };
    let ids = take_ids(args)?;
    // Looks first: only a change may be seen as one.
    let is_pending = |id: &StreamId| stream.group(name).is_some_and(|group| group.pending(*id).is_some());
    let count = if ids.iter().any(is_pending) {
        stream.change_group(name, |group| ids.iter().filter(|id| group.acknowledge(**id)).count())
    } else {
        None
    };
    reply.count(count.unwrap_or(0));
    Ok(())
}

/// Which of what is pending XPENDING shows.
struct Filter<'a> {
    idle_min_ms: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    /// Reads what follows the group; `None`: nothing does.
    fn parse(args: &mut Args<'a>) -> Result<Option<Self>, CommandError> {
        let count = args.remaining();
        if count == 0 {
            return Ok(None);
        }
        if !(3..=6).contains(&count) {
            return Err(CommandError::Syntax);
        }
        let mut idle_min_ms = 0;
        if args.keyword("IDLE") {
            idle_min_ms = args.integer()?;
            if args.remaining() < 3 {
                return Err(CommandError::Syntax);
            }
        }
        let (start, end) = (args.bytes()?, args.bytes()?);
        let count = usize::try_from(args.integer()?).unwrap_or(0);
        let (start, end) = (parse_start(start)?, parse_end(end)?);
        // What comes behind the consumer is not looked at, as in Redis.
        let consumer = args.take_rest().next();
        Ok(Some(Self { idle_min_ms, start, end, count, consumer }))
    }
}

pub(super) fn xpending(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, name) = (args.bytes()?, args.bytes()?);
    let filter = Filter::parse(args)?;
    let stream = k.read::<StreamValue>(context, key)?;
    let group = stream.and_then(|stream| stream.group(name)).ok_or_else(|| no_key_or_group(key, name))?;
    match filter {
        None => write_summary(group, reply),
        Some(filter) => write_pending(group, &filter, wall(context), reply),
    }
    Ok(())
}

fn write_summary(group: &StreamGroup, reply: &mut Reply) {
    reply.array(4);
    reply.count(group.pending_count());
    let Some((first, last)) = group.pending_bounds() else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    write_id(reply, first);
    write_id(reply, last);
    let busy = group.consumers().filter(|(_, consumer)| consumer.pending_count() > 0);
    reply.array(busy.clone().count());
    for (name, consumer) in busy {
        reply.array(2);
        reply.bulk(&**name);
        reply.bulk_integer(i64::try_from(consumer.pending_count()).unwrap_or(i64::MAX));
    }
}

fn write_pending(group: &StreamGroup, filter: &Filter<'_>, now_ms: i64, reply: &mut Reply) {
    let array = reply.array_deferred();
    let mut count = 0;
    let mut write = |(id, pending): (StreamId, &Pending)| {
        let elapsed = now_ms.wrapping_sub(pending.delivered_ms);
        count += 1;
        reply.array(4);
        write_id(reply, id);
        write_owner(reply, pending);
        reply.integer(if pending.consumer().is_some() { elapsed.max(0) } else { RELEASED });
        reply.integer(pending.deliveries);
    };
    let is_idle =
        |pending: &Pending| filter.idle_min_ms == 0 || now_ms.wrapping_sub(pending.delivered_ms) >= filter.idle_min_ms;
    match filter.consumer.map(|name| group.consumer(name)) {
        Some(None) => {}
        Some(Some(consumer)) => {
            let ids = consumer.pending_from(filter.start).take_while(|id| *id <= filter.end);
            let pending = ids.filter_map(|id| Some((id, group.pending(id)?)));
            pending.filter(|(_, pending)| is_idle(pending)).take(filter.count).for_each(&mut write);
        }
        None => {
            let pending = group.pending_from(filter.start).take_while(|(id, _)| *id <= filter.end);
            pending.filter(|(_, pending)| is_idle(pending)).take(filter.count).for_each(&mut write);
        }
    }
    reply.finish(array, count);
}

/// Writes who has a stream entry; nobody has no name.
pub(super) fn write_owner(reply: &mut Reply, pending: &Pending) {
    reply.bulk(pending.consumer().map_or(&b""[..], |name| name));
}

/// A claim: who wants what, and how it is to be noted.
struct Claim<'a> {
    key: &'a [u8],
    group: &'a [u8],
    consumer: &'a [u8],
    idle_min_ms: i64,
    now_ms: i64,
    delivered_ms: i64,
    deliveries: Option<i64>,
    makes_pending: bool,
    only_ids: bool,
}

/// What became of a claim.
enum Claimed {
    /// The stream entry is the consumer's.
    Yes,
    /// It is not there any more, and nobody's.
    Gone,
    /// It stays as it was.
    No,
}

impl<'a> Claim<'a> {
    fn new(key: &'a [u8], group: &'a [u8], consumer: &'a [u8], context: &Context) -> Self {
        let now_ms = now(context);
        Self {
            key,
            group,
            consumer,
            idle_min_ms: 0,
            now_ms,
            delivered_ms: now_ms,
            deliveries: None,
            makes_pending: false,
            only_ids: false,
        }
    }

    fn group_of<'s>(&self, stream: Option<&'s StreamValue>) -> Result<&'s StreamGroup, CommandError> {
        stream.and_then(|stream| stream.group(self.group)).ok_or_else(|| no_key_or_group(self.key, self.group))
    }

    /// Claims one stream entry, and shows it if it was claimed.
    fn run(&self, stream: &mut Edit<'_, StreamValue>, id: StreamId, reply: &mut Reply) -> Claimed {
        let pending = stream.group(self.group).and_then(|group| group.pending(id)).cloned();
        if !stream.contains(id) {
            if pending.is_none() {
                return Claimed::No;
            }
            stream.change_group(self.group, |group| group.acknowledge(id));
            return Claimed::Gone;
        }
        let before = match pending {
            Some(pending) => {
                let idle_ms = self.now_ms.wrapping_sub(pending.delivered_ms);
                if pending.consumer().is_some() && self.idle_min_ms != 0 && idle_ms < self.idle_min_ms {
                    return Claimed::No;
                }
                pending.deliveries
            }
            None if self.makes_pending => 1,
            None => return Claimed::No,
        };
        let counted = next_delivery(before, self.only_ids);
        stream.change_group(self.group, |group| {
            group.assign(id, self.consumer, self.delivered_ms, self.deliveries.unwrap_or(counted));
            if let Some(consumer) = group.consumer_mut(self.consumer) {
                consumer.active_ms = self.now_ms;
            }
        });
        match stream.get(id) {
            Some(entry) if !self.only_ids => write_entry(reply, &entry),
            _ => write_id(reply, id),
        }
        Claimed::Yes
    }
}

/// The number of deliveries after one more, unless only ids are told. What was given up stays so.
pub(super) fn next_delivery(before: i64, only_ids: bool) -> i64 {
    if before == GIVEN_UP { before } else { before.wrapping_add(i64::from(!only_ids)) }
}

fn take_number(args: &mut Args<'_>, which: &'static str, command: &'static str) -> Result<i64, CommandError> {
    Ok(keyspace::parse_integer(args.bytes()?).ok_or(StreamError::InvalidNumber(which, command))?)
}

pub(super) fn xclaim(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, group, consumer) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let mut claim = Claim::new(key, group, consumer, context);
    let mut stream = k.edit::<StreamValue>(context, key)?;
    // Redis looks at the other arguments only where there is a group.
    claim.group_of(stream.as_deref())?;
    claim.idle_min_ms = take_number(args, "min-idle-time", "XCLAIM")?.max(0);
    let mut ids = Vec::new();
    while let Some(id) = args.peek().and_then(|text| parse_id(text, 0).ok()) {
        args.bytes()?;
        ids.push(id);
    }
    let last_id = take_claim_options(&mut claim, args)?;
    let Some(stream) = &mut stream else { return Ok(()) };
    stream.change_group(group, |group| {
        group.last_id = group.last_id.max(last_id);
        group.see_consumer(consumer, claim.now_ms);
    });
    let array = reply.array_deferred();
    let mut count = 0;
    for id in ids {
        count += usize::from(matches!(claim.run(stream, id, reply), Claimed::Yes));
    }
    reply.finish(array, count);
    Ok(())
}

/// Takes the options of XCLAIM to the end, and returns LASTID.
fn take_claim_options(claim: &mut Claim<'_>, args: &mut Args<'_>) -> Result<StreamId, CommandError> {
    let (mut last_id, mut delivered_ms) = (StreamId::MIN, -1);
    while !args.is_empty() {
        let has_more = args.remaining() > 1;
        if args.keyword("FORCE") {
            claim.makes_pending = true;
        } else if args.keyword("JUSTID") {
            claim.only_ids = true;
        } else if has_more && args.keyword("IDLE") {
            delivered_ms = claim.now_ms.wrapping_sub(take_number(args, "IDLE option", "XCLAIM")?);
        } else if has_more && args.keyword("TIME") {
            delivered_ms = take_number(args, "TIME option", "XCLAIM")?;
        } else if has_more && args.keyword("RETRYCOUNT") {
            let count = take_number(args, "RETRYCOUNT option", "XCLAIM")?;
            claim.deliveries = if count < 0 { None } else { Some(count) };
        } else if has_more && args.keyword("LASTID") {
            last_id = take_id(args)?;
        } else {
            return Err(StreamError::UnknownClaimOption(shown(args.bytes()?)).into());
        }
    }
    // A time that makes no sense is no reason to refuse: clients reckon it from their own clock.
    if (0..=claim.now_ms).contains(&delivered_ms) {
        claim.delivered_ms = delivered_ms;
    }
    Ok(last_id)
}

pub(super) fn xautoclaim(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, group, consumer) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let mut claim = Claim::new(key, group, consumer, context);
    claim.idle_min_ms = take_number(args, "min-idle-time", "XAUTOCLAIM")?.max(0);
    let (start, mut count) = (parse_start(args.bytes()?)?, CLAIMS_DEFAULT);
    while !args.is_empty() {
        if args.remaining() > 1 && args.keyword("COUNT") {
            let number = keyspace::parse_integer(args.bytes()?).filter(|number| (1..=CLAIMS_MOST).contains(number));
            let number = number.ok_or(StreamError::CountNotPositive)?;
            count = usize::try_from(number).unwrap_or(usize::MAX);
        } else if args.keyword("JUSTID") {
            claim.only_ids = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let mut stream = k.edit::<StreamValue>(context, key)?;
    claim.group_of(stream.as_deref())?;
    let Some(stream) = &mut stream else { return Ok(()) };
    stream.change_group(group, |group| group.see_consumer(consumer, claim.now_ms));
    claim_all(&claim, stream, start, count, reply);
    Ok(())
}

/// Claims what has been idle for long enough, from an id on.
fn claim_all(claim: &Claim<'_>, stream: &mut Edit<'_, StreamValue>, start: StreamId, count: usize, reply: &mut Reply) {
    // In a buffer of its own, because the id at which to go on is written before.
    let mut claimed = Reply::new(reply.protocol());
    let (mut claimed_count, mut gone) = (0, Vec::new());
    let mut looks = count.saturating_mul(LOOKS_PER_CLAIM);
    let mut next = Some(start);
    let pending_from = |stream: &StreamValue, from: Option<StreamId>| {
        stream.group(claim.group).and_then(|group| group.pending_from(from?).next()).map(|(id, _)| id)
    };
    while looks > 0 && claimed_count + gone.len() < count {
        let Some(id) = pending_from(stream, next) else {
            next = None;
            break;
        };
        looks -= 1;
        next = id.next();
        match claim.run(stream, id, &mut claimed) {
            Claimed::Yes => claimed_count += 1,
            Claimed::Gone => gone.push(id),
            Claimed::No => {}
        }
    }
    reply.array(3);
    write_id(reply, pending_from(stream, next).unwrap_or(StreamId::MIN));
    reply.array(claimed_count);
    reply.raw(claimed.as_bytes());
    reply.array(gone.len());
    gone.iter().for_each(|id| write_id(reply, *id));
}
