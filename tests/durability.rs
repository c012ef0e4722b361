//! What was acknowledged is there after the process was killed, stopped or started again.
//!
//! A killed process loses nothing that it has written, whether synced or not: that replies wait for the disk is shown
//! by the modules `power_cut` and `strace`, and by the storage crate's own tests.

use std::collections::BTreeSet;

use rustix::process::Signal;

use crate::harness::load::Load;
use crate::harness::{Server, Value, wait_for};

/// So many acknowledged writes make a load that is worth killing.
const WRITES_PER_KILL: usize = 300;

#[test]
fn a_killed_server_has_every_acknowledged_write() {
    let mut server = Server::start(&[]);
    for round in 0..3 {
        let load = Load::start(&format!("round-{round}"), &[server.port], 6);
        wait_for("a load", || (load.acknowledged() >= WRITES_PER_KILL).then_some(()));
        server.kill();
        let book = load.finish();
        server.restart();
        book.check(&mut server.client());
    }
}

#[test]
fn a_stopped_server_exits_with_success_and_has_everything() {
    let mut server = Server::start(&[]);
    let load = Load::start("stop", &[server.port], 4);
    wait_for("a load", || (load.acknowledged() >= WRITES_PER_KILL).then_some(()));
    server.process().signal(Signal::TERM);
    let status = server.process().end();
    let book = load.finish();
    assert!(status.success(), "ended with {status}");
    server.restart();
    book.check(&mut server.client());
}

#[test]
fn a_restart_keeps_data_of_every_type_and_its_deadlines() {
    let mut server = Server::start(&[]);
    let mut client = server.client();
    let writes = [
        "SET string value",
        "SET soon value PX 100",
        "SET later value EX 5000",
        "HSET hash one 1 two 2",
        "RPUSH list a b c",
        "SADD set x",
        "ZADD zset 1.5 member 2 other",
        "SELECT 7",
        "SET elsewhere value",
        "SELECT 0",
        "EXPIRE hash 5000",
        "DEL set",
        "SADD set y",
    ];
    for write in writes {
        let reply = client.run(write);
        assert!(!reply.is_error(""), "{write}: {reply:?}");
    }
    let deadline = client.run("PEXPIRETIME later");
    server.kill();
    server.restart();
    let mut client = server.client();
    let reads = [
        ("GET string", "value"),
        ("TTL string", "-1"),
        ("GET later", "value"),
        ("HGET hash two", "2"),
        ("LINDEX list -1", "c"),
        ("SISMEMBER set x", "0"),
        ("SISMEMBER set y", "1"),
        ("ZSCORE zset member", "1.5"),
        ("DBSIZE", "6"),
    ];
    wait_for("the end of a deadline", || (client.run("EXISTS soon") == Value::Integer(0)).then_some(()));
    for (read, expected) in reads {
        assert_eq!(client.run(read).text(), expected, "{read}");
    }
    assert_eq!(client.run("PEXPIRETIME later"), deadline);
    assert!(matches!(client.run("TTL hash"), Value::Integer(1..=5000)));
    assert_eq!(client.run("SELECT 7"), Value::ok());
    assert_eq!(client.run("GET elsewhere").text(), "value");
}

#[test]
fn a_transaction_is_there_as_a_whole_or_not_at_all() {
    let mut server = Server::start(&[]);
    let mut client = server.client();
    let mut acknowledged = BTreeSet::new();
    for number in 0..50 {
        let number = number.to_string();
        let lines =
            ["MULTI".to_owned(), format!("RPUSH left {number}"), format!("RPUSH right {number}"), "EXEC".to_owned()];
        let last = lines.iter().map(|line| client.run(line)).last();
        assert!(matches!(last, Some(Value::Array(_))), "{last:?}");
        acknowledged.insert(number);
    }
    server.kill();
    server.restart();
    let mut client = server.client();
    let (left, right) = (client.run("LRANGE left 0 -1"), client.run("LRANGE right 0 -1"));
    assert_eq!(left, right);
    let found: BTreeSet<String> = left.elements().iter().map(Value::text).collect();
    assert_eq!(found, acknowledged);
}
