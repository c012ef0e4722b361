//! Keys of any type, databases, and how values are kept.

use super::*;

pub(crate) const FAMILY: Family = Family {
    name: "keys",
    templates: &[
        "DEL { <k> }",
        "UNLINK { <k> }",
        "EXISTS { <k> }",
        "TOUCH { <k> }",
        "TYPE <k>",
        "RENAME <k> <k>",
        "RENAMENX <k> <k>",
        "COPY <k> <k> [ REPLACE ]",
        "COPY <k> <k> DB <count> [ REPLACE ]",
        "MOVE <k> <count>",
        "KEYS <pattern>",
        "SCAN <count> [ MATCH <pattern> ] [ COUNT <i> ] [ TYPE ( string | hash | nosuch ) ]",
        "RANDOMKEY",
        "DBSIZE",
        "EXPIRE <k> <seconds> [ ( NX | XX | GT | LT ) ] [ ( NX | XX | GT | LT ) ]",
        "PEXPIRE <k> <ms> [ ( NX | XX | GT | LT ) ]",
        "EXPIREAT <k> <at> [ ( NX | XX | GT | LT ) ]",
        "PEXPIREAT <k> <atms> [ ( NX | XX | GT | LT ) ]",
        "TTL <k>",
        "PTTL <k>",
        "EXPIRETIME <k>",
        "PEXPIRETIME <k>",
        "PERSIST <k>",
        "OBJECT ( ENCODING | REFCOUNT | FREQ | NOSUCH ) <k>",
    ],
    word,
    rule,
    follow,
    without_template: &[("FLUSHALL", "between runs")],
    differences: &[
        Difference {
            command: "SCAN",
            valkey: "ERR unknown type name",
            cairn: "",
            reason: "Redis 7.2 finds no keys of a type that it does not know",
        },
        Difference {
            command: "MOVE",
            valkey: "ERR value is out of range, value must between",
            cairn: "ERR DB index is out of range",
            reason: "an index that does not even fit there is out of range here",
        },
        Difference {
            command: "OBJECT",
            valkey: "skiplist",
            cairn: "listpack",
            reason: "there, the longest member that ZADD names decides, also when XX keeps it out",
        },
        Difference {
            command: "COPY",
            valkey: "ERR value is out of range, value must between",
            cairn: "ERR DB index is out of range",
            reason: "as for MOVE",
        },
    ],
    ..Family::NONE
};

fn word(what: &str, dice: &mut Dice) -> Option<Vec<u8>> {
    let choices: &[&str] = match what {
        "at" => &["4000000000", "4000001000", "1", "0", "-5", "9223372036854775807"],
        "atms" => &["4000000000000", "4000001000000", "1", "0", "-5", "9223372036854775807"],
        _ => return None,
    };
    Some(dice.pick(choices).as_bytes().to_vec())
}

fn rule(name: &str, _: &[&[u8]]) -> Option<Rule> {
    Some(match name {
        "KEYS" => Rule::AnyOrder,
        "TTL" | "EXPIRETIME" => Rule::Close(2),
        "PTTL" | "PEXPIRETIME" => Rule::Close(3000),
        "RANDOMKEY" => Rule::Shape,
        "SCAN" => Rule::Anything,
        "OBJECT" => Rule::Encoding,
        _ => return None,
    })
}

/// An absent key that was watched may have been there in between, as far as Cairn remembers after this: EXEC would be refused, one of the
/// false refusals that are allowed.
fn follow(command: &Command) -> Vec<Command> {
    match command.name() {
        "FLUSHDB" | "SWAPDB" => vec![Command::of("UNWATCH")],
        _ => Vec::new(),
    }
}
