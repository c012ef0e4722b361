//! Whole groups in one process: paused clock, one thread, stores and network in memory.

mod chaos;
mod cluster;
mod codec;
mod elections;
mod leases;
mod machine;
mod membership;
mod proposals;
mod snapshots;
mod store;
