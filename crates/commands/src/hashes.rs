//! Hashes. What is about deadlines of fields is in `hashes/expiry.rs`, commands that do several things at once in `hashes/combined.rs`, hashes of
//! fields that are known beforehand in `hashes/import.rs`.

mod combined;
mod expiry;
mod import;

pub use import::{FieldsetCommand, Fieldsets};

use keyspace::{
    Context, DataError, DeadlineChange, Extended, FETCHED_MAX, HashValue, Keyspace, LiveHash, Pair, Random,
};
use resp::{Protocol, Reply};

use crate::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::scan::{Beside, ScanOptions};
use crate::session::SessionCommand;
use crate::spec::{Arity::*, Flags, KeyUse, Keys, Spec};

#[rustfmt::skip]
pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("HSET",         AtLeast(4), Keys::One(1), hset,         "Sets fields of a hash.").fast().denyoom(),
    Spec::write("HMSET",        AtLeast(4), Keys::One(1), hmset,        "Sets fields of a hash; HSET says how many are new.").fast().denyoom(),
    Spec::write("HSETNX",       Exactly(4), Keys::One(1), hsetnx,       "Sets a field of a hash unless it is there.").fast().denyoom().uses(&[KeyUse::ADD]),
    Spec::read ("HGET",         Exactly(3), Keys::One(1), hget,         "Returns the value of a field of a hash.").fast(),
    Spec::read ("HMGET",        AtLeast(3), Keys::One(1), hmget,        "Returns the values of some fields of a hash.").fast(),
    Spec::read ("HGETALL",      Exactly(2), Keys::One(1), hgetall,      "Returns all fields of a hash with their values.").tips(&["nondeterministic_output_order"]),
    Spec::read ("HKEYS",        Exactly(2), Keys::One(1), hkeys,        "Returns all fields of a hash.").tips(&["nondeterministic_output_order"]),
    Spec::read ("HVALS",        Exactly(2), Keys::One(1), hvals,        "Returns all values of a hash.").tips(&["nondeterministic_output_order"]),
    Spec::read ("HEXISTS",      Exactly(3), Keys::One(1), hexists,      "Says whether a hash has a field.").fast().uses(&[KeyUse::LOOK]),
    Spec::read ("HLEN",         Exactly(2), Keys::One(1), hlen,         "Returns the number of fields of a hash.").fast().uses(&[KeyUse::LOOK]),
    Spec::read ("HSTRLEN",      Exactly(3), Keys::One(1), hstrlen,      "Returns the length of a field's value.").fast().uses(&[KeyUse::LOOK]),
    Spec::write("HDEL",         AtLeast(3), Keys::One(1), hdel,         "Removes fields of a hash.").fast().uses(&[KeyUse::TAKE_AWAY]),
    Spec::write("HINCRBY",      Exactly(4), Keys::One(1), hincrby,      "Adds to the integer in a field of a hash.").fast().denyoom().uses(&[KeyUse::READ_AND_CHANGE]),
    Spec::write("HINCRBYFLOAT", Exactly(4), Keys::One(1), hincrbyfloat, "Adds to the number in a field of a hash.").fast().denyoom().uses(&[KeyUse::READ_AND_CHANGE]),
    Spec::read ("HRANDFIELD",   AtLeast(2), Keys::One(1), hrandfield,   "Returns random fields of a hash.").tips(&["nondeterministic_output"]),
    Spec::write("HEXPIRE",      AtLeast(6), Keys::One(1), expiry::hexpire,      "Lets fields of a hash expire after seconds.").fast(),
    Spec::write("HPEXPIRE",     AtLeast(6), Keys::One(1), expiry::hpexpire,     "Lets fields of a hash expire after milliseconds.").fast(),
    Spec::write("HEXPIREAT",    AtLeast(6), Keys::One(1), expiry::hexpireat,    "Lets fields of a hash expire at a time in seconds since 1970.").fast(),
    Spec::write("HPEXPIREAT",   AtLeast(6), Keys::One(1), expiry::hpexpireat,   "Lets fields of a hash expire at a time in milliseconds since 1970.").fast(),
    Spec::write("HPERSIST",     AtLeast(5), Keys::One(1), expiry::hpersist,     "Keeps fields of a hash from expiring.").fast(),
    Spec::read ("HTTL",         AtLeast(5), Keys::One(1), expiry::httl,         "Returns the seconds until fields of a hash expire.").fast(),
    Spec::read ("HPTTL",        AtLeast(5), Keys::One(1), expiry::hpttl,        "Returns the milliseconds until fields of a hash expire.").fast(),
    Spec::read ("HEXPIRETIME",  AtLeast(5), Keys::One(1), expiry::hexpiretime,  "Returns when fields of a hash expire, in seconds since 1970.").fast(),
    Spec::read ("HPEXPIRETIME", AtLeast(5), Keys::One(1), expiry::hpexpiretime, "Returns when fields of a hash expire, in milliseconds since 1970.").fast(),
    Spec::write("HGETEX",       AtLeast(5), Keys::One(1), combined::hgetex,     "Returns the values of fields and changes when they expire.").fast().uses(&[KeyUse::READ_AND_CHANGE]),
    Spec::write("HSETEX",       AtLeast(6), Keys::One(1), combined::hsetex,     "Sets fields of a hash and when they expire, under conditions.").fast().denyoom().uses(&[KeyUse::ADD]),
    Spec::write("HGETDEL",      AtLeast(5), Keys::One(1), combined::hgetdel,    "Returns the values of fields and removes them.").fast().uses(&[KeyUse::TAKE]),
    // From the documentation of Redis 8.10: redis.io/docs/latest/commands/himport.
    Spec::container("HIMPORT",                                                  "Creates hashes whose fields were named beforehand."),
    Spec::session("HIMPORT|PREPARE",    AtLeast(4), SessionCommand::Fieldsets(FieldsetCommand::Prepare),    "Names the fields of hashes to come, for this session.").denyoom().tips(ON_ALL_SHARDS),
    Spec::session("HIMPORT|DISCARD",    Exactly(3), SessionCommand::Fieldsets(FieldsetCommand::Discard),    "Forgets the fields of one name.").tips(ON_ALL_SHARDS),
    Spec::session("HIMPORT|DISCARDALL", Exactly(2), SessionCommand::Fieldsets(FieldsetCommand::DiscardAll), "Forgets the fields of all names.").tips(ON_ALL_SHARDS),
    Spec::write("HIMPORT|SET",  AtLeast(5), Keys::One(2), import::set,          "Creates a hash of fields that were named beforehand and these values.").denyoom().flags(Flags::OF_SESSION).uses(&[KeyUse::OVERWRITE]),
    Spec::read ("HSCAN",        AtLeast(3), Keys::One(1), hscan,        "Returns the fields of a hash step by step.").tips(&["nondeterministic_output"]),
];

const ON_ALL_SHARDS: &[&str] = &["request_policy:all_shards"];

/// The most repeated draws that one HRANDFIELD may ask for. Redis goes on until memory is gone.
const DRAWS_MAX: u64 = 1 << 24;
/// The longest reply of repeated draws, in bytes.
const DRAWN_BYTES_MAX: usize = 512 << 20;

fn hget(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, field) = (args.bytes()?, args.bytes()?);
    args.end()?;
    let hash = keyspace.read_hash(context, key)?;
    value_or_null(hash, field, reply);
    Ok(())
}

fn value_or_null<'a>(hash: Option<LiveHash<'a>>, field: &'a [u8], reply: &mut Reply) {
    match hash.and_then(|hash| hash.get(field)) {
        Some(value) => reply.bulk(value),
        None => reply.null(),
    }
}

fn hmget(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let (count, fields) = (args.remaining(), args.take_rest());
    let hash = keyspace.read_hash(context, key)?;
    reply.array(count);
    fields.for_each(|field| value_or_null(hash, field, reply));
    Ok(())
}

fn hexists(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, field) = (args.bytes()?, args.bytes()?);
    args.end()?;
    let hash = keyspace.read_hash(context, key)?;
    reply.integer(i64::from(hash.is_some_and(|hash| hash.contains(field))));
    Ok(())
}

fn hstrlen(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, field) = (args.bytes()?, args.bytes()?);
    args.end()?;
    let hash = keyspace.read_hash(context, key)?;
    reply.count(hash.and_then(|hash| hash.get(field)).map_or(0, <[u8]>::len));
    Ok(())
}

fn hlen(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    reply.count(keyspace.read_hash(context, key)?.map_or(0, LiveHash::len));
    Ok(())
}

fn hgetall(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    let hash = keyspace.read_hash(context, key)?;
    reply.map(hash.map_or(0, LiveHash::len));
    for (field, value) in hash.into_iter().flat_map(LiveHash::pairs) {
        reply.bulk(field);
        reply.bulk(value);
    }
    Ok(())
}

fn hkeys(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    let hash = keyspace.read_hash(context, key)?;
    reply.array(hash.map_or(0, LiveHash::len));
    hash.into_iter().flat_map(LiveHash::pairs).for_each(|pair| reply.bulk(pair.0));
    Ok(())
}

fn hvals(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    let hash = keyspace.read_hash(context, key)?;
    reply.array(hash.map_or(0, LiveHash::len));
    hash.into_iter().flat_map(LiveHash::pairs).for_each(|pair| reply.bulk(pair.1));
    Ok(())
}

fn hset(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    reply.count(set_fields(keyspace, args, context, "hset")?);
    Ok(())
}

fn hmset(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    set_fields(keyspace, args, context, "hmset")?;
    reply.ok();
    Ok(())
}

/// Sets the fields of the arguments' pairs, and counts those that are new.
fn set_fields(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    command: &str,
) -> Result<usize, CommandError> {
    let key = args.bytes()?;
    if !args.remaining().is_multiple_of(2) {
        return Err(CommandError::WrongArity(command.to_owned()));
    }
    let settings = *keyspace.settings();
    let mut hash = keyspace.edit_or_new::<HashValue>(context, key)?;
    let count = args.remaining() / 2;
    hash.expect_fields(count, &settings);
    let mut new_count = 0;
    for index in 0..count {
        if index.is_multiple_of(FETCHED_MAX) && count > 1 {
            hash.fetch(args.rest().step_by(2).take(FETCHED_MAX));
        }
        let (field, value) = (args.bytes()?, args.bytes()?);
        hash.drop_due(context, field);
        new_count += usize::from(hash.insert(field, value, DeadlineChange::Clear, &settings));
    }
    Ok(new_count)
}

fn hsetnx(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, field, value) = (args.bytes()?, args.bytes()?, args.bytes()?);
    args.end()?;
    let settings = *keyspace.settings();
    let mut hash = keyspace.edit_or_new::<HashValue>(context, key)?;
    hash.drop_due(context, field);
    let is_new = !hash.live(context).contains(field);
    if is_new {
        hash.insert(field, value, DeadlineChange::Clear, &settings);
    }
    reply.integer(i64::from(is_new));
    Ok(())
}

fn hdel(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let fields = args.take_rest();
    let Some(mut hash) = keyspace.edit::<HashValue>(context, key)? else {
        reply.integer(0);
        return Ok(());
    };
    let mut count = 0;
    for field in fields {
        // Looks first: only a change may be seen as one.
        hash.drop_due(context, field);
        if hash.live(context).contains(field) {
            hash.remove(field);
            count += 1;
        }
    }
    reply.count(count);
    Ok(())
}

fn hincrby(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, field, by) = (args.bytes()?, args.bytes()?, args.integer()?);
    args.end()?;
    let settings = *keyspace.settings();
    let mut hash = keyspace.edit_or_new::<HashValue>(context, key)?;
    hash.drop_due(context, field);
    let sum = hash.live(context).incremented(field, by)?;
    hash.insert(field, &keyspace::format_integer(sum), DeadlineChange::Keep, &settings);
    reply.integer(sum);
    Ok(())
}

fn hincrbyfloat(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, field, by) = (args.bytes()?, args.bytes()?, args.bytes()?);
    args.end()?;
    // An infinite increment is the argument's fault, an infinite sum is not.
    Extended::add_text(b"0", by).map_err(|error| match error {
        DataError::NotFinite => CommandError::NotFinite,
        other => other.into(),
    })?;
    let settings = *keyspace.settings();
    let mut hash = keyspace.edit_or_new::<HashValue>(context, key)?;
    hash.drop_due(context, field);
    let sum = hash.live(context).incremented_by_float(field, by)?;
    hash.insert(field, sum.as_bytes(), DeadlineChange::Keep, &settings);
    reply.bulk(sum);
    Ok(())
}

fn hscan(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, cursor) = (args.bytes()?, args.cursor()?);
    let options = ScanOptions::parse(args, Beside::Values);
    let hash = keyspace.read_hash(context, key)?;
    reply.array(2);
    let Some(hash) = hash else {
        // Redis looks at the options only when there is something to walk over.
        reply.bulk(b"0");
        reply.array(0);
        return Ok(());
    };
    let options = options?;
    let (next, pairs) = hash.scan(cursor, options.count);
    let pairs = pairs.filter(|pair| options.matches(pair.0));
    reply.bulk(next.to_string());
    reply.array(pairs.clone().count() * if options.is_bare { 1 } else { 2 });
    for (field, value) in pairs {
        reply.bulk(field);
        if !options.is_bare {
            reply.bulk(value);
        }
    }
    Ok(())
}

/// What HRANDFIELD is asked for behind the key.
struct Draw {
    /// Negative: so many draws, each from all fields.
    count: i64,
    with_values: bool,
}

impl Draw {
    fn parse(args: &mut Args<'_>) -> Result<Self, CommandError> {
        let count = args.integer()?;
        if count == i64::MIN {
            return Err(CommandError::NotBetween { least: -i64::MAX, most: i64::MAX });
        }
        let with_values = args.keyword("WITHVALUES");
        args.end()?;
        let is_refused = with_values && count.unsigned_abs() > i64::MAX.unsigned_abs() / 2;
        if is_refused || count < 0 && count.unsigned_abs() > DRAWS_MAX {
            return Err(CommandError::OutOfRange);
        }
        Ok(Self { count, with_values })
    }

    fn write(&self, (field, value): Pair<'_>, reply: &mut Reply) {
        if self.with_values && reply.protocol() == Protocol::Resp3 {
            reply.array(2);
        }
        reply.bulk(field);
        if self.with_values {
            reply.bulk(value);
        }
    }

    /// Begins the reply with so many fields to come.
    fn begin(&self, count: usize, reply: &mut Reply) {
        let is_flat = self.with_values && reply.protocol() == Protocol::Resp2;
        reply.array(if is_flat { 2 * count } else { count });
    }
}

fn hrandfield(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let draw = if args.is_empty() { None } else { Some(Draw::parse(args)?) };
    let hash = keyspace.read_hash(context, key)?;
    let mut random = Random::new(context.seed);
    let (draw, hash) = match (draw, hash) {
        (Some(draw), Some(hash)) => (draw, hash),
        (Some(_), None) => {
            reply.array(0);
            return Ok(());
        }
        (None, None) => {
            reply.null();
            return Ok(());
        }
        (None, Some(hash)) => {
            reply.bulk(hash.pair_at(random.below(hash.len())).0);
            return Ok(());
        }
    };
    let count = usize::try_from(draw.count.unsigned_abs()).unwrap_or(usize::MAX);
    if draw.count >= 0 {
        draw_distinct(&draw, count.min(hash.len()), hash, &mut random, reply);
        return Ok(());
    }
    let (picker, start) = (hash.picker(), reply.mark());
    draw.begin(count, reply);
    for _ in 0..count {
        draw.write(picker.pair(random.below(hash.len())), reply);
        if reply.since(start).len() > DRAWN_BYTES_MAX {
            return Err(CommandError::OutOfRange);
        }
    }
    Ok(())
}

/// Writes so many different fields, in the order of the hash.
fn draw_distinct(draw: &Draw, count: usize, hash: LiveHash<'_>, random: &mut Random, reply: &mut Reply) {
    draw.begin(count, reply);
    if count == hash.len() {
        hash.pairs().for_each(|pair| draw.write(pair, reply));
    } else if count > 0 {
        let picker = hash.picker();
        random.distinct(count, hash.len()).into_iter().for_each(|position| draw.write(picker.pair(position), reply));
    }
}
