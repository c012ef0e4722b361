//! Writes a whole value as other servers read it: in the forms of Redis 7.0, the oldest that is promised to understand them.

use keyspace::{Collection, HashValue, ListValue, SetEncoding, SetValue, SortedSetValue, StringRef, Value};

use crate::number::write_length;
use crate::string::write_compressed;
use crate::value_type::{
    HASH, HASH_EXPIRING, HASH_PACKED, LIST_PIECES, PIECE_PACKED, PIECE_PLAIN, SET, SET_INTEGERS, SORTED_SET,
    SORTED_SET_PACKED, STRING,
};
use crate::write::{PLAIN_ELEMENT_BYTES_MIN, integers, packed, packed_scores, write_deadline};

/// Writes the type and the value.
pub(crate) fn save_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(bytes, _) => save_string(out, bytes),
        Value::Collection(Collection::String(big)) => save_string(out, &StringRef::Big(big).to_bytes()),
        Value::Collection(Collection::List(list)) => save_list(out, list),
        Value::Collection(Collection::Set(set)) => save_set(out, set),
        Value::Collection(Collection::SortedSet(set)) => save_sorted_set(out, set),
        Value::Collection(Collection::Stream(stream)) => crate::stream::save(out, stream),
        Value::Collection(Collection::Hash(hash)) => save_hash(out, hash),
    }
}

/// A hash whose fields expire is written as Valkey does: Redis 7.0 knows none.
fn save_hash(out: &mut Vec<u8>, hash: &HashValue) {
    let block =
        if hash.is_packed() { packed(hash.fields().flat_map(|found| [found.field, found.value])) } else { None };
    if let Some(block) = block {
        return save_block(out, HASH_PACKED, &block);
    }
    let has_deadlines = hash.expiring_count() > 0;
    save_head(out, if has_deadlines { HASH_EXPIRING } else { HASH }, hash.len());
    hash.fields().for_each(|found| {
        write_compressed(out, found.field);
        write_compressed(out, found.value);
        if has_deadlines {
            write_deadline(out, found.deadline_ms);
        }
    });
}

fn save_head(out: &mut Vec<u8>, value_type: u8, count: usize) {
    out.push(value_type);
    write_length(out, count as u64);
}

fn save_block(out: &mut Vec<u8>, value_type: u8, block: &[u8]) {
    out.push(value_type);
    write_compressed(out, block);
}

fn save_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(STRING);
    write_compressed(out, bytes);
}

fn save_list(out: &mut Vec<u8>, list: &ListValue) {
    save_head(out, LIST_PIECES, list.chunks().count());
    for elements in list.chunks() {
        let mut ahead = elements.clone();
        let only = ahead.next().filter(|_| ahead.next().is_none());
        match only.filter(|only| only.len() >= PLAIN_ELEMENT_BYTES_MIN) {
            Some(only) => {
                write_length(out, PIECE_PLAIN);
                write_compressed(out, only);
            }
            None => {
                write_length(out, PIECE_PACKED);
                write_compressed(out, &crate::write::piece(elements));
            }
        }
    }
}

fn save_set(out: &mut Vec<u8>, set: &SetValue) {
    let block = if set.set_encoding() == SetEncoding::Integers { integers(set) } else { None };
    if let Some(block) = block {
        return save_block(out, SET_INTEGERS, &block);
    }
    // A small set, too: its listpack is of Redis 7.2.
    save_head(out, SET, set.len());
    set.iter().for_each(|member| write_compressed(out, &member));
}

fn save_sorted_set(out: &mut Vec<u8>, set: &SortedSetValue) {
    if let Some(block) = packed_scores(set) {
        return save_block(out, SORTED_SET_PACKED, &block);
    }
    save_head(out, SORTED_SET, set.len());
    // The highest first: for readers that insert into a list, the quickest order.
    set.range(0..set.len()).rev().for_each(|(member, score)| {
        write_compressed(out, member);
        out.extend_from_slice(&score.to_le_bytes());
    });
}
