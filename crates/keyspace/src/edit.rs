//! How a command changes a collection.

use std::ops::{Deref, DerefMut};

use triomphe::Arc;

use crate::collection::CollectionValue;
use crate::context::Context;
use crate::error::DataError;
use crate::key_box::Body;
use crate::keyspace::{Keyspace, Place};
use crate::part::NewBody;

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
    /// Where the value lies in its part, and its bytes when it was lent; `None`, the key is not there yet.
    home: Option<(u32, usize)>,
    changed: bool,
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
        let Body::Beside { value_type, place: at } = found.key_box.body() else { return Err(DataError::WrongType) };
        if value_type != T::TYPE {
            return Err(DataError::WrongType);
        }
        let value = T::from_collection(self.part_mut(place).lift(at)).expect("the key's tag names the type");
        let home = Some((at, value.allocated_bytes()));
        Ok(Edit { keyspace: self, place, key, value: Some(value), home, changed: false })
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
        let (is_empty, after) = (value.is_empty(), value.allocated_bytes());
        let (place, key) = (self.place, self.key);
        let collection = T::into_collection(value);
        let Some((at, before)) = self.home else {
            if !is_empty {
                self.keyspace.put_at(place, key, NewBody::Beside(collection), None);
            }
            return;
        };
        self.keyspace.part_mut(place).put_back(at, collection);
        self.keyspace.database_mut(place).account(before, after);
        if is_empty {
            self.keyspace.remove_at(place, key);
        } else if self.changed {
            self.keyspace.stamp_at(place, key);
        }
    }
}
