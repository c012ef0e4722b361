//! Byte strings one behind the other in one block: what small sets and sorted sets are made of.
//!
//! ```text
//! item:  [ length: 7 bits a byte, low bits first, high bit set on all but the last ][ bytes ]
//! set:   item item item ...      in the order in which they were put in
//! ```

/// A small set of members.
#[derive(Clone, Default)]
pub(crate) struct Packed {
    bytes: Vec<u8>,
    count: usize,
}

impl Packed {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn allocated_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    pub(crate) fn contains(&self, member: &[u8]) -> bool {
        self.iter().any(|found| found == member)
    }

    /// Adds a member that is not there.
    pub(crate) fn push(&mut self, member: &[u8]) {
        push_item(&mut self.bytes, member);
        self.count += 1;
    }

    /// Removes a member; says whether it was there.
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let mut rest = self.bytes.as_slice();
        while !rest.is_empty() {
            let start = self.bytes.len() - rest.len();
            let (found, behind) = split_item(rest);
            if found == member {
                let end = self.bytes.len() - behind.len();
                self.bytes.drain(start..end);
                self.count -= 1;
                return true;
            }
            rest = behind;
        }
        false
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (member, behind) = split_item(rest);
            rest = behind;
            Some(member)
        })
    }
}

/// Appends an item to a block.
pub(crate) fn push_item(block: &mut Vec<u8>, item: &[u8]) {
    let mut length = item.len();
    // A block grows by what it needs: there are many, and most are never changed again.
    block.reserve_exact(item_bytes(item.len()));
    loop {
        let [low, ..] = length.to_le_bytes();
        length >>= 7;
        if length == 0 {
            block.push(low);
            break;
        }
        block.push(low | 0x80);
    }
    block.extend_from_slice(item);
}

/// The bytes that an item of this length takes in a block.
pub(crate) fn item_bytes(length: usize) -> usize {
    let bits = (usize::BITS - length.leading_zeros()).max(1) as usize;
    bits.div_ceil(7) + length
}

/// The first item of a block that is not empty, and what is behind it.
pub(crate) fn split_item(block: &[u8]) -> (&[u8], &[u8]) {
    let (mut length, mut at) = (0, 0);
    loop {
        let byte = block[at];
        length |= usize::from(byte & 0x7f) << (7 * at);
        at += 1;
        if byte & 0x80 == 0 {
            return block[at..].split_at(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_all_lengths_come_back() {
        let lengths = [0, 1, 127, 128, 129, 16383, 16384, 100_000];
        let mut block = Vec::new();
        for length in lengths {
            let before = block.len();
            push_item(&mut block, &vec![b'x'; length]);
            assert_eq!(block.len() - before, item_bytes(length));
        }
        let mut rest = block.as_slice();
        for length in lengths {
            let (item, behind) = split_item(rest);
            assert_eq!(item.len(), length);
            rest = behind;
        }
        assert!(rest.is_empty());
    }
}
