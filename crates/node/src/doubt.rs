//! A replica that may have forgotten what it acknowledged, and whether it may take part again.
//!
//! With `appendfsync everysec` or `no` a voter acknowledges entries that its disk does not have yet. When its machine stops out of
//! order they are gone. Were it to vote and acknowledge as before, it could help a majority to decide otherwise about what is
//! committed, and applied elsewhere. So its group is not opened until one of these is so:
//!
//! ```text
//! Superseded   the group has a leader that a majority follows without it: the log is dropped, and a fresh replica takes its place
//! Whole        every other voter was heard of, those that forgot nothing are no majority, and this one is among the few that make
//!              them one: those with the longest logs. The log counts as it is, and what may be lost is said
//! ```
//!
//! A voter is heard of when its node says that its log is whole, or that it is in doubt as well and where its log ends, or that
//! there is no such replica any more: one that was superseded, or renewed, never votes again, so nobody waits for it. Neither does
//! anybody, outside of a cluster, for one at whose address an empty node is now: its disk is gone, and the operator has put another one
//! in its place. That makes the way back sure, however often the power fails:
//!
//! - Who is superseded leaves a majority of the voters behind, at that moment, that are there and in no doubt. So those that are still
//!   there are a majority at all times, and once all of their nodes are back they can elect a leader.
//! - As few as possible go on, so every majority of them has the longest log of those in doubt: nothing is undone that one of them
//!   has applied. The others wait for the leader, and are superseded.
//!
//! It waits, and says for whom, as long as a voter's node does not answer: that one may know what the others forgot.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use raft::{
    GroupId, GroupLog, LogChange, LogId, LogStore, Member, NodeId, PeerAddress, ReplicaId, StoredMembers, Transport,
};

use crate::formation::{Identity, ask};
use crate::holdings::Holdings;
use crate::messages::{Answer, HeldLog, LogState, Request};
use crate::node::Shared;
use crate::platform::Platform;

/// Between two rounds of asking.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// How long a leader asks its followers whether they are there; less than who wants to know waits for its answer.
const CONFIRM_WITHIN: Duration = Duration::from_millis(500);

/// See the module.
pub(crate) enum Verdict {
    /// The log may be used.
    Whole,
    /// It may not: the group goes on without this replica. Who its members were.
    Superseded(StoredMembers),
}

/// What a node knows of a replica in doubt.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doubt {
    /// Where its log ends.
    last: Option<LogId>,
    /// The voters of its group, as its log has them, once that was read.
    voters: BTreeSet<ReplicaId>,
    /// The client addresses of the voters that it waits for; empty while it waits for a leader.
    pub(crate) waits_for: Vec<String>,
}

impl Doubt {
    /// Of a replica with this log.
    pub(crate) fn of(log: &GroupLog) -> Self {
        Self { last: log.last, ..Self::default() }
    }
}

/// What the others say of their replicas, in one round.
struct Said {
    /// The node that asks.
    own: NodeId,
    /// What each node holds of the group: `None` for nothing any more.
    held: BTreeMap<NodeId, (PeerAddress, Option<HeldLog>)>,
    /// The peer addresses at which a voter would have been replaced, were it not there: by a node that is empty, or that the group
    /// has given a fresh replica since.
    replaced: BTreeSet<String>,
}

impl Said {
    /// What is known of a voter; `None` if its node was not heard.
    fn of(&self, voter: &Member) -> Option<Known> {
        // This node has another one now.
        if voter.node == self.own {
            return Some(Known::Gone);
        }
        let Some((_, held)) = self.held.get(&voter.node) else {
            return self.replaced.contains(&voter.peer_address).then_some(Known::Gone);
        };
        let log = held.as_ref().filter(|held| held.replica == voter.replica);
        Some(log.map_or(Known::Gone, |held| match held.state {
            LogState::Whole { .. } => Known::Whole,
            LogState::Doubtful { last } => Known::Doubtful(last),
        }))
    }

    /// The client addresses of the other voters whose nodes were not heard.
    fn silent(&self, members: &StoredMembers, own: ReplicaId) -> Vec<String> {
        let others = members.voters().filter(|voter| voter.replica != own);
        others.filter(|voter| self.of(voter).is_none()).map(|voter| voter.client_address.clone()).collect()
    }

    fn is_led(&self) -> bool {
        let leads = |held: &HeldLog| matches!(held.state, LogState::Whole { leads: true });
        self.held.values().any(|(_, held)| held.as_ref().is_some_and(leads))
    }

    /// Whether somebody knows of a membership in which the asking replica votes.
    fn is_counted_on(&self) -> bool {
        self.held.values().any(|(_, held)| held.as_ref().is_some_and(|held| held.counts_on_asker))
    }

    /// Those with whole logs, any of which may lead.
    fn whole(&self) -> impl Iterator<Item = &PeerAddress> {
        let is_whole = |held: &HeldLog| matches!(held.state, LogState::Whole { .. });
        self.held.values().filter(move |(_, held)| held.as_ref().is_some_and(is_whole)).map(|(address, _)| address)
    }
}

/// What is known of a voter whose node answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Whole,
    /// Where its log ends.
    Doubtful(Option<LogId>),
    /// It never votes again.
    Gone,
}

/// Waits until it is clear what becomes of a replica in doubt. `others` are asked besides the members that its log knows.
///
/// # Errors
/// The log is damaged, or cannot be written.
pub(crate) async fn settle<P: Platform, T: Transport>(
    node: &Shared<P>,
    store: &P::LogStore,
    transport: &T,
    identity: &Identity,
    others: &[PeerAddress],
) -> io::Result<Verdict> {
    let (group, own) = (identity.group, identity.replica);
    let members = StoredMembers::read(store, group).await?;
    let last = store.load(group)?.last;
    change(node, group, |doubt| doubt.voters = members.voters().map(|voter| voter.replica).collect());
    tracing::warn!(
        %group,
        "the machine stopped out of order while appendfsync was not always: this replica may have forgotten what it \
         acknowledged, and takes no part until the others are heard"
    );
    let mut waited_for = None;
    loop {
        let asked = members.members().filter(|member| member.node != node.id()).map(Member::address);
        let said = ask_all(node, transport, identity, asked.chain(others.iter().cloned())).await;
        if said.is_led() {
            return Ok(Verdict::Superseded(members));
        }
        let silent = said.silent(&members, own);
        let may_go_on = silent.is_empty() && goes_on(&members, own, last, &said);
        if may_go_on && are_told(transport, identity, &said).await {
            store.submit_and_wait(group, LogChange::Vouch).await?;
            node.doubts.lock().remove(&group);
            tracing::warn!(
                %group,
                "a majority of the voters stopped out of order: what was acknowledged in their last moments may be lost"
            );
            return Ok(Verdict::Whole);
        }
        if waited_for.as_ref() != Some(&silent) {
            let missing = silent.join(" ");
            if missing.is_empty() {
                tracing::info!(%group, "every voter was heard of: waiting for a leader among the others");
            } else {
                tracing::info!(%group, members = missing, "waiting for voters to answer, or for a leader");
            }
            change(node, group, |doubt| doubt.waits_for.clone_from(&silent));
            waited_for = Some(silent);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Whether a replica in doubt, whose log ends at `last`, goes on with it, given that all voters were heard of.
fn goes_on(members: &StoredMembers, own: ReplicaId, last: Option<LogId>, said: &Said) -> bool {
    let others = members.voters().filter(|voter| voter.replica != own);
    let known: BTreeMap<_, _> = others.filter_map(|voter| Some((voter.replica, said.of(voter)?))).collect();
    let can_decide = |these: &BTreeSet<ReplicaId>| members.can_decide(|id| these.contains(&id));
    let mut voters = members.voters().map(|voter| voter.replica).peekable();
    let has_voters = voters.peek().is_some();
    if voters.any(|voter| voter == own) {
        return is_needed((last, own), &known, can_decide);
    }
    // As far as its own log goes it is no voter: it is needed only if others count on it, and cannot decide without it.
    has_voters && said.is_counted_on() && !can_decide(&whole(&known))
}

fn whole(known: &BTreeMap<ReplicaId, Known>) -> BTreeSet<ReplicaId> {
    known.iter().filter(|(_, known)| **known == Known::Whole).map(|(&replica, _)| replica).collect()
}

/// Whether a voter in doubt (where its log ends, and who it is) is one of those that go on: as few as can decide together with those
/// that are whole, the longest logs first. Where nobody is whole, any log that ends where the longest does is as good.
fn is_needed(
    own: (Option<LogId>, ReplicaId),
    others: &BTreeMap<ReplicaId, Known>,
    can_decide: impl Fn(&BTreeSet<ReplicaId>) -> bool,
) -> bool {
    let doubtful = others.iter().filter_map(|(&replica, known)| match known {
        Known::Doubtful(last) => Some((*last, replica)),
        Known::Whole | Known::Gone => None,
    });
    let mut ranked: Vec<_> = doubtful.chain([own]).collect();
    ranked.sort_unstable_by(|one, other| other.cmp(one));
    let mut together = whole(others);
    let (longest, is_nobody_whole) = (ranked[0].0, together.is_empty());
    for one in ranked.into_iter().take_while(|one| *one >= own) {
        let is_as_good = is_nobody_whole && one.0 == longest;
        if can_decide(&together) && !is_as_good {
            return false;
        }
        together.insert(one.1);
    }
    true
}

/// Asks all others once. Each is bounded by how long an answer may take.
async fn ask_all<P: Platform, T: Transport>(
    node: &Shared<P>,
    transport: &T,
    identity: &Identity,
    asked: impl Iterator<Item = PeerAddress>,
) -> Said {
    let mut said = Said { own: node.id(), held: BTreeMap::new(), replaced: BTreeSet::new() };
    // In a cluster a node may have taken the address of another that is somewhere else now.
    let has_places = node.cluster.is_none();
    let request = Request::Doubts { group: identity.group, replica: identity.replica };
    let mut heard = BTreeSet::new();
    for address in asked {
        if heard.contains(&address.address) {
            continue;
        }
        match ask(transport, &address, &request).await {
            Some(Answer::Log { node: other, held, is_empty }) if other != said.own => {
                heard.insert(address.address.clone());
                let replaces = has_places && (is_empty || held.is_some());
                said.replaced.extend(replaces.then(|| address.address.clone()));
                said.held.insert(other, (address, held));
            }
            _ => (),
        }
    }
    said
}

/// Tells those that may lead that this replica's log may be shorter than they know: before it is opened, or a leader would take what it
/// remembers of it for true. Whether all of them have heard it.
async fn are_told<T: Transport>(transport: &T, identity: &Identity, said: &Said) -> bool {
    let request = Request::Shortened { group: identity.group, replica: identity.replica };
    for address in said.whole() {
        if ask(transport, address, &request).await != Some(Answer::Accepted(None)) {
            return false;
        }
    }
    true
}

/// Another node's question, about this node's replica of a group.
pub(crate) async fn answer<P: Platform>(node: &Shared<P>, group: GroupId, asker: ReplicaId) -> Answer {
    let log = |held: Option<HeldLog>, is_empty| Answer::Log { node: node.id(), held, is_empty };
    let Some(holdings) = node.known_holdings() else {
        return Answer::Refused("what this node holds was not read yet".to_owned());
    };
    let Some(held) = holdings.shards.iter().map(|held| &held.identity).find(|held| held.group == group) else {
        return log(None, holdings == Holdings::default());
    };
    let held = held.replica;
    if let Some(doubt) = node.doubts.lock().get(&group) {
        let state = LogState::Doubtful { last: doubt.last };
        return log(Some(HeldLog { replica: held, state, counts_on_asker: doubt.voters.contains(&asker) }), false);
    }
    let replica = node.replica_of(group);
    let Some((replica, open)) = replica.as_ref().and_then(|replica| Some((replica, replica.group()?))) else {
        return Answer::Refused("the group is not open here".to_owned());
    };
    if open.id() != group || open.me().replica != held {
        return Answer::Refused("another group is open here".to_owned());
    }
    // A lease may be what the asker itself confirmed before it stopped: only who is there now counts.
    let leads =
        replica.leads() && matches!(tokio::time::timeout(CONFIRM_WITHIN, open.read_barrier()).await, Ok(Ok(())));
    let counts_on_asker = replica.status().voters.contains_key(&asker);
    log(Some(HeldLog { replica: held, state: LogState::Whole { leads }, counts_on_asker }), false)
}

/// Another node's word that its replica's log may have become shorter.
pub(crate) async fn shortened<P: Platform>(node: &Shared<P>, group: GroupId, replica: ReplicaId) -> Answer {
    let own = node.replica_of(group);
    match own.as_ref().and_then(|own| own.group()).filter(|open| open.id() == group) {
        Some(open) => match open.expect_shorter(replica).await {
            Ok(()) => Answer::Accepted(None),
            Err(why) => Answer::Refused(why.to_string()),
        },
        None => Answer::Refused("the group is not open here".to_owned()),
    }
}

fn change<P: Platform>(node: &Shared<P>, group: GroupId, change: impl FnOnce(&mut Doubt)) {
    if let Some(doubt) = node.doubts.lock().get_mut(&group) {
        change(doubt);
    }
}

/// Sees to it that a fresh replica begins with an empty log: one that this node held before may have left something behind.
///
/// # Errors
/// The log cannot be written.
pub(crate) async fn begin_fresh<L: LogStore>(store: &L, group: GroupId) -> io::Result<()> {
    let is_empty = store.load(group).is_ok_and(|log| log == GroupLog::default());
    if is_empty && store.newest_snapshot(group).is_ok_and(|newest| newest.is_none()) {
        return Ok(());
    }
    store.submit_and_wait(group, LogChange::Forget).await
}

#[cfg(test)]
mod tests;
