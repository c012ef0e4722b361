//! `failover`: a shard under a steady load of writes loses its leader, over and over. The load and the probes serve `cluster` too.
//!
//! ```text
//! load, 4 clients      one write after the other, each with a key of its own, wherever one is taken
//! probe, 3 threads     from the signal on: every 10 ms a new connection and a new write, one thread for each address
//! ```
//! What is timed: from the signal to the first write that a probe has acknowledged. No write is ever sent a second
//! time, so a key is either acknowledged, and must be there at the end with its value, or nothing is claimed of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Setting;
use super::client::Client;
use super::clock;
use super::load::count_missing;
use super::server::{START_LIMIT, Scratch, Server, info_number, leader_of};
use super::statistics::{median, worst};
use super::table::Table;
use crate::stage::{Error, Outcome};

const LOAD_CLIENTS: usize = 4;
/// Bounds the memory that a client's acknowledged writes take.
const WRITES_MAX: u64 = 4_000_000;
/// Load between the shard's recovery and the next signal.
pub(crate) const STEADY: Duration = Duration::from_secs(1);
/// How long a leader stays stopped.
pub(crate) const STOPPED: Duration = Duration::from_secs(3);
/// How often the probes write.
const PROBE_EVERY: Duration = Duration::from_millis(10);
/// How long a client waits for a reply: a stopped server takes connections and never answers.
pub(crate) const REPLY_LIMIT: Duration = Duration::from_secs(1);
/// A shard that takes no write for this long has failed.
const GAP_LIMIT: Duration = Duration::from_secs(15);

/// Acknowledged writes: key and value.
pub(crate) type Writes = Vec<(String, String)>;

/// What happens to a leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    /// SIGKILL, and started again after the failover.
    Kill,
    /// SIGSTOP for three seconds.
    Stop,
}

/// Measures `setting.kills` failovers and prints the table.
pub(crate) fn failover(setting: &Setting<'_>) -> Outcome {
    let blow = if setting.stop { Blow::Stop } else { Blow::Kill };
    let mut scratch = Scratch::new(setting.tree)?;
    let mut nodes = scratch.cairn_shard(&setting.binary)?;
    let ports: Vec<u16> = nodes.iter().map(Server::port).collect();
    wait_until_level(&nodes)?;
    let (gaps, writes) = under_load(&ports, &[""], || {
        (1..=setting.kills).map(|number| one_blow(&mut nodes, &ports, blow, number)).collect::<Outcome<Vec<_>>>()
    });
    let (gaps, probed): (Vec<Duration>, Vec<Writes>) = gaps?.into_iter().unzip();
    let writes: Writes = writes.into_iter().chain(probed).flatten().collect();
    wait_until_level(&nodes)?;
    eprintln!("== reading {} acknowledged writes back", writes.len());
    let leader = clock::wait_for("a leader", START_LIMIT, || leader_of(&nodes))?;
    let lost = count_missing(ports[leader], &writes)?;
    print(blow, &gaps, writes.len(), lost);
    if lost == 0 { Ok(()) } else { Err(Error::Failed(format!("{lost} acknowledged writes are lost"))) }
}

fn print(blow: Blow, gaps: &[Duration], acknowledged: usize, lost: usize) {
    let what = match blow {
        Blow::Kill => "kill -9 of the leader",
        Blow::Stop => "leader stopped for 3 s (SIGSTOP)",
    };
    let mut seconds: Vec<f64> = gaps.iter().map(Duration::as_secs_f64).collect();
    seconds.sort_by(f64::total_cmp);
    println!("### Failover of a shard of three voters\n");
    println!(
        "{LOAD_CLIENTS} clients write without pause; from the signal to the first write acknowledged to a client that polls the \
         three addresses every 10 ms.\n"
    );
    let mut table = Table::new(&["blow", "times", "median s", "worst s", "writes acknowledged", "of these lost"]);
    table.row([
        what.into(),
        gaps.len().to_string(),
        format!("{:.3}", median(&seconds)),
        format!("{:.3}", worst(&seconds)),
        acknowledged.to_string(),
        lost.to_string(),
    ]);
    println!("{table}");
    let all: Vec<String> = seconds.iter().map(|gap| format!("{gap:.2}")).collect();
    println!("All, in order of size: {} s.\n", all.join(", "));
}

/// Runs `work` while the clients write, each with one of the hash tags; their acknowledged writes come back with its result.
#[expect(clippy::disallowed_methods, reason = "clients of real servers are threads of this machine")]
pub(crate) fn under_load<T>(ports: &[u16], tags: &[&str], work: impl FnOnce() -> T) -> (T, Vec<Writes>) {
    let goes_on = AtomicBool::new(true);
    thread::scope(|scope| {
        let goes_on = &goes_on;
        let clients: Vec<_> = (0..LOAD_CLIENTS)
            .map(|number| scope.spawn(move || write_on(number, ports, tags[number % tags.len()], goes_on)))
            .collect();
        let result = work();
        goes_on.store(false, Ordering::Relaxed);
        let writes = clients.into_iter().map(|client| client.join().expect("a client only counts")).collect();
        (result, writes)
    })
}

/// One client of the load: writes until it is told to end, changing the address after anything but OK.
fn write_on(number: usize, ports: &[u16], tag: &str, goes_on: &AtomicBool) -> Writes {
    let mut writes = Writes::new();
    let mut address = number;
    let mut client: Option<Client> = None;
    for count in 0..WRITES_MAX {
        if !goes_on.load(Ordering::Relaxed) {
            break;
        }
        let (key, value) = (format!("load:{{{tag}}}:{number}:{count}"), count.to_string());
        if client.is_none() {
            client = Client::connect(ports[address % ports.len()], REPLY_LIMIT).ok();
        }
        let is_done = client.as_mut().is_some_and(|client| set(client, &key, &value));
        if is_done {
            writes.push((key, value));
        } else {
            client = None;
            address += 1;
            clock::pause(PROBE_EVERY);
        }
    }
    writes
}

fn set(client: &mut Client, key: &str, value: &str) -> bool {
    client.ask(&["SET", key, value]).is_ok_and(|reply| reply.is_ok())
}

/// Strikes the leader, times the gap and makes the shard whole again. The writes are those of the probes.
fn one_blow(nodes: &mut [Server], ports: &[u16], blow: Blow, number: u32) -> Outcome<(Duration, Writes)> {
    clock::pause(STEADY);
    let leader = clock::wait_for("a leader", START_LIMIT, || leader_of(nodes))?;
    let start = clock::now();
    match blow {
        Blow::Kill => nodes[leader].kill(),
        Blow::Stop => nodes[leader].stop()?,
    }
    let (gap, writes) = probe(ports, "", number, start);
    match blow {
        Blow::Kill => nodes[leader].spawn()?,
        Blow::Stop => {
            clock::pause(STOPPED.saturating_sub(clock::since(start)));
            nodes[leader].go_on()?;
        }
    }
    let gap = gap.ok_or_else(|| Error::Failed(format!("no write was taken for {} s", GAP_LIMIT.as_secs())))?;
    eprintln!("== failover {number}: {:.3} s", gap.as_secs_f64());
    nodes[leader].wait_until_ready()?;
    wait_until_level(nodes)?;
    Ok((gap, writes))
}

/// Polls all addresses until one has taken a write with the hash tag; when that was, after `start`, and all writes that were taken.
#[expect(clippy::disallowed_methods, reason = "an address that does not answer must not hold up the others")]
pub(crate) fn probe(ports: &[u16], tag: &str, number: u32, start: Instant) -> (Option<Duration>, Writes) {
    let is_taken = AtomicBool::new(false);
    thread::scope(|scope| {
        let is_taken = &is_taken;
        let threads: Vec<_> =
            ports.iter().map(|&port| scope.spawn(move || probe_one(port, tag, number, start, is_taken))).collect();
        let found: Vec<(Duration, String)> =
            threads.into_iter().filter_map(|thread| thread.join().expect("a probe only asks")).collect();
        let first = found.iter().map(|(gap, _)| *gap).min();
        let writes = found.into_iter().map(|(_, key)| (key.clone(), key)).collect();
        (first, writes)
    })
}

/// Writes to one address every 10 ms until it or another has taken a write.
fn probe_one(port: u16, tag: &str, number: u32, start: Instant, is_taken: &AtomicBool) -> Option<(Duration, String)> {
    let mut tries: u32 = 0;
    while !is_taken.load(Ordering::Relaxed) && clock::since(start) < GAP_LIMIT {
        let key = format!("probe:{{{tag}}}:{number}:{port}:{tries}");
        let is_done = Client::connect(port, REPLY_LIMIT).is_ok_and(|mut client| set(&mut client, &key, &key));
        let gap = clock::since(start);
        if is_done {
            is_taken.store(true, Ordering::Relaxed);
            return Some((gap, key));
        }
        tries += 1;
        clock::pause(until_next(gap));
    }
    None
}

/// From `elapsed` to the next multiple of the probes' period: a slow try is not made up for by a burst.
fn until_next(elapsed: Duration) -> Duration {
    let periods = elapsed.as_millis() / PROBE_EVERY.as_millis() + 1;
    PROBE_EVERY * u32::try_from(periods).expect("a gap has a limit") - elapsed
}

/// Waits until everybody has applied what is committed now: the next leader may be any of them.
fn wait_until_level(nodes: &[Server]) -> Outcome {
    let number = |node: &Server, field| info_number(node.port(), "raft", field);
    let committed =
        clock::wait_for("a leader", START_LIMIT, || number(&nodes[leader_of(nodes)?], "raft_commit_index"))?;
    let has_applied = |node| number(node, "raft_applied_index").is_some_and(|index| index >= committed);
    clock::wait_for("the shard to be whole", START_LIMIT, || nodes.iter().all(has_applied).then_some(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_keep_their_beat() {
        let ms = Duration::from_millis;
        assert_eq!(until_next(ms(0)), ms(10));
        assert_eq!(until_next(ms(13)), ms(7));
        assert_eq!(until_next(ms(1020)), ms(10));
        assert_eq!(until_next(Duration::from_micros(9_999)), Duration::from_micros(1));
    }
}
