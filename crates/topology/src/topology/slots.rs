//! Slots and their owners, leaders and config epochs.

use slot::SlotSet;

use super::Topology;
use super::apply::Applied;
use super::join::COUNT_MAX;
use crate::{Closing, Endpoint, Leader, Node, NodeId, Outcome, Refusal, ShardId};

impl Topology {
    fn known(&self, node: NodeId) -> Result<&Node, Refusal> {
        self.nodes.get(&node).ok_or(Refusal::UnknownNode(node))
    }

    pub(super) fn add_slots(&mut self, node: NodeId, slots: &SlotSet) -> Applied {
        let home = self.known(node)?.home;
        let mut taken = SlotSet::new();
        let mut with_keys = SlotSet::new();
        for (&id, shard) in &self.shards {
            taken.union_with(&if id == home { shard.open_slots() } else { shard.slots.clone() });
            if id != home {
                with_keys.union_with(&shard.kept);
            }
        }
        let first_of = |mut set: SlotSet| {
            set.intersect_with(slots);
            set.iter().next()
        };
        if let Some(slot) = first_of(taken) {
            return Err(Refusal::SlotBusy(slot));
        }
        if let Some(slot) = first_of(with_keys) {
            return Err(Refusal::SlotHasKeys(slot));
        }
        if slots.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let version = self.changed();
        let shard = self.shards.get_mut(&home).expect("every node has a home");
        let was_empty = shard.slots.is_empty();
        shard.slots.union_with(slots);
        shard.kept.subtract(slots);
        shard.closing.iter_mut().for_each(|closing| closing.slots.subtract(slots));
        shard.closing.retain(|closing| !closing.slots.is_empty());
        shard.slots_version = version;
        if was_empty {
            self.shape_version = version;
        }
        Ok(Outcome::Changed)
    }

    pub(super) fn del_slots(&mut self, node: NodeId, slots: &SlotSet) -> Applied {
        let home = self.known(node)?.home;
        let mut unowned = slots.clone();
        let mut own = SlotSet::new();
        for (&id, shard) in &self.shards {
            let open = shard.open_slots();
            unowned.subtract(&open);
            if id == home || shard.leader.is_some_and(|leader| leader.node == node) {
                own.union_with(&open);
            }
        }
        if let Some(slot) = unowned.iter().next() {
            return Err(Refusal::SlotUnassigned(slot));
        }
        let mut foreign = slots.clone();
        foreign.subtract(&own);
        match foreign.iter().next() {
            Some(slot) => Err(Refusal::SlotOfAnother(slot)),
            None => Ok(self.close(slots)),
        }
    }

    pub(super) fn flush_slots(&mut self, node: NodeId) -> Applied {
        self.known(node)?;
        let mut slots = SlotSet::new();
        for shard in self.shards.values().filter(|shard| shard.leader.is_some_and(|leader| leader.node == node)) {
            slots.union_with(&shard.open_slots());
        }
        Ok(self.close(&slots))
    }

    /// Begins to close slots, whoever owns them.
    fn close(&mut self, slots: &SlotSet) -> Outcome {
        if slots.is_empty() {
            return Outcome::Unchanged;
        }
        let version = self.changed();
        for shard in self.shards.values_mut() {
            let mut part = shard.open_slots();
            part.intersect_with(slots);
            if !part.is_empty() {
                shard.closing.push(Closing { number: version, slots: part });
                shard.slots_version = version;
            }
        }
        Outcome::Changed
    }

    pub(super) fn slots_closed(&mut self, shard: ShardId, number: u64, kept: &SlotSet) -> Applied {
        let shard = self.shards.get(&shard).map(|found| (shard, found)).ok_or(Refusal::UnknownShard)?;
        let Some(place) = shard.1.closing.iter().position(|closing| closing.number == number) else {
            return Ok(Outcome::Unchanged);
        };
        let id = shard.0;
        let version = self.changed();
        let shard = self.shards.get_mut(&id).expect("it was found");
        let closed = shard.closing.remove(place).slots;
        shard.slots.subtract(&closed);
        let mut kept = kept.clone();
        kept.intersect_with(&closed);
        shard.kept.union_with(&kept);
        // The fence is the same as before: the slots were closed. So its version stays.
        if shard.is_vacant() {
            self.shape_version = version;
        }
        Ok(Outcome::Changed)
    }

    pub(super) fn keys_gone(&mut self, shard: ShardId, slots: &SlotSet) -> Applied {
        let shard = self.shards.get_mut(&shard).ok_or(Refusal::UnknownShard)?;
        if !shard.kept.overlaps(slots) {
            return Ok(Outcome::Unchanged);
        }
        shard.kept.subtract(slots);
        let is_vacant = shard.is_vacant();
        let version = self.changed();
        if is_vacant {
            self.shape_version = version;
        }
        Ok(Outcome::Changed)
    }

    pub(super) fn set_config_epoch(&mut self, node: NodeId, epoch: u64) -> Applied {
        let home = self.known(node)?.home;
        if self.nodes.len() > 1 {
            return Err(Refusal::NotAlone);
        }
        let shard = self.shards.get_mut(&home).expect("every node has a home");
        if shard.config_epoch != 0 {
            return Err(Refusal::EpochIsSet);
        }
        if epoch == 0 {
            return Ok(Outcome::Unchanged);
        }
        if epoch >= COUNT_MAX {
            return Err(Refusal::OutOfRange);
        }
        shard.config_epoch = epoch;
        self.current_epoch = self.current_epoch.max(epoch);
        self.changed();
        Ok(Outcome::Changed)
    }

    pub(super) fn bump_epoch(&mut self, node: NodeId) -> Applied {
        let home = self.known(node)?.home;
        let highest = self.shards.values().map(|shard| shard.config_epoch).max().unwrap_or_default();
        let own = self.shards[&home].config_epoch;
        if own != 0 && own == highest {
            return Ok(Outcome::Still(own));
        }
        self.raise_epoch(home);
        self.changed();
        Ok(Outcome::Bumped(self.current_epoch))
    }

    /// Gives a shard a config epoch above all others. An epoch at its very end stays there: it is shown to clients, and nothing rests on it.
    fn raise_epoch(&mut self, shard: ShardId) {
        self.current_epoch = self.current_epoch.saturating_add(1);
        self.shards.get_mut(&shard).expect("the shard was found").config_epoch = self.current_epoch;
    }

    pub(super) fn node_changed(&mut self, node: NodeId, endpoint: &Endpoint) -> Applied {
        let known = self.nodes.get_mut(&node).ok_or(Refusal::UnknownNode(node))?;
        if !endpoint.is_bounded() {
            return Err(Refusal::OutOfRange);
        }
        if known.endpoint == *endpoint {
            return Ok(Outcome::Unchanged);
        }
        known.endpoint = endpoint.clone();
        self.changed();
        Ok(Outcome::Changed)
    }

    pub(super) fn leader_changed(&mut self, shard: ShardId, term: u64, node: NodeId) -> Applied {
        self.known(node)?;
        let found = self.shards.get_mut(&shard).ok_or(Refusal::UnknownShard)?;
        if found.replica_on(node).is_none() {
            return Err(Refusal::UnknownReplica);
        }
        let before = found.leader;
        if before.is_some_and(|leader| leader.term >= term) {
            return Ok(Outcome::Unchanged);
        }
        found.leader = Some(Leader { term, node });
        // The same node in a new term serves the same slots: as after a restart in Redis, its config epoch stays.
        if before.is_none_or(|leader| leader.node != node) {
            self.raise_epoch(shard);
        }
        self.changed();
        Ok(Outcome::Changed)
    }
}
