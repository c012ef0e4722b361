//! The topology of a cluster: its nodes, its shards, who owns which slot, who should hold which replica. The state machine of the meta group.
//!
//! It is pure and total: [`Topology::apply`] is a function of the state and a [`Change`], the same on every node, and what it refuses leaves the
//! state as it was. It knows no Raft, no clock and no socket; it does not say who is alive. What to do about it is said by two
//! more functions: [`plan`], which the meta leader asks for changes, and [`next_step`], which a group's leader asks
//! for the next change of its Raft membership. [`View`] is what router and faces read.
//!
//! ```text
//! faces, admin, plan --Change--> meta group's log --> Topology::apply (every node)
//!                                                        |          \
//!                              next_step, Shard::fence <-+           +-> View::new(topology, overlay) -> router, faces
//!                              (the leader of each group)
//! ```
//!
//! # Slots and fences
//!
//! The truth about a slot is in the shard's own log. Its leader brings what the topology says into that log as one entry, the
//! [`Fence`]: the version at which the shard's slots changed last, and the slots it may serve. *A shard ignores a fence with a version that is not
//! above that of the one it has.* When slots are taken from a shard they are [`Closing`] first: the leader, with a fence of at least the
//! closing's number applied, proposes [`Change::SlotsClosed`], and only then can another shard be given them. So whatever an old leader
//! still believes, no two shards accept commands for one slot: the fence that closed it is the newer one in that shard's log.
//!
//! # Invariants
//!
//! - A slot has at most one owner. What a shard holds keys of is given to no other.
//! - Every node has a home shard and holds a visible replica of it; every shard is the home of at least one node.
//! - No two replicas of a group are on one node, and no two replicas anywhere have the same id.
//! - Config epochs of shards rise with every change of leader, and never come from a term.
//! - Nothing is unbounded: [`NODES_MAX`] nodes, as many shards, texts of [`Endpoint::TEXT_BYTES_MAX`] bytes.
#![warn(clippy::cast_possible_truncation)]

mod change;
mod codec;
#[cfg(test)]
mod fixture;
mod ids;
mod member;
mod membership;
mod placement;
mod refusal;
mod shard;
mod topology;
mod view;

pub use change::{Change, DecodeError, Joiner, Outcome, Setting, decode_batch, encode_batch};
pub use ids::{ClusterId, Group, NodeId, ReplicaId, ShardId};
pub use member::{Endpoint, Node, Replica, Standing};
pub use membership::{Members, Step, next_step};
pub use placement::{LIVE_WITHIN_MS, Liveness, QUIET_MS, plan, promote, release};
pub use refusal::Refusal;
pub use shard::{Closing, Fence, Leader, Shard};
pub use topology::{First, Meeting, NODES_MAX, Phase, Topology};
pub use view::{Coverage, Mark, Overlay, Role, Route, View, ViewNode};
