//! One seed, one run, of one of two worlds: in virtual time, on one thread.
//!
//! What a run consists of, each world says for itself: `shard/run.rs`, `cluster/run.rs`.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Builder, RngSeed, UnhandledPanic};
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::host::Host;
use crate::hosts::{Hosts, Making, SharedHosts};
use crate::oracle::{Copies, Oracle};
use crate::seed::Seed;
use crate::trace::{Show, Trace};
use crate::{cluster, shard, tasks};

/// How often replicas are looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long mended hosts may take until all is well, in virtual time.
pub(crate) const LIVE_WITHIN: Duration = Duration::from_secs(60);

/// No moment has as much to do as this many polls of tasks.
const POLLS_PER_INSTANT_MAX: u64 = 300_000;

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// One shard, of one voter or three.
    Shard,
    /// A cluster of six nodes and three shards, with the group that keeps its topology; a seventh node comes and goes.
    Cluster,
    /// One shard of three voters that acknowledge before they sync, and lose power one at a time.
    Relaxed,
    /// One shard of three voters, whose clients wait in BLPOP and its like for half of the time.
    Waiting,
}

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

/// How a run ended.
pub(crate) struct Ended {
    /// How many operations clients got answers to.
    pub(crate) answered: usize,
    /// Why it failed, if it did.
    pub(crate) result: Result<(), String>,
}

/// Where a run takes place, in both worlds: its hosts, and what its clients saw.
pub(crate) struct Stage {
    pub(crate) seed: Seed,
    pub(crate) hosts: SharedHosts,
    pub(crate) oracle: Rc<RefCell<Oracle>>,
}

impl Stage {
    /// With hosts that are off. `clocks_jump`: wall clocks do.
    pub(crate) fn new(seed: Seed, making: Making<'_>, clocks_jump: bool, trace: Trace) -> Self {
        let kept = making.kept.clone();
        let hosts = Rc::new(RefCell::new(Hosts::new(seed, making, trace)));
        let mut oracle = Oracle::default();
        oracle.copies = Copies::new(kept);
        if clocks_jump {
            oracle.sets.clocks_jump();
        }
        Self { seed, hosts, oracle: Rc::new(RefCell::new(oracle)) }
    }

    /// The links carry messages, and every host is on.
    pub(crate) fn begin(&self) -> Result<(), String> {
        drop(tasks::beside(self.hosts.borrow().net.clone().run()));
        self.hosts.borrow_mut().all.iter_mut().try_for_each(Host::start)
    }
}

/// A run of one of the worlds.
pub(crate) trait Play: Sized {
    /// Where it takes place.
    fn stage(&self) -> &Stage;

    /// All of it, from the moment at which every host is on until all is well in the end.
    ///
    /// # Errors
    /// Says what was not as it must be.
    async fn live_through(&mut self) -> Result<(), String>;

    /// Some lines about every host, for whoever reads why a run failed.
    fn describe(&self) -> String;

    /// Runs it to its end, and judges the clients' whole history.
    async fn all(mut self) -> Ended {
        let lived = async {
            self.stage().begin()?;
            self.live_through().await?;
            self.stage().oracle.borrow().judge()
        };
        let result = lived.await.map_err(|why| format!("{why}\n{}", self.describe()));
        let answered = self.stage().oracle.borrow().answered();
        Ended { answered, result }
    }
}

/// A run that is ready to begin, given what it is recorded in. It begins inside of the run's runtime.
type Ready = Box<dyn FnOnce(Trace) -> Pin<Box<dyn Future<Output = Ended>>>>;

/// Runs one seed, and shows everything that happens if that is asked for.
pub fn run(world: World, seed: u64, show: Option<Show>) -> Report {
    let root = Seed::new(seed);
    let (plan, ready): (String, Ready) = match world {
        World::Shard | World::Relaxed | World::Waiting => {
            let plan = match world {
                World::Relaxed => shard::Plan::draw_relaxed(root),
                World::Waiting => shard::Plan::draw_waiting(root),
                _ => shard::Plan::draw(root),
            };
            (plan.to_string(), Box::new(move |trace| Box::pin(shard::Run::new(root, plan, trace).all())))
        }
        World::Cluster => {
            let plan = cluster::Plan::draw(root);
            (plan.to_string(), Box::new(move |trace| Box::pin(cluster::Run::new(root, plan, trace).all())))
        }
    };
    let mut report = Report { seed, plan, answered: 0, trace: 0, failure: None };
    let ran = catch_unwind(AssertUnwindSafe(|| simulate(root, show, ready, &mut report)));
    report.failure = match ran {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(_) => Some("a panic, shown above".to_owned()),
    };
    report
}

fn simulate(seed: Seed, show: Option<Show>, ready: Ready, report: &mut Report) -> Result<(), String> {
    let (ended, trace) = in_virtual_time(seed, async {
        let trace = Trace::new(show);
        (ready(trace.clone()).await, trace.hash())
    })?;
    (report.answered, report.trace) = (ended.answered, trace);
    ended.result
}

/// Does something in virtual time, on this thread, with all that the seed decides.
///
/// # Errors
/// When there is no runtime.
pub(crate) fn in_virtual_time<T>(seed: Seed, work: impl Future<Output = T>) -> Result<T, String> {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).unhandled_panic(UnhandledPanic::ShutdownRuntime);
    builder.rng_seed(RngSeed::from_bytes(&seed.of("tokio", 0).to_le_bytes()));
    let mut still = Standstill::default();
    let still = Mutex::new(move || still.count());
    builder.on_before_task_poll(move |_| still.lock()());
    let runtime = builder.build().map_err(|why| format!("no runtime: {why}"))?;
    let mut tasks = LocalSet::new();
    tasks.unhandled_panic(UnhandledPanic::ShutdownRuntime);
    Ok(tasks.block_on(&runtime, work))
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
