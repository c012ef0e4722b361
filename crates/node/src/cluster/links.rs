//! Which other nodes there is a connection with, as CLUSTER NODES shows it (`link-state`).
//!
//! Groups open connections to whom they need. To a node that nobody here needs a question is sent, whose answer nobody waits for: it
//! opens one. So where there is none for longer than that takes, there is no way. What a node seems to be to the cluster as a whole,
//! its flags, is not decided here: that the leader of the meta group says (health.rs).

use std::collections::BTreeSet;
use std::time::Duration;

use raft::{Class, Transport};
use topology::NodeId;

use super::members::peer;
use super::open::Ground;
use crate::messages::Request;
use crate::platform::Platform;

/// Between two looks. A connection is opened in less; nodes that are gone are shown as such after two.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the question is kept for a connection that is being opened.
const ASKED_FOR: Duration = Duration::from_secs(1);

/// Looks for as long as the node lives; where the transport has no connections there is nothing to see.
pub(super) async fn watch<P: Platform>(ground: Ground<P>) {
    let cluster = ground.cluster();
    let mut missing = BTreeSet::new();
    while let Some(links) = ground.transport.links() {
        if let Some(topology) = cluster.topology() {
            let linked: BTreeSet<NodeId> = links.iter().map(|link| NodeId(link.node.0)).collect();
            let mut gone = BTreeSet::new();
            for (&id, other) in topology.nodes().iter().filter(|(id, _)| **id != cluster.me() && !linked.contains(id)) {
                let question = Request::Hello.encode();
                drop(ground.transport.request(&peer(id, &other.endpoint), Class::Control, question.into(), ASKED_FOR));
                gone.insert(id);
            }
            cluster.unlinked(gone.intersection(&missing).copied().collect());
            missing = gone;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
