//! BITOP: one string made of others, bit by bit.

use crate::big_string::{BigString, CHUNK_BYTES};
use crate::collection::{CollectionValue, Value};
use crate::strings::{INLINE_BYTES_MAX, StringRef};

/// What becomes of the bits at one offset. What is said of "the others" is true of all strings but the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitOperation {
    /// Set in all.
    And,
    /// Set in any.
    Or,
    /// Set in an odd number.
    Xor,
    /// Not set in the first, which is the only one.
    Not,
    /// Set in the first and in none of the others.
    Diff,
    /// Set in one of the others and not in the first.
    Diff1,
    /// Set in the first and in one of the others.
    AndOr,
    /// Set in exactly one.
    One,
}

/// Combines strings, as many as the operation takes; a shorter one ends in zeros, and so does an absent one, as nothing else. `None`: they are all empty.
///
/// Works chunk by chunk, so that next to the result it holds little.
pub fn combine_bits(operation: BitOperation, sources: &[Option<StringRef<'_>>]) -> Option<(Value, usize)> {
    let length = sources.iter().flatten().map(|source| source.len()).max().filter(|&length| length > 0)?;
    let mut big = BigString::empty();
    let mut several = vec![0; CHUNK_BYTES];
    let mut chunk = vec![0; CHUNK_BYTES];
    for start in (0..length).step_by(CHUNK_BYTES) {
        let end = length.min(start + CHUNK_BYTES);
        let result = &mut chunk[..end - start];
        // What stands in one chunk of the result stands in one piece of each source: those are of the same length.
        let pieces = sources.iter().map(|source| piece(*source, start, end));
        combine(operation, pieces, result, &mut several);
        if length <= INLINE_BYTES_MAX {
            return Some((Value::String(result.to_vec(), true), length));
        }
        big.append(result);
    }
    Some((Value::of(big), length))
}

fn piece(source: Option<StringRef<'_>>, start: usize, end: usize) -> &[u8] {
    let within = |source: &StringRef<'_>| start < source.len();
    let source = source.filter(within);
    source.and_then(|source| source.range(start, end.min(source.len())).next()).unwrap_or_default()
}

/// Combines pieces, which are no longer than the result. `several` is any buffer of at least its length.
fn combine<'a>(
    operation: BitOperation,
    mut pieces: impl Iterator<Item = &'a [u8]>,
    result: &mut [u8],
    several: &mut [u8],
) {
    let first = pieces.next().unwrap_or_default();
    let fold_others = |result: &mut [u8], pieces: &mut dyn Iterator<Item = &'a [u8]>| {
        result.fill(0);
        pieces.for_each(|piece| each(result, piece, |bits, other| *bits |= other));
    };
    match operation {
        BitOperation::And => {
            copy(result, first);
            for piece in pieces {
                each(result, piece, |bits, other| *bits &= other);
                result[piece.len()..].fill(0);
            }
        }
        BitOperation::Or | BitOperation::Xor | BitOperation::Not => {
            copy(result, first);
            match operation {
                BitOperation::Or => pieces.for_each(|piece| each(result, piece, |bits, other| *bits |= other)),
                BitOperation::Xor => pieces.for_each(|piece| each(result, piece, |bits, other| *bits ^= other)),
                _ => result.iter_mut().for_each(|bits| *bits = !*bits),
            }
        }
        BitOperation::Diff => {
            fold_others(result, &mut pieces);
            each(result, first, |bits, first| *bits = first & !*bits);
            result[first.len()..].fill(0);
        }
        BitOperation::Diff1 => {
            fold_others(result, &mut pieces);
            each(result, first, |bits, first| *bits &= !first);
        }
        BitOperation::AndOr => {
            fold_others(result, &mut pieces);
            each(result, first, |bits, first| *bits &= first);
            result[first.len()..].fill(0);
        }
        BitOperation::One => {
            copy(result, first);
            let several = &mut several[..result.len()];
            several.fill(0);
            for piece in pieces {
                for ((bits, several), other) in result.iter_mut().zip(&mut *several).zip(piece) {
                    *several |= *bits & other;
                    *bits |= other;
                }
            }
            each(result, several, |bits, several| *bits &= !several);
        }
    }
}

/// The piece, then zeros.
fn copy(result: &mut [u8], piece: &[u8]) {
    let (front, rest) = result.split_at_mut(piece.len());
    front.copy_from_slice(piece);
    rest.fill(0);
}

/// A loop that the compiler turns into one over vectors of bytes.
fn each(result: &mut [u8], piece: &[u8], combine: impl Fn(&mut u8, u8)) {
    result.iter_mut().zip(piece).for_each(|(bits, other)| combine(bits, *other));
}
