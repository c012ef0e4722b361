//! Many items with names: by place, and by name.
//!
//! A new item goes to the end; when one leaves, the last takes its place. So the order is a function of the history of changes
//! alone, a random item is one look away, and a walk from the end to the front returns what is there throughout, however
//! much comes and goes: what moves, moves towards the front.

use siphasher::sip::SipHasher13;

use super::index::Index;
use super::rows::Rows;

/// An item of a [`Dense`]: a handle that is cheap to clone.
pub(crate) trait Named: Clone {
    /// What the item is found by.
    fn name(&self) -> &[u8];
    /// The bytes of what the handle refers to.
    fn allocated_bytes(&self) -> usize;
}

/// See the module. No two items have the same name.
#[derive(Clone)]
pub(crate) struct Dense<T> {
    hash_key: [u64; 2],
    rows: Rows<T>,
    index: Index,
    item_bytes: usize,
}

impl<T: Named> Dense<T> {
    /// Without items.
    pub(crate) fn new(hash_key: [u64; 2]) -> Self {
        Self { hash_key, rows: Rows::new(), index: Index::new(), item_bytes: 0 }
    }

    /// Without items, with the same hash key.
    pub(crate) fn new_like(other: &Self) -> Self {
        Self::new(other.hash_key)
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The bytes of the items, their handles and the index.
    pub(crate) fn allocated_bytes(&self) -> usize {
        self.item_bytes + self.rows.allocated_bytes() + self.index.allocated_bytes()
    }

    /// The item at a place below the length.
    pub(crate) fn at(&self, place: usize) -> &T {
        self.rows.at(place)
    }

    /// The items in order of their places.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + Clone {
        self.rows.iter()
    }

    /// The place of the item with this name.
    pub(crate) fn place(&self, name: &[u8]) -> Option<usize> {
        self.index.find(hash_of(self.hash_key, name), |place| self.at(place).name() == name)
    }

    /// The item with this name.
    pub(crate) fn find(&self, name: &[u8]) -> Option<&T> {
        self.place(name).map(|place| self.at(place))
    }

    /// Adds an item whose name is not there.
    pub(crate) fn push(&mut self, item: T) {
        let Self { hash_key, rows, index, item_bytes } = self;
        *item_bytes += item.allocated_bytes();
        let (hash, place) = (hash_of(*hash_key, item.name()), rows.len());
        rows.push(item);
        index.insert(hash, place, |places| hashes_at(*hash_key, rows, places));
    }

    /// Puts another item of the same name at a place, and returns the one that was there.
    pub(crate) fn replace(&mut self, place: usize, item: T) -> T {
        self.item_bytes += item.allocated_bytes();
        let row = self.rows.at_mut(place);
        debug_assert!(row.name() == item.name(), "an item is replaced by one of the same name");
        let before = std::mem::replace(row, item);
        self.item_bytes -= before.allocated_bytes();
        before
    }

    /// Changes the item at a place, but for its name and its size.
    pub(crate) fn change<R>(&mut self, place: usize, change: impl FnOnce(&mut T) -> R) -> R {
        change(self.rows.at_mut(place))
    }

    /// Removes the item with this name, if it is there.
    pub(crate) fn remove(&mut self, name: &[u8]) -> Option<T> {
        let place = self.place(name)?;
        let Self { hash_key, rows, index, item_bytes } = self;
        index.remove(hash_of(*hash_key, name), place, |places| hashes_at(*hash_key, rows, places));
        let last = rows.pop().expect("an item is there");
        let removed = if place == rows.len() {
            last
        } else {
            index.relocate(hash_of(*hash_key, last.name()), rows.len(), place);
            std::mem::replace(rows.at_mut(place), last)
        };
        *item_bytes -= removed.allocated_bytes();
        Some(removed)
    }
}

fn hash_of(hash_key: [u64; 2], name: &[u8]) -> u64 {
    SipHasher13::new_with_keys(hash_key[0], hash_key[1]).hash(name)
}

/// The hashes of the names at these places. Each look waits for the memory, so all are begun before the first is used.
fn hashes_at<T: Named>(hash_key: [u64; 2], rows: &Rows<T>, places: &[u32]) -> Vec<u64> {
    let items: Vec<&T> = places.iter().map(|&place| rows.at(place as usize)).collect();
    let names: Vec<&[u8]> = items.into_iter().map(Named::name).collect();
    names.into_iter().map(|name| hash_of(hash_key, name)).collect()
}
