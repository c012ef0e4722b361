//! Reads a value, with breaks.

use std::borrow::Cow;

use keyspace::{
    BigString, CollectionValue, DeadlineChange, HashValue, INLINE_BYTES_MAX, ListValue, PackedLimits, SetEncoding,
    SetValue, Settings, SortedSetValue, Value, format_integer,
};

use crate::input::{Input, Read, Stop, bad};
use crate::number::read_length;
use crate::stream::StreamReader;
use crate::string::{Head, read_head, read_string};
use crate::value_type::{
    HASH, HASH_EXPIRING, HASH_PACKED, LIST_PIECES, NO_DEADLINE, PIECE_PACKED, PIECE_PLAIN, SET, SET_INTEGERS,
    SET_PACKED, SORTED_SET, SORTED_SET_PACKED, STREAM_WHOLE, STRING,
};
use crate::write::Shape;
use crate::{integers, listpack};

/// Limits that keep small whatever is small.
const NO_LIMITS: PackedLimits = PackedLimits { entries_max: usize::MAX, value_bytes_max: usize::MAX };
/// Limits that keep nothing small.
const NOTHING_PACKED: PackedLimits = PackedLimits { entries_max: 0, value_bytes_max: 0 };

/// A string that is there as a whole, and short. `None`: another value, or a longer one, which a [`ValueReader`] takes.
pub(crate) fn read_inline_string<'a>(input: &mut Input<'a>) -> Read<Option<Cow<'a, [u8]>>> {
    if input.byte()? != STRING {
        return Ok(None);
    }
    let bytes = read_bytes(input)?.ok();
    // What was compressed may be long.
    Ok(bytes.filter(|bytes| bytes.len() <= INLINE_BYTES_MAX))
}

/// The bytes of a string that is there as a whole, or the length of one that is to be taken in pieces.
fn read_bytes<'a>(input: &mut Input<'a>) -> Read<Result<Cow<'a, [u8]>, usize>> {
    match read_head(input)? {
        Head::Whole(bytes) => Ok(Ok(bytes)),
        Head::Follows(length) if length > INLINE_BYTES_MAX => Ok(Err(length)),
        Head::Follows(length) => Ok(Ok(Cow::Borrowed(input.bytes(length)?))),
    }
}

/// A value that is being read. Every value has the encoding that its shape says, whatever the limits of the shard.
pub(crate) struct ValueReader {
    shape: Shape,
    settings: Settings,
    /// Bytes of a string or elements of a collection that are still to come.
    left: u64,
    /// Whether the fields of a hash come with their deadlines.
    has_deadlines: bool,
    state: State,
}

enum State {
    Begin,
    String(BigString),
    List(ListValue),
    Set(SetValue),
    SortedSet(SortedSetValue),
    Hash(HashValue),
    Stream(Box<StreamReader>),
}

impl ValueReader {
    /// Begins a value. Of the settings, only the hash key counts.
    pub(crate) fn new(shape: Shape, settings: &Settings) -> Self {
        let limits = if shape.packed { NO_LIMITS } else { NOTHING_PACKED };
        let set_integers_max = if shape.integers { usize::MAX } else { 0 };
        let settings = Settings { hash: limits, set: limits, sorted_set: limits, set_integers_max, ..*settings };
        Self { shape, settings, left: 0, has_deadlines: false, state: State::Begin }
    }

    /// Takes the next element: the value, if that was its last. What is short changes nothing.
    pub(crate) fn read(&mut self, input: &mut Input<'_>) -> Read<Option<Value>> {
        let (left, settings) = (self.left, &self.settings);
        let taken = match &mut self.state {
            State::Begin => return self.begin(input),
            State::Stream(stream) => return Ok(if stream.read(input)? { self.finish() } else { None }),
            State::String(big) => read_piece_of_string(input, big, left)?,
            State::List(list) => {
                read_piece_of_list(input, list)?;
                1
            }
            State::Set(set) => {
                let member = read_string(input)?;
                new(set.insert(&member, settings))?;
                1
            }
            State::SortedSet(set) => {
                let member = read_string(input)?;
                let score = checked_score(f64::from_le_bytes(input.array()?))?;
                new(set.insert(&member, score, settings).is_none())?;
                1
            }
            State::Hash(hash) => {
                let (field, value) = (read_string(input)?, read_string(input)?);
                let deadline = if self.has_deadlines { read_deadline(input)? } else { DeadlineChange::Clear };
                new(hash.insert(&field, &value, deadline, settings))?;
                1
            }
        };
        self.left -= taken;
        Ok(if self.left == 0 { self.finish() } else { None })
    }

    fn finish(&mut self) -> Option<Value> {
        match std::mem::replace(&mut self.state, State::Begin) {
            State::Begin => None,
            State::String(big) => Some(Value::of(big)),
            State::List(list) => Some(Value::of(list)),
            State::Set(set) => Some(Value::of(set)),
            State::SortedSet(set) => Some(Value::of(set)),
            State::Hash(hash) => Some(Value::of(hash)),
            State::Stream(stream) => Some(Value::of(stream.finish())),
        }
    }

    fn begin(&mut self, input: &mut Input<'_>) -> Read<Option<Value>> {
        let (state, left) = match input.byte()? {
            STRING => match self.read_string_value(input)? {
                Ok(value) => return Ok(Some(value)),
                Err(length) => (State::String(BigString::empty()), length as u64),
            },
            LIST_PIECES => {
                let (mut list, pieces) = (ListValue::empty(), read_length(input)?);
                if !self.shape.packed {
                    list.unpack();
                } else if pieces != 1 {
                    return bad("a small list in several pieces");
                }
                (State::List(list), pieces)
            }
            SET => (State::Set(self.empty_set()), read_length(input)?),
            SORTED_SET => (State::SortedSet(self.empty_sorted_set()), read_length(input)?),
            HASH => (State::Hash(self.empty_hash()), read_length(input)?),
            HASH_EXPIRING => {
                self.has_deadlines = true;
                (State::Hash(self.empty_hash()), read_length(input)?)
            }
            STREAM_WHOLE => {
                self.state = State::Stream(Box::new(StreamReader::new(STREAM_WHOLE, input)?));
                return Ok(None);
            }
            packed @ (SET_INTEGERS | SET_PACKED | SORTED_SET_PACKED | HASH_PACKED) => {
                let bytes = read_string(input)?;
                return self.read_packed(packed, &bytes).map(Some);
            }
            _ => return bad("a value of an unknown type"),
        };
        if left == 0 {
            return bad("a collection without elements");
        }
        (self.state, self.left) = (state, left);
        Ok(None)
    }

    /// A string that is there as a whole, or the length of one that is to be taken in pieces.
    fn read_string_value(&self, input: &mut Input<'_>) -> Read<Result<Value, usize>> {
        let bytes = match read_bytes(input)? {
            Ok(bytes) => bytes.into_owned(),
            Err(length) => return Ok(Err(length)),
        };
        if bytes.len() <= INLINE_BYTES_MAX {
            return Ok(Ok(Value::String(bytes, self.shape.raw)));
        }
        let mut big = BigString::empty();
        big.append(&bytes);
        Ok(Ok(Value::of(big)))
    }

    fn empty_set(&self) -> SetValue {
        let encoding = match self.shape {
            Shape { integers: true, .. } => SetEncoding::Integers,
            Shape { packed: true, .. } => SetEncoding::Packed,
            _ => SetEncoding::Many,
        };
        let none = std::iter::empty::<&[u8]>();
        SetValue::restore(encoding, none, &self.settings).expect("no member comes twice")
    }

    fn empty_sorted_set(&self) -> SortedSetValue {
        let mut set = SortedSetValue::empty();
        set.prepare(1, 0, &self.settings);
        set
    }

    fn empty_hash(&self) -> HashValue {
        let mut hash = HashValue::empty();
        if !self.shape.packed {
            hash.unpack(&self.settings);
        }
        hash
    }

    fn read_packed(&self, value_type: u8, bytes: &[u8]) -> Read<Value> {
        if !self.shape.packed && !self.shape.integers {
            return bad("a big collection written as a small one");
        }
        match value_type {
            SET_INTEGERS => self.read_integers(bytes),
            SET_PACKED => {
                let mut set = self.empty_set();
                listpack::read(bytes, |member| new(set.insert(&member, &self.settings)))?;
                not_empty(set.is_empty(), Value::of(set))
            }
            SORTED_SET_PACKED => {
                let mut set = self.empty_sorted_set();
                read_pairs(bytes, |member, score| {
                    let score = std::str::from_utf8(score).ok().and_then(|text| text.parse().ok());
                    let Some(score) = score else { return bad("a score that is no number") };
                    new(set.insert(member, checked_score(score)?, &self.settings).is_none())
                })?;
                not_empty(set.is_empty(), Value::of(set))
            }
            _ => {
                let mut hash = self.empty_hash();
                read_pairs(bytes, |field, value| {
                    new(hash.insert(field, value, DeadlineChange::Clear, &self.settings))
                })?;
                not_empty(hash.is_empty(), Value::of(hash))
            }
        }
    }

    fn read_integers(&self, bytes: &[u8]) -> Read<Value> {
        let mut set = self.empty_set();
        integers::read(bytes, |number| {
            set.insert(&format_integer(number), &self.settings);
        })?;
        not_empty(set.is_empty(), Value::of(set))
    }
}

fn read_piece_of_string(input: &mut Input<'_>, big: &mut BigString, left: u64) -> Read<u64> {
    let count = usize::try_from(left).unwrap_or(usize::MAX).min(input.left());
    if count == 0 {
        return Err(Stop::Short);
    }
    big.append(input.bytes(count)?);
    Ok(count as u64)
}

fn read_piece_of_list(input: &mut Input<'_>, list: &mut ListValue) -> Read<()> {
    let form = read_length(input)?;
    let bytes = read_string(input)?;
    let mut piece = Vec::new();
    match form {
        PIECE_PLAIN => piece.push(bytes),
        PIECE_PACKED => listpack::read(&bytes, |element| {
            piece.push(element);
            Ok(())
        })?,
        _ => return bad("a piece of a list of an unknown form"),
    }
    if piece.is_empty() {
        return bad("a piece of a list without elements");
    }
    list.push_chunk(piece);
    Ok(())
}

fn read_pairs(bytes: &[u8], mut each: impl FnMut(&[u8], &[u8]) -> Read<()>) -> Read<()> {
    let mut elements = listpack::Reader::new(bytes)?;
    while let Some(first) = elements.next()? {
        let second = elements.bytes()?;
        each(&listpack::into_bytes(first), &second)?;
    }
    Ok(())
}

/// The deadline of a field.
pub(crate) fn read_deadline(input: &mut Input<'_>) -> Read<DeadlineChange> {
    match i64::from_le_bytes(input.array()?) {
        NO_DEADLINE => Ok(DeadlineChange::Clear),
        deadline_ms => match u64::try_from(deadline_ms) {
            Ok(deadline_ms) => Ok(DeadlineChange::At(deadline_ms)),
            Err(_) => bad("a field that expires before 1970"),
        },
    }
}

fn checked_score(score: f64) -> Read<f64> {
    if score.is_nan() { bad("a score that is no number") } else { Ok(score) }
}

fn new(is_new: bool) -> Read<()> {
    if is_new { Ok(()) } else { bad("a collection with an element twice") }
}

fn not_empty(is_empty: bool, value: Value) -> Read<Value> {
    if is_empty { bad("a collection without elements") } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use keyspace::{Collection, ListEnd};

    use super::*;

    fn read_whole(bytes: &[u8], integers: bool) -> Collection {
        let shape = Shape { raw: false, packed: !integers, integers };
        let mut reader = ValueReader::new(shape, &Settings::new([1, 2]));
        let mut input = Input::new(bytes);
        loop {
            match reader.read(&mut input) {
                Ok(None) => {}
                Ok(Some(Value::Collection(value))) => return value,
                Ok(Some(Value::String(..))) => panic!("a string"),
                Err(stop) => panic!("{stop:?}"),
            }
        }
    }

    /// What redis-server 7.0 answers to DUMP, without its end.
    #[test]
    fn reads_what_redis_writes() {
        let list = read_whole(b"\x12\x01\x02\x0c\x0c\x00\x00\x00\x02\x00\x81a\x02\x05\x01\xff", false);
        let Collection::List(list) = list else { panic!("a list") };
        assert_eq!((list.at_end(ListEnd::Front), list.at_end(ListEnd::Back)), (Some(&b"a"[..]), Some(&b"5"[..])));
        let set = read_whole(b"\x11\x0f\x0f\x00\x00\x00\x02\x00\x81a\x02\x831.5\x04\xff", false);
        let Collection::SortedSet(set) = set else { panic!("a sorted set") };
        assert_eq!(set.score(b"a"), Some(1.5));
        let set = read_whole(b"\x0b\x0c\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00,\x01", true);
        let Collection::Set(set) = set else { panic!("a set") };
        assert!(set.contains(b"1") && set.contains(b"300") && set.len() == 2);
    }
}
