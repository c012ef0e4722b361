//! Sorted sets.

use crate::collection::{CollectionValue, ValueType, collection_variant};
use crate::digest::Digest;

/// Members ordered by score.
#[derive(Clone)]
pub struct SortedSetValue {
    packed: Vec<u8>,
}

impl CollectionValue for SortedSetValue {
    const TYPE: ValueType = ValueType::SortedSet;

    fn empty() -> Self {
        Self { packed: Vec::new() }
    }

    fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    fn allocated_bytes(&self) -> usize {
        self.packed.len()
    }

    fn encoding(&self) -> &'static str {
        "listpack"
    }

    fn digest(&self, digest: &mut Digest) {
        digest.bytes(&self.packed);
    }

    collection_variant!(SortedSet);
}
