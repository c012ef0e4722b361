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
        "SCAN <count> [ MATCH <pattern> ] [ COUNT <i> ] [ TYPE ( string | hash | nosuch | <word> ) ]",
        "SCAN 0 COUNT 1000 [ MATCH <pattern> ] [ TYPE ( string | hash | ZSET | stream | nosuch ) ]",
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
        "SORT <l> [ ALPHA ] [ ( ASC | DESC ) ] [ LIMIT <index> <count> ] [ STORE <l> ]",
        "SORT <t> ALPHA [ ( ASC | DESC ) ] [ LIMIT <index> <count> ] [ GET # [ GET <sortpattern> ] ] [ STORE <l> ]",
        "SORT <z> BY <sortpattern> [ ( ASC | DESC ) ] [ LIMIT <index> <count> ] [ GET # ] [ STORE <l> ]",
        "SORT <l> [ BY <sortpattern> ] [ GET <sortpattern> ] [ GET # ] [ DESC ] [ LIMIT <index> <count> ]",
        "SORT_RO <k> [ BY <sortpattern> ] [ GET <sortpattern> ] [ GET # ] [ DESC ] [ LIMIT <index> <count> ]",
        "SORT_RO <k> [ ALPHA ] [ ( DESC | STORE <k> ) ] [ LIMIT <i> <i> ]",
        "COMMAND ( GETKEYS | GETKEYSANDFLAGS ) SORT <k> [ BY <k> ] [ LIMIT <word> <word> ] [ STORE <k> ] [ GET <k> ] [ STORE <k> ]",
        "COMMAND GETKEYS ( SORT_RO <k> STORE <k> | DUMP <k> | RESTORE <k> 0 x | COPY <k> <k> REPLACE )",
        "MEMORY USAGE <k> [ SAMPLES <count> ]",
        "DUMP <k>",
        "RESTORE <k> ( 0 | <ms> ) <payload> [ REPLACE ] [ ABSTTL ] [ ( IDLETIME <i> | FREQ <i> ) ]",
        "= RESTORE-ASKING <k> 0 <payload> REPLACE",
        "OBJECT ( ENCODING | REFCOUNT | FREQ | NOSUCH ) <k>",
    ],
    word,
    rule,
    follow,
    without_template: &[
        ("FLUSHALL", "between runs"),
        ("MIGRATE", "takes another server; in `migrate`"),
        (
            "DEBUG",
            "in inspections; its subcommands are code there and rows here, so that what is wrong is refused at another time",
        ),
    ],
    ..Family::NONE
};

/// What DUMP has answered elsewhere: the last column of each line.
const PAYLOADS: &str = include_str!("../../../crates/rdb/tests/payloads.tsv");

fn payload(dice: &mut Dice) -> Vec<u8> {
    // A list in one ziplist stays big in Valkey until it is changed, and becomes small here; Valkey takes
    // nothing from Redis after 7.2.
    let is_known = |line: &&str| !line.contains("list ziplist (10)") && !line.contains("Redis 7.4");
    let lines: Vec<_> = PAYLOADS.lines().filter(is_known).collect();
    let digits = lines[dice.below(lines.len())].rsplit('\t').next().expect("a line has columns");
    let bytes = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    let mut payload: Vec<u8> = bytes.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect();
    if dice.once_in(10) {
        let at = dice.below(payload.len());
        payload[at] ^= 1;
    }
    payload
}

fn word(what: &str, dice: &mut Dice) -> Option<Vec<u8>> {
    if what == "payload" {
        return Some(payload(dice));
    }
    let choices: &[&str] = match what {
        // Keys end in a digit, and so do many members.
        "sortpattern" => &["n*", "s*", "h*->a", "h*->1", "nosort", "*", "x*", "n*->", "l*", "#", "*->*", "h*->"],
        "at" => &["4000000000", "4000001000", "1", "0", "-5", "9223372036854775807"],
        "atms" => &["4000000000000", "4000001000000", "1", "0", "-5", "9223372036854775807"],
        _ => return None,
    };
    Some(dice.pick(choices).as_bytes().to_vec())
}

/// Whether the key is one of those that usually hold sets.
fn is_of_set(words: &[&[u8]]) -> bool {
    words.get(1).is_some_and(|key| key.starts_with(b"t"))
}

/// Whether a SORT names a pattern without a place for the element.
fn is_by_nothing(words: &[&[u8]]) -> bool {
    words.windows(2).any(|pair| pair[0].eq_ignore_ascii_case(b"BY") && !pair[1].contains(&b'*'))
}

fn rule(name: &str, words: &[&[u8]]) -> Option<Rule> {
    let has = |word: &str| words.iter().any(|given| given.eq_ignore_ascii_case(word.as_bytes()));
    Some(match name {
        // By one and the same for all, they come in the value's own order, and a big set has none.
        "SORT" | "SORT_RO" if is_of_set(words) && is_by_nothing(words) && !has("STORE") => {
            if has("LIMIT") {
                Rule::Anything
            } else {
                Rule::AnyOrder
            }
        }
        "SORT" | "SORT_RO" if has("ALPHA") && !has("STORE") => {
            Rule::Collated { shows_elements: !has("GET") || has("#") }
        }
        // Small integers are one value there, counted as INT_MAX; there are none such here.
        "OBJECT" if has("REFCOUNT") => Rule::Anything,
        "KEYS" => Rule::AnyOrder,
        // Which of two equal times to live is the later one the servers' clocks say: whether it was set is 0 or 1.
        "EXPIRE" | "PEXPIRE" if has("GT") || has("LT") => Rule::Near(1),
        "TTL" | "EXPIRETIME" => Rule::Close(2),
        "PTTL" | "PEXPIRETIME" => Rule::Close(3000),
        // A fingerprint goes by the text of a score, of which valkey-server has two.
        "RANDOMKEY" | "DUMP" | "MEMORY" | "DEBUG" => Rule::Shape,
        "SCAN" => Rule::of_walk(words, 1, 1),
        "OBJECT" => Rule::Encoding,
        _ => return None,
    })
}

/// valkey-server makes a sorted set big to sort it (sort.c sortCommandGeneric), here a read changes nothing: this makes it big on both sides.
fn make_big(key: &[u8]) -> Command {
    let member = b"a member that no sorted set has, and that none in a small encoding could have".to_vec();
    Command::new(vec![b"ZADD".to_vec(), key.to_vec(), b"XX".to_vec(), b"1".to_vec(), member])
}

/// An absent key that was watched may have been there in between, as far as Cairn remembers after this: EXEC would be refused, one of the
/// false refusals that are allowed.
fn follow(command: &Command) -> Vec<Command> {
    match command.name() {
        "FLUSHDB" | "SWAPDB" => vec![Command::of("UNWATCH")],
        "SORT" | "SORT_RO" => command.words().get(1).map(|key| make_big(key)).into_iter().collect(),
        _ => Vec::new(),
    }
}
