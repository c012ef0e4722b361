//! Hashes.
//!
//! A hash is small until a field or value is too long for the limits or there are too many fields; then it is big for as long as it
//! lives, as in Redis. Both keep their fields in the order in which they came, but that a big one puts its last field
//! into the place of a removed one.
//!
//! ```text
//! Packed  one block of bytes                                        `listpack`     see `packed`
//! Dense   chunks of pairs, and an index from field to position      `hashtable`    see `dense`
//! ```

mod dense;
mod index;
mod packed;
#[cfg(test)]
mod tests;

use crate::collection::{CollectionValue, ValueType, collection_variant};
use crate::digest::Digest;
use crate::error::DataError;
use crate::float::Extended;
use crate::integer::parse_integer;
use crate::settings::{PackedLimits, Settings};
use dense::DenseHash;
use packed::PackedHash;

/// Fields with values.
#[derive(Clone)]
pub struct HashValue {
    body: Body,
}

#[derive(Clone)]
enum Body {
    Packed(PackedHash),
    Dense(Box<DenseHash>),
}

/// A field and its value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// Pairs by position: see [`HashValue::picker`].
pub struct PairPicker<'a>(Source<'a>);

enum Source<'a> {
    Packed(Vec<Pair<'a>>),
    Dense(&'a DenseHash),
}

impl<'a> PairPicker<'a> {
    /// The pair at a position below the length.
    pub fn pair(&self, position: usize) -> Pair<'a> {
        match &self.0 {
            Source::Packed(pairs) => pairs[position],
            Source::Dense(dense) => dense.pair(position),
        }
    }
}

impl HashValue {
    /// How many fields there are.
    pub fn len(&self) -> usize {
        match &self.body {
            Body::Packed(packed) => packed.len(),
            Body::Dense(dense) => dense.len(),
        }
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the hash is one block of bytes. A snapshot keeps this: see [`HashValue::restore`].
    pub fn is_packed(&self) -> bool {
        matches!(self.body, Body::Packed(_))
    }

    /// The value of a field.
    pub fn get(&self, field: &[u8]) -> Option<&[u8]> {
        match &self.body {
            Body::Packed(packed) => packed.get(field),
            Body::Dense(dense) => dense.get(field),
        }
    }

    /// Whether the field is there.
    pub fn contains(&self, field: &[u8]) -> bool {
        self.get(field).is_some()
    }

    /// Every field with its value, in order.
    pub fn pairs(&self) -> impl Iterator<Item = Pair<'_>> + Clone {
        let (packed, dense) = match &self.body {
            Body::Packed(packed) => (Some(packed.pairs()), None),
            Body::Dense(dense) => (None, Some(dense.pairs())),
        };
        packed.into_iter().flatten().chain(dense.into_iter().flatten())
    }

    /// For drawing many pairs by position. Takes a walk over a packed hash, which then costs nothing for each.
    pub fn picker(&self) -> PairPicker<'_> {
        PairPicker(match &self.body {
            Body::Packed(packed) => Source::Packed(packed.pairs().collect()),
            Body::Dense(dense) => Source::Dense(dense),
        })
    }

    /// The pair at a position below the length.
    pub fn pair_at(&self, position: usize) -> Pair<'_> {
        match &self.body {
            Body::Packed(packed) => packed.pairs().nth(position).expect("the position is below the length"),
            Body::Dense(dense) => dense.pair(position),
        }
    }

    /// One step of HSCAN: about `count` pairs, and the cursor of the next step; 0 begins, and 0 is the end.
    ///
    /// A packed hash comes in one step. A dense one is walked from its end: `cursor` pairs are still to come. What a removal moves, it moves from
    /// the end to an earlier position, so a field that is there during the whole walk is returned, possibly twice.
    pub fn scan(&self, cursor: u64, count: usize) -> (u64, impl Iterator<Item = Pair<'_>> + Clone) {
        let (packed, dense, end) = match &self.body {
            Body::Packed(packed) => (Some(packed.pairs()), None, 0),
            Body::Dense(dense) if cursor == 0 => (None, Some(dense), dense.len()),
            Body::Dense(dense) => {
                (None, Some(dense), usize::try_from(cursor).map_or(dense.len(), |end| end.min(dense.len())))
            }
        };
        let start = end.saturating_sub(count.max(1));
        let step = dense.into_iter().flat_map(move |dense| (start..end).rev().map(|position| dense.pair(position)));
        (start as u64, packed.into_iter().flatten().chain(step))
    }

    /// Makes the hash big at once if so many fields are about to be written that it would become so, whether they are new or not.
    pub fn expect_fields(&mut self, count: usize, settings: &Settings) {
        if count > settings.hash.entries_max {
            self.unpack(settings);
        }
    }

    /// Gives a field a value; says whether the field is new.
    pub fn insert(&mut self, field: &[u8], value: &[u8], settings: &Settings) -> bool {
        if !fits(field, value, settings.hash) {
            self.unpack(settings);
        }
        match &mut self.body {
            Body::Packed(packed) => {
                let is_new = packed.insert(field, value);
                if packed.len() > settings.hash.entries_max {
                    self.unpack(settings);
                }
                is_new
            }
            Body::Dense(dense) => dense.insert(field, value),
        }
    }

    /// Removes a field; says whether it was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.body {
            Body::Packed(packed) => packed.remove(field),
            Body::Dense(dense) => dense.remove(field),
        }
    }

    /// A hash as a snapshot kept it: in this encoding, whatever the limits are now, with the pairs in this order. `None`: a field comes twice.
    pub fn restore<'a>(
        is_packed: bool,
        pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        settings: &Settings,
    ) -> Option<Self> {
        if is_packed {
            let mut packed = PackedHash::default();
            pairs.for_each(|(field, value)| packed.push(field, value));
            let mut fields: Vec<_> = packed.pairs().map(|pair| pair.0).collect();
            fields.sort_unstable();
            let is_sound = fields.is_sorted_by(|left, right| left < right);
            return if is_sound { Some(Self { body: Body::Packed(packed) }) } else { None };
        }
        let mut dense = Box::new(DenseHash::new(settings.hash_key));
        for (field, value) in pairs {
            if !dense.insert(field, value) {
                return None;
            }
        }
        Some(Self { body: Body::Dense(dense) })
    }

    /// Makes the hash big, whatever its size.
    pub fn unpack(&mut self, settings: &Settings) {
        let Body::Packed(packed) = &self.body else { return };
        let mut dense = Box::new(DenseHash::new(settings.hash_key));
        packed.pairs().for_each(|(field, value)| {
            dense.insert(field, value);
        });
        self.body = Body::Dense(dense);
    }

    /// What a field's number would be if it were incremented; a missing field counts as 0.
    pub fn incremented(&self, field: &[u8], by: i64) -> Result<i64, DataError> {
        let number = match self.get(field) {
            Some(value) => parse_integer(value).ok_or(DataError::FieldNotInteger)?,
            None => 0,
        };
        number.checked_add(by).ok_or(DataError::Overflow)
    }

    /// What the number in a field would be if `by` were added, as text; a missing field counts as 0.
    pub fn incremented_by_float(&self, field: &[u8], by: &[u8]) -> Result<String, DataError> {
        let number = self.get(field).unwrap_or(b"0");
        if !Extended::is_number(number) {
            return Err(DataError::FieldNotFloat);
        }
        Extended::add_text(number, by)
    }
}

fn fits(field: &[u8], value: &[u8], limits: PackedLimits) -> bool {
    field.len().max(value.len()) <= limits.value_bytes_max
}

impl CollectionValue for HashValue {
    const TYPE: ValueType = ValueType::Hash;

    fn empty() -> Self {
        Self { body: Body::Packed(PackedHash::default()) }
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn allocated_bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.body {
                Body::Packed(packed) => packed.allocated_bytes(),
                Body::Dense(dense) => dense.allocated_bytes(),
            }
    }

    fn encoding(&self) -> &'static str {
        if self.is_packed() { "listpack" } else { "hashtable" }
    }

    fn digest(&self, digest: &mut Digest) {
        digest.number(u64::from(self.is_packed()));
        digest.number(self.len() as u64);
        for (field, value) in self.pairs() {
            digest.bytes(field);
            digest.bytes(value);
        }
    }

    collection_variant!(Hash);
}
