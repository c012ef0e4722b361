//! Values carried between real servers by DUMP and RESTORE: from redis-server 7.0 and valkey-server 9.1 to Cairn, from Cairn to each of them.

use crate::harness::tools::Valkey;
use crate::harness::{Client, Server, Value};

/// How a value comes to be, and the command that shows all of it. `k` is the key.
struct Sample {
    build: Vec<String>,
    show: &'static str,
    /// Whether the order of what is shown is the server's choice.
    is_unordered: bool,
}

fn sample(show: &'static str, build: impl IntoIterator<Item = impl Into<String>>) -> Sample {
    let is_unordered = matches!(show, "SMEMBERS k" | "HGETALL k");
    Sample { build: build.into_iter().map(Into::into).collect(), show, is_unordered }
}

/// A command with so many elements, each made of its number.
fn many(command: &str, count: usize, element: impl Fn(usize) -> String) -> [String; 1] {
    let elements: Vec<_> = (0..count).map(element).collect();
    [format!("{command} {}", elements.join(" "))]
}

/// Every type in every encoding, and what lies at their bounds.
fn samples() -> Vec<Sample> {
    let long = |number: usize| format!("{number}-{}", "long".repeat(20 + number % 7));
    let mut samples = Vec::new();
    for text in ["12", "-129", "40000", "-70000", "2147483648", "9223372036854775807", "007", "-0", "1.5", "text"] {
        samples.push(sample("GET k", [format!("SET k {text}")]));
    }
    for bytes in [20, 21, 44, 45, 300, 16_384, 20_000, 1_000_000] {
        samples.push(sample("GET k", [format!("SET k {}", "ab1".repeat(bytes / 3 + 1))]));
    }
    samples.push(sample("GET k", ["APPEND k x", "APPEND k yz"]));
    samples.push(sample("LRANGE k 0 -1", ["RPUSH k a 1 -70000 b 9223372036854775807 1.5"]));
    samples.push(sample("LRANGE k 0 -1", many("RPUSH k", 2000, |n| n.to_string())));
    samples.push(sample("LRANGE k 0 -1", many("RPUSH k", 500, long)));
    samples.push(sample("LRANGE k 0 -1", [format!("RPUSH k a {} b", "p".repeat(100_000))]));
    samples.push(sample("SMEMBERS k", ["SADD k 1 -3 70000 5000000000"]));
    samples.push(sample("SMEMBERS k", ["SADD k a b 12 -7 cd"]));
    samples.push(sample("SMEMBERS k", many("SADD k", 512, |n| n.to_string())));
    samples.push(sample("SMEMBERS k", many("SADD k", 600, |n| (n * 1000).to_string())));
    samples.push(sample("SMEMBERS k", many("SADD k", 300, long)));
    samples.push(sample("ZRANGE k 0 -1 WITHSCORES", ["ZADD k 1 a 1.5 b -inf c +inf d 0.25 e -5 f"]));
    samples.push(sample("ZRANGE k 0 -1 WITHSCORES", many("ZADD k", 128, |n| format!("{n} {n}"))));
    samples.push(sample("ZRANGE k 0 -1 WITHSCORES", many("ZADD k", 700, |n| format!("{n}.25 {}", long(n)))));
    samples.push(sample("HGETALL k", ["HSET k f 1 g -300 h text i 9223372036854775807"]));
    samples.push(sample("HGETALL k", many("HSET k", 128, |n| format!("{n} value-{n}"))));
    samples.push(sample("HGETALL k", many("HSET k", 900, |n| format!("field-{n} {}", long(n)))));
    samples.push(sample("PFCOUNT k", many("PFADD k", 20, |n| n.to_string())));
    samples.push(sample("PFCOUNT k", many("PFADD k", 20_000, |n| n.to_string())));
    for show in ["XRANGE k - +", "XINFO GROUPS k", "XPENDING k one", "XLEN k"] {
        samples.push(sample(show, stream()));
    }
    samples
}

/// A stream of some chunks with holes, fields that change, and groups at several places with what is pending.
fn stream() -> Vec<String> {
    let add = |n: usize| match n % 50 {
        7 => format!("XADD k {n}-{} other fields here {n}", n % 3),
        _ => format!("XADD k {n}-{} number {n} text {}", n % 3, "long".repeat(1 + n % 40)),
    };
    let mut build: Vec<String> = (1..=400).map(add).collect();
    build.extend((100..130).map(|n| format!("XDEL k {n}-{}", n % 3)));
    let groups = [
        "XGROUP CREATE k one 0",
        "XGROUP CREATE k two 200-2 ENTRIESREAD 200",
        "XGROUP CREATE k three $",
        "XREADGROUP GROUP one anna COUNT 150 STREAMS k >",
        "XREADGROUP GROUP one bert COUNT 20 STREAMS k >",
        "XACK k one 3-0 4-1 5-2",
        "XDEL k 10-1 400-1",
        "XGROUP CREATECONSUMER k one carl",
        "XCLAIM k one carl 0 20-2 21-0 RETRYCOUNT 7",
    ];
    build.extend(groups.map(String::from));
    build
}

/// Fields that expire, which Redis 7.0 does not know.
fn expiring_fields() -> Vec<Sample> {
    let few = "HPEXPIREAT k 4000000000123 FIELDS 2 f g";
    let many = many("HSET k", 700, |n| format!("field-{n} value-{n}"));
    let deadlines = ["HPEXPIREAT k 4000000000000 FIELDS 1 field-3", "HPEXPIREAT k 4100000000456 FIELDS 1 field-699"];
    let build: Vec<String> = many.into_iter().chain(deadlines.map(String::from)).collect();
    vec![
        sample("HPEXPIRETIME k FIELDS 4 f g h x", ["HSET k f 1 g -300 h text", few]),
        sample("HGETALL k", ["HSET k f 1 g -300 h text", few]),
        sample("HPEXPIRETIME k FIELDS 3 field-3 field-4 field-699", build.clone()),
        sample("HGETALL k", build),
    ]
}

/// What a client sees of the key.
fn shown(client: &mut Client, sample: &Sample) -> Vec<Value> {
    let mut shown = match client.run(sample.show) {
        Value::Bulk(bytes) => vec![Value::Bulk(bytes)],
        Value::Integer(number) => vec![Value::Integer(number)],
        value => value.elements(),
    };
    if sample.is_unordered {
        shown.sort();
    }
    assert!(!shown.is_empty(), "{} shows nothing", sample.show);
    shown
}

fn carry(from: &mut Client, to: &mut Client, samples: Vec<Sample>) {
    for sample in samples {
        let what = &sample.build[0][..sample.build[0].len().min(60)];
        from.run("DEL k");
        for command in &sample.build {
            assert!(!from.run(command).is_error(""), "{what}");
        }
        let Value::Bulk(payload) = from.run("DUMP k") else { panic!("{what}: no payload") };
        let restored = to.call(&[b"RESTORE", b"k", b"0", &payload, b"REPLACE"]);
        assert_eq!(restored, Value::ok(), "{what}");
        assert_eq!(shown(to, &sample), shown(from, &sample), "{what}");
        assert_eq!(to.run("TYPE k"), from.run("TYPE k"), "{what}");
    }
}

#[test]
fn values_travel_between_cairn_and_valkey() {
    let (valkey, cairn) = (Valkey::start(&[]), Server::start(&[]));
    let samples = || samples().into_iter().chain(expiring_fields()).collect();
    carry(&mut valkey.client(), &mut cairn.client(), samples());
    carry(&mut cairn.client(), &mut valkey.client(), samples());
}

#[test]
fn values_travel_between_cairn_and_redis() {
    let (redis, cairn) = (Valkey::start_redis(&[]), Server::start(&[]));
    carry(&mut redis.client(), &mut cairn.client(), samples());
    carry(&mut cairn.client(), &mut redis.client(), samples());
}

#[test]
fn redis_checks_what_cairn_dumps_to_the_last_byte() {
    let (redis, cairn) = (Valkey::start_redis(&["--sanitize-dump-payload", "yes"]), Server::start(&[]));
    carry(&mut cairn.client(), &mut redis.client(), samples());
}
