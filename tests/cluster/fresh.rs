//! Nodes that leave, come anew, or meet in unusual ways: each ends in what its user expects, or in an error and no change.

use crate::harness::nodes::{Nodes, address, redis_cli_cluster};
use crate::harness::server::free_port;
use crate::harness::{Client, Value, wait_for};

fn meet(nodes: &Nodes, asked: usize, other: usize) {
    let port = nodes.list[other].port;
    assert_eq!(nodes.client(asked).run(&format!("CLUSTER MEET 127.0.0.1 {port}")), Value::ok());
}

/// The arguments that have redis-cli make a cluster of these nodes.
fn create_command(nodes: &Nodes, places: &[usize]) -> Vec<String> {
    let addresses = places.iter().map(|&at| address(nodes.list[at].port));
    ["create".to_owned()].into_iter().chain(addresses).chain(["--cluster-yes".to_owned()]).collect()
}

/// Waits until these nodes know each other and nobody else.
fn await_together(nodes: &Nodes, places: &[usize]) {
    wait_for("nodes that know each other", || {
        let ports: Vec<u16> = places.iter().map(|&at| nodes.list[at].port).collect();
        let knows = |at: &usize| {
            let known = nodes.known(*at);
            known.len() == places.len() && known.iter().all(|node| ports.contains(&node.port))
        };
        places.iter().all(knows).then_some(())
    });
}

#[test]
fn nodes_meet_leave_and_return() {
    let nodes = Nodes::launch(5);
    // One that is not there does not hold up the others.
    let nobody = free_port();
    assert_eq!(nodes.client(0).run(&format!("CLUSTER MEET 127.0.0.1 {nobody}")), Value::ok());
    // Two that are told of each other at once, and a third that both are told of.
    for (asked, other) in [(0, 1), (1, 0), (0, 2), (1, 2), (2, 0)] {
        meet(&nodes, asked, other);
    }
    await_together(&nodes, &[0, 1, 2]);
    let log = std::fs::read_to_string(nodes.list[0].directory().join("log")).expect("its log");
    assert!(!log.contains("CLUSTER MEET was given up"), "{log}");
    // Met again, nothing changes.
    meet(&nodes, 2, 1);
    // Two clusters of more than one node each do not become one, whoever is asked.
    meet(&nodes, 3, 4);
    await_together(&nodes, &[3, 4]);
    for (asked, other) in [(0, 3), (4, 1)] {
        let port = nodes.list[other].port;
        let refused = nodes.client(asked).run(&format!("CLUSTER MEET 127.0.0.1 {port}"));
        assert!(refused.is_error("ERR ") && refused.text().contains("CLUSTER RESET"), "{refused:?}");
    }
    await_together(&nodes, &[0, 1, 2]);
    await_together(&nodes, &[3, 4]);
    let (succeeded, said) = redis_cli_cluster(&create_command(&nodes, &[2, 3, 4]));
    assert!(!succeeded && said.contains("is not empty"), "{said}");

    assert_eq!(nodes.client(0).run("CLUSTER ADDSLOTSRANGE 0 5000"), Value::ok());
    assert_eq!(nodes.client(1).run("CLUSTER ADDSLOTSRANGE 5001 16383"), Value::ok());
    // A node that has keys is not forgotten, and does not leave.
    let master = nodes.master_of(1, "foo");
    let set = || nodes.client(master).run("SET foo bar") == Value::ok();
    wait_for("a slot that is served", || set().then_some(()));
    let id = nodes.id(master);
    assert!(matches!(nodes.client(1 - master).run(&format!("CLUSTER FORGET {id}")), Value::Error(_)));
    assert!(matches!(nodes.client(master).run("CLUSTER RESET"), Value::Error(_)));
    assert_eq!(nodes.client(master).run("GET foo"), Value::bulk("bar"));
    // One that serves none does, keeps its id, and comes back.
    let id = nodes.id(2);
    wait_for("a reset", || (nodes.client(2).run("CLUSTER RESET SOFT") == Value::ok()).then_some(()));
    await_together(&nodes, &[2]);
    assert_eq!(nodes.id(2), id);
    await_together(&nodes, &[0, 1]);
    meet(&nodes, 0, 2);
    await_together(&nodes, &[0, 1, 2]);
    assert_eq!(nodes.id(2), id);
    // Twice, now that all of them remember it as one that left.
    wait_for("a reset", || (nodes.client(2).run("CLUSTER RESET SOFT") == Value::ok()).then_some(()));
    await_together(&nodes, &[0, 1]);
    meet(&nodes, 2, 1);
    await_together(&nodes, &[0, 1, 2]);
    assert_eq!(nodes.client(nodes.master_of(2, "foo")).run("GET foo"), Value::bulk("bar"));
    as_somebody_else(&nodes, &id);
    back_with_data_of_its_own(&nodes);
}

/// RESET HARD: the node is another from then on, also for those that knew it; the old one stays dead.
fn as_somebody_else(nodes: &Nodes, id: &str) {
    wait_for("a reset", || (nodes.client(2).run("CLUSTER RESET HARD") == Value::ok()).then_some(()));
    let new = nodes.id(2);
    assert_ne!(new, id, "a hard reset draws another id");
    await_together(nodes, &[2]);
    await_together(nodes, &[0, 1]);
    meet(nodes, 0, 2);
    await_together(nodes, &[0, 1, 2]);
    assert_eq!(nodes.id(2), new);
    assert!(nodes.known(0).iter().all(|node| node.id != id));
    assert_eq!(nodes.client(nodes.master_of(2, "foo")).run("GET foo"), Value::bulk("bar"));
}

/// A node leaves, fills itself with slots and keys as a cluster of one, and comes back under the id that the others remember.
fn back_with_data_of_its_own(nodes: &Nodes) {
    let id = nodes.id(2);
    assert_eq!(nodes.client(1).run("CLUSTER DELSLOTSRANGE 16000 16383"), Value::ok());
    wait_for("a reset", || (nodes.client(2).run("CLUSTER RESET SOFT") == Value::ok()).then_some(()));
    await_together(nodes, &[2]);
    let mut own = nodes.client(2);
    assert_eq!(own.run("CLUSTER ADDSLOTSRANGE 16000 16383"), Value::ok());
    let keys: Vec<String> =
        (0..).map(|number| format!("own-{number}")).filter(|key| is_behind(&mut own, key)).take(20).collect();
    assert_eq!(own.run("CONFIG SET cluster-require-full-coverage no"), Value::ok());
    for key in &keys {
        wait_for("its own slots", || (own.run(&format!("SET {key} value")) == Value::ok()).then_some(()));
    }
    meet(nodes, 2, 0);
    await_together(nodes, &[0, 1, 2]);
    assert_eq!(nodes.id(2), id);
    for key in &keys {
        wait_for("the data that it brought", || {
            (nodes.client(2).run(&format!("GET {key}")) == Value::bulk("value")).then_some(())
        });
    }
    assert!((0..3).all(|at| nodes.master_of(at, &keys[0]) == 2));
}

/// Whether a key's slot is one of those that are given to the node that comes back.
fn is_behind(client: &mut Client, key: &str) -> bool {
    matches!(client.run(&format!("CLUSTER KEYSLOT {key}")), Value::Integer(slot) if slot >= 16000)
}

#[test]
fn two_leave_a_cluster_of_three_in_quick_succession() {
    let nodes = Nodes::launch(3);
    meet(&nodes, 0, 1);
    meet(&nodes, 0, 2);
    await_together(&nodes, &[0, 1, 2]);
    assert_eq!(nodes.client(0).run("CLUSTER ADDSLOTSRANGE 0 16383"), Value::ok());
    wait_for("three voters of the meta group", || nodes.votes_in_meta(&[0, 1, 2]).then_some(()));
    let leave = |at: usize| {
        let mut client = nodes.client(at);
        std::thread::spawn(move || client.run("CLUSTER RESET"))
    };
    let leaving = [leave(1), leave(2)];
    let replies = leaving.map(|leaving| leaving.join().expect("a reply"));
    // One of them may be asked to try again; nobody is stuck.
    for (at, reply) in [(1, &replies[0]), (2, &replies[1])] {
        let again = || (nodes.client(at).run("CLUSTER RESET") == Value::ok()).then_some(());
        if *reply != Value::ok() {
            wait_for("a reset", again);
        }
        await_together(&nodes, &[at]);
    }
    await_together(&nodes, &[0]);
    wait_for("a cluster that goes on", || (nodes.client(0).run("SET foo bar") == Value::ok()).then_some(()));
    meet(&nodes, 1, 0);
    meet(&nodes, 2, 1);
    await_together(&nodes, &[0, 1, 2]);
    assert_eq!(nodes.client(0).run("GET foo"), Value::bulk("bar"));
}
