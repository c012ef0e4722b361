//! Writes a value, with breaks.

use keyspace::{
    BigString, Collection, FrozenKey, HashValue, ListValue, SetEncoding, SetValue, SortedSetValue, StreamValue,
    StringRef, format_double, parse_integer,
};

use crate::number::write_length;
use crate::string::write_string;
use crate::value_type::{
    HASH, HASH_EXPIRING, HASH_PACKED, LIST_PIECES, NO_DEADLINE, PIECE_PACKED, PIECE_PLAIN, SET, SET_INTEGERS,
    SET_PACKED, SORTED_SET, SORTED_SET_PACKED, STREAM_WHOLE, STRING,
};
use crate::{integers, listpack, stream};

/// A small collection whose listpack or intset would be longer is written member by member; its [`Shape`] says that it is packed.
const LISTPACK_BYTES_MAX: usize = 1 << 20;
/// A piece of a list that is one longer element is written as it is.
pub(crate) const PLAIN_ELEMENT_BYTES_MIN: usize = 8 << 10;

/// What a snapshot keeps of a value beside RDB's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// A string that counts as raw although it is short.
    pub(crate) raw: bool,
    /// A collection in the small encoding.
    pub(crate) packed: bool,
    /// A set in the encoding of integers.
    pub(crate) integers: bool,
}

impl Shape {
    pub(crate) fn of(key: &FrozenKey<'_>) -> Self {
        Self {
            raw: matches!(key.string, Some(StringRef::Inline(_, true))),
            packed: match key.collection.as_deref() {
                Some(Collection::List(list)) => list.is_packed(),
                Some(Collection::Set(set)) => set.set_encoding() == SetEncoding::Packed,
                Some(Collection::SortedSet(set)) => set.is_packed(),
                Some(Collection::Hash(hash)) => hash.is_packed(),
                Some(Collection::String(_) | Collection::Stream(_)) | None => false,
            },
            integers: match key.collection.as_deref() {
                Some(Collection::Set(set)) => set.set_encoding() == SetEncoding::Integers,
                _ => false,
            },
        }
    }
}

/// Where a value goes.
pub(crate) struct Room<'a> {
    pub(crate) out: &'a mut Vec<u8>,
    /// A break is made at the first element that ends at or behind this length.
    pub(crate) bytes_max: usize,
}

impl Room<'_> {
    /// Writes elements from one on until there are no more, or a break is due: then it returns where to go on.
    fn elements<T>(
        &mut self,
        from: usize,
        elements: impl Iterator<Item = T>,
        mut write: impl FnMut(&mut Vec<u8>, T),
    ) -> Option<usize> {
        let mut elements = elements.enumerate().peekable();
        while let Some((at, element)) = elements.next() {
            write(self.out, element);
            if self.out.len() >= self.bytes_max && elements.peek().is_some() {
                return Some(from + at + 1);
            }
        }
        None
    }

    /// What stands in front of the elements.
    fn head(&mut self, from: usize, value_type: u8, count: usize) {
        if from == 0 {
            self.out.push(value_type);
            write_length(self.out, count as u64);
        }
    }

    fn whole(&mut self, value_type: u8, bytes: &[u8]) {
        self.out.push(value_type);
        write_length(self.out, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }
}

/// Writes the type and the value of a key, from the element `from` on: 0, or what the last call returned. `None`: that was all.
pub(crate) fn write_value(key: &FrozenKey<'_>, from: usize, room: &mut Room<'_>) -> Option<usize> {
    match (key.string, key.collection.as_deref()) {
        (Some(StringRef::Inline(bytes, _)), _) => {
            room.out.push(STRING);
            write_string(room.out, bytes);
            None
        }
        (Some(StringRef::Big(big)), _) => write_big_string(big, from, room),
        (None, Some(Collection::String(big))) => write_big_string(big, from, room),
        (None, Some(Collection::List(list))) => write_list(list, from, room),
        (None, Some(Collection::Set(set))) => write_set(set, from, room),
        (None, Some(Collection::SortedSet(set))) => write_sorted_set(set, from, room),
        (None, Some(Collection::Hash(hash))) => write_hash(hash, from, room),
        (None, Some(Collection::Stream(stream))) => write_stream(stream, from, room),
        (None, None) => unreachable!("a value is a string or a collection"),
    }
}

fn write_big_string(big: &BigString, from: usize, room: &mut Room<'_>) -> Option<usize> {
    room.head(from, STRING, big.len());
    room.elements(from, big.pieces().skip(from), |out, piece| out.extend_from_slice(piece))
}

fn write_list(list: &ListValue, from: usize, room: &mut Room<'_>) -> Option<usize> {
    room.head(from, LIST_PIECES, list.chunks().count());
    room.elements(from, list.chunks().skip(from), |out, elements| {
        let mut ahead = elements.clone();
        if let (Some(only), None) = (ahead.next(), ahead.next())
            && only.len() >= PLAIN_ELEMENT_BYTES_MIN
        {
            write_length(out, PIECE_PLAIN);
            write_string(out, only);
        } else {
            let bytes = piece(elements);
            write_length(out, PIECE_PACKED);
            write_length(out, bytes.len() as u64);
            out.extend_from_slice(&bytes);
        }
    })
}

/// A piece of a list as a listpack.
pub(crate) fn piece<'a>(elements: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut packed = listpack::Writer::new();
    elements.for_each(|element| packed.push(element));
    packed.finish()
}

fn write_set(set: &SetValue, from: usize, room: &mut Room<'_>) -> Option<usize> {
    let small = match set.set_encoding() {
        _ if from > 0 => None,
        SetEncoding::Integers => integers(set).map(|bytes| (SET_INTEGERS, bytes)),
        SetEncoding::Packed => packed(set.iter()).map(|bytes| (SET_PACKED, bytes)),
        SetEncoding::Many => None,
    };
    if let Some((value_type, bytes)) = small {
        room.whole(value_type, &bytes);
        return None;
    }
    room.head(from, SET, set.len());
    if set.set_encoding() == SetEncoding::Many {
        room.elements(from, (from..set.len()).map(|place| set.at(place)), |out, member| write_string(out, &member))
    } else {
        room.elements(from, set.iter().skip(from), |out, member| write_string(out, &member))
    }
}

/// The intset of a set of integers, unless it were too long.
pub(crate) fn integers(set: &SetValue) -> Option<Vec<u8>> {
    if set.len() * size_of::<i64>() > LISTPACK_BYTES_MAX {
        return None;
    }
    let numbers: Option<Vec<i64>> = set.iter().map(|member| parse_integer(&member)).collect();
    numbers.map(|numbers| integers::write(&numbers))
}

fn write_stream(stream: &StreamValue, from: usize, room: &mut Room<'_>) -> Option<usize> {
    room.head(from, STREAM_WHOLE, stream.chunk_count());
    room.elements(from, stream::pieces(stream, from), |out, piece| stream::write_piece(out, &piece))
}

fn write_hash(hash: &HashValue, from: usize, room: &mut Room<'_>) -> Option<usize> {
    if from == 0
        && hash.is_packed()
        && let Some(bytes) = packed(hash.fields().flat_map(|found| [found.field, found.value]))
    {
        room.whole(HASH_PACKED, &bytes);
        return None;
    }
    let has_deadlines = hash.expiring_count() > 0;
    room.head(from, if has_deadlines { HASH_EXPIRING } else { HASH }, hash.len());
    let write = |out: &mut Vec<u8>, found: keyspace::Timed<'_>| {
        write_string(out, found.field);
        write_string(out, found.value);
        if has_deadlines {
            write_deadline(out, found.deadline_ms);
        }
    };
    if hash.is_packed() {
        room.elements(from, hash.fields().skip(from), write)
    } else {
        room.elements(from, (from..hash.len()).map(|position| hash.field_at(position)), write)
    }
}

/// The deadline of a field.
pub(crate) fn write_deadline(out: &mut Vec<u8>, deadline_ms: Option<u64>) {
    let deadline_ms = deadline_ms.map_or(Ok(NO_DEADLINE), i64::try_from).unwrap_or(i64::MAX);
    out.extend_from_slice(&deadline_ms.to_le_bytes());
}

fn write_sorted_set(set: &SortedSetValue, from: usize, room: &mut Room<'_>) -> Option<usize> {
    if from == 0
        && let Some(bytes) = packed_scores(set)
    {
        room.whole(SORTED_SET_PACKED, &bytes);
        return None;
    }
    room.head(from, SORTED_SET, set.len());
    let write = |out: &mut Vec<u8>, (member, score): (&[u8], f64)| {
        write_string(out, member);
        out.extend_from_slice(&score.to_le_bytes());
    };
    if set.is_packed() {
        room.elements(from, set.range(from..set.len()), write)
    } else {
        room.elements(from, (from..set.len()).map(|place| set.at(place)), write)
    }
}

/// The listpack of a small sorted set, unless it were too long.
pub(crate) fn packed_scores(set: &SortedSetValue) -> Option<Vec<u8>> {
    if !set.is_packed() {
        return None;
    }
    let pairs = set.range(0..set.len());
    packed(pairs.flat_map(|(member, score)| [member.to_vec(), format_double(score).into_bytes()]))
}

/// The listpack of these elements, unless it were too long.
pub(crate) fn packed<T: AsRef<[u8]>>(elements: impl Iterator<Item = T>) -> Option<Vec<u8>> {
    let mut packed = listpack::Writer::new();
    for element in elements {
        if packed.len() + element.as_ref().len() > LISTPACK_BYTES_MAX {
            return None;
        }
        packed.push(element.as_ref());
    }
    Some(packed.finish())
}
