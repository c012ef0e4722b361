//! Streams.

mod delete;
mod groups;
mod id;
mod info;
mod pending;
mod producers;
mod range;
mod read;
mod release;
mod trim;

use keyspace::{Context, Keyspace, StreamValue, ValueType};
use resp::Reply;

use crate::args::Args;
use crate::blocking::{TimeoutPlace, Waits};
use crate::error::{CommandError, CommandResult, StreamError};
use crate::spec::{Arity::*, Flags, KeyUse, Keys, Spec};

use delete::{xackdel, xdel, xdelex};
use pending::{xack, xautoclaim, xclaim, xpending};
use producers::{xcfgset, xidmprecord};
use range::{xrange, xrevrange};
pub(crate) use read::{find_block, fix_ids};
use read::{find_keys, xread, xreadgroup};
use release::xnack;
use trim::{xadd, xsetid, xtrim};

const READ: Keys = Keys::Keyword { keyword: "STREAMS", from: 1, find: find_keys };
const READ_GROUP: Keys = Keys::Keyword { keyword: "STREAMS", from: 4, find: find_keys };
const WAITS: Waits = Waits { wants: ValueType::Stream, timeout: TimeoutPlace::Block, has_answer: None };
const NONDETERMINISTIC: &[&str] = &["nondeterministic_output"];
const HELP: Flags = Flags::LOADING.with(Flags::STALE);

#[rustfmt::skip]
pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("XADD",       AtLeast(5), Keys::One(1), xadd,       "Adds a stream entry. Creates the stream.").fast().denyoom().tips(NONDETERMINISTIC),
    Spec::write("XTRIM",      AtLeast(4), Keys::One(1), xtrim,      "Removes stream entries from the front of a stream.").uses(&[KeyUse::TAKE_AWAY]).tips(NONDETERMINISTIC),
    Spec::write("XDEL",       AtLeast(3), Keys::One(1), xdel,       "Removes stream entries and returns how many they were.").fast().uses(&[KeyUse::TAKE_AWAY]),
    Spec::write("XDELEX",     AtLeast(5), Keys::One(1), xdelex,     "Removes stream entries as far as no group needs them.").fast().uses(&[KeyUse::TAKE_AWAY]),
    Spec::write("XACKDEL",    AtLeast(6), Keys::One(1), xackdel,    "Acknowledges stream entries and removes them as far as no group needs them.").fast().uses(&[KeyUse::TAKE_AWAY]),
    Spec::write("XCFGSET",    AtLeast(2), Keys::One(1), xcfgset,    "Sets how much a stream remembers of producers with ids of their own.").fast(),
    Spec::write("XIDMPRECORD", Exactly(5), Keys::One(1), xidmprecord, "Remembers under which id of its own a producer has added a stream entry.").fast().denyoom(),
    Spec::write("XSETID",     AtLeast(3), Keys::One(1), xsetid,     "Sets the last id of a stream.").fast().denyoom(),
    Spec::read ("XLEN",       Exactly(2), Keys::One(1), xlen,       "Returns the number of stream entries.").fast().uses(&[KeyUse::LOOK]),
    Spec::read ("XRANGE",     AtLeast(4), Keys::One(1), xrange,     "Returns the stream entries between two ids."),
    Spec::read ("XREVRANGE",  AtLeast(4), Keys::One(1), xrevrange,  "Returns the stream entries between two ids, the last one first."),
    Spec::read ("XREAD",      AtLeast(4), READ,         xread,      "Returns the stream entries of several streams behind an id of each.").waits(WAITS),
    Spec::write("XREADGROUP", AtLeast(7), READ_GROUP,   xreadgroup, "Gives new or pending stream entries to a consumer of a group.").waits(Waits { has_answer: Some(read::has_answer), ..WAITS }).uses(&[KeyUse::READ]),
    Spec::write("XACK",       AtLeast(4), Keys::One(1), xack,       "Acknowledges stream entries and returns how many were pending.").fast(),
    Spec::write("XNACK",      AtLeast(7), Keys::One(1), xnack,      "Releases pending stream entries, for others to claim at once.").fast(),
    Spec::read ("XPENDING",   AtLeast(3), Keys::One(1), xpending,   "Returns what a group was given and has not acknowledged.").tips(NONDETERMINISTIC),
    Spec::write("XCLAIM",     AtLeast(6), Keys::One(1), xclaim,     "Gives pending stream entries to another consumer.").fast().tips(NONDETERMINISTIC),
    Spec::write("XAUTOCLAIM", AtLeast(6), Keys::One(1), xautoclaim, "Gives what has been pending for long to another consumer.").fast().uses(&[KeyUse::TAKE_AWAY]).tips(NONDETERMINISTIC),

    Spec::container("XGROUP", "Groups of consumers."),
    Spec::write("XGROUP|CREATE",         AtLeast(5), Keys::One(2), groups::create,          "Creates a group.").denyoom().uses(&[KeyUse::ADD]),
    Spec::write("XGROUP|CREATECONSUMER", Exactly(5), Keys::One(2), groups::create_consumer, "Creates a consumer of a group.").denyoom().uses(&[KeyUse::ADD]),
    Spec::write("XGROUP|DELCONSUMER",    Exactly(5), Keys::One(2), groups::delete_consumer, "Removes a consumer and returns how much it had pending.").uses(&[KeyUse::TAKE_AWAY]),
    Spec::write("XGROUP|DESTROY",        Exactly(4), Keys::One(2), groups::destroy,         "Removes a group.").uses(&[KeyUse::TAKE_AWAY]),
    Spec::write("XGROUP|SETID",          AtLeast(5), Keys::One(2), groups::set_id,          "Sets the last id that a group was given."),
    Spec::read ("XGROUP|HELP",           Exactly(2), Keys::None,   groups::help,            "Lists the subcommands.").flags(HELP),

    Spec::container("XINFO", "What there is to know of a stream."),
    Spec::read ("XINFO|CONSUMERS", Exactly(4), Keys::One(2), info::consumers, "Returns the consumers of a group.").tips(NONDETERMINISTIC),
    Spec::read ("XINFO|GROUPS",    Exactly(3), Keys::One(2), info::groups,    "Returns the groups of a stream."),
    Spec::read ("XINFO|STREAM",    AtLeast(3), Keys::One(2), info::stream,    "Returns what there is to know of a stream."),
    Spec::read ("XINFO|HELP",      Exactly(2), Keys::None,   info::help,      "Lists the subcommands.").flags(HELP),
];

/// The time of the log, in ms since 1970: what is written is of that time.
fn now(context: &Context) -> i64 {
    i64::try_from(context.now_ms).unwrap_or(i64::MAX)
}

/// The time of a read, in ms since 1970.
fn wall(context: &Context) -> i64 {
    i64::try_from(context.wall_ms).unwrap_or(i64::MAX)
}

/// Bytes as part of an error's line: a zero byte ends the strings of Redis.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned()
}

fn no_group(group: &[u8], key: &[u8]) -> CommandError {
    StreamError::NoGroup(shown(group), shown(key)).into()
}

fn no_key_or_group(key: &[u8], group: &[u8]) -> CommandError {
    StreamError::NoKeyOrGroup(shown(key), shown(group), "").into()
}

fn xlen(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    reply.count(k.read::<StreamValue>(context, key)?.map_or(0, StreamValue::entry_count));
    Ok(())
}
