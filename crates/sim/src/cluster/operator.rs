//! The operator: forms a cluster and changes it by the commands of `redis-cli --cluster`, over connections like everybody's.
//!
//! Where things go wrong a command may have no answer, or come to nothing: it is given again until the nodes themselves show that what
//! it is for has come about. Where nothing goes wrong one MEET and one REPLICATE a node must do, as redis-cli gives no more.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use resp::Value;
use slot::Slot;
use tokio::sync::Notify;
use tokio::time::{self, Instant};

use super::guided::{host_at, slots};
use super::plan::{Job, Plan};
use super::{MEMBERS, SHARDS, SPARE, WANDERING, steady_slot};
use crate::client::{Command, Connection, command};
use crate::hazard::{Hazard, Hazards};
use crate::host::{CLIENT_PORT, ip};
use crate::hosts::SharedHosts;
use crate::tasks;
use crate::trace::Topic;

/// How long it waits for an answer. Some commands take seconds by themselves.
const PATIENCE: Duration = Duration::from_secs(12);
/// Between two looks at what has come about.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// After this long without an effect a command is given again.
const AGAIN_AFTER: Duration = Duration::from_millis(2500);

/// The slots that the shards begin with.
const RANGES: [(u16, u16); SHARDS] = [(0, 5460), (5461, 10_922), (10_923, 16_383)];

/// See the module. Clones are one operator.
#[derive(Clone)]
pub(crate) struct Operator(Rc<Inner>);

struct Inner {
    hosts: SharedHosts,
    hazards: Rc<RefCell<Hazards>>,
    /// What its connections are called by.
    number: usize,
    plan: Plan,
    jobs: RefCell<VecDeque<Job>>,
    given: Notify,
    is_formed: Cell<bool>,
    is_idle: Cell<bool>,
    /// Whether the spare host is one of the cluster's.
    has_spare: Cell<bool>,
    /// What it is about, for whoever reads why a run failed.
    about: RefCell<String>,
}

/// A line of CLUSTER NODES.
struct Line {
    host: usize,
    text: String,
}

impl Operator {
    pub(crate) fn new(hosts: SharedHosts, hazards: Rc<RefCell<Hazards>>, number: usize, plan: Plan) -> Self {
        Self(Rc::new(Inner {
            hosts,
            hazards,
            number,
            plan,
            jobs: RefCell::default(),
            given: Notify::new(),
            is_formed: Cell::new(false),
            is_idle: Cell::new(false),
            has_spare: Cell::new(false),
            about: RefCell::default(),
        }))
    }

    /// Forms the cluster, then does what it is given, for as long as the run lasts.
    pub(crate) async fn work(self) {
        self.form().await;
        self.0.is_formed.set(true);
        loop {
            let job = self.0.jobs.borrow_mut().pop_front();
            match job {
                Some(Job::Add { via, shard }) => self.add(via, shard).await,
                Some(Job::Remove) => self.remove().await,
                Some(Job::Move { tag, shard }) => self.move_slot(Slot::of_key(WANDERING[tag].as_bytes()), shard).await,
                None => {
                    self.0.is_idle.set(true);
                    self.0.given.notified().await;
                }
            }
        }
    }

    /// Gives it something to do, behind what it has to do already.
    pub(crate) fn give(&self, job: Job) {
        self.0.is_idle.set(false);
        self.0.jobs.borrow_mut().push_back(job);
        self.0.given.notify_one();
    }

    /// Whether the cluster was formed.
    pub(crate) fn is_formed(&self) -> bool {
        self.0.is_formed.get()
    }

    /// Whether everything that it was given has come about.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.is_idle.get()
    }

    /// The hosts of the cluster, once it is idle.
    pub(crate) fn members(&self) -> Vec<usize> {
        (0..MEMBERS).chain(self.0.has_spare.get().then_some(SPARE)).collect()
    }

    /// What it is about.
    pub(crate) fn about(&self) -> String {
        self.0.about.borrow().clone()
    }

    /// Asks a host's node to lead its shard; what becomes of it shows by itself.
    pub(crate) fn fail_over(&self, host: usize) {
        let operator = self.clone();
        drop(tasks::beside(async move { operator.ask(host, command(["CLUSTER", "FAILOVER"])).await }));
    }

    fn begin(&self, about: String) {
        self.0.hosts.borrow().trace().note(Topic::Client, self.0.number, &about, &[]);
        *self.0.about.borrow_mut() = about;
    }

    /// One command over a connection of its own; `None` without an answer.
    async fn ask(&self, host: usize, command: Command) -> Option<Value> {
        let stream = self.0.hosts.borrow().connect(host, self.0.number)?;
        let trace = |what: &str, bytes: &[u8]| {
            self.0.hosts.borrow().trace().note(Topic::Client, self.0.number, what, bytes);
        };
        trace(&format!("asks host {host}"), &command.join(&b' '));
        let mut connection = Connection::new(stream);
        let mut replies = Vec::new();
        let answered = connection.call(&[command], PATIENCE, &mut replies).await;
        trace(if answered.is_ok() { "hears" } else { "hears nothing" }, connection.heard());
        replies.pop()
    }

    async fn text(&self, host: usize, command: Command) -> Option<String> {
        let value = self.ask(host, command).await?;
        Some(String::from_utf8_lossy(value.as_bytes()?).into_owned())
    }

    /// Gives a command again and again until something has come about. Where nothing goes wrong once has to do.
    async fn until(&self, host: usize, command: Command, is_done: impl AsyncFn(&Self) -> bool) {
        let may_repeat = !self.0.plan.is_calm();
        let mut given: Option<Instant> = None;
        while !is_done(self).await {
            if given.is_none_or(|at| may_repeat && at.elapsed() > AGAIN_AFTER) {
                let answer = self.ask(host, command.clone()).await;
                let is_refused = answer.is_none_or(|answer| answer.as_error().is_some());
                // What was refused is given again in any case: redis-cli does so with REPLICATE.
                given = (!is_refused).then(Instant::now);
            }
            time::sleep(LOOK_EVERY).await;
        }
    }

    /// What CLUSTER NODES says on a host.
    async fn lines(&self, host: usize) -> Vec<Line> {
        let text = self.text(host, command(["CLUSTER", "NODES"])).await.unwrap_or_default();
        let line = |line: &str| {
            Some(Line { host: host_at(line.split(' ').nth(1)?.split_once(':')?.0)?, text: line.to_owned() })
        };
        text.lines().filter_map(line).collect()
    }

    /// Whether a host's node says that exactly these are of its cluster.
    async fn knows(&self, host: usize, members: &[usize]) -> bool {
        let mut known: Vec<usize> = self.lines(host).await.into_iter().map(|line| line.host).collect();
        known.sort_unstable();
        known == members
    }

    async fn owner(&self, slot: Slot) -> Owner {
        let Some(reply) = self.ask(0, command(["CLUSTER", "SLOTS"])).await else { return Owner::Unknown };
        let is_in = |(first, last, _): &&(u16, u16, Vec<usize>)| (*first..=*last).contains(&slot.number());
        match slots(&reply).iter().find(is_in) {
            Some((_, _, nodes)) => nodes.first().map_or(Owner::Unknown, |&host| Owner::Host(host)),
            None => Owner::Nobody,
        }
    }

    /// The name of a host's shard.
    async fn shard_of(&self, host: usize) -> Option<String> {
        self.text(host, command(["CLUSTER", "MYSHARDID"])).await
    }

    fn id(&self, host: usize) -> String {
        self.0.hosts.borrow().all[host].id().to_string()
    }

    async fn form(&self) {
        for (host, (first, last)) in RANGES.into_iter().enumerate() {
            self.begin(format!("gives slots to host {host}"));
            let range = format!("{first}-{last}");
            let give = command(["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
            self.until(host, give, async |operator| {
                let lines = operator.lines(host).await;
                lines.iter().any(|line| line.host == host && line.text.ends_with(&range))
            })
            .await;
        }
        for host in 0..MEMBERS {
            let epoch = (host + 1).to_string();
            self.ask(host, command(["CLUSTER", "SET-CONFIG-EPOCH", &epoch])).await;
        }
        self.begin("lets all meet the first".to_owned());
        for host in 1..MEMBERS {
            self.ask(host, meet(0)).await;
            self.cut_power_of_joiner(host);
        }
        for &host in &self.0.plan.crossing {
            self.ask(0, meet(host)).await;
        }
        self.cut_power_of_joiner(0);
        self.wait_until_met().await;
        for replica in SHARDS..MEMBERS {
            self.replicate(replica, replica - SHARDS).await;
        }
        self.begin("has formed the cluster".to_owned());
    }

    /// Waits until all know all. Who does not may have lost what it was told: where things go wrong it is told again.
    async fn wait_until_met(&self) {
        self.begin("waits until all know all".to_owned());
        let all: Vec<usize> = (0..MEMBERS).collect();
        let mut told = Instant::now();
        loop {
            let mut missing = Vec::new();
            for host in 0..MEMBERS {
                if !self.knows(host, &all).await {
                    missing.push(host);
                }
            }
            if missing.is_empty() {
                return;
            }
            if !self.0.plan.is_calm() && told.elapsed() > AGAIN_AFTER {
                for host in missing.into_iter().filter(|host| *host > 0) {
                    self.ask(host, meet(0)).await;
                }
                told = Instant::now();
            }
            time::sleep(LOOK_EVERY).await;
        }
    }

    /// A host that was just told to meet the first loses power soon, if it is planned.
    fn cut_power_of_joiner(&self, host: usize) {
        let planned = self.0.plan.cut_joiners.iter().find(|(joiner, ..)| *joiner == host).copied();
        let Some((_, after_ms, down_ms)) = planned else { return };
        let hazards = Rc::clone(&self.0.hazards);
        drop(tasks::beside(async move {
            time::sleep(Duration::from_millis(after_ms)).await;
            hazards.borrow_mut().happen(Hazard::PowerCut(host, down_ms));
        }));
    }

    /// Makes a host a replica of a shard, by the name of whoever leads it.
    async fn replicate(&self, host: usize, shard: usize) {
        self.begin(format!("makes host {host} a replica of shard {shard}"));
        let is_done = async || {
            let (one, other) = (self.shard_of(host).await, self.shard_of(shard).await);
            one.is_some() && one == other
        };
        while !is_done().await {
            if let Owner::Host(master) = self.owner(steady_slot(shard)).await {
                self.ask(host, command(["CLUSTER", "REPLICATE", &self.id(master)])).await;
            }
            self.relieve(host).await;
            time::sleep(LOOK_EVERY).await;
        }
    }

    /// While a host leads with slots it can neither go nor change sides: those who follow it are asked to take over.
    async fn relieve(&self, of: usize) {
        let leads = |line: &Line| line.host == of && line.text.contains("master") && line.text.split(' ').count() > 8;
        if !self.lines(0).await.iter().any(leads) {
            return;
        }
        let shard = self.shard_of(of).await;
        for host in (0..MEMBERS).filter(|&host| host != of) {
            if shard.is_some() && self.shard_of(host).await == shard {
                self.ask(host, command(["CLUSTER", "FAILOVER"])).await;
            }
        }
    }

    async fn add(&self, via: usize, shard: Option<usize>) {
        self.begin(format!("takes the spare host in, by host {via}"));
        let all: Vec<usize> = (0..MEMBERS + 1).collect();
        let is_in = async |operator: &Self| operator.knows(SPARE, &all).await && operator.knows(0, &all).await;
        self.until(SPARE, meet(via), is_in).await;
        if let Some(shard) = shard {
            self.replicate(SPARE, shard).await;
        }
        self.0.has_spare.set(true);
    }

    /// As redis-cli's del-node: the others forget it, then it is told to begin anew.
    async fn remove(&self) {
        if !self.0.has_spare.get() {
            return;
        }
        self.begin("lets the spare host go".to_owned());
        let (id, members): (String, Vec<usize>) = (self.id(SPARE), (0..MEMBERS).collect());
        while !self.knows(0, &members).await {
            for host in 0..MEMBERS {
                self.ask(host, command(["CLUSTER", "FORGET", &id])).await;
            }
            self.relieve(SPARE).await;
            time::sleep(LOOK_EVERY).await;
        }
        self.until(SPARE, command(["CLUSTER", "RESET", "SOFT"]), async |operator| {
            operator.knows(SPARE, &[SPARE]).await
        })
        .await;
        self.0.has_spare.set(false);
    }

    /// Takes a slot from whoever owns it and gives it to another shard; where keys of it are left, once they are gone.
    async fn move_slot(&self, slot: Slot, shard: usize) {
        self.begin(format!("moves slot {slot} to shard {shard}"));
        let number = slot.number().to_string();
        loop {
            match self.owner(slot).await {
                Owner::Nobody => break,
                Owner::Host(host) => drop(self.ask(host, command(["CLUSTER", "DELSLOTS", &number])).await),
                Owner::Unknown => (),
            }
            time::sleep(LOOK_EVERY).await;
        }
        // Whoever leads the shard by then, the slot of a steady tag tells.
        let steady = steady_slot(shard);
        loop {
            match (self.owner(slot).await, self.owner(steady).await) {
                (Owner::Host(_), _) => return,
                (Owner::Nobody, Owner::Host(host)) => {
                    self.ask(host, command(["CLUSTER", "ADDSLOTS", &number])).await;
                }
                _ => (),
            }
            time::sleep(LOOK_EVERY).await;
        }
    }

    /// What these hosts' nodes say of the cluster, where they should say the same and that all is well.
    ///
    /// # Errors
    /// Says how they differ.
    pub(crate) async fn agreement(&self, members: &[usize]) -> Result<(), String> {
        let mut first: Option<(Value, String)> = None;
        for &host in members {
            let slots = self.ask(host, command(["CLUSTER", "SLOTS"])).await.ok_or("no answer")?;
            let nodes = self.text(host, command(["CLUSTER", "NODES"])).await.ok_or("no answer")?;
            let nodes = nodes.replace("myself,", "");
            let info = self.text(host, command(["CLUSTER", "INFO"])).await.unwrap_or_default();
            if !info.contains("cluster_state:ok") || !info.contains("cluster_slots_assigned:16384") {
                return Err(format!("host {host}: {info}"));
            }
            if nodes.lines().count() != members.len() || nodes.contains("fail") || nodes.contains("noaddr") {
                return Err(format!("host {host} knows\n{nodes}"));
            }
            let (known, of_first) = first.get_or_insert_with(|| (slots.clone(), nodes.clone()));
            if *known != slots || *of_first != nodes {
                return Err(format!("host {host} knows\n{nodes}\nthe first\n{of_first}"));
            }
        }
        Ok(())
    }
}

/// Who owns a slot.
enum Owner {
    /// This host's node leads its shard.
    Host(usize),
    Nobody,
    /// Nobody answers, or nobody is known to lead.
    Unknown,
}

fn meet(host: usize) -> Command {
    command(["CLUSTER", "MEET", &ip(host), &CLIENT_PORT.to_string()])
}
