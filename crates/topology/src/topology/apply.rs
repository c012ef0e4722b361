//! The dispatch of changes: what may change when, and which part of the state answers.

use super::{Phase, Topology};
use crate::{Change, ClusterId, Outcome, Refusal, Setting};

/// What a change gives.
pub(super) type Applied = Result<Outcome, Refusal>;

impl Topology {
    /// Makes one change: first every check, then the change.
    pub(super) fn change(&mut self, change: &Change) -> Applied {
        match change {
            Change::Joining { .. } | Change::UndoJoining { .. } | Change::Joined { .. } | Change::Join(_) => {}
            _ => self.living()?,
        }
        match change {
            Change::AddSlots { node, slots } => self.add_slots(*node, slots),
            Change::DelSlots { node, slots } => self.del_slots(*node, slots),
            Change::FlushSlots { node } => self.flush_slots(*node),
            Change::SlotsClosed { shard, number, kept } => self.slots_closed(*shard, *number, kept),
            Change::KeysGone { shard, slots } => self.keys_gone(*shard, slots),
            Change::SetConfigEpoch { node, epoch } => self.set_config_epoch(*node, *epoch),
            Change::BumpEpoch { node } => self.bump_epoch(*node),
            Change::NodeChanged { node, endpoint } => self.node_changed(*node, endpoint),
            Change::LeaderChanged { shard, term, node } => self.leader_changed(*shard, *term, *node),
            Change::Replicate { node, shard, replica } => self.replicate(*node, *shard, *replica),
            Change::Place { shard, node, replica, hidden, wanted } => {
                self.place(*shard, *node, *replica, *hidden, *wanted)
            }
            Change::Want { group, replica, wanted } => self.want(*group, *replica, *wanted),
            Change::Renew { shard, old, replica } => self.renew(*shard, *old, *replica),
            Change::MembershipDone { group, at, voters, learners } => {
                self.membership_done(*group, *at, voters, learners)
            }
            Change::Joining { cluster } => self.joining(*cluster),
            Change::UndoJoining { cluster } => self.undo_joining(*cluster),
            Change::Joined { cluster } => self.joined(*cluster),
            Change::Join(joiner) => self.join(joiner),
            Change::Forget { node } => self.forget(*node),
            Change::Set(setting) => self.set(*setting),
        }
    }

    /// Refuses while this is being joined to another.
    pub(super) const fn living(&self) -> Result<(), Refusal> {
        match self.phase {
            Phase::Living => Ok(()),
            Phase::Joining(_) => Err(Refusal::Joining),
            Phase::Retired(_) => Err(Refusal::Retired),
        }
    }

    /// Counts a change. Returns the new version.
    pub(super) const fn changed(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// Counts a change that placement waits after.
    pub(super) const fn reshaped(&mut self) -> u64 {
        self.shape_version = self.changed();
        self.version
    }

    fn set(&mut self, setting: Setting) -> Applied {
        let (factor, after_ms) = match setting {
            Setting::ReplicationFactor(factor) => (factor, self.voter_replace_after_ms),
            Setting::VoterReplaceAfterMs(ms) => (self.replication_factor, ms),
        };
        if factor > 9 || factor % 2 == 0 || after_ms < 1000 {
            return Err(Refusal::OutOfRange);
        }
        if (factor, after_ms) == (self.replication_factor, self.voter_replace_after_ms) {
            return Ok(Outcome::Unchanged);
        }
        (self.replication_factor, self.voter_replace_after_ms) = (factor, after_ms);
        self.reshaped();
        Ok(Outcome::Changed)
    }

    fn joining(&mut self, cluster: ClusterId) -> Applied {
        match self.phase {
            Phase::Joining(before) if before == cluster => return Ok(Outcome::Unchanged),
            _ => self.living()?,
        }
        if self.nodes.len() > 1 {
            return Err(Refusal::NotAlone);
        }
        // A cluster does not join itself; and slots on their way out would be claimed nowhere and closed for ever.
        if cluster == self.cluster {
            return Err(Refusal::OtherCluster);
        }
        if self.shards.values().any(|shard| !shard.closing.is_empty()) {
            return Err(Refusal::OwnsSlots);
        }
        self.phase = Phase::Joining(cluster);
        self.changed();
        Ok(Outcome::Changed)
    }

    fn undo_joining(&mut self, cluster: ClusterId) -> Applied {
        match self.phase {
            Phase::Joining(wanted) if wanted == cluster => {
                self.phase = Phase::Living;
                self.changed();
                Ok(Outcome::Changed)
            }
            // Undone before, or never begun.
            Phase::Living => Ok(Outcome::Unchanged),
            Phase::Joining(_) => Err(Refusal::OtherCluster),
            Phase::Retired(_) => Err(Refusal::Retired),
        }
    }

    fn joined(&mut self, cluster: ClusterId) -> Applied {
        match self.phase {
            Phase::Joining(wanted) if wanted == cluster => {
                self.phase = Phase::Retired(cluster);
                self.changed();
                Ok(Outcome::Changed)
            }
            Phase::Retired(joined) if joined == cluster => Ok(Outcome::Unchanged),
            _ => Err(Refusal::OtherCluster),
        }
    }
}
