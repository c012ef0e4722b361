//! What a group looks like from this replica.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{LogId, ReplicaId};
use crate::member::Member;

/// What this replica is in its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Replicates and does not vote.
    #[default]
    Learner,
    /// Votes and replicates.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Proposes.
    Leader,
}

/// A group as this replica knows it. Positions may be some 60 ms old; role, term, leader and members are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// What this replica is.
    pub role: Role,
    /// The term of its vote.
    pub term: u64,
    /// The leader of that term, once known.
    pub leader: Option<Member>,
    /// On the leader: its term's blank entry is applied here, so that its memory holds all that was committed
    /// before. Before that it proposes but must not answer reads.
    pub ready: bool,
    /// Who votes. While a change of voters is under way, those of both sides.
    pub voters: BTreeMap<ReplicaId, Member>,
    /// Who only replicates.
    pub learners: BTreeMap<ReplicaId, Member>,
    /// Who votes once the change of voters that is under way is finished; empty while there is none.
    pub next_voters: BTreeSet<ReplicaId>,
    /// The place of this membership in the log.
    pub members_at: u64,
    /// Whether that place is committed: then this membership stands.
    pub members_stand: bool,
    /// The last entry of the log.
    pub last: Option<LogId>,
    /// The last entry known to be committed.
    pub committed: Option<LogId>,
    /// The last entry whose effects readers see.
    pub applied: Option<LogId>,
    /// The last entry in the newest snapshot.
    pub snapshot: Option<LogId>,
    /// The last purged entry.
    pub purged: Option<LogId>,
    /// Bytes of log since the newest snapshot.
    pub log_bytes: u64,
    /// On the leader: the last entry that each other member is known to hold.
    pub matched: BTreeMap<ReplicaId, Option<LogId>>,
    /// On the leader: the other members that are behind by less than a lease: they hold all that was committed that long ago. Under a
    /// steady load a learner may never hold all that is committed at the same moment. (Ongaro's thesis, 4.2.1, asks for a
    /// last round of catching up that is shorter than an election timeout.)
    pub caught_up: BTreeSet<ReplicaId>,
    /// Why the group stopped, if it did: the log store failed, the machine failed, or it was told to.
    pub stopped: Option<String>,
}

impl Status {
    /// Whether this replica leads.
    pub fn leads(&self) -> bool {
        self.role == Role::Leader
    }

    /// Whether a change of voters is under way.
    pub fn is_joint(&self) -> bool {
        !self.next_voters.is_empty()
    }

    /// On the leader: the other voter, of those that suit, that is known to hold most of the log.
    pub fn furthest(&self, suits: impl Fn(&Member) -> bool) -> Option<ReplicaId> {
        let others = self.matched.iter().filter(|(id, _)| self.voters.get(id).is_some_and(&suits));
        others.max_by_key(|(_, matched)| **matched).map(|(id, _)| *id)
    }

    /// The member with this replica, whether it votes or not.
    pub fn member(&self, replica: ReplicaId) -> Option<&Member> {
        self.voters.get(&replica).or_else(|| self.learners.get(&replica))
    }
}
