//! [`Group`]: one replica of one Raft group, as its owner holds it.
//!
//! All of a group's tasks run on the runtime where [`Group::open`] was called. The handle is cheap to clone and may
//! be used from any thread; its waiting calls want a tokio runtime with time around them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, Fatal, RaftError};
use openraft::{AsyncRuntime, ChangeMembers, Instant, Raft};
use tokio::sync::{Mutex, watch};
use tokio::task::coop::unconstrained;

use crate::clock::Clock;
use crate::config::{GroupConfig, PROPOSALS_MAX};
use crate::entry::{Body, MEMBERSHIP};
use crate::ids::{GroupId, LogId, ReplicaId};
use crate::lease::Lease;
use crate::log::{Log, LogState};
use crate::log_store::LogStore;
use crate::machine::{Machine, Refusal, Waiter};
use crate::member::{Member, next_voters};
use crate::network::{self, AskEligible, Network};
use crate::observer::{ClockPair, Observer, Past};
use crate::own_log::{OwnLog, StoredLog};
use crate::reads::{ReadError, Reads};
use crate::reply::{Reply, Waiting};
use crate::runtime::{self, Local, LocalInstant, SeededRuntime};
use crate::serve::Server;
use crate::snapshot::{GroupSnapshots, Snapshots};
use crate::state::{Progress, State};
use crate::status::Status;
use crate::transport::{Class, Transport};
use crate::types::{Types, log_id};

/// One replica of a Raft group, for proposals that wait as `W`. It runs until [`Group::stop`]: dropping handles ends
/// nothing.
pub struct Group<W: Waiter> {
    inner: Arc<Inner<W>>,
}

impl<W: Waiter> Clone for Group<W> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

struct Inner<W: Waiter> {
    raft: Raft<Types<W>, State<W>>,
    server: Arc<Server<W>>,
    config: GroupConfig,
    log: Arc<LogState<W>>,
    own_log: Box<dyn OwnLog>,
    waiting: Arc<Waiting<W>>,
    progress: Arc<Progress>,
    lease: Arc<Lease>,
    reads: Arc<Reads>,
    eligible: AskEligible,
    /// Whether this replica votes and may be elected: it has not just started.
    may_vote: watch::Receiver<bool>,
    status: watch::Receiver<Status>,
    stopping: watch::Sender<bool>,
}

/// Why a change to the group did not happen, or is not known to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupError {
    /// Another replica leads, or none does: the leader, if known. Nothing happened.
    NotLeader(Option<Member>),
    /// Another change is under way. Nothing happened.
    InProgress,
    /// It cannot be done as asked; the text says why. Nothing happened.
    Refused(String),
    /// It was begun, and may or may not take effect.
    Unknown,
    /// The group stopped; the text says why.
    Stopped(String),
}

impl std::fmt::Display for GroupError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotLeader(_) => f.write_str("this replica does not lead"),
            Self::InProgress => f.write_str("another change is under way"),
            Self::Refused(why) => f.write_str(why),
            Self::Unknown => f.write_str("it may or may not take effect"),
            Self::Stopped(why) => write!(f, "the group stopped: {why}"),
        }
    }
}

impl std::error::Error for GroupError {}

fn stopped<W: Waiter>(fatal: &Fatal<Types<W>>) -> GroupError {
    GroupError::Stopped(fatal.to_string())
}

fn refused(why: &str) -> GroupError {
    GroupError::Refused(why.to_owned())
}

impl<W: Waiter> Group<W> {
    /// Opens a replica: loads its newest snapshot into the machine, then the log up to the commit mark, and joins
    /// the group. A replica that never was in a group waits for [`Group::initialize`] or for a leader.
    ///
    /// A voter that voted before neither votes nor asks for votes for a lease and a tenth: it has forgotten what it
    /// promised. (Not a single voter, which campaigns at once.)
    ///
    /// # Errors
    /// The log or the snapshot is damaged, or the machine refused the snapshot; the text says which and why.
    pub async fn open<L, T, C, M>(config: GroupConfig, log: L, transport: T, clock: C, machine: M) -> io::Result<Self>
    where
        L: LogStore,
        T: Transport,
        C: Clock,
        M: Machine<Waiter = W>,
    {
        let local = Local::new(config.seed, config.clock_rate_ppm, config.beat());
        runtime::scope(local, Box::pin(Self::open_here(config, log, transport, clock, machine))).await
    }

    async fn open_here<L, T, C, M>(
        config: GroupConfig,
        store: L,
        transport: T,
        clock: C,
        machine: M,
    ) -> io::Result<Self>
    where
        L: LogStore,
        T: Transport,
        C: Clock,
        M: Machine<Waiter = W>,
    {
        let (group, me) = (config.group, config.me.replica);
        let log = Log::open(store.clone(), group, config.tail_bytes_max).await?;
        let own_log = Box::new(StoredLog { store: store.clone(), group });
        let snapshots: Arc<dyn Snapshots> = Arc::new(GroupSnapshots { store, group });
        let waiting = Arc::new(Waiting::new());
        let progress = Arc::new(Progress::new(config.snapshot_log_bytes));
        let state = State::new(machine, snapshots.clone(), waiting.clone(), progress.clone());
        let eligible = network::ask_eligible(transport.clone(), group, me, config.lease_length());
        let network = Network { transport, log: log.state().clone(), group, me, patience: config.patience() };
        let voted = log.has_voted();
        let raft_config = Arc::new(config.to_raft(!voted)?);
        let log_state = log.state().clone();
        let raft = Raft::build(me.0, raft_config, network, log, state).await.map_err(io::Error::other)?;
        let may_vote = watch::Sender::new(!voted);
        let lease = Arc::new(Lease::default());
        let (status, status_seen) = watch::channel(Status::default());
        let inner = Inner {
            server: Arc::new(Server {
                raft: raft.clone(),
                group,
                me,
                snapshots,
                may_vote: may_vote.subscribe(),
                receiving: Mutex::new(None),
            }),
            log: log_state.clone(),
            own_log,
            waiting,
            progress: progress.clone(),
            lease: lease.clone(),
            reads: Arc::default(),
            eligible,
            may_vote: may_vote.subscribe(),
            status: status_seen,
            stopping: watch::Sender::new(false),
            raft: raft.clone(),
            config,
        };
        let group = Self { inner: Arc::new(inner) };
        let reporting = log_state.clone();
        group.spawn(async move { reporting.report().await });
        group.spawn(group.inner.reads.clone().run(raft.clone(), group.inner.config.patience()));
        raft.run();
        let observer = Observer {
            raft,
            me,
            clock,
            lease,
            lease_length: group.inner.config.lease_length(),
            progress,
            log: log_state,
            status,
            clocks: ClockPair::new(),
            past: Past::default(),
        };
        // Not ended by `stop`: it ends with openraft, and says why in the status.
        drop(SeededRuntime::spawn(observer.run()));
        if voted {
            group.spawn(group.clone().keep_silent(may_vote));
        }
        Ok(group)
    }

    /// Runs something beside the group until the group stops.
    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let mut stopping = self.inner.stopping.subscribe();
        drop(SeededRuntime::spawn(async move {
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => {}
                () = future => {}
            }
        }));
    }

    /// Gives this replica its vote back when no promise from before its start can be alive.
    async fn keep_silent(self, may_vote: watch::Sender<bool>) {
        let me = self.inner.config.me.replica.0;
        let alone = self.inner.raft.with_raft_state(move |state| {
            let voters: Vec<u64> = state.membership_state.effective().voter_ids().collect();
            voters == [me]
        });
        let alone = alone.await.unwrap_or(false);
        if !alone {
            SeededRuntime::sleep(self.inner.config.silence()).await;
        }
        may_vote.send_replace(true);
        self.inner.raft.runtime_config().elect(true);
        if alone {
            // Nobody else can hold a promise: there is nothing to wait for. It fails only when stopping.
            let _ = self.inner.raft.trigger().elect(true).await;
        }
    }

    /// Waits until this replica may be elected: one that has voted before its start keeps its vote to itself for a lease and a
    /// tenth.
    pub async fn eligible(&self) {
        // It fails when the group stops: then there is nothing to wait for.
        let _ = self.inner.may_vote.clone().wait_for(|may_vote| *may_vote).await;
    }

    /// The group.
    pub fn id(&self) -> GroupId {
        self.inner.config.group
    }

    /// This replica.
    pub fn me(&self) -> &Member {
        &self.inner.config.me
    }

    /// What the group looks like from here; a receiver that can be awaited for changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.inner.status.clone()
    }

    /// The leader's lease, for the read path of any thread.
    pub fn lease(&self) -> Arc<Lease> {
        self.inner.lease.clone()
    }

    /// Hands one proposal to Raft, from any thread, without waiting. Proposals enter the log in the order of these
    /// calls or not at all, and only while this replica leads in `term`.
    ///
    /// The payload is what every replica's machine gets, unchanged. It is not empty and its first byte (the owner's
    /// format version, say) is not `0xff`.
    ///
    /// What became of it the waiter hears: [`Waiter::committed`], then it travels with its entry to
    /// [`Machine::apply`]; or [`Waiter::refused`]; or it is dropped, and the outcome is unknown.
    pub fn propose(&self, payload: Bytes, waiter: W, term: u64) {
        assert!(payload.first().is_some_and(|&first| first != MEMBERSHIP), "an empty or reserved payload");
        let inner = &*self.inner;
        if *inner.stopping.borrow() || inner.status.borrow().stopped.is_some() {
            return waiter.refused(Refusal::Stopping);
        }
        if inner.waiting.proposals() >= PROPOSALS_MAX {
            return waiter.refused(Refusal::NoLease);
        }
        let reply = Reply::new(waiter, inner.waiting.clone());
        let handing_over = inner.raft.write(Body(payload)).responder(reply).with_leader(term).into_future();
        // One poll suffices: the bound above is far below the width of openraft's queue. Were it not so, or had the
        // group just stopped, the waiter would be dropped: outcome unknown.
        let _handed_over = unconstrained(handing_over).now_or_never();
    }

    /// Waits until reads of this replica see everything that was acknowledged before this call, by asking a
    /// majority. Callers share rounds. The way to read without a lease.
    ///
    /// # Errors
    /// See [`ReadError`]: the caller redirects, or answers that the group is down.
    pub async fn read_barrier(&self) -> Result<(), ReadError> {
        if *self.inner.stopping.borrow() {
            return Err(ReadError::Stopping);
        }
        self.inner.reads.barrier().await
    }

    /// Forms the group of these voters. Called on one of them, once, while all are empty; it campaigns at once.
    ///
    /// # Errors
    /// `Refused` when the replica is not empty or not among the members.
    pub async fn initialize(&self, members: Vec<Member>) -> Result<(), GroupError> {
        let members: BTreeMap<u64, Member> = members.into_iter().map(|member| (member.replica.0, member)).collect();
        self.inner.raft.initialize(members).await.map_err(|error| match error {
            RaftError::Fatal(fatal) => stopped(&fatal),
            RaftError::APIError(error) => GroupError::Refused(error.to_string()),
        })
    }

    /// Adds a member that replicates without a vote. Returns when the change is committed, not when it has caught
    /// up: [`Status::matched`] shows that.
    ///
    /// # Errors
    /// See [`GroupError`].
    pub async fn add_learner(&self, member: Member) -> Result<(), GroupError> {
        let changed = self.inner.raft.add_learner(member.replica.0, member, false).await;
        changed.map(drop).map_err(|error| self.change_error(error))
    }

    /// Makes these members, who must be learners or voters already, the voters. Former voters stay as learners if
    /// `retain`, else they leave. This replica stays one of them: to remove a leader, transfer its leadership first.
    ///
    /// # Errors
    /// See [`GroupError`]. After `Unknown` or a lost leadership the group may be left with two sets of voters
    /// ([`Status::is_joint`]): the same call on the new leader finishes the change.
    pub async fn change_voters(&self, voters: BTreeSet<ReplicaId>, retain: bool) -> Result<(), GroupError> {
        if self.inner.status.borrow().leads() && !voters.contains(&self.me().replica) {
            return Err(refused("the leader cannot remove itself: transfer leadership first"));
        }
        let voters: BTreeSet<u64> = voters.into_iter().map(|voter| voter.0).collect();
        let changed = self.inner.raft.change_membership(voters, retain).await;
        changed.map(drop).map_err(|error| self.change_error(error))
    }

    /// Finishes a change of voters that an earlier leader left half done ([`Status::is_joint`]): the newer voters stay, the
    /// others stay as learners if `retain`, else they leave. Does nothing when there is none.
    ///
    /// # Errors
    /// See [`GroupError`]. `Refused` when this replica is not among [`Status::next_voters`]: one of those can finish it, once this
    /// one has transferred its leadership there.
    pub async fn finish_change(&self, retain: bool) -> Result<(), GroupError> {
        let newer = next_voters(self.inner.raft.server_metrics().borrow_watched().membership_config.membership());
        if newer.is_empty() { Ok(()) } else { self.change_voters(newer, retain).await }
    }

    /// On the leader: the last entry that each other member is known to hold at this moment. Its store has it as
    /// [`Durability`](crate::Durability) says, which may be less than [`Self::synced`].
    pub fn matched(&self) -> BTreeMap<ReplicaId, Option<LogId>> {
        let data = self.inner.raft.data_metrics().borrow_watched().clone();
        let me = self.inner.config.me.replica.0;
        let others = data.replication.into_iter().flatten().filter(|(id, _)| *id != me);
        others.map(|(id, matched)| (ReplicaId(id), matched.as_ref().map(log_id))).collect()
    }

    /// The last entry of this replica's log that a loss of power would leave there, as far as is known, whatever the group's
    /// [`Durability`](crate::Durability). That an entry is committed says nothing of it: the others may have been faster.
    pub fn synced(&self) -> Option<LogId> {
        self.inner.own_log.synced()
    }

    /// Makes durable everything that this replica's log holds by now.
    ///
    /// # Errors
    /// The log store failed: the group stops.
    pub async fn sync(&self) -> io::Result<()> {
        self.inner.own_log.sync().await
    }

    /// On the leader: how long ago each other member last answered, in ms; of those that ever did.
    pub fn heard_ms_ago(&self) -> BTreeMap<ReplicaId, u64> {
        let data = self.inner.raft.data_metrics().borrow_watched().clone();
        let ago = |at: LocalInstant| u64::try_from((LocalInstant::now() - at).as_millis()).unwrap_or(u64::MAX);
        let heard = data.heartbeat.into_iter().flatten();
        heard.filter_map(|(id, at)| Some((ReplicaId(id), ago(at?.into_inner())))).collect()
    }

    /// On the leader: the log of this member may have become shorter than it is known to be, as it lost its power and was not told to
    /// forget what it had acknowledged. Where that is so it is sent again. To be said before the member takes part again. Does
    /// nothing where this replica does not lead: it knows nothing of other logs.
    ///
    /// # Errors
    /// `Stopped`.
    pub async fn expect_shorter(&self, member: ReplicaId) -> Result<(), GroupError> {
        // Refused by one that does not lead, and where there is no such member: nothing is known of its log then.
        self.inner.raft.trigger().allow_next_revert(&member.0, true).await.map(drop).map_err(|fatal| stopped(&fatal))
    }

    /// Removes learners from the group.
    ///
    /// # Errors
    /// See [`GroupError`].
    pub async fn remove_learners(&self, learners: BTreeSet<ReplicaId>) -> Result<(), GroupError> {
        let learners = learners.into_iter().map(|learner| learner.0).collect();
        let changed = self.inner.raft.change_membership(ChangeMembers::RemoveNodes(learners), true).await;
        changed.map(drop).map_err(|error| self.change_error(error))
    }

    fn change_error(&self, error: RaftError<Types<W>, ClientWriteError<Types<W>>>) -> GroupError {
        match error {
            RaftError::Fatal(fatal) => stopped(&fatal),
            RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => self.not_leader(),
            RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => GroupError::Unknown,
            RaftError::APIError(ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_))) => {
                GroupError::InProgress
            }
            RaftError::APIError(error) => GroupError::Refused(error.to_string()),
        }
    }

    fn not_leader(&self) -> GroupError {
        GroupError::NotLeader(self.inner.status.borrow().leader.clone())
    }

    /// Hands leadership to another voter that says that it may be elected. The lease is closed first, and the caller has stopped proposing; then
    /// the target gets up to a lease of time to hold the whole log, and only then is the transfer begun.
    ///
    /// # Errors
    /// `Refused` when the target is no other voter, does not answer, has just started or did not catch up: this replica leads on, its lease is open
    /// again. `Unknown` when the transfer was begun and the target does not lead (yet): this replica then answers
    /// reads by rounds only, until the next election, which comes soon, since it sends no more heartbeats.
    pub async fn transfer_leader(&self, to: ReplicaId) -> Result<(), GroupError> {
        let inner = &*self.inner;
        let (term, target) = {
            let server = inner.raft.server_metrics().borrow_watched().clone();
            if !server.state.is_leader() {
                return Err(self.not_leader());
            }
            let is_other = to != inner.config.me.replica && server.membership_config.voter_ids().any(|id| id == to.0);
            let target = server.membership_config.membership().get_node(&to.0).filter(|_| is_other).cloned();
            (server.vote.leader_id.term, target.ok_or_else(|| refused("the target is not another voter of the group"))?)
        };
        // BEFORE openraft is told: it sends no more heartbeats from then on, whether the target can be elected or not.
        if !(inner.eligible)(&target).await {
            return Err(refused("the target does not answer, or has just started and keeps its vote to itself"));
        }
        inner.lease.close(term);
        let mut reopen = Reopen(Some(&inner.lease));
        let lease_length = inner.config.lease_length();
        let level = SeededRuntime::timeout(lease_length, self.level(to)).await;
        match level {
            Ok(true) => {}
            Ok(false) => return Err(self.not_leader()),
            Err(_) => return Err(refused("the target did not catch up in time")),
        }
        // From here on the target may win at any moment: the lease of this term stays closed whatever happens.
        reopen.0 = None;
        inner.raft.trigger().transfer_leader(to.0).await.map_err(|fatal| stopped(&fatal))?;
        let won = SeededRuntime::timeout(lease_length * 2, self.next_leader(term)).await;
        match won {
            Ok(Some(leader)) if leader == to.0 => Ok(()),
            _ => Err(GroupError::Unknown),
        }
    }

    /// For how long a leader that leaves may ask voters which refuse: three leases. One that has just started refuses for a lease and a tenth.
    pub fn transfer_patience(&self) -> Duration {
        self.inner.config.lease_length() * 3
    }

    /// Waits until `to` holds this leader's whole log; false when this replica does not lead any more.
    async fn level(&self, to: ReplicaId) -> bool {
        let mut data = self.inner.raft.data_metrics();
        loop {
            let level = {
                let data = data.borrow_and_update();
                let Some(replication) = &data.replication else { return false };
                let matched = replication.get(&to.0).cloned().flatten();
                matched >= data.last_log
            };
            if level {
                return true;
            }
            if data.changed().await.is_err() {
                return false;
            }
        }
    }

    /// The leader of a later term than this one, once there is one.
    async fn next_leader(&self, term: u64) -> Option<u64> {
        let mut server = self.inner.raft.server_metrics();
        loop {
            {
                let server = server.borrow_and_update();
                if server.vote.leader_id.term > term && server.current_leader.is_some() {
                    return server.current_leader;
                }
            }
            server.changed().await.ok()?;
        }
    }

    /// Writes a snapshot of what is applied now (or a little later) and waits for it. The log it covers is purged
    /// soon after, but for what memory holds because a member lacks it.
    ///
    /// # Errors
    /// `Refused` when nothing was applied yet; `Stopped` when it could not be written, which stops the group.
    pub async fn take_snapshot(&self) -> Result<LogId, GroupError> {
        let inner = &*self.inner;
        let applied = inner.progress.applied().ok_or_else(|| refused("nothing was applied yet"))?;
        let mut snapshots = inner.progress.snapshots.subscribe();
        let mut status = inner.status.clone();
        loop {
            let (_, newest) = *snapshots.borrow_and_update();
            if let Some(newest) = newest.filter(|newest| *newest >= applied) {
                return Ok(newest);
            }
            // Ignored while one is being written; that one may be older, then the loop asks again.
            inner.raft.trigger().snapshot().await.map_err(|fatal| stopped(&fatal))?;
            tokio::select! {
                biased;
                _ = snapshots.changed() => {}
                _ = status.wait_for(|status| status.stopped.is_some()) => {
                    return Err(GroupError::Stopped(inner.status.borrow().stopped.clone().unwrap_or_default()));
                }
            }
        }
    }

    /// Answers what a peer's group sent through [`Transport::request`]. Whatever must keep order has taken its
    /// place when this returns, before the future is first polled: call it in the order of arrival.
    /// [`crate::group_of`] says which group a message is for.
    pub fn serve(&self, class: Class, message: Bytes) -> impl Future<Output = Bytes> + Send + use<W> {
        self.inner.server.serve(class, message)
    }

    /// Stops the replica: lease withdrawn, waiters dropped (outcome unknown), all tasks ended. Nothing is written;
    /// what was submitted to the log store may still become durable.
    pub async fn stop(&self) {
        let inner = &*self.inner;
        inner.stopping.send_replace(true);
        // The join error of a core that panicked says nothing that the status does not.
        let _ = inner.raft.shutdown().await;
        inner.lease.publish(u64::MAX, 0);
        inner.log.clear();
        inner.waiting.clear();
        inner.reads.clear();
    }
}

/// Opens the lease again when a transfer ends, or is given up by its caller, before it was begun.
struct Reopen<'a>(Option<&'a Lease>);

impl Drop for Reopen<'_> {
    fn drop(&mut self) {
        if let Some(lease) = self.0 {
            lease.reopen();
        }
    }
}
