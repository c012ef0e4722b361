//! A replica that may have forgotten what it acknowledged, and whether it may take part again.
//!
//! With `appendfsync everysec` or `no` a voter acknowledges entries that its disk does not have yet. When its machine stops out of
//! order they are gone. Were it to vote and acknowledge as before, it could help a majority to decide otherwise about what is
//! committed, and applied elsewhere. So its group is not opened until one of these is so:
//!
//! ```text
//! Superseded   the group has a leader without it: the log is dropped, and a fresh replica takes its place
//! Whole        all voters are back, and those that forgot nothing are no majority: nobody can decide without those that
//!              did. The log counts as it is, and what may be lost is said
//! ```
//!
//! Several may come to the second answer at a time, or one after the other: who is late finds a leader, or waits for it.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use raft::{GroupId, LogChange, LogStore, Member, NodeId, PeerAddress, StoredMembers, Transport};

use crate::formation::{Identity, ask};
use crate::messages::{Answer, Request};
use crate::node::Shared;
use crate::platform::Platform;

/// Between two rounds of asking.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// See the module.
pub(crate) enum Verdict {
    /// The log may be used.
    Whole,
    /// It may not: the group goes on without this replica. Who its members were.
    Superseded(StoredMembers),
}

/// What the others say of their replicas.
#[derive(Default)]
struct Said {
    /// The members that answered.
    heard: BTreeSet<NodeId>,
    /// Those whose logs are whole.
    whole: BTreeSet<NodeId>,
    /// Whether one of them leads.
    is_led: bool,
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
    let group = identity.group;
    let members = StoredMembers::read(store, group).await?;
    let is_other = |member: &&Member| member.replica != identity.replica;
    let mut waited_for = BTreeSet::new();
    tracing::warn!(
        %group,
        "the machine stopped out of order while appendfsync was not always: this replica may have forgotten what it \
         acknowledged, and takes no part until the others are heard"
    );
    loop {
        let asked = members.members().filter(is_other).map(Member::address).chain(others.iter().cloned());
        let said = ask_all(transport, group, asked).await;
        if said.is_led {
            return Ok(Verdict::Superseded(members));
        }
        let silent: BTreeSet<String> = members
            .voters()
            .filter(is_other)
            .filter(|voter| !said.heard.contains(&voter.node))
            .map(|voter| voter.client_address.clone())
            .collect();
        let is_whole = |member: &Member| is_other(&member) && said.whole.contains(&member.node);
        let whole: BTreeSet<_> = members.voters().filter(|voter| is_whole(voter)).map(|voter| voter.replica).collect();
        if silent.is_empty() && members.voters().next().is_some() && !members.can_decide(|id| whole.contains(&id)) {
            store.submit_and_wait(group, LogChange::Vouch).await?;
            node.doubts.lock().remove(&group);
            tracing::warn!(
                %group,
                "a majority of the voters stopped out of order: what was acknowledged in their last moments may be lost"
            );
            return Ok(Verdict::Whole);
        }
        if silent != waited_for {
            let missing = silent.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
            tracing::info!(%group, members = missing, "waiting for voters to answer, or for a leader");
            waited_for = silent;
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

async fn ask_all<T: Transport>(transport: &T, group: GroupId, asked: impl Iterator<Item = PeerAddress>) -> Said {
    let mut said = Said::default();
    for address in asked {
        if let Some(Answer::Log { node, is_whole, leads }) = ask(transport, &address, &Request::Doubts(group)).await {
            said.heard.insert(node);
            said.is_led |= leads;
            if is_whole {
                said.whole.insert(node);
            }
        }
    }
    said
}

/// Another node's question, about this node's replica of a group.
pub(crate) fn answer<P: Platform>(node: &Shared<P>, group: GroupId) -> Answer {
    let own = node.id();
    if node.doubts.lock().contains(&group) {
        return Answer::Log { node: own, is_whole: false, leads: false };
    }
    match node.replica_of(group).filter(|replica| replica.group().is_some_and(|open| open.id() == group)) {
        Some(replica) => {
            Answer::Log { node: own, is_whole: true, leads: replica.leads() && node.holds_lease(&replica) }
        }
        None => Answer::Refused("the group is not open here".to_owned()),
    }
}

/// Sees to it that a fresh replica begins with an empty log: one that this node held before may have left something behind.
///
/// # Errors
/// The log cannot be written.
pub(crate) async fn begin_fresh<L: LogStore>(store: &L, group: GroupId) -> io::Result<()> {
    let is_empty = store.load(group).is_ok_and(|log| log == raft::GroupLog::default());
    if is_empty && store.newest_snapshot(group).is_ok_and(|newest| newest.is_none()) {
        return Ok(());
    }
    store.submit_and_wait(group, LogChange::Forget).await
}
