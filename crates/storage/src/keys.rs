//! Keys and values of the one tree, and their checksums. The crate's head has the drawing.

use bytes::{BufMut, Bytes, BytesMut};
use raft::{GroupId, LogId};

/// The most bytes of an entry in one value.
///
/// sled keeps up to 16 keys in a leaf (20 for a moment while two merge) and rewrites a leaf as one record. A record
/// over a quarter of a segment becomes a file of its own under `blobs/`, written WITHOUT any sync: a power cut would
/// take entries with it that were durable before. 20 parts of 6 KiB stay below a quarter of 512 KiB. Up to format 2 a part had
/// [`PART_BYTES_MAX`].
pub(crate) const PART_BYTES: usize = 6 << 10;

/// The longest part of any format.
pub(crate) const PART_BYTES_MAX: usize = 16 << 10;

/// sled's segments; see [`PART_BYTES`]. sled holds two of them in memory, and writes as much at once, which syncs of others wait for.
pub(crate) const SEGMENT_BYTES: usize = 512 << 10;

/// Its segments in a directory that was created with format 1 or 2, for as long as that exists.
pub(crate) const SEGMENT_BYTES_FORMAT_2: usize = 2 << 20;

/// The version of the layout, kept under [`FORMAT_KEY`].
pub(crate) const FORMAT: u32 = 3;

/// The first version whose newest entries may be in the journal only.
pub(crate) const FORMAT_WITH_JOURNAL: u32 = 2;

/// The key of the layout's version.
pub(crate) const FORMAT_KEY: &[u8] = b"F";

/// The key of what is said about the journal.
pub(crate) const HELD_KEY: &[u8] = b"J";

/// The first byte of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A part of an entry.
    Entry,
    /// The vote.
    Vote,
    /// The commit mark.
    Committed,
    /// The last purged entry.
    Purged,
    /// The last entry of the newest complete snapshot.
    Snapshot,
}

impl Kind {
    /// All kinds that have one key per group.
    pub(crate) const MARKS: [Self; 4] = [Self::Vote, Self::Committed, Self::Purged, Self::Snapshot];

    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Entry => b'L',
            Self::Vote => b'V',
            Self::Committed => b'C',
            Self::Purged => b'P',
            Self::Snapshot => b'S',
        }
    }
}

/// The key of a group's only value of this kind; of `Entry`, the prefix of all its entries.
pub(crate) fn group_key(kind: Kind, group: GroupId) -> [u8; 17] {
    let mut key = [0; 17];
    key[0] = kind.byte();
    key[1..].copy_from_slice(&group.0.to_be_bytes());
    key
}

/// The key of one part of an entry. Keys sort by group, index, part.
pub(crate) fn entry_key(group: GroupId, index: u64, part: u32) -> [u8; 29] {
    let mut key = [0; 29];
    key[..17].copy_from_slice(&group_key(Kind::Entry, group));
    key[17..25].copy_from_slice(&index.to_be_bytes());
    key[25..].copy_from_slice(&part.to_be_bytes());
    key
}

/// The group in a key, if it has one.
pub(crate) fn group_of(key: &[u8]) -> Option<GroupId> {
    Some(GroupId(u128::from_be_bytes(key.get(1..17)?.try_into().ok()?)))
}

/// Index and part in an entry's key.
pub(crate) fn index_and_part(key: &[u8]) -> Option<(u64, u32)> {
    let index = u64::from_be_bytes(key.get(17..25)?.try_into().ok()?);
    let part = u32::from_be_bytes(key.get(25..29)?.try_into().ok()?);
    (key.len() == 29).then_some((index, part))
}

/// The number of values that an entry of this length takes when it is written.
pub(crate) fn part_count(length: usize) -> u32 {
    let parts = length.div_ceil(PART_BYTES).max(1);
    u32::try_from(parts).expect("an entry is bounded by the bulk length: far below 2^32 parts")
}

/// Prepends the checksum of key and body: a value under another key is as wrong as a flipped bit.
pub(crate) fn seal(key: &[u8], value: &mut [u8]) {
    let crc = checksum(key, &value[4..]);
    value[..4].copy_from_slice(&crc.to_le_bytes());
}

fn checksum(key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(body);
    hasher.finalize()
}

/// The body of a value whose checksum holds.
pub(crate) fn open<'a>(key: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (crc, body) = value.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*crc) == checksum(key, body)).then_some(body)
}

/// Writes the value of one part into `value`, which is used again and again to save allocations.
pub(crate) fn encode_part(key: &[u8], id: LogId, bytes: &[u8], part: u32, value: &mut Vec<u8>) {
    let at = part as usize * PART_BYTES;
    value.clear();
    value.extend_from_slice(&[0; 4]);
    if part == 0 {
        value.extend_from_slice(&id.term.to_le_bytes());
        value.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    }
    value.extend_from_slice(&bytes[at..bytes.len().min(at + PART_BYTES)]);
    seal(key, value);
}

/// What the first part of an entry says: its term, the length of the whole, and its own bytes.
pub(crate) fn decode_first(body: &[u8]) -> Option<(u64, usize, &[u8])> {
    let (term, body) = body.split_first_chunk::<8>()?;
    let (length, bytes) = body.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    Some((u64::from_le_bytes(*term), length, bytes))
}

/// The length of the whole entry, as its first value says; not verified.
pub(crate) fn announced_length(value: &[u8]) -> usize {
    value.get(4..).and_then(decode_first).map_or(0, |(_, length, _)| length)
}

/// The value of a log id.
pub(crate) fn encode_id(key: &[u8], id: LogId) -> Vec<u8> {
    let mut value = vec![0; 4];
    value.extend_from_slice(&id.term.to_le_bytes());
    value.extend_from_slice(&id.index.to_le_bytes());
    seal(key, &mut value);
    value
}

/// The log id in a body.
pub(crate) fn decode_id(body: &[u8]) -> Option<LogId> {
    let (term, index) = body.split_first_chunk::<8>()?;
    Some(LogId { term: u64::from_le_bytes(*term), index: u64::from_le_bytes(index.try_into().ok()?) })
}

/// The value of a vote and its number: the store cannot compare votes, but it can tell a later one from an earlier.
pub(crate) fn encode_vote(key: &[u8], sequence: u64, vote: &[u8]) -> Vec<u8> {
    let mut value = vec![0; 4];
    value.extend_from_slice(&sequence.to_le_bytes());
    value.extend_from_slice(vote);
    seal(key, &mut value);
    value
}

/// The vote and its number in a body.
pub(crate) fn decode_vote(body: &[u8]) -> Option<(u64, Bytes)> {
    let (sequence, vote) = body.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*sequence), Bytes::copy_from_slice(vote)))
}

/// The value of [`FORMAT_KEY`].
pub(crate) fn encode_format(version: u32) -> Vec<u8> {
    let mut value = BytesMut::zeroed(4);
    value.put_u32_le(version);
    seal(FORMAT_KEY, &mut value);
    value.to_vec()
}

/// The version in the body of [`FORMAT_KEY`].
pub(crate) fn decode_format(body: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(*body.first_chunk::<4>()?))
}

/// The value of [`HELD_KEY`]: the number of the journal's last record that sled holds, and how often the directory was
/// opened.
pub(crate) fn encode_held(number: u64, start: u64) -> Vec<u8> {
    let mut value = vec![0; 4];
    value.extend_from_slice(&number.to_le_bytes());
    value.extend_from_slice(&start.to_le_bytes());
    seal(HELD_KEY, &mut value);
    value
}

/// What the body of [`HELD_KEY`] says.
pub(crate) fn decode_held(body: &[u8]) -> Option<(u64, u64)> {
    let (number, body) = body.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*number), u64::from_le_bytes(body.try_into().ok()?)))
}
