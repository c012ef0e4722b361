//! Integers, texts, log ids and votes as bytes: big endian, lengths in front, no padding.
//!
//! Reading is total: every read answers `None` when the bytes do not suffice, and nothing is allocated on the
//! word of a length.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::ids::LogId;
use crate::types::{RaftLogId, RaftVote, log_id};

/// Takes values off the front of received bytes. What it hands out of them shares their memory.
pub(crate) struct Reader(Bytes);

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.0.try_get_u8().ok()
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.0.try_get_u16().ok()
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.0.try_get_u32().ok()
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.0.try_get_u64().ok()
    }

    pub(crate) fn u128(&mut self) -> Option<u128> {
        self.0.try_get_u128().ok()
    }

    pub(crate) fn bool(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut array = [0; N];
        self.0.try_copy_to_slice(&mut array).ok()?;
        Some(array)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.0.len()).then(|| self.0.split_to(length))
    }

    pub(crate) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        let length = usize::from(self.u16()?);
        String::from_utf8(self.bytes(length)?.into()).ok()
    }

    /// A log id that may be absent.
    pub(crate) fn log_id(&mut self) -> Option<Option<LogId>> {
        if self.bool()? { Some(Some(LogId { term: self.u64()?, index: self.u64()? })) } else { Some(None) }
    }

    pub(crate) fn vote(&mut self) -> Option<RaftVote> {
        let (term, replica, committed) = (self.u64()?, self.u64()?, self.bool()?);
        Some(if committed { RaftVote::new_committed(term, replica) } else { RaftVote::new(term, replica) })
    }

    pub(crate) fn remaining(&self) -> usize {
        self.0.len()
    }

    /// `Some` when everything was read.
    pub(crate) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

pub(crate) fn put_text(out: &mut BytesMut, text: &str) {
    let length = u16::try_from(text.len()).expect("an address is shorter than 64 KiB");
    out.put_u16(length);
    out.put_slice(text.as_bytes());
}

/// One byte, and 16 more when there is an id.
pub(crate) fn put_log_id(out: &mut BytesMut, id: Option<&RaftLogId>) {
    out.put_u8(u8::from(id.is_some()));
    if let Some(id) = id.map(log_id) {
        out.put_u64(id.term);
        out.put_u64(id.index);
    }
}

/// Term, replica and whether a majority granted it: 17 bytes.
pub(crate) fn put_vote(out: &mut BytesMut, vote: &RaftVote) {
    out.put_u64(vote.leader_id.term);
    out.put_u64(vote.leader_id.voted_for);
    out.put_u8(u8::from(vote.committed));
}

pub(crate) fn encode_vote(vote: &RaftVote) -> Bytes {
    let mut out = BytesMut::with_capacity(17);
    put_vote(&mut out, vote);
    out.freeze()
}

pub(crate) fn decode_vote(bytes: Bytes) -> Option<RaftVote> {
    let mut reader = Reader::new(bytes);
    let vote = reader.vote()?;
    reader.end()?;
    Some(vote)
}
