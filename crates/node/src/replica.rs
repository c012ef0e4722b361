//! One shard's replica on this node: its data and open batch ([`Shard`]), what applies to it ([`Machine`]), and its
//! group, once that is open.
//!
//! What a replica needs of its node (time, links to others) is given with each call.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use keyspace::{Keyspace, Settings as KeyspaceSettings};
use parking_lot::Mutex;
use raft::{Clock, Group, LogId, Member, ReplicaId, Role, Status, Transport};
use tokio::sync::watch;

use crate::fence::Fence;
use crate::formation;
use crate::inbox::Inbox;
use crate::machine::{Machine, OnSettings};
use crate::messages::{Answer, Request};
use crate::shard::{EntryWaiter, Shard, Standing};
use crate::stats::Stats;
use crate::tasks::Crews;

/// How long a leader that is to hand over waits for the answers that it owes; then it leads on.
const SETTLE_WITHIN: Duration = Duration::from_secs(1);
/// How long one that has handed over may take to notice that.
const RETIRE_WITHIN: Duration = Duration::from_secs(2);
/// A replica that was not heard of for longer is not asked to lead while there are others.
const HEARD_WITHIN_MS: u64 = 1000;
/// Between two rounds of asking who may take leadership over.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// Between two looks whether it owes any.
const SETTLED_AGAIN_AFTER: Duration = Duration::from_millis(1);

/// How fit a voter is to take leadership over: the greatest is asked first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Heir {
    /// By who asks, and there.
    is_preferred: bool,
    /// Heard of lately.
    is_there: bool,
    matched: Option<LogId>,
}

/// See the module.
pub(crate) struct Replica {
    pub(crate) shard: Arc<Shard>,
    pub(crate) machine: Machine,
    /// The term in which this replica leads; what proposals are fenced with.
    pub(crate) leading_term: AtomicU64,
    group: OnceLock<Group<EntryWaiter>>,
    status: watch::Sender<Status>,
    /// Up to where other members are known to have stored the log: what WAITAOF has asked them.
    stored: Mutex<BTreeMap<ReplicaId, u64>>,
    /// When the newest snapshot was seen, by the wall clock; 0 for never.
    snapshot_ms: AtomicU64,
    /// Held while it gives leadership up.
    abdication: tokio::sync::Mutex<()>,
}

impl Replica {
    /// A replica without data, whose group is not open yet. Its work is given to the crews.
    pub(crate) fn new<C: Clock>(
        fence: Fence,
        inboxes: Arc<[Inbox]>,
        clock: C,
        on_settings: OnSettings,
        stats: Arc<Stats>,
        crews: &Crews,
    ) -> io::Result<Self> {
        let keyspace = Keyspace::new(KeyspaceSettings::new([0; 2]));
        let shard = Arc::new(Shard::new(keyspace, fence, inboxes, stats));
        let (machine, apply, reclaim) = Machine::new(Arc::clone(&shard), clock, on_settings);
        crews.apply.give(Box::new(move || Box::pin(apply)))?;
        crews.reclaim.give(Box::new(move || Box::pin(reclaim)))?;
        Ok(Self {
            shard,
            machine,
            leading_term: AtomicU64::new(0),
            group: OnceLock::new(),
            status: watch::Sender::new(Status::default()),
            stored: Mutex::default(),
            snapshot_ms: AtomicU64::new(0),
            abdication: tokio::sync::Mutex::default(),
        })
    }

    /// The group is open now.
    pub(crate) fn opened(&self, group: Group<EntryWaiter>) {
        assert!(self.group.set(group).is_ok(), "a replica opens its group once");
    }

    /// The shard's group, once it is open.
    pub(crate) fn group(&self) -> Option<&Group<EntryWaiter>> {
        self.group.get()
    }

    /// How the group stands.
    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Whether this replica leads, as far as connections care.
    pub(crate) fn leads(&self) -> bool {
        self.shard.standing() == Standing::Leading
    }

    /// Whether the group's lease allows reads at this moment of the monotonic clock.
    pub(crate) fn holds_lease(&self, now_ns: u64) -> bool {
        self.group.get().is_some_and(|group| group.lease().holds(now_ns))
    }

    /// For how long the lease still holds, in ms; 0 without one.
    pub(crate) fn lease_left_ms(&self, now_ns: u64) -> u64 {
        let until_ns = self.group.get().map_or(0, |group| group.lease().valid_until_ns());
        until_ns.saturating_sub(now_ns) / 1_000_000
    }

    /// How the group stands, to be waited for.
    pub(crate) fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// On the leader: the other members that are known to hold the log up to this index at this moment.
    pub(crate) fn holders(&self, index: u64) -> Vec<Member> {
        let Some(group) = self.group.get() else { return Vec::new() };
        let status = self.status.borrow();
        let matched = group.matched().into_iter();
        let level = matched.filter(|(_, matched)| matched.is_some_and(|id| id.index >= index));
        level.filter_map(|(replica, _)| status.member(replica).cloned()).collect()
    }

    /// Whether the disk of this node is known to have the log up to this index. Nothing at all it always has.
    pub(crate) fn has_stored(&self, index: u64) -> bool {
        index == 0 || self.group.get().and_then(Group::synced).is_some_and(|id| id.index >= index)
    }

    /// Makes the log of this replica durable, if it is not known to be so up to this index; up to where it is then. `None`: it failed.
    pub(crate) async fn store(&self, index: u64) -> Option<u64> {
        let group = self.group.get()?;
        if group.synced().is_none_or(|id| id.index < index) {
            group.sync().await.ok()?;
        }
        Some(group.synced().map_or(0, |id| id.index))
    }

    /// On the leader: a member that holds this replica's log has stored its own up to this index.
    pub(crate) fn is_stored_by(&self, member: ReplicaId, index: u64) {
        let Some(group) = self.group.get() else { return };
        let matched = group.matched();
        // What it holds of this log; of that, what no later leader takes back: this stays true of the member for good.
        let held = matched.get(&member).copied().flatten().map_or(0, |id| id.index);
        let index = index.min(held).min(self.shard.applied_index());
        let mut stored = self.stored.lock();
        stored.retain(|replica, _| matched.contains_key(replica));
        let known = stored.entry(member).or_default();
        *known = (*known).max(index);
    }

    /// On the leader: whether a member is known to have stored the log up to this index.
    pub(crate) fn has_been_stored_by(&self, member: ReplicaId, index: u64) -> bool {
        self.stored.lock().get(&member).is_some_and(|stored| *stored >= index)
    }

    /// On the leader: up to which index a node's replica is known to hold the log; 0 where that is not known.
    pub(crate) fn matched_index(&self, node: raft::NodeId) -> u64 {
        let status = self.status.borrow();
        let of_node = |replica: &ReplicaId| status.member(*replica).is_some_and(|member| member.node == node);
        let matched = status.matched.iter().find(|(replica, _)| of_node(replica));
        matched.and_then(|(_, at)| *at).map_or(0, |id| id.index)
    }

    /// On the leader: how far each node's replica is, this one included.
    pub(crate) fn offsets(&self) -> Vec<(raft::NodeId, u64)> {
        let status = self.status.borrow();
        let own = self.group.get().map(|group| (group.me().node, self.shard.applied_index()));
        let others = status.matched.iter().filter_map(|(id, at)| Some((status.member(*id)?.node, at.as_ref()?.index)));
        others.chain(own).collect()
    }

    /// When the newest snapshot was seen, in ms since 1970; 0 for never.
    pub(crate) fn snapshot_ms(&self) -> u64 {
        self.snapshot_ms.load(Ordering::Relaxed)
    }

    /// Makes sure that a read sees what was acknowledged before: by a round of the group where this replica leads; by the
    /// leader's word, and catching up with it, where it follows.
    pub(crate) async fn confirm_reading<T: Transport>(&self, transport: Option<&T>) -> bool {
        let Some(group) = self.group.get() else { return false };
        if self.leads() {
            return group.read_barrier().await.is_ok();
        }
        let leader = self.status.borrow().leader.clone();
        let (Some(leader), Some(transport)) = (leader, transport) else { return false };
        match formation::ask(transport, &leader.address(), &Request::ReadIndex(group.id())).await {
            Some(Answer::Index(index)) => {
                self.shard.applied_up_to(index).await;
                self.shard.dispel_doubt();
                true
            }
            _ => false,
        }
    }

    /// Gives leadership to the furthest of those voters, if there is another; whether one has it. Clients wait;
    /// [`Shard::pause`] lets them go on.
    pub(crate) async fn hand_over_to(&self, suits: impl Fn(&Member) -> bool) -> bool {
        let status = self.status();
        let Some(group) = self.group.get().filter(|_| status.leads()) else { return false };
        let Some(successor) = status.furthest(suits) else { return false };
        self.shard.pause(true);
        // What was proposed is answered by the one that proposed it: behind a lost leadership it would be uncertain.
        if tokio::time::timeout(SETTLE_WITHIN, self.settled()).await.is_err() {
            tracing::warn!("leadership was not handed over: what was proposed is not committed in time");
            return false;
        }
        // Leadership that was lost and came back meanwhile is not what was to be given away.
        if self.status().term != status.term {
            return false;
        }
        let transferred = group.transfer_leader(successor).await;
        if let Err(why) = &transferred {
            tracing::warn!(%why, "leadership was not handed over");
        }
        transferred.is_ok()
    }

    /// As [`Self::hand_over_to`]; then clients go on, wherever that is. Not for the task that observes the group.
    pub(crate) async fn yield_to(&self, suits: impl Fn(&Member) -> bool) -> bool {
        let is_over = self.hand_over_to(suits).await;
        if is_over {
            // What is proposed before this replica knows that it lost its leadership is uncertain, too.
            drop(tokio::time::timeout(RETIRE_WITHIN, self.retires()).await);
        }
        self.shard.pause(false);
        is_over
    }

    /// Waits until connections see that another replica leads.
    async fn retires(&self) {
        // It fails only without a sender, which is in this value.
        let _ = self.status.subscribe().wait_for(|status| !status.leads()).await;
    }

    /// Waits until everything that was sealed is answered.
    async fn settled(&self) {
        while !self.shard.is_settled() {
            tokio::time::sleep(SETTLED_AGAIN_AFTER).await;
        }
    }

    /// Gives leadership up, rather to one of those that are preferred and were heard of lately; clients wait meanwhile. Each voter is
    /// asked in turn, and while one of them is there again after a while: one that has just started may be elected a lease later. Where
    /// nobody takes it, this one leads on.
    pub(crate) async fn abdicate(&self, prefers: impl Fn(&Member) -> bool) {
        let Some(group) = self.group.get() else { return };
        // Two would let the clients go on for each other.
        let _alone = self.abdication.lock().await;
        let until = tokio::time::Instant::now() + group.transfer_patience();
        loop {
            let heirs = self.heirs(&prefers);
            for (_, heir) in &heirs {
                if self.yield_to(|member| member.replica == *heir).await || !self.leads() {
                    return;
                }
            }
            if !heirs.iter().any(|(standing, _)| standing.is_there) || tokio::time::Instant::now() >= until {
                return;
            }
            tokio::time::sleep(ASKED_AGAIN_AFTER).await;
        }
    }

    /// Whether it is giving leadership up at this moment.
    pub(crate) fn abdicates(&self) -> bool {
        self.abdication.try_lock().is_err()
    }

    /// The other voters, the best first.
    fn heirs(&self, prefers: impl Fn(&Member) -> bool) -> Vec<(Heir, ReplicaId)> {
        let (heard_ms, status) = (self.group.get().map(Group::heard_ms_ago).unwrap_or_default(), self.status());
        let heir = |(replica, matched): (&ReplicaId, &Option<LogId>)| {
            let member = status.voters.get(replica)?;
            let is_there = heard_ms.get(replica).is_some_and(|ms| *ms <= HEARD_WITHIN_MS);
            Some((Heir { is_preferred: is_there && prefers(member), is_there, matched: *matched }, *replica))
        };
        let mut heirs: Vec<_> = status.matched.iter().filter_map(heir).collect();
        heirs.sort_unstable_by(|left, right| right.cmp(left));
        heirs
    }

    /// Ends what `raft` runs for this replica.
    pub(crate) async fn stop(&self) {
        if let Some(group) = self.group.get() {
            group.stop().await;
        }
    }

    /// Renews what connections see of the group; `is_shown`: clients are shown its leader. Returns whether this replica begins to
    /// lead.
    pub(crate) fn observe(&self, status: &Status, is_shown: bool, wall_ms: u64) -> bool {
        let leads = status.leads() && status.ready;
        let standing = if leads {
            self.leading_term.store(status.term, Ordering::Release);
            Standing::Leading
        } else if status.leader.is_some() && status.role != Role::Leader {
            if is_shown { Standing::Following } else { Standing::Awaiting }
        } else {
            Standing::Leaderless
        };
        if standing != self.shard.standing() {
            tracing::info!(?standing, term = status.term, "standing in the shard's group");
            if leads {
                self.shard.raise_clock(self.shard.data.read().clock_ms());
            }
        }
        let begins = leads && !self.leads();
        self.shard.stand(standing);
        if status.snapshot != self.status.borrow().snapshot {
            self.snapshot_ms.store(wall_ms, Ordering::Relaxed);
            self.shard.saved_revision.store(self.shard.frozen_revision.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.status.send_replace(status.clone());
        begins
    }
}
