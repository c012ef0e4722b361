//! Keys whose positions lie in one range, and the values beside them: the unit of copy-on-write.
//!
//! ```text
//! prints:  [ u16 ][ u16 ][ u16 ] ...            of each key, sixteen bits of its hash
//! records: [ record ][ record ][ record ] ...   of each key, in no order: see `records`
//! values:  [ - ][ Collection ][ - ] ...         by the place that a key's record names
//! ```
//!
//! A part holds so few keys that one is looked for by comparing all prints: they lie in two or three lines of the cache. All of it grows
//! in small steps, because there are many parts of any size.

use siphasher::sip::SipHasher13;
use slot::Slot;

use crate::collection::{Collection, Value};
use crate::record::{Body, Record};
use crate::records::{Kept, Records, give_back, push};
use crate::span::position;

/// Prints that are compared at once.
const LANES: usize = 16;

/// The hash of a key's name, with the shard's key.
pub(crate) fn hash_of(hash_key: [u64; 2], key: &[u8]) -> u64 {
    SipHasher13::new_with_keys(hash_key[0], hash_key[1]).hash(key)
}

/// The bits of a hash in which the keys of a part differ: the upper ones are part of their position.
fn print_of(hash: u64) -> u16 {
    let [low, high, ..] = hash.to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct Part {
    prints: Vec<u16>,
    records: Records,
    values: Vec<Option<Collection>>,
}

/// What a key shall hold.
pub(crate) enum NewBody<'a> {
    /// At most [`crate::INLINE_BYTES_MAX`] bytes, and whether they count as raw.
    Inline(&'a [u8], bool),
    /// The block of a small hash.
    PackedHash(&'a [u8]),
    /// Anything else.
    Beside(Collection),
}

impl NewBody<'_> {
    /// The bytes of the value beside the key.
    pub(crate) fn beside_bytes(&self) -> usize {
        if let Self::Beside(collection) = self { collection.allocated_bytes() } else { 0 }
    }

    /// When the first element of the value expires.
    pub(crate) fn next_deadline_ms(&self) -> Option<u64> {
        if let Self::Beside(collection) = self { collection.next_deadline_ms() } else { None }
    }
}

/// What [`Part::put`] or [`Part::restamp`] did.
pub(crate) struct Put {
    /// The key's deadline before, if the key was there.
    pub(crate) replaced: Option<Option<u64>>,
    /// The value beside the key before.
    pub(crate) collection: Option<Collection>,
    /// The bytes of the key's record before and after; the values beside it are not counted.
    pub(crate) record_bytes: (usize, usize),
}

/// A key with what it is ordered by, before its name.
pub(crate) struct Placed<'a> {
    pub(crate) slot: Slot,
    pub(crate) hash: u64,
    pub(crate) record: Kept<'a>,
}

/// A key that was taken out.
pub(crate) struct Removed {
    pub(crate) value: Value,
    pub(crate) deadline_ms: Option<u64>,
    /// The revision of the command that changed it last.
    pub(crate) revision: u64,
    /// The bytes of its record, and of the value beside it.
    pub(crate) bytes: usize,
}

impl Part {
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// The bytes of keys and what is kept with them.
    pub(crate) fn bytes(&self) -> usize {
        self.records.bytes()
    }

    /// Looks at the lists that a search for a key reads.
    pub(crate) fn look_at_lists(&self) -> usize {
        // So many are in a line of the cache.
        const PRINTS: usize = 64 / size_of::<u16>();
        let prints: usize = self.prints.iter().step_by(PRINTS).map(|&print| usize::from(print)).sum();
        prints.wrapping_add(self.records.look_at_lists())
    }

    /// Looks at where the next record is written.
    pub(crate) fn look_at_end(&self) -> usize {
        self.records.look_at_end()
    }

    /// The index of a key.
    fn index_of(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let print = print_of(hash);
        let is_right = |&index: &usize| self.prints[index] == print && self.records.get(index).key == key;
        let (blocks, rest) = self.prints.as_chunks::<LANES>();
        for (number, block) in blocks.iter().enumerate() {
            // Without leaving early: this way it becomes a few instructions for all of them.
            if block.iter().fold(false, |is_there, &other| is_there | (other == print)) {
                let found = (number * LANES..(number + 1) * LANES).find(is_right);
                if found.is_some() {
                    return found;
                }
            }
        }
        (self.prints.len() - rest.len()..self.prints.len()).find(is_right)
    }

    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<Kept<'_>> {
        self.index_of(hash, key).map(|index| self.records.get(index))
    }

    /// The keys of a slot with this hash.
    pub(crate) fn with_hash(&self, hash_key: [u64; 2], slot: Slot, hash: u64) -> impl Iterator<Item = Kept<'_>> {
        let prints = self.prints.iter().enumerate();
        let alike =
            prints.filter(move |&(_, &print)| print == print_of(hash)).map(|(index, _)| self.records.get(index));
        alike.filter(move |record| hash_of(hash_key, record.key) == hash && Slot::of_key(record.key) == slot)
    }

    /// Gives a key a body, a revision and a deadline, whether it is there or not.
    pub(crate) fn put(&mut self, stamp: &Stamp, hash: u64, key: &[u8], new: NewBody<'_>) -> Put {
        let found = self.index_of(hash, key);
        let before = found.map(|index| {
            let record = self.records.get(index);
            (record.deadline_ms, record.allocated_bytes(), record.place())
        });
        let collection = before.and_then(|(.., place)| place).map(|place| self.release(place));
        let body = match new {
            NewBody::Inline(bytes, raw) => Body::Inline { bytes, raw },
            NewBody::PackedHash(block) => Body::PackedHash { block },
            NewBody::Beside(collection) => {
                Body::Beside { value_type: collection.value_type(), place: self.store(collection) }
            }
        };
        let record = Record { key, revision: stamp.revision, deadline_ms: stamp.deadline_ms, body };
        let index = found.unwrap_or(self.records.len());
        if found.is_some() {
            self.records.replace(index, &record);
            if !stamp.keeps_mark {
                self.records.get(index).mark_access(stamp.access_mark);
            }
        } else {
            self.records.push(&record, stamp.access_mark, 0);
            push(&mut self.prints, print_of(hash));
        }
        let after_bytes = self.records.get(index).allocated_bytes();
        let (replaced, before_bytes) = before.map_or((None, 0), |(deadline_ms, bytes, _)| (Some(deadline_ms), bytes));
        Put { replaced, collection, record_bytes: (before_bytes, after_bytes) }
    }

    /// Changes the revision and the deadline of a key that is there, and nothing else. `scratch` is any vector.
    pub(crate) fn restamp(
        &mut self,
        scratch: &mut Vec<u8>,
        hash: u64,
        key: &[u8],
        revision: u64,
        deadline_ms: Option<u64>,
    ) -> Put {
        let index = self.index_of(hash, key).expect("the key is there");
        let before = self.records.get(index);
        let (before_ms, before_bytes) = (before.deadline_ms, before.allocated_bytes());
        let body = match before.body {
            // The record is about to be moved: its bytes are kept apart meanwhile.
            Body::Inline { bytes, raw } => Body::Inline { bytes: copied(scratch, bytes), raw },
            Body::PackedHash { block } => Body::PackedHash { block: copied(scratch, block) },
            Body::Beside { value_type, place } => Body::Beside { value_type, place },
        };
        self.records.replace(index, &Record { key, revision, deadline_ms, body });
        let after_bytes = self.records.get(index).allocated_bytes();
        Put { replaced: Some(before_ms), collection: None, record_bytes: (before_bytes, after_bytes) }
    }

    /// Takes a key out, and the value beside it.
    pub(crate) fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Removed> {
        let index = self.index_of(hash, key)?;
        let record = self.records.get(index);
        let (deadline_ms, revision, record_bytes) = (record.deadline_ms, record.revision, record.allocated_bytes());
        let is_beside = record.place().is_some();
        let value = match record.body {
            Body::Inline { bytes, raw } => Value::String(bytes.to_vec(), raw),
            Body::PackedHash { block } => Value::Collection(Collection::of_block(block)),
            Body::Beside { place, .. } => Value::Collection(self.release(place)),
        };
        let beside_bytes = match (&value, is_beside) {
            (Value::Collection(collection), true) => collection.allocated_bytes(),
            _ => 0,
        };
        self.records.swap_remove(index);
        self.prints.swap_remove(index);
        give_back(&mut self.prints);
        give_back(&mut self.values);
        Some(Removed { value, deadline_ms, revision, bytes: record_bytes + beside_bytes })
    }

    /// How many keys are of this slot.
    pub(crate) fn count_of(&self, slot: Slot) -> usize {
        self.records.iter().filter(|record| Slot::of_key(record.key) == slot).count()
    }

    /// Every key from this slot and hash on, in (slot, hash, key) order.
    pub(crate) fn sorted_from(&self, hash_key: [u64; 2], slot: Slot, hash: u64) -> Vec<Placed<'_>> {
        let placed = self.records.iter().map(|record| Placed {
            slot: Slot::of_key(record.key),
            hash: hash_of(hash_key, record.key),
            record,
        });
        let mut sorted: Vec<_> = placed.filter(|key| (key.slot, key.hash) >= (slot, hash)).collect();
        sorted.sort_unstable_by(|left, right| {
            (left.slot, left.hash, left.record.key).cmp(&(right.slot, right.hash, right.record.key))
        });
        sorted
    }

    /// The value at a place that a key's body named.
    pub(crate) fn value(&self, place: u32) -> &Collection {
        self.values[place as usize].as_ref().expect("a body names a place that is taken")
    }

    /// Takes a value out for a moment; [`Part::put_back`] follows, before anything else is put.
    pub(crate) fn lift(&mut self, place: u32) -> Collection {
        self.values[place as usize].take().expect("a body names a place that is taken")
    }

    /// Ends [`Part::lift`].
    pub(crate) fn put_back(&mut self, place: u32, value: Collection) {
        let old = self.values[place as usize].replace(value);
        debug_assert!(old.is_none(), "only a lifted value is put back");
    }

    /// Puts a value into some place.
    fn store(&mut self, value: Collection) -> u32 {
        let free = self.values.iter().position(Option::is_none);
        let place = free.unwrap_or(self.values.len());
        match free {
            Some(free) => self.values[free] = Some(value),
            None => push(&mut self.values, Some(value)),
        }
        u32::try_from(place).expect("a part holds few keys")
    }

    /// Takes a value out of its place.
    fn release(&mut self, place: u32) -> Collection {
        let value = self.lift(place);
        while self.values.last().is_some_and(Option::is_none) {
            self.values.pop();
        }
        value
    }

    /// The position that divides the part, of which a key with the position `put` was put last; `None` if all keys have the same. It halves
    /// the part, unless that key comes behind all others: keys that come in order, as those of a snapshot do, fill one part after another.
    pub(crate) fn division(&self, hash_key: [u64; 2], put: u64) -> Option<u64> {
        let mut positions: Vec<u64> = self.records.iter().map(|record| position_of(hash_key, record.key)).collect();
        positions.sort_unstable();
        if let [.., before, last] = positions[..]
            && before < last
            && last == put
        {
            return Some(last);
        }
        let (first, middle) = (*positions.first()?, positions[positions.len() / 2]);
        if middle > first { Some(middle) } else { positions.into_iter().find(|&position| position > first) }
    }

    /// Divides the part in two: positions below `start` stay.
    pub(crate) fn split(&mut self, hash_key: [u64; 2], start: u64) -> Self {
        let is_upper = |record: &Kept<'_>| position_of(hash_key, record.key) >= start;
        let only = {
            let mut uppers = (0..self.len()).filter(|&index| is_upper(&self.records.get(index)));
            uppers.next().filter(|_| uppers.next().is_none())
        };
        if let Some(only) = only {
            return self.split_off(only);
        }
        let Self { prints, records, mut values } = std::mem::take(self);
        let (upper_records, lower_records): (Vec<_>, Vec<_>) =
            records.iter().zip(prints).partition(|(record, _)| is_upper(record));
        let [lower, upper] = [lower_records, upper_records].map(|of_half| {
            let mut half = Self::default();
            let mut following: usize = of_half.iter().map(|(record, _)| record.length()).sum();
            for (record, print) in of_half {
                following -= record.length();
                half.adopt(record, print, &mut values, following);
            }
            half
        });
        *self = lower;
        upper
    }

    /// Moves one key to a part of its own.
    fn split_off(&mut self, index: usize) -> Self {
        let (mut upper, mut values) = (Self::default(), std::mem::take(&mut self.values));
        upper.adopt(self.records.get(index), self.prints[index], &mut values, 0);
        while values.last().is_some_and(Option::is_none) {
            values.pop();
        }
        self.values = values;
        self.records.swap_remove(index);
        self.prints.swap_remove(index);
        upper
    }

    /// Takes in all keys of another part, which has none of this one's.
    pub(crate) fn absorb(&mut self, other: Self) {
        let Self { prints, records, mut values } = other;
        let mut following = records.bytes();
        for (record, print) in records.iter().zip(prints) {
            following -= record.length();
            self.adopt(record, print, &mut values, following);
        }
    }

    /// Takes in a key of another part, whose values these are. Records of about so many bytes follow.
    fn adopt(&mut self, kept: Kept<'_>, print: u16, values: &mut [Option<Collection>], following: usize) {
        let mut record = *kept;
        if let Some(place) = record.place() {
            let value = values[place as usize].take().expect("a body names a place that is taken");
            record.body = Body::Beside { value_type: value.value_type(), place: self.store(value) };
        }
        self.records.push(&record, kept.access_mark(), following);
        push(&mut self.prints, print);
    }
}

fn position_of(hash_key: [u64; 2], key: &[u8]) -> u64 {
    position(Slot::of_key(key), hash_of(hash_key, key))
}

fn copied<'a>(scratch: &'a mut Vec<u8>, bytes: &[u8]) -> &'a [u8] {
    scratch.clear();
    scratch.extend_from_slice(bytes);
    scratch
}

/// What every write puts on a key.
pub(crate) struct Stamp {
    /// The revision of the command.
    pub(crate) revision: u64,
    /// The deadline that the key shall have.
    pub(crate) deadline_ms: Option<u64>,
    /// The access mark that the key shall have.
    pub(crate) access_mark: u32,
    /// A key that is there keeps the one that it has.
    pub(crate) keeps_mark: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SetValue, Value};

    const HASH_KEY: [u64; 2] = [1, 2];

    fn put(part: &mut Part, key: &[u8], new: NewBody<'_>) {
        let stamp = Stamp { revision: 1, deadline_ms: None, access_mark: 0, keeps_mark: false };
        part.put(&stamp, hash_of(HASH_KEY, key), key, new);
    }

    fn set() -> Collection {
        let Value::Collection(collection) = Value::of(<SetValue as crate::CollectionValue>::empty()) else {
            unreachable!("a set is a collection");
        };
        collection
    }

    /// Values stay with their keys while parts are halved and merged, and places are used again.
    #[test]
    fn values_go_with_their_keys() {
        let mut part = Part::default();
        for number in 0..100u8 {
            let new = if number % 3 == 0 { NewBody::Beside(set()) } else { NewBody::Inline(&[number], false) };
            put(&mut part, &[number], new);
        }
        for number in (0..100u8).step_by(2) {
            let removed = part.remove(hash_of(HASH_KEY, &[number]), &[number]).unwrap();
            assert_eq!(matches!(removed.value, Value::Collection(_)), number % 3 == 0);
        }
        let middle = part.division(HASH_KEY, u64::MAX).unwrap();
        let upper = part.split(HASH_KEY, middle);
        assert!(part.len() > 20 && upper.len() > 20);
        part.absorb(upper);
        assert_eq!(part.len(), 50);
        for number in (1..100u8).step_by(2) {
            let record = part.find(hash_of(HASH_KEY, &[number]), &[number]).unwrap();
            match record.body {
                Body::PackedHash { .. } => unreachable!("none was put"),
                Body::Inline { bytes, .. } => assert_eq!(bytes, [number]),
                Body::Beside { place, .. } => assert_eq!(part.value(place).value_type().name(), "set"),
            }
        }
        assert!(part.values.iter().all(Option::is_some), "no place is left behind");
    }

    /// A key behind all others leaves a full part behind, with the value beside it or without.
    #[test]
    fn keys_in_order_fill_one_part_after_another() {
        for beside in [false, true] {
            let mut part = Part::default();
            for number in 0..100u8 {
                let new = if number % 3 == 0 { NewBody::Beside(set()) } else { NewBody::Inline(&[number], false) };
                put(&mut part, &[number], new);
            }
            let last = (0..100u8).filter(|number| (number % 3 == 0) == beside);
            let last = last.max_by_key(|&number| position_of(HASH_KEY, &[number])).unwrap();
            let position = position_of(HASH_KEY, &[last]);
            for number in 0..100u8 {
                if position_of(HASH_KEY, &[number]) > position {
                    part.remove(hash_of(HASH_KEY, &[number]), &[number]);
                }
            }
            let length = part.len();
            let start = part.division(HASH_KEY, position).unwrap();
            let upper = part.split(HASH_KEY, start);
            assert_eq!((start, part.len(), upper.len()), (position, length - 1, 1));
            let record = upper.find(hash_of(HASH_KEY, &[last]), &[last]).unwrap();
            assert_eq!(record.place().map(|place| upper.value(place).value_type().name()), beside.then_some("set"));
            part.absorb(upper);
            assert_eq!(part.len(), length);
            let places: Vec<u32> = part.records.iter().filter_map(|record| record.place()).collect();
            assert_eq!(places.len(), part.values.iter().flatten().count());
            assert!(places.iter().all(|&place| part.value(place).value_type().name() == "set"));
        }
    }

    #[test]
    fn keys_of_one_position_cannot_be_halved() {
        let mut part = Part::default();
        assert_eq!(part.division(HASH_KEY, 0), None);
        put(&mut part, b"a", NewBody::Inline(b"", false));
        assert_eq!(part.division(HASH_KEY, 0), None);
    }
}
