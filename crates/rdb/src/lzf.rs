//! The compression of RDB's strings.
//!
//! ```text
//! 000lllll | l + 1 bytes                    those bytes
//! lllooooo | low offset                     l + 2 bytes that stand o + 1 bytes back; l is 1 to 6
//! 111ooooo | more l | low offset            as many more
//! ```
//!
//! What is compressed depends on the bytes alone: every replica writes the same. The libraries for it are no longer maintained.

use crate::input::{Input, Read, bad};

/// Reads `length` bytes out of their compressed form, all of it.
pub(crate) fn decompress(compressed: &[u8], length: usize) -> Read<Vec<u8>> {
    let mut out = Vec::new();
    Input::whole(compressed, |input| {
        while input.left() > 0 {
            let control = input.byte()?;
            let (high, low) = (usize::from(control >> 5), usize::from(control & 0x1f));
            if high == 0 {
                out.extend_from_slice(input.bytes(low + 1)?);
            } else {
                let run = 2 + if high == 7 { 7 + usize::from(input.byte()?) } else { high };
                let back = 1 + (low << 8 | usize::from(input.byte()?));
                let Some(start) = out.len().checked_sub(back) else {
                    return bad("a compressed string looks too far back");
                };
                // The run may reach into what it writes.
                (start..start + run).for_each(|at| out.push(out[at]));
            }
            if out.len() > length {
                return bad("a compressed string is longer than it says");
            }
        }
        Ok(())
    })?;
    if out.len() == length { Ok(out) } else { bad("a compressed string is shorter than it says") }
}

/// The most places that are remembered, by a hash of the three bytes there; for a short string, as many as it has bytes.
const PLACES_MAX: usize = 1 << 14;
/// The farthest that a run may look back.
const BACK_MAX: usize = 1 << 13;
/// The longest run.
const RUN_MAX: usize = 264;
/// The most bytes that stand as they are behind one mark.
const LITERAL_MAX: usize = 32;

/// The compressed form; `None`: it would not be shorter.
pub(crate) fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut places = vec![usize::MAX; bytes.len().next_power_of_two().clamp(2, PLACES_MAX)];
    let unused_bits = u32::BITS - places.len().ilog2();
    let (mut at, mut literal_from) = (0, 0);
    while let Some(&[first, second, third]) = bytes.get(at..at + 3).and_then(|three| three.first_chunk()) {
        let hash = (u32::from(first) << 16 | u32::from(second) << 8 | u32::from(third)).wrapping_mul(0x9e37_79b1);
        let place = &mut places[(hash >> unused_bits) as usize];
        let before = std::mem::replace(place, at);
        let is_run = before < at && at - before <= BACK_MAX && bytes[before..before + 3] == bytes[at..at + 3];
        if is_run {
            let longest = RUN_MAX.min(bytes.len() - at);
            let run = (3..longest).find(|&length| bytes[before + length] != bytes[at + length]).unwrap_or(longest);
            push_literals(&mut out, &bytes[literal_from..at]);
            push_run(&mut out, at - before - 1, run - 2);
            at += run;
            literal_from = at;
        } else {
            at += 1;
        }
        if out.len() + (at - literal_from) >= bytes.len() {
            return None;
        }
    }
    push_literals(&mut out, &bytes[literal_from..]);
    if out.len() < bytes.len() { Some(out) } else { None }
}

fn push_literals(out: &mut Vec<u8>, bytes: &[u8]) {
    for piece in bytes.chunks(LITERAL_MAX) {
        let [length, ..] = (piece.len() - 1).to_le_bytes();
        out.push(length);
        out.extend_from_slice(piece);
    }
}

/// `back` is one less than the distance, `length` two less than the run's.
fn push_run(out: &mut Vec<u8>, back: usize, length: usize) {
    let ([low, high, ..], [short, ..]) = (back.to_le_bytes(), length.to_le_bytes());
    if length < 7 {
        out.extend_from_slice(&[short << 5 | high, low]);
    } else {
        out.extend_from_slice(&[0xe0 | high, short.wrapping_sub(7), low]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What redis-server 7.0 answers to DUMP for a hundred times `a`, without type, lengths and end.
    const RUN: [u8; 9] = [1, b'a', b'a', 0xe0, 87, 0, 1, b'a', b'a'];

    #[test]
    fn a_run_of_equal_bytes() {
        assert_eq!(decompress(&RUN, 100), Ok(vec![b'a'; 100]));
    }

    #[test]
    fn is_read_as_written() {
        let mut state = 7u32;
        let mut noise = |range: u32| {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            (state >> 16) % range
        };
        for length in (0..300).chain([8190, 8191, 8192, 8193, 8194, 40_000]) {
            for letters in [1, 2, 4, 200] {
                let bytes: Vec<u8> = (0..length).map(|_| noise(letters).to_le_bytes()[0]).collect();
                let Some(short) = compress(&bytes) else { continue };
                assert!(short.len() < bytes.len());
                assert_eq!(decompress(&short, bytes.len()), Ok(bytes));
            }
        }
        assert_eq!(compress(&[b'a'; 100]).map(|short| short.len() < 12), Some(true));
        assert_eq!(compress(b"abcdefghijklmnopqrstuvwxyz"), None);
        assert_eq!(compress(b""), None);
        let far = [&[1; 20][..], &[2; 8192 - 20][..], &[1; 20][..]].concat();
        assert_eq!(decompress(&compress(&far).expect("runs"), far.len()), Ok(far));
    }

    #[test]
    fn damage_is_refused() {
        assert!(decompress(&RUN, 99).is_err());
        assert!(decompress(&RUN, 101).is_err());
        assert!((0..RUN.len()).all(|end| decompress(&RUN[..end], 100).is_err()));
        assert!(decompress(&[0, b'a', 0x20, 7], 4).is_err());
    }
}
