//! Hashes.
//!
//! A hash is small until a field or value is too long for the limits, there are too many fields, or one of them shall expire; then it is
//! big for as long as it lives, as in Valkey. Both keep their fields in the order in which they came, but that a big one puts its last
//! field into the place of a removed one.
//!
//! ```text
//! Packed  one block of bytes, in the key's record while it is short `listpack`     see `packed`
//! Few     such a block, and what expires                            `hashtable`    see `few`
//! Dense   pairs by position and by field, and by deadline           `hashtable`    see `dense`
//! ```
//!
//! Nobody sees whether a big hash is kept as few pairs or dense, but in the memory that it takes: what is dense costs some hundred bytes
//! before the first pair. It becomes dense when it has grown, and stays so.
//!
//! A field that is due stays in the hash until an entry or a write removes it. Whatever reads goes through a [`LiveHash`], which hides it.

mod dense;
mod few;
mod live;
mod packed;
#[cfg(test)]
mod tests;

use crate::big::ARC_BYTES;
use crate::collection::{CollectionValue, ValueType, collection_variant};
use crate::context::Context;
use crate::deadlines::Deadlines;
use crate::digest::Digest;
use crate::edit::Edit;
use crate::settings::{PackedLimits, Settings};
use crate::strings::DeadlineChange;
use dense::DenseHash;
use few::FewHash;
pub use live::{LiveHash, PairPicker};
use packed::{PackedHash, PackedView};

/// The longest block that is kept in the record of its key: whoever changes it works on a copy.
const RECORD_BYTES_MAX: usize = 512;

/// Fields with values, some with deadlines.
#[derive(Clone)]
pub struct HashValue {
    body: Body,
}

#[derive(Clone)]
enum Body {
    Packed(PackedHash),
    Few(FewHash),
    Dense(Box<DenseHash>),
}

/// A field and its value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// A field, its value and when it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timed<'a> {
    /// The field.
    pub field: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    /// When the field expires, in ms since 1970; `None`: never.
    pub deadline_ms: Option<u64>,
}

impl<'a> Timed<'a> {
    fn lasting((field, value): Pair<'a>) -> Self {
        Self { field, value, deadline_ms: None }
    }
}

/// A hash to be read, wherever it is kept: in the record of its key, or beside it.
#[derive(Clone, Copy)]
pub(crate) enum HashView<'a> {
    /// A small hash.
    Packed(PackedView<'a>),
    /// A big one of few pairs.
    Few(&'a FewHash),
    /// Anything else.
    Dense(&'a DenseHash),
}

impl<'a> HashView<'a> {
    /// A small hash by its block: what [`HashValue::small_block`] gave.
    pub(crate) fn of_block(block: &'a [u8]) -> Self {
        Self::Packed(PackedView::of_block(block))
    }

    /// The hash as a command sees it: without the fields that are due.
    pub(crate) fn live(self, context: &'a Context) -> LiveHash<'a> {
        LiveHash::new(self, context)
    }

    fn len(self) -> usize {
        match self {
            Self::Packed(packed) => packed.len(),
            Self::Few(few) => few.len(),
            Self::Dense(dense) => dense.len(),
        }
    }

    fn expiring_count(self) -> usize {
        match self {
            Self::Packed(_) => 0,
            Self::Few(few) => few.expiring_count(),
            Self::Dense(dense) => dense.expiring_count(),
        }
    }

    fn find(self, field: &'a [u8]) -> Option<Timed<'a>> {
        match self {
            Self::Packed(packed) => packed.get(field).map(|value| Timed::lasting((field, value))),
            Self::Few(few) => few.find(field),
            Self::Dense(dense) => dense.get(field).map(|(value, deadline_ms)| Timed { field, value, deadline_ms }),
        }
    }

    fn fields(self) -> impl Iterator<Item = Timed<'a>> + Clone {
        let (packed, few, dense) = match self {
            Self::Packed(packed) => (Some(packed.pairs().map(Timed::lasting)), None, None),
            Self::Few(few) => (None, Some(few.pairs()), None),
            Self::Dense(dense) => (None, None, Some(dense.pairs())),
        };
        packed.into_iter().flatten().chain(few.into_iter().flatten()).chain(dense.into_iter().flatten())
    }

    fn field_at(self, position: usize) -> Timed<'a> {
        match self {
            Self::Packed(packed) => {
                Timed::lasting(packed.pairs().nth(position).expect("the position is below the length"))
            }
            Self::Few(few) => few.pair(position),
            Self::Dense(dense) => dense.pair(position),
        }
    }

    /// How many fields have deadlines up to this one.
    fn due_count(self, until_ms: u64) -> usize {
        match self {
            Self::Packed(_) => 0,
            Self::Few(few) => few.due_count(until_ms),
            Self::Dense(dense) => dense.due_count(until_ms),
        }
    }
}

impl HashValue {
    /// The hash, to be read.
    pub(crate) fn view(&self) -> HashView<'_> {
        match &self.body {
            Body::Packed(packed) => HashView::Packed(packed.view()),
            Body::Few(few) => HashView::Few(few),
            Body::Dense(dense) => HashView::Dense(dense),
        }
    }

    /// The block of a hash that is small enough to be kept in the record of its key.
    pub(crate) fn small_block(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Packed(packed) => Some(packed.block()).filter(|block| block.len() <= RECORD_BYTES_MAX),
            Body::Few(_) | Body::Dense(_) => None,
        }
    }

    /// How many fields there are, due ones included.
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the hash is small. A snapshot keeps this: see [`HashValue::restore`].
    pub fn is_packed(&self) -> bool {
        matches!(self.body, Body::Packed(_))
    }

    /// How many fields have a deadline.
    pub fn expiring_count(&self) -> usize {
        self.view().expiring_count()
    }

    /// A field that is there, due or not.
    fn find<'a>(&'a self, field: &'a [u8]) -> Option<Timed<'a>> {
        self.view().find(field)
    }

    /// Every field in order, due ones included: what a snapshot keeps.
    pub fn fields(&self) -> impl Iterator<Item = Timed<'_>> + Clone {
        self.view().fields()
    }

    /// The field at a position below the length, due or not.
    pub fn field_at(&self, position: usize) -> Timed<'_> {
        self.view().field_at(position)
    }

    /// The hash as a command sees it: without the fields that are due.
    pub fn live<'a>(&'a self, context: &'a Context) -> LiveHash<'a> {
        self.view().live(context)
    }

    /// The field that expires first, by (deadline, field).
    pub(crate) fn next_due(&self) -> Option<Timed<'_>> {
        match &self.body {
            Body::Packed(_) => None,
            Body::Few(few) => few.next_due(),
            Body::Dense(dense) => dense.next_due(),
        }
    }

    /// Makes the hash big at once if so many fields are about to be written that it would become so, whether they are new or not.
    pub fn expect_fields(&mut self, count: usize, settings: &Settings) {
        if count > settings.hash.entries_max {
            self.unpack(settings);
        }
    }

    /// Brings near what will be looked at first when these fields are set or looked for; of the first [`crate::FETCHED_MAX`]. Nothing but time
    /// comes of it.
    pub fn fetch<'a>(&self, fields: impl Iterator<Item = &'a [u8]>) {
        if let Body::Dense(dense) = &self.body {
            dense.fetch(fields);
        }
    }

    /// Gives a field a value; says whether the field is new. A deadline makes the hash big; one that has passed is the caller's business.
    pub fn insert(&mut self, field: &[u8], value: &[u8], deadline: DeadlineChange, settings: &Settings) -> bool {
        if !fits(field, value, settings.hash) || matches!(deadline, DeadlineChange::At(_)) {
            self.unpack(settings);
        }
        if let Body::Few(few) = &self.body
            && !few.takes(field, value)
        {
            self.spread(settings);
        }
        let deadline_ms = match deadline {
            DeadlineChange::Clear => None,
            DeadlineChange::Keep if self.expiring_count() == 0 => None,
            DeadlineChange::Keep => self.find(field).and_then(|found| found.deadline_ms),
            DeadlineChange::At(deadline_ms) => Some(deadline_ms),
        };
        match &mut self.body {
            Body::Packed(packed) => {
                let is_new = packed.insert(field, value);
                if packed.len() > settings.hash.entries_max {
                    self.unpack(settings);
                }
                is_new
            }
            Body::Few(few) => few.insert(field, value, deadline_ms),
            Body::Dense(dense) => dense.insert(field, value, deadline_ms),
        }
    }

    /// Changes when a field expires; `None`: never. Says whether the field is there.
    pub fn set_deadline(&mut self, field: &[u8], deadline_ms: Option<u64>, settings: &Settings) -> bool {
        let Some(found) = self.find(field) else { return false };
        if found.deadline_ms != deadline_ms {
            let (value, change) = (found.value.to_vec(), deadline_ms.map_or(DeadlineChange::Clear, DeadlineChange::At));
            self.insert(field, &value, change, settings);
        }
        true
    }

    /// Removes a field; says whether it was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.body {
            Body::Packed(packed) => packed.remove(field),
            Body::Few(few) => few.remove(field),
            Body::Dense(dense) => dense.remove(field),
        }
    }

    /// A hash as a snapshot kept it: in this encoding, whatever the limits are now, with the fields in this order. `None`: a field comes twice, or
    /// one of a small hash expires.
    pub fn restore<'a>(is_packed: bool, fields: impl Iterator<Item = Timed<'a>>, settings: &Settings) -> Option<Self> {
        if is_packed {
            let mut packed = PackedHash::default();
            for Timed { field, value, deadline_ms } in fields {
                if deadline_ms.is_some() {
                    return None;
                }
                packed.push(field, value);
            }
            let mut fields: Vec<_> = packed.view().pairs().map(|pair| pair.0).collect();
            fields.sort_unstable();
            let is_sound = fields.is_sorted_by(|left, right| left < right);
            return if is_sound { Some(Self { body: Body::Packed(packed) }) } else { None };
        }
        let mut hash = Self { body: Body::Few(FewHash::default()) };
        for Timed { field, value, deadline_ms } in fields {
            let deadline = deadline_ms.map_or(DeadlineChange::Clear, DeadlineChange::At);
            if !hash.insert(field, value, deadline, settings) {
                return None;
            }
        }
        Some(hash)
    }

    /// Makes the hash big, whatever its size.
    pub fn unpack(&mut self, settings: &Settings) {
        let Body::Packed(packed) = &mut self.body else { return };
        match FewHash::of_packed(packed) {
            Some(few) => self.body = Body::Few(few),
            None => self.spread(settings),
        }
    }

    /// Makes the hash dense.
    fn spread(&mut self, settings: &Settings) {
        let mut dense = Box::new(DenseHash::new(settings.hash_key));
        for Timed { field, value, deadline_ms } in self.fields() {
            dense.insert(field, value, deadline_ms);
        }
        self.body = Body::Dense(dense);
    }
}

impl Edit<'_, HashValue> {
    /// Removes a field if it is due. To be called for every field that a command is about to look at or change, so that what is found
    /// there counts. Says whether it was due.
    pub fn drop_due(&mut self, context: &Context, field: &[u8]) -> bool {
        let is_due = self.find(field).is_some_and(|found| context.is_due(found.deadline_ms));
        if is_due {
            self.remove(field);
            self.note_expired_fields(1);
        }
        is_due
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
        let within = match &self.body {
            Body::Packed(packed) => packed.allocated_bytes(),
            Body::Few(few) => few.allocated_bytes(),
            Body::Dense(dense) => dense.allocated_bytes(),
        };
        // The database lists when the first of its fields expires.
        let deadline_bytes = if self.expiring_count() > 0 { Deadlines::DEADLINE_BYTES } else { 0 };
        ARC_BYTES + size_of::<Self>() + within + deadline_bytes
    }

    fn encoding(&self) -> &'static str {
        if self.is_packed() { "listpack" } else { "hashtable" }
    }

    fn digest(&self, digest: &mut Digest) {
        digest.number(u64::from(self.is_packed()));
        digest.number(self.len() as u64);
        digest.number(self.expiring_count() as u64);
        for Timed { field, value, deadline_ms } in self.fields() {
            digest.bytes(field);
            digest.bytes(value);
            deadline_ms.inspect(|&deadline_ms| digest.number(deadline_ms));
        }
    }

    fn next_deadline_ms(&self) -> Option<u64> {
        self.next_due().and_then(|due| due.deadline_ms)
    }

    fn of_block(block: &[u8]) -> Option<Self> {
        Some(Self { body: Body::Packed(PackedHash::of_block(block)) })
    }

    collection_variant!(Hash);
}
