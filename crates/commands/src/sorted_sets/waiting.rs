//! The commands on sorted sets that wait: what they do at once. With nothing to pop they answer a null (see `blocking`).

use keyspace::{Context, Keyspace};
use resp::Reply;

use super::{End, Pops, take_members, write_score};
use crate::args::Args;
use crate::blocking::check_seconds;
use crate::error::CommandResult;

pub(super) fn bzpopmin(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    pop(keyspace, args, context, End::Lowest, reply)
}

pub(super) fn bzpopmax(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    pop(keyspace, args, context, End::Highest, reply)
}

fn pop(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, end: End, reply: &mut Reply) -> CommandResult {
    let keys: Vec<_> = (1..args.remaining()).map(|_| args.bytes()).collect::<Result<_, _>>()?;
    check_seconds(args.bytes()?, context)?;
    args.end()?;
    for key in keys {
        if let Some((member, score)) = take_members(keyspace, context, key, end, 1)?.pop() {
            reply.array(3);
            reply.bulk(key);
            reply.bulk(member);
            write_score(score, reply);
            return Ok(());
        }
    }
    reply.null_array();
    Ok(())
}

pub(super) fn bzmpop(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let timeout = args.bytes()?;
    let pops = Pops::parse(args)?;
    check_seconds(timeout, context)?;
    pops.run(keyspace, context, reply)
}
