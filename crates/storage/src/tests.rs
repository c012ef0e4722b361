//! Whole directories: opened, filled, copied while they are open (what kill -9 would leave), damaged, opened again.

mod conformance;
mod damage;
mod durability;
mod kill;
mod log;
mod snapshots;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use raft::{GroupId, LogChange, LogId, LogStore, StoredEntry};

use crate::{Opened, Options, Store, open};

const GROUP: GroupId = GroupId(7);
const OTHER: GroupId = GroupId(u128::MAX);

/// A directory of its own for one test, removed at its end.
pub(crate) struct TestDir(PathBuf);

impl TestDir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("cairn-storage-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn open(&self) -> Opened {
        open(&self.options()).unwrap()
    }

    /// With a journal so small that it is copied quickly, and that its files take turns.
    fn options(&self) -> Options {
        Options { journal_bytes: 64 << 10, ..Options::new(self.data()) }
    }

    /// Copies the data directory as it is now: what a process that is killed now leaves behind.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        copy_tree(&self.data(), &copy.data());
        copy
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_tree(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

fn id(term: u64, index: u64) -> LogId {
    LogId { term, index }
}

/// An entry whose bytes depend on its place.
fn entry(term: u64, index: u64, length: usize) -> StoredEntry {
    let bytes = (0..length).map(|at| (at as u64).wrapping_mul(31).wrapping_add(index).to_le_bytes()[0]);
    StoredEntry { id: id(term, index), bytes: bytes.collect() }
}

fn append(term: u64, indexes: std::ops::Range<u64>, length: usize) -> LogChange {
    LogChange::Append(indexes.map(|index| entry(term, index, length)).collect())
}

fn submit(store: &Store, group: GroupId, change: LogChange) -> Receiver<std::io::Result<()>> {
    let (done, wait) = sync_channel(1);
    store.submit(group, change, Box::new(move |result| done.send(result).unwrap()));
    wait
}

/// Submits, and waits until it is done.
fn write(store: &Store, group: GroupId, change: LogChange) {
    submit(store, group, change).recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn read(store: &Store, group: GroupId, from: u64, to: u64) -> std::io::Result<Vec<StoredEntry>> {
    block_on(store.read(group, from, to, usize::MAX))
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}
