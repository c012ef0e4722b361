//! What was acknowledged is there after the power was cut.
//!
//! `cairn-power-cut` is the server over a log that hands nothing to the system before its sync is due, so that kill -9 takes
//! what was not synced, as a power cut would. One node, and a shard whose voters all lose their power at once: there, no
//! other voter can stand in for what one has lost. And shards with `appendfsync everysec`, where another voter has to.

use rustix::process::Signal;

use crate::harness::load::Load;
use crate::harness::server::POWER_CUT;
use crate::harness::trio::Trio;
use crate::harness::wire::Value;
use crate::harness::{Dice, Server, wait_for};

/// Cuts of each test. `CAIRN_TEST_POWER_CUTS` says another number, for long runs by hand.
const CUTS: usize = 5;

/// The power is cut after so many acknowledged writes and up to as many more, so that it meets every phase of a sync.
const WRITES_PER_CUT: usize = 100;

/// What a node says whose replica is not used any more.
const RENEWED: &str = "a fresh one takes its place";

fn cuts() -> usize {
    std::env::var("CAIRN_TEST_POWER_CUTS").map_or(CUTS, |count| count.parse().expect("a number of power cuts"))
}

#[test]
fn a_node_that_loses_its_power_has_every_acknowledged_write() {
    let mut server = Server::start_program(POWER_CUT, &[]);
    let mut dice = Dice(1);
    for cut in 0..cuts() {
        let load = Load::start(&format!("cut-{cut}"), &[server.port], 6);
        let enough = WRITES_PER_CUT + dice.below(WRITES_PER_CUT);
        wait_for("a load", || (load.acknowledged() >= enough).then_some(()));
        server.kill();
        let book = load.finish();
        server.restart();
        book.check(&mut server.client());
    }
}

#[test]
fn a_shard_whose_voters_all_lose_their_power_has_every_acknowledged_write() {
    let mut trio = Trio::start_program(POWER_CUT, &[]);
    let ports: Vec<u16> = trio.nodes.iter().map(|node| node.port).collect();
    let mut dice = Dice(2);
    for cut in 0..cuts() {
        let load = Load::start(&format!("cut-{cut}"), &ports, 6);
        let enough = WRITES_PER_CUT + dice.below(WRITES_PER_CUT);
        wait_for("a load", || (load.acknowledged() >= enough).then_some(()));
        for node in &mut trio.nodes {
            node.process().signal(Signal::KILL);
        }
        let book = load.finish();
        for node in &mut trio.nodes {
            node.process().end();
            node.relaunch();
        }
        let (leader, _) = trio.write_somewhere(&[0, 1, 2], &[b"SET", b"after", b"cut"]);
        book.check(&mut trio.nodes[leader].client());
    }
}

/// With `appendfsync everysec` what one voter had not synced is held by another. The one that forgot takes no part until it has
/// a fresh replica; were it to vote, or to acknowledge, the leader's openraft would stop, or worse.
#[test]
fn a_relaxed_shard_survives_what_one_voter_forgets() {
    let mut trio = Trio::start_program(POWER_CUT, &["--appendfsync", "everysec"]);
    let ports: Vec<u16> = trio.nodes.iter().map(|node| node.port).collect();
    for cut in 0..cuts().div_ceil(2) {
        let load = Load::start(&format!("cut-{cut}"), &ports, 6);
        wait_for("a load", || (load.acknowledged() >= WRITES_PER_CUT).then_some(()));
        // The leader and followers in turn.
        let leader = trio.leader();
        let struck = if cut % 2 == 0 { leader } else { trio.others(leader)[0] };
        let renewed = trio.nodes[struck].process().output().matches(RENEWED).count();
        trio.nodes[struck].kill();
        trio.nodes[struck].relaunch();
        wait_for("a fresh replica", || {
            (trio.nodes[struck].process().output().matches(RENEWED).count() > renewed).then_some(())
        });
        wait_for("three voters", || trio.all_vote().then_some(()));
        let book = load.finish();
        let (leader, _) = trio.write_somewhere(&[0, 1, 2], &[b"SET", b"after", b"cut"]);
        book.check(&mut trio.nodes[leader].client());
    }
}

/// Two of three forgot, and the one that led them did not: it has all that was acknowledged, and goes on to lead those that have less
/// than it remembers of them.
#[test]
fn a_relaxed_shard_of_which_only_the_leader_keeps_its_power_loses_nothing() {
    let mut trio = Trio::start_program(POWER_CUT, &["--appendfsync", "everysec"]);
    await_relaxed(&mut trio);
    let ports: Vec<u16> = trio.nodes.iter().map(|node| node.port).collect();
    for cut in 0..cuts().div_ceil(2) {
        let load = Load::start(&format!("cut-{cut}"), &ports, 6);
        wait_for("a load", || (load.acknowledged() >= WRITES_PER_CUT).then_some(()));
        let others = trio.others(trio.leader());
        others.iter().for_each(|&at| trio.nodes[at].process().signal(Signal::KILL));
        for &at in &others {
            trio.nodes[at].process().end();
            trio.nodes[at].relaunch();
        }
        wait_for("three voters", || trio.all_vote().then_some(()));
        let book = load.finish();
        let (leader, _) = trio.write_somewhere(&[0, 1, 2], &[b"SET", b"after", b"cut"]);
        book.check(&mut trio.nodes[leader].client());
    }
}

/// A voter is relaxed once it has applied that, not before: each has, and has then acknowledged a write.
fn await_relaxed(trio: &mut Trio) {
    let everysec = Value::bulk("everysec");
    let is_relaxed = |node: &Server| node.client().run("CONFIG GET appendfsync").elements().contains(&everysec);
    wait_for("three relaxed voters", || trio.nodes.iter().all(is_relaxed).then_some(()));
    trio.write_somewhere(&[0, 1, 2], &[b"SET", b"long", b"ago"]);
    trio.level();
}

/// When most of a relaxed shard's voters forgot, they go on together, and say so.
#[test]
fn a_relaxed_shard_whose_voters_all_lose_their_power_goes_on_and_says_what_that_means() {
    let mut trio = Trio::start_program(POWER_CUT, &[]);
    let leader = trio.leader();
    assert_eq!(trio.nodes[leader].client().run("CONFIG SET appendfsync everysec"), Value::ok());
    await_relaxed(&mut trio);
    for node in &mut trio.nodes {
        node.kill();
    }
    trio.nodes[0].relaunch();
    trio.nodes[1].relaunch();
    wait_for("a voter that waits for the third", || {
        trio.nodes[0].process().output().contains("waiting for voters to answer").then_some(())
    });
    trio.nodes[2].relaunch();
    trio.write_somewhere(&[0, 1, 2], &[b"SET", b"after", b"all"]);
    let said: String = trio.nodes.iter_mut().map(|node| node.process().output()).collect();
    assert!(said.contains("what was acknowledged in their last moments may be lost"), "{said}");
    wait_for("three voters", || trio.all_vote().then_some(()));
}
