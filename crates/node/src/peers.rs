//! What this node answers other nodes: messages of its group go to Raft, the rest is about forming and joining.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use raft::{Class, Clock, GroupId, Member, NodeId, PeerService, ReplicaId};

use crate::messages::{Answer, MARK, Request};
use crate::node::Shared;
use crate::platform::Platform;
use crate::{cluster, doubt, formation};

/// Answers the requests of other nodes. Cheap to clone; lives on the raft thread.
pub struct Peers<P: Platform> {
    node: Arc<Shared<P>>,
}

impl<P: Platform> Clone for Peers<P> {
    fn clone(&self) -> Self {
        Self { node: Arc::clone(&self.node) }
    }
}

/// A request that has taken its place.
enum Work<P: Platform, F, M> {
    Answered(Bytes),
    Raft(F),
    Meta(M),
    ReadIndex(Arc<Shared<P>>, GroupId),
    Store(Arc<Shared<P>>, GroupId, u64),
    Doubts(Arc<Shared<P>>, GroupId, ReplicaId),
    Shortened(Arc<Shared<P>>, GroupId, ReplicaId),
    Joiner(Arc<Shared<P>>, Request),
    HandOver(Arc<Shared<P>>, GroupId, ReplicaId),
}

/// Everything acknowledged by now is applied on the leader by now: its applied index is enough, once it is sure to lead.
async fn read_index<P: Platform>(node: &Shared<P>, wanted: GroupId) -> Answer {
    let Some(replica) = node.replica_of(wanted).filter(|replica| replica.group().is_some_and(|of| of.id() == wanted))
    else {
        return Answer::Refused("the group is not open here".to_owned());
    };
    let Some(group) = replica.group() else { return Answer::Refused("the group is not open yet".to_owned()) };
    match group.read_barrier().await {
        Ok(()) => Answer::Index(replica.shard.applied_index()),
        Err(why) => Answer::Refused(why.to_string()),
    }
}

async fn store<P: Platform>(node: &Shared<P>, wanted: GroupId, index: u64) -> Answer {
    let replica = node.replica_of(wanted).filter(|replica| replica.group().is_some_and(|of| of.id() == wanted));
    let stored = match &replica {
        Some(replica) => replica.store(index).await,
        None => None,
    };
    stored
        .map_or_else(|| Answer::Refused("the group is not open here, or its log has failed".to_owned()), Answer::Index)
}

impl<P: Platform> PeerService for Peers<P> {
    fn serve(&self, _: NodeId, class: Class, message: Bytes) -> impl Future<Output = Bytes> + Send {
        // What must keep order takes its place here, before the first await.
        let work = if message.first() != Some(&MARK) {
            // Before a group is open its messages find nobody: the peer tries again.
            let group = raft::group_of(&message).unwrap_or(GroupId(0));
            let meta = self.node.meta_of(group);
            let replica = if meta.is_none() { self.node.replica_of(group) } else { None };
            match (meta.as_ref().and_then(|meta| meta.group()), replica.as_ref().and_then(|replica| replica.group())) {
                (Some(group), _) => Work::Meta(group.serve(class, message)),
                (None, Some(group)) => Work::Raft(group.serve(class, message)),
                (None, None) => Work::Answered(Bytes::new()),
            }
        } else if let Some(Request::ReadIndex(group)) = Request::decode(&message) {
            Work::ReadIndex(Arc::clone(&self.node), group)
        } else {
            match Request::decode(&message) {
                Some(Request::Store { group, index }) => Work::Store(Arc::clone(&self.node), group, index),
                Some(Request::Doubts { group, replica }) => Work::Doubts(Arc::clone(&self.node), group, replica),
                Some(Request::Shortened { group, replica }) => Work::Shortened(Arc::clone(&self.node), group, replica),
                Some(Request::HandOver { group, to }) => Work::HandOver(Arc::clone(&self.node), group, to),
                Some(request @ (Request::Hello | Request::Come(_) | Request::TakeIn(..))) => {
                    Work::Joiner(Arc::clone(&self.node), request)
                }
                request => Work::Answered(self.answer(request).encode()),
            }
        };
        async move {
            match work {
                Work::Answered(answer) => answer,
                Work::Raft(serving) => serving.await,
                Work::Meta(serving) => serving.await,
                Work::HandOver(node, group, to) => cluster::hand_over(node, group, to).await.encode(),
                Work::Joiner(node, request) => cluster::answer_joiner(node, request).await.encode(),
                Work::ReadIndex(node, group) => read_index(&node, group).await.encode(),
                Work::Store(node, group, index) => store(&node, group, index).await.encode(),
                Work::Doubts(node, group, replica) => doubt::answer(&node, group, replica).await.encode(),
                Work::Shortened(node, group, replica) => doubt::shortened(&node, group, replica).await.encode(),
            }
        }
    }
}

impl<P: Platform> Peers<P> {
    pub(crate) fn new(node: Arc<Shared<P>>) -> Self {
        Self { node }
    }

    fn answer(&self, request: Option<Request>) -> Answer {
        match request {
            None => Answer::Refused("a message that this version does not know".to_owned()),
            Some(Request::Probe) => {
                Answer::Node { node: self.node.id(), group: self.node.identity().map(|identity| identity.group) }
            }
            Some(Request::Form(invitation)) => match self.node.identity() {
                Some(known) if known.group == invitation.group && known.replica == invitation.replica => {
                    Answer::Accepted(None)
                }
                Some(known) => Answer::Refused(format!("it belongs to group {} already", known.group)),
                None => match self.node.save_identity(&invitation) {
                    Ok(()) => Answer::Accepted(None),
                    Err(why) => Answer::Refused(why.to_string()),
                },
            },
            Some(Request::Join { member }) => self.join(member),
            Some(Request::Change(group, payload)) => {
                if self.node.take_in_change(group, payload) {
                    Answer::Accepted(None)
                } else {
                    Answer::Ask(String::new())
                }
            }
            Some(Request::Leads { group, term, node }) => {
                if let Some(cluster) = &self.node.cluster {
                    cluster.announced(topology::ShardId(group.0), term, topology::NodeId(node.0));
                }
                Answer::Accepted(None)
            }
            Some(Request::Silent(marks)) => {
                self.node.cluster.iter().for_each(|cluster| cluster.marked(&marks));
                Answer::Accepted(None)
            }
            Some(Request::Offsets(group)) => match self.node.replica_of(group).filter(|replica| replica.leads()) {
                Some(replica) => Answer::Offsets(replica.offsets()),
                None => Answer::Ask(String::new()),
            },
            Some(Request::Here(cluster, node, address)) => {
                self.node.cluster.iter().for_each(|own| own.reached(cluster, node, &address));
                Answer::Accepted(None)
            }
            Some(Request::Leaves(node)) => {
                let now_ns = self.node.clock.monotonic_ns();
                self.node.cluster.iter().for_each(|cluster| cluster.leaves(topology::NodeId(node.0), now_ns));
                Answer::Accepted(None)
            }
            Some(Request::Returns(node)) => {
                self.node.cluster.iter().for_each(|cluster| cluster.returns(topology::NodeId(node.0)));
                Answer::Accepted(None)
            }
            Some(Request::IsMember(group, replica)) => cluster::is_member(&self.node, group, replica),
            Some(Request::Knows(cluster, node)) => {
                // Who does not lead may not have heard of a node that has just joined.
                let known = self.node.meta_of(cluster).filter(|meta| meta.leads()).and_then(|meta| meta.topology());
                match known.map(|topology| topology.node(topology::NodeId(node.0)).is_some()) {
                    Some(true) => Answer::Accepted(None),
                    Some(false) => Answer::Refused("it is none of the cluster".to_owned()),
                    None => Answer::Ask(String::new()),
                }
            }
            Some(
                Request::ReadIndex(_)
                | Request::Store { .. }
                | Request::Doubts { .. }
                | Request::Shortened { .. }
                | Request::Hello
                | Request::Come(_)
                | Request::TakeIn(..)
                | Request::HandOver { .. },
            ) => unreachable!("answered where it can wait"),
        }
    }

    /// A listed node without data, or with a fresh replica that does not vote yet.
    fn join(&self, member: Member) -> Answer {
        let home = self.node.home();
        let (Some(_), Some(identity)) = (home.group(), self.node.identity()) else {
            return Answer::Refused("the group is not open yet".to_owned());
        };
        let status = home.status();
        if !status.leads() {
            return match status.leader {
                Some(leader) => Answer::Ask(leader.peer_address),
                None => Answer::Refused("the group has no leader".to_owned()),
            };
        }
        let known = |member: &Member| status.voters.values().any(|voter| voter.client_address == member.client_address);
        if !known(&member) {
            return Answer::Refused(format!("{} is no member of the group", member.client_address));
        }
        // The one that asks is not counted on: the others must be a majority by themselves, and at hand.
        let others: BTreeSet<_> = status
            .voters
            .values()
            .filter(|voter| voter.client_address != member.client_address)
            .map(|voter| voter.replica)
            .collect();
        if others.len() * 2 <= status.voters.len() {
            return Answer::Refused("the group's other voters are no majority: it would lose data".to_owned());
        }
        let fresh = formation::Identity { replica: member.replica, founders: Vec::new(), ..identity };
        if self.node.newcomers.try_send(member).is_err() {
            return Answer::Refused("other nodes are being taken in".to_owned());
        }
        Answer::Accepted(Some(fresh))
    }
}
