//! Counters: strings that hold a number.

use keyspace::{Context, DeadlineChange, Extended, Keyspace, StringRef};
use resp::Reply;

use crate::args::Args;
use crate::error::{CommandResult, StringError};

pub(super) fn incr(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    add(k, args.bytes()?, 1, args, context, reply)
}

pub(super) fn decr(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    add(k, args.bytes()?, -1, args, context, reply)
}

pub(super) fn incrby(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, by) = (args.bytes()?, args.integer()?);
    add(k, key, by, args, context, reply)
}

pub(super) fn decrby(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, by) = (args.bytes()?, args.integer()?);
    let by = by.checked_neg().ok_or(StringError::DecrementOverflow)?;
    add(k, key, by, args, context, reply)
}

fn add(
    keyspace: &mut Keyspace,
    key: &[u8],
    by: i64,
    args: &Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    args.end()?;
    reply.integer(keyspace.increment(context, key, by)?);
    Ok(())
}

pub(super) fn incrbyfloat(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let (key, by) = (args.bytes()?, args.bytes()?);
    args.end()?;
    let old = keyspace.string(context, key)?.map(StringRef::to_bytes);
    let sum = Extended::add_text(old.as_deref().unwrap_or(b"0"), by)?;
    keyspace.set_string(context, key, sum.as_bytes(), DeadlineChange::Keep);
    reply.bulk(sum);
    Ok(())
}
