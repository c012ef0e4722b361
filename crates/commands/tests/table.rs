//! What holds for every row.

#![allow(clippy::unwrap_used, reason = "tests may fail by panicking")]

mod support;

use std::collections::BTreeSet;

use commands::{Arity, Handler, Keys, Spec, families, lookup, resolve};
use keyspace::{Random, Settings};
use resp::{ArgumentRanges, Value, parse_stored, write_command};
use support::Client;

fn rows() -> impl Iterator<Item = &'static Spec> {
    families().iter().flat_map(|family| family.rows)
}

#[test]
fn names_are_unique_and_in_upper_case() {
    let mut names = BTreeSet::new();
    for row in rows() {
        assert!(names.insert(row.name), "{} twice", row.name);
        assert_eq!(row.name, row.name.to_ascii_uppercase());
        assert!(row.name.is_ascii() && !row.name.contains(' '));
        if let Some(container) = row.container_name() {
            assert!(lookup(container.as_bytes()).is_some(), "{} has no container", row.name);
        }
        assert!(row.summary.ends_with('.'), "{}'s summary is a sentence", row.name);
        let found = lookup(row.name.to_ascii_lowercase().as_bytes()).expect("every row is found");
        assert_eq!(found.name, row.name);
    }
}

#[test]
fn the_arity_covers_the_keys() {
    for row in rows() {
        let last = match row.keys {
            Keys::One(place) | Keys::OneAndFound { first: place, .. } | Keys::OneOrBehind { first: place, .. } => place,
            Keys::None | Keys::Custom(_) | Keys::CountedPairs(_) | Keys::Keyword { .. } | Keys::Keywords(_) => 0,
            Keys::Range { first, last, .. } => first.max(last.max(0).unsigned_abs()),
            Keys::Counted { count, .. } => count,
        };
        assert!(row.arity.least() > last, "{}: arity {:?}", row.name, row.arity);
        let words = row.name.split('|').count();
        assert!(row.arity.least() >= words, "{}", row.name);
    }
}

/// The words of a call of this row with so many arguments, drawn from what confuses parsers.
fn garbage(row: &Spec, count: usize, random: &mut Random) -> Vec<Vec<u8>> {
    const POOL: [&str; 24] = [
        "",
        "0",
        "-1",
        "1",
        "9223372036854775807",
        "-9223372036854775808",
        "99999999999999999999",
        "1.5",
        "nan",
        "inf",
        "-inf",
        "text",
        "hash",
        "list",
        "set",
        "zset",
        "number",
        "NX",
        "XX",
        "GET",
        "COUNT",
        "EX",
        "\r\n",
        "\0",
    ];
    let mut words: Vec<Vec<u8>> = row.name.split('|').map(|word| word.as_bytes().to_vec()).collect();
    let is_of_streams = commands::group_of(row) == commands::Group::Stream;
    while words.len() < count {
        let pool = if is_of_streams && random.below(4) > 0 { STREAM_POOL } else { &POOL };
        words.push(pool[random.below(pool.len())].as_bytes().to_vec());
    }
    words
}

/// What gets further into the parsers of stream commands.
const STREAM_POOL: &[&str] = &[
    "stream",
    "stream",
    "stream",
    "group",
    "group",
    "anna",
    "0",
    "1",
    "1-1",
    "2-1",
    "3-*",
    "*",
    "-",
    "+",
    "(1-1",
    ">",
    "$",
    "~",
    "STREAMS",
    "STREAMS",
    "GROUP",
    "COUNT",
    "BLOCK",
    "NOACK",
    "NOMKSTREAM",
    "MAXLEN",
    "MINID",
    "LIMIT",
    "IDLE",
    "TIME",
    "RETRYCOUNT",
    "FORCE",
    "JUSTID",
    "LASTID",
    "IDS",
    "DELREF",
    "ACKED",
    "MKSTREAM",
    "ENTRIESREAD",
    "ENTRIESADDED",
    "MAXDELETEDID",
    "FULL",
];

fn populated() -> Client {
    let mut client = Client::new(Settings::new([7, 11]));
    let setup = [
        "SET text some",
        "SET number 41",
        "HSET hash f 1 g 2",
        "RPUSH list a b c",
        "SADD set 1 2 a",
        "ZADD zset 1 a 2 b",
        "XADD stream 1-1 f v",
        "XADD stream 2-1 f v",
        "XGROUP CREATE stream group 0",
        "XREADGROUP GROUP group anna COUNT 1 STREAMS stream >",
    ];
    for line in setup {
        let words: Vec<_> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        if lookup(&words[0]).is_some() {
            client.call(&words);
        }
    }
    client
}

/// Whatever the arguments, a command gives one reply, a read changes nothing, and neither does a write that fails.
#[test]
fn garbage_changes_nothing() {
    let mut random = Random::new(1);
    for row in rows() {
        let is_write = match row.handler {
            Handler::Write(_) => true,
            Handler::Read(_) => false,
            _ => continue,
        };
        let mut client = populated();
        for _ in 0..300 {
            let most = match row.arity {
                Arity::Exactly(count) => count,
                Arity::AtLeast(count) => count + random.below(5),
            };
            let words = garbage(row, most, &mut random);
            let before = client.keyspace.digest();
            let reply = client.call(&words);
            let shown = words.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>().join(" ");
            if !is_write || matches!(reply, Value::Error(_)) {
                assert_eq!(client.keyspace.digest(), before, "{shown}");
            } else if client.keyspace.digest() != before {
                client = populated();
            }
            find_keys(&words);
        }
    }
}

/// Key places stand within the arguments.
fn find_keys(words: &[Vec<u8>]) {
    let (mut bytes, mut ranges) = (Vec::new(), ArgumentRanges::new());
    write_command(&mut bytes, words.iter().map(Vec::as_slice));
    let arguments = parse_stored(&bytes, &mut ranges).unwrap();
    let spec = resolve(arguments).unwrap();
    if let Some(places) = spec.keys(arguments) {
        assert!(places.clone().all(|place| place > 0 && place < words.len()), "{} {places:?}", spec.name);
    }
}

#[test]
fn names_are_resolved_as_redis_does() {
    let resolved = |line: &str| {
        let (mut bytes, mut ranges) = (Vec::new(), ArgumentRanges::new());
        write_command(&mut bytes, line.split(' ').collect::<Vec<_>>());
        resolve(parse_stored(&bytes, &mut ranges).unwrap()).map(|spec| spec.name).map_err(|error| error.to_string())
    };
    assert_eq!(resolved("get k"), Ok("GET"));
    assert_eq!(resolved("client id"), Ok("CLIENT|ID"));
    assert_eq!(resolved("command"), Ok("COMMAND"));
    let cases = [
        ("foo a b", "ERR unknown command 'foo', with args beginning with: 'a' 'b' "),
        ("foo", "ERR unknown command 'foo', with args beginning with: "),
        ("client|id", "ERR unknown command 'client|id', with args beginning with: "),
        ("client foo", "ERR unknown subcommand 'foo'. Try CLIENT HELP."),
        ("client", "ERR wrong number of arguments for 'client' command"),
        ("get", "ERR wrong number of arguments for 'get' command"),
        ("client id 1", "ERR wrong number of arguments for 'client|id' command"),
    ];
    for (line, error) in cases {
        assert_eq!(resolved(line), Err(error.to_owned()));
    }
}
