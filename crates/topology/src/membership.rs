//! What the leader of a group does next so that its membership becomes the one that is wanted. Pure: the node asks, and does it.
//!
//! The rules are those of one joint change: learners first; once every wanted voter votes or has caught up, all voters change together; then
//! what is not wanted goes. So a voter is added before the one it replaces is removed, and the number of voters is odd before and after.

use std::collections::BTreeSet;

use crate::{NodeId, Replica, ReplicaId, Standing};

/// The membership of a group as its leader knows it from Raft, and who is near the end of its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Who votes.
    pub voters: BTreeSet<ReplicaId>,
    /// Who replicates only.
    pub learners: BTreeSet<ReplicaId>,
    /// The members that have caught up, so that a commit would not wait for them for long.
    pub caught_up: BTreeSet<ReplicaId>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Add a learner.
    AddLearner(ReplicaId, NodeId),
    /// Change the voters to these in one joint change; former voters stay as learners.
    ChangeVoters(BTreeSet<ReplicaId>),
    /// Remove these learners.
    RemoveLearners(BTreeSet<ReplicaId>),
    /// Nothing is left to do in Raft: propose [`Change::MembershipDone`](crate::Change::MembershipDone) with what Raft has.
    Confirm,
}

/// The next step from what is to what is wanted; `None` if there is none, or it has to wait for a learner to catch up.
///
/// `replicas` are those of the group in the topology ([`Topology::replicas`](crate::Topology::replicas)). Ask only while no change of the membership is under way, and again
/// after each. A leader that is not wanted as a voter hands over before it does the step that removes it.
pub fn next_step(replicas: &[Replica], members: &Members) -> Option<Step> {
    let is_member = |id| members.voters.contains(id) || members.learners.contains(id);
    let wanted = || replicas.iter().filter(|replica| replica.wanted != Standing::Absent);
    if let Some(missing) = wanted().find(|replica| !is_member(&replica.id)) {
        return Some(Step::AddLearner(missing.id, missing.node));
    }
    let voters: BTreeSet<ReplicaId> =
        wanted().filter(|replica| replica.wanted == Standing::Voter).map(|replica| replica.id).collect();
    let are_ready = voters.iter().all(|id| members.voters.contains(id) || members.caught_up.contains(id));
    if voters != members.voters && voters.len() % 2 == 1 && are_ready {
        return Some(Step::ChangeVoters(voters));
    }
    let is_wanted = |id: &&ReplicaId| wanted().any(|replica| replica.id == **id);
    let spare: BTreeSet<ReplicaId> = members.learners.iter().filter(|id| !is_wanted(id)).copied().collect();
    if !spare.is_empty() {
        return Some(Step::RemoveLearners(spare));
    }
    let is_told = |replica: &Replica| {
        let is = match &replica.id {
            id if members.voters.contains(id) => Standing::Voter,
            id if members.learners.contains(id) => Standing::Learner,
            _ => Standing::Absent,
        };
        is == replica.is && (is, replica.wanted) != (Standing::Absent, Standing::Absent)
    };
    (!replicas.iter().all(is_told)).then_some(Step::Confirm)
}

#[cfg(test)]
mod tests;
