//! The Raft seam: one [`Group`] replicates one state machine over the nodes that hold its replicas.
//!
//! Only this crate names openraft. Above it (`node`) there are proposals, waiters and committed entries;
//! below it there are bytes: [`LogStore`] keeps them, [`Transport`] carries them.

mod clock;
mod ids;
mod log_store;
mod machine;
mod transport;

pub use clock::Clock;
pub use ids::{GroupId, LogId, NodeId, ReplicaId};
pub use log_store::{Done, GroupLog, LogChange, LogStore, SnapshotMeta, SnapshotReader, SnapshotWriter, StoredEntry};
pub use machine::{CommittedEntry, Frozen, Machine, Refusal, Waiter};
pub use transport::{Class, PeerAddress, PeerService, Transport, TransportError};
