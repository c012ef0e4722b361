//! What goes wrong in a run, and when: drawn from the seed before the run begins, so that it can be shown.

use std::fmt;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::disk::Pace;
use crate::hazard::Hazard;
use crate::net::Links;
use crate::seed::Seed;

/// One thing that goes wrong. All times are in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// With hosts, disks, clocks or links.
    Hazard(Hazard<Whom>),
    /// A host loses power and its disk, and starts with an empty one after so long. It happens at the first moment from
    /// then on at which every node votes: a group survives the loss of one disk, not of two.
    Wipe(Whom, u64),
    /// A host loses power, and with it what it had acknowledged and not synced, and starts again after so long. It happens as
    /// a wipe does: a group that acknowledges before it syncs survives this of one at a time, too.
    Forget(Whom, u64),
    /// All hosts but the one that leads do so, for so long: what was acknowledged that one has. It happens at the first moment from then
    /// on at which every node votes and nobody knows of a later leader.
    ForgetOthers(u64),
    /// A node hands leadership over and goes on.
    HandOver(Whom),
}

/// Whom a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Who leads at that moment; host 0 if nobody does.
    Leader,
    /// The host after the one that leads.
    Follower,
    /// This one.
    Host(usize),
}

/// A run before it begins.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) voters: usize,
    /// The voters acknowledge before they sync: `appendfsync everysec`.
    pub(crate) relaxed: bool,
    /// Clients wait for elements of a list, half of the time.
    pub(crate) waiting: bool,
    pub(crate) clients: usize,
    /// How long clients work and things go wrong.
    pub(crate) length: Duration,
    pub(crate) links: Links,
    /// How fast the disks are while they are well.
    pub(crate) pace: Pace,
    /// By host: how its clocks run, in millionths, and how much its wall clock is off, in ms.
    pub(crate) clocks: Vec<(i32, i64)>,
    /// In order of time.
    pub(crate) faults: Vec<(Duration, Fault)>,
}

impl Plan {
    /// Draws a run.
    pub(crate) fn draw(seed: Seed) -> Self {
        let mut random = SmallRng::seed_from_u64(seed.of("plan", 0));
        let voters = if random.random_range(0..4) == 0 { 1 } else { 3 };
        Self::draw_for(voters, random)
    }

    /// Draws a run of three voters that acknowledge before they sync. While they are judged, one at least keeps its power that has
    /// what was acknowledged.
    pub(crate) fn draw_relaxed(seed: Seed) -> Self {
        let mut plan = Self::draw_for(3, SmallRng::seed_from_u64(seed.of("plan of a relaxed shard", 0)));
        for (_, fault) in &mut plan.faults {
            *fault = match *fault {
                Fault::Hazard(Hazard::PowerCut(whom, ms)) => Fault::Forget(whom, ms),
                Fault::Hazard(Hazard::Blackout(ms)) => Fault::ForgetOthers(ms),
                other => other,
            };
        }
        Self { relaxed: true, ..plan }
    }

    /// Draws a run of three voters whose clients wait.
    pub(crate) fn draw_waiting(seed: Seed) -> Self {
        let mut plan = Self::draw_for(3, SmallRng::seed_from_u64(seed.of("plan of a shard that is waited on", 0)));
        if !plan.is_calm() {
            plan.draw_lost_leaders(&mut SmallRng::seed_from_u64(seed.of("leaders that are lost", 0)));
        }
        Self { waiting: true, ..plan }
    }

    /// Leaders whose last entries arrive, while they hear nothing of that any more, and soon are not heard either: others lead, with what
    /// the lost one cannot answer for.
    fn draw_lost_leaders(&mut self, random: &mut SmallRng) {
        let length_ms = u64::try_from(self.length.as_millis()).expect("a run is short");
        for _ in 0..random.random_range(1..=3) {
            let (at_ms, ms) = (random.random_range(0..length_ms), random.random_range(1000..2500));
            let hazards =
                [(0, Hazard::Deafen(Whom::Leader, ms)), (random.random_range(20..400), Hazard::Mute(Whom::Leader, ms))];
            let faults =
                hazards.map(|(later_ms, hazard)| (Duration::from_millis(at_ms + later_ms), Fault::Hazard(hazard)));
            self.faults.extend(faults);
        }
        self.faults.sort_by_key(|(at, _)| *at);
    }

    fn draw_for(voters: usize, mut random: SmallRng) -> Self {
        let length_ms: u64 = random.random_range(6000..12_000);
        let links = Links {
            latency_ms_max: [1, 2, 5, 15][random.random_range(0..4)],
            lost_ppm: [0, 0, 1000, 20_000][random.random_range(0..4)],
        };
        let clocks = (0..voters).map(|_| (random.random_range(-500..=500), random.random_range(-200..=200))).collect();
        let mut plan = Self {
            voters,
            relaxed: false,
            waiting: false,
            clients: random.random_range(3..=6),
            length: Duration::from_millis(length_ms),
            links,
            pace: Pace {
                sync_ms_max: [1, 3, 10, 30][random.random_range(0..4)],
                snapshot_ms_max: [0, 5, 50, 1000][random.random_range(0..4)],
            },
            clocks,
            faults: Vec::new(),
        };
        // In some runs nothing goes wrong: then nobody may notice a snapshot, however slow.
        if random.random_range(0..10) == 0 {
            plan.links.lost_ppm = 0;
            return plan;
        }
        // Some are calm, in some there is always something.
        let pause_ms = [150, 400, 1000, 2500][random.random_range(0..4)];
        let mut at_ms: u64 = random.random_range(0..2 * pause_ms);
        while at_ms < length_ms {
            let fault = plan.draw_fault(&mut random);
            plan.faults.push((Duration::from_millis(at_ms), fault));
            // Misfortunes that meet are the ones that nobody has thought of.
            let pause_ms = if random.random_range(0..3) == 0 { 30 } else { pause_ms };
            at_ms += random.random_range(1..2 * pause_ms);
        }
        if voters > 1 && random.random_range(0..3) == 0 {
            let (at_ms, whom) = (random.random_range(0..length_ms), plan.draw_whom(&mut random));
            let wipe = (Duration::from_millis(at_ms), Fault::Wipe(whom, random.random_range(1..1000)));
            let place = plan.faults.partition_point(|(at, _)| *at <= wipe.0);
            plan.faults.insert(place, wipe);
        }
        plan
    }

    /// Whether nothing goes wrong in it: no fault, and no message lost.
    pub(crate) fn is_calm(&self) -> bool {
        self.faults.is_empty() && self.links.lost_ppm == 0
    }

    /// Whether wall clocks jump in it.
    pub(crate) fn jumps_clocks(&self) -> bool {
        self.faults.iter().any(|(_, fault)| matches!(fault, Fault::Hazard(Hazard::ClockJump(..))))
    }

    fn draw_whom(&self, random: &mut SmallRng) -> Whom {
        match random.random_range(0..4) {
            0 | 1 => Whom::Leader,
            2 => Whom::Follower,
            _ => Whom::Host(random.random_range(0..self.voters)),
        }
    }

    fn draw_fault(&self, random: &mut SmallRng) -> Fault {
        let whom = self.draw_whom(random);
        let ms =
            if random.random_range(0..4) == 0 { random.random_range(1..3000) } else { random.random_range(1..600) };
        let kinds = if self.voters == 1 { 10 } else { 23 };
        Fault::Hazard(match random.random_range(0..kinds) {
            0..3 => Hazard::PowerCut(whom, ms),
            3 => Hazard::Blackout(ms),
            4 | 5 => Hazard::Restart(whom, random.random_range(1..500)),
            6 | 7 => Hazard::SlowDisk(whom, [40, 100, 300][random.random_range(0..3)], 2 * ms),
            8 => Hazard::ClockJump(whom, random.random_range(-3000..3000)),
            9 => Hazard::Suspend(whom, ms),
            10 | 11 => Hazard::Isolate(whom, ms),
            12 | 13 => Hazard::Mute(whom, ms),
            14 | 15 => Hazard::Deafen(whom, ms),
            16 | 17 => Hazard::Separate(whom, ms),
            18 => return Fault::HandOver(Whom::Leader),
            // So long that a leader loses its lease, and often too short for another to be elected.
            19 | 20 => Hazard::Isolate(Whom::Leader, random.random_range(450..900)),
            _ => Hazard::DeafRestart(Whom::Leader, random.random_range(1..40), ms),
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} voters{}, {} clients{}, {} ms; {:?}; {:?}; clocks {:?}",
            self.voters,
            if self.relaxed { " that acknowledge before they sync" } else { "" },
            self.clients,
            if self.waiting { " that wait" } else { "" },
            self.length.as_millis(),
            self.links,
            self.pace,
            self.clocks
        )?;
        self.faults.iter().try_for_each(|(at, fault)| writeln!(f, "{:>7} ms {fault:?}", at.as_millis()))
    }
}
