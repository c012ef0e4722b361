//! `cluster`: six nodes, three masters with a replica each: what the loss of a node costs, a hand-over, and doing nothing.
//!
//! ```text
//! blows       each node in turn, under load: from the signal to the first write taken in the shard that shows the node
//! hand-over   CLUSTER FAILOVER on each replica in turn: until OK, and until the replica takes a write
//! idle        user and system time of all six, while no client asks for anything
//! ```

use std::time::Duration;

use super::Setting;
use super::client::{Client, Reply, ask_once};
use super::clock;
use super::failover::{Blow, REPLY_LIMIT, STEADY, STOPPED, Writes, probe, under_load};
use super::load::count_missing;
use super::server::{START_LIMIT, Scratch, Server};
use super::statistics::{median, worst};
use super::table::Table;
use crate::cluster::{form, wait_until_whole};
use crate::stage::{Error, Outcome};

const NODES: usize = 6;
/// Hash tags that are tried until each master has one.
const TAGS_MAX: usize = 1000;
/// For how long the idle cluster is watched.
const IDLE: Duration = Duration::from_secs(10);

/// What one node's loss, or one hand-over, came to.
struct Gaps {
    masters: Vec<f64>,
    replicas: Vec<f64>,
}

/// Measures `setting.kills` blows, a hand-over of each shard, and idling; prints the tables.
pub(crate) fn cluster(setting: &Setting<'_>) -> Outcome {
    let blow = if setting.stop { Blow::Stop } else { Blow::Kill };
    let mut scratch = Scratch::new(setting.tree)?;
    let mut nodes = scratch.cluster_nodes(&setting.binary, NODES)?;
    form(&nodes, 1)?;
    wait_until_whole(&nodes)?;
    let ports: Vec<u16> = nodes.iter().map(Server::port).collect();
    let tags = tags(&nodes)?;
    let words: Vec<&str> = tags.iter().map(String::as_str).collect();
    let mut gaps = Gaps { masters: Vec::new(), replicas: Vec::new() };
    let mut probed = Writes::new();
    let (struck, writes) = under_load(&ports, &words, || {
        (0..setting.kills).try_for_each(|number| {
            let at = usize::try_from(number).expect("few") % NODES;
            strike(&mut nodes, &ports, &tags, blow, at, number, &mut gaps, &mut probed)
        })
    });
    struck?;
    wait_until_whole(&nodes)?;
    let writes: Writes = writes.into_iter().flatten().chain(probed).collect();
    let lost = lost(&nodes, &tags, &writes)?;
    print_gaps(blow, &gaps, writes.len(), lost);
    // A node that has just started keeps its vote to itself for half a second, and takes nothing over.
    clock::pause(STEADY);
    hand_over(&nodes, &tags)?;
    idle(&nodes)?;
    if lost == 0 { Ok(()) } else { Err(Error::Failed(format!("{lost} acknowledged writes are lost"))) }
}

/// A hash tag for each master.
fn tags(nodes: &[Server]) -> Outcome<Vec<String>> {
    let masters = nodes.iter().filter(|node| is_master(node.port()));
    masters
        .map(|node| {
            let mut all = (0..TAGS_MAX).map(|number| format!("t{number}"));
            let found = all.find(|tag| takes(node.port(), tag));
            found.ok_or_else(|| Error::Failed("a master without slots".into()))
        })
        .collect()
}

fn takes(port: u16, tag: &str) -> bool {
    ask_once(port, &["SET", &format!("find:{{{tag}}}"), "x"]).is_some_and(|reply| reply.is_ok())
}

fn role(port: u16) -> Option<Vec<Reply>> {
    match ask_once(port, &["ROLE"]) {
        Some(Reply::Array(items)) => Some(items),
        _ => None,
    }
}

fn is_master(port: u16) -> bool {
    role(port).is_some_and(|items| items.first().is_some_and(|role| role.is_bulk(b"master")))
}

/// The port of a replica's master; that of a master itself.
fn master_of(port: u16) -> Option<u16> {
    match role(port)?.as_slice() {
        [kind, _, Reply::Integer(master), ..] if kind.is_bulk(b"slave") => u16::try_from(*master).ok(),
        [kind, ..] if kind.is_bulk(b"master") => Some(port),
        _ => None,
    }
}

/// Strikes the node at this place, times the gap of its shard and makes the cluster whole again.
#[expect(clippy::too_many_arguments, reason = "what is struck, with what, and where it is noted")]
fn strike(
    nodes: &mut [Server],
    ports: &[u16],
    tags: &[String],
    blow: Blow,
    at: usize,
    number: u32,
    gaps: &mut Gaps,
    probed: &mut Writes,
) -> Outcome {
    clock::pause(STEADY);
    let was_master = is_master(ports[at]);
    let tag = clock::wait_for("the shard of a node", START_LIMIT, || {
        let master = master_of(ports[at])?;
        tags.iter().find(|tag| takes(master, tag))
    })?;
    let start = clock::now();
    match blow {
        Blow::Kill => nodes[at].kill(),
        Blow::Stop => nodes[at].stop()?,
    }
    let (gap, writes) = probe(ports, tag, number, start);
    match blow {
        Blow::Kill => nodes[at].spawn()?,
        Blow::Stop => {
            clock::pause(STOPPED.saturating_sub(clock::since(start)));
            nodes[at].go_on()?;
        }
    }
    probed.extend(writes);
    let gap = gap.ok_or_else(|| Error::Failed("no write was taken in time".into()))?.as_secs_f64();
    eprintln!("== blow {}: node {at}, {}: {gap:.3} s", number + 1, if was_master { "master" } else { "replica" });
    if was_master { &mut gaps.masters } else { &mut gaps.replicas }.push(gap);
    nodes[at].wait_until_ready()?;
    wait_until_whole(nodes)
}

/// How many acknowledged writes are not there in the end.
fn lost(nodes: &[Server], tags: &[String], writes: &Writes) -> Outcome<usize> {
    eprintln!("== reading {} acknowledged writes back", writes.len());
    tags.iter()
        .map(|tag| {
            let of_tag: Writes =
                writes.iter().filter(|(key, _)| key.contains(&format!("{{{tag}}}"))).cloned().collect();
            count_missing(taker(nodes, tag)?, &of_tag)
        })
        .sum()
}

/// The port of the node that takes writes with this tag.
fn taker(nodes: &[Server], tag: &str) -> Outcome<u16> {
    let takes_it = || nodes.iter().map(Server::port).find(|&port| takes(port, tag));
    clock::wait_for("a master", START_LIMIT, takes_it)
}

fn print_gaps(blow: Blow, gaps: &Gaps, acknowledged: usize, lost: usize) {
    let what = match blow {
        Blow::Kill => "kill -9",
        Blow::Stop => "SIGSTOP for 3 s",
    };
    println!("### A cluster of six nodes, each struck in turn\n");
    let mut table = Table::new(&["blow", "to a", "times", "median s", "worst s"]);
    let struck = [("master", &gaps.masters), ("replica", &gaps.replicas)];
    for (to, gaps) in struck.into_iter().filter(|(_, gaps)| !gaps.is_empty()) {
        let (middle, most) = (format!("{:.3}", median(gaps)), format!("{:.3}", worst(gaps)));
        table.row([what.into(), to.into(), gaps.len().to_string(), middle, most]);
    }
    println!("{table}\n{acknowledged} writes were acknowledged; of these {lost} are lost.\n");
}

/// Hands each shard over to its replica.
fn hand_over(nodes: &[Server], tags: &[String]) -> Outcome {
    let (mut answered, mut taken) = (Vec::new(), Vec::new());
    for tag in tags {
        let master = taker(nodes, tag)?;
        let is_replica = |port: &u16| *port != master && master_of(*port) == Some(master);
        let replica = nodes.iter().map(Server::port).find(is_replica);
        let replica = replica.ok_or_else(|| Error::Failed("a master without a replica".into()))?;
        let failed = |error: std::io::Error| Error::Failed(format!("CLUSTER FAILOVER: {error}"));
        let mut client = Client::connect(replica, REPLY_LIMIT * 5).map_err(failed)?;
        let start = clock::now();
        let reply = client.ask(&["CLUSTER", "FAILOVER"]).map_err(failed)?;
        answered.push(clock::since(start).as_secs_f64());
        if !reply.is_ok() {
            return Err(Error::Failed(format!("CLUSTER FAILOVER was answered {reply:?}")));
        }
        clock::wait_for("the new master", START_LIMIT, || takes(replica, tag).then_some(()))?;
        taken.push(clock::since(start).as_secs_f64());
        wait_until_whole(nodes)?;
    }
    println!("### CLUSTER FAILOVER\n");
    let mut table = Table::new(&["until", "times", "median s", "worst s"]);
    for (until, times) in [("OK", &answered), ("the replica takes a write", &taken)] {
        let (middle, most) = (format!("{:.3}", median(times)), format!("{:.3}", worst(times)));
        table.row([until.into(), times.len().to_string(), middle, most]);
    }
    println!("{table}");
    Ok(())
}

/// What the cluster costs while nobody asks for anything.
fn idle(nodes: &[Server]) -> Outcome {
    let used = || nodes.iter().map(Server::cpu_us).sum::<Outcome<u64>>();
    clock::pause(STEADY);
    let (before, start) = (used()?, clock::now());
    clock::pause(IDLE);
    let (used_us, passed) = (used()? - before, clock::since(start));
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let share = used_us as f64 / passed.as_secs_f64() / 10_000.0;
    println!("Idle, all six nodes together: {share:.1} % of a core, over {} s.\n", IDLE.as_secs());
    Ok(())
}
