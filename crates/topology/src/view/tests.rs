//! What clients are shown.

use super::*;
use crate::fixture::{World, node, shard, slot};
use crate::{Change, Group};

fn roles(view: &View) -> Vec<Option<NodeId>> {
    let of = |node: &ViewNode| match node.role {
        Role::Leading => None,
        Role::Following(of) => of.map(|of| view.nodes()[of].id),
    };
    view.nodes().iter().map(of).collect()
}

#[test]
fn masters_serve_and_replicas_follow() {
    let mut world = World::create(6, 1);
    world.settle();
    let view = View::new(&world.topology, &Overlay::default());
    let expected = [None, None, None, Some(node(1)), Some(node(2)), Some(node(3))];
    assert_eq!(roles(&view), expected);
    assert_eq!(view.coverage(), Coverage { assigned: 16384, ok: 16384, suspected: 0, failed: 0 });
    for number in [0, 5460, 5461, 10_922, 16_383] {
        let route = view.route(slot(number)).unwrap();
        assert!(route.node.unwrap().slots.contains(slot(number)));
        assert_eq!(world.topology.owner(slot(number)), Some(route.shard));
    }
    assert_eq!(view.followers(0).map(|node| node.id).collect::<Vec<_>>(), [node(4)]);
    assert!(view.nodes().iter().all(|node| node.is_member));
    assert_eq!(view.nodes()[3].config_epoch, view.nodes()[0].config_epoch);
    assert_eq!(view.nodes()[3].shard, shard(1));
}

#[test]
fn the_higher_term_is_believed() {
    let mut world = World::create(6, 1);
    world.apply(&Change::LeaderChanged { shard: shard(1), term: 5, node: node(1) });
    let mut overlay = Overlay::default();
    let leader = |overlay: &Overlay, world: &World| View::new(&world.topology, overlay).leader(shard(1)).unwrap().node;
    assert!(overlay.announce(shard(1), 4, node(4)));
    assert_eq!(leader(&overlay, &world), node(1));
    assert!(overlay.announce(shard(1), 6, node(4)));
    assert!(!overlay.announce(shard(1), 6, node(1)) && !overlay.announce(shard(1), 5, node(1)));
    assert_eq!(leader(&overlay, &world), node(4));
    let view = View::new(&world.topology, &overlay);
    assert_eq!(roles(&view)[0], Some(node(4)));
    assert_eq!(view.route(slot(0)).unwrap().term, 6);
    // The topology catches up, and goes ahead.
    world.apply(&Change::LeaderChanged { shard: shard(1), term: 7, node: node(1) });
    assert_eq!(leader(&overlay, &world), node(1));
    // A leader that nobody knows, one that was forgotten for example, is no place to send anybody; nor is the one before it.
    overlay.announce(shard(1), 9, node(99));
    let view = View::new(&world.topology, &overlay);
    let route = view.route(slot(0)).unwrap();
    assert_eq!((route.term, route.node), (9, None));
    assert_eq!(view.nodes()[0].role, Role::Following(None));
}

/// A hidden replica that leads makes its node a master of both, and of one role.
#[test]
fn a_hidden_leader_is_shown_as_one_master() {
    let mut world = World::create(6, 1);
    world.settle();
    let hidden = world.topology.shards()[&shard(1)].replicas.iter().find(|replica| replica.hidden).unwrap().node;
    let mut overlay = Overlay::default();
    overlay.announce(shard(1), 9, hidden);
    let view = View::new(&world.topology, &overlay);
    let shown = view.node(hidden).unwrap();
    assert!(shown.leads() && shown.slots.contains(slot(0)));
    let place = view.place(hidden);
    for number in [1, 4] {
        assert_eq!(view.node(node(number)).unwrap().role, Role::Following(place), "its homes follow it");
    }
    // Each shard is shown under one name.
    let mut names: Vec<ShardId> = view.leading().map(|(_, node)| node.shard).collect();
    names.dedup();
    assert_eq!(names.len(), view.leading().count());
}

#[test]
fn what_is_closing_or_without_a_leader_is_not_served() {
    let mut world = World::create(6, 1);
    world.settle();
    world.apply(&Change::DelSlots { node: node(1), slots: "0-9".parse().unwrap() });
    let view = View::new(&world.topology, &Overlay::default());
    assert!(view.route(slot(9)).is_none() && view.route(slot(10)).is_some());
    assert_eq!(view.coverage().assigned, 16_374);
    let mut overlay = Overlay::default();
    assert!(overlay.mark(node(1), Mark::Suspected) && !overlay.mark(node(1), Mark::Suspected));
    let view = View::new(&world.topology, &overlay);
    assert!(view.coverage().suspected > 0 && view.coverage().failed == 0);
    overlay.mark(node(1), Mark::Failed);
    assert_eq!(View::new(&world.topology, &overlay).node(node(1)).unwrap().mark, Mark::Failed);
    assert!(overlay.mark(node(1), Mark::Live));
    overlay.prune(&world.topology);
    assert_eq!(overlay, Overlay::default());
}

/// A replica has nothing to show before its leader has taken it in.
#[test]
fn a_new_replica_is_no_member_yet() {
    let mut world = World::create(6, 1);
    let view = View::new(&world.topology, &Overlay::default());
    let members: Vec<bool> = view.nodes().iter().map(|node| node.is_member).collect();
    assert_eq!(members, [true, true, true, false, false, false]);
    world.settle();
    assert!(world.voters(Group::Shard(shard(1))).contains(&node(4)));
    assert!(View::new(&world.topology, &Overlay::default()).nodes().iter().all(|node| node.is_member));
}
