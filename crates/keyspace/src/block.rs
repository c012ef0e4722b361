//! Blocks: the bytes that packed collections are made of.
//!
//! A block is one vector of bytes with elements one behind the other, in the order of the collection. This module knows how an element is
//! written, how a piece of a block is replaced and how much room a block takes; what its elements mean is its owner's business.
//!
//! ```text
//! block:   [ element ][ element ] ...
//! element: [ length | bytes ]
//! length:  7 bits a byte, the lowest first; the high bit says that more follow        0..127 take one byte
//! ```

use std::ops::Range;

const LOW_BITS: usize = 0x7f;
const MORE: u8 = 0x80;
/// What the allocator rounds up to, at least.
const GRAIN_BYTES: usize = 16;
/// From here on it has four sizes for each doubling.
const GRAINS_BYTES_MAX: usize = 128;
/// Up to so many bytes a block grows to what it needs: there are many small ones, and most are never changed again.
const EXACT_BYTES_MAX: usize = 1024;

/// How many bytes a length takes.
pub(crate) fn length_bytes(length: usize) -> usize {
    let bits = usize::BITS - (length | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Writes a length at the front of `out`, and returns how many bytes it took.
pub(crate) fn write_length(out: &mut [u8], mut length: usize) -> usize {
    let mut at = 0;
    while length > LOW_BITS {
        out[at] = low_bits(length) | MORE;
        length >>= 7;
        at += 1;
    }
    out[at] = low_bits(length);
    at + 1
}

/// The lowest seven bits.
fn low_bits(length: usize) -> u8 {
    u8::try_from(length & LOW_BITS).expect("seven bits fit into a byte")
}

/// Reads the bytes of a length, in the order in which they come, and returns it with their number.
pub(crate) fn read_length<'a>(bytes: impl Iterator<Item = &'a u8>) -> (usize, usize) {
    let (mut length, mut taken) = (0, 0);
    for &byte in bytes {
        length |= (usize::from(byte) & LOW_BITS) << (7 * taken);
        taken += 1;
        if byte & MORE == 0 {
            break;
        }
    }
    (length, taken)
}

/// The bytes that an element takes.
pub(crate) fn element_bytes(element: &[u8]) -> usize {
    length_bytes(element.len()) + element.len()
}

/// Fills a room of [`element_bytes`] bytes.
pub(crate) fn write_element(room: &mut [u8], element: &[u8]) {
    let head = write_length(room, element.len());
    room[head..].copy_from_slice(element);
}

/// The first element of a block that is not empty, and what is behind it.
pub(crate) fn split_element(block: &[u8]) -> (&[u8], &[u8]) {
    let (length, head) = read_length(block.iter());
    block[head..].split_at(length)
}

/// Makes the range `length` bytes long, shifting what follows, and returns it to be written: its bytes are whatever was there.
pub(crate) fn replace(block: &mut Vec<u8>, range: Range<usize>, length: usize) -> &mut [u8] {
    let (start, end, old_length) = (range.start, range.end, block.len());
    let new_end = start + length;
    if new_end > end {
        reserve(block, new_end - end);
        block.resize(old_length + new_end - end, 0);
    }
    block.copy_within(end..old_length, new_end);
    if new_end < end {
        block.truncate(old_length - (end - new_end));
        give_back(block);
    }
    &mut block[start..new_end]
}

/// Takes the range of an element out; the block's last element, of so many bytes, moves into its place.
pub(crate) fn swap_out(block: &mut Vec<u8>, range: Range<usize>, last_bytes: usize) {
    if range.end < block.len() {
        block[range.end..].rotate_right(last_bytes);
    }
    replace(block, range, 0);
}

/// Makes room for more bytes: in a big block for an eighth more than is needed, so that growing by one element at a time copies little and
/// wastes little.
pub(crate) fn reserve(block: &mut Vec<u8>, extra: usize) {
    let needed = block.len() + extra;
    if needed > block.capacity() {
        let spare = if needed <= EXACT_BYTES_MAX { 0 } else { needed / 8 };
        block.reserve_exact(allocated(needed + spare) - block.len());
    }
}

/// What the allocator gives where so many bytes are asked for.
pub(crate) fn allocated(bytes: usize) -> usize {
    if bytes <= GRAINS_BYTES_MAX {
        return bytes.next_multiple_of(GRAIN_BYTES);
    }
    bytes.next_multiple_of(1 << ((bytes - 1).ilog2() - 2))
}

/// Gives memory back after a removal, when more than half of it is unused.
fn give_back(block: &mut Vec<u8>) {
    if block.capacity() > 64 && block.len() < block.capacity() / 2 {
        block.shrink_to(block.len() + block.len() / 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_written_from_both_sides() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 1 << 30, usize::MAX] {
            let mut bytes = [0; 10];
            let taken = write_length(&mut bytes, length);
            assert_eq!(taken, length_bytes(length));
            assert_eq!(read_length(bytes.iter()), (length, taken));
            bytes[..taken].reverse();
            assert_eq!(read_length(bytes[..taken].iter().rev()), (length, taken));
        }
    }

    #[test]
    fn elements_of_all_lengths_come_back() {
        let lengths = [0, 1, 127, 128, 129, 16383, 16384, 100_000];
        let mut block = Vec::new();
        for length in lengths {
            let (end, element) = (block.len(), vec![b'x'; length]);
            write_element(replace(&mut block, end..end, element_bytes(&element)), &element);
        }
        let mut rest = block.as_slice();
        for length in lengths {
            let (element, behind) = split_element(rest);
            assert_eq!(element.len(), length);
            rest = behind;
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn a_block_takes_what_the_allocator_gives() {
        let sizes = [1, 16, 17, 128, 129, 160, 161, 225, 256, 257, 513, 1025];
        let given = [16, 16, 32, 128, 160, 160, 192, 256, 256, 320, 640, 1280];
        assert_eq!(sizes.map(allocated), given);
    }

    #[test]
    fn replace_shifts_what_follows() {
        let mut block = b"abcdef".to_vec();
        replace(&mut block, 1..3, 4).copy_from_slice(b"WXYZ");
        assert_eq!(block, b"aWXYZdef");
        replace(&mut block, 0..5, 1).copy_from_slice(b"-");
        assert_eq!(block, b"-def");
        replace(&mut block, 4..4, 2).copy_from_slice(b"!!");
        assert_eq!(block, b"-def!!");
    }
}
