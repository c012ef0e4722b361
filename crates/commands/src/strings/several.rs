//! Commands on several strings: MGET, MSET and its kin.

use keyspace::{Context, DeadlineChange, Keyspace};
use resp::Reply;

use super::set::SetOptions;
use super::write_string;
use crate::args::Args;
use crate::error::{CommandError, CommandResult, StringError};

pub(super) fn mget(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    reply.array(args.remaining());
    for key in args.take_rest() {
        // A key of another type counts as absent here.
        write_string(keyspace.string(context, key).unwrap_or(None), reply);
    }
    Ok(())
}

/// A key and its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// So many keys with their values.
fn take_pairs<'a>(args: &mut Args<'a>, count: usize) -> Result<Vec<Pair<'a>>, CommandError> {
    // More than there are arguments is an error, not an allocation.
    let mut pairs = Vec::with_capacity(count.min(args.remaining() / 2));
    for _ in 0..count {
        pairs.push((args.bytes()?, args.bytes()?));
    }
    Ok(pairs)
}

/// The keys and values of MSET and MSETNX.
fn all_pairs<'a>(args: &mut Args<'a>, command: &str) -> Result<Vec<Pair<'a>>, CommandError> {
    if !args.remaining().is_multiple_of(2) {
        return Err(CommandError::WrongArity(command.to_owned()));
    }
    take_pairs(args, args.remaining() / 2)
}

pub(super) fn mset(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    for (key, value) in all_pairs(args, "mset")? {
        keyspace.set_string(context, key, value, DeadlineChange::Clear);
    }
    reply.ok();
    Ok(())
}

pub(super) fn msetnx(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let pairs = all_pairs(args, "msetnx")?;
    let are_absent = pairs.iter().all(|(key, _)| !keyspace.finds(context, key));
    if are_absent {
        pairs.iter().for_each(|(key, value)| keyspace.set_string(context, key, value, DeadlineChange::Clear));
    }
    reply.integer(i64::from(are_absent));
    Ok(())
}

pub(super) fn msetex(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let count = args.integer().ok().and_then(|count| i32::try_from(count).ok()).filter(|&count| count > 0);
    let count = count.ok_or(CommandError::String(StringError::InvalidKeyCount))?;
    let pairs = take_pairs(args, usize::try_from(count).expect("positive"))?;
    let options = SetOptions::parse(args, context, "msetex")?;
    let met = pairs.iter().map(|(key, _)| options.is_met(keyspace, context, key)).collect::<Result<Vec<_>, _>>()?;
    let are_met = !met.contains(&false);
    if are_met {
        pairs.iter().for_each(|(key, value)| keyspace.set_string(context, key, value, options.deadline));
    }
    reply.integer(i64::from(are_met));
    Ok(())
}
