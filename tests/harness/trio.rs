//! One shard of three voters: three servers that form a group.

use std::time::{Duration, Instant};

use super::server::{CAIRN, answers, free_port};
use super::{Client, Directory, Server, Value, wait_for, wire};

/// Three servers.
pub(crate) struct Trio {
    /// In the order of `initial-members`.
    pub(crate) nodes: Vec<Server>,
}

impl Trio {
    /// Starts three and waits until they agree on a leader.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_program(CAIRN, arguments)
    }

    /// As [`Self::start`], of another program.
    pub(crate) fn start_program(program: &'static str, arguments: &[&str]) -> Self {
        for _ in 0..3 {
            let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
            let mut all: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            all.push("--initial-members".into());
            all.extend(ports.iter().map(|port| format!("127.0.0.1:{port}")));
            let nodes =
                ports.iter().map(|&port| Server::launch(program, port, Directory::new(), all.clone())).collect();
            let mut trio = Self { nodes };
            if trio.forms() {
                return trio;
            }
        }
        panic!("no three ports stayed free");
    }

    fn forms(&mut self) -> bool {
        wait_for("three nodes that form a shard", || {
            for node in &mut self.nodes {
                if let Some(status) = node.process().ended() {
                    let said = node.process().output();
                    assert!(said.contains("is taken"), "a node ended: {status}\n{said}");
                    return Some(false);
                }
            }
            let all_answer = self.nodes.iter().all(|node| answers(node.port));
            (all_answer && self.find_leader().is_some()).then_some(true)
        })
    }

    /// The place of the node that says it leads, if all that answer agree.
    fn find_leader(&self) -> Option<usize> {
        let says_master = |node: &Server| {
            let mut client = Client::try_connect(wire::local(node.port), Duration::from_millis(500)).ok()?;
            let role = client.try_call(&[b"ROLE"]).ok()?;
            Some(role.elements().first()?.text() == "master")
        };
        let leaders: Vec<usize> =
            (0..self.nodes.len()).filter(|&at| says_master(&self.nodes[at]) == Some(true)).collect();
        if let [leader] = leaders[..] { Some(leader) } else { None }
    }

    /// Whether every node has a voting replica: one leads, the others follow.
    pub(crate) fn all_vote(&self) -> bool {
        let role = |node: &Server| {
            let client = Client::try_connect(wire::local(node.port), Duration::from_millis(500)).ok();
            let info = client.and_then(|mut client| client.try_call(&[b"INFO", b"raft"]).ok());
            info.map(|info| info.text()).unwrap_or_default()
        };
        let roles: Vec<String> = self.nodes.iter().map(role).collect();
        let count = |wanted: &str| roles.iter().filter(|text| text.contains(wanted)).count();
        count("raft_role:leader") == 1 && count("raft_role:follower") == self.nodes.len() - 1
    }

    /// Waits for a leader; its place.
    pub(crate) fn leader(&self) -> usize {
        wait_for("one leader", || self.find_leader())
    }

    /// The places of the others.
    pub(crate) fn others(&self, than: usize) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&at| at != than).collect()
    }

    /// Waits until a write through any of the nodes `among` is acknowledged; the place, and how long it took.
    pub(crate) fn write_somewhere(&self, among: &[usize], words: &[&[u8]]) -> (usize, Duration) {
        let start = Instant::now();
        let place = wait_for("an acknowledged write", || {
            among.iter().copied().find(|&at| {
                let client = Client::try_connect(wire::local(self.nodes[at].port), Duration::from_millis(500));
                client
                    .and_then(|mut client| client.try_call(words))
                    .is_ok_and(|reply| !matches!(reply, Value::Error(_)))
            })
        });
        (place, start.elapsed())
    }

    /// The terms that the nodes know, by place.
    pub(crate) fn terms(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.info("raft_term")).collect()
    }

    /// Waits until every node has applied what the leader has.
    pub(crate) fn level(&self) {
        wait_for("three nodes with equal logs", || {
            let applied: Vec<String> = self.nodes.iter().map(|node| node.info("raft_applied_index")).collect();
            let committed: Vec<String> = self.nodes.iter().map(|node| node.info("raft_commit_index")).collect();
            let newest = &committed[0];
            applied.iter().chain(&committed).all(|index| index == newest).then_some(())
        });
    }
}

/// What a node answers that has just lost its leadership: it knows that it leads no more before it knows who does.
pub(crate) fn once_a_leader_is_known(client: &mut Client, command: &str) -> Value {
    wait_for("word of another leader", || {
        let told = client.run(command);
        (!told.is_error("NOREPLICAS ")).then_some(told)
    })
}
