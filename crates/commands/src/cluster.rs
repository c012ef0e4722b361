//! The commands about the cluster, which a face answers. Their rows stand here.

use crate::spec::{Arity::*, Flags, Spec};

/// A command that asks or changes the topology. Matched exhaustively by the faces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterCommand {
    /// `ASKING`
    Asking,
    /// `CLUSTER ADDSLOTS slot [slot ...]`
    AddSlots,
    /// `CLUSTER ADDSLOTSRANGE start-slot end-slot [start-slot end-slot ...]`
    AddSlotsRange,
    /// `CLUSTER BUMPEPOCH`
    BumpEpoch,
    /// `CLUSTER COUNT-FAILURE-REPORTS node-id`
    CountFailureReports,
    /// `CLUSTER COUNTKEYSINSLOT slot`
    CountKeysInSlot,
    /// `CLUSTER DELSLOTS slot [slot ...]`
    DelSlots,
    /// `CLUSTER DELSLOTSRANGE start-slot end-slot [start-slot end-slot ...]`
    DelSlotsRange,
    /// `CLUSTER FAILOVER [FORCE | TAKEOVER]`
    Failover,
    /// `CLUSTER FLUSHSLOTS`
    FlushSlots,
    /// `CLUSTER FORGET node-id`
    Forget,
    /// `CLUSTER GETKEYSINSLOT slot count`
    GetKeysInSlot,
    /// `CLUSTER HELP`
    Help,
    /// `CLUSTER INFO`
    Info,
    /// `CLUSTER KEYSLOT key`
    KeySlot,
    /// `CLUSTER LINKS`
    Links,
    /// `CLUSTER MEET ip port [cluster-bus-port]`
    Meet,
    /// `CLUSTER MYID`
    MyId,
    /// `CLUSTER MYSHARDID`
    MyShardId,
    /// `CLUSTER NODES`
    Nodes,
    /// `CLUSTER REPLICAS node-id` and `CLUSTER SLAVES node-id`
    Replicas,
    /// `CLUSTER REPLICATE node-id`
    Replicate,
    /// `CLUSTER RESET [HARD | SOFT]`
    Reset,
    /// `CLUSTER SAVECONFIG`
    SaveConfig,
    /// `CLUSTER SET-CONFIG-EPOCH config-epoch`
    SetConfigEpoch,
    /// `CLUSTER SETSLOT slot IMPORTING node-id | MIGRATING node-id | NODE node-id | STABLE`
    SetSlot,
    /// `CLUSTER SHARDS`
    Shards,
    /// `CLUSTER SLOT-STATS SLOTSRANGE start-slot end-slot | ORDERBY metric [LIMIT limit] [ASC | DESC]`
    SlotStats,
    /// `CLUSTER SLOTS`
    Slots,
}

const STALE: Flags = Flags::STALE;
/// What every client asks, also while the data is loaded.
const READY: Flags = Flags::STALE.with(Flags::LOADING);
/// What operators ask.
const ADMIN: Flags = Flags::STALE.with(Flags::ADMIN);
/// What operators change.
const CHANGE: Flags = ADMIN.with(Flags::NO_ASYNC_LOADING);
const NONDETERMINISTIC: &[&str] = &["nondeterministic_output"];

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::cluster("ASKING", Exactly(1), ClusterCommand::Asking, "Lets the next command into a slot that is imported.")
        .flags(Flags::FAST.with(Flags::CONNECTION)),
    Spec::container("CLUSTER", "About the cluster, its nodes and slots."),
    Spec::cluster("CLUSTER|ADDSLOTS", AtLeast(3), ClusterCommand::AddSlots, "Gives slots to the node.").flags(CHANGE),
    Spec::cluster(
        "CLUSTER|ADDSLOTSRANGE",
        AtLeast(4),
        ClusterCommand::AddSlotsRange,
        "Gives ranges of slots to the node.",
    )
    .flags(CHANGE),
    Spec::cluster(
        "CLUSTER|BUMPEPOCH",
        Exactly(2),
        ClusterCommand::BumpEpoch,
        "Gives the node the highest config epoch.",
    )
    .flags(CHANGE)
    .tips(NONDETERMINISTIC),
    Spec::cluster(
        "CLUSTER|COUNT-FAILURE-REPORTS",
        Exactly(3),
        ClusterCommand::CountFailureReports,
        "Counts the nodes that do not hear of a node.",
    )
    .flags(ADMIN)
    .tips(NONDETERMINISTIC),
    Spec::cluster("CLUSTER|COUNTKEYSINSLOT", Exactly(3), ClusterCommand::CountKeysInSlot, "Counts the keys of a slot.")
        .flags(STALE),
    Spec::cluster("CLUSTER|DELSLOTS", AtLeast(3), ClusterCommand::DelSlots, "Takes slots from the node.").flags(CHANGE),
    Spec::cluster(
        "CLUSTER|DELSLOTSRANGE",
        AtLeast(4),
        ClusterCommand::DelSlotsRange,
        "Takes ranges of slots from the node.",
    )
    .flags(CHANGE),
    Spec::cluster("CLUSTER|FAILOVER", AtLeast(2), ClusterCommand::Failover, "Makes this replica its shard's master.")
        .flags(CHANGE),
    Spec::cluster("CLUSTER|FLUSHSLOTS", Exactly(2), ClusterCommand::FlushSlots, "Takes all slots from the node.")
        .flags(CHANGE),
    Spec::cluster("CLUSTER|FORGET", Exactly(3), ClusterCommand::Forget, "Removes a node from the cluster.")
        .flags(CHANGE),
    Spec::cluster("CLUSTER|GETKEYSINSLOT", Exactly(4), ClusterCommand::GetKeysInSlot, "Returns some keys of a slot.")
        .flags(STALE)
        .tips(NONDETERMINISTIC),
    Spec::cluster("CLUSTER|HELP", Exactly(2), ClusterCommand::Help, "Lists the subcommands.").flags(READY),
    Spec::cluster("CLUSTER|INFO", Exactly(2), ClusterCommand::Info, "Describes the state of the cluster.")
        .flags(READY)
        .tips(NONDETERMINISTIC),
    Spec::cluster("CLUSTER|KEYSLOT", Exactly(3), ClusterCommand::KeySlot, "Returns the slot of a key.").flags(STALE),
    Spec::cluster("CLUSTER|LINKS", Exactly(2), ClusterCommand::Links, "Describes the links to other nodes.")
        .flags(STALE)
        .tips(NONDETERMINISTIC),
    Spec::cluster("CLUSTER|MEET", AtLeast(4), ClusterCommand::Meet, "Joins this node's cluster and another node's.")
        .flags(CHANGE),
    Spec::cluster("CLUSTER|MYID", Exactly(2), ClusterCommand::MyId, "Returns the node's id.").flags(READY),
    Spec::cluster("CLUSTER|MYSHARDID", Exactly(2), ClusterCommand::MyShardId, "Returns the id of the node's shard.")
        .flags(READY)
        .tips(NONDETERMINISTIC),
    Spec::cluster("CLUSTER|NODES", Exactly(2), ClusterCommand::Nodes, "Describes the nodes, a line each.")
        .flags(READY)
        .tips(NONDETERMINISTIC),
    Spec::cluster("CLUSTER|REPLICAS", Exactly(3), ClusterCommand::Replicas, "Describes the replicas of a master.")
        .flags(ADMIN)
        .tips(NONDETERMINISTIC),
    Spec::cluster("CLUSTER|REPLICATE", AtLeast(3), ClusterCommand::Replicate, "Makes this node a replica of a master.")
        .flags(CHANGE),
    Spec::cluster("CLUSTER|RESET", AtLeast(2), ClusterCommand::Reset, "Makes this node a cluster of its own.")
        .flags(ADMIN.with(Flags::NOSCRIPT)),
    Spec::cluster("CLUSTER|SAVECONFIG", Exactly(2), ClusterCommand::SaveConfig, "Makes the cluster's state durable.")
        .flags(CHANGE),
    Spec::cluster(
        "CLUSTER|SET-CONFIG-EPOCH",
        Exactly(3),
        ClusterCommand::SetConfigEpoch,
        "Sets a new node's config epoch.",
    )
    .flags(CHANGE),
    Spec::cluster("CLUSTER|SETSLOT", AtLeast(4), ClusterCommand::SetSlot, "Sets the owner or the state of a slot.")
        .flags(CHANGE),
    Spec::cluster("CLUSTER|SHARDS", Exactly(2), ClusterCommand::Shards, "Describes the shards and their nodes.")
        .flags(READY)
        .tips(NONDETERMINISTIC),
    Spec::cluster("CLUSTER|SLAVES", Exactly(3), ClusterCommand::Replicas, "Describes the replicas of a master.")
        .flags(ADMIN)
        .tips(NONDETERMINISTIC),
    Spec::cluster("CLUSTER|SLOT-STATS", AtLeast(4), ClusterCommand::SlotStats, "Counts by slot.")
        .flags(READY)
        .tips(&["nondeterministic_output", "request_policy:all_shards"]),
    Spec::cluster("CLUSTER|SLOTS", Exactly(2), ClusterCommand::Slots, "Says which nodes serve which slots.")
        .flags(READY)
        .tips(NONDETERMINISTIC),
];
