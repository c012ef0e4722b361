//! The node: what is shared by its threads, how it starts, and how it stops.
//!
//! ```text
//! start    apply thread, raft thread, I/O threads; connections are answered -LOADING from then on
//! raft     the replica's identity is read or formed (formation.rs), its group opened: snapshot, then the log up to
//!          the committed mark; then the sealer, the observer of the group's status, and the peers' requests
//! ready    standalone: elected; replicated: a leader is known
//! stop     what is in flight is answered, leadership is handed over, who waits is told of that (or not, if nobody takes it), connections close
//! ```

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use raft::{Clock, GroupConfig, GroupId, LogStore, Member, NodeId, Status, Transport};
use tokio::sync::{mpsc, watch};

use crate::clients::{Client, Clients};
use crate::cluster::{Cluster, Rerouted};
use crate::config::{Config, Settings, ShardSettings};
use crate::doubt::Doubt;
use crate::fence::Fence;
use crate::formation::{self, Identity, Record};
use crate::holdings::Holdings;
use crate::inbox::Inbox;
use crate::io_thread::{self, Accepted};
use crate::machine::OnSettings;
use crate::memory::{MemoryProbe, Remembered};
use crate::own_id::OwnId;
use crate::pause::Pause;
use crate::peers::Peers;
use crate::platform::{Place, Platform, Random, Threads};
use crate::replica::Replica;
use crate::shard::Standing;
use crate::stats::Stats;
use crate::tasks::Crews;
use crate::{cluster, sealer, tasks};

/// Our own version.
pub(crate) const CAIRN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// With less free disk than this the leader refuses what adds data.
const DISK_RESERVE_BYTES: u64 = 64 << 20;

/// How long a stopping node waits for what is in flight, for its successor and for its connections, in all.
const STOP_PATIENCE: Duration = Duration::from_secs(8);

/// How long a process has run on processors since its start, all threads together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessorTimes {
    /// In its own code.
    pub user: Duration,
    /// In the system's, for it.
    pub system: Duration,
}

/// What a node is started with.
pub struct Start<P: Platform> {
    /// The directives.
    pub config: Config,
    /// The node's id, for the life of its `dir`.
    pub id: NodeId,
    /// Which of `initial-members` this node is; `None` standalone.
    pub own_member: Option<usize>,
    /// The machine's address as others reach it, where `bind` names none.
    pub own_ip: Option<String>,
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
    /// The process's memory, for INFO and MEMORY.
    pub memory: MemoryProbe,
    /// The process's time on processors, for INFO.
    pub processor_times: fn() -> Option<ProcessorTimes>,
    /// The free bytes of the disk that holds `dir`, where the platform can tell.
    pub free_disk_bytes: Box<dyn Fn() -> Option<u64> + Send + Sync>,
}

/// Makes, on the raft thread, the links to other nodes and the work that serves their requests, given whom to ask for
/// answers. The work runs on the raft thread for as long as the node lives.
pub type Network<P> = Box<dyn FnOnce(Peers<P>) -> (<P as Platform>::Transport, Vec<Serving>) + Send>;

/// The work that serves the requests of other nodes.
pub type Serving = Pin<Box<dyn Future<Output = ()>>>;

/// A running node. Cheap to clone.
pub struct Node<P: Platform> {
    pub(crate) shared: Arc<Shared<P>>,
    io: Arc<[mpsc::Sender<Accepted<P>>]>,
}

impl<P: Platform> Clone for Node<P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), io: Arc::clone(&self.io) }
    }
}

/// What the threads of a node share.
pub(crate) struct Shared<P: Platform> {
    own: Arc<OwnId>,
    pub(crate) own_member: Option<usize>,
    pub(crate) own_ip: Option<String>,
    pub(crate) config: Config,
    /// The directive `appendonly`, to be waited for.
    pub(crate) appendonly: watch::Sender<bool>,
    /// The shard's settings as the file and the flags have them.
    wished: ShardSettings,
    pub(crate) clock: P::Clock,
    pub(crate) random: P::Random,
    /// Its groups tick together, counted from here.
    ticks_from: tokio::time::Instant,
    /// The replica whose data a client of this node sees where nothing else is said.
    home: RwLock<Arc<Replica>>,
    pub(crate) crews: Crews,
    /// What there is beside of a node of a cluster.
    pub(crate) cluster: Option<Cluster>,
    pub(crate) inboxes: Arc<[Inbox]>,
    pub(crate) clients: Arc<Clients>,
    pub(crate) stats: Arc<Stats>,
    /// CLIENT PAUSE.
    pub(crate) pause: Pause,
    record: Mutex<Box<dyn Record>>,
    /// `None` until the record was read.
    holdings: Mutex<Option<Holdings>>,
    /// The groups of replicas that may have forgotten what they acknowledged; see doubt.rs.
    pub(crate) doubts: Mutex<BTreeMap<GroupId, Doubt>>,
    /// The group of a node that is no cluster's, once it is known.
    pub(crate) only_group: Arc<OnceLock<GroupId>>,
    /// Fresh replicas that are to be made voters, one at a time, by a task of the raft thread.
    pub(crate) newcomers: mpsc::Sender<Member>,
    arriving: Mutex<Option<mpsc::Receiver<Member>>>,
    /// What it remembers of its memory.
    pub(crate) memory: Remembered,
    processor_times: fn() -> Option<ProcessorTimes>,
    free_disk_bytes: Box<dyn Fn() -> Option<u64> + Send + Sync>,
    pub(crate) run_id: String,
    pub(crate) started_ms: u64,
    pub(crate) stopping: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
    transport: OnceLock<Rerouted<P::Transport>>,
    /// Set once clients can be served; watched by [`Node::ready`].
    loaded: watch::Sender<bool>,
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
            own_ip,
            record,
            log_store,
            network,
            clock,
            random,
            threads,
            memory,
            processor_times,
            free_disk_bytes,
        } = start;
        let inboxes: Arc<[Inbox]> = (0..threads.io_threads()).map(|_| Inbox::default()).collect();
        let crews = Crews::start(&threads)?;
        let wished = config.current().shard.clone();
        let only_group = Arc::new(OnceLock::new());
        let on_settings = follow_settings(config.clone(), log_store.clone(), Arc::clone(&only_group));
        let own = Arc::new(OwnId::new(id));
        let cluster = config.current().cluster_enabled.then(|| Cluster::new(Arc::clone(&own), config.clone()));
        let fence = if cluster.is_some() { Fence::closed() } else { Fence::All };
        let stats = Arc::new(Stats::default());
        stats.follow(&config);
        let home = Replica::new(fence, Arc::clone(&inboxes), clock.clone(), on_settings, Arc::clone(&stats), &crews)?;
        let (stop, stopping) = watch::channel(false);
        let (newcomers, arriving) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            own,
            own_member,
            own_ip,
            run_id: run_id(&random),
            started_ms: clock.wall_ms(),
            appendonly: watch::Sender::new(config.current().appendonly),
            config,
            wished,
            clock,
            random,
            ticks_from: tokio::time::Instant::now(),
            home: RwLock::new(Arc::new(home)),
            crews,
            cluster,
            inboxes,
            clients: Arc::clone(&stats.clients),
            stats,
            pause: Pause::default(),
            record: Mutex::new(record),
            holdings: Mutex::default(),
            doubts: Mutex::default(),
            only_group,
            newcomers,
            arriving: Mutex::new(Some(arriving)),
            memory: Remembered::new(memory),
            processor_times,
            free_disk_bytes,
            stopping,
            stop,
            transport: OnceLock::new(),
            loaded: watch::Sender::new(false),
            failed: watch::Sender::new(None),
            asked_to_stop: watch::Sender::new(false),
        });
        shared.show_by_settings();
        let io = start_io(&threads, &shared)?;
        let node = Self { shared: Arc::clone(&shared), io: io.into() };
        threads.start(Place::Raft, Box::new(move || raft_work(shared, log_store, network)))?;
        Ok(node)
    }

    /// Waits until clients are served: `Ok`, or why the node cannot go on.
    pub async fn ready(&self) -> Result<(), String> {
        let mut failed = self.shared.failed.subscribe();
        let mut loaded = self.shared.loaded.subscribe();
        tokio::select! {
            biased;
            _ = failed.wait_for(Option::is_some) => Err(self.shared.failure()),
            _ = loaded.wait_for(|loaded| *loaded) => Ok(()),
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

    /// Gives leadership up, if this node leads, and goes on as a follower; where nobody takes it, it leads on.
    pub async fn abdicate(&self) {
        self.shared.abdicate(&self.shared.home()).await;
    }

    /// Ends what `raft` still runs for this node, without a word to anybody. For a node whose power was cut: its places
    /// are gone, and neither its disk nor its links hear it any more.
    pub async fn bury(&self) {
        self.shared.stop_groups().await;
    }

    /// Stops: answers what is in flight, hands leadership over, tells those that wait who leads, closes connections.
    pub async fn stop(&self) {
        let shared = &self.shared;
        let orderly = async {
            let replicas = shared.replicas();
            // BEFORE leadership is given away: whom clients are not shown would give it back to a node that they are.
            shared.take_leave();
            // BEFORE anything is refused: who waits is sent to the next leader.
            for replica in &replicas {
                shared.abdicate(replica).await;
            }
            if let Some(meta) = shared.cluster.as_ref().and_then(Cluster::meta) {
                meta.hand_over().await;
            }
            replicas.iter().for_each(|replica| replica.shard.close_with_node());
            while !replicas.iter().all(|replica| replica.shard.is_idle()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let _ = shared.stop.send(true);
            while shared.clients.len() > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(STOP_PATIENCE, orderly).await.is_err() {
            tracing::warn!("stopping before everything was answered");
        }
        let _ = shared.stop.send(true);
        shared.stop_groups().await;
    }
}

impl<P: Platform> Shared<P> {
    /// From now on clients of a cluster are shown things by the directives of each moment, and who waits for one hears of it.
    fn show_by_settings(self: &Arc<Self>) {
        let own = Arc::downgrade(self);
        self.config.watch(move |settings| {
            if let Some(shared) = own.upgrade() {
                shared.cluster.iter().for_each(Cluster::show_by_settings);
                let is_news = |on: &mut bool| std::mem::replace(on, settings.appendonly) != settings.appendonly;
                shared.appendonly.send_if_modified(is_news);
            }
        });
    }

    /// This node.
    pub(crate) fn id(&self) -> NodeId {
        self.own.get()
    }

    /// The replica whose data a client of this node sees where nothing else is said.
    pub(crate) fn home(&self) -> Arc<Replica> {
        Arc::clone(&self.home.read())
    }

    /// Makes another replica that of the node's home shard.
    pub(crate) fn set_home(&self, replica: Arc<Replica>) {
        *self.home.write() = replica;
        self.loaded.send_if_modified(|loaded| !std::mem::replace(loaded, true));
    }

    /// Every replica of a shard on this node.
    pub(crate) fn replicas(&self) -> Vec<Arc<Replica>> {
        match &self.cluster {
            Some(cluster) => cluster.replicas().into_iter().map(|(_, replica)| replica).collect(),
            None => vec![self.home()],
        }
    }

    /// The replicas whose data a client of this node sees: more than one while it leads for another node as well.
    pub(crate) fn served(&self) -> Vec<Arc<Replica>> {
        let served = self.cluster.as_ref().map(|cluster| cluster.routes().served()).unwrap_or_default();
        if served.is_empty() { vec![self.home()] } else { served }
    }

    /// The links to other nodes, once there are any.
    pub(crate) fn transport(&self) -> Option<&Rerouted<P::Transport>> {
        self.transport.get()
    }

    /// Whether the data is there: commands are answered -LOADING before.
    pub(crate) fn is_loaded(&self) -> bool {
        *self.loaded.borrow()
    }

    /// Whether a replica's lease allows reads now.
    pub(crate) fn holds_lease(&self, replica: &Replica) -> bool {
        replica.holds_lease(self.clock.monotonic_ns())
    }

    /// Gives leadership of a shard up, rather to a replica that clients are shown; where nobody takes it, this one leads on.
    pub(crate) async fn abdicate(&self, replica: &Replica) {
        let Some(group) = replica.group() else { return };
        replica.abdicate(|member| self.is_visible(group.id(), member)).await;
    }

    /// How this node opens its replica of a group.
    pub(crate) fn group_config(&self, group: GroupId, me: Member) -> GroupConfig {
        let election_timeout = self.config.current().election_timeout_ms;
        let mut config = GroupConfig::new(group, me, self.random.next_u64());
        config.election_timeout_ms = (election_timeout.min_ms, election_timeout.max_ms);
        config.clock_rate_ppm = self.clock.rate_ppm();
        config.ticks_from = self.ticks_from;
        config.tail_bytes_max = P::LOG_BOUNDS.tail_bytes_max;
        config.snapshot_log_bytes = P::LOG_BOUNDS.snapshot_log_bytes;
        config
    }

    /// Reads the node's record of what it holds.
    pub(crate) fn load_holdings(&self) -> io::Result<Holdings> {
        let holdings = Holdings::decode(&self.record.lock().load()?).map_err(io::Error::other)?;
        *self.holdings.lock() = Some(holdings.clone());
        Ok(holdings)
    }

    /// Changes what the node holds, durably.
    pub(crate) fn change_holdings(&self, change: impl FnOnce(&mut Holdings)) -> io::Result<()> {
        let mut holdings = self.holdings.lock();
        let mut next = holdings.clone().unwrap_or_default();
        change(&mut next);
        self.record.lock().save(self.id(), &next.encode())?;
        *holdings = Some(next);
        Ok(())
    }

    /// The node holds nothing any more and has this id from now on, durably.
    pub(crate) fn begin_anew(&self, id: NodeId) -> io::Result<()> {
        let mut holdings = self.holdings.lock();
        let next = Holdings::default();
        self.record.lock().save(id, &next.encode())?;
        *holdings = Some(next);
        self.own.set(id);
        Ok(())
    }

    /// What the node holds.
    pub(crate) fn holdings(&self) -> Holdings {
        self.known_holdings().unwrap_or_default()
    }

    /// The same; `None` while its record was not read yet.
    pub(crate) fn known_holdings(&self) -> Option<Holdings> {
        self.holdings.lock().clone()
    }

    /// Makes this the node's only replica, durably.
    pub(crate) fn save_identity(&self, identity: &Identity) -> io::Result<()> {
        self.change_holdings(|holdings| holdings.shards = vec![identity.clone().into()])
    }

    /// The replica of a node that is no cluster's.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.holdings.lock().as_ref()?.shards.first().map(|held| held.identity.clone())
    }

    /// Closes a connection as soon as it waits for anything.
    pub(crate) fn kill(&self, client: &Client) {
        client.killed.store(true, Ordering::Relaxed);
        // AFTER the mark: every connection that waits looks at its own.
        self.stop.send_modify(|_| ());
    }

    pub(crate) fn ask_to_stop(&self) {
        self.asked_to_stop.send_replace(true);
    }

    pub(crate) fn processor_times(&self) -> Option<ProcessorTimes> {
        (self.processor_times)()
    }

    /// Whether the disk has less than its reserve left. Looked up by the sealer, every second.
    pub(crate) fn is_disk_low(&self) -> bool {
        (self.free_disk_bytes)().is_some_and(|free| free < DISK_RESERVE_BYTES)
    }

    /// Ends what `raft` runs for this node.
    async fn stop_groups(&self) {
        for replica in self.replicas() {
            replica.stop().await;
        }
        if let Some(meta) = self.cluster.as_ref().and_then(Cluster::meta) {
            meta.stop().await;
        }
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

    /// Standalone, the file's settings of the shard count at each start; otherwise when the shard is formed.
    fn propose_wished_settings(&self, replica: &Replica) {
        let is_standalone = self.own_member.is_none();
        let is_new = replica.shard.data.read().revision() == 0;
        if !is_standalone && !is_new {
            return;
        }
        let defaults = Settings::defaults().shard.to_pairs();
        let known = if is_new { defaults } else { self.config.current().shard.to_pairs() };
        let differs = |pair: &(&'static str, String)| !known.contains(pair);
        let pairs: Vec<_> = self.wished.to_pairs().into_iter().filter(differs).collect();
        if !pairs.is_empty() {
            replica.shard.propose_settings(&pairs, self.clock.monotonic_ns());
        }
    }

    /// How far this node's clock is behind the median of its peers', in ms; `None` without peers.
    pub(crate) fn clock_offset_ms(&self) -> Option<i64> {
        let mut offsets = self.transport.get()?.clock_offsets_ms();
        offsets.sort_unstable();
        let (low, high) = (offsets.get(offsets.len().checked_sub(1)? / 2)?, offsets.get(offsets.len() / 2)?);
        // Of two in the middle the nearer: one peer with a wrong clock must not blame the others.
        Some(if low.unsigned_abs() < high.unsigned_abs() { *low } else { *high })
    }

    /// Renews what connections see of a replica's group; `is_shown`: clients are shown its leader.
    pub(crate) fn observe(&self, replica: &Replica, status: &Status, is_shown: bool) {
        let begins = replica.observe(status, is_shown, self.clock.wall_ms());
        if begins {
            self.propose_wished_settings(replica);
        }
        // A node of a cluster serves clients as soon as it knows where to send them.
        if self.cluster.is_none() && replica.shard.standing() != Standing::Leaderless {
            self.loaded.send_if_modified(|loaded| !std::mem::replace(loaded, true));
        }
        if let Some(why) = &status.stopped {
            self.fail(why.clone());
        }
    }
}

/// What hears of the settings of a shard: the directives, and the log of its group, once that is known.
pub(crate) fn follow_settings<L: LogStore>(config: Config, store: L, group: Arc<OnceLock<GroupId>>) -> OnSettings {
    Box::new(move |settings| {
        config.adopt_shard(settings);
        if let Some(group) = group.get() {
            store.set_durability(*group, settings.appendfsync.into());
        }
    })
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

/// The raft thread's work, from its links to other nodes on.
fn raft_work<P: Platform>(shared: Arc<Shared<P>>, log_store: P::LogStore, network: Network<P>) -> Serving {
    Box::pin(async move {
        let (transport, serving) = network(Peers::new(Arc::clone(&shared)));
        serving.into_iter().for_each(|serving| drop(tasks::beside(serving)));
        if let Err(why) = run(&shared, log_store, transport).await {
            shared.fail(why.to_string());
        }
    })
}

/// What the node does with its links: as a node of a cluster, or with one replica.
async fn run<P: Platform>(shared: &Arc<Shared<P>>, log_store: P::LogStore, transport: P::Transport) -> io::Result<()> {
    let addresses = shared.cluster.as_ref().map(|cluster| Arc::clone(&cluster.addresses)).unwrap_or_default();
    let transport = Rerouted::new(transport, addresses);
    assert!(shared.transport.set(transport.clone()).is_ok(), "a node has one transport");
    if shared.cluster.is_some() {
        cluster::run(Arc::clone(shared), log_store, transport).await
    } else {
        run_replica(shared, log_store, transport).await
    }
}

/// The replica from its identity on.
async fn run_replica<P: Platform>(
    shared: &Arc<Shared<P>>,
    log_store: P::LogStore,
    transport: Rerouted<P::Transport>,
) -> io::Result<()> {
    let home = shared.home();
    let group = formation::open_group(shared, &home, log_store, transport).await?;
    home.opened(group.clone());
    tasks::beside(sealer::run(Arc::clone(shared), Arc::clone(&home), group.clone()));
    let arriving = shared.arriving.lock().take().expect("a node runs one replica");
    tasks::beside(formation::take_in(group.clone(), arriving));
    let mut status = group.status();
    loop {
        let now = status.borrow_and_update().clone();
        shared.observe(&home, &now, true);
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
