//! The state: what every node of a cluster knows about it.

mod apply;
mod join;
mod members;
#[cfg(test)]
mod properties;
mod slots;
mod snapshot;
#[cfg(test)]
mod tests;

pub use join::Meeting;

use std::collections::{BTreeMap, VecDeque};

use slot::{SLOT_COUNT, Slot, SlotSet};

use crate::{
    Change, ClusterId, Endpoint, Group, Leader, Node, NodeId, Outcome, Refusal, Replica, ReplicaId, Shard, ShardId,
    Standing,
};

/// The most nodes of a cluster.
pub const NODES_MAX: usize = 1000;

/// How many forgotten nodes are remembered.
const FORGOTTEN_MAX: usize = 64;

/// The first voters of a shard with slots, unless `cluster-replication-factor` says otherwise.
const REPLICATION_FACTOR: u8 = 3;

/// For how long a voter's node is dead before the voter is replaced, unless `cluster-voter-replace-after-ms` says otherwise.
const VOTER_REPLACE_AFTER_MS: u64 = 60_000;

/// The names of a cluster of one, all new.
#[derive(Clone, Debug)]
pub struct First {
    /// The cluster, and its meta group.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// Where it is reached.
    pub endpoint: Endpoint,
    /// Its replica of the meta group.
    pub meta_replica: ReplicaId,
    /// Its shard.
    pub shard: ShardId,
    /// Its replica of that.
    pub replica: ReplicaId,
}

/// A forgotten node, and the cluster of one that it had been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Forgotten {
    node: NodeId,
    joined_from: ClusterId,
}

/// Whether this topology goes on being a cluster's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It does.
    Living,
    /// It asks that cluster to take it in; nothing else may change meanwhile.
    Joining(ClusterId),
    /// That cluster has taken it in; nothing may change any more.
    Retired(ClusterId),
}

/// The topology of a cluster. Two that applied the same changes are equal, and encode to the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    cluster: ClusterId,
    version: u64,
    shape_version: u64,
    current_epoch: u64,
    replication_factor: u8,
    voter_replace_after_ms: u64,
    phase: Phase,
    nodes: BTreeMap<NodeId, Node>,
    shards: BTreeMap<ShardId, Shard>,
    /// The replicas of the meta group, sorted by id.
    meta: Vec<Replica>,
    meta_confirmed_at: u64,
    /// The newest last.
    forgotten: VecDeque<Forgotten>,
}

impl Topology {
    /// What a fresh node starts with: a cluster of one, with one shard that owns no slot, and one voter of each group.
    pub fn single(first: First) -> Self {
        let voter = |id| Replica { id, node: first.node, hidden: false, is: Standing::Voter, wanted: Standing::Voter };
        let shard = Shard {
            config_epoch: 0,
            slots: SlotSet::new(),
            slots_version: 0,
            closing: Vec::new(),
            kept: SlotSet::new(),
            leader: Some(Leader { term: 0, node: first.node }),
            replicas: vec![voter(first.replica)],
            confirmed_at: 0,
        };
        let node = Node { endpoint: first.endpoint, home: first.shard, joined_from: first.cluster };
        Self {
            cluster: first.cluster,
            version: 0,
            shape_version: 0,
            current_epoch: 0,
            replication_factor: REPLICATION_FACTOR,
            voter_replace_after_ms: VOTER_REPLACE_AFTER_MS,
            phase: Phase::Living,
            nodes: BTreeMap::from([(first.node, node)]),
            shards: BTreeMap::from([(first.shard, shard)]),
            meta: vec![voter(first.meta_replica)],
            meta_confirmed_at: 0,
            forgotten: VecDeque::new(),
        }
    }

    /// The cluster.
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// How many changes were made. It may skip numbers, and never falls.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The version at which nodes, homes, the factor, or which shards have slots or keys changed last: what placement waits to see quiet. Changes of
    /// leaders and members and slots that move between shards with slots do not count.
    pub const fn shape_version(&self) -> u64 {
        self.shape_version
    }

    /// Redis Cluster's current epoch: no config epoch is higher.
    pub const fn current_epoch(&self) -> u64 {
        self.current_epoch
    }

    /// How many voters a shard with slots should have. Odd.
    pub const fn replication_factor(&self) -> u8 {
        self.replication_factor
    }

    /// For how many ms a voter's node is dead before the voter is replaced.
    pub const fn voter_replace_after_ms(&self) -> u64 {
        self.voter_replace_after_ms
    }

    /// Whether it is joining another, or was joined.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The nodes, by id. Never empty.
    pub const fn nodes(&self) -> &BTreeMap<NodeId, Node> {
        &self.nodes
    }

    /// A node.
    pub fn node(&self, node: NodeId) -> Option<&Node> {
        self.nodes.get(&node)
    }

    /// The shards, by id.
    pub const fn shards(&self) -> &BTreeMap<ShardId, Shard> {
        &self.shards
    }

    /// A shard.
    pub fn shard(&self, shard: ShardId) -> Option<&Shard> {
        self.shards.get(&shard)
    }

    /// The replicas of the meta group, sorted by id.
    pub fn meta(&self) -> &[Replica] {
        &self.meta
    }

    /// The replicas of a group, sorted by id; none for a shard that is not there.
    pub fn replicas(&self, group: Group) -> &[Replica] {
        match group {
            Group::Meta => &self.meta,
            Group::Shard(shard) => self.shards.get(&shard).map_or(&[], |shard| &shard.replicas),
        }
    }

    /// The shard that owns a slot, also while it is closing.
    pub fn owner(&self, slot: Slot) -> Option<ShardId> {
        self.shards.iter().find(|(_, shard)| shard.slots.contains(slot)).map(|(&id, _)| id)
    }

    /// The nodes whose home a shard is, in order.
    pub fn homes(&self, shard: ShardId) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes.iter().filter(move |(_, node)| node.home == shard).map(|(&id, _)| id)
    }

    /// The replicas that a node should hold or still holds: of which group, and the replica. A node ends what is not in this list: so it
    /// ends one that has a successor before it begins that.
    pub fn held_by(&self, node: NodeId) -> impl Iterator<Item = (Group, &Replica)> {
        let of_shards =
            self.shards.iter().filter_map(move |(&id, shard)| Some((Group::Shard(id), shard.replica_on(node)?)));
        let of_meta = self.meta.iter().map(|replica| (Group::Meta, replica));
        of_meta.filter(move |(_, replica)| replica.node == node).chain(of_shards)
    }

    /// Whether every slot has an owner and every node is at home where there are slots: nobody is awaited any more. While a cluster is being
    /// formed a slot is missing, or somebody who is to be a replica stands alone.
    pub fn is_complete(&self) -> bool {
        let assigned: usize = self.shards.values().map(|shard| shard.slots.len()).sum();
        assigned == usize::from(SLOT_COUNT) && !self.shards.values().any(Shard::is_vacant)
    }

    /// How many shards with slots have fewer voters than they should. One that is to go, as those of forgotten nodes are, does not count.
    pub fn underreplicated_shards(&self) -> usize {
        let stays = |replica: &&Replica| (replica.is, replica.wanted) == (Standing::Voter, Standing::Voter);
        let voters = |shard: &Shard| shard.replicas.iter().filter(stays).count();
        let factor = usize::from(self.replication_factor);
        self.shards.values().filter(|shard| !shard.slots.is_empty() && voters(shard) < factor).count()
    }

    /// Makes a change.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if it cannot be made; then nothing has changed.
    pub fn apply(&mut self, change: &Change) -> Result<Outcome, Refusal> {
        let outcome = self.change(change);
        debug_assert_eq!(self.check(), Ok(()), "after {change:?}");
        outcome
    }

    /// Makes the changes of one command together.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] of the first that cannot be made, after those before it; then none is made.
    pub fn apply_all(&mut self, changes: &[Change]) -> Result<Vec<Outcome>, Refusal> {
        if let [change] = changes {
            return self.apply(change).map(|outcome| vec![outcome]);
        }
        let mut next = self.clone();
        let outcomes = changes.iter().map(|change| next.apply(change)).collect::<Result<_, _>>()?;
        *self = next;
        Ok(outcomes)
    }

    /// Applies an entry: the commands of a batch in order, each on its own, as EXEC runs a transaction: one that is refused does not keep those behind it
    /// from being made.
    pub fn apply_batch(&mut self, commands: &[Vec<Change>]) -> Vec<Result<Vec<Outcome>, Refusal>> {
        commands.iter().map(|changes| self.apply_all(changes)).collect()
    }

    /// A number of the whole state, to compare replicas by: not against forgery.
    pub fn digest(&self) -> u64 {
        // FNV-1a, 64 bits.
        let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        self.encode().iter().fold(0xcbf2_9ce4_8422_2325, hash)
    }

    fn group_mut(&mut self, group: Group) -> Result<(&mut Vec<Replica>, &mut u64), Refusal> {
        match group {
            Group::Meta => Ok((&mut self.meta, &mut self.meta_confirmed_at)),
            Group::Shard(shard) => {
                let shard = self.shards.get_mut(&shard).ok_or(Refusal::UnknownShard)?;
                Ok((&mut shard.replicas, &mut shard.confirmed_at))
            }
        }
    }

    /// Whether the invariants hold; the first that does not, if one does not.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let ensure = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
        ensure(!self.nodes.is_empty() && self.nodes.len() <= NODES_MAX, "nodes are 1 to NODES_MAX")?;
        ensure(self.forgotten.len() <= FORGOTTEN_MAX, "forgotten nodes are few")?;
        ensure(self.nodes.values().all(|node| self.shards.contains_key(&node.home)), "every node has a home")?;
        ensure(self.nodes.values().all(|node| node.endpoint.is_bounded()), "endpoints are bounded")?;
        let mut owned = SlotSet::new();
        for (&id, shard) in &self.shards {
            ensure(!owned.overlaps(&shard.slots), "a slot has at most one owner")?;
            owned.union_with(&shard.slots);
            ensure(!shard.slots.overlaps(&shard.kept), "what is kept is not owned")?;
            ensure(shard.slots_version <= self.version, "no fence is of the future")?;
            ensure(shard.config_epoch <= self.current_epoch, "no config epoch is above the current one")?;
            ensure(self.homes(id).next().is_some(), "every shard is somebody's home")?;
            let mut closing = SlotSet::new();
            for part in &shard.closing {
                ensure(!part.slots.is_empty(), "a closing has slots")?;
                ensure(shard.slots.contains_all(&part.slots), "what is closing is still owned")?;
                ensure(!closing.overlaps(&part.slots), "a slot is closing once")?;
                closing.union_with(&part.slots);
            }
            let leader = shard.leader.map(|leader| leader.node);
            ensure(leader.is_none_or(|node| self.nodes.contains_key(&node)), "a leader is a node")?;
            self.check_replicas(&shard.replicas)?;
            for node in self.homes(id) {
                let seen = shard.replica_on(node).is_some_and(|replica| !replica.hidden);
                ensure(seen, "a node holds a visible replica of its home")?;
            }
            let astray = |replica: &&Replica| {
                !replica.hidden
                    && replica.wanted != Standing::Absent
                    && self.nodes.get(&replica.node).is_none_or(|node| node.home != id)
            };
            ensure(!shard.replicas.iter().any(|replica| astray(&replica)), "what is visible is at home")?;
        }
        self.check_replicas(&self.meta)
    }

    fn check_replicas(&self, replicas: &[Replica]) -> Result<(), &'static str> {
        let ensure = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
        ensure(
            replicas.windows(2).all(|pair| pair[0].id < pair[1].id),
            "replicas are sorted and have ids of their own",
        )?;
        for (place, replica) in replicas.iter().enumerate() {
            let stays = |replica: &Replica| replica.wanted != Standing::Absent;
            let on_same =
                replicas[place + 1..].iter().any(|other| other.node == replica.node && stays(other) && stays(replica));
            ensure(!on_same, "no two replicas of a group that stay are on one node")?;
            let gone = replica.wanted == Standing::Absent;
            ensure(gone || self.nodes.contains_key(&replica.node), "a wanted replica is on a node")?;
            ensure(!gone || replica.is != Standing::Absent, "what is gone is dropped")?;
        }
        Ok(())
    }
}
