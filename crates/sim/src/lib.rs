//! Whole clusters in one process: one seed, one run.
//!
//! The nodes are the ones of production, over a simulated disk, network and clock (`platform`), on one thread in
//! virtual time. A plan drawn from the seed says what goes wrong; clients work all the while, and an oracle judges
//! what they saw.
//!
//! ```text
//! seed -> plan      what goes wrong, and when
//!      -> hosts     disk, clocks, links, and a node that is started, stopped, cut off, wiped
//!      -> workload  clients, each a task that speaks RESP over a byte stream
//!                     -> oracle   registers, lists, a bank, things that vanish
//! run               all of it in order, and the trace: one number for everything that happened
//! ```
//!
//! There are two worlds. In `shard` one shard is formed by a list of its members. In `cluster` an operator forms a cluster of
//! six nodes by the commands of `redis-cli --cluster`, takes nodes in and out and moves slots, clients are sent from node
//! to node, and beside what clients saw it is watched what the nodes hold and know: that no slot is served by two shards, say.
//!
//! Not here: tokio's scheduler is the real one, but there is one thread, so races inside of a node are not found.
//! Sockets, sled, gRPC and the operating system are tested elsewhere.

mod client;
mod clock;
mod cluster;
mod disk;
mod hazard;
mod heard;
mod host;
mod hosts;
mod kept;
mod net;
mod oracle;
mod platform;
mod reach;
mod run;
mod seed;
mod shard;
mod tasks;
mod trace;
mod workload;

pub use run::{Report, World, run};
pub use trace::Show;
