//! Writes a value, with breaks.

use keyspace::{
    BigString, Collection, FrozenKey, HashValue, ListValue, SetValue, SortedSetValue, StringRef, format_double,
    parse_integer,
};

use crate::number::write_length;
use crate::string::write_string;
use crate::value_type::{
    HASH, HASH_PACKED, LIST_PIECES, PIECE_PACKED, PIECE_PLAIN, SET, SET_INTEGERS, SET_PACKED, SORTED_SET,
    SORTED_SET_PACKED, STRING,
};
use crate::{integers, listpack};

/// A packed collection whose listpack would be longer is written member by member; its [`Shape`] says that it is packed.
const LISTPACK_BYTES_MAX: usize = 1 << 20;
/// A piece of a list that is one longer element is written as it is.
const PLAIN_ELEMENT_BYTES_MIN: usize = 8 << 10;

/// What a snapshot keeps of a value beside RDB's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// A string that counts as raw although it is short.
    pub(crate) raw: bool,
    /// A collection in the small encoding.
    pub(crate) packed: bool,
}

impl Shape {
    pub(crate) fn of(key: &FrozenKey<'_>) -> Self {
        Self {
            raw: matches!(key.string, Some(StringRef::Inline(_, true))),
            packed: match key.collection {
                Some(Collection::List(list)) => list.is_packed(),
                Some(Collection::Set(set)) => !set.is_hashtable(),
                Some(Collection::SortedSet(set)) => is_packed(set),
                Some(Collection::Hash(hash)) => hash.is_packed(),
                Some(Collection::String(_)) | None => false,
            },
        }
    }
}

fn is_packed(set: &SortedSetValue) -> bool {
    keyspace::CollectionValue::encoding(set) == "listpack"
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
    match (key.string, key.collection) {
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
        (None, None) => unreachable!("a value is a string or a collection"),
    }
}

fn write_big_string(big: &BigString, from: usize, room: &mut Room<'_>) -> Option<usize> {
    room.head(from, STRING, big.len());
    room.elements(from, big.pieces().skip(from), |out, piece| out.extend_from_slice(piece))
}

fn write_list(list: &ListValue, from: usize, room: &mut Room<'_>) -> Option<usize> {
    room.head(from, LIST_PIECES, list.piece_count());
    room.elements(from, (from..list.piece_count()).map(|index| list.piece(index)), |out, mut piece| {
        if piece.len() == 1
            && let Some(element) = piece.clone().next()
            && element.len() >= PLAIN_ELEMENT_BYTES_MIN
        {
            write_length(out, PIECE_PLAIN);
            write_string(out, element);
        } else {
            let mut packed = listpack::Writer::new();
            piece.by_ref().for_each(|element| packed.push(element));
            let bytes = packed.finish();
            write_length(out, PIECE_PACKED);
            write_length(out, bytes.len() as u64);
            out.extend_from_slice(&bytes);
        }
    })
}

fn write_set(set: &SetValue, from: usize, room: &mut Room<'_>) -> Option<usize> {
    if from == 0 {
        let numbers: Option<Vec<i64>> = if keyspace::CollectionValue::encoding(set) == "intset" {
            set.iter().map(|member| parse_integer(&member)).collect()
        } else {
            None
        };
        if let Some(numbers) = numbers {
            room.whole(SET_INTEGERS, &integers::write(&numbers));
            return None;
        }
        if !set.is_hashtable()
            && let Some(bytes) = packed(set.iter())
        {
            room.whole(SET_PACKED, &bytes);
            return None;
        }
    }
    room.head(from, SET, set.len());
    if set.is_hashtable() {
        room.elements(from, (from..set.len()).map(|place| set.at(place)), |out, member| write_string(out, &member))
    } else {
        room.elements(from, set.iter().skip(from), |out, member| write_string(out, &member))
    }
}

fn write_hash(hash: &HashValue, from: usize, room: &mut Room<'_>) -> Option<usize> {
    if from == 0
        && hash.is_packed()
        && let Some(bytes) = packed(hash.pairs().flat_map(|(field, value)| [field, value]))
    {
        room.whole(HASH_PACKED, &bytes);
        return None;
    }
    room.head(from, HASH, hash.len());
    let write = |out: &mut Vec<u8>, (field, value): keyspace::Pair<'_>| {
        write_string(out, field);
        write_string(out, value);
    };
    if hash.is_packed() {
        room.elements(from, hash.pairs().skip(from), write)
    } else {
        room.elements(from, (from..hash.len()).map(|position| hash.pair_at(position)), write)
    }
}

fn write_sorted_set(set: &SortedSetValue, from: usize, room: &mut Room<'_>) -> Option<usize> {
    let all = 0..set.len();
    if from == 0 && is_packed(set) {
        let pairs = set.range(all.clone());
        let texts = pairs.flat_map(|(member, score)| [member.to_vec(), format_double(score).into_bytes()]);
        if let Some(bytes) = packed(texts) {
            room.whole(SORTED_SET_PACKED, &bytes);
            return None;
        }
    }
    room.head(from, SORTED_SET, set.len());
    let write = |out: &mut Vec<u8>, (member, score): (&[u8], f64)| {
        write_string(out, member);
        out.extend_from_slice(&score.to_le_bytes());
    };
    if is_packed(set) {
        room.elements(from, set.range(from..all.end), write)
    } else {
        room.elements(from, (from..all.end).map(|place| set.at(place)), write)
    }
}

/// The listpack of these elements, unless it were too long.
fn packed<T: AsRef<[u8]>>(elements: impl Iterator<Item = T>) -> Option<Vec<u8>> {
    let mut packed = listpack::Writer::new();
    for element in elements {
        if packed.len() + element.as_ref().len() > LISTPACK_BYTES_MAX {
            return None;
        }
        packed.push(element.as_ref());
    }
    Some(packed.finish())
}
