//! redis-cli --cluster.

use crate::harness::nodes::{Nodes, address, redis_cli_cluster};
use crate::harness::{Value, wait_for};

/// Runs a sub-command that must succeed; what it said.
fn cluster(arguments: &[&str]) -> String {
    let (succeeded, said) = redis_cli_cluster(arguments);
    assert!(succeeded, "redis-cli --cluster {}: {said}", arguments.join(" "));
    said
}

fn expect(said: &str, lines: &[&str]) {
    for line in lines {
        assert!(said.contains(line), "no `{line}` in:\n{said}");
    }
}

const AGREED: [&str; 2] = ["[OK] All nodes agree about slots configuration.", "[OK] All 16384 slots covered."];

#[test]
fn three_masters_with_a_replica_each() {
    let mut nodes = Nodes::create(6, 1);
    let first = address(nodes.list[0].port);
    let first = first.as_str();
    let known = nodes.known(0);
    assert_eq!(known.iter().filter(|node| node.is("master")).count(), 3);
    assert_eq!(known.iter().filter(|node| node.is("slave") && node.master.is_some()).count(), 3);

    expect(&cluster(&["check", first]), &AGREED);
    let said = cluster(&["check", first, "--cluster-search-multiple-owners"]);
    expect(&said, &AGREED);
    assert!(!said.contains("ERR") && !said.contains("WARNING"), "{said}");
    expect(
        &cluster(&["info", first]),
        &["| 5461 slots | 1 slaves.", "| 5462 slots | 1 slaves.", "[OK] 0 keys in 3 masters."],
    );

    let asked = |arguments: &[&str]| {
        let said = cluster(&[&["call", first][..], arguments].concat());
        said.lines().filter(|line| line.starts_with("127.0.0.1:")).map(str::to_owned).collect::<Vec<_>>()
    };
    let all = asked(&["PING"]);
    assert!(all.len() == 6 && all.iter().all(|line| line.ends_with(": PONG")), "{all:?}");
    let masters = asked(&["ROLE", "--cluster-only-masters"]);
    assert!(masters.len() == 3 && masters.iter().all(|line| line.contains(": master")), "{masters:?}");
    let replicas = asked(&["ROLE", "--cluster-only-replicas"]);
    assert!(replicas.len() == 3 && replicas.iter().all(|line| line.contains(": slave")), "{replicas:?}");

    expect(&cluster(&["set-timeout", first, "12345"]), &["New node timeout set. 6 OK, 0 ERR."]);
    for node in &nodes.list {
        assert_eq!(node.client().run("CONFIG GET cluster-node-timeout").elements()[1].text(), "12345");
        let file = std::fs::read_to_string(node.directory().join("cairn.conf")).expect("its configuration file");
        assert!(file.contains("cluster-node-timeout 12345"), "{file}");
    }

    nodes_come_and_go(&mut nodes, first);
}

/// `add-node`, also as a replica, and `del-node` of both.
fn nodes_come_and_go(nodes: &mut Nodes, first: &str) {
    let known_at = |nodes: &Nodes, at: usize| nodes.known(at).len();
    nodes.add();
    nodes.await_answers();
    let master = address(nodes.list[6].port);
    expect(&cluster(&["add-node", &master, first]), &["[OK] New node added correctly."]);
    wait_for("seven nodes that know each other", || (0..7).all(|at| known_at(nodes, at) == 7).then_some(()));
    let (new, of_first) = (nodes.id(6), nodes.id(0));
    assert!(nodes.known(0).iter().any(|node| node.id == new && node.is("master") && node.slots.is_empty()));

    nodes.add();
    nodes.await_answers();
    let replica = address(nodes.list[7].port);
    let said = cluster(&["add-node", &replica, first, "--cluster-slave", "--cluster-master-id", &of_first]);
    expect(&said, &["[OK] New node added correctly.", &format!("Configure node as replica of {first}.")]);
    let added = nodes.id(7);
    wait_for("the replica on all nodes", || {
        let is_there = |at: usize| {
            nodes.known(at).iter().any(|node| node.id == added && node.master.as_deref() == Some(of_first.as_str()))
        };
        (0..8).all(is_there).then_some(())
    });
    expect(&cluster(&["check", first]), &AGREED);

    for (at, id) in [(7, &added), (6, &new)] {
        expect(
            &cluster(&["del-node", first, id]),
            &["Sending CLUSTER FORGET messages to the cluster...", "CLUSTER RESET SOFT"],
        );
        wait_for("the others to forget it", || (0..6).all(|other| known_at(nodes, other) == at).then_some(()));
        wait_for("a node on its own", || (known_at(nodes, at) == 1).then_some(()));
        assert_eq!(&nodes.id(at), id, "a soft reset keeps the node's id");
    }
    nodes.await_whole_of(&[0, 1, 2, 3, 4, 5]);

    // It comes back, as a node that was never there.
    let said = cluster(&["add-node", &replica, first, "--cluster-slave", "--cluster-master-id", &of_first]);
    expect(&said, &["[OK] New node added correctly."]);
    wait_for("the replica's return", || (0..6).all(|at| known_at(nodes, at) == 7).then_some(()));
    expect(&cluster(&["check", first]), &AGREED);
}

#[test]
fn three_masters_alone_and_three_with_two_replicas_each() {
    for (count, replicas) in [(3, 0), (9, 2)] {
        let nodes = Nodes::create(count, replicas);
        expect(&cluster(&["check", &address(nodes.list[count - 1].port)]), &AGREED);
        let known = nodes.known(0);
        for at in nodes.masters(0) {
            let id = nodes.id(at);
            let of_it = known.iter().filter(|node| node.master.as_ref() == Some(&id)).count();
            assert_eq!(of_it, replicas, "{known:?}");
        }
        for number in 0..10 {
            let key = format!("key-{number}");
            let mut client = nodes.client(nodes.master_of(0, &key));
            assert_eq!(client.call(&[b"SET", key.as_bytes(), b"value"]), Value::ok());
        }
        expect(&cluster(&["info", &address(nodes.list[0].port)]), &["[OK] 10 keys in 3 masters."]);
    }
}

#[test]
fn nodes_that_hold_keys_form_no_cluster() {
    let nodes = Nodes::launch(3);
    let mut client = nodes.client(1);
    assert_eq!(client.run("CLUSTER ADDSLOTSRANGE 0 16383"), Value::ok());
    assert_eq!(client.run("SET key value"), Value::ok());
    let arguments: Vec<String> = nodes.list.iter().map(|node| address(node.port)).collect();
    let arguments: Vec<&str> = ["create"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
    let (succeeded, said) = redis_cli_cluster(&[&arguments[..], &["--cluster-yes"]].concat());
    assert!(!succeeded && said.contains("is not empty"), "{said}");
    assert_eq!(client.run("GET key"), Value::bulk("value"));
    assert!((0..3).all(|at| nodes.known(at).len() == 1));
}
