//! OBJECT: how values are kept.

use keyspace::{Accesses, Context, Keyspace};
use resp::Reply;

use crate::args::Args;
use crate::error::{CommandResult, KeyError};
use crate::table::write_help;

pub(super) fn encoding(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    match k.encoding(context, key) {
        Some(encoding) => reply.bulk(encoding),
        None => reply.null(),
    }
    Ok(())
}

pub(super) fn freq(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    match k.frequency(context, key) {
        Some(_) if k.accesses() == Accesses::Timed => return Err(KeyError::NoLfuPolicy.into()),
        Some(frequency) => reply.integer(i64::from(frequency)),
        None => reply.null(),
    }
    Ok(())
}

pub(super) fn idletime(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    match k.idle_seconds(context, key) {
        Some(_) if k.accesses() != Accesses::Timed => return Err(KeyError::LfuPolicy.into()),
        Some(seconds) => reply.integer(i64::try_from(seconds).unwrap_or(i64::MAX)),
        None => reply.null(),
    }
    Ok(())
}

pub(super) fn refcount(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    if k.exists(context, key) {
        reply.integer(1);
    } else {
        reply.null();
    }
    Ok(())
}

pub(super) fn help(_: &Keyspace, args: &mut Args<'_>, _: &Context, reply: &mut Reply) -> CommandResult {
    args.end()?;
    write_help("OBJECT", reply);
    Ok(())
}
