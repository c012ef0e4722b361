//! Values that live beside their key, and what all of them can do.
//!
//! A [`Collection`] is one `Arc`: cloning it is how a frozen view and COPY share it, `Arc::make_mut` on the next change is
//! how they part. So the clone of a value type must be cheap even when the value is big: packed bytes while small, a
//! spine of `Arc`'d chunks when big.

use triomphe::Arc;

use crate::{
    big_string::BigString, digest::Digest, effects::DISCARD_BYTES_MIN, hash::HashValue, list::ListValue, set::SetValue,
    sorted_set::SortedSetValue, stream::StreamValue,
};

/// What a value is, as the commands see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ValueType {
    /// A string of bytes.
    String = 0,
    /// A sequence of elements.
    List = 1,
    /// A set of members.
    Set = 2,
    /// Members ordered by score.
    SortedSet = 3,
    /// Fields with values.
    Hash = 4,
    /// Entries with ids, and groups that read them.
    Stream = 5,
}

impl ValueType {
    /// The name that TYPE answers and `SCAN TYPE` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
        }
    }

    pub(crate) fn from_tag(tag: u8) -> Self {
        match tag {
            0 => Self::String,
            1 => Self::List,
            2 => Self::Set,
            3 => Self::SortedSet,
            4 => Self::Hash,
            5 => Self::Stream,
            _ => unreachable!("only `as u8` of the six types is ever stored"),
        }
    }
}

/// A value that is kept beside its key: a collection, or a string too long to be kept with it.
#[derive(Clone)]
pub enum Collection {
    /// A string over [`crate::INLINE_BYTES_MAX`] bytes, as a list of chunks.
    String(Arc<BigString>),
    /// See [`ListValue`].
    List(Arc<ListValue>),
    /// See [`SetValue`].
    Set(Arc<SetValue>),
    /// See [`SortedSetValue`].
    SortedSet(Arc<SortedSetValue>),
    /// See [`HashValue`].
    Hash(Arc<HashValue>),
    /// See [`StreamValue`].
    Stream(Arc<StreamValue>),
}

/// What the keyspace asks of a type of value. Everything here is O(1) but `digest`.
pub trait CollectionValue: Clone {
    /// The type that TYPE answers.
    const TYPE: ValueType;
    /// A value without elements. It exists only inside an [`crate::Edit`]: the keyspace holds no empty collection.
    fn empty() -> Self;
    /// Whether nothing is left, so that the key goes.
    fn is_empty(&self) -> bool;
    /// The bytes of memory that the value holds, its chunks and indexes included.
    fn allocated_bytes(&self) -> usize;
    /// Whether it is handed out to be freed, instead of being freed in the middle of apply.
    fn is_slow_to_free(&self) -> bool {
        self.allocated_bytes() >= DISCARD_BYTES_MIN
    }
    /// What OBJECT ENCODING answers.
    fn encoding(&self) -> &'static str;
    /// When the first of its elements expires, in ms since 1970, if any does.
    fn next_deadline_ms(&self) -> Option<u64> {
        None
    }
    /// Feeds the contents, and whatever else a snapshot keeps (the order of a packed collection, the encoding).
    fn digest(&self, digest: &mut Digest);
    /// A copy of a value that is kept in the record of its key, if values of this type are: small hashes.
    fn of_block(_block: &[u8]) -> Option<Self> {
        None
    }
    /// The value as one of all types.
    fn into_collection(this: Arc<Self>) -> Collection;
    /// The value, if the collection is of this type.
    fn from_collection(collection: Collection) -> Option<Arc<Self>>;
    /// The value, if the collection is of this type.
    fn of_collection(collection: &Collection) -> Option<&Self>;
}

/// Types whose values are always beside their keys, so that a reference to one can be had.
pub trait KeptBeside: CollectionValue {}

impl KeptBeside for BigString {}
impl KeptBeside for ListValue {}
impl KeptBeside for SetValue {}
impl KeptBeside for SortedSetValue {}
impl KeptBeside for StreamValue {}

/// Implements the three conversions of [`CollectionValue`] for the variant of the same type.
macro_rules! collection_variant {
    ($variant:ident) => {
        fn into_collection(this: triomphe::Arc<Self>) -> $crate::Collection {
            $crate::Collection::$variant(this)
        }
        fn from_collection(collection: $crate::Collection) -> Option<triomphe::Arc<Self>> {
            if let $crate::Collection::$variant(value) = collection { Some(value) } else { None }
        }
        fn of_collection(collection: &$crate::Collection) -> Option<&Self> {
            if let $crate::Collection::$variant(value) = collection { Some(value) } else { None }
        }
    };
}
pub(crate) use collection_variant;

/// Runs an expression on the value inside of a collection, whatever its type.
macro_rules! with_value {
    ($collection:expr, $value:ident => $body:expr) => {
        match $collection {
            Collection::String($value) => $body,
            Collection::List($value) => $body,
            Collection::Set($value) => $body,
            Collection::SortedSet($value) => $body,
            Collection::Hash($value) => $body,
            Collection::Stream($value) => $body,
        }
    };
}

impl Collection {
    /// A copy of a small hash, by the block in the record of its key.
    pub(crate) fn of_block(block: &[u8]) -> Self {
        Self::Hash(Arc::new(HashValue::of_block(block).expect("small hashes are kept so")))
    }

    /// The type that TYPE answers.
    pub fn value_type(&self) -> ValueType {
        fn of<T: CollectionValue>(_: &T) -> ValueType {
            T::TYPE
        }
        with_value!(self, value => of(&**value))
    }

    /// The bytes of memory that the value holds.
    pub fn allocated_bytes(&self) -> usize {
        with_value!(self, value => value.allocated_bytes())
    }

    pub(crate) fn is_slow_to_free(&self) -> bool {
        with_value!(self, value => value.is_slow_to_free())
    }

    /// What OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        with_value!(self, value => value.encoding())
    }

    pub(crate) fn is_empty(&self) -> bool {
        with_value!(self, value => value.is_empty())
    }

    pub(crate) fn next_deadline_ms(&self) -> Option<u64> {
        with_value!(self, value => value.next_deadline_ms())
    }

    pub(crate) fn digest(&self, digest: &mut Digest) {
        with_value!(self, value => value.digest(digest));
    }
}

/// A whole value outside of the keyspace: what COPY, RENAME, MOVE and RESTORE carry.
#[derive(Clone)]
pub enum Value {
    /// A string of at most [`crate::INLINE_BYTES_MAX`] bytes, and whether OBJECT ENCODING calls it raw whatever its length.
    String(Vec<u8>, bool),
    /// Anything longer.
    Collection(Collection),
}

impl Value {
    /// A value that nothing else shares yet.
    pub fn of<T: CollectionValue>(value: T) -> Self {
        Self::Collection(T::into_collection(Arc::new(value)))
    }
}
