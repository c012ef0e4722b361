//! Sets of integers in one string: RDB's intset.
//!
//! ```text
//! width: u32 (2, 4 or 8) | count: u32 | count integers of so many bytes, ascending        all little-endian
//! ```

use crate::input::{Input, Read, bad};

const HEAD_BYTES: usize = 8;

/// Writes numbers that ascend. The width is the least that holds them all.
pub(crate) fn write(numbers: &[i64]) -> Vec<u8> {
    let ends = [numbers.first(), numbers.last()];
    let fits = |test: fn(i64) -> bool| ends.iter().flatten().all(|&&number| test(number));
    let width: u8 = if fits(|number| i16::try_from(number).is_ok()) {
        2
    } else if fits(|number| i32::try_from(number).is_ok()) {
        4
    } else {
        8
    };
    let mut out = Vec::with_capacity(HEAD_BYTES + numbers.len() * usize::from(width));
    out.extend_from_slice(&u32::from(width).to_le_bytes());
    let count = u32::try_from(numbers.len()).expect("the caller writes no more numbers into one string");
    out.extend_from_slice(&count.to_le_bytes());
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()[..usize::from(width)]));
    out
}

/// Reads what [`write()`] wrote, in any sufficient width.
pub(crate) fn read(bytes: &[u8], mut each: impl FnMut(i64)) -> Read<()> {
    Input::whole(bytes, |input| {
        let width = u32::from_le_bytes(input.array()?);
        let count = u32::from_le_bytes(input.array()?);
        let mut last = None;
        for _ in 0..count {
            let number = match width {
                2 => i64::from(i16::from_le_bytes(input.array()?)),
                4 => i64::from(i32::from_le_bytes(input.array()?)),
                8 => i64::from_le_bytes(input.array()?),
                _ => return bad("integers of an unknown width"),
            };
            if last.is_some_and(|last| last >= number) {
                return bad("the integers of a set do not ascend");
            }
            last = Some(number);
            each(number);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_read_as_written() {
        let sets: [&[i64]; 4] = [&[-3, 0, 7], &[-40_000, 1], &[1, i64::MAX], &[i64::MIN, i64::MAX]];
        for numbers in sets {
            let mut found = Vec::new();
            read(&write(numbers), |number| found.push(number)).expect("just written");
            assert_eq!(found, numbers);
        }
        assert!(read(&write(&[2, 1]), |_| ()).is_err());
        assert!(read(&write(&[1, 2])[..11], |_| ()).is_err());
    }
}
