//! The end of a run of voters that acknowledge before they sync: their power goes again and again, of one, of two or of all, without
//! anybody waiting for those that are on their way back. What was acknowledged may be lost by that. What may not happen is that
//! replicas differ, that a node cannot go on, or that the shard does not come back by itself.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{self, Instant};

use super::any_host::AnyHost;
use super::run::Run;
use crate::hazard::Hazard;
use crate::host::Host;
use crate::oracle::Oracle;
use crate::run::LOOK_EVERY;
use crate::tasks;
use crate::workload::{Client, Tags};

/// How often power goes, at most.
const STRIKES_MAX: u32 = 8;
/// The clients whose writes meet it; their numbers are nobody else's.
const CLIENTS: std::ops::Range<usize> = 20..22;

impl Run {
    /// See the module: until every host is on again.
    ///
    /// # Errors
    /// Says which replicas differ, or which node could not go on.
    pub(super) async fn weather(&mut self) -> Result<(), String> {
        let mut random = SmallRng::seed_from_u64(self.stage.seed.of("storm", 0));
        let is_over = Rc::new(Cell::new(false));
        let clients: Vec<_> = CLIENTS.map(|number| self.witness(number, &is_over)).collect();
        for _ in 0..random.random_range(1..=STRIKES_MAX) {
            let pause_ms = [50, 400, 1500][random.random_range(0..3)];
            self.look_for(Duration::from_millis(random.random_range(0..=pause_ms))).await?;
            self.strike(&mut random);
        }
        self.hazards.returning().all_on().await?;
        self.revive();
        self.hazards.returning().all_on().await?;
        is_over.set(true);
        for client in clients {
            client.await.map_err(|why| format!("a client: {why}"))?;
        }
        Ok(())
    }

    /// A client that works meanwhile. Nobody judges what it sees.
    fn witness(&self, number: usize, is_over: &Rc<Cell<bool>>) -> tokio::task::JoinHandle<()> {
        let oracle = Rc::new(RefCell::new(Oracle::default()));
        let reach = AnyHost::new(number, Rc::clone(&self.stage.hosts), Rc::clone(&oracle));
        let (start, seed) = (self.stage.hosts.borrow().start(), self.stage.seed.of("client", number as u64));
        let client = Client::new(number, reach, oracle, start, Tags::default(), seed);
        let is_over = Rc::clone(is_over);
        tasks::beside(client.work(move || !is_over.get()))
    }

    async fn look_for(&mut self, time: Duration) -> Result<(), String> {
        let start = Instant::now();
        while start.elapsed() < time {
            self.revive();
            self.look()?;
            time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Starts those again that have stopped for a fresh copy, as a supervisor does.
    fn revive(&mut self) {
        let has_stopped = |host: &Host| host.failure().is_some_and(|why| why.contains(raft::UNDONE));
        let stopped: Vec<usize> = {
            let hosts = self.stage.hosts.borrow();
            hosts.all.iter().enumerate().filter(|(_, host)| has_stopped(host)).map(|(number, _)| number).collect()
        };
        stopped.into_iter().for_each(|host| self.hazards.happen(Hazard::PowerCut(host, 100)));
    }

    /// The power of some hosts goes. Now and then one loses its disk with it: only while all vote, as a group survives the loss of one
    /// disk, not of two.
    fn strike(&mut self, random: &mut SmallRng) {
        let count = self.plan.voters;
        let first = random.random_range(0..count);
        let struck = [1, 1, 2, count][random.random_range(0..4)];
        let is_wiped = self.is_level() && random.random_range(0..3) == 0;
        // Now and then they are back at the same moment.
        let together_ms = (random.random_range(0..2) == 0).then(|| random.random_range(1..400));
        for host in (0..struck).map(|nth| (first + nth) % count) {
            let down_ms = together_ms.unwrap_or_else(|| random.random_range(1..1500));
            match host == first && is_wiped {
                true => self.hazards.wipe(host, down_ms),
                false => self.hazards.happen(Hazard::PowerCut(host, down_ms)),
            }
        }
    }

    /// All vote and are equal, and a write is stored by two.
    ///
    /// # Errors
    /// As [`Self::look`].
    pub(super) async fn calm_down(&mut self) -> Result<(), String> {
        let number = CLIENTS.end;
        let oracle = Rc::new(RefCell::new(Oracle::default()));
        let reach = AnyHost::new(number, Rc::clone(&self.stage.hosts), Rc::clone(&oracle));
        let (start, seed) = (self.stage.hosts.borrow().start(), self.stage.seed.of("client", number as u64));
        while !self.is_level() {
            self.revive();
            self.look()?;
            time::sleep(LOOK_EVERY).await;
        }
        Client::new(number, reach, oracle, start, Tags::default(), seed).keep_on_two().await;
        Ok(())
    }
}
