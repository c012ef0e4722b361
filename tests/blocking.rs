//! Commands that wait: as in a real valkey-server, across a change of leaders, and in a cluster.

use rustix::process::Signal;

use crate::harness::nodes::Nodes;
use crate::harness::tools::{Valkey, python_script};
use crate::harness::trio::{Trio, once_a_leader_is_known};
use crate::harness::{Client, Server, Value, wait_for, wire};

/// What `tests/python/blocking.py` sees of a server.
fn told(port: u16, protocol: &str) -> Vec<String> {
    let output =
        python_script("blocking.py").args([&port.to_string(), protocol]).output().expect("a Python that starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said.lines().map(str::to_owned).collect()
}

#[test]
fn clients_wait_and_are_served_as_in_valkey() {
    let (valkey, cairn) = (Valkey::start(&[]), Server::start(&[]));
    for protocol in ["2", "3"] {
        let (theirs, ours) = (told(valkey.port, protocol), told(cairn.port, protocol));
        assert!(theirs.len() > 100, "the script tells something");
        for (at, (ours, theirs_line)) in ours.iter().zip(&theirs).enumerate() {
            let about = theirs[..at].iter().rev().find(|line| !line.starts_with(' '));
            assert_eq!(ours, theirs_line, "line {at}, {about:?}");
        }
        assert_eq!(ours.len(), theirs.len());
    }
}

/// A client that waits with this command.
pub(crate) fn waiting(port: u16, words: &[&[u8]]) -> Client {
    let mut control = Client::connect(port);
    let before = waiting_clients(&mut control);
    let mut client = Client::connect(port);
    client.send(&wire::encode(words)).expect("it is connected");
    wait_for("a client that waits", || (waiting_clients(&mut control) > before).then_some(()));
    client
}

pub(crate) fn waiting_clients(client: &mut Client) -> u64 {
    crate::harness::server::info(client, "blocked_clients").parse().expect("a number")
}

fn pair(key: &str, element: &str) -> Value {
    Value::Array(vec![Value::bulk(key), Value::bulk(element)])
}

/// A leader that is stopped for so long that others elect another wakes up as a follower: who waits there is told so.
#[test]
fn who_waits_on_a_leader_that_leads_no_more_is_told_so() {
    let mut trio = Trio::start(&[]);
    let old = trio.leader();
    let port = trio.nodes[old].port;
    let mut waiters = [
        waiting(port, &[b"BLPOP", b"queue", b"0"]),
        waiting(port, &[b"BZPOPMIN", b"set", b"0"]),
        waiting(port, &[b"XREAD", b"BLOCK", b"0", b"STREAMS", b"stream", b"$"]),
    ];
    trio.nodes[old].process().stop();
    let others = trio.others(old);
    let (new, _) = trio.write_somewhere(&others, &[b"SET", b"elected", b"yes"]);
    let mut next = waiting(trio.nodes[new].port, &[b"BLPOP", b"queue", b"0"]);
    trio.nodes[old].process().signal(Signal::CONT);
    for waiter in &mut waiters {
        let told = waiter.reply().expect("it is answered");
        assert!(told.is_error("UNBLOCKED force unblock from blocking operation"), "{told:?}");
        // It may go on: this one follows now.
        let refused = once_a_leader_is_known(waiter, "BLPOP queue 0");
        assert!(refused.is_error("READONLY"), "{refused:?}");
    }
    let mut pusher = trio.nodes[new].client();
    assert_eq!(pusher.run("RPUSH queue one two"), Value::Integer(2));
    assert_eq!(next.reply().expect("it is served"), pair("queue", "one"));
    assert_eq!(pusher.run("LRANGE queue 0 -1"), Value::Array(vec![Value::bulk("two")]));
    assert_eq!(waiting_clients(&mut trio.nodes[old].client()), 0);
}

/// As a Redis that stops, a server without others closes the connections of those who wait, and says nothing.
#[test]
fn who_waits_on_a_server_that_stops_is_not_answered() {
    let mut server = Server::start(&[]);
    let port = server.port;
    let mut waiters = [
        waiting(port, &[b"BLPOP", b"queue", b"0"]),
        waiting(port, &[b"XREAD", b"BLOCK", b"0", b"STREAMS", b"stream", b"$"]),
        waiting(port, &[b"WAIT", b"1", b"0"]),
        waiting(port, &[b"WAITAOF", b"1", b"1", b"0"]),
    ];
    server.process().signal(Signal::TERM);
    for waiter in &mut waiters {
        assert_eq!(waiter.until_closed().expect("it is closed"), b"");
    }
    assert!(server.process().end().success());
}

/// A follower answers XREAD with BLOCK once it has applied what is waited for.
#[test]
fn readers_wait_on_followers() {
    let trio = Trio::start(&[]);
    let leader = trio.leader();
    let mut writer = trio.nodes[leader].client();
    assert_eq!(writer.run("XADD stream 1-1 field value").text(), "1-1");
    let follower = trio.others(leader)[0];
    let mut looking = trio.nodes[follower].client();
    wait_for("what was added", || (looking.run("XLEN stream") == Value::Integer(1)).then_some(()));
    let mut reader = waiting(trio.nodes[follower].port, &[b"XREAD", b"BLOCK", b"0", b"STREAMS", b"stream", b"$"]);
    assert_eq!(writer.run("XADD stream 2-1 field value").text(), "2-1");
    let read = reader.reply().expect("it is served").elements();
    assert_eq!(read[0].elements()[1].elements()[0].elements()[0].text(), "2-1");
}

#[test]
fn in_a_cluster_who_waits_is_sent_where_the_key_is() {
    let nodes = Nodes::create(3, 0);
    let master = nodes.master_of(0, "queue");
    let elsewhere = (0..3).find(|at| *at != master).expect("there are three");
    let moved = nodes.client(elsewhere).run("BLPOP queue 0");
    assert!(moved.is_error("MOVED "), "{moved:?}");
    let crossing = nodes.client(master).run("BLPOP queue other 0");
    assert!(crossing.is_error("CROSSSLOT "), "{crossing:?}");
    let mut waiter = waiting(nodes.list[master].port, &[b"BLMOVE", b"queue", b"{queue}done", b"LEFT", b"RIGHT", b"0"]);
    assert_eq!(nodes.client(master).run("RPUSH queue job"), Value::Integer(1));
    assert_eq!(waiter.reply().expect("it is served"), Value::bulk("job"));
    // A slot that nobody serves takes the whole cluster down: what is waited for may never come.
    let mut waiter = waiting(nodes.list[master].port, &[b"BLPOP", b"queue", b"0"]);
    let slot = nodes.client(0).run("CLUSTER KEYSLOT other").text();
    let owner = nodes.master_of(0, "other");
    assert_eq!(nodes.client(owner).run(&format!("CLUSTER DELSLOTS {slot}")), Value::ok());
    let told = waiter.reply().expect("it is answered");
    assert!(told.is_error("CLUSTERDOWN "), "{told:?}");
}

/// CLUSTER FAILOVER while clients wait: what they wait for is popped once, by whoever waits at the new master.
#[test]
fn who_waits_is_told_of_a_failover() {
    let nodes = Nodes::create(6, 1);
    nodes.await_whole();
    let old = nodes.master_of(0, "queue");
    let mut waiter = waiting(nodes.list[old].port, &[b"BLPOP", b"queue", b"0"]);
    let new = nodes.replica_of(old);
    assert_eq!(nodes.client(new).run("CLUSTER FAILOVER"), Value::ok());
    let told = waiter.reply().expect("it is answered");
    assert!(told.is_error("UNBLOCKED force unblock from blocking operation"), "{told:?}");
    let mut next = waiting(nodes.list[new].port, &[b"BLPOP", b"queue", b"0"]);
    let moved = waiter.run("BLPOP queue 0");
    assert!(moved.is_error("MOVED "), "{moved:?}");
    assert_eq!(nodes.client(new).run("RPUSH queue one"), Value::Integer(1));
    assert_eq!(next.reply().expect("it is served"), pair("queue", "one"));
    // The replica serves readers that do not mind old data.
    let mut reader = nodes.client(old);
    assert_eq!(reader.run("READONLY"), Value::ok());
    let words: [&[u8]; 6] = [b"XREAD", b"BLOCK", b"0", b"STREAMS", b"{queue}stream", b"0"];
    reader.send(&wire::encode(&words)).expect("it is connected");
    wait_for("a reader that waits", || (waiting_clients(&mut nodes.client(old)) == 1).then_some(()));
    assert_eq!(nodes.client(new).run("XADD {queue}stream 1-1 field value").text(), "1-1");
    assert_eq!(reader.reply().expect("it is served").elements().len(), 1);
}
