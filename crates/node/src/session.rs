//! A session: who the client is, and the gates that its commands pass, in order.
//!
//! unknown name or wrong arity, authentication, MULTI's queue, loading; then by what the command is: a read runs here, a
//! write is staged, the rest is about the session (`session/`) or about the node.

mod client;
mod client_filter;
mod clients;
mod cluster;
mod config;
mod copies;
mod memory;
mod node_commands;
mod observe;
mod refusals;
mod served;
mod transaction;
mod waiting;
mod way;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use commands::{CommandError, Fieldsets, Flags, Handler, Migration, Spec};
use keyspace::Context;
use parking_lot::RwLockReadGuard;
use raft::Clock;
use resp::{Arguments, Mark, Protocol, Reply};

use crate::batch::Staged;
use crate::clients::{Client, NO_COMMAND, Summary};
use crate::copies::{Wish, Written};
use crate::fence::{Data, NOT_SERVED};
use crate::inbox::Mailbox;
use crate::node::Shared;
use crate::platform::{Platform, Random};
use crate::replica::Replica;
use crate::shard::{COMMAND_BYTES_MAX, MISCONF, Shard, Standing, TOO_LARGE};
use crate::stats::{Counts, Ran, Tally};
pub(crate) use cluster::{ClusterWork, Facts};
pub(crate) use copies::{NO_APPENDONLY, write_count};
pub(crate) use node_commands::split_address;
use served::Asked;
use transaction::Transaction;
use waiting::Unblock;
pub(crate) use waiting::{Waiting, end_once};
use way::Ways;

/// So many reads of one pipeline run under one taking of the lock.
const READS_PER_LOCK: u32 = 64;

/// What passes between a connection and its session.
pub(crate) struct Exchange {
    /// Where replies are written.
    pub(crate) reply: Reply,
    /// What goes to the shard with this socket read.
    pub(crate) staged: Staged,
    /// A round of the group has confirmed that reads may be answered, once.
    pub(crate) confirmed: bool,
    /// Such a round has failed: what the read is told.
    pub(crate) denied: Option<&'static str>,
    /// Commands run since they were last counted.
    pub(crate) commands: u64,
    /// Keys that reads have found, and not found, since then.
    hits: u64,
    misses: u64,
    /// CLIENT REPLY.
    mute: Mute,
    /// Scratch that the mailbox is emptied into.
    scratch: Vec<u8>,
}

/// Whose replies are dropped, from which place of the replies on.
#[derive(Clone, Copy)]
enum Mute {
    /// Nobody's.
    No,
    /// The next command's.
    Next,
    /// That command's: it was passed on.
    This(Mark),
    /// Everybody's, until CLIENT REPLY ON.
    All(Mark),
}

/// What a connection does after a command was looked at.
pub(crate) enum Step {
    /// It is answered, queued or staged.
    Done,
    /// Not looked at: what is staged or on its way must be answered before.
    AfterReplies,
    /// Not looked at: the right to read has to be confirmed by the group.
    Confirm,
    /// Not looked at: it is about another replica of this node.
    Elsewhere(Arc<Replica>),
    /// Not looked at: nobody is known to lead the shard that it is about.
    Leaderless,
    /// Not looked at: CLIENT PAUSE holds it.
    Paused,
    /// It takes its time; see [`Session::finish`].
    Later(Later),
    /// The client leaves.
    Close,
}

impl Step {
    /// Whether the command was not looked at, and will be given to the session once more.
    fn comes_again(&self) -> bool {
        matches!(self, Self::AfterReplies | Self::Confirm | Self::Paused | Self::Elsewhere(_) | Self::Leaderless)
    }
}

/// A command that awaits something outside of this connection.
pub(crate) enum Later {
    /// DEBUG SLEEP.
    Hold(Duration),
    /// WAIT and WAITAOF: the connection waits.
    Copies(Wish),
    /// SAVE.
    Save,
    /// A command of the cluster that takes its time.
    Cluster(ClusterWork),
    /// CONFIG SET of settings of the shard, which become an entry: the connection proposes it.
    Config(crate::config::Plan),
    /// A transaction with commands that are not about data among the others: the connection stitches the replies. Those of the others are there,
    /// or they are staged.
    Transaction { transaction: Box<Transaction>, replies: Option<Vec<u8>> },
    /// A command about all keys of several shards: the connection asks one after the other.
    Served(Box<Asked>),
    /// A command that waits if it finds nothing: the connection does.
    Block(Box<Waiting>),
    /// CLIENT UNBLOCK of a client for whom something is in flight.
    Unblock(Box<Unblock>),
    /// MIGRATE: the connection reads the keys, sends them, and removes them.
    Migrate(Box<Migration>),
}

/// The shard's data in the hands of a connection, for as long as it does not wait.
pub(crate) struct Reading<'a> {
    shard: &'a Shard,
    wall_ms: u64,
    seed: u64,
    /// Whether a lease or a round of the group allows reads; `None` until it is asked.
    right: Option<Right>,
    confirmed: bool,
    guard: Option<RwLockReadGuard<'a, Data>>,
    reads: u32,
}

/// Why reads may be answered, or not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Right {
    /// This replica leads, surely.
    Linearizable,
    /// It follows, and its reads may be old.
    Stale,
    /// It leads, perhaps; or it led until lately and may be behind what it answered then.
    Unconfirmed,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(shard: &'a Shard, wall_ms: u64, seed: u64, confirmed: bool) -> Self {
        Self { shard, wall_ms, seed, right: None, confirmed, guard: None, reads: 0 }
    }

    /// A seed for the next command.
    fn seed(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.seed
    }

    /// The right is looked up once per burst: every read of it was received before, so that moment may be its place in
    /// the order of things.
    fn right(&mut self, holds_lease: impl FnOnce() -> bool) -> Right {
        let confirmed = self.confirmed;
        let shard = self.shard;
        *self.right.get_or_insert_with(|| match shard.standing() {
            Standing::Leading if confirmed || holds_lease() => Right::Linearizable,
            Standing::Leading => Right::Unconfirmed,
            _ if shard.is_doubtful() && !confirmed => Right::Unconfirmed,
            Standing::Following | Standing::Leaderless | Standing::Awaiting => Right::Stale,
        })
    }

    fn data(&mut self) -> &RwLockReadGuard<'a, Data> {
        if self.reads >= READS_PER_LOCK {
            self.release();
        }
        self.reads += 1;
        self.guard.get_or_insert_with(|| self.shard.data.read())
    }

    /// Lets apply have the lock.
    pub(crate) fn release(&mut self) {
        self.guard = None;
        self.reads = 0;
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            reply: Reply::new(Protocol::Resp2),
            staged: Staged::default(),
            confirmed: false,
            denied: None,
            commands: 0,
            hits: 0,
            misses: 0,
            mute: Mute::No,
            scratch: Vec::new(),
        }
    }
}

impl Exchange {
    /// Whether a reply has to wait for those of the run that is staged.
    pub(crate) fn must_wait(&self) -> bool {
        !self.staged.is_empty()
    }

    /// Counts the keys that a read has looked for.
    fn count_keys(&mut self, context: &Context) {
        self.hits += u64::from(context.hits.get());
        self.misses += u64::from(context.misses.get());
    }

    /// Adds up what was counted.
    pub(crate) fn report(&mut self, counts: &Counts) {
        let sums = [
            (&mut self.commands, &counts.commands),
            (&mut self.hits, &counts.hits),
            (&mut self.misses, &counts.misses),
        ];
        for (counted, sum) in sums {
            if *counted > 0 {
                sum.fetch_add(std::mem::take(counted), Ordering::Relaxed);
            }
        }
    }

    /// Whether the reply of the running command alone is kept from the client.
    pub(crate) fn is_muted_once(&self) -> bool {
        matches!(self.mute, Mute::This(_))
    }

    /// Drops the replies that CLIENT REPLY keeps from the client. Called when none are owed.
    pub(crate) fn drop_muted(&mut self) {
        match self.mute {
            Mute::No | Mute::Next => (),
            Mute::This(mark) => {
                self.reply.rollback(mark);
                self.mute = Mute::No;
            }
            Mute::All(mark) => {
                self.reply.rollback(mark);
                // What is in front goes out now.
                self.mute = Mute::All(Reply::new(self.reply.protocol()).mark());
            }
        }
    }

    /// Appends what came back to the replies.
    pub(crate) fn take_replies(&mut self, mailbox: &Mailbox) {
        mailbox.take_into(&mut self.scratch);
        if self.reply.is_empty() {
            self.reply.swap(&mut self.scratch);
        } else {
            self.reply.raw(&self.scratch);
        }
        self.scratch.clear();
    }
}

/// What others are shown of what a session is at.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Shown {
    last: Option<&'static str>,
    database: usize,
    /// The commands between MULTI and EXEC, and their bytes.
    queued: Option<(usize, usize)>,
    watching: usize,
}

impl Shown {
    fn put(self, summary: &mut Summary) {
        summary.last_command = self.last.unwrap_or(NO_COMMAND);
        summary.database = self.database;
        summary.queued = self.queued.map(|(count, _)| count);
        summary.queued_bytes = self.queued.map_or(0, |(_, bytes)| bytes);
        summary.watching = self.watching;
    }
}

/// See the module.
pub(crate) struct Session<P: Platform> {
    node: Arc<Shared<P>>,
    /// The replica that its commands are about.
    replica: Arc<Replica>,
    /// In a cluster: where slots are.
    way: Ways,
    client: Arc<Client>,
    database: usize,
    authenticated: bool,
    name: String,
    lib_name: String,
    lib_version: String,
    transaction: Option<Transaction>,
    watched: Vec<crate::entry::Precondition>,
    watched_bytes: usize,
    written: Written,
    /// HIMPORT's.
    fieldsets: Fieldsets,
    /// The command that came last; `None` before the first, and if no command has its name.
    last: Option<&'static Spec>,
    /// How many commands EXEC is running, and their bytes.
    running: Option<(usize, usize)>,
    /// What others are shown by now.
    shown: Shown,
    /// Reads leave no marks of access.
    no_touch: bool,
    tally: Arc<Tally>,
    /// Where the random choices of its reads come from; moved on by every socket read.
    seed: u64,
}

impl<P: Platform> Session<P> {
    pub(crate) fn new(node: Arc<Shared<P>>, client: Arc<Client>, tally: Arc<Tally>) -> Self {
        let authenticated = node.config.current().requirepass.is_empty();
        let seed = node.random.next_u64();
        Self {
            replica: node.home(),
            way: Ways::default(),
            node,
            client,
            database: 0,
            authenticated,
            name: String::new(),
            lib_name: String::new(),
            lib_version: String::new(),
            transaction: None,
            watched: Vec::new(),
            watched_bytes: 0,
            written: Written::default(),
            fieldsets: Fieldsets::default(),
            last: None,
            running: None,
            shown: Shown::default(),
            no_touch: false,
            tally,
            seed,
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.client.id
    }

    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.client.is_killed()
    }

    /// The seed for the reads of one burst.
    pub(crate) fn next_seed(&mut self) -> u64 {
        // Weyl's sequence through SplitMix64's finish: choices of neighbouring bursts have nothing to do with each other.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        keyspace::Random::new(self.seed).bits()
    }

    /// The replica that its commands are about.
    pub(crate) fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    /// Whether its commands count as no accesses: CLIENT NO-TOUCH.
    pub(crate) fn leaves_no_marks(&self) -> bool {
        self.no_touch
    }

    pub(crate) fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Renews the summary that CLIENT LIST shows. Called once per socket read.
    pub(crate) fn seen(&mut self, now_ms: u64, input_bytes: usize, input_capacity: usize) {
        let mut summary = self.client.summary.lock();
        summary.last_active_ms = now_ms;
        summary.input_bytes = input_bytes;
        summary.input_free_bytes = input_capacity - input_bytes;
    }

    /// Shows in CLIENT LIST what it is at. Called before replies go out, so that who was answered is not shown to be at the command before.
    pub(crate) fn show(&mut self) {
        let now = self.now_at();
        if now != self.shown {
            now.put(&mut self.client.summary.lock());
            self.shown = now;
        }
    }

    fn now_at(&self) -> Shown {
        let queued = self.transaction.as_ref().map(|transaction| (transaction.len(), transaction.bytes()));
        Shown {
            last: self.last.map(|spec| spec.name),
            database: self.database,
            queued: queued.or(self.running),
            watching: self.watched.len(),
        }
    }

    /// Passes one command through the gates.
    pub(crate) fn dispatch(
        &mut self,
        arguments: Arguments<'_>,
        reading: &mut Reading<'_>,
        exchange: &mut Exchange,
    ) -> Step {
        if let Mute::This(_) = exchange.mute {
            if exchange.must_wait() {
                return Step::AfterReplies;
            }
            exchange.drop_muted();
        }
        let Mute::Next = exchange.mute else { return self.look_at(arguments, reading, exchange) };
        exchange.mute = Mute::This(exchange.reply.mark());
        let step = self.look_at(arguments, reading, exchange);
        if step.comes_again() {
            exchange.mute = Mute::Next;
        }
        step
    }

    fn look_at(&mut self, arguments: Arguments<'_>, reading: &mut Reading<'_>, exchange: &mut Exchange) -> Step {
        let found = commands::resolve(arguments);
        let refused = match &found {
            Ok(spec) => match self.gate(spec) {
                None if self.node.pause.holds(|| self.is_write(spec)) => return Step::Paused,
                None => return self.pass(spec, arguments, reading, exchange),
                Some(why) => why.to_owned(),
            },
            Err(error) => error.to_string(),
        };
        if exchange.must_wait() {
            return Step::AfterReplies;
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.spoil();
        }
        exchange.commands += 1;
        let mark = exchange.reply.mark();
        self.answer_refusal(arguments, &refused, exchange);
        let spec = match &found {
            Ok(spec) => Some(*spec),
            Err(CommandError::WrongArity(name)) => commands::lookup(name.as_bytes()),
            Err(_) => None,
        };
        self.last = spec;
        self.count_refusal(spec, exchange.reply.since(mark));
        Step::Done
    }

    fn answer_refusal(&mut self, arguments: Arguments<'_>, refused: &str, exchange: &mut Exchange) {
        if arguments.name().eq_ignore_ascii_case(b"exec") {
            // redis: server.c rejectCommand ends the transaction with an EXEC that is refused.
            self.transaction = None;
            self.forget_watches();
            let why = refused.strip_prefix("ERR ").unwrap_or(refused);
            exchange.reply.error(format!("EXECABORT Transaction discarded because of: {why}"));
        } else {
            exchange.reply.error(refused);
        }
    }

    /// Why the command may not run now, if it may not.
    fn gate(&self, spec: &Spec) -> Option<&'static str> {
        if !self.authenticated && !spec.flags.contains(Flags::NO_AUTH) {
            return Some("NOAUTH Authentication required.");
        }
        if spec.container_name() == Some("DEBUG") && !self.may_debug() {
            return Some(node_commands::DEBUG_FORBIDDEN);
        }
        // A node that was forgotten while it was off loads for ever: RESET is its way out.
        let is_reset = matches!(spec.handler, Handler::Cluster(commands::ClusterCommand::Reset));
        if !spec.flags.contains(Flags::LOADING) && !is_reset && !self.node.is_loaded() {
            // Such a replica is not even read before it is clear whether it counts: that takes the others.
            return Some(match self.node.doubts.lock().is_empty() {
                true => "LOADING Redis is loading the dataset in memory",
                false => "LOADING the machine lost its power: this node waits for the others (see INFO raft)",
            });
        }
        None
    }

    /// Whether the command may change data.
    fn is_write(&self, spec: &Spec) -> bool {
        let is_exec = matches!(spec.handler, Handler::Session(commands::SessionCommand::Exec));
        let writes = |transaction: &Transaction| transaction.writes() || transaction.leaves();
        spec.changes_data() || spec.leaves.is_some() || is_exec && self.transaction.as_ref().is_some_and(writes)
    }

    fn pass(
        &mut self,
        spec: &'static Spec,
        arguments: Arguments<'_>,
        reading: &mut Reading<'_>,
        exchange: &mut Exchange,
    ) -> Step {
        if self.node.cluster.is_some()
            && let Some(step) = self.find_way(spec, arguments, exchange)
        {
            return step;
        }
        self.last = Some(spec);
        if self.transaction.is_some() && !transaction::runs_at_once(spec) {
            if exchange.must_wait() {
                return Step::AfterReplies;
            }
            exchange.commands += 1;
            self.queue(spec, arguments, &mut exchange.reply);
            return Step::Done;
        }
        let mark = exchange.reply.mark();
        if let Handler::Write(_) = spec.handler {
            let step = self.write(spec, arguments, exchange);
            if !step.comes_again() {
                exchange.commands += 1;
                // What is staged is counted where it is applied.
                self.count_refusal(Some(spec), exchange.reply.since(mark));
            }
            return step;
        }
        let place = commands::place_of(spec);
        let start_ns = self.tally.times(place, &self.node.stats.slow).then(|| self.node.clock.monotonic_ns());
        let step = self.run(spec, arguments, reading, exchange);
        if step.comes_again() {
            return step;
        }
        exchange.commands += 1;
        let reply = exchange.reply.since(mark);
        let rides = matches!(spec.handler, Handler::Read(_)) && reply.is_empty();
        let waits = matches!(step, Step::Later(Later::Copies(_)));
        if !rides && !waits {
            let nanoseconds = start_ns.map(|start| self.node.clock.monotonic_ns().saturating_sub(start));
            let client = self.client.id;
            let ran = Ran { place, spec, arguments, nanoseconds, reply, client };
            self.node.stats.ran(&self.tally, &ran, || self.node.clock.wall_ms());
        }
        step
    }

    /// Counts a command that has waited, and that apply has not counted.
    pub(crate) fn count_waited(&self, spec: &Spec, reply: &[u8]) {
        let (place, failed) = (commands::place_of(spec), reply.first() == Some(&b'-'));
        let is_ended = failed && reply.starts_with(b"-UNBLOCKED ");
        self.tally.called(place, None, failed && !is_ended);
        // As in Valkey: one that is ended is rejected, and a call all the same.
        if is_ended {
            self.tally.rejected(place);
        }
        if failed {
            self.node.stats.error(reply);
        }
    }

    /// Counts an error, if there is one, that a command was answered with instead of being run.
    fn count_refusal(&self, spec: Option<&Spec>, reply: &[u8]) {
        if !reply.is_empty() {
            self.node.stats.error(reply);
            if let Some(spec) = spec {
                self.tally.rejected(commands::place_of(spec));
            }
        }
    }

    /// Runs a command that is not staged.
    fn run(
        &mut self,
        spec: &'static Spec,
        arguments: Arguments<'_>,
        reading: &mut Reading<'_>,
        exchange: &mut Exchange,
    ) -> Step {
        match &spec.handler {
            Handler::Read(_) => self.read(spec, arguments, reading, exchange),
            Handler::Write(_) => unreachable!("it is staged"),
            _ if exchange.must_wait() => Step::AfterReplies,
            Handler::Cluster(command) => {
                reading.release();
                self.cluster_command(*command, arguments, &mut exchange.reply)
            }
            Handler::Container => unreachable!("a container's name alone is a wrong arity"),
            Handler::Session(command) => {
                reading.release();
                self.session_command(*command, arguments, reading, exchange)
            }
            Handler::Node(command) => {
                reading.release();
                self.node_command(*command, arguments, &mut exchange.reply)
            }
        }
    }

    fn read(
        &mut self,
        spec: &'static Spec,
        arguments: Arguments<'_>,
        reading: &mut Reading<'_>,
        exchange: &mut Exchange,
    ) -> Step {
        let wait = spec.waits.and_then(|_| commands::wait_of(spec, arguments));
        if exchange.must_wait() {
            return match wait {
                Some(_) => Step::AfterReplies,
                None if self.may_leave(spec) && self.may_enter(spec, arguments) => self.enter(arguments, exchange),
                None => self.ride(arguments, exchange),
            };
        }
        if let Some(why) = exchange.denied.take() {
            exchange.reply.error(why);
            return Step::Done;
        }
        let right = reading.right(|| self.node.holds_lease(&self.replica));
        if right == Right::Unconfirmed {
            return Step::Confirm;
        }
        let seed = reading.seed();
        let wall_ms = reading.wall_ms;
        let keyspace = reading.data();
        if !keyspace.fence.admits(spec, arguments) {
            exchange.reply.error(NOT_SERVED);
            return Step::Done;
        }
        let clock_ms = keyspace.clock_ms();
        let now_ms = if right == Right::Stale { clock_ms.max(wall_ms) } else { clock_ms };
        let mut context = Context::of_read(self.database, now_ms, wall_ms, seed);
        context.no_touch = self.no_touch;
        let mark = exchange.reply.mark();
        commands::run_read(spec, keyspace, arguments, &context, &mut exchange.reply);
        if let Some(wait) = wait
            && (context.met_deadline.get() || commands::is_null(exchange.reply.since(mark)))
        {
            exchange.reply.rollback(mark);
            return self.read_later(spec, arguments, wait.timeout, right == Right::Stale);
        }
        if context.leaves.get() && right == Right::Linearizable && self.may_enter(spec, arguments) {
            // What it leaves behind is there for everybody, and before the next command of this connection.
            exchange.reply.rollback(mark);
            return self.enter(arguments, exchange);
        }
        if context.met_deadline.get() && right == Right::Linearizable {
            // The key is due by the wall clock, not by the log's: let it expire for everybody at once.
            exchange.reply.rollback(mark);
            return self.ride(arguments, exchange);
        }
        exchange.count_keys(&context);
        Step::Done
    }

    fn ride(&self, arguments: Arguments<'_>, exchange: &mut Exchange) -> Step {
        if !exchange.staged.has_room(arguments.raw().len()) {
            return Step::AfterReplies;
        }
        exchange.staged.read(self.database(), arguments.raw());
        Step::Done
    }

    /// Whether a read that was not run yet may have something to leave behind in an entry.
    fn may_leave(&self, spec: &Spec) -> bool {
        spec.leaves.is_some() || !self.replica.shard.expires_actively.load(Ordering::Relaxed)
    }

    /// Whether a read can be a command of an entry: where it cannot, it is answered and leaves nothing.
    fn may_enter(&self, spec: &Spec, arguments: Arguments<'_>) -> bool {
        let is_low = self.replica.shard.disk_low.load(Ordering::Relaxed);
        !is_low && arguments.raw().len() <= COMMAND_BYTES_MAX && self.refusal(spec).is_none()
    }

    /// Stages a read as a command of an entry.
    fn enter(&self, arguments: Arguments<'_>, exchange: &mut Exchange) -> Step {
        if !exchange.staged.has_room(arguments.raw().len()) {
            return Step::AfterReplies;
        }
        exchange.staged.write(self.database(), arguments.raw());
        Step::Done
    }

    fn write(&self, spec: &'static Spec, arguments: Arguments<'_>, exchange: &mut Exchange) -> Step {
        let mut log_form = Vec::new();
        if spec.flags.contains(Flags::OF_SESSION) {
            self.fieldsets.put_log_form(arguments, &mut log_form);
        }
        let raw = if log_form.is_empty() { arguments.raw() } else { &log_form };
        let too_large = (raw.len() > COMMAND_BYTES_MAX).then_some(TOO_LARGE);
        let refusal = too_large.or_else(|| self.refusal(spec));
        // AFTER the refusal: one that only says that another replica leads is not shown.
        if self.has_lost_its_way(spec, arguments) {
            return if exchange.must_wait() { Step::AfterReplies } else { Step::Leaderless };
        }
        if let Some(why) = refusal {
            if exchange.must_wait() {
                return Step::AfterReplies;
            }
            exchange.reply.error(why);
            return Step::Done;
        }
        if let Some(wait) = spec.waits.and_then(|_| commands::wait_of(spec, arguments)) {
            return self.stage_waiting(spec, raw, wait.timeout, exchange);
        }
        if !exchange.staged.has_room(raw.len()) {
            return Step::AfterReplies;
        }
        exchange.staged.write(self.database(), raw);
        Step::Done
    }

    /// Why this node does not take the write now, if it does not.
    fn refusal(&self, spec: &Spec) -> Option<&'static str> {
        self.replica.shard.refusal().or_else(|| self.lacks_room(spec))
    }

    /// The refusal of a command that adds data where the disk is nearly full.
    fn lacks_room(&self, spec: &Spec) -> Option<&'static str> {
        let is_low = self.replica.shard.disk_low.load(Ordering::Relaxed);
        (is_low && spec.flags.contains(Flags::DENYOOM)).then_some(MISCONF)
    }

    /// The selected database, as entries have it.
    pub(crate) fn database(&self) -> u8 {
        u8::try_from(self.database).expect("there are 16 databases")
    }
}
