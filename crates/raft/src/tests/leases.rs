//! Reads: the lease, its end, and the round of messages without it.

use std::time::Duration;

use tokio::time;

use super::cluster::{Cluster, simulate};
use crate::ReadError;

fn holds(cluster: &Cluster, number: usize) -> bool {
    cluster.holds_lease(number)
}

#[test]
fn only_the_leader_has_a_lease() {
    simulate(async {
        let cluster = Cluster::formed(3, 21).await;
        let leader = cluster.leader().await;
        for _ in 0..200 {
            time::sleep(Duration::from_millis(10)).await;
            for number in 0..3 {
                assert_eq!(holds(&cluster, number), number == leader, "replica {number}");
            }
        }
    });
}

/// The property that reads rest on: whoever has a lease has seen everything that anybody committed.
#[test]
fn a_lease_ends_before_another_leader_commits() {
    for seed in 0..10 {
        simulate(async {
            let mut cluster = Cluster::formed(3, 2200 + seed).await;
            let old = cluster.leader().await;
            cluster.isolate(old);
            let proposals_of_others = |cluster: &Cluster| cluster.ready_leader().filter(|&number| number != old);
            loop {
                time::sleep(Duration::from_millis(1)).await;
                if proposals_of_others(&cluster).is_some() {
                    break;
                }
            }
            assert!(!holds(&cluster, old), "two replicas may read");
            let id = cluster.write().await;
            assert!(!holds(&cluster, old));
            cluster.heal();
            cluster.level(id).await;
        });
    }
}

/// A follower that does not hear the leader, but is heard by all, must not be elected under the lease: the leader is
/// a voter too and keeps its own promise (openraft before #2026 did not).
#[test]
fn a_deaf_follower_is_not_elected_under_a_lease() {
    for seed in 0..5 {
        simulate(async {
            let mut cluster = Cluster::formed(3, 2600 + seed).await;
            let (leader, deaf) = (cluster.leader().await, cluster.follower().await);
            let term = cluster.status(leader).term;
            cluster.cut(leader, deaf);
            for _ in 0..400 {
                time::sleep(Duration::from_millis(10)).await;
                assert!(!holds(&cluster, deaf));
            }
            assert_eq!(cluster.status(leader).term, term);
            cluster.write().await;
        });
    }
}

#[test]
fn a_suspended_leader_loses_its_lease_until_it_is_acknowledged_again() {
    simulate(async {
        let cluster = Cluster::formed(3, 23).await;
        let leader = cluster.leader().await;
        time::sleep(Duration::from_millis(200)).await;
        assert!(holds(&cluster, leader));
        cluster.isolate(leader);
        cluster.replicas[leader].clock.suspend(Duration::from_secs(60));
        for _ in 0..300 {
            assert!(!holds(&cluster, leader), "openraft's clock did not see the suspension");
            time::sleep(Duration::from_millis(1)).await;
        }
        cluster.heal();
        cluster.wait_for("a lease", |cluster| (0..3).any(|number| holds(cluster, number))).await;
    });
}

#[test]
fn reads_by_rounds_see_what_was_written() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 24).await;
        let (leader, follower) = (cluster.leader().await, cluster.follower().await);
        let id = cluster.write().await;
        let group = cluster.group(leader);
        let rounds: Vec<_> = (0..50).map(|_| group.read_barrier()).collect();
        let before = cluster.now_ms();
        for round in futures_util::future::join_all(rounds).await {
            round.unwrap();
        }
        assert!(cluster.now_ms() - before <= 20, "callers share rounds");
        assert!(cluster.status(leader).applied >= Some(id) || cluster.entries(leader).len() == 1);
        let leader_member = cluster.replicas[leader].member.clone();
        assert_eq!(cluster.group(follower).read_barrier().await, Err(ReadError::NotLeader(Some(leader_member))));
    });
}

#[test]
fn a_leader_that_is_cut_off_answers_no_read() {
    simulate(async {
        let cluster = Cluster::formed(3, 25).await;
        let leader = cluster.leader().await;
        cluster.isolate(leader);
        let read = cluster.group(leader).read_barrier().await;
        assert!(matches!(read, Err(ReadError::Timeout | ReadError::NotLeader(_))), "{read:?}");
        let group = cluster.group(leader);
        group.stop().await;
        assert_eq!(group.read_barrier().await, Err(ReadError::Stopping));
    });
}
