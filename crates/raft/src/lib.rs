//! The Raft seam: one [`Group`] replicates one state machine over the nodes that hold its replicas.
//!
//! Only this crate names openraft. Above it (`node`) there are proposals, waiters and committed entries;
//! below it there are bytes: [`LogStore`] keeps them, [`Transport`] carries them.
//!
//! ```text
//!            propose            committed, refused              apply, freeze, install
//! node  ---------------> Group -------------------> Waiter  -----------------------> Machine
//!                          |
//!              openraft (types, entry, reply, state, runtime)
//!            log |                    | network              ^ serve
//!             LogStore            Transport  ~~~ peers ~~~ PeerService
//! ```
//!
//! What is promised to readers is in [`Lease`]; what a proposal's waiter hears is in [`Group::propose`].

mod appends;
mod clock;
mod codec;
mod config;
pub mod conformance;
mod entry;
mod group;
mod ids;
mod lease;
mod log;
mod log_store;
mod machine;
mod member;
pub mod memory;
mod message;
mod network;
mod observer;
mod own_log;
mod reads;
mod reply;
mod runtime;
mod serve;
mod snapshot;
mod state;
mod status;
mod stored;
mod transport;
mod types;

pub use clock::Clock;
pub use config::GroupConfig;
pub use group::{Group, GroupError};
pub use ids::{GroupId, LogId, NodeId, ReplicaId};
pub use lease::Lease;
pub use log::UNDONE;
pub use log_store::{
    Done, Durability, GroupLog, LogChange, LogStore, SnapshotMeta, SnapshotReader, SnapshotWriter, StoredEntry,
};
pub use machine::{CommittedEntry, Frozen, Machine, Refusal, Waiter};
pub use member::Member;
pub use message::{gone, group_of};
pub use reads::ReadError;
pub use status::{Role, Status};
pub use stored::StoredMembers;
pub use transport::{Class, PeerAddress, PeerLink, PeerService, Pieces, Traffic, Transport, TransportError};

#[cfg(test)]
mod tests;
