//! What a group is opened with, and what that means for openraft.

use std::io;
use std::time::Duration;

use openraft::{Config, SnapshotPolicy, StepDownPolicy};
use tokio::time::Instant;

use crate::ids::GroupId;
use crate::member::Member;
use crate::runtime::Beat;

/// How one replica of a group runs. The election timeout must be the same on all members: the lease of one is the
/// promise of the others.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// The group.
    pub group: GroupId,
    /// This replica.
    pub me: Member,
    /// A follower that hears nothing for a random time in this range asks for votes; the upper end is the lease.
    /// Milliseconds.
    pub election_timeout_ms: (u64, u64),
    /// Where this replica's randomness (election jitter) comes from: random in production, the run's in `sim`.
    pub seed: u64,
    /// How much faster this replica's clock runs than tokio's, in millionths; 0 but in `sim`.
    pub clock_rate_ppm: i32,
    /// Some moment at which this replica looks at its timers. Those of one node have it in common: it wakes once for all of them.
    pub ticks_from: Instant,
    /// How many bytes of the log's tail stay in memory.
    pub tail_bytes_max: usize,
    /// A snapshot is taken when the log since the last one is longer than this and than that snapshot.
    pub snapshot_log_bytes: u64,
}

impl GroupConfig {
    /// The defaults: 250 to 500 ms, 16 MiB of tail, a snapshot every 64 MiB of log.
    pub fn new(group: GroupId, me: Member, seed: u64) -> Self {
        Self {
            group,
            me,
            election_timeout_ms: (250, 500),
            seed,
            clock_rate_ppm: 0,
            ticks_from: Instant::now(),
            tail_bytes_max: 16 << 20,
            snapshot_log_bytes: 64 << 20,
        }
    }

    /// When it looks at its timers: ten times in the shortest election timeout. An election begins that much later at most, where openraft by
    /// itself would look every fifth of a heartbeat's interval, each group at moments of its own.
    pub(crate) fn beat(&self) -> Beat {
        Beat { origin: self.ticks_from, period: Duration::from_millis(self.election_timeout_ms.0) / 10 }
    }

    /// How long a promise lasts: the upper end of the election timeout.
    pub(crate) fn lease_length(&self) -> Duration {
        Duration::from_millis(self.election_timeout_ms.1)
    }

    /// How long a replica that restarted keeps its vote to itself: a lease and a tenth.
    pub(crate) fn silence(&self) -> Duration {
        self.lease_length() * 11 / 10
    }

    /// How long an answer may take that waits for a peer's disk.
    pub(crate) fn patience(&self) -> Duration {
        self.lease_length() * 2
    }

    /// `may_elect`: whether this replica may ask for votes from the beginning.
    pub(crate) fn to_raft(&self, may_elect: bool) -> io::Result<Config> {
        let (min, max) = self.election_timeout_ms;
        let config = Config {
            cluster_name: self.group.to_string(),
            election_timeout_min: min,
            election_timeout_max: max,
            // On every fourth beat: somewhat less than four, so that one that is noticed a little early counts.
            heartbeat_interval: min * 19 / 50,
            enable_elect: may_elect,
            enable_pre_vote: Some(true),
            // Off: a restarted leader that kept its term could answer stale reads.
            enable_leader_restore: Some(false),
            removed_leader_step_down: StepDownPolicy::Never,
            quorum_loss_probe_interval: Some(2 * max),
            max_payload_entries: 1024,
            api_channel_size: Some(CHANNEL_SIZE),
            notification_channel_size: Some(CHANNEL_SIZE),
            // Snapshots and purges are this crate's own: by bytes, not by entries.
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: u64::MAX,
            purge_batch_size: 1024,
            replication_lag_threshold: 1000,
            backoff: "20ms 50ms 100ms 200ms 500ms".to_owned(),
            ..Config::default()
        };
        config.validate().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))
    }
}

/// openraft's queues, in messages.
const CHANNEL_SIZE: u64 = 4096;
/// Proposals that may be in openraft's queue or log before they are committed: well below its queue, so that
/// handing one over never waits.
pub(crate) const PROPOSALS_MAX: usize = 1024;
