//! Entries, votes and marks.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::{GROUP, OTHER, StoreFactory, entries, entry, id, read_all, submit, write};
use crate::log_store::{Durability, GroupLog, LogChange, LogStore, StoredEntry};

pub(super) async fn appended_entries_are_read_back<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    assert_eq!(store.load(GROUP).expect("an unknown group is loaded"), GroupLog::default());
    write(&store, GROUP, LogChange::Append(entries(1, 0..5))).await;
    write(&store, GROUP, LogChange::Append(entries(2, 5..7))).await;
    let all: Vec<StoredEntry> = entries(1, 0..5).into_iter().chain(entries(2, 5..7)).collect();
    assert_eq!(read_all(&store, GROUP, 0, 7).await, all);
    assert_eq!(read_all(&store, GROUP, 2, 6).await, all[2..6]);
    assert_eq!(read_all(&store, GROUP, 0, 100).await, all, "a range may reach beyond the end");
    let store = factory.reopen(store);
    assert_eq!(read_all(&store, GROUP, 0, 7).await, all);
    assert_eq!(store.load(GROUP).expect("the group is loaded").last, Some(id(2, 6)));
}

pub(super) async fn reads_are_bounded_in_bytes<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    let bytes = Bytes::from(vec![7; 1000]);
    let many = (0..10).map(|index| StoredEntry { id: id(1, index), bytes: bytes.clone() }).collect();
    write(&store, GROUP, LogChange::Append(many)).await;
    let some = store.read(GROUP, 0, 10, 3500).await.expect("entries are read");
    assert!((1..=3).contains(&some.len()), "{} entries of 1000 bytes within 3500", some.len());
    let one = store.read(GROUP, 4, 10, 1).await.expect("entries are read");
    assert_eq!(one.len(), 1, "one entry is always read");
    assert_eq!(one[0].id, id(1, 4));
}

pub(super) async fn what_is_queued_is_read_before_it_is_durable<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    let appended = submit(&store, GROUP, LogChange::Append(entries(1, 0..50)));
    let truncated = submit(&store, GROUP, LogChange::Truncate { keep: Some(29) });
    let again = submit(&store, GROUP, LogChange::Append(entries(2, 30..40)));
    let read = read_all(&store, GROUP, 0, 100).await;
    assert_eq!(read.len(), 40);
    assert_eq!(read[30], entry(2, 30));
    for answered in [appended.await, truncated.await, again.await] {
        answered.expect("the change is made");
    }
}

pub(super) async fn changes_are_answered_in_order<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    let order = Arc::new(Mutex::new(Vec::new()));
    for index in 0..100_u64 {
        let order = order.clone();
        let done = move |result: io::Result<()>| {
            result.expect("the change is made");
            order.lock().push(index);
        };
        let group = if index % 3 == 0 { OTHER } else { GROUP };
        store.submit(
            group,
            LogChange::Vote(Bytes::from(vec![u8::try_from(index).expect("below 100")])),
            Box::new(done),
        );
    }
    write(&store, GROUP, LogChange::Vote(Bytes::from_static(b"last"))).await;
    assert_eq!(*order.lock(), (0..100).collect::<Vec<u64>>());
}

pub(super) async fn what_is_synced_is_known<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    assert_eq!(store.synced(GROUP), None);
    write(&store, GROUP, LogChange::Append(entries(1, 0..5))).await;
    assert_eq!(store.synced(GROUP), Some(id(1, 4)), "it was answered, and the group is not relaxed");
    store.set_durability(GROUP, Durability::No);
    write(&store, GROUP, LogChange::Append(entries(1, 5..8))).await;
    write(&store, GROUP, LogChange::Sync).await;
    assert_eq!(store.synced(GROUP), Some(id(1, 7)));
    write(&store, GROUP, LogChange::Truncate { keep: Some(2) }).await;
    assert_eq!(store.synced(GROUP), Some(id(1, 2)));
    assert_eq!(store.synced(OTHER), None);
}

pub(super) async fn a_truncated_suffix_is_gone<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    write(&store, GROUP, LogChange::Append(entries(1, 0..10))).await;
    write(&store, GROUP, LogChange::Truncate { keep: Some(5) }).await;
    assert_eq!(read_all(&store, GROUP, 0, 10).await, entries(1, 0..6));
    write(&store, GROUP, LogChange::Append(entries(3, 6..8))).await;
    let store = factory.reopen(store);
    assert_eq!(store.load(GROUP).expect("the group is loaded").last, Some(id(3, 7)));
    assert_eq!(read_all(&store, GROUP, 5, 10).await, [entry(1, 5), entry(3, 6), entry(3, 7)]);
}

pub(super) async fn everything_can_be_truncated<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    write(&store, GROUP, LogChange::Append(entries(1, 0..3))).await;
    write(&store, GROUP, LogChange::Truncate { keep: None }).await;
    let store = factory.reopen(store);
    assert_eq!(store.load(GROUP).expect("the group is loaded").last, None);
    write(&store, GROUP, LogChange::Append(entries(2, 0..2))).await;
    assert_eq!(read_all(&store, GROUP, 0, 9).await, entries(2, 0..2));
}

pub(super) async fn a_purged_prefix_is_gone<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    write(&store, GROUP, LogChange::Append(entries(1, 0..100))).await;
    write(&store, GROUP, LogChange::Purge(id(1, 59))).await;
    assert_eq!(read_all(&store, GROUP, 60, 100).await, entries(1, 60..100));
    write(&store, GROUP, LogChange::Append(entries(1, 100..101))).await;
    let store = factory.reopen(store);
    let loaded = store.load(GROUP).expect("the group is loaded");
    assert_eq!((loaded.purged, loaded.last), (Some(id(1, 59)), Some(id(1, 100))));
    assert_eq!(read_all(&store, GROUP, 60, 200).await, entries(1, 60..101));
    write(&store, GROUP, LogChange::Purge(id(1, 100))).await;
    let store = factory.reopen(store);
    let loaded = store.load(GROUP).expect("the group is loaded");
    assert_eq!((loaded.purged, loaded.last), (Some(id(1, 100)), Some(id(1, 100))));
    write(&store, GROUP, LogChange::Append(entries(2, 101..103))).await;
    assert_eq!(read_all(&store, GROUP, 101, 200).await, entries(2, 101..103));
}

/// A replica that received a snapshot has no entries before its end.
pub(super) async fn a_purge_beyond_the_end_sets_the_end<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    write(&store, GROUP, LogChange::Append(entries(1, 0..4))).await;
    write(&store, GROUP, LogChange::Purge(id(5, 1000))).await;
    write(&store, GROUP, LogChange::Append(entries(5, 1001..1003))).await;
    write(&store, OTHER, LogChange::Purge(id(5, 7))).await;
    let store = factory.reopen(store);
    let loaded = store.load(GROUP).expect("the group is loaded");
    assert_eq!((loaded.purged, loaded.last), (Some(id(5, 1000)), Some(id(5, 1002))));
    assert_eq!(read_all(&store, GROUP, 1001, 1003).await, entries(5, 1001..1003));
    let loaded = store.load(OTHER).expect("the group is loaded");
    assert_eq!((loaded.purged, loaded.last), (Some(id(5, 7)), Some(id(5, 7))), "also of an empty log");
}

pub(super) async fn votes_and_commit_marks_are_kept<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    write(&store, GROUP, LogChange::Append(entries(1, 0..9))).await;
    write(&store, GROUP, LogChange::Vote(Bytes::from_static(b"first"))).await;
    write(&store, GROUP, LogChange::Committed(id(1, 3))).await;
    write(&store, GROUP, LogChange::Vote(Bytes::from_static(b"second"))).await;
    write(&store, GROUP, LogChange::Committed(id(1, 8))).await;
    let store = factory.reopen(store);
    let loaded = store.load(GROUP).expect("the group is loaded");
    assert_eq!(loaded.vote.as_deref(), Some(&b"second"[..]));
    assert_eq!(loaded.committed, Some(id(1, 8)), "closed in good order, it loses no mark");
}

pub(super) async fn big_entries_survive<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    let sizes = [16_383, 16_384, 16_385, 65_536, 65_537, 1 << 20, (3 << 20) + 1];
    let big: Vec<StoredEntry> = sizes
        .iter()
        .zip(0_u64..)
        .map(|(&size, index)| {
            let bytes: Vec<u8> = (0..size).map(|at: usize| (at % 251) as u8).collect();
            StoredEntry { id: id(1, index), bytes: bytes.into() }
        })
        .collect();
    write(&store, GROUP, LogChange::Append(big.clone())).await;
    let store = factory.reopen(store);
    let count = big.len() as u64;
    assert!(read_all(&store, GROUP, 0, count).await == big, "big entries differ");
    write(&store, GROUP, LogChange::Truncate { keep: Some(1) }).await;
    write(&store, GROUP, LogChange::Append(entries(2, 2..4))).await;
    let store = factory.reopen(store);
    assert_eq!(read_all(&store, GROUP, 2, 9).await, entries(2, 2..4), "no part of a big one is left");
}

pub(super) async fn empty_entries_survive<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    let blank = StoredEntry { id: id(4, 0), bytes: Bytes::new() };
    write(&store, GROUP, LogChange::Append(vec![blank.clone(), entry(4, 1)])).await;
    let store = factory.reopen(store);
    assert_eq!(read_all(&store, GROUP, 0, 2).await, [blank, entry(4, 1)]);
}

pub(super) async fn groups_do_not_touch_each_other<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    write(&store, GROUP, LogChange::Append(entries(1, 0..20))).await;
    write(&store, OTHER, LogChange::Append(entries(9, 0..20))).await;
    write(&store, OTHER, LogChange::Vote(Bytes::from_static(b"other"))).await;
    write(&store, GROUP, LogChange::Truncate { keep: Some(4) }).await;
    write(&store, OTHER, LogChange::Purge(id(9, 9))).await;
    let store = factory.reopen(store);
    assert_eq!(read_all(&store, GROUP, 0, 99).await, entries(1, 0..5));
    assert_eq!(read_all(&store, OTHER, 10, 99).await, entries(9, 10..20));
    assert_eq!(store.load(GROUP).expect("the group is loaded").vote, None);
}

pub(super) async fn a_forgotten_group_is_unknown<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    for group in [GROUP, OTHER] {
        write(&store, group, LogChange::Append(entries(1, 0..20))).await;
        write(&store, group, LogChange::Vote(Bytes::from_static(b"vote"))).await;
        write(&store, group, LogChange::Committed(id(1, 5))).await;
    }
    write(&store, GROUP, LogChange::Forget).await;
    assert_eq!(store.load(GROUP).expect("the group is loaded"), GroupLog::default());
    let store = factory.reopen(store);
    assert_eq!(store.load(GROUP).expect("the group is loaded"), GroupLog::default());
    assert_eq!(read_all(&store, GROUP, 0, 20).await, []);
    assert_eq!(read_all(&store, OTHER, 0, 20).await, entries(1, 0..20));
}

pub(super) async fn a_forgotten_group_can_begin_again<F: StoreFactory>(factory: &mut F) {
    let store = factory.fresh();
    let changes = [
        LogChange::Append(entries(1, 0..20)),
        LogChange::Forget,
        LogChange::Append(entries(7, 0..3)),
        LogChange::Vote(Bytes::from_static(b"new")),
    ];
    let answers: Vec<_> = changes.into_iter().map(|change| submit(&store, GROUP, change)).collect();
    for answer in answers {
        answer.await.expect("the change is made");
    }
    let store = factory.reopen(store);
    assert_eq!(read_all(&store, GROUP, 0, 20).await, entries(7, 0..3));
    assert_eq!(store.load(GROUP).expect("the group is loaded").vote.as_deref(), Some(&b"new"[..]));
}
