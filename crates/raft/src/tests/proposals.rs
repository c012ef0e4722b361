//! What becomes of a proposal, and what its waiter hears.

use std::time::Duration;

use tokio::time;

use super::cluster::{Cluster, simulate};
use super::machine::Heard;
use crate::Refusal;

#[test]
fn proposals_are_applied_everywhere_in_the_order_of_the_calls() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 1).await;
        let leader = cluster.leader().await;
        let proposals: Vec<u64> = (0..300).map(|_| cluster.propose(leader)).collect();
        let Heard::Applied(last) = cluster.outcome(*proposals.last().unwrap()).await else { panic!("it was lost") };
        cluster.level(last).await;
        for number in 0..3 {
            assert_eq!(cluster.applied_proposals(number), proposals);
        }
        for proposal in proposals {
            let heard = cluster.heard(proposal);
            let [Heard::Committed(committed), Heard::Applied(applied)] = heard[..] else { panic!("{heard:?}") };
            assert_eq!(committed, applied);
        }
    });
}

#[test]
fn one_voter_suffices_for_itself() {
    simulate(async {
        let mut cluster = Cluster::formed(1, 2).await;
        let id = cluster.write().await;
        cluster.level(id).await;
        let before = cluster.now_ms();
        cluster.crash(0).await;
        cluster.start(0).await;
        assert_eq!(cluster.leader().await, 0);
        assert!(cluster.now_ms() - before < 100, "a single voter waits for nobody: {} ms", cluster.now_ms() - before);
        assert_eq!(cluster.entries(0).last().map(|(id, _)| *id), Some(id));
    });
}

#[test]
fn a_follower_and_a_wrong_term_refuse() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 3).await;
        let (leader, follower) = (cluster.leader().await, cluster.follower().await);
        let term = cluster.status(leader).term;
        let on_follower = cluster.propose_in(follower, term, &[]);
        let in_old_term = cluster.propose_in(leader, term - 1, &[]);
        let in_later_term = cluster.propose_in(leader, term + 1, &[]);
        for proposal in [on_follower, in_old_term, in_later_term] {
            assert_eq!(cluster.outcome(proposal).await, Heard::Refused(Refusal::NotLeader));
        }
        let id = cluster.write().await;
        cluster.level(id).await;
        assert_eq!(cluster.entries(leader).len(), 1, "what was refused never happens");
    });
}

#[test]
fn a_leader_that_is_cut_off_answers_unknown_then_refuses() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 4).await;
        let old = cluster.leader().await;
        cluster.isolate(old);
        let accepted = cluster.propose(old);
        time::sleep(Duration::from_millis(700)).await;
        let refused = cluster.propose(old);
        assert_eq!(cluster.outcome(refused).await, Heard::Refused(Refusal::NoLease));
        assert_eq!(cluster.heard(accepted), [], "it may still happen");
        cluster.wait_for("another leader", |cluster| cluster.ready_leader().is_some_and(|new| new != old)).await;
        let id = cluster.write().await;
        cluster.heal();
        assert_eq!(cluster.outcome(accepted).await, Heard::Unknown);
        cluster.level(id).await;
        assert!(!cluster.applied_proposals(old).contains(&accepted), "another entry has its place");
    });
}

#[test]
fn stopping_drops_waiters_and_refuses_later_ones() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 5).await;
        let leader = cluster.leader().await;
        let group = cluster.group(leader);
        cluster.isolate(leader);
        let proposal = cluster.propose(leader);
        time::sleep(Duration::from_millis(5)).await;
        group.stop().await;
        assert_eq!(cluster.outcome(proposal).await, Heard::Unknown);
        let late = cluster.propose_in(leader, 1, &[]);
        assert_eq!(cluster.outcome(late).await, Heard::Refused(Refusal::Stopping));
        cluster.wait_for("the status to say so", |cluster| cluster.status(leader).stopped.is_some()).await;
    });
}

#[test]
fn a_failed_disk_stops_the_group() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 6).await;
        let leader = cluster.leader().await;
        cluster.replicas[leader].store.fail();
        let proposal = cluster.propose(leader);
        cluster.wait_for("the group to stop", |cluster| cluster.status(leader).stopped.is_some()).await;
        assert!(cluster.status(leader).stopped.unwrap().contains("the disk failed"));
        let heard = cluster.outcome(proposal).await;
        assert!(matches!(heard, Heard::Unknown | Heard::Applied(_)), "{heard:?}");
    });
}

/// Nothing is acknowledged before a majority has it on disk.
#[test]
fn without_a_majority_of_disks_nothing_is_committed() {
    simulate(async {
        let mut cluster = Cluster::formed(3, 7).await;
        let leader = cluster.leader().await;
        let others: Vec<usize> = (0..3).filter(|&number| number != leader).collect();
        others.iter().for_each(|&number| cluster.replicas[number].store.hold());
        let proposal = cluster.propose(leader);
        time::sleep(Duration::from_millis(100)).await;
        assert_eq!(cluster.heard(proposal), []);
        cluster.replicas[others[0]].store.release();
        assert!(matches!(cluster.outcome(proposal).await, Heard::Applied(_)));
    });
}
