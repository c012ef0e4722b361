//! The commands on lists that wait: what they do at once. With nothing to pop they answer a null (see `blocking`).

use keyspace::{Context, Keyspace, ListEnd, ListValue};
use resp::{Arguments, Reply};

use super::{Many, move_element, move_elements, pop_first, take_end, take_way};
use crate::args::Args;
use crate::blocking::{check_seconds, take_keys_and_seconds};
use crate::error::CommandResult;
use crate::pops::Pops;

pub(super) fn blpop(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    pop(keyspace, args, context, ListEnd::Front, reply)
}

pub(super) fn brpop(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    pop(keyspace, args, context, ListEnd::Back, reply)
}

fn pop(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    end: ListEnd,
    reply: &mut Reply,
) -> CommandResult {
    let keys = take_keys_and_seconds(args, context)?;
    let settings = *keyspace.settings();
    for key in keys {
        if let Some(mut list) = keyspace.edit::<ListValue>(context, key)? {
            reply.array(2);
            reply.bulk(key);
            reply.bulk(list.at_end(end).expect("no list is empty"));
            list.remove_at_end(end, 1, &settings);
            return Ok(());
        }
    }
    reply.null_array();
    Ok(())
}

pub(super) fn blmpop(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    pop_first(&Pops::parse_waiting(args, context, take_end)?, keyspace, context, reply)
}

pub(super) fn blmove(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let (source, target) = take_way(args)?;
    check_seconds(args.bytes()?, context)?;
    args.end()?;
    move_element(keyspace, context, source, target, reply)
}

pub(super) fn brpoplpush(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let (source, target) = (args.bytes()?, args.bytes()?);
    check_seconds(args.bytes()?, context)?;
    args.end()?;
    move_element(keyspace, context, (source, ListEnd::Back), (target, ListEnd::Front), reply)
}

pub(super) fn blmovem(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let (source, target) = take_way(args)?;
    check_seconds(args.bytes()?, context)?;
    let many = Many::parse(args)?;
    move_elements(keyspace, context, source, target, &many, reply)
}

/// Whether there are as many elements as a call of BLMOVEM asks for.
pub(super) fn has_enough(keyspace: &Keyspace, arguments: Arguments<'_>, context: &Context) -> bool {
    let (mut args, source) = (Args::new(arguments, 6), arguments.get(1).unwrap_or_default());
    // What makes no sense, or is of another type, is answered with an error.
    let (Ok(many), Ok(list)) = (Many::parse(&mut args), keyspace.read::<ListValue>(context, source)) else {
        return true;
    };
    list.is_some_and(|list| !many.exactly || list.len() >= many.count)
}
