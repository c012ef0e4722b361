//! What nodes say to each other beside Raft: whether they are empty, the forming of a group, the wish to join one.
//!
//! ```text
//! u8 0xfe (no message of a group begins so) | u8 version, 1 | u8 kind | fields, integers big-endian, texts u16 + bytes
//! ```

use bytes::Bytes;
use raft::{GroupId, LogId, Member, NodeId, ReplicaId};

/// What tells a node's message from one of its groups.
pub(crate) const MARK: u8 = 0xfe;
const VERSION: u8 = 1;
/// A group has few members; what claims more is noise.
const MEMBERS_MAX: usize = 64;

/// The lasting facts of a replica: which group it is of, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The group.
    pub(crate) group: GroupId,
    /// This replica, drawn at its addition to the group and never used again.
    pub(crate) replica: ReplicaId,
    /// The key of the shard's hash tables, the same on all replicas.
    pub(crate) hash_key: [u64; 2],
    /// On the node that forms the group: its first voters. Empty on the others.
    pub(crate) founders: Vec<Member>,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Who are you, and have you a replica?
    Probe,
    /// Become this replica of a new group, unless you have one.
    Form(Identity),
    /// I am listed at this address and have no data: give me a fresh replica. With a replica: make that one a voter.
    Join { member: Member },
    /// Propose this change of the topology to that meta group, if you lead it.
    Change(GroupId, Bytes),
    /// Of a shard: this node leads it in this term.
    Leads { group: GroupId, term: u64, node: NodeId },
    /// Which cluster are you of?
    Hello,
    /// Take me into that cluster, with this change of its topology.
    TakeIn(GroupId, Bytes),
    /// Hand leadership of this group over to this replica.
    HandOver { group: GroupId, to: ReplicaId },
    /// Is this node one of that cluster, whose meta group you lead?
    Knows(GroupId, NodeId),
    /// Is this replica a member of the group, which you lead?
    IsMember(GroupId, ReplicaId),
    /// Which nodes are not heard of.
    Silent(Marks),
    /// Ask to be taken into my cluster; I am at this peer address.
    Come(String),
    /// How far are the members of this group, which you lead?
    Offsets(GroupId),
    /// Of that cluster: this node is reached at this peer address now.
    Here(GroupId, NodeId, String),
    /// Up to where must I have applied the log of this group to see everything that was acknowledged by now?
    ReadIndex(GroupId),
    /// May your replica of this group have forgotten what it acknowledged, and does it lead? Asked by that replica.
    Doubts { group: GroupId, replica: ReplicaId },
    /// The log of this replica of a group may be shorter than you know it to be, if you lead the group.
    Shortened { group: GroupId, replica: ReplicaId },
    /// This node is stopping: leadership is not to be given to it.
    Leaves(NodeId),
    /// This node was stopping, perhaps, and is back.
    Returns(NodeId),
    /// Store what your replica of this group holds, if its disk does not have it up to this index yet. Up to where does it?
    Store { group: GroupId, index: u64 },
}

/// What the leader of a cluster's meta group says of the nodes: these, and no others, are not heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The meta group.
    pub(crate) cluster: GroupId,
    /// The leader's term.
    pub(crate) term: u64,
    pub(crate) failed: Vec<topology::NodeId>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The node's id, and its group if it has a replica.
    Node { node: NodeId, group: Option<GroupId> },
    /// Done, or under way. To Join: who the asking node is from now on.
    Accepted(Option<Identity>),
    /// Not here, but the leader can: ask at this peer address. Without one: not now, ask again in a moment.
    Ask(String),
    /// No, and why.
    Refused(String),
    /// Up to this index.
    Index(u64),
    /// How far each node's replica is: its last index.
    Offsets(Vec<(NodeId, u64)>),
    /// The cluster of a node, by its meta group; how many nodes it has; whether it is joining another.
    Cluster { node: NodeId, cluster: GroupId, nodes: u64, joining: bool },
    /// The node's replica of a group; `None`: it holds none, and none that it held before votes again. `is_empty`: it holds nothing
    /// of any group.
    Log { node: NodeId, held: Option<HeldLog>, is_empty: bool },
}

/// A replica that a node holds, for another one that is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeldLog {
    pub(crate) replica: ReplicaId,
    pub(crate) state: LogState,
    /// The replica that asks votes, as far as this one knows.
    pub(crate) counts_on_asker: bool,
}

/// Whether a replica's log has all that it acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogState {
    /// It has, and takes part. `leads`: a majority has just said that it follows it.
    Whole { leads: bool },
    /// Perhaps not, and it takes no part. Where its log ends.
    Doubtful { last: Option<LogId> },
}

impl Request {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        match self {
            Self::Probe => out.u8(0),
            Self::Form(identity) => {
                out.u8(1);
                out.identity(identity);
            }
            Self::Join { member } => {
                out.u8(2);
                out.member(member);
            }
            Self::ReadIndex(group) => out.about(3, *group),
            Self::Change(group, payload) => {
                out.u8(4);
                out.group(*group);
                out.0.extend_from_slice(payload);
            }
            Self::Leads { group, term, node } => {
                out.u8(5);
                out.group(*group);
                out.u64(*term);
                out.0.extend_from_slice(&node.0);
            }
            Self::Hello => out.u8(6),
            Self::TakeIn(group, payload) => {
                out.u8(7);
                out.group(*group);
                out.0.extend_from_slice(payload);
            }
            Self::HandOver { group, to } => out.about_number(9, *group, to.0),
            Self::Knows(cluster, node) => {
                out.u8(10);
                out.group(*cluster);
                out.0.extend_from_slice(&node.0);
            }
            Self::IsMember(group, replica) => out.about_number(12, *group, replica.0),
            Self::Silent(Marks { cluster, term, failed }) => {
                out.u8(11);
                out.group(*cluster);
                out.u64(*term);
                out.u16(u16::try_from(failed.len()).expect("a cluster has at most 1000 nodes"));
                failed.iter().for_each(|node| out.0.extend_from_slice(&node.0));
            }
            Self::Come(address) => {
                out.u8(8);
                out.text(address);
            }
            Self::Offsets(group) => out.about(14, *group),
            Self::Doubts { group, replica } => out.about_number(15, *group, replica.0),
            Self::Shortened { group, replica } => out.about_number(19, *group, replica.0),
            Self::Leaves(node) => out.about_node(16, *node),
            Self::Returns(node) => out.about_node(17, *node),
            Self::Store { group, index } => out.about_number(18, *group, *index),
            Self::Here(cluster, node, address) => {
                out.u8(13);
                out.group(*cluster);
                out.0.extend_from_slice(&node.0);
                out.text(address);
            }
        }
        out.0.into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut read = Reader::open(bytes)?;
        let request = match read.u8()? {
            0 => Self::Probe,
            1 => Self::Form(read.identity()?),
            2 => Self::Join { member: read.member()? },
            3 => Self::ReadIndex(read.group()?),
            4 => Self::Change(read.group()?, read.rest()),
            5 => Self::Leads { group: read.group()?, term: read.u64()?, node: NodeId(read.array()?) },
            6 => Self::Hello,
            7 => Self::TakeIn(read.group()?, read.rest()),
            8 => Self::Come(read.text()?),
            9 => Self::HandOver { group: read.group()?, to: ReplicaId(read.u64()?) },
            10 => Self::Knows(read.group()?, NodeId(read.array()?)),
            14 => Self::Offsets(read.group()?),
            15 => Self::Doubts { group: read.group()?, replica: ReplicaId(read.u64()?) },
            16 => Self::Leaves(NodeId(read.array()?)),
            17 => Self::Returns(NodeId(read.array()?)),
            18 => Self::Store { group: read.group()?, index: read.u64()? },
            19 => Self::Shortened { group: read.group()?, replica: ReplicaId(read.u64()?) },
            13 => Self::Here(read.group()?, NodeId(read.array()?), read.text()?),
            12 => Self::IsMember(read.group()?, ReplicaId(read.u64()?)),
            11 => {
                let (cluster, term, count) = (read.group()?, read.u64()?, read.u16()?);
                let failed = (0..count).map(|_| read.array().map(topology::NodeId)).collect::<Option<_>>()?;
                Self::Silent(Marks { cluster, term, failed })
            }
            _ => return None,
        };
        read.is_at_end().then_some(request)
    }
}

impl Answer {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        match self {
            Self::Node { node, group } => {
                out.u8(0);
                out.0.extend_from_slice(&node.0);
                out.u8(u8::from(group.is_some()));
                out.0.extend_from_slice(&group.map_or(0, |group| group.0).to_be_bytes());
            }
            Self::Accepted(identity) => {
                out.u8(1);
                out.u8(u8::from(identity.is_some()));
                identity.iter().for_each(|identity| out.identity(identity));
            }
            Self::Ask(address) => {
                out.u8(2);
                out.text(address);
            }
            Self::Refused(why) => {
                out.u8(3);
                out.text(why);
            }
            Self::Index(index) => {
                out.u8(4);
                out.u64(*index);
            }
            Self::Offsets(offsets) => {
                out.u8(6);
                out.u16(u16::try_from(offsets.len()).expect("a group has few members"));
                for (node, index) in offsets {
                    out.0.extend_from_slice(&node.0);
                    out.u64(*index);
                }
            }
            Self::Cluster { node, cluster, nodes, joining } => {
                out.u8(5);
                out.0.extend_from_slice(&node.0);
                out.group(*cluster);
                out.u64(*nodes);
                out.u8(u8::from(*joining));
            }
            Self::Log { node, held, is_empty } => {
                out.u8(7);
                out.0.extend_from_slice(&node.0);
                out.u8(u8::from(*is_empty));
                out.u8(u8::from(held.is_some()));
                held.iter().for_each(|held| out.held_log(held));
            }
        }
        out.0.into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut read = Reader::open(bytes)?;
        let answer = match read.u8()? {
            0 => {
                let (node, has_group) = (NodeId(read.array()?), read.u8()? == 1);
                let group = read.group()?;
                Self::Node { node, group: has_group.then_some(group) }
            }
            1 if read.u8()? == 1 => Self::Accepted(Some(read.identity()?)),
            1 => Self::Accepted(None),
            2 => Self::Ask(read.text()?),
            3 => Self::Refused(read.text()?),
            4 => Self::Index(read.u64()?),
            5 => {
                let (node, cluster) = (NodeId(read.array()?), read.group()?);
                Self::Cluster { node, cluster, nodes: read.u64()?, joining: read.flag()? }
            }
            6 => {
                let count = read.u16()?;
                let offset = |_| Some((NodeId(read.array()?), read.u64()?));
                Self::Offsets((0..count).map(offset).collect::<Option<_>>()?)
            }
            7 => {
                let (node, is_empty) = (NodeId(read.array()?), read.flag()?);
                Self::Log { node, held: if read.flag()? { Some(read.held_log()?) } else { None }, is_empty }
            }
            _ => return None,
        };
        read.is_at_end().then_some(answer)
    }
}

impl Identity {
    /// As the node's record kept it in version 1.
    #[cfg(test)]
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.identity(self);
        out.0
    }

    /// Reads a record: `Ok(None)` for an empty one.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let read = |mut read: Reader<'_>| read.identity().filter(|_| read.is_at_end());
        let damaged =
            "the node's record of its replica cannot be read: it was written by a newer version, or is damaged";
        Reader::open(bytes).and_then(read).map(Some).ok_or(damaged)
    }
}

/// Writes fields one after the other.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    fn new() -> Self {
        Self::versioned(VERSION)
    }

    pub(crate) fn versioned(version: u8) -> Self {
        Self(vec![MARK, version])
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// A message of this kind that names a group and says no more.
    fn about(&mut self, kind: u8, group: GroupId) {
        self.u8(kind);
        self.group(group);
    }

    /// A message of this kind that names a group and a number.
    fn about_number(&mut self, kind: u8, group: GroupId, number: u64) {
        self.about(kind, group);
        self.u64(number);
    }

    /// A message of this kind that names a node and says no more.
    fn about_node(&mut self, kind: u8, node: NodeId) {
        self.u8(kind);
        self.0.extend_from_slice(&node.0);
    }

    pub(crate) fn group(&mut self, group: GroupId) {
        self.0.extend_from_slice(&group.0.to_be_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        let kept = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
        let length = u16::try_from(kept.len()).expect("it was cut");
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(kept);
    }

    fn member(&mut self, member: &Member) {
        self.u64(member.replica.0);
        self.0.extend_from_slice(&member.node.0);
        self.text(&member.peer_address);
        self.text(&member.client_address);
    }

    fn held_log(&mut self, held: &HeldLog) {
        self.u64(held.replica.0);
        match held.state {
            LogState::Whole { leads } => self.u8(u8::from(leads)),
            LogState::Doubtful { last: None } => self.u8(2),
            LogState::Doubtful { last: Some(last) } => {
                self.u8(3);
                self.u64(last.term);
                self.u64(last.index);
            }
        }
        self.u8(u8::from(held.counts_on_asker));
    }

    pub(crate) fn identity(&mut self, identity: &Identity) {
        self.group(identity.group);
        self.u64(identity.replica.0);
        identity.hash_key.iter().for_each(|&word| self.u64(word));
        self.u8(u8::try_from(identity.founders.len()).expect("a group has few founders"));
        identity.founders.iter().for_each(|member| self.member(member));
    }
}

/// Reads fields one after the other; `None` for what nobody wrote.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn open(bytes: &'a [u8]) -> Option<Self> {
        Self::versioned(bytes, VERSION)
    }

    pub(crate) fn versioned(bytes: &'a [u8], version: u8) -> Option<Self> {
        bytes.strip_prefix(&[MARK, version]).map(Self)
    }

    /// A byte that is 0 or 1.
    pub(crate) fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn group(&mut self) -> Option<GroupId> {
        self.array().map(|bytes| GroupId(u128::from_be_bytes(bytes)))
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn member(&mut self) -> Option<Member> {
        let replica = ReplicaId(self.u64()?);
        let node = NodeId(self.array()?);
        Some(Member { replica, node, peer_address: self.text()?, client_address: self.text()? })
    }

    pub(crate) fn identity(&mut self) -> Option<Identity> {
        let group = self.group()?;
        let replica = ReplicaId(self.u64()?);
        let hash_key = [self.u64()?, self.u64()?];
        let count = usize::from(self.u8()?);
        if count > MEMBERS_MAX {
            return None;
        }
        let founders = (0..count).map(|_| self.member()).collect::<Option<_>>()?;
        Some(Identity { group, replica, hash_key, founders })
    }

    fn held_log(&mut self) -> Option<HeldLog> {
        let replica = ReplicaId(self.u64()?);
        let state = match self.u8()? {
            leads @ (0 | 1) => LogState::Whole { leads: leads == 1 },
            2 => LogState::Doubtful { last: None },
            3 => LogState::Doubtful { last: Some(LogId { term: self.u64()?, index: self.u64()? }) },
            _ => return None,
        };
        Some(HeldLog { replica, state, counts_on_asker: self.flag()? })
    }

    /// Everything that is left.
    fn rest(&mut self) -> Bytes {
        Bytes::copy_from_slice(std::mem::take(&mut self.0))
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(replica: u64) -> Member {
        let client_address = format!("127.0.0.1:{replica}");
        Member {
            replica: ReplicaId(replica),
            node: NodeId([7; 20]),
            peer_address: "127.0.0.1:1".into(),
            client_address,
        }
    }

    fn identity() -> Identity {
        Identity { group: GroupId(9), replica: ReplicaId(3), hash_key: [1, 2], founders: vec![member(3), member(4)] }
    }

    #[test]
    fn requests_come_back_as_they_were_and_cuts_are_noticed() {
        let join = Request::Join { member: member(5) };
        let leads = Request::Leads { group: GroupId(8), term: 7, node: NodeId([6; 20]) };
        let hand_over = Request::HandOver { group: GroupId(1), to: ReplicaId(2) };
        let failed = vec![topology::NodeId([1; 20]), topology::NodeId([2; 20])];
        let silent = Request::Silent(Marks { cluster: GroupId(4), term: 3, failed });
        let come = Request::Come("127.0.0.1:17001".to_owned());
        let here = Request::Here(GroupId(4), NodeId([8; 20]), "127.0.0.1:17002".to_owned());
        for request in [
            Request::Probe,
            Request::Form(identity()),
            join,
            Request::ReadIndex(GroupId(9)),
            Request::Offsets(GroupId(9)),
            Request::Doubts { group: GroupId(9), replica: ReplicaId(4) },
            Request::Shortened { group: GroupId(9), replica: ReplicaId(4) },
            Request::Hello,
            leads,
            come,
            here,
            hand_over,
            silent,
            Request::Leaves(NodeId([9; 20])),
            Request::Returns(NodeId([9; 20])),
            Request::Store { group: GroupId(4), index: 9 },
            Request::Knows(GroupId(4), NodeId([8; 20])),
            Request::IsMember(GroupId(4), ReplicaId(7)),
        ] {
            let bytes = request.encode();
            assert_eq!(Request::decode(&bytes), Some(request));
            assert!((0..bytes.len()).all(|cut| Request::decode(&bytes[..cut]).is_none()));
        }
    }

    #[test]
    fn answers_come_back_as_they_were_and_cuts_are_noticed() {
        let node = NodeId([1; 20]);
        let held = |state| {
            let held = HeldLog { replica: ReplicaId(3), state, counts_on_asker: true };
            Answer::Log { node, held: Some(held), is_empty: false }
        };
        let answers = [
            Answer::Node { node, group: None },
            Answer::Node { node, group: Some(GroupId(5)) },
            Answer::Accepted(None),
            Answer::Accepted(Some(identity())),
            Answer::Ask("127.0.0.1:17000".into()),
            Answer::Refused("no".into()),
            Answer::Index(7),
            Answer::Offsets(vec![(node, 7), (NodeId([2; 20]), 8)]),
            Answer::Cluster { node, cluster: GroupId(3), nodes: 2, joining: true },
            Answer::Log { node, held: None, is_empty: true },
            held(LogState::Whole { leads: true }),
            held(LogState::Doubtful { last: None }),
            held(LogState::Doubtful { last: Some(LogId { term: 2, index: 9 }) }),
        ];
        for answer in answers {
            let bytes = answer.encode();
            assert_eq!(Answer::decode(&bytes), Some(answer));
            assert!((0..bytes.len()).all(|cut| Answer::decode(&bytes[..cut]).is_none()));
        }
    }

    #[test]
    fn a_record_is_empty_whole_or_refused() {
        assert_eq!(Identity::decode(b""), Ok(None));
        assert_eq!(Identity::decode(&identity().encode()), Ok(Some(identity())));
        assert!(Identity::decode(b"\xfe\x02junk").is_err());
    }
}
