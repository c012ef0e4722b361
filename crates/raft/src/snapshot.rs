//! Snapshots between the store, the machine and openraft, behind one type each, so that the group's handle needs
//! no type parameter for its store.

use std::future::Future;
use std::io;
use std::pin::Pin;

use bytes::Bytes;

use crate::ids::GroupId;
use crate::log_store::{LogStore, SnapshotMeta, SnapshotReader, SnapshotWriter};
use crate::machine::Frozen;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A snapshot's content, from its beginning.
pub(crate) struct Source(Box<dyn AnyReader>);

/// A snapshot being written aside.
pub(crate) struct Sink {
    writer: Box<dyn AnyWriter>,
    length_bytes: u64,
}

/// The snapshot files of one group.
pub(crate) trait Snapshots: Send + Sync {
    fn create(&self) -> BoxFuture<'_, io::Result<Sink>>;
    fn newest(&self) -> io::Result<Option<(SnapshotMeta, Source)>>;
}

/// What openraft carries as "the data" of a snapshot.
pub(crate) enum SnapshotData {
    /// The store has it.
    Stored(Source, SnapshotMeta),
    /// It was received and is still aside: it becomes the newest one when it is installed, and is dropped when
    /// openraft turns it down.
    Received(Sink, SnapshotMeta),
}

trait AnyReader: Send {
    fn read(&mut self) -> BoxFuture<'_, io::Result<Option<Bytes>>>;
}

impl<R: SnapshotReader> AnyReader for R {
    fn read(&mut self) -> BoxFuture<'_, io::Result<Option<Bytes>>> {
        Box::pin(SnapshotReader::read(self))
    }
}

impl SnapshotReader for Source {
    async fn read(&mut self) -> io::Result<Option<Bytes>> {
        self.0.read().await
    }
}

trait AnyWriter: Send {
    fn write(&mut self, chunk: Bytes) -> BoxFuture<'_, io::Result<()>>;
    fn finish(self: Box<Self>, meta: SnapshotMeta) -> BoxFuture<'static, io::Result<()>>;
}

impl<S: SnapshotWriter> AnyWriter for S {
    fn write(&mut self, chunk: Bytes) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(SnapshotWriter::write(self, chunk))
    }

    fn finish(self: Box<Self>, meta: SnapshotMeta) -> BoxFuture<'static, io::Result<()>> {
        Box::pin(SnapshotWriter::finish(*self, meta))
    }
}

impl Sink {
    /// How much was written.
    pub(crate) fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    pub(crate) async fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        self.length_bytes += chunk.len() as u64;
        self.writer.write(chunk).await
    }

    /// Makes it the newest snapshot.
    pub(crate) async fn finish(self, meta: SnapshotMeta) -> io::Result<()> {
        debug_assert_eq!(meta.length_bytes, self.length_bytes, "the length is what was written");
        self.writer.finish(meta).await
    }

    /// Writes a frozen state to its end, giving way to other tasks after every chunk.
    pub(crate) async fn write_all(&mut self, frozen: &mut dyn Frozen) -> io::Result<()> {
        while let Some(chunk) = std::future::poll_fn(|context| frozen.poll_chunk(context)).await? {
            self.write(chunk).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// A store's files of one group.
pub(crate) struct GroupSnapshots<L> {
    pub(crate) store: L,
    pub(crate) group: GroupId,
}

impl<L: LogStore> Snapshots for GroupSnapshots<L> {
    fn create(&self) -> BoxFuture<'_, io::Result<Sink>> {
        Box::pin(async move {
            let writer = self.store.create_snapshot(self.group).await?;
            Ok(Sink { writer: Box::new(writer), length_bytes: 0 })
        })
    }

    fn newest(&self) -> io::Result<Option<(SnapshotMeta, Source)>> {
        let newest = self.store.newest_snapshot(self.group)?;
        Ok(newest.map(|(meta, reader)| (meta, Source(Box::new(reader)))))
    }
}
