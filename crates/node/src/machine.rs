//! Apply: runs committed entries on the keyspace, on a thread of its own.
//!
//! A total function of (state, entry): nothing here looks at the configuration, at a clock (but for how long the
//! lock was held) or at who leads. What cannot be read stops the process. The replies of an entry that was
//! proposed here go to the connections that wait; on the other replicas they are not even written.

mod ahead;
mod waiting;

use std::any::Any;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use commands::{Handler, Spec};
use keyspace::{Context, Keyspace};
use parking_lot::RwLockWriteGuard;
use raft::{Clock, CommittedEntry, LogId, SnapshotReader};
use resp::{ArgumentRanges, Arguments, Protocol, Reply};
use tokio::sync::{mpsc, oneshot};

use crate::batch::{Batch, Op};
use crate::config::{Settings, ShardSettings};
use crate::entry::{EntryError, Header, Item, Kind, PreconditionRef, Reader};
use crate::fence::{self, Data, Fence, NOT_SERVED};
use crate::inbox::{Delivery, Route};
use crate::shard::{EntryWaiter, Shard};
use crate::snapshot::{self, Encoder, FrozenState};
use crate::stats::Ran;
use ahead::Ahead;
pub(crate) use waiting::Reading;

/// So many commands run before waiting readers get their turn.
const COMMANDS_PER_TURN: u32 = 64;
/// Or so much time.
const TURN_NS: u64 = 50_000;
/// Jobs that may wait for the apply thread; raft awaits each, so few ever do.
const JOBS_MAX: usize = 64;
/// Big things that may wait to be freed.
const GARBAGE_MAX: usize = 64;
/// At most so many due keys are removed before an entry's commands; the rest follow with the next entries.
const DUE_KEYS_PER_ENTRY: usize = 64;

/// What the apply thread is asked to do, in order.
enum Job {
    Apply(Vec<CommittedEntry<EntryWaiter>>, oneshot::Sender<()>),
    Freeze(oneshot::Sender<FrozenState>),
    Install(u64, Pin<Box<dyn Future<Output = io::Result<State>> + Send>>, oneshot::Sender<io::Result<()>>),
    Hold(Duration, oneshot::Sender<()>),
    Read(Box<Reading>),
}

/// What a shard replicates beside its keys: which entries followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The term of the leadership that the last accepted entry belongs to.
    pub(crate) term: u64,
    /// Its sequence number; `None` before the first of the leadership.
    pub(crate) sequence: Option<u64>,
}

/// The whole state of a shard.
pub(crate) struct State {
    pub(crate) keyspace: Keyspace,
    pub(crate) fence: Fence,
    pub(crate) settings: ShardSettings,
    pub(crate) progress: Progress,
}

/// Hears of the shard's settings whenever they have changed.
pub(crate) type OnSettings = Box<dyn Fn(&ShardSettings) + Send>;

/// The handle to an apply thread: gives it entries, and DEBUG SLEEP.
#[derive(Clone)]
pub(crate) struct Machine {
    jobs: mpsc::Sender<Job>,
}

impl Machine {
    /// A machine, and what its threads are to run: apply; and the encoding of snapshots and the freeing of what is big.
    pub(crate) fn new<C: Clock>(
        shard: Arc<Shard>,
        clock: C,
        on_settings: OnSettings,
    ) -> (Self, impl Future<Output = ()>, impl Future<Output = ()>) {
        let (jobs, mut queue) = mpsc::channel(JOBS_MAX);
        let (garbage, mut garbage_queue) = mpsc::channel(GARBAGE_MAX);
        let freed_for = Arc::clone(&shard);
        let freeing = async move {
            while let Some(Garbage { what, objects }) = garbage_queue.recv().await {
                drop(what);
                freed_for.freeing.fetch_sub(objects, Ordering::Relaxed);
                freed_for.freed.fetch_add(objects, Ordering::Relaxed);
            }
        };
        let (encoder, encoding) = snapshot::encoder();
        let reclaiming = async move {
            tokio::join!(freeing, encoding);
        };
        let work = async move {
            let reclaim = Reclaim { queue: garbage, shard: Arc::clone(&shard) };
            let mut apply = Apply::new(shard, clock, on_settings, reclaim, encoder);
            while let Some(job) = queue.recv().await {
                apply.run(job).await;
            }
        };
        (Self { jobs }, work, reclaiming)
    }

    /// Holds the apply thread for this long (DEBUG SLEEP). Only this node's.
    pub(crate) async fn hold(&self, time: Duration) {
        let (done, held) = oneshot::channel();
        if self.jobs.send(Job::Hold(time, done)).await.is_ok() {
            // The thread ends only with the node.
            let _ = held.await;
        }
    }

    /// Runs a call that reads, and parks it if it finds nothing. Its reply comes through the inbox.
    pub(crate) async fn read_or_park(&self, reading: Reading) {
        // Without its apply thread the node is stopping, and its connections with it.
        drop(self.jobs.send(Job::Read(Box::new(reading))).await);
    }

    async fn ask<T>(&self, job: Job, answer: oneshot::Receiver<T>) -> Option<T> {
        self.jobs.send(job).await.ok()?;
        answer.await.ok()
    }
}

impl raft::Machine for Machine {
    type Waiter = EntryWaiter;
    type Frozen = FrozenState;

    async fn apply(&mut self, entries: Vec<CommittedEntry<EntryWaiter>>) {
        let (done, applied) = oneshot::channel();
        // Without its apply thread the node is stopping; the waiters answer by being dropped.
        self.ask(Job::Apply(entries, done), applied).await;
    }

    async fn freeze(&mut self) -> FrozenState {
        let (done, frozen) = oneshot::channel();
        match self.ask(Job::Freeze(done), frozen).await {
            Some(frozen) => frozen,
            None => std::future::pending().await,
        }
    }

    async fn install<R: SnapshotReader>(&mut self, last: LogId, chunks: R) -> io::Result<()> {
        let (done, installed) = oneshot::channel();
        let decoding = Box::pin(snapshot::decode(chunks));
        let stopped = || Err(io::Error::other("the node is stopping"));
        self.ask(Job::Install(last.index, decoding, done), installed).await.unwrap_or_else(stopped)
    }
}

struct Apply<C> {
    shard: Arc<Shard>,
    clock: C,
    progress: Progress,
    applied_index: u64,
    settings: ShardSettings,
    on_settings: OnSettings,
    reclaim: Reclaim,
    encoder: Encoder,
    ranges: ArgumentRanges,
    read_ranges: ArgumentRanges,
    deliveries: Vec<Delivery>,
}

impl<C: Clock> Apply<C> {
    fn new(shard: Arc<Shard>, clock: C, on_settings: OnSettings, reclaim: Reclaim, encoder: Encoder) -> Self {
        let deliveries = (0..shard.io_threads()).map(|_| Delivery::default()).collect();
        let (ranges, read_ranges) = (ArgumentRanges::default(), ArgumentRanges::default());
        let (progress, settings) = (Progress::default(), Settings::defaults().shard);
        Self {
            shard,
            clock,
            progress,
            applied_index: 0,
            settings,
            on_settings,
            reclaim,
            encoder,
            ranges,
            read_ranges,
            deliveries,
        }
    }

    async fn run(&mut self, job: Job) {
        match job {
            Job::Apply(entries, done) => {
                self.apply(entries);
                let _ = done.send(());
            }
            Job::Freeze(done) => {
                let (keyspace, fence) = {
                    let data = self.shard.data.read();
                    self.shard.frozen_revision.store(data.revision(), Ordering::Relaxed);
                    (data.freeze(), data.fence.clone())
                };
                let saving = Arc::clone(&self.shard.saving);
                let begun = self.encoder.begin(keyspace, &self.settings, self.progress, &fence, saving).await;
                let _ = done.send(begun);
            }
            Job::Install(last, decoding, done) => {
                let installed = decoding.await.map(|state| self.replace(last, state));
                let _ = done.send(installed);
            }
            Job::Hold(time, done) => {
                tokio::time::sleep(time).await;
                let _ = done.send(());
            }
            Job::Read(reading) => self.read_or_park(*reading),
        }
    }

    fn replace(&mut self, last: u64, mut state: State) {
        self.applied_index = last;
        self.progress = state.progress;
        self.settings = state.settings;
        (self.on_settings)(&self.settings);
        state.keyspace.set_accesses(self.settings.accesses());
        for revision in [&self.shard.frozen_revision, &self.shard.saved_revision] {
            revision.store(state.keyspace.revision(), Ordering::Relaxed);
        }
        let data = Data { keyspace: state.keyspace, fence: state.fence };
        let old = std::mem::replace(&mut *self.shard.data.write(), data);
        self.publish();
        self.reclaim.free(0, old.keyspace);
        if self.shard.is_waited_on() {
            let (shard, clock, reclaim) = (Arc::clone(&self.shard), self.clock.clone(), self.reclaim.clone());
            let mut turn = Turn::new(&shard, &clock, &reclaim);
            turn.touch_all();
            shard.redirect_waiters(&turn.data.fence);
            shard.deliver_each(std::mem::take(&mut turn.answers));
        }
    }

    fn apply(&mut self, entries: Vec<CommittedEntry<EntryWaiter>>) {
        let mut waiters = Vec::with_capacity(entries.len());
        let shard = Arc::clone(&self.shard);
        let clock = self.clock.clone();
        let reclaim = self.reclaim.clone();
        let mut turn = Turn::new(&shard, &clock, &reclaim);
        for entry in entries {
            waiters.extend(self.apply_entry(entry, &mut turn));
        }
        let answers = std::mem::take(&mut turn.answers);
        if !turn.ready.is_empty() {
            shard.launch_ready(&turn.ready, &turn.data);
        }
        drop(turn);
        self.publish();
        for (route, reply) in answers {
            self.deliveries[usize::from(route.io)].add(route, &reply);
        }
        let index = self.applied_index;
        let deliveries = self.deliveries.iter_mut().map(|delivery| Delivery { index, ..std::mem::take(delivery) });
        shard.deliver(deliveries);
        waiters.into_iter().for_each(EntryWaiter::finish);
    }

    /// Applies one entry. Returns its waiter, to be finished once the effects are visible.
    fn apply_entry(&mut self, entry: CommittedEntry<EntryWaiter>, turn: &mut Turn<'_, C>) -> Option<EntryWaiter> {
        self.applied_index = entry.id.index;
        let payload = entry.payload?;
        let opened = Reader::open(&payload, &mut self.ranges);
        let (header, mut reader) = opened.unwrap_or_else(|why| panic!("entry {}: {why}", entry.id));
        let mut waiter = entry.waiter;
        if !self.progress.accept(entry.id.term, header.sequence) {
            return waiter;
        }
        turn.data.remove_due(header.now_ms, DUE_KEYS_PER_ENTRY);
        let batch = waiter.as_mut().and_then(EntryWaiter::take);
        turn.settle_effects();
        turn.serve_readers();
        let mut place = Place { header, number: 0 };
        turn.ahead.begin(header.items);
        let result = match (header.kind, &batch) {
            (Kind::Settings, _) => {
                let applied = settings(&mut self.settings, &mut turn.data, &mut reader, header);
                (self.on_settings)(&self.settings);
                batch.iter().for_each(|batch| acknowledge(batch, &mut self.deliveries));
                applied
            }
            (Kind::Fence, _) => {
                let applied = move_fence(&mut turn.data, &mut reader, header);
                turn.shard.redirect_waiters(&turn.data.fence);
                applied
            }
            (Kind::Commands, None) => silently(turn, &mut reader, &mut place),
            (Kind::Commands, Some(batch)) => {
                answering(turn, &mut reader, &mut place, batch, &mut self.read_ranges, &mut self.deliveries)
            }
        };
        result.unwrap_or_else(|why| panic!("entry {}: {why}", entry.id));
        waiter
    }

    /// Shows the outside what changed: after the effects are visible, before anybody is answered.
    fn publish(&self) {
        let (deadline, expires, bytes) = {
            let data = self.shard.data.read();
            (data.next_deadline_ms(), data.expires_actively(), data.allocated_bytes())
        };
        self.shard.data_bytes.store(bytes as u64, Ordering::Relaxed);
        self.shard.expires_actively.store(expires, Ordering::Relaxed);
        self.shard.next_deadline_ms.store(deadline.unwrap_or(u64::MAX), Ordering::Relaxed);
        self.shard.applied(self.applied_index, self.progress.term, self.progress.sequence);
    }
}

impl Progress {
    /// Whether an entry follows the last accepted one; if so it becomes the last.
    fn accept(&mut self, term: u64, sequence: u64) -> bool {
        let expected = if term == self.term { self.sequence.map_or(0, |last| last + 1) } else { 0 };
        if term < self.term || sequence != expected {
            return false;
        }
        *self = Self { term, sequence: Some(sequence) };
        true
    }
}

/// The keyspace in the hands of apply, handed to waiting readers now and then, between commands.
struct Turn<'a, C> {
    shard: &'a Shard,
    data: RwLockWriteGuard<'a, Data>,
    clock: &'a C,
    reclaim: &'a Reclaim,
    commands: u32,
    since_ns: u64,
    /// The client that is answered; `None` where nobody is.
    client: Option<u64>,
    /// Its commands leave no marks of access.
    no_touch: bool,
    /// The command that runs may wait: one that finds nothing is not counted.
    may_wait: bool,
    /// Keys that somebody waits for and the running item has changed.
    touched: Vec<(u8, Box<[u8]>)>,
    /// Keys that somebody waits for and were changed before: who pops is launched at the end.
    ready: Vec<(u8, Box<[u8]>)>,
    /// Replies to clients who waited.
    answers: Vec<(Route, Vec<u8>)>,
    ahead: Ahead,
}

impl<'a, C: Clock> Turn<'a, C> {
    fn new(shard: &'a Shard, clock: &'a C, reclaim: &'a Reclaim) -> Self {
        let (mut data, since_ns) = (shard.data.write(), clock.monotonic_ns());
        data.listen(shard.is_waited_on());
        Self {
            shard,
            data,
            clock,
            reclaim,
            commands: 0,
            since_ns,
            client: None,
            no_touch: false,
            may_wait: false,
            touched: Vec::new(),
            ready: Vec::new(),
            answers: Vec::new(),
            ahead: Ahead::default(),
        }
    }

    /// The circumstances of the next command of an entry.
    fn context(&self, place: &mut Place, database: u8) -> Context {
        let mut context = place.context(&self.data, database);
        context.no_touch = self.no_touch;
        context
    }

    /// Does what is to be done about what changed.
    fn settle_effects(&mut self) {
        let mut effects = self.data.keyspace.take_effects();
        if effects.expired_count > 0 {
            self.shard.expired.fetch_add(effects.expired_count as u64, Ordering::Relaxed);
        }
        if effects.expired_fields_count > 0 {
            self.shard.expired_fields.fetch_add(effects.expired_fields_count as u64, Ordering::Relaxed);
        }
        if effects.changed {
            self.note_touched(&mut effects);
        }
        if !effects.discarded.is_empty() || !effects.flushed.is_empty() {
            let flushed: usize = effects.flushed.iter().map(|database| database.key_count()).sum();
            self.reclaim.free(effects.discarded.len() + flushed, (effects.discarded, effects.flushed));
        }
    }

    /// Runs a command, and counts it if somebody is answered.
    fn count(
        &mut self,
        spec: &Spec,
        arguments: Arguments<'_>,
        context: &Context,
        reply: &mut Reply,
        run: impl FnOnce(&mut Self, &mut Reply),
    ) {
        let Some(client) = self.client else { return run(self, reply) };
        let (stats, tally, clock) = (&self.shard.stats, &self.shard.tally, self.clock);
        let (place, mark) = (commands::place_of(spec), reply.mark());
        let start_ns = tally.times(place, &stats.slow).then(|| clock.monotonic_ns());
        run(self, reply);
        if self.may_wait && commands::is_null(reply.since(mark)) {
            return;
        }
        let nanoseconds = start_ns.map(|start| clock.monotonic_ns().saturating_sub(start));
        let ran = Ran { place, spec, arguments, nanoseconds, reply: reply.since(mark), client };
        stats.ran(tally, &ran, || clock.wall_ms());
        if matches!(spec.handler, Handler::Read(_)) {
            stats.of_apply().hits.fetch_add(context.hits.get().into(), Ordering::Relaxed);
            stats.of_apply().misses.fetch_add(context.misses.get().into(), Ordering::Relaxed);
        }
    }

    /// Called between commands.
    fn pass(&mut self) {
        self.commands += 1;
        // A look at the clock costs as much as a small command: take one every fourth time.
        let time_is_up = self.commands.is_multiple_of(4) && self.clock.monotonic_ns() - self.since_ns >= TURN_NS;
        if self.commands >= COMMANDS_PER_TURN || time_is_up {
            // std's lock starved readers for 139 ms; this hands it over, and is cheap when nobody waits.
            RwLockWriteGuard::bump(&mut self.data);
            self.commands = 0;
            self.since_ns = self.clock.monotonic_ns();
        }
    }
}

/// Where in its entry a command stands: what its context comes from.
struct Place {
    header: Header,
    number: u64,
}

impl Place {
    fn context(&mut self, keyspace: &Keyspace, database: u8) -> Context {
        self.number += 1;
        // Distinct for every place of an entry; the generator behind it mixes well.
        let seed = self.header.seed ^ self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Context::of_entry(usize::from(database), keyspace.clock_ms(), seed)
    }
}

type Applied = Result<(), EntryError>;

fn silently<C: Clock>(turn: &mut Turn<'_, C>, reader: &mut Reader<'_>, place: &mut Place) -> Applied {
    let mut reply = Reply::discarding(Protocol::Resp2);
    for _ in 0..place.header.items {
        run_item(turn, reader, place, &mut reply)?;
    }
    Ok(())
}

fn answering<C: Clock>(
    turn: &mut Turn<'_, C>,
    reader: &mut Reader<'_>,
    place: &mut Place,
    batch: &Batch,
    read_ranges: &mut ArgumentRanges,
    deliveries: &mut [Delivery],
) -> Applied {
    let mut ops = batch.ops.iter().peekable();
    for_waiters(turn, reader, place, &mut ops)?;
    for run in &batch.runs {
        let delivery = &mut deliveries[usize::from(run.route.io)];
        let mut reply = Reply::over(std::mem::take(&mut delivery.bytes), run.protocol);
        (turn.client, turn.no_touch) = (Some(run.route.client), run.no_touch);
        let mut is_parked = false;
        for _ in 0..run.ops {
            match *ops.next().expect("a run has as many ops as it says") {
                Op::Item => run_item(turn, reader, place, &mut reply)?,
                Op::Waits => is_parked = turn.run_or_park(reader, place, run, &mut reply)?,
                Op::Served(_) => unreachable!("they are taken with the op in front of them"),
                Op::Read { database, start, end } => {
                    let raw = &batch.reads[start as usize..end as usize];
                    ride(turn, read_ranges, raw, database, place.header.seed, &mut reply);
                }
            }
            for_waiters(turn, reader, place, &mut ops)?;
        }
        delivery.bytes = reply.into_bytes();
        if is_parked {
            delivery.parked.push(run.route);
        } else {
            delivery.parts.push((run.route, delivery.bytes.len()));
        }
    }
    (turn.client, turn.no_touch) = (None, false);
    Ok(())
}

/// Runs the commands of waiters that stand next.
fn for_waiters<'o, C: Clock>(
    turn: &mut Turn<'_, C>,
    reader: &mut Reader<'_>,
    place: &mut Place,
    ops: &mut std::iter::Peekable<impl Iterator<Item = &'o Op>>,
) -> Applied {
    while let Some(Op::Served(number)) = ops.next_if(|op| matches!(op, Op::Served(_))) {
        turn.run_for_waiter(*number, reader, place)?;
    }
    Ok(())
}

fn run_item<C: Clock>(
    turn: &mut Turn<'_, C>,
    reader: &mut Reader<'_>,
    place: &mut Place,
    reply: &mut Reply,
) -> Applied {
    turn.ahead.maybe_fetch(reader, &turn.data);
    match reader.item()? {
        Item::Command => {
            let (database, arguments) = reader.command()?;
            let context = turn.context(place, database);
            run_command(turn, arguments, &context, reply);
        }
        Item::Transaction { preconditions, commands } => {
            let served = turn.data.fence == Fence::All
                || admits_all(&turn.data.fence, reader.fork(&mut ArgumentRanges::default()), commands)?;
            let holds = served && preconditions.iter().all(|condition| holds(&turn.data, condition));
            if holds {
                reply.array(commands as usize);
            } else if served {
                reply.null_array();
            } else {
                reply.error(NOT_SERVED);
            }
            for _ in 0..commands {
                let (database, arguments) = reader.command()?;
                let context = turn.context(place, database);
                if holds {
                    run_command(turn, arguments, &context, reply);
                }
            }
        }
    }
    if !turn.touched.is_empty() {
        turn.serve_readers();
    }
    turn.pass();
    Ok(())
}

/// Whether the shard serves every slot that the next commands are about: a transaction happens as a whole or not at all.
fn admits_all(fence: &Fence, mut reader: Reader<'_>, commands: u32) -> Result<bool, EntryError> {
    for _ in 0..commands {
        let (_, arguments) = reader.command()?;
        if commands::resolve(arguments).is_ok_and(|spec| !fence.admits(spec, arguments)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn holds(keyspace: &Keyspace, condition: &PreconditionRef<'_>) -> bool {
    let context = Context::of_entry(usize::from(condition.database), keyspace.clock_ms(), 0);
    keyspace.is_unchanged(&context, condition.key, condition.mark)
}

/// Runs one command of an entry. Reads are there too: a transaction's.
fn run_command<C: Clock>(turn: &mut Turn<'_, C>, arguments: Arguments<'_>, context: &Context, reply: &mut Reply) {
    match commands::resolve(arguments) {
        Ok(spec) if !turn.data.fence.admits(spec, arguments) => return reply.error(NOT_SERVED),
        Ok(spec) => turn.count(spec, arguments, context, reply, |turn, reply| {
            commands::run_write(spec, &mut turn.data.keyspace, arguments, context, reply);
        }),
        // Resolved before it was sealed, by the same table.
        Err(error) => reply.error(error.to_string()),
    }
    turn.settle_effects();
}

/// What is to be freed, and how many values or keys INFO counts for it.
struct Garbage {
    what: Box<dyn Any + Send>,
    objects: u64,
}

/// What is big is dropped on a thread of its own.
#[derive(Clone)]
struct Reclaim {
    queue: mpsc::Sender<Garbage>,
    shard: Arc<Shard>,
}

impl Reclaim {
    fn free(&self, objects: usize, what: impl Any + Send) {
        let objects = objects as u64;
        // BEFORE it is sent: the other thread takes them off again.
        self.shard.freeing.fetch_add(objects, Ordering::Relaxed);
        if let Err(error) = self.queue.try_send(Garbage { what: Box::new(what), objects }) {
            // With the queue full, freeing here is what keeps memory bounded.
            drop(error);
            self.shard.freeing.fetch_sub(objects, Ordering::Relaxed);
        }
    }
}

fn ride<C: Clock>(
    turn: &mut Turn<'_, C>,
    ranges: &mut ArgumentRanges,
    raw: &[u8],
    database: u8,
    seed: u64,
    reply: &mut Reply,
) {
    let arguments = resp::parse_stored(raw, ranges).expect("a riding read was a command that decoded");
    let mut context = Context::of_entry(usize::from(database), turn.data.clock_ms(), seed);
    context.no_touch = turn.no_touch;
    let spec = commands::resolve(arguments).expect("a riding read was resolved before");
    if !turn.data.fence.admits(spec, arguments) {
        return reply.error(NOT_SERVED);
    }
    turn.count(spec, arguments, &context, reply, |turn, reply| {
        commands::run_read(spec, &turn.data, arguments, &context, reply);
    });
}

/// Takes over settings of the shard.
fn settings(known: &mut ShardSettings, keyspace: &mut Keyspace, reader: &mut Reader<'_>, header: Header) -> Applied {
    for _ in 0..header.items {
        let pair = reader.array()?;
        let text = |place| pair.get(place).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let (Some(name), Some(value)) = (text(0), text(1)) else {
            return Err(EntryError::Malformed("a setting without a value"));
        };
        let unknown = |_| EntryError::Malformed("a setting that this version does not know");
        known.take_pairs([(name, value)]).map_err(unknown)?;
    }
    keyspace.set_settings(known.to_keyspace(keyspace.settings().hash_key));
    keyspace.set_accesses(known.accesses());
    Ok(())
}

/// Moves the fence, or sets the key of the hash tables.
fn move_fence(data: &mut Data, reader: &mut Reader<'_>, header: Header) -> Applied {
    for _ in 0..header.items {
        if !fence::apply(data, reader.array()?) {
            return Err(EntryError::Malformed("a change of the fence that this version does not know"));
        }
    }
    Ok(())
}

/// Answers OK to whoever set the settings.
fn acknowledge(batch: &Batch, deliveries: &mut [Delivery]) {
    for run in &batch.runs {
        let delivery = &mut deliveries[usize::from(run.route.io)];
        let mut reply = Reply::over(std::mem::take(&mut delivery.bytes), run.protocol);
        reply.ok();
        delivery.bytes = reply.into_bytes();
        delivery.parts.push((run.route, delivery.bytes.len()));
    }
}
