//! A shard: slots, and the replicas that hold their keys.

use slot::{Slot, SlotSet};

use crate::{Group, NodeId, Replica, ReplicaId, Standing};

/// Who leads a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The term of its election: of two leaders, the one of the higher term is right.
    pub term: u64,
    /// The node that holds the leading replica.
    pub node: NodeId,
}

/// Slots on their way out of a shard. They are the shard's until its own log has closed them, and nobody else may have them before that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The topology version at which it began: its name, and the least version of a [`Fence`] that closes these slots.
    pub number: u64,
    /// The slots. Those that their shard was given again meanwhile are no longer among them.
    pub slots: SlotSet,
}

/// The slots that a shard may serve from a topology version on. The shard keeps the newest one in its own log, as an entry, and ignores one of a
/// lower version: so what an old leader knows opens nothing that was closed (see the crate's head).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The topology version at which the shard's slots changed last.
    pub version: u64,
    /// Its slots, without those that are closing.
    pub slots: SlotSet,
}

/// A set of slots and the replicas that hold their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Redis Cluster's number: raised with every change of leader or owner.
    pub config_epoch: u64,
    /// Every slot that it owns, those that are closing included.
    pub slots: SlotSet,
    /// The topology version at which `slots` or `closing` changed last.
    pub slots_version: u64,
    /// What it is about to give up, in the order of their numbers.
    pub closing: Vec<Closing>,
    /// Slots that it does not own any more, but of which it holds keys. No other shard is given them.
    pub kept: SlotSet,
    /// Who led it last; `None` if that node was forgotten.
    pub leader: Option<Leader>,
    /// Its replicas, sorted by id.
    pub replicas: Vec<Replica>,
    /// The place in the group's log of the membership that was confirmed last.
    pub confirmed_at: u64,
}

impl Shard {
    /// What its log has to say about slots.
    pub fn fence(&self) -> Fence {
        Fence { version: self.slots_version, slots: self.open_slots() }
    }

    /// The slots that it owns and does not give up.
    pub fn open_slots(&self) -> SlotSet {
        let mut open = self.slots.clone();
        self.closing.iter().for_each(|closing| open.subtract(&closing.slots));
        open
    }

    /// Whether the slot is on its way out.
    pub fn is_closing(&self, slot: Slot) -> bool {
        self.closing.iter().any(|closing| closing.slots.contains(slot))
    }

    /// Whether it has nothing that would be lost with it: no slot, and no keys of slots that it had.
    pub fn is_vacant(&self) -> bool {
        self.slots.is_empty() && self.kept.is_empty()
    }

    /// Its replica on a node; of one that leaves and the one in its place, the latter.
    pub fn replica_on(&self, node: NodeId) -> Option<&Replica> {
        self.replicas.iter().filter(|replica| replica.node == node).max_by_key(|replica| replica.wanted)
    }
}

/// Finds a replica among those of a group.
pub(crate) fn find(replicas: &mut [Replica], id: ReplicaId) -> Option<&mut Replica> {
    replicas.iter_mut().find(|replica| replica.id == id)
}

/// Puts a replica in its place.
pub(crate) fn insert(replicas: &mut Vec<Replica>, replica: Replica) {
    let place = replicas.partition_point(|other| other.id < replica.id);
    replicas.insert(place, replica);
}

/// Whether the confirmed voters keep a majority without a node's. Groups without voters have none to keep.
pub(crate) fn keeps_majority(replicas: &[Replica], without: NodeId) -> bool {
    let voters = || replicas.iter().filter(|replica| replica.is == Standing::Voter);
    let left = voters().filter(|replica| replica.node != without).count();
    left * 2 > voters().count() || voters().count() == 0
}

impl Group {
    /// The shard, if it is one's.
    pub const fn shard(self) -> Option<crate::ShardId> {
        match self {
            Self::Meta => None,
            Self::Shard(shard) => Some(shard),
        }
    }
}
