//! A master whose peers do not reach it while its clients still do: the one stands in a room of its own, and the cable to the room of
//! the others is pulled. Redis Cluster loses what such a master goes on to acknowledge; here nothing is lost, and nothing that it answers
//! is older than what the others have acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::harness::room::Room;
use crate::harness::server::{CAIRN, Process, command, free_port};
use crate::harness::tools::python_script;
use crate::harness::{Directory, wait_for};

/// The room of five nodes, and that of the one which is cut off.
const TOGETHER: &str = "10.77.0.1";
const ALONE: &str = "10.77.0.2";

/// How long a server may take to answer. Commands wait up to two seconds for somebody to lead.
const ANSWER_WITHIN: u32 = 5;

/// So many writes are acknowledged on the other side while the cable is out.
const WRITES: usize = 60;
/// So many clients write to the one that is cut off, and as many read.
const CLIENTS: usize = 3;

#[test]
fn a_master_that_is_cut_off_acknowledges_nothing_that_is_lost() {
    let mut scene = Scene::build();
    let victim = scene.nodes.len() - 1;
    let key = scene.key_of(victim);
    assert_eq!(scene.ask(victim, &["RPUSH", &key, "before"]).as_deref(), Some("1"));
    let (alone, elsewhere) = write_on_both_sides(&mut scene, victim, &key);
    assert!(alone.iter().any(|event| event.reply.starts_with('-')), "it was not cut off");
    let found = wait_for("a list that is whole again", || {
        let lists = (0..=victim).filter_map(|at| scene.ask(at, &["LRANGE", &key, "0", "-1"]));
        lists.into_iter().find(|reply| !reply.starts_with('-'))
    });
    let found: Vec<&str> = found.split(' ').collect();
    let acknowledged = alone.iter().chain(&elsewhere).filter(|event| event.is_acknowledged()).map(|event| &event.value);
    for value in acknowledged {
        let count = found.iter().filter(|found| *found == value).count();
        assert_eq!(count, 1, "{value} was acknowledged, and is there {count} times");
    }
    nothing_is_older(&alone, &elsewhere);
    wait_for("one cluster again", || scene.is_whole().then_some(()));
}

/// What the one that is cut off answers to commands that were sent after the others had acknowledged something.
fn nothing_is_older(alone: &[Event], elsewhere: &[Event]) {
    for event in alone.iter().filter(|event| !event.reply.starts_with('-')) {
        let mut before = elsewhere.iter().filter(|other| other.is_acknowledged() && other.answered < event.sent);
        let Some(newest) = before.next_back() else { continue };
        assert!(!event.is_acknowledged(), "{} was acknowledged after {}", event.value, newest.value);
        assert!(
            event.reply.split(' ').any(|value| value == newest.value),
            "{} is not in {}",
            newest.value,
            event.reply
        );
    }
}

/// A command and its answer.
struct Event {
    /// What a write pushes; empty for a read.
    value: String,
    sent: Instant,
    answered: Instant,
    reply: String,
}

impl Event {
    fn is_acknowledged(&self) -> bool {
        !self.value.is_empty() && self.reply.parse::<u64>().is_ok()
    }
}

/// Ends the clients when dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Clients of both sides, while the cable is out: what they were told.
fn write_on_both_sides(scene: &mut Scene, victim: usize, key: &str) -> (Vec<Event>, Vec<Event>) {
    let over = AtomicBool::new(false);
    let (host, port) = (scene.nodes[victim].host, scene.nodes[victim].port);
    let askers: Vec<Asker> = (0..2 * CLIENTS).map(|_| Asker::start(&scene.rooms[1])).collect();
    let client = |number: usize, mut asker: Asker| {
        let mut events = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let value = if number < CLIENTS { format!("alone-{number}-{}", events.len()) } else { String::new() };
            let words = if value.is_empty() { vec!["LRANGE", key, "0", "-1"] } else { vec!["RPUSH", key, &value] };
            let sent = Instant::now();
            let reply = asker.ask(host, port, &words).unwrap_or_else(|| "-no answer".to_owned());
            events.push(Event { value, sent, answered: Instant::now(), reply });
        }
        events
    };
    std::thread::scope(|threads| {
        // Also when something here fails: the scope waits for the clients.
        let ending = Over(&over);
        let clients: Vec<_> = askers
            .into_iter()
            .enumerate()
            .map(|(number, asker)| threads.spawn(move || client(number, asker)))
            .collect();
        scene.cable("down");
        let (mut elsewhere, mut at): (Vec<Event>, _) = (Vec::new(), 0);
        wait_for("writes elsewhere", || {
            let value = format!("elsewhere-{}", elsewhere.len());
            let sent = Instant::now();
            let reply = scene.ask(at, &["RPUSH", key, &value]).unwrap_or_default();
            let event = Event { value, sent, answered: Instant::now(), reply };
            if event.is_acknowledged() {
                elsewhere.push(event);
            } else {
                at = (at + 1) % victim;
            }
            (elsewhere.len() >= WRITES).then_some(())
        });
        scene.cable("up");
        drop(ending);
        let alone = clients.into_iter().flat_map(|client| client.join().expect("a client that ends")).collect();
        (alone, elsewhere)
    })
}

struct Node {
    host: &'static str,
    port: u16,
    _process: Process,
    _directory: Directory,
}

/// Six nodes in two rooms, and somebody in each room who asks them.
struct Scene {
    nodes: Vec<Node>,
    together: Asker,
    alone: Asker,
    rooms: [Room; 2],
}

impl Scene {
    fn build() -> Self {
        let together = Room::with_network("ip link set lo up");
        let alone = together.next_door(TOGETHER, ALONE);
        let nodes = (0..6).map(|number| {
            let (room, host) = if number == 5 { (&alone, ALONE) } else { (&together, TOGETHER) };
            let (port, directory) = (free_port(), Directory::new());
            let arguments = ["--bind", host, "--protected-mode", "no", "--masterauth", "secret", "--cluster-enabled"];
            let arguments: Vec<String> = arguments.into_iter().chain(["yes"]).map(str::to_owned).collect();
            let call = room.call(&command(CAIRN, port, &directory, &arguments));
            Node { host, port, _process: Process::start(call, &directory.join("log")), _directory: directory }
        });
        let nodes: Vec<Node> = nodes.collect();
        let askers = (Asker::start(&together), Asker::start(&alone));
        let mut scene = Self { nodes, together: askers.0, alone: askers.1, rooms: [together, alone] };
        wait_for("six servers", || (0..6).all(|at| scene.ask(at, &["PING"]).as_deref() == Some("PONG")).then_some(()));
        let mut create = scene.rooms[0].command("redis-cli");
        // The one in the other room is a master: it is named first.
        let addresses = scene.nodes.iter().rev().map(|node| format!("{}:{}", node.host, node.port));
        create.args(["--cluster", "create"]).args(addresses).args(["--cluster-replicas", "1", "--cluster-yes"]);
        let output = create.stdin(Stdio::null()).output().expect("redis-cli");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        wait_for("a whole cluster", || scene.is_whole().then_some(()));
        scene
    }

    /// Pulls the cable out, or puts it in.
    fn cable(&self, state: &str) {
        self.rooms[0].run(&format!("ip link set cable {state}"));
    }

    /// What a node answers, to somebody in its own room.
    fn ask(&mut self, at: usize, words: &[&str]) -> Option<String> {
        let node = &self.nodes[at];
        let asker = if node.host == ALONE { &mut self.alone } else { &mut self.together };
        asker.ask(node.host, node.port, words)
    }

    /// Whether every node shows six nodes in order, and every master has three voters.
    fn is_whole(&mut self) -> bool {
        (0..self.nodes.len()).all(|at| {
            let info = self.ask(at, &["CLUSTER", "INFO"]).unwrap_or_default();
            let raft = self.ask(at, &["INFO", "raft"]).unwrap_or_default();
            let nodes = self.ask(at, &["CLUSTER", "NODES"]).unwrap_or_default();
            info.contains("cluster_state:ok")
                && info.contains("cluster_known_nodes:6")
                && raft.contains("raft_voters:3")
                && raft.contains("cairn_underreplicated_shards:0")
                && !nodes.contains("fail")
        })
    }

    /// A key that this node is master of.
    fn key_of(&mut self, at: usize) -> String {
        let mut keys = (0..).map(|number| format!("key-{number}"));
        let serves = |key: &String| self.ask(at, &["EXISTS", key]).as_deref() == Some("0");
        keys.find(serves).expect("every master serves a third of all keys")
    }
}

/// Asks servers from within a room.
struct Asker {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Asker {
    fn start(room: &Room) -> Self {
        let mut call: Command = room.call(&python_script("relay.py"));
        let mut child = call.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a Python that starts");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, output }
    }

    fn ask(&mut self, host: &str, port: u16, words: &[&str]) -> Option<String> {
        let line = format!("{host}\t{port}\t{ANSWER_WITHIN}\t{}\n", words.join("\t"));
        self.child.stdin.as_mut().expect("it is piped").write_all(line.as_bytes()).expect("it reads on");
        let mut reply = String::new();
        self.output.read_line(&mut reply).expect("it prints text");
        Some(reply.trim_end_matches('\n').to_owned()).filter(|reply| !reply.is_empty())
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
