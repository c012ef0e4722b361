//! How a node comes to its replica: from its record, by founding a group, or by joining one.
//!
//! ```text
//! record present             -> that replica
//! standalone                 -> a new group with one voter
//! record present, in doubt   -> that replica, or a fresh one in its place (doubt.rs)
//! initial-members, empty     -> some listed node has a replica: ask its leader for a fresh one (learner, then voter)
//!                               all are empty, and this node is listed first: found the group
//!                               all are empty, listed later: wait for the first
//! ```
//!
//! Founding is safe to repeat: the founder records the group and all its replicas before it tells anybody, and tells
//! everybody before it starts the group; who was told keeps to it.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use keyspace::{Keyspace, Settings as KeyspaceSettings};
use raft::{
    Class, Group, GroupId, LogStore, Member, NodeId, PeerAddress, ReplicaId, Role, StoredMembers, Transport,
    TransportError,
};

use tokio::sync::mpsc;

use crate::cluster::Rerouted;
use crate::config::{PEER_PORT_OFFSET, Settings};
use crate::doubt::{self, Doubt, Verdict};
pub(crate) use crate::messages::Identity;
use crate::messages::{Answer, Request};
use crate::node::Shared;
use crate::platform::{Platform, Random};
use crate::replica::Replica;
use crate::shard::EntryWaiter;
use crate::tasks;

/// How long a node waits for an answer of another, and between two rounds of asking.
const ANSWER_WITHIN: Duration = Duration::from_millis(1000);
const ASK_EVERY: Duration = Duration::from_millis(200);
/// How long a fresh replica may take to catch up before it is given up; it asks again.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(60);
/// How often a replica that does not vote yet asks for its vote.
const ASK_FOR_VOTE_EVERY: Duration = Duration::from_secs(2);
/// How often a leader looks for a change of voters that was left half done.
const FINISH_EVERY: Duration = Duration::from_secs(1);

/// Where the node's id, and what it keeps about its replicas, is kept, durably.
pub trait Record: Send {
    /// What was saved last; empty at first.
    fn load(&self) -> io::Result<Vec<u8>>;
    /// Replaces both together; durable when this returns. The id is another than before only for a node that begins anew under
    /// another id: with that it is to be started next time.
    fn save(&mut self, node: NodeId, bytes: &[u8]) -> io::Result<()>;
}

/// The listed members as addresses, and which of them this node is.
struct Listed {
    all: Vec<(String, PeerAddress)>,
    own: usize,
}

impl Listed {
    /// The members of a group that this node is, or was, a member of.
    fn of_group(members: &StoredMembers, own: NodeId) -> Option<Self> {
        let place = members.members().position(|member| member.node == own)?;
        let all = members.members().map(|member| (member.client_address.clone(), member.address()));
        Some(Self { all: all.collect(), own: place })
    }

    fn others(&self) -> Vec<PeerAddress> {
        let others = self.all.iter().enumerate().filter(|(at, _)| *at != self.own);
        others.map(|(_, (_, peer))| peer.clone()).collect()
    }
}

/// Finds or forms the node's replica and opens its group.
pub(crate) async fn open_group<P: Platform>(
    shared: &Arc<Shared<P>>,
    replica: &Replica,
    log_store: P::LogStore,
    transport: Rerouted<P::Transport>,
) -> io::Result<Group<EntryWaiter>> {
    let settings = shared.config.current();
    let listed = listed(&settings, shared.own_member);
    let holdings = shared.load_holdings()?;
    if holdings.meta.is_some() {
        let why = "the directory holds a node of a cluster: set cluster-enabled yes, or another dir";
        return Err(io::Error::other(why));
    }
    let known = holdings.shards.into_iter().next().map(|held| held.identity);
    let identity = match (known, &listed) {
        (Some(identity), _) => {
            if !settings.initial_members.is_empty() {
                tracing::info!(group = %identity.group, "initial-members is ignored: the directory holds a replica");
            }
            identity
        }
        (None, None) => {
            let client = format!("127.0.0.1:{}", settings.port);
            let identity = found(shared, vec![(shared.id(), String::new(), client)], 0);
            shared.save_identity(&identity)?;
            identity
        }
        (None, Some(listed)) => {
            let identity = gather(shared, listed, &transport, true).await?;
            doubt::begin_fresh(&log_store, identity.group).await?;
            identity
        }
    };
    let identity = in_good_faith(shared, &log_store, &transport, identity, listed.as_ref()).await?;
    // As the log is read the shard's settings say how durable it is to be.
    let _ = shared.only_group.set(identity.group);
    replica.shard.data.write().keyspace = Keyspace::new(KeyspaceSettings::new(identity.hash_key));
    let me = member_of(shared, &identity, listed.as_ref(), &settings);
    let config = shared.group_config(identity.group, me);
    let is_started = log_store.load(identity.group)?.last.is_some();
    let group =
        Group::open(config, log_store, transport.clone(), shared.clock.clone(), replica.machine.clone()).await?;
    if !is_started && !identity.founders.is_empty() {
        start_group(shared, &group, &identity, &transport).await?;
    }
    if let Some(listed) = listed {
        tasks::beside(ask_for_vote(group.clone(), listed, transport));
    }
    Ok(group)
}

/// The identity, unless its replica may have forgotten what it acknowledged and its group goes on without it: then a fresh one.
async fn in_good_faith<P: Platform>(
    shared: &Shared<P>,
    log_store: &P::LogStore,
    transport: &Rerouted<P::Transport>,
    identity: Identity,
    listed: Option<&Listed>,
) -> io::Result<Identity> {
    let group = identity.group;
    // A damaged log says so when it is opened.
    let Some(log) = log_store.load(group).ok().filter(|log| log.unsure) else { return Ok(identity) };
    shared.doubts.lock().insert(group, Doubt::of(&log));
    let others = listed.map_or_else(Vec::new, Listed::others);
    let members = match doubt::settle(shared, log_store, transport, &identity, &others).await? {
        Verdict::Whole => return Ok(identity),
        Verdict::Superseded(members) => members,
    };
    tracing::warn!(%group, "the group goes on without this replica: a fresh one takes its place");
    let known = Listed::of_group(&members, shared.id());
    let listed = listed.or(known.as_ref()).ok_or_else(|| io::Error::other("the group's members are not known"))?;
    // BEFORE its log goes: without it, it must never be opened again.
    shared.change_holdings(|holdings| holdings.shards.clear())?;
    shared.doubts.lock().remove(&group);
    let fresh = gather(shared, listed, transport, false).await?;
    doubt::begin_fresh(log_store, fresh.group).await?;
    Ok(fresh)
}

/// The founder starts the group once everybody knows of it.
async fn start_group<P: Platform>(
    shared: &Shared<P>,
    group: &Group<EntryWaiter>,
    identity: &Identity,
    transport: &Rerouted<P::Transport>,
) -> io::Result<()> {
    for founder in identity.founders.iter().filter(|founder| founder.node != shared.id()) {
        invite(transport, founder, identity).await?;
    }
    group.initialize(identity.founders.clone()).await.map_err(io::Error::other)
}

/// Tells one founder of the group, until it has agreed.
async fn invite<T: Transport>(transport: &T, founder: &Member, identity: &Identity) -> io::Result<()> {
    let invitation = Identity { replica: founder.replica, founders: Vec::new(), ..identity.clone() };
    let mut said = false;
    loop {
        match ask(transport, &founder.address(), &Request::Form(invitation.clone())).await {
            Some(Answer::Accepted(_)) => return Ok(()),
            Some(Answer::Refused(why)) => {
                let text = format!("{} does not join the new group: {why}", founder.client_address);
                return Err(io::Error::other(text));
            }
            _ if !said => {
                tracing::info!(member = founder.client_address, "waiting for a member before the group starts");
                said = true;
            }
            _ => (),
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// An empty node among listed ones: asks around until it is clear what it is to be. Founds a group only if it may.
async fn gather<P: Platform>(
    shared: &Shared<P>,
    listed: &Listed,
    transport: &Rerouted<P::Transport>,
    may_found: bool,
) -> io::Result<Identity> {
    let mut said = Vec::new();
    loop {
        let (mut empty, mut formed, mut silent) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (client, peer)) in listed.all.iter().enumerate().filter(|(at, _)| *at != listed.own) {
            match ask(transport, peer, &Request::Probe).await {
                Some(Answer::Node { node, group: None }) => empty.push((at, node)),
                Some(Answer::Node { .. }) => formed.push(peer.clone()),
                _ => silent.push(client.clone()),
            }
        }
        // Somebody may have told us meanwhile.
        if let Some(identity) = shared.identity() {
            return Ok(identity);
        }
        for peer in &formed {
            if let Some(identity) = ask_to_join(shared, listed, peer, transport).await? {
                return Ok(identity);
            }
        }
        if may_found && formed.is_empty() && silent.is_empty() && listed.own == 0 {
            let identity = found(shared, founders(shared.id(), listed, &empty), listed.own);
            shared.save_identity(&identity)?;
            return Ok(identity);
        }
        if silent != said {
            tracing::info!(members = silent.join(" "), "waiting for members to answer");
            said = silent;
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn founders(own: NodeId, listed: &Listed, empty: &[(usize, NodeId)]) -> Vec<(NodeId, String, String)> {
    let node_at = |place: usize| empty.iter().find(|(at, _)| *at == place).map_or(own, |(_, node)| *node);
    let entry =
        |(at, (client, peer)): (usize, &(String, PeerAddress))| (node_at(at), peer.address.clone(), client.clone());
    listed.all.iter().enumerate().map(entry).collect()
}

/// Draws a new group of these nodes (node, peer address, client address).
fn found<P: Platform>(shared: &Shared<P>, nodes: Vec<(NodeId, String, String)>, own: usize) -> Identity {
    let random = &shared.random;
    let founders: Vec<Member> = nodes
        .into_iter()
        .map(|(node, peer_address, client_address)| Member {
            replica: ReplicaId(random.next_u64()),
            node,
            peer_address,
            client_address,
        })
        .collect();
    let group = GroupId(u128::from(random.next_u64()) << 64 | u128::from(random.next_u64()));
    let hash_key = [random.next_u64(), random.next_u64()];
    tracing::info!(%group, voters = founders.len(), "founding a group");
    Identity { group, replica: founders[own].replica, hash_key, founders }
}

/// Asks an existing group for a fresh replica, through whichever member answers.
async fn ask_to_join<P: Platform>(
    shared: &Shared<P>,
    listed: &Listed,
    first: &PeerAddress,
    transport: &Rerouted<P::Transport>,
) -> io::Result<Option<Identity>> {
    let (client_address, own) = &listed.all[listed.own];
    let (peer_address, replica) = (own.address.clone(), ReplicaId(shared.random.next_u64()));
    let member = Member { replica, node: shared.id(), peer_address, client_address: client_address.clone() };
    let mut peer = first.clone();
    // The first knows the leader; the leader may have changed since.
    for _ in 0..3 {
        match ask(transport, &peer, &Request::Join { member: member.clone() }).await {
            Some(Answer::Accepted(Some(identity))) => {
                tracing::info!(group = %identity.group, "joining a group with a fresh replica");
                shared.save_identity(&identity)?;
                return Ok(Some(identity));
            }
            Some(Answer::Ask(address)) => peer = PeerAddress { node: NodeId([0; 20]), address },
            Some(Answer::Refused(why)) => {
                tracing::info!(why, "the group does not take this node in yet");
                return Ok(None);
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Sees to it that a replica that was taken in as a learner becomes a voter, also when the leader changed meanwhile.
async fn ask_for_vote<T: Transport>(group: Group<EntryWaiter>, listed: Listed, transport: T) {
    let mut status = group.status();
    loop {
        tokio::time::sleep(ASK_FOR_VOTE_EVERY).await;
        let now = status.borrow_and_update().clone();
        if now.stopped.is_some() || status.has_changed().is_err() {
            return;
        }
        if now.role != Role::Learner || now.voters.contains_key(&group.me().replica) {
            continue;
        }
        if let Some(leader) = now.leader {
            let request = Request::Join { member: group.me().clone() };
            ask(&transport, &leader.address(), &request).await;
        } else {
            for (_, peer) in listed.all.iter().enumerate().filter(|(at, _)| *at != listed.own).map(|(_, member)| member)
            {
                ask(&transport, peer, &Request::Join { member: group.me().clone() }).await;
            }
        }
    }
}

/// Takes listed nodes in that have a fresh replica, one after the other, for as long as the node lives. A change that an
/// earlier leader left half done is finished, too: until then the group needs two majorities, and takes nobody in.
pub(crate) async fn take_in(group: Group<EntryWaiter>, mut newcomers: mpsc::Receiver<Member>) {
    let mut next = None;
    loop {
        let member = match next.take() {
            Some(member) => member,
            None => tokio::select! {
                biased;
                member = newcomers.recv() => match member {
                    Some(member) => member,
                    None => return,
                },
                () = tokio::time::sleep(FINISH_EVERY) => {
                    finish_change(&group).await;
                    continue;
                }
            },
        };
        finish_change(&group).await;
        let address = member.client_address.clone();
        tokio::select! {
            biased;
            done = make_voter(&group, member.clone()) => match done {
                Ok(()) => tracing::info!(member = address, "a fresh replica votes"),
                // It asks again.
                Err(why) => tracing::warn!(member = address, %why, "a fresh replica was not made a voter yet"),
            },
            newer = another_of(&member, &mut newcomers) => next = newer,
        }
    }
}

/// Waits until the node asks for another replica: it has not heard the answer to what it asked before, so that replica
/// will never be. A node that asks for the same again, or another one, comes again.
async fn another_of(member: &Member, newcomers: &mut mpsc::Receiver<Member>) -> Option<Member> {
    loop {
        match newcomers.recv().await {
            Some(newer) if newer.client_address == member.client_address && newer.replica != member.replica => {
                return Some(newer);
            }
            Some(_) => (),
            // The node stops; what is under way may end.
            None => std::future::pending().await,
        }
    }
}

async fn finish_change(group: &Group<EntryWaiter>) {
    let is_mine = {
        let status = group.status();
        let status = status.borrow();
        status.is_joint() && status.leads() && status.ready
    };
    if is_mine && let Err(why) = group.finish_change(false).await {
        tracing::warn!(%why, "a change of voters was not finished yet");
    }
}

/// On the leader: a learner first, then a voter in place of the replica that the node had before.
async fn make_voter(group: &Group<EntryWaiter>, member: Member) -> Result<(), raft::GroupError> {
    let status = group.status().borrow().clone();
    let stale = status.learners.values().filter(|known| known.node != member.node || known.replica != member.replica);
    let stale: BTreeSet<_> =
        stale.filter(|known| known.client_address == member.client_address).map(|known| known.replica).collect();
    if !stale.is_empty() {
        group.remove_learners(stale).await?;
    }
    if !status.learners.contains_key(&member.replica) {
        group.add_learner(member.clone()).await?;
    }
    let mut watching = group.status();
    let level = watching.wait_for(|status| !status.leads() || status.caught_up.contains(&member.replica));
    match tokio::time::timeout(CATCH_UP_WITHIN, level).await {
        Ok(Ok(status)) if status.leads() => (),
        Ok(_) => return Err(raft::GroupError::NotLeader(None)),
        Err(_) => return Err(raft::GroupError::Refused("it did not catch up in time".to_owned())),
    }
    let voters = group.status().borrow().voters.clone();
    let kept = voters.values().filter(|voter| voter.client_address != member.client_address);
    let voters: BTreeSet<_> = kept.map(|voter| voter.replica).chain([member.replica]).collect();
    group.change_voters(voters, false).await
}

/// Sends a request and waits for its answer, for a while.
pub(crate) async fn ask<T: Transport>(transport: &T, to: &PeerAddress, request: &Request) -> Option<Answer> {
    try_ask(transport, to, request).await.ok()
}

/// Sends a request and waits for its answer, for a while.
///
/// # Errors
/// [`TransportError::Unreachable`] if it was certainly not sent. What cannot be read is no answer.
pub(crate) async fn try_ask<T: Transport>(
    transport: &T,
    to: &PeerAddress,
    request: &Request,
) -> Result<Answer, TransportError> {
    let answer = transport.request(to, Class::Control, request.encode().into(), ANSWER_WITHIN).await?;
    Answer::decode(&answer).ok_or(TransportError::Lost)
}

fn listed(settings: &Settings, own: Option<usize>) -> Option<Listed> {
    let all = settings.initial_members.iter().map(|member| {
        let client = format!("{}:{}", member.host, member.port);
        // A peer's port follows its client port, as Redis's cluster bus does.
        let address = format!("{}:{}", member.host, u32::from(member.port) + u32::from(PEER_PORT_OFFSET));
        (client, PeerAddress { node: NodeId([0; 20]), address })
    });
    own.map(|own| Listed { all: all.collect(), own })
}

fn member_of<P: Platform>(
    shared: &Shared<P>,
    identity: &Identity,
    listed: Option<&Listed>,
    settings: &Settings,
) -> Member {
    let (client_address, peer_address) = match listed {
        Some(listed) => {
            let (client, peer) = &listed.all[listed.own];
            (client.clone(), peer.address.clone())
        }
        None => (format!("127.0.0.1:{}", settings.port), String::new()),
    };
    Member { replica: identity.replica, node: shared.id(), peer_address, client_address }
}
