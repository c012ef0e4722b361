//! Registers of six bits, one behind the other, from the lowest bit of each byte up.
//!
//! ```text
//! byte      0          1          2
//! register  1 1 0..0   2..2 1..1  3..3 2 2        highest bit first
//! ```

use super::{REGISTER_BITS, REGISTER_COUNT};

/// The bytes of all registers.
pub(super) const BYTES: usize = REGISTER_COUNT * REGISTER_BITS as usize / 8;

const MASK: u16 = (1 << REGISTER_BITS) - 1;

/// The first byte of a register, and the bits before it there.
fn place(index: usize) -> (usize, usize) {
    let bit = index * REGISTER_BITS as usize;
    (bit / 8, bit % 8)
}

/// The two bytes that a register may stand in; the last one stands in one.
fn pair(registers: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([registers[at], registers.get(at + 1).copied().unwrap_or(0)])
}

pub(super) fn register(registers: &[u8], index: usize) -> u8 {
    let (at, shift) = place(index);
    (pair(registers, at) >> shift & MASK).to_le_bytes()[0]
}

pub(super) fn set_register(registers: &mut [u8], index: usize, count: u8) {
    let (at, shift) = place(index);
    let changed = pair(registers, at) & !(MASK << shift) | u16::from(count) << shift;
    let end = registers.len().min(at + 2);
    registers[at..end].copy_from_slice(&changed.to_le_bytes()[..end - at]);
}
