//! What is placed where, and that every loss of a node that can be survived is.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::fixture::{World, add, meet, node, shard, single};

/// Nodes, and replicas of each master.
const CLUSTERS: [(u8, u8); 9] = [(3, 0), (4, 0), (4, 1), (6, 0), (6, 1), (6, 2), (9, 0), (9, 1), (9, 2)];

/// Every group keeps a majority without any one node.
fn assert_any_loss_is_survived(world: &World) {
    for group in world.serving().into_iter().chain([Group::Meta]) {
        let voters = world.voters(group);
        assert!(voters.len() % 2 == 1 && voters.len() >= 3, "{group:?} has {voters:?}");
        for lost in world.topology.nodes().keys() {
            let left = voters.iter().filter(|voter| *voter != lost).count();
            assert!(left * 2 > voters.len(), "{group:?} without {lost}");
        }
    }
    assert_eq!(world.topology.underreplicated_shards(), 0);
}

#[test]
fn any_single_loss_leaves_every_shard_a_majority() {
    for (nodes, replicas) in CLUSTERS {
        let mut world = World::create(nodes, replicas);
        world.settle();
        assert_any_loss_is_survived(&world);
        for group in world.serving() {
            assert_eq!(world.voters(group).len(), 3, "{nodes} nodes, {replicas} replicas");
        }
        assert_eq!(world.voters(Group::Meta).len(), if nodes < 5 { 3 } else { 5 });
    }
}

#[test]
fn hidden_voters_are_spread_evenly() {
    for (nodes, replicas) in CLUSTERS {
        let mut world = World::create(nodes, replicas);
        world.settle();
        let held: Vec<usize> =
            world.topology.nodes().keys().map(|&node| world.topology.held_by(node).count()).collect();
        // One of each node's replicas is the meta group's.
        let (least, most) = (held.iter().min().unwrap(), held.iter().max().unwrap());
        assert!(most - least <= 1, "{nodes} nodes, {replicas} replicas: {held:?}");
    }
}

#[test]
fn a_learner_is_promoted_in_the_place_of_the_least_voter_but_never_beside_a_leader_alone() {
    // Nodes, replicas, and the voters of the first shard when node `nodes` has been promoted.
    for (nodes, replicas, expected) in [(2, 1, vec![2]), (8, 3, vec![1, 3, 7]), (8, 7, vec![1, 2, 8])] {
        let mut world = World::create(nodes, replicas);
        world.settle();
        let learner = if replicas == 3 { 7 } else { nodes };
        let group = Group::Shard(shard(1));
        let learns = |world: &World| !world.voters(group).contains(&node(learner));
        assert!(learns(&world), "{nodes}/{replicas}: {:?}", world.voters(group));
        for change in promote(&world.topology, node(learner)) {
            world.apply(&change);
        }
        world.settle();
        assert_eq!(world.voters(group), expected.iter().map(|&number| node(number)).collect(), "{nodes}/{replicas}");
        assert!(promote(&world.topology, node(learner)).is_empty(), "it votes");
    }
}

#[test]
fn a_lost_node_is_replaced_and_then_another_may_be_lost() {
    for (nodes, replicas) in CLUSTERS {
        for lost in 1..=nodes {
            let mut world = World::create(nodes, replicas);
            world.settle();
            world.dead.insert(node(lost));
            world.settle();
            if nodes == 3 {
                // Nobody is left to vote instead: who may come back stays.
                assert!(world.serving().into_iter().all(|group| world.voters(group).len() == 3));
                continue;
            }
            for group in world.serving() {
                let voters = world.voters(group);
                assert!(
                    voters.len() == 3 && !voters.contains(&node(lost)),
                    "{nodes}/{replicas} without {lost}: {voters:?}"
                );
            }
            assert!(nodes == 4 || !world.voters(Group::Meta).contains(&node(lost)) || nodes == 5);
            // Back again, a home replica is preferred to a hidden one.
            world.dead.clear();
            world.settle();
            assert_any_loss_is_survived(&world);
            for (id, shard) in world.topology.shards() {
                let homes = world.topology.homes(*id).count();
                let hidden = shard.replicas.iter().filter(|replica| replica.hidden).count();
                assert_eq!(hidden, 3usize.saturating_sub(homes), "{nodes}/{replicas} after {lost}");
            }
        }
    }
}

/// Every node but the last few dies, one after the other, with time between.
#[test]
fn nodes_may_die_one_by_one() {
    let mut world = World::create(9, 2);
    world.settle();
    for lost in 1..=6 {
        world.dead.insert(node(lost));
        world.settle();
        for group in world.serving() {
            let live = world.voters(group).iter().filter(|voter| !world.dead.contains(voter)).count();
            assert_eq!(live, 3, "{group:?} after {lost}");
        }
    }
}

#[test]
fn a_home_node_that_appears_retires_a_hidden_voter() {
    let mut world = World::create(3, 0);
    world.settle();
    for number in [4, 5] {
        meet(&mut world.topology, &mut single(number), 600 + u64::from(number));
        let replica = world.draw();
        world.apply(&Change::Replicate { node: node(number), shard: shard(1), replica });
        world.settle();
        let hidden = world.topology.shards()[&shard(1)].replicas.iter().filter(|replica| replica.hidden).count();
        assert_eq!(hidden, usize::from(5 - number));
        assert!(world.voters(Group::Shard(shard(1))).contains(&node(number)));
    }
    // The third beyond the factor learns only.
    meet(&mut world.topology, &mut single(6), 606);
    let replica = world.draw();
    world.apply(&Change::Replicate { node: node(6), shard: shard(1), replica });
    world.settle();
    assert_eq!(world.voters(Group::Shard(shard(1))).len(), 3);
    let newest = *world.topology.shards()[&shard(1)].replica_on(node(6)).unwrap();
    assert_eq!((newest.is, newest.wanted), (Standing::Learner, Standing::Learner));
}

#[test]
fn shards_without_slots_have_one_voter() {
    let mut world = World::create(3, 0);
    meet(&mut world.topology, &mut single(4), 604);
    world.settle();
    assert_eq!(world.voters(Group::Shard(shard(4))), BTreeSet::from([node(4)]));
    // With its first slot it is given more, and without its last it gives them back.
    world.apply(&Change::DelSlots { node: node(1), slots: "0".parse().unwrap() });
    let number = world.topology.shards()[&shard(1)].closing[0].number;
    world.apply(&Change::SlotsClosed { shard: shard(1), number, kept: slot::SlotSet::new() });
    world.apply(&Change::AddSlots { node: node(4), slots: "0".parse().unwrap() });
    world.settle();
    assert_eq!(world.voters(Group::Shard(shard(4))).len(), 3);
    world.apply(&Change::FlushSlots { node: node(4) });
    let number = world.topology.shards()[&shard(4)].closing[0].number;
    world.apply(&Change::SlotsClosed { shard: shard(4), number, kept: "0".parse().unwrap() });
    world.settle();
    assert_eq!(world.voters(Group::Shard(shard(4))).len(), 3, "it has keys still");
    world.apply(&Change::KeysGone { shard: shard(4), slots: "0".parse().unwrap() });
    world.settle();
    assert_eq!(world.voters(Group::Shard(shard(4))), BTreeSet::from([node(4)]));
    assert_eq!(world.topology.shards()[&shard(4)].replicas.len(), 1);
}

#[test]
fn two_nodes_have_one_voter_each_group() {
    let mut world = World::create(2, 1);
    world.settle();
    assert_eq!(world.voters(Group::Shard(shard(1))), BTreeSet::from([node(1)]));
    assert_eq!(world.voters(Group::Meta), BTreeSet::from([node(1)]));
    assert_eq!(world.topology.underreplicated_shards(), 1);
    // Its replica can take over from it.
    let leader = world.topology.shards()[&shard(1)].leader.unwrap();
    assert_eq!(leader.node, node(1));
    for changes in release(&world.topology, &world.liveness(), node(1)) {
        world.topology.apply_all(&changes).unwrap();
    }
    world.settle();
    assert_eq!(world.voters(Group::Shard(shard(1))), BTreeSet::from([node(2)]));
    assert_eq!(world.voters(Group::Meta), BTreeSet::from([node(2)]));
    world.apply(&Change::LeaderChanged { shard: shard(1), term: 9, node: node(2) });
    world.apply(&Change::Forget { node: node(1) });
    world.settle();
    assert_eq!(world.topology.nodes().len(), 1);
    assert_eq!(world.topology.replicas(Group::Meta).len(), 1);
}

#[test]
fn nothing_is_placed_on_who_is_not_heard_of() {
    let world = World::create(6, 1);
    let mut liveness = Liveness::all_live(&world.topology);
    liveness.silent_ms.insert(node(4), LIVE_WITHIN_MS + 1);
    liveness.silent_ms.remove(&node(5));
    let planned = plan(&world.topology, &liveness, QUIET_MS, &mut {
        let mut next = 1 << 40;
        move || {
            next += 1;
            ReplicaId(next)
        }
    });
    for change in planned.iter().flatten() {
        if let Change::Place { node: on, .. } = change {
            assert!(![node(4), node(5)].contains(on));
        }
        if let Change::Want { replica, wanted: Standing::Voter, .. } = change {
            let holds = |on| world.topology.held_by(node(on)).any(|(_, held)| held.id == *replica);
            assert!(!holds(4) && !holds(5));
        }
    }
}

/// A node that is to be a replica stands alone until it is told so, and slots are missing until the last master has come: until then
/// placement waits for the end of the burst, and from then on for nothing.
#[test]
fn a_cluster_that_is_not_complete_must_be_quiet_before_anything_is_placed() {
    let is_placed = |world: &World, quiet_ms| {
        let mut drawn = 1 << 40;
        let mut draw = || {
            drawn += 1;
            ReplicaId(drawn)
        };
        !plan(&world.topology, &Liveness::all_live(&world.topology), quiet_ms, &mut draw).is_empty()
    };
    let mut world = World::create(6, 1);
    assert!(world.topology.is_complete() && is_placed(&world, 0));
    // One more, that may become somebody's replica.
    meet(&mut world.topology, &mut single(7), 1 << 30);
    assert!(!world.topology.is_complete());
    assert!(!is_placed(&world, QUIET_MS - 1) && is_placed(&world, QUIET_MS));
    let replica = ReplicaId(1 << 31);
    world.topology.apply(&Change::Replicate { node: node(7), shard: shard(1), replica }).unwrap();
    assert!(world.topology.is_complete() && is_placed(&world, 0));
    let mut alone = single(1);
    alone.apply(&add(1, "0-16382")).unwrap();
    assert!(!alone.is_complete());
    alone.apply(&add(1, "16383")).unwrap();
    assert!(alone.is_complete());
}

/// A dead voter is left alone until its time is up.
#[test]
fn a_voter_is_replaced_only_after_its_time() {
    let mut world = World::create(6, 1);
    world.settle();
    let before = world.topology.clone();
    let mut liveness = Liveness::all_live(&world.topology);
    liveness.silent_ms.insert(node(1), world.topology.voter_replace_after_ms() - 1);
    world.settle_with(&liveness);
    assert_eq!(world.topology, before);
    liveness.silent_ms.insert(node(1), world.topology.voter_replace_after_ms());
    world.dead.insert(node(1));
    world.settle_with(&liveness);
    assert!(!world.voters(Group::Shard(shard(1))).contains(&node(1)));
}

#[test]
fn other_addresses_come_first() {
    let mut world = World::create(6, 1);
    // Two nodes on each of three machines; each shard's two homes are on the same.
    for number in 1..=6u8 {
        let mut endpoint = world.topology.nodes()[&node(number)].endpoint.clone();
        endpoint.ip = format!("10.0.1.{}", (number - 1) % 3);
        world.apply(&Change::NodeChanged { node: node(number), endpoint });
    }
    world.settle();
    for group in world.serving() {
        let addresses: BTreeSet<_> =
            world.voters(group).iter().map(|voter| world.topology.nodes()[voter].endpoint.ip.clone()).collect();
        assert_eq!(addresses.len(), 2, "{group:?}");
    }
}

/// What may happen to a cluster; each is followed by time enough to settle.
#[derive(Clone, Debug)]
enum Happening {
    Kill(u8),
    Revive,
    Join,
    Replicate(u8, u8),
    Forget(u8),
    Factor(u8),
}

fn a_happening() -> impl Strategy<Value = Happening> {
    let number = 1..10u8;
    prop_oneof![
        4 => number.clone().prop_map(Happening::Kill),
        3 => Just(Happening::Revive),
        2 => Just(Happening::Join),
        3 => (number.clone(), number.clone()).prop_map(|(node, of)| Happening::Replicate(node, of)),
        2 => number.prop_map(Happening::Forget),
        1 => (0..3u8).prop_map(|half| Happening::Factor(half * 2 + 1)),
    ]
}

impl World {
    /// Whether every group would keep a majority of live voters without this node, too.
    fn can_lose(&self, lost: NodeId) -> bool {
        self.serving().into_iter().chain([Group::Meta]).all(|group| {
            let voters = self.voters(group);
            let live = |voter: &&NodeId| **voter != lost && !self.dead.contains(voter);
            voters.iter().filter(live).count() * 2 > voters.len()
        })
    }

    fn happen(&mut self, happening: &Happening, joined: &mut u8) {
        let all = |world: &Self| world.topology.nodes().keys().copied().collect::<Vec<_>>();
        match *happening {
            Happening::Kill(number) => {
                let nodes = all(self);
                let lost = nodes[usize::from(number) % nodes.len()];
                if self.can_lose(lost) {
                    self.dead.insert(lost);
                    self.lead_anew(lost);
                }
            }
            Happening::Revive => self.dead.clear(),
            Happening::Join if *joined < 15 => {
                *joined += 1;
                meet(&mut self.topology, &mut single(*joined), 600 + u64::from(*joined));
            }
            Happening::Join => {}
            Happening::Replicate(number, of) => {
                let (nodes, shards) = (all(self), self.topology.shards().keys().copied().collect::<Vec<_>>());
                let node = nodes[usize::from(number) % nodes.len()];
                let replica = self.draw();
                let shard = shards[usize::from(of) % shards.len()];
                if !self.dead.contains(&node) {
                    let _ = self.topology.apply(&Change::Replicate { node, shard, replica });
                }
            }
            Happening::Forget(number) => {
                let nodes = all(self);
                let node = nodes[usize::from(number) % nodes.len()];
                // Somebody who looks at `cluster info` first.
                if self.can_lose(node) {
                    let _ = self.topology.apply(&Change::Forget { node });
                }
                self.dead.remove(&node);
            }
            Happening::Factor(factor) => {
                let _ = self.topology.apply(&Change::Set(crate::Setting::ReplicationFactor(factor)));
            }
        }
    }

    /// Another voter leads what a node led, as after an election.
    fn lead_anew(&mut self, lost: NodeId) {
        for group in self.serving() {
            let shard = group.shard().unwrap();
            let leader = self.topology.shards()[&shard].leader;
            let voters = self.voters(group);
            let next = voters.iter().find(|voter| !self.dead.contains(voter)).copied();
            if let (Some(leader), Some(node)) = (leader.filter(|leader| leader.node == lost), next) {
                self.apply(&Change::LeaderChanged { shard, term: leader.term + 1, node });
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    /// Whatever happens to a cluster, one thing after the other: voters stay odd, no group loses its majority, and when all are back every
    /// shard has as many voters as nodes allow. (What `settle` asserts along the way: plans are done at once, and come to an end.)
    #[test]
    fn clusters_heal(shape in 0..CLUSTERS.len(), happenings in vec(a_happening(), 1..12)) {
        let (nodes, replicas) = CLUSTERS[shape];
        let mut world = World::create(nodes, replicas);
        let mut joined = nodes;
        world.settle();
        for happening in &happenings {
            world.happen(happening, &mut joined);
            world.settle();
            for group in world.serving().into_iter().chain([Group::Meta]) {
                let voters = world.voters(group);
                let live = voters.iter().filter(|voter| !world.dead.contains(voter)).count();
                prop_assert!(live * 2 > voters.len(), "{:?}: {:?} after {:?}", group, voters, happening);
                prop_assert_eq!(voters.len() % 2, 1);
            }
        }
        world.dead.clear();
        world.settle();
        let count = world.topology.nodes().len();
        let expected = odd(count.min(usize::from(world.topology.replication_factor())));
        for group in world.serving() {
            prop_assert_eq!(world.voters(group).len(), expected);
        }
        for shard in world.topology.shards().values() {
            prop_assert!(shard.replicas.iter().all(|replica| replica.is == replica.wanted));
        }
        prop_assert_eq!(world.voters(Group::Meta).len(), [1, 1, 1, 3, 3, 5][count.min(5)]);
    }
}
