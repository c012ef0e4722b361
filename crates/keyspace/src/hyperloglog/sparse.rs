//! Registers as runs of equal ones.
//!
//! ```text
//! zeros:       0 0 n n n n n n                        n + 1 registers of 0       1 to 64
//! many zeros:  0 1 n n n n n n  n n n n n n n n       likewise                   1 to 16384
//! values:      1 v v v v v n n                        n + 1 registers of v + 1   1 to 4 of 1 to 32
//! ```
//!
//! Which of the possible runs stand for given registers depends on the order in which they were raised, as in Redis: a run is split at the register
//! that is raised, and equal values that meet there are joined, a few runs far.

use super::{HEADER_BYTES, REGISTER_COUNT};
use crate::error::DataError;

const ZEROS_MAX: usize = 64;
const VALUES_MAX: usize = 4;
const VALUE_MAX: u8 = 32;
/// So many runs, from the one before the split, are looked at for joining.
const JOINED_RUNS: usize = 5;

/// One run: how many registers have which value, and the bytes that it takes.
#[derive(Clone, Copy)]
struct Run {
    value: u8,
    length: usize,
    bytes: usize,
}

impl Run {
    /// The first run of these bytes. `None`: there are none, or half of one.
    fn first(bytes: &[u8]) -> Option<Self> {
        let first = *bytes.first()?;
        let low = usize::from(first & 0x3f);
        Some(match first >> 6 {
            0 => Self { value: 0, length: low + 1, bytes: 1 },
            1 => Self { value: 0, length: (low << 8 | usize::from(*bytes.get(1)?)) + 1, bytes: 2 },
            _ => Self { value: (first >> 2 & 0x1f) + 1, length: usize::from(first & 3) + 1, bytes: 1 },
        })
    }
}

/// Adds a run of zeros.
pub(super) fn push_zeros(bytes: &mut Vec<u8>, length: usize) {
    let stored = u16::try_from(length - 1).expect("there are 16384 registers").to_be_bytes();
    if length > ZEROS_MAX {
        bytes.extend([0x40 | stored[0], stored[1]]);
    } else {
        bytes.push(stored[1]);
    }
}

fn value_byte(value: u8, length: usize) -> u8 {
    debug_assert!((1..=VALUE_MAX).contains(&value) && (1..=VALUES_MAX).contains(&length));
    0x80 | (value - 1) << 2 | u8::try_from(length - 1).expect("at most 4")
}

fn push(bytes: &mut Vec<u8>, value: u8, length: usize) {
    match (value, length) {
        (_, 0) => {}
        (0, length) => push_zeros(bytes, length),
        (value, length) => bytes.push(value_byte(value, length)),
    }
}

/// All runs. `CorruptHyperLogLog`: they are not of 16384 registers.
fn runs(bytes: &[u8]) -> Result<Vec<Run>, DataError> {
    let (mut runs, mut at, mut registers) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        let run = Run::first(&bytes[at..]).ok_or(DataError::CorruptHyperLogLog)?;
        at += run.bytes;
        registers += run.length;
        if registers > REGISTER_COUNT {
            break;
        }
        runs.push(run);
    }
    if registers == REGISTER_COUNT { Ok(runs) } else { Err(DataError::CorruptHyperLogLog) }
}

/// The registers that are not zero, and their values.
pub(super) fn registers(bytes: &[u8]) -> Result<Vec<(usize, u8)>, DataError> {
    let (mut registers, mut first) = (Vec::new(), 0);
    for run in runs(bytes)? {
        if run.value > 0 {
            registers.extend((first..first + run.length).map(|index| (index, run.value)));
        }
        first += run.length;
    }
    Ok(registers)
}

/// The runs as text: `Z:` many zeros, `z:` zeros, `v:value,length`.
pub(super) fn to_text(bytes: &[u8]) -> Result<String, DataError> {
    let words = runs(bytes)?.into_iter().map(|run| match run {
        Run { value: 0, length, bytes: 1 } => format!("z:{length}"),
        Run { value: 0, length, .. } => format!("Z:{length}"),
        Run { value, length, .. } => format!("v:{value},{length}"),
    });
    Ok(words.collect::<Vec<_>>().join(" "))
}

/// Where the run of a register stands in the whole string.
pub(super) struct Found {
    run: Run,
    /// Its first byte.
    at: usize,
    /// Its first register.
    first: usize,
    /// The first byte of the run before it, or its own.
    before: usize,
}

/// Finds the run of a register. `CorruptHyperLogLog`: there is none.
pub(super) fn find(sketch: &[u8], index: usize) -> Result<Found, DataError> {
    let (mut at, mut first, mut before) = (HEADER_BYTES, 0, HEADER_BYTES);
    loop {
        let run = sketch.get(at..).and_then(Run::first).ok_or(DataError::CorruptHyperLogLog)?;
        if index < first + run.length {
            return Ok(Found { run, at, first, before });
        }
        before = at;
        at += run.bytes;
        first += run.length;
    }
}

/// What raising a register does to its run.
pub(super) enum Raised {
    /// The register has that value, or a higher one.
    Already,
    /// Runs cannot hold the value, or would take too many bytes.
    TooBig,
    /// These bytes take the run's place.
    Into(Vec<u8>),
}

/// What becomes of a run of a register that is raised.
pub(super) fn raise(sketch: &[u8], found: &Found, index: usize, count: u8, bytes_max: usize) -> Raised {
    let Run { value, length, bytes } = found.run;
    if count > VALUE_MAX {
        return Raised::TooBig;
    }
    if value >= count {
        return Raised::Already;
    }
    let mut replacement = Vec::with_capacity(5);
    push(&mut replacement, value, index - found.first);
    push(&mut replacement, count, 1);
    push(&mut replacement, value, found.first + length - 1 - index);
    let grown = replacement.len().saturating_sub(bytes);
    if grown > 0 && sketch.len() + grown > bytes_max { Raised::TooBig } else { Raised::Into(replacement) }
}

/// Puts bytes in the place of a run, and joins equal values around it.
pub(super) fn replace(sketch: &mut Vec<u8>, found: &Found, replacement: &[u8]) {
    sketch.splice(found.at..found.at + found.run.bytes, replacement.iter().copied());
    let mut at = found.before;
    for _ in 0..JOINED_RUNS {
        let Some(run) = sketch.get(at..).and_then(Run::first) else { return };
        let next = sketch.get(at + run.bytes..).and_then(Run::first);
        match next {
            Some(next) if run.value > 0 && next.value == run.value && run.length + next.length <= VALUES_MAX => {
                sketch[at] = value_byte(run.value, run.length + next.length);
                sketch.remove(at + 1);
            }
            _ => at += run.bytes,
        }
    }
}
