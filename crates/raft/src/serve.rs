//! The receiving side: answers what a peer's group sent.
//!
//! Appends take their place in openraft's queue before [`Server::serve`] returns its future, so that messages that
//! arrive in order are handled in order, however their futures are polled. Snapshots are received into a file
//! aside, one at a time; a new attempt replaces an old one.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use openraft::storage::Snapshot;
use openraft::{OptionalSend, Raft};
use tokio::sync::{Mutex, watch};
use tokio::task::coop::unconstrained;

use crate::codec::Reader;
use crate::ids::{GroupId, ReplicaId};
use crate::log_store::SnapshotMeta;
use crate::machine::Waiter;
use crate::member::decode_stored;
use crate::message::{self, Kind, Status};
use crate::snapshot::{Sink, SnapshotData, Snapshots};
use crate::state::State;
use crate::transport::Class;
use crate::types::{RaftSnapshotMeta, RaftVote, Types, raft_log_id};

type Answer = Pin<Box<dyn Future<Output = Bytes> + Send>>;

/// Answers peers for one group.
pub(crate) struct Server<W: Waiter> {
    pub(crate) raft: Raft<Types<W>, State<W>>,
    pub(crate) group: GroupId,
    pub(crate) me: ReplicaId,
    pub(crate) snapshots: Arc<dyn Snapshots>,
    /// Set once this replica owes no promise from before its start.
    pub(crate) may_vote: watch::Receiver<bool>,
    pub(crate) receiving: Mutex<Option<Receiving>>,
}

/// A snapshot that is being received.
pub(crate) struct Receiving {
    transfer: u64,
    sink: Sink,
    meta: SnapshotMeta,
}

fn answer(status: Status) -> Answer {
    Box::pin(ready(message::encode_status(status)))
}

impl<W: Waiter> Server<W> {
    /// Takes one message of a peer. What must keep order has taken its place when this returns.
    pub(crate) fn serve(self: &Arc<Self>, class: Class, message: Bytes) -> Answer {
        let Some((kind, route, body)) = message::read_header(message) else { return answer(Status::Gone) };
        // A chunk on the stream of the entries would hold them up: no version of this program sends that.
        if (class == Class::Snapshot) != kind.is_of_snapshot() {
            return answer(Status::Gone);
        }
        if route.group != self.group || route.to != self.me {
            return answer(Status::Gone);
        }
        match kind {
            Kind::Append => self.append(body),
            Kind::Vote | Kind::PreVote => self.vote(kind, body),
            Kind::Transfer => self.transfer(body),
            Kind::Eligible => answer(if *self.may_vote.borrow() { Status::Done } else { Status::Retry }),
            Kind::SnapshotStart | Kind::SnapshotChunk | Kind::SnapshotFinish => {
                let server = self.clone();
                Box::pin(async move {
                    let answer = server.snapshot(kind, body).await;
                    answer.unwrap_or_else(|| message::encode_status(Status::Retry))
                })
            }
        }
    }

    fn append(&self, body: Reader) -> Answer {
        let Some(request) = message::read_append(body) else { return answer(Status::Gone) };
        let raft = self.raft.clone();
        let appended = async move {
            match raft.append_entries(request).await {
                Ok(answer) => message::encode_append_answer(&answer),
                Err(_) => message::encode_status(Status::Retry),
            }
        };
        started(appended)
    }

    fn vote(&self, kind: Kind, body: Reader) -> Answer {
        let Some(request) = message::read_vote(body) else { return answer(Status::Gone) };
        // RAFT: a voter that restarted has forgotten the lease it promised; it keeps silent for as long as one lasts.
        if !*self.may_vote.borrow() {
            return answer(Status::Retry);
        }
        let raft = self.raft.clone();
        started(async move {
            let voted = match kind {
                Kind::PreVote => raft.pre_vote(request).await,
                _ => raft.vote(request).await,
            };
            match voted {
                Ok(answer) => message::encode_vote_answer(&answer),
                Err(_) => message::encode_status(Status::Retry),
            }
        })
    }

    fn transfer(&self, body: Reader) -> Answer {
        let Some(request) = message::read_transfer(body) else { return answer(Status::Gone) };
        if !*self.may_vote.borrow() {
            return answer(Status::Retry);
        }
        let raft = self.raft.clone();
        started(async move {
            match raft.handle_transfer_leader(request).await {
                Ok(answer) => message::encode_transfer_answer(&answer),
                Err(_) => message::encode_status(Status::Retry),
            }
        })
    }

    /// `None` when the sender has to begin again.
    async fn snapshot(&self, kind: Kind, body: Reader) -> Option<Bytes> {
        let mut receiving = self.receiving.lock().await;
        match kind {
            Kind::SnapshotStart => {
                let (transfer, meta) = message::read_snapshot_start(body)?;
                *receiving = None;
                let sink = self.snapshots.create().await.ok()?;
                *receiving = Some(Receiving { transfer, sink, meta });
                Some(message::encode_status(Status::Done))
            }
            Kind::SnapshotChunk => {
                let (transfer, offset, chunk) = message::read_snapshot_chunk(body)?;
                let current = receiving.as_mut().filter(|current| current.transfer == transfer)?;
                let fits =
                    offset == current.sink.length_bytes() && offset + chunk.len() as u64 <= current.meta.length_bytes;
                if !fits || current.sink.write(chunk).await.is_err() {
                    *receiving = None;
                    return None;
                }
                Some(message::encode_status(Status::Done))
            }
            _ => {
                let (transfer, vote) = message::read_snapshot_finish(body)?;
                let complete = receiving.take_if(|current| {
                    current.transfer == transfer && current.sink.length_bytes() == current.meta.length_bytes
                })?;
                drop(receiving);
                self.install(vote, complete).await
            }
        }
    }

    async fn install(&self, vote: RaftVote, received: Receiving) -> Option<Bytes> {
        let Receiving { sink, meta, .. } = received;
        // What no leader of this vote can have is no snapshot of this group: openraft would panic on it.
        if meta.last.term > vote.leader_id.term {
            return None;
        }
        let last_membership = decode_stored(meta.membership.clone())?;
        let raft_meta = RaftSnapshotMeta { last_log_id: Some(raft_log_id(meta.last)), last_membership };
        let snapshot = Snapshot { meta: raft_meta, snapshot: SnapshotData::Received(sink, meta) };
        let answer = self.raft.install_full_snapshot(vote, snapshot).await.ok()?;
        Some(message::encode_snapshot_answer(&answer.vote))
    }
}

/// Polls a future once, so that its message is in openraft's queue when this returns.
fn started(future: impl Future<Output = Bytes> + OptionalSend + 'static) -> Answer {
    // Not subject to tokio's budget: that poll must get as far as the queue, which is wide enough.
    let mut future = Box::pin(unconstrained(future));
    match future.as_mut().now_or_never() {
        Some(answer) => Box::pin(ready(answer)),
        None => future,
    }
}
