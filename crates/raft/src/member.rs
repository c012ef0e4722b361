//! A member of a group: a replica, the node that holds it, and where that node is reached.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::{self, Reader};
use crate::ids::{NodeId, ReplicaId};
use crate::transport::PeerAddress;
use crate::types::{Membership, StoredMembership, raft_log_id};

/// One member of a group, as the membership in the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The replica: what votes.
    pub replica: ReplicaId,
    /// The node that holds it.
    pub node: NodeId,
    /// `host:port` of the node's peer port.
    pub peer_address: String,
    /// `host:port` that clients are sent to.
    pub client_address: String,
}

impl Member {
    /// Where the transport finds this member.
    pub fn address(&self) -> PeerAddress {
        PeerAddress { node: self.node, address: self.peer_address.clone() }
    }
}

/// The most configs (two while a change is joint), members and address bytes that a membership may have.
const CONFIGS_MAX: usize = 8;
const MEMBERS_MAX: usize = 4096;

/// Appends a membership:
///
/// ```text
/// configs u8, each: voters u16, each: replica u64
/// members u16, each: replica u64 | node 20 bytes | peer address u16 + text | client address u16 + text
/// ```
/// Who votes once the change of voters that is under way is finished; empty while there is none.
pub(crate) fn next_voters(membership: &Membership) -> BTreeSet<ReplicaId> {
    match membership.get_joint_config().as_slice() {
        [_, .., newer] => newer.iter().map(|&voter| ReplicaId(voter)).collect(),
        _ => BTreeSet::new(),
    }
}

pub(crate) fn put_membership(out: &mut BytesMut, membership: &Membership) {
    let configs = membership.get_joint_config();
    out.put_u8(u8::try_from(configs.len()).expect("a membership has at most two configs"));
    for voters in configs {
        out.put_u16(u16::try_from(voters.len()).expect("voters are few"));
        voters.iter().for_each(|&id| out.put_u64(id));
    }
    let count = membership.nodes().count();
    out.put_u16(u16::try_from(count).expect("members are bounded"));
    for (&id, member) in membership.nodes() {
        out.put_u64(id);
        out.put_slice(&member.node.0);
        codec::put_text(out, &member.peer_address);
        codec::put_text(out, &member.client_address);
    }
}

/// Reads what [`put_membership`] wrote; `None` for anything that no member wrote.
pub(crate) fn read_membership(reader: &mut Reader) -> Option<Membership> {
    let mut configs = Vec::new();
    let config_count = usize::from(reader.u8()?);
    if config_count > CONFIGS_MAX {
        return None;
    }
    for _ in 0..config_count {
        let voter_count = usize::from(reader.u16()?);
        let voters: Option<BTreeSet<u64>> = (0..voter_count).map(|_| reader.u64()).collect();
        configs.push(voters?);
    }
    let count = usize::from(reader.u16()?);
    if count > MEMBERS_MAX {
        return None;
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..count {
        let replica = reader.u64()?;
        let node = NodeId(reader.array()?);
        let peer_address = reader.text()?;
        let client_address = reader.text()?;
        nodes.insert(replica, Member { replica: ReplicaId(replica), node, peer_address, client_address });
    }
    Membership::new(configs, nodes).ok()
}

/// Encodes the membership of a snapshot: the log id of its entry, then the membership.
pub(crate) fn encode_stored(stored: &StoredMembership) -> Bytes {
    let mut out = BytesMut::new();
    codec::put_log_id(&mut out, stored.log_id().as_ref());
    put_membership(&mut out, stored.membership());
    out.freeze()
}

/// Reads what [`encode_stored`] wrote.
pub(crate) fn decode_stored(bytes: Bytes) -> Option<StoredMembership> {
    let mut reader = Reader::new(bytes);
    let id = reader.log_id()?.map(raft_log_id);
    let membership = read_membership(&mut reader)?;
    reader.end()?;
    Some(StoredMembership::new(id, membership))
}
