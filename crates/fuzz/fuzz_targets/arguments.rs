//! Any commands about data with any arguments, one after the other on one keyspace: each gives exactly one reply, what only reads or fails changes
//! nothing, a read that leaves something behind (PFCOUNT) leaves it once, and what is left can be written to a snapshot and read back.
//!
//! ```text
//! thresholds, then for each command:  row   count of arguments   arguments, each
//!     below 96: a word of WORDS       above: as many raw bytes, modulo 8
//! ```
#![no_main]

#[path = "../../commands/tests/support/mod.rs"]
mod support;

use commands::{Arity, Handler, SessionCommand, Spec};
use keyspace::{PackedLimits, Settings};
use libfuzzer_sys::fuzz_target;
use resp::Value;
use support::Client;

/// Commands of one run.
const COMMANDS_MAX: usize = 24;
/// Arguments of a command, besides those that it must have.
const FURTHER_MAX: u8 = 8;

const WORDS: [&str; 96] = [
    "text",
    "number",
    "list",
    "hash",
    "set",
    "zset",
    "stream",
    "geo",
    "hll",
    "absent",
    "a",
    "b",
    "c",
    "",
    "0",
    "1",
    "2",
    "3",
    "-1",
    "-2",
    "10",
    "100",
    "1.5",
    "-0.0",
    "inf",
    "-inf",
    "nan",
    "9223372036854775807",
    "-9223372036854775808",
    "4294967296",
    "(1",
    "[a",
    "+",
    "-",
    "*",
    "?",
    "1-1",
    "2-*",
    "(1-1",
    ">",
    "$",
    "~",
    "=",
    "#1",
    "u8",
    "i64",
    "group",
    "anna",
    "NX",
    "XX",
    "GT",
    "LT",
    "EX",
    "PX",
    "KEEPTTL",
    "PERSIST",
    "GET",
    "SET",
    "COUNT",
    "MATCH",
    "LIMIT",
    "STORE",
    "BY",
    "ALPHA",
    "DESC",
    "LEFT",
    "RIGHT",
    "BEFORE",
    "RANK",
    "WITHSCORES",
    "WITHVALUES",
    "REV",
    "BYSCORE",
    "BYLEX",
    "AGGREGATE",
    "WEIGHTS",
    "SUM",
    "FIELDS",
    "FNX",
    "STREAMS",
    "GROUP",
    "NOACK",
    "MAXLEN",
    "MINID",
    "MKSTREAM",
    "JUSTID",
    "FORCE",
    "FULL",
    "ACKED",
    "IDS",
    "REPLACE",
    "FROMMEMBER",
    "BYRADIUS",
    "m",
    "ANY",
    "OVERFLOW",
];

const SETUP: [&str; 12] = [
    "SET text some",
    "SET number 41",
    "RPUSH list a b c",
    "HSET hash a 1 b 2",
    "HPEXPIRE hash 100000 FIELDS 1 a",
    "SADD set 1 2 a",
    "ZADD zset 1 a 2 b",
    "GEOADD geo 13 38 a 15 37 b",
    "PFADD hll a b",
    "XADD stream 1-1 a 1",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group anna STREAMS stream >",
];

fuzz_target!(|input: &[u8]| {
    let mut bytes = input.iter().copied();
    let Some(thresholds) = bytes.next() else { return };
    let mut client = Client::new(settings(thresholds));
    for line in SETUP {
        client.call(&line.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>());
    }
    for _ in 0..COMMANDS_MAX {
        let Some((row, words, is_checked)) = command(&mut bytes) else { break };
        if is_too_much(&words) {
            continue;
        }
        // As an entry does before its commands.
        client.now_ms += 7;
        client.keyspace.remove_due(client.now_ms, 100);
        // A digest takes long: the input says where.
        let before = if is_checked { client.keyspace.digest() } else { 0 };
        let reply = client.call(&words);
        let is_refused = matches!(reply, Value::Error(_));
        if is_checked && row.leaves.is_some() && !is_refused {
            // What it found out is there now: again, it finds that.
            let left = client.keyspace.digest();
            assert_eq!(client.call(&words), reply, "{}", row.name);
            assert_eq!(client.keyspace.digest(), left, "{}", row.name);
        } else if is_checked && (matches!(row.handler, Handler::Read(_)) || is_refused) {
            assert_eq!(client.keyspace.digest(), before, "{}", row.name);
        }
    }
    let reload = [b"DEBUG".to_vec(), b"RELOAD".to_vec()];
    assert_eq!(client.call(&reload), Value::Simple(b"OK".to_vec()));
});

fn settings(thresholds: u8) -> Settings {
    let bound = match thresholds % 3 {
        0 => return Settings::new([7, 11]),
        1 => 0,
        _ => 3,
    };
    let packed = PackedLimits { entries_max: bound, value_bytes_max: bound };
    Settings {
        hash: packed,
        set: packed,
        sorted_set: packed,
        set_integers_max: bound,
        list_packed_size: 3,
        stream_chunk_entries_max: 2,
        hyperloglog_sparse_bytes_max: bound,
        ..Settings::new([7, 11])
    }
}

/// The next command: its row, its words, and whether it is checked that it changes nothing if it must not.
fn command(bytes: &mut impl Iterator<Item = u8>) -> Option<(&'static Spec, Vec<Vec<u8>>, bool)> {
    let is_of_data = |row: &&Spec| {
        let fieldsets = matches!(row.handler, Handler::Session(SessionCommand::Fieldsets(_)));
        fieldsets || matches!(row.handler, Handler::Read(_) | Handler::Write(_))
    };
    let rows = || commands::families().iter().flat_map(|family| family.rows).filter(is_of_data);
    let choice = usize::from(u16::from_le_bytes([bytes.next()?, bytes.next()?]));
    let row = rows().nth(choice % rows().count()).expect("below their count");
    let mut words: Vec<Vec<u8>> = row.name.split('|').map(|word| word.as_bytes().to_vec()).collect();
    let choice = bytes.next()?;
    let (further, is_checked) = (usize::from(choice % FURTHER_MAX), choice >= 192);
    let count = match row.arity {
        Arity::Exactly(count) => count,
        Arity::AtLeast(count) => count + further,
    };
    while words.len() < count {
        let choice = bytes.next()?;
        words.push(match WORDS.get(usize::from(choice)) {
            Some(word) => word.as_bytes().to_vec(),
            None => bytes.by_ref().take(usize::from(choice % 8)).collect(),
        });
    }
    Some((row, words, is_checked))
}

/// What is right but takes more time or memory than a fuzzer has: a self-test, millions of random members, strings of hundreds of megabytes.
fn is_too_much(words: &[Vec<u8>]) -> bool {
    let is_great =
        |word: &Vec<u8>| word.len() > 4 && std::str::from_utf8(word).is_ok_and(|text| text.parse::<i64>().is_ok());
    match words[0].as_slice() {
        b"PFSELFTEST" => true,
        b"SRANDMEMBER" | b"HRANDFIELD" | b"ZRANDMEMBER" | b"SETBIT" | b"SETRANGE" | b"BITFIELD" => {
            words.iter().any(is_great)
        }
        _ => false,
    }
}
