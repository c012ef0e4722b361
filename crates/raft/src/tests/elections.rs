//! Who leads, after what, and how long it takes.

use std::time::Duration;

use tokio::time;

use super::cluster::{Cluster, simulate};
use crate::Role;

#[test]
fn a_lost_leader_is_replaced_within_two_seconds() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 11).await;
        let first = cluster.write().await;
        let old = cluster.leader().await;
        let before = cluster.now_ms();
        cluster.crash(old).await;
        let new = cluster.leader().await;
        let gap = cluster.now_ms() - before;
        assert_ne!(new, old);
        assert!((500..2000).contains(&gap), "after {gap} ms");
        let second = cluster.write().await;
        assert!(second.term > first.term);
        cluster.start(old).await;
        cluster.level(second).await;
        assert_eq!(cluster.status(old).role, Role::Follower);
    });
}

#[test]
fn a_restart_of_all_loses_nothing() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 12).await;
        let mut last = None;
        for _ in 0..50 {
            last = Some(cluster.write().await);
        }
        let before = cluster.applied_proposals(cluster.leader().await);
        for number in 0..3 {
            cluster.crash(number).await;
        }
        let at = cluster.now_ms();
        for number in 0..3 {
            cluster.start(number).await;
        }
        cluster.leader().await;
        assert!(cluster.now_ms() - at >= 550, "voters wait out the lease they may have promised");
        cluster.level(last.unwrap()).await;
        for number in 0..3 {
            assert_eq!(cluster.applied_proposals(number), before);
        }
    });
}

/// The commit mark brings the state back at start, before there is a leader.
#[test]
fn the_committed_log_is_applied_at_start() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 13).await;
        let id = cluster.write().await;
        cluster.level(id).await;
        time::sleep(Duration::from_secs(1)).await;
        cluster.crash(1).await;
        cluster.isolate(1);
        cluster.start(1).await;
        assert_eq!(cluster.entries(1).last().map(|(id, _)| *id), Some(id));
    });
}

#[test]
fn a_follower_that_was_away_disturbs_nobody() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 14).await;
        let (leader, follower) = (cluster.leader().await, cluster.follower().await);
        let term = cluster.status(leader).term;
        cluster.isolate(follower);
        time::sleep(Duration::from_secs(10)).await;
        cluster.heal();
        let id = cluster.write().await;
        cluster.level(id).await;
        time::sleep(Duration::from_secs(3)).await;
        assert_eq!(cluster.status(leader).term, term, "pre-votes keep the term");
        assert!(cluster.status(leader).leads());
    });
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    async fn run(seed: u64) -> Vec<Vec<(crate::LogId, u128)>> {
        let mut cluster = Cluster::formed(3, seed).await;
        for round in 0..4 {
            for _ in 0..20 {
                cluster.write().await;
            }
            let victim = if round % 2 == 0 { cluster.leader().await } else { cluster.follower().await };
            cluster.crash(victim).await;
            cluster.write().await;
            cluster.start(victim).await;
        }
        let id = cluster.write().await;
        cluster.level(id).await;
        cluster.replicas.iter().map(|replica| replica.memory.lock().trace.clone()).collect()
    }
    let first = simulate(run(15));
    assert!(first.iter().all(|trace| !trace.is_empty()));
    assert_eq!(first, simulate(run(15)));
    assert_ne!(first, simulate(run(16)), "another seed elects at other times");
}

#[test]
fn clocks_that_drift_apart_still_elect_and_lead() {
    simulate(async {
        let drift = |config: &mut crate::GroupConfig| {
            config.clock_rate_ppm = match config.me.replica.0 % 3 {
                0 => -50_000,
                1 => 0,
                _ => 50_000,
            };
        };
        let mut cluster = Cluster::configured(3, 17, drift).await;
        cluster.form().await;
        let leader = cluster.leader().await;
        let term = cluster.status(leader).term;
        for _ in 0..20 {
            cluster.write().await;
            time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(cluster.status(leader).term, term);
    });
}
