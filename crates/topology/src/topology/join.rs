//! How a cluster of one becomes part of another, in steps that can be repeated.
//!
//! ```text
//! joiner's meta group        the other's meta group
//! Joining(other)                                        nothing else changes here from now on
//!                            Join(joiner)               refused: UndoJoining, and everything is as before
//! Joined(other)                                         retired; the node goes on with the other topology
//! ```
//!
//! After a crash between two steps the joiner is still [`Phase::Joining`] and asks again; the second [`Change::Join`] changes nothing.

use slot::{Slot, SlotSet};

use super::apply::Applied;
use super::{NODES_MAX, Phase, Topology};
use crate::shard::insert;
use crate::{Change, ClusterId, Group, Joiner, Leader, Node, Outcome, Refusal, Replica, ReplicaId, Shard, Standing};

/// Who joins whom when two nodes meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// Both are of one cluster: there is nothing to do.
    Same,
    /// This cluster of one joins the other.
    WeJoin,
    /// The other, a cluster of one, joins this.
    TheyJoin,
    /// Both have more than one node: clusters do not merge.
    Refused,
}

/// No topology has had so many changes.
pub(super) const COUNT_MAX: u64 = 1 << 62;

impl Topology {
    /// What this cluster of one brings along when it joins another; `meta_replica` is new, drawn for the other's meta group, and the same when it asks again.
    /// `None` unless it is [`Phase::Joining`].
    pub fn joiner(&self, meta_replica: ReplicaId) -> Option<Joiner> {
        let Phase::Joining(_) = self.phase else { return None };
        let (&node, known) = self.nodes.first_key_value()?;
        let shard = self.shards.get(&known.home)?;
        Some(Joiner {
            cluster: self.cluster,
            version: self.version,
            current_epoch: self.current_epoch,
            node,
            endpoint: known.endpoint.clone(),
            meta_replica,
            shard: known.home,
            replica: shard.replica_on(node)?.id,
            config_epoch: shard.config_epoch,
            term: shard.leader.map_or(0, |leader| leader.term),
            slots: shard.slots.clone(),
            kept: shard.kept.clone(),
        })
    }

    /// The change that asks to be taken in; see [`Topology::joiner`].
    pub fn join_change(&self, meta_replica: ReplicaId) -> Option<Change> {
        self.joiner(meta_replica).map(|joiner| Change::Join(Box::new(joiner)))
    }

    /// Who joins whom when a node of this cluster meets one of another cluster of so many nodes. Both sides come to the same, whoever was asked:
    /// of two clusters of one, that with the larger id joins.
    pub fn meeting(&self, other: ClusterId, other_node_count: usize) -> Meeting {
        match (self.nodes.len(), other_node_count) {
            _ if other == self.cluster => Meeting::Same,
            (1, 1) if self.cluster > other => Meeting::WeJoin,
            (1, 1) => Meeting::TheyJoin,
            (1, _) => Meeting::WeJoin,
            (_, 1) => Meeting::TheyJoin,
            _ => Meeting::Refused,
        }
    }

    pub(super) fn join(&mut self, joiner: &Joiner) -> Applied {
        // Two that join each other would both be gone: whoever is joining takes nobody in.
        self.living()?;
        if self.is_member(joiner)? {
            return Ok(Outcome::Unchanged);
        }
        let slot = self.overlap(joiner);
        if let Some(slot) = slot {
            return Err(Refusal::SlotsOverlap(slot));
        }
        if self.nodes.len() >= NODES_MAX {
            return Err(Refusal::TooManyNodes);
        }
        // Versions and epochs count changes: what is out of reach for a count was not counted.
        let is_counted = [joiner.version, joiner.current_epoch, joiner.config_epoch].iter().all(|&n| n < COUNT_MAX);
        if !joiner.endpoint.is_bounded() || joiner.slots.overlaps(&joiner.kept) || !is_counted {
            return Err(Refusal::OutOfRange);
        }
        self.current_epoch = self.current_epoch.max(joiner.current_epoch).max(joiner.config_epoch);
        let mut config_epoch = joiner.config_epoch;
        if self.shards.values().any(|shard| shard.config_epoch == config_epoch) {
            self.current_epoch = self.current_epoch.saturating_add(1);
            config_epoch = self.current_epoch;
        }
        // Its fence goes on from what its own topology said.
        self.version = self.version.max(joiner.version);
        let version = self.reshaped();
        let replica = |id, standing| Replica { id, node: joiner.node, hidden: false, is: standing, wanted: standing };
        let shard = Shard {
            config_epoch,
            slots: joiner.slots.clone(),
            slots_version: version,
            closing: Vec::new(),
            kept: joiner.kept.clone(),
            leader: Some(Leader { term: joiner.term, node: joiner.node }),
            replicas: vec![replica(joiner.replica, Standing::Voter)],
            confirmed_at: 0,
        };
        self.shards.insert(joiner.shard, shard);
        let node = Node { endpoint: joiner.endpoint.clone(), home: joiner.shard, joined_from: joiner.cluster };
        self.nodes.insert(joiner.node, node);
        let member = Replica { is: Standing::Absent, ..replica(joiner.meta_replica, Standing::Learner) };
        insert(&mut self.meta, member);
        Ok(Outcome::Changed)
    }

    /// Whether the joiner was taken in before.
    fn is_member(&self, joiner: &Joiner) -> Result<bool, Refusal> {
        let replicas = self.shards.values().flat_map(|shard| &shard.replicas).chain(&self.meta);
        if let Some(known) = self.nodes.get(&joiner.node) {
            // One that asks as another replica never heard that it was taken in as the first, and gave that up: the two would not
            // find each other.
            let is_named = self.meta.iter().any(|replica| replica.id == joiner.meta_replica);
            let same = known.joined_from == joiner.cluster && is_named;
            return if same { Ok(true) } else { Err(Refusal::AlreadyMember) };
        }
        if self.forgotten.iter().any(|forgotten| forgotten.joined_from == joiner.cluster) {
            return Err(Refusal::Forgotten);
        }
        if joiner.cluster == self.cluster || self.shards.contains_key(&joiner.shard) {
            return Err(Refusal::AlreadyMember);
        }
        if self.replicas(Group::Meta).iter().any(|replica| replica.node == joiner.node) {
            return Err(Refusal::ReplicaLeaving);
        }
        let ids = [joiner.replica, joiner.meta_replica];
        if ids[0] == ids[1] || replicas.into_iter().any(|replica| ids.contains(&replica.id)) {
            return Err(Refusal::IdTaken);
        }
        Ok(false)
    }

    /// The first slot that both clusters own or hold keys of.
    fn overlap(&self, joiner: &Joiner) -> Option<Slot> {
        let (mut here, mut there) = (SlotSet::new(), joiner.slots.clone());
        for shard in self.shards.values() {
            here.union_with(&shard.slots);
            here.union_with(&shard.kept);
        }
        there.union_with(&joiner.kept);
        here.intersect_with(&there);
        here.iter().next()
    }
}
