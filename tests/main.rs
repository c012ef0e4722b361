//! Cairn from outside: real processes on real sockets, under foreign clients and beside foreign servers.
//!
//! One binary with one module a file. Nothing here knows the server's insides; what is expected of it is written in
//! the modules or asked of a real valkey-server.
//!
//! No test sleeps for a time that is hoped to be enough: each waits for a condition, with a deadline. A process that a
//! test starts is killed when the test ends, and its log is shown when the test fails.

#![expect(clippy::disallowed_methods, reason = "real processes need real clocks, threads and channels")]

mod harness;

mod blocking;
mod clients;
mod cluster;
mod compare;
mod copies;
mod durability;
mod fieldsets;
mod golden;
mod limits;
mod memory;
mod migrate;
mod payloads;
mod power_cut;
mod python;
mod redis_rs;
mod rooms;
mod shard;
mod standalone;
mod stats;
mod strace;
