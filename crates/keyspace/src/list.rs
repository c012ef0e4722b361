//! Lists.

use crate::collection::{CollectionValue, ValueType, collection_variant};
use crate::digest::Digest;

/// A sequence of elements.
#[derive(Clone)]
pub struct ListValue {
    packed: Vec<u8>,
}

impl CollectionValue for ListValue {
    const TYPE: ValueType = ValueType::List;

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

    collection_variant!(List);
}
