//! A cluster: six nodes, three shards, the group of their topology, and a seventh node that comes and goes.
//!
//! ```text
//! operator   forms it and changes it as redis-cli does, by commands, until the nodes show that it came about
//! guided     clients that know the slots and go where they are sent
//! watch      what must be true of all nodes at every moment, and once all is mended
//! run        all of it in order
//! ```

mod guided;
mod operator;
mod plan;
mod run;
#[cfg(test)]
mod tests;
mod watch;

use slot::Slot;

pub(crate) use plan::Plan;
pub(crate) use run::Run;

/// All hosts: the six that form the cluster, and the [`SPARE`].
const HOSTS: usize = 7;
/// So many hosts form the cluster: a master for each shard, then a replica for each.
const MEMBERS: usize = 6;
const SHARDS: usize = 3;
/// The host that is taken in and let go.
const SPARE: usize = 6;

/// After this long without a word a voter is replaced, in ms: a short time, since runs are short.
const VOTER_REPLACE_AFTER_MS: u64 = 4000;

/// Tags of slots that stay where they are: two of each shard.
const STEADY: [&str; 6] = ["t0", "t1", "t2", "t3", "t4", "t5"];
/// Tags of slots that an operator moves.
const WANDERING: [&str; 2] = ["w0", "w1"];

/// A slot that stays with this shard.
fn steady_slot(shard: usize) -> Slot {
    Slot::of_key(STEADY[SHARDS - 1 - shard].as_bytes())
}
