//! The seeds of every day of the other world: each is a cluster of six nodes with a misfortune of its own.

use sim::World;

/// So many runs; more with `cargo xtask sim --cluster --seeds N`.
const SEEDS: u64 = 12;

#[test]
fn the_first_clusters_hold() {
    let mut answered = 0;
    for seed in 0..SEEDS {
        let report = sim::run(World::Cluster, seed, None);
        assert_eq!(report.failure, None, "seed {seed}\n{}", report.plan);
        answered += report.answered;
    }
    assert!(answered > 10_000, "clients got only {answered} answers: such runs prove little");
}

#[test]
fn the_same_seed_gives_the_same_cluster() {
    for seed in [1000, 1001] {
        let (one, other) = (sim::run(World::Cluster, seed, None), sim::run(World::Cluster, seed, None));
        assert_eq!(one.trace, other.trace, "seed {seed}: run it twice with --cluster --seed and compare");
        assert_ne!(one.trace, 0);
    }
}
