//! Sets.

use super::*;

pub(crate) const FAMILY: Family = Family {
    name: "sets",
    templates: &[
        "SADD <t> { <m> }",
        "SADD <t> { <i> }",
        "SREM <t> { <m> }",
        "SCARD <t>",
        "SISMEMBER <t> <m>",
        "SMISMEMBER <t> { <m> }",
        "SMEMBERS <t>",
        "SMOVE <t> <t> <m>",
        "SPOP <t> [ <count> ]",
        "SRANDMEMBER <t> [ <count> ]",
        "SINTER { <t> }",
        "SUNION { <t> }",
        "SDIFF { <t> }",
        "SINTERSTORE <t> { <t> }",
        "SUNIONSTORE <t> { <t> }",
        "SDIFFSTORE <t> { <t> }",
        "SINTERCARD ( 1 <t> | 2 <t> <t> | <i> <t> ) [ LIMIT <count> ]",
        "SSCAN <t> 0 COUNT 1000 [ MATCH <pattern> ]",
        "SSCAN <t> <count> [ MATCH <pattern> ] [ COUNT <i> ]",
    ],
    without_template: &[
        ("SDIFFCARD", "Redis 8.10 has it, valkey-server 9.1 has not"),
        ("SUNIONCARD", "Redis 8.10 has it, valkey-server 9.1 has not"),
    ],
    ours: &[("SDIFFCARD", "Redis 8.10"), ("SUNIONCARD", "Redis 8.10")],
    keys: &[KeySort::new("t", "SMEMBERS")],
    rule,
    follow,
    ..Family::NONE
};

fn rule(name: &str, words: &[&[u8]]) -> Option<Rule> {
    Some(match name {
        "SMEMBERS" | "SINTER" | "SUNION" | "SDIFF" => Rule::AnyOrder,
        "SPOP" | "SRANDMEMBER" => Rule::Shape,
        "SSCAN" => Rule::of_walk(words, 2, 1),
        _ => return None,
    })
}

/// What was popped is the server's choice: the rest is forgotten, in the same transaction.
fn follow(command: &Command) -> Vec<Command> {
    match (command.name(), command.words().get(1)) {
        ("SPOP", Some(key)) => vec![Command::new(vec![b"DEL".to_vec(), key.to_vec()])],
        _ => Vec::new(),
    }
}
