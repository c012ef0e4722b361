//! Clusters for tests: formed as redis-cli forms them, their groups' memberships changed as their leaders would.

use std::collections::{BTreeMap, BTreeSet};

use slot::{Slot, SlotRange, SlotSet};

use crate::{
    Change, ClusterId, Endpoint, First, Group, Liveness, Members, NodeId, Outcome, QUIET_MS, ReplicaId, ShardId,
    Standing, Step, Topology, next_step, plan,
};

pub(crate) fn slots(text: &str) -> SlotSet {
    text.parse().unwrap()
}

pub(crate) fn slot(number: u16) -> Slot {
    Slot::new(number).unwrap()
}

pub(crate) fn node(number: u8) -> NodeId {
    NodeId([number; 20])
}

pub(crate) fn shard(number: u8) -> ShardId {
    ShardId(u128::from(number))
}

pub(crate) fn endpoint(number: u8) -> Endpoint {
    let port = 7000 + u16::from(number);
    Endpoint { ip: format!("10.0.0.{number}"), port, peer_port: port + 10_000, ..Endpoint::default() }
}

/// A fresh node: its ids all come from its number.
pub(crate) fn single(number: u8) -> Topology {
    let own = u64::from(number) * 1000;
    Topology::single(First {
        cluster: ClusterId(u128::from(number)),
        node: node(number),
        endpoint: endpoint(number),
        meta_replica: ReplicaId(own),
        shard: shard(number),
        replica: ReplicaId(own + 1),
    })
}

pub(crate) fn add(number: u8, of: &str) -> Change {
    Change::AddSlots { node: node(number), slots: slots(of) }
}

/// Takes a cluster of one in, all steps.
pub(crate) fn meet(cluster: &mut Topology, own: &mut Topology, meta_replica: u64) {
    own.apply(&Change::Joining { cluster: cluster.cluster() }).unwrap();
    let join = own.join_change(ReplicaId(meta_replica)).unwrap();
    assert_eq!(cluster.apply(&join), Ok(Outcome::Changed));
    own.apply(&Change::Joined { cluster: cluster.cluster() }).unwrap();
}

/// A cluster, and what Raft would know of its groups.
pub(crate) struct World {
    pub(crate) topology: Topology,
    pub(crate) groups: BTreeMap<Group, Members>,
    at: u64,
    drawn: u64,
    pub(crate) dead: BTreeSet<NodeId>,
}

impl World {
    /// As `redis-cli --cluster create` with so many nodes and replicas makes it: slots first, then MEET, then REPLICATE.
    pub(crate) fn create(nodes: u8, replicas: u8) -> Self {
        let masters = nodes / (replicas + 1);
        let mut singles: Vec<Topology> = (1..=nodes).map(single).collect();
        for number in 1..=masters {
            let bound = |part: u8| 16384 * u32::from(part) / u32::from(masters);
            let (first, end) = (bound(number - 1), bound(number));
            let number_of = |slot: u32| Slot::new(u16::try_from(slot).unwrap()).unwrap();
            let range = SlotRange::new(number_of(first), number_of(end - 1)).unwrap();
            let change = Change::AddSlots { node: node(number), slots: SlotSet::from(range) };
            singles[usize::from(number) - 1].apply(&change).unwrap();
        }
        for (at, single) in (1u8..).zip(&mut singles) {
            single.apply(&Change::SetConfigEpoch { node: node(at), epoch: u64::from(at) }).unwrap();
        }
        let mut rest = singles.split_off(1);
        let mut topology = singles.remove(0);
        for (at, single) in (1u64..).zip(&mut rest) {
            meet(&mut topology, single, 500 + at);
        }
        let mut world = Self { topology, groups: BTreeMap::new(), at: 0, drawn: 1 << 32, dead: BTreeSet::new() };
        for number in masters + 1..=nodes {
            let of = (number - masters - 1) % masters + 1;
            let replica = world.draw();
            world.apply(&Change::Replicate { node: node(number), shard: shard(of), replica });
        }
        world
    }

    pub(crate) fn draw(&mut self) -> ReplicaId {
        self.drawn += 1;
        ReplicaId(self.drawn)
    }

    pub(crate) fn apply(&mut self, change: &Change) -> Outcome {
        self.topology.apply(change).unwrap_or_else(|refusal| panic!("{change:?}: {refusal}"))
    }

    /// Nodes that died long ago are silent for an hour, the others not at all.
    pub(crate) fn liveness(&self) -> Liveness {
        let silent = |node: NodeId| if self.dead.contains(&node) { 3_600_000 } else { 0 };
        Liveness { silent_ms: self.topology.nodes().keys().map(|&node| (node, silent(node))).collect() }
    }

    /// Plans, and lets leaders change members, until there is nothing left to do.
    pub(crate) fn settle(&mut self) {
        let liveness = self.liveness();
        self.settle_with(&liveness);
    }

    pub(crate) fn settle_with(&mut self, liveness: &Liveness) {
        for round in 0.. {
            assert!(round < 100, "it does not settle");
            let mut drawn = self.drawn;
            let mut draw = || {
                drawn += 1;
                ReplicaId(drawn)
            };
            let planned = plan(&self.topology, liveness, QUIET_MS, &mut draw);
            self.drawn = drawn;
            for changes in &planned {
                self.topology.apply_all(changes).unwrap_or_else(|refusal| panic!("{changes:?}: {refusal}"));
            }
            let again = plan(&self.topology, liveness, QUIET_MS, &mut || panic!("it places again"));
            assert!(again.is_empty(), "a plan is done at once, but then {again:?}");
            if !self.lead() && planned.is_empty() {
                return;
            }
        }
    }

    /// Lets the leader of each group with a live majority do what it can. Whether anything was done.
    fn lead(&mut self) -> bool {
        let shards: Vec<Group> = self.topology.shards().keys().map(|&shard| Group::Shard(shard)).collect();
        self.groups.retain(|group, _| *group == Group::Meta || shards.contains(group));
        let mut done = false;
        for group in std::iter::once(Group::Meta).chain(shards) {
            while self.step(group) {
                done = true;
            }
        }
        done
    }

    fn step(&mut self, group: Group) -> bool {
        let replicas = self.topology.replicas(group).to_vec();
        let of = |standing| replicas.iter().filter(move |r| r.is == standing).map(|r| r.id).collect();
        let members = self.groups.entry(group).or_insert_with(|| Members {
            voters: of(Standing::Voter),
            learners: of(Standing::Learner),
            ..Members::default()
        });
        let is_live = |id: &ReplicaId| {
            replicas.iter().any(|replica| {
                replica.id == *id
                    && !self.dead.contains(&replica.node)
                    && self.topology.nodes().contains_key(&replica.node)
            })
        };
        let has_majority =
            |voters: &BTreeSet<ReplicaId>| voters.iter().filter(|id| is_live(id)).count() * 2 > voters.len();
        if !has_majority(&members.voters) {
            return false;
        }
        members.caught_up = members.learners.iter().filter(|id| is_live(id)).copied().collect();
        self.at += 1;
        match next_step(&replicas, members) {
            None => return false,
            Some(Step::AddLearner(id, on)) => {
                assert!(replicas.iter().any(|replica| replica.id == id && replica.node == on));
                members.learners.insert(id);
            }
            Some(Step::ChangeVoters(voters)) => {
                assert!(voters.len() % 2 == 1 && has_majority(&voters), "a majority of the new voters is there");
                members.learners.extend(members.voters.iter().filter(|id| !voters.contains(id)));
                members.learners.retain(|id| !voters.contains(id));
                members.voters = voters;
            }
            Some(Step::RemoveLearners(gone)) => {
                assert!(!gone.is_empty());
                members.learners.retain(|id| !gone.contains(id));
            }
            Some(Step::Confirm) => {
                let (voters, learners) = (&members.voters, &members.learners);
                let change = Change::MembershipDone {
                    group,
                    at: self.at,
                    voters: voters.iter().copied().collect(),
                    learners: learners.iter().copied().collect(),
                };
                self.topology.apply(&change).unwrap();
            }
        }
        true
    }

    /// The nodes whose replicas vote in a group.
    pub(crate) fn voters(&self, group: Group) -> BTreeSet<NodeId> {
        let replicas = self.topology.replicas(group).iter();
        replicas.filter(|replica| replica.is == Standing::Voter).map(|replica| replica.node).collect()
    }

    /// The shards with slots.
    pub(crate) fn serving(&self) -> Vec<Group> {
        let shards = self.topology.shards().iter();
        shards.filter(|(_, shard)| !shard.slots.is_empty()).map(|(&id, _)| Group::Shard(id)).collect()
    }
}
