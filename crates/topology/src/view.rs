//! The topology as router and faces read it: made once per version, asked without work.
//!
//! Clients know nodes with one role each. A node that leads shards is shown as the one that serves the union of their slots; every other one as a
//! replica of whoever leads its home shard. Hidden replicas are not shown. A view is a hint: what may be served is decided by each shard's own log.

use std::collections::BTreeMap;

use slot::{SLOT_COUNT, Slot, SlotSet};

use crate::{ClusterId, Endpoint, Leader, NODES_MAX, NodeId, ShardId, Standing, Topology};

/// What is known beside the topology, or sooner: leaders that announced themselves, and nodes that are not heard of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    leaders: BTreeMap<ShardId, Leader>,
    marks: BTreeMap<NodeId, Mark>,
}

/// How a node seems to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// It is heard of.
    #[default]
    Live,
    /// This node has not heard of it lately.
    Suspected,
    /// Enough others have not, either.
    Failed,
}

/// What clients see a node as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It leads shards; it may be one without slots.
    Leading,
    /// It follows the node at this place, the leader of its home shard; `None` while nobody is known to lead that.
    Following(Option<usize>),
}

/// A node as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewNode {
    /// Its id.
    pub id: NodeId,
    /// Where it is reached.
    pub endpoint: Endpoint,
    /// What it is shown as.
    pub role: Role,
    /// The shard that it is shown in: its home if it leads that, else the first that it leads, or that of the node it follows.
    pub shard: ShardId,
    /// The highest config epoch of the shards it leads, or that of the node it follows.
    pub config_epoch: u64,
    /// The slots of the shards it leads.
    pub slots: SlotSet,
    /// Whether its replica of its home shard is a member of that group: before that it has nothing to show.
    pub is_member: bool,
    /// How it seems to be.
    pub mark: Mark,
}

/// Who serves a slot.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// The shard that owns the slot.
    pub shard: ShardId,
    /// The term of its newest known leader.
    pub term: u64,
    /// The node that leads it; `None` while nobody is known to.
    pub node: Option<&'a ViewNode>,
}

/// How many slots are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// They have an owner.
    pub assigned: usize,
    /// Their owner has a leader that is heard of.
    pub ok: usize,
    /// Their leader is suspected.
    pub suspected: usize,
    /// Their leader has failed, or is not known.
    pub failed: usize,
}

/// A projection of one topology version and what is known beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    cluster: ClusterId,
    version: u64,
    current_epoch: u64,
    nodes: Vec<ViewNode>,
    shards: Vec<Routed>,
    /// The place of each slot's shard in `shards`, or [`NOBODY`].
    slots: Box<[u16]>,
    coverage: Coverage,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Routed {
    id: ShardId,
    leader: Option<Leader>,
    /// The leader's place in `nodes`.
    place: Option<usize>,
}

const NOBODY: u16 = u16::MAX;

impl Overlay {
    /// Takes note of an announced leader; whether it is news. Of two the one of the higher term stays. Of more shards than there can be, those
    /// that come last are not noted.
    pub fn announce(&mut self, shard: ShardId, term: u64, node: NodeId) -> bool {
        let known = self.leaders.get(&shard);
        let is_news = known.map_or(self.leaders.len() < NODES_MAX, |leader| leader.term < term);
        if is_news {
            self.leaders.insert(shard, Leader { term, node });
        }
        is_news
    }

    /// Marks a node; whether that is news.
    pub fn mark(&mut self, node: NodeId, mark: Mark) -> bool {
        let before = if mark == Mark::Live { self.marks.remove(&node) } else { self.marks.insert(node, mark) };
        before.unwrap_or_default() != mark
    }

    /// How a node is marked.
    pub fn mark_of(&self, node: NodeId) -> Mark {
        self.marks.get(&node).copied().unwrap_or_default()
    }

    /// Drops what the topology does not know any more. What it has caught up with stays: it may be as new as it is.
    pub fn prune(&mut self, topology: &Topology) {
        self.leaders.retain(|shard, _| topology.shard(*shard).is_some());
        self.marks.retain(|node, _| topology.node(*node).is_some());
    }
}

impl View {
    /// Projects a topology.
    pub fn new(topology: &Topology, overlay: &Overlay) -> Self {
        let mut nodes: Vec<ViewNode> = topology.nodes().keys().map(|&id| plain(id, topology, overlay)).collect();
        let mut shards = Vec::new();
        let mut slots = vec![NOBODY; usize::from(SLOT_COUNT)].into_boxed_slice();
        for (&id, shard) in topology.shards() {
            // One that the topology does not know, or not any more, cannot be shown. The one before it does not lead either.
            let announced = overlay.leaders.get(&id).copied();
            let leader = shard.leader.into_iter().chain(announced).max_by_key(|leader| leader.term);
            let place = leader.and_then(|leader| place_of(&nodes, leader.node));
            let open = shard.open_slots();
            let shard_place = u16::try_from(shards.len()).expect("there are no more shards than nodes");
            open.iter().for_each(|slot| slots[slot.index()] = shard_place);
            if let Some(place) = place {
                let node = &mut nodes[place];
                // One that leads only for others is shown as of the first of these: its home has another leader.
                if node.role != Role::Leading || topology.node(node.id).is_some_and(|known| known.home == id) {
                    node.shard = id;
                }
                node.role = Role::Leading;
                node.config_epoch = node.config_epoch.max(shard.config_epoch);
                node.slots.union_with(&open);
            }
            shards.push(Routed { id, leader, place });
        }
        follow(&mut nodes, &shards);
        let coverage = coverage(&nodes, &shards, &slots);
        let (cluster, version) = (topology.cluster(), topology.version());
        Self { cluster, version, current_epoch: topology.current_epoch(), nodes, shards, slots, coverage }
    }

    /// The cluster.
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The version of the topology that it was made of.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Redis Cluster's current epoch.
    pub const fn current_epoch(&self) -> u64 {
        self.current_epoch
    }

    /// All nodes, by id.
    pub fn nodes(&self) -> &[ViewNode] {
        &self.nodes
    }

    /// The node with this id.
    pub fn node(&self, id: NodeId) -> Option<&ViewNode> {
        self.place(id).map(|place| &self.nodes[place])
    }

    /// The place of a node in [`View::nodes`].
    pub fn place(&self, id: NodeId) -> Option<usize> {
        place_of(&self.nodes, id)
    }

    /// Who serves a slot; `None` if it has no owner.
    pub fn route(&self, slot: Slot) -> Option<Route<'_>> {
        let shard = self.shards.get(usize::from(self.slots[slot.index()]))?;
        let term = shard.leader.map_or(0, |leader| leader.term);
        Some(Route { shard: shard.id, term, node: shard.place.map(|place| &self.nodes[place]) })
    }

    /// The newest known leader of a shard.
    pub fn leader(&self, shard: ShardId) -> Option<Leader> {
        let place = self.shards.binary_search_by_key(&shard, |shard| shard.id).ok()?;
        self.shards[place].leader
    }

    /// The nodes that follow the one at a place, by id.
    pub fn followers(&self, place: usize) -> impl Iterator<Item = &ViewNode> + '_ {
        self.nodes.iter().filter(move |node| node.role == Role::Following(Some(place)))
    }

    /// The nodes that lead, with their places, by id.
    pub fn leading(&self) -> impl Iterator<Item = (usize, &ViewNode)> + '_ {
        self.nodes.iter().enumerate().filter(|(_, node)| node.role == Role::Leading)
    }

    /// How many slots are in which state.
    pub const fn coverage(&self) -> Coverage {
        self.coverage
    }
}

impl ViewNode {
    /// Whether it is shown as one that leads.
    pub fn leads(&self) -> bool {
        self.role == Role::Leading
    }
}

fn place_of(nodes: &[ViewNode], id: NodeId) -> Option<usize> {
    nodes.binary_search_by_key(&id, |node| node.id).ok()
}

/// A node before anybody is known to lead.
fn plain(id: NodeId, topology: &Topology, overlay: &Overlay) -> ViewNode {
    let node = &topology.nodes()[&id];
    let replica = topology.shard(node.home).and_then(|shard| shard.replica_on(id));
    ViewNode {
        id,
        endpoint: node.endpoint.clone(),
        role: Role::Following(None),
        shard: node.home,
        config_epoch: 0,
        slots: SlotSet::new(),
        is_member: replica.is_some_and(|replica| replica.is != Standing::Absent),
        mark: overlay.marks.get(&id).copied().unwrap_or_default(),
    }
}

/// Lets every node that does not lead follow the leader of its home.
fn follow(nodes: &mut [ViewNode], shards: &[Routed]) {
    for at in 0..nodes.len() {
        if nodes[at].role == Role::Leading {
            continue;
        }
        let home = shards.binary_search_by_key(&nodes[at].shard, |shard| shard.id).ok();
        let Some(place) = home.and_then(|home| shards[home].place) else { continue };
        let (epoch, shard) = (nodes[place].config_epoch, nodes[place].shard);
        let node = &mut nodes[at];
        (node.role, node.config_epoch, node.shard) = (Role::Following(Some(place)), epoch, shard);
    }
}

fn coverage(nodes: &[ViewNode], shards: &[Routed], slots: &[u16]) -> Coverage {
    let mut coverage = Coverage::default();
    for shard in slots.iter().filter_map(|&place| shards.get(usize::from(place))) {
        coverage.assigned += 1;
        match shard.place.map(|place| nodes[place].mark) {
            Some(Mark::Live) => coverage.ok += 1,
            Some(Mark::Suspected) => coverage.suspected += 1,
            Some(Mark::Failed) | None => coverage.failed += 1,
        }
    }
    coverage
}

#[cfg(test)]
mod tests;
