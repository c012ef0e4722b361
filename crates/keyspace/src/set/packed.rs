//! A small set: one block of members, in the order in which they were put in. See `block`.

use crate::block;

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Packed {
    block: Vec<u8>,
    count: usize,
}

impl Packed {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        self.block.capacity()
    }

    pub(super) fn contains(&self, member: &[u8]) -> bool {
        self.iter().any(|found| found == member)
    }

    /// Adds a member that is not there.
    pub(super) fn push(&mut self, member: &[u8]) {
        let end = self.block.len();
        block::write_element(block::replace(&mut self.block, end..end, block::element_bytes(member)), member);
        self.count += 1;
    }

    /// Removes a member; says whether it was there.
    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let mut end = 0;
        let found = self.iter().find(|&found| {
            end += block::element_bytes(found);
            found == member
        });
        if found.is_none() {
            return false;
        }
        block::replace(&mut self.block, end - block::element_bytes(member)..end, 0);
        self.count -= 1;
        true
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.block.as_slice();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (member, behind) = block::split_element(rest);
            rest = behind;
            Some(member)
        })
    }
}
