//! HyperLogLog: how many different elements were added, from 16384 registers of six bits, in the bytes that Redis keeps.
//!
//! ```text
//! string:    "HYLL" | encoding u8 | 0 0 0 | count u64, little-endian | registers
//! encoding:  0 dense, 1 sparse
//! count:     the estimate when it was last written here, the highest bit set: registers have changed since
//! ```
//!
//! An element chooses one register by 14 bits of its hash and raises it to the place of the lowest bit that is set in the others, if it is
//! lower. The estimate is Ertl's (arXiv:1702.01284). A sketch begins sparse and becomes dense when it grows; it never goes back.
//!
//! It is a string like any other: GET and SET move it between servers. So what is found in a key is checked before it is used, and bytes
//! that make no sense are an error. Counting reads; who may write keeps the estimate afterwards ([`HyperLogLog::keep_count`]).

mod dense;
mod estimate;
mod sparse;

use std::borrow::Cow;

use crate::context::Context;
use crate::error::DataError;
use crate::keyspace::Keyspace;
use crate::settings::Settings;
use crate::strings::StringRef;

const REGISTER_BITS: u32 = 6;
const INDEX_BITS: u32 = 14;
const REGISTER_COUNT: usize = 1 << INDEX_BITS;
/// The greatest count: all the bits of a hash that do not choose the register.
const COUNT_MAX: u8 = 64 - 14 + 1;

const MAGIC: &[u8; 4] = b"HYLL";
const ENCODING_AT: usize = 4;
const ESTIMATE_AT: usize = 8;
const HEADER_BYTES: usize = 16;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
const IS_STALE: u64 = 1 << 63;

/// A sketch: of a string in the keyspace, or changed from one, or new.
#[derive(Clone)]
pub struct HyperLogLog<'a>(Cow<'a, [u8]>);

/// The registers one by one: what sketches are merged in.
pub struct Registers(Box<[u8; REGISTER_COUNT]>);

impl Default for Registers {
    fn default() -> Self {
        Self(Box::new([0; REGISTER_COUNT]))
    }
}

impl Registers {
    /// The estimate of how many elements were added.
    pub fn count(&self) -> u64 {
        let mut histogram = [0; 64];
        self.0.iter().for_each(|count| histogram[usize::from(*count)] += 1);
        estimate::estimate(&histogram)
    }

    fn raise(&mut self, index: usize, count: u8) {
        self.0[index] = self.0[index].max(count);
    }
}

impl<'a> HyperLogLog<'a> {
    /// A sketch of nothing.
    pub fn empty() -> Self {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        bytes[ENCODING_AT] = SPARSE;
        sparse::push_zeros(&mut bytes, REGISTER_COUNT);
        Self(Cow::Owned(bytes))
    }

    /// The sketch in a string, its registers unread. `NotHyperLogLog`: its header is none.
    pub fn of(string: StringRef<'a>) -> Result<Self, DataError> {
        let bytes = string.to_bytes();
        let is_sound = bytes.len() >= HEADER_BYTES
            && bytes.starts_with(MAGIC)
            && match bytes[ENCODING_AT] {
                DENSE => bytes.len() == HEADER_BYTES + dense::BYTES,
                encoding => encoding == SPARSE,
            };
        if is_sound { Ok(Self(bytes)) } else { Err(DataError::NotHyperLogLog) }
    }

    /// The same sketch, of its own bytes.
    pub fn into_owned(self) -> HyperLogLog<'static> {
        HyperLogLog(Cow::Owned(self.0.into_owned()))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is dense.
    pub fn is_dense(&self) -> bool {
        self.0[ENCODING_AT] == DENSE
    }

    /// Adds an element; says whether that changed a register.
    pub fn add(&mut self, element: &[u8], settings: &Settings) -> Result<bool, DataError> {
        let (index, count) = place_of(element);
        self.raise(index, count, settings)
    }

    /// Raises a register to a count, if it is lower; says whether it was.
    fn raise(&mut self, index: usize, count: u8, settings: &Settings) -> Result<bool, DataError> {
        if !self.is_dense() {
            let bytes_max = settings.hyperloglog_sparse_bytes_max;
            let steps = sparse::find(&self.0, index)?;
            match sparse::raise(&self.0, &steps, index, count, bytes_max) {
                sparse::Raised::Already => return Ok(false),
                sparse::Raised::TooBig => self.make_dense()?,
                sparse::Raised::Into(replacement) => {
                    sparse::replace(self.0.to_mut(), &steps, &replacement);
                    return Ok(true);
                }
            }
        }
        let is_lower = dense::register(self.registers(), index) < count;
        if is_lower {
            dense::set_register(&mut self.0.to_mut()[HEADER_BYTES..], index, count);
        }
        Ok(is_lower)
    }

    /// Makes it dense, if it is not.
    pub fn make_dense(&mut self) -> Result<(), DataError> {
        if self.is_dense() {
            return Ok(());
        }
        let mut bytes = self.0[..HEADER_BYTES].to_vec();
        bytes[ENCODING_AT] = DENSE;
        bytes.resize(HEADER_BYTES + dense::BYTES, 0);
        for (index, count) in sparse::registers(self.registers())? {
            dense::set_register(&mut bytes[HEADER_BYTES..], index, count);
        }
        self.0 = Cow::Owned(bytes);
        Ok(())
    }

    /// Raises registers to its own where they are lower.
    pub fn merge_into(&self, registers: &mut Registers) -> Result<(), DataError> {
        if self.is_dense() {
            for index in 0..REGISTER_COUNT {
                registers.raise(index, dense::register(self.registers(), index));
            }
        } else {
            sparse::registers(self.registers())?.iter().for_each(|&(index, count)| registers.raise(index, count));
        }
        Ok(())
    }

    /// Raises its own registers to these.
    pub fn merge(&mut self, registers: &Registers, settings: &Settings) -> Result<(), DataError> {
        for (index, &count) in registers.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.raise(index, count, settings)?;
        }
        Ok(())
    }

    /// Notes that registers have changed since the estimate was written.
    pub fn invalidate(&mut self) {
        let last = &mut self.0.to_mut()[HEADER_BYTES - 1];
        *last |= IS_STALE.to_le_bytes()[7];
    }

    /// The estimate in the header, if it holds.
    pub fn kept_count(&self) -> Option<u64> {
        let written = self.0[ESTIMATE_AT..HEADER_BYTES].try_into().expect("the header is there");
        Some(u64::from_le_bytes(written)).filter(|written| written & IS_STALE == 0)
    }

    /// Writes the estimate of its registers into the header.
    pub fn keep_count(&mut self, count: u64) {
        self.0.to_mut()[ESTIMATE_AT..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
    }

    /// The estimate of how many elements were added: the one in the header if it holds, else a new one.
    pub fn count(&self) -> Result<u64, DataError> {
        if let Some(count) = self.kept_count() {
            return Ok(count);
        }
        let mut registers = Registers::default();
        self.merge_into(&mut registers)?;
        Ok(registers.count())
    }

    /// All registers, in order.
    pub fn counts(&self) -> Result<impl Iterator<Item = u8>, DataError> {
        let mut registers = Registers::default();
        self.merge_into(&mut registers)?;
        Ok(registers.0.into_iter())
    }

    /// The runs of a sparse sketch, as PFDEBUG DECODE shows them. `None`: it is dense.
    pub fn runs_text(&self) -> Result<Option<String>, DataError> {
        if self.is_dense() { Ok(None) } else { sparse::to_text(self.registers()).map(Some) }
    }

    fn registers(&self) -> &[u8] {
        &self.0[HEADER_BYTES..]
    }
}

impl Keyspace {
    /// The sketch at a key. `None`: no such key.
    pub fn hyperloglog(&self, context: &Context, key: &[u8]) -> Result<Option<HyperLogLog<'_>>, DataError> {
        self.string(context, key)?.map(HyperLogLog::of).transpose()
    }

    /// Gives a key a sketch. Keeps its deadline.
    pub fn put_hyperloglog(&mut self, context: &Context, key: &[u8], sketch: &HyperLogLog<'static>) {
        let place = self.place_to_put(context, key);
        let deadline_ms = self.find(place, key).and_then(|found| found.record.deadline_ms);
        self.put_string_at(place, key, sketch.as_bytes(), true, deadline_ms);
    }
}

/// The register that an element raises, and to what.
fn place_of(element: &[u8]) -> (usize, u8) {
    let hash = murmur(element);
    let index = usize::from((hash & (REGISTER_COUNT as u64 - 1)).to_le_bytes()[0])
        | usize::from(((hash & (REGISTER_COUNT as u64 - 1)) >> 8).to_le_bytes()[0]) << 8;
    let rest = hash >> INDEX_BITS | 1 << (64 - INDEX_BITS);
    let count = u8::try_from(rest.trailing_zeros() + 1).expect("at most 51");
    debug_assert!(count <= COUNT_MAX);
    (index, count)
}

/// MurmurHash64A by Austin Appleby, of little-endian words, with Redis's seed.
fn murmur(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;
    const SEED: u64 = 0xadc8_3b19;
    let mix = |word: u64| {
        let word = word.wrapping_mul(FACTOR);
        (word ^ word >> 47).wrapping_mul(FACTOR)
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(FACTOR);
    for word in words {
        hash = (hash ^ mix(u64::from_le_bytes(*word))).wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(FACTOR);
    }
    hash = (hash ^ hash >> 47).wrapping_mul(FACTOR);
    hash ^ hash >> 47
}

#[cfg(test)]
mod tests;
