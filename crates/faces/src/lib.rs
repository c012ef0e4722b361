//! The faces: adapters that show the topology in the words of others. Today the Cluster face, Redis Cluster's.
//!
//! A face is a function: a command, its arguments, the [`View`](topology::View) and some facts about the node go in, and an [`Action`] comes out:
//! the reply is written, or changes are to be proposed, or the node is asked for something that only it can do. It
//! changes nothing and waits for nothing. Only here are there masters and slaves.
//!
//! ```text
//! let action = face.run(command, arguments, transport, &facts, reply);
//! match action {
//!     Action::Replied => {}
//!     Action::Propose { changes, answer } => propose to the meta group, then answer.write(outcome, reply)
//!     Action::CountKeysInSlot(slot) => ask the home shard, then reply.count(keys)
//!     ...
//! }
//! ```
//!
//! A [`Face`] is made for one view. CLUSTER SLOTS and CLUSTER NODES, which clients ask for most and all at once when something has happened, are made
//! when they are first asked for and copied from then on. Replies are the same on every node but for `myself`, pings,
//! links and offsets: everything is in the order of ids and slots.
#![warn(clippy::cast_possible_truncation)]

mod cluster;
mod face;
mod redirect;
mod replication;
mod reports;

pub use cluster::{Action, Answer, FailoverMode, disabled, unready};
pub use face::{Face, Link, PreferredEndpoint, Settings, Transport};
pub use redirect::{CROSS_SLOT, DOWN, DOWN_FOR_WRITES, NOT_SERVED, TRY_AGAIN};
pub use reports::{LinkRow, NodeFacts, SlotStats, Traffic, write_links};
