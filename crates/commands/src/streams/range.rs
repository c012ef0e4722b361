//! XRANGE, XREVRANGE, and how stream entries are shown.

use keyspace::{Context, Keyspace, StreamEntry, StreamValue};
use resp::Reply;

use super::id::{parse_end, parse_start, write_id};
use crate::args::Args;
use crate::error::{CommandError, CommandResult};

/// Writes a stream entry: its id, and its fields and values.
pub(super) fn write_entry(reply: &mut Reply, entry: &StreamEntry<'_>) {
    write_entry_and(reply, entry, &[]);
}

/// Writes a stream entry and numbers behind it.
pub(super) fn write_entry_and(reply: &mut Reply, entry: &StreamEntry<'_>, numbers: &[i64]) {
    reply.array(2 + numbers.len());
    write_id(reply, entry.id);
    reply.array(2 * entry.field_count());
    for (field, value) in entry.fields() {
        reply.bulk(field);
        reply.bulk(value);
    }
    numbers.iter().for_each(|number| reply.integer(*number));
}

/// Writes stream entries as an array, and returns how many they were.
pub(super) fn write_entries<'a>(reply: &mut Reply, entries: impl Iterator<Item = StreamEntry<'a>>) -> usize {
    let array = reply.array_deferred();
    let mut count = 0;
    for entry in entries {
        write_entry(reply, &entry);
        count += 1;
    }
    reply.finish(array, count);
    count
}

pub(super) fn xrange(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    range(k, args, context, false, reply)
}

pub(super) fn xrevrange(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    range(k, args, context, true, reply)
}

fn range(k: &Keyspace, args: &mut Args<'_>, context: &Context, is_reversed: bool, reply: &mut Reply) -> CommandResult {
    let (key, first, second) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let (start, end) = if is_reversed { (second, first) } else { (first, second) };
    let (start, end) = (parse_start(start)?, parse_end(end)?);
    let mut count = usize::MAX;
    while !args.is_empty() {
        if args.remaining() < 2 || !args.keyword("COUNT") {
            return Err(CommandError::Syntax);
        }
        count = usize::try_from(args.integer()?).unwrap_or(0);
    }
    match k.read::<StreamValue>(context, key)? {
        None => reply.array(0),
        Some(_) if count == 0 => reply.null_array(),
        Some(stream) if is_reversed => {
            write_entries(reply, stream.range_back(start, end).take(count));
        }
        Some(stream) => {
            write_entries(reply, stream.range(start, end).take(count));
        }
    }
    Ok(())
}
