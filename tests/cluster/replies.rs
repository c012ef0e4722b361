//! What nodes of a cluster answer.

use crate::harness::nodes::Nodes;
use crate::harness::{Client, Value, wait_for};

/// Keys of different slots.
const KEYS: [&str; 4] = ["foo", "hello", "a", "b"];

#[test]
fn a_cluster_of_six() {
    let nodes = Nodes::create(6, 1);
    the_same_on_all_nodes(&nodes);
    redirections(&nodes);
    replicas_answer_reads_on_request(&nodes);
    transactions(&nodes);
    refusals(&nodes);
    commands_without_keys(&nodes);
    roles(&nodes);
    waiting_for_replicas(&nodes);
    keys_of_slots(&nodes);
}

/// CLUSTER NODES but for "myself", SLOTS and SHARDS are the same bytes wherever they are asked for.
fn the_same_on_all_nodes(nodes: &Nodes) {
    let all = |line: &str| -> Vec<String> { (0..6).map(|at| nodes.client(at).run(line).text()).collect() };
    let same = |what: &str, replies: &[String]| {
        assert!(replies.iter().all(|reply| *reply == replies[0]), "{what} differs:\n{}", replies.join("\n"));
    };
    // Links are each node's own: where nothing is wrong there are all.
    wait_for("links to all nodes", || {
        all("CLUSTER NODES").iter().all(|reply| !reply.contains("disconnected")).then_some(())
    });
    let stripped: Vec<String> = all("CLUSTER NODES").iter().map(|reply| reply.replace("myself,", "")).collect();
    same("CLUSTER NODES", &stripped);
    // A replica is shown by whoever has heard that it follows.
    wait_for("the same CLUSTER SLOTS on all nodes, each shard with two", || {
        let slots: Vec<Value> = (0..6).map(|at| nodes.client(at).run("CLUSTER SLOTS")).collect();
        let are_all_shown = slots[0].elements().iter().all(|range| range.elements().len() == 2 + 2);
        (are_all_shown && slots.iter().all(|reply| *reply == slots[0])).then_some(())
    });
    let info = all("CLUSTER INFO");
    for field in [
        "cluster_state:ok",
        "cluster_slots_assigned:16384",
        "cluster_slots_ok:16384",
        "cluster_known_nodes:6",
        "cluster_size:3",
    ] {
        assert!(info.iter().all(|info| info.contains(&format!("{field}\r\n"))), "{field}: {info:?}");
    }
    // Nobody writes: every shard's leader says the same of its replicas, whoever asks, once it has heard of them.
    wait_for("the same CLUSTER SHARDS on all nodes", || {
        let shards = all("CLUSTER SHARDS");
        let has_zero = shards[0].contains("replication-offset\"), Integer(0)");
        (shards.iter().all(|reply| *reply == shards[0]) && !has_zero).then_some(())
    });
    let ids: Vec<String> = (0..6).map(|at| nodes.id(at)).collect();
    assert!(ids.iter().all(|id| id.len() == 40 && nodes.known(0).iter().any(|node| node.id == *id)));
    let shard_ids = all("CLUSTER MYSHARDID");
    for master in nodes.masters(0) {
        assert_eq!(shard_ids[master], shard_ids[nodes.replica_of(master)]);
        let listed = nodes.client(0).run(&format!("CLUSTER REPLICAS {}", ids[master]));
        assert!(listed.elements().len() == 1 && listed.elements()[0].text().contains(&ids[master]), "{listed:?}");
    }
}

/// The client of a key's master, and one of another master.
fn right_and_wrong(nodes: &Nodes, key: &str) -> (Client, Client) {
    let right = nodes.master_of(0, key);
    let wrong = nodes.masters(0).into_iter().find(|&at| at != right).expect("there are three");
    (nodes.client(right), nodes.client(wrong))
}

fn redirections(nodes: &Nodes) {
    for key in KEYS {
        let (mut right, mut wrong) = right_and_wrong(nodes, key);
        let slot = right.run(&format!("CLUSTER KEYSLOT {key}")).text();
        let moved = format!("MOVED {slot} 127.0.0.1:{}", nodes.list[nodes.master_of(0, key)].port);
        for line in
            [format!("GET {key}"), format!("SET {key} 1"), format!("DEL {key}"), format!("OBJECT ENCODING {key}")]
        {
            assert_eq!(wrong.run(&line), Value::Error(moved.clone()), "{line}");
        }
        assert_eq!(right.run(&format!("SET {key} value")), Value::ok());
        assert_eq!(right.run(&format!("GET {key}")), Value::bulk("value"));
        let replica = nodes.replica_of(nodes.master_of(0, key));
        assert_eq!(nodes.client(replica).run(&format!("GET {key}")), Value::Error(moved));
    }
    let crossed = Value::Error("CROSSSLOT Keys in request don't hash to the same slot".into());
    for at in 0..6 {
        assert_eq!(nodes.client(at).run("MGET foo bar"), crossed);
        assert_eq!(nodes.client(at).run("MSET foo 1 bar 2"), crossed);
    }
    let (mut right, _) = right_and_wrong(nodes, "tag");
    assert_eq!(right.run("MSET {tag}1 a {tag}2 b"), Value::ok());
    assert_eq!(right.run("DEL {tag}1 {tag}2"), Value::Integer(2));
}

/// READONLY and READWRITE.
fn replicas_answer_reads_on_request(nodes: &Nodes) {
    let master = nodes.master_of(0, "stale");
    assert_eq!(nodes.client(master).run("SET stale value"), Value::ok());
    let mut replica = nodes.client(nodes.replica_of(master));
    assert!(replica.run("GET stale").is_error("MOVED "));
    assert_eq!(replica.run("READONLY"), Value::ok());
    wait_for("the value on the replica", || (replica.run("GET stale") == Value::bulk("value")).then_some(()));
    assert!(replica.run("SET stale other").is_error("MOVED "));
    let elsewhere = KEYS.into_iter().find(|key| nodes.master_of(0, key) != master).expect("another master's key");
    assert!(replica.run(&format!("GET {elsewhere}")).is_error("MOVED "));
    assert_eq!(replica.run("READWRITE"), Value::ok());
    assert!(replica.run("GET stale").is_error("MOVED "));
}

fn transactions(nodes: &Nodes) {
    let (mut right, mut wrong) = right_and_wrong(nodes, "tag");
    let lines = |client: &mut Client, lines: &[&str]| lines.iter().map(|line| client.run(line)).collect::<Vec<_>>();
    let queued = Value::Simple("QUEUED".into());
    let replies = lines(&mut right, &["MULTI", "SET {tag}1 a", "INCR {tag}2", "PING", "EXEC"]);
    assert_eq!(replies[1..4], [queued.clone(), queued.clone(), queued]);
    assert_eq!(replies[4].elements().len(), 3, "{replies:?}");
    right.run("DEL {tag}1 {tag}2");

    // About all keys of the node: also when there are no others.
    let replies = lines(&mut right, &["FLUSHALL", "SET tag 1", "MULTI", "DBSIZE", "KEYS *", "EXEC"]);
    let expected = [Value::Integer(1), Value::Array(vec![Value::bulk("tag")])];
    assert_eq!(replies[5].elements(), expected);
    let replies = lines(&mut right, &["MULTI", "GET tag", "DBSIZE", "FLUSHALL", "DBSIZE", "EXEC"]);
    assert_eq!(replies[5].elements(), [Value::bulk("1"), Value::Integer(1), Value::ok(), Value::Integer(0)]);
    let mut replica = nodes.client(nodes.replica_of(nodes.master_of(0, "tag")));
    let readonly = "READONLY You can't write against a read only replica.";
    assert_eq!(replica.run("FLUSHALL"), Value::Error(readonly.into()));
    let replies = lines(&mut replica, &["MULTI", "DBSIZE", "FLUSHALL", "EXEC"]);
    assert!(replies[2] == Value::Error(readonly.into()) && replies[3].is_error("EXECABORT"), "{replies:?}");
    wait_for("the same on the replica", || {
        let replies = lines(&mut replica, &["MULTI", "DBSIZE", "EXEC"]);
        (replies[2].elements() == [Value::Integer(0)]).then_some(())
    });

    let replies = lines(&mut wrong, &["MULTI", "SET {tag}1 a", "EXEC"]);
    assert!(replies[1].is_error("MOVED ") && replies[2].is_error("EXECABORT"), "{replies:?}");

    // Two slots of one master.
    let other = (0..).map(|number| format!("other-{number}"));
    let place = nodes.master_of(0, "tag");
    let other = other.into_iter().find(|key| nodes.master_of(0, key) == place).expect("there are many keys");
    let replies = lines(&mut right, &["MULTI", "SET tag 1", &format!("SET {other} 1"), "EXEC"]);
    assert!(replies.iter().any(|reply| reply.is_error("CROSSSLOT")), "{replies:?}");
    assert_eq!(right.run("EXISTS tag"), Value::Integer(0));

    let replies = lines(&mut right, &["WATCH tag", "MULTI", "SET tag 2", "EXEC", "DEL tag"]);
    assert_eq!(replies[3].elements(), [Value::ok()]);
    assert!(wrong.run("WATCH tag").is_error("MOVED "));
}

fn refusals(nodes: &Nodes) {
    let (mut right, _) = right_and_wrong(nodes, "tag");
    assert_eq!(right.run("SELECT 0"), Value::ok());
    for (line, error) in [
        ("SELECT 1", "ERR SELECT is not allowed in cluster mode"),
        ("MOVE tag 1", "ERR MOVE is not allowed in cluster mode"),
        ("SWAPDB 0 1", "ERR SWAPDB is not allowed in cluster mode"),
        ("COPY {tag}1 {tag}2 DB 1", "ERR Copying to another database is not allowed in cluster mode"),
    ] {
        assert_eq!(right.run(line), Value::Error(error.into()), "{line}");
    }
    // Shown from the next reply on.
    for (kind, shown) in
        [("hostname", Value::bulk("?")), ("unknown-endpoint", Value::Null), ("ip", Value::bulk("127.0.0.1"))]
    {
        assert_eq!(right.run(&format!("CONFIG SET cluster-preferred-endpoint-type {kind}")), Value::ok());
        let first = right.run("CLUSTER SLOTS").elements()[0].elements()[2].elements()[0].clone();
        assert_eq!(first, shown, "{kind}");
    }
    let takeover = right.run("CLUSTER FAILOVER TAKEOVER");
    assert!(takeover.is_error("ERR "), "{takeover:?}");
    assert!(right.run("CLUSTER FAILOVER").is_error("ERR You should send CLUSTER FAILOVER to a replica"));
    assert!(right.run("CLUSTER FORGET 0123456789012345678901234567890123456789").is_error("ERR Unknown node"));
    let own = nodes.id(0);
    assert!(
        nodes.client(0).run(&format!("CLUSTER FORGET {own}")).is_error("ERR I tried hard but I can't forget myself")
    );
    assert!(nodes.client(0).run("CLUSTER ADDSLOTS 0").is_error("ERR Slot 0 is already busy"));
    assert!(nodes.client(0).run("CLUSTER ADDSLOTS 16384").is_error("ERR Invalid or out of range slot"));
    assert!(nodes.client(0).run("CLUSTER SET-CONFIG-EPOCH 9").is_error("ERR "));
}

/// They are answered by whichever node is asked.
fn commands_without_keys(nodes: &Nodes) {
    for at in 0..6 {
        let mut client = nodes.client(at);
        assert_eq!(client.run("PING"), Value::Simple("PONG".into()));
        assert_eq!(client.run("TIME").elements().len(), 2);
        assert_eq!(client.run("ASKING"), Value::ok());
        assert!(matches!(client.run("DBSIZE"), Value::Integer(_)));
        assert_eq!(client.run("CLUSTER KEYSLOT foo"), Value::Integer(12182));
        let reports = client.run("CLUSTER COUNT-FAILURE-REPORTS 0123456789012345678901234567890123456789");
        assert!(reports.is_error("ERR Unknown node"), "{reports:?}");
        let info = client.run("INFO").text();
        assert!(info.contains("cluster_enabled:1\r\n") && info.contains("redis_mode:cluster\r\n"), "{info}");
        real_links(nodes, &mut client);
        assert_eq!(client.run("CLUSTER SAVECONFIG"), Value::ok());
        let hello = client.run("HELLO 3").elements();
        let mode = hello.iter().position(|word| *word == Value::bulk("mode")).expect("HELLO says the mode");
        assert_eq!(hello[mode + 1], Value::bulk("cluster"));
    }
}

/// CLUSTER LINKS shows the connections that there are, and CLUSTER INFO counts what went over them.
fn real_links(nodes: &Nodes, client: &mut Client) {
    let ids: Vec<String> = nodes.known(0).into_iter().map(|node| node.id).collect();
    let own = client.run("CLUSTER MYID").text();
    let links = client.run("CLUSTER LINKS").elements();
    let field = |link: &Value, name: &str| {
        let words = link.elements();
        let at = words.iter().position(|word| *word == Value::bulk(name)).expect("a field of every link");
        words[at + 1].clone()
    };
    // Heartbeats of the group of the topology go at least one way.
    assert!(!links.is_empty());
    for link in &links {
        let (direction, node) = (field(link, "direction").text(), field(link, "node").text());
        assert!(direction == "to" || direction == "from", "{link:?}");
        assert!(ids.contains(&node) && node != own, "{link:?}");
        assert!(matches!(field(link, "create-time"), Value::Integer(ms) if ms > 1_600_000_000_000), "{link:?}");
    }
    let counted = |client: &mut Client, name: &str| -> u64 {
        let info = client.run("CLUSTER INFO").text();
        let found = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.parse().ok());
        found.unwrap_or_else(|| panic!("no {name} in {info}"))
    };
    for name in ["cluster_stats_messages_sent", "cluster_stats_messages_received", "cluster_stats_bytes_sent"] {
        let before = counted(client, name);
        assert!(before > 0, "{name}");
        wait_for("more messages", || (counted(client, name) > before).then_some(()));
    }
}

/// ROLE, INFO replication and HELLO agree with CLUSTER NODES.
fn roles(nodes: &Nodes) {
    for master in nodes.masters(0) {
        let replica = nodes.replica_of(master);
        let (master_port, replica_port) = (nodes.list[master].port, nodes.list[replica].port);
        let role = wait_for("a master that has heard of its replica", || {
            let role = nodes.client(master).run("ROLE").elements();
            (role[2].elements().len() == 1).then_some(role)
        });
        assert_eq!(role[0], Value::bulk("master"));
        let shown = role[2].elements()[0].elements();
        assert_eq!(shown[..2], [Value::bulk("127.0.0.1"), Value::bulk(&replica_port.to_string())], "no hidden voters");
        let role = nodes.client(replica).run("ROLE").elements();
        assert_eq!(role[..3], [Value::bulk("slave"), Value::bulk("127.0.0.1"), Value::Integer(master_port.into())]);
        assert_eq!(role[3], Value::bulk("connected"));

        let info = nodes.client(master).run("INFO replication").text();
        assert!(info.contains("role:master\r\n") && info.contains("connected_slaves:1\r\n"), "{info}");
        assert!(info.contains(&format!("slave0:ip=127.0.0.1,port={replica_port},state=online,")), "{info}");
        let info = nodes.client(replica).run("INFO replication").text();
        for line in [&format!("master_port:{master_port}\r\n"), "role:slave\r\n", "master_link_status:up\r\n"] {
            assert!(info.contains(line), "{line} in {info}");
        }
    }
}

/// WAIT counts replicas that clients are shown.
fn waiting_for_replicas(nodes: &Nodes) {
    let (mut right, _) = right_and_wrong(nodes, "tag");
    assert_eq!(right.run("SET tag 1"), Value::ok());
    assert_eq!(right.run("WAIT 1 10000"), Value::Integer(1));
    assert_eq!(right.run("WAIT 0 0"), Value::Integer(1));
    assert_eq!(right.run("WAIT 2 50"), Value::Integer(1), "hidden voters do not count");
    let mut replica = nodes.client(nodes.replica_of(nodes.master_of(0, "tag")));
    assert!(replica.run("WAIT 1 50").is_error("ERR WAIT cannot be used with replica instances."));
    assert_eq!(right.run("DEL tag"), Value::Integer(1));
}

fn keys_of_slots(nodes: &Nodes) {
    let (mut right, mut wrong) = right_and_wrong(nodes, "tag");
    right.run("MSET {tag}1 a {tag}2 b tag c");
    let slot = right.run("CLUSTER KEYSLOT tag").text();
    assert_eq!(right.run(&format!("CLUSTER COUNTKEYSINSLOT {slot}")), Value::Integer(3));
    assert_eq!(right.run(&format!("CLUSTER GETKEYSINSLOT {slot} 10")).elements().len(), 3);
    assert_eq!(right.run(&format!("CLUSTER GETKEYSINSLOT {slot} 2")).elements().len(), 2);
    let stats = right.run(&format!("CLUSTER SLOT-STATS SLOTSRANGE {slot} {slot}"));
    let counted = &stats.elements()[0].elements()[1].elements()[..2];
    assert_eq!(counted, [Value::bulk("key-count"), Value::Integer(3)]);
    let counted = wrong.run(&format!("CLUSTER COUNTKEYSINSLOT {slot}"));
    assert!(matches!(counted, Value::Integer(_)), "{counted:?}");
    right.run("DEL {tag}1 {tag}2 tag");
}
