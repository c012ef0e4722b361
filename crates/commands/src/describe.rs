//! COMMAND: what the table says about its rows.

use resp::{Arguments, Reply};

use crate::server::NodeCommand;
use crate::spec::{Keys, Spec};
use crate::table::{families, lookup};

/// Answers one of the COMMAND commands.
pub fn describe(command: NodeCommand, arguments: Arguments<'_>, reply: &mut Reply) {
    match command {
        NodeCommand::CommandCount => reply.count(top_level().count()),
        NodeCommand::CommandList => {
            reply.array(top_level().count());
            top_level().for_each(|spec| reply.bulk(spec.name.to_ascii_lowercase()));
        }
        NodeCommand::CommandInfo if arguments.len() > 2 => {
            reply.array(arguments.len() - 2);
            for name in arguments.iter().skip(2) {
                match lookup(name) {
                    Some(spec) => info(spec, reply),
                    None => reply.null_array(),
                }
            }
        }
        _ => {
            reply.array(top_level().count());
            top_level().for_each(|spec| info(spec, reply));
        }
    }
}

fn top_level() -> impl Iterator<Item = &'static Spec> {
    families().iter().flat_map(|family| family.rows).filter(|spec| spec.container_name().is_none())
}

fn info(spec: &Spec, reply: &mut Reply) {
    let (first, last, step) = match spec.keys {
        Keys::None | Keys::Counted { .. } | Keys::Custom(_) => (0, 0, 0),
        Keys::One(place) => (place, 1, 1),
        Keys::Range { first, last, step } => (first, last, step),
    };
    reply.array(6);
    reply.bulk(spec.name.to_ascii_lowercase());
    reply.integer(spec.arity.to_signed());
    reply.set(0);
    reply.count(first);
    reply.integer(i64::try_from(last).unwrap_or(0));
    reply.count(step);
}
