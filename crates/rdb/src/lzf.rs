//! The compression of RDB's strings: read only, for what other servers have written.
//!
//! ```text
//! 000lllll | l + 1 bytes                    those bytes
//! lllooooo | low offset                     l + 2 bytes that stand o + 1 bytes back; l is 1 to 6
//! 111ooooo | more l | low offset            as many more
//! ```

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
    fn damage_is_refused() {
        assert!(decompress(&RUN, 99).is_err());
        assert!(decompress(&RUN, 101).is_err());
        assert!((0..RUN.len()).all(|end| decompress(&RUN[..end], 100).is_err()));
        assert!(decompress(&[0, b'a', 0x20, 7], 4).is_err());
    }
}
