//! How a client reaches who takes its commands: any host of a shard, or the right one of a cluster.

use std::time::Duration;

use rand::rngs::SmallRng;

use crate::client::Command;
use crate::heard::Heard;

/// The client's side of one world. Random choices come from the client.
pub(crate) trait Reach {
    /// Sends commands about `key`, and others of its slot, in one write, and waits for the replies.
    async fn call(&mut self, random: &mut SmallRng, key: &str, commands: &[Command], patience: Duration) -> Heard;

    /// Whether the connection that the last call went over is still there.
    fn is_linked(&self) -> bool;

    /// The same over that connection, which is still there.
    async fn call_again(&mut self, random: &mut SmallRng, commands: &[Command], patience: Duration) -> Heard;
}
