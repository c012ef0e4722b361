//! `standalone` and `shard`: requests a second, latency and CPU, contender after contender, round after round.
//!
//! All contenders run all the time; the load goes to one after the other within a round, so that whatever the machine
//! does meanwhile befalls them alike. The price is that an idle Cairn shard's heartbeats run beside its peer.

use std::time::Duration;

use super::Setting;
use super::clock;
use super::load::{Kind, Load, load_keys};
use super::server::{Scratch, Server, info_number, leader_of};
use super::statistics::{Ratio, median};
use super::table::Table;
use crate::stage::{Error, Outcome};

/// How long a leader may take to appear.
const LEADER_LIMIT: Duration = Duration::from_secs(30);
/// A measurement during which the leader changed is taken anew this often.
const ATTEMPTS: u32 = 3;

/// Somebody to measure: one server, or the nodes of one shard.
struct Contender {
    name: &'static str,
    servers: Vec<Server>,
    /// Whether its INFO counts log entries.
    is_cairn: bool,
}

/// One run of one load at one contender.
#[derive(Clone, Copy)]
struct Sample {
    requests_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Of all its processes, user and system.
    cpu_us_per_request: f64,
    /// Of Cairn, when the load writes.
    log: Option<LogUse>,
}

/// What a run was in log entries.
#[derive(Clone, Copy)]
struct LogUse {
    cpu_us_per_entry: f64,
    commands_per_entry: f64,
}

impl Contender {
    fn alone(name: &'static str, server: Server) -> Self {
        Self { name, servers: vec![server], is_cairn: false }
    }

    fn cairn(name: &'static str, servers: Vec<Server>) -> Self {
        Self { name, servers, is_cairn: true }
    }

    /// The port that takes writes.
    fn target(&self) -> Outcome<u16> {
        if !self.is_cairn {
            return Ok(self.servers[0].port());
        }
        let leader = clock::wait_for("a leader", LEADER_LIMIT, || leader_of(&self.servers))?;
        Ok(self.servers[leader].port())
    }

    fn cpu_us(&self) -> Outcome<u64> {
        self.servers.iter().map(Server::cpu_us).sum()
    }

    /// Entries and commands that the leader's log took so far; zeros of a peer.
    fn log_counts(&self, port: u16) -> Outcome<(u64, u64)> {
        if !self.is_cairn {
            return Ok((0, 0));
        }
        let count = |field| {
            info_number(port, "raft", field).ok_or_else(|| Error::Failed(format!("INFO raft does not tell {field}")))
        };
        Ok((count("raft_entries")?, count("raft_commands")?))
    }

    fn measure(&self, load: Load, count: u64, time: Duration) -> Outcome<Sample> {
        for _ in 0..ATTEMPTS {
            let port = self.target()?;
            let (entries_before, commands_before) = self.log_counts(port)?;
            let cpu_before = self.cpu_us()?;
            let report = load.run(port, count, time);
            let cpu_us = self.cpu_us()? - cpu_before;
            if self.target()? != port {
                eprintln!("== the leader changed: measuring anew");
                continue;
            }
            let (entries, commands) = self.log_counts(port)?;
            let (entries, commands) = (entries - entries_before, commands - commands_before);
            let report = report?;
            let log = (entries > 0 && load.kind == Kind::Set)
                .then(|| LogUse { cpu_us_per_entry: per(cpu_us, entries), commands_per_entry: per(commands, entries) });
            return Ok(Sample {
                requests_per_second: report.requests_per_second,
                p50_ms: report.p50_ms,
                p99_ms: report.p99_ms,
                cpu_us_per_request: per(cpu_us, count),
                log,
            });
        }
        Err(Error::Failed(format!("{load}: the leader changed in each of {ATTEMPTS} attempts")))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^53")]
fn per(total: u64, count: u64) -> f64 {
    total as f64 / count as f64
}

/// GET and SET of Cairn alone against Valkey in memory and Redis with a synced log.
pub(crate) fn standalone(setting: &Setting<'_>) -> Outcome {
    let mut scratch = Scratch::new(setting.tree)?;
    let contenders = [
        Contender::cairn("Cairn", vec![scratch.cairn(&setting.binary)?]),
        Contender::alone("Valkey, in memory", scratch.valkey(&setting.valkey()?)?),
        Contender::alone("Redis, appendfsync always", scratch.redis_always()?),
    ];
    let kinds = [Kind::Get, Kind::Set];
    let loads = kinds.into_iter().flat_map(|kind| [1, 16].map(|pipeline| setting.load(kind, 50, pipeline)));
    let title = "Standalone: requests a second against peers";
    compare(setting, title, &contenders, &loads.collect::<Vec<_>>())
}

/// SET over three voters against Redis with a synced log.
pub(crate) fn shard(setting: &Setting<'_>) -> Outcome {
    let mut scratch = Scratch::new(setting.tree)?;
    let contenders = [
        Contender::cairn("Cairn, three voters", scratch.cairn_shard(&setting.binary)?),
        Contender::alone("Redis, appendfsync always", scratch.redis_always()?),
    ];
    let loads = [(1, 1), (50, 1), (50, 16)].map(|(clients, pipeline)| setting.load(Kind::Set, clients, pipeline));
    compare(setting, "A shard of three voters: SET against Redis with a synced log", &contenders, &loads)
}

/// Measures all loads and prints the tables. The first contender is ours.
fn compare(setting: &Setting<'_>, title: &str, contenders: &[Contender], loads: &[Load]) -> Outcome {
    for contender in contenders {
        eprintln!("== loading {} keys into {}", setting.keys, contender.name);
        load_keys(contender.target()?, setting.keys)?;
    }
    let measured = loads.iter().map(|&load| in_turn(setting, contenders, load)).collect::<Outcome<Vec<_>>>()?;
    println!("### {title}\n");
    println!(
        "redis-benchmark, 64-byte values, {} keys that exist; medians of {} rounds of {} s each, all in turn.\n",
        setting.keys,
        setting.pairs,
        setting.time.as_secs()
    );
    println!("{}", rates(contenders, loads, &measured));
    if measured.iter().any(|samples| samples[0].iter().any(|sample| sample.log.is_some())) {
        println!("{}", log_use(loads, &measured));
    }
    Ok(())
}

/// The samples of one load: one list for each contender, one sample for each round.
fn in_turn(setting: &Setting<'_>, contenders: &[Contender], load: Load) -> Outcome<Vec<Vec<Sample>>> {
    let counts: Vec<u64> =
        contenders.iter().map(|contender| load.fitting(contender.target()?, setting.time)).collect::<Outcome<_>>()?;
    let mut samples = vec![Vec::new(); contenders.len()];
    for round in 1..=setting.pairs {
        for ((contender, &count), samples) in contenders.iter().zip(&counts).zip(&mut samples) {
            let sample = contender.measure(load, count, setting.time)?;
            eprintln!(
                "== {load}, round {round} of {}: {:.1} k/s, {}",
                setting.pairs,
                sample.requests_per_second / 1000.0,
                contender.name
            );
            samples.push(sample);
        }
    }
    Ok(samples)
}

fn values(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> Vec<f64> {
    samples.iter().map(of).collect()
}

fn rates(contenders: &[Contender], loads: &[Load], measured: &[Vec<Vec<Sample>>]) -> Table {
    let mut table = Table::new(&[
        "load",
        "contender",
        "k/s",
        "p50 / p99 ms",
        "server CPU µs a request",
        "Cairn's k/s ÷ its own (95 %)",
    ]);
    for (load, samples) in loads.iter().zip(measured) {
        for (place, (contender, theirs)) in contenders.iter().zip(samples).enumerate() {
            let rate = |samples: &[Sample]| values(samples, |sample| sample.requests_per_second);
            let ratio =
                if place == 0 { "–".into() } else { Ratio::of(&rate(&samples[0]), &rate(theirs)).to_string() };
            table.row([
                if place == 0 { load.to_string() } else { String::new() },
                contender.name.into(),
                format!("{:.1}", median(&rate(theirs)) / 1000.0),
                format!(
                    "{:.2} / {:.2}",
                    median(&values(theirs, |sample| sample.p50_ms)),
                    median(&values(theirs, |sample| sample.p99_ms))
                ),
                format!("{:.1}", median(&values(theirs, |sample| sample.cpu_us_per_request))),
                ratio,
            ]);
        }
    }
    table
}

fn log_use(loads: &[Load], measured: &[Vec<Vec<Sample>>]) -> Table {
    let mut table = Table::new(&["Cairn's log", "CPU of all its servers, µs an entry", "commands an entry"]);
    for (load, samples) in loads.iter().zip(measured) {
        let uses: Vec<LogUse> = samples[0].iter().filter_map(|sample| sample.log).collect();
        if uses.is_empty() {
            continue;
        }
        let median_of = |of: fn(&LogUse) -> f64| median(&uses.iter().map(of).collect::<Vec<_>>());
        table.row([
            load.to_string(),
            format!("{:.0}", median_of(|log| log.cpu_us_per_entry)),
            format!("{:.1}", median_of(|log| log.commands_per_entry)),
        ]);
    }
    table
}
