//! A client that knows which node serves which slot: it asks CLUSTER SLOTS, and goes where MOVED sends it.
//!
//! One that has sent READONLY asks any node of a slot's shard, and what it reads may be old.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::SmallRng;
use resp::Value;
use slot::Slot;
use tokio::time;

use super::MEMBERS;
use super::watch::Watch;
use crate::client::{Broken, Command, Connection, command};
use crate::heard::Heard;
use crate::hosts::{Hosts, SharedHosts};
use crate::oracle::{Oracle, Span};
use crate::reach::Reach;
use crate::trace::Topic;
use crate::workload::PAUSE;

/// A command that is sent from node to node more often than this is given up, as clients do.
const REDIRECTIONS_MAX: usize = 5;
/// What it takes at least to be sent to another node.
const ROUND_TRIP: Duration = Duration::from_millis(1);
/// How long a client waits for what a node knows of the slots.
const SLOTS_WITHIN: Duration = Duration::from_millis(300);

/// See the module.
pub(crate) struct Guided {
    number: usize,
    hosts: SharedHosts,
    oracle: Rc<RefCell<Oracle>>,
    watch: Rc<RefCell<Watch>>,
    /// By host.
    connections: BTreeMap<usize, Connection>,
    /// Ranges of slots, and who serves each: the master first.
    map: Vec<(u16, u16, Vec<usize>)>,
    /// Where MOVED has sent it since it asked for the map.
    moved: BTreeMap<Slot, usize>,
    /// It takes what replicas know.
    readonly: bool,
    /// The host, and the slot, of the last call.
    last: (usize, Slot),
}

/// What became of one exchange.
struct Exchange {
    replies: Vec<Value>,
    broken: bool,
    /// As [`Heard`] has it.
    gave_up: bool,
}

impl Guided {
    /// Of the client of this number.
    pub(crate) fn new(
        number: usize,
        hosts: SharedHosts,
        oracle: Rc<RefCell<Oracle>>,
        watch: Rc<RefCell<Watch>>,
        readonly: bool,
    ) -> Self {
        Self {
            number,
            hosts,
            oracle,
            watch,
            connections: BTreeMap::new(),
            map: Vec::new(),
            moved: BTreeMap::new(),
            readonly,
            last: (0, Slot::FIRST),
        }
    }

    fn trace(&self, what: &str, bytes: &[u8]) {
        self.hosts.borrow().trace().note(Topic::Client, self.number, what, bytes);
    }

    /// Sees to it that there is a connection to a host; false if its node takes none.
    async fn connect(&mut self, host: usize) -> bool {
        if self.connections.contains_key(&host) {
            return true;
        }
        let stream = self.hosts.borrow().connect(host, self.number);
        let Some(stream) = stream else { return false };
        let mut connection = Connection::new(stream);
        if self.readonly && connection.call(&[command(["READONLY"])], SLOTS_WITHIN, &mut Vec::new()).await.is_err() {
            return false;
        }
        self.connections.insert(host, connection);
        true
    }

    /// Asks a host for the map.
    async fn ask_map(&mut self, host: usize) {
        self.moved.clear();
        if !self.connect(host).await {
            return;
        }
        let connection = self.connections.get_mut(&host).expect("it was just connected");
        let mut replies = Vec::new();
        if connection.call(&[command(["CLUSTER", "SLOTS"])], SLOTS_WITHIN, &mut replies).await.is_err() {
            self.connections.remove(&host);
            return;
        }
        self.map = replies.first().map(slots).unwrap_or_default();
    }

    /// A connected host that should serve the slot, or that may know who does.
    async fn find(&mut self, random: &mut SmallRng, slot: Slot) -> usize {
        loop {
            if self.map.is_empty() {
                let host = random.random_range(0..MEMBERS);
                self.ask_map(host).await;
            }
            let host = self.host_of(random, slot).unwrap_or_else(|| random.random_range(0..MEMBERS));
            if self.connect(host).await {
                return host;
            }
            self.map.clear();
            time::sleep(PAUSE).await;
        }
    }

    fn host_of(&self, random: &mut SmallRng, slot: Slot) -> Option<usize> {
        if let Some(&host) = self.moved.get(&slot) {
            return Some(host);
        }
        let is_in = |(first, last, _): &&(u16, u16, Vec<usize>)| (*first..=*last).contains(&slot.number());
        let (_, _, nodes) = self.map.iter().find(is_in).filter(|(_, _, nodes)| !nodes.is_empty())?;
        let place = if self.readonly { random.random_range(0..nodes.len()) } else { 0 };
        nodes.get(place).copied()
    }

    async fn exchange(&mut self, host: usize, slot: Slot, commands: &[Command], patience: Duration) -> Exchange {
        for command in commands {
            self.trace("sends", &command.join(&b' '));
        }
        let fences = |hosts: &Hosts| hosts.all[host].node().map(|node| node.fences(slot));
        let before = fences(&self.hosts.borrow());
        let connection = self.connections.get_mut(&host).expect("it is there");
        let mut replies = Vec::new();
        let outcome = connection.call(commands, patience, &mut replies).await;
        let broken = outcome.is_err();
        let heard = if broken { "hears, and no more," } else { "hears" };
        self.hosts.borrow().trace().note(Topic::Client, self.number, heard, connection.heard());
        let after = fences(&self.hosts.borrow());
        if commands.iter().zip(&replies).any(|(command, reply)| is_accepted(command, reply)) {
            self.watch.borrow_mut().accepted(host, slot, before.as_deref(), after.as_deref());
        }
        if broken {
            self.connections.remove(&host);
            self.map.clear();
        }
        Exchange { replies, broken, gave_up: outcome == Err(Broken::GivenUp) }
    }

    /// Goes on after an exchange: whether the same commands are to be sent again.
    fn follow(&mut self, random: &mut SmallRng, slot: Slot, commands: &[Command], exchange: &Exchange) -> bool {
        let errors = || exchange.replies.iter().filter_map(Value::as_error);
        let Some(first) = errors().next() else { return false };
        let Some(target) = moved_to(first) else {
            // Somebody else may know better.
            self.map.clear();
            return false;
        };
        if random.random_range(0..4) == 0 {
            self.map.clear();
        } else {
            self.moved.insert(slot, target);
        }
        let is_moved = |(command, reply): (&Command, &Value)| {
            is_about_node(command) || reply.as_error().is_some_and(|error| moved_to(error).is_some())
        };
        !exchange.broken && commands.iter().zip(&exchange.replies).all(is_moved)
    }

    fn heard(&self, exchange: Exchange, start: u64) -> Heard {
        let end = self.oracle.borrow_mut().event();
        let by_leader = Some(!self.readonly);
        let Exchange { replies, gave_up, .. } = exchange;
        Heard { replies, span: Span { start, end }, by_leader, host: self.last.0, gave_up }
    }
}

impl Reach for Guided {
    async fn call(&mut self, random: &mut SmallRng, key: &str, commands: &[Command], patience: Duration) -> Heard {
        let slot = Slot::of_key(key.as_bytes());
        let mut start = None;
        for redirection in 0.. {
            let host = self.find(random, slot).await;
            self.last = (host, slot);
            let start = *start.get_or_insert_with(|| self.oracle.borrow_mut().event());
            let exchange = self.exchange(host, slot, commands, patience).await;
            let goes_on = self.follow(random, slot, commands, &exchange);
            if !goes_on || redirection == REDIRECTIONS_MAX {
                return self.heard(exchange, start);
            }
            time::sleep(ROUND_TRIP).await;
        }
        unreachable!("the last redirection ends it")
    }

    fn is_linked(&self) -> bool {
        self.connections.contains_key(&self.last.0)
    }

    async fn call_again(&mut self, random: &mut SmallRng, commands: &[Command], patience: Duration) -> Heard {
        let (host, slot) = self.last;
        let start = self.oracle.borrow_mut().event();
        let exchange = self.exchange(host, slot, commands, patience).await;
        self.follow(random, slot, commands, &exchange);
        self.heard(exchange, start)
    }
}

/// INFO says something about the node; where it is asked does not matter to the others.
fn is_about_node(command: &Command) -> bool {
    command[0] == b"INFO"
}

/// Whether the reply says that the slot of the command's keys was served.
fn is_accepted(command: &Command, reply: &Value) -> bool {
    let is_about_data = !matches!(command[0].as_slice(), b"INFO" | b"WATCH" | b"MULTI");
    let is_queued = *reply == Value::Simple(b"QUEUED".to_vec());
    is_about_data && !is_queued && reply.as_error().is_none() && !matches!(reply, Value::NullArray)
}

/// The host that a redirection names.
fn moved_to(error: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(error.strip_prefix(b"MOVED ")?).ok()?;
    let (_, address) = text.split_once(' ')?;
    host_at(address.split_once(':')?.0)
}

/// The host of an address.
pub(super) fn host_at(ip: &str) -> Option<usize> {
    ip.rsplit_once('.')?.1.parse::<usize>().ok()?.checked_sub(1)
}

/// The ranges of a reply to CLUSTER SLOTS.
pub(super) fn slots(reply: &Value) -> Vec<(u16, u16, Vec<usize>)> {
    let range = |range: &Value| {
        let fields = range.as_array()?;
        let number = |place: usize| u16::try_from(fields.get(place)?.as_integer()?).ok();
        let node = |node: &Value| host_at(std::str::from_utf8(node.as_array()?.first()?.as_bytes()?).ok()?);
        Some((number(0)?, number(1)?, fields.get(2..)?.iter().filter_map(node).collect()))
    };
    reply.as_array().unwrap_or_default().iter().filter_map(range).collect()
}
