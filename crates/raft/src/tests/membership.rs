//! Members come, go, and hand leadership over.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::AsyncRuntime;
use tokio::time;

use super::cluster::{Cluster, LATENCY, simulate};
use crate::runtime::SeededRuntime;
use crate::{Clock, GroupError, Role};

#[test]
fn a_learner_catches_up_and_becomes_a_voter() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 31).await;
        for _ in 0..20 {
            cluster.write().await;
        }
        let leader = cluster.leader().await;
        let new = cluster.add().await;
        let group = cluster.group(leader);
        group.add_learner(cluster.replicas[new].member.clone()).await.unwrap();
        let id = cluster.write().await;
        cluster.level(id).await;
        assert_eq!(cluster.status(new).role, Role::Learner);
        let out = (0..3).find(|&number| number != leader).unwrap();
        let voters: BTreeSet<_> = (0..4).filter(|&number| number != out).map(|n| cluster.replica_id(n)).collect();
        group.change_voters(voters.clone(), false).await.unwrap();
        cluster
            .wait_for("the new voters", |cluster| {
                let status = cluster.status(new);
                status.role == Role::Follower && status.voters.keys().copied().collect::<BTreeSet<_>>() == voters
            })
            .await;
        assert!(!cluster.status(leader).is_joint());
        assert_eq!(cluster.status(leader).voters[&cluster.replica_id(new)], cluster.replicas[new].member);
        cluster.crash(out).await;
        let id = cluster.write().await;
        cluster.level(id).await;
    });
}

/// One that is behind by a link's latency, always, has caught up; one that hears nothing has not, a lease later.
#[test]
fn a_learner_catches_up_with_a_leader_that_never_rests() {
    simulate(async {
        let mut cluster = Cluster::formed(1, 40).await;
        let new = cluster.add().await;
        let group = cluster.group(0);
        group.add_learner(cluster.replicas[new].member.clone()).await.unwrap();
        let (mut caught_up, mut level) = (0, 0);
        for round in 0..4000 {
            cluster.propose(0);
            time::sleep(Duration::from_millis(1)).await;
            let status = cluster.status(0);
            if round >= 2000 {
                caught_up += u32::from(status.caught_up.contains(&cluster.replica_id(new)));
                level += u32::from(status.matched[&cluster.replica_id(new)] >= status.committed);
            }
        }
        assert_eq!((caught_up, level), (2000, 0));
        cluster.isolate(new);
        for _ in 0..2000 {
            cluster.propose(0);
            time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(cluster.status(0).caught_up, BTreeSet::new());
    });
}

#[test]
fn a_removed_replica_does_not_disturb_and_a_learner_can_be_removed() {
    simulate(async {
        let cluster = Cluster::formed(3, 32).await;
        let (leader, out) = (cluster.leader().await, cluster.follower().await);
        let group = cluster.group(leader);
        let voters = (0..3).filter(|&number| number != out).map(|number| cluster.replica_id(number)).collect();
        group.change_voters(voters, true).await.unwrap();
        group.remove_learners(BTreeSet::from([cluster.replica_id(out)])).await.unwrap();
        let term = cluster.status(leader).term;
        time::sleep(Duration::from_secs(5)).await;
        let status = cluster.status(leader);
        assert!(status.leads() && status.term == term, "{status:?}");
        assert_eq!((status.voters.len(), status.learners.len()), (2, 0));
    });
}

#[test]
fn changes_are_refused_where_they_cannot_be_made() {
    simulate(async {
        let cluster = Cluster::formed(3, 33).await;
        let (leader, follower) = (cluster.leader().await, cluster.follower().await);
        let leader_member = cluster.replicas[leader].member.clone();
        let one = BTreeSet::from([cluster.replica_id(0)]);
        let on_follower = cluster.group(follower).change_voters(one, true).await;
        assert_eq!(on_follower, Err(GroupError::NotLeader(Some(leader_member))));
        let again = cluster.group(leader).initialize(vec![cluster.replicas[leader].member.clone()]).await;
        assert!(matches!(again, Err(GroupError::Refused(_))), "{again:?}");
        let without_it = (0..3).filter(|&number| number != leader).map(|number| cluster.replica_id(number)).collect();
        let removed = cluster.group(leader).change_voters(without_it, false).await;
        assert!(matches!(removed, Err(GroupError::Refused(_))), "{removed:?}");
        let stranger = BTreeSet::from([crate::ReplicaId(999)]);
        let unknown = cluster.group(leader).change_voters(stranger, true).await;
        assert!(matches!(unknown, Err(GroupError::Refused(_))), "{unknown:?}");
    });
}

#[test]
fn leadership_is_handed_over_quickly() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 34).await;
        cluster.write().await;
        let (leader, target) = (cluster.leader().await, cluster.follower().await);
        let before = cluster.now_ms();
        cluster.group(leader).transfer_leader(cluster.replica_id(target)).await.unwrap();
        let gap = cluster.now_ms() - before;
        assert!(gap < 100, "it took {gap} ms");
        let now_ns = cluster.replicas[leader].clock.monotonic_ns();
        assert!(!cluster.group(leader).lease().holds(now_ns));
        assert_eq!(cluster.leader().await, target);
        let id = cluster.write().await;
        cluster.level(id).await;
    });
}

/// A transfer makes voters forget their promise: the lease must be gone before it begins.
#[test]
fn the_lease_is_closed_while_leadership_is_handed_over() {
    simulate(async {
        let cluster = Cluster::formed(3, 35).await;
        let (leader, target) = (cluster.leader().await, cluster.follower().await);
        let group = cluster.group(leader);
        let lease = group.lease();
        let clock = cluster.replicas[leader].clock.clone();
        time::sleep(Duration::from_millis(200)).await;
        assert!(lease.holds(clock.monotonic_ns()));
        let transfer = group.transfer_leader(cluster.replica_id(target));
        // The target is asked first whether it may be elected.
        let mut was_closed = false;
        let watch = async {
            loop {
                time::sleep(Duration::from_millis(1)).await;
                let holds = lease.holds(clock.monotonic_ns());
                assert!(!(holds && was_closed));
                was_closed |= !holds;
            }
        };
        tokio::select! {
            biased;
            done = transfer => done.unwrap(),
            () = watch => {}
        }
        assert!(was_closed);
    });
}

#[test]
fn a_transfer_to_a_target_that_is_away_changes_nothing() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 36).await;
        let (leader, target) = (cluster.leader().await, cluster.follower().await);
        cluster.isolate(target);
        cluster.write().await;
        let done = cluster.group(leader).transfer_leader(cluster.replica_id(target)).await;
        assert!(matches!(done, Err(GroupError::Refused(_))), "{done:?}");
        cluster
            .wait_for("the lease to be open again", |cluster| {
                let now_ns = cluster.replicas[leader].clock.monotonic_ns();
                cluster.group(leader).lease().holds(now_ns)
            })
            .await;
        cluster.write().await;
        assert_eq!(cluster.leader().await, leader);
        let to_itself = cluster.group(leader).transfer_leader(cluster.replica_id(leader)).await;
        assert!(matches!(to_itself, Err(GroupError::Refused(_))), "{to_itself:?}");
    });
}

/// A voter that has just started keeps its vote to itself: nothing is handed to it, and the leader leads on.
#[test]
fn a_transfer_to_a_target_that_has_just_started_changes_nothing() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 41).await;
        let (leader, target) = (cluster.leader().await, cluster.follower().await);
        let term = cluster.status(leader).term;
        cluster.crash(target).await;
        cluster.start(target).await;
        let id = cluster.write().await;
        cluster.level(id).await;
        let done = cluster.group(leader).transfer_leader(cluster.replica_id(target)).await;
        assert!(matches!(done, Err(GroupError::Refused(_))), "{done:?}");
        time::sleep(Duration::from_secs(1)).await;
        assert_eq!(cluster.status(leader).term, term);
        cluster.group(target).eligible().await;
        cluster.group(leader).transfer_leader(cluster.replica_id(target)).await.unwrap();
        assert_eq!(cluster.leader().await, target);
    });
}

/// The target is cut off at the very moment: the lease stays closed until the next election, which comes.
#[test]
fn a_transfer_that_fails_halfway_ends_in_an_election() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 37).await;
        cluster.write().await;
        let (leader, target) = (cluster.leader().await, cluster.follower().await);
        let term = cluster.status(leader).term;
        let group = cluster.group(leader);
        let transfer = group.transfer_leader(cluster.replica_id(target));
        let cut = async {
            // It has said by then that it may be elected.
            time::sleep(LATENCY * 2).await;
            cluster.isolate(target);
            std::future::pending::<()>().await;
        };
        let done = tokio::select! {
            biased;
            done = transfer => done,
            () = cut => unreachable!("it is never done"),
        };
        if done == Err(GroupError::Unknown) {
            cluster
                .wait_for("an election", |cluster| {
                    cluster.ready_leader().is_some_and(|new| cluster.status(new).term > term)
                })
                .await;
        }
        cluster.heal();
        let id = cluster.write().await;
        cluster.level(id).await;
    });
}

/// Leadership goes, between the two steps of a change, to a voter that the change leaves out: it gives it to one that stays.
#[test]
fn a_leader_that_a_change_leaves_out_cannot_finish_it() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 39).await;
        let (leader, heir) = (cluster.leader().await, cluster.follower().await);
        let other = (0..3).find(|&number| number != leader && number != heir).unwrap();
        let id = cluster.write().await;
        cluster.level(id).await;
        let stays: BTreeSet<_> = [leader, other].into_iter().map(|number| cluster.replica_id(number)).collect();
        // The first step needs both of those that stay; one does not store it while the one before leads.
        cluster.replicas[other].store.hold();
        let (group, wished) = (cluster.group(leader), stays.clone());
        drop(SeededRuntime::spawn(async move { group.change_voters(wished, true).await }));
        cluster.wait_for("the first step", |cluster| cluster.status(leader).is_joint()).await;
        assert_eq!(cluster.status(leader).next_voters, stays);
        let (group, to) = (cluster.group(leader), cluster.replica_id(heir));
        drop(SeededRuntime::spawn(async move { group.transfer_leader(to).await }));
        cluster.wait_for("an election", |cluster| !cluster.status(leader).leads()).await;
        cluster.replicas[other].store.release();
        cluster.wait_for("the heir", |cluster| cluster.status(heir).ready).await;
        assert!(cluster.status(heir).is_joint());
        let refused = cluster.group(heir).finish_change(true).await;
        assert!(matches!(refused, Err(GroupError::Refused(_))), "{refused:?}");
        cluster.group(heir).transfer_leader(cluster.replica_id(leader)).await.unwrap();
        cluster.wait_for("one that stays", |cluster| cluster.status(leader).ready).await;
        cluster.group(leader).finish_change(true).await.unwrap();
        cluster.wait_for("one set of voters", |cluster| !cluster.status(leader).is_joint()).await;
        let status = cluster.status(leader);
        assert_eq!(status.voters.keys().copied().collect::<BTreeSet<_>>(), stays);
        assert_eq!(status.learners.keys().copied().collect::<Vec<_>>(), [to]);
    });
}

/// The leader loses power between the two steps of a change: the next one finds the group with two sets of voters.
#[test]
fn a_change_left_half_done_is_finished_by_the_next_leader() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 38).await;
        let added = cluster.add().await;
        let leader = cluster.leader().await;
        let (group, gone) = (cluster.group(leader), cluster.follower().await);
        group.add_learner(cluster.replicas[added].member.clone()).await.unwrap();
        let id = cluster.write().await;
        cluster.level(id).await;
        let voters: BTreeSet<_> =
            (0..4).filter(|&number| number != gone).map(|number| cluster.replica_id(number)).collect();
        // The others have the first step, but nobody hears that they do.
        let others: Vec<_> = (0..4).filter(|&number| number != leader).collect();
        others.iter().for_each(|&number| cluster.replicas[number].store.hold());
        let wished = voters.clone();
        drop(SeededRuntime::spawn(async move { group.change_voters(wished, false).await }));
        cluster.wait_for("the first step", |cluster| cluster.status(leader).is_joint()).await;
        cluster.crash(leader).await;
        others.iter().for_each(|&number| cluster.replicas[number].store.release());
        cluster.start(leader).await;
        let next = cluster.leader().await;
        assert!(cluster.status(next).is_joint());
        cluster.group(next).finish_change(false).await.unwrap();
        cluster
            .wait_for("one set of voters", |cluster| {
                let status = cluster.status(next);
                !status.is_joint() && status.voters.keys().copied().collect::<BTreeSet<_>>() == voters
            })
            .await;
        assert_eq!(cluster.group(next).finish_change(false).await, Ok(()));
    });
}
