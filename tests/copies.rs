//! WAIT and WAITAOF: who has what a connection wrote, and on which disks it is.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::blocking::{waiting, waiting_clients};
use crate::harness::server::POWER_CUT;
use crate::harness::trio::{Trio, once_a_leader_is_known};
use crate::harness::{Client, Server, Value, wait_for};

fn count(here: i64, others: i64) -> Value {
    Value::Array(vec![Value::Integer(here), Value::Integer(others)])
}

/// What CLIENT LIST says of a client.
fn flags_of(client: &mut Client, id: &str) -> String {
    let line = client.run(&format!("CLIENT LIST ID {id}")).text();
    let flags = line.split(' ').find_map(|field| field.strip_prefix("flags="));
    flags.expect("a client has flags").to_owned()
}

#[test]
fn copies_are_counted_and_waited_for() {
    let mut trio = Trio::start(&[]);
    let leader = trio.leader();
    let (port, paused) = (trio.nodes[leader].port, trio.others(leader)[0]);
    let mut client = trio.nodes[leader].client();
    let mut idle = trio.nodes[leader].client();
    assert_eq!(client.run("SET k v"), Value::ok());
    assert_eq!(client.run("WAITAOF 1 2 30000"), count(1, 2));
    assert_eq!(client.run("WAITAOF 0 0 0"), count(1, 2), "what is known is told");
    assert_eq!(client.run("MULTI"), Value::ok());
    client.run("WAITAOF 1 2 0");
    client.run("WAITAOF 1 3 0");
    client.run("WAIT 3 0");
    let counts = vec![count(1, 2), count(1, 2), Value::Integer(2)];
    assert_eq!(client.run("EXEC"), Value::Array(counts), "a transaction does not wait");

    trio.nodes[paused].process().stop();
    assert_eq!(client.run("SET k w"), Value::ok());
    assert_eq!(client.run("WAITAOF 1 1 30000"), count(1, 1));
    let start = Instant::now();
    assert_eq!(client.run("WAITAOF 0 2 200"), count(1, 1));
    assert_eq!(client.run("WAIT 2 200"), Value::Integer(1));
    assert!(start.elapsed() >= Duration::from_millis(400));
    assert_eq!(idle.run("WAIT 2 0"), Value::Integer(2), "it has written nothing that somebody could lack");

    // Whoever waits is shown to, and can be told to go on.
    let mut waiters = Vec::new();
    for command in ["WAIT 2 0", "WAITAOF 1 2 0", "WAITAOF 1 2 0", "WAITAOF 1 2 0"] {
        let before = waiting_clients(&mut idle);
        let mut waiter = Client::connect(port);
        let id = waiter.run("CLIENT ID").text();
        assert_eq!(waiter.run("INCR n").text().parse::<usize>(), Ok(waiters.len() + 1));
        waiter.send(format!("{command}\r\nPING\r\n").as_bytes()).expect("it is connected");
        wait_for("a client that waits", || (waiting_clients(&mut idle) > before).then_some(()));
        assert_eq!(flags_of(&mut idle, &id), "b");
        waiters.push((id, waiter));
    }
    let ends = [
        ("TIMEOUT", Value::Integer(1)),
        ("TIMEOUT", count(1, 1)),
        ("ERROR", Value::Error("UNBLOCKED client unblocked via CLIENT UNBLOCK".into())),
    ];
    for ((id, waiter), (how, told)) in waiters.iter_mut().zip(ends) {
        assert_eq!(idle.run(&format!("CLIENT UNBLOCK {id} {how}")), Value::Integer(1));
        assert_eq!(waiter.reply().expect("it is answered"), told);
        assert_eq!(waiter.reply().expect("it goes on"), Value::Simple("PONG".into()));
        assert_eq!(idle.run(&format!("CLIENT UNBLOCK {id} {how}")), Value::Integer(0));
    }
    assert_eq!(waiting_clients(&mut idle), 1);
    trio.nodes[paused].process().signal(Signal::CONT);
    assert_eq!(waiters[3].1.reply().expect("the third is back"), count(1, 2));
    assert_eq!(waiting_clients(&mut idle), 0);
}

#[test]
fn what_copies_cannot_be_counted_of_is_refused() {
    let mut trio = Trio::start(&[]);
    let old = trio.leader();
    let mut follower = trio.nodes[trio.others(old)[0]].client();
    assert!(follower.run("WAITAOF 0 0 0").is_error("ERR WAITAOF cannot be used with replica instances."));
    assert!(follower.run("WAITAOF 2 0 0").is_error("ERR value is out of range, value must between 0 and 1"));
    let mut client = trio.nodes[old].client();
    assert_eq!(client.run("CONFIG SET appendonly no"), Value::ok());
    assert!(client.run("WAITAOF 1 0 0").is_error("ERR WAITAOF cannot be used when numlocal is set but appendonly"));
    assert_eq!(client.run("CONFIG SET appendonly yes"), Value::ok());
    let mut waiters = [b"1", b"0"].map(|here| waiting(trio.nodes[old].port, &[b"WAITAOF", here, b"3", b"0"]));
    assert_eq!(client.run("CONFIG SET appendonly no"), Value::ok());
    let told = waiters[0].reply().expect("it is answered");
    assert!(told.is_error("ERR WAITAOF cannot be used when numlocal is set but appendonly"), "{told:?}");
    assert_eq!(client.run("CONFIG SET appendonly yes"), Value::ok());
    assert_eq!(waiting_clients(&mut client), 1, "the other did not ask for this log");
    drop(waiters);
    wait_for("the clients that left", || (waiting_clients(&mut client) == 0).then_some(()));

    // A leader that is stopped for so long that others elect another.
    let mut waiters = [
        waiting(trio.nodes[old].port, &[b"WAIT", b"3", b"0"]),
        waiting(trio.nodes[old].port, &[b"WAITAOF", b"1", b"3", b"0"]),
    ];
    trio.nodes[old].process().stop();
    trio.write_somewhere(&trio.others(old), &[b"SET", b"elected", b"yes"]);
    trio.nodes[old].process().signal(Signal::CONT);
    for waiter in &mut waiters {
        let told = waiter.reply().expect("it is answered");
        assert!(told.is_error("UNBLOCKED force unblock from blocking operation"), "{told:?}");
        let told = once_a_leader_is_known(waiter, "WAIT 1 0");
        assert!(told.is_error("ERR WAIT cannot be used with replica instances."), "{told:?}");
    }
}

/// Where a write is acknowledged before it is on any disk, WAITAOF says when it is. This log hands nothing to the system before its sync.
#[test]
fn what_a_relaxed_shard_has_stored_survives_a_loss_of_power() {
    let mut server = Server::start_program(POWER_CUT, &["--appendfsync", "no"]);
    let mut lost = 0;
    for round in 0..4 {
        let mut client = server.client();
        assert_eq!(client.run(&format!("SET stored {round}")), Value::ok());
        assert_eq!(client.run("WAITAOF 1 0 0"), count(1, 0));
        assert_eq!(client.run(&format!("SET acknowledged {round}")), Value::ok());
        server.kill();
        server.restart();
        let mut client = server.client();
        assert_eq!(client.run("GET stored").text(), round.to_string());
        lost += usize::from(client.run("GET acknowledged").text() != round.to_string());
    }
    assert!(lost > 0, "a test that shows nothing: the log was synced without being asked");

    let mut trio = Trio::start_program(POWER_CUT, &["--appendfsync", "no"]);
    for round in 0..2 {
        let leader = trio.leader();
        let mut client = trio.nodes[leader].client();
        assert_eq!(client.run(&format!("SET stored {round}")), Value::ok());
        assert_eq!(client.run("WAITAOF 1 2 30000"), count(1, 2));
        for node in &mut trio.nodes {
            node.process().signal(Signal::KILL);
        }
        for node in &mut trio.nodes {
            node.process().end();
            node.relaunch();
        }
        let (leader, _) = trio.write_somewhere(&[0, 1, 2], &[b"SET", b"after", b"cut"]);
        assert_eq!(trio.nodes[leader].client().run("GET stored").text(), round.to_string());
        wait_for("three voters", || trio.all_vote().then_some(()));
    }
}
