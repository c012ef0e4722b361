//! What was acknowledged is there after the power was cut.
//!
//! `cairn-power-cut` is the server over a log that hands nothing to the system before its sync is due, so that kill -9 takes
//! what was not synced, as a power cut would. One node, and a shard whose voters all lose their power at once: there, no
//! other voter can stand in for what one has lost.

use rustix::process::Signal;

use crate::harness::load::Load;
use crate::harness::server::POWER_CUT;
use crate::harness::trio::Trio;
use crate::harness::{Dice, Server, wait_for};

/// Cuts of each test. `CAIRN_TEST_POWER_CUTS` says another number, for long runs by hand.
const CUTS: usize = 5;

/// The power is cut after so many acknowledged writes and up to as many more, so that it meets every phase of a sync.
const WRITES_PER_CUT: usize = 100;

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
