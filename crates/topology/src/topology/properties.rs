//! What holds whatever changes come, in whatever order.

use proptest::collection::vec;
use proptest::prelude::*;
use slot::{Slot, SlotRange, SlotSet};

use super::Topology;
use crate::fixture::{endpoint, node, shard, single};
use crate::{
    Change, ClusterId, DecodeError, Endpoint, Group, Joiner, Mark, NodeId, Outcome, Overlay, ReplicaId, Role, Setting,
    ShardId, Standing, View, decode_batch, encode_batch,
};

/// Few nodes, shards, slots and replicas, so that changes meet.
fn a_node() -> impl Strategy<Value = NodeId> {
    (1..6u8).prop_map(node)
}

fn a_shard() -> impl Strategy<Value = ShardId> {
    (1..6u8).prop_map(shard)
}

fn a_replica() -> impl Strategy<Value = ReplicaId> {
    prop_oneof![
        (1..6u64, 0..2u64).prop_map(|(number, which)| ReplicaId(number * 1000 + which)),
        (1..30u64).prop_map(ReplicaId),
    ]
}

fn some_slots() -> impl Strategy<Value = SlotSet> {
    vec((0..12u16, 0..4u16), 0..3).prop_map(|ranges| {
        let slot = |number| Slot::new(number).unwrap();
        ranges.into_iter().filter_map(|(first, more)| SlotRange::new(slot(first), slot(first + more))).collect()
    })
}

fn a_standing() -> impl Strategy<Value = Standing> {
    prop_oneof![Just(Standing::Absent), Just(Standing::Learner), Just(Standing::Voter)]
}

fn a_group() -> impl Strategy<Value = Group> {
    prop_oneof![Just(Group::Meta), a_shard().prop_map(Group::Shard)]
}

fn an_endpoint() -> impl Strategy<Value = Endpoint> {
    (0..4u8, 0..300usize).prop_map(|(number, length)| Endpoint { hostname: "h".repeat(length), ..endpoint(number) })
}

fn a_joiner() -> impl Strategy<Value = Joiner> {
    let ids = (1..6u8, 0..3u128, 0..40u64, any::<bool>());
    (ids, 0..4u64, 0..4u64, an_endpoint(), some_slots(), some_slots()).prop_map(
        |((number, cluster, version, far), epoch, term, endpoint, slots, kept)| Joiner {
            cluster: ClusterId(u128::from(number) + cluster * 100),
            version: if far { u64::MAX } else { version },
            current_epoch: epoch,
            node: node(number),
            endpoint,
            meta_replica: ReplicaId(u64::from(number) * 1000 + 700 + version),
            shard: shard(number),
            replica: ReplicaId(u64::from(number) * 1000 + 1),
            config_epoch: epoch,
            term,
            slots,
            kept,
        },
    )
}

fn a_change() -> impl Strategy<Value = Change> {
    let ids = || vec(a_replica(), 0..4);
    prop_oneof![
        3 => (a_node(), some_slots()).prop_map(|(node, slots)| Change::AddSlots { node, slots }),
        2 => (a_node(), some_slots()).prop_map(|(node, slots)| Change::DelSlots { node, slots }),
        1 => a_node().prop_map(|node| Change::FlushSlots { node }),
        3 => (a_shard(), 0..40u64, some_slots())
            .prop_map(|(shard, number, kept)| Change::SlotsClosed { shard, number, kept }),
        1 => (a_shard(), some_slots()).prop_map(|(shard, slots)| Change::KeysGone { shard, slots }),
        1 => (a_node(), 0..9u64).prop_map(|(node, epoch)| Change::SetConfigEpoch { node, epoch }),
        1 => a_node().prop_map(|node| Change::BumpEpoch { node }),
        1 => (a_node(), an_endpoint()).prop_map(|(node, endpoint)| Change::NodeChanged { node, endpoint }),
        3 => (a_shard(), 0..9u64, a_node())
            .prop_map(|(shard, term, node)| Change::LeaderChanged { shard, term, node }),
        4 => (a_node(), a_shard(), a_replica())
            .prop_map(|(node, shard, replica)| Change::Replicate { node, shard, replica }),
        4 => (a_shard(), a_node(), a_replica(), any::<bool>(), a_standing()).prop_map(
            |(shard, node, replica, hidden, wanted)| Change::Place { shard, node, replica, hidden, wanted }
        ),
        4 => (a_group(), a_replica(), a_standing())
            .prop_map(|(group, replica, wanted)| Change::Want { group, replica, wanted }),
        2 => (a_shard(), a_replica(), a_replica())
            .prop_map(|(shard, old, replica)| Change::Renew { shard, old, replica }),
        4 => (a_group(), 0..9u64, ids(), ids())
            .prop_map(|(group, at, voters, learners)| Change::MembershipDone { group, at, voters, learners }),
        1 => (0..3u128).prop_map(|cluster| Change::Joining { cluster: ClusterId(cluster) }),
        1 => (0..3u128).prop_map(|cluster| Change::UndoJoining { cluster: ClusterId(cluster) }),
        1 => (0..3u128).prop_map(|cluster| Change::Joined { cluster: ClusterId(cluster) }),
        6 => a_joiner().prop_map(|joiner| Change::Join(Box::new(joiner))),
        2 => a_node().prop_map(|node| Change::Forget { node }),
        1 => prop_oneof![
            (0..12u8).prop_map(Setting::ReplicationFactor),
            (0..3000u64).prop_map(Setting::VoterReplaceAfterMs)
        ].prop_map(Change::Set),
    ]
}

/// A cluster that some changes have led to.
fn a_topology() -> impl Strategy<Value = Topology> {
    vec(a_change(), 0..40).prop_map(|changes| {
        let mut topology = single(1);
        for change in changes {
            let _ = topology.apply(&change);
        }
        topology
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// `apply` checks the invariants itself after every change; the rest is said here.
    #[test]
    fn any_sequence_of_changes_keeps_the_invariants(changes in vec(a_change(), 0..80)) {
        let (mut topology, mut twin) = (single(1), single(1));
        let mut fences = std::collections::BTreeMap::new();
        for change in &changes {
            let before = topology.clone();
            let outcome = topology.apply(change);
            prop_assert_eq!(topology.check(), Ok(()));
            prop_assert_eq!(&outcome, &twin.apply(change), "the same state and change give the same");
            match outcome {
                Err(_) | Ok(Outcome::Unchanged | Outcome::Still(_)) => prop_assert_eq!(&topology, &before),
                Ok(Outcome::Changed | Outcome::Bumped(_)) => prop_assert!(topology.version() > before.version()),
            }
            prop_assert!(topology.current_epoch() >= before.current_epoch());
            for (&id, shard) in topology.shards() {
                let fence = shard.fence();
                let known = fences.insert(id, fence.clone());
                // A shard that was forgotten and joined again is another history.
                if let Some(known) = known.filter(|_| before.shards().contains_key(&id)) {
                    prop_assert!(fence.version > known.version || fence == known, "a fence changes with its version only");
                }
            }
        }
        prop_assert_eq!(topology.digest(), twin.digest());
        prop_assert_eq!(topology.encode(), twin.encode());
    }

    /// A slot goes from one shard to another only by way of nobody.
    #[test]
    fn no_slot_changes_hands_at_once(changes in vec(a_change(), 0..80)) {
        let mut topology = single(1);
        for change in &changes {
            let before = topology.clone();
            let _ = topology.apply(change);
            for number in 0..16 {
                let slot = Slot::new(number).unwrap();
                if let (Some(old), Some(new)) = (before.owner(slot), topology.owner(slot)) {
                    prop_assert_eq!(old, new);
                }
                if let (Some(old), None) = (before.owner(slot), topology.owner(slot)) {
                    prop_assert!(before.shards()[&old].is_closing(slot));
                }
            }
        }
    }

    #[test]
    fn snapshots_are_read_back(topology in a_topology()) {
        prop_assert_eq!(Topology::decode(&topology.encode()), Ok(topology));
    }

    #[test]
    fn damaged_snapshots_are_not_read(topology in a_topology(), at in any::<prop::sample::Index>(), with in 1..255u8) {
        let whole = topology.encode();
        let mut bytes = whole.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= with;
        // A changed number may be another valid state, but never the same one, and never a panic.
        if let Ok(read) = Topology::decode(&bytes) {
            prop_assert_ne!(&read, &topology);
            prop_assert_eq!(read.encode(), bytes);
        }
        prop_assert!(Topology::decode(&whole[..at]).is_err());
    }

    #[test]
    fn batches_are_read_back(commands in vec(vec(a_change(), 0..4), 0..6)) {
        prop_assert_eq!(decode_batch(&encode_batch(&commands)), Ok(commands));
    }

    #[test]
    fn damaged_batches_are_not_read(
        commands in vec(vec(a_change(), 1..4), 1..4),
        at in any::<prop::sample::Index>(),
        with in 1..255u8,
    ) {
        let whole = encode_batch(&commands);
        let mut bytes = whole.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= with;
        if let Ok(read) = decode_batch(&bytes) {
            prop_assert_eq!(encode_batch(&read), bytes);
        }
        prop_assert!(decode_batch(&whole[..at]).is_err());
    }

    #[test]
    fn garbage_is_not_read(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(read) = decode_batch(&bytes) {
            prop_assert_eq!(encode_batch(&read), bytes.clone());
        }
        prop_assert!(Topology::decode(&bytes).is_err());
    }

    /// Each node has one role, and what is routed is what is shown.
    #[test]
    fn a_view_is_consistent(
        topology in a_topology(),
        announced in vec((a_shard(), 0..9u64, a_node()), 0..6),
        marked in vec(a_node(), 0..4),
    ) {
        let mut overlay = Overlay::default();
        for (shard, term, node) in announced {
            overlay.announce(shard, term, node);
        }
        for node in marked {
            overlay.mark(node, Mark::Failed);
        }
        let view = View::new(&topology, &overlay);
        for (&id, shard) in topology.shards() {
            let (shown, known) = (view.leader(id), shard.leader);
            prop_assert!(known.is_none_or(|known| shown.is_some_and(|shown| shown.term >= known.term)));
        }
        for node in view.nodes() {
            match node.role {
                Role::Leading => prop_assert!(topology.shards().contains_key(&node.shard)),
                Role::Following(of) => {
                    prop_assert!(node.slots.is_empty());
                    prop_assert!(of.is_none_or(|of| view.nodes()[of].leads() && view.nodes()[of].shard == node.shard));
                }
            }
        }
        let mut names: Vec<ShardId> = view.leading().map(|(_, node)| node.shard).collect();
        names.sort_unstable();
        names.dedup();
        prop_assert_eq!(names.len(), view.leading().count(), "each is shown under a name of its own");
        for slot in Slot::all().take(20) {
            let shown: Vec<NodeId> =
                view.nodes().iter().filter(|node| node.slots.contains(slot)).map(|node| node.id).collect();
            let routed: Vec<NodeId> =
                view.route(slot).and_then(|route| route.node).map(|node| node.id).into_iter().collect();
            prop_assert_eq!(shown, routed);
        }
        let coverage = view.coverage();
        prop_assert_eq!(coverage.assigned, coverage.ok + coverage.suspected + coverage.failed);
    }

    /// The changes of one command are made together or not at all.
    #[test]
    fn a_command_is_all_or_nothing(topology in a_topology(), changes in vec(a_change(), 0..5)) {
        let mut together = topology.clone();
        let mut singly = topology.clone();
        let outcomes: Result<Vec<_>, _> = changes.iter().map(|change| singly.apply(change)).collect();
        prop_assert_eq!(&together.apply_all(&changes), &outcomes);
        prop_assert_eq!(together, if outcomes.is_ok() { singly } else { topology });
    }
}

#[test]
fn newer_formats_say_so() {
    let mut bytes = single(1).encode();
    bytes[0] += 1;
    assert_eq!(Topology::decode(&bytes), Err(DecodeError::Newer(2)));
    assert_eq!(decode_batch(&[2]), Err(DecodeError::Newer(2)));
    assert_eq!(decode_batch(&[0]), Err(DecodeError::Damaged));
    assert_eq!(decode_batch(&[]), Err(DecodeError::Damaged));
}

/// What may happen around three shards' slots.
#[derive(Clone, Debug)]
enum Happening {
    Add(u8, SlotSet),
    Del(u8, SlotSet),
    /// A leader of the shard that knows an older topology (so many changes ago) brings what that says into the shard's log.
    Fence(u8, usize),
    /// A leader of the shard tells that its oldest closing is done, if it is in the shard's log. It may be told again later.
    Closed(u8),
    /// A word of earlier comes again.
    Again(prop::sample::Index),
}

fn a_happening() -> impl Strategy<Value = Happening> {
    let number = 1..4u8;
    prop_oneof![
        3 => (number.clone(), some_slots()).prop_map(|(number, slots)| Happening::Add(number, slots)),
        3 => (number.clone(), some_slots()).prop_map(|(number, slots)| Happening::Del(number, slots)),
        4 => (number.clone(), 0..6usize).prop_map(|(number, ago)| Happening::Fence(number, ago)),
        3 => number.prop_map(Happening::Closed),
        1 => any::<prop::sample::Index>().prop_map(Happening::Again),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// No two shards ever accept commands for one slot, whatever old leaders believe: their logs' fences never overlap.
    #[test]
    fn fences_never_overlap(happenings in vec(a_happening(), 0..120)) {
        let mut topology = crate::fixture::World::create(3, 0).topology;
        for number in 1..4 {
            topology.apply(&Change::FlushSlots { node: node(number) }).unwrap();
            let closing = topology.shards()[&shard(number)].closing[0].number;
            let done = Change::SlotsClosed { shard: shard(number), number: closing, kept: SlotSet::new() };
            topology.apply(&done).unwrap();
        }
        let mut logs = vec![topology.shards()[&shard(1)].fence(); 4];
        logs.iter_mut().zip(1..).for_each(|(log, number)| {
            *log = topology.shards().get(&shard(number)).map_or_else(|| log.clone(), crate::Shard::fence);
        });
        let mut history = vec![topology.clone()];
        let mut told = Vec::new();
        for happening in happenings {
            match happening {
                Happening::Add(number, slots) => drop(topology.apply(&Change::AddSlots { node: node(number), slots })),
                Happening::Del(number, slots) => drop(topology.apply(&Change::DelSlots { node: node(number), slots })),
                Happening::Fence(number, ago) => {
                    let known = &history[history.len().saturating_sub(1 + ago)];
                    let fence = known.shards()[&shard(number)].fence();
                    let log = &mut logs[usize::from(number) - 1];
                    if fence.version > log.version {
                        *log = fence;
                    }
                }
                Happening::Closed(number) => {
                    let log = &logs[usize::from(number) - 1];
                    let closing = topology.shards()[&shard(number)].closing.first().map(|closing| closing.number);
                    if let Some(number_of) = closing.filter(|&number_of| number_of <= log.version) {
                        let kept = SlotSet::new();
                        let change = Change::SlotsClosed { shard: shard(number), number: number_of, kept };
                        told.push(change.clone());
                        topology.apply(&change).unwrap();
                    }
                }
                Happening::Again(which) if !told.is_empty() => drop(topology.apply(which.get(&told))),
                Happening::Again(_) => {}
            }
            history.push(topology.clone());
            for (at, log) in logs.iter().enumerate().take(3) {
                for other in &logs[at + 1..3] {
                    prop_assert!(!log.slots.overlaps(&other.slots));
                }
            }
        }
    }
}
