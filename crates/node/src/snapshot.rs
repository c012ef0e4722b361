//! A shard's state as a snapshot: the keyspace as `rdb` writes it, and what the machine keeps beside it.
//!
//! ```text
//! owner's part:  term u64 | 1 | sequence u64, or 0 | settings u32 | setting ... | fence        little-endian
//! setting:       length u32 | name | length u32 | value
//! fence:         0 for all slots, or 1 | version u64 | ranges u32 | first u16, last u16 ...
//! ```
//!
//! Freezing is done by the apply thread and copies nothing. Encoding takes seconds where there is much data, so it is done beside, by
//! [`encoder`]'s work, a chunk ahead of who writes it out; the raft thread only hands chunks on. Decoding builds a keyspace aside.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use raft::SnapshotReader;
use rdb::SnapshotWriter;
use slot::{Slot, SlotRange, SlotSet};
use tokio::sync::mpsc;

use crate::config::{Settings, ShardSettings};
use crate::fence::{Fence, FencedSlots};
use crate::machine::{Progress, State};

/// The bytes of a chunk. Encoding one takes a few ms.
const CHUNK_BYTES: usize = 1 << 20;
/// Encoded chunks that may wait to be written.
const CHUNKS_AHEAD_MAX: usize = 1;
/// Frozen states that may wait for the encoder; raft takes one snapshot at a time, so few ever do.
const QUEUE_MAX: usize = 4;

/// A frozen state on its way to disk.
pub(crate) struct FrozenState {
    /// `None` is the end. A channel that closes before was left by an encoder that stopped.
    chunks: mpsc::Receiver<Option<Bytes>>,
    /// Held for INFO: see [`crate::shard::Shard::saving`].
    _saving: Arc<()>,
}

impl raft::Frozen for FrozenState {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let chunk = ready!(self.chunks.poll_recv(context));
        Poll::Ready(chunk.ok_or_else(|| io::Error::other("the node is stopping")))
    }
}

/// Gives frozen states to the encoder.
pub(crate) struct Encoder(mpsc::Sender<(SnapshotWriter, mpsc::Sender<Option<Bytes>>)>);

impl Encoder {
    /// Has a frozen state encoded.
    pub(crate) async fn begin(
        &self,
        keyspace: keyspace::Frozen,
        settings: &ShardSettings,
        progress: Progress,
        fence: &Fence,
        saving: Arc<()>,
    ) -> FrozenState {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD_MAX);
        let writer = SnapshotWriter::new(keyspace, &encode_owner(settings, progress, fence));
        // Without its encoder the node is stopping: then `chunks` says so.
        let _ = self.0.send((writer, sender)).await;
        FrozenState { chunks, _saving: saving }
    }
}

/// An encoder, and the work that it stands for.
pub(crate) fn encoder() -> (Encoder, impl Future<Output = ()>) {
    let (sender, mut queue) = mpsc::channel::<(SnapshotWriter, mpsc::Sender<Option<Bytes>>)>(QUEUE_MAX);
    let work = async move {
        while let Some((mut writer, chunks)) = queue.recv().await {
            loop {
                let chunk = writer.next_chunk(CHUNK_BYTES).map(Bytes::from);
                let is_last = chunk.is_none();
                // A snapshot that nobody waits for any more is left.
                if chunks.send(chunk).await.is_err() || is_last {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
    };
    (Encoder(sender), work)
}

/// Reads a state from a snapshot's chunks.
pub(crate) async fn decode<R: SnapshotReader>(mut chunks: R) -> io::Result<State> {
    let mut reader = rdb::SnapshotReader::new();
    while let Some(chunk) = chunks.read().await? {
        reader.push(&chunk).map_err(unreadable)?;
    }
    let rdb::Restored { keyspace, owner } = reader.finish().map_err(unreadable)?;
    let mut rest = &owner[..];
    let decoded = decode_owner(&mut rest).filter(|_| rest.is_empty());
    let (settings, progress, fence) = decoded.ok_or_else(|| unreadable("what it says of the shard cannot be read"))?;
    Ok(State { keyspace, fence, settings, progress })
}

fn unreadable(why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a snapshot of the shard: {why}"))
}

fn encode_owner(settings: &ShardSettings, progress: Progress, fence: &Fence) -> Vec<u8> {
    let mut out = progress.term.to_le_bytes().to_vec();
    out.push(u8::from(progress.sequence.is_some()));
    if let Some(sequence) = progress.sequence {
        out.extend_from_slice(&sequence.to_le_bytes());
    }
    let length = |length: usize| u32::try_from(length).expect("settings are few and short").to_le_bytes();
    let pairs = settings.to_pairs();
    out.extend_from_slice(&length(pairs.len()));
    for (name, value) in &pairs {
        for text in [name.as_bytes(), value.as_bytes()] {
            out.extend_from_slice(&length(text.len()));
            out.extend_from_slice(text);
        }
    }
    out.push(u8::from(*fence != Fence::All));
    if let Fence::Slots(fenced) = fence {
        out.extend_from_slice(&fenced.version.to_le_bytes());
        out.extend_from_slice(&length(fenced.slots.ranges().count()));
        for range in fenced.slots.ranges() {
            out.extend_from_slice(&range.first().number().to_le_bytes());
            out.extend_from_slice(&range.last().number().to_le_bytes());
        }
    }
    out
}

fn decode_owner(rest: &mut &[u8]) -> Option<(ShardSettings, Progress, Fence)> {
    let term = u64::from_le_bytes(take(rest)?);
    let sequence = match take(rest)? {
        [0] => None,
        [1] => Some(u64::from_le_bytes(take(rest)?)),
        _ => return None,
    };
    let mut settings = Settings::defaults().shard;
    for _ in 0..u32::from_le_bytes(take(rest)?) {
        let (name, value) = (decode_text(rest)?, decode_text(rest)?);
        settings.take_pairs([(name, value)]).ok()?;
    }
    Some((settings, Progress { term, sequence }, decode_fence(rest)?))
}

fn decode_fence(rest: &mut &[u8]) -> Option<Fence> {
    match take(rest)? {
        [0] => return Some(Fence::All),
        [1] => (),
        _ => return None,
    }
    let (version, mut slots) = (u64::from_le_bytes(take(rest)?), SlotSet::new());
    for _ in 0..u32::from_le_bytes(take(rest)?) {
        let (first, last) = (Slot::new(u16::from_le_bytes(take(rest)?))?, Slot::new(u16::from_le_bytes(take(rest)?))?);
        slots.insert_range(SlotRange::new(first, last)?);
    }
    Some(Fence::Slots(Box::new(FencedSlots { version, slots })))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

fn decode_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = u32::from_le_bytes(take(rest)?);
    std::str::from_utf8(rest.split_off(..usize::try_from(length).ok()?)?).ok()
}

#[cfg(test)]
mod tests;
