//! The seam to the network: ordered messages between nodes, as bytes.
//!
//! `raft` encodes its messages; a transport carries them without looking inside. Requests of one
//! [`Class`] to one node arrive in the order in which they were sent, or not at all; each is answered once,
//! or fails when its deadline passes or the link breaks. A request that failed may still have arrived.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::ids::NodeId;

/// Messages that must not wait behind each other travel in different classes, each on its own stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Heartbeats, votes, leader transfer, questions between nodes. Small and urgent.
    Control,
    /// Log entries.
    Log,
    /// Snapshot chunks.
    Snapshot,
}

/// A message in pieces that follow each other, so that what is large is not copied into one.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    first: Bytes,
    more: VecDeque<Bytes>,
}

impl Pieces {
    /// Adds a piece behind the others.
    pub fn push(&mut self, piece: Bytes) {
        if self.is_empty() {
            self.first = piece;
        } else if !piece.is_empty() {
            self.more.push_back(piece);
        }
    }

    /// Bytes of all pieces.
    pub fn len(&self) -> usize {
        self.first.len() + self.more.iter().map(Bytes::len).sum::<usize>()
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        // No later piece is empty, and the first only if there is no other.
        self.first.is_empty()
    }

    /// Moves so many bytes, or all if there are fewer, from the front to the end of `out`.
    pub fn move_to(&mut self, out: &mut BytesMut, mut bytes: usize) {
        while bytes > 0 && !self.is_empty() {
            let part = self.first.split_to(bytes.min(self.first.len()));
            bytes -= part.len();
            out.extend_from_slice(&part);
            if self.first.is_empty() {
                self.first = self.more.pop_front().unwrap_or_default();
            }
        }
    }

    /// The message in one piece; a copy if there are several.
    pub fn into_bytes(mut self) -> Bytes {
        if self.more.is_empty() {
            return self.first;
        }
        let mut out = BytesMut::with_capacity(self.len());
        self.move_to(&mut out, usize::MAX);
        out.freeze()
    }
}

impl From<Bytes> for Pieces {
    fn from(first: Bytes) -> Self {
        Self { first, more: VecDeque::new() }
    }
}

/// Where a node is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerAddress {
    /// The node; all zero when only its address is known yet (before a group was formed).
    pub node: NodeId,
    /// `host:port` of its peer port.
    pub address: String,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// No link: nothing was sent. The text says why (refused, wrong secret, other cluster, …).
    Unreachable(String),
    /// The request may have arrived; no answer came before the deadline, or the link broke.
    Lost,
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "unreachable: {why}"),
            Self::Lost => f.write_str("no answer before the deadline"),
        }
    }
}

impl std::error::Error for TransportError {}

/// A connection between this node and another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerLink {
    /// The other node, as it has proved.
    pub node: NodeId,
    /// Whether this node opened it.
    pub is_outgoing: bool,
    /// When it was opened: ms since 1970.
    pub since_ms: u64,
    /// Bytes that wait to be sent.
    pub queued_bytes: u64,
}

/// What went between this node and all others in one direction, since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages of [`Class::Control`]; one may carry many requests or answers.
    pub control: u64,
    /// Messages of [`Class::Log`].
    pub log: u64,
    /// Messages of [`Class::Snapshot`].
    pub snapshot: u64,
    /// The bytes of all of them.
    pub bytes: u64,
}

/// Carries requests to other nodes. Cheap to clone.
pub trait Transport: Clone + Send + Sync + 'static {
    /// Sends a request at once (the order of calls is the order of sending) and returns what waits for its answer.
    /// Dropping that future gives the answer up, not the request. The queue per peer and class is bounded:
    /// when it is full the answer is [`TransportError::Unreachable`] at once.
    fn request(
        &self,
        to: &PeerAddress,
        class: Class,
        message: Pieces,
        deadline: Duration,
    ) -> impl Future<Output = Result<Bytes, TransportError>> + Send + use<Self>;

    /// How far the wall clocks of other nodes are from this node's, in ms, positive when theirs is ahead; of those that
    /// were heard of lately. Nothing where the transport does not know.
    fn clock_offsets_ms(&self) -> Vec<i64> {
        Vec::new()
    }

    /// The connections that stand; `None` where the transport does not tell.
    fn links(&self) -> Option<Vec<PeerLink>> {
        None
    }

    /// What was sent, and what was received. Nothing where the transport does not count.
    fn traffic(&self) -> (Traffic, Traffic) {
        (Traffic::default(), Traffic::default())
    }

    /// This node has another id from now on: the connections that it opened are closed, and it proves the new one with the
    /// next. What is under way fails as when a link breaks. Nothing where nodes prove no id.
    fn rename(&self, _: NodeId) {}
}

/// The receiving side, implemented by `node`: answers one request of a peer that has authenticated.
pub trait PeerService: Clone + Send + Sync + 'static {
    /// Called in the order of arrival per link and class, without waiting for earlier answers: what must keep
    /// order has to take its place before its first await. `from` is the node that the handshake proved.
    fn serve(&self, from: NodeId, class: Class, message: Bytes) -> impl Future<Output = Bytes> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_give_the_same_bytes_however_they_are_taken() {
        let all = Bytes::from_static(b"onetwothree");
        for taken in 1..=all.len() + 1 {
            let mut pieces = Pieces::default();
            [&b""[..], b"one", b"two", b"", b"three"].iter().for_each(|piece| pieces.push(Bytes::from_static(piece)));
            assert_eq!((pieces.len(), pieces.clone().into_bytes()), (all.len(), all.clone()));
            let mut out = BytesMut::new();
            while !pieces.is_empty() {
                let before = (out.len(), pieces.len());
                pieces.move_to(&mut out, taken);
                assert_eq!(out.len() - before.0, taken.min(before.1));
            }
            assert_eq!((out.freeze(), pieces.len()), (all.clone(), 0));
        }
        assert_eq!(Pieces::from(all.clone()).into_bytes(), all);
    }
}
