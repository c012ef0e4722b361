//! One shard of three voters, as real processes: formation, roles, and what a lost leader costs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::load::Load;
use crate::harness::trio::Trio;
use crate::harness::{Client, PATIENCE, Value, wait_for};

/// So many acknowledged writes make a load.
const LOAD_WRITES: usize = 200;

/// The longest time without an acknowledged write that a loaded machine may show after a kill; `cargo xtask bench` measures it on
/// an idle one.
const GAP_MAX: Duration = Duration::from_secs(5);

#[test]
fn three_nodes_form_a_shard_and_followers_know_their_place() {
    let mut trio = Trio::start(&[]);
    let leader = trio.leader();
    let mut client = trio.nodes[leader].client();
    assert_eq!(client.run("SET k v"), Value::ok());
    assert_eq!(client.run("WAIT 2 10000"), Value::Integer(2));
    let role = client.run("ROLE").elements();
    assert_eq!(role[2].elements().len(), 2, "{role:?}");
    assert_eq!(trio.nodes[leader].info("connected_slaves"), "2");
    trio.level();
    for at in trio.others(leader) {
        let mut follower = trio.nodes[at].client();
        assert_eq!(
            follower.run("SET k w"),
            Value::Error("READONLY You can't write against a read only replica.".into())
        );
        wait_for("a stale read that is fresh in the end", || (follower.run("GET k").text() == "v").then_some(()));
        let role = follower.run("ROLE").elements();
        assert_eq!(role[0].text(), "slave");
        assert_eq!(role[2], Value::Integer(i64::from(trio.nodes[leader].port)));
        assert_eq!(trio.nodes[at].info("master_replid"), trio.nodes[leader].info("master_replid"));
        assert_eq!(trio.nodes[at].info("master_link_status"), "up");
    }
    // All stop, all come back.
    for node in &mut trio.nodes {
        node.kill();
    }
    for node in &mut trio.nodes {
        node.relaunch();
    }
    let (at, _) = trio.write_somewhere(&[0, 1, 2], &[b"SET", b"after", b"all"]);
    assert_eq!(trio.nodes[at].client().run("GET k").text(), "v");
}

#[test]
fn a_killed_leader_costs_a_moment_and_no_write() {
    let mut trio = Trio::start(&[]);
    let ports: Vec<u16> = trio.nodes.iter().map(|node| node.port).collect();
    for round in 0..3 {
        let leader = trio.leader();
        let load = Load::start(&format!("kill-{round}"), &ports, 4);
        wait_for("a load", || (load.acknowledged() >= LOAD_WRITES).then_some(()));
        trio.nodes[leader].kill();
        let killed = Instant::now();
        let at_kill = load.acknowledged();
        wait_for("writes after the kill", || {
            let goes_on = load.last().is_some_and(|last| last > killed) && load.acknowledged() >= at_kill + LOAD_WRITES;
            goes_on.then_some(())
        });
        trio.nodes[leader].restart();
        let book = load.finish();
        let gap = book.gap();
        eprintln!("round {round}: no acknowledged write for {} ms", gap.as_millis());
        assert!(gap < GAP_MAX, "no acknowledged write for {gap:?}");
        let now = trio.leader();
        book.check(&mut trio.nodes[now].client());
        // The old leader came back by itself, and has all of it too.
        trio.level();
        book.check(&mut trio.nodes[leader].client());
    }
}

#[test]
fn a_leader_that_was_paused_never_answers_with_the_old_value() {
    let trio = Trio::start(&[]);
    let mut trio = trio;
    for round in 0..3_u8 {
        let leader = trio.leader();
        let mut client = trio.nodes[leader].client();
        let (old, new) = (format!("old-{round}"), format!("new-{round}"));
        assert_eq!(client.run(&format!("SET k {old}")), Value::ok());
        assert_eq!(client.run("GET k").text(), old);
        trio.nodes[leader].process().stop();
        let others = trio.others(leader);
        let (_, took) = trio.write_somewhere(&others, &[b"SET", b"k", new.as_bytes()]);
        eprintln!("round {round}: another leader wrote after {} ms", took.as_millis());
        // Asked while it is paused, so that these are the first things that it sees.
        let get = crate::harness::wire::encode(&[b"GET", b"k"]);
        client.send(&get.repeat(50)).expect("a paused process has a socket");
        trio.nodes[leader].process().signal(Signal::CONT);
        for read in 0..50 {
            let reply = client.reply().expect("a reply");
            let is_old = reply.text() == old;
            assert!(!is_old, "read {read} of round {round} is stale; then {:?}", client.run("INFO raft").text());
        }
        wait_for("the new value on the old leader", || (client.run("GET k").text() == new).then_some(()));
    }
}

#[test]
fn a_long_command_changes_no_leader() {
    let trio = Trio::start(&["--enable-debug-command", "yes"]);
    let leader = trio.leader();
    let terms = trio.terms();
    for at in [leader, trio.others(leader)[0]] {
        let start = Instant::now();
        assert_eq!(trio.nodes[at].client().run("DEBUG SLEEP 3"), Value::ok());
        assert!(start.elapsed() >= Duration::from_secs(3));
        assert_eq!(trio.leader(), leader, "another leads after DEBUG SLEEP on {at}");
        assert_eq!(trio.terms(), terms);
    }
    // A follower that sleeps holds up nobody; a leader that sleeps answers later.
    let follower = trio.others(leader)[0];
    let mut sleeper = trio.nodes[follower].client();
    sleeper.send(b"DEBUG SLEEP 3\r\n").expect("a send");
    let mut client = trio.nodes[leader].client();
    let start = Instant::now();
    for _ in 0..20 {
        assert!(matches!(client.run("INCR counter"), Value::Integer(_)));
    }
    assert!(start.elapsed() < Duration::from_secs(3), "a sleeping follower holds up writes");
    assert_eq!(sleeper.reply().expect("it wakes"), Value::ok());
    assert_eq!(trio.terms(), terms);
}

/// Much more than a message between nodes holds: it travels in parts.
const LARGE_BYTES: usize = 24 << 20;

#[test]
fn a_large_value_is_taken_whole_by_every_voter() {
    let trio = Trio::start(&[]);
    let mut client = trio.nodes[trio.leader()].client();
    let value: Vec<u8> = (0..LARGE_BYTES).map(|at| b'a' + (at % 23) as u8).collect();
    assert_eq!(client.call(&[b"SET", b"large", &value]), Value::ok());
    assert_eq!(client.call(&[b"APPEND", b"large", b"end"]), Value::Integer(LARGE_BYTES as i64 + 3));
    assert_eq!(client.run("WAIT 2 30000"), Value::Integer(2));
    trio.level();
    for node in &trio.nodes {
        let read = || match node.client().call(&[b"GET", b"large"]) {
            Value::Bulk(read) => (read.len() == value.len() + 3).then_some(read),
            _ => None,
        };
        let read = wait_for("the value on every node", read);
        assert!(read.starts_with(&value) && read.ends_with(b"end"));
    }
}

#[test]
fn a_wiped_node_comes_back_with_everything() {
    let mut trio = Trio::start(&[]);
    let leader = trio.leader();
    let mut client = trio.nodes[leader].client();
    for number in 0..100 {
        assert_eq!(client.run(&format!("SET key-{number} {number}")), Value::ok());
    }
    let wiped = trio.others(leader)[1];
    trio.nodes[wiped].kill();
    let data = trio.nodes[wiped].directory().join("data");
    std::fs::remove_dir_all(data).expect("the node's data");
    trio.nodes[wiped].relaunch();
    wait_for("the leader's word that a fresh replica votes", || {
        trio.nodes[leader].process().output().contains("a fresh replica votes").then_some(())
    });
    wait_for("a fresh replica with all the data", || {
        let mut client = Client::try_connect(crate::harness::wire::local(trio.nodes[wiped].port), PATIENCE).ok()?;
        (client.try_call(&[b"GET", b"key-99"]).ok()?.text() == "99").then_some(())
    });
    // Its vote counts: without the third, writes go on.
    let third = trio.others(leader).into_iter().find(|&at| at != wiped).expect("three nodes");
    trio.nodes[third].kill();
    trio.write_somewhere(&[leader, wiped], &[b"SET", b"k", b"v"]);
    assert_eq!(trio.nodes[wiped].client().run("GET key-0").text(), "0");
}

#[test]
fn without_a_majority_nothing_is_promised_and_nothing_lost() {
    let mut trio = Trio::start(&[]);
    let leader = trio.leader();
    assert_eq!(trio.nodes[leader].client().run("SET k v"), Value::ok());
    let others = trio.others(leader);
    for &at in &others {
        trio.nodes[at].kill();
    }
    let mut client = trio.nodes[leader].client();
    let reply = client.run("SET k w");
    let is_honest = ["UNCERTAIN", "NOREPLICAS", "READONLY"].iter().any(|prefix| reply.is_error(prefix));
    assert!(is_honest, "{reply:?}");
    wait_for("a definite refusal", || client.run("SET k w").is_error("NOREPLICAS").then_some(()));
    for &at in &others {
        trio.nodes[at].relaunch();
    }
    let (at, _) = trio.write_somewhere(&[0, 1, 2], &[b"SET", b"other", b"v"]);
    let value = trio.nodes[at].client().run("GET k").text();
    assert!(value == "v" || value == "w", "{value}");
}

#[test]
fn a_stopped_leader_hands_over() {
    let mut trio = Trio::start(&[]);
    let ports: Vec<u16> = trio.nodes.iter().map(|node| node.port).collect();
    let load = Load::start("stop", &ports, 4);
    wait_for("a load", || (load.acknowledged() >= LOAD_WRITES).then_some(()));
    let leader = trio.leader();
    trio.nodes[leader].process().signal(Signal::TERM);
    let status = trio.nodes[leader].process().end();
    assert!(status.success(), "ended with {status}");
    let at_end = load.acknowledged();
    wait_for("writes after the stop", || (load.acknowledged() >= at_end + LOAD_WRITES).then_some(()));
    let book = load.finish();
    eprintln!("a stop of the leader: no acknowledged write for {} ms", book.gap().as_millis());
    let now = trio.leader();
    book.check(&mut trio.nodes[now].client());
}

/// Voters that have just started keep their votes to themselves for a while: the leader offers them leadership until one may take it.
#[test]
fn a_stopped_leader_waits_for_voters_that_have_just_started() {
    let mut trio = Trio::start(&[]);
    let leader = trio.leader();
    let others = trio.others(leader);
    others.iter().for_each(|&at| trio.nodes[at].kill());
    others.iter().for_each(|&at| trio.nodes[at].relaunch());
    trio.write_somewhere(&[leader], &[b"SET", b"k", b"v"]);
    trio.nodes[leader].process().signal(Signal::TERM);
    assert!(trio.nodes[leader].process().end().success());
    let roles: Vec<_> = others.iter().map(|&at| trio.nodes[at].client().run("ROLE").elements()[0].text()).collect();
    assert!(roles.contains(&"master".to_owned()), "nobody leads: {roles:?}");
}

#[test]
fn a_saturating_writer_does_not_starve_readers() {
    let trio = Trio::start(&[]);
    let leader = trio.leader();
    let port = trio.nodes[leader].port;
    let stop = AtomicBool::new(false);
    let (writes, reads) = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                scope.spawn({
                    let stop = &stop;
                    move || pipeline(port, writer, stop)
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let mut client = Client::connect(port);
            let mut reads = 0_u32;
            let end = Instant::now() + Duration::from_secs(3);
            while Instant::now() < end {
                assert!(!client.run("GET 0-1").is_error(""));
                reads += 1;
            }
            stop.store(true, Ordering::Relaxed);
            reads
        });
        let reads = reader.join().expect("reads go on");
        let writes: u32 = writers.into_iter().map(|writer| writer.join().expect("writes go on")).sum();
        (writes, reads)
    });
    eprintln!("in 3 s beside each other: {writes} writes, {reads} reads of one client");
    assert!(writes >= 1000, "{writes} writes");
    assert!(reads >= 300, "{reads} reads beside {writes} writes");
}

/// Writes 64 commands at a time until told to stop; how many were acknowledged.
fn pipeline(port: u16, writer: usize, stop: &AtomicBool) -> u32 {
    let mut client = Client::connect(port);
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        let batch: Vec<u8> = (0..64)
            .flat_map(|number| {
                let key = format!("{writer}-{number}");
                crate::harness::wire::encode(&[b"SET", key.as_bytes(), &[b'v'; 100]])
            })
            .collect();
        client.send(&batch).expect("a send");
        for _ in 0..64 {
            assert_eq!(client.reply().expect("a reply"), Value::ok());
            written += 1;
        }
    }
    written
}
