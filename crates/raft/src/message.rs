//! What replicas of a group say to each other, as bytes.
//!
//! ```text
//! request   version u8 = 1 | kind u8 | group u128 | to u64 | from u64 | body
//!   append    vote | previous log id? | commit mark? | count u32 | count * (term u64 | length u32 | bytes)
//!   vote      vote | last log id? | transfer u8          (pre-vote the same)
//!   transfer  the leader's vote | to u64 | last log id?
//!   start     transfer u64 | last log id | length u64 | membership        of a snapshot
//!   chunk     transfer u64 | offset u64 | bytes
//!   finish    transfer u64 | vote
//! answer    version u8 = 1 | status u8 | body
//!   done      depends on the question
//!   gone      no such group or replica here
//!   retry     not now, or not from this place of the snapshot on
//! ```
//!
//! `?` is a byte 0, or 1 and the value. Entries follow each other without gaps from the previous log id on, so
//! they carry no index. Their bytes are copied once into a message, and never out of one.

use bytes::{BufMut, Bytes, BytesMut};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError};
use openraft::raft::{TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse};

use crate::codec::{Reader, put_log_id, put_vote};
use crate::entry::Entry;
use crate::ids::{GroupId, LogId, ReplicaId};
use crate::log_store::SnapshotMeta;
use crate::machine::Waiter;
use crate::transport::Pieces;
use crate::types::{RaftVote, Types, raft_log_id};

const VERSION: u8 = 1;
/// Version, kind, group, to, from.
const HEADER_BYTES: usize = 1 + 1 + 16 + 8 + 8;
/// What an entry adds to an append beside its bytes.
const ENTRY_HEADER_BYTES: usize = 8 + 4;
/// An entry of so many bytes is a piece of its own, so that it is not copied.
const PIECE_BYTES_MIN: usize = 32 << 10;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Append = 1,
    Vote = 2,
    PreVote = 3,
    Transfer = 4,
    SnapshotStart = 5,
    SnapshotChunk = 6,
    SnapshotFinish = 7,
    /// May the replica be elected? Asked before leadership is handed to it.
    Eligible = 8,
}

impl Kind {
    /// Whether it travels as [`crate::Class::Snapshot`].
    pub(crate) fn is_of_snapshot(self) -> bool {
        matches!(self, Self::SnapshotStart | Self::SnapshotChunk | Self::SnapshotFinish)
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Append,
            2 => Self::Vote,
            3 => Self::PreVote,
            4 => Self::Transfer,
            5 => Self::SnapshotStart,
            6 => Self::SnapshotChunk,
            7 => Self::SnapshotFinish,
            8 => Self::Eligible,
            _ => return None,
        })
    }
}

/// Who speaks to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) group: GroupId,
    pub(crate) to: ReplicaId,
    pub(crate) from: ReplicaId,
}

/// The group that a message of a peer's `Group` is for, so that a node can hand it to the right one.
/// `None` when it is no such message.
pub fn group_of(message: &Bytes) -> Option<GroupId> {
    if message.first() != Some(&VERSION) {
        return None;
    }
    let group = message.get(2..18)?.try_into().expect("sixteen bytes were asked for");
    Some(GroupId(u128::from_be_bytes(group)))
}

fn header(kind: Kind, route: &Route, body_bytes: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(HEADER_BYTES + body_bytes);
    out.put_u8(VERSION);
    out.put_u8(kind as u8);
    out.put_u128(route.group.0);
    out.put_u64(route.to.0);
    out.put_u64(route.from.0);
    out
}

/// Reads a request's header; what is left in the reader is its body.
pub(crate) fn read_header(message: Bytes) -> Option<(Kind, Route, Reader)> {
    let mut reader = Reader::new(message);
    if reader.u8()? != VERSION {
        return None;
    }
    let kind = Kind::from_byte(reader.u8()?)?;
    let group = GroupId(reader.u128()?);
    let (to, from) = (ReplicaId(reader.u64()?), ReplicaId(reader.u64()?));
    Some((kind, Route { group, to, from }, reader))
}

pub(crate) fn encode_append<W: Waiter>(route: &Route, request: &AppendEntriesRequest<Types<W>>) -> Pieces {
    let is_large = |entry: &Entry| entry.body.0.len() >= PIECE_BYTES_MIN;
    let copied = |entry: &Entry| ENTRY_HEADER_BYTES + if is_large(entry) { 0 } else { entry.body.0.len() };
    let entry_bytes: usize = request.entries.iter().map(copied).sum();
    let mut pieces = Pieces::default();
    let mut out = header(Kind::Append, route, 17 + 17 + 17 + 4 + entry_bytes);
    put_vote(&mut out, &request.vote);
    put_log_id(&mut out, request.prev_log_id.as_ref());
    put_log_id(&mut out, request.leader_commit.as_ref());
    out.put_u32(u32::try_from(request.entries.len()).expect("a message has at most 1024 entries"));
    for entry in &request.entries {
        out.put_u64(entry.id.leader_id.term);
        out.put_u32(u32::try_from(entry.body.0.len()).expect("an entry is shorter than 4 GiB"));
        if is_large(entry) {
            pieces.push(out.split().freeze());
            pieces.push(entry.body.0.clone());
        } else {
            out.put_slice(&entry.body.0);
        }
    }
    pieces.push(out.freeze());
    pieces
}

pub(crate) fn read_append<W: Waiter>(mut reader: Reader) -> Option<AppendEntriesRequest<Types<W>>> {
    let vote = reader.vote()?;
    let previous = reader.log_id()?;
    let leader_commit = reader.log_id()?.map(raft_log_id);
    let count = reader.u32()? as usize;
    if count > reader.remaining() / ENTRY_HEADER_BYTES {
        return None;
    }
    let first = match previous {
        Some(previous) => previous.index.checked_add(1)?,
        None => 0,
    };
    let mut entries = Vec::with_capacity(count);
    for at in 0..count as u64 {
        let id = LogId { term: reader.u64()?, index: first.checked_add(at)? };
        let length = reader.u32()? as usize;
        entries.push(Entry::checked(raft_log_id(id), reader.bytes(length)?)?);
    }
    reader.end()?;
    Some(AppendEntriesRequest { vote, prev_log_id: previous.map(raft_log_id), entries, leader_commit })
}

pub(crate) fn encode_append_answer<W: Waiter>(answer: &AppendEntriesResponse<Types<W>>) -> Bytes {
    let mut out = done(1 + 17);
    match answer {
        AppendEntriesResponse::Success => out.put_u8(0),
        AppendEntriesResponse::PartialSuccess(upto) => {
            out.put_u8(1);
            put_log_id(&mut out, upto.as_ref());
        }
        AppendEntriesResponse::Conflict => out.put_u8(2),
        AppendEntriesResponse::HigherVote(vote) => {
            out.put_u8(3);
            put_vote(&mut out, vote);
        }
    }
    out.freeze()
}

pub(crate) fn read_append_answer<W: Waiter>(mut reader: Reader) -> Option<AppendEntriesResponse<Types<W>>> {
    let answer = match reader.u8()? {
        0 => AppendEntriesResponse::Success,
        1 => AppendEntriesResponse::PartialSuccess(reader.log_id()?.map(raft_log_id)),
        2 => AppendEntriesResponse::Conflict,
        3 => AppendEntriesResponse::HigherVote(reader.vote()?),
        _ => return None,
    };
    reader.end()?;
    Some(answer)
}

pub(crate) fn encode_vote<W: Waiter>(route: &Route, kind: Kind, request: &VoteRequest<Types<W>>) -> Bytes {
    let mut out = header(kind, route, 17 + 17 + 1);
    put_vote(&mut out, &request.vote);
    put_log_id(&mut out, request.last_log_id.as_ref());
    out.put_u8(u8::from(request.leadership_transfer));
    out.freeze()
}

pub(crate) fn read_vote<W: Waiter>(mut reader: Reader) -> Option<VoteRequest<Types<W>>> {
    let mut request = VoteRequest::new(reader.vote()?, reader.log_id()?.map(raft_log_id));
    request.leadership_transfer = reader.bool()?;
    reader.end()?;
    Some(request)
}

pub(crate) fn encode_eligible(route: &Route) -> Bytes {
    header(Kind::Eligible, route, 0).freeze()
}

pub(crate) fn encode_vote_answer<W: Waiter>(answer: &VoteResponse<Types<W>>) -> Bytes {
    let mut out = done(17 + 1 + 17);
    put_vote(&mut out, &answer.vote);
    out.put_u8(u8::from(answer.vote_granted));
    put_log_id(&mut out, answer.last_log_id.as_ref());
    out.freeze()
}

pub(crate) fn read_vote_answer<W: Waiter>(mut reader: Reader) -> Option<VoteResponse<Types<W>>> {
    let (vote, granted) = (reader.vote()?, reader.bool()?);
    let last = reader.log_id()?.map(raft_log_id);
    reader.end()?;
    Some(VoteResponse::new(vote, last, granted))
}

pub(crate) fn encode_transfer<W: Waiter>(route: &Route, request: &TransferLeaderRequest<Types<W>>) -> Bytes {
    let mut out = header(Kind::Transfer, route, 17 + 8 + 17);
    put_vote(&mut out, request.from_leader());
    out.put_u64(*request.to_node_id());
    put_log_id(&mut out, request.last_log_id());
    out.freeze()
}

pub(crate) fn read_transfer<W: Waiter>(mut reader: Reader) -> Option<TransferLeaderRequest<Types<W>>> {
    let request = TransferLeaderRequest::new(reader.vote()?, reader.u64()?, reader.log_id()?.map(raft_log_id));
    reader.end()?;
    Some(request)
}

pub(crate) fn encode_transfer_answer<W: Waiter>(answer: &TransferLeaderResponse<Types<W>>) -> Bytes {
    let mut out = done(1 + 34);
    match answer {
        Ok(()) => out.put_u8(0),
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            out.put_u8(1);
            put_vote(&mut out, expected);
            put_vote(&mut out, actual);
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            out.put_u8(2);
            put_log_id(&mut out, expected.as_ref());
            put_log_id(&mut out, actual.as_ref());
        }
    }
    out.freeze()
}

pub(crate) fn read_transfer_answer<W: Waiter>(mut reader: Reader) -> Option<TransferLeaderResponse<Types<W>>> {
    let answer = match reader.u8()? {
        0 => Ok(()),
        1 => Err(TransferLeaderError::VoteChanged { expected: reader.vote()?, actual: reader.vote()? }),
        2 => Err(TransferLeaderError::LogNotFlushed {
            expected: reader.log_id()?.map(raft_log_id),
            actual: reader.log_id()?.map(raft_log_id),
        }),
        _ => return None,
    };
    reader.end()?;
    Some(answer)
}

/// The beginning of a snapshot on its way. `transfer` names the attempt.
pub(crate) fn encode_snapshot_start(route: &Route, transfer: u64, meta: &SnapshotMeta) -> Bytes {
    let mut out = header(Kind::SnapshotStart, route, 8 + 16 + 8 + meta.membership.len());
    out.put_u64(transfer);
    out.put_u64(meta.last.term);
    out.put_u64(meta.last.index);
    out.put_u64(meta.length_bytes);
    out.put_slice(&meta.membership);
    out.freeze()
}

pub(crate) fn read_snapshot_start(mut reader: Reader) -> Option<(u64, SnapshotMeta)> {
    let transfer = reader.u64()?;
    let last = LogId { term: reader.u64()?, index: reader.u64()? };
    let length_bytes = reader.u64()?;
    Some((transfer, SnapshotMeta { last, membership: reader.rest(), length_bytes }))
}

pub(crate) fn encode_snapshot_chunk(route: &Route, transfer: u64, offset: u64, chunk: &[u8]) -> Bytes {
    let mut out = header(Kind::SnapshotChunk, route, 16 + chunk.len());
    out.put_u64(transfer);
    out.put_u64(offset);
    out.put_slice(chunk);
    out.freeze()
}

pub(crate) fn read_snapshot_chunk(mut reader: Reader) -> Option<(u64, u64, Bytes)> {
    Some((reader.u64()?, reader.u64()?, reader.rest()))
}

pub(crate) fn encode_snapshot_finish(route: &Route, transfer: u64, vote: &RaftVote) -> Bytes {
    let mut out = header(Kind::SnapshotFinish, route, 8 + 17);
    out.put_u64(transfer);
    put_vote(&mut out, vote);
    out.freeze()
}

pub(crate) fn read_snapshot_finish(mut reader: Reader) -> Option<(u64, RaftVote)> {
    let (transfer, vote) = (reader.u64()?, reader.vote()?);
    reader.end()?;
    Some((transfer, vote))
}

/// The answer to a finished snapshot: the receiver's vote.
pub(crate) fn encode_snapshot_answer(vote: &RaftVote) -> Bytes {
    let mut out = done(17);
    put_vote(&mut out, vote);
    out.freeze()
}

/// What an answer says before its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// The question was taken; the body answers it.
    Done = 0,
    /// The receiver has no such group or replica.
    Gone = 1,
    /// The receiver cannot now; asking again later is right.
    Retry = 2,
}

fn done(body_bytes: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(2 + body_bytes);
    out.put_u8(VERSION);
    out.put_u8(Status::Done as u8);
    out
}

/// An answer without a body.
pub(crate) fn encode_status(status: Status) -> Bytes {
    Bytes::from_static(match status {
        Status::Done => &[VERSION, Status::Done as u8],
        Status::Gone => &[VERSION, Status::Gone as u8],
        Status::Retry => &[VERSION, Status::Retry as u8],
    })
}

/// The answer of a node that has no such group: for messages that [`group_of`] sends nowhere.
pub fn gone() -> Bytes {
    encode_status(Status::Gone)
}

pub(crate) fn read_answer(answer: Bytes) -> Option<(Status, Reader)> {
    let mut reader = Reader::new(answer);
    if reader.u8()? != VERSION {
        return None;
    }
    let status = match reader.u8()? {
        0 => Status::Done,
        1 => Status::Gone,
        2 => Status::Retry,
        _ => return None,
    };
    Some((status, reader))
}
