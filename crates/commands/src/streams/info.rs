//! XINFO: what there is to know of a stream, its groups and their consumers.

use keyspace::{Context, Keyspace, Producers, StreamConsumer, StreamGroup, StreamId, StreamValue};
use resp::Reply;

use super::id::write_id;
use super::pending::write_owner;
use super::range::{write_entries, write_entry};
use super::{no_group, wall};
use crate::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::table::{subcommand_syntax, write_help};

/// How many stream entries FULL shows, of the stream and of each list of pending ones, unless COUNT says so.
const COUNT_DEFAULT: usize = 10;

fn stream_of<'k>(k: &'k Keyspace, context: &Context, key: &[u8]) -> Result<&'k StreamValue, CommandError> {
    k.read::<StreamValue>(context, key)?.ok_or(CommandError::NoSuchKey)
}

fn write_pair(reply: &mut Reply, name: &str, number: i64) {
    reply.bulk(name);
    reply.integer(number);
}

fn write_count(reply: &mut Reply, name: &str, count: usize) {
    reply.bulk(name);
    reply.count(count);
}

fn write_named_id(reply: &mut Reply, name: &str, id: StreamId) {
    reply.bulk(name);
    write_id(reply, id);
}

/// What is unknown is null.
fn write_known(reply: &mut Reply, name: &str, number: Option<i64>) {
    reply.bulk(name);
    match number {
        Some(number) => reply.integer(number),
        None => reply.null(),
    }
}

fn entries_read(group: &StreamGroup) -> Option<i64> {
    if group.entries_read == -1 { None } else { Some(group.entries_read) }
}

pub(super) fn groups(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    let stream = stream_of(k, context, key)?;
    reply.array(stream.group_count());
    for (name, group) in stream.groups() {
        reply.map(6);
        reply.bulk("name");
        reply.bulk(&**name);
        write_count(reply, "consumers", group.consumer_count());
        write_count(reply, "pending", group.pending_count());
        write_named_id(reply, "last-delivered-id", group.last_id);
        write_known(reply, "entries-read", entries_read(group));
        write_known(reply, "lag", stream.lag(group));
    }
    Ok(())
}

pub(super) fn consumers(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, name) = (args.bytes()?, args.bytes()?);
    args.end()?;
    let group = stream_of(k, context, key)?.group(name).ok_or_else(|| no_group(name, key))?;
    let now_ms = wall(context);
    reply.array(group.consumer_count());
    for (name, consumer) in group.consumers() {
        reply.map(4);
        reply.bulk("name");
        reply.bulk(&**name);
        write_count(reply, "pending", consumer.pending_count());
        write_pair(reply, "idle", now_ms.wrapping_sub(consumer.seen_ms).max(0));
        let inactive_ms = if consumer.active_ms == -1 { -1 } else { now_ms.wrapping_sub(consumer.active_ms) };
        write_pair(reply, "inactive", inactive_ms);
    }
    Ok(())
}

/// Takes FULL and COUNT to the end; `None`: not even FULL.
fn take_full(args: &mut Args<'_>) -> Result<Option<usize>, CommandError> {
    if args.is_empty() {
        return Ok(None);
    }
    let is_possible = matches!(args.remaining(), 1 | 3);
    if !is_possible || !args.keyword("FULL") || (!args.is_empty() && !args.keyword("COUNT")) {
        return Err(subcommand_syntax("XINFO", args.subcommand()));
    }
    if args.is_empty() {
        return Ok(Some(COUNT_DEFAULT));
    }
    Ok(Some(match args.integer()? {
        0 => usize::MAX,
        count => usize::try_from(count).unwrap_or(COUNT_DEFAULT),
    }))
}

pub(super) fn stream(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let stream = stream_of(k, context, args.bytes()?)?;
    let full = take_full(args)?;
    let producers = stream.producers();
    reply.map(if full.is_some() { 9 } else { 10 } + if producers.is_some() { 6 } else { 0 });
    write_count(reply, "length", stream.entry_count());
    write_count(reply, "radix-tree-keys", stream.chunk_count());
    write_count(reply, "radix-tree-nodes", stream.tree_node_count());
    write_named_id(reply, "last-generated-id", stream.last_id());
    write_named_id(reply, "max-deleted-entry-id", stream.max_deleted_id());
    write_pair(reply, "entries-added", stream.entries_added().cast_signed());
    write_named_id(reply, "recorded-first-entry-id", stream.first_id());
    producers.into_iter().for_each(|producers| write_producers(reply, producers));
    let Some(count) = full else {
        write_count(reply, "groups", stream.group_count());
        let mut entry = |name, entry| {
            reply.bulk(name);
            match entry {
                Some(entry) => write_entry(reply, &entry),
                None => reply.null(),
            }
        };
        entry("first-entry", stream.range(StreamId::MIN, StreamId::MAX).next());
        entry("last-entry", stream.last());
        return Ok(());
    };
    reply.bulk("entries");
    write_entries(reply, stream.range(StreamId::MIN, StreamId::MAX).take(count));
    reply.bulk("groups");
    reply.array(stream.group_count());
    for (name, group) in stream.groups() {
        write_group(reply, name, group, stream.lag(group), count);
    }
    Ok(())
}

/// Only where producers have ids of their own: clients of servers without them see what they know.
fn write_producers(reply: &mut Reply, producers: &Producers) {
    let (limits, (added, duplicates)) = (producers.limits(), producers.counts());
    write_pair(reply, "idmp-duration", limits.duration_s.cast_signed());
    write_count(reply, "idmp-maxsize", limits.records_max);
    write_count(reply, "pids-tracked", producers.producer_count());
    write_count(reply, "iids-tracked", producers.record_count());
    write_pair(reply, "iids-added", added.cast_signed());
    write_pair(reply, "iids-duplicates", duplicates.cast_signed());
}

fn write_group(reply: &mut Reply, name: &[u8], group: &StreamGroup, lag: Option<i64>, count: usize) {
    let released_count = group.released_count();
    reply.map(if released_count > 0 { 8 } else { 7 });
    reply.bulk("name");
    reply.bulk(name);
    write_named_id(reply, "last-delivered-id", group.last_id);
    write_known(reply, "entries-read", entries_read(group));
    write_known(reply, "lag", lag);
    write_count(reply, "pel-count", group.pending_count());
    if released_count > 0 {
        write_count(reply, "nacked-count", released_count);
    }
    reply.bulk("pending");
    reply.array(group.pending_count().min(count));
    for (id, pending) in group.pending_at(0).take(count) {
        reply.array(4);
        write_id(reply, id);
        write_owner(reply, pending);
        reply.integer(pending.delivered_ms);
        reply.integer(pending.deliveries);
    }
    reply.bulk("consumers");
    reply.array(group.consumer_count());
    for (name, consumer) in group.consumers() {
        write_consumer(reply, name, consumer, group, count);
    }
}

fn write_consumer(reply: &mut Reply, name: &[u8], consumer: &StreamConsumer, group: &StreamGroup, count: usize) {
    reply.map(5);
    reply.bulk("name");
    reply.bulk(name);
    write_pair(reply, "seen-time", consumer.seen_ms);
    write_pair(reply, "active-time", consumer.active_ms);
    write_count(reply, "pel-count", consumer.pending_count());
    reply.bulk("pending");
    reply.array(consumer.pending_count().min(count));
    for id in consumer.pending_at(0).take(count) {
        let pending = group.pending(id).expect("what is a consumer's is the group's");
        reply.array(3);
        write_id(reply, id);
        reply.integer(pending.delivered_ms);
        reply.integer(pending.deliveries);
    }
}

pub(super) fn help(_: &Keyspace, args: &mut Args<'_>, _: &Context, reply: &mut Reply) -> CommandResult {
    args.end()?;
    write_help("XINFO", reply);
    Ok(())
}
