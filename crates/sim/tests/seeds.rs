//! The seeds of every day: each is a cluster with a misfortune of its own.

use sim::World;

/// So many runs; more with `cargo xtask sim --seeds N`.
const SEEDS: u64 = 32;
/// So many runs with `appendfsync everysec`; more with `cargo xtask sim --relaxed --seeds N`.
const RELAXED_SEEDS: u64 = 8;
/// So many runs with clients that wait; more with `cargo xtask sim --waiting --seeds N`.
const WAITING_SEEDS: u64 = 16;

#[test]
fn the_first_seeds_hold() {
    let mut answered = 0;
    for seed in 0..SEEDS {
        let report = sim::run(World::Shard, seed, None);
        assert_eq!(report.failure, None, "seed {seed}\n{}", report.plan);
        answered += report.answered;
    }
    assert!(answered > 10_000, "clients got only {answered} answers: such runs prove little");
}

/// What was acknowledged by a majority outlives the loss of what any one of it had not synced.
#[test]
fn a_voter_that_forgot_does_not_vote() {
    for seed in 0..RELAXED_SEEDS {
        let report = sim::run(World::Relaxed, seed, None);
        assert_eq!(report.failure, None, "seed {seed}\n{}", report.plan);
    }
}

/// Nothing is popped twice, and nothing that was acknowledged is lost, whoever waits for it.
#[test]
fn who_waits_is_given_everything_once() {
    for seed in 0..WAITING_SEEDS {
        let report = sim::run(World::Waiting, seed, None);
        assert_eq!(report.failure, None, "seed {seed}\n{}", report.plan);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [1000, 1001, 1002, 1003] {
        let (one, other) = (sim::run(World::Shard, seed, None), sim::run(World::Shard, seed, None));
        assert_eq!(one.trace, other.trace, "seed {seed}: run it twice with --seed and compare");
        assert_ne!(one.trace, 0);
    }
}
