//! A host: a disk, clocks and links, and the node that runs on them, from start to power cut to start.
//!
//! All of a node's places are tasks of one set. Cutting the power drops the set, after the disk and the links were
//! taken away; what openraft still runs for a moment reaches nobody.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use node::config::{self, Config, Invocation};
use node::{MemoryProbe, Node, Start};
use raft::NodeId;
use tokio::io::DuplexStream;
use tokio::runtime::UnhandledPanic;
use tokio::task::{JoinHandle, LocalSet};

use crate::clock::SimClock;
use crate::disk::{Pace, SimDisk};
use crate::kept::Kept;
use crate::net::Net;
use crate::platform::{SimPlatform, SimRandom, SimRecord, SimThreads};
use crate::seed::Seed;
use crate::tasks;
use crate::trace::{Topic, Trace};

/// How much a client's connection holds on its way, in bytes.
const SOCKET_BYTES: usize = 64 * 1024;

/// See the module.
pub(crate) struct Host {
    number: usize,
    part: Part,
    seed: Seed,
    around: Around,
    pub(crate) clock: SimClock,
    pub(crate) disk: SimDisk,
    record: SimRecord,
    id: NodeId,
    /// How often it was started.
    starts: u64,
    /// Its node was told to stop, and was not started since.
    takes_leave: Cell<bool>,
    running: Option<Running>,
}

/// What a host shares with the others of its run.
#[derive(Clone)]
pub(crate) struct Around {
    pub(crate) net: Net,
    pub(crate) trace: Trace,
    pub(crate) kept: Kept,
}

/// What a host's node is started as.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Directives, as flags.
    pub(crate) flags: Vec<String>,
    /// Which of `initial-members` it is, if it is one.
    pub(crate) own_member: Option<usize>,
}

struct Running {
    node: Node<SimPlatform>,
    places: JoinHandle<()>,
    syncing: JoinHandle<()>,
    watching: JoinHandle<()>,
    /// Why the node could not go on: a process would have ended.
    failure: Rc<RefCell<Option<String>>>,
}

/// The address of a host.
pub(crate) fn ip(host: usize) -> String {
    format!("127.0.0.{}", host + 1)
}

/// The port for clients, the same on all hosts.
pub(crate) const CLIENT_PORT: u16 = 7000;

/// Where clients reach a host.
pub(crate) fn client_address(host: usize) -> String {
    format!("{}:{CLIENT_PORT}", ip(host))
}

impl Host {
    /// A host that is off, with an empty disk.
    pub(crate) fn new(number: usize, part: Part, seed: Seed, around: Around, clock: SimClock, pace: Pace) -> Self {
        let disk = SimDisk::new(number, seed.of("disk", 0), pace, &around);
        let (record, id) = (SimRecord::default(), node_id(seed, 0));
        Self {
            number,
            part,
            seed,
            around,
            clock,
            disk,
            record,
            id,
            starts: 0,
            takes_leave: Cell::new(false),
            running: None,
        }
    }

    /// The id of the node that its disk is of.
    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    /// The node, while it runs.
    pub(crate) fn node(&self) -> Option<&Node<SimPlatform>> {
        self.running.as_ref().map(|running| &running.node)
    }

    /// Turns it on.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        assert!(self.running.is_none(), "a host that runs is not started");
        self.starts += 1;
        self.takes_leave.set(false);
        self.around.trace.note(Topic::Fault, self.number, "start", &[]);
        let (transport, inbox) = self.around.net.up(self.number, self.id);
        let (net, number, threads) = (self.around.net.clone(), self.number, SimThreads::default());
        let start = Start {
            config: self.config()?,
            id: self.id,
            own_member: self.part.own_member,
            own_ip: None,
            record: Box::new(self.record.clone()),
            log_store: self.disk.clone(),
            network: Box::new(move |peers| (transport, vec![Box::pin(inbox.serve(number, net, peers))])),
            clock: self.clock.clone(),
            random: SimRandom::new(self.seed.of("node", self.starts)),
            threads: threads.clone(),
            memory: MemoryProbe::UNKNOWN,
            processor_times: || None,
            free_disk_bytes: Box::new(|| None),
        };
        let node = Node::start(start).map_err(|why| format!("a node did not start: {why}"))?;
        let mut places = LocalSet::new();
        places.unhandled_panic(UnhandledPanic::ShutdownRuntime);
        for main in threads.take() {
            places.spawn_local(async move { main().await });
        }
        let failure: Rc<RefCell<Option<String>>> = Rc::default();
        let (watched, noted) = (node.clone(), Rc::clone(&failure));
        self.running = Some(Running {
            node,
            places: tasks::beside(places),
            syncing: tasks::beside(self.disk.clone().run()),
            watching: tasks::beside(async move { *noted.borrow_mut() = Some(watched.failure().await) }),
            failure,
        });
        Ok(())
    }

    /// How often it was started: names a life of its node.
    pub(crate) fn life(&self) -> u64 {
        self.starts
    }

    /// Whether its node has said that it is stopping, and has not begun anew.
    pub(crate) fn takes_leave(&self) -> bool {
        self.takes_leave.get()
    }

    /// Why its node could not go on, if it could not.
    pub(crate) fn failure(&self) -> Option<String> {
        self.running.as_ref()?.failure.borrow().clone()
    }

    fn config(&self) -> Result<Config, String> {
        let no_file = |_: &std::path::Path| Err(std::io::Error::other("there is no file"));
        match config::load(&self.part.flags, &no_file).map_err(|why| why.to_string())? {
            Invocation::Run(loaded) => Ok(Config::new(loaded.settings, None)),
            _ => Err("the flags run no node".to_owned()),
        }
    }

    /// Cuts the power.
    pub(crate) fn cut_power(&mut self) {
        let Some(running) = self.running.take() else { return };
        self.around.trace.note(Topic::Fault, self.number, "power cut", &[]);
        self.around.net.down(self.number);
        running.end();
        self.disk = self.disk.cut_power();
    }

    /// Begins to stop the node in order, as SIGTERM does: what is returned hands leadership over and answers clients.
    /// [`Self::turn_off`] follows.
    pub(crate) fn stop(&self) -> Option<impl Future<Output = ()> + use<>> {
        let running = self.running.as_ref()?;
        self.around.trace.note(Topic::Fault, self.number, "stop", &[]);
        self.takes_leave.set(true);
        // Its group stops, and that is no failure now.
        running.watching.abort();
        let node = running.node.clone();
        Some(async move { node.stop().await })
    }

    /// What is left of a node that has stopped in order goes; its disk holds everything.
    pub(crate) fn turn_off(&mut self) {
        let Some(running) = self.running.take() else { return };
        self.around.trace.note(Topic::Fault, self.number, "off", &[]);
        self.around.net.down(self.number);
        running.end();
        self.disk = self.disk.close();
    }

    /// Replaces the disk of a host that is off by an empty one: the node there is another one.
    pub(crate) fn wipe(&mut self, pace: Pace) {
        assert!(self.running.is_none(), "the disk of a host that runs stays");
        self.around.trace.note(Topic::Fault, self.number, "wiped", &[]);
        self.disk = SimDisk::new(self.number, self.seed.of("disk", self.starts), pace, &self.around);
        self.record = SimRecord::default();
        self.id = node_id(self.seed, self.starts);
    }

    /// Connects a client, if the node runs and takes it.
    pub(crate) fn connect(&self, client: usize) -> Option<DuplexStream> {
        let node = self.node()?;
        let (ours, theirs) = tokio::io::duplex(SOCKET_BYTES);
        let address = format!("127.0.0.1:{}", 10_000 + client);
        node.connect(theirs, address, client_address(self.number)).ok()?;
        Some(ours)
    }
}

impl Running {
    fn end(self) {
        self.places.abort();
        self.syncing.abort();
        self.watching.abort();
        let node = self.node;
        drop(tasks::beside(async move { node.bury().await }));
    }
}

fn node_id(seed: Seed, life: u64) -> NodeId {
    let mut id = [0; 20];
    for (part, word) in id.chunks_mut(8).zip(0..) {
        let bytes = seed.of("node id", life * 3 + word).to_le_bytes();
        part.copy_from_slice(&bytes[..part.len()]);
    }
    NodeId(id)
}
