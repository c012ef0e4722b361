//! A hash as a command sees it at one moment.

use super::{HashView, Pair, Timed};
use crate::context::Context;
use crate::error::DataError;
use crate::float::Extended;
use crate::integer::parse_integer;

/// A hash without the fields that are due by the log clock. A look at a field whose deadline lies between log clock and wall clock is noted in
/// the context, as for keys.
#[derive(Clone, Copy)]
pub struct LiveHash<'a> {
    hash: HashView<'a>,
    context: &'a Context,
}

/// Pairs by position: see [`LiveHash::picker`].
pub struct PairPicker<'a>(Source<'a>);

enum Source<'a> {
    Walked(Vec<Pair<'a>>),
    Hash(HashView<'a>),
}

impl<'a> PairPicker<'a> {
    /// The pair at a position below the length.
    pub fn pair(&self, position: usize) -> Pair<'a> {
        match &self.0 {
            Source::Walked(pairs) => pairs[position],
            Source::Hash(hash) => pair_of(hash.field_at(position)),
        }
    }
}

impl<'a> LiveHash<'a> {
    pub(super) fn new(hash: HashView<'a>, context: &'a Context) -> Self {
        Self { hash, context }
    }

    /// How many fields there are.
    pub fn len(self) -> usize {
        self.hash.len() - self.due_count()
    }

    /// Whether there is no field.
    pub fn is_empty(self) -> bool {
        // A field that never expires says so at once, without a look at the deadlines.
        self.hash.expiring_count() == self.hash.len() && self.len() == 0
    }

    /// How many fields are due; notes that others are by the wall clock.
    fn due_count(self) -> usize {
        if self.hash.expiring_count() == 0 {
            return 0;
        }
        let due = self.hash.due_count(self.context.now_ms);
        if self.context.wall_ms > self.context.now_ms && self.hash.due_count(self.context.wall_ms) > due {
            self.context.met_deadline.set(true);
        }
        due
    }

    /// A field with its value and deadline.
    pub fn find(self, field: &'a [u8]) -> Option<Timed<'a>> {
        self.hash.find(field).filter(|found| !self.context.is_due(found.deadline_ms))
    }

    /// The value of a field.
    pub fn get(self, field: &'a [u8]) -> Option<&'a [u8]> {
        self.find(field).map(|found| found.value)
    }

    /// Whether the field is there.
    pub fn contains(self, field: &'a [u8]) -> bool {
        self.find(field).is_some()
    }

    /// Every field with its value, in order.
    pub fn pairs(self) -> impl Iterator<Item = Pair<'a>> + Clone {
        self.hash.fields().filter(move |found| !self.context.is_due(found.deadline_ms)).map(pair_of)
    }

    /// For drawing many pairs by position. Takes a walk over a packed hash, and over one with fields that are due.
    pub fn picker(self) -> PairPicker<'a> {
        PairPicker(match self.hash {
            HashView::Dense(_) if self.due_count() == 0 => Source::Hash(self.hash),
            _ => Source::Walked(self.pairs().collect()),
        })
    }

    /// The pair at a position below the length.
    pub fn pair_at(self, position: usize) -> Pair<'a> {
        if self.due_count() == 0 {
            return pair_of(self.hash.field_at(position));
        }
        self.pairs().nth(position).expect("the position is below the length")
    }

    /// One step of HSCAN: about `count` pairs, and the cursor of the next step; 0 begins, and 0 is the end.
    ///
    /// A small hash comes in one step. A big one is walked from its end: `cursor` pairs are still to come. What a removal moves, it moves from
    /// the end to an earlier position, so a field that is there during the whole walk is returned, possibly twice.
    pub fn scan(self, cursor: u64, count: usize) -> (u64, impl Iterator<Item = Pair<'a>> + Clone) {
        let length = self.hash.len();
        let (whole, end) = match self.hash {
            HashView::Packed(_) => (Some(self.pairs()), 0),
            HashView::Few(_) | HashView::Dense(_) if cursor == 0 => (None, length),
            HashView::Few(_) | HashView::Dense(_) => {
                (None, usize::try_from(cursor).map_or(length, |end| end.min(length)))
            }
        };
        let start = end.saturating_sub(count.max(1));
        let step = (start..end).rev().map(move |position| self.hash.field_at(position));
        let step = step.filter(move |found| !self.context.is_due(found.deadline_ms)).map(pair_of);
        (start as u64, whole.into_iter().flatten().chain(step))
    }

    /// What a field's number would be if it were incremented; a missing field counts as 0.
    pub fn incremented(self, field: &'a [u8], by: i64) -> Result<i64, DataError> {
        let number = match self.get(field) {
            Some(value) => parse_integer(value).ok_or(DataError::FieldNotInteger)?,
            None => 0,
        };
        number.checked_add(by).ok_or(DataError::Overflow)
    }

    /// What the number in a field would be if `by` were added, as text; a missing field counts as 0.
    pub fn incremented_by_float(self, field: &'a [u8], by: &[u8]) -> Result<String, DataError> {
        let number = self.get(field).unwrap_or(b"0");
        if !Extended::is_number(number) {
            return Err(DataError::FieldNotFloat);
        }
        Extended::add_text(number, by)
    }
}

fn pair_of(found: Timed<'_>) -> Pair<'_> {
    (found.field, found.value)
}
