//! What goes wrong with hosts, disks, clocks and links, and how it is done to them and mended.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time;

use crate::disk::Pace;
use crate::hosts::SharedHosts;
use crate::tasks;
use crate::trace::Topic;

/// One thing that goes wrong, with whom `W` names. All times are in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hazard<W> {
    /// A host loses power, for so long.
    PowerCut(W, u64),
    /// All hosts lose power at once, for so long.
    Blackout(u64),
    /// A node stops in order, handing leadership over, and starts again after so long.
    Restart(W, u64),
    /// A node stops in order, and hears nobody from so long after (the first number), for so long (the second): it may not
    /// hear that another leads.
    DeafRestart(W, u64, u64),
    /// A host hears nobody and nobody hears it, for so long.
    Isolate(W, u64),
    /// What this host sends arrives nowhere, for so long.
    Mute(W, u64),
    /// What is sent to this host does not arrive, for so long.
    Deafen(W, u64),
    /// This host and the next do not hear each other, for so long; the others hear both.
    Separate(W, u64),
    /// The hosts of these two sets, given as bits, do not hear each other, for so long.
    Split(u32, u32, u64),
    /// Syncs of a host take up to so long (the first number), for so long (the second).
    SlowDisk(W, u64, u64),
    /// A host's wall clock jumps by so much.
    ClockJump(W, i64),
    /// A host's monotonic clock runs ahead of its timers by so much, as after a suspension.
    Suspend(W, u64),
}

impl<W> Hazard<W> {
    /// The same, with the host that is meant.
    pub(crate) fn aim(self, whom: impl FnOnce(W) -> usize) -> Hazard<usize> {
        match self {
            Self::PowerCut(at, ms) => Hazard::PowerCut(whom(at), ms),
            Self::Blackout(ms) => Hazard::Blackout(ms),
            Self::Restart(at, ms) => Hazard::Restart(whom(at), ms),
            Self::DeafRestart(at, after_ms, ms) => Hazard::DeafRestart(whom(at), after_ms, ms),
            Self::Isolate(at, ms) => Hazard::Isolate(whom(at), ms),
            Self::Mute(at, ms) => Hazard::Mute(whom(at), ms),
            Self::Deafen(at, ms) => Hazard::Deafen(whom(at), ms),
            Self::Separate(at, ms) => Hazard::Separate(whom(at), ms),
            Self::Split(one, other, ms) => Hazard::Split(one, other, ms),
            Self::SlowDisk(at, sync_ms_max, ms) => Hazard::SlowDisk(whom(at), sync_ms_max, ms),
            Self::ClockJump(at, ms) => Hazard::ClockJump(whom(at), ms),
            Self::Suspend(at, ms) => Hazard::Suspend(whom(at), ms),
        }
    }
}

/// Does hazards to the hosts of a run.
pub(crate) struct Hazards {
    hosts: SharedHosts,
    pace: Pace,
    returning: Vec<JoinHandle<Result<(), String>>>,
}

impl Hazards {
    /// For hosts whose disks have this pace while they are well.
    pub(crate) fn new(hosts: SharedHosts, pace: Pace) -> Self {
        Self { hosts, pace, returning: Vec::new() }
    }

    /// Lets it happen.
    pub(crate) fn happen(&mut self, hazard: Hazard<usize>) {
        self.hosts.borrow().trace().note(Topic::Fault, 0, "hazard", format!("{hazard:?}").as_bytes());
        let count = self.hosts.borrow().count();
        match hazard {
            Hazard::PowerCut(host, down_ms) => self.power_cut(host, down_ms),
            Hazard::Blackout(down_ms) => (0..count).for_each(|host| self.power_cut(host, down_ms)),
            Hazard::Restart(host, down_ms) => self.restart(host, down_ms),
            Hazard::DeafRestart(host, after_ms, ms) => self.deaf_restart(host, after_ms, ms),
            Hazard::Isolate(host, ms) => self.cut(host, true, true, ms),
            Hazard::Mute(host, ms) => self.cut(host, true, false, ms),
            Hazard::Deafen(host, ms) => self.cut(host, false, true, ms),
            Hazard::Separate(one, ms) => {
                let other = (one + 1) % count;
                self.cut_ways(vec![(one, other), (other, one)], ms);
            }
            Hazard::Split(one, other, ms) => {
                let of = |set: u32| (0..count).filter(move |host| set >> host & 1 == 1);
                let ways = of(one).flat_map(|from| of(other).flat_map(move |to| [(from, to), (to, from)]));
                self.cut_ways(ways.collect(), ms);
            }
            Hazard::SlowDisk(host, sync_ms_max, ms) => self.slow_disk(host, sync_ms_max, ms),
            Hazard::ClockJump(host, ms) => self.hosts.borrow().all[host].clock.jump(ms),
            Hazard::Suspend(host, ms) => {
                self.hosts.borrow().all[host].clock.suspend(Duration::from_millis(ms));
            }
        }
    }

    fn cut(&self, host: usize, out: bool, back: bool, ms: u64) {
        let others = (0..self.hosts.borrow().count()).filter(|&other| other != host);
        let ways = others.flat_map(|other| [(out, (host, other)), (back, (other, host))]);
        self.cut_ways(ways.filter(|(cut, _)| *cut).map(|(_, way)| way).collect(), ms);
    }

    /// Cuts ways between hosts, and mends them after a while.
    fn cut_ways(&self, ways: Vec<(usize, usize)>, ms: u64) {
        let net = self.hosts.borrow().net.clone();
        ways.iter().for_each(|&(from, to)| net.cut(from, to));
        drop(tasks::beside(async move {
            time::sleep(Duration::from_millis(ms)).await;
            ways.iter().for_each(|&(from, to)| net.mend(from, to));
        }));
    }

    fn slow_disk(&self, host: usize, sync_ms_max: u64, ms: u64) {
        let (hosts, well_ms) = (Rc::clone(&self.hosts), self.pace.sync_ms_max);
        hosts.borrow().all[host].disk.set_sync_ms_max(sync_ms_max);
        drop(tasks::beside(async move {
            time::sleep(Duration::from_millis(ms)).await;
            hosts.borrow().all[host].disk.set_sync_ms_max(well_ms);
        }));
    }

    fn power_cut(&mut self, host: usize, down_ms: u64) {
        if self.hosts.borrow().all[host].node().is_none() {
            return;
        }
        self.hosts.borrow_mut().all[host].cut_power();
        self.start_in(host, down_ms);
    }

    /// Cuts the power of a host and replaces its disk by an empty one.
    pub(crate) fn wipe(&mut self, host: usize, down_ms: u64) {
        self.hosts.borrow_mut().all[host].cut_power();
        self.hosts.borrow_mut().all[host].wipe(self.pace);
        self.start_in(host, down_ms);
    }

    fn start_in(&mut self, host: usize, down_ms: u64) {
        let hosts = Rc::clone(&self.hosts);
        self.returning.push(tasks::beside(async move {
            time::sleep(Duration::from_millis(down_ms)).await;
            hosts.borrow_mut().all[host].start()
        }));
    }

    fn restart(&mut self, host: usize, down_ms: u64) {
        let hosts = Rc::clone(&self.hosts);
        let (stopping, life) = {
            let hosts = hosts.borrow();
            let Some(stopping) = hosts.all[host].stop() else { return };
            (stopping, hosts.all[host].life())
        };
        self.returning.push(tasks::beside(async move {
            stopping.await;
            // Its power may have been cut meanwhile: then somebody else starts it.
            let is_same = hosts.borrow().all[host].life() == life && hosts.borrow().all[host].node().is_some();
            if !is_same {
                return Ok(());
            }
            hosts.borrow_mut().all[host].turn_off();
            time::sleep(Duration::from_millis(down_ms)).await;
            hosts.borrow_mut().all[host].start()
        }));
    }

    fn deaf_restart(&mut self, host: usize, after_ms: u64, ms: u64) {
        self.restart(host, 100);
        let (net, count) = (self.hosts.borrow().net.clone(), self.hosts.borrow().count());
        let others = move || (0..count).filter(move |&other| other != host);
        drop(tasks::beside(async move {
            time::sleep(Duration::from_millis(after_ms)).await;
            others().for_each(|other| net.cut(other, host));
            time::sleep(Duration::from_millis(ms)).await;
            others().for_each(|other| net.mend(other, host));
        }));
    }

    /// Mends links and disks.
    pub(crate) fn mend(&self) {
        let hosts = self.hosts.borrow();
        hosts.net.heal();
        hosts.net.lose_nothing();
        hosts.all.iter().for_each(|host| host.disk.set_sync_ms_max(self.pace.sync_ms_max));
    }

    /// The hosts that are on their way down and up again.
    pub(crate) fn returning(&mut self) -> Returning {
        Returning(std::mem::take(&mut self.returning))
    }
}

/// Hosts on their way down and up again.
pub(crate) struct Returning(Vec<JoinHandle<Result<(), String>>>);

impl Returning {
    /// Waits until all of them are on.
    ///
    /// # Errors
    /// Says which did not start.
    pub(crate) async fn all_on(self) -> Result<(), String> {
        for returning in self.0 {
            returning.await.map_err(|why| format!("a task of the run: {why}"))??;
        }
        Ok(())
    }
}
