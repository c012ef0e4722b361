//! Keys whose positions lie in one range, and the values beside them: the unit of copy-on-write.
//!
//! ```text
//! keys:    [ box ][ box ][ box ] ...            in no order
//! prints:  [ u16 ][ u16 ][ u16 ] ...            of each key, sixteen bits of its hash
//! values:  [ - ][ Collection ][ - ] ...         by the place that a key's box names
//! ```
//!
//! A part holds so few keys that one is looked for by comparing all prints: they lie in two or three lines of the cache. All three grow
//! in small steps, because there are many parts of any size.

use siphasher::sip::SipHasher13;
use slot::Slot;

use crate::collection::Collection;
use crate::key_box::{Body, KeyBox};
use crate::span::position;

/// Prints that are compared at once.
const LANES: usize = 16;
/// By how many items a vector grows: of a size that the allocator has, beyond 64 pointers too.
const GROWTH: usize = 8;
const GROWTH_FROM_64: usize = 16;

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
    keys: Vec<KeyBox>,
    prints: Vec<u16>,
    values: Vec<Option<Collection>>,
}

/// What a key shall hold.
pub(crate) enum NewBody<'a> {
    /// At most [`crate::INLINE_BYTES_MAX`] bytes, and whether they count as raw.
    Inline(&'a [u8], bool),
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

/// What [`Part::put`] did.
pub(crate) struct Put {
    /// The key's deadline before, if the key was there.
    pub(crate) replaced: Option<Option<u64>>,
    /// The value beside the key before.
    pub(crate) collection: Option<Collection>,
    /// The bytes of the key's box before and after; the values beside it are not counted.
    pub(crate) box_bytes: (usize, usize),
}

/// A key with what it is ordered by, before its name.
pub(crate) struct Placed<'a> {
    pub(crate) slot: Slot,
    pub(crate) hash: u64,
    pub(crate) key_box: &'a KeyBox,
}

impl Part {
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The index of a key.
    fn index_of(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let print = print_of(hash);
        let is_right = |&index: &usize| self.prints[index] == print && self.keys[index].key() == key;
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

    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<&KeyBox> {
        self.index_of(hash, key).map(|index| &self.keys[index])
    }

    pub(crate) fn find_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut KeyBox> {
        self.index_of(hash, key).map(|index| &mut self.keys[index])
    }

    /// The keys of a slot with this hash.
    pub(crate) fn with_hash(&self, hash_key: [u64; 2], slot: Slot, hash: u64) -> impl Iterator<Item = &KeyBox> {
        let alike = self.keys.iter().zip(&self.prints).filter(move |&(_, &print)| print == print_of(hash));
        let right =
            move |key_box: &&KeyBox| hash_of(hash_key, key_box.key()) == hash && Slot::of_key(key_box.key()) == slot;
        alike.map(|(key_box, _)| key_box).filter(right)
    }

    /// Gives a key a body, a revision and a deadline, whether it is there or not.
    pub(crate) fn put(&mut self, stamp: &mut Stamp<'_>, hash: u64, key: &[u8], new: NewBody<'_>) -> Put {
        let found = self.index_of(hash, key);
        let collection = found.and_then(|index| self.keys[index].place()).map(|place| self.release(place));
        let body = match new {
            NewBody::Inline(bytes, raw) => Body::Inline { bytes, raw },
            NewBody::Beside(collection) => {
                Body::Beside { value_type: collection.value_type(), place: self.store(collection) }
            }
        };
        let Some(index) = found else {
            let key_box = KeyBox::new(stamp.scratch, key, stamp.revision, stamp.deadline_ms, body);
            key_box.mark_access(stamp.access_mark);
            let box_bytes = (0, key_box.allocated_bytes());
            self.push(key_box, print_of(hash));
            return Put { replaced: None, collection, box_bytes };
        };
        let key_box = &mut self.keys[index];
        let (before, deadline_ms) = (key_box.allocated_bytes(), key_box.deadline_ms());
        key_box.replace(stamp.scratch, stamp.revision, stamp.deadline_ms, body);
        key_box.mark_access(stamp.access_mark);
        Put { replaced: Some(deadline_ms), collection, box_bytes: (before, key_box.allocated_bytes()) }
    }

    /// Adds a key that is not there.
    fn push(&mut self, key_box: KeyBox, print: u16) {
        push(&mut self.keys, key_box);
        push(&mut self.prints, print);
    }

    /// Takes a key out, and the value beside it.
    pub(crate) fn remove(&mut self, hash: u64, key: &[u8]) -> Option<(KeyBox, Option<Collection>)> {
        let index = self.index_of(hash, key)?;
        let key_box = self.keys.swap_remove(index);
        self.prints.swap_remove(index);
        let collection = key_box.place().map(|place| self.release(place));
        give_back(&mut self.keys);
        give_back(&mut self.prints);
        give_back(&mut self.values);
        Some((key_box, collection))
    }

    /// How many keys are of this slot.
    pub(crate) fn count_of(&self, slot: Slot) -> usize {
        self.keys.iter().filter(|key_box| Slot::of_key(key_box.key()) == slot).count()
    }

    /// Every key from this slot and hash on, in (slot, hash, key) order.
    pub(crate) fn sorted_from(&self, hash_key: [u64; 2], slot: Slot, hash: u64) -> Vec<Placed<'_>> {
        let placed = self.keys.iter().map(|key_box| {
            let key = key_box.key();
            Placed { slot: Slot::of_key(key), hash: hash_of(hash_key, key), key_box }
        });
        let mut sorted: Vec<_> = placed.filter(|key| (key.slot, key.hash) >= (slot, hash)).collect();
        sorted.sort_unstable_by(|left, right| {
            (left.slot, left.hash, left.key_box.key()).cmp(&(right.slot, right.hash, right.key_box.key()))
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

    /// The position that halves the part; `None` if all keys have the same.
    pub(crate) fn middle(&self, hash_key: [u64; 2]) -> Option<u64> {
        let mut positions: Vec<u64> = self.keys.iter().map(|key_box| position_of(hash_key, key_box)).collect();
        positions.sort_unstable();
        let (first, middle) = (*positions.first()?, positions[positions.len() / 2]);
        if middle > first { Some(middle) } else { positions.into_iter().find(|&position| position > first) }
    }

    /// Divides the part in two: positions below `middle` stay.
    pub(crate) fn split(&mut self, hash_key: [u64; 2], middle: u64, scratch: &mut Vec<u8>) -> Self {
        let Self { keys, prints, mut values } = std::mem::take(self);
        let mut upper = Self::default();
        for (key_box, print) in keys.into_iter().zip(prints) {
            let home = if position_of(hash_key, &key_box) < middle { &mut *self } else { &mut upper };
            home.adopt(key_box, print, &mut values, scratch);
        }
        upper
    }

    /// Takes in all keys of another part, which has none of this one's.
    pub(crate) fn absorb(&mut self, other: Self, scratch: &mut Vec<u8>) {
        let Self { keys, prints, mut values } = other;
        for (key_box, print) in keys.into_iter().zip(prints) {
            self.adopt(key_box, print, &mut values, scratch);
        }
    }

    /// Takes in a key of another part, whose values these are.
    fn adopt(&mut self, mut key_box: KeyBox, print: u16, values: &mut [Option<Collection>], scratch: &mut Vec<u8>) {
        if let Some(place) = key_box.place() {
            let value = values[place as usize].take().expect("a body names a place that is taken");
            let body = Body::Beside { value_type: value.value_type(), place: self.store(value) };
            let (revision, deadline_ms) = (key_box.revision(), key_box.deadline_ms());
            key_box.replace(scratch, revision, deadline_ms, body);
        }
        self.push(key_box, print);
    }
}

fn position_of(hash_key: [u64; 2], key_box: &KeyBox) -> u64 {
    position(Slot::of_key(key_box.key()), hash_of(hash_key, key_box.key()))
}

/// Adds an item, with room for few more.
fn push<T>(items: &mut Vec<T>, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact(if items.len() < 64 { GROWTH } else { GROWTH_FROM_64 });
    }
    items.push(item);
}

/// Gives memory back when half of it is unused.
fn give_back<T>(items: &mut Vec<T>) {
    if items.capacity() > 2 * GROWTH && items.len() < items.capacity() / 2 {
        items.shrink_to(items.len() + GROWTH);
    }
}

/// What every write puts on a key, and the means for it.
pub(crate) struct Stamp<'a> {
    /// The revision of the command.
    pub(crate) revision: u64,
    /// The deadline that the key shall have.
    pub(crate) deadline_ms: Option<u64>,
    /// The access mark that the key shall have.
    pub(crate) access_mark: u32,
    /// Any vector.
    pub(crate) scratch: &'a mut Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SetValue, Value};

    const HASH_KEY: [u64; 2] = [1, 2];

    fn put(part: &mut Part, key: &[u8], new: NewBody<'_>) {
        let mut stamp = Stamp { revision: 1, deadline_ms: None, access_mark: 0, scratch: &mut Vec::new() };
        part.put(&mut stamp, hash_of(HASH_KEY, key), key, new);
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
            let (_, collection) = part.remove(hash_of(HASH_KEY, &[number]), &[number]).unwrap();
            assert_eq!(collection.is_some(), number % 3 == 0);
        }
        let middle = part.middle(HASH_KEY).unwrap();
        let upper = part.split(HASH_KEY, middle, &mut Vec::new());
        assert!(part.len() > 20 && upper.len() > 20);
        part.absorb(upper, &mut Vec::new());
        assert_eq!(part.len(), 50);
        for number in (1..100u8).step_by(2) {
            let key_box = part.find(hash_of(HASH_KEY, &[number]), &[number]).unwrap();
            match key_box.body() {
                Body::Inline { bytes, .. } => assert_eq!(bytes, [number]),
                Body::Beside { place, .. } => assert_eq!(part.value(place).value_type().name(), "set"),
            }
        }
        assert!(part.values.iter().all(Option::is_some), "no place is left behind");
    }

    #[test]
    fn keys_of_one_position_cannot_be_halved() {
        let mut part = Part::default();
        assert_eq!(part.middle(HASH_KEY), None);
        put(&mut part, b"a", NewBody::Inline(b"", false));
        assert_eq!(part.middle(HASH_KEY), None);
    }
}
