//! A shard's run: it forms, clients work while things go wrong, all is mended, and then it must go on.
//!
//! ```text
//! start   hosts on, clients begin at once: the group forms while they knock
//! safety  the plan's faults; replicas compared every [`LOOK_EVERY`]; without faults, nobody else begins to lead
//! heal    links mended, disks well, every host on
//! live    within [`LIVE_WITHIN`]: a write is acknowledged, every replica votes, all are equal
//! judge   the clients' whole history
//! lost    where clients wait: leaders are lost with pops of theirs, and who is told that there was nothing has taken nothing (lost_pop.rs)
//! dark    where voters acknowledge before they sync: all lose their power at once, and what WAITAOF counted on two of three is there
//! storm   there, too: power goes whenever it likes, of whomever it likes, and in the end all vote and are equal (storm.rs)
//! ```

use std::rc::Rc;

use raft::{GroupId, Role};
use tokio::task::JoinHandle;
use tokio::time::{self, Instant};

use super::any_host::AnyHost;
use super::plan::{Fault, Plan, Whom};
use crate::hazard::{Hazard, Hazards};
use crate::host::{Host, Part, client_address};
use crate::hosts::Making;
use crate::kept::Kept;
use crate::run::{LIVE_WITHIN, LOOK_EVERY, Play, Stage};
use crate::seed::Seed;
use crate::tasks;
use crate::trace::{Topic, Trace};
use crate::workload::{Client, Tags};

/// All replicas are of one group.
const GROUP: GroupId = GroupId(0);

/// How often all hosts lose their power at the end of a run of voters that acknowledge before they sync.
const BLACKOUTS: usize = 3;

/// See the module.
pub(crate) struct Run {
    pub(super) plan: Plan,
    pub(super) stage: Stage,
    pub(super) hazards: Hazards,
    /// What is to happen as soon as every node votes.
    mishap: Option<Fault>,
    /// The term of the first leader that was seen.
    first_term: Option<u64>,
}

impl Run {
    pub(crate) fn new(seed: Seed, plan: Plan, trace: Trace) -> Self {
        let parts = (0..plan.voters).map(|number| part(number, &plan)).collect();
        let kept = if plan.relaxed || plan.waiting { Kept::new() } else { Kept::default() };
        let making = Making { links: plan.links, pace: plan.pace, clocks: &plan.clocks, parts, kept };
        let stage = Stage::new(seed, making, plan.jumps_clocks(), trace);
        let hazards = Hazards::new(Rc::clone(&stage.hosts), plan.pace);
        Self { plan, stage, hazards, mishap: None, first_term: None }
    }

    pub(super) fn client(&self, number: usize) -> Client<AnyHost> {
        let seed = self.stage.seed.of("client", number as u64);
        let reach = AnyHost::new(number, Rc::clone(&self.stage.hosts), Rc::clone(&self.stage.oracle));
        let start = self.stage.hosts.borrow().start();
        let client = Client::new(number, reach, Rc::clone(&self.stage.oracle), start, Tags::default(), seed);
        match (self.plan.waiting, self.plan.relaxed) {
            (true, _) => client.who_waits().who_keeps(),
            (false, true) => client.who_keeps(),
            (false, false) => client,
        }
    }

    /// Lets the plan happen.
    async fn misfortune(&mut self) -> Result<(), String> {
        let start = Instant::now();
        let mut faults = self.plan.faults.clone().into_iter().peekable();
        while start.elapsed() < self.plan.length {
            time::sleep(LOOK_EVERY).await;
            self.look()?;
            self.look_at_leader()?;
            self.mishap_if_allowed();
            while let Some((_, fault)) = faults.next_if(|(at, _)| *at <= start.elapsed()) {
                self.happen(fault);
            }
        }
        Ok(())
    }

    pub(super) fn look(&self) -> Result<(), String> {
        let probes: Vec<_> =
            self.stage.hosts.borrow().all.iter().map(|host| host.node().map(|node| node.probe())).collect();
        let mut hosts = self.stage.hosts.borrow_mut();
        for (number, probe) in probes.into_iter().enumerate() {
            if let Some(probe) = probe {
                hosts.compare(GROUP, number, probe)?;
            }
        }
        hosts.check()
    }

    /// Where nothing goes wrong the first leader leads to the end: no heartbeat is late, whatever else a node has to do
    /// (to write a snapshot to a slow disk, say).
    fn look_at_leader(&mut self) -> Result<(), String> {
        let Some((term, _)) = self.leader() else { return Ok(()) };
        let first = *self.first_term.get_or_insert(term);
        if self.plan.is_calm() && term != first {
            return Err(format!(
                "nothing went wrong, and yet there is a leader of term {term} after one of term {first}"
            ));
        }
        Ok(())
    }

    /// The highest term in which a node leads, and its host.
    fn leader(&self) -> Option<(u64, usize)> {
        let hosts = self.stage.hosts.borrow();
        let leading = hosts.all.iter().enumerate().filter_map(|(number, host)| {
            let status = host.node()?.status();
            (status.leads() && status.ready).then_some((status.term, number))
        });
        leading.max()
    }

    /// The newest term that any node knows.
    fn newest_term(&self) -> u64 {
        let hosts = self.stage.hosts.borrow();
        hosts.all.iter().filter_map(|host| Some(host.node()?.status().term)).max().unwrap_or(0)
    }

    /// The host that leads in the newest term.
    pub(super) fn newest_leader(&self) -> Option<usize> {
        self.leader().filter(|(term, _)| self.newest_term() == *term).map(|(_, host)| host)
    }

    fn whom(&self, whom: Whom) -> usize {
        let leader = self.leader().map_or(0, |(_, host)| host);
        match whom {
            Whom::Leader => leader,
            Whom::Follower => (leader + 1) % self.plan.voters,
            Whom::Host(number) => number,
        }
    }

    fn happen(&mut self, fault: Fault) {
        match fault {
            Fault::Hazard(hazard) => {
                let hazard = hazard.aim(|whom| self.whom(whom));
                self.hazards.happen(hazard);
            }
            Fault::Wipe(..) | Fault::Forget(..) | Fault::ForgetOthers(_) => self.mishap = Some(fault),
            Fault::HandOver(whom) => self.hand_over(self.whom(whom)),
        }
    }

    fn hand_over(&self, host: usize) {
        let hosts = self.stage.hosts.borrow();
        hosts.trace().note(Topic::Fault, host, "hand over", &[]);
        let node = hosts.all[host].node().cloned();
        drop(tasks::beside(async move {
            if let Some(node) = node {
                node.abdicate().await;
            }
        }));
    }

    /// Lets happen what waits until every node votes.
    fn mishap_if_allowed(&mut self) {
        let Some(mishap) = self.mishap else { return };
        let all_vote = {
            let hosts = self.stage.hosts.borrow();
            let votes = |host: &Host| {
                let status = host.node().map(|node| node.status());
                status.is_some_and(|status| status.role != Role::Learner && status.voters.len() == hosts.count())
            };
            hosts.all.iter().all(votes)
        };
        if !all_vote {
            return;
        }
        let newest = self.newest_leader();
        if newest.is_none() && matches!(mishap, Fault::ForgetOthers(_)) {
            return;
        }
        self.mishap = None;
        match mishap {
            Fault::Wipe(whom, down_ms) => self.hazards.wipe(self.whom(whom), down_ms),
            Fault::Forget(whom, down_ms) => self.hazards.happen(Hazard::PowerCut(self.whom(whom), down_ms)),
            Fault::ForgetOthers(down_ms) => {
                let others = (0..self.plan.voters).filter(|host| newest.is_some_and(|leader| leader != *host));
                others.for_each(|host| self.hazards.happen(Hazard::PowerCut(host, down_ms)));
            }
            Fault::Hazard(_) | Fault::HandOver(_) => unreachable!("those happen at once"),
        }
    }

    async fn live(&self, clients: Vec<JoinHandle<()>>) -> Result<(), String> {
        for client in clients {
            client.await.map_err(|why| format!("a client: {why}"))?;
        }
        self.client(self.plan.clients).look_at_all().await;
        loop {
            self.look()?;
            if self.is_level() {
                return Ok(());
            }
            time::sleep(LOOK_EVERY).await;
        }
    }

    /// Lets all hosts lose their power in the moment in which a client hears that two of them have stored what it wrote.
    async fn go_dark(&mut self) -> Result<(), String> {
        for round in 0..BLACKOUTS {
            let mut client = self.client(self.plan.clients + 1 + round);
            let key = client.keep_on_two().await;
            let down_ms = self.stage.seed.of("blackout", round as u64) % 300 + 1;
            self.hazards.happen(Hazard::Blackout(down_ms));
            self.hazards.returning().all_on().await?;
            if !client.finds(&key).await {
                return Err(format!("two had stored {key}, and it is gone after all lost their power"));
            }
            self.look()?;
        }
        Ok(())
    }

    /// Whether every node runs, votes in one group, and has applied the same.
    pub(super) fn is_level(&self) -> bool {
        let mut probes = Vec::new();
        let hosts = self.stage.hosts.borrow();
        for host in &hosts.all {
            let Some(node) = host.node() else { return false };
            let status = node.status();
            if status.voters.len() != hosts.count() || status.is_joint() || !status.learners.is_empty() {
                return false;
            }
            probes.push(node.probe());
        }
        probes.windows(2).all(|pair| pair[0] == pair[1])
    }
}

impl Play for Run {
    fn stage(&self) -> &Stage {
        &self.stage
    }

    async fn live_through(&mut self) -> Result<(), String> {
        let length = self.plan.length;
        let begin = |number| {
            let client = self.client(number);
            let mut end = None;
            tasks::beside(client.work(move || Instant::now() < *end.get_or_insert_with(|| Instant::now() + length)))
        };
        let clients = (0..self.plan.clients).map(begin).collect();
        self.misfortune().await?;
        self.hazards.mend();
        self.hazards.returning().all_on().await?;
        let live = time::timeout(LIVE_WITHIN, self.live(clients)).await;
        let not_well = |_| format!("all was mended, and not all was well {} s later", LIVE_WITHIN.as_secs());
        live.map_err(not_well)??;
        if self.plan.waiting {
            time::timeout(LIVE_WITHIN, self.lose_pops()).await.map_err(not_well)??;
        }
        if self.plan.relaxed {
            time::timeout(LIVE_WITHIN, self.go_dark()).await.map_err(not_well)??;
            self.weather().await?;
            time::timeout(LIVE_WITHIN, self.calm_down()).await.map_err(not_well)??;
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let describe = |(number, host): (usize, &Host)| match host.node() {
            None => format!("host {number}: off"),
            Some(node) => {
                let (status, probe) = (node.status(), node.probe());
                format!(
                    "host {number}: {:?} term {} of {} voters, {} learners, applied {:?}, {probe:?}, {:?}",
                    status.role,
                    status.term,
                    status.voters.len(),
                    status.learners.len(),
                    status.applied,
                    status.stopped
                )
            }
        };
        self.stage.hosts.borrow().all.iter().enumerate().map(describe).collect::<Vec<_>>().join("\n")
    }
}

/// The directives of a host.
fn part(number: usize, plan: &Plan) -> Part {
    let mut flags: Vec<String> = vec!["--port".into(), "7000".into()];
    if plan.relaxed {
        flags.extend(["--appendfsync".into(), "everysec".into()]);
    }
    if plan.voters > 1 {
        flags.push("--initial-members".into());
        flags.extend((0..plan.voters).map(client_address));
    }
    Part { flags, own_member: (plan.voters > 1).then_some(number) }
}
