//! The thresholds between encodings at their extremes, and what may then differ.

use keyspace::{PackedLimits, Settings};
use resp::Value;

use crate::support::Client;

/// The greatest value of a directive.
const MOST: usize = i64::MAX as usize;

/// Every threshold at its least and at its most, by name.
pub(crate) fn extremes(usual: &Settings) -> [(&'static str, Settings); 2] {
    let with = |bound: usize, list_packed_size: i64| {
        let packed = PackedLimits { entries_max: bound, value_bytes_max: bound };
        Settings {
            hash: packed,
            set: packed,
            set_integers_max: bound,
            sorted_set: packed,
            stream_chunk_bytes_max: bound,
            stream_chunk_entries_max: bound,
            list_packed_size,
            hyperloglog_sparse_bytes_max: bound,
            ..*usual
        }
    };
    [("least", with(0, 0)), ("most", with(MOST, i64::from(i32::MAX)))]
}

/// Runs a command; a walk that begins is gone to its end, and all that it has met are its reply.
pub(crate) fn call(client: &mut Client, words: &[Vec<u8>]) -> Value {
    let reply = client.call(words);
    if !is_walk(words) || words[2] != b"0" {
        return reply;
    }
    let (mut words, mut reply, mut met) = (words.to_vec(), reply, Vec::new());
    loop {
        let Value::Array(page) = &reply else { return reply };
        let (Value::Bulk(cursor), Value::Array(elements)) = (&page[0], &page[1]) else { panic!("{page:?}") };
        met.extend(elements.clone());
        if cursor == b"0" {
            return Value::Array(met);
        }
        words[2].clone_from(cursor);
        reply = client.call(&words);
    }
}

fn is_walk(words: &[Vec<u8>]) -> bool {
    let name = words[0].to_ascii_uppercase();
    matches!(name.as_slice(), b"HSCAN" | b"SSCAN" | b"ZSCAN") && words.len() > 2
}

/// What may differ of a reply.
enum May {
    /// Nothing.
    Nothing,
    /// The order of what is in it: fields of hashes and members of sets have one only while the collection is small.
    Order,
    /// Which fields or members, and in what order: as many of them.
    Choice,
    /// Everything: it tells how a value is kept.
    Everything,
}

fn may_differ(words: &[Vec<u8>]) -> May {
    let word = |at: usize| words.get(at).map(|word| word.to_ascii_uppercase()).unwrap_or_default();
    match (word(0).as_slice(), word(1).as_slice()) {
        (b"OBJECT", b"ENCODING") | (b"DEBUG", b"OBJECT") | (b"MEMORY", b"USAGE") | (b"DUMP" | b"PFDEBUG", _) => {
            May::Everything
        }
        // A cursor in the middle of a walk.
        _ if is_walk(words) && words[2] != b"0" => May::Everything,
        _ if is_walk(words) => May::Order,
        (b"HGETALL" | b"HKEYS" | b"HVALS" | b"SMEMBERS" | b"SINTER" | b"SUNION" | b"SDIFF", _) => May::Order,
        (b"HRANDFIELD" | b"SRANDMEMBER" | b"SPOP", _) => May::Choice,
        _ => May::Nothing,
    }
}

/// Whether two replies to a command are equal but for what may differ.
pub(crate) fn is_equal(words: &[Vec<u8>], usual: &Value, other: &Value) -> bool {
    let is_error = |value: &Value| matches!(value, Value::Error(_));
    match may_differ(words) {
        _ if usual == other => true,
        May::Everything => true,
        _ if is_error(usual) || is_error(other) => false,
        May::Nothing => are_hyperloglogs(usual, other),
        May::Order => sorted(usual) == sorted(other),
        May::Choice => count(usual) == count(other),
    }
}

/// Whether both are the bytes of HyperLogLogs, which are other ones in each of their encodings.
fn are_hyperloglogs(usual: &Value, other: &Value) -> bool {
    [usual, other].iter().all(|value| matches!(value, Value::Bulk(bytes) if bytes.starts_with(b"HYLL")))
}

/// The elements, as they are printed, in order.
fn sorted(value: &Value) -> Vec<String> {
    let mut elements: Vec<String> = match value {
        Value::Array(elements) | Value::Set(elements) => {
            elements.iter().map(|element| format!("{element:?}")).collect()
        }
        Value::Map(pairs) => pairs.iter().map(|pair| format!("{pair:?}")).collect(),
        other => vec![format!("{other:?}")],
    };
    elements.sort();
    elements
}

fn count(value: &Value) -> Option<usize> {
    match value {
        Value::Array(elements) | Value::Set(elements) => Some(elements.len()),
        Value::Map(pairs) => Some(pairs.len()),
        _ => None,
    }
}
