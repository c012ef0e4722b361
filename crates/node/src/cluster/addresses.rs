//! Where the nodes of the cluster are reached now, whatever a group's membership says.
//!
//! ```text
//! membership of a group   where the node was when its replica was added; never renewed
//! topology                what the node said last, once a majority of the meta group has it
//! heard                   what the node itself says when it starts somewhere else: nobody could tell it who leads the meta
//!                         group before it can be reached. Forgotten when the topology says anything newer
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use raft::{Class, NodeId, PeerAddress, PeerLink, Pieces, Traffic, Transport, TransportError};
use topology::Topology;

use super::members::address;

/// See the module.
#[derive(Default)]
pub(crate) struct Addresses {
    known: RwLock<BTreeMap<NodeId, Known>>,
}

struct Known {
    told: String,
    heard: Option<String>,
}

impl Known {
    fn newest(&self) -> &str {
        self.heard.as_deref().unwrap_or(&self.told)
    }
}

impl Addresses {
    /// Takes up what the topology says.
    pub(super) fn follow(&self, topology: &Topology) {
        let mut known = self.known.write();
        known.retain(|node, _| topology.node(topology::NodeId(node.0)).is_some());
        for (node, info) in topology.nodes() {
            let told = address(&info.endpoint.ip, info.endpoint.peer_port);
            let entry = known.entry(NodeId(node.0)).or_insert_with(|| Known { told: String::new(), heard: None });
            if entry.told != told {
                *entry = Known { told, heard: None };
            }
        }
    }

    /// A node of the cluster says that it is reached there; whether that is news.
    pub(super) fn heard(&self, node: NodeId, address: &str) -> bool {
        let mut known = self.known.write();
        let Some(known) = known.get_mut(&node).filter(|known| known.newest() != address) else { return false };
        known.heard = Some(address.to_owned()).filter(|heard| *heard != known.told);
        true
    }

    /// Those nodes that are heard to be somewhere else than the topology says.
    pub(super) fn moved(&self) -> Vec<(NodeId, String)> {
        let known = self.known.read();
        known.iter().filter_map(|(node, known)| Some((*node, known.heard.clone()?))).collect()
    }

    /// Where a node is, if that is somewhere else than this address says.
    fn elsewhere(&self, to: &PeerAddress) -> Option<String> {
        let known = self.known.read();
        let newest = known.get(&to.node)?.newest();
        (newest != to.address).then(|| newest.to_owned())
    }
}

/// A transport whose requests go to where nodes are now.
#[derive(Clone)]
pub(crate) struct Rerouted<T> {
    inner: T,
    addresses: Arc<Addresses>,
}

impl<T> Rerouted<T> {
    pub(crate) const fn new(inner: T, addresses: Arc<Addresses>) -> Self {
        Self { inner, addresses }
    }
}

impl<T: Transport> Transport for Rerouted<T> {
    fn request(
        &self,
        to: &PeerAddress,
        class: Class,
        message: Pieces,
        deadline: Duration,
    ) -> impl Future<Output = Result<Bytes, TransportError>> + Send + use<T> {
        match self.addresses.elsewhere(to) {
            Some(address) => self.inner.request(&PeerAddress { node: to.node, address }, class, message, deadline),
            None => self.inner.request(to, class, message, deadline),
        }
    }

    fn clock_offsets_ms(&self) -> Vec<i64> {
        self.inner.clock_offsets_ms()
    }

    fn links(&self) -> Option<Vec<PeerLink>> {
        self.inner.links()
    }

    fn traffic(&self) -> (Traffic, Traffic) {
        self.inner.traffic()
    }

    fn rename(&self, node: NodeId) {
        self.inner.rename(node);
    }
}

#[cfg(test)]
mod tests {
    use topology::{ClusterId, Endpoint, First, ReplicaId, ShardId};

    use super::*;

    const NODE: NodeId = NodeId([1; 20]);

    fn topology(peer_port: u16) -> Topology {
        Topology::single(First {
            cluster: ClusterId(1),
            node: topology::NodeId(NODE.0),
            endpoint: Endpoint {
                ip: "::1".to_owned(),
                port: 1,
                tls_port: 0,
                peer_port,
                hostname: String::new(),
                nodename: String::new(),
                availability_zone: String::new(),
            },
            meta_replica: ReplicaId(1),
            shard: ShardId(2),
            replica: ReplicaId(2),
        })
    }

    #[test]
    fn what_is_newer_counts() {
        let addresses = Addresses::default();
        let to = |address: &str| PeerAddress { node: NODE, address: address.to_owned() };
        assert_eq!(addresses.elsewhere(&to("old:1")), None, "nothing is known");
        assert!(!addresses.heard(NODE, "early:1"), "of a node that is none of the cluster");
        addresses.follow(&topology(10));
        assert_eq!(addresses.elsewhere(&to("old:1")).as_deref(), Some("[::1]:10"));
        assert_eq!(addresses.elsewhere(&to("[::1]:10")), None);
        // It is somewhere else, and the topology does not know yet.
        assert!(addresses.heard(NODE, "[::1]:11") && !addresses.heard(NODE, "[::1]:11"));
        addresses.follow(&topology(10));
        assert_eq!(addresses.elsewhere(&to("[::1]:10")).as_deref(), Some("[::1]:11"));
        assert_eq!(addresses.moved(), [(NODE, "[::1]:11".to_owned())]);
        // The topology learns it, and later of another place.
        addresses.follow(&topology(11));
        assert!(addresses.moved().is_empty());
        addresses.follow(&topology(12));
        assert_eq!(addresses.elsewhere(&to("[::1]:11")).as_deref(), Some("[::1]:12"));
        // Back where the topology has it.
        assert!(addresses.heard(NODE, "[::1]:13") && addresses.heard(NODE, "[::1]:12"));
        assert!(addresses.moved().is_empty());
    }
}
