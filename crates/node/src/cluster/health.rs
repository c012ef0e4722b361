//! On the meta leader: which nodes are heard of, and when the others are told of those that are not.
//!
//! A node is silent for as long as it answered none of the meta group's heartbeats. What was missed while this process stood
//! still (stopped, or without a core) does not count: it was not listening.

use std::collections::BTreeMap;
use std::time::Duration;

use topology::{Liveness, NodeId, Topology};

/// A look at the group comes every second, more or less. After a longer sleep the process stood still.
const ASLEEP_AFTER: Duration = Duration::from_secs(2);

/// What one leader knows of the others, since it leads.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Since when this node leads, or knows of another.
    known_since_ns: BTreeMap<NodeId, u64>,
    /// When the process last went on after it had stood still.
    awake_since_ns: u64,
    /// What the nodes were told last, and when that was new.
    told: Option<(Vec<NodeId>, u64)>,
}

impl Health {
    /// The process waited for so long, until now.
    pub(super) fn slept(&mut self, time: Duration, now_ns: u64) {
        if time > ASLEEP_AFTER {
            self.awake_since_ns = now_ns;
        }
    }

    /// Takes note of which nodes there are.
    pub(super) fn know(&mut self, topology: &Topology, now_ns: u64) {
        self.known_since_ns.retain(|node, _| topology.node(*node).is_some());
        for node in topology.nodes().keys() {
            self.known_since_ns.entry(*node).or_insert(now_ns);
        }
    }

    /// For how long each node is silent: by the heartbeats that its replica of the meta group answered, `heard_ms` ago.
    pub(super) fn liveness(
        &self,
        topology: &Topology,
        heard_ms: &BTreeMap<raft::ReplicaId, u64>,
        me: NodeId,
        now_ns: u64,
    ) -> Liveness {
        let since_ms = |then_ns: u64| now_ns.saturating_sub(then_ns) / 1_000_000;
        let mut liveness = Liveness::default();
        for replica in topology.meta() {
            // One that was not heard of yet is silent since this leader knows of it.
            let known_ms = self.known_since_ns.get(&replica.node).map_or(0, |since| since_ms(*since));
            let silent_ms = match heard_ms.get(&raft::ReplicaId(replica.id.0)) {
                _ if replica.node == me => 0,
                heard => heard.copied().unwrap_or(known_ms).min(since_ms(self.awake_since_ns)),
            };
            liveness.silent_ms.insert(replica.node, silent_ms);
        }
        liveness
    }

    /// The nodes that are silent for `after_ms` or more, if the others should be told: while there are any, and for as long after
    /// a change as it takes until a node that did not hear of it would be silent itself. A new leader tells in any case: what an
    /// earlier one said may be past.
    pub(super) fn news(&mut self, liveness: &Liveness, after_ms: u64, now_ns: u64) -> Option<Vec<NodeId>> {
        let silent = liveness.silent_ms.iter().filter(|(_, ms)| **ms >= after_ms);
        let failed: Vec<NodeId> = silent.map(|(node, _)| *node).collect();
        let since_ns = match &self.told {
            Some((told, since_ns)) if *told == failed => *since_ns,
            _ => now_ns,
        };
        self.told = Some((failed.clone(), since_ns));
        let is_old = now_ns.saturating_sub(since_ns) / 1_000_000 > after_ms.saturating_mul(2);
        (!failed.is_empty() || !is_old).then_some(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn silence(nodes: &[(u8, u64)]) -> Liveness {
        let silent_ms = nodes.iter().map(|&(node, ms)| (NodeId([node; 20]), ms)).collect();
        Liveness { silent_ms }
    }

    #[test]
    fn a_new_leader_says_that_nobody_is_silent_and_says_it_again_until_everybody_must_have_heard_it() {
        let mut health = Health::default();
        let all_live = silence(&[(1, 0), (2, 100)]);
        assert_eq!(health.news(&all_live, 1000, 0), Some(vec![]));
        assert_eq!(health.news(&all_live, 1000, 2000 * MS), Some(vec![]));
        assert_eq!(health.news(&all_live, 1000, 2001 * MS), None);
    }

    #[test]
    fn silence_is_told_for_as_long_as_it_lasts_and_its_end_too() {
        let mut health = Health::default();
        let (silent, all_live) = (silence(&[(1, 0), (2, 1000)]), silence(&[(1, 0), (2, 10)]));
        for at in [0, 5000, 60_000] {
            assert_eq!(health.news(&silent, 1000, at * MS), Some(vec![NodeId([2; 20])]));
        }
        assert_eq!(health.news(&all_live, 1000, 61_000 * MS), Some(vec![]));
        assert_eq!(health.news(&all_live, 1000, 64_000 * MS), None);
    }

    #[test]
    fn a_process_that_stood_still_holds_nobody_for_silent() {
        let topology = topology();
        let other = topology.meta()[0];
        let heard = BTreeMap::from([(raft::ReplicaId(other.id.0), 3000)]);
        let mut health = Health::default();
        health.know(&topology, 0);
        let silent_ms =
            |health: &Health, at| health.liveness(&topology, &heard, NodeId([9; 20]), at).silent_ms[&other.node];
        assert_eq!(silent_ms(&health, 5000 * MS), 3000);
        health.slept(Duration::from_millis(2900), 5000 * MS);
        assert_eq!(silent_ms(&health, 5000 * MS), 0);
        assert_eq!(silent_ms(&health, 5500 * MS), 500);
    }

    fn topology() -> Topology {
        Topology::single(topology::First {
            cluster: topology::ClusterId(1),
            node: NodeId([1; 20]),
            endpoint: topology::Endpoint::default(),
            meta_replica: topology::ReplicaId(2),
            shard: topology::ShardId(3),
            replica: topology::ReplicaId(4),
        })
    }
}
