//! The members of the cluster: nodes, and the replicas that they hold.

use crate::{ClusterId, NodeId, ReplicaId, ShardId};

/// Where a node is reached, and what else it tells about itself. Texts have at most [`Endpoint::TEXT_BYTES_MAX`] bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The address that clients and peers use (what it announces, or what it binds); empty while it is not known.
    pub ip: String,
    /// The plain port for clients; 0 if there is none.
    pub port: u16,
    /// The TLS port for clients; 0 if there is none.
    pub tls_port: u16,
    /// The port for peers, which clients see as that of the cluster bus.
    pub peer_port: u16,
    /// Its host name for clients; empty if it announces none.
    pub hostname: String,
    /// Its name for people, in logs; empty if it has none.
    pub nodename: String,
    /// Where it stands, for clients that prefer what is near; empty if it does not say.
    pub availability_zone: String,
}

impl Endpoint {
    /// The most bytes of each text.
    pub const TEXT_BYTES_MAX: usize = 255;

    /// Whether every text is within its bound.
    pub(crate) fn is_bounded(&self) -> bool {
        [&self.ip, &self.hostname, &self.nodename, &self.availability_zone]
            .iter()
            .all(|text| text.len() <= Self::TEXT_BYTES_MAX)
    }
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it is reached.
    pub endpoint: Endpoint,
    /// The shard that clients see it belong to.
    pub home: ShardId,
    /// The cluster of one that it was before it joined, or this cluster if it is its first node.
    pub joined_from: ClusterId,
}

/// What a replica is in its group, or should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// No member.
    Absent,
    /// It replicates and does not vote.
    Learner,
    /// It votes.
    Voter,
}

/// A group's copy on a node. What it *is* was confirmed by the group's leader; what is *wanted* the leader brings about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// What votes.
    pub id: ReplicaId,
    /// The node that holds it. A node that was forgotten is not in the topology any more, while the replica is still to be removed.
    pub node: NodeId,
    /// Whether it is on another shard's node, where clients never see it.
    pub hidden: bool,
    /// What it is, as the group's leader last confirmed.
    pub is: Standing,
    /// What it should be. A replica that is [`Standing::Absent`] in both ways is dropped from the topology.
    pub wanted: Standing,
}
