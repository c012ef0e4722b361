//! What a node stands on in a run: the simulated disk, links and clocks, and places that are tasks.

use std::io;
use std::sync::Arc;

use node::{LogBounds, Main, Place, Platform, Random, Record, Threads};
use parking_lot::Mutex;
use raft::NodeId;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::io::DuplexStream;

use crate::clock::SimClock;
use crate::disk::SimDisk;
use crate::net::SimTransport;

/// The simulated world, as types.
pub(crate) struct SimPlatform;

impl Platform for SimPlatform {
    type LogStore = SimDisk;
    type Transport = SimTransport;
    type Clock = SimClock;
    type Random = SimRandom;
    type Threads = SimThreads;
    type Socket = DuplexStream;
    const LOG_BOUNDS: LogBounds = LogBounds { tail_bytes_max: 4000, snapshot_log_bytes: 12_000 };
}

/// Seeded random numbers. Clones share the sequence.
#[derive(Clone)]
pub(crate) struct SimRandom(Arc<Mutex<SmallRng>>);

impl SimRandom {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(SmallRng::seed_from_u64(seed))))
    }
}

impl Random for SimRandom {
    fn next_u64(&self) -> u64 {
        self.0.lock().next_u64()
    }
}

/// Collects the work of a node's places; the host runs all of it as tasks of one set.
#[derive(Clone, Default)]
pub(crate) struct SimThreads(Arc<Mutex<Vec<Main>>>);

impl SimThreads {
    /// What was started since the last call.
    pub(crate) fn take(&self) -> Vec<Main> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Threads for SimThreads {
    fn io_threads(&self) -> usize {
        2
    }

    fn start(&self, _: Place, main: Main) -> io::Result<()> {
        self.0.lock().push(main);
        Ok(())
    }
}

/// The file with the identity of the node's replica: durable once it is saved.
#[derive(Clone, Default)]
pub(crate) struct SimRecord(Arc<Mutex<Vec<u8>>>);

impl Record for SimRecord {
    fn load(&self) -> io::Result<Vec<u8>> {
        Ok(self.0.lock().clone())
    }

    fn save(&mut self, _: NodeId, bytes: &[u8]) -> io::Result<()> {
        *self.0.lock() = bytes.to_vec();
        Ok(())
    }
}
