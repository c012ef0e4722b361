//! A node as whoever watches it from outside sees it: the simulator, which judges whole clusters by it.
//!
//! Nothing that serves clients asks here. What is shown is of one moment, and of this node alone: it says nothing of what others know.

use std::collections::BTreeMap;
use std::sync::Arc;

use raft::{Clock, GroupId, NodeId, ReplicaId, Status};
use slot::{Slot, SlotSet};
use topology::{Phase, ShardId};

use crate::fence::Fence;
use crate::node::Node;
use crate::platform::Platform;
use crate::replica::Replica;

/// The data of a replica at one moment. Two replicas that accepted the same last entry are equal in all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The term of the leadership whose entry was accepted last.
    pub term: u64,
    /// That entry's number within the leadership; `None` before the first.
    pub sequence: Option<u64>,
    /// The count of changing commands.
    pub revision: u64,
    /// The log clock, in ms since 1970.
    pub clock_ms: u64,
    /// The fingerprint of everything that a snapshot keeps.
    pub digest: u64,
    /// The topology version that its slots come from; `None` where there is no fence.
    pub fence: Option<u64>,
}

/// A replica of a shard.
#[derive(Clone, Debug)]
pub struct ReplicaProbe {
    /// The shard's group.
    pub group: GroupId,
    /// How the group stands.
    pub status: Status,
    /// Its data.
    pub data: Probe,
    /// Whether it accepts commands at this moment: it leads, with all that was committed before, and its lease holds.
    pub accepts: bool,
    /// The slots that its own log lets it serve.
    pub slots: SlotSet,
}

/// Who leads a shard, as a node knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownLeader {
    /// The shard's group.
    pub group: GroupId,
    /// The term of the leader's election.
    pub term: u64,
    /// The leader's node.
    pub node: NodeId,
}

/// What a node of a cluster knows and holds.
#[derive(Clone, Debug)]
pub struct ClusterProbe {
    /// The cluster, by its meta group.
    pub cluster: GroupId,
    /// The node's replica of the meta group: another one whenever it has joined a cluster.
    pub replica: ReplicaId,
    /// How the meta group stands.
    pub meta: Status,
    /// Whether the cluster is joining another, or was joined to one: then nothing else may change.
    pub is_joining: bool,
    /// The leaders of shards, in the order of the shards.
    pub leaders: Vec<KnownLeader>,
    /// The shard that the node is at home in, by its own topology: in others it is hidden from clients while it can be.
    pub home: Option<GroupId>,
    /// The shard that each node is at home in, by the same topology.
    pub homes: BTreeMap<NodeId, GroupId>,
    /// The nodes that have told this one that they are stopping, and not since that they are back: no hidden leader waits for them.
    pub leaving: Vec<NodeId>,
    /// The replicas of shards, in the order of the shards.
    pub replicas: Vec<ReplicaProbe>,
}

impl<P: Platform> Node<P> {
    /// How the group of the home shard stands.
    pub fn status(&self) -> Status {
        self.shared.home().status()
    }

    /// What the data of the home shard looks like from here; replicas are compared by it.
    pub fn probe(&self) -> Probe {
        self.shared.home().probe()
    }

    /// What this node knows and holds as one of a cluster; `None` if it is of none, or does not know any yet.
    pub fn cluster_probe(&self) -> Option<ClusterProbe> {
        let cluster = self.shared.cluster.as_ref()?;
        let (meta, topology) = (cluster.meta()?, cluster.topology()?);
        let routes = cluster.routes();
        let known = |(&shard, _): (&ShardId, _)| {
            let leader = routes.view()?.leader(shard)?;
            Some(KnownLeader { group: GroupId(shard.0), term: leader.term, node: NodeId(leader.node.0) })
        };
        let now_ns = self.shared.clock.monotonic_ns();
        let replica = |(shard, replica): (ShardId, Arc<Replica>)| ReplicaProbe {
            group: GroupId(shard.0),
            status: replica.status(),
            data: replica.probe(),
            accepts: replica.leads() && replica.holds_lease(now_ns),
            slots: replica.slots(),
        };
        Some(ClusterProbe {
            cluster: meta.identity.group,
            replica: meta.identity.replica,
            meta: meta.status(),
            is_joining: topology.phase() != Phase::Living,
            leaders: topology.shards().iter().filter_map(known).collect(),
            home: topology.node(cluster.me()).map(|node| GroupId(node.home.0)),
            homes: topology.nodes().iter().map(|(id, node)| (NodeId(id.0), GroupId(node.home.0))).collect(),
            leaving: cluster.leaving(now_ns).into_iter().map(|node| NodeId(node.0)).collect(),
            replicas: cluster.replicas().into_iter().map(replica).collect(),
        })
    }
}

impl<P: Platform> Node<P> {
    /// What the replicas of shards here say of a slot by their own logs: each with the topology version that its slots come
    /// from, and whether this is one of them.
    pub fn fences(&self, slot: Slot) -> Vec<(GroupId, Option<u64>, bool)> {
        let Some(cluster) = &self.shared.cluster else { return Vec::new() };
        let of = |(shard, replica): (ShardId, Arc<Replica>)| {
            let data = replica.shard.data.read();
            (GroupId(shard.0), data.fence.version(), data.fence.serves(slot))
        };
        cluster.replicas().into_iter().map(of).collect()
    }
}

impl Replica {
    fn probe(&self) -> Probe {
        let (term, sequence) = self.shard.last_applied();
        let data = self.shard.data.read();
        Probe {
            term,
            sequence,
            revision: data.revision(),
            clock_ms: data.clock_ms(),
            digest: data.digest(),
            fence: data.fence.version(),
        }
    }

    fn slots(&self) -> SlotSet {
        match &self.shard.data.read().fence {
            Fence::All => SlotSet::all(),
            Fence::Slots(fenced) => fenced.slots.clone(),
        }
    }
}
