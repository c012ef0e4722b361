//! Integers, ids, texts and slots as bytes: big endian, lengths in front, no padding.
//!
//! Reading is total: every read answers `None` when the bytes do not suffice or are not what the writer writes for that value, and nothing
//! is allocated on the word of a length.

use slot::{Slot, SlotRange, SlotSet};

use crate::{ClusterId, Group, NodeId, ReplicaId, ShardId};

/// Appends values.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn count(&mut self, count: usize) {
        let count = u32::try_from(count).expect("what the topology holds is bounded");
        self.0.extend_from_slice(&count.to_be_bytes());
    }

    pub(crate) fn node(&mut self, node: NodeId) {
        self.0.extend_from_slice(&node.0);
    }

    pub(crate) fn shard(&mut self, shard: ShardId) {
        self.0.extend_from_slice(&shard.0.to_be_bytes());
    }

    pub(crate) fn cluster(&mut self, cluster: ClusterId) {
        self.0.extend_from_slice(&cluster.0.to_be_bytes());
    }

    pub(crate) fn replica(&mut self, replica: ReplicaId) {
        self.u64(replica.0);
    }

    /// One byte, and the shard's id if it is a shard's.
    pub(crate) fn group(&mut self, group: Group) {
        self.bool(group != Group::Meta);
        if let Group::Shard(shard) = group {
            self.shard(shard);
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// The maximal ranges in ascending order: count, then first and last of each.
    pub(crate) fn slots(&mut self, slots: &SlotSet) {
        self.count(slots.ranges().count());
        for range in slots.ranges() {
            self.u16(range.first().number());
            self.u16(range.last().number());
        }
    }
}

/// Takes values off the front of bytes.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn bool(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A count of things of at least `least_bytes` each, so that what is left can hold them.
    pub(crate) fn count(&mut self, least_bytes: usize) -> Option<usize> {
        let count = usize::try_from(self.array().map(u32::from_be_bytes)?).ok()?;
        (count.checked_mul(least_bytes)? <= self.0.len()).then_some(count)
    }

    pub(crate) fn node(&mut self) -> Option<NodeId> {
        self.array().map(NodeId)
    }

    pub(crate) fn shard(&mut self) -> Option<ShardId> {
        self.array().map(u128::from_be_bytes).map(ShardId)
    }

    pub(crate) fn cluster(&mut self) -> Option<ClusterId> {
        self.array().map(u128::from_be_bytes).map(ClusterId)
    }

    pub(crate) fn replica(&mut self) -> Option<ReplicaId> {
        self.u64().map(ReplicaId)
    }

    pub(crate) fn group(&mut self) -> Option<Group> {
        if self.bool()? { self.shard().map(Group::Shard) } else { Some(Group::Meta) }
    }

    /// A text of any length: what is too long is refused when it is applied, as what is in the log must be read.
    pub(crate) fn text(&mut self) -> Option<String> {
        let length = self.count(1)?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    pub(crate) fn slots(&mut self) -> Option<SlotSet> {
        let count = self.count(4)?;
        let mut slots = SlotSet::new();
        // The least slot that the next range may begin with: ranges that touch are one.
        let mut least = 0;
        for _ in 0..count {
            let range = SlotRange::new(Slot::new(self.u16()?)?, Slot::new(self.u16()?)?)?;
            if range.first().number() < least {
                return None;
            }
            least = range.last().number() + 2;
            slots.insert_range(range);
        }
        Some(slots)
    }

    /// So many values, each read by `read`, of at least `least_bytes`.
    pub(crate) fn list<T>(&mut self, least_bytes: usize, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.count(least_bytes)?;
        (0..count).map(|_| read(self)).collect()
    }

    /// `Some` when everything was read.
    pub(crate) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
