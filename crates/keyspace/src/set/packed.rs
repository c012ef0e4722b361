//! A small set, or a big one of few members: one block of them, in the order in which they were put in, but for `swap_remove`. See `block`.

use std::ops::Range;

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

    /// The bytes of the block, with this member added.
    pub(super) fn bytes_with(&self, member: &[u8]) -> usize {
        self.block.len() + block::element_bytes(member)
    }

    /// Where a member stands in the block.
    fn find(&self, member: &[u8]) -> Option<Range<usize>> {
        let mut end = 0;
        self.iter().find(|&found| {
            end += block::element_bytes(found);
            found == member
        })?;
        Some(end - block::element_bytes(member)..end)
    }

    /// Removes a member, those behind it move up; says whether it was there.
    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let Some(place) = self.find(member) else { return false };
        block::replace(&mut self.block, place, 0);
        self.count -= 1;
        true
    }

    /// Removes a member, whose place the last one takes; says whether it was there.
    pub(super) fn swap_remove(&mut self, member: &[u8]) -> bool {
        let Some(place) = self.find(member) else { return false };
        let last_bytes = self.iter().last().map_or(0, block::element_bytes);
        block::swap_out(&mut self.block, place, last_bytes);
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
