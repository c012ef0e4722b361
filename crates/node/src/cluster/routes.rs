//! What connections look slots up in: a view of the cluster, and the replicas that are here. Never changed, only replaced.

use std::collections::BTreeMap;
use std::sync::Arc;

use faces::Face;
use slot::Slot;
use topology::{ShardId, View};

use crate::replica::Replica;

/// See the module. Before the topology is known there is no view.
#[derive(Default)]
pub(crate) struct Routes {
    /// The cluster as this node sees it and shows it.
    pub(crate) face: Option<Face>,
    replicas: BTreeMap<ShardId, Arc<Replica>>,
    home: Option<ShardId>,
}

impl Routes {
    pub(crate) fn new(face: Face, replicas: BTreeMap<ShardId, Arc<Replica>>, home: Option<ShardId>) -> Self {
        Self { face: Some(face), replicas, home }
    }

    /// The cluster as this node sees it.
    pub(crate) fn view(&self) -> Option<&View> {
        Some(self.face.as_ref()?.view())
    }

    /// This node's replica of a shard.
    pub(crate) fn replica(&self, shard: ShardId) -> Option<&Arc<Replica>> {
        self.replicas.get(&shard)
    }

    /// The shard that clients see this node belong to.
    pub(crate) fn home(&self) -> Option<ShardId> {
        self.home
    }

    /// The replicas whose data clients see this node hold: of all shards that it leads for them; where it leads none, of its home.
    pub(crate) fn served(&self) -> Vec<Arc<Replica>> {
        let Some((face, view)) = self.face.as_ref().zip(self.view()) else { return Vec::new() };
        let me = face.settings().myself;
        let is_shown = |shard: ShardId| view.leader(shard).is_some_and(|leader| leader.node == me);
        let led = self.replicas.iter().filter(|(shard, replica)| replica.leads() && is_shown(**shard));
        let mut served: Vec<_> = led.map(|(_, replica)| Arc::clone(replica)).collect();
        // An empty home is not worth a look beside others.
        if served.len() > 1 {
            served.retain(|replica| replica.shard.data.read().serves_any());
        }
        if served.is_empty() {
            served.extend(self.home.and_then(|home| self.replicas.get(&home)).cloned());
        }
        served
    }

    /// Whether this replica is here.
    pub(crate) fn holds(&self, replica: &Arc<Replica>) -> bool {
        self.replicas.values().any(|held| Arc::ptr_eq(held, replica))
    }

    /// Whether two slots are of one shard.
    pub(crate) fn are_together(&self, one: Slot, other: Slot) -> bool {
        let shard = |slot| Some(self.view()?.route(slot)?.shard);
        one == other || shard(one).is_some_and(|of| shard(other) == Some(of))
    }
}
