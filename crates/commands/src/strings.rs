//! Strings.

use keyspace::{Context, DeadlineChange, Keyspace, StringRef};
use resp::Reply;

use crate::args::Args;
use crate::error::CommandResult;
use crate::spec::{Arity::*, Keys, Spec};

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::read("GET", Exactly(2), Keys::One(1), get, "Returns the string at a key.").fast(),
    Spec::write("SET", AtLeast(3), Keys::One(1), set, "Sets a key to a string, whatever was there.").denyoom(),
];

fn get(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    match keyspace.string(context, key)? {
        Some(string) => write_string(string, reply),
        None => reply.null(),
    }
    Ok(())
}

/// Replies with a string of the keyspace.
fn write_string(string: StringRef<'_>, reply: &mut Reply) {
    match string {
        StringRef::Inline(bytes, _) => reply.bulk(bytes),
        StringRef::Big(_) => reply.bulk_parts(string.pieces()),
    }
}

fn set(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, value) = (args.bytes()?, args.bytes()?);
    args.end()?;
    keyspace.set_string(context, key, value, DeadlineChange::Clear);
    reply.ok();
    Ok(())
}
