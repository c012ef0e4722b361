//! Snapshots: taken, purged behind, sent, and found at start.

use std::time::Duration;

use tokio::time;

use super::cluster::{Cluster, GROUP, simulate};
use super::machine::Heard;
use crate::codec::encode_vote;
use crate::log_store::{LogChange, LogStore, SnapshotMeta, SnapshotWriter, StoredEntry};
use crate::member::encode_stored;
use crate::types::{RaftVote, StoredMembership};
use crate::{GroupError, LogId};

/// A tail so short that most of the log is only in the store.
fn short_tail(config: &mut crate::GroupConfig) {
    config.tail_bytes_max = 2000;
}

#[test]
fn a_snapshot_and_the_log_behind_it_come_back_at_start() {
    simulate(async {
        let mut cluster = Cluster::configured(3, 41, short_tail).await;
        cluster.form().await;
        for _ in 0..100 {
            cluster.write().await;
        }
        let leader = cluster.leader().await;
        let taken = cluster.group(leader).take_snapshot().await.unwrap();
        assert_eq!(cluster.group(leader).take_snapshot().await, Ok(taken), "nothing new: nothing written");
        cluster.wait_for("a purge", |cluster| cluster.status(leader).purged.is_some()).await;
        assert_eq!(cluster.status(leader).snapshot, Some(taken));
        let last = cluster.write().await;
        cluster.level(last).await;
        let before = cluster.applied_proposals(leader);
        time::sleep(Duration::from_millis(500)).await;
        cluster.crash(leader).await;
        cluster.start(leader).await;
        assert_eq!(cluster.applied_proposals(leader), before);
        assert_eq!(cluster.replicas[leader].memory.lock().installs, 1);
        let id = cluster.write().await;
        cluster.level(id).await;
    });
}

#[test]
fn a_replica_that_is_far_behind_gets_a_snapshot() {
    simulate(async {
        let mut cluster = Cluster::configured(3, 42, short_tail).await;
        cluster.form().await;
        let (leader, away) = (cluster.leader().await, cluster.follower().await);
        cluster.isolate(away);
        for _ in 0..20 {
            let term = cluster.status(leader).term;
            let proposal = cluster.propose_in(leader, term, &[7; 100_000]);
            assert!(matches!(cluster.outcome(proposal).await, Heard::Applied(_)));
        }
        let taken = cluster.group(leader).take_snapshot().await.unwrap();
        cluster.wait_for("a purge", |cluster| cluster.status(leader).purged.is_some()).await;
        cluster.heal();
        let id = cluster.write().await;
        cluster.level(id).await;
        assert_eq!(cluster.replicas[away].memory.lock().installs, 1);
        assert_eq!(cluster.replicas[away].store.newest_snapshot(GROUP).unwrap().unwrap().0.last, taken);
        // And it survives a restart from what it received.
        time::sleep(Duration::from_millis(500)).await;
        cluster.crash(away).await;
        cluster.start(away).await;
        let id = cluster.write().await;
        cluster.level(id).await;
    });
}

#[test]
fn a_long_log_is_cut_by_itself() {
    simulate(async {
        let shorter = |config: &mut crate::GroupConfig| {
            config.tail_bytes_max = 2000;
            config.snapshot_log_bytes = 20_000;
        };
        let mut cluster = Cluster::configured(3, 43, shorter).await;
        cluster.form().await;
        let leader = cluster.leader().await;
        let term = cluster.status(leader).term;
        for _ in 0..60 {
            let proposal = cluster.propose_in(leader, term, &[7; 1000]);
            cluster.outcome(proposal).await;
        }
        cluster
            .wait_for("snapshots on all replicas", |cluster| {
                (0..3)
                    .all(|number| cluster.status(number).snapshot.is_some() && cluster.status(number).purged.is_some())
            })
            .await;
        assert!(cluster.status(leader).log_bytes < 61_000);
    });
}

#[test]
fn nothing_applied_is_no_snapshot() {
    simulate(async {
        let cluster = Cluster::empty(1, 44).await;
        assert!(matches!(cluster.group(0).take_snapshot().await, Err(GroupError::Refused(_))));
    });
}

#[test]
fn a_purged_log_without_its_snapshot_is_damage() {
    simulate(async {
        let mut cluster = Cluster::formed(1, 45).await;
        let id = cluster.write().await;
        cluster.crash(0).await;
        cluster.replicas[0].store.submit(GROUP, LogChange::Purge(id), Box::new(|result| result.unwrap()));
        let error = cluster.try_start(0).await.unwrap_err();
        assert!(error.to_string().contains("snapshot"), "{error}");
    });
}

/// The power went between a received snapshot's rename and the cut of the log that contradicts it.
#[test]
fn a_snapshot_wins_over_a_log_that_contradicts_it() {
    simulate(async {
        let mut cluster = Cluster::empty(1, 46).await;
        cluster.crash(0).await;
        let store = cluster.replicas[0].store.clone();
        let entry = |index| StoredEntry { id: LogId { term: 1, index }, bytes: vec![1; 9].into() };
        let changes = [
            LogChange::Append((0..100).map(entry).collect()),
            LogChange::Vote(encode_vote(&RaftVote::new_committed(1, 1))),
            LogChange::Committed(LogId { term: 1, index: 10 }),
        ];
        for change in changes {
            store.submit(GROUP, change, Box::new(|result| result.unwrap()));
        }
        let last = LogId { term: 2, index: 80 };
        let membership = encode_stored(&StoredMembership::default());
        let writer = store.create_snapshot(GROUP).await.unwrap();
        writer.finish(SnapshotMeta { last, membership, length_bytes: 0 }).await.unwrap();
        cluster.start(0).await;
        let loaded = store.load(GROUP).unwrap();
        assert_eq!((loaded.purged, loaded.last), (Some(last), Some(last)));
    });
}
