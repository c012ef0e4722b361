//! The same random commands through a shard of three voters: every replica holds the same data in the end, also one that was killed and
//! came back from its snapshot and its log.

use std::collections::BTreeSet;

use super::generator::{Command, Generator};
use super::told;
use crate::harness::trio::Trio;
use crate::harness::{Client, Dice, PATIENCE, Value, wait_within, wire};

/// Commands of the suite.
const COMMANDS: usize = 20_000;
/// So many are sent before their replies are read, at least.
const PIPELINE: usize = 50;
/// After so many pipelines the replicas are compared.
const COMPARE_EVERY: usize = 40;

#[test]
fn random_commands_leave_all_replicas_with_equal_digests() {
    let seed = told("CAIRN_TEST_SEED").unwrap_or(20_260_001);
    let commands = told("CAIRN_TEST_COMMANDS").map_or(COMMANDS, |count| count.try_into().expect("a usize"));
    let mut trio = Trio::start(&["--enable-debug-command", "yes"]);
    let mut generator = Generator::new(Dice(seed));
    let (mut done, mut rounds, mut digests) = (0, 0, BTreeSet::new());
    while done < commands {
        let leader = trio.leader();
        let mut client = trio.nodes[leader].client();
        for _ in 0..COMPARE_EVERY {
            done += run(&mut client, &mut generator);
        }
        rounds += 1;
        digests.insert(equal_digest(&trio, seed, done));
        // One of the others misses a part, and is level at the next comparison.
        let restarted = trio.others(leader)[rounds % 2];
        assert_eq!(trio.nodes[restarted].client().run("SAVE"), Value::ok());
        trio.nodes[restarted].kill();
        for _ in 0..COMPARE_EVERY / 4 {
            done += run(&mut client, &mut generator);
        }
        trio.nodes[restarted].restart();
    }
    digests.insert(equal_digest(&trio, seed, done));
    assert!(digests.len() > rounds / 2, "seed {seed}: {rounds} rounds changed little: {digests:?}");
}

/// Runs commands to the end of a transaction; their number.
fn run(client: &mut Client, generator: &mut Generator) -> usize {
    let mut commands: Vec<Command> = Vec::new();
    while commands.len() < PIPELINE || !generator.is_between() {
        commands.push(generator.command());
    }
    let bytes: Vec<u8> = commands.iter().flat_map(|command| wire::encode(&command.words())).collect();
    client.send(&bytes).expect("the leader reads");
    for command in &commands {
        let reply = client.reply().unwrap_or_else(|error| panic!("{command}: {error}"));
        assert!(!reply.is_error("UNCERTAIN"), "{command}: {reply:?}");
    }
    commands.len()
}

/// Waits until every replica has applied the same entries and holds the same data: its digest. A leader hides a key that is due
/// before an entry has removed it, so it may be a moment ahead.
fn equal_digest(trio: &Trio, seed: u64, done: usize) -> String {
    let mut last = None;
    let digest = wait_within(PATIENCE, || {
        let applied = applied(trio);
        let mut digests: BTreeSet<String> =
            trio.nodes.iter().map(|node| node.client().run("DEBUG DIGEST").text()).collect();
        // Nothing was applied in between, so that all digests are of the same entries.
        if applied.iter().any(|index| *index != applied[0]) || self::applied(trio) != applied {
            return None;
        }
        last = Some((applied[0], digests.clone()));
        digests.pop_first().filter(|_| digests.is_empty())
    });
    digest.unwrap_or_else(|| panic!("seed {seed}, {done} commands: up to an entry, {last:?}"))
}

fn applied(trio: &Trio) -> Vec<u64> {
    trio.nodes.iter().map(|node| node.info("raft_applied_index").parse().expect("a number")).collect()
}
