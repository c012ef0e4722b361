//! The store in memory keeps the contract of a store, and loses what a power cut loses.

use bytes::Bytes;

use crate::conformance::{StoreFactory, check_log_store};
use crate::ids::{GroupId, LogId};
use crate::log_store::{LogChange, LogStore, StoredEntry};
use crate::memory::MemoryLogStore;

struct Factory;

impl StoreFactory for Factory {
    type Store = MemoryLogStore;

    fn fresh(&mut self) -> MemoryLogStore {
        MemoryLogStore::new()
    }

    fn reopen(&mut self, store: MemoryLogStore) -> MemoryLogStore {
        store.crash()
    }
}

#[tokio::test]
async fn the_memory_store_conforms() {
    check_log_store(&mut Factory).await;
}

#[test]
fn a_power_cut_loses_what_was_not_synced() {
    let group = GroupId(1);
    let entry = |index| StoredEntry { id: LogId { term: 1, index }, bytes: Bytes::from_static(b"x") };
    let store = MemoryLogStore::new();
    store.submit(group, LogChange::Append(vec![entry(0)]), Box::new(|result| result.unwrap()));
    store.hold();
    store.submit(group, LogChange::Append(vec![entry(1)]), Box::new(|result| result.unwrap()));
    store.submit(group, LogChange::Append(vec![entry(2)]), Box::new(|_| panic!("it was never synced")));
    store.sync(1);
    assert_eq!(store.load(group).unwrap().last, Some(LogId { term: 1, index: 2 }));
    let next = store.crash();
    assert_eq!(next.load(group).unwrap().last, Some(LogId { term: 1, index: 1 }));
    store.submit(group, LogChange::Forget, Box::new(|_| panic!("this handle's power was cut")));
    assert_eq!(next.load(group).unwrap().last, Some(LogId { term: 1, index: 1 }));
}
