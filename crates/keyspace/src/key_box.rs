//! One key, one allocation.
//!
//! ```text
//! part:       [ pointer ] [ print ]                                  10 bytes in the key's part
//!                  |
//! allocation: [ count 8 | head 8 | key length or place 4 | access mark 4 | tail length 8 | tail ... ]
//! head:       [ tag 8 bits | revision 56 bits ]
//! tag:        [ - | - | raw | deadline | beside | type 3 bits ]
//! tail:       [ key | deadline 8, if the tag says so | body ]
//! body:       the string's bytes; nothing, if the tag says `beside`: then the place of the value in its part stands instead of the
//!             key's length, which is what the deadline leaves of the tail
//! ```
//!
//! A box that only its table refers to is changed in place; one that a frozen view shares is copied. The access mark is
//! an atomic, so that a read may set it; it is no part of the state.

use std::sync::atomic::{AtomicU32, Ordering};

use triomphe::{Arc, ThinArc};

use crate::collection::{Collection, ValueType};

/// What every allocation of a key costs besides its tail.
const OVERHEAD_BYTES: usize = 32;
/// What a part has for a key: the pointer and the print; and for a value beside it.
const LISTED_BYTES: usize = size_of::<KeyBox>() + size_of::<u16>();
const BESIDE_BYTES: usize = size_of::<Option<Collection>>();
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
    /// Of a value beside the key its place, else the bytes of the key.
    extent: u32,
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
        if let Body::Inline { bytes, .. } = body {
            scratch.extend_from_slice(bytes);
        }
        let header = Header {
            head: u64::from(tag) << REVISION_BITS | revision,
            extent: extent(key.len(), body),
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
        &self.0.slice[..self.key_bytes()]
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
        let at = self.key_bytes();
        let bytes = self.0.slice[at..at + DEADLINE_BYTES].try_into().expect("the tag says that there are 8 bytes");
        Some(u64::from_le_bytes(bytes))
    }

    fn deadline_bytes(&self) -> usize {
        if self.tag() & DEADLINE == 0 { 0 } else { DEADLINE_BYTES }
    }

    fn key_bytes(&self) -> usize {
        if self.tag() & BESIDE == 0 {
            self.header().extent as usize
        } else {
            self.0.slice.len() - self.deadline_bytes()
        }
    }

    /// What the key refers to.
    pub(crate) fn body(&self) -> Body<'_> {
        let tag = self.tag();
        if tag & BESIDE == 0 {
            let bytes = &self.0.slice[self.key_bytes() + self.deadline_bytes()..];
            Body::Inline { bytes, raw: tag & RAW != 0 }
        } else {
            Body::Beside { value_type: self.value_type(), place: self.header().extent }
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
        let key_bytes = self.key_bytes();
        let deadline_bytes = if deadline_ms.is_some() { DEADLINE_BYTES } else { 0 };
        let body_bytes = match body {
            Body::Inline { bytes, .. } => bytes.len(),
            Body::Beside { .. } => 0,
        };
        let in_place = self.0.slice.len() == key_bytes + deadline_bytes + body_bytes
            && self.0.with_arc_mut(|arc| {
                let Some(unique) = Arc::get_mut(arc) else { return false };
                let tag = body.tag() | if deadline_ms.is_some() { DEADLINE } else { 0 };
                let header = unique.header_mut();
                header.head = u64::from(tag) << REVISION_BITS | revision;
                header.extent = extent(key_bytes, body);
                let tail = &mut unique.slice_mut()[key_bytes..];
                if let Some(deadline_ms) = deadline_ms {
                    tail[..DEADLINE_BYTES].copy_from_slice(&deadline_ms.to_le_bytes());
                }
                if let Body::Inline { bytes, .. } = body {
                    tail[deadline_bytes..].copy_from_slice(bytes);
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
        let deadline_at = self.key_bytes();
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

    /// The bytes of the allocation, and of what its part has for it.
    pub(crate) fn allocated_bytes(&self) -> usize {
        let beside_bytes = if self.tag() & BESIDE == 0 { 0 } else { BESIDE_BYTES };
        OVERHEAD_BYTES + LISTED_BYTES + beside_bytes + self.0.slice.len()
    }
}

fn extent(key_bytes: usize, body: Body<'_>) -> u32 {
    match body {
        Body::Inline { .. } => u32::try_from(key_bytes).expect("an entry bounds its arguments to 4 GiB"),
        Body::Beside { place, .. } => place,
    }
}
