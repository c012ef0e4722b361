//! Seeded misfortune: crashes, cuts, slow disks and clocks, hand-overs at bad moments, and what must hold all the
//! same.
//!
//! Safety, looked at every two milliseconds: a replica with a lease has applied whatever anybody acknowledged. At the
//! end, when all is healed: what was acknowledged is there, once and in one order; what was refused is not.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::AsyncRuntime;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time;

use super::cluster::{Cluster, simulate};
use super::machine::Heard;
use crate::runtime::SeededRuntime;
use crate::{GroupConfig, LogId};

const STEP: Duration = Duration::from_millis(2);
const STEPS: usize = 8000;

struct Chaos {
    cluster: Cluster,
    random: SmallRng,
    slow: BTreeSet<usize>,
}

impl Chaos {
    async fn new(seed: u64) -> Self {
        let configure = |config: &mut GroupConfig| {
            config.clock_rate_ppm = [0, 3000, -3000][(config.me.replica.0 % 3) as usize];
            config.tail_bytes_max = 4000;
            config.snapshot_log_bytes = 20_000;
        };
        let mut cluster = Cluster::configured(3, seed, configure).await;
        cluster.form().await;
        Self { cluster, random: SmallRng::seed_from_u64(seed), slow: BTreeSet::new() }
    }

    fn one_in(&mut self, chances: u32) -> bool {
        self.random.random_range(0..chances) == 0
    }

    fn any(&mut self) -> usize {
        self.random.random_range(0..3)
    }

    async fn misfortune(&mut self) {
        let victim = self.any();
        match self.random.random_range(0..9) {
            0 => self.cluster.isolate(victim),
            1 => {
                let other = (victim + 1) % 3;
                self.cluster.cut(victim, other);
            }
            2 | 3 => self.cluster.heal(),
            4 if self.cluster.is_running(victim) => {
                self.slow.remove(&victim);
                self.cluster.crash(victim).await;
            }
            4 | 5 => {
                if !self.cluster.is_running(victim) {
                    self.cluster.start(victim).await;
                }
            }
            6 => self.hand_over(victim),
            _ => {
                self.cluster.replicas[victim].store.hold();
                self.slow.insert(victim);
            }
        }
    }

    /// Begins to hand leadership to a replica, whatever state it is in, and does not wait for the end.
    fn hand_over(&self, to: usize) {
        if let Some(leader) = self.cluster.ready_leader() {
            let (group, to) = (self.cluster.group(leader), self.cluster.replica_id(to));
            drop(SeededRuntime::spawn(async move { group.transfer_leader(to).await }));
        }
    }

    fn turn_disks(&mut self) {
        for number in self.slow.clone() {
            if self.one_in(3) {
                let changes = self.random.random_range(1..4);
                self.cluster.replicas[number].store.sync(changes);
            } else if self.one_in(400) {
                self.cluster.replicas[number].store.release();
                self.slow.remove(&number);
            }
        }
    }

    fn propose(&mut self) {
        let on = self.any();
        if self.cluster.is_running(on) && self.one_in(4) {
            self.cluster.propose(on);
        }
    }

    /// Whoever may read has seen everything that was acknowledged.
    fn check_leases(&self) {
        let acknowledged = self.acknowledged().into_iter().map(|(id, _)| id).max();
        for number in self.cluster.running() {
            if self.cluster.holds_lease(number) {
                let seen = self.cluster.replicas[number].memory.lock().entries.last().map(|(id, _)| *id);
                assert!(seen >= acknowledged, "replica {number} would read {seen:?}, {acknowledged:?} was answered");
            }
        }
    }

    fn acknowledged(&self) -> Vec<(LogId, u64)> {
        let ears = self.cluster.ears.lock();
        let applied = |(number, heard): &(u64, Heard)| match heard {
            Heard::Applied(id) => Some((*id, *number)),
            _ => None,
        };
        ears.iter().filter_map(applied).collect()
    }

    fn refused(&self) -> BTreeSet<u64> {
        let ears = self.cluster.ears.lock();
        let refused = ears.iter().filter(|(_, heard)| matches!(heard, Heard::Refused(_)));
        refused.map(|(number, _)| *number).collect()
    }

    async fn end(mut self) -> usize {
        self.cluster.heal();
        for number in 0..3 {
            self.cluster.replicas[number].store.release();
            if !self.cluster.is_running(number) {
                self.cluster.start(number).await;
            }
        }
        let last = self.cluster.write().await;
        self.cluster.level(last).await;
        let applied = self.cluster.applied_proposals(0);
        let once: BTreeSet<u64> = applied.iter().copied().collect();
        assert_eq!(once.len(), applied.len(), "a proposal was applied twice");
        let acknowledged = self.acknowledged();
        let entries = self.cluster.entries(0);
        for (id, number) in &acknowledged {
            assert!(once.contains(number), "proposal {number} was acknowledged and is gone");
            assert!(entries.iter().any(|(found, _)| found == id), "its entry {id} is another one");
        }
        let refused = self.refused();
        assert!(refused.is_disjoint(&once), "a refused proposal was applied");
        acknowledged.len()
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_no_lease_lies() {
    let mut acknowledged = 0;
    for seed in 0..12 {
        acknowledged += simulate(async {
            let mut chaos = Chaos::new(5000 + seed).await;
            for _ in 0..STEPS {
                if chaos.one_in(150) {
                    chaos.misfortune().await;
                }
                chaos.turn_disks();
                chaos.propose();
                time::sleep(STEP).await;
                chaos.check_leases();
            }
            chaos.end().await
        });
    }
    assert!(acknowledged > 1000, "only {acknowledged} proposals came through: misfortune proves little");
}
