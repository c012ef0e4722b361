//! How far the peers' wall clocks are from this node's.
//!
//! Every message carries its sender's wall clock. What is seen on arrival is the true offset less the time of
//! travel, so the **largest** sample of the last seconds is the closest to the truth: a stall on either side only
//! makes a sample smaller. A step of a clock backwards therefore shows after at most [`WINDOW`].

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use raft::NodeId;
use tokio::time::Instant;

/// How long a sample counts.
const WINDOW: Duration = Duration::from_secs(10);
/// Peers that are remembered; another one replaces the first that has not been heard of for [`WINDOW`].
const PEERS_MAX: usize = 4096;

/// One peer's clock as this node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// The peer.
    pub node: NodeId,
    /// Its wall clock less this node's, in ms: positive when the peer's is ahead.
    pub offset_ms: i64,
}

/// The offsets of all peers that were heard of lately.
pub(crate) struct Clocks {
    peers: Mutex<BTreeMap<NodeId, Samples>>,
}

/// The largest samples of the current half of a window and of the half before.
struct Samples {
    since: Instant,
    latest: Instant,
    current_ms: i64,
    before_ms: Option<i64>,
}

impl Clocks {
    pub(crate) fn new() -> Self {
        Self { peers: Mutex::new(BTreeMap::new()) }
    }

    /// Notes that a message of this node, sent at `peer_ms` by its clock, arrived at `own_ms` by this one's.
    pub(crate) fn sample(&self, node: NodeId, peer_ms: u64, own_ms: u64) {
        let now = Instant::now();
        let offset_ms = i64::try_from(i128::from(peer_ms) - i128::from(own_ms)).unwrap_or(i64::MAX);
        let mut peers = self.peers.lock();
        if let Some(samples) = peers.get_mut(&node) {
            samples.add(offset_ms, now);
            return;
        }
        if peers.len() >= PEERS_MAX {
            peers.retain(|_, samples| now - samples.latest < WINDOW);
        }
        if peers.len() < PEERS_MAX {
            peers.insert(node, Samples { since: now, latest: now, current_ms: offset_ms, before_ms: None });
        }
    }

    /// The offsets of the peers that were heard of within the last seconds, by node.
    pub(crate) fn offsets(&self) -> Vec<ClockOffset> {
        let now = Instant::now();
        let peers = self.peers.lock();
        let heard = peers.iter().filter(|(_, samples)| now - samples.latest < WINDOW);
        heard.map(|(&node, samples)| ClockOffset { node, offset_ms: samples.largest() }).collect()
    }
}

impl Samples {
    fn add(&mut self, offset_ms: i64, now: Instant) {
        if now - self.since < WINDOW / 2 {
            self.current_ms = self.current_ms.max(offset_ms);
        } else {
            self.before_ms = (now - self.since < WINDOW).then_some(self.current_ms);
            self.current_ms = offset_ms;
            self.since = now;
        }
        self.latest = now;
    }

    fn largest(&self) -> i64 {
        self.before_ms.map_or(self.current_ms, |before| before.max(self.current_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId([1; 20]);

    #[tokio::test(start_paused = true)]
    async fn the_largest_sample_of_the_window_counts() {
        let clocks = Clocks::new();
        clocks.sample(PEER, 10_000, 10_300);
        clocks.sample(PEER, 10_100, 10_101);
        clocks.sample(PEER, 10_200, 10_900);
        assert_eq!(clocks.offsets(), [ClockOffset { node: PEER, offset_ms: -1 }]);
        for _ in 0..4 {
            tokio::time::advance(WINDOW / 2).await;
            clocks.sample(PEER, 50_000, 55_000);
        }
        assert_eq!(clocks.offsets(), [ClockOffset { node: PEER, offset_ms: -5000 }]);
        tokio::time::advance(WINDOW).await;
        assert_eq!(clocks.offsets(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn absurd_clocks_do_not_overflow() {
        let clocks = Clocks::new();
        clocks.sample(PEER, u64::MAX, 0);
        clocks.sample(PEER, 0, u64::MAX);
        assert_eq!(clocks.offsets(), [ClockOffset { node: PEER, offset_ms: i64::MAX }]);
    }
}
