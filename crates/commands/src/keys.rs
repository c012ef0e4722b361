//! Keys of any type: removing, renaming, copying, asking about them. Deadlines are in `keys/expiry.rs`, walks over keys in `keys/scan.rs`,
//! SORT in `keys/sort.rs`, OBJECT in `keys/object.rs`, DUMP and RESTORE in `keys/transfer.rs`, MIGRATE's arguments in
//! `keys/migrate.rs`, whole databases in `keys/databases.rs`.

pub(crate) mod databases;
pub(crate) mod deadline;
pub(crate) mod expiry;
mod migrate;
mod object;
mod scan;
mod sort;
mod transfer;

pub use migrate::Migration;

use keyspace::{Context, DATABASE_COUNT, Keyspace, ValueType};
use resp::{Arguments, Reply};

use crate::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::server::NodeCommand;
use crate::spec::{Arity::*, Flags, KeyUse, Keys, Spec};

const ALL: Keys = Keys::Range { first: 1, last: -1, step: 1 };
const TWO: Keys = Keys::Range { first: 1, last: 2, step: 1 };

const MIGRATED: Keys = Keys::OneOrBehind { first: 3, keyword: "KEYS", find: migrate::keys_of_migrate };
const SORTED: Keys = Keys::OneAndFound { first: 1, find: sort::keys_of_sort };
const SORTED_RO: Keys = Keys::OneAndFound { first: 1, find: sort::keys_of_sort_ro };

#[rustfmt::skip]
pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("DEL",             AtLeast(2), ALL,          del,                 "Removes keys.").uses(&[KeyUse::REMOVE]).tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    Spec::write("UNLINK",          AtLeast(2), ALL,          del,                 "Removes keys; what is big is freed later, as by DEL.").fast().uses(&[KeyUse::REMOVE]).tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    Spec::read ("EXISTS",          AtLeast(2), ALL,          exists,              "Counts the keys that are there.").fast().uses(&[KeyUse::LOOK]).tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    Spec::read ("TOUCH",           AtLeast(2), ALL,          touch,               "Counts the keys that are there, as an access to each.").fast().uses(&[KeyUse::LOOK]).tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    Spec::read ("TYPE",            Exactly(2), Keys::One(1), value_type,          "Returns the type of the value at a key.").fast().uses(&[KeyUse::LOOK]),
    Spec::write("RENAME",          Exactly(3), TWO,          rename,              "Renames a key, over what has the new name.").uses(&[KeyUse::TAKE, KeyUse::OVERWRITE]),
    Spec::write("RENAMENX",        Exactly(3), TWO,          renamenx,            "Renames a key unless the new name is taken.").fast().uses(&[KeyUse::TAKE, KeyUse::CREATE]),
    Spec::write("COPY",            AtLeast(3), TWO,          copy,                "Copies a value to another key.").denyoom().uses(&[KeyUse::READ, KeyUse::OVERWRITE]),
    Spec::write("MOVE",            Exactly(3), Keys::One(1), move_key,            "Moves a key to another database.").fast().uses(&[KeyUse::READ_AND_CHANGE]),
    Spec::write("EXPIRE",          AtLeast(3), Keys::One(1), expiry::expire,      "Lets a key expire after seconds.").fast(),
    Spec::write("PEXPIRE",         AtLeast(3), Keys::One(1), expiry::pexpire,     "Lets a key expire after milliseconds.").fast(),
    Spec::write("EXPIREAT",        AtLeast(3), Keys::One(1), expiry::expireat,    "Lets a key expire at a time in seconds since 1970.").fast(),
    Spec::write("PEXPIREAT",       AtLeast(3), Keys::One(1), expiry::pexpireat,   "Lets a key expire at a time in milliseconds since 1970.").fast(),
    Spec::write("PERSIST",         Exactly(2), Keys::One(1), expiry::persist,     "Keeps a key from expiring.").fast(),
    Spec::read ("TTL",             Exactly(2), Keys::One(1), expiry::ttl,         "Returns the seconds until a key expires.").fast().tips(&["nondeterministic_output"]),
    Spec::read ("PTTL",            Exactly(2), Keys::One(1), expiry::pttl,        "Returns the milliseconds until a key expires.").fast().tips(&["nondeterministic_output"]),
    Spec::read ("EXPIRETIME",      Exactly(2), Keys::One(1), expiry::expiretime,  "Returns when a key expires, in seconds since 1970.").fast(),
    Spec::read ("PEXPIRETIME",     Exactly(2), Keys::One(1), expiry::pexpiretime, "Returns when a key expires, in milliseconds since 1970.").fast(),
    Spec::read ("RANDOMKEY",       Exactly(1), Keys::None,   scan::randomkey,     "Returns some key.").tips(&["request_policy:all_shards", "response_policy:special", "nondeterministic_output"]),
    Spec::read ("KEYS",            Exactly(2), Keys::None,   scan::keys,          "Returns the keys that match a pattern.").flags(Flags::DANGEROUS).tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
    Spec::read ("SCAN",            AtLeast(2), Keys::None,   scan::scan,          "Walks over the keys, step by step.").tips(&["nondeterministic_output", "request_policy:special", "response_policy:special"]),
    Spec::write("SORT",            AtLeast(2), SORTED,       sort::sort,          "Returns the elements of a collection in order, or stores them.").denyoom().flags(Flags::DANGEROUS.with(Flags::COLLECTIONS)).uses(&[KeyUse::READ, KeyUse::READ, KeyUse::OVERWRITE]),
    Spec::read ("SORT_RO",         AtLeast(2), SORTED_RO,    sort::sort_ro,       "Returns the elements of a collection in order.").flags(Flags::DANGEROUS.with(Flags::COLLECTIONS)).uses(&[KeyUse::READ, KeyUse::READ]),
    Spec::read ("DUMP",            Exactly(2), Keys::One(1), transfer::dump,      "Returns a value as RESTORE takes it, here and in Redis.").tips(&["nondeterministic_output"]),
    Spec::write("RESTORE",         AtLeast(4), Keys::One(1), transfer::restore,   "Creates a key from what DUMP has answered, here or in Redis.").denyoom().flags(Flags::DANGEROUS).uses(&[KeyUse::OVERWRITE]),
    Spec::node ("MIGRATE",         AtLeast(6), NodeCommand::Migrate,              "Moves keys to another server, or copies them there.").with_keys(MIGRATED).flags(Flags::WRITES.with(Flags::DANGEROUS)).uses(&[KeyUse::TAKE, KeyUse::TAKE.with(KeyUse::INCOMPLETE)]).tips(&["nondeterministic_output"]),
    Spec::container("OBJECT", "About how values are kept."),
    Spec::read ("OBJECT|ENCODING", Exactly(3), Keys::One(2), object::encoding,    "Returns how a value is kept.").uses(&[KeyUse::LOOK]).tips(&["nondeterministic_output"]),
    Spec::read ("OBJECT|FREQ",     Exactly(3), Keys::One(2), object::freq,        "Returns how often a key was accessed.").uses(&[KeyUse::LOOK]).tips(&["nondeterministic_output"]),
    Spec::read ("OBJECT|IDLETIME", Exactly(3), Keys::One(2), object::idletime,    "Returns the seconds since the last access.").uses(&[KeyUse::LOOK]).tips(&["nondeterministic_output"]),
    Spec::read ("OBJECT|REFCOUNT", Exactly(3), Keys::One(2), object::refcount,    "Returns the number of references to a value: 1.").uses(&[KeyUse::LOOK]).tips(&["nondeterministic_output"]),
    Spec::read ("OBJECT|HELP",     Exactly(2), Keys::None,   object::help,        "Lists the subcommands.").flags(Flags::LOADING.with(Flags::STALE)),
];

/// What MIGRATE sends: a command about keys in another group than those.
pub(crate) const MIGRATING: &[Spec] = &[Spec::write(
    "RESTORE-ASKING",
    AtLeast(4),
    Keys::One(1),
    transfer::restore,
    "Creates a key as RESTORE does, in a slot that is imported.",
)
.denyoom()
.flags(Flags::DANGEROUS)
.flags(Flags::KEYSPACE)
.flags(Flags::ASKING)
.uses(&[KeyUse::OVERWRITE])];

fn del(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    reply.count(args.take_rest().filter(|key| keyspace.remove(context, key)).count());
    Ok(())
}

fn exists(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    reply.count(args.take_rest().filter(|key| keyspace.exists(context, key)).count());
    Ok(())
}

fn touch(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    reply.count(args.take_rest().filter(|key| keyspace.touch(context, key)).count());
    Ok(())
}

fn value_type(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    reply.simple(keyspace.value_type(context, key).map_or("none", ValueType::name));
    Ok(())
}

fn rename(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (from, to) = (args.bytes()?, args.bytes()?);
    args.end()?;
    if !keyspace.finds(context, from) {
        return Err(CommandError::NoSuchKey);
    }
    move_value(keyspace, (context, from), (context, to));
    reply.ok();
    Ok(())
}

fn renamenx(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (from, to) = (args.bytes()?, args.bytes()?);
    args.end()?;
    if !keyspace.finds(context, from) {
        return Err(CommandError::NoSuchKey);
    }
    let is_free = !keyspace.exists(context, to);
    if is_free {
        move_value(keyspace, (context, from), (context, to));
    }
    reply.integer(i64::from(is_free));
    Ok(())
}

/// Moves a value with its deadline from a key that is there to another one, unless both are the same.
fn move_value(keyspace: &mut Keyspace, from: (&Context, &[u8]), to: (&Context, &[u8])) {
    if from.0.database == to.0.database && from.1 == to.1 {
        return;
    }
    if let Some((value, deadline_ms)) = keyspace.take(from.0, from.1) {
        keyspace.put_anew(to.0, to.1, value, deadline_ms);
    }
}

/// Takes the number of a database.
fn database(args: &mut Args<'_>) -> Result<usize, CommandError> {
    let database = args.integer()?;
    // redis: object.c getIntFromObjectOrReply
    let (least, most) = (i64::from(i32::MIN), i64::from(i32::MAX));
    if database < least || database > most {
        return Err(CommandError::NotBetween { least, most });
    }
    usize::try_from(database).ok().filter(|&database| database < DATABASE_COUNT).ok_or(CommandError::DatabaseOutOfRange)
}

fn copy(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (from, to) = (args.bytes()?, args.bytes()?);
    let (mut replace, mut target) = (false, context.database);
    while !args.is_empty() {
        if args.keyword("REPLACE") {
            replace = true;
        } else if args.remaining() > 1 && args.keyword("DB") {
            target = database(args)?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if target == context.database && from == to {
        return Err(CommandError::SameSourceAndDestination);
    }
    let target = context.in_database(target);
    let found = keyspace.value(context, from).filter(|_| replace || !keyspace.exists(&target, to));
    reply.integer(i64::from(found.is_some()));
    if let Some((value, deadline_ms)) = found {
        keyspace.put_anew(&target, to, value, deadline_ms);
    }
    Ok(())
}

/// The database that a call puts keys into, if it says so: MOVE and COPY do.
pub fn target_database(spec: &Spec, arguments: Arguments<'_>) -> Option<u8> {
    let mut options = arguments.iter().skip(3);
    let target = match spec.name {
        "MOVE" => arguments.get(2),
        "COPY" => options.find(|option| option.eq_ignore_ascii_case(b"DB")).and_then(|_| options.next()),
        _ => None,
    };
    in_number(target?)
}

/// The databases that a call exchanges: SWAPDB does.
pub fn swapped_databases(spec: &Spec, arguments: Arguments<'_>) -> Option<[u8; 2]> {
    if spec.name != "SWAPDB" {
        return None;
    }
    Some([in_number(arguments.get(1)?)?, in_number(arguments.get(2)?)?])
}

fn in_number(text: &[u8]) -> Option<u8> {
    let number = keyspace::parse_integer(text)?;
    u8::try_from(number).ok().filter(|&database| usize::from(database) < DATABASE_COUNT)
}

fn move_key(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, target) = (args.bytes()?, database(args)?);
    args.end()?;
    if target == context.database {
        return Err(CommandError::SameSourceAndDestination);
    }
    let target = context.in_database(target);
    let moves = keyspace.exists(context, key) && !keyspace.exists(&target, key);
    if moves {
        move_value(keyspace, (context, key), (&target, key));
    }
    reply.integer(i64::from(moves));
    Ok(())
}
