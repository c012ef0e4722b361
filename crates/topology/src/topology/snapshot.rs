//! The whole state as bytes, for a snapshot of the meta group.
//!
//! ```text
//! format u8 = 1 | cluster u128 | version u64 | shape version u64 | current epoch u64
//! factor u8 | replace after ms u64 | phase u8 (0 living, 1 joining, 2 retired) and, unless living, cluster u128
//! nodes u32,  each: id 20 bytes | endpoint | home u128 | joined from u128
//! shards u32, each: id u128 | config epoch u64 | slots | slots version u64
//!                   closing u32, each: number u64 | slots
//!                   kept slots | led u8 and, if led: term u64 | node
//!                   replicas u32, each replica | confirmed at u64
//! meta replicas u32, each replica | confirmed at u64
//! forgotten u32, each: node | joined from u128, the oldest first
//! ```
//!
//! Slots, endpoints and replicas are written as in changes.

use std::collections::VecDeque;

use super::{Forgotten, Phase, Topology};
use crate::change::{put_endpoint, put_replica, read_endpoint, read_replica};
use crate::codec::{Reader, Writer};
use crate::{Closing, DecodeError, Leader, Node, NodeId, Shard, ShardId};

const FORMAT: u8 = 1;

impl Topology {
    /// The state as bytes. Equal states have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(FORMAT);
        out.cluster(self.cluster);
        out.u64(self.version);
        out.u64(self.shape_version);
        out.u64(self.current_epoch);
        out.u8(self.replication_factor);
        out.u64(self.voter_replace_after_ms);
        match self.phase {
            Phase::Living => out.u8(0),
            Phase::Joining(cluster) => {
                out.u8(1);
                out.cluster(cluster);
            }
            Phase::Retired(cluster) => {
                out.u8(2);
                out.cluster(cluster);
            }
        }
        out.count(self.nodes.len());
        for (&id, node) in &self.nodes {
            put_node(&mut out, id, node);
        }
        out.count(self.shards.len());
        for (&id, shard) in &self.shards {
            put_shard(&mut out, id, shard);
        }
        out.count(self.meta.len());
        self.meta.iter().for_each(|replica| put_replica(&mut out, replica));
        out.u64(self.meta_confirmed_at);
        out.count(self.forgotten.len());
        for forgotten in &self.forgotten {
            out.node(forgotten.node);
            out.cluster(forgotten.joined_from);
        }
        out.0
    }

    /// Reads what [`Topology::encode`] wrote.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for anything else, and for a state that no sequence of changes leads to.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (&format, rest) = bytes.split_first().ok_or(DecodeError::Damaged)?;
        if format != FORMAT {
            return Err(if format > FORMAT { DecodeError::Newer(format) } else { DecodeError::Damaged });
        }
        let mut reader = Reader(rest);
        let topology = read(&mut reader).filter(|topology| reader.end().is_some() && topology.check().is_ok());
        topology.filter(|topology| topology.encode() == bytes).ok_or(DecodeError::Damaged)
    }
}

fn read(reader: &mut Reader<'_>) -> Option<Topology> {
    Some(Topology {
        cluster: reader.cluster()?,
        version: reader.u64()?,
        shape_version: reader.u64()?,
        current_epoch: reader.u64()?,
        replication_factor: reader.u8()?,
        voter_replace_after_ms: reader.u64()?,
        phase: match reader.u8()? {
            0 => Phase::Living,
            1 => Phase::Joining(reader.cluster()?),
            2 => Phase::Retired(reader.cluster()?),
            _ => return None,
        },
        nodes: reader.list(20, read_node)?.into_iter().collect(),
        shards: reader.list(16, read_shard)?.into_iter().collect(),
        meta: reader.list(1, read_replica)?,
        meta_confirmed_at: reader.u64()?,
        forgotten: VecDeque::from(
            reader.list(20, |reader| Some(Forgotten { node: reader.node()?, joined_from: reader.cluster()? }))?,
        ),
    })
}

fn put_node(out: &mut Writer, id: NodeId, node: &Node) {
    out.node(id);
    put_endpoint(out, &node.endpoint);
    out.shard(node.home);
    out.cluster(node.joined_from);
}

fn read_node(reader: &mut Reader<'_>) -> Option<(NodeId, Node)> {
    let id = reader.node()?;
    let endpoint = read_endpoint(reader)?;
    Some((id, Node { endpoint, home: reader.shard()?, joined_from: reader.cluster()? }))
}

fn put_shard(out: &mut Writer, id: ShardId, shard: &Shard) {
    out.shard(id);
    out.u64(shard.config_epoch);
    out.slots(&shard.slots);
    out.u64(shard.slots_version);
    out.count(shard.closing.len());
    for closing in &shard.closing {
        out.u64(closing.number);
        out.slots(&closing.slots);
    }
    out.slots(&shard.kept);
    out.bool(shard.leader.is_some());
    if let Some(leader) = shard.leader {
        out.u64(leader.term);
        out.node(leader.node);
    }
    out.count(shard.replicas.len());
    shard.replicas.iter().for_each(|replica| put_replica(out, replica));
    out.u64(shard.confirmed_at);
}

fn read_shard(reader: &mut Reader<'_>) -> Option<(ShardId, Shard)> {
    let id = reader.shard()?;
    let shard = Shard {
        config_epoch: reader.u64()?,
        slots: reader.slots()?,
        slots_version: reader.u64()?,
        closing: reader.list(8, |reader| Some(Closing { number: reader.u64()?, slots: reader.slots()? }))?,
        kept: reader.slots()?,
        leader: if reader.bool()? { Some(Leader { term: reader.u64()?, node: reader.node()? }) } else { None },
        replicas: reader.list(1, read_replica)?,
        confirmed_at: reader.u64()?,
    };
    Some((id, shard))
}
