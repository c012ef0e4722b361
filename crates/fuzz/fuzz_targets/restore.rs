//! Any bytes in the place of a value, with a footer that fits: RESTORE refuses them, or what it made of them is a value like any other. It can be
//! read, dumped and restored again, written to a snapshot and read back, and changed.
#![no_main]

#[path = "../../commands/tests/support/mod.rs"]
mod support;

use crc::{CRC_64_REDIS, Crc};
use keyspace::Settings;
use libfuzzer_sys::fuzz_target;
use resp::Value;
use support::Client;

const CHECKSUM: Crc<u64> = Crc::<u64>::new(&CRC_64_REDIS);

/// What is asked of the key, whatever its type is.
const READS: &[&str] = &[
    "OBJECT ENCODING k",
    "DEBUG OBJECT k",
    "MEMORY USAGE k",
    "GET k",
    "BITCOUNT k",
    "PFCOUNT k",
    "LRANGE k 0 -1",
    "LINDEX k -1",
    "LPOS k a RANK -1",
    "HGETALL k",
    "HSCAN k 0 COUNT 1000",
    "HPEXPIRETIME k FIELDS 1 a",
    "SMEMBERS k",
    "SSCAN k 0 COUNT 1000",
    "SRANDMEMBER k -3",
    "ZRANGE k 0 -1 WITHSCORES",
    "ZRANGE k -inf +inf BYSCORE LIMIT 1 2",
    "ZRANK k a",
    "GEOPOS k a",
    "XINFO STREAM k FULL COUNT 0",
    "XRANGE k - +",
    "XREVRANGE k + - COUNT 2",
    "XPENDING k g - + 10",
    "SORT_RO k ALPHA",
];

/// What changes it: at both ends, in the middle, what is there and what is not.
const WRITES: &[&str] = &[
    "APPEND k x",
    "SETRANGE k 3 yz",
    "PFADD k a b",
    "PFMERGE k k",
    "LPUSH k a",
    "RPOP k",
    "LINSERT k BEFORE a b",
    "LREM k 0 a",
    "LTRIM k 0 -2",
    "HSET k a 1 field value",
    "HEXPIRE k 100 FIELDS 1 a",
    "HDEL k field",
    "HINCRBY k a 1",
    "SADD k 1 a",
    "SREM k a",
    "SPOP k",
    "ZADD k 1 a 2 b",
    "ZINCRBY k 1.5 a",
    "ZPOPMIN k",
    "ZREMRANGEBYRANK k 0 0",
    "XADD k * f v",
    "XGROUP CREATE k new 0",
    "XREADGROUP GROUP new anna COUNT 2 STREAMS k >",
    "XAUTOCLAIM k new bert 0 0",
    "XREADGROUP GROUP g anna STREAMS k 0",
    "XTRIM k MAXLEN 1",
    "XDEL k 1-1",
    "COPY k other REPLACE",
];

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (is_valkey, thresholds, value) = input;
    let mut settings = Settings::new([7, 11]);
    if thresholds & 1 == 1 {
        settings.hash.entries_max = 2;
        settings.set.entries_max = 2;
        settings.sorted_set.entries_max = 2;
        settings.list_packed_size = 2;
        settings.stream_chunk_entries_max = 2;
    }
    let mut client = Client::new(settings);
    let payload = with_footer(value, if is_valkey { 80 } else { 11 });
    if matches!(run(&mut client, &[b"RESTORE", b"k", b"0", &payload]), Value::Error(_)) {
        return;
    }
    call_all(&mut client, READS);
    if let Value::Bulk(dumped) = run(&mut client, &[b"DUMP", b"k"]) {
        assert_eq!(run(&mut client, &[b"RESTORE", b"again", b"0", &dumped]), Value::Simple(b"OK".to_vec()));
        let Value::Array(digests) = run(&mut client, &[b"DEBUG", b"DIGEST-VALUE", b"k", b"again"]) else { panic!() };
        assert_eq!(digests[0], digests[1]);
    }
    reload(&mut client);
    call_all(&mut client, WRITES);
    call_all(&mut client, READS);
    reload(&mut client);
});

fn with_footer(value: &[u8], version: u16) -> Vec<u8> {
    let mut payload = value.to_vec();
    payload.extend_from_slice(&version.to_le_bytes());
    payload.extend_from_slice(&CHECKSUM.checksum(&payload).to_le_bytes());
    payload
}

fn reload(client: &mut Client) {
    assert_eq!(run(client, &[b"DEBUG", b"RELOAD"]), Value::Simple(b"OK".to_vec()));
}

fn call_all(client: &mut Client, lines: &[&str]) {
    for line in lines {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        run(client, &words);
    }
}

fn run(client: &mut Client, words: &[&[u8]]) -> Value {
    client.call(&words.iter().map(|word| word.to_vec()).collect::<Vec<_>>())
}
