//! A cluster's run: it is formed, clients work while things go wrong and it is changed, all is mended, and then it must be whole.
//!
//! ```text
//! form    hosts on, clients begin at once; in some runs things go wrong from the beginning, in others once it is formed
//! safety  the plan's events; everything watched every [`LOOK_EVERY`]; without faults, no shard changes its leader
//! heal    links mended, disks well, every host on
//! live    within [`LIVE_WITHIN`]: the operator has done everything, what was acknowledged is there, the cluster is whole,
//!         and all nodes say the same of it
//! judge   the clients' whole history
//! ```

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use raft::GroupId;
use slot::Slot;
use tokio::task::JoinHandle;
use tokio::time::{self, Instant};

use super::guided::Guided;
use super::operator::Operator;
use super::plan::{ABSENCE_MS, Event, Job, Kind, Plan, SILENCE_MS, Whom};
use super::watch::{self, Level, Probes, Watch, is_whole, leader_of, meta_leader};
use super::{HOSTS, MEMBERS, SHARDS, STEADY, VOTER_REPLACE_AFTER_MS, WANDERING, steady_slot};
use crate::hazard::{Hazard, Hazards};
use crate::host::{CLIENT_PORT, Part, ip};
use crate::hosts::Making;
use crate::kept::Kept;
use crate::run::{LIVE_WITHIN, LOOK_EVERY, Play, Stage};
use crate::seed::Seed;
use crate::tasks;
use crate::trace::{Topic, Trace};
use crate::workload::{Client, Tags};

/// How long the forming may take where nothing goes wrong meanwhile, in virtual time.
const FORMED_WITHIN: Duration = Duration::from_secs(40);
/// How long a shard may serve nobody while its leader is gone and the topology's group is silent.
const GAP_MAX: Duration = Duration::from_millis(2500);
/// Between two looks for a change of voters that could be undercut: some take no longer than two messages and a sync.
const UNDERCUT_EVERY: Duration = Duration::from_millis(1);
/// Between two looks at whether a cluster is whole.
const WHOLE_EVERY: Duration = Duration::from_millis(250);

/// See the module.
pub(crate) struct Run {
    plan: Plan,
    stage: Stage,
    hazards: Rc<RefCell<Hazards>>,
    watch: Rc<RefCell<Watch>>,
    operator: Operator,
    /// Set when clients are to come to an end.
    is_over: Rc<Cell<bool>>,
    /// The changes of voters in the middle of which a leader has lost power: of which group, and where they are in its log.
    undercut: BTreeSet<(GroupId, u64)>,
    /// In a calm run, the first leader's term of every shard.
    first_terms: BTreeMap<GroupId, u64>,
    /// What was not as it should be when that was looked at last.
    disagreement: RefCell<String>,
}

impl Run {
    pub(crate) fn new(seed: Seed, plan: Plan, trace: Trace) -> Self {
        let parts = (0..HOSTS).map(part).collect();
        let making = Making { links: plan.links, pace: plan.pace, clocks: &plan.clocks, parts, kept: Kept::default() };
        let stage = Stage::new(seed, making, plan.jumps_clocks(), trace);
        let hosts = || Rc::clone(&stage.hosts);
        let hazards = Rc::new(RefCell::new(Hazards::new(hosts(), plan.pace)));
        let watch = Rc::new(RefCell::new(Watch::new(plan.suspends())));
        let operator = Operator::new(hosts(), Rc::clone(&hazards), plan.clients + 1, plan.clone());
        Self {
            plan,
            stage,
            hazards,
            watch,
            operator,
            is_over: Rc::default(),
            undercut: BTreeSet::new(),
            first_terms: BTreeMap::new(),
            disagreement: RefCell::default(),
        }
    }

    fn client(&self, number: usize, readonly: bool) -> Client<Guided> {
        let Stage { seed, hosts, oracle } = &self.stage;
        let reach = Guided::new(number, Rc::clone(hosts), Rc::clone(oracle), Rc::clone(&self.watch), readonly);
        let start = hosts.borrow().start();
        let wandering: &[&str] = if self.plan.moves_slots() { &WANDERING } else { &[] };
        let all = |tags: &[&str]| tags.iter().map(|&tag| tag.to_owned()).collect();
        let tags = Tags { steady: all(&STEADY), wandering: all(wandering) };
        Client::new(number, reach, Rc::clone(oracle), start, tags, seed.of("client", number as u64))
    }

    fn begin_client(&self, number: usize) -> JoinHandle<()> {
        let readonly = number > 0 && self.stage.seed.of("readonly", number as u64).is_multiple_of(4);
        let (client, is_over) = (self.client(number, readonly), Rc::clone(&self.is_over));
        tasks::beside(client.work(move || !is_over.get()))
    }

    /// Waits until the operator has formed the cluster, while nothing goes wrong.
    async fn form(&mut self) -> Result<(), String> {
        let start = Instant::now();
        while !self.operator.is_formed() {
            if start.elapsed() > FORMED_WITHIN {
                return Err(format!("not formed {} s after the start", FORMED_WITHIN.as_secs()));
            }
            time::sleep(LOOK_EVERY).await;
            self.look()?;
        }
        Ok(())
    }

    /// Waits until every shard has its three voters.
    async fn settle(&self) -> Result<(), String> {
        self.whole(&(0..MEMBERS).collect::<Vec<_>>(), Level::No).await
    }

    /// Goes on for a while.
    async fn go_on(&mut self, length: Duration) -> Result<(), String> {
        let end = Instant::now() + length;
        while Instant::now() < end {
            time::sleep(LOOK_EVERY).await;
            let probes = self.look()?;
            self.look_at_leaders(&probes)?;
        }
        Ok(())
    }

    fn look(&self) -> Result<Probes, String> {
        self.watch.borrow_mut().look(&mut self.stage.hosts.borrow_mut())
    }

    /// Where nothing goes wrong the first leader of a shard leads to the end.
    fn look_at_leaders(&mut self, probes: &Probes) -> Result<(), String> {
        if !self.plan.is_calm() {
            return Ok(());
        }
        for replica in probes.iter().flatten().flat_map(|probe| &probe.replicas).filter(|replica| replica.accepts) {
            let (group, term) = (replica.group, replica.status.term);
            let first = *self.first_terms.entry(group).or_insert(term);
            if term != first {
                let leader = replica.status.leader.as_ref().map(|leader| &leader.client_address);
                return Err(format!(
                    "nothing went wrong, and yet {leader:?} leads {group} in term {term} after {first}"
                ));
            }
        }
        Ok(())
    }

    /// Lets the plan happen.
    async fn misfortune(&mut self) -> Result<(), String> {
        let start = Instant::now();
        let mut events = self.plan.events.clone().into_iter().peekable();
        let every = self.plan.undercut_ms.map_or(LOOK_EVERY, |_| UNDERCUT_EVERY);
        while start.elapsed() < self.plan.length {
            time::sleep(every).await;
            let probes = self.look()?;
            self.undercut(&probes);
            while let Some((_, event)) = events.next_if(|(at, _)| *at <= start.elapsed()) {
                self.happen(event, &probes);
            }
        }
        Ok(())
    }

    fn happen(&self, event: Event, probes: &Probes) {
        match event {
            Event::Hazard(hazard) => self.hazard(hazard.aim(|whom| whom_of(probes, whom))),
            Event::LoseMeta(ms) => {
                let Some(leader) = meta_leader(probes, 0) else { return };
                let voters = probes[leader].as_ref().map_or(0, |probe| probe.meta.voters.len());
                let is_voter = |host: &usize| {
                    let id = self.stage.hosts.borrow().all[*host].id();
                    let probe = probes[leader].as_ref();
                    probe.is_some_and(|probe| probe.meta.voters.values().any(|voter| voter.node == id))
                };
                let others = (0..HOSTS).filter(|&host| host != leader).filter(is_voter);
                let lost: Vec<usize> = std::iter::once(leader).chain(others).take(voters / 2 + 1).collect();
                lost.into_iter().for_each(|host| self.hazard(Hazard::PowerCut(host, ms)));
            }
            Event::Mislead { tag, shard, ms } => self.mislead(probes, tag, shard, ms),
            Event::FailOver(whom) => self.operator.fail_over(whom_of(probes, whom)),
            Event::Job(job) => self.operator.give(job),
        }
    }

    /// Strikes leaders in the middle of a change of voters, if the plan says so; once for each change.
    fn undercut(&mut self, probes: &Probes) {
        let Some(ms) = self.plan.undercut_ms else { return };
        for (host, probe) in watch::known(probes) {
            let meta = std::iter::once((probe.cluster, &probe.meta));
            let groups = meta.chain(probe.replicas.iter().map(|replica| (replica.group, &replica.status)));
            let joint = groups.filter(|(_, status)| status.leads() && status.is_joint());
            let news = joint.filter(|(group, status)| self.undercut.insert((*group, status.members_at))).count();
            if news > 0 {
                self.hazard(Hazard::PowerCut(host, ms));
            }
        }
    }

    fn mislead(&self, probes: &Probes, tag: usize, shard: usize, ms: u64) {
        let slot = Slot::of_key(WANDERING[tag].as_bytes());
        self.operator.give(Job::Move { tag, shard });
        let Some(leader) = leader_of(probes, slot) else { return };
        let (Some(host), Some(probe)) = (follower_of(probes, slot, leader), probes[leader].as_ref()) else { return };
        let (net, operator) = (self.stage.hosts.borrow().net.clone(), self.operator.clone());
        net.silence(probe.cluster, Some(host));
        drop(tasks::beside(async move {
            time::sleep(Duration::from_millis(ms / 3)).await;
            operator.fail_over(host);
            time::sleep(Duration::from_millis(ms - ms / 3)).await;
            net.end_silence();
        }));
    }

    fn hazard(&self, hazard: Hazard<usize>) {
        self.hazards.borrow_mut().happen(hazard);
    }

    /// A host is away for long, and what voted there votes elsewhere by the end of it.
    async fn absence(&mut self, host: usize) -> Result<(), String> {
        self.settle().await?;
        self.hazard(Hazard::PowerCut(host, ABSENCE_MS));
        self.go_on(Duration::from_millis(ABSENCE_MS - 100)).await?;
        let probes = self.look()?;
        let others: Vec<usize> = (0..MEMBERS).filter(|&other| other != host).collect();
        is_whole(&self.stage.hosts.borrow(), &probes, &others, Level::No)
            .map_err(|why| format!("host {host} is away for {ABSENCE_MS} ms, and not replaced: {why}"))
    }

    /// The topology's group is silent, a shard loses its leader, and every shard serves its clients.
    async fn silence(&mut self, shard: usize) -> Result<(), String> {
        self.settle().await?;
        let probes = self.look()?;
        let group = probes[0].as_ref().ok_or("the first host is off")?.cluster;
        self.stage.hosts.borrow().trace().note(Topic::Fault, 0, "silence", &[]);
        self.stage.hosts.borrow().net.silence(group, None);
        self.go_on(Duration::from_millis(500)).await?;
        let leader = whom_of(&self.look()?, Whom::Leader(shard));
        self.hazard(Hazard::PowerCut(leader, SILENCE_MS));
        self.go_on(Duration::from_millis(SILENCE_MS - 500)).await?;
        for tag in STEADY {
            let slot = Slot::of_key(tag.as_bytes());
            let served = self.watch.borrow().served_at(slot);
            if served.is_none_or(|at| at.elapsed() > GAP_MAX) {
                return Err(format!("slot {slot} is not served while nothing is heard of the topology"));
            }
        }
        self.stage.hosts.borrow().net.end_silence();
        Ok(())
    }

    /// Waits until all is well.
    async fn live(&self, clients: Vec<JoinHandle<()>>) -> Result<(), String> {
        let operator = self.operator.clone();
        let done = async {
            while !operator.is_idle() {
                time::sleep(LOOK_EVERY).await;
                self.look()?;
            }
            for client in clients {
                client.await.map_err(|why| format!("a client: {why}"))?;
            }
            self.client(self.plan.clients, false).look_at_all().await;
            let members = self.operator.members();
            loop {
                self.whole(&members, Level::Yes).await?;
                match self.operator.agreement(&members).await {
                    Ok(()) => return Ok(()),
                    Err(why) => *self.disagreement.borrow_mut() = why,
                }
                time::sleep(WHOLE_EVERY).await;
            }
        };
        let ended = time::timeout(LIVE_WITHIN, done).await;
        ended.map_err(|_| {
            let (seconds, about, why) = (LIVE_WITHIN.as_secs(), self.operator.about(), self.disagreement.borrow());
            format!("all was mended, and not all was well {seconds} s later: the operator {about}; {why}")
        })?
    }

    /// Waits until the cluster of these hosts is whole.
    async fn whole(&self, members: &[usize], level: Level) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let probes = self.look()?;
            match is_whole(&self.stage.hosts.borrow(), &probes, members, level) {
                Ok(()) => return Ok(()),
                Err(why) if start.elapsed() > LIVE_WITHIN => return Err(format!("the cluster is not whole: {why}")),
                Err(why) => *self.disagreement.borrow_mut() = why,
            }
            time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Play for Run {
    fn stage(&self) -> &Stage {
        &self.stage
    }

    async fn live_through(&mut self) -> Result<(), String> {
        drop(tasks::beside(self.operator.clone().work()));
        let clients: Vec<_> = (0..self.plan.clients).map(|number| self.begin_client(number)).collect();
        if self.plan.kind != Kind::Early {
            self.form().await?;
        }
        match self.plan.kind {
            Kind::Calm => self.go_on(self.plan.length).await?,
            Kind::Early | Kind::Ordinary { settled: false } => self.misfortune().await?,
            Kind::Ordinary { settled: true } => {
                self.settle().await?;
                self.misfortune().await?;
            }
            Kind::Absence { host } => self.absence(host).await?,
            Kind::Silence { shard } => self.silence(shard).await?,
        }
        self.hazards.borrow().mend();
        let returning = self.hazards.borrow_mut().returning();
        let mut all_on = pin!(returning.all_on());
        loop {
            match time::timeout(LOOK_EVERY, &mut all_on).await {
                Ok(started) => break started?,
                Err(_) => drop(self.look()?),
            }
        }
        self.is_over.set(true);
        self.live(clients).await
    }

    fn describe(&self) -> String {
        let probes = watch::probes(&self.stage.hosts.borrow());
        let describe = |(host, probe): (usize, &Option<node::ClusterProbe>)| {
            let Some(probe) = probe else { return format!("host {host}: off") };
            let id = self.stage.hosts.borrow().all[host].id();
            let meta = (probe.meta.role, probe.meta.term, probe.meta.voters.len(), probe.meta.learners.len());
            let mut text = format!("host {host} {id}: cluster {}, meta {meta:?}", probe.cluster);
            if probe.is_joining {
                text.push_str(", joining");
            }
            for replica in &probe.replicas {
                let (group, status, data) = (replica.group, &replica.status, replica.data);
                let hosts = self.stage.hosts.borrow();
                let at = |member: &raft::Member| hosts.all.iter().position(|host| host.id() == member.node);
                let voters: Vec<_> = status.voters.values().map(at).collect();
                let learners: Vec<_> = status.learners.values().map(at).collect();
                let home = if probe.home == Some(group) { " home" } else { "" };
                text.push_str(&format!(
                    "\n  {group}{home} {:?} term {} voters {voters:?} learners {learners:?} joint {} applied {:?} \
                     {} slots, {data:?}",
                    status.role,
                    status.term,
                    status.is_joint(),
                    status.applied,
                    replica.slots.len()
                ));
            }
            text
        };
        probes.iter().enumerate().map(describe).collect::<Vec<_>>().join("\n")
    }
}

/// The directives of a host.
pub(super) fn part(host: usize) -> Part {
    let replace_after_ms = VOTER_REPLACE_AFTER_MS.to_string();
    let pairs = [
        ("--port", CLIENT_PORT.to_string()),
        ("--bind", ip(host)),
        ("--cluster-enabled", "yes".to_owned()),
        // A slot that is on its way stops the others otherwise.
        ("--cluster-require-full-coverage", "no".to_owned()),
        ("--cluster-node-timeout", "2000".to_owned()),
        ("--cluster-voter-replace-after-ms", replace_after_ms),
    ];
    Part { flags: pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect(), own_member: None }
}

/// The host that is meant; the first where nobody is.
fn whom_of(probes: &Probes, whom: Whom) -> usize {
    match whom {
        Whom::Leader(shard) => leader_of(probes, steady_slot(shard)).unwrap_or(shard),
        Whom::Follower(shard) => {
            let leader = leader_of(probes, steady_slot(shard)).unwrap_or(shard);
            follower_of(probes, steady_slot(shard), leader).unwrap_or(shard + SHARDS)
        }
        Whom::MetaLeader => meta_leader(probes, 0).unwrap_or(0),
        Whom::Host(host) => host,
    }
}

/// The first host beside the leader's that holds a replica of the shard of a slot, and is at home there.
fn follower_of(probes: &Probes, slot: Slot, leader: usize) -> Option<usize> {
    let follows = |host: &usize| {
        probes[*host].as_ref().is_some_and(|probe| {
            let home = probe.replicas.iter().find(|replica| Some(replica.group) == probe.home);
            *host != leader && home.is_some_and(|replica| replica.slots.contains(slot))
        })
    };
    (0..HOSTS).find(follows)
}
