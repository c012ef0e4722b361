//! The commands on sorted sets that wait: what they do at once. With nothing to pop they answer a null (see `blocking`).

use keyspace::{Context, Keyspace};
use resp::Reply;

use super::{End, pop_first, take_end, take_members, write_score};
use crate::args::Args;
use crate::blocking::take_keys_and_seconds;
use crate::error::CommandResult;
use crate::pops::Pops;

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
    let keys = take_keys_and_seconds(args, context)?;
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
    pop_first(&Pops::parse_waiting(args, context, take_end)?, keyspace, context, reply)
}
