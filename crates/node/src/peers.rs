//! What this node answers other nodes: messages of its group go to Raft, the rest is about forming and joining.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use raft::{Class, GroupId, Member, NodeId, PeerService};

use crate::formation;
use crate::messages::{Answer, MARK, Request};
use crate::node::Shared;
use crate::platform::Platform;

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
enum Work<P: Platform, F> {
    Answered(Bytes),
    Raft(F),
    ReadIndex(Arc<Shared<P>>, GroupId),
}

/// Everything acknowledged by now is applied on the leader by now: its applied index is enough, once it is sure to lead.
async fn read_index<P: Platform>(node: &Shared<P>, wanted: GroupId) -> Answer {
    let home = node.home();
    let Some(group) = home.group().filter(|group| group.id() == wanted) else {
        return Answer::Refused("the group is not open here".to_owned());
    };
    match group.read_barrier().await {
        Ok(()) => Answer::Index(home.shard.applied_index()),
        Err(why) => Answer::Refused(why.to_string()),
    }
}

impl<P: Platform> PeerService for Peers<P> {
    fn serve(&self, _: NodeId, class: Class, message: Bytes) -> impl Future<Output = Bytes> + Send {
        // What must keep order takes its place here, before the first await.
        let work = if message.first() != Some(&MARK) {
            // Before the group is open its messages find nobody: the peer tries again.
            self.node
                .home()
                .group()
                .map_or(Work::Answered(Bytes::new()), |group| Work::Raft(group.serve(class, message)))
        } else if let Some(Request::ReadIndex(group)) = Request::decode(&message) {
            Work::ReadIndex(Arc::clone(&self.node), group)
        } else {
            Work::Answered(self.answer(&message).encode())
        };
        async move {
            match work {
                Work::Answered(answer) => answer,
                Work::Raft(serving) => serving.await,
                Work::ReadIndex(node, group) => read_index(&node, group).await.encode(),
            }
        }
    }
}

impl<P: Platform> Peers<P> {
    pub(crate) fn new(node: Arc<Shared<P>>) -> Self {
        Self { node }
    }

    fn answer(&self, message: &[u8]) -> Answer {
        match Request::decode(message) {
            None => Answer::Refused("a message that this version does not know".to_owned()),
            Some(Request::Probe) => {
                Answer::Node { node: self.node.id, group: self.node.identity().map(|identity| identity.group) }
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
            Some(Request::ReadIndex(_)) => unreachable!("answered where it can wait"),
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
