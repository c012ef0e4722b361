//! Consumer groups: who reads a stream together, and what they were given and have not acknowledged.
//!
//! ```text
//! group:     last id | entries read | pending: id -> (owner, time, deliveries) | turns | consumers: name -> consumer
//! consumer:  seen | active | pending: ids
//! turns:     pending ids in the order in which they are claimed: the released ones as they were, then the others by time
//! ```
//!
//! Every pending id of a group stands with exactly one of its consumers, or was released and is nobody's. It need not be in the stream any more.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Deref;

use triomphe::ThinArc;

use super::id::StreamId;
use crate::digest::Digest;
use crate::ordered::OrderedMap;

/// The name of a group or of a consumer; reads as bytes. A copy shares them.
#[derive(Clone)]
pub struct StreamName(ThinArc<(), u8>);

impl StreamName {
    pub(super) fn new(name: &[u8]) -> Self {
        Self(ThinArc::from_header_and_slice((), name))
    }
}

impl Deref for StreamName {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0.slice
    }
}

impl Borrow<[u8]> for StreamName {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for StreamName {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl Eq for StreamName {}

impl PartialOrd for StreamName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for StreamName {
    fn cmp(&self, other: &Self) -> Ordering {
        self[..].cmp(&other[..])
    }
}

/// A consumer group of a stream.
#[derive(Clone)]
pub struct StreamGroup {
    /// The last id that was given to a consumer as new.
    pub last_id: StreamId,
    /// How many stream entries were added to the stream up to that one; -1: unknown.
    pub entries_read: i64,
    pending: OrderedMap<StreamId, Pending>,
    turns: OrderedMap<Turn, ()>,
    released_count: usize,
    /// How often anything was released.
    releases: i64,
    consumers: OrderedMap<StreamName, StreamConsumer>,
    name_bytes: usize,
}

/// A stream entry that a consumer was given and has not acknowledged.
#[derive(Clone)]
pub struct Pending {
    owner: Owner,
    /// When it was given last, in ms since 1970; 0: it was released.
    pub delivered_ms: i64,
    /// How often it was given.
    pub deliveries: i64,
}

#[derive(Clone)]
enum Owner {
    Consumer(StreamName),
    /// Released as the so-manieth.
    Nobody(i64),
}

/// By what pending ids are ordered for those who claim them, and the id.
type Turn = (i64, StreamId);

impl Pending {
    /// Who was given it last; `None`: it was released, and is nobody's.
    pub fn consumer(&self) -> Option<&StreamName> {
        match &self.owner {
            Owner::Consumer(name) => Some(name),
            Owner::Nobody(_) => None,
        }
    }

    fn turn(&self, id: StreamId) -> Turn {
        match self.owner {
            Owner::Consumer(_) => (self.delivered_ms.max(0), id),
            // In front of all times.
            Owner::Nobody(order) => (i64::MIN.wrapping_add(order), id),
        }
    }
}

/// A consumer of a group.
#[derive(Clone)]
pub struct StreamConsumer {
    /// When it last asked for anything, in ms since 1970.
    pub seen_ms: i64,
    /// When it last got anything, in ms since 1970; -1: never.
    pub active_ms: i64,
    pending: OrderedMap<StreamId, ()>,
}

impl StreamConsumer {
    /// How many stream entries it has not acknowledged.
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// The ids that it has not acknowledged, from this one on.
    pub fn pending_from(&self, from: StreamId) -> impl Iterator<Item = StreamId> + Clone + use<'_> {
        let start = self.pending.rank(&from).0;
        self.pending.range(start..self.pending.len()).map(|(id, ())| *id)
    }

    /// The ids that it has not acknowledged from a place on.
    pub fn pending_at(&self, place: usize) -> impl Iterator<Item = StreamId> + Clone + use<'_> {
        self.pending.range(place.min(self.pending.len())..self.pending.len()).map(|(id, ())| *id)
    }
}

impl StreamGroup {
    /// A group without consumers.
    pub fn new(last_id: StreamId, entries_read: i64) -> Self {
        Self {
            last_id,
            entries_read,
            pending: OrderedMap::default(),
            turns: OrderedMap::default(),
            released_count: 0,
            releases: 0,
            consumers: OrderedMap::default(),
            name_bytes: 0,
        }
    }

    /// How many stream entries were not acknowledged.
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// What was not acknowledged, from this id on.
    pub fn pending_from(&self, from: StreamId) -> impl Iterator<Item = (StreamId, &Pending)> + Clone {
        self.pending_at(self.pending.rank(&from).0)
    }

    /// What was not acknowledged, from a place on.
    pub fn pending_at(&self, place: usize) -> impl Iterator<Item = (StreamId, &Pending)> + Clone {
        self.pending.range(place.min(self.pending.len())..self.pending.len()).map(|(id, pending)| (*id, pending))
    }

    /// The lowest and the highest id that were not acknowledged.
    pub fn pending_bounds(&self) -> Option<(StreamId, StreamId)> {
        Some((*self.pending.first()?.0, *self.pending.last()?.0))
    }

    /// What is known of an id that was not acknowledged.
    pub fn pending(&self, id: StreamId) -> Option<&Pending> {
        self.pending.get(&id)
    }

    /// How many stream entries were released and are nobody's.
    pub fn released_count(&self) -> usize {
        self.released_count
    }

    /// What was not acknowledged in the order in which it is claimed, from a place on: first what was released, in that order, then what was
    /// given longest ago.
    pub fn turns_at(&self, place: usize) -> impl Iterator<Item = StreamId> + Clone + use<'_> {
        self.turns.range(place.min(self.turns.len())..self.turns.len()).map(|((_, id), ())| *id)
    }

    /// How many consumers it has.
    pub fn consumer_count(&self) -> usize {
        self.consumers.len()
    }

    /// The consumers by name.
    pub fn consumers(&self) -> impl Iterator<Item = (&StreamName, &StreamConsumer)> + Clone {
        self.consumers.iter()
    }

    /// The consumer with this place in the order of names.
    pub fn consumer_at(&self, place: usize) -> Option<(&StreamName, &StreamConsumer)> {
        self.consumers.at(place)
    }

    /// A consumer.
    pub fn consumer(&self, name: &[u8]) -> Option<&StreamConsumer> {
        self.consumers.get(name)
    }

    /// A consumer, to be changed.
    pub fn consumer_mut(&mut self, name: &[u8]) -> Option<&mut StreamConsumer> {
        self.consumers.value_mut(name)
    }

    /// Makes a consumer that has seen nothing yet; says whether it is new.
    pub fn add_consumer(&mut self, name: &[u8], seen_ms: i64) -> bool {
        if self.consumers.contains(name) {
            return false;
        }
        let consumer = StreamConsumer { seen_ms, active_ms: -1, pending: OrderedMap::default() };
        self.consumers.insert(StreamName::new(name), consumer);
        self.name_bytes += name.len();
        true
    }

    /// Notes that a consumer asks for something. It comes to be if it is new.
    pub fn see_consumer(&mut self, name: &[u8], now_ms: i64) {
        match self.consumers.value_mut(name) {
            Some(consumer) => consumer.seen_ms = now_ms,
            None => {
                self.add_consumer(name, now_ms);
            }
        }
    }

    /// Removes a consumer with everything that it has not acknowledged, and returns how much that was.
    pub fn remove_consumer(&mut self, name: &[u8]) -> usize {
        let Some(consumer) = self.consumers.remove(name) else { return 0 };
        self.name_bytes -= name.len();
        for (id, ()) in consumer.pending.iter() {
            if let Some(pending) = self.pending.remove(id) {
                self.turns.remove(&pending.turn(*id));
            }
        }
        consumer.pending.len()
    }

    /// Gives a stream entry to a consumer that is there, whoever had it.
    pub fn assign(&mut self, id: StreamId, consumer: &[u8], delivered_ms: i64, deliveries: i64) {
        let rank = self.consumers.rank(consumer);
        debug_assert!(rank.1, "the consumer is there");
        let Some((name, _)) = self.consumers.at(rank.0) else { return };
        self.put(id, Pending { owner: Owner::Consumer(name.clone()), delivered_ms, deliveries });
        if let Some(consumer) = self.consumers.value_mut(consumer) {
            consumer.pending.insert(id, ());
        }
    }

    /// Takes a stream entry from whoever has it: it is pending, nobody's, and the last of those that were released.
    pub fn release(&mut self, id: StreamId, deliveries: i64) {
        self.releases += 1;
        self.released_count += 1;
        self.put(id, Pending { owner: Owner::Nobody(self.releases), delivered_ms: 0, deliveries });
    }

    /// Notes that a stream entry was given once more to the consumer that has it.
    pub fn redeliver(&mut self, id: StreamId, now_ms: i64) {
        if let Some(pending) = self.pending.value_mut(&id) {
            self.turns.remove(&pending.turn(id));
            pending.delivered_ms = now_ms;
            pending.deliveries = pending.deliveries.wrapping_add(1);
            self.turns.insert(pending.turn(id), ());
        }
    }

    /// Forgets that a stream entry was given to anybody; says whether it was.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        self.take_from_owner(id, &pending);
        true
    }

    /// Notes what is pending, instead of what was under that id.
    fn put(&mut self, id: StreamId, pending: Pending) {
        if let Some(before) = self.pending.remove(&id) {
            self.take_from_owner(id, &before);
        }
        self.turns.insert(pending.turn(id), ());
        self.pending.insert(id, pending);
    }

    fn take_from_owner(&mut self, id: StreamId, pending: &Pending) {
        self.turns.remove(&pending.turn(id));
        match &pending.owner {
            Owner::Consumer(name) => {
                if let Some(owner) = self.consumers.value_mut(&**name) {
                    owner.pending.remove(&id);
                }
            }
            Owner::Nobody(_) => self.released_count -= 1,
        }
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        /// A name is counted in its `ThinArc`.
        const NAME_BYTES: usize = 2 * size_of::<usize>();
        // Each consumer has its own list of ids.
        let listed = self.pending.len() * OrderedMap::<StreamId, ()>::PAIR_BYTES;
        let of_consumers = self.consumers.len() * (OrderedMap::<StreamId, ()>::ROOT_BYTES + NAME_BYTES);
        let maps = self.pending.allocated_bytes() + self.turns.allocated_bytes() + self.consumers.allocated_bytes();
        maps + listed + of_consumers + self.name_bytes
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        let number = |digest: &mut Digest, number: i64| digest.number(number.cast_unsigned());
        let id = |digest: &mut Digest, id: StreamId| digest.bytes(&id.to_bytes());
        id(digest, self.last_id);
        number(digest, self.entries_read);
        digest.number(self.pending.len() as u64);
        for (of, pending) in self.pending.iter() {
            id(digest, *of);
            number(digest, pending.delivered_ms);
            number(digest, pending.deliveries);
        }
        digest.number(self.released_count as u64);
        self.turns_at(0).take(self.released_count).for_each(|of| id(digest, of));
        digest.number(self.consumers.len() as u64);
        for (name, consumer) in self.consumers.iter() {
            digest.bytes(name);
            number(digest, consumer.seen_ms);
            number(digest, consumer.active_ms);
            digest.number(consumer.pending.len() as u64);
            consumer.pending.iter().for_each(|(of, ())| id(digest, *of));
        }
    }
}
