//! One seed, one run: a cluster forms, clients work while things go wrong, all is mended, and then it must go on.
//!
//! ```text
//! start   hosts on, clients begin at once: the group forms while they knock
//! safety  the plan's faults; replicas compared every [`LOOK_EVERY`]; without faults, nobody else begins to lead
//! heal    links mended, disks well, every host on
//! live    within [`LIVE_WITHIN`]: a write is acknowledged, every replica votes, all are equal
//! judge   the clients' whole history
//! ```

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Builder, RngSeed, UnhandledPanic};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{self, Instant};

use crate::clock::SimClock;
use crate::cluster::Cluster;
use crate::host::Host;
use crate::net::Net;
use crate::oracle::Oracle;
use crate::plan::{Fault, Plan, Whom};
use crate::seed::Seed;
use crate::tasks;
use crate::trace::{Show, Topic, Trace};
use crate::workload::Client;

/// How often replicas are compared.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a mended cluster may take until all is well, in virtual time.
const LIVE_WITHIN: Duration = Duration::from_secs(60);

/// No moment has as much to do as this many polls of tasks.
const POLLS_PER_INSTANT_MAX: u64 = 300_000;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The run's seed.
    pub seed: u64,
    /// What was to go wrong, a line each.
    pub plan: String,
    /// How many operations clients got answers to.
    pub answered: usize,
    /// The fingerprint of everything that happened: the same seed gives the same.
    pub trace: u64,
    /// Why the run failed, if it did.
    pub failure: Option<String>,
}

/// Runs one seed, and shows everything that happens if that is asked for.
pub fn run(seed: u64, show: Option<Show>) -> Report {
    let root = Seed::new(seed);
    let plan = Plan::draw(root);
    let mut report = Report { seed, plan: plan.to_string(), answered: 0, trace: 0, failure: None };
    let ran = catch_unwind(AssertUnwindSafe(|| simulate(root, &plan, show, &mut report)));
    report.failure = match ran {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(_) => Some("a panic, shown above".to_owned()),
    };
    report
}

fn simulate(seed: Seed, plan: &Plan, show: Option<Show>, report: &mut Report) -> Result<(), String> {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).unhandled_panic(UnhandledPanic::ShutdownRuntime);
    builder.rng_seed(RngSeed::from_bytes(&seed.of("tokio", 0).to_le_bytes()));
    let mut still = Standstill::default();
    let still = Mutex::new(move || still.count());
    builder.on_before_task_poll(move |_| still.lock()());
    let runtime = builder.build().map_err(|why| format!("no runtime: {why}"))?;
    let mut tasks = LocalSet::new();
    tasks.unhandled_panic(UnhandledPanic::ShutdownRuntime);
    tasks.block_on(&runtime, async {
        let trace = Trace::new(show);
        let mut run = Run::new(seed, plan.clone(), trace.clone());
        let result = run.all().await;
        let described = run.cluster.borrow().describe();
        report.answered = run.oracle.borrow().answered();
        report.trace = trace.hash();
        result.map_err(|why| format!("{why}\n{described}"))
    })
}

/// Notices when virtual time stands still because tasks wake each other without end.
#[derive(Default)]
struct Standstill {
    since: Option<Instant>,
    polls: u64,
}

impl Standstill {
    fn count(&mut self) {
        let now = Instant::now();
        if self.since != Some(now) {
            *self = Self { since: Some(now), polls: 0 };
        }
        self.polls += 1;
        assert!(self.polls < POLLS_PER_INSTANT_MAX, "time stands still: tasks wake each other without end");
    }
}

struct Run {
    plan: Plan,
    seed: Seed,
    cluster: Rc<RefCell<Cluster>>,
    oracle: Rc<RefCell<Oracle>>,
    /// Hosts on their way down and up again.
    returning: Vec<JoinHandle<Result<(), String>>>,
    /// A disk that is to be wiped as soon as that may be.
    wipe: Option<Fault>,
    /// The term of the first leader that was seen.
    first_term: Option<u64>,
}

impl Run {
    fn new(seed: Seed, plan: Plan, trace: Trace) -> Self {
        let start = Instant::now();
        let net = Net::new(plan.voters, seed.of("net", 0), plan.links, trace.clone());
        let hosts = plan.clocks.iter().enumerate().map(|(number, &(rate_ppm, offset_ms))| {
            let base_ns = seed.of("monotonic", number as u64) >> 20;
            let clock = SimClock::new(start, rate_ppm, base_ns, offset_ms);
            let part = seed.part("host", number);
            Host::new(number, plan.voters, part, net.clone(), clock, plan.pace, trace.clone())
        });
        let cluster = Rc::new(RefCell::new(Cluster::new(hosts.collect(), net, trace)));
        let mut oracle = Oracle::default();
        if plan.faults.iter().any(|(_, fault)| matches!(fault, Fault::ClockJump(..))) {
            oracle.sets.clocks_jump();
        }
        Self {
            plan,
            seed,
            cluster,
            oracle: Rc::new(RefCell::new(oracle)),
            returning: Vec::new(),
            wipe: None,
            first_term: None,
        }
    }

    async fn all(&mut self) -> Result<(), String> {
        drop(tasks::beside(self.cluster.borrow().net.clone().run()));
        self.cluster.borrow_mut().hosts.iter_mut().try_for_each(Host::start)?;
        let mut clients = Vec::new();
        for number in 0..self.plan.clients {
            let mut client = self.client(number);
            let length = self.plan.length;
            clients.push(tasks::beside(async move {
                if number == 0 {
                    client.open_bank().await;
                }
                client.work(length).await;
            }));
        }
        self.misfortune().await?;
        self.heal().await?;
        let live = time::timeout(LIVE_WITHIN, self.live(clients)).await;
        live.map_err(|_| format!("all was mended, and not all was well {} s later", LIVE_WITHIN.as_secs()))??;
        self.oracle.borrow().judge()
    }

    fn client(&self, number: usize) -> Client {
        let seed = self.seed.of("client", number as u64);
        Client::new(number, Rc::clone(&self.cluster), Rc::clone(&self.oracle), seed)
    }

    /// Lets the plan happen.
    async fn misfortune(&mut self) -> Result<(), String> {
        let start = Instant::now();
        let mut faults = self.plan.faults.clone().into_iter().peekable();
        while start.elapsed() < self.plan.length {
            time::sleep(LOOK_EVERY).await;
            self.look()?;
            self.look_at_leader()?;
            self.wipe_if_allowed();
            while let Some((_, fault)) = faults.next_if(|(at, _)| *at <= start.elapsed()) {
                self.happen(fault)?;
            }
        }
        Ok(())
    }

    fn look(&self) -> Result<(), String> {
        let mut cluster = self.cluster.borrow_mut();
        cluster.compare()?;
        match cluster.hosts.iter().enumerate().find_map(|(number, host)| Some((number, host.failure()?))) {
            Some((number, why)) => Err(format!("host {number} could not go on: {why}")),
            None => Ok(()),
        }
    }

    /// Where nothing goes wrong the first leader leads to the end: no heartbeat is late, whatever else a node has to do
    /// (to write a snapshot to a slow disk, say).
    fn look_at_leader(&mut self) -> Result<(), String> {
        let Some(term) = self.cluster.borrow().term() else { return Ok(()) };
        let first = *self.first_term.get_or_insert(term);
        if self.plan.is_calm() && term != first {
            return Err(format!(
                "nothing went wrong, and yet there is a leader of term {term} after one of term {first}"
            ));
        }
        Ok(())
    }

    fn whom(&self, whom: Whom) -> usize {
        let cluster = self.cluster.borrow();
        match whom {
            Whom::Leader => cluster.leader().unwrap_or(0),
            Whom::Follower => (cluster.leader().unwrap_or(0) + 1) % cluster.size(),
            Whom::Host(number) => number,
        }
    }

    fn happen(&mut self, fault: Fault) -> Result<(), String> {
        let cluster = Rc::clone(&self.cluster);
        cluster.borrow().trace().note(Topic::Fault, 0, "plan", format!("{fault:?}").as_bytes());
        let size = cluster.borrow().size();
        match fault {
            Fault::PowerCut(whom, down_ms) => self.power_cut(self.whom(whom), down_ms),
            Fault::Blackout(down_ms) => (0..size).for_each(|host| self.power_cut(host, down_ms)),
            Fault::Restart(whom, down_ms) => self.restart(self.whom(whom), down_ms),
            Fault::DeafRestart(whom, after_ms, ms) => self.deaf_restart(self.whom(whom), after_ms, ms),
            Fault::Wipe(..) => self.wipe = Some(fault),
            Fault::HandOver(whom) => self.hand_over(self.whom(whom)),
            Fault::Isolate(whom, ms) => self.cut(self.whom(whom), true, true, ms),
            Fault::Mute(whom, ms) => self.cut(self.whom(whom), true, false, ms),
            Fault::Deafen(whom, ms) => self.cut(self.whom(whom), false, true, ms),
            Fault::Separate(whom, ms) => {
                let one = self.whom(whom);
                let other = (one + 1) % size;
                self.cut_ways(vec![(one, other), (other, one)], ms);
            }
            Fault::SlowDisk(whom, sync_ms_max, ms) => self.slow_disk(self.whom(whom), sync_ms_max, ms),
            Fault::ClockJump(whom, ms) => cluster.borrow().hosts[self.whom(whom)].clock.jump(ms),
            Fault::Suspend(whom, ms) => {
                cluster.borrow().hosts[self.whom(whom)].clock.suspend(Duration::from_millis(ms));
            }
        }
        Ok(())
    }

    fn cut(&self, host: usize, out: bool, back: bool, ms: u64) {
        let others = (0..self.plan.voters).filter(|&other| other != host);
        let ways = others.flat_map(|other| [(out, (host, other)), (back, (other, host))]);
        self.cut_ways(ways.filter(|(cut, _)| *cut).map(|(_, way)| way).collect(), ms);
    }

    fn deaf_restart(&mut self, host: usize, after_ms: u64, ms: u64) {
        self.restart(host, 100);
        let (net, hosts) = (self.cluster.borrow().net.clone(), self.plan.voters);
        let others = move || (0..hosts).filter(move |&other| other != host);
        drop(tasks::beside(async move {
            time::sleep(Duration::from_millis(after_ms)).await;
            others().for_each(|other| net.cut(other, host));
            time::sleep(Duration::from_millis(ms)).await;
            others().for_each(|other| net.mend(other, host));
        }));
    }

    fn hand_over(&self, host: usize) {
        let node = self.cluster.borrow().hosts[host].node().cloned();
        drop(tasks::beside(async move {
            if let Some(node) = node {
                node.abdicate().await;
            }
        }));
    }

    /// Cuts ways between hosts, and mends them after a while.
    fn cut_ways(&self, ways: Vec<(usize, usize)>, ms: u64) {
        let net = self.cluster.borrow().net.clone();
        ways.iter().for_each(|&(from, to)| net.cut(from, to));
        drop(tasks::beside(async move {
            time::sleep(Duration::from_millis(ms)).await;
            ways.iter().for_each(|&(from, to)| net.mend(from, to));
        }));
    }

    fn slow_disk(&self, host: usize, sync_ms_max: u64, ms: u64) {
        let (cluster, well_ms) = (Rc::clone(&self.cluster), self.plan.pace.sync_ms_max);
        cluster.borrow().hosts[host].disk.set_sync_ms_max(sync_ms_max);
        drop(tasks::beside(async move {
            time::sleep(Duration::from_millis(ms)).await;
            cluster.borrow().hosts[host].disk.set_sync_ms_max(well_ms);
        }));
    }

    fn power_cut(&mut self, host: usize, down_ms: u64) {
        if self.cluster.borrow().hosts[host].node().is_none() {
            return;
        }
        self.cluster.borrow_mut().hosts[host].cut_power();
        self.start_in(host, down_ms);
    }

    /// Wipes the disk that is to be wiped, once every node votes.
    fn wipe_if_allowed(&mut self) {
        let Some(Fault::Wipe(whom, down_ms)) = self.wipe else { return };
        let all_vote = {
            let cluster = self.cluster.borrow();
            let votes = |host: &Host| host.node().is_some_and(|node| node.status().voters.len() == cluster.size());
            cluster.hosts.iter().all(votes)
        };
        if !all_vote {
            return;
        }
        self.wipe = None;
        let host = self.whom(whom);
        self.cluster.borrow_mut().hosts[host].cut_power();
        self.cluster.borrow_mut().hosts[host].wipe(self.plan.pace);
        self.start_in(host, down_ms);
    }

    fn start_in(&mut self, host: usize, down_ms: u64) {
        let cluster = Rc::clone(&self.cluster);
        self.returning.push(tasks::beside(async move {
            time::sleep(Duration::from_millis(down_ms)).await;
            cluster.borrow_mut().hosts[host].start()
        }));
    }

    fn restart(&mut self, host: usize, down_ms: u64) {
        let cluster = Rc::clone(&self.cluster);
        let (stopping, life) = {
            let cluster = cluster.borrow();
            let Some(stopping) = cluster.hosts[host].stop() else { return };
            (stopping, cluster.hosts[host].life())
        };
        self.returning.push(tasks::beside(async move {
            stopping.await;
            // Its power may have been cut meanwhile: then somebody else starts it.
            let is_same = cluster.borrow().hosts[host].life() == life && cluster.borrow().hosts[host].node().is_some();
            if !is_same {
                return Ok(());
            }
            cluster.borrow_mut().hosts[host].turn_off();
            time::sleep(Duration::from_millis(down_ms)).await;
            cluster.borrow_mut().hosts[host].start()
        }));
    }

    async fn heal(&mut self) -> Result<(), String> {
        {
            let cluster = self.cluster.borrow();
            cluster.net.heal();
            cluster.net.lose_nothing();
            cluster.hosts.iter().for_each(|host| host.disk.set_sync_ms_max(self.plan.pace.sync_ms_max));
        }
        for returning in std::mem::take(&mut self.returning) {
            returning.await.map_err(|why| format!("a task of the run: {why}"))??;
        }
        Ok(())
    }

    async fn live(&self, clients: Vec<JoinHandle<()>>) -> Result<(), String> {
        for client in clients {
            client.await.map_err(|why| format!("a client: {why}"))?;
        }
        self.client(self.plan.clients).look_at_all().await;
        loop {
            self.look()?;
            if self.cluster.borrow().is_level() {
                return Ok(());
            }
            time::sleep(LOOK_EVERY).await;
        }
    }
}
