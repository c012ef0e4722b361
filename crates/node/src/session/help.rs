//! HELP of the containers that the session answers, from the table of commands.

use resp::Reply;

/// Answers HELP of this container (its name in upper case).
pub(super) fn of(container: &str, reply: &mut Reply) {
    let lines = commands::help_lines(container);
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
}
