//! The peer links: ordered, authenticated messages between nodes, as bytes.
//!
//! The only crate that names tonic. [`PeerLinks`] is the production [`raft::Transport`]; its
//! [`serve`](PeerLinks::serve) is the listening side, which hands what arrives to a [`raft::PeerService`].
//!
//! ```text
//!  request() ─> Link ─> Writer ─> HTTP/2 ─ ─ TCP ─ ─> HTTP/2 ─> Exchange ─> PeerService::serve
//!     ^          |     packs all                              hands over in     |
//!     |       waiting  that is ready                          order, bounded    |
//!     └── by id ─┴──── reader <─ HTTP/2 <─ ─ TCP ─ ─ HTTP/2 <─ packs answers <──┘
//! ```
//!
//! A link is one TCP connection and one long-lived bidi stream per peer and class, opened by whoever asks: two
//! nodes that ask each other hold one each way. Before the first byte of HTTP/2 both ends prove that they know the
//! shared secret and compare their terms (handshake.rs); TLS comes later and below.
//!
//! What is absent: retries (a request that failed may have arrived, so only its sender may repeat it), any look
//! into the messages, and any knowledge of groups, shards or topology.
//!
//! Invariants: everything is bounded ([`Limits`]); who has not authenticated makes this process hold less than
//! 64 KiB; requests of one link are handed over in the order of `request` calls; each is answered exactly once to
//! its caller, by its answer, [`raft::TransportError::Lost`] or [`raft::TransportError::Unreachable`].

mod clocks;
mod config;
mod dial;
mod exchange;
mod frame;
#[rustfmt::skip]
#[allow(clippy::all, clippy::pedantic, unreachable_pub, unused_qualifications, elided_lifetimes_in_paths, reason = "generated from proto/")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::use_self, reason = "generated from proto/")]
#[path = "generated/cairn.peer.v1.rs"]
mod generated;
mod handshake;
mod link;
mod links;
mod listen;
mod notices;
mod tasks;
mod traffic;

pub use clocks::ClockOffset;
pub use config::{ClassLimits, Limits, RpcConfig};
pub use links::PeerLinks;
