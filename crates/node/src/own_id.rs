//! Who this node is: its id stays for the life of its `dir`, until CLUSTER RESET HARD makes it another.

use parking_lot::RwLock;
use raft::NodeId;

/// See the module.
#[derive(Debug)]
pub(crate) struct OwnId(RwLock<NodeId>);

impl OwnId {
    pub(crate) const fn new(id: NodeId) -> Self {
        Self(RwLock::new(id))
    }

    /// The id.
    pub(crate) fn get(&self) -> NodeId {
        *self.0.read()
    }

    /// The node is another from now on. Its record says so already.
    pub(crate) fn set(&self, id: NodeId) {
        *self.0.write() = id;
    }
}
