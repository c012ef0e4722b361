//! Step by step, and with learners that catch up whenever they like.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::fixture::node;

fn replica(id: u8, is: Standing, wanted: Standing) -> Replica {
    Replica { id: ReplicaId(u64::from(id)), node: node(id), hidden: false, is, wanted }
}

fn ids(ids: &[u64]) -> BTreeSet<ReplicaId> {
    ids.iter().copied().map(ReplicaId).collect()
}

fn members(voters: &[u64], learners: &[u64], caught_up: &[u64]) -> Members {
    Members { voters: ids(voters), learners: ids(learners), caught_up: ids(caught_up) }
}

use Standing::{Absent, Learner, Voter};

/// A voter is lost, another takes its place: added, caught up, exchanged in one change, removed, confirmed.
#[test]
fn a_voter_is_replaced() {
    let replicas =
        [replica(1, Voter, Voter), replica(2, Voter, Voter), replica(3, Voter, Absent), replica(4, Absent, Voter)];
    let next = |voters: &[u64], learners: &[u64], caught_up: &[u64]| {
        next_step(&replicas, &members(voters, learners, caught_up))
    };
    assert_eq!(next(&[1, 2, 3], &[], &[]), Some(Step::AddLearner(ReplicaId(4), node(4))));
    // Told, so that the topology knows that it has begun; then there is only waiting.
    assert_eq!(next(&[1, 2, 3], &[4], &[]), Some(Step::Confirm));
    let told = [replicas[0], replicas[1], replicas[2], replica(4, Learner, Voter)];
    assert_eq!(next_step(&told, &members(&[1, 2, 3], &[4], &[])), None);
    assert_eq!(next(&[1, 2, 3], &[4], &[4]), Some(Step::ChangeVoters(ids(&[1, 2, 4]))));
    assert_eq!(next(&[1, 2, 4], &[3], &[]), Some(Step::RemoveLearners(ids(&[3]))));
    assert_eq!(next(&[1, 2, 4], &[], &[]), Some(Step::Confirm));
    let done = [replica(1, Voter, Voter), replica(2, Voter, Voter), replica(4, Voter, Voter)];
    assert_eq!(next_step(&done, &members(&[1, 2, 4], &[], &[])), None);
}

#[test]
fn an_even_number_of_voters_is_waited_out() {
    let replicas = [replica(1, Voter, Voter), replica(2, Voter, Voter), replica(3, Voter, Absent)];
    assert_eq!(next_step(&replicas, &members(&[1, 2, 3], &[], &[])), None);
    let nobody = [replica(1, Voter, Learner), replica(2, Voter, Learner)];
    assert_eq!(next_step(&nobody, &members(&[1, 2], &[], &[])), None);
}

#[test]
fn what_the_topology_does_not_know_is_removed() {
    let replicas = [replica(1, Voter, Voter)];
    assert_eq!(next_step(&replicas, &members(&[1], &[9], &[])), Some(Step::RemoveLearners(ids(&[9]))));
    assert_eq!(next_step(&replicas, &members(&[1, 9, 8], &[], &[])), Some(Step::ChangeVoters(ids(&[1]))));
}

#[test]
fn a_dismissed_voter_stays_until_the_others_are_ready() {
    let replicas = [replica(1, Voter, Voter), replica(2, Learner, Voter), replica(3, Learner, Voter)];
    assert_eq!(next_step(&replicas, &members(&[1], &[2, 3], &[2])), None);
    assert_eq!(next_step(&replicas, &members(&[1], &[2, 3], &[2, 3])), Some(Step::ChangeVoters(ids(&[1, 2, 3]))));
}

fn a_standing() -> impl Strategy<Value = Standing> {
    prop_oneof![Just(Absent), Just(Learner), Just(Voter)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// Whatever is wanted, and whoever catches up: voters are always odd, nobody votes that was not near the end of the log, and with
    /// all caught up it comes to an end, where what is wanted is (if its number of voters is odd).
    #[test]
    fn steps_are_safe_and_end(
        wishes in vec(vec(a_standing(), 6), 1..4),
        lagging in vec(0..64u8, 0..20),
    ) {
        let mut is = Members { voters: ids(&[1]), ..Members::default() };
        let mut lagging = lagging.into_iter();
        let mut told: Vec<Replica> = vec![replica(1, Voter, Voter)];
        for wish in wishes {
            let mut replicas: Vec<Replica> = Vec::new();
            for (id, wanted) in (1u8..).zip(wish) {
                let before = told.iter().find(|replica| replica.id.0 == u64::from(id)).map_or(Absent, |replica| replica.is);
                if (before, wanted) != (Absent, Absent) {
                    replicas.push(replica(id, before, wanted));
                }
            }
            for round in 0..100 {
                prop_assert!(round < 99, "it goes on for ever");
                let behind = if round < 20 { lagging.next().unwrap_or(0) } else { 0 };
                is.caught_up = is.learners.iter().copied().filter(|id| behind >> id.0 & 1 == 0).collect();
                match next_step(&replicas, &is) {
                    None if behind != 0 => {}
                    None => break,
                    Some(Step::AddLearner(id, on)) => {
                        prop_assert_eq!(on, node(u8::try_from(id.0).unwrap()));
                        prop_assert!(!is.voters.contains(&id) && is.learners.insert(id));
                    }
                    Some(Step::ChangeVoters(voters)) => {
                        prop_assert!(voters.len() % 2 == 1);
                        prop_assert!(voters.iter().all(|id| is.voters.contains(id) || is.caught_up.contains(id)));
                        is.learners.extend(is.voters.iter().filter(|id| !voters.contains(id)));
                        is.learners.retain(|id| !voters.contains(id));
                        is.voters = voters;
                    }
                    Some(Step::RemoveLearners(gone)) => {
                        prop_assert!(!gone.is_empty() && gone.is_subset(&is.learners));
                        is.learners.retain(|id| !gone.contains(id));
                    }
                    Some(Step::Confirm) => {
                        for replica in &mut replicas {
                            replica.is = match replica.id {
                                id if is.voters.contains(&id) => Voter,
                                id if is.learners.contains(&id) => Learner,
                                _ => Absent,
                            };
                        }
                        replicas.retain(|replica| (replica.is, replica.wanted) != (Absent, Absent));
                    }
                }
            }
            let wanted = |standing| replicas.iter().filter(|r| r.wanted == standing).map(|r| r.id).collect::<BTreeSet<_>>();
            if wanted(Voter).len() % 2 == 1 {
                prop_assert_eq!(&is.voters, &wanted(Voter));
                prop_assert_eq!(&is.learners, &wanted(Learner));
                prop_assert!(replicas.iter().all(|replica| replica.is == replica.wanted));
            }
            told = replicas;
        }
    }
}
