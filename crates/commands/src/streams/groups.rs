//! XGROUP: making, moving and removing groups and their consumers.

use keyspace::{Context, Edit, Keyspace, StreamGroup, StreamId, StreamValue};
use resp::Reply;

use super::id::{parse_bound, parse_id};
use super::{no_group, now};
use crate::args::Args;
use crate::error::{CommandError, CommandResult, StreamError};
use crate::table::{subcommand_syntax, write_help};

/// The stream at a key, which must be there.
fn stream_of<'k>(k: &'k mut Keyspace, context: &Context, key: &'k [u8]) -> Result<Edit<'k, StreamValue>, CommandError> {
    k.edit::<StreamValue>(context, key)?.ok_or_else(|| StreamError::GroupOfNothing.into())
}

/// Takes ENTRIESREAD, and MKSTREAM where it is allowed, to the end.
fn take_options(args: &mut Args<'_>, makes_stream: Option<&mut bool>) -> Result<i64, CommandError> {
    let (mut entries_read, mut no_stream) = (-1, false);
    let is_create = makes_stream.is_some();
    let makes_stream = makes_stream.unwrap_or(&mut no_stream);
    while !args.is_empty() {
        if is_create && args.keyword("MKSTREAM") {
            *makes_stream = true;
        } else if args.remaining() > 1 && args.keyword("ENTRIESREAD") {
            entries_read = args.integer()?;
            if entries_read < -1 {
                return Err(StreamError::NegativeRead.into());
            }
        } else {
            return Err(subcommand_syntax("XGROUP", args.subcommand()));
        }
    }
    Ok(entries_read)
}

pub(super) fn create(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, name, id) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let (option_count, mut makes_stream) = (args.remaining(), false);
    let entries_read = take_options(args, Some(&mut makes_stream))?;
    let mut stream = if makes_stream { k.edit_or_new(context, key)? } else { stream_of(k, context, key)? };
    if option_count > 3 {
        return Err(subcommand_syntax("XGROUP", args.subcommand()));
    }
    let last_id = if id == b"$" { stream.last_id() } else { parse_id(id, 0)? };
    if stream.group(name).is_some() {
        return Err(StreamError::GroupExists.into());
    }
    stream.add_group(name, StreamGroup::new(last_id, entries_read));
    reply.ok();
    Ok(())
}

pub(super) fn set_id(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, name, id) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let option_count = args.remaining();
    let entries_read = take_options(args, None)?;
    let mut stream = stream_of(k, context, key)?;
    if stream.group(name).is_none() {
        return Err(no_group(name, key));
    }
    if option_count > 2 {
        return Err(subcommand_syntax("XGROUP", args.subcommand()));
    }
    let last_id: StreamId = if id == b"$" { stream.last_id() } else { parse_bound(id, 0)? };
    stream.change_group(name, |group| (group.last_id, group.entries_read) = (last_id, entries_read));
    reply.ok();
    Ok(())
}

pub(super) fn destroy(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, name) = (args.bytes()?, args.bytes()?);
    args.end()?;
    let mut stream = stream_of(k, context, key)?;
    let is_there = stream.group(name).is_some();
    if is_there && let Some(taken) = stream.take_group(name) {
        stream.discard(taken);
    }
    reply.integer(i64::from(is_there));
    Ok(())
}

pub(super) fn create_consumer(
    k: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let (key, name, consumer) = (args.bytes()?, args.bytes()?, args.bytes()?);
    args.end()?;
    let mut stream = stream_of(k, context, key)?;
    let group = stream.group(name).ok_or_else(|| no_group(name, key))?;
    let is_new = group.consumer(consumer).is_none();
    if is_new {
        stream.change_group(name, |group| group.add_consumer(consumer, now(context)));
    }
    reply.integer(i64::from(is_new));
    Ok(())
}

pub(super) fn delete_consumer(
    k: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let (key, name, consumer) = (args.bytes()?, args.bytes()?, args.bytes()?);
    args.end()?;
    let mut stream = stream_of(k, context, key)?;
    let group = stream.group(name).ok_or_else(|| no_group(name, key))?;
    let is_there = group.consumer(consumer).is_some();
    let pending = if is_there { stream.change_group(name, |group| group.remove_consumer(consumer)) } else { None };
    reply.count(pending.unwrap_or(0));
    Ok(())
}

pub(super) fn help(_: &Keyspace, args: &mut Args<'_>, _: &Context, reply: &mut Reply) -> CommandResult {
    args.end()?;
    write_help("XGROUP", reply);
    Ok(())
}
