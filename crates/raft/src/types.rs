//! The types that openraft is instantiated with, and the way between its names and ours.
//!
//! Standard Raft: one leader a term, so that a log id is (term, index), as in [`LogId`].

use std::fmt;
use std::marker::PhantomData;

use openraft::RaftTypeConfig;
use openraft::impls::{BoxedErrorSource, InlineBatch};
use openraft::vote::leader_id_std;

use crate::entry::{Body, Entry};
use crate::ids::LogId;
use crate::machine::Waiter;
use crate::member::Member;
use crate::reply::Reply;
use crate::runtime::SeededRuntime;

/// openraft's type bundle for a group whose proposals wait as `W`.
pub(crate) struct Types<W>(PhantomData<fn() -> W>);

pub(crate) type CommittedLeaderId = leader_id_std::CommittedLeaderId<u64>;
pub(crate) type LeaderId = leader_id_std::LeaderId<u64, u64>;
pub(crate) type RaftLogId = openraft::LogId<CommittedLeaderId>;
pub(crate) type RaftVote = openraft::Vote<LeaderId>;
pub(crate) type Membership = openraft::Membership<u64, Member>;
pub(crate) type StoredMembership = openraft::StoredMembership<CommittedLeaderId, u64, Member>;
pub(crate) type RaftSnapshotMeta = openraft::SnapshotMeta<CommittedLeaderId, u64, Member>;

impl<W: Waiter> RaftTypeConfig for Types<W> {
    type D = Body;
    type R = ();
    type NodeId = u64;
    type Node = Member;
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = RaftVote;
    type Payload = Body;
    type Entry = Entry;
    type AsyncRuntime = SeededRuntime;
    type Responder<T>
        = Reply<W>
    where
        T: Send + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: Send + 'static;
    type ErrorSource = BoxedErrorSource;
}

/// Ours for openraft's.
pub(crate) fn log_id(id: &RaftLogId) -> LogId {
    LogId { term: id.leader_id.term, index: id.index() }
}

/// openraft's for ours.
pub(crate) fn raft_log_id(id: LogId) -> RaftLogId {
    RaftLogId::new(CommittedLeaderId::new(id.term), id.index)
}

// openraft asks the bundle for the traits of a value. Derives would ask the same of `W`.
impl<W> Clone for Types<W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<W> Copy for Types<W> {}
impl<W> Default for Types<W> {
    fn default() -> Self {
        Self(PhantomData)
    }
}
impl<W> fmt::Debug for Types<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Types")
    }
}
impl<W> PartialEq for Types<W> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl<W> Eq for Types<W> {}
impl<W> PartialOrd for Types<W> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<W> Ord for Types<W> {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}
