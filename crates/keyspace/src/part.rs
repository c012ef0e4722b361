//! Keys whose hashes lie in one range, and the values beside them: the unit of copy-on-write.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use siphasher::sip::SipHasher13;

use crate::collection::Collection;
use crate::key_box::{Body, KeyBox};

/// The hash of a key's name, with the shard's key.
pub(crate) fn hash_of(hash_key: [u64; 2], key: &[u8]) -> u64 {
    SipHasher13::new_with_keys(hash_key[0], hash_key[1]).hash(key)
}

/// The hash within a part's table. The upper bits, which the table tells keys apart by, are alike in the parts of a divided slot: others take
/// their place.
fn table_hash(hash: u64) -> u64 {
    hash << 32 | hash & 0xffff_ffff
}

/// A hash table of keys, and the values that are not kept with their key.
#[derive(Clone, Default)]
pub(crate) struct Part {
    keys: HashTable<KeyBox>,
    values: Slab,
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

impl Part {
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<&KeyBox> {
        self.keys.find(table_hash(hash), |found| found.key() == key)
    }

    pub(crate) fn find_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut KeyBox> {
        self.keys.find_mut(table_hash(hash), |found| found.key() == key)
    }

    /// The keys with this hash.
    pub(crate) fn with_hash(&self, hash_key: [u64; 2], hash: u64) -> impl Iterator<Item = &KeyBox> {
        self.keys.iter_hash(table_hash(hash)).filter(move |found| hash_of(hash_key, found.key()) == hash)
    }

    /// Gives a key a body, a revision and a deadline, whether it is there or not.
    pub(crate) fn put(&mut self, stamp: &mut Stamp<'_>, hash: u64, key: &[u8], new: NewBody<'_>) -> Put {
        let Self { keys, values } = self;
        let hash_key = stamp.hash_key;
        let entry = keys.entry(
            table_hash(hash),
            |found| found.key() == key,
            |moved| table_hash(hash_of(hash_key, moved.key())),
        );
        let collection = match &entry {
            Entry::Occupied(found) => found.get().place().map(|place| values.release(place)),
            Entry::Vacant(_) => None,
        };
        let body = match new {
            NewBody::Inline(bytes, raw) => Body::Inline { bytes, raw },
            NewBody::Beside(collection) => {
                Body::Beside { value_type: collection.value_type(), place: values.store(collection) }
            }
        };
        match entry {
            Entry::Occupied(mut found) => {
                let key_box = found.get_mut();
                let (before, deadline_ms) = (key_box.allocated_bytes(), key_box.deadline_ms());
                key_box.replace(stamp.scratch, stamp.revision, stamp.deadline_ms, body);
                key_box.mark_access(stamp.access_mark);
                let box_bytes = (before, key_box.allocated_bytes());
                Put { replaced: Some(deadline_ms), collection, box_bytes }
            }
            Entry::Vacant(room) => {
                let key_box = KeyBox::new(stamp.scratch, key, stamp.revision, stamp.deadline_ms, body);
                key_box.mark_access(stamp.access_mark);
                let box_bytes = (0, key_box.allocated_bytes());
                room.insert(key_box);
                Put { replaced: None, collection, box_bytes }
            }
        }
    }

    /// Takes a key out, and the value beside it.
    pub(crate) fn remove(&mut self, hash: u64, key: &[u8]) -> Option<(KeyBox, Option<Collection>)> {
        let found = self.keys.find_entry(table_hash(hash), |found| found.key() == key).ok()?;
        let (key_box, _) = found.remove();
        let collection = key_box.place().map(|place| self.values.release(place));
        Some((key_box, collection))
    }

    /// Every key with its hash, in the order of the table: sort before showing it.
    pub(crate) fn hashed(&self, hash_key: [u64; 2]) -> impl Iterator<Item = (u64, &KeyBox)> {
        self.keys.iter().map(move |key_box| (hash_of(hash_key, key_box.key()), key_box))
    }

    /// Every key from this hash on, in (hash, key) order.
    pub(crate) fn sorted_from(&self, hash_key: [u64; 2], from: u64) -> Vec<(u64, &KeyBox)> {
        let mut sorted: Vec<_> = self.hashed(hash_key).filter(|&(hash, _)| hash >= from).collect();
        sorted.sort_unstable_by(|left, right| (left.0, left.1.key()).cmp(&(right.0, right.1.key())));
        sorted
    }

    /// The value at a place that a key's body named.
    pub(crate) fn value(&self, place: u32) -> &Collection {
        self.values.slots[place as usize].as_ref().expect("a body names a place that is taken")
    }

    /// Takes a value out for a moment; [`Part::put_back`] follows.
    pub(crate) fn lift(&mut self, place: u32) -> Collection {
        self.values.slots[place as usize].take().expect("a body names a place that is taken")
    }

    /// Ends [`Part::lift`].
    pub(crate) fn put_back(&mut self, place: u32, value: Collection) {
        let old = self.values.slots[place as usize].replace(value);
        debug_assert!(old.is_none(), "only a lifted value is put back");
    }

    /// Divides the part in two: hashes below `middle` stay.
    pub(crate) fn split(&mut self, hash_key: [u64; 2], middle: u64, scratch: &mut Vec<u8>) -> Self {
        let keys = std::mem::take(self).into_hashed(hash_key);
        let mut upper = Self::default();
        for (hash, mut key_box, collection) in keys {
            let home = if hash < middle { &mut *self } else { &mut upper };
            if let Some(collection) = collection {
                let body = Body::Beside { value_type: collection.value_type(), place: home.values.store(collection) };
                let (revision, deadline_ms) = (key_box.revision(), key_box.deadline_ms());
                key_box.replace(scratch, revision, deadline_ms, body);
            }
            home.keys.insert_unique(table_hash(hash), key_box, |moved| table_hash(hash_of(hash_key, moved.key())));
        }
        upper
    }

    fn into_hashed(mut self, hash_key: [u64; 2]) -> impl Iterator<Item = (u64, KeyBox, Option<Collection>)> {
        std::mem::take(&mut self.keys).into_iter().map(move |key_box| {
            let collection = key_box.place().map(|place| self.values.release(place));
            (hash_of(hash_key, key_box.key()), key_box, collection)
        })
    }

    /// Gives memory back after many removals.
    pub(crate) fn maybe_shrink(&mut self, hash_key: [u64; 2]) {
        if self.keys.capacity() > 64 && self.keys.len() < self.keys.capacity() / 8 {
            self.keys.shrink_to(self.keys.len() * 2, |moved| table_hash(hash_of(hash_key, moved.key())));
        }
    }
}

/// Values with a place each; freed places are used again.
#[derive(Clone, Default)]
struct Slab {
    slots: Vec<Option<Collection>>,
    free: Vec<u32>,
}

impl Slab {
    fn store(&mut self, value: Collection) -> u32 {
        if let Some(place) = self.free.pop() {
            self.slots[place as usize] = Some(value);
            return place;
        }
        self.slots.push(Some(value));
        u32::try_from(self.slots.len() - 1).expect("a part holds few thousand keys")
    }

    fn release(&mut self, place: u32) -> Collection {
        self.free.push(place);
        self.slots[place as usize].take().expect("a body names a place that is taken")
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
    /// The shard's hash key.
    pub(crate) hash_key: [u64; 2],
    /// Any vector.
    pub(crate) scratch: &'a mut Vec<u8>,
}
