//! Commands about all keys of a node that leads the shard of another for a while: they are about every slot that clients see it
//! serve.

use std::collections::BTreeSet;

use crate::harness::nodes::Nodes;
use crate::harness::{Value, wait_for};

const KEYS: usize = 300;

/// With five voters a shard has three hidden ones, and outlives both of its own nodes.
#[test]
fn a_node_that_leads_two_shards_answers_for_both() {
    let mut nodes = Nodes::create_with(6, 1, &["cluster-replication-factor 5", "cluster-node-timeout 2000"]);
    let mut of_master = vec![BTreeSet::new(); 6];
    for number in 0..KEYS {
        let key = format!("key-{number}");
        let master = nodes.master_of(0, &key);
        assert_eq!(nodes.client(master).run(&format!("SET {key} value")), Value::ok());
        of_master[master].insert(key);
    }
    let lost = nodes.master_of(0, "key-0");
    let replica = nodes.replica_of(lost);
    nodes.list[lost].kill();
    nodes.list[replica].kill();
    let live: Vec<usize> = (0..6).filter(|at| ![lost, replica].contains(at)).collect();
    let serves = |at: usize| (nodes.ask(at, "GET key-0") == Some(Value::bulk("value"))).then_some(at);
    let heir = wait_for("somebody who serves the orphaned slots", || live.iter().find_map(|&at| serves(at)));
    let expected: BTreeSet<String> = of_master[heir].union(&of_master[lost]).cloned().collect();
    // It shows itself once it is sure that no node of the shard's own takes over.
    wait_for("a master of both on all nodes", || {
        let shows = |at: usize| nodes.masters(at).contains(&heir) && nodes.master_of(at, "key-0") == heir;
        live.iter().all(|&at| shows(at)).then_some(())
    });
    keys_are(&nodes, heir, &expected);
    for &other in live.iter().filter(|&&at| at != heir) {
        let masters = nodes.masters(heir);
        if masters.contains(&other) {
            keys_are(&nodes, other, &of_master[other]);
        }
    }
    // A replica that leads for others only serves one shard.
    let serves_two = !of_master[heir].is_empty();
    inside_of_multi(&nodes, heir, serves_two, expected.len());
    let mut client = nodes.client(heir);
    assert_eq!(client.run("FLUSHALL"), Value::ok());
    keys_are(&nodes, heir, &BTreeSet::new());
    assert_eq!(client.run("SET key-0 value"), Value::ok());
    // Its own nodes come back, and take over again.
    nodes.list[lost].restart();
    nodes.list[replica].restart();
    nodes.await_whole();
    wait_for("the shard's own nodes", || {
        let home = nodes.master_of(heir, "key-0");
        [lost, replica].contains(&home).then_some(())
    });
    keys_are(&nodes, nodes.master_of(heir, "key-0"), &BTreeSet::from(["key-0".to_owned()]));
}

/// A transaction is one shard's: commands about the keys of both are refused in it, and nothing of it is done.
fn inside_of_multi(nodes: &Nodes, heir: usize, serves_two: bool, keys: usize) {
    let mut client = nodes.client(heir);
    if !serves_two {
        assert_eq!(client.run("MULTI"), Value::ok());
        assert_eq!(client.run("DBSIZE"), Value::Simple("QUEUED".into()));
        assert_eq!(client.run("EXEC").elements(), [Value::Integer(i64::try_from(keys).expect("few"))]);
        return;
    }
    for line in ["DBSIZE", "KEYS *", "SCAN 0", "RANDOMKEY", "FLUSHALL", "FLUSHDB"] {
        assert_eq!(client.run("MULTI"), Value::ok());
        assert_eq!(client.run("SET key-0 other"), Value::Simple("QUEUED".into()));
        let refused = client.run(line);
        assert!(refused.is_error("ERR This node serves the slots of another master, too"), "{line}: {refused:?}");
        assert!(client.run("EXEC").is_error("EXECABORT"), "{line}");
    }
    assert_eq!(client.run("GET key-0"), Value::bulk("value"));
    assert_eq!(client.run("MULTI"), Value::ok());
    assert_eq!(client.run("GET key-0"), Value::Simple("QUEUED".into()));
    assert_eq!(client.run("EXEC").elements(), [Value::bulk("value")]);
}

/// DBSIZE, KEYS, SCAN, RANDOMKEY and INFO are about these keys.
fn keys_are(nodes: &Nodes, at: usize, expected: &BTreeSet<String>) {
    let mut client = nodes.client(at);
    assert_eq!(client.run("DBSIZE"), Value::Integer(i64::try_from(expected.len()).expect("few")));
    let found: Vec<String> = client.run("KEYS *").elements().iter().map(Value::text).collect();
    assert_eq!((found.len(), &found.iter().cloned().collect::<BTreeSet<_>>()), (expected.len(), expected));
    let mut scanned = BTreeSet::new();
    let mut cursor = "0".to_owned();
    for step in 0.. {
        assert!(step < 1000, "SCAN does not end");
        let page = client.run(&format!("SCAN {cursor} COUNT 7")).elements();
        scanned.extend(page[1].elements().iter().map(Value::text));
        cursor = page[0].text();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(&scanned, expected);
    let info = client.run("INFO keyspace").text();
    if expected.is_empty() {
        assert_eq!(client.run("RANDOMKEY"), Value::Null);
        assert!(!info.contains("db0"), "{info}");
    } else {
        let drawn: BTreeSet<String> = (0..200).map(|_| client.run("RANDOMKEY").text()).collect();
        assert!(drawn.is_subset(expected) && (drawn.len() > 20 || expected.len() < 30), "{drawn:?}");
        assert!(info.contains(&format!("db0:keys={},", expected.len())), "{info}");
    }
}
