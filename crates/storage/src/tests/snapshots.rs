//! Snapshot files.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use raft::{LogChange, LogStore, SnapshotMeta, SnapshotReader, SnapshotWriter};

use super::*;

fn meta(last: LogId, length_bytes: u64) -> SnapshotMeta {
    SnapshotMeta { last, membership: bytes("three voters"), length_bytes }
}

/// Writes a snapshot of chunks of these lengths.
fn take(store: &Store, last: LogId, lengths: &[usize]) -> std::io::Result<()> {
    block_on(async {
        let mut writer = store.create_snapshot(GROUP).await?;
        for (length, at) in lengths.iter().zip(0..) {
            writer.write(entry(0, at, *length).bytes).await?;
        }
        writer.finish(meta(last, lengths.iter().sum::<usize>() as u64)).await
    })
}

fn content(mut reader: crate::SnapshotReader) -> std::io::Result<Vec<u8>> {
    block_on(async {
        let mut content = Vec::new();
        while let Some(chunk) = reader.read().await? {
            assert!(chunk.len() <= 1 << 20);
            content.extend_from_slice(&chunk);
        }
        Ok(content)
    })
}

fn expected(lengths: &[usize]) -> Vec<u8> {
    lengths.iter().zip(0..).flat_map(|(length, at)| entry(0, at, *length).bytes).collect()
}

fn snapshot_files(dir: &TestDir) -> Vec<PathBuf> {
    let folder = dir.data().join("snap").join(GROUP.to_string());
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_snapshot_is_read_as_it_was_written() {
    let dir = TestDir::new();
    let store = dir.open().store;
    let lengths = [1, 1 << 20, (3 << 20) + 5, 0, 9 << 20];
    take(&store, id(2, 100), &lengths).unwrap();
    for store in [store, dir.copy().open().store] {
        let (found, reader) = store.newest_snapshot(GROUP).unwrap().unwrap();
        assert_eq!(found, meta(id(2, 100), expected(&lengths).len() as u64));
        assert_eq!(content(reader).unwrap(), expected(&lengths));
    }
}

#[test]
fn an_empty_snapshot_is_one() {
    let dir = TestDir::new();
    let store = dir.open().store;
    take(&store, id(0, 0), &[]).unwrap();
    let (found, reader) = store.newest_snapshot(GROUP).unwrap().unwrap();
    assert_eq!((found.length_bytes, content(reader).unwrap().len()), (0, 0));
}

#[test]
fn a_newer_one_replaces_it_while_it_stays_readable() {
    let dir = TestDir::new();
    let store = dir.open().store;
    take(&store, id(2, 9), &[100]).unwrap();
    let (_, old) = store.newest_snapshot(GROUP).unwrap().unwrap();
    take(&store, id(3, 10), &[200]).unwrap();
    assert_eq!(snapshot_files(&dir).len(), 1);
    assert_eq!(content(old).unwrap(), expected(&[100]));
    let (found, new) = store.newest_snapshot(GROUP).unwrap().unwrap();
    assert_eq!((found.last, content(new).unwrap()), (id(3, 10), expected(&[200])));
}

/// Whether a file has lost its content after a while.
fn comes_to_nothing(file: &fs::File) -> bool {
    let (_sender, nothing) = sync_channel::<()>(1);
    (0..500).any(|_| {
        let _waited = nothing.recv_timeout(Duration::from_millis(10));
        file.metadata().unwrap().len() == 0
    })
}

#[test]
fn a_replaced_one_gives_its_space_back_behind_its_last_reader() {
    let dir = TestDir::new();
    let store = dir.open().store;
    let lengths = [1 << 20, 9 << 20, 5];
    take(&store, id(2, 9), &lengths).unwrap();
    let watched = fs::File::open(&snapshot_files(&dir)[0]).unwrap();
    let [first, second] = [(); 2].map(|()| store.newest_snapshot(GROUP).unwrap().unwrap().1);
    take(&store, id(3, 10), &[200]).unwrap();
    assert_eq!(content(first).unwrap(), expected(&lengths));
    // The files thread does what is left to it in order: a removal in spite of the second reader would have begun.
    take(&store, id(3, 11), &[200]).unwrap();
    assert_eq!(content(second).unwrap(), expected(&lengths));
    assert!(comes_to_nothing(&watched));

    let watched = fs::File::open(&snapshot_files(&dir)[0]).unwrap();
    take(&store, id(3, 12), &[200]).unwrap();
    assert!(comes_to_nothing(&watched), "without readers at once");
    let watched = fs::File::open(&snapshot_files(&dir)[0]).unwrap();
    write(&store, GROUP, LogChange::Forget);
    assert!(comes_to_nothing(&watched), "as that of a group that was forgotten");
}

#[test]
fn an_unfinished_one_leaves_nothing() {
    let dir = TestDir::new();
    let store = dir.open().store;
    let writer = block_on(async {
        let mut writer = store.create_snapshot(GROUP).await.unwrap();
        writer.write(bytes("half")).await.unwrap();
        writer
    });
    let killed = dir.copy();
    assert_eq!(snapshot_files(&killed).len(), 1);
    drop(writer);
    assert_eq!(snapshot_files(&dir).len(), 0);
    assert!(store.newest_snapshot(GROUP).unwrap().is_none());
    let again = killed.open().store;
    assert_eq!(snapshot_files(&killed).len(), 0);
    assert!(again.newest_snapshot(GROUP).unwrap().is_none());
}

#[test]
fn a_length_that_was_announced_wrongly_is_refused() {
    let dir = TestDir::new();
    let store = dir.open().store;
    let result = block_on(async {
        let mut writer = store.create_snapshot(GROUP).await.unwrap();
        writer.write(bytes("four")).await.unwrap();
        writer.finish(meta(id(1, 1), 5)).await
    });
    assert!(result.is_err());
    assert!(store.newest_snapshot(GROUP).unwrap().is_none());
    assert_eq!(snapshot_files(&dir).len(), 0);
}

#[test]
fn every_flipped_byte_and_every_cut_is_noticed() {
    let dir = TestDir::new();
    let store = dir.open().store;
    take(&store, id(2, 100), &[40, 60]).unwrap();
    let path = snapshot_files(&dir).pop().unwrap();
    let whole = fs::read(&path).unwrap();
    let outcome = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        store.newest_snapshot(GROUP).and_then(|found| content(found.expect("its name is there").1))
    };
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        let error = outcome(&flipped).expect_err(&format!("byte {at} of {}", whole.len())).to_string();
        assert!(error.contains("00000000000000000100-2.snap"), "{error}");
        assert!(outcome(&whole[..at]).is_err(), "cut at {at}");
    }
    assert_eq!(outcome(&whole).unwrap(), expected(&[40, 60]));
}

#[test]
fn a_snapshot_that_is_gone_is_noticed() {
    let dir = TestDir::new();
    let store = dir.open().store;
    write(&store, GROUP, append(1, 0..10, 10));
    take(&store, id(1, 9), &[10]).unwrap();
    write(&store, GROUP, LogChange::Purge(id(1, 9)));
    store.close();
    drop(store);
    fs::remove_dir_all(dir.data().join("snap").join(GROUP.to_string())).unwrap();
    let Err(error) = dir.open().store.newest_snapshot(GROUP) else { panic!("not noticed") };
    assert!(error.to_string().contains("00000000000000000009-1.snap was complete and is not there"), "{error}");
}

#[test]
fn forgetting_a_group_removes_its_snapshots() {
    let dir = TestDir::new();
    let store = dir.open().store;
    take(&store, id(1, 9), &[10]).unwrap();
    write(&store, GROUP, LogChange::Forget);
    assert!(store.newest_snapshot(GROUP).unwrap().is_none());
}
