//! The node: what is shared by its threads, how it starts, and how it stops.
//!
//! ```text
//! start    apply thread, raft thread, I/O threads; connections are answered -LOADING from then on
//! raft     the replica's identity is read or formed (formation.rs), its group opened: snapshot, then the log up to
//!          the committed mark; then the sealer, the observer of the group's status, and the peers' requests
//! ready    standalone: elected; replicated: a leader is known
//! stop     no new commands, what is in flight is answered, leadership is handed over, connections close
//! ```

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use raft::{Clock, Member, NodeId, Role, Status, Transport};
use tokio::sync::{mpsc, watch};

use crate::clients::Clients;
use crate::config::{Config, Settings, ShardSettings};
use crate::formation::{self, Identity, Record};
use crate::inbox::Inbox;
use crate::io_thread::{self, Accepted};
use crate::machine::Machine;
use crate::messages::{Answer, Request};
use crate::peers::Peers;
use crate::platform::{Place, Platform, Random, Threads};
use crate::shard::{EntryWaiter, Shard, Standing};
use crate::stats::Stats;
use crate::{sealer, tasks};

/// What clients choose their ways of speaking by (CLIENTS: from 8.4 on tools expect slot migration of another kind).
pub(crate) const REDIS_VERSION: &str = "7.2.4";
/// Our own version.
pub(crate) const CAIRN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// With less free disk than this the leader refuses what adds data.
const DISK_RESERVE_BYTES: u64 = 64 << 20;

/// How long a stopping node waits for what is in flight, for its successor and for its connections, in all.
const STOP_PATIENCE: Duration = Duration::from_secs(8);

/// What a node is started with.
pub struct Start<P: Platform> {
    /// The directives.
    pub config: Config,
    /// The node's id, for the life of its `dir`.
    pub id: NodeId,
    /// Which of `initial-members` this node is; `None` standalone.
    pub own_member: Option<usize>,
    /// Where the replica's identity is kept.
    pub record: Box<dyn Record>,
    /// The logs and snapshots.
    pub log_store: P::LogStore,
    /// Makes the links to other nodes, and what answers them.
    pub network: Network<P>,
    /// Time.
    pub clock: P::Clock,
    /// Randomness.
    pub random: P::Random,
    /// Where tasks run.
    pub threads: P::Threads,
    /// The process's resident bytes, for INFO.
    pub resident_bytes: fn() -> Option<u64>,
    /// The free bytes of the disk that holds `dir`, where the platform can tell.
    pub free_disk_bytes: Box<dyn Fn() -> Option<u64> + Send + Sync>,
}

/// Makes, on the raft thread, the links to other nodes and the work that serves their requests, given whom to ask for
/// answers. The work runs on the raft thread for as long as the node lives.
pub type Network<P> = Box<dyn FnOnce(Peers<P>) -> (<P as Platform>::Transport, Vec<Serving>) + Send>;

/// The work that serves the requests of other nodes.
pub type Serving = Pin<Box<dyn Future<Output = ()>>>;

/// The data of a replica at one moment. Two replicas that accepted the same last entry are equal in all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The term of the leadership whose entry was accepted last.
    pub term: u64,
    /// That entry's number within the leadership; `None` before the first.
    pub sequence: Option<u64>,
    /// The count of changing commands.
    pub revision: u64,
    /// The log clock, in ms since 1970.
    pub clock_ms: u64,
    /// The fingerprint of everything that a snapshot keeps.
    pub digest: u64,
}

/// A running node. Cheap to clone.
pub struct Node<P: Platform> {
    shared: Arc<Shared<P>>,
    io: Arc<[mpsc::Sender<Accepted<P>>]>,
}

impl<P: Platform> Clone for Node<P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), io: Arc::clone(&self.io) }
    }
}

/// What the threads of a node share.
pub(crate) struct Shared<P: Platform> {
    pub(crate) id: NodeId,
    pub(crate) own_member: Option<usize>,
    pub(crate) config: Config,
    /// The shard's settings as the file and the flags have them.
    wished: ShardSettings,
    pub(crate) clock: P::Clock,
    pub(crate) random: P::Random,
    pub(crate) shard: Arc<Shard>,
    pub(crate) machine: Machine,
    pub(crate) inboxes: Arc<[Inbox]>,
    pub(crate) clients: Clients,
    pub(crate) stats: Stats,
    record: Mutex<Box<dyn Record>>,
    identity: Mutex<Option<Identity>>,
    /// Fresh replicas that are to be made voters, one at a time, by a task of the raft thread.
    pub(crate) newcomers: mpsc::Sender<Member>,
    arriving: Mutex<Option<mpsc::Receiver<Member>>>,
    /// The process's resident bytes, where the platform can tell.
    resident_bytes: fn() -> Option<u64>,
    free_disk_bytes: Box<dyn Fn() -> Option<u64> + Send + Sync>,
    pub(crate) run_id: String,
    pub(crate) started_ms: u64,
    /// When the newest snapshot was seen, by the wall clock; 0 for never.
    snapshot_ms: AtomicU64,
    /// The term in which this replica leads; what proposals are fenced with.
    pub(crate) leading_term: AtomicU64,
    pub(crate) stopping: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
    group: OnceLock<raft::Group<EntryWaiter>>,
    transport: OnceLock<P::Transport>,
    status: watch::Sender<Status>,
    loaded: AtomicBool,
    /// Why the node cannot go on, once it cannot.
    failed: watch::Sender<Option<String>>,
    /// Set by SHUTDOWN.
    asked_to_stop: watch::Sender<bool>,
}

impl<P: Platform> Node<P> {
    /// Starts a node's threads. Returns at once; see [`Self::ready`].
    pub fn start(start: Start<P>) -> io::Result<Self> {
        let Start {
            config,
            id,
            own_member,
            record,
            log_store,
            network,
            clock,
            random,
            threads,
            resident_bytes,
            free_disk_bytes,
        } = start;
        let io_threads = threads.io_threads();
        let inboxes: Arc<[Inbox]> = (0..io_threads).map(|_| Inbox::default()).collect();
        let keyspace = keyspace::Keyspace::new(keyspace::Settings::new([0; 2]));
        let shard = Arc::new(Shard::new(keyspace, Arc::clone(&inboxes)));
        let wished = config.current().shard.clone();
        let mirror = config.clone();
        let on_settings = Box::new(move |settings: &ShardSettings| mirror.adopt_shard(settings));
        let (machine, apply, reclaim) = Machine::new(Arc::clone(&shard), clock.clone(), on_settings);
        let (stop, stopping) = watch::channel(false);
        let (newcomers, arriving) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            id,
            own_member,
            run_id: run_id(&random),
            started_ms: clock.wall_ms(),
            config,
            wished,
            clock,
            random,
            shard,
            machine,
            inboxes,
            clients: Clients::default(),
            stats: Stats::default(),
            record: Mutex::new(record),
            identity: Mutex::new(None),
            newcomers,
            arriving: Mutex::new(Some(arriving)),
            resident_bytes,
            free_disk_bytes,
            snapshot_ms: AtomicU64::new(0),
            leading_term: AtomicU64::new(0),
            stopping,
            stop,
            group: OnceLock::new(),
            transport: OnceLock::new(),
            status: watch::Sender::new(Status::default()),
            loaded: AtomicBool::new(false),
            failed: watch::Sender::new(None),
            asked_to_stop: watch::Sender::new(false),
        });
        threads.start(Place::Apply(0), Box::new(move || Box::pin(apply)))?;
        threads.start(Place::Reclaim, Box::new(move || Box::pin(reclaim)))?;
        let io = start_io(&threads, &shared)?;
        let node = Self { shared: Arc::clone(&shared), io: io.into() };
        let work = move || -> Serving {
            Box::pin(async move {
                let (transport, serving) = network(Peers::new(Arc::clone(&shared)));
                serving.into_iter().for_each(|serving| drop(tasks::beside(serving)));
                if let Err(why) = run_replica(&shared, log_store, transport).await {
                    shared.fail(why.to_string());
                }
            })
        };
        threads.start(Place::Raft, Box::new(work))?;
        Ok(node)
    }

    /// Waits until clients are served: `Ok`, or why the node cannot go on.
    pub async fn ready(&self) -> Result<(), String> {
        let mut failed = self.shared.failed.subscribe();
        let mut status = self.shared.status.subscribe();
        loop {
            if self.shared.is_loaded() {
                return Ok(());
            }
            tokio::select! {
                _ = failed.wait_for(Option::is_some) => return Err(self.shared.failure()),
                _ = status.changed() => (),
            }
        }
    }

    /// Waits for something that the node cannot survive, and says what it was.
    pub async fn failure(&self) -> String {
        let mut failed = self.shared.failed.subscribe();
        let _ = failed.wait_for(Option::is_some).await;
        self.shared.failure()
    }

    /// Hands over an accepted connection. A client over `maxclients`, or one that protected mode keeps out, gets the
    /// error that is returned: the caller writes it and closes.
    pub fn connect(
        &self,
        socket: P::Socket,
        address: String,
        local_address: String,
    ) -> Result<(), (P::Socket, &'static str)> {
        let settings = self.shared.config.current();
        let now_ms = self.shared.clock.wall_ms();
        let limit = settings.maxclients as usize;
        let Some(client) = self.shared.clients.admit(address, local_address, now_ms, limit) else {
            return Err((socket, "ERR max number of clients reached"));
        };
        let io = &self.io[usize::try_from(client.id).unwrap_or(0) % self.io.len()];
        io.try_send(Accepted { socket, client }).map_err(|refused| {
            let Accepted { socket, client } = refused.into_inner();
            self.shared.clients.remove(client.id);
            (socket, "ERR max number of clients reached")
        })
    }

    /// Waits for a client's SHUTDOWN.
    pub async fn asked_to_stop(&self) {
        let mut asked = self.shared.asked_to_stop.subscribe();
        let _ = asked.wait_for(|asked| *asked).await;
    }

    /// The node's configuration.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// How the shard's group stands, for whoever watches the node from outside (the simulator, tests).
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// What the data looks like from here; replicas are compared by it.
    pub fn probe(&self) -> Probe {
        let (term, sequence) = self.shared.shard.last_applied();
        let keyspace = self.shared.shard.keyspace.read();
        Probe {
            term,
            sequence,
            revision: keyspace.revision(),
            clock_ms: keyspace.clock_ms(),
            digest: keyspace.digest(),
        }
    }

    /// Ends what `raft` still runs for this node, without a word to anybody. For a node whose power was cut: its places
    /// are gone, and neither its disk nor its links hear it any more.
    pub async fn bury(&self) {
        if let Some(group) = self.shared.group.get() {
            group.stop().await;
        }
    }

    /// Stops: refuses new commands, answers what is in flight, hands leadership over, closes connections.
    pub async fn stop(&self) {
        let shared = &self.shared;
        let orderly = async {
            shared.shard.close();
            while !shared.shard.is_idle() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            shared.hand_over().await;
            let _ = shared.stop.send(true);
            while shared.clients.len() > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(STOP_PATIENCE, orderly).await.is_err() {
            tracing::warn!("stopping before everything was answered");
        }
        let _ = shared.stop.send(true);
        if let Some(group) = shared.group.get() {
            group.stop().await;
        }
    }
}

impl<P: Platform> Shared<P> {
    /// Whether the data is there: commands are answered -LOADING before.
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// The shard's group, once it is open.
    pub(crate) fn group(&self) -> Option<&raft::Group<EntryWaiter>> {
        self.group.get()
    }

    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Whether the group's lease allows reads now.
    pub(crate) fn holds_lease(&self) -> bool {
        self.group.get().is_some_and(|group| group.lease().holds(self.clock.monotonic_ns()))
    }

    /// How many other replicas are known to hold the log up to this index (`None`: up to the last applied entry).
    pub(crate) fn replicas_at(&self, index: Option<u64>) -> usize {
        let status = self.status.borrow();
        let index = index.unwrap_or_else(|| self.shard.applied_index());
        status.matched.values().filter(|matched| matched.is_some_and(|id| id.index >= index)).count()
    }

    /// WAIT: how many other replicas hold everything applied by now, once they are enough or time is up.
    pub(crate) async fn wait_for_replicas(&self, replicas: usize, timeout: Option<Duration>) -> usize {
        let index = self.shard.applied_index();
        let mut status = self.status.subscribe();
        let enough = async { while self.replicas_at(Some(index)) < replicas && status.changed().await.is_ok() {} };
        match timeout {
            // An answer that is late is still an answer.
            Some(timeout) => drop(tokio::time::timeout(timeout, enough).await),
            None => enough.await,
        }
        self.replicas_at(Some(index))
    }

    /// Reads the node's record of its replica.
    pub(crate) fn load_identity(&self) -> io::Result<Option<Identity>> {
        let identity = Identity::decode(&self.record.lock().load()?).map_err(io::Error::other)?;
        self.identity.lock().clone_from(&identity);
        Ok(identity)
    }

    /// Makes this the node's replica, durably.
    pub(crate) fn save_identity(&self, identity: &Identity) -> io::Result<()> {
        self.record.lock().save(&identity.encode())?;
        *self.identity.lock() = Some(identity.clone());
        Ok(())
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity.lock().clone()
    }

    pub(crate) fn ask_to_stop(&self) {
        self.asked_to_stop.send_replace(true);
    }

    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        (self.resident_bytes)()
    }

    /// Whether the disk has less than its reserve left. Looked up by the sealer, every second.
    pub(crate) fn is_disk_low(&self) -> bool {
        (self.free_disk_bytes)().is_some_and(|free| free < DISK_RESERVE_BYTES)
    }

    /// When the newest snapshot was taken, or the node started, in seconds since 1970.
    pub(crate) fn last_save_seconds(&self) -> u64 {
        self.snapshot_ms.load(Ordering::Relaxed).max(self.started_ms) / 1000
    }

    /// For how long the lease still holds, in ms; 0 without one.
    pub(crate) fn lease_left_ms(&self) -> u64 {
        let until_ns = self.group.get().map_or(0, |group| group.lease().valid_until_ns());
        until_ns.saturating_sub(self.clock.monotonic_ns()) / 1_000_000
    }

    pub(crate) fn fail(&self, why: String) {
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            failed.get_or_insert(why);
            first
        });
    }

    fn failure(&self) -> String {
        self.failed.borrow().clone().unwrap_or_default()
    }

    /// Makes sure that a read sees what was acknowledged before: by a round of the group where this replica leads; by the
    /// leader's word, and catching up with it, where it follows.
    pub(crate) async fn confirm_reading(&self) -> bool {
        let Some(group) = self.group.get() else { return false };
        if self.shard.standing() == Standing::Leading {
            return group.read_barrier().await.is_ok();
        }
        let leader = self.status.borrow().leader.clone();
        let (Some(leader), Some(transport)) = (leader, self.transport.get()) else { return false };
        match formation::ask(transport, &leader.address(), &Request::ReadIndex).await {
            Some(Answer::Index(index)) => {
                self.shard.applied_up_to(index).await;
                self.shard.dispel_doubt();
                true
            }
            _ => false,
        }
    }

    /// Gives leadership to the follower that is furthest, if there is one.
    async fn hand_over(&self) {
        let status = self.status();
        let Some(group) = self.group.get().filter(|_| status.leads()) else { return };
        let others = status.matched.iter().filter(|(replica, _)| status.voters.contains_key(replica));
        let Some((&successor, _)) = others.max_by_key(|(_, matched)| **matched) else { return };
        self.shard.pause(true);
        if let Err(why) = group.transfer_leader(successor).await {
            tracing::warn!(%why, "leadership was not handed over");
        }
    }

    /// Standalone, the file's settings of the shard count at each start; otherwise when the shard is formed.
    fn propose_wished_settings(&self) {
        let is_standalone = self.own_member.is_none();
        let is_new = self.shard.keyspace.read().revision() == 0;
        if !is_standalone && !is_new {
            return;
        }
        let defaults = Settings::defaults().shard.to_pairs();
        let known = if is_new { defaults } else { self.config.current().shard.to_pairs() };
        let differs = |pair: &(&'static str, String)| !known.contains(pair);
        let pairs: Vec<_> = self.wished.to_pairs().into_iter().filter(differs).collect();
        if !pairs.is_empty() {
            self.shard.propose_settings(&pairs, self.clock.monotonic_ns());
        }
    }

    /// Gives leadership up while the node goes on; clients wait meanwhile. Where nobody takes it, this one leads on.
    pub(crate) async fn abdicate(&self) {
        self.hand_over().await;
        self.shard.pause(false);
    }

    /// How far this node's clock is behind the median of its peers', in ms; `None` without peers.
    pub(crate) fn clock_offset_ms(&self) -> Option<i64> {
        let mut offsets = self.transport.get()?.clock_offsets_ms();
        offsets.sort_unstable();
        let (low, high) = (offsets.get(offsets.len().checked_sub(1)? / 2)?, offsets.get(offsets.len() / 2)?);
        // Of two in the middle the nearer: one peer with a wrong clock must not blame the others.
        Some(if low.unsigned_abs() < high.unsigned_abs() { *low } else { *high })
    }

    /// Renews what connections see of the group.
    fn observe(&self, status: &Status) {
        let leads = status.leads() && status.ready;
        let standing = if leads {
            self.leading_term.store(status.term, Ordering::Release);
            Standing::Leading
        } else if status.leader.is_some() && status.role != Role::Leader {
            Standing::Following
        } else {
            Standing::Leaderless
        };
        if standing != self.shard.standing() {
            tracing::info!(?standing, term = status.term, "standing in the shard's group");
            if leads {
                self.shard.raise_clock(self.shard.keyspace.read().clock_ms());
            }
        }
        let begins = leads && self.shard.standing() != Standing::Leading;
        self.shard.stand(standing);
        if begins {
            self.propose_wished_settings();
        }
        if standing != Standing::Leaderless {
            self.loaded.store(true, Ordering::Release);
        }
        if status.snapshot != self.status.borrow().snapshot {
            self.snapshot_ms.store(self.clock.wall_ms(), Ordering::Relaxed);
        }
        if let Some(why) = &status.stopped {
            self.fail(why.clone());
        }
        self.status.send_replace(status.clone());
    }
}

/// Starts the I/O threads; returns what accepted connections are handed to.
fn start_io<P: Platform>(threads: &P::Threads, shared: &Arc<Shared<P>>) -> io::Result<Vec<mpsc::Sender<Accepted<P>>>> {
    let start = |number: usize| {
        let (sender, accepted) = mpsc::channel(io_thread::ACCEPTED_MAX);
        let shared = Arc::clone(shared);
        let route = u16::try_from(number).map_err(|_| io::Error::other("io-threads is at most 65535"))?;
        threads.start(Place::Io(number), Box::new(move || Box::pin(io_thread::run(route, shared, accepted))))?;
        Ok(sender)
    };
    (0..threads.io_threads()).map(start).collect()
}

/// The raft thread's work: the replica from its identity on.
async fn run_replica<P: Platform>(
    shared: &Arc<Shared<P>>,
    log_store: P::LogStore,
    transport: P::Transport,
) -> io::Result<()> {
    assert!(shared.transport.set(transport.clone()).is_ok(), "a node has one transport");
    let group = formation::open_group(shared, log_store, transport).await?;
    let mut status = group.status();
    assert!(shared.group.set(group.clone()).is_ok(), "a node opens its group once");
    tasks::beside(sealer::run(Arc::clone(shared), group.clone()));
    let arriving = shared.arriving.lock().take().expect("a node runs one replica");
    tasks::beside(formation::take_in(group, arriving));
    loop {
        let now = status.borrow_and_update().clone();
        shared.observe(&now);
        if status.changed().await.is_err() {
            return Ok(());
        }
    }
}

fn run_id<R: Random>(random: &R) -> String {
    use std::fmt::Write as _;
    let mut id = String::new();
    for _ in 0..3 {
        write!(id, "{:016x}", random.next_u64()).expect("writing to a string does not fail");
    }
    id.truncate(40);
    id
}
