//! Masters that are asked to stop (SIGTERM) hand over first. Their clients are answered, or sent to the next master: not told that
//! the cluster is down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::nodes::Nodes;
use crate::harness::{Client, Value, wait_for, wire};

/// Clients of a node that is asked; every second one reads.
const CLIENTS: usize = 6;
/// So many answers are there, of all clients, before anything happens.
const ANSWERS: usize = 100;
/// How long a reply may take: longer than the longest wait for a master.
const REPLY_WITHIN: Duration = Duration::from_secs(20);

#[test]
fn clients_of_a_master_that_stops_are_sent_to_the_next() {
    let mut nodes = Nodes::create(6, 1);
    stopped_beside_its_replica(&mut nodes);
    stopped_while_its_replica_stands_still(&mut nodes);
}

/// Nobody that clients are shown can take over: a hidden voter does, and shows itself at once.
#[test]
fn the_slots_of_a_master_without_replicas_are_served_by_another_master() {
    let mut nodes = Nodes::create_with(3, 0, &["cluster-config-file nodes.conf"]);
    let master = nodes.master_of(0, "counted");
    let others: Vec<u16> =
        nodes.list.iter().map(|node| node.port).filter(|port| *port != nodes.list[master].port).collect();
    let asking = Asking::start(nodes.list[master].port);
    asking.await_answers();
    let process = nodes.list[master].process();
    process.signal(Signal::TERM);
    assert!(process.end().success());
    let counted = asking.end(&others);
    let heir = nodes.master_of((master + 1) % 3, "counted");
    assert_ne!(heir, master);
    assert_eq!(nodes.client(heir).run("GET counted"), Value::bulk(&counted.to_string()));
    nodes.list[master].restart();
    nodes.await_whole();
    wait_for("the slots at home again", || (nodes.master_of(heir, "counted") == master).then_some(()));
}

/// The replica takes over.
fn stopped_beside_its_replica(nodes: &mut Nodes) {
    let master = nodes.master_of(0, "counted");
    let replica = nodes.replica_of(master);
    // There also if the master stops before it has counted anything.
    assert_eq!(nodes.client(master).run("SET counted 0"), Value::ok());
    let asking = Asking::start(nodes.list[master].port);
    asking.await_answers();
    let process = nodes.list[master].process();
    process.signal(Signal::TERM);
    assert!(process.end().success());
    let counted = asking.end(&[nodes.list[replica].port]);
    assert_eq!(nodes.client(replica).run("GET counted"), Value::bulk(&counted.to_string()));
    nodes.list[master].restart();
    nodes.await_whole();
    assert_eq!(nodes.client(replica).run("DEL counted"), Value::Integer(1));
}

/// Nobody but a hidden voter can take over, which clients are not shown: they wait until it has made the replica the master, and are
/// sent there, whether they ask the old master or the replica.
fn stopped_while_its_replica_stands_still(nodes: &mut Nodes) {
    let master = nodes.master_of(0, "counted");
    let replica = nodes.replica_of(master);
    let ports: Vec<u16> = nodes.list.iter().map(|node| node.port).collect();
    nodes.list[replica].process().stop();
    let of_master = Asking::start(ports[master]);
    // What is written from now on the replica does not have.
    of_master.await_answers();
    let of_replica = Asking::start(ports[replica]);
    let awaited = |nodes: &mut Nodes| nodes.list[master].process().output().matches("standing=Awaiting").count();
    let before = awaited(nodes);
    nodes.list[master].process().signal(Signal::TERM);
    wait_for("a leader that is hidden", || (awaited(nodes) > before).then_some(()));
    nodes.list[replica].process().signal(Signal::CONT);
    of_replica.await_answers();
    assert!(nodes.list[master].process().end().success());
    assert_eq!(nodes.master_of(replica, "counted"), replica);
    // Had the hidden voter not been heard, it would have shown itself in the end: that is no error, either.
    let counted = of_master.end(&ports) + of_replica.end(&ports);
    assert_eq!(nodes.client(replica).run("GET counted"), Value::bulk(&counted.to_string()));
}

/// Clients that ask one node, each until it is over or the node closes the connection.
struct Asking {
    over: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<BTreeMap<String, usize>>>,
}

impl Asking {
    fn start(port: u16) -> Self {
        let (over, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |number: usize| {
            let (over, answers) = (Arc::clone(&over), Arc::clone(&answers));
            let words: &[&[u8]] = if number.is_multiple_of(2) { &[b"INCR", b"counted"] } else { &[b"GET", b"counted"] };
            std::thread::spawn(move || {
                let mut client = Client::try_connect(wire::local(port), REPLY_WITHIN).expect("a node that listens");
                let mut heard = BTreeMap::new();
                while !over.load(Ordering::Relaxed) {
                    let reply = match client.try_call(words) {
                        Ok(reply) => reply,
                        Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => {
                            *heard.entry("no answer".to_owned()).or_default() += 1;
                            break;
                        }
                        Err(_) => break,
                    };
                    let what = match reply {
                        Value::Error(text) => text,
                        Value::Integer(_) => "counted".to_owned(),
                        _ => "read".to_owned(),
                    };
                    if !what.starts_with("MOVED ") {
                        answers.fetch_add(1, Ordering::Relaxed);
                    }
                    *heard.entry(what).or_default() += 1;
                }
                heard
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { over, answers, clients }
    }

    /// Waits until there are some answers which are no redirections.
    fn await_answers(&self) {
        wait_for("answers", || (self.answers.load(Ordering::Relaxed) >= ANSWERS).then_some(()));
    }

    /// Ends them; fails if they heard anything but answers and redirections to these ports. How often they counted.
    fn end(self, ports: &[u16]) -> usize {
        self.over.store(true, Ordering::Relaxed);
        let mut counted = 0;
        for client in self.clients {
            for (what, times) in client.join().expect("a client that ends") {
                let sent_on =
                    || ports.iter().any(|port| what.starts_with("MOVED ") && what.ends_with(&format!(":{port}")));
                assert!(what == "counted" || what == "read" || sent_on(), "{what}, {times} times");
                counted += if what == "counted" { times } else { 0 };
            }
        }
        counted
    }
}
