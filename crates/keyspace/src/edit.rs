//! How a command changes a collection.

use std::ops::{Deref, DerefMut};

use triomphe::Arc;

use crate::collection::CollectionValue;
use crate::context::Context;
use crate::error::DataError;
use crate::keyspace::{Keyspace, Place};
use crate::part::NewBody;
use crate::record::Body;

/// So many elements are freed where they are removed.
const FREED_AT_ONCE_MAX: usize = 10_000;

/// A collection on loan from the keyspace, to be read and changed.
///
/// Reading it (`Deref`) leaves no trace. The first mutable use (`DerefMut`) parts it from frozen views and counts as a change,
/// so look first: a command that finds nothing to do must not draw a revision, or WATCH would see a change that was none.
///
/// When it is dropped, the keyspace takes it back: a collection that was emptied takes its key with it, one that was changed
/// stamps its key with the command's revision and is weighed anew, and a new one gets its key if it holds anything.
pub struct Edit<'a, T: CollectionValue> {
    keyspace: &'a mut Keyspace,
    place: Place,
    key: &'a [u8],
    /// Taken only by `drop`.
    value: Option<Arc<T>>,
    /// `None`: the key is not there yet.
    home: Option<Home>,
    changed: bool,
}

/// Where a value came from.
enum Home {
    /// The record of its key, where it still is: what is lent is a copy.
    Record,
    /// This place in its part, and what was booked for it when it was lent.
    Beside { place: u32, bytes: usize, deadline_ms: Option<u64> },
}

impl Keyspace {
    /// Lends the collection of type `T` at a key, for a command that changes it. `None`: no such key.
    pub fn edit<'a, T: CollectionValue>(
        &'a mut self,
        context: &Context,
        key: &'a [u8],
    ) -> Result<Option<Edit<'a, T>>, DataError> {
        let edit = self.edit_or_new(context, key)?;
        Ok(if edit.home.is_some() { Some(edit) } else { None })
    }

    /// Lends the collection of type `T` at a key, or an empty one that comes to be with its first element.
    pub fn edit_or_new<'a, T: CollectionValue>(
        &'a mut self,
        context: &Context,
        key: &'a [u8],
    ) -> Result<Edit<'a, T>, DataError> {
        let place = self.place_to_write(context, key);
        self.edit_at(place, key)
    }

    /// Lends the collection of type `T` at a place, or an empty one, due or not.
    pub(crate) fn edit_at<'a, T: CollectionValue>(
        &'a mut self,
        place: Place,
        key: &'a [u8],
    ) -> Result<Edit<'a, T>, DataError> {
        let Some(found) = self.find(place, key) else {
            return Ok(Edit {
                keyspace: self,
                place,
                key,
                value: Some(Arc::new(T::empty())),
                home: None,
                changed: false,
            });
        };
        let (value, home) = match found.record.body {
            Body::Beside { value_type, place: at } if value_type == T::TYPE => {
                let value = T::from_collection(self.part_mut(place).lift(at)).expect("the key's tag names the type");
                let (bytes, deadline_ms) = (value.allocated_bytes(), value.next_deadline_ms());
                (value, Home::Beside { place: at, bytes, deadline_ms })
            }
            Body::PackedHash { block } => (Arc::new(T::of_block(block).ok_or(DataError::WrongType)?), Home::Record),
            _ => return Err(DataError::WrongType),
        };
        Ok(Edit { keyspace: self, place, key, value: Some(value), home: Some(home), changed: false })
    }
}

impl<T: CollectionValue> Edit<'_, T> {
    /// Whether the key was not there before.
    pub fn is_new(&self) -> bool {
        self.home.is_none()
    }

    /// Tells that so many elements are about to be removed. If they are many, the value as it is now goes to the effects, for another thread to
    /// drop: what the change lets go of is not freed by it.
    pub fn free_later(&mut self, removed_count: usize) {
        if removed_count >= FREED_AT_ONCE_MAX {
            let shared = self.value.as_ref().expect("only drop takes it").clone();
            self.keyspace.effects.discarded.push(T::into_collection(shared));
        }
    }

    /// Lends the collection for a change of its encoding alone, of which nobody is told.
    pub(crate) fn reshape(&mut self) -> &mut T {
        Arc::make_mut(self.value.as_mut().expect("only drop takes it"))
    }

    /// Notes that fields were removed because they were due.
    pub(crate) fn note_expired_fields(&mut self, count: usize) {
        self.keyspace.effects.expired_fields_count += count;
    }

    /// Hands what was taken out of the collection to the effects, for another thread to free, if it is big.
    pub fn discard(&mut self, taken: T) {
        self.keyspace.discard(T::into_collection(Arc::new(taken)));
    }
}

impl<T: CollectionValue> Deref for Edit<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value.as_ref().expect("only drop takes it")
    }
}

impl<T: CollectionValue> DerefMut for Edit<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.changed = true;
        Arc::make_mut(self.value.as_mut().expect("only drop takes it"))
    }
}

impl<T: CollectionValue> Drop for Edit<'_, T> {
    fn drop(&mut self) {
        let value = self.value.take().expect("dropped once");
        let (is_empty, after, deadline_ms) = (value.is_empty(), value.allocated_bytes(), value.next_deadline_ms());
        let (place, key) = (self.place, self.key);
        let collection = T::into_collection(value);
        match self.home.take() {
            None => {
                // A stream without stream entries is none as long as nobody touches it.
                if !is_empty && self.changed {
                    self.keyspace.put_at(place, key, NewBody::Beside(collection), None);
                }
                return;
            }
            Some(Home::Record) => {
                if self.changed && !is_empty {
                    let kept = self.keyspace.find(place, key).expect("the key is there").record;
                    self.keyspace.put_at(place, key, NewBody::Beside(collection), kept.deadline_ms);
                    return;
                }
            }
            Some(Home::Beside { place: at, bytes, deadline_ms: before_ms }) => {
                self.keyspace.part_mut(place).put_back(at, collection);
                let database = self.keyspace.database_mut(place);
                database.account(bytes, after);
                database.field_deadlines.change(before_ms, deadline_ms, place.slot.number(), place.hash);
            }
        }
        if is_empty {
            self.keyspace.remove_at(place, key);
        } else if self.changed {
            self.keyspace.stamp_at(place, key);
        }
    }
}
