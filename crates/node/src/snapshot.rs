//! A shard's state as a snapshot: a header, then the keyspace.

use std::io;

use bytes::Bytes;
use raft::SnapshotReader;

use crate::config::ShardSettings;
use crate::machine::{Progress, State};

/// The state as of one entry, on its way to disk.
pub(crate) struct FrozenState {
    keyspace: keyspace::Frozen,
    settings: ShardSettings,
    progress: Progress,
}

impl FrozenState {
    pub(crate) fn new(keyspace: keyspace::Frozen, settings: ShardSettings, progress: Progress) -> Self {
        Self { keyspace, settings, progress }
    }
}

impl raft::Frozen for FrozenState {
    fn next_chunk(&mut self) -> Option<Bytes> {
        let _ = (&self.keyspace, &self.settings, &self.progress);
        None
    }
}

/// Reads a state from a snapshot's chunks.
pub(crate) async fn decode<R: SnapshotReader>(_: R) -> io::Result<State> {
    Err(io::Error::other("not written yet"))
}
