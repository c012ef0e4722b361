//! The log thread: takes what is queued, writes it as one record of the journal, syncs once, answers.
//!
//! Order of one round: lower `marks` where a suffix goes away; write the record; sync; raise `marks` where there is a
//! vote; answer; bring sled nearer. So a crash at any point leaves a store that holds at least what `marks` says, and an
//! answer is given only after what it answers is durable in both.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use raft::{Done, Durability, GroupId, LogChange};
use tokio::sync::watch;

use crate::disk::Disk;
use crate::files_thread::FilesThread;
use crate::group::{GroupState, Plan};
use crate::keys::{self, Kind};
use crate::marks::{GROUPS_MAX, Marks};
use crate::queue::{Queue, Work};
use crate::scan::Scanned;
use crate::snapshot;

/// How old `marks` may be, and how long a commit mark waits for a batch to ride with.
const LAZY: Duration = Duration::from_millis(100);

/// `appendfsync everysec`.
const SECOND: Duration = Duration::from_secs(1);

/// Keys of purged entries that are removed in one go, and how often that happens under load. While sled is behind, as many are removed as are
/// written: more would make writes wait, fewer would let the files grow.
const SWEEP_KEYS: usize = 128;
const SWEEP_EVERY: Duration = Duration::from_millis(5);

/// What the log thread shares with the handles of the store.
pub(crate) struct Shared {
    /// What is to be done.
    pub(crate) queue: Queue,
    /// The groups, after all work that was taken from the queue.
    pub(crate) groups: Mutex<BTreeMap<GroupId, Scanned>>,
    /// When the appends of groups are answered; `Always` for those that are not there.
    pub(crate) durability: Mutex<BTreeMap<GroupId, Durability>>,
    /// Why nothing is written any more, in words for the operator.
    pub(crate) failure: watch::Sender<Option<String>>,
}

/// The log thread's own.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) disk: Disk,
    pub(crate) marks: Marks,
    pub(crate) snapshots: PathBuf,
    pub(crate) files: FilesThread,
    /// The first failure: nothing is written after it, everything is answered with it.
    pub(crate) failed: Option<(io::ErrorKind, String)>,
    plan: Plan,
    /// Groups with changes that were written and not yet synced.
    unsynced: BTreeSet<GroupId>,
    /// Groups whose commit mark waits for a batch.
    uncommitted: BTreeSet<GroupId>,
    /// When a sync is due that nobody waits for.
    sync_due: Option<Instant>,
    /// Since when something waits that nobody waits for: commit marks, and `marks` behind the last sync.
    lazy_since: Option<Instant>,
    marks_stale: bool,
    swept: Instant,
    /// How many keys were written that no removal of another one followed.
    written: usize,
}

/// What one round still owes.
#[derive(Default)]
struct Round {
    answers: Vec<(Done, io::Result<()>)>,
    barriers: Vec<tokio::sync::oneshot::Sender<io::Result<()>>>,
    needs_sync: bool,
    has_vote: bool,
    /// `marks` says more than is true, or less than is answered with this round: it is written first.
    marks_first: bool,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, disk: Disk, marks: Marks, snapshots: PathBuf, files: FilesThread) -> Self {
        Self {
            shared,
            disk,
            marks,
            snapshots,
            files,
            failed: None,
            plan: Plan::new(),
            unsynced: BTreeSet::new(),
            uncommitted: BTreeSet::new(),
            sync_due: None,
            lazy_since: None,
            marks_stale: false,
            swept: now(),
            written: 0,
        }
    }

    /// Works until the queue is closed and empty; then syncs, and notes in `marks` that it stopped in order.
    pub(crate) fn run(mut self) {
        while let Some(work) = self.shared.queue.round(self.patience()) {
            self.round(work);
            self.idle_work();
        }
        if self.failed.is_some() {
            return;
        }
        let closed = self.flush_lazy(true).and_then(|()| self.disk.close()).and_then(|()| {
            self.marks.stopped = true;
            self.write_marks()
        });
        if let Err(error) = closed {
            tracing::error!(%error, "the log could not be closed in order");
        }
    }

    /// How long the thread may sleep when nothing is queued.
    fn patience(&self) -> Option<Duration> {
        if self.failed.is_some() {
            return None;
        }
        if self.has_leftovers() {
            return Some(if self.disk.is_behind() { SWEEP_EVERY } else { Duration::ZERO });
        }
        let due = [self.lazy_since.map(|since| since + LAZY), self.sync_due, self.disk.tidy_due()];
        let due = due.into_iter().flatten().min();
        // Never longer than LAZY: work that nobody waits for does not wake a thread that naps.
        due.map(|due| due.saturating_duration_since(now()).min(LAZY))
    }

    fn round(&mut self, work: Vec<Work>) {
        let idle = work.is_empty();
        let mut round = Round::default();
        for work in work {
            self.take(work, &mut round);
        }
        let result = match &self.failed {
            Some((kind, why)) => Err(io::Error::new(*kind, why.clone())),
            None if idle => Ok(()),
            None => self.commit(&mut round),
        };
        if let Err(error) = &result {
            self.fail(error);
        }
        for (done, answer) in round.answers {
            done(answer.and_then(|()| clone_result(&result)));
        }
        for barrier in round.barriers {
            // Whoever asked may have gone.
            let _gone = barrier.send(clone_result(&result));
        }
    }

    /// Adds one piece of work to the round's batch.
    fn take(&mut self, work: Work, round: &mut Round) {
        match work {
            Work::Change(group, change, done) => {
                let answer = match self.damage(group).filter(|_| change != LogChange::Forget) {
                    // Not a failure of the store: the other groups go on.
                    Some(why) => Err(io::Error::new(io::ErrorKind::InvalidData, why)),
                    None if self.failed.is_some() => Ok(()),
                    None => self.plan_change(group, change, round).inspect_err(|error| self.fail(error)),
                };
                round.answers.push((done, answer));
            }
            Work::Snapshot(group, last) => {
                if let Ok(state) = self.shared.groups.lock().entry(group).or_insert_with(|| Ok(GroupState::default())) {
                    state.set_snapshot(group, last, &mut self.plan);
                }
            }
            Work::Barrier(barrier) => round.barriers.push(barrier),
        }
    }

    /// Why a group cannot be used, if it is damaged.
    fn damage(&self, group: GroupId) -> Option<String> {
        self.shared.groups.lock().get(&group).and_then(|state| state.as_ref().err().cloned())
    }

    fn plan_change(&mut self, group: GroupId, change: LogChange, round: &mut Round) -> io::Result<()> {
        if change == LogChange::Forget {
            return self.forget(group, round);
        }
        let durability = self.shared.durability.lock().get(&group).copied().unwrap_or_default();
        let mut groups = self.shared.groups.lock();
        if groups.len() >= GROUPS_MAX && !groups.contains_key(&group) {
            let why = format!("a node holds at most {GROUPS_MAX} groups");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let Ok(state) = groups.entry(group).or_insert_with(|| Ok(GroupState::default())) else {
            unreachable!("changes of damaged groups are refused before");
        };
        let mut needs_sync = true;
        match change {
            LogChange::Append(entries) => {
                state.append(group, &entries, &mut self.plan)?;
                needs_sync = durability == Durability::Always;
                if !needs_sync {
                    // BEFORE the first such answer: a start that finds the mark knows that entries may be missing.
                    round.marks_first |= self.marks.relax(group);
                }
            }
            LogChange::Vote(vote) => {
                state.set_vote(group, vote, &mut self.plan)?;
                (round.has_vote, needs_sync) = (true, true);
            }
            LogChange::Committed(id) => {
                state.set_committed(id);
                self.uncommitted.insert(group);
                self.lazy_since.get_or_insert_with(now);
                return Ok(());
            }
            LogChange::Sync => (),
            LogChange::Vouch => {
                state.is_unsure = false;
                round.marks_first |= self.marks.vouch(group);
            }
            LogChange::Doubt => {
                state.is_unsure = true;
                round.marks_first |= self.marks.doubt(group);
            }
            LogChange::Truncate { keep } => {
                state.truncate(group, keep, &mut self.plan);
                round.marks_first |= lower(&mut self.marks, group, state);
            }
            LogChange::Purge(id) => {
                state.purge(group, id, &mut self.plan);
                needs_sync = false;
            }
            LogChange::Forget => unreachable!("handled above"),
        }
        self.unsynced.insert(group);
        round.needs_sync |= needs_sync;
        if durability == Durability::EverySecond && self.sync_due.is_none() {
            self.sync_due = Some(now() + SECOND);
        }
        Ok(())
    }

    /// Removes all keys of a group, also of a damaged one: found by their prefix, not by what is known of it.
    fn forget(&mut self, group: GroupId, round: &mut Round) -> io::Result<()> {
        // What is planned so far may add keys: they have to be in the tree BEFORE the search.
        self.commit(round)?;
        self.disk.settle()?;
        self.shared.groups.lock().remove(&group);
        self.uncommitted.remove(&group);
        self.unsynced.remove(&group);
        for key in self.disk.tree().scan_prefix(keys::group_key(Kind::Entry, group)).keys() {
            self.plan.remove(&key?);
        }
        for kind in Kind::MARKS {
            self.plan.remove(&keys::group_key(kind, group));
        }
        round.marks_first |= self.marks.groups.remove(&group).is_some();
        round.needs_sync = true;
        self.commit(round)?;
        snapshot::remove_all(&self.snapshots, group, &self.files)
    }

    /// Writes what is planned, and syncs it if something in it needs that.
    fn commit(&mut self, round: &mut Round) -> io::Result<()> {
        if std::mem::take(&mut round.marks_first) {
            self.write_marks()?;
        }
        self.write_plan()?;
        if std::mem::take(&mut round.needs_sync) {
            self.sync()?;
        }
        // What was answered is applied to the tree later, but a reader must find it there.
        if !round.barriers.is_empty() {
            self.disk.settle()?;
        }
        if std::mem::take(&mut round.has_vote) {
            self.write_marks()?;
        }
        Ok(())
    }

    /// Applies what is planned, and the commit marks that waited for it.
    fn write_plan(&mut self) -> io::Result<()> {
        if self.plan.is_empty() {
            return Ok(());
        }
        self.plan_committed();
        let record = self.plan.take();
        self.written += record.insertion_count();
        self.disk.write(record)
    }

    fn plan_committed(&mut self) {
        let mut groups = self.shared.groups.lock();
        for group in std::mem::take(&mut self.uncommitted) {
            if let Some(Ok(state)) = groups.get_mut(&group) {
                state.write_committed(group, &mut self.plan);
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.sync()?;
        self.sync_due = None;
        let durability = self.shared.durability.lock();
        let mut groups = self.shared.groups.lock();
        for group in std::mem::take(&mut self.unsynced) {
            if let Some(Ok(state)) = groups.get_mut(&group) {
                let is_relaxed = durability.get(&group).is_some_and(|durability| *durability != Durability::Always);
                let mark = state.mark();
                state.synced = mark.durable;
                self.marks.synced(group, mark, is_relaxed);
                self.marks_stale = true;
                self.lazy_since.get_or_insert_with(now);
            }
        }
        Ok(())
    }

    fn write_marks(&mut self) -> io::Result<()> {
        self.marks_stale = false;
        self.marks.write().map_err(io::Error::from)
    }

    /// What nobody waits for: purged keys, lazy marks, the sync of every second, the tree behind the journal.
    fn idle_work(&mut self) {
        if self.failed.is_some() {
            return;
        }
        if let Err(error) = self.sweep().and_then(|()| self.flush_lazy(false)).and_then(|()| self.disk.tidy(now())) {
            self.fail(&error);
        }
    }

    /// Removes some keys of purged entries. Their purge mark was written before, in a batch of its own.
    fn sweep(&mut self) -> io::Result<()> {
        for _ in 0..self.sweeps_due() {
            let mut groups = self.shared.groups.lock();
            let left = groups.iter_mut().find_map(|(group, state)| {
                state.as_mut().ok().filter(|state| state.has_leftovers()).map(|state| (*group, state))
            });
            let Some((group, state)) = left else { break };
            state.sweep(group, SWEEP_KEYS, &mut self.plan);
            drop(groups);
            self.write_plan()?;
            // Each on its own: sled takes milliseconds for one.
            self.disk.tidy(now())?;
        }
        Ok(())
    }

    /// How often [`SWEEP_KEYS`] are to be removed now.
    fn sweeps_due(&mut self) -> usize {
        if !self.has_leftovers() {
            self.written = 0;
            return 0;
        }
        if self.disk.is_behind() {
            let due = self.written / SWEEP_KEYS;
            self.written %= SWEEP_KEYS;
            return due;
        }
        let at = now();
        if at.duration_since(self.swept) < SWEEP_EVERY && self.shared.queue.is_busy() {
            return 0;
        }
        (self.swept, self.written) = (at, 0);
        1
    }

    fn has_leftovers(&self) -> bool {
        self.shared.groups.lock().values().any(|state| state.as_ref().is_ok_and(GroupState::has_leftovers))
    }

    /// Writes what waited long enough; all of it for `everything`.
    fn flush_lazy(&mut self, everything: bool) -> io::Result<()> {
        let (at, due) = match (everything, self.lazy_since, self.sync_due) {
            (false, None, None) => return Ok(()),
            _ => (now(), self.lazy_since),
        };
        let lazy = everything || due.is_some_and(|since| at.duration_since(since) >= LAZY);
        if lazy {
            self.plan_committed();
            self.write_plan()?;
        }
        if self.sync_due.is_some_and(|due| due <= at) || everything {
            self.sync()?;
        }
        if lazy {
            self.lazy_since = None;
            if self.marks_stale {
                self.write_marks()?;
            }
        }
        Ok(())
    }

    /// Notes the first failure. A failed write or sync is never tried again: what the kernel dropped stays dropped.
    fn fail(&mut self, error: &io::Error) {
        if self.failed.is_none() {
            tracing::error!(%error, "the log failed: nothing more is written");
            self.failed = Some((error.kind(), error.to_string()));
            let why = format!(
                "the log in {} cannot be written: {error}; make room on its disk, or mend it, and start again",
                self.disk.path().display()
            );
            // BEFORE any change is answered with it: who hears of the failure finds the reason here.
            self.shared.failure.send_replace(Some(why));
        }
    }
}

/// Takes the durable mark of a group back to what stays; whether that changed anything.
fn lower(marks: &mut Marks, group: GroupId, state: &GroupState) -> bool {
    let Some(mark) = marks.groups.get_mut(&group) else { return false };
    let stays = state.mark().durable;
    let lowers = mark.durable.is_some_and(|durable| stays.is_none_or(|stays| stays.index < durable.index));
    if lowers {
        mark.durable = stays;
    }
    lowers
}

fn clone_result(result: &io::Result<()>) -> io::Result<()> {
    result.as_ref().copied().map_err(|error| io::Error::new(error.kind(), error.to_string()))
}

#[expect(clippy::disallowed_methods, reason = "the log thread's own timers; production only, `sim` has another store")]
fn now() -> Instant {
    Instant::now()
}
