//! The errors that send a client elsewhere, or tell it why it cannot be served. Without the leading `-`.

use slot::Slot;
use topology::ViewNode;

use crate::face::{Face, Transport, port};

/// Keys of one command are in several slots.
pub const CROSS_SLOT: &str = "CROSSSLOT Keys in request don't hash to the same slot";

/// Some of the keys have gone to where their slot is going.
pub const TRY_AGAIN: &str = "TRYAGAIN Multiple keys request during rehashing of slot";

/// The cluster, or the shard, has nobody to serve the slot just now.
pub const DOWN: &str = "CLUSTERDOWN The cluster is down";

/// The same where reads are allowed still, for a write.
pub const DOWN_FOR_WRITES: &str = "CLUSTERDOWN The cluster is down and only accepts read commands";

/// The slot has no owner.
pub const NOT_SERVED: &str = "CLUSTERDOWN Hash slot not served";

impl Face {
    /// `MOVED slot endpoint:port`: the slot is another node's.
    pub fn moved(&self, slot: Slot, to: &ViewNode, transport: Transport) -> String {
        self.redirect("MOVED", slot, to, transport)
    }

    /// `ASK slot endpoint:port`: the key may be where its slot is going.
    pub fn ask(&self, slot: Slot, to: &ViewNode, transport: Transport) -> String {
        self.redirect("ASK", slot, to, transport)
    }

    fn redirect(&self, word: &str, slot: Slot, to: &ViewNode, transport: Transport) -> String {
        let endpoint = self.preferred(&to.endpoint).unwrap_or_default();
        format!("{word} {slot} {endpoint}:{}", port(&to.endpoint, transport))
    }
}
