//! Sets.

use crate::collection::{CollectionValue, ValueType, collection_variant};
use crate::digest::Digest;

/// A set of members.
#[derive(Clone)]
pub struct SetValue {
    packed: Vec<u8>,
}

impl CollectionValue for SetValue {
    const TYPE: ValueType = ValueType::Set;

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

    collection_variant!(Set);
}
