//! Snapshot files.

use bytes::Bytes;

use super::{GROUP, OTHER, StoreFactory, entries, id, read_all, write};
use crate::ids::{GroupId, LogId};
use crate::log_store::{LogChange, LogStore, SnapshotMeta, SnapshotReader, SnapshotWriter};

fn meta(last: LogId, chunks: &[Bytes]) -> SnapshotMeta {
    SnapshotMeta {
        last,
        membership: Bytes::from_static(b"who votes"),
        length_bytes: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
    }
}

fn chunks(seed: u8) -> Vec<Bytes> {
    let sizes = [1_usize, 100, 70_000, 1 << 20, 3];
    let fill = |(at, &size): (usize, &usize)| Bytes::from(vec![seed.wrapping_add(at as u8); size]);
    sizes.iter().enumerate().map(fill).collect()
}

async fn save<L: LogStore>(store: &L, group: GroupId, last: LogId, chunks: &[Bytes]) {
    let mut writer = store.create_snapshot(group).await.expect("a snapshot is begun");
    for chunk in chunks {
        writer.write(chunk.clone()).await.expect("a chunk is written");
    }
    writer.finish(meta(last, chunks)).await.expect("the snapshot is finished");
}

async fn contents(mut reader: impl SnapshotReader) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(chunk) = reader.read().await.expect("a chunk is read") {
        all.extend_from_slice(&chunk);
    }
    all
}

async fn expect<L: LogStore>(store: &L, group: GroupId, last: LogId, chunks: &[Bytes]) {
    let (found, reader) = store.newest_snapshot(group).expect("snapshots are listed").expect("there is one");
    assert_eq!(found, meta(last, chunks));
    assert!(contents(reader).await == chunks.concat(), "the content of the snapshot differs");
}

pub(super) async fn a_finished_snapshot_is_read_back<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    assert!(store.newest_snapshot(GROUP).expect("snapshots are listed").is_none());
    save(&store, GROUP, id(2, 40), &chunks(1)).await;
    expect(&store, GROUP, id(2, 40), &chunks(1)).await;
    let store = factory.reopen(store);
    expect(&store, GROUP, id(2, 40), &chunks(1)).await;
    assert!(store.newest_snapshot(OTHER).expect("snapshots are listed").is_none());
}

pub(super) async fn an_unfinished_snapshot_is_invisible<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    save(&store, GROUP, id(2, 40), &chunks(1)).await;
    let mut writer = store.create_snapshot(GROUP).await.expect("a snapshot is begun");
    writer.write(Bytes::from_static(b"half")).await.expect("a chunk is written");
    expect(&store, GROUP, id(2, 40), &chunks(1)).await;
    drop(writer);
    let store = factory.reopen(store);
    expect(&store, GROUP, id(2, 40), &chunks(1)).await;
}

pub(super) async fn a_newer_snapshot_replaces_an_older_one<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    save(&store, GROUP, id(2, 40), &chunks(1)).await;
    save(&store, GROUP, id(3, 41), &chunks(2)).await;
    expect(&store, GROUP, id(3, 41), &chunks(2)).await;
    let store = factory.reopen(store);
    expect(&store, GROUP, id(3, 41), &chunks(2)).await;
}

pub(super) async fn an_open_snapshot_stays_readable<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    save(&store, GROUP, id(2, 40), &chunks(1)).await;
    let (_, old) = store.newest_snapshot(GROUP).expect("snapshots are listed").expect("there is one");
    save(&store, GROUP, id(3, 41), &chunks(2)).await;
    assert!(contents(old).await == chunks(1).concat(), "the replaced snapshot changed under its reader");
}

/// One is built from the own state while another is received from the leader.
pub(super) async fn two_snapshots_may_be_written_at_a_time<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    let mut one = store.create_snapshot(GROUP).await.expect("a snapshot is begun");
    let mut two = store.create_snapshot(GROUP).await.expect("another is begun");
    for (first, second) in chunks(1).into_iter().zip(chunks(2)) {
        one.write(first).await.expect("a chunk is written");
        two.write(second).await.expect("a chunk is written");
    }
    one.finish(meta(id(2, 40), &chunks(1))).await.expect("the snapshot is finished");
    expect(&store, GROUP, id(2, 40), &chunks(1)).await;
    two.finish(meta(id(2, 50), &chunks(2))).await.expect("the other is finished");
    expect(&store, GROUP, id(2, 50), &chunks(2)).await;
    // Whichever ends last, the newest stays: the log may be purged up to it.
    let mut late = store.create_snapshot(GROUP).await.expect("a snapshot is begun");
    for chunk in chunks(3) {
        late.write(chunk).await.expect("a chunk is written");
    }
    late.finish(meta(id(2, 45), &chunks(3))).await.expect("an older one is finished");
    expect(&store, GROUP, id(2, 50), &chunks(2)).await;
    let store = factory.reopen(store);
    expect(&store, GROUP, id(2, 50), &chunks(2)).await;
}

pub(super) async fn an_empty_snapshot_is_one<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    save(&store, GROUP, id(1, 0), &[]).await;
    let store = factory.reopen(store);
    expect(&store, GROUP, id(1, 0), &[]).await;
}

pub(super) async fn snapshots_and_logs_are_independent<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    write(&store, GROUP, LogChange::Append(entries(1, 0..10))).await;
    save(&store, GROUP, id(1, 5), &chunks(1)).await;
    assert_eq!(read_all(&store, GROUP, 0, 10).await, entries(1, 0..10), "a snapshot purges nothing by itself");
    write(&store, GROUP, LogChange::Purge(id(1, 5))).await;
    let store = factory.reopen(store);
    expect(&store, GROUP, id(1, 5), &chunks(1)).await;
    write(&store, GROUP, LogChange::Forget).await;
    assert!(store.newest_snapshot(GROUP).expect("snapshots are listed").is_none(), "forgotten with its group");
}
