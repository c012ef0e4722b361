//! Nodes, homes and replicas.

use super::apply::Applied;
use super::{FORGOTTEN_MAX, Forgotten, Topology};
use crate::shard::{find, insert, keeps_majority};
use crate::{Group, NodeId, Outcome, Refusal, Replica, ReplicaId, Shard, ShardId, Standing};

impl Topology {
    /// Whether the node leads a shard that has slots.
    fn leads_slots(&self, node: NodeId) -> bool {
        let leads = |shard: &Shard| shard.leader.is_some_and(|leader| leader.node == node);
        self.shards.values().any(|shard| leads(shard) && !shard.slots.is_empty())
    }

    pub(super) fn replicate(&mut self, node: NodeId, shard: ShardId, replica: ReplicaId) -> Applied {
        let old = self.nodes.get(&node).ok_or(Refusal::UnknownNode(node))?.home;
        let target = self.shards.get(&shard).ok_or(Refusal::UnknownShard)?;
        if old == shard {
            return Ok(Outcome::Unchanged);
        }
        let is_only_home = self.homes(old).count() == 1;
        if self.leads_slots(node) || is_only_home && !self.shards[&old].is_vacant() {
            return Err(Refusal::OwnsSlots);
        }
        let leads_old = self.shards[&old].leader.is_some_and(|leader| leader.node == node);
        if leads_old && !is_only_home {
            return Err(Refusal::HasReplicas);
        }
        let present = target.replica_on(node).copied();
        if present.is_some_and(|replica| replica.wanted == Standing::Absent) {
            return Err(Refusal::ReplicaLeaving);
        }
        if present.is_none() && self.is_used(replica) {
            return Err(Refusal::IdTaken);
        }
        if is_only_home {
            self.shards.remove(&old);
        } else {
            self.shards.get_mut(&old).expect("every node has a home").dismiss(node);
        }
        self.nodes.get_mut(&node).expect("it was found").home = shard;
        let replicas = &mut self.shards.get_mut(&shard).expect("it was found").replicas;
        match present {
            Some(present) => find(replicas, present.id).expect("it was found").hidden = false,
            None => {
                let (is, wanted) = (Standing::Absent, Standing::Learner);
                insert(replicas, Replica { id: replica, node, hidden: false, is, wanted });
            }
        }
        self.reshaped();
        Ok(Outcome::Changed)
    }

    /// Whether a replica of any group has this id.
    fn is_used(&self, id: ReplicaId) -> bool {
        let mut all = self.shards.values().flat_map(|shard| &shard.replicas).chain(&self.meta);
        all.any(|replica| replica.id == id)
    }

    pub(super) fn place(
        &mut self,
        shard: ShardId,
        node: NodeId,
        replica: ReplicaId,
        hidden: bool,
        wanted: Standing,
    ) -> Applied {
        let home = self.nodes.get(&node).ok_or(Refusal::UnknownNode(node))?.home;
        let is_used = self.is_used(replica);
        let found = self.shards.get_mut(&shard).ok_or(Refusal::UnknownShard)?;
        match found.replica_on(node) {
            Some(present) if present.id == replica => return Ok(Outcome::Unchanged),
            Some(present) if present.wanted == Standing::Absent => return Err(Refusal::ReplicaLeaving),
            Some(_) => return Err(Refusal::NodeTaken),
            None => {}
        }
        if is_used {
            return Err(Refusal::IdTaken);
        }
        if wanted == Standing::Absent || hidden == (home == shard) {
            return Err(Refusal::OutOfRange);
        }
        insert(&mut found.replicas, Replica { id: replica, node, hidden, is: Standing::Absent, wanted });
        self.changed();
        Ok(Outcome::Changed)
    }

    pub(super) fn want(&mut self, group: Group, replica: ReplicaId, wanted: Standing) -> Applied {
        let (replicas, _) = self.group_mut(group)?;
        let place = replicas.iter().position(|other| other.id == replica).ok_or(Refusal::UnknownReplica)?;
        let found = &mut replicas[place];
        if found.wanted == wanted {
            return Ok(Outcome::Unchanged);
        }
        // What is leaving has left for good: its node may hold nothing of it any more.
        if found.wanted == Standing::Absent {
            return Err(Refusal::ReplicaLeaving);
        }
        if wanted == Standing::Absent && !found.hidden {
            return Err(Refusal::NotHidden);
        }
        found.wanted = wanted;
        if (found.is, found.wanted) == (Standing::Absent, Standing::Absent) {
            replicas.remove(place);
        }
        self.changed();
        Ok(Outcome::Changed)
    }

    pub(super) fn renew(&mut self, shard: ShardId, old: ReplicaId, replica: ReplicaId) -> Applied {
        let is_used = self.is_used(replica);
        let replicas = &mut self.shards.get_mut(&shard).ok_or(Refusal::UnknownShard)?.replicas;
        let place = replicas.iter().position(|other| other.id == old).ok_or(Refusal::UnknownReplica)?;
        let leaving = &mut replicas[place];
        if leaving.wanted == Standing::Absent {
            return Err(Refusal::ReplicaLeaving);
        }
        if is_used {
            return Err(Refusal::IdTaken);
        }
        let fresh = Replica { id: replica, is: Standing::Absent, ..*leaving };
        leaving.wanted = Standing::Absent;
        if leaving.is == Standing::Absent {
            replicas.remove(place);
        }
        insert(replicas, fresh);
        self.changed();
        Ok(Outcome::Changed)
    }

    pub(super) fn membership_done(
        &mut self,
        group: Group,
        at: u64,
        voters: &[ReplicaId],
        learners: &[ReplicaId],
    ) -> Applied {
        let (replicas, confirmed_at) = self.group_mut(group)?;
        if at <= *confirmed_at {
            return Ok(Outcome::Unchanged);
        }
        *confirmed_at = at;
        for replica in replicas.iter_mut() {
            replica.is = match replica.id {
                id if voters.contains(&id) => Standing::Voter,
                id if learners.contains(&id) => Standing::Learner,
                _ => Standing::Absent,
            };
        }
        replicas.retain(|replica| (replica.is, replica.wanted) != (Standing::Absent, Standing::Absent));
        self.changed();
        Ok(Outcome::Changed)
    }

    pub(super) fn forget(&mut self, node: NodeId) -> Applied {
        let Some(known) = self.nodes.get(&node) else {
            let is_remembered = self.forgotten.iter().any(|forgotten| forgotten.node == node);
            return if is_remembered { Ok(Outcome::Unchanged) } else { Err(Refusal::UnknownNode(node)) };
        };
        let forgotten = Forgotten { node, joined_from: known.joined_from };
        let home = known.home;
        let is_only_home = self.homes(home).count() == 1;
        if self.nodes.len() == 1 {
            return Err(Refusal::OnlyNode);
        }
        if self.leads_slots(node) {
            return Err(Refusal::LeadsSlots);
        }
        if is_only_home && !self.shards[&home].slots.is_empty() {
            return Err(Refusal::LastHome);
        }
        if !keeps_majority(&self.meta, node) {
            return Err(Refusal::Majority(Group::Meta));
        }
        for (&id, shard) in &self.shards {
            let leaves = id == home && is_only_home;
            if !leaves && shard.replica_on(node).is_some() && !keeps_majority(&shard.replicas, node) {
                return Err(Refusal::Majority(Group::Shard(id)));
            }
        }
        self.nodes.remove(&node);
        if is_only_home {
            self.shards.remove(&home);
        }
        for shard in self.shards.values_mut() {
            shard.dismiss(node);
            shard.leader = shard.leader.filter(|leader| leader.node != node);
        }
        dismiss(&mut self.meta, node);
        if self.forgotten.len() == FORGOTTEN_MAX {
            self.forgotten.pop_front();
        }
        self.forgotten.push_back(forgotten);
        self.reshaped();
        Ok(Outcome::Changed)
    }
}

impl Shard {
    /// Wants the replica on a node gone, if there is one.
    fn dismiss(&mut self, node: NodeId) {
        dismiss(&mut self.replicas, node);
    }
}

fn dismiss(replicas: &mut Vec<Replica>, node: NodeId) {
    replicas.iter_mut().filter(|replica| replica.node == node).for_each(|replica| replica.wanted = Standing::Absent);
    replicas.retain(|replica| (replica.is, replica.wanted) != (Standing::Absent, Standing::Absent));
}
