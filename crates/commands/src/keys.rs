//! Keys of any type.

use keyspace::{Context, Keyspace};
use resp::Reply;

use crate::args::Args;
use crate::error::CommandResult;
use crate::spec::{Arity::*, Keys, Spec};

const ALL: Keys = Keys::Range { first: 1, last: -1, step: 1 };

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("DEL", AtLeast(2), ALL, del, "Removes keys."),
    Spec::write("UNLINK", AtLeast(2), ALL, del, "Removes keys, freeing what is big later; as DEL does here.").fast(),
];

fn del(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let count = args.take_rest().filter(|key| keyspace.remove(context, key)).count();
    reply.count(count);
    Ok(())
}
