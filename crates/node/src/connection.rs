//! A connection: bytes in, commands, bytes out, in order, from accept to close.
//!
//! Reads run right here, on the connection's own task. Writes are staged, added to the shard's open batch once per
//! socket read, and the connection waits for their replies before it reads more: so replies keep their order without
//! bookkeeping, and a client that pipelines without end is slowed down by its own socket.
//!
//! The work between two awaits is [`Connection::advance`], a plain function; what it needs from the outside it asks
//! for with a [`Next`].

mod migrate;
mod waiting;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use raft::Clock;
use resp::{Decoded, Limits, RequestDecoder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::config::Settings;
use crate::inbox::{Mailbox, Route};
use crate::io_thread::Io;
use crate::platform::{Platform, Socket};
use crate::replica::Replica;
use crate::session::{Exchange, Later, Reading, Session, Step};
use crate::shard::{Added, NOREPLICAS};
use crate::stats::Counts;

/// A connection starts with so much room for input, and comes back to it when it is idle.
const INPUT_BYTES_IDLE: usize = 1024;
/// One socket read takes at most so much, but for a larger argument on its way.
const INPUT_BYTES_READ: usize = 16 * 1024;
/// Who has not authenticated makes the node hold no more input than this: with the read and the scratch of one inline
/// command beside it, less than 64 KiB.
const STRANGER_BYTES_MAX: usize = 32 * 1024;
/// Replies are written out before more commands run once there are so many bytes.
const OUTPUT_BYTES_FLUSH: usize = 256 * 1024;
/// What an empty output buffer may keep.
const OUTPUT_BYTES_IDLE: usize = 64 * 1024;
/// How long a write may wait for room in a full batch, or a read for the right to be answered.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two rounds to confirm that reads may be answered, while leadership is being handed over.
const CONFIRM_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// How often a command that waits for a leader looks around.
const LEADERLESS_LOOK_EVERY: Duration = Duration::from_millis(250);

/// What a read is told that this replica cannot answer: it led, but may not lead any more.
const MASTERDOWN: &str = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";

/// See the module.
pub(crate) struct Connection<P: Platform> {
    io: Rc<Io<P>>,
    route: Route,
    mailbox: Rc<Mailbox>,
    session: Session<P>,
    decoder: RequestDecoder,
    input: Vec<u8>,
    /// How much of the input is done with.
    consumed: usize,
    /// How many bytes the command in progress is known to need.
    wanted: usize,
    /// The last read took all the room there was.
    filled: bool,
    exchange: Exchange,
    /// On its way out.
    output: Vec<u8>,
    limits: Limits,
    /// The settings as of `settings_version`. What all I/O threads count references of, or lock, costs each command more
    /// than its own work: such things are kept, here and in `replica`.
    settings: Arc<Settings>,
    settings_version: u64,
    #[expect(
        clippy::redundant_allocation,
        reason = "a thread's own count of references, in front of that of all threads"
    )]
    replica: Rc<Arc<Replica>>,
}

/// Why [`Connection::advance`] stopped.
enum Next {
    /// Everything complete was done.
    Input,
    /// The staged run must go to the shard, and earlier replies must come back, before the next command.
    Replies,
    /// Enough output has gathered.
    Flush,
    /// The right to read must be confirmed by a round of the group.
    ReadBarrier,
    /// The next command is about another replica of this node.
    Elsewhere(Arc<Replica>),
    /// Nobody is known to lead the shard that the next command is about.
    Leaderless,
    /// CLIENT PAUSE holds the next command.
    Paused,
    /// A command that takes its time.
    Later(Later),
    /// The client leaves, or has to.
    Close,
}

/// What became of the wish to answer reads here.
enum Confirmed {
    /// They may be answered.
    Yes,
    /// They may not.
    No,
    /// Another replica leads by now: the commands are looked at again.
    Elsewhere,
}

impl<P: Platform> Connection<P> {
    /// Prepares a connection that was admitted to the registry.
    pub(crate) fn new(io: Rc<Io<P>>, session: Session<P>) -> Self {
        let (route, mailbox) = io.desk.register(io.number, Arc::clone(session.client()));
        let settings = io.node.config.current();
        let replica = Rc::new(Arc::clone(session.replica()));
        Self {
            io,
            route,
            mailbox,
            session,
            decoder: RequestDecoder::default(),
            input: Vec::with_capacity(INPUT_BYTES_IDLE),
            consumed: 0,
            wanted: 0,
            filled: false,
            exchange: Exchange::default(),
            output: Vec::new(),
            limits: Limits::default(),
            settings,
            settings_version: u64::MAX,
            replica,
        }
    }

    /// Serves the client until one side closes.
    pub(crate) async fn serve(mut self, mut stream: <P::Socket as Socket>::Stream) {
        loop {
            if self.session.is_killed() {
                break;
            }
            match self.advance() {
                Next::Input => {
                    self.settle().await;
                    if self.flush(&mut stream).await.is_err() {
                        break;
                    }
                    if !matches!(self.read(&mut stream).await, Ok(true)) {
                        break;
                    }
                }
                Next::Replies => self.settle().await,
                Next::Flush => {
                    self.settle().await;
                    if self.flush(&mut stream).await.is_err() {
                        break;
                    }
                }
                Next::Paused => {
                    self.settle().await;
                    if self.flush(&mut stream).await.is_err() {
                        break;
                    }
                    if self.mailbox.unless_closed(self.io.node.pause.over(&self.io.node.clock)).await.is_none() {
                        break;
                    }
                }
                Next::ReadBarrier => self.confirm_reading().await,
                Next::Elsewhere(replica) => {
                    self.settle().await;
                    self.session.turn_to(replica);
                }
                Next::Leaderless => {
                    self.settle().await;
                    self.wait_for_leader().await;
                }
                Next::Later(Later::Block(waiting)) => {
                    if !self.wait(*waiting, &mut stream).await {
                        break;
                    }
                }
                Next::Later(Later::Copies(wish)) => {
                    if !self.wait_for_copies(wish, &mut stream).await {
                        break;
                    }
                }
                Next::Later(later) => self.finish(later).await,
                Next::Close => {
                    self.settle().await;
                    // The client is told why if it still listens.
                    let _ = self.flush(&mut stream).await;
                    break;
                }
            }
        }
    }

    /// Runs every complete command of the input, as far as it goes without waiting.
    fn advance(&mut self) -> Next {
        self.refresh_limits();
        self.session.renew_routes();
        if !Arc::ptr_eq(&self.replica, self.session.replica()) {
            self.replica = Rc::new(Arc::clone(self.session.replica()));
        }
        let (replica, wall_ms) = (Rc::clone(&self.replica), self.io.node.clock.wall_ms());
        let mut reading = Reading::new(&replica.shard, wall_ms, self.session.next_seed(), self.exchange.confirmed);
        let next = loop {
            if self.exchange.reply.len() >= OUTPUT_BYTES_FLUSH {
                break Next::Flush;
            }
            let buffered = &self.input[self.consumed..];
            let consumed = match self.decoder.decode(buffered, &self.limits) {
                Ok(Decoded::Command { consumed }) => consumed,
                Ok(Decoded::Nothing { consumed }) => {
                    self.consumed += consumed;
                    continue;
                }
                Ok(Decoded::Incomplete { needed }) => {
                    self.wanted = needed;
                    break Next::Input;
                }
                Err(why) => {
                    if self.exchange.must_wait() {
                        break Next::Replies;
                    }
                    self.exchange.reply.protocol_error(why);
                    break Next::Close;
                }
            };
            let arguments = self.decoder.arguments(buffered);
            match self.session.dispatch(arguments, &mut reading, &mut self.exchange) {
                Step::Done => self.consumed += consumed,
                Step::AfterReplies => break Next::Replies,
                Step::Confirm => break Next::ReadBarrier,
                Step::Elsewhere(replica) => break Next::Elsewhere(replica),
                Step::Leaderless => break Next::Leaderless,
                Step::Paused => break Next::Paused,
                Step::Later(later) => {
                    self.consumed += consumed;
                    break Next::Later(later);
                }
                Step::Close => {
                    self.consumed += consumed;
                    break Next::Close;
                }
            }
        };
        drop(reading);
        (self.exchange.confirmed, self.exchange.denied) = (false, None);
        self.exchange.report(self.io.node.stats.of(self.io.number));
        next
    }

    /// Completes a command that takes its time.
    async fn finish(&mut self, later: Later) {
        match later {
            Later::Transaction { transaction, replies } => {
                let replies = match replies {
                    Some(replies) => replies,
                    None => self.settle_apart().await,
                };
                self.session.stitch(&transaction, &replies, &mut self.exchange).await;
            }
            Later::Config(plan) => {
                self.exchange.staged.settings(plan.shard());
                let replies = self.settle_apart().await;
                if replies.starts_with(b"+") {
                    self.io.node.config.commit(&plan);
                }
                self.exchange.reply.raw(&replies);
            }
            Later::Served(mut asked) => {
                while let Some(replica) = asked.next() {
                    self.session.turn_to(replica);
                    asked.stage(&mut self.exchange.staged);
                    let reply = self.settle_apart().await;
                    asked.answered(reply);
                }
                asked.write(&mut self.exchange.reply);
            }
            Later::Migrate(migration) => self.migrate(&migration).await,
            other => self.session.finish(other, &mut self.exchange).await,
        }
    }

    /// Settles, and returns the replies instead of writing them out: they are part of another.
    async fn settle_apart(&mut self) -> Vec<u8> {
        let mut before = Vec::new();
        self.exchange.reply.swap(&mut before);
        self.settle().await;
        self.exchange.reply.swap(&mut before);
        before
    }

    /// Hands what is staged to the shard and waits for every reply that is owed.
    async fn settle(&mut self) {
        if !self.exchange.staged.is_empty() {
            self.submit().await;
        }
        if self.mailbox.is_waiting() {
            self.mailbox.answered().await;
            self.take_replies();
        }
    }

    /// Appends what came back to the replies, and notes what it was written by.
    fn take_replies(&mut self) {
        self.exchange.take_replies(&self.mailbox);
        self.session.wrote(self.mailbox.take_index());
    }

    /// Adds the staged run to the open batch; waits, within bounds, while that is full.
    async fn submit(&mut self) {
        let shard = Arc::clone(&self.session.replica().shard);
        self.exchange.staged.no_touch = self.session.leaves_no_marks();
        let adding = async {
            loop {
                let room = shard.room.notified();
                tokio::pin!(room);
                room.as_mut().enable();
                let protocol = self.exchange.reply.protocol();
                match shard.add(&mut self.exchange.staged, self.route, protocol) {
                    Added::Accepted => {
                        self.mailbox.expect_one();
                        return None;
                    }
                    Added::Full => room.await,
                    Added::Refused(why) => return Some(why),
                }
            }
        };
        let refused = tokio::time::timeout(PATIENCE, adding).await.unwrap_or(Some(NOREPLICAS));
        if let Some(why) = refused {
            // Replies to earlier runs come first.
            self.mailbox.answered().await;
            self.take_replies();
            self.exchange.staged.fail(|slot| shard.definite(why, slot), &mut self.exchange.reply);
        }
    }

    /// A leader without a lease asks its group before it answers reads; a follower that led until lately asks the leader. In a
    /// cluster the read of one that stops leading meanwhile is not refused: it goes where the slot is served by then.
    async fn confirm_reading(&mut self) {
        let replica = Arc::clone(self.session.replica());
        let moves_on = self.io.node.cluster.is_some() && replica.leads();
        let confirming = async {
            loop {
                if replica.confirm_reading(self.io.node.transport()).await {
                    return Confirmed::Yes;
                }
                match (moves_on, replica.leads()) {
                    (false, _) => return Confirmed::No,
                    (true, false) => return Confirmed::Elsewhere,
                    (true, true) => tokio::time::sleep(CONFIRM_AGAIN_AFTER).await,
                }
            }
        };
        match tokio::time::timeout(PATIENCE, confirming).await.unwrap_or(Confirmed::No) {
            Confirmed::Yes => self.exchange.confirmed = true,
            Confirmed::Elsewhere => (),
            Confirmed::No => self.exchange.denied = Some(if moves_on { faces::DOWN } else { MASTERDOWN }),
        }
    }

    /// Waits until the cluster looks different, for so long in all; then the command is told that nobody leads.
    async fn wait_for_leader(&mut self) {
        let Some(cluster) = &self.io.node.cluster else { return };
        let mut news = cluster.news();
        let patience = self.session.leaderless_for(self.io.node.clock.monotonic_ns());
        // What has changed since it was looked at is not waited for.
        if cluster.version() != self.session.routes_version() {
            return;
        }
        // Now and then it looks without news, too: a leader that is not shown makes none.
        let waiting = tokio::time::timeout(patience.min(LEADERLESS_LOOK_EVERY), news.changed()).await;
        if waiting.is_err() && patience <= LEADERLESS_LOOK_EVERY {
            self.session.give_leader_up();
        }
    }

    async fn flush(&mut self, stream: &mut <P::Socket as Socket>::Stream) -> std::io::Result<()> {
        self.session.show();
        self.exchange.drop_muted();
        if self.exchange.reply.is_empty() {
            return Ok(());
        }
        self.counts().writes.fetch_add(1, Ordering::Relaxed);
        self.counts().bytes_out.fetch_add(self.exchange.reply.len() as u64, Ordering::Relaxed);
        self.exchange.reply.swap(&mut self.output);
        let held = self.output.len() as u64;
        let is_over = |limit: u64| limit > 0 && held > limit;
        let limits = &self.settings.client_output_buffer_limit.normal;
        if is_over(limits.hard_bytes) {
            return Err(self.over_output_limit());
        }
        if is_over(limits.soft_bytes) {
            // As long as the client does not read, that much is held for it.
            let patience = Duration::from_secs(limits.soft_seconds);
            let writing = tokio::time::timeout(patience, stream.write_all(&self.output)).await;
            writing.map_err(|_| self.over_output_limit())??;
        } else {
            let written = self.mailbox.unless_killed(stream.write_all(&self.output)).await;
            written.unwrap_or_else(|| Err(std::io::ErrorKind::ConnectionAborted.into()))?;
        }
        self.output.clear();
        self.output.shrink_to(OUTPUT_BYTES_IDLE);
        self.exchange.reply.swap(&mut self.output);
        Ok(())
    }

    fn over_output_limit(&self) -> std::io::Error {
        tracing::warn!(client = self.session.id(), "closing a client over client-output-buffer-limit");
        self.io.node.stats.over_output_limit.fetch_add(1, Ordering::Relaxed);
        std::io::Error::other("over client-output-buffer-limit")
    }

    fn counts(&self) -> &Counts {
        self.io.node.stats.of(self.io.number)
    }

    /// Reads more input; false when the client has closed, is idle for too long or holds too much, and when the node goes
    /// down: everything that was read is answered then.
    async fn read(&mut self, stream: &mut <P::Socket as Socket>::Stream) -> std::io::Result<bool> {
        let timeout_seconds = u64::from(self.settings.timeout_seconds);
        let mailbox = Rc::clone(&self.mailbox);
        let reading = mailbox.unless_closed(self.read_some(stream));
        let read = if timeout_seconds == 0 {
            reading.await
        } else {
            tokio::time::timeout(Duration::from_secs(timeout_seconds), reading).await.unwrap_or(None)
        };
        read.unwrap_or(Ok(false))
    }

    /// Reads more input; false when the client has closed, or holds too much. Dropped before it is done, it has read nothing.
    async fn read_some(&mut self, stream: &mut <P::Socket as Socket>::Stream) -> std::io::Result<bool> {
        self.make_room();
        let read = stream.read_buf(&mut self.input).await?;
        self.filled = self.input.len() == self.input.capacity();
        self.counts().reads.fetch_add(1, Ordering::Relaxed);
        self.counts().bytes_in.fetch_add(read as u64, Ordering::Relaxed);
        self.session.seen(self.io.node.clock.wall_ms(), self.input.len(), self.input.capacity());
        let limit = self.settings.client_query_buffer_limit_bytes;
        if !self.session.is_authenticated() && self.input.len() > STRANGER_BYTES_MAX {
            return Ok(false);
        }
        if self.input.len() as u64 > limit {
            tracing::warn!(client = self.session.id(), limit, "closing a client whose query buffer is over its limit");
            self.io.node.stats.over_query_limit.fetch_add(1, Ordering::Relaxed);
            return Ok(false);
        }
        Ok(read > 0)
    }

    /// Drops what was consumed and sees to it that the next read has room, but not for more than is sensible.
    fn make_room(&mut self) {
        self.input.drain(..self.consumed);
        self.consumed = 0;
        if self.input.is_empty() && self.input.capacity() > INPUT_BYTES_READ {
            self.input.shrink_to(INPUT_BYTES_READ);
        }
        let (length, capacity) = (self.input.len(), self.input.capacity());
        // A read that filled the buffer says that there is more where it came from: read more at a time. A known large
        // argument gets its room in steps, so that a mere announcement costs little.
        let growth = if self.wanted > INPUT_BYTES_READ {
            self.wanted.min(length.max(INPUT_BYTES_READ))
        } else if std::mem::take(&mut self.filled) && capacity < INPUT_BYTES_READ {
            capacity.max(INPUT_BYTES_IDLE) * 2 - length
        } else if capacity - length < self.wanted.max(1) {
            capacity.clamp(INPUT_BYTES_IDLE, INPUT_BYTES_READ)
        } else {
            return;
        };
        self.input.reserve(growth);
    }

    fn refresh_limits(&mut self) {
        let version = self.io.node.config.version();
        if version != self.settings_version || self.limits.authenticated != self.session.is_authenticated() {
            self.settings = self.io.node.config.current();
            self.limits.bulk_max_bytes = usize::try_from(self.settings.proto_max_bulk_len_bytes).unwrap_or(usize::MAX);
            self.limits.authenticated = self.session.is_authenticated();
            let usual = Limits::default().inline_max_bytes;
            self.limits.inline_max_bytes = if self.limits.authenticated { usual } else { INPUT_BYTES_READ };
            self.settings_version = version;
        }
    }
}

impl<P: Platform> Drop for Connection<P> {
    fn drop(&mut self) {
        self.io.desk.release(self.route);
        self.io.node.clients.remove(self.session.id());
    }
}
