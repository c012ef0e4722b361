//! HIMPORT: fieldsets belong to a connection, the hashes made of them to everybody.

use crate::harness::{Client, Server, Value};

fn all(client: &mut Client, lines: &[&str]) -> Vec<Value> {
    lines.iter().map(|line| client.run(line)).collect()
}

#[test]
fn fieldsets_are_of_one_connection() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.client(), server.client());
    assert_eq!(all(&mut client, &["HIMPORT PREPARE u a b", "HIMPORT SET k u 1 2"]), [Value::ok(), Value::ok()]);
    assert!(other.run("HIMPORT SET k u 1 2").is_error("ERR no such fieldset"));
    assert_eq!(other.run("HMGET k a b"), client.run("HMGET k a b"));
    assert_eq!(client.run("RESET").text(), "RESET");
    assert!(client.run("HIMPORT SET k u 1 2").is_error("ERR no such fieldset"));
}

/// Inside a transaction a name stands for what it was given by then, and for nothing if EXEC does not run.
#[test]
fn transactions_see_their_own_fieldsets() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.client(), server.client());
    client.run("HIMPORT PREPARE u a b");
    let lines = [
        "MULTI",
        "HIMPORT SET first u 1 2",
        "HIMPORT PREPARE u x",
        "HIMPORT SET second u 3",
        "HIMPORT SET third u 1 2",
        "HIMPORT DISCARDALL",
        "HIMPORT SET fourth u 4",
        "PING",
        "HGET second x",
    ];
    assert!(all(&mut client, &lines)[1..].iter().all(|reply| reply.text() == "QUEUED"));
    let replies = client.run("EXEC").elements();
    let shown: Vec<String> = replies.iter().map(Value::text).collect();
    assert_eq!(shown[..3], ["OK", "OK", "OK"]);
    assert!(replies[3].is_error("ERR value count does not match"), "{shown:?}");
    assert_eq!(shown[4], "1");
    assert!(replies[5].is_error("ERR no such fieldset"), "{shown:?}");
    assert_eq!(shown[6..], ["PONG", "3"]);
    assert_eq!(client.run("HGETALL first").elements().len(), 4);
    all(&mut client, &["HIMPORT PREPARE u a", "WATCH k", "MULTI", "HIMPORT PREPARE u x y", "HIMPORT SET k u 1 2"]);
    other.run("SET k 1");
    assert!(client.run("EXEC") == Value::Null);
    assert_eq!(all(&mut client, &["HIMPORT SET new u 1", "HGET new a"])[1], Value::bulk("1"));
}

#[test]
fn hashes_come_back_from_the_log() {
    let mut server = Server::start(&[]);
    let mut client = server.client();
    for number in 0..500 {
        all(&mut client, &[&format!("HIMPORT PREPARE u f{number} g"), &format!("HIMPORT SET k{number} u {number} 1")]);
    }
    server.kill();
    server.restart();
    let mut client = server.client();
    assert_eq!(client.run("DBSIZE"), Value::Integer(500));
    assert_eq!(client.run("HGET k499 f499"), Value::bulk("499"));
}
