//! What a node holds, as its `dir` remembers it: its replicas and, in a cluster, its replica of the meta group.
//!
//! ```text
//! u8 0xfe | u8 version, 2
//! u8 1 and the meta group's identity, or u8 0          in a cluster
//! u8 1, cluster u128, replica u64, address; or u8 0    a cluster that is being joined
//! u16 count | identities, each with a u64 version       of shards, in the order of their coming
//! ```
//!
//! Version 1 held one identity and nothing else; it is read as a server that is no cluster.

use raft::{GroupId, ReplicaId};

use crate::messages::{Identity, MARK, Reader, Writer};

const VERSION: u8 = 2;
/// A node holds few replicas; what claims more is damaged.
const REPLICAS_MAX: usize = 1024;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holdings {
    /// The replica of the meta group.
    pub(crate) meta: Option<Identity>,
    /// A cluster that this node asked to be taken into, and does not know the answer yet.
    pub(crate) joining: Option<Joining>,
    /// The replicas of shards.
    pub(crate) shards: Vec<Held>,
}

/// A replica of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) identity: Identity,
    /// In a cluster: the version of the topology that placed it here. An older one that does not name it says nothing.
    pub(crate) since: u64,
}

impl From<Identity> for Held {
    /// A replica that was founded here.
    fn from(identity: Identity) -> Self {
        Self { identity, since: 0 }
    }
}

/// A cluster that is being joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joining {
    /// Its meta group.
    pub(crate) cluster: GroupId,
    /// What this node's replica of that will be: the same whenever it asks again.
    pub(crate) replica: ReplicaId,
    /// The peer address of one of its nodes.
    pub(crate) address: String,
}

impl Holdings {
    /// As the record keeps it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::versioned(VERSION);
        out.u8(u8::from(self.meta.is_some()));
        self.meta.iter().for_each(|identity| out.identity(identity));
        out.u8(u8::from(self.joining.is_some()));
        if let Some(joining) = &self.joining {
            out.group(joining.cluster);
            out.u64(joining.replica.0);
            out.text(&joining.address);
        }
        out.u16(u16::try_from(self.shards.len()).expect("a node holds few replicas"));
        for held in &self.shards {
            out.identity(&held.identity);
            out.u64(held.since);
        }
        out.into_bytes()
    }

    /// Reads a record; an empty one is of a node that holds nothing yet.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let damaged =
            "the node's record of its replicas cannot be read: it was written by a newer version, or is damaged";
        match bytes {
            [MARK, 1, ..] => Identity::decode(bytes)
                .map(|one| Self { shards: one.into_iter().map(Held::from).collect(), ..Self::default() }),
            _ => Reader::versioned(bytes, VERSION).and_then(Self::read).ok_or(damaged),
        }
    }

    fn read(mut read: Reader<'_>) -> Option<Self> {
        let meta = if read.flag()? { Some(read.identity()?) } else { None };
        let joining = if read.flag()? {
            let (cluster, replica) = (read.group()?, ReplicaId(read.u64()?));
            Some(Joining { cluster, replica, address: read.text()? })
        } else {
            None
        };
        let count = usize::from(read.u16()?);
        if count > REPLICAS_MAX {
            return None;
        }
        let held = |_| Some(Held { identity: read.identity()?, since: read.u64()? });
        let shards = (0..count).map(held).collect::<Option<_>>()?;
        read.is_at_end().then_some(Self { meta, joining, shards })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(group: u128) -> Identity {
        Identity { group: GroupId(group), replica: ReplicaId(3), hash_key: [1, 2], founders: Vec::new() }
    }

    #[test]
    fn holdings_come_back_as_they_were_and_cuts_are_noticed() {
        let joining = Joining { cluster: GroupId(4), replica: ReplicaId(5), address: "127.0.0.1:17000".to_owned() };
        let full = Holdings {
            meta: Some(identity(1)),
            joining: Some(joining),
            shards: vec![identity(2).into(), identity(3).into()],
        };
        for holdings in [full, Holdings::default()] {
            let bytes = holdings.encode();
            assert_eq!(Holdings::decode(&bytes), Ok(holdings));
            assert!((1..bytes.len()).all(|cut| Holdings::decode(&bytes[..cut]).is_err()));
        }
        assert_eq!(Holdings::decode(b""), Ok(Holdings::default()));
    }

    #[test]
    fn the_record_of_version_one_is_read() {
        let one = identity(9);
        assert_eq!(Holdings::decode(&one.encode()).unwrap().shards, [one.into()]);
    }
}
