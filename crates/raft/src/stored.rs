//! What a replica's log says of its group's members, for whoever has not opened the group.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::entry::Entry;
use crate::ids::{GroupId, ReplicaId};
use crate::log_store::LogStore;
use crate::member::{Member, decode_stored};
use crate::types::Membership;

/// One read carries at most this many bytes.
const READ_BYTES_MAX: usize = 1 << 20;

/// The members of a group as the newest membership in one replica's log has them, committed or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredMembers {
    configs: Vec<BTreeSet<ReplicaId>>,
    members: BTreeMap<ReplicaId, Member>,
}

impl StoredMembers {
    /// Reads them from the newest snapshot and the log behind it; nobody for a replica that was never told.
    ///
    /// # Errors
    /// The log or the snapshot is damaged, or cannot be read.
    pub async fn read<L: LogStore>(store: &L, group: GroupId) -> io::Result<Self> {
        let damaged = |what: &str| {
            let why = format!("the log of group {group} is damaged: {what}");
            io::Error::new(io::ErrorKind::InvalidData, why)
        };
        let mut newest = Self::default();
        let snapshot = store.newest_snapshot(group)?.map(|(meta, _)| meta);
        if let Some(meta) = &snapshot {
            let stored = decode_stored(meta.membership.clone());
            newest = Self::of(stored.ok_or_else(|| damaged("a snapshot's members cannot be read"))?.membership());
        }
        let log = store.load(group)?;
        let covered = snapshot.map(|meta| meta.last).max(log.purged);
        let (mut next, end) = (covered.map_or(0, |id| id.index + 1), log.last.map_or(0, |id| id.index + 1));
        while next < end {
            let entries = store.read(group, next, end, READ_BYTES_MAX).await?;
            if entries.is_empty() {
                return Err(damaged("an entry is missing"));
            }
            next += entries.len() as u64;
            for stored in entries {
                let entry = Entry::from_stored(stored).ok_or_else(|| damaged("an entry cannot be read"))?;
                if let Some(membership) = entry.membership() {
                    newest = Self::of(&membership);
                }
            }
        }
        Ok(newest)
    }

    fn of(membership: &Membership) -> Self {
        let configs = membership.get_joint_config();
        Self {
            configs: configs.iter().map(|voters| voters.iter().map(|&id| ReplicaId(id)).collect()).collect(),
            members: membership.nodes().map(|(&id, member)| (ReplicaId(id), member.clone())).collect(),
        }
    }

    /// All members, those that only replicate included.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Those that vote.
    pub fn voters(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| self.configs.iter().any(|voters| voters.contains(&member.replica)))
    }

    /// Whether these voters can decide without the others: they are a majority, of both sets while a change is under way.
    pub fn can_decide(&self, of_these: impl Fn(ReplicaId) -> bool) -> bool {
        let is_majority =
            |voters: &BTreeSet<ReplicaId>| voters.iter().filter(|&&id| of_these(id)).count() * 2 > voters.len();
        self.configs.iter().all(is_majority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Body;
    use crate::ids::{LogId, NodeId};
    use crate::log_store::{LogChange, StoredEntry};
    use crate::memory::MemoryLogStore;
    use openraft::entry::RaftPayload;

    const GROUP: GroupId = GroupId(7);

    fn stored(index: u64, body: Body) -> StoredEntry {
        StoredEntry { id: LogId { term: 1, index }, bytes: body.0 }
    }

    fn membership(index: u64, configs: Vec<BTreeSet<u64>>) -> StoredEntry {
        let member = |id: u64| {
            let address = format!("127.0.0.1:{id}");
            Member {
                replica: ReplicaId(id),
                node: NodeId([0; 20]),
                peer_address: address.clone(),
                client_address: address,
            }
        };
        let nodes: BTreeMap<u64, Member> = (1..=4).map(|id| (id, member(id))).collect();
        stored(index, Body::blank().with_membership(Membership::new(configs, nodes).unwrap()))
    }

    #[tokio::test]
    async fn the_newest_membership_counts_and_both_sets_of_a_change_decide() {
        let store = MemoryLogStore::new();
        assert_eq!(StoredMembers::read(&store, GROUP).await.unwrap(), StoredMembers::default());
        let first = membership(0, vec![BTreeSet::from([1, 2, 3])]);
        let entries = vec![first, stored(1, Body::blank())];
        store.submit(GROUP, LogChange::Append(entries), Box::new(|done| done.unwrap()));
        let three = StoredMembers::read(&store, GROUP).await.unwrap();
        assert_eq!(three.voters().map(|member| member.replica.0).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(three.members().count(), 4);
        assert!(three.can_decide(|id| id.0 != 2) && !three.can_decide(|id| id.0 == 2));
        let joint = membership(2, vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([1, 2, 4])]);
        store.submit(GROUP, LogChange::Append(vec![joint]), Box::new(|done| done.unwrap()));
        let joint = StoredMembers::read(&store, GROUP).await.unwrap();
        assert_eq!(joint.voters().count(), 4);
        assert!(joint.can_decide(|id| id.0 <= 2) && !joint.can_decide(|id| id.0 == 1 || id.0 == 3));
    }
}
