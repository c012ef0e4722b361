//! Nodes that come back somewhere else, or with nothing.

use crate::harness::nodes::{Nodes, address, parse, redis_cli_cluster};
use crate::harness::server::{FILE, free_port};
use crate::harness::wait_for;
use crate::harness::wire::Value;
use rustix::process::Signal;

#[test]
fn nodes_come_back_elsewhere_or_empty() {
    let mut nodes = Nodes::create_with(6, 1, &["cluster-voter-replace-after-ms 2000", "cluster-node-timeout 2000"]);
    let master = nodes.master_of(0, "foo");
    assert_eq!(nodes.client(master).run("SET foo bar"), Value::ok());
    one_at_another_address(&mut nodes);
    all_at_other_addresses(&mut nodes);
    announced_elsewhere(&nodes);
    wiped(&mut nodes);
}

fn assert_data(nodes: &Nodes) {
    // Looked up each time: a master that was away for a moment may be shown as one until another is elected.
    wait_for("what was written before", || {
        (nodes.ask(nodes.master_of(0, "foo"), "GET foo") == Some(Value::bulk("bar"))).then_some(())
    });
}

/// A replica, then a master: the cluster learns where it is by itself.
fn one_at_another_address(nodes: &mut Nodes) {
    for moves_master in [false, true] {
        let master = nodes.master_of(0, "foo");
        let victim = if moves_master { master } else { nodes.replica_of(master) };
        let (id, before) = (nodes.id(victim), nodes.list[victim].port);
        let file = nodes.list[victim].directory().join(FILE);
        let text =
            std::fs::read_to_string(&file).expect("its configuration file") + "cluster-announce-human-nodename anna\n";
        std::fs::write(&file, text).expect("its configuration file");
        nodes.list[victim].kill();
        nodes.list[victim].move_away();
        wait_for("the new address on all nodes", || {
            let port = nodes.list[victim].port;
            let shows = |at: usize| {
                let known = parse(&nodes.ask(at, "CLUSTER NODES")?)?;
                let shown = known.iter().find(|node| node.id == id)?;
                (shown.port == port && known.iter().all(|node| node.port != before)).then_some(())
            };
            (0..6).all(|at| shows(at).is_some()).then_some(())
        });
        nodes.await_whole();
        assert_data(nodes);
        // Logs name it as a person has named it.
        nodes.list[victim].kill();
        let named = format!("node {id} (anna) is not heard of");
        wait_for("its name in a log", || {
            let mut others = (0..6).filter(|&at| at != victim);
            others.any(|at| nodes.list[at].process().output().contains(&named)).then_some(())
        });
        nodes.list[victim].restart();
        nodes.await_whole();
    }
}

/// All at once, as when every container of a host gets another address: nobody finds anybody, until somebody is told with CLUSTER
/// MEET where the others are. So it is in Redis Cluster.
fn all_at_other_addresses(nodes: &mut Nodes) {
    for node in &mut nodes.list {
        node.process().signal(Signal::KILL);
    }
    for node in &mut nodes.list {
        node.process().end();
        node.port = free_port();
        node.relaunch();
    }
    nodes.await_answers();
    for at in 1..6 {
        let port = nodes.list[at].port;
        assert_eq!(nodes.client(0).run(&format!("CLUSTER MEET 127.0.0.1 {port}")), Value::ok());
    }
    nodes.await_whole();
    assert_data(nodes);
}

/// `cluster-announce-port` and a name, changed while the node runs, reach all nodes; then as before.
fn announced_elsewhere(nodes: &Nodes) {
    let (id, port) = (nodes.id(3), nodes.list[3].port);
    for (announced, name) in [(port + 1, "elsewhere.example"), (0, "")] {
        let mut client = nodes.client(3);
        assert_eq!(client.run(&format!("CONFIG SET cluster-announce-port {announced}")), Value::ok());
        assert_eq!(client.call(&[b"CONFIG", b"SET", b"cluster-announce-hostname", name.as_bytes()]), Value::ok());
        let shown = format!("{id} 127.0.0.1:{}@", if announced == 0 { port } else { announced });
        wait_for("the announced address on all nodes", || {
            let shows = |at: usize| {
                let lines = nodes.ask(at, "CLUSTER NODES").map(|lines| lines.text()).unwrap_or_default();
                let line = lines.lines().find(|line| line.starts_with(&shown)).map(str::to_owned);
                line.is_some_and(|line| {
                    line.contains(&format!(",{name} ")) || name.is_empty() && !line.contains(".example")
                })
            };
            (0..6).all(shows).then_some(())
        });
    }
}

/// Its directory is gone: the node comes back as a stranger. What it voted for is replaced, its old id is forgotten, and it is
/// added as any other.
fn wiped(nodes: &mut Nodes) {
    let master = nodes.master_of(0, "foo");
    let victim = nodes.replica_of(master);
    let (old, master_id) = (nodes.id(victim), nodes.id(master));
    nodes.list[victim].kill();
    std::fs::remove_dir_all(nodes.list[victim].directory().join("data")).expect("its data");
    nodes.list[victim].restart();
    let new = nodes.id(victim);
    assert_ne!(old, new, "a new node: what the old one voted for is not known any more");
    assert_eq!(nodes.known(victim).len(), 1);
    wait_for("the old node to be forgotten", || {
        (nodes.client(master).run(&format!("CLUSTER FORGET {old}")) == Value::ok()).then_some(())
    });
    let (own, other) = (address(nodes.list[victim].port), address(nodes.list[master].port));
    let arguments = ["add-node", &own, &other, "--cluster-slave", "--cluster-master-id", &master_id];
    let (succeeded, said) = redis_cli_cluster(&arguments);
    assert!(succeeded && said.contains("[OK] New node added correctly."), "{said}");
    nodes.await_whole();
    assert!(nodes.known(0).iter().all(|node| node.id != old));
    let mut client = nodes.client(victim);
    assert_eq!(client.run("READONLY"), Value::ok());
    wait_for("its data", || (client.run("GET foo") == Value::bulk("bar")).then_some(()));
    // It votes wherever the old one did: any one node may be lost again, its master as well.
    nodes.list[master].kill();
    for key in ["foo", "hello", "a"] {
        wait_for("a write after a loss", || {
            let takes_it = |at: usize| nodes.ask(at, &format!("SET {key} bar")) == Some(Value::ok());
            (0..6).any(|at| at != master && takes_it(at)).then_some(())
        });
    }
    nodes.list[master].restart();
    nodes.await_whole();
}
