//! Strings over 16 KiB.
//!
//! ```text
//! chunks: [ Arc -> 16 KiB ][ Arc -> 16 KiB ] ... [ Arc -> 1 byte to 16 KiB ]
//! ```
//!
//! Every chunk but the last is full, so an offset finds its chunk by division. A frozen view and a copy share the chunks; a
//! change copies those that it touches. The zeros that SETRANGE leaves in front of a far offset are one chunk, many times.

use triomphe::Arc;

use crate::collection::{CollectionValue, ValueType, collection_variant};
use crate::digest::Digest;

/// The length of a full chunk.
pub(crate) const CHUNK_BYTES: usize = 16 * 1024;

/// A string as a list of chunks. Never shrinks.
#[derive(Clone)]
pub struct BigString {
    chunks: Vec<Arc<Vec<u8>>>,
    length: usize,
}

impl BigString {
    /// The bytes in the string.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether the string has no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The string's pieces, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.chunks.iter().map(|chunk| chunk.as_slice())
    }

    /// The pieces of the bytes from `start` (at most the length) to `end` (likewise), in order.
    pub fn range(&self, start: usize, end: usize) -> impl Iterator<Item = &[u8]> + Clone {
        let (start, end) = (start.min(end), end.min(self.length));
        let first = start / CHUNK_BYTES;
        let last = end.div_ceil(CHUNK_BYTES);
        self.chunks.get(first..last).unwrap_or(&[]).iter().enumerate().map(move |(at, chunk)| {
            let base = (first + at) * CHUNK_BYTES;
            &chunk[start.saturating_sub(base)..(end - base).min(chunk.len())]
        })
    }

    /// Adds bytes at the end.
    pub fn append(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len();
        if let Some(last) = self.chunks.last_mut()
            && last.len() < CHUNK_BYTES
        {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - last.len()));
            Arc::make_mut(last).extend_from_slice(now);
            bytes = later;
        }
        self.chunks.extend(bytes.chunks(CHUNK_BYTES).map(|chunk| Arc::new(chunk.to_vec())));
    }

    /// Makes the string at least `length` bytes long, with zeros.
    fn pad(&mut self, length: usize) {
        if length <= self.length {
            return;
        }
        let zeros = Arc::new(vec![0; CHUNK_BYTES]);
        let within = self.length.next_multiple_of(CHUNK_BYTES).min(length) - self.length;
        self.append(&zeros[..within]);
        while length - self.length >= CHUNK_BYTES {
            self.chunks.push(zeros.clone());
            self.length += CHUNK_BYTES;
        }
        self.append(&zeros[..length - self.length]);
    }

    /// Writes bytes at an offset, over what is there, after zeros where nothing was.
    pub fn write(&mut self, offset: usize, mut bytes: &[u8]) {
        self.pad(offset);
        let mut at = offset;
        while at < self.length && !bytes.is_empty() {
            let chunk = Arc::make_mut(&mut self.chunks[at / CHUNK_BYTES]);
            let room = &mut chunk[at % CHUNK_BYTES..];
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            at += now.len();
            bytes = later;
        }
        self.append(bytes);
    }
}

impl CollectionValue for BigString {
    const TYPE: ValueType = ValueType::String;

    fn empty() -> Self {
        Self { chunks: Vec::new(), length: 0 }
    }

    fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn allocated_bytes(&self) -> usize {
        self.length + self.chunks.len() * (size_of::<Vec<u8>>() + 2 * size_of::<usize>())
    }

    fn encoding(&self) -> &'static str {
        "raw"
    }

    fn digest(&self, digest: &mut Digest) {
        digest.number(self.length as u64);
        self.pieces().for_each(|piece| digest.bytes(piece));
    }

    collection_variant!(String);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that a plain vector would do.
    #[test]
    fn behaves_as_one_vector() {
        let (mut chunked, mut plain) = (BigString::empty(), Vec::new());
        let mut random = crate::Random::new(7);
        for round in 0..60u8 {
            let bytes = vec![round; random.below(3 * CHUNK_BYTES)];
            if round % 2 == 0 {
                chunked.append(&bytes);
                plain.extend_from_slice(&bytes);
            } else {
                let offset = random.below(plain.len() + 2 * CHUNK_BYTES);
                let shared = chunked.clone();
                chunked.write(offset, &bytes);
                assert_eq!(shared.pieces().collect::<Vec<_>>().concat(), plain);
                plain.resize(plain.len().max(offset + bytes.len()), 0);
                plain[offset..offset + bytes.len()].copy_from_slice(&bytes);
            }
            assert_eq!(chunked.len(), plain.len());
            let (start, end) = (random.below(plain.len() + 1), random.below(plain.len() + 1));
            let (start, end) = (start.min(end), start.max(end));
            assert_eq!(chunked.range(start, end).collect::<Vec<_>>().concat(), plain[start..end]);
        }
        assert_eq!(chunked.pieces().collect::<Vec<_>>().concat(), plain);
    }
}
