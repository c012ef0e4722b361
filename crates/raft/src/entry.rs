//! A log entry: its place and its bytes, which are encoded once and are the same in memory, log and message.
//!
//! ```text
//! blank        (no bytes)             what a new leader commits first
//! proposal     first byte 0..=0xfe    what was proposed, unchanged
//! membership   0xff, then member.rs   never from a proposal: Group::propose refuses that first byte
//! ```

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use openraft::entry::{RaftEntry, RaftPayload};

use crate::codec::Reader;
use crate::log_store::StoredEntry;
use crate::member::{Member, put_membership, read_membership};
use crate::types::{CommittedLeaderId, Membership, RaftLogId, log_id, raft_log_id};

/// The first byte of a membership entry.
pub(crate) const MEMBERSHIP: u8 = 0xff;

/// What an entry carries, encoded.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Body(pub(crate) Bytes);

/// An entry as openraft moves it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: RaftLogId,
    pub(crate) body: Body,
}

impl Entry {
    /// Takes an entry that came from a disk or a peer; `None` when its bytes are a damaged membership.
    pub(crate) fn checked(id: RaftLogId, bytes: Bytes) -> Option<Self> {
        let body = Body(bytes);
        if body.is_membership() && body.decode_membership().is_none() {
            return None;
        }
        Some(Self { id, body })
    }

    pub(crate) fn from_stored(stored: StoredEntry) -> Option<Self> {
        Self::checked(raft_log_id(stored.id), stored.bytes)
    }

    pub(crate) fn to_stored(&self) -> StoredEntry {
        StoredEntry { id: log_id(&self.id), bytes: self.body.0.clone() }
    }

    pub(crate) fn is_membership(&self) -> bool {
        self.body.is_membership()
    }

    pub(crate) fn membership(&self) -> Option<Membership> {
        self.body.get_membership()
    }

    /// What an entry weighs wherever entries are bounded in bytes.
    pub(crate) fn weight_bytes(&self) -> usize {
        self.body.0.len() + size_of::<Self>()
    }

    /// What was proposed; `None` for Raft's own entries.
    pub(crate) fn into_payload(self) -> Option<Bytes> {
        let raft = self.body.0.is_empty() || self.body.is_membership();
        (!raft).then_some(self.body.0)
    }
}

impl Body {
    fn is_membership(&self) -> bool {
        self.0.first() == Some(&MEMBERSHIP)
    }

    fn decode_membership(&self) -> Option<Membership> {
        let mut reader = Reader::new(self.0.slice(1..));
        let membership = read_membership(&mut reader)?;
        reader.end()?;
        Some(membership)
    }
}

impl RaftPayload for Body {
    type D = Self;
    type NodeId = u64;
    type Node = Member;

    fn blank() -> Self {
        Self(Bytes::new())
    }

    fn with_normal(self, data: Self) -> Self {
        data
    }

    fn with_membership(self, membership: Membership) -> Self {
        let mut out = BytesMut::new();
        out.put_u8(MEMBERSHIP);
        put_membership(&mut out, &membership);
        Self(out.freeze())
    }

    fn get_membership(&self) -> Option<Membership> {
        self.is_membership().then(|| self.decode_membership().expect("memberships are checked when they arrive"))
    }
}

impl RaftEntry for Entry {
    type CommittedLeaderId = CommittedLeaderId;
    type Payload = Body;

    fn new(id: RaftLogId, body: Body) -> Self {
        Self { id, body }
    }

    fn log_id_parts(&self) -> (&CommittedLeaderId, u64) {
        (&self.id.leader_id, self.id.index)
    }

    fn set_log_id(&mut self, id: RaftLogId) {
        self.id = id;
    }

    fn get_membership(&self) -> Option<Membership> {
        self.body.get_membership()
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.len(), self.is_membership()) {
            (0, _) => f.write_str("blank"),
            (_, true) => f.write_str("membership"),
            (length, false) => write!(f, "{length} bytes"),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.body)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
