//! The appends to one follower: requests from openraft, answers back in order, with commit notices kept rare.
//!
//! openraft tells a follower of every commit at once, with a request without entries where there are none to carry it.
//! Under load an entry follows a commit almost immediately, and each such notice costs a message, an answer and several
//! wake-ups on both sides: as much as the entry itself. So a notice waits for the next entry, for at most
//! [`NOTICE_PATIENCE`], and for the answers that are under way.
//!
//! Invariant: an answer proves only what it answers. openraft credits an answer to every request that ends at or before
//! the same log id, so an answer to an append would also renew the lease for a notice that was sent after it and may
//! never have arrived. Such an answer is not handed on; that of the notice says the same, and is.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::stream::{FuturesOrdered, Stream, StreamExt};
use openraft::AsyncRuntime;
use openraft::errors::RPCError;
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use tokio::time::{Instant, Sleep};

use crate::log::LogState;
use crate::machine::Waiter;
use crate::runtime::SeededRuntime;
use crate::types::{RaftLogId, Types};

/// Appends under way to one follower; each carries at most 1 MiB of entries, or one larger entry.
const IN_FLIGHT_MAX: usize = 16;

/// How long a commit notice waits for an entry that can carry it: how much later followers apply what was committed last.
const NOTICE_PATIENCE: Duration = Duration::from_millis(10);

/// What openraft is told of one request.
pub(crate) type Answer<W> = Result<StreamAppendResult<Types<W>>, RPCError<Types<W>>>;

/// The answers to the requests of `input`, in order, up to the first that is no success: openraft starts another stream
/// from where it then knows the follower to be.
pub(crate) struct Appends<W: Waiter, Input, Send, Sending: Future> {
    requests: Requests<W, Input>,
    send: Send,
    sending: FuturesOrdered<Sending>,
    /// The last log ids of the requests that are being sent.
    lasts: VecDeque<Option<RaftLogId>>,
    ended: bool,
}

impl<W, Input, Send, Sending> Appends<W, Input, Send, Sending>
where
    W: Waiter,
    Input: Stream<Item = AppendEntriesRequest<Types<W>>> + Unpin,
    Send: FnMut(&AppendEntriesRequest<Types<W>>) -> Sending + Unpin,
    Sending: Future<Output = Answer<W>>,
{
    /// `send` begins to send a request when it is called; `log` is where openraft takes the entries from.
    pub(crate) fn new(input: Input, log: Arc<LogState<W>>, send: Send) -> Self {
        let requests = Requests { input, log, sent: None, is_waiting: false, patience: None, is_patient: false };
        Self { requests, send, sending: FuturesOrdered::new(), lasts: VecDeque::new(), ended: false }
    }

    fn send_ready(&mut self, context: &mut Context<'_>) {
        while !self.ended && self.lasts.len() < IN_FLIGHT_MAX {
            match self.requests.poll_next(context, self.lasts.is_empty()) {
                Poll::Ready(Some(request)) => {
                    self.lasts.push_back(last(&request));
                    self.sending.push_back((self.send)(&request));
                }
                Poll::Ready(None) => self.ended = true,
                Poll::Pending => return,
            }
        }
    }
}

impl<W, Input, Send, Sending> Stream for Appends<W, Input, Send, Sending>
where
    W: Waiter,
    Input: Stream<Item = AppendEntriesRequest<Types<W>>> + Unpin,
    Send: FnMut(&AppendEntriesRequest<Types<W>>) -> Sending + Unpin,
    Sending: Future<Output = Answer<W>>,
{
    type Item = Answer<W>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Answer<W>>> {
        let this = self.get_mut();
        loop {
            this.send_ready(context);
            let Some(answer) = ready!(this.sending.poll_next_unpin(context)) else {
                // Nothing is under way: the next request will wake this task, if there is to be one.
                return if this.ended { Poll::Ready(None) } else { Poll::Pending };
            };
            let answered = this.lasts.pop_front().expect("every request that is being sent has its last log id here");
            match &answer {
                Ok(Ok(matched)) if *matched == answered && this.lasts.front() == Some(&answered) => {}
                Ok(Ok(_)) => return Poll::Ready(Some(answer)),
                _ => {
                    this.ended = true;
                    this.sending.clear();
                    this.lasts.clear();
                    return Poll::Ready(Some(answer));
                }
            }
        }
    }
}

/// openraft's requests, those without entries late.
struct Requests<W: Waiter, Input> {
    input: Input,
    log: Arc<LogState<W>>,
    /// The last log id of the last request.
    sent: Option<RaftLogId>,
    /// `input` had nothing when it was last asked, so that it wakes this task when that changes.
    is_waiting: bool,
    /// The patience with `input`, which has woken this task without an entry to send, and whether it runs. One timer for
    /// all: to move a timer on costs much less than to start one.
    patience: Option<Pin<Box<Sleep>>>,
    is_patient: bool,
}

impl<W, Input> Requests<W, Input>
where
    W: Waiter,
    Input: Stream<Item = AppendEntriesRequest<Types<W>>> + Unpin,
{
    /// `idle` says that nothing is under way.
    fn poll_next(&mut self, context: &mut Context<'_>, idle: bool) -> Poll<Option<AppendEntriesRequest<Types<W>>>> {
        // What `input` has, if it has anything, is a notice.
        if self.is_waiting && !self.has_entries() && !self.is_patience_over(context, idle) {
            return Poll::Pending;
        }
        self.is_patient = false;
        let next = self.input.poll_next_unpin(context);
        self.is_waiting = next.is_pending();
        if let Poll::Ready(Some(request)) = &next {
            self.sent = last(request);
        }
        next
    }

    fn has_entries(&self) -> bool {
        self.log.last().map(|last| last.index) > self.sent.map(|sent| sent.index())
    }

    fn is_patience_over(&mut self, context: &mut Context<'_>, idle: bool) -> bool {
        let patience = self.patience.get_or_insert_with(|| Box::pin(SeededRuntime::sleep(NOTICE_PATIENCE)));
        if !std::mem::replace(&mut self.is_patient, true) {
            patience.as_mut().reset(Instant::now() + NOTICE_PATIENCE);
        }
        // What is under way wakes this task when it is answered.
        idle && patience.as_mut().poll(context).is_ready()
    }
}

/// The last log id that the follower has once it took the request.
fn last<W: Waiter>(request: &AppendEntriesRequest<Types<W>>) -> Option<RaftLogId> {
    request.entries.last().map(|entry| entry.id).or(request.prev_log_id)
}

#[cfg(test)]
mod tests;
