//! What must be true of all nodes at every moment, and what once all is mended.
//!
//! ```text
//! always   two replicas that applied the same are equal; of two replicas that accept commands now, no slot is of both
//!          an answer that a slot was served comes from a node one of whose replicas serves it by its own log
//!          the leader of a shard that a node knows is never of an older term than the one it knew before, or than it leads in
//!          a hidden replica that leads does not show itself at once, unless all that are at home have told it that they are stopping
//!          a node that is back, and has been within reach for a while, does not count as stopping
//! in the end   one cluster, of the nodes that should be in it, none on its way; every shard with slots has three voters on
//!          different nodes, all that hold a replica are members, and all replicas are equal
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use node::{ClusterProbe, KnownLeader, ReplicaProbe};
use raft::{GroupId, NodeId, ReplicaId};
use slot::Slot;
use tokio::time::Instant;

use crate::host::Host;
use crate::hosts::Hosts;

/// For how long a hidden leader looks for one at home. A look may come late, and clocks run at their own rates.
const HIDDEN_FOR: Duration = Duration::from_millis(1900);

/// So long after its return, at most, who can be reached has heard of it: it is said again, should a message be lost.
const HEARD_WITHIN: Duration = Duration::from_secs(4);

/// How many voters a shard with slots has.
const VOTERS: usize = 3;
/// Of these sizes of a cluster its topology has five.
const META_VOTERS: usize = 5;

/// See the module.
pub(crate) struct Watch {
    /// By host.
    memories: BTreeMap<usize, Memory>,
    /// Who was shown to lead a shard, and in which term.
    shown: BTreeSet<(GroupId, u64, NodeId)>,
    /// Since when a life of a host leads a shard that its node is hidden in.
    hidden: BTreeMap<(usize, u64, GroupId), Instant>,
    /// By host, the shard that its node was at home in when it was seen last.
    homes: BTreeMap<usize, GroupId>,
    /// By host, where it knew each node to be at home when it was seen last.
    known_homes: BTreeMap<usize, BTreeMap<NodeId, GroupId>>,
    /// By host, the nodes that have told its node that they are stopping, when it was seen last.
    leaving: BTreeMap<usize, Vec<NodeId>>,
    /// In which life, and since when, a host is in one cluster with another (the second), and reaches it.
    returned: BTreeMap<(usize, usize), (u64, Instant)>,
    /// Monotonic clocks jump in this run: how long a leader has waited is not known.
    clocks_jump: bool,
    /// When a command on a slot was served last.
    served: BTreeMap<Slot, Instant>,
    wrong: Option<String>,
}

/// What a node has known. Who starts anew, or joins another cluster, begins with nothing.
#[derive(Default)]
struct Memory {
    /// The life of its host, and what the node is in its cluster.
    of: Option<(u64, ReplicaId)>,
    /// By shard, the highest term of a leader.
    terms: BTreeMap<GroupId, u64>,
}

/// What the nodes of a run know and hold, by host; `None` for one that is off or does not know its cluster yet.
pub(crate) type Probes = Vec<Option<ClusterProbe>>;

/// Asks every node.
pub(crate) fn probes(hosts: &Hosts) -> Probes {
    hosts.all.iter().map(|host| host.node().and_then(|node| node.cluster_probe())).collect()
}

/// Those that are on and know their cluster.
pub(crate) fn known(probes: &Probes) -> impl Iterator<Item = (usize, &ClusterProbe)> {
    probes.iter().enumerate().filter_map(|(host, probe)| Some((host, probe.as_ref()?)))
}

fn replicas(probes: &Probes) -> impl Iterator<Item = (usize, &ReplicaProbe)> {
    known(probes).flat_map(|(host, probe)| probe.replicas.iter().map(move |replica| (host, replica)))
}

/// The host whose replica accepts commands on a slot.
pub(crate) fn leader_of(probes: &Probes, slot: Slot) -> Option<usize> {
    let mut leaders = replicas(probes).filter(|(_, replica)| replica.accepts && replica.slots.contains(slot));
    leaders.next().map(|(host, _)| host)
}

/// Who leads the topology's group of the cluster of a host.
pub(crate) fn meta_leader(probes: &Probes, of: usize) -> Option<usize> {
    let cluster = probes[of].as_ref()?.cluster;
    let mut leading = known(probes).filter(|(_, probe)| probe.cluster == cluster && probe.meta.leads());
    leading.next().map(|(host, _)| host)
}

impl Watch {
    /// `clocks_jump`: whether monotonic clocks do.
    pub(crate) fn new(clocks_jump: bool) -> Self {
        Self {
            memories: BTreeMap::new(),
            shown: BTreeSet::new(),
            hidden: BTreeMap::new(),
            homes: BTreeMap::new(),
            known_homes: BTreeMap::new(),
            leaving: BTreeMap::new(),
            returned: BTreeMap::new(),
            clocks_jump,
            served: BTreeMap::new(),
            wrong: None,
        }
    }

    /// A host has answered as one that serves a slot; so its replicas say before and after what they serve by their logs.
    pub(crate) fn accepted(&mut self, host: usize, slot: Slot, before: Option<&[Fence]>, after: Option<&[Fence]>) {
        self.served.insert(slot, Instant::now());
        let serves =
            |fences: Option<&[Fence]>| fences.is_some_and(|fences| fences.iter().any(|(_, _, serves)| *serves));
        // Where its logs moved on meanwhile it may have served the slot between them.
        if before == after && !serves(after) {
            let why = format!("host {host} served slot {slot}, which no replica there has: {after:?}");
            self.wrong.get_or_insert(why);
        }
    }

    /// When a command on a slot was served last.
    pub(crate) fn served_at(&self, slot: Slot) -> Option<Instant> {
        self.served.get(&slot).copied()
    }

    /// Looks at everything.
    ///
    /// # Errors
    /// Says what is not as it must be.
    pub(crate) fn look(&mut self, hosts: &mut Hosts) -> Result<Probes, String> {
        hosts.check()?;
        let probes = probes(hosts);
        for (host, replica) in replicas(&probes) {
            hosts.compare(replica.group, host, replica.data)?;
        }
        disjoint(&probes)?;
        for (host, probe) in known(&probes) {
            self.look_at_terms(host, &hosts.all[host], probe)?;
        }
        if !self.clocks_jump {
            self.look_at_hidden(hosts, &probes)?;
            self.look_at_leaving(hosts, &probes)?;
        }
        self.wrong.clone().map_or(Ok(probes), Err)
    }

    fn look_at_terms(&mut self, host: usize, of: &Host, probe: &ClusterProbe) -> Result<(), String> {
        let (life, node) = (of.life(), of.id());
        let memory = self.memories.entry(host).or_default();
        if memory.of != Some((life, probe.replica)) {
            *memory = Memory { of: Some((life, probe.replica)), terms: BTreeMap::new() };
        }
        for leader in &probe.leaders {
            let term = memory.terms.entry(leader.group).or_default();
            if leader.term < *term {
                return Err(format!("host {host} knew a leader of term {term}, and sends clients to {leader:?}"));
            }
            *term = leader.term;
        }
        // What leads at home sends nobody away; what is hidden may, for a while.
        let at_home = probe.replicas.iter().find(|replica| replica.accepts && probe.home == Some(replica.group));
        let sent_to = at_home.and_then(|replica| probe.leaders.iter().find(|leader| leader.group == replica.group));
        match (at_home, sent_to) {
            (Some(replica), Some(leader)) if leader.node != node && leader.term < replica.status.term => {
                Err(format!("host {host} leads in term {}, and sends clients to {leader:?}", replica.status.term))
            }
            _ => Ok(()),
        }
    }

    fn look_at_hidden(&mut self, hosts: &Hosts, probes: &Probes) -> Result<(), String> {
        let now = Instant::now();
        for (host, probe) in known(probes) {
            let (node, life) = (hosts.all[host].id(), hosts.all[host].life());
            self.homes.extend(probe.home.map(|home| (host, home)));
            for replica in &probe.replicas {
                let place = (host, life, replica.group);
                let other_leads = replica.status.leader.as_ref().is_some_and(|leader| leader.node != node);
                if other_leads || probe.home == Some(replica.group) {
                    self.hidden.remove(&place);
                } else if replica.status.leads() && replica.status.ready {
                    self.hidden.entry(place).or_insert(now);
                }
            }
        }
        for (by, probe) in known(probes) {
            for &KnownLeader { group, term, node } in &probe.leaders {
                let Some(host) = hosts.all.iter().position(|host| host.id() == node) else { continue };
                // One whose topology is behind cannot know that a node has left its home.
                let homes = [Some(&probe.homes), self.known_homes.get(&by)];
                let is_behind = homes.into_iter().flatten().any(|homes| homes.get(&node) == Some(&group));
                if by != host && is_behind || !self.shown.insert((group, term, node)) {
                    continue;
                }
                let since = self.hidden.get(&(host, hosts.all[host].life(), group)).copied();
                let waits_for_none = || self.has_nobody_at_home(hosts, probes, group, host);
                if let Some(since) = since.filter(|since| now - *since < HIDDEN_FOR && !waits_for_none()) {
                    let ms = (now - since).as_millis();
                    return Err(format!(
                        "{node} is hidden in {group} and was shown to lead it by host {by} after {ms} ms"
                    ));
                }
            }
        }
        self.known_homes = known(probes).map(|(host, probe)| (host, probe.homes.clone())).collect();
        Ok(())
    }

    /// Whether all nodes at home in a shard have told the one that leads it that they are stopping, now or when it was seen last: a
    /// hidden leader waits for no others.
    fn has_nobody_at_home(&self, hosts: &Hosts, probes: &Probes, group: GroupId, leader: usize) -> bool {
        let now = probes[leader].as_ref().map(|probe| &probe.leaving);
        let has_left = |node: NodeId| {
            let told = [now, self.leaving.get(&leader)];
            hosts.all.iter().any(|host| host.id() == node && host.takes_leave())
                || told.into_iter().flatten().any(|leaving| leaving.contains(&node))
        };
        self.homes.iter().all(|(host, home)| *home != group || has_left(hosts.all[*host].id()))
    }

    fn look_at_leaving(&mut self, hosts: &Hosts, probes: &Probes) -> Result<(), String> {
        let now = Instant::now();
        let cluster = |host: usize| probes[host].as_ref().map(|probe| probe.cluster);
        for from in 0..hosts.count() {
            for (to, probe) in known(probes).filter(|(to, _)| *to != from) {
                let (life, is_back) = (hosts.all[from].life(), !hosts.all[from].takes_leave());
                let is_heard = !hosts.net.is_cut(from, to) && !hosts.net.is_cut(to, from);
                if !is_back || !is_heard || cluster(from) != Some(probe.cluster) {
                    self.returned.remove(&(from, to));
                    continue;
                }
                let known = self.returned.get(&(from, to)).filter(|(known, _)| *known == life);
                let since = known.map_or(now, |(_, since)| *since);
                self.returned.insert((from, to), (life, since));
                if now - since > HEARD_WITHIN && probe.leaving.contains(&hosts.all[from].id()) {
                    return Err(format!(
                        "host {from} is back for {:?}, and counts as stopping on host {to}",
                        now - since
                    ));
                }
            }
        }
        self.leaving = known(probes).map(|(host, probe)| (host, probe.leaving.clone())).collect();
        Ok(())
    }
}

/// What a replica says of a slot by its log; see [`node::Node::fences`].
type Fence = (GroupId, Option<u64>, bool);

/// No slot is accepted by two replicas, be they of one shard or of two.
fn disjoint(probes: &Probes) -> Result<(), String> {
    let accepting: Vec<_> = replicas(probes).filter(|(_, replica)| replica.accepts).collect();
    for (at, (host, replica)) in accepting.iter().enumerate() {
        for (other_host, other) in &accepting[at + 1..] {
            if replica.group == other.group {
                return Err(format!("hosts {host} and {other_host} both accept commands for {}", replica.group));
            }
            if replica.slots.overlaps(&other.slots) {
                let (one, two) = (replica.group, other.group);
                return Err(format!("a slot is served by {one} on host {host} and by {two} on host {other_host}"));
            }
        }
    }
    Ok(())
}

/// Whether replicas must be level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Clients rest: all replicas of a group are equal, and every member is at hand.
    Yes,
    /// Clients work, and hosts are away: the voters are at hand.
    No,
}

/// Whether all is well in a cluster of these hosts.
///
/// # Errors
/// Says what is not yet as it should be.
pub(crate) fn is_whole(hosts: &Hosts, probes: &Probes, members: &[usize], level: Level) -> Result<(), String> {
    let first = probes[members[0]].as_ref().ok_or("the first host is off")?;
    let mut meta_leads = false;
    for &host in members {
        let probe = probes[host].as_ref().ok_or_else(|| format!("host {host} is off"))?;
        if probe.cluster != first.cluster || probe.is_joining {
            return Err(format!("host {host} is of another cluster, or on its way"));
        }
        if probe.meta.leads() {
            meta_leads = true;
            let (voters, learners) = (probe.meta.voters.len(), probe.meta.learners.len());
            let is_complete = level == Level::No || voters + learners == members.len();
            if probe.meta.is_joint() || voters != META_VOTERS || !is_complete {
                return Err(format!("the topology's group has {voters} voters and {learners} learners"));
            }
        }
    }
    if !meta_leads {
        return Err("nobody leads the topology's group".to_owned());
    }
    let of_members = || replicas(probes).filter(|(host, _)| members.contains(host));
    let groups: BTreeSet<_> = of_members().map(|(_, replica)| replica.group).collect();
    groups.into_iter().try_for_each(|group| {
        let held: Vec<_> = of_members().filter(|(_, replica)| replica.group == group).collect();
        is_group_whole(hosts, &held, members, level).map_err(|why| format!("{group}: {why}"))
    })
}

fn is_group_whole(
    hosts: &Hosts,
    held: &[(usize, &ReplicaProbe)],
    members: &[usize],
    level: Level,
) -> Result<(), String> {
    let leader = held.iter().find(|(_, replica)| replica.accepts).ok_or("nobody accepts commands")?.1;
    let status = &leader.status;
    let wanted = if leader.slots.is_empty() { 1 } else { VOTERS };
    if status.is_joint() || !status.members_stand || status.voters.len() != wanted {
        return Err(format!("{} voters", status.voters.len()));
    }
    let ids: BTreeSet<NodeId> = members.iter().map(|&host| hosts.all[host].id()).collect();
    let voters: BTreeSet<_> = status.voters.values().map(|member| member.node).collect();
    let learners: BTreeSet<_> = status.learners.values().map(|member| member.node).collect();
    let holders: BTreeSet<_> = held.iter().map(|(host, _)| hosts.all[*host].id()).collect();
    if voters.len() != wanted || !voters.is_subset(&ids) || !voters.is_subset(&holders) {
        return Err(format!("its voters are on {voters:?}, and replicas of it on {holders:?}"));
    }
    if level == Level::No {
        return Ok(());
    }
    if voters.union(&learners).ne(&holders) {
        return Err(format!("its members are on {voters:?} and {learners:?}, and replicas of it on {holders:?}"));
    }
    match held.iter().find(|(_, replica)| replica.data != leader.data) {
        Some((host, _)) => Err(format!("host {host} is behind")),
        None => Ok(()),
    }
}
