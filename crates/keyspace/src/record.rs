//! One key, as bytes in the block of its part.
//!
//! ```text
//! record: [ tag 1 | revision | key length | value length or place | key | deadline 8, if the tag says so | value, if it is here ]
//! tag:    [ type 3 bits | beside | deadline | raw | bytes of the revision 2 bits ]
//! ```
//!
//! A revision takes three, four, five or seven bytes, little-endian: three while a shard has counted fewer than 16 million. Lengths and places are
//! written as those of `block`. Strings and small hashes are here; a value beside its key is named by its place in the part.

use crate::block::{length_bytes, read_length, write_length};
use crate::collection::ValueType;

const TAG_BYTES: usize = 1;
const DEADLINE_BYTES: usize = 8;
/// How many bytes a revision takes, by what the tag says of it.
const REVISION_BYTES: [usize; 4] = [3, 4, 5, 7];
/// The last revision that a key can hold: a million changes a second for two thousand years.
pub(crate) const REVISION_MAX: u64 = (1 << (8 * REVISION_BYTES[3])) - 1;

const TYPE_MASK: u8 = 0b111;
const BESIDE: u8 = 1 << 3;
const DEADLINE: u8 = 1 << 4;
const RAW: u8 = 1 << 5;
const WIDTH_SHIFT: u32 = 6;

/// What a key refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    /// A string of at most [`crate::INLINE_BYTES_MAX`] bytes. `raw`: it was built by APPEND or SETRANGE, which OBJECT ENCODING shows.
    Inline { bytes: &'a [u8], raw: bool },
    /// A small hash: its block.
    PackedHash { block: &'a [u8] },
    /// A value at this place of the key's part.
    Beside { value_type: ValueType, place: u32 },
}

impl<'a> Body<'a> {
    fn tag(self) -> u8 {
        match self {
            Body::Inline { raw, .. } => ValueType::String as u8 | if raw { RAW } else { 0 },
            Body::PackedHash { .. } => ValueType::Hash as u8,
            Body::Beside { value_type, .. } => value_type as u8 | BESIDE,
        }
    }

    /// What the record says in front of the key: the value's length, or its place.
    fn number(self) -> usize {
        match self {
            Body::Inline { bytes, .. } | Body::PackedHash { block: bytes } => bytes.len(),
            Body::Beside { place, .. } => place as usize,
        }
    }

    /// The bytes that stand in the record itself.
    fn inline(self) -> &'a [u8] {
        match self {
            Body::Inline { bytes, .. } | Body::PackedHash { block: bytes } => bytes,
            Body::Beside { .. } => &[],
        }
    }
}

/// A key with everything that is kept with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// The key's name.
    pub(crate) key: &'a [u8],
    /// The revision of the command that changed the key last.
    pub(crate) revision: u64,
    /// When the key expires, if it does.
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) body: Body<'a>,
}

impl<'a> Record<'a> {
    /// How many bytes it takes.
    pub(crate) fn length(&self) -> usize {
        let deadline = if self.deadline_ms.is_some() { DEADLINE_BYTES } else { 0 };
        let lengths = length_bytes(self.key.len()) + length_bytes(self.body.number());
        let revision = REVISION_BYTES[usize::from(self.width())];
        TAG_BYTES + revision + lengths + self.key.len() + deadline + self.body.inline().len()
    }

    /// How wide the revision is, as the tag says it.
    fn width(&self) -> u8 {
        (0..3).find(|&width| self.revision >> (8 * REVISION_BYTES[usize::from(width)]) == 0).unwrap_or(3)
    }

    /// Fills a room of [`Record::length`] bytes.
    pub(crate) fn write(&self, room: &mut [u8]) {
        debug_assert!(self.revision <= REVISION_MAX);
        let deadline = if self.deadline_ms.is_some() { DEADLINE } else { 0 };
        let width = self.width();
        let mut at = TAG_BYTES + REVISION_BYTES[usize::from(width)];
        room[0] = self.body.tag() | deadline | width << WIDTH_SHIFT;
        room[TAG_BYTES..at].copy_from_slice(&self.revision.to_le_bytes()[..at - TAG_BYTES]);
        at += write_length(&mut room[at..], self.key.len());
        at += write_length(&mut room[at..], self.body.number());
        let mut put = |bytes: &[u8]| {
            room[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(self.key);
        if let Some(deadline_ms) = self.deadline_ms {
            put(&deadline_ms.to_le_bytes());
        }
        put(self.body.inline());
    }

    /// The record at the front of these bytes.
    pub(crate) fn read(bytes: &'a [u8]) -> Self {
        let (&tag, rest) = bytes.split_first().expect("a record has a tag");
        let (revision, rest) = match tag >> WIDTH_SHIFT {
            0 => split_revision::<{ REVISION_BYTES[0] }>(rest),
            1 => split_revision::<{ REVISION_BYTES[1] }>(rest),
            2 => split_revision::<{ REVISION_BYTES[2] }>(rest),
            _ => split_revision::<{ REVISION_BYTES[3] }>(rest),
        };
        let (key_length, rest) = split_length(rest);
        let (number, rest) = split_length(rest);
        let (key, rest) = rest.split_at(key_length);
        let (deadline_ms, rest) = if tag & DEADLINE == 0 {
            (None, rest)
        } else {
            let (deadline, rest) = rest.split_first_chunk().expect("the tag says that there are 8 bytes");
            (Some(u64::from_le_bytes(*deadline)), rest)
        };
        let value_type = ValueType::from_tag(tag & TYPE_MASK);
        let body = if tag & BESIDE != 0 {
            Body::Beside { value_type, place: u32::try_from(number).expect("a place was written") }
        } else if value_type == ValueType::String {
            Body::Inline { bytes: &rest[..number], raw: tag & RAW != 0 }
        } else {
            Body::PackedHash { block: &rest[..number] }
        };
        Self { key, revision, deadline_ms, body }
    }

    /// Where the value lies in its part, unless it is kept here.
    pub(crate) fn place(&self) -> Option<u32> {
        if let Body::Beside { place, .. } = self.body { Some(place) } else { None }
    }

    /// The type of the value.
    pub(crate) fn value_type(&self) -> ValueType {
        match self.body {
            Body::Inline { .. } => ValueType::String,
            Body::PackedHash { .. } => ValueType::Hash,
            Body::Beside { value_type, .. } => value_type,
        }
    }
}

fn split_revision<const BYTES: usize>(bytes: &[u8]) -> (u64, &[u8]) {
    let (low, rest) = bytes.split_first_chunk::<BYTES>().expect("the tag says that there are so many bytes");
    let mut whole = [0; size_of::<u64>()];
    whole[..BYTES].copy_from_slice(low);
    (u64::from_le_bytes(whole), rest)
}

fn split_length(bytes: &[u8]) -> (usize, &[u8]) {
    // Nearly always one byte.
    if let [length @ 0..0x80, rest @ ..] = bytes {
        return (usize::from(*length), rest);
    }
    let (length, taken) = read_length(bytes.iter());
    (length, &bytes[taken..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_as_written() {
        let long = vec![b'x'; 16_384];
        let bodies = [
            Body::Inline { bytes: b"", raw: false },
            Body::Inline { bytes: &long, raw: true },
            Body::PackedHash { block: b"block" },
            Body::Beside { value_type: ValueType::Stream, place: 300 },
        ];
        let keys: [&[u8]; 3] = [b"", b"key", &long[..200]];
        let edges = REVISION_BYTES.map(|bytes| 1 << (8 * bytes));
        let revisions = [0, 1].into_iter().chain(edges.into_iter().flat_map(|edge| [edge - 1, edge.min(REVISION_MAX)]));
        let deadlines = [None, Some(7), Some(u64::MAX)];
        let all = bodies.iter().flat_map(|body| keys.map(|key| (*body, key)));
        for ((body, key), deadline_ms, revision) in all
            .flat_map(|named| deadlines.map(|deadline_ms| (named, deadline_ms)))
            .flat_map(|(named, deadline_ms)| revisions.clone().map(move |revision| (named, deadline_ms, revision)))
        {
            let record = Record { key, revision, deadline_ms, body };
            let mut bytes = vec![0xff; record.length()];
            record.write(&mut bytes);
            bytes.extend_from_slice(b"whatever follows");
            assert_eq!(Record::read(&bytes), record);
        }
    }
}
