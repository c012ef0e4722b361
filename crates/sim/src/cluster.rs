//! The hosts of a run, the links between them, and what is true of their replicas at any moment.

use std::collections::BTreeMap;

use node::Probe;
use tokio::io::DuplexStream;
use tokio::time::Instant;

use crate::host::Host;
use crate::net::Net;
use crate::trace::{Topic, Trace};

/// All hosts of a run.
pub(crate) struct Cluster {
    pub(crate) hosts: Vec<Host>,
    pub(crate) net: Net,
    trace: Trace,
    start: Instant,
    /// What replicas looked like after an entry: term and sequence, then the rest.
    seen: BTreeMap<(u64, Option<u64>), (usize, Probe)>,
}

impl Cluster {
    pub(crate) fn new(hosts: Vec<Host>, net: Net, trace: Trace) -> Self {
        Self { hosts, net, trace, start: Instant::now(), seen: BTreeMap::new() }
    }

    /// How many hosts there are.
    pub(crate) fn size(&self) -> usize {
        self.hosts.len()
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
        self.hosts[host].connect(client)
    }

    /// The host whose node leads in the highest term.
    pub(crate) fn leader(&self) -> Option<usize> {
        let leading = self.hosts.iter().enumerate().filter_map(|(number, host)| {
            let status = host.node()?.status();
            (status.leads() && status.ready).then_some((status.term, number))
        });
        leading.max().map(|(_, number)| number)
    }

    /// The highest term in which a node leads.
    pub(crate) fn term(&self) -> Option<u64> {
        let status = self.hosts.iter().filter_map(|host| Some(host.node()?.status()));
        status.filter(|status| status.leads() && status.ready).map(|status| status.term).max()
    }

    /// Looks at every replica: those that applied the same last entry must be equal.
    ///
    /// # Errors
    /// Says which two are not.
    pub(crate) fn compare(&mut self) -> Result<(), String> {
        for (number, host) in self.hosts.iter().enumerate() {
            let Some(node) = host.node() else { continue };
            let probe = node.probe();
            self.trace.note(Topic::Replica, number, "probe", format!("{probe:?}").as_bytes());
            let (first, known) = *self.seen.entry((probe.term, probe.sequence)).or_insert((number, probe));
            // Before the first entry a replica has not even the shard's hash key.
            if known != probe && probe.sequence.is_some() {
                return Err(format!("replicas differ: host {number} has {probe:?}, host {first} had {known:?}"));
            }
        }
        Ok(())
    }

    /// Whether every node runs, votes in one group, and has applied the same.
    pub(crate) fn is_level(&self) -> bool {
        let mut probes = Vec::new();
        for host in &self.hosts {
            let Some(node) = host.node() else { return false };
            let status = node.status();
            if status.voters.len() != self.size() || status.joint || !status.learners.is_empty() {
                return false;
            }
            probes.push(node.probe());
        }
        probes.windows(2).all(|pair| pair[0] == pair[1])
    }

    /// A line about every host, for whoever reads why a run failed.
    pub(crate) fn describe(&self) -> String {
        let describe = |(number, host): (usize, &Host)| match host.node() {
            None => format!("host {number}: off"),
            Some(node) => {
                let (status, probe) = (node.status(), node.probe());
                format!(
                    "host {number}: {:?} term {} of {} voters, {} learners, applied {:?}, {probe:?}, {:?}",
                    status.role,
                    status.term,
                    status.voters.len(),
                    status.learners.len(),
                    status.applied,
                    status.stopped
                )
            }
        };
        self.hosts.iter().enumerate().map(describe).collect::<Vec<_>>().join("\n")
    }
}
