//! What any [`LogStore`] must do, as a suite: `storage`'s store and the simulator's both pass it.
//!
//! The checks say what `raft` relies on. They know nothing of files; what a store does about damage, power cuts and
//! bad disks its own tests show.

mod log;
mod snapshots;

use std::future::Future;
use std::io;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::ids::{GroupId, LogId};
use crate::log_store::{LogChange, LogStore, StoredEntry};

/// Opens the stores that are checked.
pub trait StoreFactory {
    /// The store.
    type Store: LogStore;

    /// An empty store in a place of its own.
    fn fresh(&mut self) -> Self::Store;

    /// Closes a store in good order and opens the same place again.
    fn reopen(&mut self, store: Self::Store) -> Self::Store;
}

/// Runs every check, each on a fresh store.
///
/// # Panics
/// At the first thing that a store does wrong, with what it was.
pub async fn check_log_store<F: StoreFactory>(factory: &mut F) {
    log::appended_entries_are_read_back(factory).await;
    log::reads_are_bounded_in_bytes(factory).await;
    log::what_is_queued_is_read_before_it_is_durable(factory).await;
    log::what_is_synced_is_known(factory).await;
    log::changes_are_answered_in_order(factory).await;
    log::a_truncated_suffix_is_gone(factory).await;
    log::everything_can_be_truncated(factory).await;
    log::a_purged_prefix_is_gone(factory).await;
    log::a_purge_beyond_the_end_sets_the_end(factory).await;
    log::votes_and_commit_marks_are_kept(factory).await;
    log::big_entries_survive(factory).await;
    log::empty_entries_survive(factory).await;
    log::groups_do_not_touch_each_other(factory).await;
    log::a_forgotten_group_is_unknown(factory).await;
    log::a_forgotten_group_can_begin_again(factory).await;
    snapshots::a_finished_snapshot_is_read_back(factory).await;
    snapshots::an_unfinished_snapshot_is_invisible(factory).await;
    snapshots::a_newer_snapshot_replaces_an_older_one(factory).await;
    snapshots::an_open_snapshot_stays_readable(factory).await;
    snapshots::two_snapshots_may_be_written_at_a_time(factory).await;
    snapshots::an_empty_snapshot_is_one(factory).await;
    snapshots::snapshots_and_logs_are_independent(factory).await;
}

const GROUP: GroupId = GroupId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
const OTHER: GroupId = GroupId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdf0);

fn id(term: u64, index: u64) -> LogId {
    LogId { term, index }
}

fn entry(term: u64, index: u64) -> StoredEntry {
    StoredEntry { id: id(term, index), bytes: Bytes::from(format!("entry {index} of term {term}")) }
}

/// Entries of one term.
fn entries(term: u64, indexes: std::ops::Range<u64>) -> Vec<StoredEntry> {
    indexes.map(|index| entry(term, index)).collect()
}

/// Submits a change; the future waits until it is answered.
fn submit<L: LogStore>(store: &L, group: GroupId, change: LogChange) -> impl Future<Output = io::Result<()>> + use<L> {
    let (sender, receiver) = oneshot::channel();
    store.submit(group, change, Box::new(move |result| drop(sender.send(result))));
    async { receiver.await.expect("every change is answered") }
}

async fn write<L: LogStore>(store: &L, group: GroupId, change: LogChange) {
    submit(store, group, change).await.expect("the change is made");
}

async fn read_all<L: LogStore>(store: &L, group: GroupId, from: u64, to: u64) -> Vec<StoredEntry> {
    let mut all = Vec::new();
    let mut next = from;
    while next < to {
        let more = store.read(group, next, to, 1 << 20).await.expect("entries are read");
        if more.is_empty() {
            break;
        }
        next += more.len() as u64;
        all.extend(more);
    }
    all
}
