//! CLUSTER and ASKING: what the Cluster face says is to be done, done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use commands::ClusterCommand;
use faces::{Action, Answer, FailoverMode, LinkRow, NodeFacts, Traffic, Transport};
use keyspace::Context;
use raft::Transport as PeerTransport;
use resp::{Arguments, Reply};
use slot::Slot;
use topology::{Change, NodeId, ReplicaId};

use super::transaction::Transaction;
use super::{Exchange, Later, Session, Step};
use crate::cluster::{self, Meet};
use crate::messages::{Answer as PeerAnswer, Request};
use crate::node::Shared;
use crate::platform::{Platform, Random};
use crate::replica::Replica;

/// How long slots that were just given may take to be served before the client is told that they are given.
const SERVED_WITHIN: Duration = Duration::from_secs(1);

/// How long a shard's leader may take to say how far its replicas are; a client waits for it.
const OFFSETS_WITHIN: Duration = Duration::from_millis(200);

pub(super) const UNDECIDED: &str =
    "ERR The cluster's nodes have no majority to decide on this: it may or may not be done later";

/// A command of the cluster that takes its time.
pub(crate) enum ClusterWork {
    /// Changes of the topology, made together.
    Propose { changes: Vec<Change>, answer: Answer },
    /// A transaction with commands of the cluster and none about data.
    Transaction(Box<Transaction>),
    /// CLUSTER SHARDS: the leaders are asked how far their replicas are.
    Shards,
    /// This node meets another.
    Meet(Meet),
    /// This node is to lead its home shard.
    Failover(FailoverMode),
    /// The node leaves its cluster and begins anew as a cluster of one; if `hard`, under another id.
    Reset { hard: bool },
}

impl<P: Platform> Session<P> {
    pub(super) fn cluster_command(
        &mut self,
        command: ClusterCommand,
        arguments: Arguments<'_>,
        reply: &mut Reply,
    ) -> Step {
        if self.node.cluster.is_none() {
            faces::disabled(command, arguments, reply);
            return Step::Done;
        }
        let routes = Arc::clone(self.routes());
        let Some(face) = &routes.face else {
            return match faces::unready(command, arguments, reply) {
                Action::Reset { hard } => Step::Later(Later::Cluster(ClusterWork::Reset { hard })),
                _ => Step::Done,
            };
        };
        if command == ClusterCommand::Shards {
            return Step::Later(Later::Cluster(ClusterWork::Shards));
        }
        let action = face.run(command, arguments, Transport::Plain, &Facts(&*self.node), reply);
        match action {
            Action::Replied => (),
            Action::Propose { changes, answer } => {
                return Step::Later(Later::Cluster(ClusterWork::Propose { changes, answer }));
            }
            Action::Replicate { shard } => {
                let replica = ReplicaId(self.node.random.next_u64());
                let changes = vec![Change::Replicate { node: face.settings().myself, shard, replica }];
                return Step::Later(Later::Cluster(ClusterWork::Propose { changes, answer: Answer::Ok }));
            }
            Action::Meet { ip, peer_port, .. } => {
                let address = cluster::address(&ip, peer_port);
                return Step::Later(Later::Cluster(ClusterWork::Meet(Meet { address })));
            }
            Action::Failover(FailoverMode::Takeover) => reply.error(
                "ERR CLUSTER FAILOVER TAKEOVER would need no majority, which a Raft group always needs: use FORCE, or \
                 wait for the majority",
            ),
            Action::Failover(mode @ (FailoverMode::HandOver | FailoverMode::Force)) => {
                return Step::Later(Later::Cluster(ClusterWork::Failover(mode)));
            }
            Action::Reset { hard } => return Step::Later(Later::Cluster(ClusterWork::Reset { hard })),
            Action::SaveConfig | Action::Asking => reply.ok(),
            Action::CountKeysInSlot(slot) => reply.count(self.slot_key_count(slot)),
            Action::KeysInSlot(slot, count) => self.slot_keys(slot, count, reply),
            Action::SlotStats(wanted) => wanted.write(|slot| self.slot_key_count(slot) as u64, reply),
            Action::Links => faces::write_links(&links(&self.node), reply),
        }
        Step::Done
    }

    /// A meeting is begun, unless it is certain that nothing would come of it; OK says only that.
    async fn meet(&self, meet: Meet, reply: &mut Reply) {
        if let Some(why) = cluster::forbids_meeting(&self.node, &meet.address).await {
            return reply.error(format!("ERR {why}"));
        }
        self.begin_meeting(meet, reply);
    }

    pub(super) fn begin_meeting(&self, meet: Meet, reply: &mut Reply) {
        match self.node.cluster.as_ref().map(|cluster| cluster.meet(meet)) {
            Some(true) => reply.ok(),
            _ => reply.error("ERR Too many nodes are being met: ask again"),
        }
    }

    pub(super) fn shards(&self, facts: &dyn NodeFacts, reply: &mut Reply) {
        if let Some(face) = &self.routes().face {
            face.shards(facts, reply);
        }
    }

    /// This node's replica of the slot's shard; of its home shard where it holds none.
    fn replica_of_slot(&self, slot: Slot) -> Arc<Replica> {
        let routes = self.routes();
        let shard = routes.face.as_ref().and_then(|face| Some(face.view().route(slot)?.shard));
        shard.and_then(|shard| routes.replica(shard).cloned()).unwrap_or_else(|| self.node.home())
    }

    fn slot_key_count(&self, slot: Slot) -> usize {
        let replica = self.replica_of_slot(slot);
        let data = replica.shard.data.read();
        data.slot_key_count(&Context::of_read(0, data.clock_ms(), 0, 0), slot)
    }

    fn slot_keys(&self, slot: Slot, count: usize, reply: &mut Reply) {
        let replica = self.replica_of_slot(slot);
        let data = replica.shard.data.read();
        let context = Context::of_read(0, data.clock_ms(), 0, 0);
        let keys: Vec<&[u8]> = data.slot_keys(&context, slot).take(count).collect();
        reply.array(keys.len());
        keys.into_iter().for_each(|key| reply.bulk(key));
    }

    /// Completes a command of the cluster that takes its time.
    pub(super) async fn finish_cluster(&mut self, work: ClusterWork, exchange: &mut Exchange) {
        match work {
            ClusterWork::Propose { changes, answer } => {
                let gives = changes.iter().any(|change| matches!(change, Change::AddSlots { .. }));
                match self.node.change_topology(changes).await {
                    Ok(decision) => {
                        if gives && decision.is_ok() {
                            self.wait_until_served().await;
                        }
                        answer.write(decision.as_deref().map_err(|refusal| *refusal), &mut exchange.reply);
                    }
                    Err(_) => exchange.reply.error(UNDECIDED),
                }
            }
            ClusterWork::Transaction(transaction) => self.run_cluster_transaction(&transaction, exchange).await,
            ClusterWork::Shards => {
                let offsets = gather_offsets(&self.node).await;
                self.shards(&Gathered { facts: Facts(&*self.node), offsets }, &mut exchange.reply);
            }
            ClusterWork::Meet(meet) => self.meet(meet, &mut exchange.reply).await,
            ClusterWork::Failover(mode) => match cluster::fail_over(&self.node, mode).await {
                Ok(()) => exchange.reply.ok(),
                Err(why) => exchange.reply.error(format!("ERR {why}")),
            },
            ClusterWork::Reset { hard } => match cluster::reset(&self.node, hard).await {
                Ok(()) => exchange.reply.ok(),
                Err(why) => exchange.reply.error(format!("ERR {why}")),
            },
        }
    }

    /// Slots that were given are served once the shard's own log says so, a moment later.
    async fn wait_until_served(&self) {
        let Some(topology) = self.node.cluster.as_ref().and_then(|cluster| cluster.topology()) else { return };
        let home = self.node.home();
        let me = self.node.cluster.as_ref().map(|cluster| cluster.me());
        let wanted = me.and_then(|me| topology.shard(topology.node(me)?.home)).map_or(0, |shard| shard.fence().version);
        let served = async {
            loop {
                let advanced = home.shard.advanced.notified();
                tokio::pin!(advanced);
                advanced.as_mut().enable();
                if home.shard.data.read().fence.version().is_none_or(|version| version >= wanted) {
                    return;
                }
                advanced.await;
            }
        };
        // Told all the same when it takes longer: the slots are given.
        drop(tokio::time::timeout(SERVED_WITHIN, served).await);
    }
}

/// What the node knows beside the view.
pub(crate) struct Facts<'a, P: Platform>(pub(crate) &'a Shared<P>);

impl<P: Platform> NodeFacts for Facts<'_, P> {
    fn key_count(&self) -> usize {
        let count = |data: &crate::fence::Data| -> usize {
            (0..keyspace::DATABASE_COUNT).map(|database| data.key_count(database)).sum()
        };
        self.0.served().iter().map(|replica| count(&replica.shard.data.read())).sum()
    }

    fn offset(&self, node: NodeId) -> u64 {
        let home = self.0.home();
        if node.0 == self.0.id().0 { home.shard.applied_index() } else { home.matched_index(raft::NodeId(node.0)) }
    }

    fn sent(&self) -> Traffic {
        self.0.transport().map(|transport| traffic(transport.traffic().0)).unwrap_or_default()
    }

    fn received(&self) -> Traffic {
        self.0.transport().map(|transport| traffic(transport.traffic().1)).unwrap_or_default()
    }

    fn is_cut_off(&self) -> bool {
        self.0.cluster.as_ref().and_then(|cluster| cluster.meta()).is_none_or(|meta| meta.is_cut_off())
    }
}

fn traffic(counted: raft::Traffic) -> Traffic {
    let raft::Traffic { control, log, snapshot, bytes } = counted;
    Traffic { messages: vec![("control", control), ("log", log), ("snapshot", snapshot)], bytes }
}

/// The same, but for offsets that every shard's leader was asked for.
struct Gathered<'a, P: Platform> {
    facts: Facts<'a, P>,
    offsets: BTreeMap<NodeId, u64>,
}

impl<P: Platform> NodeFacts for Gathered<'_, P> {
    fn key_count(&self) -> usize {
        self.facts.key_count()
    }

    fn offset(&self, node: NodeId) -> u64 {
        self.offsets.get(&node).copied().unwrap_or_else(|| self.facts.offset(node))
    }

    fn sent(&self) -> Traffic {
        self.facts.sent()
    }

    fn received(&self) -> Traffic {
        self.facts.received()
    }

    fn is_cut_off(&self) -> bool {
        self.facts.is_cut_off()
    }
}

/// How far each node's replica of its home shard is, as the shards' leaders say.
async fn gather_offsets<P: Platform>(node: &Shared<P>) -> BTreeMap<NodeId, u64> {
    let mut offsets = BTreeMap::new();
    let (Some(cluster), Some(transport)) = (&node.cluster, node.transport()) else { return offsets };
    let (Some(topology), routes) = (cluster.topology(), cluster.routes()) else { return offsets };
    let mut asked = Vec::new();
    for &shard in topology.shards().keys() {
        if let Some(replica) = routes.replica(shard).filter(|replica| replica.leads()) {
            asked.push((shard, Err(replica.offsets())));
        } else if let Some(leader) = routes.view().and_then(|view| view.leader(shard))
            && let Some(known) = topology.node(leader.node)
        {
            let request = Request::Offsets(raft::GroupId(shard.0)).encode();
            let to = cluster::peer(leader.node, &known.endpoint);
            // Sent at once: all are under way together.
            asked.push((shard, Ok(transport.request(&to, raft::Class::Control, request.into(), OFFSETS_WITHIN))));
        }
    }
    for (shard, answer) in asked {
        let found = match answer {
            Err(own) => own,
            Ok(answer) => match answer.await.ok().as_deref().and_then(PeerAnswer::decode) {
                Some(PeerAnswer::Offsets(found)) => found,
                _ => continue,
            },
        };
        // Of a node the replica counts that clients see: that of its home.
        let is_home = |id: &NodeId| topology.node(*id).is_some_and(|known| known.home == shard);
        let found = found.into_iter().map(|(id, index)| (NodeId(id.0), index));
        offsets.extend(found.filter(|(id, _)| is_home(id)));
    }
    offsets
}

/// The connections to other nodes that stand, in order of the nodes.
fn links<P: Platform>(node: &Shared<P>) -> Vec<LinkRow> {
    let Some(topology) = node.cluster.as_ref().and_then(|cluster| cluster.topology()) else { return Vec::new() };
    let mut links = node.transport().and_then(PeerTransport::links).unwrap_or_default();
    links.retain(|link| topology.node(NodeId(link.node.0)).is_some());
    links.sort_unstable_by_key(|link| (link.node, !link.is_outgoing, link.since_ms));
    let row = |link: &raft::PeerLink| LinkRow {
        is_outgoing: link.is_outgoing,
        node: NodeId(link.node.0),
        created_ms: link.since_ms,
        is_sending: link.queued_bytes > 0,
        buffer_allocated_bytes: link.queued_bytes,
        buffer_used_bytes: link.queued_bytes,
    };
    links.iter().map(row).collect()
}
