//! One server on its own: what it says at its start, and what it answers about itself.

use crate::harness::{Server, Value, wait_for};

#[test]
fn a_server_says_hello_and_when_it_is_ready() {
    let mut server = Server::start(&[]);
    let said = wait_for("the word of a ready server", || {
        let said = server.process().output();
        said.contains("Ready to accept connections").then_some(said)
    });
    let banner = said.lines().next().expect("a first line");
    let process = format!("pid {}", server.process().id());
    let directory = server.directory().join("data").display().to_string();
    for part in ["Cairn ", "standalone", &format!("127.0.0.1:{}", server.port), &directory, &process] {
        assert!(banner.contains(part), "the banner lacks {part}: {banner}");
    }
}

#[test]
fn info_is_true_and_what_tools_read_is_there() {
    let server = Server::start(&[]);
    for (field, expected) in [
        ("redis_version", "7.2.4"),
        ("server_name", "cairn"),
        ("redis_mode", "standalone"),
        ("cluster_enabled", "0"),
        ("loading", "0"),
        ("role", "master"),
        ("connected_slaves", "0"),
        ("raft_role", "leader"),
        ("tcp_port", &server.port.to_string()),
    ] {
        assert_eq!(server.info(field), expected, "{field}");
    }
    assert_eq!(server.info("run_id").len(), 40);
    assert_eq!(server.info("master_replid").len(), 40);
    let mut client = server.client();
    let role = client.run("ROLE").elements();
    assert_eq!(role[0], Value::bulk("master"));
    assert_eq!(role[2], Value::Array(Vec::new()));
}

#[test]
fn a_new_start_is_a_new_run_of_the_same_group() {
    let mut server = Server::start(&[]);
    let (run, group) = (server.info("run_id"), server.info("master_replid"));
    server.kill();
    server.restart();
    assert_ne!(server.info("run_id"), run);
    assert_eq!(server.info("master_replid"), group);
}
