//! Does what the topology wants of this node: holds the replicas that it should, and for each group that it leads sees to
//! members, fence and announcements. On the meta leader: draws up what the topology should want.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use raft::{Class, Clock, Group, Role, Status, Transport};
use tokio::sync::watch;
use topology::{Change, Group as Wanted, NodeId, Replica as WantedReplica, ReplicaId, ShardId, Topology, plan};

use super::health::Health;
use super::joining;
use super::members::{Left, peer, realise};
use super::meta::Meta;
use super::open::{Ground, end_replica, endpoint, open_replica};
use super::{LEAVING_FOR_NS, SAID_AGAIN_AFTER, TOLD_WITHIN};
use crate::doubt;
use crate::fence::FencedSlots;
use crate::holdings::Held;
use crate::messages::{Identity, Marks, Request};
use crate::node::Shared;
use crate::platform::{Platform, Random};
use crate::replica::Replica;
use crate::shard::{EntryWaiter, Standing};
use crate::tasks;

/// How often everything is looked at when nothing seems to happen.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two makings of the routes, however much happens.
const ROUTES_PAUSE: Duration = Duration::from_millis(2);
/// Between two looks, however much happens.
const PAUSE: Duration = Duration::from_millis(20);
/// For how long a hidden leader looks for a home voter before it serves clients itself.
const HIDDEN_FOR_NS: u64 = 2_000_000_000;

/// Keeps the node's routes and replicas as the topology has them, until the node stops.
pub(super) async fn run<P: Platform>(ground: Ground<P>) -> io::Result<()> {
    let cluster = ground.cluster();
    drop(tasks::beside(renew(ground.clone())));
    let mut news = cluster.news();
    let mut is_back = false;
    loop {
        tokio::select! {
            biased;
            _ = news.changed() => (),
            () = tokio::time::sleep(LOOK_EVERY) => (),
        }
        if let Some(topology) = cluster.topology().filter(|topology| cluster.is_current(topology)) {
            if !std::mem::replace(&mut is_back, true) {
                say_that_it_is_back(&ground, &topology);
            }
            hold(&ground, &topology).await?;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Tells every other node that this one is here, whatever it said before: each until it has heard that, for as long as it could count.
fn say_that_it_is_back<P: Platform>(ground: &Ground<P>, topology: &Topology) {
    let until_ns = ground.node.clock.monotonic_ns() + LEAVING_FOR_NS;
    let message = Request::Returns(ground.node.id()).encode();
    for (id, other) in topology.nodes().iter().filter(|(id, _)| **id != ground.cluster().me()) {
        let (ground, other, message) = (ground.clone(), peer(*id, &other.endpoint), message.clone());
        drop(tasks::beside(async move {
            while ground.node.clock.monotonic_ns() < until_ns {
                let request = {
                    let takes_leave = ground.cluster().takes_leave.lock();
                    if *takes_leave {
                        return;
                    }
                    ground.transport.request(&other, Class::Control, message.clone().into(), TOLD_WITHIN)
                };
                if request.await.is_ok() {
                    return;
                }
                tokio::time::sleep(SAID_AGAIN_AFTER).await;
            }
        }));
    }
}

/// Makes the routes anew whenever the topology or what is here has changed.
async fn renew<P: Platform>(ground: Ground<P>) {
    loop {
        ground.cluster().changed.notified().await;
        ground.cluster().renew();
        tokio::time::sleep(ROUTES_PAUSE).await;
    }
}

/// Opens what this node should hold, ends what it should not.
async fn hold<P: Platform>(ground: &Ground<P>, topology: &Topology) -> io::Result<()> {
    let cluster = ground.cluster();
    let held = ground.node.holdings().shards;
    let wanted: Vec<(ShardId, &WantedReplica)> =
        topology.held_by(cluster.me()).filter_map(|(group, replica)| Some((group.shard()?, replica))).collect();
    for Held { identity, since } in &held {
        let shard = ShardId(identity.group.0);
        let is_wanted = wanted.iter().any(|(of, replica)| *of == shard && replica.id.0 == identity.replica.0);
        // The same of a topology that is older than the replica.
        if !is_wanted && topology.version() >= *since {
            end_replica(ground, shard).await?;
        }
    }
    for (shard, replica) in wanted {
        let has = |held: &Held| held.identity.group.0 == shard.0;
        if ground.node.holdings().shards.iter().any(has) {
            continue;
        }
        let identity = Identity {
            group: raft::GroupId(shard.0),
            replica: raft::ReplicaId(replica.id.0),
            hash_key: [0; 2],
            founders: Vec::new(),
        };
        doubt::begin_fresh(&ground.log_store, identity.group).await?;
        // BEFORE it is opened: what votes must be remembered.
        let held = Held { identity: identity.clone(), since: topology.version() };
        ground.node.change_holdings(|holdings| holdings.shards.push(held))?;
        open_replica(ground, identity).await?;
    }
    if let Some(home) = topology.node(cluster.me()).and_then(|node| cluster.replica(node.home)) {
        ground.node.set_home(home);
    }
    Ok(())
}

/// Watches a replica's group: what connections see of it, and who leads.
pub(super) async fn watch<P: Platform>(
    ground: Ground<P>,
    shard: ShardId,
    replica: Arc<Replica>,
    group: Group<EntryWaiter>,
) {
    let (cluster, node) = (ground.cluster(), &ground.node);
    let (mut status, mut news) = (group.status(), cluster.news());
    let (mut hidden, mut holds_clients) = (Hidden::default(), false);
    // The newest term of its own that the other nodes were told of.
    let mut told_term = 0;
    loop {
        let now = status.borrow_and_update().clone();
        news.mark_unchanged();
        if now.stopped.is_some() && cluster.replica(shard).is_none_or(|current| !Arc::ptr_eq(&current, &replica)) {
            // Ended by the node itself.
            replica.observe(&Status::default(), true, node.clock.wall_ms());
            return;
        }
        let led = replica.leads();
        // BEFORE connections see that this replica does not lead any more: they are told who does. What is hidden says so itself,
        // should it come to that.
        let is_shown = |other: &NodeId| *other != cluster.me() && !is_hidden(&ground, shard, *other);
        if let Some(other) = leader(&now).filter(is_shown) {
            cluster.announced(shard, now.term, other);
        }
        node.observe(&replica, &now, leader(&now).is_none_or(|leader| is_shown_to_lead(&ground, shard, leader)));
        // AFTER it was observed who leads: until then clients wait for a hidden leader to hand over.
        if std::mem::take(&mut holds_clients) {
            replica.shard.pause(false);
        }
        if replica.leads() != led {
            // Connections that wait for a leader look again.
            cluster.renew();
        }
        match leader(&now) {
            // Elected, and not ready yet: its clients wait here, and are not sent back to the one before.
            Some(leader) if leader == cluster.me() && !replica.leads() && !is_hidden(&ground, shard, leader) => {
                cluster.announced(shard, now.term, leader);
            }
            Some(leader) if leader == cluster.me() && !replica.leads() => (),
            Some(leader) if leader == cluster.me() && is_hidden(&ground, shard, leader) => {
                let (homes, is_new) = hidden.look(&ground, shard);
                if !is_new {
                    announce(&ground, shard, now.term, &mut told_term);
                }
                if is_new || hidden.is_due(node.clock.monotonic_ns()) && has_level_voter(&now, &homes) {
                    hidden.asked_ns = node.clock.monotonic_ns();
                    let _ = replica.hand_over_to(|member| homes.contains(&NodeId(member.node.0))).await;
                    holds_clients = true;
                }
            }
            Some(leader) if leader == cluster.me() => {
                hidden.since_ns = None;
                announce(&ground, shard, now.term, &mut told_term);
            }
            Some(_) => hidden.since_ns = None,
            None => (),
        }
        let changed = async {
            match hidden.since_ns {
                Some(_) => drop(tokio::time::timeout(Duration::from_millis(100), status.changed()).await),
                // A hidden leader that shows itself after all says so to the routes.
                None if replica.shard.standing() == Standing::Awaiting => tokio::select! {
                    biased;
                    _ = status.changed() => (),
                    _ = news.changed() => (),
                },
                None => drop(status.changed().await),
            }
        };
        changed.await;
        if status.has_changed().is_err() {
            return;
        }
    }
}

/// What a hidden leader knows of its leadership.
#[derive(Default)]
struct Hidden {
    /// Since when it leads; `None` while it does not.
    since_ns: Option<u64>,
    /// When it tried to hand over last.
    asked_ns: u64,
}

impl Hidden {
    /// Who could lead in its stead, and whether it hides for that: it is new, and there are such.
    fn look<P: Platform>(&mut self, ground: &Ground<P>, shard: ShardId) -> (Vec<NodeId>, bool) {
        let now_ns = ground.node.clock.monotonic_ns();
        let since_ns = *self.since_ns.get_or_insert(now_ns);
        let homes = homes(ground, shard);
        let stays = |home: &NodeId| !ground.cluster().is_leaving(*home, now_ns);
        let staying: Vec<NodeId> = homes.iter().copied().filter(stays).collect();
        let is_alone = staying.is_empty() && !homes.is_empty();
        (staying, now_ns.saturating_sub(since_ns) < HIDDEN_FOR_NS && !is_alone)
    }

    /// It has shown itself: then it hands back once a home voter is level, and asks in vain no more often than it did at first.
    const fn is_due(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.asked_ns) >= HIDDEN_FOR_NS
    }
}

fn leader(status: &Status) -> Option<NodeId> {
    status.leader.as_ref().filter(|_| status.role != Role::Candidate).map(|member| NodeId(member.node.0))
}

/// Whether clients are not shown a node's replica of a shard: it is at home elsewhere. So is one that was placed after the topology
/// that is known here.
fn is_hidden<P: Platform>(ground: &Ground<P>, shard: ShardId, node: NodeId) -> bool {
    !homes(ground, shard).contains(&node)
}

/// Whether clients are sent to that node once they are known to be told who leads: it is at home, or has shown itself.
fn is_shown_to_lead<P: Platform>(ground: &Ground<P>, shard: ShardId, node: NodeId) -> bool {
    let shown = ground.cluster().routes().view().and_then(|view| view.leader(shard));
    shown.is_some_and(|leader| leader.node == node) || !is_hidden(ground, shard, node)
}

/// Whether a voter on one of these nodes holds all that is committed.
fn has_level_voter(status: &Status, nodes: &[NodeId]) -> bool {
    let is_one = |replica: &raft::ReplicaId| {
        status.voters.get(replica).is_some_and(|member| nodes.contains(&NodeId(member.node.0)))
    };
    status.matched.iter().any(|(replica, matched)| *matched >= status.committed && is_one(replica))
}

/// The nodes whose home a shard is.
fn homes<P: Platform>(ground: &Ground<P>, shard: ShardId) -> Vec<NodeId> {
    ground.cluster().topology().map(|topology| topology.homes(shard).collect()).unwrap_or_default()
}

/// Tells the cluster that this node leads a shard: the routes here, then every node, then (by the shard's keeper) the topology.
fn announce<P: Platform>(ground: &Ground<P>, shard: ShardId, term: u64, told_term: &mut u64) {
    let cluster = ground.cluster();
    cluster.announced(shard, term, cluster.me());
    if *told_term >= term {
        return;
    }
    *told_term = term;
    let Some(topology) = cluster.topology() else { return };
    let leads = Request::Leads { group: raft::GroupId(shard.0), term, node: ground.node.id() };
    cluster.tell_others(&topology, &ground.transport, &leads);
}

/// For a shard that this replica leads: its members, its fence, and what the topology is told of it. Ends with the replica.
pub(super) async fn keep_shard<P: Platform>(
    ground: Ground<P>,
    shard: ShardId,
    replica: Arc<Replica>,
    group: Group<EntryWaiter>,
) {
    let cluster = ground.cluster();
    let mut looks = Looks::new(&ground, group.status());
    // The term in which this replica led when it made sure last that it knows the topology by which it was made to lead.
    let mut sure_in = 0;
    while looks.next().await {
        let Some(topology) = cluster.topology().filter(|_| replica.leads()) else { continue };
        let Some(known) = topology.shard(shard) else { continue };
        let status = replica.status();
        let mut news = Vec::new();
        let announced = cluster.routes().view().and_then(|view| view.leader(shard));
        if announced.is_some_and(|leader| leader.node == cluster.me() && leader.term == status.term)
            && known.leader.is_none_or(|leader| leader.term < status.term)
        {
            news.push(Change::LeaderChanged { shard, term: status.term, node: cluster.me() });
        }
        fence(&ground.node, &replica, known, &mut news, shard);
        match realise(&group, Wanted::Shard(shard), &topology).await {
            Some(Left::Tell(change)) => news.push(change),
            // Tried again with the next look.
            Some(Left::HandOver { to, is_logged }) if is_logged || sure_in == status.term => {
                let _ = replica.yield_to(|member| member.replica == to).await;
            }
            // Whoever gave leadership to this replica may have gone by a newer topology than is known here, by which this is the one that
            // stays. A change of nothing shows all that were made before it, and brings the next look. Once in a term: each is an entry.
            Some(Left::HandOver { .. }) => {
                let is_sure = ground.node.change_topology(Vec::new()).await.is_ok();
                sure_in = if is_sure { status.term } else { 0 };
            }
            None => (),
        }
        tell(&ground.node, news).await;
    }
}

/// Brings what the topology says of the shard's slots into its log; says which slots are closed there.
fn fence<P: Platform>(
    node: &Shared<P>,
    replica: &Replica,
    known: &topology::Shard,
    news: &mut Vec<Change>,
    shard: ShardId,
) {
    let wanted = known.fence();
    let (version, keyless) = {
        let data = replica.shard.data.read();
        (data.fence.version().unwrap_or(u64::MAX), data.settings().hash_key == [0; 2])
    };
    if keyless {
        let key = [node.random.next_u64() | 1, node.random.next_u64()];
        replica.shard.propose_hash_key(key, node.clock.monotonic_ns());
    }
    if version < wanted.version {
        let fenced = FencedSlots { version: wanted.version, slots: wanted.slots };
        replica.shard.propose_fence(&fenced, node.clock.monotonic_ns());
        return;
    }
    for closing in known.closing.iter().filter(|closing| version >= closing.number) {
        let kept = replica.shard.data.read().keyspace.occupied_of(&closing.slots);
        news.push(Change::SlotsClosed { shard, number: closing.number, kept });
    }
    if !known.kept.is_empty() {
        let mut gone = known.kept.clone();
        gone.subtract(&replica.shard.data.read().keyspace.occupied_of(&known.kept));
        if !gone.is_empty() {
            news.push(Change::KeysGone { shard, slots: gone });
        }
    }
}

/// For the meta group, on its leader: its members, and what the topology should want. Ends with the replica.
pub(super) async fn keep_meta<P: Platform>(ground: Ground<P>, meta: Arc<Meta>) {
    let Some(group) = meta.group().cloned() else { return };
    let node = &ground.node;
    let mut looks = Looks::new(&ground, group.status());
    let (mut shape, mut began_ns) = (0, node.clock.monotonic_ns());
    let mut health = Health::default();
    loop {
        let before_ns = node.clock.monotonic_ns();
        if !looks.next().await {
            return;
        }
        let now_ns = node.clock.monotonic_ns();
        health.slept(Duration::from_nanos(now_ns.saturating_sub(before_ns)), now_ns);
        let Some(topology) = meta.topology() else { continue };
        if topology.shape_version() != shape {
            (shape, began_ns) = (topology.shape_version(), now_ns);
        }
        renew_endpoint(&ground, &topology).await;
        if !meta.leads() {
            health = Health::default();
            continue;
        }
        health.know(&topology, now_ns);
        match realise(&group, Wanted::Meta, &topology).await {
            Some(Left::Tell(change)) => tell(node, vec![change]).await,
            // Tried again with the next look.
            Some(Left::HandOver { to, .. }) => drop(group.transfer_leader(to).await),
            None => (),
        }
        // Without a lease it is this node that nobody hears.
        if !group.lease().holds(node.clock.monotonic_ns()) {
            continue;
        }
        let now_ns = node.clock.monotonic_ns();
        let liveness = health.liveness(&topology, &group.heard_ms_ago(), ground.cluster().me(), now_ns);
        let after_ms = node.config.current().cluster_node_timeout_ms;
        if let Some(failed) = health.news(&liveness, after_ms, now_ns) {
            let marks = Marks { cluster: meta.identity.group, term: meta.status().term, failed };
            ground.cluster().marked(&marks);
            ground.cluster().tell_others(&topology, &ground.transport, &Request::Silent(marks));
        }
        let quiet_ms = (now_ns - began_ns) / 1_000_000;
        for changes in plan(&topology, &liveness, quiet_ms, &mut || ReplicaId(node.random.next_u64())) {
            // Refused when something changed meanwhile: the next look sees that.
            let _ = node.change_topology(changes).await;
        }
    }
}

/// Tells the cluster where this node is reached, if it says otherwise.
async fn renew_endpoint<P: Platform>(ground: &Ground<P>, topology: &Topology) {
    let (node, me) = (&ground.node, ground.cluster().me());
    let endpoint = endpoint(node);
    if topology.node(me).is_some_and(|known| known.endpoint != endpoint) {
        // BEFORE it is proposed: who leads the meta group must find this node first.
        joining::introduce(ground, topology);
        tell(node, vec![Change::NodeChanged { node: me, endpoint }]).await;
    }
}

/// Tells the topology what has come about. Told again with the next look if it did not arrive.
async fn tell<P: Platform>(node: &Shared<P>, news: Vec<Change>) {
    for change in news {
        match node.change_topology(vec![change]).await {
            Ok(Ok(_)) | Err(_) => (),
            Ok(Err(refusal)) => tracing::debug!(%refusal, "the topology does not take what it is told"),
        }
    }
}

/// When to look at a group: when the routes or the group changed, and every now and then.
struct Looks {
    news: watch::Receiver<u64>,
    status: watch::Receiver<Status>,
}

impl Looks {
    fn new<P: Platform>(ground: &Ground<P>, status: watch::Receiver<Status>) -> Self {
        Self { news: ground.cluster().news(), status }
    }

    /// Waits for the next; false once the group has stopped.
    async fn next(&mut self) -> bool {
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            biased;
            news = self.news.changed() => if news.is_err() { return false },
            status = self.status.changed() => if status.is_err() { return false },
            () = tokio::time::sleep(LOOK_EVERY) => (),
        }
        self.status.borrow_and_update().stopped.is_none()
    }
}
