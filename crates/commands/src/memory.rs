//! MEMORY: what keys and values take. What is about the process is run by `node`.

use keyspace::{Context, Keyspace};
use resp::Reply;

use crate::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::server::NodeCommand;
use crate::spec::{Arity::*, Flags, KeyUse, Keys, Spec};

const ANYWHERE: &[&str] = &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

#[rustfmt::skip]
pub(crate) const COMMANDS: &[Spec] = &[
    Spec::container("MEMORY", "About memory."),
    Spec::read("MEMORY|USAGE",        AtLeast(3), Keys::One(2), usage,         "Returns the bytes that a key and its value take.").uses(&[KeyUse::LOOK]),
    Spec::node("MEMORY|DOCTOR",       Exactly(2), NodeCommand::MemoryDoctor,      "Says whether the use of memory looks healthy.").tips(ANYWHERE),
    Spec::node("MEMORY|STATS",        Exactly(2), NodeCommand::MemoryStats,       "Returns for what memory is used.").tips(ANYWHERE),
    Spec::node("MEMORY|MALLOC-STATS", Exactly(2), NodeCommand::MemoryMallocStats, "Returns what the allocator has to say.").flags(Flags::LOADING).tips(ANYWHERE),
    Spec::node("MEMORY|PURGE",        Exactly(2), NodeCommand::MemoryPurge,       "Gives the pages back to the system that the allocator keeps unused.").flags(Flags::LOADING).tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Spec::node("MEMORY|HELP",         Exactly(2), NodeCommand::MemoryHelp,        "Lists the subcommands.").flags(Flags::LOADING.with(Flags::STALE)),
];

fn usage(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    while args.keyword("SAMPLES") {
        // Every value knows its bytes: none is estimated.
        if args.integer()? < 0 {
            return Err(CommandError::Syntax);
        }
    }
    args.end()?;
    match keyspace.key_bytes(context, key) {
        Some(bytes) => reply.count(bytes),
        None => reply.null(),
    }
    Ok(())
}
