//! Changes as bytes, for an entry of the meta group's log.
//!
//! ```text
//! batch:    format u8 = 1 | commands u32, each: changes u32, each change
//! change:   kind u8 | its fields in order
//! slots:    ranges u32, each: first u16 | last u16, ascending, none touching another
//! endpoint: ip | port u16 | tls port u16 | peer port u16 | hostname | nodename | zone      text: bytes u32 | UTF-8
//! ```
//!
//! The format has one spelling for each value; anything else is not decoded.

use std::fmt;

use super::{Change, Joiner, Setting};
use crate::codec::{Reader, Writer};
use crate::{Endpoint, Replica, Standing};

const FORMAT: u8 = 1;

/// The bytes are not those of a batch of changes, or of a format that this program does not know. Whoever meets one in a log must not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Written by a newer program; its format number.
    Newer(u8),
    /// Damaged, or written by something else.
    Damaged,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(format) => write!(f, "the topology has format {format}, which this version does not know"),
            Self::Damaged => f.write_str("the bytes of the topology are damaged"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Encodes what goes into one entry: commands, each the changes that are made together or not at all.
pub fn encode_batch<C: AsRef<[Change]>>(commands: &[C]) -> Vec<u8> {
    let mut out = Writer::default();
    out.u8(FORMAT);
    out.count(commands.len());
    for command in commands {
        out.count(command.as_ref().len());
        command.as_ref().iter().for_each(|change| put(&mut out, change));
    }
    out.0
}

/// Reads what [`encode_batch`] wrote.
///
/// # Errors
///
/// [`DecodeError`] for anything else.
pub fn decode_batch(bytes: &[u8]) -> Result<Vec<Vec<Change>>, DecodeError> {
    let (&format, rest) = bytes.split_first().ok_or(DecodeError::Damaged)?;
    if format != FORMAT {
        return Err(if format > FORMAT { DecodeError::Newer(format) } else { DecodeError::Damaged });
    }
    let mut reader = Reader(rest);
    let commands = reader.list(4, |reader| reader.list(1, read));
    commands.filter(|_| reader.end().is_some()).ok_or(DecodeError::Damaged)
}

fn put(out: &mut Writer, change: &Change) {
    out.u8(kind(change));
    match change {
        Change::AddSlots { node, slots } | Change::DelSlots { node, slots } => {
            out.node(*node);
            out.slots(slots);
        }
        Change::FlushSlots { node } | Change::BumpEpoch { node } | Change::Forget { node } => out.node(*node),
        Change::SlotsClosed { shard, number, kept } => {
            out.shard(*shard);
            out.u64(*number);
            out.slots(kept);
        }
        Change::KeysGone { shard, slots } => {
            out.shard(*shard);
            out.slots(slots);
        }
        Change::SetConfigEpoch { node, epoch } => {
            out.node(*node);
            out.u64(*epoch);
        }
        Change::NodeChanged { node, endpoint } => {
            out.node(*node);
            put_endpoint(out, endpoint);
        }
        Change::LeaderChanged { shard, term, node } => {
            out.shard(*shard);
            out.u64(*term);
            out.node(*node);
        }
        Change::Replicate { node, shard, replica } => {
            out.node(*node);
            out.shard(*shard);
            out.replica(*replica);
        }
        Change::Place { shard, node, replica, hidden, wanted } => {
            out.shard(*shard);
            out.node(*node);
            out.replica(*replica);
            out.bool(*hidden);
            put_standing(out, *wanted);
        }
        Change::Want { group, replica, wanted } => {
            out.group(*group);
            out.replica(*replica);
            put_standing(out, *wanted);
        }
        Change::Renew { shard, old, replica } => {
            out.shard(*shard);
            out.replica(*old);
            out.replica(*replica);
        }
        Change::MembershipDone { group, at, voters, learners } => {
            out.group(*group);
            out.u64(*at);
            for ids in [voters, learners] {
                out.count(ids.len());
                ids.iter().for_each(|&id| out.replica(id));
            }
        }
        Change::Joining { cluster } | Change::UndoJoining { cluster } | Change::Joined { cluster } => {
            out.cluster(*cluster);
        }
        Change::Join(joiner) => put_joiner(out, joiner),
        Change::Set(Setting::ReplicationFactor(factor)) => out.u8(*factor),
        Change::Set(Setting::VoterReplaceAfterMs(ms)) => out.u64(*ms),
    }
}

/// The number of a kind of change: never used again for another.
const fn kind(change: &Change) -> u8 {
    match change {
        Change::AddSlots { .. } => 1,
        Change::DelSlots { .. } => 2,
        Change::FlushSlots { .. } => 3,
        Change::SlotsClosed { .. } => 4,
        Change::KeysGone { .. } => 5,
        Change::SetConfigEpoch { .. } => 6,
        Change::BumpEpoch { .. } => 7,
        Change::NodeChanged { .. } => 8,
        Change::LeaderChanged { .. } => 9,
        Change::Replicate { .. } => 10,
        Change::Place { .. } => 11,
        Change::Want { .. } => 12,
        Change::MembershipDone { .. } => 13,
        Change::Joining { .. } => 14,
        Change::UndoJoining { .. } => 15,
        Change::Joined { .. } => 16,
        Change::Join(_) => 17,
        Change::Forget { .. } => 18,
        Change::Set(Setting::ReplicationFactor(_)) => 19,
        Change::Set(Setting::VoterReplaceAfterMs(_)) => 20,
        Change::Renew { .. } => 21,
    }
}

fn read(reader: &mut Reader<'_>) -> Option<Change> {
    Some(match reader.u8()? {
        1 => Change::AddSlots { node: reader.node()?, slots: reader.slots()? },
        2 => Change::DelSlots { node: reader.node()?, slots: reader.slots()? },
        3 => Change::FlushSlots { node: reader.node()? },
        4 => Change::SlotsClosed { shard: reader.shard()?, number: reader.u64()?, kept: reader.slots()? },
        5 => Change::KeysGone { shard: reader.shard()?, slots: reader.slots()? },
        6 => Change::SetConfigEpoch { node: reader.node()?, epoch: reader.u64()? },
        7 => Change::BumpEpoch { node: reader.node()? },
        8 => Change::NodeChanged { node: reader.node()?, endpoint: read_endpoint(reader)? },
        9 => Change::LeaderChanged { shard: reader.shard()?, term: reader.u64()?, node: reader.node()? },
        10 => Change::Replicate { node: reader.node()?, shard: reader.shard()?, replica: reader.replica()? },
        11 => Change::Place {
            shard: reader.shard()?,
            node: reader.node()?,
            replica: reader.replica()?,
            hidden: reader.bool()?,
            wanted: read_standing(reader)?,
        },
        12 => Change::Want { group: reader.group()?, replica: reader.replica()?, wanted: read_standing(reader)? },
        13 => Change::MembershipDone {
            group: reader.group()?,
            at: reader.u64()?,
            voters: reader.list(8, Reader::replica)?,
            learners: reader.list(8, Reader::replica)?,
        },
        14 => Change::Joining { cluster: reader.cluster()? },
        15 => Change::UndoJoining { cluster: reader.cluster()? },
        16 => Change::Joined { cluster: reader.cluster()? },
        17 => Change::Join(Box::new(read_joiner(reader)?)),
        18 => Change::Forget { node: reader.node()? },
        19 => Change::Set(Setting::ReplicationFactor(reader.u8()?)),
        20 => Change::Set(Setting::VoterReplaceAfterMs(reader.u64()?)),
        21 => Change::Renew { shard: reader.shard()?, old: reader.replica()?, replica: reader.replica()? },
        _ => return None,
    })
}

fn put_joiner(out: &mut Writer, joiner: &Joiner) {
    out.cluster(joiner.cluster);
    out.u64(joiner.version);
    out.u64(joiner.current_epoch);
    out.node(joiner.node);
    put_endpoint(out, &joiner.endpoint);
    out.replica(joiner.meta_replica);
    out.shard(joiner.shard);
    out.replica(joiner.replica);
    out.u64(joiner.config_epoch);
    out.u64(joiner.term);
    out.slots(&joiner.slots);
    out.slots(&joiner.kept);
}

fn read_joiner(reader: &mut Reader<'_>) -> Option<Joiner> {
    Some(Joiner {
        cluster: reader.cluster()?,
        version: reader.u64()?,
        current_epoch: reader.u64()?,
        node: reader.node()?,
        endpoint: read_endpoint(reader)?,
        meta_replica: reader.replica()?,
        shard: reader.shard()?,
        replica: reader.replica()?,
        config_epoch: reader.u64()?,
        term: reader.u64()?,
        slots: reader.slots()?,
        kept: reader.slots()?,
    })
}

pub(crate) fn put_endpoint(out: &mut Writer, endpoint: &Endpoint) {
    out.text(&endpoint.ip);
    out.u16(endpoint.port);
    out.u16(endpoint.tls_port);
    out.u16(endpoint.peer_port);
    out.text(&endpoint.hostname);
    out.text(&endpoint.nodename);
    out.text(&endpoint.availability_zone);
}

pub(crate) fn read_endpoint(reader: &mut Reader<'_>) -> Option<Endpoint> {
    Some(Endpoint {
        ip: reader.text()?,
        port: reader.u16()?,
        tls_port: reader.u16()?,
        peer_port: reader.u16()?,
        hostname: reader.text()?,
        nodename: reader.text()?,
        availability_zone: reader.text()?,
    })
}

fn put_standing(out: &mut Writer, standing: Standing) {
    out.u8(match standing {
        Standing::Absent => 0,
        Standing::Learner => 1,
        Standing::Voter => 2,
    });
}

fn read_standing(reader: &mut Reader<'_>) -> Option<Standing> {
    Some(match reader.u8()? {
        0 => Standing::Absent,
        1 => Standing::Learner,
        2 => Standing::Voter,
        _ => return None,
    })
}

/// `id u64 | node 20 bytes | hidden u8 | is u8 | wanted u8`
pub(crate) fn put_replica(out: &mut Writer, replica: &Replica) {
    out.replica(replica.id);
    out.node(replica.node);
    out.bool(replica.hidden);
    put_standing(out, replica.is);
    put_standing(out, replica.wanted);
}

pub(crate) fn read_replica(reader: &mut Reader<'_>) -> Option<Replica> {
    Some(Replica {
        id: reader.replica()?,
        node: reader.node()?,
        hidden: reader.bool()?,
        is: read_standing(reader)?,
        wanted: read_standing(reader)?,
    })
}
