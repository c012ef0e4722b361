//! Strings. Those with options, and those of several keys, have files of their own below.

mod comparison;
mod counter;
mod increx;
mod lcs;
mod set;
mod several;

use keyspace::{Context, Keyspace, StringRef};
use resp::Reply;

use crate::args::Args;
use crate::error::{CommandResult, StringError};
use crate::spec::{Arity::*, KeyUse, Keys, Spec};

const ALL: Keys = Keys::Range { first: 1, last: -1, step: 1 };
const PAIRS: Keys = Keys::Range { first: 1, last: -1, step: 2 };

#[rustfmt::skip]
pub(crate) const COMMANDS: &[Spec] = &[
    Spec::read ("GET",         Exactly(2), Keys::One(1), get,             "Returns the string at a key.").fast(),
    Spec::write("SET",         AtLeast(3), Keys::One(1), set::set,        "Sets a key to a string, whatever was there.").denyoom().variable_use(&[KeyUse::READ_AND_CHANGE.with(KeyUse::VARIABLE)], set::key_use),
    Spec::write("SETNX",       Exactly(3), Keys::One(1), set::setnx,      "Sets a key to a string unless it is there.").fast().denyoom().uses(&[KeyUse::CREATE]),
    Spec::write("SETEX",       Exactly(4), Keys::One(1), set::setex,      "Sets a key to a string that expires after seconds.").denyoom().uses(&[KeyUse::OVERWRITE]),
    Spec::write("PSETEX",      Exactly(4), Keys::One(1), set::psetex,     "Sets a key to a string that expires after milliseconds.").denyoom().uses(&[KeyUse::OVERWRITE]),
    Spec::write("GETSET",      Exactly(3), Keys::One(1), set::getset,     "Sets a key to a string and returns the one before.").fast().denyoom().uses(&[KeyUse::READ_AND_CHANGE]),
    Spec::write("GETEX",       AtLeast(2), Keys::One(1), set::getex,      "Returns the string at a key and changes when it expires.").fast().uses(&[KeyUse::READ_AND_CHANGE]),
    Spec::write("GETDEL",      Exactly(2), Keys::One(1), getdel,          "Returns the string at a key and removes the key.").fast().uses(&[KeyUse::TAKE]),
    Spec::read ("MGET",        AtLeast(2), ALL,          several::mget,          "Returns the strings at keys.").fast().tips(&["request_policy:multi_shard"]),
    Spec::write("MSET",        AtLeast(3), PAIRS,        several::mset,          "Sets keys to strings.").denyoom().uses(&[KeyUse::OVERWRITE]).tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    Spec::write("MSETNX",      AtLeast(3), PAIRS,        several::msetnx,        "Sets keys to strings unless one of them is there.").denyoom().uses(&[KeyUse::CREATE]),
    Spec::write("MSETEX",      AtLeast(4), Keys::CountedPairs(1), several::msetex, "Sets keys to strings, with conditions and deadlines.").denyoom().uses(&[KeyUse::OVERWRITE]).tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    Spec::write("APPEND",      Exactly(3), Keys::One(1), append,          "Adds bytes at the end of a string.").fast().denyoom().uses(&[KeyUse::ADD]),
    Spec::read ("STRLEN",      Exactly(2), Keys::One(1), strlen,          "Returns the length of a string.").fast().uses(&[KeyUse::LOOK]),
    Spec::read ("GETRANGE",    Exactly(4), Keys::One(1), getrange,        "Returns a part of a string."),
    Spec::read ("SUBSTR",      Exactly(4), Keys::One(1), getrange,        "Returns a part of a string, as GETRANGE does."),
    Spec::write("SETRANGE",    Exactly(4), Keys::One(1), setrange,        "Writes over a part of a string.").denyoom(),
    Spec::write("INCR",        Exactly(2), Keys::One(1), counter::incr,   "Adds one to the integer at a key.").fast().denyoom().uses(&[KeyUse::READ_AND_CHANGE]),
    Spec::write("DECR",        Exactly(2), Keys::One(1), counter::decr,   "Takes one from the integer at a key.").fast().denyoom().uses(&[KeyUse::READ_AND_CHANGE]),
    Spec::write("INCRBY",      Exactly(3), Keys::One(1), counter::incrby, "Adds to the integer at a key.").fast().denyoom().uses(&[KeyUse::READ_AND_CHANGE]),
    Spec::write("DECRBY",      Exactly(3), Keys::One(1), counter::decrby, "Takes from the integer at a key.").fast().denyoom().uses(&[KeyUse::READ_AND_CHANGE]),
    Spec::write("INCRBYFLOAT", Exactly(3), Keys::One(1), counter::incrbyfloat, "Adds to the number at a key.").fast().denyoom().uses(&[KeyUse::READ_AND_CHANGE]),
    Spec::write("INCREX",      AtLeast(2), Keys::One(1), increx::increx, "Adds to the number at a key within bounds, and changes when it expires.").fast().denyoom().uses(&[KeyUse::READ_AND_CHANGE]),
    Spec::read ("DIGEST",      Exactly(2), Keys::One(1), comparison::digest, "Returns a digest of the string at a key.").fast(),
    Spec::write("DELEX",       AtLeast(2), Keys::One(1), comparison::delex, "Removes a key if the string at it meets a condition.").fast().variable_use(&[KeyUse::TAKE_AWAY.with(KeyUse::VARIABLE)], comparison::key_use),
    Spec::write("DELIFEQ",     Exactly(3), Keys::One(1), comparison::delifeq, "Removes a key if the string at it is this one.").fast().uses(&[KeyUse::REMOVE]),
    Spec::read ("LCS",         AtLeast(3), Keys::Range { first: 1, last: 2, step: 1 }, lcs::lcs, "Finds the longest common subsequence of two strings."),
];

/// Replies with a string of the keyspace, or null.
fn write_string(string: Option<StringRef<'_>>, reply: &mut Reply) {
    match string {
        Some(StringRef::Inline(bytes, _)) => reply.bulk(bytes),
        Some(string) => reply.bulk_parts(string.pieces()),
        None => reply.null(),
    }
}

fn get(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    write_string(keyspace.string(context, key)?, reply);
    Ok(())
}

fn getdel(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    write_string(keyspace.string(context, key)?, reply);
    keyspace.remove(context, key);
    Ok(())
}

fn append(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, bytes) = (args.bytes()?, args.bytes()?);
    args.end()?;
    reply.count(keyspace.append(context, key, bytes)?);
    Ok(())
}

fn strlen(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    reply.count(keyspace.string(context, key)?.map_or(0, StringRef::len));
    Ok(())
}

fn getrange(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, first, last) = (args.bytes()?, args.integer()?, args.integer()?);
    args.end()?;
    let Some(string) = keyspace.string(context, key)? else {
        reply.bulk(b"");
        return Ok(());
    };
    let (start, end) = byte_range(first, last, string.len());
    reply.bulk_parts(string.range(start, end));
    Ok(())
}

/// The bytes from `first` to `last`, negative ones counted from the end, as a half-open range within the length.
fn byte_range(first: i64, last: i64, length: usize) -> (usize, usize) {
    let from_end = |place: i64| match usize::try_from(place) {
        Ok(place) => Some(place),
        Err(_) => length.checked_sub(usize::try_from(place.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    if first < 0 && last < 0 && first > last {
        return (0, 0);
    }
    let start = from_end(first).unwrap_or(0);
    // A last byte in front of the first one is the first one.
    let end = from_end(last).unwrap_or(0).saturating_add(1).min(length);
    (start.min(end), end)
}

fn setrange(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, offset, bytes) = (args.bytes()?, args.integer()?, args.bytes()?);
    args.end()?;
    let offset = usize::try_from(offset).map_err(|_| StringError::OffsetOutOfRange)?;
    reply.count(keyspace.set_range(context, key, offset, bytes)?);
    Ok(())
}
