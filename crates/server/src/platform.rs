//! What a node stands on in production: sled, gRPC, the machine's clocks, threads and sockets.

use std::cell::Cell;
use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use node::config::{Config, Settings};
use node::{Network, Node, OsThreads, Peers, Place, Platform, ProcessorTimes, Record, Serving, Start};
use raft::NodeId;
use rpc::{PeerLinks, RpcConfig};
use storage::{Opened, Store};

use crate::clock::SystemClock;
use crate::listen;

/// What entries and messages this program speaks; peers with another level are refused.
const FEATURE_LEVEL: u32 = 1;

/// The largest message between nodes: an entry with the largest command that a node takes.
const MESSAGE_BYTES_MAX: usize = 640 << 20;

/// See the module.
pub(crate) struct Production;

impl Platform for Production {
    type LogStore = Store;
    type Transport = PeerLinks;
    type Clock = SystemClock;
    type Random = SystemRandom;
    type Threads = OsThreads;
    type Socket = TcpStream;
}

/// Numbers that nobody can guess: ids and hash keys are drawn from them. A thread asks the system for 32 at a time.
#[derive(Clone, Copy)]
pub(crate) struct SystemRandom;

thread_local! {
    /// What the system gave, and how much of it is left, at the end.
    static DRAWN: Cell<([u64; 32], usize)> = const { Cell::new(([0; 32], 0)) };
}

impl node::Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        let (mut numbers, mut left) = DRAWN.get();
        if left == 0 {
            let mut bytes = [0; 256];
            let drawn = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
            assert_eq!(drawn, Ok(bytes.len()), "the system gives up to 256 random bytes at once");
            let (words, _) = bytes.as_chunks();
            numbers = std::array::from_fn(|at| u64::from_le_bytes(words[at]));
            left = numbers.len();
        }
        left -= 1;
        // Nobody is given it twice, nor finds it here later.
        let number = std::mem::take(&mut numbers[left]);
        DRAWN.set((numbers, left));
        number
    }
}

/// The replica's identity in the file `node`.
struct NodeRecord(storage::Identity);

impl Record for NodeRecord {
    fn load(&self) -> io::Result<Vec<u8>> {
        Ok(self.0.record())
    }

    fn save(&mut self, node: NodeId, bytes: &[u8]) -> io::Result<()> {
        self.0.set(node, bytes).map_err(io::Error::other)
    }
}

/// The options of the store in a data directory.
pub type StoreOptions = fn(String) -> storage::Options;

/// Opens the data directory and starts the node. `own_member` is its place in `initial-members`.
pub(crate) fn start(
    config: &Config,
    own_member: Option<usize>,
    store_options: StoreOptions,
) -> anyhow::Result<(Node<Production>, Store)> {
    let settings = config.current();
    let Opened { identity, store, .. } =
        storage::open(&store_options(settings.dir.clone())).map_err(|error| anyhow!(error.to_string()))?;
    let cores = thread::available_parallelism().map_or(2, usize::from);
    let start = Start {
        config: config.clone(),
        id: identity.node(),
        own_member,
        own_ip: own_ip(),
        network: network(&settings, identity.node())?,
        record: Box::new(NodeRecord(identity)),
        log_store: store.clone(),
        clock: SystemClock,
        random: SystemRandom,
        threads: OsThreads::new(settings.io_threads_on(cores), set_priority),
        memory: crate::memory::PROBE,
        processor_times,
        free_disk_bytes: {
            let dir = settings.dir.clone();
            Box::new(move || storage::free_bytes(dir.as_ref()).ok())
        },
    };
    Ok((Node::start(start).context("starting the node's threads")?, store))
}

/// The thread that encodes snapshots and frees what is big gives way to those that somebody waits for.
fn set_priority(place: Place) {
    if place == Place::Reclaim
        && let Err(why) = storage::give_way()
    {
        tracing::warn!("snapshots are encoded at the same priority as everything else: {why}");
    }
}

/// The peer port is bound here, so that a taken one is an error of the start; it is served on the raft thread.
fn network(settings: &Settings, node: NodeId) -> anyhow::Result<Network<Production>> {
    let listeners = match settings.peer_port() {
        Some(port) => listen::open(&settings.bind, "cluster-port", port, settings.tcp_backlog)?,
        None => Vec::new(),
    };
    let timeout = (settings.election_timeout_ms.min_ms, settings.election_timeout_ms.max_ms);
    let mut config = RpcConfig::new(node, settings.masterauth.clone(), timeout, FEATURE_LEVEL, SystemClock);
    config.limits.message_bytes_max = MESSAGE_BYTES_MAX;
    Ok(Box::new(move |peers| {
        let links = PeerLinks::new(config);
        let serving = listeners.into_iter().map(|listener| serve(links.clone(), listener, peers.clone()));
        let serving = serving.collect();
        (links, serving)
    }))
}

fn serve(links: PeerLinks, listener: TcpListener, peers: Peers<Production>) -> Serving {
    Box::pin(async move {
        let serving = async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            links.serve(listener, peers, std::future::pending()).await
        };
        if let Err(why) = serving.await {
            tracing::error!("the peer port is not served: {why}");
        }
    })
}

/// The address that this machine sends from to elsewhere. Nothing is sent: the system only looks its routes up.
fn own_ip() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // An address for documentation: it is nobody's.
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then(|| ip.to_string())
}

/// Clock ticks a second, as Linux shows them to programs whatever its own timer does.
const TICKS_PER_SECOND: u64 = 100;

fn processor_times() -> Option<ProcessorTimes> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in parentheses that may hold anything.
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let mut time = || Some(Duration::from_millis(fields.next()?.parse::<u64>().ok()? * (1000 / TICKS_PER_SECOND)));
    Some(ProcessorTimes { user: time()?, system: time()? })
}
