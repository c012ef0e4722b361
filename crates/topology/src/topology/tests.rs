//! How clusters form, change and end, command by command.

use super::*;
use crate::fixture::{World, add, endpoint, meet, node, shard, single, slot, slots};
use crate::{Joiner, Setting};

/// What the node brings when it joins a cluster.
fn joiner(own: &mut Topology, other: &Topology, meta_replica: u64) -> Joiner {
    own.apply(&Change::Joining { cluster: other.cluster() }).unwrap();
    own.joiner(ReplicaId(meta_replica)).unwrap()
}

#[test]
fn slots_are_closed_before_they_are_free() {
    let mut cluster = single(1);
    let mut second = single(2);
    let change = Change::Join(Box::new(joiner(&mut second, &cluster, 7)));
    assert_eq!(cluster.apply(&change), Ok(Outcome::Changed));
    assert_eq!(cluster.apply(&change), Ok(Outcome::Unchanged));
    assert_eq!(cluster.apply(&add(1, "0-9")), Ok(Outcome::Changed));
    let busy = |number| Err(Refusal::SlotBusy(slot(number)));
    assert_eq!(cluster.apply(&add(2, "9-12")), busy(9));
    let del = Change::DelSlots { node: node(1), slots: slots("5") };
    assert_eq!(cluster.apply(&Change::DelSlots { node: node(2), slots: slots("5") }), {
        Err(Refusal::SlotOfAnother(slot(5)))
    });
    assert_eq!(cluster.apply(&del), Ok(Outcome::Changed));
    assert_eq!(cluster.apply(&del), Err(Refusal::SlotUnassigned(slot(5))));
    let closing = cluster.shards()[&shard(1)].closing[0].clone();
    assert_eq!(closing.number, cluster.shards()[&shard(1)].fence().version);
    assert_eq!(cluster.shards()[&shard(1)].fence().slots, slots("0-4 6-9"));
    assert_eq!(cluster.apply(&add(2, "5")), busy(5));
    let closed = Change::SlotsClosed { shard: shard(1), number: closing.number, kept: slots("5") };
    assert_eq!(cluster.apply(&closed), Ok(Outcome::Changed));
    assert_eq!(cluster.apply(&closed), Ok(Outcome::Unchanged));
    assert_eq!(cluster.apply(&add(2, "5")), Err(Refusal::SlotHasKeys(slot(5))));
    assert_eq!(cluster.apply(&Change::KeysGone { shard: shard(1), slots: slots("5") }), Ok(Outcome::Changed));
    assert_eq!(cluster.apply(&add(2, "5")), Ok(Outcome::Changed));
}

#[test]
fn a_slot_that_is_given_back_is_not_closed_by_an_old_word() {
    let mut cluster = single(1);
    cluster.apply(&add(1, "0-9")).unwrap();
    let del = Change::DelSlots { node: node(1), slots: slots("5-6") };
    cluster.apply(&del).unwrap();
    let first = cluster.shards()[&shard(1)].closing[0].number;
    cluster.apply(&add(1, "5-6")).unwrap();
    cluster.apply(&del).unwrap();
    let stale = Change::SlotsClosed { shard: shard(1), number: first, kept: slots("") };
    assert_eq!(cluster.apply(&stale), Ok(Outcome::Unchanged));
    assert!(cluster.owner(slot(5)).is_some());
}

#[test]
fn a_fresh_node_is_a_cluster_of_one() {
    let topology = single(1);
    assert_eq!((topology.version(), topology.current_epoch(), topology.phase()), (0, 0, Phase::Living));
    assert_eq!(topology.shards()[&shard(1)].leader, Some(Leader { term: 0, node: node(1) }));
    assert_eq!(topology.held_by(node(1)).count(), 2);
    assert_eq!(topology.underreplicated_shards(), 0);
    assert_eq!(topology.owner(slot(0)), None);
}

#[test]
fn epochs_are_set_alone_and_raised_by_leaders() {
    let mut topology = single(1);
    let set = |epoch| Change::SetConfigEpoch { node: node(1), epoch };
    assert_eq!(topology.apply(&set(0)), Ok(Outcome::Unchanged));
    assert_eq!(topology.apply(&set(u64::MAX)), Err(Refusal::OutOfRange));
    assert_eq!(topology.apply(&set(7)), Ok(Outcome::Changed));
    assert_eq!(topology.apply(&set(8)), Err(Refusal::EpochIsSet));
    let mut second = single(2);
    meet(&mut topology, &mut second, 7);
    assert_eq!(topology.apply(&set(8)), Err(Refusal::NotAlone));
    assert_eq!(topology.shards()[&shard(2)].config_epoch, 0);
    assert_eq!(topology.apply(&Change::BumpEpoch { node: node(1) }), Ok(Outcome::Still(7)));
    assert_eq!(topology.apply(&Change::BumpEpoch { node: node(2) }), Ok(Outcome::Bumped(8)));
    let replica = ReplicaId(77);
    topology.apply(&Change::Replicate { node: node(2), shard: shard(1), replica }).unwrap();
    let led = |term, number| Change::LeaderChanged { shard: shard(1), term, node: node(number) };
    assert_eq!(topology.apply(&led(5, 1)), Ok(Outcome::Changed));
    assert_eq!(topology.shards()[&shard(1)].config_epoch, 7, "the same node leads");
    assert_eq!(topology.apply(&led(6, 2)), Ok(Outcome::Changed));
    assert_eq!((topology.shards()[&shard(1)].config_epoch, topology.current_epoch()), (9, 9));
    for term in [5, 6] {
        assert_eq!(topology.apply(&led(term, 1)), Ok(Outcome::Unchanged));
    }
    assert_eq!(topology.apply(&led(7, 9)), Err(Refusal::UnknownNode(node(9))));
}

/// Fresh nodes all have epoch 0, and Redis makes the epochs of masters differ.
#[test]
fn epochs_that_collide_at_a_join_are_made_unique() {
    let mut topology = single(1);
    for number in 2..=4 {
        meet(&mut topology, &mut single(number), u64::from(number));
    }
    let mut epochs: Vec<u64> = topology.shards().values().map(|shard| shard.config_epoch).collect();
    epochs.sort_unstable();
    assert_eq!((epochs, topology.current_epoch()), (vec![0, 1, 2, 3], 3));
}

#[test]
fn joins_are_refused_for_what_both_have() {
    let (mut topology, mut second) = (single(1), single(2));
    topology.apply(&add(1, "0-9")).unwrap();
    second.apply(&add(2, "9-12")).unwrap();
    let joining = joiner(&mut second, &topology, 7);
    let refused = |topology: &mut Topology, joiner: &Joiner| topology.apply(&Change::Join(Box::new(joiner.clone())));
    assert_eq!(refused(&mut topology, &joining), Err(Refusal::SlotsOverlap(slot(9))));
    // Undone, everything is as before.
    assert_eq!(second.apply(&add(2, "13")), Err(Refusal::Joining));
    second.apply(&Change::UndoJoining { cluster: topology.cluster() }).unwrap();
    assert_eq!(second.apply(&add(2, "13")), Ok(Outcome::Changed));
    assert_eq!(second.joiner(ReplicaId(7)), None);
    // Keys of slots count as the slots do.
    let kept = Joiner { slots: slots("20"), kept: slots("5"), ..joining.clone() };
    assert_eq!(refused(&mut topology, &kept), Err(Refusal::SlotsOverlap(slot(5))));
    let fits = Joiner { slots: slots("20"), ..joining.clone() };
    let taken = Joiner { replica: ReplicaId(1001), ..fits.clone() };
    assert_eq!(refused(&mut topology, &taken), Err(Refusal::IdTaken));
    assert_eq!(refused(&mut topology, &Joiner { cluster: ClusterId(1), ..fits.clone() }), Err(Refusal::AlreadyMember));
    assert_eq!(refused(&mut topology, &fits), Ok(Outcome::Changed));
    assert_eq!(refused(&mut topology, &fits), Ok(Outcome::Unchanged));
    // It gave the first join up and never heard that it was taken in: its new replica is not the one that is awaited here.
    let again = Joiner { meta_replica: ReplicaId(8), ..fits.clone() };
    assert_eq!(refused(&mut topology, &again), Err(Refusal::AlreadyMember));
    assert_eq!(refused(&mut topology, &Joiner { cluster: ClusterId(99), ..fits }), Err(Refusal::AlreadyMember));
}

#[test]
fn two_that_join_each_other_refuse_each_other() {
    let (mut first, mut second) = (single(1), single(2));
    let one = Change::Join(Box::new(joiner(&mut first, &second, 7)));
    let two = Change::Join(Box::new(joiner(&mut second, &first, 8)));
    assert_eq!(first.apply(&two), Err(Refusal::Joining));
    assert_eq!(second.apply(&one), Err(Refusal::Joining));
    second.apply(&Change::UndoJoining { cluster: first.cluster() }).unwrap();
    assert_eq!(second.apply(&one), Ok(Outcome::Changed));
    first.apply(&Change::Joined { cluster: second.cluster() }).unwrap();
    assert_eq!(first.phase(), Phase::Retired(second.cluster()));
    assert_eq!(first.apply(&add(1, "1")), Err(Refusal::Retired));
    assert_eq!(first.apply(&Change::UndoJoining { cluster: second.cluster() }), Err(Refusal::Retired));
    assert_eq!(first.apply(&Change::Joined { cluster: second.cluster() }), Ok(Outcome::Unchanged));
    // One that knows others joins nobody.
    assert_eq!(second.apply(&Change::Joining { cluster: ClusterId(9) }), Err(Refusal::NotAlone));
}

/// The fence of a shard rises when it comes under another topology, however young that is.
#[test]
fn fences_rise_across_a_join() {
    let (mut topology, mut second) = (single(1), single(2));
    for number in 0..50 {
        second.apply(&add(2, &number.to_string())).unwrap();
    }
    let before = second.shards()[&shard(2)].fence();
    meet(&mut topology, &mut second, 7);
    let after = topology.shards()[&shard(2)].fence();
    assert!(after.version > before.version && after.slots == before.slots);
}

#[test]
fn replicate_moves_an_empty_node_home() {
    let mut world = World::create(6, 1);
    world.settle();
    let refused = |world: &mut World, number, of| {
        let replica = world.draw();
        world.topology.apply(&Change::Replicate { node: node(number), shard: shard(of), replica })
    };
    assert_eq!(refused(&mut world, 1, 2), Err(Refusal::OwnsSlots));
    assert_eq!(refused(&mut world, 4, 9), Err(Refusal::UnknownShard));
    assert_eq!(refused(&mut world, 4, 1), Ok(Outcome::Unchanged));
    assert_eq!(world.topology.shards().len(), 3, "the replicas' own shards are gone");
    // A replica may change its master; what it holds of the old one goes.
    assert_eq!(refused(&mut world, 4, 2), Ok(Outcome::Changed));
    assert_eq!(refused(&mut world, 4, 1), Err(Refusal::ReplicaLeaving));
    world.settle();
    assert_eq!(world.topology.shards()[&shard(1)].replica_on(node(4)).map(|replica| replica.hidden), None);
    assert_eq!(world.topology.homes(shard(2)).count(), 3);
    assert_eq!(world.voters(Group::Shard(shard(1))).len(), 3);
    // One that held a hidden replica shows it now.
    let hidden = world.topology.shards()[&shard(1)].replicas.iter().find(|replica| replica.hidden).unwrap().node;
    let number = hidden.0[0];
    if number > 3 {
        assert_eq!(refused(&mut world, number, 1), Ok(Outcome::Changed));
        let shown = *world.topology.shards()[&shard(1)].replica_on(hidden).unwrap();
        assert_eq!((shown.hidden, shown.is), (false, Standing::Voter));
    }
}

#[test]
fn forgetting_keeps_majorities_and_is_remembered() {
    let mut world = World::create(6, 1);
    world.settle();
    let forget = |number| Change::Forget { node: node(number) };
    assert_eq!(world.topology.apply(&forget(9)), Err(Refusal::UnknownNode(node(9))));
    assert_eq!(world.topology.apply(&forget(1)), Err(Refusal::LeadsSlots));
    assert_eq!(world.topology.apply(&forget(4)), Ok(Outcome::Changed));
    assert_eq!(world.topology.apply(&forget(4)), Ok(Outcome::Unchanged));
    let led = |term, number, of| Change::LeaderChanged { shard: shard(of), term, node: node(number) };
    // Two of the shard's three voters would be gone before anybody stood in for the first.
    let hidden = world.topology.shards()[&shard(1)].replicas.iter().find(|replica| replica.hidden).unwrap().node;
    world.apply(&led(3, hidden.0[0], 1));
    assert_eq!(world.topology.apply(&forget(1)), Err(Refusal::LastHome));
    assert_eq!(world.topology.apply(&Change::Forget { node: hidden }), Err(Refusal::LeadsSlots));
    world.apply(&led(4, 1, 1));
    world.settle();
    assert_eq!(world.voters(Group::Shard(shard(1))).len(), 3);
    assert_eq!(world.voters(Group::Meta).len(), 5);
    // It comes back as a new cluster of one, and not as what it was.
    let mut again = single(4);
    again.apply(&Change::Joining { cluster: world.topology.cluster() }).unwrap();
    let old = again.joiner(ReplicaId(4700)).unwrap();
    assert_eq!(world.topology.apply(&Change::Join(Box::new(old.clone()))), Err(Refusal::Forgotten));
    let new = Joiner { cluster: ClusterId(44), ..old };
    assert_eq!(world.topology.apply(&Change::Join(Box::new(new))), Ok(Outcome::Changed));
}

/// A node that forgot what its replica acknowledged gets a fresh one; nobody else notices.
#[test]
fn a_renewed_replica_takes_the_place_of_the_old_one() {
    let mut world = World::create(6, 1);
    world.settle();
    let of = Group::Shard(shard(1));
    let old = *world.topology.shards()[&shard(1)].replicas.iter().find(|replica| replica.node == node(4)).unwrap();
    let renew = |old, replica| Change::Renew { shard: shard(1), old, replica: ReplicaId(replica) };
    assert_eq!(world.topology.apply(&renew(ReplicaId(4711), 9000)), Err(Refusal::UnknownReplica));
    assert_eq!(world.topology.apply(&renew(old.id, old.id.0)), Err(Refusal::IdTaken));
    assert_eq!(world.topology.apply(&renew(old.id, 9000)), Ok(Outcome::Changed));
    assert_eq!(world.topology.apply(&renew(old.id, 9001)), Err(Refusal::ReplicaLeaving));
    let held: Vec<_> = world.topology.held_by(node(4)).filter(|(group, _)| *group == of).collect();
    let fresh = Replica { id: ReplicaId(9000), is: Standing::Absent, ..old };
    assert_eq!(held, [(of, &fresh)], "the node ends the old one");
    assert_eq!(world.voters(of).len(), 3, "the old one votes until the fresh one does");
    world.settle();
    assert_eq!(world.voters(of).len(), 3);
    let replicas = &world.topology.shards()[&shard(1)].replicas;
    let on_node: Vec<_> = replicas.iter().filter(|replica| replica.node == node(4)).collect();
    assert_eq!(on_node, [&Replica { is: Standing::Voter, ..fresh }]);
}

#[test]
fn a_majority_is_not_given_away() {
    let mut world = World::create(3, 0);
    world.settle();
    meet(&mut world.topology, &mut single(4), 604);
    // The fourth leads nothing and votes nowhere: it may go at once.
    assert_eq!(world.topology.apply(&Change::Forget { node: node(4) }), Ok(Outcome::Changed));
    let mut pair = World::create(2, 0);
    pair.apply(&Change::FlushSlots { node: node(1) });
    let number = pair.topology.shards()[&shard(1)].closing[0].number;
    pair.apply(&Change::SlotsClosed { shard: shard(1), number, kept: slots("") });
    assert_eq!(pair.topology.apply(&Change::Forget { node: node(1) }), Err(Refusal::Majority(Group::Meta)));
    let mut alone = single(1);
    assert_eq!(alone.apply(&Change::Forget { node: node(1) }), Err(Refusal::OnlyNode));
}

#[test]
fn settings_have_ranges() {
    let mut topology = single(1);
    for factor in [0, 2, 4, 10, 11] {
        assert_eq!(topology.apply(&Change::Set(Setting::ReplicationFactor(factor))), Err(Refusal::OutOfRange));
    }
    assert_eq!(topology.apply(&Change::Set(Setting::ReplicationFactor(3))), Ok(Outcome::Unchanged));
    assert_eq!(topology.apply(&Change::Set(Setting::ReplicationFactor(5))), Ok(Outcome::Changed));
    assert_eq!(topology.apply(&Change::Set(Setting::VoterReplaceAfterMs(999))), Err(Refusal::OutOfRange));
    assert_eq!(topology.apply(&Change::Set(Setting::VoterReplaceAfterMs(1000))), Ok(Outcome::Changed));
    let endpoint = Endpoint { hostname: "h".repeat(256), ..endpoint(1) };
    assert_eq!(topology.apply(&Change::NodeChanged { node: node(1), endpoint }), Err(Refusal::OutOfRange));
}

/// The factor may be raised later.
#[test]
fn a_higher_factor_brings_more_voters() {
    let mut world = World::create(6, 1);
    world.apply(&Change::Set(Setting::ReplicationFactor(5)));
    world.settle();
    assert!(world.serving().into_iter().all(|group| world.voters(group).len() == 5));
    world.apply(&Change::Set(Setting::ReplicationFactor(1)));
    world.settle();
    assert!(world.serving().into_iter().all(|group| world.voters(group).len() == 1));
}

#[test]
fn both_sides_agree_who_joins() {
    let (one, two) = (single(1), single(2));
    let big = World::create(3, 0).topology;
    assert_eq!((one.meeting(two.cluster(), 1), two.meeting(one.cluster(), 1)), (Meeting::TheyJoin, Meeting::WeJoin));
    assert_eq!((two.meeting(ClusterId(0), 3), big.meeting(two.cluster(), 1)), (Meeting::WeJoin, Meeting::TheyJoin));
    assert_eq!((big.meeting(big.cluster(), 3), big.meeting(ClusterId(9), 2)), (Meeting::Same, Meeting::Refused));
}

/// As EXEC: `redis-cli --cluster fix` sends a DELSLOTS that may fail and an ADDSLOTS that must not in one transaction.
#[test]
fn a_refused_command_does_not_stop_those_behind_it() {
    let mut topology = single(1);
    let del = Change::DelSlots { node: node(1), slots: slots("5") };
    let bump = Change::BumpEpoch { node: node(1) };
    let outcomes = topology.apply_batch(&[vec![del.clone()], vec![add(1, "5")], vec![bump]]);
    let expected = [Err(Refusal::SlotUnassigned(slot(5))), Ok(vec![Outcome::Changed]), Ok(vec![Outcome::Bumped(1)])];
    assert_eq!(outcomes, expected);
    assert_eq!(topology.apply_batch(&[vec![del], vec![add(1, "5")]]).iter().filter(|done| done.is_ok()).count(), 2);
    assert!(topology.shards()[&shard(1)].closing.is_empty());
}
