//! Running a command on the keyspace. The entry points for node, scripts and EXEC.

use keyspace::{Context, Keyspace};
use resp::{Arguments, Reply};

use crate::args::Args;
use crate::error::CommandResult;
use crate::spec::{Handler, Spec};

/// Runs a command that reads. Writes exactly one reply; on failure that is the error.
///
/// The row is that of [`crate::resolve`] for these arguments, and a `Handler::Read`.
pub fn run_read(spec: &Spec, keyspace: &Keyspace, arguments: Arguments<'_>, context: &Context, reply: &mut Reply) {
    let Handler::Read(read) = spec.handler else { unreachable!("{} does not read", spec.name) };
    let mark = reply.mark();
    let result = read(keyspace, &mut args_of(spec, arguments), context, reply);
    finish(result, mark, reply);
}

/// Runs a command that reads or writes, as one command of an entry: what it changes gets one revision. Writes exactly one reply; on
/// failure that is the error, and nothing was changed.
///
/// The row is that of [`crate::resolve`] for these arguments, and a `Handler::Write` or `Handler::Read`.
pub fn run_write(spec: &Spec, keyspace: &mut Keyspace, arguments: Arguments<'_>, context: &Context, reply: &mut Reply) {
    keyspace.begin_command();
    let write = if let Handler::Write(write) = spec.handler { Some(write) } else { spec.leaves };
    match write {
        Some(write) => {
            let mark = reply.mark();
            let result = write(keyspace, &mut args_of(spec, arguments), context, reply);
            finish(result, mark, reply);
        }
        None => run_read(spec, keyspace, arguments, context, reply),
    }
    keyspace.remove_met(context);
}

fn args_of<'a>(spec: &Spec, arguments: Arguments<'a>) -> Args<'a> {
    debug_assert!(spec.arity.accepts(arguments.len()), "resolve checks the arity");
    Args::new(arguments, if spec.container_name().is_some() { 2 } else { 1 })
}

fn finish(result: CommandResult, mark: resp::Mark, reply: &mut Reply) {
    if let Err(error) = result {
        reply.rollback(mark);
        reply.error(error.to_string());
    }
}
