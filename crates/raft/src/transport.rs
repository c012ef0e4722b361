//! The seam to the network: ordered messages between nodes, as bytes.
//!
//! `raft` encodes its messages; a transport carries them without looking inside. Requests of one
//! [`Class`] to one node arrive in the order in which they were sent, or not at all; each is answered once,
//! or fails when its deadline passes or the link breaks. A request that failed may still have arrived.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;

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

/// Carries requests to other nodes. Cheap to clone.
pub trait Transport: Clone + Send + Sync + 'static {
    /// Sends a request at once (the order of calls is the order of sending) and returns what waits for its answer.
    /// Dropping that future gives the answer up, not the request. The queue per peer and class is bounded:
    /// when it is full the answer is [`TransportError::Unreachable`] at once.
    fn request(
        &self,
        to: &PeerAddress,
        class: Class,
        message: Bytes,
        deadline: Duration,
    ) -> impl Future<Output = Result<Bytes, TransportError>> + Send + use<Self>;

    /// How far the wall clocks of other nodes are from this node's, in ms, positive when theirs is ahead; of those that
    /// were heard of lately. Nothing where the transport does not know.
    fn clock_offsets_ms(&self) -> Vec<i64> {
        Vec::new()
    }
}

/// The receiving side, implemented by `node`: answers one request of a peer that has authenticated.
pub trait PeerService: Clone + Send + Sync + 'static {
    /// Called in the order of arrival per link and class, without waiting for earlier answers: what must keep
    /// order has to take its place before its first await. `from` is the node that the handshake proved.
    fn serve(&self, from: NodeId, class: Class, message: Bytes) -> impl Future<Output = Bytes> + Send;
}
