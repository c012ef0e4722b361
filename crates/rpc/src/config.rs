//! What a node tells its peer links at start.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use raft::{Class, Clock, NodeId};

use crate::frame::MESSAGE_BYTES_MAX;
use crate::traffic::Counters;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The largest gRPC message: ours, in its protobuf envelope.
pub(crate) const GRPC_BYTES_MAX: usize = MESSAGE_BYTES_MAX + KIB;

/// The terms on which this node talks to others.
#[derive(Clone)]
pub struct RpcConfig {
    /// This node. A peer believes it because both know the secret.
    node: Arc<Mutex<NodeId>>,
    /// `masterauth`: the secret all nodes of a cluster share. Empty: peers on loopback only.
    pub secret: String,
    /// `election-timeout-ms`, shortest and longest. Leases rest on it, so peers with other values are refused.
    pub election_timeout_ms: (u64, u64),
    /// What this program speaks in entries and messages; peers with another level are refused.
    pub feature_level: u32,
    /// The bounds.
    pub limits: Limits,
    /// What is counted.
    pub(crate) counters: Arc<Counters>,
    /// Milliseconds since 1970 by this node's wall clock.
    pub(crate) wall_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl RpcConfig {
    /// A configuration with the usual bounds. `clock` gives the wall clock that peers compare theirs with.
    pub fn new(
        node: NodeId,
        secret: String,
        election_timeout_ms: (u64, u64),
        feature_level: u32,
        clock: impl Clock,
    ) -> Self {
        let wall_ms = Arc::new(move || clock.wall_ms());
        let (node, counters) = (Arc::new(Mutex::new(node)), Arc::default());
        Self { node, secret, election_timeout_ms, feature_level, limits: Limits::default(), counters, wall_ms }
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        *self.node.lock()
    }

    /// This node is another from now on, for all clones of this configuration.
    pub(crate) fn rename(&self, node: NodeId) {
        *self.node.lock() = node;
    }
}

impl fmt::Debug for RpcConfig {
    /// Everything but the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcConfig")
            .field("node", &self.node())
            .field("election_timeout_ms", &self.election_timeout_ms)
            .field("feature_level", &self.feature_level)
            .finish_non_exhaustive()
    }
}

/// The bounds of a node's peer links.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long a dialer waits for connection, handshake and stream together. Short: while the first attempt is
    /// under way, callers wait for it.
    pub connect_deadline: Duration,
    /// How long a listener waits for a handshake to be complete.
    pub handshake_deadline: Duration,
    /// How long a broken link waits before it tries again: at first, doubled by each failure …
    pub backoff_min: Duration,
    /// … up to this.
    pub backoff_max: Duration,
    /// A link that nobody used for this long is closed.
    pub idle_max: Duration,
    /// How long the listening side finishes what it serves once it was told to stop; then it drops the rest.
    pub stop_grace: Duration,
    /// Peers that this node holds links to.
    pub peers_max: usize,
    /// Connections in their handshake; one more closes the oldest of them.
    pub unauthenticated_max: usize,
    /// Connections of peers that have authenticated; one more is refused.
    pub connections_max: usize,
    /// The largest request or answer, in bytes, less than 1 GiB and the same on all nodes. Larger requests are
    /// unreachable at once.
    pub message_bytes_max: usize,
    /// Bounds of the control class.
    pub control: ClassLimits,
    /// Bounds of the log class.
    pub log: ClassLimits,
    /// Bounds of the snapshot class.
    pub snapshot: ClassLimits,
}

/// The bounds of one class, for each link.
#[derive(Clone, Copy, Debug)]
pub struct ClassLimits {
    /// Requests without an answer, queued or sent; on the listening side, requests being served.
    pub requests_max: usize,
    /// Bytes of requests that wait for being sent (one larger request passes when none waits); on the listening
    /// side, bytes of requests being served.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_deadline: Duration::from_secs(1),
            handshake_deadline: Duration::from_secs(5),
            backoff_min: Duration::from_millis(20),
            backoff_max: Duration::from_millis(500),
            idle_max: Duration::from_secs(60),
            stop_grace: Duration::from_secs(1),
            peers_max: 1024,
            unauthenticated_max: 256,
            connections_max: 4096,
            message_bytes_max: 64 * MIB,
            control: ClassLimits { requests_max: 4096, bytes_max: 8 * MIB },
            log: ClassLimits { requests_max: 4096, bytes_max: 32 * MIB },
            snapshot: ClassLimits { requests_max: 64, bytes_max: 16 * MIB },
        }
    }
}

impl Limits {
    /// The bounds of one class.
    pub(crate) fn of(&self, class: Class) -> ClassLimits {
        match class {
            Class::Control => self.control,
            Class::Log => self.log,
            Class::Snapshot => self.snapshot,
        }
    }
}
