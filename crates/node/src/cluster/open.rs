//! How a node of a cluster starts: from what its `dir` remembers, or as a cluster of one; and how it opens and ends replicas.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use raft::{Group, GroupId, LogChange, LogStore, Machine as StateMachine, PeerAddress, ReplicaId};
use topology::{Change, ClusterId, Endpoint, First, Setting, ShardId, Topology};

use super::addresses::Rerouted;
use super::members::{member_at, peer};
use super::meta::Meta;
use super::{Cluster, joining, leaving, links, not_a_cluster, steward};
use crate::doubt::{self, Doubt, Verdict};
use crate::fence::Fence;
use crate::holdings::Held;
use crate::messages::Identity;
use crate::node::{Shared, follow_settings};
use crate::platform::{Platform, Random};
use crate::replica::Replica;
use crate::{sealer, tasks};

/// Between two attempts to have a replica renewed.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What opening a group takes, on the raft thread.
pub(super) struct Ground<P: Platform> {
    pub(super) node: Arc<Shared<P>>,
    pub(super) log_store: P::LogStore,
    pub(super) transport: Rerouted<P::Transport>,
}

impl<P: Platform> Clone for Ground<P> {
    fn clone(&self) -> Self {
        Self { node: Arc::clone(&self.node), log_store: self.log_store.clone(), transport: self.transport.clone() }
    }
}

impl<P: Platform> Ground<P> {
    pub(super) fn cluster(&self) -> &Cluster {
        self.node.cluster.as_ref().expect("the node is one of a cluster")
    }
}

/// Runs the node as one of a cluster, until it stops.
pub(crate) async fn run<P: Platform>(
    node: Arc<Shared<P>>,
    log_store: P::LogStore,
    transport: Rerouted<P::Transport>,
) -> io::Result<()> {
    let ground = Ground { node, log_store, transport };
    let node = &ground.node;
    let holdings = node.load_holdings()?;
    match &holdings.meta {
        None if !holdings.shards.is_empty() => return Err(not_a_cluster()),
        None => found(&ground).await?,
        Some(_) => open_held(&ground).await?,
    }
    tasks::beside(joining::run(ground.clone()));
    tasks::beside(leaving::run(ground.clone()));
    tasks::beside(leaving::notice_forgotten(ground.clone()));
    tasks::beside(links::watch(ground.clone()));
    steward::run(ground.clone()).await
}

/// Founds a cluster of this node alone, on a node that holds nothing.
pub(super) async fn found<P: Platform>(ground: &Ground<P>) -> io::Result<()> {
    let node = &ground.node;
    let (meta, shard) = (draw(node.as_ref(), &node.random), draw(node.as_ref(), &node.random));
    // BEFORE anything is founded: a node that starts again goes on with the same names.
    node.change_holdings(|holdings| (holdings.meta, holdings.shards) = (Some(meta), vec![shard.into()]))?;
    open_held(ground).await
}

/// Opens everything that the node holds.
async fn open_held<P: Platform>(ground: &Ground<P>) -> io::Result<()> {
    let holdings = ground.node.holdings();
    let meta = holdings.meta.expect("a node of a cluster holds a replica of the meta group");
    let first = first_topology(ground, &meta, &holdings.shards);
    open_meta(ground, meta, first).await?;
    for Held { identity, .. } in holdings.shards {
        // A damaged log says so when it is opened.
        if let Some(log) = ground.log_store.load(identity.group).ok().filter(|log| log.unsure) {
            ground.node.doubts.lock().insert(identity.group, Doubt::of(&log));
            tasks::beside(resolve(ground.clone(), identity));
        } else {
            open_replica(ground, identity).await?;
        }
    }
    Ok(())
}

/// Finds out whether a replica that may have forgotten something takes part again: it is opened then, or the topology is asked
/// for a fresh one in its place.
async fn resolve<P: Platform>(ground: Ground<P>, identity: Identity) {
    let node = &ground.node;
    let shard = ShardId(identity.group.0);
    // Not only those that its log knows: a learner's may know nobody.
    let others: Vec<PeerAddress> = ground.cluster().topology().map_or_else(Vec::new, |topology| {
        let replicas = topology.shard(shard).map(|shard| shard.replicas.as_slice()).unwrap_or_default();
        let on_others = replicas.iter().filter(|replica| replica.node != ground.cluster().me());
        on_others.filter_map(|replica| Some(peer(replica.node, &topology.node(replica.node)?.endpoint))).collect()
    });
    let is_held = || node.holdings().shards.iter().any(|held| held.identity == identity);
    let dropped = async {
        while is_held() {
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    };
    let verdict = tokio::select! {
        biased;
        verdict = doubt::settle(node, &ground.log_store, &ground.transport, &identity, &others) => verdict,
        // The node has left its cluster, or the topology has renewed the replica.
        () = dropped => return,
    };
    let done = match verdict {
        Ok(Verdict::Whole) if is_held() => open_replica(&ground, identity).await,
        Ok(Verdict::Whole) => Ok(()),
        Ok(Verdict::Superseded(_)) => {
            tracing::warn!(group = %identity.group, "the group goes on without this replica: a fresh one takes its place");
            // Refused once it is done: then the replica is ended here.
            while is_held() {
                let (old, replica) =
                    (topology::ReplicaId(identity.replica.0), topology::ReplicaId(node.random.next_u64()));
                let _ = node.change_topology(vec![Change::Renew { shard, old, replica }]).await;
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            Ok(())
        }
        Err(why) => Err(why),
    };
    if let Err(why) = done {
        node.fail(why.to_string());
    }
}

/// Where this node is reached, as its configuration says.
pub(super) fn endpoint<P: Platform>(node: &Shared<P>) -> Endpoint {
    let settings = node.config.current();
    let bound = settings.bind.iter().map(|address| address.host.as_str()).find(|host| !host.contains('*'));
    let ip = match settings.cluster_announce_ip.as_str() {
        "" => bound.or(node.own_ip.as_deref()).unwrap_or("127.0.0.1"),
        announced => announced,
    };
    let or = |announced: u16, own: u16| if announced == 0 { own } else { announced };
    Endpoint {
        ip: ip.to_owned(),
        port: or(settings.cluster_announce_port, settings.port),
        tls_port: or(settings.cluster_announce_tls_port, settings.tls_port),
        peer_port: or(settings.cluster_announce_bus_port, settings.peer_port().unwrap_or(0)),
        hostname: settings.cluster_announce_hostname.clone(),
        nodename: settings.cluster_announce_human_nodename.clone(),
        availability_zone: String::new(),
    }
}

/// A new group of this node alone.
fn draw<P: Platform>(node: &Shared<P>, random: &P::Random) -> Identity {
    let replica = ReplicaId(random.next_u64());
    let me = member_at(replica, node.id(), &endpoint(node));
    let group = GroupId(u128::from(random.next_u64()) << 64 | u128::from(random.next_u64()));
    Identity { group, replica, hash_key: [0; 2], founders: vec![me] }
}

/// The topology of the cluster of one that this node founded; `None` if it founded none.
fn first_topology<P: Platform>(ground: &Ground<P>, meta: &Identity, shards: &[Held]) -> Option<Topology> {
    let home = shards.iter().map(|held| &held.identity).find(|identity| !identity.founders.is_empty())?;
    if meta.founders.is_empty() {
        return None;
    }
    let settings = ground.node.config.current();
    let mut topology = Topology::single(First {
        cluster: ClusterId(meta.group.0),
        node: ground.cluster().me(),
        endpoint: endpoint(&ground.node),
        meta_replica: topology::ReplicaId(meta.replica.0),
        shard: ShardId(home.group.0),
        replica: topology::ReplicaId(home.replica.0),
    });
    let wanted = [
        Setting::ReplicationFactor(settings.cluster_replication_factor),
        Setting::VoterReplaceAfterMs(settings.cluster_voter_replace_after_ms),
    ];
    for setting in wanted {
        topology.apply(&Change::Set(setting)).expect("the configuration was checked");
    }
    Some(topology)
}

/// Opens the meta group's replica and makes it the node's.
pub(super) async fn open_meta<P: Platform>(
    ground: &Ground<P>,
    identity: Identity,
    first: Option<Topology>,
) -> io::Result<Arc<Meta>> {
    let cluster = ground.cluster();
    let meta = Arc::new(Meta::new(identity.clone(), Arc::clone(&cluster.changed)));
    let group = open_group(ground, &identity, meta.machine()).await?;
    meta.opened(group.clone());
    *cluster.meta.write() = Some(Arc::clone(&meta));
    let observed = Arc::clone(&meta);
    let node = Arc::clone(&ground.node);
    tasks::beside(async move {
        let mut status = group.status();
        loop {
            let now = status.borrow_and_update().clone();
            observed.observe(&now);
            if let Some(first) = first.as_ref().filter(|_| now.leads() && observed.topology().is_none()) {
                observed.found(first, now.term);
            }
            if let Some(why) = now.stopped {
                // A replica that was given up is stopped by its node.
                if node.meta_of(group.id()).is_some_and(|current| Arc::ptr_eq(&current, &observed)) {
                    node.fail(why);
                }
                return;
            }
            if status.changed().await.is_err() {
                return;
            }
        }
    });
    tasks::beside(steward::keep_meta(ground.clone(), Arc::clone(&meta)));
    Ok(meta)
}

/// Opens a replica of a shard and what runs beside it.
pub(super) async fn open_replica<P: Platform>(ground: &Ground<P>, identity: Identity) -> io::Result<()> {
    let node = &ground.node;
    let (shard, group_id) = (ShardId(identity.group.0), identity.group);
    let known = Arc::new(OnceLock::from(group_id));
    let on_settings = follow_settings(node.config.clone(), ground.log_store.clone(), known);
    let replica = Replica::new(
        Fence::closed(),
        Arc::clone(&node.inboxes),
        node.clock.clone(),
        on_settings,
        Arc::clone(&node.stats),
        &node.crews,
    )?;
    let replica = Arc::new(replica);
    let weak = Arc::downgrade(node);
    replica.shard.redirect_by(Box::new(move |slot| weak.upgrade()?.cluster.as_ref()?.moved(slot)));
    // BEFORE its group opens: messages for it find it, and wait.
    ground.cluster().replicas.lock().insert(shard, Arc::clone(&replica));
    let group = open_group(ground, &identity, replica.machine.clone()).await?;
    replica.opened(group.clone());
    tracing::info!(group = %group_id, "holding a replica");
    tasks::beside(sealer::run(Arc::clone(node), Arc::clone(&replica), group.clone()));
    tasks::beside(steward::watch(ground.clone(), shard, Arc::clone(&replica), group.clone()));
    tasks::beside(steward::keep_shard(ground.clone(), shard, Arc::clone(&replica), group));
    ground.cluster().changed.notify_one();
    Ok(())
}

async fn open_group<P: Platform, M: StateMachine>(
    ground: &Ground<P>,
    identity: &Identity,
    machine: M,
) -> io::Result<Group<M::Waiter>> {
    let node = &ground.node;
    let config = node.group_config(identity.group, member_at(identity.replica, node.id(), &endpoint(node)));
    let is_started = ground.log_store.load(identity.group)?.last.is_some();
    let group =
        Group::open(config, ground.log_store.clone(), ground.transport.clone(), node.clock.clone(), machine).await?;
    if !is_started && !identity.founders.is_empty() {
        group.initialize(identity.founders.clone()).await.map_err(io::Error::other)?;
    }
    Ok(group)
}

/// Ends a replica of a shard for good: it is no member any more.
pub(super) async fn end_replica<P: Platform>(ground: &Ground<P>, shard: ShardId) -> io::Result<()> {
    // None for one that is in doubt.
    let replica = ground.cluster().replicas.lock().remove(&shard);
    ground.node.change_holdings(|holdings| holdings.shards.retain(|held| held.identity.group.0 != shard.0))?;
    if let Some(replica) = replica {
        replica.shard.close();
        replica.stop().await;
    }
    forget(ground, GroupId(shard.0));
    ground.node.doubts.lock().remove(&GroupId(shard.0));
    ground.cluster().changed.notify_one();
    tracing::info!(group = %GroupId(shard.0), "a replica was ended");
    Ok(())
}

/// Drops a group's log.
pub(super) fn forget<P: Platform>(ground: &Ground<P>, group: GroupId) {
    let done = Box::new(move |done: io::Result<()>| {
        if let Err(why) = done {
            tracing::warn!(%group, %why, "the log of a replica that was ended is still there");
        }
    });
    ground.log_store.submit(group, LogChange::Forget, done);
}
