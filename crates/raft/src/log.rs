//! openraft's log storage over a [`LogStore`]: the tail in memory, everything in the store.
//!
//! An append returns at once. The store's completions arrive from its own thread as one number, the newest
//! durable append; [`LogState::report`] runs on the raft thread and tells openraft only of the newest, because it
//! reads the value as a mark, and calls from another thread cost its forwarder a millisecond of sleep.
//!
//! Invariants: `tail` holds the entries `tail_first..` without a gap up to the last one; what is not in it is in
//! the store (queued changes included), so dropping from its front loses nothing.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::stream::{self, Stream};
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState as RaftLogState, RaftLogReader};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::codec::{decode_vote, encode_vote};
use crate::entry::Entry;
use crate::ids::{GroupId, LogId};
use crate::log_store::{Durability, GroupLog, LogChange, LogStore};
use crate::machine::Waiter;
use crate::types::{RaftLogId, RaftVote, Types, log_id, raft_log_id};

/// Why a replica stops that is to be replaced by a fresh one after the next start.
pub const UNDONE: &str =
    "most voters lost their power, and with it what this replica has applied: started again, it takes a fresh copy";

/// One read for a follower carries at most this many bytes (and at least one entry).
const READ_BYTES_MAX: usize = 1 << 20;

/// What the adapter, its readers and the reporting task share.
pub(crate) struct LogState<W: Waiter> {
    inner: Mutex<Inner<W>>,
    /// The number of the newest durable append.
    durable: AtomicU64,
    failed: AtomicBool,
    changed: Notify,
}

struct Inner<W: Waiter> {
    tail: VecDeque<Entry>,
    tail_first: u64,
    tail_bytes: usize,
    tail_bytes_max: usize,
    last: Option<LogId>,
    purged: Option<LogId>,
    vote: Option<RaftVote>,
    committed: Option<LogId>,
    /// The number of the newest append, and what openraft wants called when each is durable.
    appends: u64,
    flushes: VecDeque<(u64, IOFlushed<Types<W>>)>,
    error: Option<String>,
}

impl<W: Waiter> LogState<W> {
    fn new(loaded: &GroupLog, vote: Option<RaftVote>, tail_bytes_max: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                tail: VecDeque::new(),
                tail_first: loaded.last.map_or(0, |last| last.index + 1),
                tail_bytes: 0,
                tail_bytes_max,
                last: loaded.last,
                purged: loaded.purged,
                vote,
                committed: loaded.committed,
                appends: 0,
                flushes: VecDeque::new(),
                error: None,
            }),
            durable: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    /// The first index that memory holds: what a snapshot may purge ends before it, so that followers that are a
    /// little behind need no snapshot.
    pub(crate) fn tail_first(&self) -> u64 {
        self.inner.lock().tail_first
    }

    /// Lets go of the entries up to this index, which nobody is going to ask for.
    pub(crate) fn release(&self, index: u64) {
        let mut inner = self.inner.lock();
        while inner.tail.front().is_some_and(|entry| entry.id.index() <= index) {
            inner.drop_front();
        }
        if inner.tail.len() < inner.tail.capacity() / 4 {
            inner.tail.shrink_to_fit();
        }
    }

    /// The last entry, durable or not.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.inner.lock().last
    }

    /// The log ends here, for tests of those who only ask for its end.
    #[cfg(test)]
    pub(crate) fn set_last(&self, last: LogId) {
        self.inner.lock().last = Some(last);
    }

    /// From the store's thread: everything up to append `number` is durable, or will never be.
    fn completed(&self, number: u64, result: io::Result<()>) {
        match result {
            Ok(()) => {
                self.durable.fetch_max(number, Ordering::AcqRel);
            }
            Err(error) => self.fail(&error),
        }
        self.changed.notify_one();
    }

    fn fail(&self, error: &io::Error) {
        self.inner.lock().error.get_or_insert_with(|| error.to_string());
        self.failed.store(true, Ordering::Release);
    }

    /// Waits for completions and reports them to openraft, for as long as the future is kept.
    pub(crate) async fn report(&self) {
        loop {
            self.changed.notified().await;
            let durable = self.durable.load(Ordering::Acquire);
            let mut newest = None;
            {
                let mut inner = self.inner.lock();
                while inner.flushes.front().is_some_and(|(number, _)| *number <= durable) {
                    newest = inner.flushes.pop_front();
                }
            }
            if let Some((_, flushed)) = newest {
                flushed.io_completed(Ok(()));
            }
            if self.failed.load(Ordering::Acquire) {
                let (text, lost) = {
                    let mut inner = self.inner.lock();
                    (inner.error.clone(), std::mem::take(&mut inner.flushes))
                };
                for (_, flushed) in lost {
                    flushed.io_completed(Err(io::Error::other(text.clone().unwrap_or_default())));
                }
            }
        }
    }

    /// Drops what openraft waits for: the group stops.
    pub(crate) fn clear(&self) {
        let dropped = std::mem::take(&mut self.inner.lock().flushes);
        drop(dropped);
    }
}

impl<W: Waiter> Inner<W> {
    fn check(&self) -> io::Result<()> {
        match &self.error {
            Some(text) => Err(io::Error::other(text.clone())),
            None => Ok(()),
        }
    }

    fn push(&mut self, entry: Entry) {
        debug_assert_eq!(self.tail_first + self.tail.len() as u64, entry.id.index(), "the log has no gaps");
        self.last = Some(log_id(&entry.id));
        self.tail_bytes += entry.weight_bytes();
        self.tail.push_back(entry);
        while self.tail_bytes > self.tail_bytes_max && self.tail.len() > 1 {
            self.drop_front();
        }
    }

    fn drop_front(&mut self) {
        if let Some(entry) = self.tail.pop_front() {
            self.tail_bytes -= entry.weight_bytes();
            self.tail_first += 1;
        }
    }

    /// Keeps entries before `end` only.
    fn truncate(&mut self, end: u64) {
        while self.tail.back().is_some_and(|entry| entry.id.index() >= end) {
            let entry = self.tail.pop_back().expect("it was just looked at");
            self.tail_bytes -= entry.weight_bytes();
        }
        if self.tail.is_empty() {
            self.tail_first = end;
        }
    }

    fn purge(&mut self, upto: LogId) {
        while self.tail.front().is_some_and(|entry| entry.id.index() <= upto.index) {
            self.drop_front();
        }
        if self.tail.is_empty() {
            self.tail_first = self.tail_first.max(upto.index + 1);
        }
        self.purged = self.purged.max(Some(upto));
        if self.last.is_none_or(|last| last.index <= upto.index) {
            self.last = Some(upto);
        }
    }

    /// The entries from `from` on that memory holds, within the bounds but at least one; `None` when the first
    /// of them is only in the store.
    fn read(&self, from: u64, to: u64, bytes_max: usize) -> Option<Vec<Entry>> {
        let skip = from.checked_sub(self.tail_first)?;
        let count = to.saturating_sub(from);
        let mut entries = Vec::with_capacity(usize::try_from(count).unwrap_or(0).min(self.tail.len()).min(1024));
        let mut bytes = 0;
        let (skip, count) = (usize::try_from(skip).ok()?, usize::try_from(count).ok()?);
        for entry in self.tail.iter().skip(skip).take(count) {
            bytes += entry.weight_bytes();
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        Some(entries)
    }
}

/// One group's log, as openraft wants it. Clones are readers.
pub(crate) struct Log<L, W: Waiter> {
    group: GroupId,
    store: L,
    state: Arc<LogState<W>>,
}

impl<L: Clone, W: Waiter> Clone for Log<L, W> {
    fn clone(&self) -> Self {
        Self { group: self.group, store: self.store.clone(), state: self.state.clone() }
    }
}

impl<L: LogStore, W: Waiter> Log<L, W> {
    /// Takes up what the store knows of the group.
    pub(crate) async fn open(store: L, group: GroupId, tail_bytes_max: usize) -> io::Result<Self> {
        let mut loaded = store.load(group)?;
        let vote = match loaded.vote.take() {
            Some(bytes) => Some(decode_vote(bytes).ok_or_else(|| damaged(group, "the vote cannot be read"))?),
            None => None,
        };
        let snapshot = store.newest_snapshot(group)?.map(|(meta, _)| meta.last);
        if loaded.purged > snapshot {
            return Err(damaged(group, "the log was purged up to a snapshot that is not there"));
        }
        let log = Self { group, store, state: Arc::new(LogState::new(&loaded, vote, tail_bytes_max)) };
        if let Some(snapshot) = snapshot {
            log.reconcile(snapshot, &loaded).await?;
        }
        Ok(log)
    }

    /// A received snapshot becomes visible before the log that contradicts it is cut. A crash between the two
    /// leaves entries that never were committed at and behind the snapshot's place: they go now.
    async fn reconcile(&self, snapshot: LogId, loaded: &GroupLog) -> io::Result<()> {
        let purged = loaded.purged.map_or(0, |purged| purged.index + 1);
        let held = loaded.last.is_some_and(|last| last.index >= snapshot.index) && snapshot.index >= purged;
        if !held {
            return Ok(());
        }
        let found = self.store.read(self.group, snapshot.index, snapshot.index + 1, READ_BYTES_MAX).await?;
        if found.first().is_some_and(|entry| entry.id == snapshot) {
            return Ok(());
        }
        self.submit(LogChange::Truncate { keep: snapshot.index.checked_sub(1) });
        self.store.submit_and_wait(self.group, LogChange::Purge(snapshot)).await?;
        let mut inner = self.state.inner.lock();
        inner.last = Some(snapshot);
        inner.tail_first = snapshot.index + 1;
        inner.purged = Some(snapshot);
        Ok(())
    }

    /// The leader has no entries that were committed, and applied here: a majority of the voters has lost them. To go on as if they had not
    /// been would leave this replica different from all others for good. Where a loss of power can do that, it is in doubt from the next
    /// start on.
    async fn undone(&self) -> io::Error {
        if self.store.durability(self.group) == Durability::Always {
            return damaged(
                self.group,
                "the leader does not have what is committed here: most voters have lost what they had stored",
            );
        }
        match self.store.submit_and_wait(self.group, LogChange::Doubt).await {
            Ok(()) => io::Error::other(UNDONE),
            Err(error) => error,
        }
    }

    pub(crate) fn state(&self) -> &Arc<LogState<W>> {
        &self.state
    }

    /// Whether this replica has voted before, so that it may owe a promise that it no longer remembers.
    pub(crate) fn has_voted(&self) -> bool {
        self.state.inner.lock().vote.is_some()
    }

    /// Queues a change that nobody waits for. A failure is remembered and stops the group.
    fn submit(&self, change: LogChange) {
        let state = self.state.clone();
        let done = move |result: io::Result<()>| {
            if let Err(error) = result {
                state.completed(0, Err(error));
            }
        };
        self.store.submit(self.group, change, Box::new(done));
    }

    /// At most `bytes_max` of the entries `from..to`, at least one if there is one.
    async fn read(&self, from: u64, to: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let tail_first = {
            let inner = self.state.inner.lock();
            if let Some(entries) = inner.read(from, to, bytes_max) {
                return Ok(entries);
            }
            inner.tail_first
        };
        let stored = self.store.read(self.group, from, to.min(tail_first), bytes_max).await?;
        let mut entries = Vec::with_capacity(stored.len());
        for (at, stored) in stored.into_iter().enumerate() {
            if stored.id.index != from + at as u64 {
                return Err(damaged(self.group, "an entry is missing"));
            }
            entries.push(Entry::from_stored(stored).ok_or_else(|| damaged(self.group, "an entry cannot be read"))?);
        }
        Ok(entries)
    }
}

fn damaged(group: GroupId, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the log of group {group} is damaged: {what}"))
}

/// The range as `from..to`, cut at the end of the log.
fn bounds(range: &impl RangeBounds<u64>, last: Option<LogId>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(&index) => index,
        Bound::Excluded(&index) => index + 1,
        Bound::Unbounded => 0,
    };
    let end = last.map_or(0, |last| last.index + 1);
    let to = match range.end_bound() {
        Bound::Included(&index) => end.min(index.saturating_add(1)),
        Bound::Excluded(&index) => end.min(index),
        Bound::Unbounded => end,
    };
    (from, to)
}

impl<L: LogStore, W: Waiter> RaftLogReader<Types<W>> for Log<L, W> {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: R,
    ) -> io::Result<Vec<Entry>> {
        let (mut from, to) = bounds(&range, self.state.last());
        let mut entries = Vec::new();
        while from < to {
            let more = self.read(from, to, READ_BYTES_MAX).await?;
            if more.is_empty() {
                break;
            }
            from += more.len() as u64;
            entries.extend(more);
        }
        Ok(entries)
    }

    async fn read_vote(&mut self) -> io::Result<Option<RaftVote>> {
        Ok(self.state.inner.lock().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start, end, READ_BYTES_MAX).await
    }

    async fn entries_stream<R>(&mut self, range: R) -> impl Stream<Item = io::Result<Entry>> + Send
    where
        R: RangeBounds<u64> + Clone + Debug + Send,
    {
        let (from, to) = bounds(&range, self.state.last());
        let start = (self.clone(), from, to, Vec::new().into_iter());
        stream::unfold(start, |(log, mut from, to, mut ready)| async move {
            if let Some(entry) = ready.next() {
                return Some((Ok(entry), (log, from, to, ready)));
            }
            if from >= to {
                return None;
            }
            match log.read(from, to, READ_BYTES_MAX).await {
                Ok(entries) => {
                    from += entries.len() as u64;
                    ready = entries.into_iter();
                    let entry = ready.next()?;
                    Some((Ok(entry), (log, from, to, ready)))
                }
                Err(error) => Some((Err(error), (log, to, to, ready))),
            }
        })
    }
}

impl<L: LogStore, W: Waiter> RaftLogStorage<Types<W>> for Log<L, W> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<RaftLogState<Types<W>>> {
        let inner = self.state.inner.lock();
        Ok(RaftLogState { last_purged_log_id: inner.purged.map(raft_log_id), last_log_id: inner.last.map(raft_log_id) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &RaftVote) -> io::Result<()> {
        self.state.inner.lock().check()?;
        self.store.submit_and_wait(self.group, LogChange::Vote(encode_vote(vote))).await?;
        self.state.inner.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<RaftLogId>) -> io::Result<()> {
        let Some(committed) = committed else { return Ok(()) };
        let committed = log_id(&committed);
        self.state.inner.lock().committed = Some(committed);
        self.submit(LogChange::Committed(committed));
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<RaftLogId>> {
        Ok(self.state.inner.lock().committed.map(raft_log_id))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types<W>>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries = entries.into_iter();
        let mut stored = Vec::with_capacity(entries.size_hint().0);
        let mut changes_members = false;
        let number = {
            let mut inner = self.state.inner.lock();
            inner.check()?;
            for entry in entries {
                changes_members |= entry.is_membership();
                stored.push(entry.to_stored());
                inner.push(entry);
            }
            inner.appends += 1;
            let number = inner.appends;
            // BEFORE the store hears of it: it may be done before `submit` returns.
            inner.flushes.push_back((number, callback));
            number
        };
        let state = self.state.clone();
        let done = move |result| state.completed(number, result);
        if changes_members && self.store.durability(self.group) != Durability::Always {
            // Who votes is durable before it counts, also where the data is not.
            self.submit(LogChange::Append(stored));
            self.store.submit(self.group, LogChange::Sync, Box::new(done));
        } else {
            self.store.submit(self.group, LogChange::Append(stored), Box::new(done));
        }
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<RaftLogId>) -> io::Result<()> {
        let keep = last.as_ref().map(log_id);
        let committed = self.state.inner.lock().committed;
        if committed.is_some_and(|committed| keep.is_none_or(|keep| keep.index < committed.index)) {
            return Err(self.undone().await);
        }
        {
            let mut inner = self.state.inner.lock();
            inner.check()?;
            inner.truncate(keep.map_or(0, |keep| keep.index + 1));
            inner.last = keep;
        }
        self.submit(LogChange::Truncate { keep: keep.map(|keep| keep.index) });
        Ok(())
    }

    async fn purge(&mut self, upto: RaftLogId) -> io::Result<()> {
        let upto = log_id(&upto);
        {
            let mut inner = self.state.inner.lock();
            inner.check()?;
            inner.purge(upto);
        }
        self.submit(LogChange::Purge(upto));
        Ok(())
    }
}
