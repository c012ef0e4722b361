//! Few hosts that meet, and what becomes of it at each moment at which something comes between.

use std::time::Duration;

use node::ClusterProbe;
use resp::Value;
use tokio::time;

use super::run::part;
use super::watch::probes;
use crate::client::{Command, Connection, command};
use crate::disk::Pace;
use crate::host::{CLIENT_PORT, ip};
use crate::hosts::Making;
use crate::kept::Kept;
use crate::net::Links;
use crate::run::{Stage, in_virtual_time};
use crate::seed::Seed;
use crate::trace::Trace;

/// After so long it shows what becomes of a MEET: those that are given up are so by then.
const DECIDED_WITHIN: Duration = Duration::from_secs(20);
/// How long nodes take to found clusters of their own, or to become one, where nothing is in their way.
const SOON: Duration = Duration::from_secs(4);

/// Clusters of one each.
struct Few {
    stage: Stage,
    /// The hosts by the ids of their clusters, the lowest first: of two, it is the later that joins.
    by_id: Vec<usize>,
}

impl Few {
    async fn new<const N: usize>(seed: Seed, sync_ms_max: u64) -> Self {
        let pace = Pace { sync_ms_max, snapshot_ms_max: 0 };
        let links = Links { latency_ms_max: 2, lost_ppm: 0 };
        let making =
            Making { links, pace, clocks: &[(0, 0); N], parts: (0..N).map(part).collect(), kept: Kept::default() };
        let stage = Stage::new(seed, making, false, Trace::new(None));
        stage.begin().unwrap();
        time::sleep(SOON).await;
        let mut by_id: Vec<usize> = (0..N).collect();
        by_id.sort_by_key(|&host| probes(&stage.hosts.borrow())[host].as_ref().unwrap().cluster);
        Self { stage, by_id }
    }

    async fn ask(&self, host: usize, command: Command) -> Value {
        let stream = self.stage.hosts.borrow().connect(host, 0).expect("the host is on");
        let mut replies = Vec::new();
        Connection::new(stream).call(&[command], Duration::from_secs(60), &mut replies).await.expect("an answer");
        replies.remove(0)
    }

    async fn meet(&self, asked: usize, other: usize) {
        let meet = command(["CLUSTER", "MEET", &ip(other), &CLIENT_PORT.to_string()]);
        assert_eq!(self.ask(asked, meet).await, Value::Simple(b"OK".to_vec()));
    }

    /// How many nodes are in a host's cluster, and whether it is on its way to another. None, while it hears nothing of the cluster
    /// that has taken it in.
    fn standing(&self, host: usize) -> (usize, bool) {
        let probes = probes(&self.stage.hosts.borrow());
        let standing = |probe: &ClusterProbe| (probe.meta.voters.len() + probe.meta.learners.len(), probe.is_joining);
        probes[host].as_ref().map_or((0, false), standing)
    }

    /// The node that a host asks to take it in, as INFO has it.
    async fn joining(&self, host: usize) -> Option<String> {
        let info = self.ask(host, command(["INFO", "raft"])).await;
        let info = String::from_utf8(info.as_bytes().unwrap().to_vec()).unwrap();
        let address = info.lines().find_map(|line| line.strip_prefix("cairn_joining:")).expect("INFO has it");
        (!address.is_empty()).then(|| address.to_owned())
    }
}

/// A node that has said that it is stopping is back before long, and cannot say so at first: it does as soon as it can, or a hidden
/// leader would wait for nobody though somebody is at home.
#[test]
fn a_node_that_is_back_is_heard_of() {
    let seed = Seed::new(714);
    let run = async {
        let few = Few::new::<2>(seed, 5).await;
        let (one, other) = (few.by_id[0], few.by_id[1]);
        few.meet(other, one).await;
        time::sleep(SOON).await;
        let counts_as_leaving = || {
            let hosts = few.stage.hosts.borrow();
            probes(&hosts)[other].as_ref().unwrap().leaving.contains(&hosts.all[one].id())
        };
        assert!(!counts_as_leaving());
        let stopping = few.stage.hosts.borrow().all[one].stop().expect("it runs");
        stopping.await;
        few.stage.hosts.borrow_mut().all[one].turn_off();
        // What it has said arrives.
        time::sleep(Duration::from_millis(50)).await;
        few.stage.hosts.borrow().net.cut(one, other);
        few.stage.hosts.borrow_mut().all[one].start().unwrap();
        time::sleep(SOON).await;
        assert!(counts_as_leaving(), "nothing that it says arrives");
        few.stage.hosts.borrow().net.mend(one, other);
        time::sleep(Duration::from_secs(1)).await;
        assert!(!counts_as_leaving());
    };
    in_virtual_time(seed, run).unwrap();
}

/// What becomes of a node that another joins, and that loses its power meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is gone for good.
    Gone,
    /// It is, and the other starts anew.
    GoneForOneThatRestarts,
    /// It comes back.
    Returns,
}

/// Where a joiner is when MEETs that come to nothing have been given up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joiner {
    /// In a cluster, be it its own.
    Somewhere,
    /// Still asking.
    Asking,
    /// In a cluster that it has heard nothing of.
    Nowhere,
}

/// A node joins another that loses its power so long after it was met.
async fn meets_one_that_goes(few: Few, after_ms: u64, fate: Fate) -> Joiner {
    let (joined, joiner) = (few.by_id[0], few.by_id[1]);
    few.meet(joiner, joined).await;
    time::sleep(Duration::from_millis(after_ms)).await;
    few.stage.hosts.borrow_mut().all[joined].cut_power();
    time::sleep(DECIDED_WITHIN).await;
    let (known, was_asking) = few.standing(joiner);
    assert_eq!(few.joining(joiner).await.is_some(), was_asking, "after {after_ms} ms: INFO says the same");
    if fate == Fate::Returns {
        few.stage.hosts.borrow_mut().all[joined].start().unwrap();
        time::sleep(SOON).await;
        // What was given up is begun anew; what was not has come about meanwhile.
        few.meet(joiner, joined).await;
        time::sleep(SOON).await;
        assert_eq!([few.standing(joiner), few.standing(joined)], [(2, false); 2], "after {after_ms} ms");
    } else if was_asking || known == 0 {
        if fate == Fate::GoneForOneThatRestarts {
            few.stage.hosts.borrow_mut().all[joiner].cut_power();
            few.stage.hosts.borrow_mut().all[joiner].start().unwrap();
            time::sleep(DECIDED_WITHIN).await;
        }
        assert_eq!(few.ask(joiner, command(["CLUSTER", "RESET"])).await, Value::Simple(b"OK".to_vec()));
        assert_eq!((few.standing(joiner), few.joining(joiner).await), ((1, false), None), "after {after_ms} ms");
    }
    few.stage.hosts.borrow().check().unwrap();
    match known {
        _ if was_asking => Joiner::Asking,
        0 => Joiner::Nowhere,
        _ => Joiner::Somewhere,
    }
}

#[test]
fn a_join_goes_on_only_where_it_may_have_been_decided() {
    let was_asking = |after_ms: &u64| {
        let seed = Seed::new(*after_ms);
        let run =
            async { meets_one_that_goes(Few::new::<2>(seed, 5).await, *after_ms, Fate::Gone).await == Joiner::Asking };
        in_virtual_time(seed, run).unwrap()
    };
    let asking = (0..60).step_by(4).filter(was_asking).count();
    assert!((1..15).contains(&asking), "{asking} of 15 were asked and did not answer: the moments are not those");
}

/// It may have moved into the cluster that was lost before it told it anything: then it knows no topology at all.
#[test]
fn a_node_whose_cluster_is_lost_begins_anew_after_a_restart() {
    let meets = |after_ms: u64| {
        let (seed, fate) = (Seed::new(after_ms), Fate::GoneForOneThatRestarts);
        let run = async { meets_one_that_goes(Few::new::<2>(seed, 5).await, after_ms, fate).await };
        in_virtual_time(seed, run).unwrap()
    };
    let found: Vec<Joiner> = (0..60).step_by(2).map(meets).collect();
    assert!(found.contains(&Joiner::Asking) && found.contains(&Joiner::Nowhere), "the moments are not those");
}

#[test]
fn a_join_is_completed_when_the_other_returns() {
    let was_asking = |after_ms: &u64| {
        let seed = Seed::new(*after_ms);
        let run = async {
            meets_one_that_goes(Few::new::<2>(seed, 5).await, *after_ms, Fate::Returns).await == Joiner::Asking
        };
        in_virtual_time(seed, run).unwrap()
    };
    let asking = (0..60).step_by(4).filter(was_asking).count();
    assert!(asking > 0, "none was asked that did not answer: the moments are not those");
}

/// A node is met once, while it is on its way to another cluster itself: whenever that is, in the end all are one.
#[test]
fn a_node_is_met_while_it_moves_house() {
    for after_ms in (0..180).step_by(18) {
        for last in 0..3 {
            let seed = Seed::new(after_ms);
            let run = async {
                let few = Few::new::<3>(seed, 30).await;
                let (mut pair, third) = (few.by_id.clone(), few.by_id[last]);
                pair.remove(last);
                few.meet(pair[1], pair[0]).await;
                time::sleep(Duration::from_millis(after_ms)).await;
                few.meet(third, pair[1]).await;
                time::sleep(SOON).await;
                let standings = [0, 1, 2].map(|host| few.standing(host));
                assert_eq!(standings, [(3, false); 3], "{third} met {} after {after_ms} ms", pair[1]);
            };
            in_virtual_time(seed, run).unwrap();
        }
    }
}
