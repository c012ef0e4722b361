//! The hosts of a run and the links between them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use node::Probe;
use raft::GroupId;
use tokio::io::DuplexStream;
use tokio::time::Instant;

use crate::clock::SimClock;
use crate::disk::Pace;
use crate::host::{Around, Host, Part};
use crate::kept::Kept;
use crate::net::{Links, Net};
use crate::seed::Seed;
use crate::trace::{Topic, Trace};

/// All hosts of a run, as everybody in it shares them. Not borrowed across an await.
pub(crate) type SharedHosts = Rc<RefCell<Hosts>>;

/// See the module.
pub(crate) struct Hosts {
    pub(crate) all: Vec<Host>,
    pub(crate) net: Net,
    trace: Trace,
    start: Instant,
    /// What replicas looked like after an entry (group, term and sequence), and on which host that was seen first.
    seen: BTreeMap<(GroupId, u64, Option<u64>), (usize, Probe)>,
}

/// How the hosts of a run are made.
pub(crate) struct Making<'a> {
    pub(crate) links: Links,
    pub(crate) pace: Pace,
    /// By host: how its clocks run, in millionths, and how much its wall clock is off, in ms.
    pub(crate) clocks: &'a [(i32, i64)],
    /// By host.
    pub(crate) parts: Vec<Part>,
    /// Where values are that are written once.
    pub(crate) kept: Kept,
}

impl Hosts {
    /// Hosts that are off.
    pub(crate) fn new(seed: Seed, making: Making<'_>, trace: Trace) -> Self {
        let start = Instant::now();
        let net = Net::new(making.clocks.len(), seed.of("net", 0), making.links, trace.clone());
        let around = Around { net: net.clone(), trace: trace.clone(), kept: making.kept };
        let pairs = making.clocks.iter().zip(making.parts).enumerate();
        let all = pairs.map(|(number, (&(rate_ppm, offset_ms), part))| {
            let base_ns = seed.of("monotonic", number as u64) >> 20;
            let clock = SimClock::new(start, rate_ppm, base_ns, offset_ms);
            Host::new(number, part, seed.part("host", number), around.clone(), clock, making.pace)
        });
        Self { all: all.collect(), net, trace, start, seen: BTreeMap::new() }
    }

    /// How many hosts there are.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// When the run began.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Connects a client to a host, if its node takes it.
    pub(crate) fn connect(&self, host: usize, client: usize) -> Option<DuplexStream> {
        self.all[host].connect(client)
    }

    /// Takes note of a replica: those that applied the same last entry must be equal.
    ///
    /// # Errors
    /// Says which two are not.
    pub(crate) fn compare(&mut self, group: GroupId, host: usize, probe: Probe) -> Result<(), String> {
        self.trace.note(Topic::Replica, host, "probe", format!("{probe:?}").as_bytes());
        let (first, known) = *self.seen.entry((group, probe.term, probe.sequence)).or_insert((host, probe));
        // Before the first entry a replica has not even the shard's hash key.
        if known != probe && probe.sequence.is_some() {
            return Err(format!("replicas differ: host {host} has {probe:?}, host {first} had {known:?}"));
        }
        Ok(())
    }

    /// Whether every node that runs can go on.
    ///
    /// # Errors
    /// Says which cannot, and why.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.all.iter().enumerate().find_map(|(number, host)| Some((number, host.failure()?))) {
            Some((number, why)) => Err(format!("host {number} could not go on: {why}")),
            None => Ok(()),
        }
    }
}
