//! Whole databases. COMMAND DOCS puts them with the server's commands, but what they touch is data.

use keyspace::{Context, DATABASE_COUNT, Keyspace};
use resp::Reply;

use crate::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::spec::{Arity::*, Flags, Keys, Spec};

#[rustfmt::skip]
pub(crate) const COMMANDS: &[Spec] = &[
    Spec::read ("DBSIZE",   Exactly(1), Keys::None, dbsize,   "Counts the keys of the selected database.").fast().flags(Flags::KEYSPACE).tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
    Spec::write("FLUSHDB",  AtLeast(1), Keys::None, flushdb,  "Removes all keys of the selected database.").flags(Flags::DANGEROUS).flags(Flags::KEYSPACE).tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Spec::write("FLUSHALL", AtLeast(1), Keys::None, flushall, "Removes all keys of all databases.").flags(Flags::DANGEROUS).flags(Flags::KEYSPACE).tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Spec::write("SWAPDB",   Exactly(3), Keys::None, swapdb,   "Exchanges the keys of two databases.").fast().flags(Flags::DANGEROUS).flags(Flags::KEYSPACE),
];

fn dbsize(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    args.end()?;
    reply.count(keyspace.key_count(context.database));
    Ok(())
}

/// Takes `SYNC` or `ASYNC`, which make no difference: what was emptied is always freed on another thread.
fn flush_mode(args: &mut Args<'_>) -> CommandResult {
    if !args.keyword("SYNC") {
        args.keyword("ASYNC");
    }
    args.end()
}

fn flushdb(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    flush_mode(args)?;
    keyspace.flush(context.database);
    reply.ok();
    Ok(())
}

fn flushall(keyspace: &mut Keyspace, args: &mut Args<'_>, _: &Context, reply: &mut Reply) -> CommandResult {
    flush_mode(args)?;
    for database in 0..DATABASE_COUNT {
        keyspace.flush(database);
    }
    reply.ok();
    Ok(())
}

fn swapdb(keyspace: &mut Keyspace, args: &mut Args<'_>, _: &Context, reply: &mut Reply) -> CommandResult {
    let mut database = |which| {
        let index = args.integer().ok().filter(|&index| i32::try_from(index).is_ok());
        index.ok_or(CommandError::InvalidDatabaseIndex(which))
    };
    let (left, right) = (database("first")?, database("second")?);
    args.end()?;
    let in_range = |database: i64| usize::try_from(database).ok().filter(|&database| database < DATABASE_COUNT);
    let (Some(left), Some(right)) = (in_range(left), in_range(right)) else {
        return Err(CommandError::DatabaseOutOfRange);
    };
    keyspace.swap(left, right);
    reply.ok();
    Ok(())
}
