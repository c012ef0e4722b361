//! The node as a member of a cluster: its replica of the meta group, its replicas of shards, and what it makes of both.
//!
//! ```text
//! meta       the topology, and how changes get into it        joining    MEET: how a cluster of one becomes part of another
//! routes     what connections look slots up in                steward    does what the topology wants: replicas, members, fences
//! health     on the meta leader: which nodes are heard of     leaving    RESET: how a node becomes a cluster of one again
//! addresses  where nodes are reached now                      failover   FAILOVER: how a replica comes to lead
//! links      which nodes there is a connection with
//! ```
//!
//! Everything here runs on the raft thread, but for what connections read: [`Cluster::routes`].

mod addresses;
mod failover;
mod health;
mod joining;
mod leaving;
mod links;
mod members;
mod meta;
mod open;
mod routes;
mod steward;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use raft::{Class, GroupId, Transport};
use slot::Slot;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use topology::{Change, Mark, NodeId, Overlay, ShardId, Topology, View};

pub(crate) use addresses::{Addresses, Rerouted};
pub(crate) use failover::{fail_over, hand_over};
pub(crate) use joining::{Meet, answer as answer_joiner, forbids as forbids_meeting};
pub(crate) use leaving::{is_member, reset};
pub(crate) use members::address;
pub(crate) use members::peer;
pub(crate) use meta::{Decision, Meta, Undecided};
pub(crate) use open::run;
pub(crate) use routes::Routes;

use crate::config::{Config, EndpointType};
use crate::messages::{Marks, Request};
use crate::node::Shared;
use crate::own_id::OwnId;
use crate::platform::{Platform, Random};
use crate::replica::Replica;

/// How long a node that is told something may take to say that it heard it; nobody waits for that.
const TOLD_WITHIN: Duration = Duration::from_millis(500);
/// How long a node that is stopping takes for that, at most. One that is back before says so, again and again until it is heard: a
/// hidden leader that did not hear it shows itself earlier than it must.
const LEAVING_FOR_NS: u64 = 10_000_000_000;
/// Between two attempts to say so.
const SAID_AGAIN_AFTER: Duration = Duration::from_millis(250);
/// MEETs that may wait for each other.
const MEETS_MAX: usize = 64;

/// See the module.
pub(crate) struct Cluster {
    own: Arc<OwnId>,
    config: Config,
    meta: RwLock<Option<Arc<Meta>>>,
    replicas: Mutex<BTreeMap<ShardId, Arc<Replica>>>,
    overlay: Mutex<Overlay>,
    /// The nodes that have said that they are stopping, and until when that counts, by the monotonic clock.
    leaving: Mutex<BTreeMap<NodeId, u64>>,
    /// This node has said so: it does not say any more that it is back. Held while either is said.
    takes_leave: Mutex<bool>,
    /// The nodes that there is no connection with; `None` where the transport does not tell.
    unlinked: Mutex<Option<BTreeSet<NodeId>>>,
    routes: RwLock<Arc<Routes>>,
    pub(crate) addresses: Arc<Addresses>,
    /// Rises with every change of the routes.
    version: AtomicU64,
    /// Tells of every change of the routes.
    news: watch::Sender<u64>,
    /// Set off by whatever may change the routes, or what this node should hold.
    changed: Arc<Notify>,
    meets: mpsc::Sender<WaitingMeet>,
    waiting_meets: Mutex<Option<mpsc::Receiver<WaitingMeet>>>,
    resets: mpsc::Sender<Reset>,
    waiting_resets: Mutex<Option<mpsc::Receiver<Reset>>>,
    /// Held by whoever replaces the node's meta group: a join at its end, or a reset.
    moving: tokio::sync::Mutex<()>,
    /// A join that goes on without end, as the other may have taken this node in and does not say so.
    join_is_stuck: AtomicBool,
    /// How often the node was reset: what was to be met before is not met any more.
    reset_count: AtomicU64,
}

/// A MEET that waits for its turn, and how often the node had been reset when it was asked for.
type WaitingMeet = (Meet, u64);

/// A reset that was asked for.
struct Reset {
    /// The meta group of the cluster that the node is to leave.
    of: GroupId,
    /// Under another node id.
    hard: bool,
    /// Tells whoever asked what became of it.
    tell: oneshot::Sender<Result<(), String>>,
}

impl Cluster {
    pub(crate) fn new(own: Arc<OwnId>, config: Config) -> Self {
        let (meets, waiting_meets) = mpsc::channel(MEETS_MAX);
        let (resets, waiting_resets) = mpsc::channel(1);
        let changed = Arc::new(Notify::new());
        let again = Arc::clone(&changed);
        // What clients are shown depends on directives, too.
        config.watch(move |_| again.notify_one());
        Self {
            own,
            config,
            meta: RwLock::new(None),
            replicas: Mutex::default(),
            overlay: Mutex::default(),
            leaving: Mutex::default(),
            takes_leave: Mutex::new(false),
            unlinked: Mutex::default(),
            routes: RwLock::default(),
            addresses: Arc::default(),
            version: AtomicU64::new(0),
            news: watch::Sender::new(0),
            changed,
            meets,
            waiting_meets: Mutex::new(Some(waiting_meets)),
            resets,
            waiting_resets: Mutex::new(Some(waiting_resets)),
            moving: tokio::sync::Mutex::default(),
            join_is_stuck: AtomicBool::new(false),
            reset_count: AtomicU64::new(0),
        }
    }

    /// This node.
    pub(crate) fn me(&self) -> NodeId {
        NodeId(self.own.get().0)
    }

    /// The meta group's replica, once there is one.
    pub(crate) fn meta(&self) -> Option<Arc<Meta>> {
        self.meta.read().clone()
    }

    /// The topology as this node knows it.
    pub(crate) fn topology(&self) -> Option<Arc<Topology>> {
        self.meta()?.topology()
    }

    /// Whether a topology is about this node as it is now. The log of a cluster is replayed from before this node joined it, or
    /// joined it again; its replica of the meta group was named by the last join.
    fn is_current(&self, topology: &Topology) -> bool {
        let own = self.meta().map(|meta| meta.identity.replica.0);
        topology.node(self.me()).is_some() && topology.meta().iter().any(|replica| Some(replica.id.0) == own)
    }

    /// The present routes.
    pub(crate) fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.routes.read())
    }

    /// Where a slot is served, as the error that sends a client there; `None` where that is not known, or is this node.
    pub(crate) fn moved(&self, slot: Slot) -> Option<String> {
        let routes = self.routes();
        let face = routes.face.as_ref()?;
        let node = face.view().route(slot)?.node.filter(|node| node.id != self.me() && node.mark != Mark::Failed)?;
        Some(face.moved(slot, node, faces::Transport::Plain))
    }

    /// A number that rises with every change of the routes: one atomic load.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Tells of every change of the routes.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// This node's replica of a shard.
    pub(crate) fn replica(&self, shard: ShardId) -> Option<Arc<Replica>> {
        self.replicas.lock().get(&shard).cloned()
    }

    /// The replicas of shards that this node holds.
    pub(crate) fn replicas(&self) -> Vec<(ShardId, Arc<Replica>)> {
        self.replicas.lock().iter().map(|(&shard, replica)| (shard, Arc::clone(replica))).collect()
    }

    /// Asks for a MEET. False when too many wait.
    pub(crate) fn meet(&self, meet: Meet) -> bool {
        self.meets.try_send((meet, self.reset_count.load(Ordering::Relaxed))).is_ok()
    }

    /// Drops everything of this cluster and founds another, on the raft thread; if `hard`, as another node.
    async fn begin_anew(&self, of: GroupId, hard: bool) -> Result<(), String> {
        let (tell, done) = oneshot::channel();
        let stopping = || "The node is stopping".to_owned();
        self.resets.send(Reset { of, hard, tell }).await.map_err(|_| stopping())?;
        done.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Nodes that are not heard of, as a leader of the meta group says. What an earlier one says is past.
    pub(crate) fn marked(&self, marks: &Marks) {
        let Some(meta) = self.meta().filter(|meta| meta.identity.group == marks.cluster) else { return };
        let Some(topology) = meta.topology() else { return };
        let mut is_new = false;
        {
            let mut overlay = self.overlay.lock();
            if meta.marked_in(marks.term) > marks.term {
                return;
            }
            for &node in topology.nodes().keys() {
                let mark = if marks.failed.contains(&node) && node != self.me() { Mark::Failed } else { Mark::Live };
                if overlay.mark(node, mark) {
                    is_new = true;
                    let state =
                        if mark == Mark::Failed { "is not heard of: it has failed" } else { "is heard of again" };
                    tracing::info!("node {} {state}", named(&topology, node));
                }
            }
        }
        if is_new {
            self.renew();
        }
    }

    /// A node says that it is stopping.
    pub(crate) fn leaves(&self, node: NodeId, now_ns: u64) {
        let mut leaving = self.leaving.lock();
        leaving.retain(|_, until_ns| *until_ns > now_ns);
        if self.topology().is_some_and(|topology| topology.node(node).is_some()) {
            leaving.insert(node, now_ns + LEAVING_FOR_NS);
        }
    }

    /// A node says that it is here, whatever it said before.
    pub(crate) fn returns(&self, node: NodeId) {
        self.leaving.lock().remove(&node);
    }

    /// Whether a node has said so lately.
    fn is_leaving(&self, node: NodeId, now_ns: u64) -> bool {
        self.leaving.lock().get(&node).is_some_and(|until_ns| *until_ns > now_ns)
    }

    /// The nodes that have said so lately, by id.
    pub(crate) fn leaving(&self, now_ns: u64) -> Vec<NodeId> {
        let leaving = self.leaving.lock();
        leaving.iter().filter(|(_, until_ns)| **until_ns > now_ns).map(|(node, _)| *node).collect()
    }

    /// There is no connection with these nodes, and with all others there is.
    fn unlinked(&self, nodes: BTreeSet<NodeId>) {
        let is_new = {
            let mut unlinked = self.unlinked.lock();
            let is_new = unlinked.as_ref().is_none_or(|known| *known != nodes);
            *unlinked = Some(nodes);
            is_new
        };
        if is_new {
            self.renew();
        }
    }

    /// The links to other nodes as clients are shown them. Where the transport knows of none, they are up to those that are heard of.
    fn links(&self, topology: &Topology, overlay: &Overlay) -> BTreeMap<NodeId, faces::Link> {
        let unlinked = self.unlinked.lock();
        let is_up = |node: &NodeId| match &*unlinked {
            Some(unlinked) => !unlinked.contains(node),
            None => overlay.mark_of(*node) == Mark::Live,
        };
        let link = |node: &NodeId| (*node, faces::Link { is_up: is_up(node), ..faces::Link::default() });
        topology.nodes().keys().map(link).collect()
    }

    /// Somebody of that cluster says where a node is reached.
    pub(crate) fn reached(&self, cluster: GroupId, node: raft::NodeId, address: &str) {
        let Some(meta) = self.meta().filter(|meta| meta.identity.group == cluster && node.0 != self.me().0) else {
            return;
        };
        if let Some(topology) = meta.topology().filter(|_| self.addresses.heard(node, address)) {
            tracing::info!("node {} is reached at {address} now", named(&topology, NodeId(node.0)));
        }
    }

    /// Somebody says who leads a shard.
    pub(crate) fn announced(&self, shard: ShardId, term: u64, node: NodeId) {
        if self.overlay.lock().announce(shard, term, node) {
            if let Some(topology) = self.topology() {
                tracing::info!("node {} leads shard {shard}, term {term}", named(&topology, node));
            }
            self.renew();
        }
    }

    /// Tells every other node; who does not hear it learns it otherwise, so nobody waits for an answer.
    fn tell_others<T: Transport>(&self, topology: &Topology, transport: &T, request: &Request) {
        let message = request.encode();
        for (id, other) in topology.nodes().iter().filter(|(id, _)| **id != self.me()) {
            drop(transport.request(&peer(*id, &other.endpoint), Class::Control, message.clone().into(), TOLD_WITHIN));
        }
    }

    fn face_settings(&self) -> faces::Settings {
        let settings = self.config.current();
        let endpoint = match settings.cluster_preferred_endpoint_type {
            EndpointType::Ip => faces::PreferredEndpoint::Ip,
            EndpointType::Hostname => faces::PreferredEndpoint::Hostname,
            EndpointType::Unknown => faces::PreferredEndpoint::Unknown,
        };
        faces::Settings { myself: self.me(), endpoint, full_coverage: settings.cluster_require_full_coverage }
    }

    /// Clients are shown things by other settings from now on, if they are others: whoever changed them sees that with the next reply.
    pub(crate) fn show_by_settings(&self) {
        let shown = self.routes();
        if shown.face.as_ref().is_some_and(|face| *face.settings() != self.face_settings()) {
            self.renew();
        }
    }

    /// Makes the routes anew from the topology, what was announced, and the replicas that are here.
    fn renew(&self) {
        // Held from before the topology is read, so that a newer view is not replaced by an older one.
        let mut overlay = self.overlay.lock();
        let Some(topology) = self.topology() else { return };
        overlay.prune(&topology);
        // One that is let go says nothing more here; should it be taken in again it is another life of it.
        self.leaving.lock().retain(|node, _| topology.node(*node).is_some());
        self.addresses.follow(&topology);
        let view = View::new(&topology, &overlay);
        let replicas = self.replicas.lock().clone();
        let home = topology.node(self.me()).map(|node| node.home);
        let face = faces::Face::new(Arc::new(view), self.face_settings(), self.links(&topology, &overlay));
        if !face.is_ok() {
            // As in Redis: what they wait for may never come.
            replicas.values().for_each(|replica| replica.shard.send_waiters_away(faces::DOWN));
        }
        *self.routes.write() = Arc::new(Routes::new(face, replicas, home));
        let version = self.version.fetch_add(1, Ordering::AcqRel) + 1;
        drop(overlay);
        self.news.send_replace(version);
    }
}

impl<P: Platform> Shared<P> {
    /// Makes these changes of the topology together, or none of them.
    ///
    /// # Errors
    /// [`Undecided`] when it is not known in time what became of them.
    pub(crate) async fn change_topology(&self, changes: Vec<Change>) -> Result<Decision, Undecided> {
        self.change_topology_by(&[changes]).await?.pop().ok_or(Undecided)
    }

    /// Makes the changes of these commands, of each all or none, in one entry.
    ///
    /// # Errors
    /// [`Undecided`] when it is not known in time what became of them.
    pub(crate) async fn change_topology_by(&self, commands: &[Vec<Change>]) -> Result<Vec<Decision>, Undecided> {
        let cluster = self.cluster.as_ref().ok_or(Undecided)?;
        let (Some(meta), Some(transport)) = (cluster.meta(), self.transport()) else { return Err(Undecided) };
        meta.change(self.random.next_u64(), commands, transport).await
    }

    /// Tells the other nodes of the cluster that this one is stopping.
    pub(crate) fn take_leave(&self) {
        let cluster = self.cluster.as_ref();
        if let Some(((cluster, topology), transport)) =
            cluster.zip(cluster.and_then(Cluster::topology)).zip(self.transport())
        {
            let mut takes_leave = cluster.takes_leave.lock();
            *takes_leave = true;
            cluster.tell_others(&topology, transport, &Request::Leaves(self.id()));
        }
    }

    /// Whether clients are shown this member of a shard's group: it is not one of another shard's node.
    pub(crate) fn is_visible(&self, group: GroupId, member: &raft::Member) -> bool {
        let Some(topology) = self.cluster.as_ref().and_then(Cluster::topology) else { return true };
        topology.node(NodeId(member.node.0)).is_some_and(|node| node.home.0 == group.0)
    }

    /// The group of this node that a message is for.
    pub(crate) fn meta_of(&self, group: GroupId) -> Option<Arc<Meta>> {
        self.cluster.as_ref()?.meta().filter(|meta| meta.identity.group == group)
    }

    /// The replica of a shard that a message is for.
    pub(crate) fn replica_of(&self, group: GroupId) -> Option<Arc<Replica>> {
        match &self.cluster {
            Some(cluster) => cluster.replica(ShardId(group.0)),
            None => Some(self.home()),
        }
    }

    /// Another node's change of the topology, to be proposed here if this node leads the meta group.
    pub(crate) fn take_in_change(&self, group: GroupId, payload: Bytes) -> bool {
        self.meta_of(group).is_some_and(|meta| meta.take_in(payload))
    }
}

/// A node as the log names it: by its id and, where it has one, its `cluster-announce-human-nodename`.
fn named(topology: &Topology, node: NodeId) -> String {
    match topology.node(node).map(|known| known.endpoint.nodename.as_str()) {
        Some(name) if !name.is_empty() => format!("{node} ({name})"),
        _ => node.to_string(),
    }
}

/// An error of the start: the directory is not that of a cluster's node.
fn not_a_cluster() -> io::Error {
    io::Error::other("the directory holds a server that is no cluster: set cluster-enabled no, or another dir")
}
