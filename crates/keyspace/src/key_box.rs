//! One key, one allocation.
//!
//! ```text
//! bucket:     [ pointer ]                                            8 bytes in the slot's hash table
//!                  |
//! allocation: [ count 8 | head 8 | key length 4 | access mark 4 | tail length 8 | tail ... ]
//! head:       [ tag 8 bits | revision 56 bits ]
//! tag:        [ - | - | raw | deadline | beside | type 3 bits ]
//! tail:       [ key | deadline 8, if the tag says so | body ]
//! body:       the string's bytes, or, if the tag says `beside`, the u32 place of the value in its part
//! ```
//!
//! A box that only its table refers to is changed in place; one that a frozen view shares is copied. The access mark is
//! an atomic, so that a read may set it; it is no part of the state.

use std::sync::atomic::{AtomicU32, Ordering};

use triomphe::{Arc, ThinArc};

use crate::collection::ValueType;

/// What every allocation of a key costs besides its tail.
const OVERHEAD_BYTES: usize = 32;
const DEADLINE_BYTES: usize = 8;
const REVISION_BITS: u32 = 56;
/// The last revision that a key can hold: a million changes a second for two thousand years.
pub(crate) const REVISION_MAX: u64 = (1 << REVISION_BITS) - 1;

const TYPE_MASK: u8 = 0b111;
const BESIDE: u8 = 1 << 3;
const DEADLINE: u8 = 1 << 4;
const RAW: u8 = 1 << 5;

struct Header {
    head: u64,
    key_bytes: u32,
    access_mark: AtomicU32,
}

/// See the module.
#[derive(Clone)]
pub(crate) struct KeyBox(ThinArc<Header, u8>);

/// What a key refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    /// A string of at most [`crate::INLINE_BYTES_MAX`] bytes. `raw`: it was built by APPEND or SETRANGE, which OBJECT ENCODING shows.
    Inline { bytes: &'a [u8], raw: bool },
    /// A value at this place of the key's part.
    Beside { value_type: ValueType, place: u32 },
}

impl Body<'_> {
    fn tag(self) -> u8 {
        match self {
            Body::Inline { raw, .. } => ValueType::String as u8 | if raw { RAW } else { 0 },
            Body::Beside { value_type, .. } => value_type as u8 | BESIDE,
        }
    }
}

impl KeyBox {
    /// Builds a box. `scratch` is any vector: it keeps the tail while it is put together, so that this allocates once.
    pub(crate) fn new(
        scratch: &mut Vec<u8>,
        key: &[u8],
        revision: u64,
        deadline_ms: Option<u64>,
        body: Body<'_>,
    ) -> Self {
        debug_assert!(revision < 1 << REVISION_BITS);
        scratch.clear();
        scratch.extend_from_slice(key);
        let mut tag = body.tag();
        if let Some(deadline_ms) = deadline_ms {
            tag |= DEADLINE;
            scratch.extend_from_slice(&deadline_ms.to_le_bytes());
        }
        match body {
            Body::Inline { bytes, .. } => scratch.extend_from_slice(bytes),
            Body::Beside { place, .. } => scratch.extend_from_slice(&place.to_le_bytes()),
        }
        let header = Header {
            head: u64::from(tag) << REVISION_BITS | revision,
            key_bytes: u32::try_from(key.len()).expect("an entry bounds its arguments to 4 GiB"),
            access_mark: AtomicU32::new(0),
        };
        Self(ThinArc::from_header_and_slice(header, scratch))
    }

    fn header(&self) -> &Header {
        &self.0.header.header
    }

    fn tag(&self) -> u8 {
        (self.header().head >> REVISION_BITS).to_le_bytes()[0]
    }

    /// The key's name.
    pub(crate) fn key(&self) -> &[u8] {
        &self.0.slice[..self.header().key_bytes as usize]
    }

    /// The revision of the command that changed the key last.
    pub(crate) fn revision(&self) -> u64 {
        self.header().head & ((1 << REVISION_BITS) - 1)
    }

    /// When the key expires, if it does.
    pub(crate) fn deadline_ms(&self) -> Option<u64> {
        if self.tag() & DEADLINE == 0 {
            return None;
        }
        let at = self.header().key_bytes as usize;
        let bytes = self.0.slice[at..at + DEADLINE_BYTES].try_into().expect("the tag says that there are 8 bytes");
        Some(u64::from_le_bytes(bytes))
    }

    fn body_start(&self) -> usize {
        self.header().key_bytes as usize + if self.tag() & DEADLINE == 0 { 0 } else { DEADLINE_BYTES }
    }

    /// What the key refers to.
    pub(crate) fn body(&self) -> Body<'_> {
        let (tag, body) = (self.tag(), &self.0.slice[self.body_start()..]);
        if tag & BESIDE == 0 {
            Body::Inline { bytes: body, raw: tag & RAW != 0 }
        } else {
            let place = u32::from_le_bytes(body.try_into().expect("a place has four bytes"));
            Body::Beside { value_type: self.value_type(), place }
        }
    }

    /// Where the value lies in its part, unless it is kept here.
    pub(crate) fn place(&self) -> Option<u32> {
        if let Body::Beside { place, .. } = self.body() { Some(place) } else { None }
    }

    /// The type of the value.
    pub(crate) fn value_type(&self) -> ValueType {
        ValueType::from_tag(self.tag() & TYPE_MASK)
    }

    /// Replaces everything but the name, in place when the length allows it and nobody shares the box.
    pub(crate) fn replace(&mut self, scratch: &mut Vec<u8>, revision: u64, deadline_ms: Option<u64>, body: Body<'_>) {
        let key_bytes = self.header().key_bytes as usize;
        let deadline_bytes = if deadline_ms.is_some() { DEADLINE_BYTES } else { 0 };
        let body_bytes = match body {
            Body::Inline { bytes, .. } => bytes.len(),
            Body::Beside { .. } => size_of::<u32>(),
        };
        let in_place = self.0.slice.len() == key_bytes + deadline_bytes + body_bytes
            && self.0.with_arc_mut(|arc| {
                let Some(unique) = Arc::get_mut(arc) else { return false };
                let tag = body.tag() | if deadline_ms.is_some() { DEADLINE } else { 0 };
                unique.header_mut().head = u64::from(tag) << REVISION_BITS | revision;
                let tail = &mut unique.slice_mut()[key_bytes..];
                if let Some(deadline_ms) = deadline_ms {
                    tail[..DEADLINE_BYTES].copy_from_slice(&deadline_ms.to_le_bytes());
                }
                match body {
                    Body::Inline { bytes, .. } => tail[deadline_bytes..].copy_from_slice(bytes),
                    Body::Beside { place, .. } => tail[deadline_bytes..].copy_from_slice(&place.to_le_bytes()),
                }
                true
            });
        if !in_place {
            let mark = self.access_mark();
            let replacement = Self::new(scratch, self.key(), revision, deadline_ms, body);
            replacement.mark_access(mark);
            *self = replacement;
        }
    }

    /// Changes the revision and the deadline alone.
    pub(crate) fn restamp(&mut self, scratch: &mut Vec<u8>, revision: u64, deadline_ms: Option<u64>) {
        let same_length = self.deadline_ms().is_some() == deadline_ms.is_some();
        let tag = u64::from(self.tag()) << REVISION_BITS;
        let deadline_at = self.header().key_bytes as usize;
        let in_place = same_length
            && self.0.with_arc_mut(|arc| {
                let Some(unique) = Arc::get_mut(arc) else { return false };
                unique.header_mut().head = tag | revision;
                if let Some(deadline_ms) = deadline_ms {
                    let bytes = &mut unique.slice_mut()[deadline_at..deadline_at + DEADLINE_BYTES];
                    bytes.copy_from_slice(&deadline_ms.to_le_bytes());
                }
                true
            });
        if !in_place {
            let replacement = Self::new(scratch, self.key(), revision, deadline_ms, self.body());
            replacement.mark_access(self.access_mark());
            *self = replacement;
        }
    }

    /// The access mark: whatever the owner of eviction keeps there. Outside of state, digest and snapshot.
    pub(crate) fn access_mark(&self) -> u32 {
        self.header().access_mark.load(Ordering::Relaxed)
    }

    /// Sets the access mark.
    pub(crate) fn mark_access(&self, mark: u32) {
        self.header().access_mark.store(mark, Ordering::Relaxed);
    }

    /// The bytes of the allocation, and its bucket.
    pub(crate) fn allocated_bytes(&self) -> usize {
        OVERHEAD_BYTES + size_of::<Self>() + self.0.slice.len()
    }
}
