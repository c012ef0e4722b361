//! Why a command is refused before anything is proposed, in Redis's words.

use std::fmt;

use commands::CommandError;
use topology::NodeId;

/// Why; `Display` is the error's line without the leading `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// What any command may say.
    Command(CommandError),
    /// No form of the subcommand has so many arguments, or such; its name as the client wrote it.
    Shape(String),
    /// Not a slot, where slots are assigned.
    InvalidSlot,
    /// Not a slot, where keys are counted.
    NoSlot,
    /// Not a slot or not a count.
    NoSlotOrCount,
    /// A range that runs backwards; whether the sentence begins with a capital, as it does in one place.
    Backwards(u16, u16, bool),
    /// The slot stands there twice.
    Twice(u16),
    /// The slot has an owner already.
    Busy(u16),
    /// The slot has no owner.
    Unassigned(u16),
    /// No such node; what the client called it.
    UnknownNode(String),
    /// The node is a replica.
    NotAMaster,
    /// This node is not in the topology (any more).
    NotAMember,
    /// FLUSHSLOTS with keys.
    KeysBeforeFlush,
    /// The topology is not known yet.
    Loading,
    /// RESET with keys.
    KeysBeforeReset,
    /// REPLICATE on a node that has something to lose.
    NotEmpty,
    /// REPLICATE of this node.
    ReplicateMyself,
    /// REPLICATE of a replica.
    ReplicateReplica,
    /// REPLICATE NO ONE on a replica.
    ReplicateNoOne,
    /// FORGET of this node.
    ForgetMyself,
    /// FORGET of this node's master.
    ForgetMaster,
    /// FAILOVER on a master.
    FailoverOfMaster,
    /// FAILOVER without a known master.
    FailoverOfNobody,
    /// FAILOVER while the master does not answer.
    FailoverOfDead,
    /// A config epoch below 0.
    InvalidEpoch(i64),
    /// MEET with a port that is no number.
    BasePort(String),
    /// MEET with a bus port that is no number.
    BusPort(String),
    /// MEET with a port out of range.
    PortRange,
    /// MEET with a bus port out of range.
    BusPortRange,
    /// MEET with what is no address.
    Address(String, i64),
    /// SETSLOT with an action that there is not.
    SetSlotAction,
    /// SETSLOT on a replica.
    SetSlotOnReplica,
    /// SETSLOT MIGRATING of a slot of another node.
    NotTheOwner(u16),
    /// SETSLOT IMPORTING of a slot of this node.
    TheOwner(u16),
    /// SETSLOT MIGRATING to, or IMPORTING from, a node that is not known; what the client called it.
    SlotToUnknown(String),
    /// SETSLOT with a replica.
    SlotToReplica,
    /// SETSLOT MIGRATING to this node.
    SlotToMyself,
    /// SETSLOT with what comes with slots on the move; the action.
    SetSlotToCome(&'static str),
    /// SLOT-STATS by a metric that there is not.
    Metric,
    /// SLOT-STATS with a limit out of range.
    Limit,
    /// SLOT-STATS with two limits or two orders.
    SameFilter,
}

impl From<CommandError> for Refused {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

impl From<NodeId> for Refused {
    fn from(node: NodeId) -> Self {
        Self::UnknownNode(node.to_string())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Command(error) => return error.fmt(f),
            Self::Shape(name) => {
                return write!(
                    f,
                    "ERR unknown subcommand or wrong number of arguments for '{name}'. Try CLUSTER HELP."
                );
            }
            Self::Backwards(start, end, capital) => {
                let start_word = if *capital { "Start" } else { "start" };
                return write!(f, "ERR {start_word} slot number {start} is greater than end slot number {end}");
            }
            Self::Twice(slot) => return write!(f, "ERR Slot {slot} specified multiple times"),
            Self::Busy(slot) => return write!(f, "ERR Slot {slot} is already busy"),
            Self::Unassigned(slot) => return write!(f, "ERR Slot {slot} is already unassigned"),
            Self::NotTheOwner(slot) => return write!(f, "ERR I'm not the owner of hash slot {slot}"),
            Self::TheOwner(slot) => return write!(f, "ERR I'm already the owner of hash slot {slot}"),
            Self::SlotToUnknown(node) => return write!(f, "ERR I don't know about node {node}"),
            Self::UnknownNode(node) => return write!(f, "ERR Unknown node {node}"),
            Self::InvalidEpoch(epoch) => return write!(f, "ERR Invalid config epoch specified: {epoch}"),
            Self::BasePort(text) => return write!(f, "ERR Invalid base port specified: {text}"),
            Self::BusPort(text) => return write!(f, "ERR Invalid bus port specified: {text}"),
            Self::Address(ip, port) => return write!(f, "ERR Invalid node address specified: {ip}:{port}"),
            Self::SetSlotToCome(action) => {
                return write!(
                    f,
                    "ERR CLUSTER SETSLOT {action} is not there yet: slots cannot be moved between shards"
                );
            }
            Self::InvalidSlot => "ERR Invalid or out of range slot",
            Self::NoSlot => "ERR Invalid slot",
            Self::NoSlotOrCount => "ERR Invalid slot or number of keys",
            Self::NotAMaster => "ERR The specified node is not a master",
            Self::NotAMember => "ERR This node is not a member of its cluster any more",
            Self::KeysBeforeFlush => "ERR DB must be empty to perform CLUSTER FLUSHSLOTS.",
            Self::Loading => "LOADING Redis is loading the dataset in memory",
            Self::KeysBeforeReset => "ERR CLUSTER RESET can't be called with master nodes containing keys",
            Self::NotEmpty => "ERR To set a master the node must be empty and without assigned slots.",
            Self::ReplicateMyself => "ERR Can't replicate myself",
            Self::ReplicateReplica => "ERR I can only replicate a master, not a replica.",
            Self::ReplicateNoOne => "ERR CLUSTER REPLICATE NO ONE is not there yet: use CLUSTER RESET and CLUSTER MEET",
            Self::ForgetMyself => "ERR I tried hard but I can't forget myself...",
            Self::ForgetMaster => "ERR Can't forget my master!",
            Self::FailoverOfMaster => "ERR You should send CLUSTER FAILOVER to a replica",
            Self::FailoverOfNobody => "ERR I'm a replica but my master is unknown to me",
            Self::FailoverOfDead => "ERR Master is down or failed, please use CLUSTER FAILOVER FORCE",
            Self::PortRange => "ERR Port number is out of range",
            Self::BusPortRange => "ERR Cluster bus port number is out of range",
            Self::SetSlotOnReplica => "ERR Please use SETSLOT only with masters.",
            Self::SlotToReplica => "ERR Target node is not a master",
            Self::SlotToMyself => "ERR Target node is myself",
            Self::SetSlotAction => "ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP",
            Self::Metric => "ERR Unrecognized sort metric for ORDERBY.",
            Self::Limit => "ERR Limit has to lie in between 1 and 16384 (maximum number of slots).",
            Self::SameFilter => "ERR Multiple filters of the same type are disallowed.",
        };
        f.write_str(text)
    }
}
