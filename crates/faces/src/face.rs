//! The Cluster face of one view: what it is made of, and the two replies that it keeps.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use resp::{Protocol, Reply};
use slot::SlotRange;
use topology::{Endpoint, Mark, NodeId, Role, View, ViewNode};

use crate::cluster::Action;

/// Which of a node's names clients are sent to: `cluster-preferred-endpoint-type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PreferredEndpoint {
    /// `ip`: its address.
    #[default]
    Ip,
    /// `hostname`: its host name, or `?` if it has none.
    Hostname,
    /// `unknown-endpoint`: none; clients go on with the name that they used.
    Unknown,
}

/// How a client is connected, and so which port of a node it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// To the plain port.
    Plain,
    /// To the TLS port.
    Tls,
}

/// What a face takes from the node's directives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The node that answers.
    pub myself: NodeId,
    /// `cluster-preferred-endpoint-type`.
    pub endpoint: PreferredEndpoint,
    /// `cluster-require-full-coverage`: without an owner for every slot the cluster is down.
    pub full_coverage: bool,
}

/// What the node knows of its link to another node, as CLUSTER NODES shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Whether there is one.
    pub is_up: bool,
    /// When a ping was sent that is not answered yet: ms since 1970; 0 if there is none.
    pub ping_sent_ms: u64,
    /// When it was last heard of: ms since 1970; 0 for never.
    pub pong_received_ms: u64,
    /// How many other nodes reported that they do not hear of it.
    pub failure_reports: u32,
}

/// The Cluster face of one view. The node makes a new one when the view changes or a link comes or goes.
#[derive(Debug)]
pub struct Face {
    view: Arc<View>,
    settings: Settings,
    links: BTreeMap<NodeId, Link>,
    slots: Kept,
    nodes: Kept,
}

/// A reply for each transport and protocol, once somebody asked for it.
#[derive(Debug, Default)]
struct Kept([OnceLock<Vec<u8>>; 4]);

impl Kept {
    fn reply(&self, transport: Transport, reply: &mut Reply, write: impl FnOnce(&mut Reply)) {
        let (tls, resp3) = (transport == Transport::Tls, reply.protocol() == Protocol::Resp3);
        let bytes = self.0[usize::from(tls) * 2 + usize::from(resp3)].get_or_init(|| {
            let mut kept = Reply::new(if resp3 { Protocol::Resp3 } else { Protocol::Resp2 });
            write(&mut kept);
            kept.into_bytes()
        });
        reply.raw(bytes);
    }
}

impl Face {
    /// The face of a view. `links` are those to the other nodes; one that is missing is down.
    pub fn new(view: Arc<View>, settings: Settings, links: BTreeMap<NodeId, Link>) -> Self {
        Self { view, settings, links, slots: Kept::default(), nodes: Kept::default() }
    }

    /// The view.
    pub const fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// The node that answers, if the view knows it: one that was forgotten is not in it.
    pub fn myself(&self) -> Option<&ViewNode> {
        self.view.node(self.settings.myself)
    }

    /// The settings it was made with.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The link to a node; that to itself is up.
    pub(crate) fn link(&self, node: NodeId) -> Link {
        let own = Link { is_up: node == self.settings.myself, ..Link::default() };
        self.links.get(&node).copied().filter(|_| !own.is_up).unwrap_or(own)
    }

    /// Whether the cluster serves: its slots are covered as far as the settings ask for, and no owner of one has failed. Without that, a client is
    /// told [`DOWN`](crate::DOWN).
    pub fn is_ok(&self) -> bool {
        let coverage = self.view.coverage();
        !self.settings.full_coverage || coverage.assigned == usize::from(slot::SLOT_COUNT) && coverage.failed == 0
    }

    /// CLUSTER SLOTS: ranges in order, each with its master first, then those replicas that have its data.
    pub(crate) fn slots(&self, transport: Transport, reply: &mut Reply) -> Action {
        self.slots.reply(transport, reply, |reply| self.write_slots(transport, reply));
        Action::Replied
    }

    fn write_slots(&self, transport: Transport, reply: &mut Reply) {
        let mut ranges: Vec<(SlotRange, usize)> = Vec::new();
        for (place, node) in self.view.leading() {
            ranges.extend(node.slots.ranges().map(|range| (range, place)));
        }
        ranges.sort_unstable();
        reply.array(ranges.len());
        for (range, place) in ranges {
            let is_served = |node: &&ViewNode| node.is_member && node.mark != Mark::Failed;
            let replicas = || self.view.followers(place).filter(is_served);
            reply.array(3 + replicas().count());
            reply.integer(i64::from(range.first().number()));
            reply.integer(i64::from(range.last().number()));
            self.write_node(&self.view.nodes()[place], transport, reply);
            replicas().for_each(|node| self.write_node(node, transport, reply));
        }
    }

    /// A node as CLUSTER SLOTS names it: endpoint, port, id, and what else is known of where it is.
    fn write_node(&self, node: &ViewNode, transport: Transport, reply: &mut Reply) {
        reply.array(4);
        match self.preferred(&node.endpoint) {
            Some(endpoint) => reply.bulk(endpoint),
            None => reply.null(),
        }
        reply.integer(i64::from(port(&node.endpoint, transport)));
        reply.bulk(node.id.to_string());
        let endpoint = &node.endpoint;
        let ip = (self.settings.endpoint != PreferredEndpoint::Ip).then_some(("ip", &endpoint.ip));
        let hostname = (self.settings.endpoint != PreferredEndpoint::Hostname && !endpoint.hostname.is_empty())
            .then_some(("hostname", &endpoint.hostname));
        let zone =
            (!endpoint.availability_zone.is_empty()).then_some(("availability-zone", &endpoint.availability_zone));
        let more = || [ip, hostname, zone].into_iter().flatten();
        reply.map(more().count());
        for (name, value) in more() {
            reply.bulk(name);
            reply.bulk(value);
        }
    }

    /// What clients are told to connect to; `None` if they are not told.
    pub(crate) fn preferred<'e>(&self, endpoint: &'e Endpoint) -> Option<&'e str> {
        match self.settings.endpoint {
            PreferredEndpoint::Ip => Some(&endpoint.ip),
            PreferredEndpoint::Hostname if endpoint.hostname.is_empty() => Some("?"),
            PreferredEndpoint::Hostname => Some(&endpoint.hostname),
            PreferredEndpoint::Unknown => None,
        }
    }

    /// CLUSTER NODES: a line for each node, in the order of their ids.
    pub(crate) fn nodes(&self, transport: Transport, reply: &mut Reply) -> Action {
        self.nodes.reply(transport, reply, |reply| {
            let lines = self.view.nodes().iter().map(|node| self.node_line(node, transport) + "\n");
            reply.verbatim(b"txt", lines.collect::<String>());
        });
        Action::Replied
    }

    /// A node's line in CLUSTER NODES, without its end.
    ///
    /// ```text
    /// id ip:port@bus[,hostname] flags master|- ping-sent pong-received config-epoch link slots ...
    /// ```
    pub(crate) fn node_line(&self, node: &ViewNode, transport: Transport) -> String {
        let endpoint = &node.endpoint;
        let mut line = format!("{} {}:{}@{}", node.id, endpoint.ip, port(endpoint, transport), endpoint.peer_port);
        let mut add = |text: std::fmt::Arguments<'_>| line.write_fmt(text).expect("a string takes any text");
        if !endpoint.hostname.is_empty() {
            add(format_args!(",{}", endpoint.hostname));
        }
        let is_myself = node.id == self.settings.myself;
        let mark = match node.mark {
            _ if is_myself => "",
            Mark::Live => "",
            Mark::Suspected => ",fail?",
            Mark::Failed => ",fail",
        };
        let myself = if is_myself { "myself," } else { "" };
        let role = if node.leads() { "master" } else { "slave" };
        add(format_args!(" {myself}{role}{mark} "));
        match node.role {
            Role::Following(Some(place)) => add(format_args!("{}", self.view.nodes()[place].id)),
            Role::Following(None) | Role::Leading => add(format_args!("-")),
        }
        let link = self.link(node.id);
        let state = if link.is_up { "connected" } else { "disconnected" };
        let (sent, received) = (link.ping_sent_ms, link.pong_received_ms);
        add(format_args!(" {sent} {received} {} {state}", node.config_epoch));
        node.slots.ranges().for_each(|range| add(format_args!(" {range}")));
        line
    }
}

/// The port of a node for clients of a transport.
pub(crate) const fn port(endpoint: &Endpoint, transport: Transport) -> u16 {
    match transport {
        Transport::Plain => endpoint.port,
        Transport::Tls => endpoint.tls_port,
    }
}
