//! One link: the requests to one peer in one class, from the caller's call to its answer.
//!
//! ```text
//!  request() ──> queue ──> Writer (polled by HTTP/2) ──> peer
//!            └─> waiting, by request id <── take_answers() <── peer
//!                   └── sweep(): the one deadline mechanism
//! ```
//! The state is behind one private lock, which is never held across an await and under which nobody is woken.
//! Whether there is a connection is decided by dial.rs, which owns the link's only task.
//!
//! A request is in `waiting` from its call to its answer, and also in `queue` until it was sent. Its id is never
//! used again, so that an answer that comes too late meets nobody.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use parking_lot::Mutex;
use raft::{Class, NodeId, PeerAddress, PeerLink, Pieces, TransportError};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::config::{ClassLimits, Limits, RpcConfig};
use crate::frame::{Assembly, Frames, Kind, Malformed, Packer};
use crate::generated::Message;

/// Deadlines are met this much late at most, so that many of them cost one sweep.
const SWEEP_PAUSE: Duration = Duration::from_millis(2);

/// Longer deadlines count as this one.
const DEADLINE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What a caller waits for.
pub(crate) type Answer = oneshot::Receiver<Result<Bytes, TransportError>>;

/// Why a request was not taken.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// This link has ended; a new one may be opened.
    Ended,
    /// There is no way to the peer, or no room.
    Unreachable(String),
}

/// What a link's task does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Sweeps again at this time.
    SweepAt(Instant),
    /// Ends: the link was closed, or nobody used it for long.
    End,
}

/// The requests to one peer in one class.
pub(crate) struct Link {
    /// The peer.
    pub(crate) to: PeerAddress,
    /// The class.
    pub(crate) class: Class,
    bounds: ClassLimits,
    message_bytes_max: usize,
    idle_max: Duration,
    state: Mutex<State>,
    /// Tells the task to sweep earlier than it meant to.
    attention: Notify,
    /// Tells the task not to wait out its backoff: the peer was heard of.
    hope: Notify,
}

struct State {
    phase: Phase,
    /// Counts connections: a writer of an earlier one finds that it is not meant any more.
    connection: u64,
    next_id: u64,
    queue: VecDeque<(u64, Pieces)>,
    queued_bytes: usize,
    waiting: BTreeMap<u64, Waiting>,
    writer: Option<Waker>,
    next_sweep: Option<Instant>,
    last_request: Instant,
    /// While a connection stands: the node that proved itself, and since when, ms since 1970.
    stands: Option<(NodeId, u64)>,
}

enum Phase {
    /// Connected, or on the way without a failure yet: requests are taken.
    Open,
    /// The last attempt failed: requests are refused with this text until one succeeds.
    Down(String),
    /// No new requests; ends when nothing waits any more.
    Closing,
    /// The task is gone.
    Ended,
}

struct Waiting {
    answer: oneshot::Sender<Result<Bytes, TransportError>>,
    deadline: Instant,
    sent: bool,
}

impl Waiting {
    /// The request failed: one that was never sent did definitely not arrive.
    fn fail(self, why: &str) {
        let error = if self.sent { TransportError::Lost } else { TransportError::Unreachable(why.to_owned()) };
        // The caller may have given up; then nobody is told.
        let _ = self.answer.send(Err(error));
    }
}

impl Link {
    /// A link that has never been connected and takes requests.
    pub(crate) fn new(to: PeerAddress, class: Class, limits: &Limits) -> Self {
        let state = State {
            phase: Phase::Open,
            connection: 0,
            next_id: 0,
            queue: VecDeque::new(),
            queued_bytes: 0,
            waiting: BTreeMap::new(),
            writer: None,
            next_sweep: None,
            last_request: Instant::now(),
            stands: None,
        };
        Self {
            to,
            class,
            bounds: limits.of(class),
            message_bytes_max: limits.message_bytes_max,
            idle_max: limits.idle_max,
            state: Mutex::new(state),
            attention: Notify::new(),
            hope: Notify::new(),
        }
    }

    /// Takes a request into the queue. The order of calls is the order of sending.
    pub(crate) fn request(&self, message: Pieces, deadline: Duration) -> Result<Answer, NotTaken> {
        let length = message.len();
        if length > self.message_bytes_max {
            let max = self.message_bytes_max;
            return Err(NotTaken::Unreachable(format!("a message of {length} bytes is larger than {max}")));
        }
        let now = Instant::now();
        let deadline = now + deadline.min(DEADLINE_MAX);
        let (answer, answered) = oneshot::channel();
        let mut state = self.state.lock();
        state.last_request = now;
        match &state.phase {
            Phase::Open => {}
            Phase::Down(why) => return Err(NotTaken::Unreachable(why.clone())),
            Phase::Closing => return Err(NotTaken::Unreachable("the links are closing".to_owned())),
            Phase::Ended => return Err(NotTaken::Ended),
        }
        let fits = state.queue.is_empty() || state.queued_bytes + length <= self.bounds.bytes_max;
        if !fits || state.waiting.len() >= self.bounds.requests_max {
            return Err(NotTaken::Unreachable("the queue to the peer is full".to_owned()));
        }
        let id = state.next_id;
        state.next_id += 1;
        state.queue.push_back((id, message));
        state.queued_bytes += length;
        state.waiting.insert(id, Waiting { answer, deadline, sent: false });
        let sweep_earlier = state.next_sweep.is_none_or(|at| deadline < at);
        if sweep_earlier {
            state.next_sweep = Some(deadline);
        }
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        if sweep_earlier {
            self.attention.notify_one();
        }
        Ok(answered)
    }

    /// Starts a new connection's writing half. The writers of earlier connections end.
    pub(crate) fn writer(self: &Arc<Self>, config: &Arc<RpcConfig>) -> Writer {
        let mut state = self.state.lock();
        state.connection += 1;
        Writer {
            link: Arc::clone(self),
            config: Arc::clone(config),
            connection: state.connection,
            packer: Packer::new(Kind::Request),
        }
    }

    /// A connection to a node stands, from this moment of the wall clock: requests are taken (again).
    pub(crate) fn connected(&self, node: NodeId, now_ms: u64) {
        let mut state = self.state.lock();
        state.stands = Some((node, now_ms));
        if matches!(state.phase, Phase::Down(_)) {
            state.phase = Phase::Open;
        }
    }

    /// The connection is gone. What was sent is lost; what was not waits for the next connection.
    pub(crate) fn disconnected(&self) {
        let mut state = self.state.lock();
        state.stands = None;
        state.connection += 1;
        let (lost, waiting) = std::mem::take(&mut state.waiting).into_iter().partition(|(_, waiting)| waiting.sent);
        state.waiting = waiting;
        drop(state);
        fail_all(lost, "");
    }

    /// An attempt to connect failed: everything that waits fails, and so do requests until an attempt succeeds.
    pub(crate) fn down(&self, why: &str) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Open | Phase::Down(_)) {
            state.phase = Phase::Down(why.to_owned());
        }
        let failed = state.clear();
        drop(state);
        fail_all(failed, why);
    }

    /// No new requests; the link's task ends as soon as nothing waits for an answer.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Ended) {
            state.phase = Phase::Closing;
        }
        drop(state);
        self.attention.notify_one();
    }

    /// The link has no task any more.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Ended;
        let failed = state.clear();
        let writer = state.writer.take();
        drop(state);
        fail_all(failed, "the link was closed");
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// The connection, if one stands.
    pub(crate) fn stands(&self) -> Option<PeerLink> {
        let state = self.state.lock();
        let (node, since_ms) = state.stands?;
        Some(PeerLink { node, is_outgoing: true, since_ms, queued_bytes: state.queued_bytes as u64 })
    }

    /// Whether the link's task is gone or going.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Ended)
    }

    /// Whether the link closes and nothing waits any more.
    pub(crate) fn is_finished(&self) -> bool {
        let state = self.state.lock();
        matches!(state.phase, Phase::Closing) && state.waiting.is_empty()
    }

    /// Hands the answers of one message to those who wait for them; `assembly` is that of the connection. Returns the
    /// peer's wall clock, ms.
    pub(crate) fn take_answers(&self, message: Message, assembly: &mut Assembly) -> Result<u64, Malformed> {
        let (wall_ms, mut frames) = Frames::open(message, Kind::Answer)?;
        while let Some((id, payload)) = frames.next(assembly)? {
            let waiting = self.state.lock().waiting.remove(&id);
            // Nobody waits for an answer that came after its deadline.
            if let Some(waiting) = waiting {
                let _ = waiting.answer.send(Ok(payload));
            }
        }
        Ok(wall_ms)
    }

    /// Fails what is past its deadline, and says when to look again.
    pub(crate) fn sweep(&self, now: Instant) -> Next {
        let mut state = self.state.lock();
        let expired: BTreeMap<_, _> = state.waiting.extract_if(.., |_, waiting| waiting.deadline <= now).collect();
        state.next_sweep = state.waiting.values().map(|waiting| waiting.deadline).min();
        let idle_at = state.last_request + self.idle_max;
        let next = match state.phase {
            Phase::Ended => Next::End,
            Phase::Closing if state.waiting.is_empty() => Next::End,
            _ if state.waiting.is_empty() && idle_at <= now => {
                // Under the lock: no request slips in between this decision and the end of the task.
                state.phase = Phase::Ended;
                Next::End
            }
            _ => Next::SweepAt(state.next_sweep.map_or(idle_at, |at| at.max(now + SWEEP_PAUSE))),
        };
        drop(state);
        fail_all(expired, "it could not be sent before its deadline");
        next
    }

    /// Runs `work` and sweeps meanwhile; `None` when the link is to end first.
    pub(crate) async fn attend<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            let Next::SweepAt(at) = self.sweep(Instant::now()) else { return None };
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = self.attention.notified() => {}
                () = tokio::time::sleep_until(at) => {}
            }
        }
    }

    /// The peer was heard of: a link that waits before its next attempt tries now.
    pub(crate) fn hope(&self) {
        self.hope.notify_waiters();
    }

    /// Waits until [`Self::hope`].
    pub(crate) async fn hoped(&self) {
        self.hope.notified().await;
    }
}

impl State {
    fn clear(&mut self) -> BTreeMap<u64, Waiting> {
        self.stands = None;
        self.connection += 1;
        self.queue.clear();
        self.queued_bytes = 0;
        std::mem::take(&mut self.waiting)
    }
}

fn fail_all(waiting: BTreeMap<u64, Waiting>, why: &str) {
    waiting.into_values().for_each(|waiting| waiting.fail(why));
}

/// The writing half of one connection: a stream of messages, each with everything that was ready. HTTP/2 polls it
/// when it can send, so there is no task and no queue between a request and the socket.
pub(crate) struct Writer {
    link: Arc<Link>,
    config: Arc<RpcConfig>,
    connection: u64,
    packer: Packer,
}

impl Stream for Writer {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        let this = self.get_mut();
        let mut state = this.link.state.lock();
        if state.connection != this.connection || matches!(state.phase, Phase::Ended) {
            return Poll::Ready(None);
        }
        let State { queue, queued_bytes, waiting, .. } = &mut *state;
        while let Some((id, message)) = queue.pop_front_if(|(_, message)| this.packer.takes(message.len())) {
            *queued_bytes -= message.len();
            // One that is past its deadline is not worth sending.
            if let Some(waiting) = waiting.get_mut(&id) {
                waiting.sent = true;
                this.packer.push(id, message);
            }
        }
        if let Some(message) = this.packer.take(|| (this.config.wall_ms)()) {
            this.config.counters.sent(this.link.class, &message);
            return Poll::Ready(Some(message));
        }
        match &mut state.writer {
            Some(writer) => writer.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
