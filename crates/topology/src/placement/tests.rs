//! What is placed where, and that every loss of a node that can be survived is.

use super::*;
use crate::fixture::{World, meet, node, shard, single};

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
    world.apply(&Change::SlotsClosed { shard: shard(4), number, kept: slot::SlotSet::new() });
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
fn nothing_is_placed_before_it_is_quiet_or_on_who_is_not_heard_of() {
    let world = World::create(6, 1);
    let mut draw = || ReplicaId(1 << 40);
    assert!(plan(&world.topology, &Liveness::all_live(&world.topology), QUIET_MS - 1, &mut draw).is_empty());
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
