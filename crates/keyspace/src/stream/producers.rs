//! What producers have added under ids of their own, so that what is sent twice is added once: IDMP and IDMPAUTO of XADD.
//!
//! ```text
//! producers:  name -> (idempotent id -> order, orders)
//! records:    order -> (producer, idempotent id, id of the stream entry, when)      the oldest first
//! ```
//!
//! Of each producer at most so many records are kept, and none for longer than the duration. A producer without records is forgotten.

use twox_hash::XxHash3_64;

use super::group::StreamName;
use super::id::StreamId;
use crate::digest::Digest;
use crate::ordered::OrderedMap;

/// How many records that are due one call may forget: two for each that it adds, and more, so that they go in the end.
const FORGOTTEN_MAX: usize = 16;
/// The seeds of the two halves of an id that is made of a content.
const CONTENT_SEEDS: [u64; 2] = [0, 0x9e37_79b9_7f4a_7c15];
/// What stands in front of an idempotent id: who made it.
const GIVEN: u8 = 0;
const OF_CONTENT: u8 = 1;

/// What a stream remembers of its producers.
#[derive(Clone)]
pub struct Producers {
    limits: ProducerLimits,
    added: u64,
    duplicates: u64,
    producers: OrderedMap<StreamName, Producer>,
    records: OrderedMap<u64, ProducerRecord>,
    next_order: u64,
    name_bytes: usize,
}

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerLimits {
    /// For how long, in seconds: 1 to 86,400.
    pub duration_s: u64,
    /// Records of each producer: 1 to 10,000.
    pub records_max: usize,
}

impl Default for ProducerLimits {
    fn default() -> Self {
        Self { duration_s: 100, records_max: 100 }
    }
}

#[derive(Clone, Default)]
struct Producer {
    orders: OrderedMap<u64, ()>,
    by_id: OrderedMap<StreamName, u64>,
}

/// That a producer has added a stream entry under an id of its own.
#[derive(Clone)]
pub struct ProducerRecord {
    /// Whose it is.
    pub producer: StreamName,
    /// The id as it is kept: see [`IdempotentId`].
    pub idempotent_id: StreamName,
    /// The stream entry.
    pub entry: StreamId,
    /// When it was added, in ms since 1970.
    pub added_ms: u64,
}

/// An id by which a producer knows again what it has sent.
pub struct IdempotentId(Vec<u8>);

impl IdempotentId {
    /// One that the producer has given.
    pub fn given(id: &[u8]) -> Self {
        Self([&[GIVEN], id].concat())
    }

    /// One made of fields and values, in whatever order they come.
    pub fn of_content<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut sums = [0_u64; 2];
        for (field, value) in pairs {
            let pair = [&(field.len() as u64).to_le_bytes(), field, value].concat();
            for (sum, seed) in sums.iter_mut().zip(CONTENT_SEEDS) {
                *sum = sum.wrapping_add(XxHash3_64::oneshot_with_seed(seed, &pair));
            }
        }
        let [low, high] = sums.map(u64::to_le_bytes);
        Self([&[OF_CONTENT][..], &low, &high].concat())
    }
}

impl Producers {
    /// Nothing is known yet.
    pub fn new(limits: ProducerLimits) -> Self {
        Self {
            limits,
            added: 0,
            duplicates: 0,
            producers: OrderedMap::default(),
            records: OrderedMap::default(),
            next_order: 0,
            name_bytes: 0,
        }
    }

    /// How much is remembered.
    pub fn limits(&self) -> ProducerLimits {
        self.limits
    }

    /// Remembers so much from here on. Other limits than before forget all records.
    pub fn set_limits(&mut self, limits: ProducerLimits) {
        if limits != self.limits {
            *self = Self { added: self.added, duplicates: self.duplicates, ..Self::new(limits) };
        }
    }

    /// How many stream entries were ever added under an id of their producer, and how often one was sent again.
    pub fn counts(&self) -> (u64, u64) {
        (self.added, self.duplicates)
    }

    /// Sets both counts, as a snapshot has them.
    pub fn set_counts(&mut self, added: u64, duplicates: u64) {
        (self.added, self.duplicates) = (added, duplicates);
    }

    /// How many producers there are records of.
    pub fn producer_count(&self) -> usize {
        self.producers.len()
    }

    /// How many records there are. What is due is counted until something is added.
    pub fn record_count(&self) -> usize {
        self.records.len()
    }

    /// The records from a place on, the oldest first.
    pub fn records_at(&self, place: usize) -> impl Iterator<Item = &ProducerRecord> + Clone {
        self.records.range(place.min(self.records.len())..self.records.len()).map(|(_, record)| record)
    }

    /// The stream entry that a producer has added under an id, if that is still known.
    pub fn find(&self, producer: &[u8], id: &IdempotentId, now_ms: u64) -> Option<StreamId> {
        let order = self.producers.get(producer)?.by_id.get(&id.0[..])?;
        let record = self.records.get(order)?;
        if self.is_due(record, now_ms) { None } else { Some(record.entry) }
    }

    /// Counts that something was sent again.
    pub fn count_duplicate(&mut self) {
        self.duplicates = self.duplicates.saturating_add(1);
    }

    /// Remembers what a producer has added at `now_ms`, and counts it.
    pub fn add(&mut self, producer: &[u8], id: &IdempotentId, entry: StreamId, now_ms: u64) {
        for _ in 0..FORGOTTEN_MAX {
            match self.records.first() {
                Some((&order, record)) if self.is_due(record, now_ms) => self.forget(order),
                _ => break,
            }
        }
        self.added = self.added.saturating_add(1);
        self.restore(producer, &id.0, entry, now_ms);
    }

    /// Remembers a record as [`Self::records_at`] gave it, behind those that are there.
    pub fn restore(&mut self, producer: &[u8], kept_id: &[u8], entry: StreamId, added_ms: u64) {
        // One that is due may still be there.
        let before = self.producers.get(producer).and_then(|of| of.by_id.get(kept_id)).copied();
        before.into_iter().for_each(|order| self.forget(order));
        let name = self.producers.at(self.producers.rank(producer).0).map(|(name, _)| name);
        let producer = match name.filter(|name| name[..] == *producer) {
            Some(name) => name.clone(),
            None => {
                let name = StreamName::new(producer);
                self.name_bytes += name_bytes(&name);
                self.producers.insert(name.clone(), Producer::default());
                name
            }
        };
        let (order, idempotent_id) = (self.next_order, StreamName::new(kept_id));
        self.next_order += 1;
        self.name_bytes += name_bytes(&idempotent_id);
        let of = self.producers.value_mut(&producer[..]).expect("it is there or was just made");
        of.orders.insert(order, ());
        of.by_id.insert(idempotent_id.clone(), order);
        let oldest =
            if of.orders.len() > self.limits.records_max { of.orders.first().map(|(&at, ())| at) } else { None };
        self.records.insert(order, ProducerRecord { producer, idempotent_id, entry, added_ms });
        oldest.into_iter().for_each(|order| self.forget(order));
    }

    fn is_due(&self, record: &ProducerRecord, now_ms: u64) -> bool {
        now_ms >= record.added_ms.saturating_add(self.limits.duration_s.saturating_mul(1000))
    }

    fn forget(&mut self, order: u64) {
        let Some(record) = self.records.remove(&order) else { return };
        self.name_bytes -= name_bytes(&record.idempotent_id);
        let Some(of) = self.producers.value_mut(&record.producer[..]) else { return };
        of.orders.remove(&order);
        of.by_id.remove(&record.idempotent_id[..]);
        if of.orders.len() == 0 {
            self.producers.remove(&record.producer[..]);
            self.name_bytes -= name_bytes(&record.producer);
        }
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        // Each producer has its own maps of its records.
        let listed =
            self.records.len() * (OrderedMap::<StreamName, u64>::PAIR_BYTES + OrderedMap::<u64, ()>::PAIR_BYTES);
        let of_producers =
            self.producers.len() * (OrderedMap::<StreamName, u64>::ROOT_BYTES + OrderedMap::<u64, ()>::ROOT_BYTES);
        let maps = self.records.allocated_bytes() + self.producers.allocated_bytes();
        size_of::<Self>() + maps + listed + of_producers + self.name_bytes
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.number(self.limits.duration_s);
        digest.number(self.limits.records_max as u64);
        digest.number(self.added);
        digest.number(self.duplicates);
        digest.number(self.records.len() as u64);
        for record in self.records_at(0) {
            digest.bytes(&record.producer);
            digest.bytes(&record.idempotent_id);
            digest.bytes(&record.entry.to_bytes());
            digest.number(record.added_ms);
        }
    }
}

/// A name in its `ThinArc`.
fn name_bytes(name: &StreamName) -> usize {
    2 * size_of::<usize>() + name.len()
}
