//! One shard's replica on this node, as connections see it: the open batch, the keyspace, the right to read.
//!
//! Two locks, never held together and never across an await: the open batch, and the keyspace. Apply is the only
//! writer of the keyspace. A third, around those who wait for keys, is a leaf: it is taken under either, and nothing under it.
//!
//! **Sealing follows Nagle, without a timer.** The open batch is sealed when no entry of the shard is in flight,
//! or when fewer than [`IN_FLIGHT_MAX`] are and it is worth a round ([`BATCH_COMMANDS_WORTH`] commands or
//! [`BATCH_BYTES_WORTH`] bytes). In flight means: proposed, not yet committed.
//!
//! **Order.** Every entry carries a sequence number within its leadership; apply turns an entry that does not
//! follow the last one into a no-op. So one refusal refuses all that follow: they come back here, are *held*, and
//! once every entry's fate is known are sealed anew in their old order. Nothing that Raft accepted is proposed twice.
//! So batches take effect in the order of their first sealing, whatever happens between; [`EntryWaiter::take`] stops
//! the process if one ever does not.

mod blocked;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use keyspace::Keyspace;
use parking_lot::{Mutex, RwLock};
use raft::{LogId, Refusal, Waiter};
use resp::Protocol;
use slot::Slot;
use tokio::sync::Notify;

use crate::batch::{Batch, Staged};
use crate::blocking::{Blocking, Number};
use crate::fence::{Data, Fence, FencedSlots};
use crate::inbox::{Delivery, Inbox, Route};
use crate::stats::{Stats, Tally};
pub(crate) use blocked::Ended;

/// At most this many entries are proposed and not yet committed.
pub(crate) const IN_FLIGHT_MAX: u32 = 4;
/// A batch with so many commands is worth a round of its own while others are in flight.
pub(crate) const BATCH_COMMANDS_WORTH: usize = 32;
/// So is one with so many bytes.
pub(crate) const BATCH_BYTES_WORTH: usize = 8 * 1024;
/// How long a refused batch is held before its commands fail for good.
pub(crate) const HOLD_MAX_NS: u64 = 2_000_000_000;
/// As [`HOLD_MAX_NS`], while whoever leads is to hand over to a replica that clients are shown: it has as long for that.
pub(crate) const AWAIT_MAX_NS: u64 = 2 * HOLD_MAX_NS;
/// After this long without a commit the outcome of an entry is answered as unknown.
pub(crate) const UNCERTAIN_AFTER_NS: u64 = 5_000_000_000;
/// So much longer for each MiB that is under way: a slow disk or network takes that long.
const PATIENCE_PER_MIB_NS: u64 = 100_000_000;

/// No command, and no transaction, is larger: an entry has to fit into a message between nodes.
pub(crate) const COMMAND_BYTES_MAX: usize = 600 << 20;

/// What a larger one is told.
pub(crate) const TOO_LARGE: &str = "ERR the command is larger than an entry of the log may be (600mb)";
/// The answer for a command whose fate is not known.
pub(crate) const UNCERTAIN: &str = "UNCERTAIN the write may or may not have been applied";
/// What a follower in replicated mode says to a write.
pub(crate) const READONLY: &str = "READONLY You can't write against a read only replica.";
/// What a leader without room on its disk says to a command that adds data.
pub(crate) const MISCONF: &str = "MISCONF The disk that holds the data directory is nearly full: commands that add data are refused until there is \
    room, commands that delete pass.";
/// What a replica says to a write while nobody leads.
pub(crate) const NOREPLICAS: &str = "NOREPLICAS Not enough good replicas to write.";

/// What this replica is at the moment, as far as connections care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Standing {
    /// Nobody is known to lead.
    Leaderless = 0,
    /// Another replica leads.
    Following = 1,
    /// This one leads and has applied the first entry of its term.
    Leading = 2,
    /// Another replica leads that clients are not shown: it hands over to one that they are, or shows itself.
    Awaiting = 3,
}

/// Says where a slot is served now, as an error that sends a client there; `None` where that is not known, or is here.
pub(crate) type Redirect = Box<dyn Fn(Slot) -> Option<String> + Send + Sync>;

/// The shard as connections, the sealer and apply share it.
pub(crate) struct Shard {
    /// Whether it is one of a cluster's.
    in_cluster: bool,
    /// In a cluster: where its clients are sent once another replica leads.
    redirect: OnceLock<Redirect>,
    open: Mutex<Open>,
    /// The data, and the slots that it is served for. Apply writes, everybody reads.
    pub(crate) data: RwLock<Data>,
    blocking: Mutex<Blocking>,
    /// How many wait for keys: what costs a command where nobody does.
    waiting: AtomicUsize,
    standing: AtomicU8,
    /// It led until lately: what it answers as a follower could be older than what it answered as the leader, until it
    /// has caught up with the new one.
    doubtful: AtomicBool,
    applied_index: AtomicU64,
    pub(crate) stats: Arc<Stats>,
    /// What apply counts: it runs on one thread at a time.
    pub(crate) tally: Arc<Tally>,
    /// Tells of every rise of the applied index to those who wait for one.
    pub(crate) advanced: Notify,
    /// Wakes the sealer.
    pub(crate) due: Notify,
    /// Wakes connections that found the open batch full.
    pub(crate) room: Notify,
    inboxes: Arc<[Inbox]>,
    /// The ordinal of the batch that took effect last.
    took_effect: AtomicU64,
    /// The earliest deadline of a key, by the state (`u64::MAX` for none).
    pub(crate) next_deadline_ms: AtomicU64,
    /// The bytes of keys and values, by the state.
    pub(crate) data_bytes: AtomicU64,
    /// Entries remove what is due, by the state; if not, reads that meet it do.
    pub(crate) expires_actively: AtomicBool,
    /// Set once: from then on nothing new is accepted, what is in flight is answered.
    closing: AtomicBool,
    /// The disk has less than its reserve left.
    pub(crate) disk_low: AtomicBool,
    /// What waiters popped and nobody took: their clients had gone when it was applied.
    pub(crate) popped_for_nobody: AtomicU64,
    /// Counters for INFO.
    pub(crate) entries: AtomicU64,
    pub(crate) commands: AtomicU64,
    /// Keys that apply has removed because they were due.
    pub(crate) expired: AtomicU64,
    /// Fields of hashes that it has.
    pub(crate) expired_fields: AtomicU64,
    /// Values and keys of emptied databases that another thread is freeing, or is about to.
    pub(crate) freeing: AtomicU64,
    /// Those that it has freed.
    pub(crate) freed: AtomicU64,
    /// The keyspace's revision as it was last frozen for a snapshot, or read from one.
    pub(crate) frozen_revision: AtomicU64,
    /// That of the newest snapshot that is kept.
    pub(crate) saved_revision: AtomicU64,
    /// A frozen state holds a clone for as long as it is being written.
    pub(crate) saving: Arc<()>,
}

#[derive(Default)]
struct Open {
    batch: Batch,
    /// Waiters whose commands are to be part of the next fresh batch.
    due_waiters: Vec<Number>,
    held: VecDeque<Batch>,
    tickets: VecDeque<Arc<Ticket>>,
    in_flight: u32,
    /// Sealed batches that are neither answered nor back.
    unresolved: u32,
    /// Entries of this leadership that were neither refused, applied nor lost, answered or not: while there are any, what
    /// follows the last applied entry is not known.
    undecided: u32,
    leadership: u64,
    /// How many batches were sealed for the first time.
    sealed: u64,
    next_sequence: u64,
    /// The last leadership and sequence that apply accepted.
    applied: (u64, Option<u64>),
    last_now_ms: u64,
    paused: bool,
    /// Raft refused a batch: before it is asked again something must change, or a tick must pass.
    refused: bool,
}

/// A sealed batch until somebody answers it: apply, a refusal, the loss of leadership, or the deadline.
struct Ticket {
    /// Of its entry.
    bytes: usize,
    batch: Mutex<Option<Batch>>,
    sealed_ns: u64,
}

/// What happened to a staged run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is in the open batch; its replies come through the inbox.
    Accepted,
    /// The open batch is full: wait for [`Shard::room`] and try again.
    Full,
    /// It will not happen; the text says why.
    Refused(&'static str),
}

/// A sealed batch, ready to be proposed.
pub(crate) struct Sealed {
    pub(crate) payload: Bytes,
    pub(crate) waiter: EntryWaiter,
    pub(crate) term: u64,
}

/// The context that the sealer gives an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SealContext {
    pub(crate) term: u64,
    pub(crate) now_ns: u64,
    pub(crate) wall_ms: u64,
    pub(crate) seed: u64,
    /// Seal even without commands: the tick that moves the shard's clock.
    pub(crate) tick: bool,
}

impl Shard {
    pub(crate) fn new(keyspace: Keyspace, fence: Fence, inboxes: Arc<[Inbox]>, stats: Arc<Stats>) -> Self {
        Self {
            in_cluster: fence != Fence::All,
            redirect: OnceLock::new(),
            tally: stats.tally(),
            stats,
            open: Mutex::default(),
            data: RwLock::new(Data { keyspace, fence }),
            blocking: Mutex::default(),
            waiting: AtomicUsize::new(0),
            popped_for_nobody: AtomicU64::new(0),
            standing: AtomicU8::new(Standing::Leaderless as u8),
            doubtful: AtomicBool::new(false),
            applied_index: AtomicU64::new(0),
            advanced: Notify::new(),
            due: Notify::new(),
            room: Notify::new(),
            inboxes,
            took_effect: AtomicU64::new(0),
            next_deadline_ms: AtomicU64::new(u64::MAX),
            data_bytes: AtomicU64::new(0),
            expires_actively: AtomicBool::new(true),
            closing: AtomicBool::new(false),
            disk_low: AtomicBool::new(false),
            entries: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            expired_fields: AtomicU64::new(0),
            freeing: AtomicU64::new(0),
            freed: AtomicU64::new(0),
            frozen_revision: AtomicU64::new(0),
            saved_revision: AtomicU64::new(0),
            saving: Arc::default(),
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        match self.standing.load(Ordering::Acquire) {
            0 => Standing::Leaderless,
            1 => Standing::Following,
            2 => Standing::Leading,
            _ => Standing::Awaiting,
        }
    }

    /// Why this replica does not take writes now, if it does not.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        match self.standing() {
            Standing::Leading => None,
            Standing::Following => Some(READONLY),
            Standing::Leaderless | Standing::Awaiting => Some(NOREPLICAS),
        }
    }

    /// Whether what comes too late for this leadership is kept until it is known who leads next: a cluster's clients are then sent there.
    fn keeps_for_the_next(&self) -> bool {
        self.in_cluster && matches!(self.standing(), Standing::Leaderless | Standing::Awaiting)
    }

    /// In a cluster: who says where a slot is served once this replica does not lead any more. Set once, before it leads.
    pub(crate) fn redirect_by(&self, redirect: Redirect) {
        assert!(self.redirect.set(redirect).is_ok(), "a replica is given its cluster once");
    }

    /// What a command is told that was taken and did not come to be proposed. In a cluster it asks again where the slot is by
    /// then: clients do so by themselves, and show nothing of it when they are told where.
    pub(crate) fn definite(&self, why: &'static str, slot: Option<Slot>) -> String {
        match slot {
            Some(slot) if self.in_cluster => {
                let moved = self.redirect.get().and_then(|redirect| redirect(slot));
                moved.unwrap_or_else(|| faces::DOWN.to_owned())
            }
            // About all keys here: of those this is a replica now.
            None if self.in_cluster && why != READONLY => faces::DOWN.to_owned(),
            _ => why.to_owned(),
        }
    }

    /// Adds a run to the open batch.
    pub(crate) fn add(&self, staged: &mut Staged, route: Route, protocol: Protocol) -> Added {
        let mut open = self.open.lock();
        // Under the lock: what is added before the standing changes is found by who changes it.
        let refusal = self.refusal().filter(|_| !self.keeps_for_the_next());
        if let Some(why) = refusal.or_else(|| self.is_closing().then_some(NOREPLICAS)) {
            return Added::Refused(why);
        }
        if !open.batch.has_room(staged) {
            return Added::Full;
        }
        // A sealer with nothing under way looks seldom: it has to know that something waits, also while it is paused.
        let is_news = open.batch.is_empty() && open.unresolved == 0;
        open.batch.add(staged, route, protocol);
        let due = open.is_due() || is_news;
        drop(open);
        if due {
            self.due.notify_one();
        }
        Added::Accepted
    }

    /// Proposes settings of the shard for nobody in particular; before anything that waits in the open batch.
    pub(crate) fn propose_settings(&self, pairs: &[(&'static str, String)], now_ns: u64) {
        self.hold(Batch::of_settings(pairs, now_ns));
        self.due.notify_one();
    }

    /// Proposes the key of the shard's hash tables; it counts once, while there are no keys.
    pub(crate) fn propose_hash_key(&self, key: [u64; 2], now_ns: u64) {
        self.hold(Batch::of_hash_key(key, now_ns));
        self.due.notify_one();
    }

    /// Proposes a change of the fence, before anything that waits in the open batch.
    pub(crate) fn propose_fence(&self, fence: &FencedSlots, now_ns: u64) {
        self.hold(Batch::of_fence(fence, now_ns));
        self.due.notify_one();
    }

    /// Seals the next batch if one is due.
    pub(crate) fn seal(self: &Arc<Self>, context: SealContext) -> Option<Sealed> {
        if self.standing() != Standing::Leading {
            return None;
        }
        let mut open = self.open.lock();
        if open.leadership != context.term {
            if open.unresolved > 0 {
                return None;
            }
            open.leadership = context.term;
            open.next_sequence = 0;
            open.undecided = 0;
        }
        let mut batch = open.next_batch(context.tick)?;
        if batch.is_fresh() && self.is_waited_on() {
            let due = std::mem::take(&mut open.due_waiters);
            open.due_waiters = self.with_waiters(|blocking| batch.place(blocking, due));
        } else if batch.is_fresh() {
            open.due_waiters.clear();
        }
        if batch.is_empty() && !context.tick {
            // Those who were due have gone meanwhile.
            return None;
        }
        if open.undecided == 0 {
            // Everything proposed is decided, so what follows the last applied entry is known for sure.
            let (term, last) = open.applied;
            open.next_sequence = if term == context.term { last.map_or(0, |last| last + 1) } else { 0 };
        }
        open.last_now_ms = open.last_now_ms.max(context.wall_ms);
        let payload = batch.seal(open.last_now_ms, context.seed, open.next_sequence);
        if batch.first_sealed_ns == 0 {
            batch.first_sealed_ns = context.now_ns;
        }
        if batch.ordinal.is_none() {
            open.sealed += 1;
            batch.ordinal = Some(open.sealed);
        }
        open.next_sequence += 1;
        open.in_flight += 1;
        open.unresolved += 1;
        open.undecided += 1;
        let commands = batch.commands() as u64;
        let ticket =
            Arc::new(Ticket { bytes: payload.len(), batch: Mutex::new(Some(batch)), sealed_ns: context.now_ns });
        open.tickets.push_back(Arc::clone(&ticket));
        drop(open);
        self.room.notify_waiters();
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.commands.fetch_add(commands, Ordering::Relaxed);
        let waiter =
            EntryWaiter { shard: Arc::clone(self), ticket, term: context.term, in_flight: true, is_taken: false };
        Some(Sealed { payload, waiter, term: context.term })
    }

    /// The clock may not fall behind what the state has seen: called with the log clock when leadership begins.
    pub(crate) fn raise_clock(&self, log_clock_ms: u64) {
        let mut open = self.open.lock();
        open.last_now_ms = open.last_now_ms.max(log_clock_ms);
    }

    /// Takes notice of a new standing. Leadership that ends leaves what was accepted uncertain, and refuses the rest
    /// unless nobody is known to lead, or nobody that clients are shown: then it is held until somebody is, or the replica
    /// leads again.
    pub(crate) fn stand(&self, standing: Standing) {
        if self.standing() == Standing::Leading && standing != Standing::Leading {
            // BEFORE the standing changes: whoever reads as a follower's client sees the doubt.
            self.doubtful.store(true, Ordering::Release);
        }
        if standing == Standing::Leading {
            self.lead_waiters(true);
        }
        let before = self.standing.swap(standing as u8, Ordering::AcqRel);
        if standing == Standing::Leading {
            self.doubtful.store(false, Ordering::Release);
        }
        if before == Standing::Leading as u8 && standing != Standing::Leading {
            self.lead_waiters(false);
            self.abandon();
        }
        if standing == Standing::Following {
            self.refuse_unproposed(READONLY);
        }
        self.retry();
        self.due.notify_one();
        self.room.notify_waiters();
    }

    /// Lets refused batches be sealed anew. Called with every tick, so that a refusal that lasts (a leader that has lost
    /// its majority) is asked about now and then, not without a pause.
    pub(crate) fn retry(&self) {
        self.open.lock().refused = false;
    }

    /// Answers what has waited too long. Called every now and then by the sealer.
    pub(crate) fn give_up_overdue(&self, now_ns: u64) {
        let mut overdue = Vec::new();
        let mut refused = Vec::new();
        {
            let mut open = self.open.lock();
            let too_old = |sealed_ns: u64, limit: u64| now_ns.saturating_sub(sealed_ns) > limit;
            open.tickets.retain(|ticket| Arc::strong_count(ticket) > 1);
            // Large entries take their time, and what is behind them waits with them.
            let under_way_mib = open.tickets.iter().map(|ticket| ticket.bytes).sum::<usize>() as u64 >> 20;
            let patience_ns = under_way_mib * PATIENCE_PER_MIB_NS;
            let hold_max_ns = if self.standing() == Standing::Awaiting { AWAIT_MAX_NS } else { HOLD_MAX_NS };
            let (uncertain_after_ns, hold_max_ns) = (UNCERTAIN_AFTER_NS + patience_ns, hold_max_ns + patience_ns);
            overdue.extend(open.tickets.iter().filter(|t| too_old(t.sealed_ns, uncertain_after_ns)).cloned());
            while open.held.front().is_some_and(|batch| too_old(batch.first_sealed_ns, hold_max_ns)) {
                refused.extend(open.held.pop_front());
            }
            // What waits in the open batch was never proposed: nobody leads, or this leader commits nothing any more
            // because its majority is gone. Its age counts from now on.
            if !open.batch.is_empty() {
                if open.batch.first_sealed_ns == 0 {
                    open.batch.first_sealed_ns = now_ns;
                } else if too_old(open.batch.first_sealed_ns, hold_max_ns) {
                    refused.push(std::mem::take(&mut open.batch));
                }
            }
        }
        for ticket in overdue {
            self.uncertain(&ticket);
        }
        for batch in refused {
            self.refuse(&batch, self.refusal().unwrap_or(NOREPLICAS));
        }
    }

    /// Notes what apply has done: the last entry, and the last accepted sequence, after the effects are visible.
    pub(crate) fn applied(&self, index: u64, term: u64, sequence: Option<u64>) {
        self.open.lock().applied = (term, sequence);
        self.applied_index.store(index, Ordering::Release);
        self.advanced.notify_waiters();
    }

    /// The index of the last entry whose effects readers see.
    pub(crate) fn applied_index(&self) -> u64 {
        self.applied_index.load(Ordering::Acquire)
    }

    /// Whether a follower's reads could be older than what this replica answered when it led.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.doubtful.load(Ordering::Acquire)
    }

    /// The replica has applied everything that was acknowledged up to a moment after it stopped leading.
    pub(crate) fn dispel_doubt(&self) {
        self.doubtful.store(false, Ordering::Release);
    }

    /// Waits until the entry at `index` is applied.
    pub(crate) async fn applied_up_to(&self, index: u64) {
        loop {
            let advanced = self.advanced.notified();
            tokio::pin!(advanced);
            advanced.as_mut().enable();
            if self.applied_index() >= index {
                return;
            }
            advanced.await;
        }
    }

    /// What [`Self::applied`] noted last.
    pub(crate) fn last_applied(&self) -> (u64, Option<u64>) {
        self.open.lock().applied
    }

    /// Stops sealing (for a leader transfer or a stop), or goes on.
    pub(crate) fn pause(&self, paused: bool) {
        self.open.lock().paused = paused;
        self.due.notify_one();
    }

    /// Whether everything that was sealed is answered, or held. Stays so while it is paused.
    pub(crate) fn is_settled(&self) -> bool {
        self.open.lock().unresolved == 0
    }

    /// CONFIG RESETSTAT.
    pub(crate) fn reset_stats(&self) {
        for counter in [&self.expired, &self.expired_fields, &self.freed, &self.popped_for_nobody] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// Refuses everything new from now on.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.close_waiters(true);
    }

    /// The same, because the node stops. As in Redis, who waits is not told: the connection closes.
    pub(crate) fn close_with_node(&self) {
        self.closing.store(true, Ordering::Release);
        self.close_waiters(false);
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether nothing is open, held or unanswered.
    pub(crate) fn is_idle(&self) -> bool {
        let open = self.open.lock();
        open.batch.is_empty() && open.due_waiters.is_empty() && open.held.is_empty() && open.unresolved == 0
    }

    pub(crate) fn deliver(&self, deliveries: impl IntoIterator<Item = Delivery>) {
        for (inbox, delivery) in self.inboxes.iter().zip(deliveries) {
            if !delivery.is_empty() {
                inbox.deliver(delivery);
            }
        }
    }

    pub(crate) fn io_threads(&self) -> usize {
        self.inboxes.len()
    }

    fn abandon(&self) {
        let tickets: Vec<_> = self.open.lock().tickets.drain(..).collect();
        for ticket in tickets {
            self.uncertain(&ticket);
        }
    }

    fn refuse_unproposed(&self, why: &'static str) {
        let (open, held) = {
            let mut open = self.open.lock();
            (std::mem::take(&mut open.batch), std::mem::take(&mut open.held))
        };
        for batch in held.iter().chain([&open]) {
            self.refuse(batch, why);
        }
    }

    fn uncertain(&self, ticket: &Ticket) {
        self.answer(ticket, |batch| {
            self.lose_waiters(batch);
            self.deliver(batch.failed(self.io_threads(), |_| UNCERTAIN.to_owned()));
        });
    }

    /// Answers a sealed batch, unless somebody else has.
    fn answer(&self, ticket: &Ticket, answer: impl FnOnce(&Batch)) {
        let Some(batch) = ticket.batch.lock().take() else { return };
        answer(&batch);
        self.resolve();
    }

    /// Answers a batch that was certainly not applied.
    fn refuse(&self, batch: &Batch, why: &'static str) {
        self.return_waiters(batch);
        self.deliver(batch.failed(self.io_threads(), |slot| self.definite(why, slot)));
    }

    /// One more sealed batch is answered, or came back to be held.
    fn resolve(&self) {
        let mut open = self.open.lock();
        open.unresolved -= 1;
        while open.tickets.front().is_some_and(|ticket| ticket.batch.lock().is_none()) {
            open.tickets.pop_front();
        }
        let due = open.is_due();
        drop(open);
        if due {
            self.due.notify_one();
        }
    }

    fn landed(&self) {
        let mut open = self.open.lock();
        open.in_flight -= 1;
        let due = open.is_due();
        drop(open);
        if due {
            self.due.notify_one();
        }
    }

    /// An entry was refused, applied or lost.
    fn decided(&self, term: u64) {
        let mut open = self.open.lock();
        if open.leadership == term {
            open.undecided -= 1;
        }
        let due = open.is_due();
        drop(open);
        if due {
            self.due.notify_one();
        }
    }

    fn hold(&self, batch: Batch) {
        let mut open = self.open.lock();
        // Refusals come in the order of proposals, but for those found at apply: keep the order of first sealing. What was
        // never sealed comes last.
        let place = |batch: &Batch| batch.ordinal.unwrap_or(u64::MAX);
        let at = open.held.partition_point(|held| place(held) <= place(&batch));
        open.held.insert(at, batch);
    }
}

impl Open {
    fn is_due(&self) -> bool {
        if self.paused || self.refused {
            return false;
        }
        if !self.held.is_empty() {
            return self.unresolved == 0 && self.undecided == 0;
        }
        !(self.batch.is_empty() && self.due_waiters.is_empty())
            && (self.in_flight == 0
                || (self.in_flight < IN_FLIGHT_MAX
                    && (self.batch.commands() >= BATCH_COMMANDS_WORTH || self.batch.bytes() >= BATCH_BYTES_WORTH)))
    }

    fn next_batch(&mut self, tick: bool) -> Option<Batch> {
        if self.is_due() {
            return Some(self.held.pop_front().unwrap_or_else(|| std::mem::take(&mut self.batch)));
        }
        (tick && !self.paused && self.held.is_empty() && self.in_flight == 0).then(Batch::default)
    }
}

/// Travels with an entry through Raft to apply. Dropped on the way, it answers that the outcome is unknown.
pub(crate) struct EntryWaiter {
    shard: Arc<Shard>,
    ticket: Arc<Ticket>,
    term: u64,
    in_flight: bool,
    /// Apply has the batch.
    is_taken: bool,
}

impl EntryWaiter {
    /// The batch, for apply to run and answer; `None` when it was answered already. Pair with [`Self::finish`].
    ///
    /// # Panics
    /// If a batch that was first sealed later took effect before, or this one did: the order that connections were
    /// promised is lost, or a command happens twice.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        let batch = self.ticket.batch.lock().take()?;
        self.is_taken = true;
        let ordinal = batch.ordinal.expect("a batch in an entry was sealed");
        let last = self.shard.took_effect.swap(ordinal, Ordering::Relaxed);
        assert!(last < ordinal, "batch {ordinal} takes effect behind batch {last}");
        Some(batch)
    }

    /// Says that apply is done with the entry, and its effects are visible. What was taken is answered; what was not was
    /// out of sequence, had no effect and is sealed anew.
    pub(crate) fn finish(self) {
        if self.is_taken {
            self.shard.resolve();
        } else {
            self.come_back();
        }
    }

    fn come_back(&self) {
        let Some(batch) = self.ticket.batch.lock().take() else { return };
        // A tick waits for nobody.
        if !batch.is_empty() {
            self.shard.hold(batch);
        }
        self.shard.resolve();
    }

    fn land(&mut self) {
        if std::mem::take(&mut self.in_flight) {
            self.shard.landed();
        }
    }
}

impl Waiter for EntryWaiter {
    fn committed(&mut self, _: LogId) {
        self.land();
    }

    fn refused(mut self, reason: Refusal) {
        match reason {
            Refusal::NotLeader | Refusal::NoLease => {
                self.shard.open.lock().refused = true;
                self.come_back();
            }
            Refusal::Stopping => self.shard.answer(&self.ticket, |batch| self.shard.refuse(batch, NOREPLICAS)),
        }
        self.land();
    }
}

impl Drop for EntryWaiter {
    fn drop(&mut self) {
        self.land();
        self.shard.uncertain(&self.ticket);
        self.shard.decided(self.term);
    }
}

#[cfg(test)]
mod tests;
