//! CLUSTER and ASKING: what the Cluster face says is to be done, done.

use std::sync::Arc;
use std::time::Duration;

use commands::ClusterCommand;
use faces::{Action, Answer, FailoverMode, LinkRow, NodeFacts, Traffic, Transport};
use keyspace::Context;
use raft::Clock;
use resp::{Arguments, Reply};
use slot::Slot;
use topology::{Change, NodeId, ReplicaId};

use super::transaction::Transaction;
use super::{Exchange, Later, Session, Step};
use crate::cluster::{self, Meet};
use crate::node::Shared;
use crate::platform::{Platform, Random};
use crate::replica::Replica;

/// How long slots that were just given may take to be served before the client is told that they are given.
const SERVED_WITHIN: Duration = Duration::from_secs(1);
/// How long a failover that a client asked for may take.
const FAILOVER_WITHIN: Duration = Duration::from_secs(3);

pub(super) const UNDECIDED: &str =
    "ERR The cluster's nodes have no majority to decide on this: it may or may not be done later";

/// A command of the cluster that takes its time.
pub(crate) enum ClusterWork {
    /// Changes of the topology, made together.
    Propose { changes: Vec<Change>, answer: Answer },
    /// A transaction with commands of the cluster and none about data.
    Transaction(Box<Transaction>),
    /// This node is to lead its home shard.
    Failover,
    /// The node leaves its cluster and begins anew as a cluster of one.
    Reset,
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
            reply.error("LOADING Redis is loading the dataset in memory");
            return Step::Done;
        };
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
            Action::Meet { ip, peer_port, .. } => self.meet(&ip, peer_port, reply),
            Action::Failover(FailoverMode::Takeover) => reply.error(
                "ERR CLUSTER FAILOVER TAKEOVER would need no majority, which a Raft group always needs: use FORCE, or \
                 wait for the majority",
            ),
            Action::Failover(FailoverMode::HandOver | FailoverMode::Force) => {
                return Step::Later(Later::Cluster(ClusterWork::Failover));
            }
            Action::Reset { hard: true } => {
                reply.error("ERR CLUSTER RESET HARD is not in this version yet: use CLUSTER RESET SOFT, or a new dir");
            }
            Action::Reset { hard: false } => return Step::Later(Later::Cluster(ClusterWork::Reset)),
            Action::SaveConfig | Action::Asking => reply.ok(),
            Action::CountKeysInSlot(slot) => reply.count(self.slot_key_count(slot)),
            Action::KeysInSlot(slot, count) => self.slot_keys(slot, count, reply),
            Action::SlotStats(wanted) => wanted.write(|slot| self.slot_key_count(slot) as u64, reply),
            Action::Links => faces::write_links(&links(&self.node), reply),
        }
        Step::Done
    }

    fn meet(&self, ip: &str, peer_port: u16, reply: &mut Reply) {
        let address = cluster::address(ip, peer_port);
        match self.node.cluster.as_ref().map(|cluster| cluster.meet(Meet { address })) {
            Some(true) => reply.ok(),
            _ => reply.error("ERR Too many nodes are being met: ask again"),
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
            ClusterWork::Failover => {
                match tokio::time::timeout(FAILOVER_WITHIN, cluster::fail_over(&self.node)).await {
                    Ok(Ok(())) => exchange.reply.ok(),
                    Ok(Err(why)) => exchange.reply.error(format!("ERR {why}")),
                    Err(_) => exchange.reply.error("ERR Nobody handed leadership over in time: it may still happen"),
                }
            }
            ClusterWork::Reset => match cluster::reset(&self.node).await {
                Ok(()) => exchange.reply.ok(),
                Err(why) => exchange.reply.error(format!("ERR {why}")),
            },
        }
    }

    /// Slots that were given are served once the shard's own log says so, a moment later.
    async fn wait_until_served(&self) {
        let Some(topology) = self.node.cluster.as_ref().and_then(|cluster| cluster.topology()) else { return };
        let home = self.node.home();
        let me = self.node.cluster.as_ref().map(|cluster| cluster.me);
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
        let home = self.0.home();
        let data = home.shard.data.read();
        (0..keyspace::DATABASE_COUNT).map(|database| data.key_count(database)).sum()
    }

    fn offset(&self, node: NodeId) -> u64 {
        let home = self.0.home();
        if node.0 == self.0.id.0 { home.shard.applied_index() } else { home.matched_index(raft::NodeId(node.0)) }
    }

    fn sent(&self) -> Traffic<'_> {
        Traffic::default()
    }

    fn received(&self) -> Traffic<'_> {
        Traffic::default()
    }

    fn is_cut_off(&self) -> bool {
        self.0.cluster.as_ref().and_then(|cluster| cluster.meta()).is_none_or(|meta| meta.is_cut_off())
    }
}

fn links<P: Platform>(node: &Shared<P>) -> Vec<LinkRow> {
    let routes = node.cluster.as_ref().map(|cluster| cluster.routes());
    let Some(face) = routes.as_ref().and_then(|routes| routes.face.as_ref()) else { return Vec::new() };
    let others = face.view().nodes().iter().filter(|other| other.id != face.settings().myself);
    let row = |is_outgoing, id| LinkRow {
        is_outgoing,
        node: id,
        created_ms: node.started_ms.min(node.clock.wall_ms()),
        is_sending: false,
        buffer_allocated_bytes: 0,
        buffer_used_bytes: 0,
    };
    others.flat_map(|other| [row(true, other.id), row(false, other.id)]).collect()
}
