//! The listening side of one stream: requests in, answers out, in one poll and without a task of its own.
//!
//! ```text
//!  inbound messages ──> frames ──> serve() in order of arrival ──> serving (polled concurrently, bounded)
//!                                                                     └─> packer ──> one message with all
//!                                                                                    that is ready
//! ```
//! HTTP/2 polls this stream when it can send. It reads on only while less than the class's bounds is being served,
//! so a peer that sends faster than it is served is held back by HTTP/2's flow control.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt};
use raft::{Class, NodeId};
use tonic::{Status, Streaming};

use crate::config::ClassLimits;
use crate::frame::{Assembly, Frames, Kind, Malformed, Packer};
use crate::generated::Message;
use crate::links;

/// A request that has been answered.
pub(crate) struct Served {
    /// The request's id.
    pub(crate) id: u64,
    /// The request's length: what it held of the bound.
    pub(crate) request_bytes: usize,
    /// The answer.
    pub(crate) answer: Bytes,
}

/// The requests of one stream on their way to their answers. `serve` starts one; it is called in order of arrival,
/// and what it returns is polled for the first time in that order too: futures become ready to be polled in the
/// order in which they were added, and all of them are polled before more are read.
pub(crate) struct Exchange<Serve, Serving> {
    /// `None` once the peer ended its half, or this node stops.
    pub(crate) inbound: Option<Streaming<Message>>,
    /// What of the last message is not handed over yet.
    pub(crate) arrived: Option<Frames>,
    pub(crate) serve: Serve,
    pub(crate) serving: FuturesUnordered<Serving>,
    pub(crate) serving_bytes: usize,
    pub(crate) bounds: ClassLimits,
    pub(crate) packer: Packer,
    /// The request of which only parts have arrived.
    pub(crate) assembly: Assembly,
    pub(crate) from: NodeId,
    pub(crate) class: Class,
    pub(crate) context: Arc<links::Context>,
    /// What this node's listening comes to.
    pub(crate) stages: Pin<Box<dyn Stream<Item = Stage> + Send>>,
}

/// How far the listening side is with stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It serves.
    Open,
    /// It reads no more and answers what is being served.
    Stopping,
    /// It drops what is still being served.
    Ended,
}

impl<Serve, Serving> Exchange<Serve, Serving>
where
    Serve: FnMut(u64, Bytes) -> Serving,
    Serving: Future<Output = Served>,
{
    /// Packs answers that are ready until the pack is full.
    fn collect(&mut self, context: &mut Context<'_>) -> bool {
        while self.packer.takes(0) {
            let Poll::Ready(Some(served)) = self.serving.poll_next_unpin(context) else { return false };
            self.serving_bytes -= served.request_bytes;
            if served.answer.len() > self.context.config.limits.message_bytes_max {
                // The peer would break the link over it. Its request meets its deadline instead.
                tracing::error!("an answer of {} bytes to {} is too large", served.answer.len(), self.from);
                continue;
            }
            self.packer.push(served.id, served.answer.into());
        }
        true
    }

    /// Hands over the requests that have arrived, as the bounds allow. `false` when there was none.
    fn hand_over(&mut self, context: &mut Context<'_>) -> Result<bool, Status> {
        let mut progress = false;
        loop {
            if let Some(arrived) = &mut self.arrived {
                while self.serving.len() < self.bounds.requests_max && self.serving_bytes < self.bounds.bytes_max {
                    let Some((id, payload)) = arrived.next(&mut self.assembly).map_err(refuse)? else {
                        self.arrived = None;
                        break;
                    };
                    self.serving_bytes += payload.len();
                    self.serving.push((self.serve)(id, payload));
                    progress = true;
                }
                if self.arrived.is_some() || progress {
                    return Ok(progress);
                }
            }
            let Some(inbound) = &mut self.inbound else { return Ok(false) };
            match inbound.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(message))) => {
                    self.context.config.counters.received(self.class, &message);
                    let (wall_ms, frames) = Frames::open(message, Kind::Request).map_err(refuse)?;
                    self.context.heard(self.from, self.class, wall_ms);
                    self.arrived = Some(frames);
                }
                Poll::Ready(Some(Err(status))) => return Err(status),
                Poll::Ready(None) => {
                    self.inbound = None;
                    return Ok(false);
                }
                Poll::Pending => return Ok(false),
            }
        }
    }
}

/// Nothing in it is pinned: the futures have boxes of their own.
impl<Serve, Serving> Unpin for Exchange<Serve, Serving> {}

impl<Serve, Serving> Stream for Exchange<Serve, Serving>
where
    Serve: FnMut(u64, Bytes) -> Serving,
    Serving: Future<Output = Served>,
{
    type Item = Result<Message, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        while let Poll::Ready(stage) = this.stages.poll_next_unpin(context) {
            match stage {
                Some(Stage::Open) => {}
                // What was not handed over is not served.
                Some(Stage::Stopping) => (this.inbound, this.arrived) = (None, None),
                Some(Stage::Ended) | None => return Poll::Ready(None),
            }
        }
        loop {
            let full = this.collect(context);
            if full || !this.hand_over(context)? {
                break;
            }
        }
        if let Some(message) = this.packer.take(|| (this.context.config.wall_ms)()) {
            this.context.config.counters.sent(this.class, &message);
            return Poll::Ready(Some(Ok(message)));
        }
        let ended = this.inbound.is_none() && this.arrived.is_none() && this.serving.is_empty();
        if ended { Poll::Ready(None) } else { Poll::Pending }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn refuse(malformed: Malformed) -> Status {
    Status::invalid_argument(malformed.to_string())
}
