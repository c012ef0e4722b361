//! Which replicas there should be, and which of them should vote. Pure: the leader of the meta group asks from time to time, and proposes the answer.
//!
//! For every group it draws up the list of those that could vote, the best first, and takes as many as there should be, an odd number:
//!
//! ```text
//! 1  home replicas: voters that are not lost, then others on live nodes
//! 2  hidden voters that are not lost
//! 3  nodes that hold no replica yet: other addresses first, then those that hold least
//! 4  lost voters: better one that may come back than fewer
//! ```
//!
//! Who is not among them becomes a learner at home, and is removed where it is hidden. The group's leader brings it about in one joint change
//! ([`next_step`](crate::next_step)), so nothing is removed before its successor has caught up.

use std::collections::{BTreeMap, BTreeSet};

use crate::shard::keeps_majority;
use crate::{Change, Group, NodeId, Phase, Replica, ReplicaId, Shard, ShardId, Standing, Topology};

/// How long the shape of a cluster that is not complete must be unchanged before anything is placed: commands that form a cluster come in
/// bursts, and what is placed in between would move again. A complete one is not left without its voters for a moment.
pub const QUIET_MS: u64 = 3000;

/// A node heard of within this time is live: it may be given replicas.
pub const LIVE_WITHIN_MS: u64 = 2000;

/// When nodes were last heard of.
///
/// For a node that was not heard of since the caller began to listen, the caller gives the time since then. A node that is missing
/// here is neither live nor dead: it is given nothing, and nothing is taken from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Liveness {
    /// How many ms ago each node was last heard of; the caller's own node 0.
    pub silent_ms: BTreeMap<NodeId, u64>,
}

impl Liveness {
    /// Every node of a topology was just heard of.
    pub fn all_live(topology: &Topology) -> Self {
        Self { silent_ms: topology.nodes().keys().map(|&node| (node, 0)).collect() }
    }

    fn is_live(&self, node: NodeId) -> bool {
        self.silent_ms.get(&node).is_some_and(|&ms| ms <= LIVE_WITHIN_MS)
    }

    fn is_lost(&self, node: NodeId, after_ms: u64) -> bool {
        self.silent_ms.get(&node).is_some_and(|&ms| ms >= after_ms)
    }
}

/// The commands that bring the topology nearer to what it should be, one a group; empty when it is so, or when it is not
/// [complete](Topology::is_complete) and changed its shape less than [`QUIET_MS`] ago (`quiet_ms` is the time since
/// [`Topology::shape_version`] rose). `draw` gives ids for new replicas, each new.
pub fn plan(
    topology: &Topology,
    liveness: &Liveness,
    quiet_ms: u64,
    draw: &mut dyn FnMut() -> ReplicaId,
) -> Vec<Vec<Change>> {
    let is_settled = quiet_ms >= QUIET_MS || topology.is_complete();
    if !is_settled || topology.phase() != Phase::Living {
        return Vec::new();
    }
    let mut planner = Planner { topology, liveness, load: load(topology) };
    let mut commands = vec![planner.meta()];
    for (&id, shard) in topology.shards() {
        commands.push(planner.shard(id, shard, draw));
    }
    commands.retain(|changes| !changes.is_empty());
    commands
}

/// The commands after which no group needs the voter of a node that is to leave, or to give its place to another: other members, on live
/// nodes, vote in its stead. Empty if every group keeps its majority without it, or has nobody else. When the groups' leaders have confirmed it, the
/// node can be forgotten.
pub fn release(topology: &Topology, liveness: &Liveness, node: NodeId) -> Vec<Vec<Change>> {
    let planner = Planner { topology, liveness, load: BTreeMap::new() };
    let groups = topology.shards().keys().copied().map(Group::Shard);
    let mut commands = Vec::new();
    for group in std::iter::once(Group::Meta).chain(groups) {
        let replicas = topology.replicas(group);
        if keeps_majority(replicas, node) {
            continue;
        }
        let is_fit = |replica: &Replica| replica.node != node && liveness.is_live(replica.node);
        let others: Vec<ReplicaId> = planner
            .ranked(replicas, None)
            .into_iter()
            .filter_map(|(_, replica)| is_fit(replica).then_some(replica.id))
            .collect();
        let voters_now = replicas.iter().filter(|replica| replica.wanted == Standing::Voter).count();
        let voters = others.iter().take(odd(voters_now.min(others.len()))).copied().collect();
        commands.push(wants(group, replicas, &voters));
    }
    commands.retain(|changes| !changes.is_empty());
    commands
}

/// The changes after which a node's replica of its home shard votes: beside the shard's leader and the best of its other voters, or, where there is
/// one vote only, alone. Empty if it is wanted as a voter already, or is no replica that could be.
pub fn promote(topology: &Topology, node: NodeId) -> Vec<Change> {
    let found = topology.node(node).and_then(|known| Some((known.home, topology.shard(known.home)?)));
    let Some((id, shard)) = found else { return Vec::new() };
    let learns = |replica: &&Replica| !replica.hidden && replica.wanted == Standing::Learner;
    let Some(replica) = shard.replica_on(node).filter(learns) else { return Vec::new() };
    let planner = Planner { topology, liveness: &Liveness::default(), load: BTreeMap::new() };
    let leader = shard.leader.map(|leader| leader.node);
    let voters = planner.ranked(&shard.replicas, leader).into_iter().map(|(_, replica)| replica);
    let voters: Vec<ReplicaId> =
        voters.filter(|replica| replica.wanted == Standing::Voter).map(|replica| replica.id).collect();
    let others = voters.iter().take(voters.len().saturating_sub(1)).copied();
    wants(Group::Shard(id), &shard.replicas, &others.chain([replica.id]).collect())
}

/// How many replicas of shards each node holds.
fn load(topology: &Topology) -> BTreeMap<NodeId, usize> {
    let mut load: BTreeMap<NodeId, usize> = topology.nodes().keys().map(|&node| (node, 0)).collect();
    for replica in topology.shards().values().flat_map(|shard| &shard.replicas) {
        if replica.wanted != Standing::Absent
            && let Some(count) = load.get_mut(&replica.node)
        {
            *count += 1;
        }
    }
    load
}

struct Planner<'a> {
    topology: &'a Topology,
    liveness: &'a Liveness,
    load: BTreeMap<NodeId, usize>,
}

/// How well an existing replica is suited to vote: the lower the better, and none for one that is not at all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    HomeVoter,
    Home,
    HiddenVoter,
    LostVoter,
}

impl Planner<'_> {
    fn rank(&self, replica: &Replica) -> Option<Rank> {
        let is_lost = self.liveness.is_lost(replica.node, self.topology.voter_replace_after_ms());
        let is_live = self.liveness.is_live(replica.node);
        if replica.wanted == Standing::Absent {
            return None;
        }
        // One that does not vote yet is of no use while its node is away.
        let votes = replica.wanted == Standing::Voter && (replica.is == Standing::Voter || is_live);
        match (replica.hidden, votes) {
            _ if is_lost => (replica.is == Standing::Voter && votes).then_some(Rank::LostVoter),
            (false, true) => Some(Rank::HomeVoter),
            (false, false) => is_live.then_some(Rank::Home),
            (true, true) => Some(Rank::HiddenVoter),
            (true, false) => None,
        }
    }

    /// The replicas that could vote, the best first. Of equals, voters and the leader first, so that nothing moves without need.
    fn ranked<'r>(&self, replicas: &'r [Replica], leader: Option<NodeId>) -> Vec<(Rank, &'r Replica)> {
        let mut ranked: Vec<_> = replicas.iter().filter_map(|replica| Some((self.rank(replica)?, replica))).collect();
        ranked.sort_by_key(|(rank, replica)| {
            (*rank, replica.is != Standing::Voter, Some(replica.node) != leader, replica.id)
        });
        ranked
    }

    fn meta(&self) -> Vec<Change> {
        let wanted = match self.topology.nodes().len() {
            0..3 => 1,
            3..5 => 3,
            _ => 5,
        };
        let ranked = self.ranked(self.topology.meta(), None);
        let total = odd(wanted.min(ranked.len()));
        let voters = ranked.into_iter().map(|(_, replica)| replica.id).take(total).collect();
        wants(Group::Meta, self.topology.meta(), &voters)
    }

    fn shard(&mut self, id: ShardId, shard: &Shard, draw: &mut dyn FnMut() -> ReplicaId) -> Vec<Change> {
        let wanted = if shard.is_vacant() { 1 } else { usize::from(self.topology.replication_factor()) };
        let mut ranked = self.ranked(&shard.replicas, shard.leader.map(|leader| leader.node));
        let mut lost = ranked.split_off(ranked.partition_point(|(rank, _)| *rank < Rank::LostVoter));
        ranked.truncate(wanted);
        let mut nodes: Vec<NodeId> = ranked.iter().map(|(_, replica)| replica.node).collect();
        while nodes.len() < wanted
            && let Some(node) = self.best_for(shard, &nodes)
        {
            nodes.push(node);
        }
        lost.truncate(wanted - nodes.len());
        let total = odd(nodes.len() + lost.len());
        let mut voters: BTreeSet<ReplicaId> = ranked.iter().take(total).map(|(_, replica)| replica.id).collect();
        let mut changes = Vec::new();
        for &node in nodes.iter().take(total).skip(ranked.len()) {
            let replica = draw();
            *self.load.entry(node).or_default() += 1;
            changes.push(Change::Place { shard: id, node, replica, hidden: true, wanted: Standing::Voter });
            voters.insert(replica);
        }
        voters.extend(lost.iter().take(total.saturating_sub(nodes.len())).map(|(_, replica)| replica.id));
        changes.extend(wants(Group::Shard(id), &shard.replicas, &voters));
        changes
    }

    /// The live node to hold a further, hidden replica of a shard, beside those on `nodes`.
    fn best_for(&self, shard: &Shard, nodes: &[NodeId]) -> Option<NodeId> {
        let address = |node: &NodeId| self.topology.node(*node).map(|node| node.endpoint.ip.as_str());
        let near: BTreeSet<_> = nodes.iter().map(address).collect();
        let is_free = |node: &NodeId| shard.replica_on(*node).is_none() && !nodes.contains(node);
        let candidates = self.topology.nodes().keys().filter(|node| self.liveness.is_live(**node) && is_free(node));
        // Of equals, the next behind the shard's first: so that shards in their order do not all choose the same.
        let is_before = |node: &NodeId| nodes.first().is_some_and(|first| node < first);
        candidates
            .min_by_key(|node| (near.contains(&address(node)), self.load.get(node), is_before(node), **node))
            .copied()
    }
}

/// The greatest odd number that is not above; 0 for 0.
const fn odd(count: usize) -> usize {
    if count.is_multiple_of(2) { count.saturating_sub(1) } else { count }
}

/// The changes after which those and no others of the group's replicas are wanted as voters.
fn wants(group: Group, replicas: &[Replica], voters: &BTreeSet<ReplicaId>) -> Vec<Change> {
    // Without anyone to vote, what is there stays.
    if voters.is_empty() {
        return Vec::new();
    }
    let mut changes = Vec::new();
    for replica in replicas.iter().filter(|replica| replica.wanted != Standing::Absent) {
        let wanted = match replica {
            _ if voters.contains(&replica.id) => Standing::Voter,
            _ if replica.hidden => Standing::Absent,
            _ => Standing::Learner,
        };
        if wanted != replica.wanted {
            changes.push(Change::Want { group, replica: replica.id, wanted });
        }
    }
    changes
}

#[cfg(test)]
mod tests;
