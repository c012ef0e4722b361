//! Messages survive the way, and garbage is never a message.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use openraft::entry::{RaftEntry, RaftPayload};
use openraft::raft::{AppendEntriesRequest, VoteRequest};

use super::machine::TestWaiter;
use crate::entry::{Body, Entry};
use crate::member::{Member, decode_stored, encode_stored};
use crate::message::{self, Kind, Route};
use crate::types::{Membership, RaftVote, StoredMembership, Types, raft_log_id};
use crate::{GroupId, LogId, NodeId, ReplicaId};

const ROUTE: Route = Route { group: GroupId(9), to: ReplicaId(2), from: ReplicaId(1) };

fn id(term: u64, index: u64) -> crate::types::RaftLogId {
    raft_log_id(LogId { term, index })
}

fn membership() -> Membership {
    let member = |id: u64| Member {
        replica: ReplicaId(id),
        node: NodeId([id as u8; 20]),
        peer_address: format!("[::1]:1{id}"),
        client_address: format!("host:{id}"),
    };
    let nodes: BTreeMap<u64, Member> = (1..6).map(|id| (id, member(id))).collect();
    Membership::new(vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([2, 3, 4])], nodes).unwrap()
}

fn append() -> AppendEntriesRequest<Types<TestWaiter>> {
    AppendEntriesRequest {
        vote: RaftVote::new_committed(7, 1),
        prev_log_id: Some(id(6, 41)),
        entries: vec![
            Entry::new_blank(id(7, 42)),
            Entry::new_normal(id(7, 43), Body(Bytes::from_static(b"\x01command"))),
            Entry::new_membership(id(7, 44), membership()),
        ],
        leader_commit: Some(id(6, 40)),
    }
}

#[test]
fn an_append_survives_the_way_without_a_copy() {
    let mut request = append();
    let large = Bytes::from(vec![1; 64 << 10]);
    request.entries.push(Entry::new_normal(id(7, 45), Body(large.clone())));
    let mut bytes = BytesMut::new();
    let mut pieces = message::encode_append(&ROUTE, &request);
    pieces.move_to(&mut bytes, pieces.len() - large.len());
    assert_eq!(pieces.into_bytes().as_ptr(), large.as_ptr(), "a large entry is not copied to be sent");
    bytes.extend_from_slice(&large);
    let bytes = bytes.freeze();
    assert_eq!(message::group_of(&bytes), Some(GroupId(9)));
    let (kind, route, body) = message::read_header(bytes.clone()).unwrap();
    assert_eq!((kind, route), (Kind::Append, ROUTE));
    let read = message::read_append::<TestWaiter>(body).unwrap();
    assert_eq!(read.entries, request.entries);
    assert_eq!(
        (read.vote, read.prev_log_id, read.leader_commit),
        (request.vote, request.prev_log_id, request.leader_commit)
    );
    let held = bytes.as_ptr_range();
    assert!(held.contains(&read.entries[1].body.0.as_ptr()), "the entry is a slice of the message");
    assert_eq!(read.entries[2].get_membership(), Some(membership()));
}

#[test]
fn a_snapshots_membership_survives() {
    let stored = StoredMembership::new(Some(id(3, 4)), membership());
    assert_eq!(decode_stored(encode_stored(&stored)), Some(stored));
}

#[test]
fn votes_survive() {
    let mut request = VoteRequest::<Types<TestWaiter>>::new(RaftVote::new(8, 3), None);
    request.leadership_transfer = true;
    let bytes = message::encode_vote(&ROUTE, Kind::PreVote, &request);
    let (kind, _, body) = message::read_header(bytes).unwrap();
    assert_eq!(kind, Kind::PreVote);
    assert_eq!(message::read_vote(body), Some(request));
}

/// Every prefix and every single changed byte is read as something or nothing, without a panic.
#[test]
fn damaged_messages_are_refused_or_read() {
    let bytes = message::encode_append(&ROUTE, &append()).into_bytes();
    for length in 0..bytes.len() {
        if let Some((_, _, body)) = message::read_header(bytes.slice(..length)) {
            assert!(message::read_append::<TestWaiter>(body).is_none(), "a part of {length} bytes was read");
        }
    }
    for at in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut damaged = bytes.to_vec();
            damaged[at] = value;
            let read = message::read_header(damaged.into());
            let read = read.and_then(|(_, _, body)| message::read_append::<TestWaiter>(body));
            for entry in read.into_iter().flat_map(|request| request.entries) {
                let _ = entry.get_membership();
            }
        }
    }
}

#[test]
fn raft_entries_carry_no_payload() {
    assert_eq!(Entry::new(id(1, 0), Body::blank()).into_payload(), None);
    assert_eq!(Entry::new_membership(id(1, 0), membership()).into_payload(), None);
    let payload = Bytes::from_static(b"\xfe");
    assert_eq!(Entry::new_normal(id(1, 0), Body(payload.clone())).into_payload(), Some(payload));
}
