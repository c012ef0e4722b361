//! DEBUG DIGEST: a fingerprint of the data alone, the same as Redis computes of the same data.
//!
//! ```text
//! xor(d, x) = d ^ SHA-1(x)        mix(d, x) = SHA-1(xor(d, x))        where order counts, things are mixed; where not, xored
//! all:    of each database with keys: mix its number; xor the fingerprint of each key
//! key:    mix the name | type | value | xor "!!expire!!", if it expires
//! value:  a string is mixed; a list's elements are; of a set the members are xored;
//!         of a stream, the ids as ms.seq, fields and values are mixed; of a sorted set and a hash, the fingerprint of each pair (both mixed)
//! ```
//!
//! It is for tests: how a value is kept, revisions and the deadlines themselves do not show in it.

use keyspace::{Collection, StreamId, Value, ValueType, format_double};
use sha1::{Digest as _, Sha1};

const BYTES: usize = 20;

/// A fingerprint, while it is computed and when it is done.
#[derive(Clone, Copy, Default)]
pub(super) struct Fingerprint([u8; BYTES]);

impl Fingerprint {
    fn xor(&mut self, bytes: &[u8]) {
        let hash = Sha1::digest(bytes);
        self.0.iter_mut().zip(hash).for_each(|(byte, other)| *byte ^= other);
    }

    fn mix(&mut self, bytes: &[u8]) {
        self.xor(bytes);
        self.0 = Sha1::digest(self.0).into();
    }

    /// Takes the keys of a database: to be called before its first key.
    pub(super) fn begin_database(&mut self, database: usize) {
        let number = u32::try_from(database).expect("there are sixteen databases");
        self.mix(&number.to_be_bytes());
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: &[u8], value: &Value, expires: bool) {
        let mut of_key = Self::default();
        of_key.mix(key);
        of_key.value(value, expires);
        self.xor(&of_key.0);
    }

    /// Takes a value.
    pub(super) fn value(&mut self, value: &Value, expires: bool) {
        let value_type = match value {
            Value::String(..) => ValueType::String,
            Value::Collection(collection) => collection.value_type(),
        };
        self.mix(&type_number(value_type).to_be_bytes());
        match value {
            Value::String(bytes, _) => self.mix(bytes),
            Value::Collection(Collection::String(big)) => self.mix(&big.pieces().collect::<Vec<_>>().concat()),
            Value::Collection(Collection::List(list)) => list.elements().for_each(|element| self.mix(element)),
            Value::Collection(Collection::Set(set)) => set.iter().for_each(|member| self.xor(&member)),
            Value::Collection(Collection::SortedSet(set)) => {
                set.by_place().for_each(|(member, score)| self.pair(member, format_double(score).as_bytes()));
            }
            Value::Collection(Collection::Hash(hash)) => {
                hash.fields().for_each(|found| self.pair(found.field, found.value));
            }
            Value::Collection(Collection::Stream(stream)) => {
                for entry in stream.range(StreamId::MIN, StreamId::MAX) {
                    self.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
                    for (field, value) in entry.fields() {
                        self.mix(&field);
                        self.mix(&value);
                    }
                }
            }
        }
        if expires {
            self.xor(b"!!expire!!");
        }
    }

    fn pair(&mut self, first: &[u8], second: &[u8]) {
        let mut of_pair = Self::default();
        of_pair.mix(first);
        of_pair.mix(second);
        self.xor(&of_pair.0);
    }

    /// In hexadecimal digits.
    pub(super) fn digits(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What Redis calls the types.
fn type_number(value_type: ValueType) -> u32 {
    match value_type {
        ValueType::String => 0,
        ValueType::List => 1,
        ValueType::Set => 2,
        ValueType::SortedSet => 3,
        ValueType::Hash => 4,
        ValueType::Stream => 6,
    }
}
