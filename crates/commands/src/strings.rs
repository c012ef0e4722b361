//! Strings. SET and its kin, with their options, are in `strings/set.rs`, counters in `strings/counter.rs`, LCS in `strings/lcs.rs`.

mod counter;
mod lcs;
mod set;

use keyspace::{Context, DeadlineChange, Keyspace, StringRef};
use resp::Reply;

use crate::args::Args;
use crate::error::{CommandError, CommandResult};
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
    Spec::read ("MGET",        AtLeast(2), ALL,          mget,            "Returns the strings at keys.").fast().tips(&["request_policy:multi_shard"]),
    Spec::write("MSET",        AtLeast(3), PAIRS,        mset,            "Sets keys to strings.").denyoom().uses(&[KeyUse::OVERWRITE]).tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    Spec::write("MSETNX",      AtLeast(3), PAIRS,        msetnx,          "Sets keys to strings unless one of them is there.").denyoom().uses(&[KeyUse::CREATE]),
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

fn mget(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    reply.array(args.remaining());
    for key in args.take_rest() {
        // A key of another type counts as absent here.
        write_string(keyspace.string(context, key).unwrap_or(None), reply);
    }
    Ok(())
}

/// A key and its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// The keys and values of MSET and MSETNX.
fn pairs<'a>(args: &mut Args<'a>, command: &str) -> Result<Vec<Pair<'a>>, CommandError> {
    if !args.remaining().is_multiple_of(2) {
        return Err(CommandError::WrongArity(command.to_owned()));
    }
    let mut pairs = Vec::with_capacity(args.remaining() / 2);
    while !args.is_empty() {
        pairs.push((args.bytes()?, args.bytes()?));
    }
    Ok(pairs)
}

fn mset(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    for (key, value) in pairs(args, "mset")? {
        keyspace.set_string(context, key, value, DeadlineChange::Clear);
    }
    reply.ok();
    Ok(())
}

fn msetnx(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let pairs = pairs(args, "msetnx")?;
    let are_absent = pairs.iter().all(|(key, _)| !keyspace.exists(context, key));
    if are_absent {
        pairs.iter().for_each(|(key, value)| keyspace.set_string(context, key, value, DeadlineChange::Clear));
    }
    reply.integer(i64::from(are_absent));
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
    let offset = usize::try_from(offset).map_err(|_| CommandError::OffsetOutOfRange)?;
    reply.count(keyspace.set_range(context, key, offset, bytes)?);
    Ok(())
}
