//! A machine that remembers what it applied, and waiters that remember what they heard.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::codec::Reader;
use crate::ids::LogId;
use crate::log_store::SnapshotReader;
use crate::machine::{CommittedEntry, Frozen, Machine, Refusal, Waiter};

/// What a waiter heard, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Committed(LogId),
    Refused(Refusal),
    Applied(LogId),
    /// Dropped without an answer.
    Unknown,
}

/// Where waiters write what they hear: (number of the proposal, what).
pub(super) type Ears = Arc<Mutex<Vec<(u64, Heard)>>>;

pub(super) struct TestWaiter {
    number: u64,
    ears: Ears,
    answered: bool,
}

impl TestWaiter {
    pub(super) fn new(number: u64, ears: Ears) -> Self {
        Self { number, ears, answered: false }
    }

    fn hear(&self, heard: Heard) {
        self.ears.lock().push((self.number, heard));
    }
}

impl Waiter for TestWaiter {
    fn committed(&mut self, id: LogId) {
        self.hear(Heard::Committed(id));
    }

    fn refused(mut self, reason: Refusal) {
        self.answered = true;
        self.hear(Heard::Refused(reason));
    }
}

impl Drop for TestWaiter {
    fn drop(&mut self) {
        if !self.answered {
            self.hear(Heard::Unknown);
        }
    }
}

/// What a replica holds and how it came to it.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) entries: Vec<(LogId, Bytes)>,
    /// When each was applied, in virtual milliseconds.
    pub(super) trace: Vec<(LogId, u128)>,
    pub(super) installs: usize,
}

pub(super) struct TestMachine {
    pub(super) memory: Arc<Mutex<Memory>>,
    pub(super) start: Instant,
}

impl Machine for TestMachine {
    type Waiter = TestWaiter;
    type Frozen = TestFrozen;

    async fn apply(&mut self, entries: Vec<CommittedEntry<TestWaiter>>) {
        for entry in entries {
            let mut memory = self.memory.lock();
            let elapsed = (Instant::now() - self.start).as_millis();
            memory.trace.push((entry.id, elapsed));
            if let Some(payload) = entry.payload {
                memory.entries.push((entry.id, payload));
            }
            drop(memory);
            if let Some(mut waiter) = entry.waiter {
                waiter.answered = true;
                waiter.hear(Heard::Applied(entry.id));
            }
        }
    }

    async fn freeze(&mut self) -> TestFrozen {
        TestFrozen(self.memory.lock().entries.clone().into_iter())
    }

    async fn install<R: SnapshotReader>(&mut self, _last: LogId, mut chunks: R) -> io::Result<()> {
        let mut all = BytesMut::new();
        while let Some(chunk) = chunks.read().await? {
            all.put_slice(&chunk);
        }
        let mut reader = Reader::new(all.freeze());
        let mut entries = Vec::new();
        while reader.remaining() > 0 {
            let id = LogId { term: reader.u64().unwrap(), index: reader.u64().unwrap() };
            let length = reader.u32().unwrap() as usize;
            entries.push((id, reader.bytes(length).unwrap()));
        }
        let mut memory = self.memory.lock();
        memory.entries = entries;
        memory.installs += 1;
        Ok(())
    }
}

pub(super) struct TestFrozen(std::vec::IntoIter<(LogId, Bytes)>);

impl Frozen for TestFrozen {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let Some((id, bytes)) = self.0.next() else { return Poll::Ready(Ok(None)) };
        let mut out = BytesMut::new();
        out.put_u64(id.term);
        out.put_u64(id.index);
        out.put_u32(bytes.len() as u32);
        out.put_slice(&bytes);
        Poll::Ready(Ok(Some(out.freeze())))
    }
}
