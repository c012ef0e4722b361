//! The replies that need facts about the node: CLUSTER INFO, SHARDS, LINKS and SLOT-STATS.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use resp::Reply;
use slot::{Slot, SlotSet};
use topology::{Mark, NodeId, ShardId, ViewNode};

use crate::cluster::Action;
use crate::face::Face;

/// What the node knows beside the view. It is asked for what a reply needs, and no more: CLUSTER SLOTS and NODES need nothing.
pub trait NodeFacts {
    /// How many keys it holds of its home shard.
    fn key_count(&self) -> usize;
    /// How far a node has applied the home shard's log of this one, as far as this node knows; 0 where it does not.
    fn offset(&self, node: NodeId) -> u64;
    /// What it sent to other nodes.
    fn sent(&self) -> Traffic;
    /// What it received.
    fn received(&self) -> Traffic;
    /// Whether it is out of touch with a majority, so that it cannot know what the cluster does.
    fn is_cut_off(&self) -> bool;
}

/// Messages between nodes.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// How many, by kind; kinds of which there were none are not shown.
    pub messages: Vec<(&'static str, u64)>,
    /// Their bytes.
    pub bytes: u64,
}

/// A link to another node, for CLUSTER LINKS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkRow {
    /// Whether this node opened it.
    pub is_outgoing: bool,
    /// The other node.
    pub node: NodeId,
    /// When it was opened: ms since 1970.
    pub created_ms: u64,
    /// Whether something waits to be sent.
    pub is_sending: bool,
    /// Bytes that its send buffer has room for.
    pub buffer_allocated_bytes: u64,
    /// Bytes that wait in it.
    pub buffer_used_bytes: u64,
}

/// CLUSTER LINKS.
pub fn write_links(links: &[LinkRow], reply: &mut Reply) {
    let integer = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    reply.array(links.len());
    for link in links {
        reply.map(6);
        reply.bulk("direction");
        reply.bulk(if link.is_outgoing { "to" } else { "from" });
        reply.bulk("node");
        reply.bulk(link.node.to_string());
        reply.bulk("create-time");
        reply.integer(integer(link.created_ms));
        reply.bulk("events");
        reply.bulk(if link.is_sending { "rw" } else { "r" });
        reply.bulk("send-buffer-allocated");
        reply.integer(integer(link.buffer_allocated_bytes));
        reply.bulk("send-buffer-used");
        reply.integer(integer(link.buffer_used_bytes));
    }
}

/// What CLUSTER SLOT-STATS asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotStats {
    /// The slots that it is about: those of this node's shard.
    pub slots: SlotSet,
    /// At most so many of them, ordered by their keys, the most first (`true`) or last; `None` for all in their own order.
    pub most: Option<(usize, bool)>,
}

impl SlotStats {
    /// Writes the reply; `keys` counts those of a slot that this node holds.
    pub fn write(&self, keys: impl Fn(Slot) -> u64, reply: &mut Reply) {
        let mut rows: Vec<(Slot, u64)> = self.slots.iter().map(|slot| (slot, keys(slot))).collect();
        if let Some((limit, most_first)) = self.most {
            rows.sort_by_key(|&(slot, keys)| (if most_first { u64::MAX - keys } else { keys }, slot));
            rows.truncate(limit);
        }
        reply.array(rows.len());
        for (slot, keys) in rows {
            reply.array(2);
            reply.integer(i64::from(slot.number()));
            reply.map(1);
            reply.bulk("key-count");
            reply.integer(i64::try_from(keys).unwrap_or(i64::MAX));
        }
    }
}

impl Face {
    /// CLUSTER INFO
    pub(crate) fn info(&self, facts: &dyn NodeFacts, reply: &mut Reply) -> Action {
        let view = self.view();
        let coverage = view.coverage();
        let marked = |mark, voting: bool| {
            let counts = |node: &&ViewNode| node.mark == mark && (!voting || !node.slots.is_empty());
            view.nodes().iter().filter(counts).count()
        };
        let mut lines = String::new();
        let mut add = |name: &str, value: &dyn std::fmt::Display| {
            write!(lines, "{name}:{value}\r\n").expect("a string takes any text");
        };
        add("cluster_state", &if self.is_ok() && !facts.is_cut_off() { "ok" } else { "fail" });
        add("cluster_slots_assigned", &coverage.assigned);
        add("cluster_slots_ok", &coverage.ok);
        add("cluster_slots_pfail", &coverage.suspected);
        add("cluster_slots_fail", &coverage.failed);
        add("cluster_nodes_pfail", &marked(Mark::Suspected, false));
        add("cluster_nodes_fail", &marked(Mark::Failed, false));
        add("cluster_voting_nodes_pfail", &marked(Mark::Suspected, true));
        add("cluster_voting_nodes_fail", &marked(Mark::Failed, true));
        add("cluster_known_nodes", &view.nodes().len());
        add("cluster_size", &view.leading().filter(|(_, node)| !node.slots.is_empty()).count());
        add("cluster_current_epoch", &view.current_epoch());
        add("cluster_my_epoch", &self.myself().map_or(0, |node| node.config_epoch));
        let (sent, received) = (facts.sent(), facts.received());
        for (direction, traffic) in [("sent", &sent), ("received", &received)] {
            for (kind, count) in traffic.messages.iter().filter(|(_, count)| *count > 0) {
                add(&format!("cluster_stats_messages_{kind}_{direction}"), count);
            }
            let total: u64 = traffic.messages.iter().map(|(_, count)| count).sum();
            add(&format!("cluster_stats_messages_{direction}"), &total);
        }
        add("cluster_stats_bytes_sent", &sent.bytes);
        add("cluster_stats_bytes_received", &received.bytes);
        for kind in ["pubsub", "module"] {
            add(&format!("cluster_stats_{kind}_bytes_sent"), &0);
            add(&format!("cluster_stats_{kind}_bytes_received"), &0);
        }
        add("total_cluster_links_buffer_limit_exceeded", &0);
        reply.verbatim(b"txt", lines);
        Action::Replied
    }

    /// CLUSTER SHARDS: by shard id, of each its slots and its nodes, the master first. The offsets are what the facts say: a node that has
    /// asked each shard's leader for them answers what any other would.
    pub fn shards(&self, facts: &dyn NodeFacts, reply: &mut Reply) {
        let mut shards: BTreeMap<ShardId, Vec<&ViewNode>> = BTreeMap::new();
        for node in self.view().nodes() {
            shards.entry(node.shard).or_default().push(node);
        }
        reply.array(shards.len());
        for (id, mut nodes) in shards {
            nodes.sort_by_key(|node| !node.leads());
            reply.map(3);
            reply.bulk("slots");
            let ranges = || nodes.iter().flat_map(|node| node.slots.ranges());
            reply.array(2 * ranges().count());
            for range in ranges() {
                reply.integer(i64::from(range.first().number()));
                reply.integer(i64::from(range.last().number()));
            }
            reply.bulk("nodes");
            reply.array(nodes.len());
            nodes.iter().for_each(|node| self.write_member(node, facts, reply));
            reply.bulk("id");
            reply.bulk(id.to_string());
        }
    }

    fn write_member(&self, node: &ViewNode, facts: &dyn NodeFacts, reply: &mut Reply) {
        let endpoint = &node.endpoint;
        let is_some = |text: &&(&str, &str)| text.0 == "ip" || text.0 == "endpoint" || !text.1.is_empty();
        let texts = [
            ("ip", endpoint.ip.as_str()),
            ("endpoint", self.preferred(endpoint).unwrap_or_default()),
            ("hostname", endpoint.hostname.as_str()),
        ];
        let texts = || texts.iter().filter(is_some);
        let ports = [("port", endpoint.port), ("tls-port", endpoint.tls_port)];
        let ports = || ports.iter().filter(|(_, port)| *port != 0);
        let zone = &endpoint.availability_zone;
        reply.map(4 + ports().count() + texts().count() + usize::from(!zone.is_empty()));
        reply.bulk("id");
        reply.bulk(node.id.to_string());
        for (name, port) in ports() {
            reply.bulk(name);
            reply.integer(i64::from(*port));
        }
        for (name, text) in texts() {
            reply.bulk(name);
            reply.bulk(text);
        }
        reply.bulk("role");
        reply.bulk(if node.leads() { "master" } else { "replica" });
        reply.bulk("replication-offset");
        reply.integer(i64::try_from(facts.offset(node.id)).unwrap_or(i64::MAX));
        reply.bulk("health");
        reply.bulk(match node.mark {
            Mark::Failed => "fail",
            _ if !node.is_member && !node.leads() => "loading",
            _ => "online",
        });
        if !zone.is_empty() {
            reply.bulk("availability-zone");
            reply.bulk(zone);
        }
    }
}
