//! Nodes that die, stop and hand over while redis-py writes without retries: nothing acknowledged is lost, nothing happens
//! twice. How long it takes is for `cargo xtask bench cluster` to say.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::nodes::Nodes;
use crate::harness::tools::python_script;
use crate::harness::{Client, Value, wait_for, wire};

/// Keys of all three shards, a few times over.
const KEYS: [&str; 6] = ["foo", "hello", "a", "b", "c", "d"];

#[test]
fn nothing_acknowledged_is_lost() {
    let mut nodes = Nodes::create(6, 1);
    let load = Load::start(&nodes);
    for key in &KEYS[..3] {
        let master = nodes.master_of(0, key);
        kill_one(&mut nodes, master);
    }
    let master = nodes.master_of(0, KEYS[1]);
    stop_one(&nodes, master);
    hand_over(&nodes);
    kill_all(&mut nodes);
    load.finish();
}

/// The load of `tests/python/cluster_load.py`.
struct Load {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Load {
    fn start(nodes: &Nodes) -> Self {
        let mut command: Command = python_script("cluster_load.py");
        command.args(nodes.list.iter().map(|node| node.port.to_string()));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a Python that starts");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it prints text");
        assert_eq!(line, "writing\n");
        Self { child, output }
    }

    /// Ends it; fails unless everything is there that was acknowledged, once.
    fn finish(mut self) {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.output.read_to_string(&mut said).expect("it prints text");
        assert!(self.child.wait().expect("it is our child").success(), "{said}");
        assert!(said.contains(" lost 0 twice 0"), "{said}");
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first place that is not among those that are out of order.
fn survivor(nodes: &Nodes, down: &[usize]) -> usize {
    (0..nodes.list.len()).find(|at| !down.contains(at)).expect("not all are down")
}

/// Waits until every key is written somewhere, with these nodes out of order.
fn await_writes(nodes: &Nodes, down: &[usize]) {
    for key in KEYS {
        wait_for("a write after a failure", || {
            let takes_it = |at: usize| {
                let client = Client::try_connect(wire::local(nodes.list[at].port), Duration::from_secs(3));
                let reply = client.and_then(|mut client| client.try_call(&[b"SET", key.as_bytes(), b"probe"]));
                reply.is_ok_and(|reply| reply == Value::ok())
            };
            (0..nodes.list.len()).any(|at| !down.contains(&at) && takes_it(at)).then_some(())
        });
    }
}

/// kill -9; the rest serves all slots, and shows another master; started again, the node is a replica of that.
fn kill_one(nodes: &mut Nodes, victim: usize) {
    let id = nodes.id(victim);
    nodes.list[victim].kill();
    await_writes(nodes, &[victim]);
    let seen_from = survivor(nodes, &[victim]);
    wait_for("the dead node to be marked", || {
        let known = nodes.known(seen_from);
        let dead = known.iter().find(|node| node.id == id)?;
        (dead.is("fail") && dead.slots.is_empty()).then_some(())
    });
    nodes.list[victim].restart();
    nodes.await_whole();
    let known = nodes.known(victim);
    let myself = known.iter().find(|node| node.is("myself")).expect("it shows itself");
    assert!(myself.id == id && myself.is("slave"), "{myself:?}");
}

/// SIGSTOP past its lease, a write elsewhere, SIGCONT: what it answers then is not the past.
fn stop_one(nodes: &Nodes, victim: usize) {
    let key = KEYS.into_iter().find(|key| nodes.master_of(0, key) == victim).expect("a key of each master");
    let mut before = nodes.client(victim);
    assert_eq!(before.run(&format!("SET {key} old")), Value::ok());
    let process = i32::try_from(nodes.list[victim].id()).expect("ids are small");
    let process = rustix::process::Pid::from_raw(process).expect("ids are positive");
    rustix::process::kill_process(process, Signal::STOP).expect("it is our child");
    let seen_from = survivor(nodes, &[victim]);
    wait_for("a write elsewhere", || {
        (0..nodes.list.len()).filter(|&at| at != victim).find_map(|at| {
            let reply = nodes.ask(at, &format!("SET {key} new"))?;
            (reply == Value::ok()).then_some(())
        })
    });
    await_writes(nodes, &[victim]);
    assert!(nodes.known(seen_from).len() == 6);
    rustix::process::kill_process(process, Signal::CONT).expect("it is our child");
    let read = before.run(&format!("GET {key}"));
    assert!(read != Value::bulk("old"), "a stale read after a stop");
    nodes.await_whole();
}

/// CLUSTER FAILOVER, on each replica in turn.
fn hand_over(nodes: &Nodes) {
    for master in nodes.masters(0) {
        let replica = nodes.replica_of(master);
        let reply = nodes.client(replica).run("CLUSTER FAILOVER");
        assert_eq!(reply, Value::ok());
        wait_for("the roles to change", || {
            let role = nodes.client(replica).run("ROLE").elements()[0].text();
            (role == "master" && nodes.masters(master).contains(&replica)).then_some(())
        });
        nodes.await_whole();
        assert_eq!(nodes.replica_of(replica), master);
    }
}

/// All six at once, as when the power fails.
fn kill_all(nodes: &mut Nodes) {
    for node in &mut nodes.list {
        node.process().signal(Signal::KILL);
    }
    for node in &mut nodes.list {
        node.process().end();
        node.relaunch();
    }
    await_writes(nodes, &[]);
    nodes.await_whole();
}
