//! Reads a whole value as any server has written it.
//!
//! Other than a snapshot's, such a value gets the encoding that the settings of the shard give it. A small encoding is kept for as long as its count
//! allows, however long its elements, as Redis does.

use std::borrow::Cow;

use keyspace::{
    BigString, Collection, CollectionValue, DeadlineChange, FrozenKey, HashValue, INLINE_BYTES_MAX, ListEnd, ListValue,
    SetEncoding, SetValue, Settings, SortedSetValue, Timed, Value, format_integer, parse_double,
};

use crate::input::{Input, Read, bad};
use crate::listpack;
use crate::number::read_length;
use crate::read::read_deadline;
use crate::stream::StreamReader;
use crate::string::read_string;
use crate::value_type::{
    HASH, HASH_EXPIRING, HASH_EXPIRING_FROM, HASH_PACKED, HASH_PACKED_EXPIRING, HASH_PACKED_EXPIRING_CANDIDATE,
    HASH_ZIPLIST, HASH_ZIPMAP, LIST, LIST_PIECES, LIST_ZIPLIST, LIST_ZIPLISTS, PIECE_PACKED, PIECE_PLAIN, SET,
    SET_INTEGERS, SET_PACKED, SORTED_SET, SORTED_SET_OLD, SORTED_SET_PACKED, SORTED_SET_ZIPLIST, STREAM, STREAM_5,
    STREAM_7, STRING,
};
use crate::write::{Room, write_value};
use crate::{integers, ziplist, zipmap};

/// A small collection over so many bytes is not kept in one block, whatever its count.
const BLOCK_BYTES_MAX: usize = 1 << 20;

/// An element, shared with the bytes that are read where it stands there as it is.
type Bytes<'a> = Cow<'a, [u8]>;

/// What is known of a value beside its bytes.
pub(crate) struct Source<'a> {
    pub(crate) settings: &'a Settings,
    /// The time, in ms since 1970: fields that are due by it are left out.
    pub(crate) now_ms: u64,
    /// Whether it was Valkey that wrote the value, and not Redis: they have given a number to two types.
    pub(crate) is_valkey: bool,
}

/// The value of a key as a server has it that has loaded it from a file: in the encoding that the settings give it.
pub fn loaded(key: &FrozenKey<'_>, settings: &Settings) -> Value {
    if let Some(Collection::Stream(_)) = key.collection.as_deref() {
        // It has but one encoding.
        return key.to_value();
    }
    let mut bytes = Vec::new();
    write_value(key, 0, &mut Room { out: &mut bytes, bytes_max: usize::MAX });
    // Fields that are due are hidden, and stay.
    let source = Source { settings, now_ms: 0, is_valkey: true };
    let value = Input::whole(&bytes, |input| load_value(input, &source));
    value.ok().flatten().expect("what is written of a value that is there is read as one")
}

/// Reads the type and the value. `None`: it was a hash, and all of its fields are due.
pub(crate) fn load_value(input: &mut Input<'_>, source: &Source<'_>) -> Read<Option<Value>> {
    let (value_type, settings) = (input.byte()?, source.settings);
    let value = match value_type {
        STRING => Ok(string(read_string(input)?)),
        LIST | LIST_ZIPLIST | LIST_ZIPLISTS | LIST_PIECES => load_list(value_type, input, settings),
        SET | SET_INTEGERS | SET_PACKED => load_set(value_type, input, settings),
        SORTED_SET | SORTED_SET_OLD | SORTED_SET_PACKED | SORTED_SET_ZIPLIST => {
            load_sorted_set(value_type, input, settings)
        }
        HASH | HASH_EXPIRING | HASH_EXPIRING_FROM => return load_hash(value_type, source, input),
        HASH_PACKED_EXPIRING_CANDIDATE | HASH_PACKED_EXPIRING => {
            return load_packed_expiring(value_type, source, input);
        }
        HASH_ZIPMAP | HASH_ZIPLIST | HASH_PACKED => {
            let bytes = read_string(input)?;
            match value_type {
                HASH_ZIPMAP => load_packed_hash(&zipmap_pairs(&bytes)?, bytes.len(), settings),
                HASH_ZIPLIST => load_packed_hash(&pairs(&ziplist_elements(&bytes)?)?, bytes.len(), settings),
                _ => load_packed_hash(&pairs(&listpack_elements(&bytes)?)?, bytes.len(), settings),
            }
        }
        STREAM_5 | STREAM_7 | STREAM => {
            let mut stream = StreamReader::new(value_type, input)?;
            while !stream.read(input)? {}
            Ok(Value::of(stream.finish()))
        }
        _ => bad("a value of an unknown type"),
    };
    value.map(Some)
}

fn string(bytes: Bytes<'_>) -> Value {
    if bytes.len() <= INLINE_BYTES_MAX {
        return Value::String(bytes.into_owned(), false);
    }
    let mut big = BigString::empty();
    big.append(&bytes);
    Value::of(big)
}

fn load_list(value_type: u8, input: &mut Input<'_>, settings: &Settings) -> Read<Value> {
    let mut list = ListValue::empty();
    list.unpack();
    if value_type == LIST_ZIPLIST {
        let bytes = read_string(input)?;
        list.load_chunk(&ziplist_elements(&bytes)?, settings);
    } else {
        for _ in 0..read_length(input)? {
            match value_type {
                LIST => list.push(ListEnd::Back, &read_string(input)?, settings),
                LIST_ZIPLISTS => list.load_chunk(&ziplist_elements(&read_string(input)?)?, settings),
                _ => load_piece(&mut list, input, settings)?,
            }
        }
    }
    list.loaded(settings);
    not_empty(list.is_empty(), Value::of(list))
}

fn load_piece(list: &mut ListValue, input: &mut Input<'_>, settings: &Settings) -> Read<()> {
    let form = read_length(input)?;
    let bytes = read_string(input)?;
    match form {
        PIECE_PLAIN => list.load_chunk(&[bytes], settings),
        PIECE_PACKED => list.load_chunk(&listpack_elements(&bytes)?, settings),
        _ => return bad("a piece of a list of an unknown form"),
    }
    Ok(())
}

fn load_set(value_type: u8, input: &mut Input<'_>, settings: &Settings) -> Read<Value> {
    let restore = |encoding, members: &[Bytes<'_>]| {
        let set = SetValue::restore(encoding, members.iter(), settings);
        set.map_or_else(|| bad("a set with a member twice"), Ok)
    };
    let set = if value_type == SET {
        let count = read_length(input)?;
        let is_big = usize::try_from(count).is_ok_and(|count| count > settings.set_integers_max);
        let mut set = restore(if is_big { SetEncoding::Many } else { SetEncoding::Integers }, &[])?;
        for _ in 0..count {
            if !set.insert(&read_string(input)?, settings) {
                return bad("a set with a member twice");
            }
        }
        set
    } else {
        let bytes = read_string(input)?;
        let is_of_integers = value_type == SET_INTEGERS;
        let members = if is_of_integers { digits(&bytes)? } else { listpack_elements(&bytes)? };
        let fits = bytes.len() <= BLOCK_BYTES_MAX;
        let encoding = match is_of_integers {
            true if fits && members.len() <= settings.set_integers_max => SetEncoding::Integers,
            false if fits && members.len() <= settings.set.entries_max => SetEncoding::Packed,
            _ => SetEncoding::Many,
        };
        restore(encoding, &members)?
    };
    not_empty(set.is_empty(), Value::of(set))
}

/// The integers of an intset, as members.
fn digits(bytes: &[u8]) -> Read<Vec<Bytes<'static>>> {
    let mut members = Vec::new();
    integers::read(bytes, |number| members.push(Cow::Owned(format_integer(number).to_vec())))?;
    Ok(members)
}

fn load_sorted_set(value_type: u8, input: &mut Input<'_>, settings: &Settings) -> Read<Value> {
    let is_packed = matches!(value_type, SORTED_SET_PACKED | SORTED_SET_ZIPLIST);
    let mut set = SortedSetValue::restore(false, none(), settings).expect("no member comes twice");
    let mut insert = |member: &[u8], score: f64| {
        if score.is_nan() {
            return bad("a score that is no number");
        }
        if set.insert(member, score, settings).is_some() {
            return bad("a sorted set with a member twice");
        }
        Ok(())
    };
    let (mut longest, mut fits) = (0, true);
    if is_packed {
        let bytes = read_string(input)?;
        let is_ziplist = value_type == SORTED_SET_ZIPLIST;
        let elements = if is_ziplist { ziplist_elements(&bytes)? } else { listpack_elements(&bytes)? };
        pairs(&elements)?
            .iter()
            .try_for_each(|(member, score)| insert(member, parse_double(score).unwrap_or(f64::NAN)))?;
        fits = bytes.len() <= BLOCK_BYTES_MAX;
    } else {
        for _ in 0..read_length(input)? {
            let member = read_string(input)?;
            let is_binary = value_type == SORTED_SET;
            let score = if is_binary { f64::from_le_bytes(input.array()?) } else { read_old_score(input)? };
            insert(&member, score)?;
            longest = longest.max(member.len());
        }
    }
    // Only now: a small encoding would forget the sign of zeros, also of those that are not to be small.
    let limits = settings.sorted_set;
    if fits && set.len() <= limits.entries_max && longest <= limits.value_bytes_max {
        set = SortedSetValue::restore(true, set.range(0..set.len()), settings).expect("they come in order");
    }
    not_empty(set.is_empty(), Value::of(set))
}

fn none() -> std::iter::Empty<(&'static [u8], f64)> {
    std::iter::empty()
}

/// Digits behind their count, or a count that is none: 253 for no number, 254 and 255 for the infinities.
fn read_old_score(input: &mut Input<'_>) -> Read<f64> {
    Ok(match input.byte()? {
        255 => f64::NEG_INFINITY,
        254 => f64::INFINITY,
        253 => f64::NAN,
        count => parse_double(input.bytes(usize::from(count))?).unwrap_or(f64::NAN),
    })
}

/// A hash whose fields come one by one.
fn load_hash(value_type: u8, source: &Source<'_>, input: &mut Input<'_>) -> Read<Option<Value>> {
    let from_ms = if value_type == HASH_EXPIRING_FROM { i64::from_le_bytes(input.array()?) } else { 1 };
    let count = read_length(input)?;
    let mut fields = Fields::new(source);
    fields.hash.expect_fields(usize::try_from(count).unwrap_or(usize::MAX), source.settings);
    for _ in 0..count {
        let is_in_front = value_type != HASH && !(value_type == HASH_EXPIRING && source.is_valkey);
        let in_front = if is_in_front { deadline_from(read_length(input)?, from_ms)? } else { DeadlineChange::Clear };
        let (field, value) = (read_string(input)?, read_string(input)?);
        let is_behind = value_type != HASH && !is_in_front;
        let deadline = if is_behind { read_deadline(input)? } else { in_front };
        fields.insert(&field, &value, deadline)?;
    }
    fields.into_value()
}

/// A deadline of Redis 7.4: 0 for none, else counted from a time, which is 1.
fn deadline_from(count: u64, from_ms: i64) -> Read<DeadlineChange> {
    if count == 0 {
        return Ok(DeadlineChange::Clear);
    }
    let deadline_ms = i64::try_from(count - 1).ok().and_then(|after_ms| from_ms.checked_add(after_ms));
    match deadline_ms.map(u64::try_from) {
        Some(Ok(deadline_ms)) => Ok(DeadlineChange::At(deadline_ms)),
        _ => bad("a field that expires before 1970, or never"),
    }
}

/// A small hash of Redis 7.4 whose fields expire.
fn load_packed_expiring(value_type: u8, source: &Source<'_>, input: &mut Input<'_>) -> Read<Option<Value>> {
    if value_type == HASH_PACKED_EXPIRING {
        // The first deadline, which stands in the listpack as well.
        input.bytes(8)?;
    }
    let bytes = read_string(input)?;
    let mut elements = listpack::Reader::new(&bytes)?;
    let mut fields = Fields::new(source);
    while let Some(field) = elements.next()? {
        let (value, deadline) = (elements.bytes()?, elements.integer()?);
        let Ok(count) = u64::try_from(deadline) else { return bad("a field that expires before 1970") };
        fields.insert(&listpack::into_bytes(field), &value, deadline_from(count, 1)?)?;
    }
    fields.into_value()
}

/// The fields of a hash that are not due.
struct Fields<'a> {
    source: &'a Source<'a>,
    hash: HashValue,
    due_count: usize,
}

impl<'a> Fields<'a> {
    fn new(source: &'a Source<'a>) -> Self {
        Self { source, hash: HashValue::empty(), due_count: 0 }
    }

    fn insert(&mut self, field: &[u8], value: &[u8], deadline: DeadlineChange) -> Read<()> {
        if matches!(deadline, DeadlineChange::At(deadline_ms) if deadline_ms <= self.source.now_ms) {
            self.due_count += 1;
            return Ok(());
        }
        let is_new = self.hash.insert(field, value, deadline, self.source.settings);
        if is_new { Ok(()) } else { bad("a hash with a field twice") }
    }

    /// `None`: there were fields, and all of them are due.
    fn into_value(self) -> Read<Option<Value>> {
        if self.hash.is_empty() && self.due_count > 0 {
            return Ok(None);
        }
        not_empty(self.hash.is_empty(), Value::of(self.hash)).map(Some)
    }
}

/// A hash that was kept in so many bytes.
fn load_packed_hash(pairs: &[(&[u8], &[u8])], bytes: usize, settings: &Settings) -> Read<Value> {
    let is_small = pairs.len() <= settings.hash.entries_max && bytes <= BLOCK_BYTES_MAX;
    let fields = pairs.iter().map(|&(field, value)| Timed { field, value, deadline_ms: None });
    match HashValue::restore(is_small, fields, settings) {
        Some(hash) => not_empty(hash.is_empty(), Value::of(hash)),
        None => bad("a hash with a field twice"),
    }
}

fn listpack_elements(bytes: &[u8]) -> Read<Vec<Bytes<'_>>> {
    let mut elements = Vec::new();
    listpack::read(bytes, |element| {
        elements.push(element);
        Ok(())
    })?;
    Ok(elements)
}

fn ziplist_elements(bytes: &[u8]) -> Read<Vec<Bytes<'_>>> {
    let mut elements = Vec::new();
    ziplist::read(bytes, |element| {
        elements.push(listpack::into_bytes(element));
        Ok(())
    })?;
    Ok(elements)
}

fn zipmap_pairs(bytes: &[u8]) -> Read<Vec<(&[u8], &[u8])>> {
    let mut pairs = Vec::new();
    zipmap::read(bytes, |field, value| {
        pairs.push((field, value));
        Ok(())
    })?;
    Ok(pairs)
}

/// Elements two by two.
fn pairs<'a>(elements: &'a [Bytes<'_>]) -> Read<Vec<(&'a [u8], &'a [u8])>> {
    let (pairs, rest) = elements.as_chunks();
    if !rest.is_empty() {
        return bad("half a pair at the end of a collection of pairs");
    }
    Ok(pairs.iter().map(|[first, second]| (&**first, &**second)).collect())
}

fn not_empty(is_empty: bool, value: Value) -> Read<Value> {
    if is_empty { bad("a collection without elements") } else { Ok(value) }
}
