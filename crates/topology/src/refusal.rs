//! Why a change is refused.

use std::fmt;

use slot::Slot;

use crate::{Group, NodeId};

/// Why a change was refused; nothing has changed. `Display` is for logs: clients get a face's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A shard has this slot.
    SlotBusy(Slot),
    /// Nobody has this slot.
    SlotUnassigned(Slot),
    /// The slot is not one of the node's.
    SlotOfAnother(Slot),
    /// Nobody has this slot, but another shard still holds keys of it.
    SlotHasKeys(Slot),
    /// There is no such node.
    UnknownNode(NodeId),
    /// There is no such shard.
    UnknownShard,
    /// There is no such replica in the group, or no replica of it on the node.
    UnknownReplica,
    /// The node leads slots, or its shard has slots or keys that would be lost.
    OwnsSlots,
    /// The node's shard is home to other nodes, which must have another home first.
    HasReplicas,
    /// The node serves slots.
    LeadsSlots,
    /// The node is alone at home in a shard that has slots.
    LastHome,
    /// Without the node's voter the group would lose its majority.
    Majority(Group),
    /// The node is the only one of its cluster.
    OnlyNode,
    /// The node knows others, so this is no business of it alone.
    NotAlone,
    /// The node's config epoch is set already.
    EpochIsSet,
    /// This topology is being joined to another.
    Joining,
    /// This topology was joined to another.
    Retired,
    /// The change is about a cluster that is not the one being joined.
    OtherCluster,
    /// The joiner's slot has an owner here, or keys.
    SlotsOverlap(Slot),
    /// The joiner's node or shard is a member in another way.
    AlreadyMember,
    /// The joiner was taken in before, and forgotten since.
    Forgotten,
    /// The node holds a replica of the shard that is still to be removed.
    ReplicaLeaving,
    /// The node holds a replica of the shard.
    NodeTaken,
    /// A replica that clients see cannot be removed without its node.
    NotHidden,
    /// An id that must be new is in use.
    IdTaken,
    /// The value is out of its range.
    OutOfRange,
    /// There are [`NODES_MAX`](crate::NODES_MAX) nodes.
    TooManyNodes,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::SlotBusy(slot) => return write!(f, "slot {slot} has an owner"),
            Self::SlotUnassigned(slot) => return write!(f, "slot {slot} has no owner"),
            Self::SlotOfAnother(slot) => return write!(f, "slot {slot} is another node's"),
            Self::SlotHasKeys(slot) => return write!(f, "another shard holds keys of slot {slot}"),
            Self::SlotsOverlap(slot) => return write!(f, "both clusters have slot {slot}"),
            Self::UnknownNode(node) => return write!(f, "no node {node}"),
            Self::Majority(Group::Meta) => "the meta group would lose its majority",
            Self::Majority(Group::Shard(shard)) => return write!(f, "shard {shard:?} would lose its majority"),
            Self::UnknownShard => "no such shard",
            Self::UnknownReplica => "no such replica",
            Self::OwnsSlots => "the node owns slots or keys",
            Self::HasReplicas => "the node's shard is home to other nodes",
            Self::LeadsSlots => "the node serves slots",
            Self::LastHome => "the node is the only home of a shard with slots",
            Self::OnlyNode => "the node is the only one",
            Self::NotAlone => "the node is not alone",
            Self::EpochIsSet => "the config epoch is set already",
            Self::Joining => "the cluster is joining another",
            Self::Retired => "the cluster was joined to another",
            Self::OtherCluster => "another cluster is being joined",
            Self::AlreadyMember => "the joiner is a member already",
            Self::Forgotten => "the joiner was forgotten",
            Self::ReplicaLeaving => "a replica is still to be removed from the node",
            Self::NodeTaken => "the node holds a replica of the shard already",
            Self::NotHidden => "the replica is visible",
            Self::IdTaken => "the id is in use",
            Self::OutOfRange => "the value is out of range",
            Self::TooManyNodes => "there are too many nodes",
        };
        f.write_str(text)
    }
}

impl std::error::Error for Refusal {}
