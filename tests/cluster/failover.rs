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
    let mut nodes = Nodes::create_with(6, 1, &["cluster-node-timeout 2000"]);
    let load = Load::start(&nodes, "bare");
    strike_meta_leader(&mut nodes);
    hand_over(&nodes);
    kill_all(&mut nodes);
    let said = load.finish();
    assert!(said.contains(" twice 0 "), "{said}");
    no_error_is_shown(&mut nodes);
}

/// redis-py as it comes notices nothing of CLUSTER FAILOVER; what it has to send again after a node died it may send twice.
fn no_error_is_shown(nodes: &mut Nodes) {
    let load = Load::start(nodes, "defaults");
    for _ in 0..5 {
        hand_over(nodes);
    }
    let said = load.finish();
    assert!(said.contains(" failed 0 ") && said.contains(" twice 0 "), "{said}");
    let load = Load::start(nodes, "defaults");
    let master = nodes.master_of(0, KEYS[0]);
    kill_one(nodes, master);
    load.finish();
    forced(nodes);
}

/// CLUSTER FAILOVER FORCE on the replica of a master that is dead: OK is said once it leads. TAKEOVER, which would do without a
/// majority, is an error and changes nothing.
fn forced(nodes: &mut Nodes) {
    let master = nodes.master_of(0, KEYS[0]);
    let replica = nodes.replica_of(master);
    assert!(nodes.client(replica).run("CLUSTER FAILOVER TAKEOVER").is_error("ERR "));
    assert_eq!(nodes.replica_of(master), replica);
    nodes.list[master].kill();
    assert_eq!(nodes.client(replica).run("CLUSTER FAILOVER FORCE"), Value::ok());
    assert_eq!(nodes.client(replica).run(&format!("SET {} forced", KEYS[0])), Value::ok());
    nodes.list[master].restart();
    nodes.await_whole();
    // Of a master that is alive it asks as FAILOVER does.
    assert_eq!(nodes.client(master).run("CLUSTER FAILOVER FORCE"), Value::ok());
    assert_eq!(nodes.client(master).run(&format!("GET {}", KEYS[0])), Value::bulk("forced"));
    nodes.await_whole();
}

/// A shard with two nodes has one vote, the master's: its replica only learns, and takes the vote over with the leadership.
#[test]
fn a_replica_that_only_learns_takes_over() {
    let nodes = Nodes::launch(2);
    let port = nodes.list[1].port;
    assert_eq!(nodes.client(0).run("CLUSTER ADDSLOTSRANGE 0 16383"), Value::ok());
    assert_eq!(nodes.client(0).run(&format!("CLUSTER MEET 127.0.0.1 {port}")), Value::ok());
    wait_for("two nodes that know each other", || (nodes.known(1).len() == 2).then_some(()));
    let master = nodes.id(0);
    wait_for("a replica", || {
        (nodes.client(1).run(&format!("CLUSTER REPLICATE {master}")) == Value::ok()).then_some(())
    });
    for number in 0..100 {
        let set = || (nodes.client(0).run(&format!("SET key-{number} value")) == Value::ok()).then_some(());
        wait_for("a slot that is served", set);
    }
    for (old, new) in [(0, 1), (1, 0), (0, 1)] {
        wait_for("a replica that has caught up", || {
            (nodes.ask(new, "CLUSTER FAILOVER") == Some(Value::ok())).then_some(())
        });
        assert_eq!(nodes.client(new).run("ROLE").elements()[0], Value::bulk("master"));
        assert_eq!(nodes.client(new).run("DBSIZE"), Value::Integer(100));
        assert_eq!(nodes.client(new).run("SET key-0 value"), Value::ok());
        wait_for("the old master to be a replica", || {
            let role = nodes.client(old).run("ROLE").elements()[0].text();
            (role == "slave" && nodes.masters(old) == [new]).then_some(())
        });
    }
    // At once behind one another: the change of voters that the one before has begun is still under way then.
    for new in [0, 1, 0, 1, 0, 1, 0, 1] {
        let taken_over = || (nodes.ask(new, "CLUSTER FAILOVER") == Some(Value::ok())).then_some(());
        wait_for("a master that has heard of its successor", taken_over);
        assert_eq!(nodes.client(new).run("SET key-0 value"), Value::ok());
    }
    wait_for("a replica", || (nodes.masters(0) == [1] && nodes.masters(1) == [1]).then_some(()));
    assert_eq!(nodes.client(1).run("DBSIZE"), Value::Integer(100));
}

/// The load of `tests/python/cluster_load.py`.
struct Load {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Load {
    fn start(nodes: &Nodes, retries: &str) -> Self {
        let mut command: Command = python_script("cluster_load.py");
        command.arg(retries).args(nodes.list.iter().map(|node| node.port.to_string()));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a Python that starts");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it prints text");
        assert_eq!(line, "writing\n");
        Self { child, output }
    }

    /// Ends it; fails unless everything is there that was acknowledged, once (without retries). What it says of it.
    fn finish(mut self) -> String {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.output.read_to_string(&mut said).expect("it prints text");
        assert!(self.child.wait().expect("it is our child").success(), "{said}");
        assert!(said.contains(" lost 0 stale 0 "), "{said}");
        said
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Five times the node that leads the group of the topology and a shard as well: killed or stopped in turn.
fn strike_meta_leader(nodes: &mut Nodes) {
    let all = [0, 1, 2, 3, 4, 5];
    for round in 0..5 {
        let victim = wait_for("a master that leads the group of the topology", || {
            let leader = nodes.meta_leader(&all)?;
            if nodes.masters(leader).contains(&leader) {
                return Some(leader);
            }
            let _ = nodes.ask(leader, "CLUSTER FAILOVER");
            None
        });
        if round % 2 == 0 { kill_one(nodes, victim) } else { stop_one(nodes, victim) }
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
    // Each node shows that by its own connections.
    wait_for("no connection with the dead node", || {
        let lines = |at: usize| nodes.client(at).run("CLUSTER NODES").text();
        let is_gone = |lines: String| lines.lines().all(|line| line.contains("disconnected") == line.starts_with(&id));
        (0..nodes.list.len()).filter(|&at| at != victim).all(|at| is_gone(lines(at))).then_some(())
    });
    nodes.list[victim].restart();
    nodes.await_whole();
    let known = nodes.known(victim);
    let myself = known.iter().find(|node| node.is("myself")).expect("it shows itself");
    assert!(myself.id == id && myself.is("slave"), "{myself:?}");
}

/// SIGSTOP past its lease, a write elsewhere, SIGCONT: what it answers then is not the past.
fn stop_one(nodes: &mut Nodes, victim: usize) {
    let key = KEYS.into_iter().find(|key| nodes.master_of(0, key) == victim).expect("a key of each master");
    let mut before = nodes.client(victim);
    assert_eq!(before.run(&format!("SET {key} old")), Value::ok());
    nodes.list[victim].process().stop();
    let seen_from = survivor(nodes, &[victim]);
    wait_for("a write elsewhere", || {
        (0..nodes.list.len()).filter(|&at| at != victim).find_map(|at| {
            let reply = nodes.ask(at, &format!("SET {key} new"))?;
            (reply == Value::ok()).then_some(())
        })
    });
    await_writes(nodes, &[victim]);
    assert!(nodes.known(seen_from).len() == 6);
    nodes.list[victim].process().signal(Signal::CONT);
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
