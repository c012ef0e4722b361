//! Nodes of a cluster: servers of one host that redis-cli makes into a cluster, and waiting until they are one.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::server::{CAIRN, FILE, answers, free_port};
use super::{Client, Directory, PATIENCE, Server, Value, wait_for, wire};

/// How long a question that is asked again may wait for its answer: a stopped server takes connections and never answers.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Voters of a shard, where there are nodes enough and nothing else is said.
const VOTERS: usize = 3;

/// Servers, the first of which are those that were asked to be masters.
pub(crate) struct Nodes {
    /// In the order in which redis-cli was given them.
    pub(crate) list: Vec<Server>,
    /// Lines of every node's configuration file.
    directives: String,
    /// Voters of a shard, where there are nodes enough.
    voters: usize,
}

/// What a node says of one node: a line of CLUSTER NODES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) port: u16,
    pub(crate) flags: Vec<String>,
    /// The id of its master.
    pub(crate) master: Option<String>,
    pub(crate) slots: Vec<String>,
}

impl Known {
    /// Whether it is shown with this flag.
    pub(crate) fn is(&self, flag: &str) -> bool {
        self.flags.iter().any(|has| has == flag)
    }
}

impl Nodes {
    /// Starts servers that may become nodes of one cluster, each with a configuration file of its own.
    pub(crate) fn launch(count: usize) -> Self {
        Self::launch_with(count, &[])
    }

    /// As [`Self::launch`], with further directives.
    pub(crate) fn launch_with(count: usize, directives: &[&str]) -> Self {
        let factor = directives.iter().find_map(|line| line.strip_prefix("cluster-replication-factor "));
        let voters = factor.map_or(VOTERS, |factor| factor.parse().expect("a number"));
        let directives = directives.iter().map(|line| format!("{line}\n")).collect();
        let mut nodes = Self { list: Vec::new(), directives, voters };
        (0..count).for_each(|_| nodes.add());
        nodes.await_answers();
        nodes
    }

    /// Starts servers and has redis-cli make a cluster of them, with so many replicas of each master. Returns once any one
    /// node may be lost.
    pub(crate) fn create(count: usize, replicas: usize) -> Self {
        Self::create_with(count, replicas, &[])
    }

    /// As [`Self::create`], with further directives.
    pub(crate) fn create_with(count: usize, replicas: usize, directives: &[&str]) -> Self {
        let nodes = Self::launch_with(count, directives);
        let said = nodes.form(replicas);
        assert!(said.contains("[OK] All nodes agree about slots configuration."), "{said}");
        assert!(said.contains("[OK] All 16384 slots covered."), "{said}");
        nodes.await_whole();
        nodes
    }

    /// Starts one more server, and does not wait until it serves.
    pub(crate) fn add(&mut self) {
        let directory = Directory::new();
        let text = format!("cluster-enabled yes\n{}", self.directives);
        std::fs::write(directory.join(FILE), text).expect("the test's directory is writable");
        self.list.push(Server::launch(CAIRN, free_port(), directory, Vec::new()));
    }

    /// Waits until every server answers. One whose port was taken in between is started on another.
    pub(crate) fn await_answers(&mut self) {
        for at in 0..self.list.len() {
            wait_for("a node that answers", || {
                if self.list[at].process().ended().is_some() {
                    let said = self.list[at].process().output();
                    assert!(said.contains("is taken"), "a node ended:\n{said}");
                    self.add();
                    let again = self.list.pop().expect("it was added");
                    self.list[at] = again;
                }
                answers(self.list[at].port).then_some(())
            });
        }
    }

    /// Has redis-cli make a cluster; what it said.
    pub(crate) fn form(&self, replicas: usize) -> String {
        let mut arguments = vec!["create".to_owned()];
        arguments.extend(self.list.iter().map(|node| address(node.port)));
        arguments.extend(["--cluster-replicas".to_owned(), replicas.to_string(), "--cluster-yes".to_owned()]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (succeeded, said) = redis_cli_cluster(&arguments);
        assert!(succeeded, "redis-cli --cluster {}: {said}", arguments.join(" "));
        said
    }

    /// A connection to the node at this place.
    pub(crate) fn client(&self, at: usize) -> Client {
        self.list[at].client()
    }

    /// The cluster as the node at this place shows it.
    pub(crate) fn known(&self, at: usize) -> Vec<Known> {
        self.try_known(at).unwrap_or_else(|| panic!("node {at} does not show its cluster"))
    }

    fn try_known(&self, at: usize) -> Option<Vec<Known>> {
        parse(&self.ask(at, "CLUSTER NODES")?)
    }

    /// The answer of the node at this place, if it has one in time.
    pub(crate) fn ask(&self, at: usize, line: &str) -> Option<Value> {
        let mut client = Client::try_connect(wire::local(self.list[at].port), ANSWER_WITHIN).ok()?;
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        client.try_call(&words).ok()
    }

    /// The place of the node with this client port.
    pub(crate) fn place(&self, port: u16) -> usize {
        self.find(port).expect("a port of these")
    }

    /// As [`Self::place`]; `None` for the port of a node that has moved, which is shown for a while.
    fn find(&self, port: u16) -> Option<usize> {
        self.list.iter().position(|node| node.port == port)
    }

    /// The node id of the node at this place.
    pub(crate) fn id(&self, at: usize) -> String {
        self.client(at).run("CLUSTER MYID").text()
    }

    /// The places of the masters with slots, as the node at this place shows them.
    pub(crate) fn masters(&self, seen_from: usize) -> Vec<usize> {
        let known = self.known(seen_from);
        let leads = known.iter().filter(|node| node.is("master") && !node.is("fail") && !node.slots.is_empty());
        leads.map(|node| self.place(node.port)).collect()
    }

    /// Waits until the node at this place shows who serves a key's slot; the place of that master.
    pub(crate) fn master_of(&self, seen_from: usize, key: &str) -> usize {
        let slot = self.client(seen_from).run(&format!("CLUSTER KEYSLOT {key}")).text();
        let slot: u16 = slot.parse().expect("a slot is a number");
        let has = |range: &String| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            (first.parse().expect("a slot")..=last.parse::<u16>().expect("a slot")).contains(&slot)
        };
        wait_for("a slot that somebody is shown to serve", || {
            let known = self.known(seen_from);
            known.iter().find(|node| node.slots.iter().any(has)).and_then(|node| self.find(node.port))
        })
    }

    /// The place of one replica of the master at this place, as that shows it.
    pub(crate) fn replica_of(&self, master: usize) -> usize {
        let (id, known) = (self.id(master), self.known(master));
        self.place(known.iter().find(|node| node.master.as_ref() == Some(&id)).expect("it has a replica").port)
    }

    /// Whether those at these places, and no others, vote in the group that keeps the cluster's topology; one of them leads it.
    pub(crate) fn votes_in_meta(&self, places: &[usize]) -> bool {
        let roles: Vec<String> = (0..self.list.len()).map(|at| self.meta_role(at)).collect();
        let votes = |role: &String| role == "leader" || role == "follower";
        roles.iter().enumerate().all(|(at, role)| votes(role) == places.contains(&at))
            && roles.iter().filter(|role| *role == "leader").count() == 1
    }

    /// The place of the node that leads the group which keeps the cluster's topology, if one of these does.
    pub(crate) fn meta_leader(&self, among: &[usize]) -> Option<usize> {
        among.iter().copied().find(|&at| self.meta_role(at) == "leader")
    }

    fn meta_role(&self, at: usize) -> String {
        let info = self.ask(at, "INFO raft").map(|info| info.text()).unwrap_or_default();
        let role = info.lines().find_map(|line| line.strip_prefix("cairn_meta_role:").map(str::to_owned));
        role.unwrap_or_default()
    }

    /// Waits until all nodes show the same cluster, in order, and every shard has as many voters as it should have: then
    /// any one node may be lost.
    pub(crate) fn await_whole(&self) {
        let all: Vec<usize> = (0..self.list.len()).collect();
        self.await_whole_of(&all);
    }

    /// As [`Self::await_whole`], of the nodes at these places.
    pub(crate) fn await_whole_of(&self, places: &[usize]) {
        let mut why = String::new();
        let found = super::wait_within(PATIENCE, || match self.whole(places) {
            Ok(()) => Some(()),
            Err(not) => {
                why = not;
                None
            }
        });
        assert!(found.is_some(), "waited {PATIENCE:?} in vain for a whole cluster: {why}");
    }

    fn whole(&self, places: &[usize]) -> Result<(), String> {
        let voters_wanted = self.voters.min(places.len());
        let mut seen = None;
        for &at in places {
            let not = |what: &str| Err(format!("node {at} ({}): {what}", self.list[at].port));
            let Some(info) = self.ask(at, "CLUSTER INFO") else { return not("no answer") };
            if !info.text().contains("cluster_state:ok") {
                return not("its cluster is not in order");
            }
            let Some(mut known) = self.try_known(at) else { return not("it shows no cluster") };
            known.iter_mut().for_each(|node| node.flags.retain(|flag| flag != "myself"));
            if known.iter().any(|node| node.is("fail") || node.is("fail?")) || known.len() != places.len() {
                return not(&format!("it shows {known:?}"));
            }
            let leads = known.iter().any(|node| node.port == self.list[at].port && !node.slots.is_empty());
            if leads {
                let info = self.ask(at, "INFO raft").map(|info| info.text()).unwrap_or_default();
                if !info.contains(&format!("raft_voters:{voters_wanted}")) {
                    return not(&format!("its shard has not {voters_wanted} voters:\n{info}"));
                }
                if places.len() >= self.voters && !info.contains("cairn_underreplicated_shards:0") {
                    return not(&format!("a shard misses a voter:\n{info}"));
                }
            }
            if *seen.get_or_insert_with(|| known.clone()) != known {
                return not("it shows another cluster than the first");
            }
        }
        Ok(())
    }
}

/// Reads CLUSTER NODES.
pub(crate) fn parse(nodes: &Value) -> Option<Vec<Known>> {
    let text = nodes.text();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let (ip_and_port, _) = fields.get(1)?.split_once('@')?;
        Some(Known {
            id: fields[0].to_owned(),
            port: ip_and_port.rsplit_once(':')?.1.parse().ok()?,
            flags: fields.get(2)?.split(',').map(str::to_owned).collect(),
            master: fields.get(3).filter(|id| **id != "-").map(|id| (*id).to_owned()),
            slots: fields.iter().skip(8).map(|slots| (*slots).to_owned()).collect(),
        })
    };
    matches!(nodes, Value::Bulk(_)).then(|| text.lines().map(line).collect())?
}

/// A host and port as redis-cli is given them.
pub(crate) fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Runs `redis-cli --cluster`; whether it succeeded, and what it said.
pub(crate) fn redis_cli_cluster(arguments: &[impl AsRef<std::ffi::OsStr>]) -> (bool, String) {
    let mut command = Command::new("redis-cli");
    command.arg("--cluster").args(arguments).stdin(Stdio::null());
    let output = command.output().expect("redis-cli: run `cargo xtask test` once, it sets up what the tests need");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}
