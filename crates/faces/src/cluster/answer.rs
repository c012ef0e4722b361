//! How the outcome of a proposed change is answered.

use resp::Reply;
use topology::{Group, Outcome, Refusal};

/// What a client is told when its changes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// OK.
    Ok,
    /// The config epoch, and whether it was raised.
    Epoch,
}

impl Answer {
    /// Writes the reply to a command of which [`Topology::apply_all`](topology::Topology::apply_all) said this.
    pub fn write(self, result: Result<&[Outcome], Refusal>, reply: &mut Reply) {
        match (self, result) {
            (_, Err(refusal)) => reply.error(line(refusal)),
            (Self::Epoch, Ok([Outcome::Bumped(epoch)])) => reply.simple(format!("BUMPED {epoch}")),
            (Self::Epoch, Ok([Outcome::Still(epoch)])) => reply.simple(format!("STILL {epoch}")),
            _ => reply.ok(),
        }
    }
}

/// A refusal in the words of Redis, where it has any.
fn line(refusal: Refusal) -> String {
    let text = match refusal {
        Refusal::SlotBusy(slot) => return format!("ERR Slot {slot} is already busy"),
        Refusal::SlotUnassigned(slot) => return format!("ERR Slot {slot} is already unassigned"),
        Refusal::SlotOfAnother(slot) => return format!("ERR Slot {slot} is served by another node: ask that one"),
        Refusal::SlotHasKeys(slot) => {
            return format!("ERR Slot {slot} has keys on the node that served it: give it back, or delete them there");
        }
        Refusal::UnknownNode(node) => return format!("ERR Unknown node {node}"),
        Refusal::OwnsSlots => "To set a master the node must be empty and without assigned slots.",
        Refusal::HasReplicas => "The node's own replicas must be given another master first.",
        Refusal::EpochIsSet => "Node config epoch is already non-zero",
        Refusal::NotAlone => "The user can assign a config epoch only when the node does not know any other node.",
        Refusal::OutOfRange => "Invalid config epoch specified",
        Refusal::LeadsSlots => "The node serves slots: move them, or let a replica of it take over first",
        Refusal::LastHome => "The node is the only one that shows its slots: move them, or give it a replica first",
        Refusal::Majority(Group::Meta) => "Without the node the cluster would lose its majority",
        Refusal::Majority(Group::Shard(_)) => "Without the node a shard would lose its majority",
        Refusal::OnlyNode => "I tried hard but I can't forget myself...",
        Refusal::Joining => "The node is joining another cluster",
        Refusal::Retired => "The node has just joined another cluster, ask again",
        Refusal::ReplicaLeaving => "The node is still leaving that master, ask again",
        Refusal::UnknownShard | Refusal::UnknownReplica => "The master has just gone, ask again",
        // What no command of a client comes to.
        Refusal::OtherCluster
        | Refusal::SlotsOverlap(_)
        | Refusal::AlreadyMember
        | Refusal::Forgotten
        | Refusal::NodeTaken
        | Refusal::NotHidden
        | Refusal::IdTaken
        | Refusal::TooManyNodes => return format!("ERR {refusal}"),
    };
    format!("ERR {text}")
}
