//! The sending side: openraft's network over a [`Transport`].
//!
//! Appends are pipelined (appends.rs): several messages are under way to a follower, and their answers are handed on in
//! order. Each has a deadline of its own, without which a lost answer would stop replication for good. Heartbeats travel as control messages, so that no backlog of entries delays them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::stream::{BoxStream, Stream, StreamExt};
use openraft::RaftNetworkFactory;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult};
use openraft::raft::{TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse};
use openraft::storage::Snapshot;

use crate::appends::Appends;
use crate::codec::Reader;
use crate::ids::{GroupId, ReplicaId};
use crate::log::LogState;
use crate::log_store::SnapshotReader;
use crate::machine::Waiter;
use crate::member::Member;
use crate::message::{self, Kind, Route, Status};
use crate::runtime;
use crate::snapshot::{BoxFuture, SnapshotData};
use crate::transport::{Class, PeerAddress, Pieces, Transport, TransportError};
use crate::types::{CommittedLeaderId, RaftVote, Types};

/// One message of a snapshot.
const CHUNK_BYTES_MAX: usize = 256 << 10;
/// How long a link may take for one MiB of entries or snapshot, beside the patience for the answer.
const PATIENCE_PER_MIB: Duration = Duration::from_secs(1);

/// Makes clients for openraft's replication tasks.
pub(crate) struct Network<T, W: Waiter> {
    pub(crate) transport: T,
    pub(crate) log: Arc<LogState<W>>,
    pub(crate) group: GroupId,
    pub(crate) me: ReplicaId,
    /// How long an answer to an append or a snapshot chunk may take: the peer syncs its disk before.
    pub(crate) patience: Duration,
}

/// Talks to one peer of one group.
pub(crate) struct Client<T, W: Waiter> {
    transport: T,
    log: Arc<LogState<W>>,
    to: PeerAddress,
    route: Route,
    append_class: Class,
    patience: Duration,
}

impl<T: Transport, W: Waiter> Network<T, W> {
    fn client(&self, target: u64, member: &Member, append_class: Class) -> Client<T, W> {
        Client {
            transport: self.transport.clone(),
            log: self.log.clone(),
            to: member.address(),
            route: Route { group: self.group, to: ReplicaId(target), from: self.me },
            append_class,
            patience: self.patience,
        }
    }
}

impl<T: Transport, W: Waiter> RaftNetworkFactory<Types<W>> for Network<T, W> {
    type Network = Client<T, W>;

    async fn new_client(&mut self, target: u64, member: &Member) -> Client<T, W> {
        self.client(target, member, Class::Log)
    }

    async fn new_heartbeat_client(&mut self, target: u64, member: &Member) -> Client<T, W> {
        self.client(target, member, Class::Control)
    }
}

/// Asks a member whether it may be elected: it answers, and does not keep its vote to itself.
pub(crate) type AskEligible = Box<dyn Fn(&Member) -> BoxFuture<'static, bool> + Send + Sync>;

/// For a replica of a group; an answer may take `within`.
pub(crate) fn ask_eligible<T: Transport>(transport: T, group: GroupId, me: ReplicaId, within: Duration) -> AskEligible {
    Box::new(move |member| {
        let message = message::encode_eligible(&Route { group, to: member.replica, from: me });
        let answer = transport.request(&member.address(), Class::Control, message.into(), within);
        Box::pin(async move {
            let answer = answer.await.ok().and_then(message::read_answer);
            answer.is_some_and(|(status, _)| status == Status::Done)
        })
    })
}

type Error<W> = RPCError<Types<W>>;

fn unreachable<W: Waiter>(why: &str) -> Error<W> {
    Unreachable::from_string(why).into()
}

fn lost<W: Waiter>(why: &str) -> Error<W> {
    NetworkError::from_string(why).into()
}

/// What a peer answered, as the body of a `Done` or an error.
fn judge<W: Waiter>(answer: Result<Bytes, TransportError>) -> Result<Reader, Error<W>> {
    match answer {
        Err(TransportError::Unreachable(why)) => Err(unreachable(&why)),
        Err(TransportError::Lost) => Err(lost("no answer before the deadline")),
        Ok(answer) => match message::read_answer(answer) {
            Some((Status::Done, body)) => Ok(body),
            Some((Status::Gone, _)) => Err(unreachable("the peer holds no such replica")),
            Some((Status::Retry, _)) => Err(lost("the peer cannot answer now")),
            None => Err(unreachable("the peer's answer cannot be read")),
        },
    }
}

fn unread<W: Waiter>() -> Error<W> {
    unreachable("the peer's answer cannot be read")
}

impl<T: Transport, W: Waiter> Client<T, W> {
    /// Sends at once; the future waits for the answer.
    fn ask(
        &self,
        class: Class,
        message: Pieces,
        deadline: Duration,
    ) -> impl Future<Output = Result<Reader, Error<W>>> + Send + use<T, W> {
        let answer = self.transport.request(&self.to, class, message, deadline);
        async move { judge(answer.await) }
    }

    fn patience_for(&self, bytes: usize) -> Duration {
        let mib = u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
        self.patience.saturating_add(PATIENCE_PER_MIB.saturating_mul(mib))
    }

    fn append(
        &self,
        request: &AppendEntriesRequest<Types<W>>,
    ) -> impl Future<Output = Result<StreamAppendResult<Types<W>>, Error<W>>> + Send + use<T, W> {
        let previous = request.prev_log_id;
        let last = request.entries.last().map(|entry| entry.id).or(previous);
        let message = message::encode_append(&self.route, request);
        let deadline = self.patience_for(message.len());
        let answer = self.ask(self.append_class, message, deadline);
        async move {
            let answer: AppendEntriesResponse<Types<W>> =
                message::read_append_answer(answer.await?).ok_or_else(unread)?;
            if previous.is_none() && matches!(answer, AppendEntriesResponse::Conflict) {
                return Err(unread());
            }
            Ok(answer.into_stream_result(previous, last))
        }
    }
}

impl<T: Transport, W: Waiter> NetStreamAppend<Types<W>> for Client<T, W> {
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<StreamAppendResult<Types<W>>, Error<W>>>, Error<W>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types<W>>> + Send + Unpin + 'static,
    {
        let client = &*self;
        let appends = Appends::new(input, self.log.clone(), |request: &_| client.append(request));
        Box::pin(async move { Ok(appends.boxed()) })
    }
}

impl<T: Transport, W: Waiter> NetVote<Types<W>> for Client<T, W> {
    async fn vote(
        &mut self,
        request: VoteRequest<Types<W>>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types<W>>, Error<W>> {
        let message = message::encode_vote(&self.route, Kind::Vote, &request);
        let answer = self.ask(Class::Control, message.into(), option.hard_ttl()).await?;
        message::read_vote_answer(answer).ok_or_else(unread)
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types<W>>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types<W>>, Error<W>> {
        let message = message::encode_vote(&self.route, Kind::PreVote, &request);
        let answer = self.ask(Class::Control, message.into(), option.hard_ttl()).await?;
        message::read_vote_answer(answer).ok_or_else(unread)
    }
}

impl<T: Transport, W: Waiter> NetTransferLeader<Types<W>> for Client<T, W> {
    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types<W>>,
        _option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types<W>>, Error<W>> {
        let message = message::encode_transfer(&self.route, &request);
        let answer = self.ask(Class::Control, message.into(), self.patience).await?;
        message::read_transfer_answer(answer).ok_or_else(unread)
    }
}

impl<T: Transport, W: Waiter> NetBackoff<Types<W>> for Client<T, W> {
    /// That of the group's configuration.
    fn backoff(&self) -> Option<Backoff> {
        None
    }
}

impl<T: Transport, W: Waiter> NetSnapshot<Types<W>> for Client<T, W> {
    type SnapshotData = SnapshotData;

    async fn full_snapshot(
        &mut self,
        vote: RaftVote,
        snapshot: Snapshot<CommittedLeaderId, u64, Member, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types<W>>, StreamingError<Types<W>>> {
        let sending = pin!(self.send_snapshot(vote, snapshot.snapshot));
        match select(pin!(cancel), sending).await {
            Either::Left((closed, _)) => Err(closed.into()),
            Either::Right((answer, _)) => answer,
        }
    }
}

impl<T: Transport, W: Waiter> Client<T, W> {
    /// One message after the other: a snapshot must not crowd out anything.
    async fn send_snapshot(
        &self,
        vote: RaftVote,
        data: SnapshotData,
    ) -> Result<SnapshotResponse<Types<W>>, StreamingError<Types<W>>> {
        let SnapshotData::Stored(mut source, meta) = data else {
            return Err(unreachable("the snapshot is not in the store").into());
        };
        let transfer = runtime::draw();
        self.ask_snapshot(message::encode_snapshot_start(&self.route, transfer, &meta)).await?;
        let mut offset = 0;
        loop {
            let chunk = source.read().await.map_err(|error| unreachable(&error.to_string()))?;
            let Some(chunk) = chunk else { break };
            for piece in chunk.chunks(CHUNK_BYTES_MAX) {
                self.ask_snapshot(message::encode_snapshot_chunk(&self.route, transfer, offset, piece)).await?;
                offset += piece.len() as u64;
            }
        }
        let mut answer = self.ask_snapshot(message::encode_snapshot_finish(&self.route, transfer, &vote)).await?;
        let vote = answer.vote().ok_or_else(unread)?;
        Ok(SnapshotResponse::new(vote))
    }

    async fn ask_snapshot(&self, message: Bytes) -> Result<Reader, Error<W>> {
        // Installing may take as long as writing the whole snapshot did: the last message gets more patience.
        let deadline = self.patience_for(message.len()).saturating_mul(10);
        self.ask(Class::Snapshot, message.into(), deadline).await
    }
}
