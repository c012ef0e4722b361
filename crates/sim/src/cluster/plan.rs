//! What goes wrong in a run, and what the operator does meanwhile: drawn from the seed before the run begins.

use std::fmt;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{HOSTS, MEMBERS, SHARDS, SPARE, WANDERING};
use crate::disk::Pace;
use crate::hazard::Hazard;
use crate::net::Links;
use crate::seed::Seed;

/// One thing that happens. All times are in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Something goes wrong with hosts, disks, clocks or links.
    Hazard(Hazard<Whom>),
    /// A majority of the voters of the group that keeps the topology loses power at once, its leader among them, for so long.
    LoseMeta(u64),
    /// The slot of a wandering tag goes to another shard; a replica of the shard that had it does not hear of that for so long, and is
    /// asked to lead.
    Mislead { tag: usize, shard: usize, ms: u64 },
    /// A client asks a node to lead its shard.
    FailOver(Whom),
    /// The operator has something to do.
    Job(Job),
}

/// What the operator does, one thing after the other, each until it has come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// Takes the spare host in, met by this host, as a replica of that shard if one is named.
    Add { via: usize, shard: Option<usize> },
    /// Lets the spare host go.
    Remove,
    /// Gives the slot of a wandering tag to another shard.
    Move { tag: usize, shard: usize },
}

/// Whom a hazard hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Who leads this shard at that moment.
    Leader(usize),
    /// Another host that holds a replica of this shard.
    Follower(usize),
    /// Who leads the group that keeps the topology.
    MetaLeader,
    /// This one.
    Host(usize),
}

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing goes wrong: one word of the operator is enough for each step, and no shard changes its leader.
    Calm,
    /// Things go wrong once the cluster is formed; or, when it is settled, once every shard has its three voters.
    Ordinary { settled: bool },
    /// Things go wrong from the beginning, and joiners lose power in the middle of it.
    Early,
    /// A host stays away for so long that what voted there votes elsewhere.
    Absence { host: usize },
    /// No message of the group that keeps the topology arrives, and shards go on; one loses its leader meanwhile.
    Silence { shard: usize },
}

/// How long a host is away in [`Kind::Absence`].
pub(crate) const ABSENCE_MS: u64 = 16_000;
/// How long the topology's group is silenced in [`Kind::Silence`].
pub(crate) const SILENCE_MS: u64 = 6000;

/// A run before it begins.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) clients: usize,
    /// How long things go wrong.
    pub(crate) length: Duration,
    pub(crate) links: Links,
    /// How fast the disks are while they are well.
    pub(crate) pace: Pace,
    /// By host: how its clocks run, in millionths, and how much its wall clock is off, in ms.
    pub(crate) clocks: Vec<(i32, i64)>,
    /// In the forming, the hosts that are met from both sides.
    pub(crate) crossing: Vec<usize>,
    /// Hosts that lose power so long after they were told to meet the first (the first number), for so long (the second).
    pub(crate) cut_joiners: Vec<(usize, u64, u64)>,
    /// Whenever a group is between two sets of voters, its leader loses power for so long, in ms.
    pub(crate) undercut_ms: Option<u64>,
    /// In order of time.
    pub(crate) events: Vec<(Duration, Event)>,
}

impl Plan {
    /// Draws a run.
    pub(crate) fn draw(seed: Seed) -> Self {
        let mut random = SmallRng::seed_from_u64(seed.of("plan", 0));
        let kind = match random.random_range(0..16) {
            0 => Kind::Calm,
            1 | 2 => Kind::Absence { host: random.random_range(0..MEMBERS) },
            3 => Kind::Silence { shard: random.random_range(0..SHARDS) },
            4..9 => Kind::Early,
            _ => Kind::Ordinary { settled: random.random_range(0..4) > 0 },
        };
        let is_rough = matches!(kind, Kind::Early | Kind::Ordinary { .. });
        let lost_ppm = [0, 0, 1000, 10_000][random.random_range(0..4)];
        let clocks = (0..HOSTS).map(|_| (random.random_range(-500..=500), random.random_range(-200..=200))).collect();
        let mut plan = Self {
            kind,
            clients: random.random_range(2..=4),
            length: Duration::from_millis(random.random_range(4000..9000)),
            links: Links {
                latency_ms_max: [1, 2, 5, 15][random.random_range(0..4)],
                lost_ppm: if is_rough { lost_ppm } else { 0 },
            },
            pace: Pace {
                sync_ms_max: [1, 3, 10, 30][random.random_range(0..4)],
                snapshot_ms_max: [0, 5, 50, 300][random.random_range(0..if is_rough { 4 } else { 3 })],
            },
            clocks,
            crossing: (1..MEMBERS).filter(|_| random.random_range(0..3) == 0).collect(),
            cut_joiners: Vec::new(),
            undercut_ms: Some(seed.of("undercut", 0))
                .filter(|&drawn| is_rough && drawn.is_multiple_of(4))
                .map(|drawn| 1 + drawn / 4 % 2000),
            events: Vec::new(),
        };
        if is_rough {
            plan.draw_events(&mut random);
            plan.draw_jobs(&mut random);
            plan.events.sort_by_key(|(at, _)| *at);
        }
        if kind == Kind::Early {
            let is_cut = |_: &usize| random.random_range(0..2) == 0;
            let hosts: Vec<usize> = (0..MEMBERS).filter(is_cut).collect();
            let times = hosts.into_iter().map(|host| (host, random.random_range(0..250), random.random_range(1..2000)));
            plan.cut_joiners = times.collect();
        }
        plan
    }

    /// Whether nothing goes wrong in it.
    pub(crate) fn is_calm(&self) -> bool {
        self.kind == Kind::Calm
    }

    /// Whether wall clocks jump in it.
    pub(crate) fn jumps_clocks(&self) -> bool {
        self.events.iter().any(|(_, event)| matches!(event, Event::Hazard(Hazard::ClockJump(..))))
    }

    /// Whether monotonic clocks jump in it.
    pub(crate) fn suspends(&self) -> bool {
        self.events.iter().any(|(_, event)| matches!(event, Event::Hazard(Hazard::Suspend(..))))
    }

    /// Whether slots move from shard to shard in it.
    pub(crate) fn moves_slots(&self) -> bool {
        self.events.iter().any(|(_, event)| matches!(event, Event::Job(Job::Move { .. }) | Event::Mislead { .. }))
    }

    fn length_ms(&self) -> u64 {
        u64::try_from(self.length.as_millis()).expect("a run is short")
    }

    fn draw_events(&mut self, random: &mut SmallRng) {
        let pause_ms = [300, 600, 1500, 3000][random.random_range(0..4)];
        let mut at_ms: u64 = random.random_range(0..2 * pause_ms);
        while at_ms < self.length_ms() {
            self.events.push((Duration::from_millis(at_ms), draw_event(random)));
            // Misfortunes that meet are the ones that nobody has thought of.
            let pause_ms = if random.random_range(0..3) == 0 { 30 } else { pause_ms };
            at_ms += random.random_range(1..2 * pause_ms);
        }
    }

    fn draw_jobs(&mut self, random: &mut SmallRng) {
        let mut at = |upto: u64| Duration::from_millis(random.random_range(0..upto));
        let (length_ms, moves_at) = (self.length_ms(), at(3000));
        let moments = [at(length_ms), at(length_ms), at(length_ms)];
        let mut push = |at, job| self.events.push((at, Event::Job(job)));
        if random.random_range(0..2) == 0 {
            for (round, moment) in moments.into_iter().enumerate() {
                let shard = random.random_range(0..SHARDS + 1);
                let add = Job::Add { via: random.random_range(0..MEMBERS), shard: (shard < SHARDS).then_some(shard) };
                push(moment, if round % 2 == 0 { add } else { Job::Remove });
                if random.random_range(0..3) == 0 {
                    break;
                }
            }
        }
        if random.random_range(0..3) == 0 {
            for round in 0..random.random_range(1..4) {
                let (tag, shard) = (random.random_range(0..WANDERING.len()), random.random_range(0..SHARDS));
                let event = match random.random_range(0..2) {
                    0 => Event::Job(Job::Move { tag, shard }),
                    _ => Event::Mislead { tag, shard, ms: random.random_range(1000..4000) },
                };
                self.events.push((moves_at + Duration::from_millis(1500) * round, event));
            }
        }
    }
}

fn draw_whom(random: &mut SmallRng) -> Whom {
    match random.random_range(0..9) {
        0..3 => Whom::Leader(random.random_range(0..SHARDS)),
        3 | 4 => Whom::Follower(random.random_range(0..SHARDS)),
        5 => Whom::MetaLeader,
        6 => Whom::Host(SPARE),
        _ => Whom::Host(random.random_range(0..MEMBERS)),
    }
}

fn draw_event(random: &mut SmallRng) -> Event {
    let whom = draw_whom(random);
    let ms = if random.random_range(0..4) == 0 { random.random_range(1..4000) } else { random.random_range(1..800) };
    let leader = Whom::Leader(random.random_range(0..SHARDS));
    Event::Hazard(match random.random_range(0..30) {
        0..5 => Hazard::PowerCut(whom, ms),
        5 => Hazard::Blackout(ms),
        6 | 7 => Hazard::Restart(whom, random.random_range(1..500)),
        8 | 9 => Hazard::SlowDisk(whom, [40, 100, 300][random.random_range(0..3)], 2 * ms),
        10 => Hazard::ClockJump(whom, random.random_range(-3000..3000)),
        11 => Hazard::Suspend(whom, ms),
        12 | 13 => Hazard::Isolate(whom, ms),
        14 | 15 => Hazard::Mute(whom, ms),
        16 | 17 => Hazard::Deafen(whom, ms),
        18 | 19 => Hazard::Separate(whom, ms),
        20..23 => {
            let one = random.random_range(1..(1 << HOSTS) - 1);
            Hazard::Split(one, ((1 << HOSTS) - 1) & !one, ms)
        }
        23 => Hazard::DeafRestart(leader, random.random_range(1..40), ms),
        // So long that a leader loses its lease, and often too short for another to be elected.
        24 => Hazard::Isolate(leader, random.random_range(450..900)),
        25 | 26 => return Event::LoseMeta(ms),
        _ => return Event::FailOver(Whom::Host(random.random_range(0..HOSTS))),
    })
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length_ms, clients) = (self.length.as_millis(), self.clients);
        writeln!(f, "{:?}, {clients} clients, {length_ms} ms; {:?}; {:?}", self.kind, self.links, self.pace)?;
        writeln!(f, "clocks {:?}; met from both sides: {:?}", self.clocks, self.crossing)?;
        if !self.cut_joiners.is_empty() {
            writeln!(f, "joiners that lose power (after, for): {:?}", self.cut_joiners)?;
        }
        if let Some(ms) = self.undercut_ms {
            writeln!(f, "leaders lose power in the middle of a change of voters, for {ms} ms")?;
        }
        self.events.iter().try_for_each(|(at, event)| writeln!(f, "{:>7} ms {event:?}", at.as_millis()))
    }
}
