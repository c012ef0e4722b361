//! The log itself: what was written is there, after closing and after kill -9.

use raft::{GroupLog, LogChange, LogStore, NodeId};

use super::*;

#[test]
fn a_fresh_directory_draws_an_id_and_keeps_it() {
    let dir = TestDir::new();
    let first = dir.open();
    assert!(first.is_new);
    let node = first.identity.node();
    first.identity.set(node, b"replicas").unwrap();
    drop(first);
    let again = dir.open();
    assert!(!again.is_new);
    assert_eq!((again.identity.node(), again.identity.record()), (node, b"replicas".to_vec()));
    // Somebody else from then on.
    again.identity.set(NodeId([7; 20]), b"").unwrap();
    drop(again);
    let other = dir.open();
    assert_eq!((other.identity.node(), other.identity.record()), (NodeId([7; 20]), Vec::new()));
    assert_ne!(TestDir::new().open().identity.node(), node);
}

#[test]
fn a_group_that_was_never_written_is_empty() {
    let dir = TestDir::new();
    let store = dir.open().store;
    assert_eq!(store.load(GROUP).unwrap(), GroupLog::default());
    assert_eq!(read(&store, GROUP, 0, 10).unwrap(), []);
    assert!(store.newest_snapshot(GROUP).unwrap().is_none());
}

#[test]
fn everything_survives_closing_and_killing() {
    let dir = TestDir::new();
    let store = dir.open().store;
    write(&store, GROUP, append(1, 0..5, 100));
    write(&store, OTHER, append(9, 0..2, 100));
    write(&store, GROUP, LogChange::Vote(bytes("voted for 3")));
    write(&store, GROUP, LogChange::Committed(id(1, 3)));
    // What follows carries the commit mark.
    write(&store, GROUP, append(2, 5..6, 0));
    let expected = GroupLog {
        vote: Some(bytes("voted for 3")),
        committed: Some(id(1, 3)),
        last: Some(id(2, 5)),
        ..GroupLog::default()
    };
    let killed = dir.copy();
    store.close();
    drop(store);
    for dir in [killed, dir] {
        let opened = dir.open();
        let store = opened.store;
        assert_eq!(store.load(GROUP).unwrap(), expected);
        assert_eq!(store.load(OTHER).unwrap().last, Some(id(9, 1)));
        let entries = read(&store, GROUP, 0, 6).unwrap();
        assert_eq!(entries[..5], (0..5).map(|index| entry(1, index, 100)).collect::<Vec<_>>());
        assert_eq!(entries[5], entry(2, 5, 0));
    }
}

#[test]
fn reads_are_bounded_in_bytes_but_make_progress() {
    let dir = TestDir::new();
    let store = dir.open().store;
    write(&store, GROUP, append(1, 0..10, 1000));
    let count = |max_bytes| block_on(store.read(GROUP, 2, 9, max_bytes)).unwrap().len();
    assert_eq!([count(0), count(1999), count(2000), count(1 << 20)], [1, 1, 2, 7]);
}

#[test]
fn a_read_sees_what_was_queued_before_it() {
    let dir = TestDir::new();
    let store = dir.open().store;
    let waits: Vec<_> = (0..50).map(|index| submit(&store, GROUP, append(1, index..index + 1, 10))).collect();
    assert_eq!(read(&store, GROUP, 0, 50).unwrap().len(), 50);
    waits.into_iter().for_each(|wait| wait.recv().unwrap().unwrap());
}

#[test]
fn entries_of_many_parts_survive() {
    let dir = TestDir::new();
    let store = dir.open().store;
    let lengths = [3 << 20, 16 << 10, (16 << 10) + 1, (64 << 10) - 1, 200 << 10];
    let entries: Vec<_> = lengths.iter().zip(0..).map(|(length, index)| entry(1, index, *length)).collect();
    write(&store, GROUP, LogChange::Append(entries.clone()));
    assert_eq!(read(&store, GROUP, 0, 5).unwrap(), entries);
    // A shorter entry takes the place of a long one: no part of the long one may be left.
    write(&store, GROUP, LogChange::Truncate { keep: None });
    write(&store, GROUP, append(2, 0..2, 20));
    drop(store);
    let store = dir.open().store;
    assert_eq!(read(&store, GROUP, 0, 5).unwrap(), [entry(2, 0, 20), entry(2, 1, 20)]);
}

#[test]
fn no_record_of_sled_becomes_a_file_of_its_own() {
    let dir = TestDir::new();
    let store = dir.open().store;
    for index in 0..300 {
        write(&store, GROUP, append(1, index..index + 1, 64 << 10));
    }
    write(&store, GROUP, LogChange::Purge(id(1, 250)));
    write(&store, GROUP, LogChange::Truncate { keep: Some(260) });
    write(&store, GROUP, append(2, 261..262, 1 << 20));
    store.close();
    assert_eq!(fs::read_dir(dir.data().join("raft/blobs")).unwrap().count(), 0);
}

#[test]
fn a_suffix_goes_and_another_takes_its_place() {
    let dir = TestDir::new();
    let store = dir.open().store;
    write(&store, GROUP, append(1, 0..10, 10));
    let waits = [
        submit(&store, GROUP, LogChange::Truncate { keep: Some(3) }),
        submit(&store, GROUP, append(2, 4..6, 10)),
        submit(&store, GROUP, LogChange::Truncate { keep: Some(4) }),
        submit(&store, GROUP, append(3, 5..7, 10)),
    ];
    waits.into_iter().for_each(|wait| wait.recv().unwrap().unwrap());
    for store in [store, dir.copy().open().store] {
        assert_eq!(store.load(GROUP).unwrap().last, Some(id(3, 6)));
        let ids: Vec<_> = read(&store, GROUP, 3, 7).unwrap().iter().map(|entry| entry.id).collect();
        assert_eq!(ids, [id(1, 3), id(2, 4), id(3, 5), id(3, 6)]);
    }
}

#[test]
fn small_entries_are_purged_and_do_not_come_back() {
    let dir = TestDir::new();
    let store = dir.open().store;
    let waits: Vec<_> = (0..10_000).map(|index| submit(&store, GROUP, append(1, index..index + 1, 64))).collect();
    waits.into_iter().for_each(|wait| wait.recv().unwrap().unwrap());
    write(&store, GROUP, LogChange::Purge(id(1, 8_999)));
    // A purge alone is not synced: it rides with this.
    write(&store, GROUP, LogChange::Vote(bytes("vote")));
    let killed = dir.copy();
    let error = read(&store, GROUP, 8_999, 9_500).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    store.close();
    drop(store);
    for dir in [dir, killed] {
        let store = dir.open().store;
        let log = store.load(GROUP).unwrap();
        assert_eq!((log.purged, log.last), (Some(id(1, 8_999)), Some(id(1, 9_999))));
        assert_eq!(read(&store, GROUP, 9_000, 10_000).unwrap().len(), 1_000);
    }
}

#[test]
fn a_purge_beyond_the_end_moves_the_log() {
    let dir = TestDir::new();
    let store = dir.open().store;
    write(&store, GROUP, append(1, 0..10, 10));
    // A snapshot was installed.
    write(&store, GROUP, LogChange::Purge(id(4, 99)));
    assert_eq!(store.load(GROUP).unwrap().last, Some(id(4, 99)));
    write(&store, GROUP, append(5, 100..103, 10));
    write(&store, GROUP, LogChange::Truncate { keep: Some(99) });
    assert_eq!(store.load(GROUP).unwrap().last, Some(id(4, 99)));
    write(&store, GROUP, append(6, 100..101, 10));
    drop(store);
    let store = dir.open().store;
    let log = store.load(GROUP).unwrap();
    assert_eq!((log.purged, log.last), (Some(id(4, 99)), Some(id(6, 100))));
    assert_eq!(read(&store, GROUP, 100, 200).unwrap(), [entry(6, 100, 10)]);
}

#[test]
fn a_forgotten_group_leaves_nothing() {
    let dir = TestDir::new();
    let store = dir.open().store;
    write(&store, OTHER, append(1, 0..3, 10));
    let waits = [
        submit(&store, GROUP, append(1, 0..100, 10)),
        submit(&store, GROUP, LogChange::Vote(bytes("vote"))),
        submit(&store, GROUP, LogChange::Forget),
    ];
    waits.into_iter().for_each(|wait| wait.recv().unwrap().unwrap());
    assert_eq!(store.load(GROUP).unwrap(), GroupLog::default());
    for store in [store, dir.copy().open().store] {
        assert_eq!(store.load(GROUP).unwrap(), GroupLog::default());
        assert_eq!(store.load(OTHER).unwrap().last, Some(id(1, 2)));
        write(&store, GROUP, append(7, 0..1, 10));
        assert_eq!(read(&store, GROUP, 0, 100).unwrap(), [entry(7, 0, 10)]);
    }
}

#[test]
fn a_hole_is_refused_and_is_final() {
    let dir = TestDir::new();
    let store = dir.open().store;
    write(&store, GROUP, append(1, 0..3, 10));
    let hole = submit(&store, GROUP, append(1, 4..5, 10)).recv().unwrap().unwrap_err();
    assert!(hole.to_string().contains("entry 1-4 was appended where 3 follows"), "{hole}");
    // The caller is wrong about the log: nothing of what it sends now may reach the disk.
    assert!(submit(&store, GROUP, append(1, 3..4, 10)).recv().unwrap().is_err());
    assert!(submit(&store, OTHER, LogChange::Vote(bytes("vote"))).recv().unwrap().is_err());
    drop(store);
    assert_eq!(dir.open().store.load(GROUP).unwrap().last, Some(id(1, 2)));
}

#[test]
fn a_closed_store_refuses() {
    let dir = TestDir::new();
    let store = dir.open().store;
    store.close();
    assert!(submit(&store, GROUP, append(1, 0..1, 10)).recv().unwrap().is_err());
    assert!(read(&store, GROUP, 0, 1).is_err());
    // The directory is free although a handle is left.
    assert!(dir.open().store.load(GROUP).is_ok());
}
