//! One running node, generic over what it stands on ([`Platform`]) and over byte streams.
//!
//! ```text
//! connection  bytes in, commands, bytes out; reads run on its own task      session   who the client is, the gates
//! shard       the open batch, the keyspace, the right to read               sealer    seals and proposes
//! machine     apply: entries on the keyspace, on its own thread             entry     what the log holds
//! replica     one shard's copy on this node: shard, machine, group           formation how a node gets its replica
//! node        what the threads share; start and stop                        own_id    the node's id
//! ```
//!
//! Not here: sockets, files, signals (`server`), Raft (`raft`), what commands do (`commands`, `keyspace`).

pub mod config;

mod batch;
mod blocking;
mod clients;
mod cluster;
mod connection;
mod copies;
mod doubt;
mod entry;
mod fence;
mod formation;
mod holdings;
mod inbox;
mod info;
mod io_thread;
mod machine;
mod memory;
mod messages;
mod node;
mod own_id;
mod pause;
mod peers;
mod platform;
mod probe;
mod replica;
mod router;
mod sealer;
mod session;
mod shard;
mod snapshot;
mod stats;
mod tasks;

pub use formation::Record;
pub use memory::{AllocatorBytes, MemoryProbe};
pub use node::{Network, Node, ProcessorTimes, Serving, Start};
pub use peers::Peers;
pub use platform::{LogBounds, Main, Place, Platform, Random, Socket, Threads};
pub use probe::{ClusterProbe, KnownLeader, Probe, ReplicaProbe};
pub use tasks::OsThreads;
