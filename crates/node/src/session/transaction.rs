//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.
//!
//! EXEC is one entry: the watched keys' marks as preconditions, then the commands. One that only reads is no entry at all:
//! it runs here, under one taking of the lock. Commands that are not about data (PING, SELECT, CLIENT …) may stand between
//! the others: then the entry holds the rest, and when it is applied they run here and their replies are put in their places.
//! So DEBUG SLEEP sleeps behind all that is about data, wherever it stands.

use commands::{Fieldsets, Flags, Handler, SessionCommand, Spec};
use faces::CROSS_SLOT;
use keyspace::{Context, Keyspace};
use resp::{ArgumentRanges, Arguments, Protocol, Reply};
use slot::Slot;

use super::served::spans_slots;
use super::way::is_about_data;
use super::{ClusterWork, Exchange, Later, Reading, Right, Session, Step};
use crate::entry::Precondition;
use crate::fence::{Fence, NOT_SERVED};
use crate::platform::Platform;
use crate::shard::{COMMAND_BYTES_MAX, TOO_LARGE};

/// A session watches at most so many keys, and so many bytes of them.
const WATCHED_MAX: usize = 65_535;
const WATCHED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The commands between MULTI and EXEC.
#[derive(Default)]
pub(crate) struct Transaction {
    bytes: Vec<u8>,
    commands: Vec<Queued>,
    spoilt: bool,
    /// In a cluster: the slot of the keys so far.
    slot: Option<Slot>,
    /// They are in more than one.
    crosses: bool,
}

#[derive(Clone, Copy)]
struct Queued {
    spec: &'static Spec,
    start: usize,
    end: usize,
}

impl Queued {
    fn is_about_data(self) -> bool {
        is_about_data(self.spec)
    }
}

impl Transaction {
    /// A queued command was refused: EXEC will refuse them all.
    pub(super) fn spoil(&mut self) {
        self.spoilt = true;
    }

    /// In a cluster: takes note of the slot of a queued command's keys.
    pub(super) fn touch(&mut self, slot: Slot) {
        self.crosses |= *self.slot.get_or_insert(slot) != slot;
    }

    /// The slot that the transaction is about, if it has keys.
    ///
    /// # Errors
    /// When its keys are in different slots.
    pub(super) fn slot(&self) -> Result<Option<Slot>, &'static str> {
        if self.crosses { Err(CROSS_SLOT) } else { Ok(self.slot) }
    }

    /// Whether it holds a command that writes.
    pub(super) fn writes(&self) -> bool {
        self.any(|queued| matches!(queued.spec.handler, Handler::Write(_)))
    }

    /// Whether it holds a command that reads, and leaves something behind in an entry.
    pub(super) fn leaves(&self) -> bool {
        self.any(|queued| queued.spec.leaves.is_some())
    }

    /// Whether it holds a command about the keys of all slots that the node serves.
    pub(super) fn spans(&self) -> bool {
        self.any(|queued| spans_slots(queued.spec))
    }

    /// Whether it holds a command about data.
    pub(super) fn is_about_data(&self) -> bool {
        self.any(Queued::is_about_data)
    }

    pub(super) fn is_spoilt(&self) -> bool {
        self.spoilt
    }

    pub(super) fn len(&self) -> usize {
        self.commands.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn raw(&self, queued: Queued) -> &[u8] {
        &self.bytes[queued.start..queued.end]
    }

    fn data_count(&self) -> usize {
        self.commands.iter().filter(|queued| queued.is_about_data()).count()
    }

    /// The commands about data, each with the database that is selected by then.
    fn each_about_data(&self, mut database: usize, databases: u32, mut each: impl FnMut(Queued, usize)) {
        let mut ranges = ArgumentRanges::default();
        for &queued in &self.commands {
            if queued.is_about_data() {
                each(queued, database);
            } else if matches!(queued.spec.handler, Handler::Session(SessionCommand::Select)) {
                database =
                    super::client::selected(stored(self.raw(queued), &mut ranges), databases).unwrap_or(database);
            }
        }
    }

    /// Puts what an entry holds into the place of what the client sent, where the session has a share in it: the session as it is by then.
    /// Once that is more than an entry may hold it stops: EXEC refuses them all.
    fn put_log_forms(&mut self, fieldsets: &Fieldsets) {
        if !self.any(|queued| queued.spec.flags.contains(Flags::OF_SESSION)) {
            return;
        }
        let (mut fieldsets, sent) = (fieldsets.clone(), std::mem::take(&mut self.bytes));
        let (mut ranges, mut unseen) = (ArgumentRanges::default(), Reply::new(Protocol::Resp2));
        for queued in &mut self.commands {
            let (raw, start) = (&sent[queued.start..queued.end], self.bytes.len());
            if start > COMMAND_BYTES_MAX {
                return;
            }
            if let Handler::Session(SessionCommand::Fieldsets(command)) = queued.spec.handler {
                fieldsets.run(command, stored(raw, &mut ranges), &mut unseen);
            }
            if queued.spec.flags.contains(Flags::OF_SESSION) {
                fieldsets.put_log_form(stored(raw, &mut ranges), &mut self.bytes);
            } else {
                self.bytes.extend_from_slice(raw);
            }
            (queued.start, queued.end) = (start, self.bytes.len());
        }
    }

    fn any(&self, holds: impl Fn(Queued) -> bool) -> bool {
        self.commands.iter().any(|&queued| holds(queued))
    }
}

/// Whether a command inside MULTI is not queued.
pub(super) fn runs_at_once(spec: &Spec) -> bool {
    use SessionCommand::{Discard, Exec, Quit, Reset};
    matches!(&spec.handler, Handler::Session(Exec | Discard | Quit | Reset))
}

impl<P: Platform> Session<P> {
    pub(super) fn multi(&mut self, reply: &mut Reply) {
        self.transaction = Some(Transaction::default());
        reply.ok();
    }

    pub(super) fn discard(&mut self, reply: &mut Reply) {
        if self.transaction.take().is_none() {
            return reply.error("ERR DISCARD without MULTI");
        }
        self.forget_watches();
        reply.ok();
    }

    pub(super) fn forget_watches(&mut self) {
        self.watched.clear();
        self.watched_bytes = 0;
    }

    /// Queues a command inside MULTI.
    pub(super) fn queue(&mut self, spec: &'static Spec, arguments: Arguments<'_>, reply: &mut Reply) {
        let limit = self.node.config.current().client_query_buffer_limit_bytes;
        // In a cluster the way to the slot was found before, and is looked for again at EXEC.
        let refusal = match spec.handler {
            Handler::Write(_) if self.node.cluster.is_some() => self.lacks_room(spec),
            Handler::Write(_) => self.refusal(spec),
            _ => None,
        };
        let transaction = self.transaction.as_mut().expect("MULTI was given");
        let raw = arguments.raw();
        if spec.flags.contains(Flags::NO_MULTI) {
            transaction.spoil();
            let name = spec.name.to_ascii_lowercase();
            return reply.error(format!("ERR Command '{name}' not allowed inside a transaction"));
        }
        if let Some(why) = refusal {
            transaction.spoil();
            return reply.error(why);
        }
        if transaction.bytes.len() + raw.len() > COMMAND_BYTES_MAX {
            transaction.spoil();
            return reply.error(TOO_LARGE);
        }
        if (transaction.bytes.len() + raw.len()) as u64 > limit {
            transaction.spoil();
            return reply.error("ERR the transaction is larger than client-query-buffer-limit");
        }
        let start = transaction.bytes.len();
        transaction.bytes.extend_from_slice(raw);
        transaction.commands.push(Queued { spec, start, end: transaction.bytes.len() });
        reply.simple("QUEUED");
    }

    /// WATCH: remembers how the keys are now, under the lock that reads take.
    pub(super) fn watch(
        &mut self,
        arguments: Arguments<'_>,
        reading: &mut Reading<'_>,
        exchange: &mut Exchange,
    ) -> Step {
        if let Some(why) = exchange.denied.take() {
            exchange.reply.error(why);
            return Step::Done;
        }
        let node = &self.node;
        if reading.right(|| node.holds_lease(&self.replica)) == Right::Unconfirmed {
            return Step::Confirm;
        }
        let wall_ms = reading.wall_ms;
        let database = self.database();
        for key in arguments.iter().skip(1) {
            if self.watched.iter().any(|watched| watched.database == database && watched.key == key) {
                continue;
            }
            if self.watched.len() == WATCHED_MAX || self.watched_bytes + key.len() > WATCHED_BYTES_MAX {
                exchange.reply.error("ERR too many keys are watched by this client");
                return Step::Done;
            }
            let keyspace = reading.data();
            let context = Context::of_read(self.database, keyspace.clock_ms(), wall_ms, 0);
            let mark = keyspace.watch_mark(&context, key);
            self.watched.push(Precondition { database, key: key.to_vec(), mark });
            self.watched_bytes += key.len();
        }
        exchange.reply.ok();
        Step::Done
    }

    /// EXEC.
    pub(super) fn exec(&mut self, reading: &mut Reading<'_>, exchange: &mut Exchange) -> Step {
        let Some(transaction) = self.transaction.as_ref() else {
            exchange.reply.error("ERR EXEC without MULTI");
            return Step::Done;
        };
        if transaction.spoilt {
            self.end_transaction();
            exchange.reply.error("EXECABORT Transaction discarded because of previous errors.");
            return Step::Done;
        }
        let writes = transaction.writes();
        if let Some(why) = self.replica.shard.refusal().filter(|_| writes) {
            if self.may_find_another_way() && transaction.slot.is_some() {
                return Step::Leaderless;
            }
            self.end_transaction();
            exchange.reply.error(why);
            return Step::Done;
        }
        let mixed = transaction.any(|queued| !queued.is_about_data());
        let data = transaction.is_about_data();
        if !data
            && self.watched.is_empty()
            && transaction.any(|queued| matches!(queued.spec.handler, Handler::Cluster(_)))
        {
            let (transaction, _) = self.end_transaction_with_watches();
            return Step::Later(Later::Cluster(ClusterWork::Transaction(Box::new(transaction))));
        }
        let leads = self.replica.leads();
        let may_leave = transaction.any(|queued| queued.is_about_data() && self.may_leave(queued.spec));
        let leaves = may_leave && self.replica.shard.refusal().is_none();
        if data && leads && (writes || mixed || leaves) {
            return self.propose_transaction(mixed, exchange);
        }
        self.run_transaction(reading, exchange)
    }

    /// Stages the transaction as one item of an entry.
    fn propose_transaction(&mut self, mixed: bool, exchange: &mut Exchange) -> Step {
        let (mut transaction, watched) = self.end_transaction_with_watches();
        transaction.put_log_forms(&self.fieldsets);
        if transaction.bytes() > COMMAND_BYTES_MAX {
            exchange.reply.error(TOO_LARGE);
            return Step::Done;
        }
        let count = u32::try_from(transaction.data_count()).expect("bounded by client-query-buffer-limit");
        exchange.staged.transaction(&watched, count);
        transaction.each_about_data(self.database, self.node.config.current().databases, |queued, database| {
            let database = u8::try_from(database).expect("there are 16 databases");
            exchange.staged.transaction_command(database, transaction.raw(queued));
        });
        match mixed {
            true => Step::Later(Later::Transaction { transaction: Box::new(transaction), replies: None }),
            false => Step::Done,
        }
    }

    /// Runs a transaction that needs no entry: it only reads, or is not about data at all.
    fn run_transaction(&mut self, reading: &mut Reading<'_>, exchange: &mut Exchange) -> Step {
        if let Some(why) = exchange.denied.take() {
            self.end_transaction();
            exchange.reply.error(why);
            return Step::Done;
        }
        let replica = std::sync::Arc::clone(&self.replica);
        let right = reading.right(|| self.node.holds_lease(&replica));
        let data = self.transaction.as_ref().is_some_and(Transaction::is_about_data);
        if right == Right::Unconfirmed && (data || !self.watched.is_empty()) {
            return Step::Confirm;
        }
        let (transaction, watched) = self.end_transaction_with_watches();
        let (wall_ms, seed) = (reading.wall_ms, reading.seed());
        reading.release();
        // One taking of the lock from the watched keys to the last read.
        let keyspace = replica.shard.data.read();
        if self.is_fenced_out(&keyspace.fence, &transaction) {
            exchange.reply.error(NOT_SERVED);
            return Step::Done;
        }
        let clock_ms = keyspace.clock_ms();
        let now_ms = if right == Right::Stale { clock_ms.max(wall_ms) } else { clock_ms };
        if !watched.iter().all(|condition| is_unchanged(&keyspace, condition, now_ms, wall_ms)) {
            exchange.reply.null_array();
            return Step::Done;
        }
        let mut data = Reply::new(exchange.reply.protocol());
        data.array(transaction.data_count());
        let (mut ranges, mut number) = (ArgumentRanges::default(), 0);
        transaction.each_about_data(self.database, self.node.config.current().databases, |queued, database| {
            number += 1;
            let context = Context::of_read(database, now_ms, wall_ms, seed ^ number);
            let arguments = stored(transaction.raw(queued), &mut ranges);
            let mark = data.mark();
            commands::run_read(queued.spec, &keyspace, arguments, &context, &mut data);
            exchange.count_keys(&context);
            let answer = data.since(mark);
            self.tally.called(commands::place_of(queued.spec), None, answer.first() == Some(&b'-'));
            if answer.first() == Some(&b'-') {
                self.node.stats.error(answer);
            }
        });
        drop(keyspace);
        if transaction.data_count() == transaction.len() {
            exchange.reply.raw(data.as_bytes());
            return Step::Done;
        }
        Step::Later(Later::Transaction { transaction: Box::new(transaction), replies: Some(data.into_bytes()) })
    }

    /// Puts the replies of the commands that are not about data between those of the entry. `replies` is the entry's answer.
    pub(crate) async fn stitch(&mut self, transaction: &Transaction, replies: &[u8], exchange: &mut Exchange) {
        let header = replies.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if !replies.starts_with(b"*") || replies.starts_with(b"*-1") {
            // Not run: a watched key had changed, or the outcome is not known.
            return exchange.reply.raw(replies);
        }
        exchange.reply.array(transaction.len());
        self.running = Some((transaction.len(), transaction.bytes()));
        let (mut at, mut ranges) = (header, ArgumentRanges::default());
        for &queued in &transaction.commands {
            if queued.is_about_data() {
                let end = resp::skip_value(replies, at).expect("apply wrote one reply for each command of the entry");
                exchange.reply.raw(&replies[at..end]);
                at = end;
            } else {
                let arguments = stored(transaction.raw(queued), &mut ranges);
                self.run_beside(queued.spec, arguments, exchange).await;
            }
        }
        self.running = None;
    }

    /// Runs a transaction with commands of the cluster and none about data: its changes of the topology are one entry.
    pub(super) async fn run_cluster_transaction(&mut self, transaction: &Transaction, exchange: &mut Exchange) {
        let (mut replies, mut changes, mut ranges) = (Vec::new(), Vec::new(), ArgumentRanges::default());
        self.running = Some((transaction.len(), transaction.bytes()));
        for &queued in &transaction.commands {
            let arguments = stored(transaction.raw(queued), &mut ranges);
            let mut beside = Exchange { reply: Reply::new(exchange.reply.protocol()), ..Exchange::default() };
            if let Handler::Cluster(command) = &queued.spec.handler
                && let Step::Later(Later::Cluster(ClusterWork::Propose { changes: wanted, answer })) =
                    self.cluster_command(*command, arguments, &mut beside.reply)
            {
                changes.push(wanted);
                replies.push(Err(answer));
                continue;
            }
            if beside.reply.is_empty() {
                self.run_beside(queued.spec, arguments, &mut beside).await;
            }
            replies.push(Ok(beside.reply.into_bytes()));
        }
        self.running = None;
        let decisions = if changes.is_empty() { Ok(Vec::new()) } else { self.node.change_topology_by(&changes).await };
        let mut decisions = decisions.map(Vec::into_iter);
        exchange.reply.array(replies.len());
        for reply in replies {
            match (reply, &mut decisions) {
                (Ok(bytes), _) => exchange.reply.raw(&bytes),
                (Err(answer), Ok(decisions)) => {
                    let decision = decisions.next().expect("one for each command that changes something");
                    answer.write(decision.as_deref().map_err(|refusal| *refusal), &mut exchange.reply);
                }
                (Err(_), Err(_)) => exchange.reply.error(super::cluster::UNDECIDED),
            }
        }
    }

    /// Runs one queued command that is not about data.
    async fn run_beside(&mut self, spec: &'static Spec, arguments: Arguments<'_>, exchange: &mut Exchange) {
        let step = match &spec.handler {
            Handler::Session(command) => self.session_command_queued(*command, arguments, &mut exchange.reply),
            Handler::Node(command) => self.node_command(*command, arguments, &mut exchange.reply),
            Handler::Cluster(command) => self.cluster_command(*command, arguments, &mut exchange.reply),
            Handler::Read(_) | Handler::Write(_) | Handler::Container => unreachable!("not queued as such"),
        };
        match step {
            Step::Done => (),
            Step::Later(Later::Hold(time)) => self.hold(time, &mut exchange.reply).await,
            // Redis does not wait inside a transaction: it answers what is true now.
            Step::Later(Later::Copies(wish)) => self.count_now(wish, &mut exchange.reply),
            Step::Later(Later::Unblock(_)) => exchange.reply.integer(0),
            Step::Later(Later::Cluster(ClusterWork::Shards)) => {
                self.shards(&super::Facts(&*self.node), &mut exchange.reply)
            }
            Step::Later(Later::Cluster(ClusterWork::Meet(meet))) => self.begin_meeting(meet, &mut exchange.reply),
            _ => {
                let name = spec.name.to_ascii_lowercase();
                exchange.reply.error(format!("ERR Command '{name}' not allowed inside a transaction"));
            }
        }
    }

    pub(super) fn end_transaction(&mut self) {
        self.transaction = None;
        self.forget_watches();
    }

    /// Whether the shard does not serve the slot of the transaction (any more).
    fn is_fenced_out(&self, fence: &Fence, transaction: &Transaction) -> bool {
        transaction.slot.is_some_and(|slot| !fence.serves(slot))
    }

    fn end_transaction_with_watches(&mut self) -> (Transaction, Vec<Precondition>) {
        let watched = std::mem::take(&mut self.watched);
        self.watched_bytes = 0;
        (self.transaction.take().expect("MULTI was given"), watched)
    }
}

fn stored<'a>(raw: &'a [u8], ranges: &'a mut ArgumentRanges) -> Arguments<'a> {
    resp::parse_stored(raw, ranges).expect("a queued command was decoded before")
}

fn is_unchanged(keyspace: &Keyspace, condition: &Precondition, now_ms: u64, wall_ms: u64) -> bool {
    let context = Context::of_read(usize::from(condition.database), now_ms, wall_ms, 0);
    keyspace.is_unchanged(&context, &condition.key, condition.mark)
}
