//! Payloads of DUMP as real servers have answered them, and what becomes of them.
//!
//! `payloads.tsv` was written with redis-server 7.0, valkey-server 9.1 and, for what neither writes any more, by hand; what is expected is what
//! valkey-server 9.1 makes of each, but that strings over 44 bytes are raw here and that a list in one ziplist becomes small.
//!
//! ```text
//! server  how it came to be  type  encoding  elements, escaped, a letter and {n} for n of it  payload in hexadecimal digits
//! ```

#![allow(clippy::unwrap_used, reason = "tests may fail by panicking")]

use keyspace::{Collection, Random, Settings, StreamId, StreamValue, StringRef, Timed, Value, format_double};
use rdb::{PayloadError, dump};

/// A line of the table.
struct Golden {
    origin: String,
    value_type: &'static str,
    encoding: &'static str,
    elements: &'static str,
    payload: Vec<u8>,
}

fn goldens() -> Vec<Golden> {
    let lines = include_str!("payloads.tsv").lines().map(|line| {
        let [server, origin, value_type, encoding, elements, payload] =
            line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let digits: Vec<_> = payload.as_bytes().chunks(2).collect();
        let byte = |pair: &&[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let payload = digits.iter().map(byte).collect();
        Golden { origin: format!("{server}: {origin}"), value_type, encoding, elements, payload }
    });
    lines.collect()
}

fn settings() -> Settings {
    Settings::new([3, 5])
}

/// The value of a payload that holds no hash whose fields are all due.
fn restore(payload: &[u8], settings: &Settings) -> Result<Value, PayloadError> {
    rdb::restore(payload, settings, NOW_MS).map(|value| value.expect("not all of it is due"))
}

const NOW_MS: u64 = 1_000_000;

/// Type, encoding and elements, those of a hash with their deadlines if there are any.
fn told(value: &Value) -> (&'static str, &'static str, Vec<Vec<u8>>) {
    let collection = match value {
        Value::String(bytes, raw) => {
            return ("string", StringRef::Inline(bytes, *raw).encoding(), vec![bytes.clone()]);
        }
        Value::Collection(collection) => collection,
    };
    let elements: Vec<Vec<u8>> = match collection {
        Collection::String(big) => vec![big.pieces().collect::<Vec<_>>().concat()],
        Collection::List(list) => list.elements().map(<[u8]>::to_vec).collect(),
        Collection::Set(set) => set.iter().map(|member| member.to_vec()).collect(),
        Collection::SortedSet(set) => {
            let pairs = set.range(0..set.len());
            pairs.flat_map(|(member, score)| [member.to_vec(), format_double(score).into_bytes()]).collect()
        }
        Collection::Stream(stream) => told_stream(stream),
        Collection::Hash(hash) => {
            let deadline = |found: &Timed<'_>| found.deadline_ms.map(|at| format!("@{at}").into_bytes());
            let fields = hash.fields();
            fields
                .flat_map(|found| [Some(found.field.to_vec()), Some(found.value.to_vec()), deadline(&found)])
                .flatten()
                .collect()
        }
    };
    (collection.value_type().name(), collection.encoding(), elements)
}

/// The stream entries, what is counted, and the groups; but not when a consumer was active, which Redis 7.0 does not write.
fn told_stream(stream: &StreamValue) -> Vec<Vec<u8>> {
    let mut told = Vec::new();
    for entry in stream.range(StreamId::MIN, StreamId::MAX) {
        told.push(entry.id.to_string().into_bytes());
        told.extend(entry.fields().flat_map(|(field, value)| [field.to_vec(), value.to_vec()]));
    }
    let (last, deleted, added) = (stream.last_id(), stream.max_deleted_id(), stream.entries_added());
    let mut words = vec![format!("last={last}"), format!("deleted={deleted}"), format!("added={added}")];
    for (name, group) in stream.groups() {
        words.push(format!("group={}", name.escape_ascii()));
        words.extend([format!("last={}", group.last_id), format!("read={}", group.entries_read)]);
        for (id, pending) in group.pending_at(0) {
            let consumer = pending.consumer().map_or(&b""[..], |name| name).escape_ascii();
            words.push(format!("{id}:{consumer}:{}:{}", pending.delivered_ms, pending.deliveries));
        }
        words.extend(group.consumers().map(|(name, consumer)| format!("{}@{}", name.escape_ascii(), consumer.seen_ms)));
    }
    told.extend(words.into_iter().map(String::into_bytes));
    told
}

/// The elements as the table has them.
fn shown(elements: &[Vec<u8>]) -> String {
    let words = elements.iter().map(|element| {
        let mut word = String::new();
        for run in element.chunk_by(|left, right| left == right) {
            if run.len() >= 8 && run[0].is_ascii_lowercase() {
                word.push_str(&format!("{}{{{}}}", char::from(run[0]), run.len()));
            } else {
                word.extend(run.iter().map(|&byte| char::from(byte)));
            }
        }
        if word.is_empty() { "\"\"".into() } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn what_real_servers_dump_is_restored() {
    for golden in goldens() {
        let value =
            restore(&golden.payload, &settings()).unwrap_or_else(|error| panic!("{}: {error:?}", golden.origin));
        let (value_type, encoding, mut elements) = told(&value);
        let mut expected: Vec<_> = golden.elements.split(' ').collect();
        if value_type == "set" || encoding == "hashtable" {
            // Their order is nobody's business.
            expected.sort_unstable();
            elements.sort();
        }
        let found = (value_type, encoding, shown(&elements));
        assert_eq!(found, (golden.value_type, golden.encoding, expected.join(" ")), "{}", golden.origin);
        let again = restore(&dump(&value), &settings()).unwrap();
        assert_eq!(told(&again), told(&value), "{}", golden.origin);
    }
}

#[test]
fn what_was_changed_on_the_way_is_refused() {
    for golden in goldens() {
        let payload = &golden.payload;
        for at in 0..payload.len() {
            assert_eq!(restore(&payload[..at], &settings()).err(), Some(PayloadError::Footer), "{}", golden.origin);
            let mut changed = payload.clone();
            changed[at] ^= 4;
            assert_eq!(restore(&changed, &settings()).err(), Some(PayloadError::Footer), "{}", golden.origin);
        }
    }
}

/// With a right checksum behind them, bytes that nobody wrote are an error or some value, and that is a sound one.
#[test]
fn forged_bytes_are_an_error_or_a_value() {
    let mut random = Random::new(1);
    let mut restored = 0;
    for golden in goldens() {
        for _ in 0..400 {
            let mut forged = golden.payload[..golden.payload.len() - 10].to_vec();
            for _ in 0..1 + random.below(3) {
                let at = random.below(forged.len());
                forged[at] = u8::try_from(random.below(256)).unwrap();
            }
            if let Ok(Some(value)) = rdb::restore(&with_footer(forged), &settings(), NOW_MS) {
                assert_eq!(told(&restore(&dump(&value), &settings()).unwrap()), told(&value));
                restored += 1;
            }
        }
    }
    assert!(restored > 1000, "{restored} of the forged payloads were values");
}

/// A payload of another version, with the right checksum: what is covered by it is left as it is.
fn with_footer(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend_from_slice(&10u16.to_le_bytes());
    sign(bytes)
}

fn sign(mut covered: Vec<u8>) -> Vec<u8> {
    let checksum = covered.iter().fold(0u64, |mut checksum, &byte| {
        checksum ^= u64::from(byte);
        for _ in 0..8 {
            let polynomial = if checksum & 1 == 1 { 0x95ac_9329_ac4b_c9b5 } else { 0 };
            checksum = checksum >> 1 ^ polynomial;
        }
        checksum
    });
    covered.extend_from_slice(&checksum.to_le_bytes());
    covered
}

#[test]
fn fields_that_are_due_are_left_out() {
    let of_74 = |first_ms: i64| [&b"\x18"[..], &first_ms.to_le_bytes(), b"\x02\x01\x01a\x011\x0b\x01b\x012"].concat();
    let value = restore(&with_footer(of_74(999_995)), &settings()).unwrap();
    assert_eq!(told(&value).2, [&b"b"[..], b"2", b"@1000005"]);
    let none = rdb::restore(&with_footer(of_74(5)), &settings(), NOW_MS).unwrap();
    assert!(none.is_none(), "all of them");
}

#[test]
fn versions_that_may_differ_are_refused() {
    let text = [0, 1, b'a'];
    let is_read = |version: u16| {
        let covered = [&text[..], &version.to_le_bytes()].concat();
        restore(&sign(covered), &settings()).is_ok()
    };
    assert!([1, 6, 10, 11, 12, 15, 80].into_iter().all(is_read));
    assert!(![16, 79, 81, u16::MAX].into_iter().any(is_read));
}

#[test]
fn what_must_not_be_is_refused() {
    let bad: [(&str, &[u8]); 14] = [
        ("nothing", b""),
        ("an unknown type", b"\x63\x01a"),
        ("a module's", b"\x07\x01a"),
        ("an empty set", b"\x02\x00"),
        ("an empty listpack", b"\x10\x07\x07\x00\x00\x00\x00\x00\xff"),
        ("a member twice", b"\x02\x02\x01a\x01a"),
        ("a score that is no number", b"\x03\x01\x01a\xfd"),
        ("half a pair", b"\x10\x0a\x0a\x00\x00\x00\x01\x00\x81a\x02\xff"),
        ("a deadline that is no length", b"\x16\x01\xc0\x01\x01a\x011"),
        ("a deadline beyond all", b"\x16\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a\x011"),
        ("bytes behind the value", b"\x00\x01ab"),
        ("a stream without its counters", b"\x13\x00"),
        ("a stream longer than it is", b"\x13\x00\x01\x01\x01\x00\x00\x00\x00\x01\x00"),
        ("more than there is", b"\x02\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a"),
    ];
    for (what, bytes) in bad {
        let found = restore(&with_footer(bytes.to_vec()), &settings());
        assert!(matches!(found, Err(PayloadError::Value(_))), "{what}");
    }
}
