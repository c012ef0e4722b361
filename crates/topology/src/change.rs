//! The commands of the state machine.

mod codec;

pub use codec::{DecodeError, decode_batch, encode_batch};
pub(crate) use codec::{put_endpoint, put_replica, read_endpoint, read_replica};

use slot::SlotSet;

use crate::{ClusterId, Endpoint, Group, NodeId, ReplicaId, ShardId, Standing};

/// One command of the topology. What each is refused for is told with [`Refusal`](crate::Refusal).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Gives slots that nobody has to a node's home shard. Slots that the same shard is just giving up it keeps.
    AddSlots {
        /// The node whose home shard gets them.
        node: NodeId,
        /// The slots.
        slots: SlotSet,
    },
    /// Takes slots from a node's home shard and the shards it leads: they are closing from now on, and free after [`Change::SlotsClosed`].
    DelSlots {
        /// The node.
        node: NodeId,
        /// The slots.
        slots: SlotSet,
    },
    /// Takes all slots from the shards that a node leads, as [`Change::DelSlots`] does. Nothing for a node that leads none.
    FlushSlots {
        /// The node.
        node: NodeId,
    },
    /// The shard's leader says: a fence of the closing's version (or a later one) is applied in the shard's log, so its slots are closed there.
    SlotsClosed {
        /// The shard.
        shard: ShardId,
        /// [`Closing::number`](crate::Closing::number). One that is not there (any more) changes nothing.
        number: u64,
        /// Those of the slots of which the shard holds keys.
        kept: SlotSet,
    },
    /// The shard's leader says: no keys are left in these slots, which it does not own.
    KeysGone {
        /// The shard.
        shard: ShardId,
        /// The slots; those that it does not keep are ignored.
        slots: SlotSet,
    },
    /// Sets the config epoch of a node that is alone and has none yet.
    SetConfigEpoch {
        /// The node.
        node: NodeId,
        /// The epoch; it should be positive.
        epoch: u64,
    },
    /// Gives the node's shard the highest config epoch, unless it has it.
    BumpEpoch {
        /// The node.
        node: NodeId,
    },
    /// A node tells where it is reached now.
    NodeChanged {
        /// The node.
        node: NodeId,
        /// All of its endpoint.
        endpoint: Endpoint,
    },
    /// A replica leads its shard. The newest term wins; what is not newer changes nothing.
    LeaderChanged {
        /// The shard.
        shard: ShardId,
        /// The leader's term.
        term: u64,
        /// The node that holds the leading replica.
        node: NodeId,
    },
    /// Makes a node a home replica of a shard. Its own shard, if no other node has it as home, must be vacant and leaves the topology.
    Replicate {
        /// The node.
        node: NodeId,
        /// The shard that becomes its home.
        shard: ShardId,
        /// The id for its replica there; not used if it holds one already.
        replica: ReplicaId,
    },
    /// Adds a replica to a shard.
    Place {
        /// The shard.
        shard: ShardId,
        /// The node that is to hold it.
        node: NodeId,
        /// Its id.
        replica: ReplicaId,
        /// Whether clients are not to see it; false only on a node whose home the shard is.
        hidden: bool,
        /// What it should become.
        wanted: Standing,
    },
    /// Says what a replica should be. [`Standing::Absent`] removes it; only hidden replicas can be removed in this way.
    Want {
        /// The group.
        group: Group,
        /// The replica.
        replica: ReplicaId,
        /// What it should become.
        wanted: Standing,
    },
    /// A node asks for a fresh replica in place of one that it may not use any more: it forgot what that acknowledged. The old one leaves,
    /// the fresh one is wanted as what the old one was.
    Renew {
        /// The shard.
        shard: ShardId,
        /// The replica that is not used any more.
        old: ReplicaId,
        /// The id for the fresh one.
        replica: ReplicaId,
    },
    /// The group's leader confirms its membership. A replica that is not wanted and no member is dropped.
    MembershipDone {
        /// The group.
        group: Group,
        /// The place of this membership in the group's log; an older one than confirmed changes nothing.
        at: u64,
        /// Who votes.
        voters: Vec<ReplicaId>,
        /// Who replicates only.
        learners: Vec<ReplicaId>,
    },
    /// On a cluster of one: it is joining another cluster. Until that is decided, nothing else may change.
    Joining {
        /// The cluster that it wants to join.
        cluster: ClusterId,
    },
    /// The other cluster has refused: everything is as before [`Change::Joining`].
    UndoJoining {
        /// The cluster that refused.
        cluster: ClusterId,
    },
    /// The other cluster has this node, its shard and its slots: this topology is retired for ever.
    Joined {
        /// The cluster that took it in.
        cluster: ClusterId,
    },
    /// On the cluster that is joined: takes a cluster of one in.
    Join(Box<Joiner>),
    /// Removes a node. One that was removed lately changes nothing.
    Forget {
        /// The node.
        node: NodeId,
    },
    /// Changes a setting of the cluster.
    Set(Setting),
}

/// What a cluster of one brings along; see [`Topology::joiner`](crate::Topology::joiner).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joiner {
    /// Its cluster: what it was until now. It never joins twice under the same.
    pub cluster: ClusterId,
    /// Its topology version. That of the cluster that takes it in goes beyond, so that fences go on rising.
    pub version: u64,
    /// Its current epoch.
    pub current_epoch: u64,
    /// Its only node.
    pub node: NodeId,
    /// Where that is reached.
    pub endpoint: Endpoint,
    /// The id for its replica in the meta group that it joins.
    pub meta_replica: ReplicaId,
    /// Its only shard.
    pub shard: ShardId,
    /// That shard's only replica.
    pub replica: ReplicaId,
    /// That shard's config epoch.
    pub config_epoch: u64,
    /// The term of that shard's leader, the node itself.
    pub term: u64,
    /// The slots it owns.
    pub slots: SlotSet,
    /// Slots that it does not own and of which it holds keys.
    pub kept: SlotSet,
}

/// A setting of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// `cluster-replication-factor`: voters of a shard with slots. Odd, 1 to 9.
    ReplicationFactor(u8),
    /// `cluster-voter-replace-after-ms`: for how long a voter's node is dead before the voter is replaced. At least 1 s.
    VoterReplaceAfterMs(u64),
}

/// What a change that was not refused has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The topology has a new version.
    Changed,
    /// It is what was there before: the change was done already, or is overtaken.
    Unchanged,
    /// [`Change::BumpEpoch`]: the shard has this new config epoch.
    Bumped(u64),
    /// [`Change::BumpEpoch`]: the shard had the highest, this one, already.
    Still(u64),
}
