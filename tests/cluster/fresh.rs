//! Nodes that leave, come anew, or meet in unusual ways: each ends in what its user expects, or in an error and no change.

use crate::harness::nodes::Nodes;
use crate::harness::{Value, wait_for};

fn meet(nodes: &Nodes, asked: usize, other: usize) {
    let port = nodes.list[other].port;
    assert_eq!(nodes.client(asked).run(&format!("CLUSTER MEET 127.0.0.1 {port}")), Value::ok());
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
    // Two that are told of each other at once, and a third that both are told of.
    for (asked, other) in [(0, 1), (1, 0), (0, 2), (1, 2), (2, 0)] {
        meet(&nodes, asked, other);
    }
    await_together(&nodes, &[0, 1, 2]);
    // Met again, nothing changes.
    meet(&nodes, 2, 1);
    // Two clusters of more than one node each do not become one.
    meet(&nodes, 3, 4);
    await_together(&nodes, &[3, 4]);
    meet(&nodes, 0, 3);
    await_together(&nodes, &[0, 1, 2]);
    await_together(&nodes, &[3, 4]);

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
}

#[test]
fn a_wiped_node_comes_back_as_another() {
    let mut nodes = Nodes::create(6, 1);
    let master = nodes.master_of(0, "foo");
    let victim = nodes.replica_of(master);
    assert_eq!(nodes.client(master).run("SET foo bar"), Value::ok());
    let (old, master_id) = (nodes.id(victim), nodes.id(master));
    nodes.list[victim].kill();
    std::fs::remove_dir_all(nodes.list[victim].directory().join("data")).expect("its data");
    nodes.list[victim].restart();
    let new = nodes.id(victim);
    assert_ne!(old, new, "a new node: what the old one voted for is not known any more");
    wait_for("the old node to be forgotten", || {
        (nodes.client(master).run(&format!("CLUSTER FORGET {old}")) == Value::ok()).then_some(())
    });
    meet(&nodes, master, victim);
    await_together(&nodes, &[0, 1, 2, 3, 4, 5]);
    wait_for("the wiped node to be a replica", || {
        (nodes.client(victim).run(&format!("CLUSTER REPLICATE {master_id}")) == Value::ok()).then_some(())
    });
    nodes.await_whole();
    let mut client = nodes.client(victim);
    assert_eq!(client.run("READONLY"), Value::ok());
    wait_for("its data", || (client.run("GET foo") == Value::bulk("bar")).then_some(()));
}
