//! A chunk of a stream: some stream entries in one listpack, as Redis lays them out.
//!
//! ```text
//! chunk:   live | deleted | n | field 1 ... field n | 0 | entry entry ...
//! entry:   flags | ms | seq | value 1 ... value n | count                           1 of the flags: deleted   2: has the fields in front
//!          flags | ms | seq | m | field 1 | value 1 ... field m | value m | count
//! ```
//!
//! All of these are elements of the listpack. `ms` and `seq` are distances from the id of the first stream entry that the chunk ever had, under which
//! it stands in the stream; the fields in front are that entry's. `count` says how many elements of the entry stand before it, so that a chunk
//! can be read backwards. A deleted stream entry stays until its chunk goes: whether a chunk is full counts it, as in Redis.

use super::id::StreamId;
use crate::listpack::{self, Element, HEAD_BYTES, Text};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;
/// Elements of an entry beside its fields and values: flags, ms and seq.
const FIXED_ELEMENTS: i64 = 3;

/// See the module.
#[derive(Clone)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
}

/// What stands in front of the entries.
#[derive(Clone, Copy)]
struct Head {
    live: i64,
    deleted: i64,
    field_count: i64,
    fields_at: usize,
    entries_at: usize,
}

/// An entry as it lies in its chunk, deleted or not.
#[derive(Clone)]
pub(super) struct Lying<'a> {
    pub(super) entry: StreamEntry<'a>,
    pub(super) is_deleted: bool,
    start: usize,
    end: usize,
}

/// A stream entry.
#[derive(Clone)]
pub struct StreamEntry<'a> {
    /// Its id.
    pub id: StreamId,
    fields: Fields<'a>,
}

impl<'a> StreamEntry<'a> {
    /// How many fields it has.
    pub fn field_count(&self) -> usize {
        self.fields.left
    }

    /// The fields with their values, in the order in which they were given.
    pub fn fields(&self) -> impl Iterator<Item = (Text<'a>, Text<'a>)> + Clone + use<'a> {
        self.fields.clone()
    }
}

#[derive(Clone)]
struct Fields<'a> {
    bytes: &'a [u8],
    left: usize,
    /// Where the next field stands if not in front of its value.
    names_at: Option<usize>,
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Text<'a>, Text<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (field, next) = listpack::read(self.bytes, self.names_at.unwrap_or(self.at))?;
        match &mut self.names_at {
            Some(names_at) => *names_at = next,
            None => self.at = next,
        }
        let (value, next) = listpack::read(self.bytes, self.at)?;
        self.at = next;
        Some((field.text(), value.text()))
    }
}

impl Chunk {
    /// A chunk with its first entry.
    pub(super) fn new<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Self {
        let field_count = i64::try_from(pairs.clone().count()).expect("a command has fewer words than that");
        let mut bytes = listpack::empty();
        listpack::open(&mut bytes);
        [1, 0, field_count].into_iter().for_each(|number| listpack::push_number(&mut bytes, number));
        pairs.clone().for_each(|(field, _)| listpack::push_text(&mut bytes, field));
        listpack::push_number(&mut bytes, 0);
        let mut count = 4 + pairs.clone().count();
        count += push_entry(&mut bytes, (0, 0), pairs, true);
        listpack::seal(&mut bytes, count);
        Self { bytes }
    }

    /// The chunk of a listpack, if it is one.
    pub(super) fn restore(first: StreamId, bytes: Vec<u8>) -> Option<Self> {
        let chunk = Self { bytes };
        if listpack::is_sound(&chunk.bytes) && chunk.is_sound(first)? { Some(chunk) } else { None }
    }

    /// The listpack.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes in memory.
    pub(super) fn allocated_bytes(&self) -> usize {
        size_of::<Self>() + size_of::<usize>() + self.bytes.capacity()
    }

    /// How many entries there are, deleted ones or not included.
    pub(super) fn live(&self) -> usize {
        usize::try_from(self.number(HEAD_BYTES).0).expect("checked when it came")
    }

    /// Whether an entry of so many bytes still fits in.
    pub(super) fn has_room(&self, entry_bytes: usize, bytes_max: usize, entries_max: usize) -> bool {
        let head = self.head();
        let count = usize::try_from(head.live + head.deleted).unwrap_or(usize::MAX);
        self.bytes.len() + entry_bytes < bytes_max && (entries_max == 0 || count < entries_max)
    }

    /// Gives back the memory that was taken for more entries.
    pub(super) fn close(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Adds an entry, whose id comes behind all others.
    pub(super) fn push<'a>(
        &mut self,
        first: StreamId,
        id: StreamId,
        pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    ) {
        let head = self.head();
        let is_same = self.has_fields(&head, pairs.clone().map(|(field, _)| field));
        self.write_counts(head.live + 1, head.deleted);
        let mut count = listpack::open(&mut self.bytes);
        let is_counted = count < usize::from(u16::MAX);
        count += push_entry(&mut self.bytes, id.distance_from(first), pairs, is_same);
        listpack::seal(&mut self.bytes, if is_counted { count } else { usize::MAX });
    }

    fn has_fields<'a>(&self, head: &Head, mut fields: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut at = head.fields_at;
        for _ in 0..head.field_count {
            let (element, next) = self.element(at);
            if fields.next() != Some(&element.text()[..]) {
                return false;
            }
            at = next;
        }
        fields.next().is_none()
    }

    /// Marks entries as deleted that are there and are not.
    pub(super) fn delete(&mut self, places: &[EntryPlace]) {
        for place in places {
            // A small number is its own head.
            debug_assert_eq!(self.bytes[place.0] & DELETED.to_le_bytes()[0], 0);
            self.bytes[place.0] |= DELETED.to_le_bytes()[0];
        }
        let (head, count) = (self.head(), i64::try_from(places.len()).expect("there are so many"));
        // Last, because it may move the entries.
        self.write_counts(head.live - count, head.deleted + count);
    }

    fn write_counts(&mut self, live: i64, deleted: i64) {
        let end = self.element(self.element(HEAD_BYTES).1).1;
        let mut counts = Vec::with_capacity(8);
        listpack::push_number(&mut counts, live);
        listpack::push_number(&mut counts, deleted);
        self.bytes.splice(HEAD_BYTES..end, counts);
        listpack::write_length(&mut self.bytes);
    }

    /// The entries, deleted ones included, from both ends.
    pub(super) fn entries(&self, first: StreamId) -> Entries<'_> {
        let head = self.head();
        Entries { chunk: self, first, head, front: head.entries_at, back: self.bytes.len() - 1 }
    }

    /// The id of the last entry, deleted or not.
    pub(super) fn last_id(&self, first: StreamId) -> StreamId {
        self.entries(first).next_back().map_or(first, |last| last.entry.id)
    }

    fn element(&self, at: usize) -> (Element<'_>, usize) {
        listpack::read(&self.bytes, at).expect("checked when it came")
    }

    fn number(&self, at: usize) -> (i64, usize) {
        let (element, next) = self.element(at);
        (element.number().expect("checked when it came"), next)
    }

    fn head(&self) -> Head {
        let (live, at) = self.number(HEAD_BYTES);
        let (deleted, at) = self.number(at);
        let (field_count, fields_at) = self.number(at);
        let mut at = fields_at;
        for _ in 0..field_count {
            at = self.element(at).1;
        }
        let entries_at = self.element(at).1;
        Head { live, deleted, field_count, fields_at, entries_at }
    }

    fn lying(&self, first: StreamId, head: &Head, start: usize) -> Lying<'_> {
        let (flags, at) = self.number(start);
        let (ms, at) = self.number(at);
        let (seq, at) = self.number(at);
        let is_same = flags & SAME_FIELDS != 0;
        let (count, values_at) = if is_same { (head.field_count, at) } else { self.number(at) };
        let left = usize::try_from(count).expect("checked when it came");
        let mut end = values_at;
        for _ in 0..if is_same { left } else { 2 * left } {
            end = self.element(end).1;
        }
        let names_at = if is_same { Some(head.fields_at) } else { None };
        let fields = Fields { bytes: &self.bytes, left, names_at, at: values_at };
        let entry = StreamEntry { id: first.at_distance(ms, seq), fields };
        Lying { entry, is_deleted: flags & DELETED != 0, start, end: self.element(end).1 }
    }

    /// Whether the elements are those of a chunk. `None` or `false`: they are not.
    fn is_sound(&self, first: StreamId) -> Option<bool> {
        let bytes = &self.bytes[..];
        let number = |at: usize| listpack::read(bytes, at).and_then(|(element, next)| Some((element.number()?, next)));
        let skip = |mut at: usize, count: i64| {
            for _ in 0..count {
                at = listpack::read(bytes, at)?.1;
            }
            Some(at)
        };
        let (live, at) = number(HEAD_BYTES)?;
        let (deleted, at) = number(at)?;
        let (field_count, at) = number(at)?;
        let (zero, mut at) = number(skip(at, field_count)?)?;
        let (mut found, mut last) = ([0; 2], None);
        while at < bytes.len() - 1 {
            let (flags, next_of_flags) = number(at)?;
            let (ms, next) = number(next_of_flags)?;
            let (seq, next) = number(next)?;
            let (count, elements, next) = if flags & SAME_FIELDS != 0 {
                (field_count, field_count, next)
            } else {
                let (count, next) = number(next)?;
                (count, 1 + count.checked_mul(2)?, next)
            };
            let id = first.at_distance(ms, seq);
            let is_behind = last.is_none_or(|last| last < id) && id >= first;
            let (counted, next) = number(skip(next, elements - i64::from(flags & SAME_FIELDS == 0))?)?;
            let is_short = next_of_flags == at + 2;
            if !(0..=3).contains(&flags) || !is_short || count < 0 || !is_behind || counted != elements + FIXED_ELEMENTS
            {
                return Some(false);
            }
            found[usize::from(flags & DELETED != 0)] += 1;
            (at, last) = (next, Some(id));
        }
        Some(field_count >= 0 && zero == 0 && found == [live, deleted] && last.is_some())
    }
}

/// Writes an entry and returns of how many elements it is.
fn push_entry<'a>(
    bytes: &mut Vec<u8>,
    (ms, seq): (i64, i64),
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    is_same: bool,
) -> usize {
    let pair_count = pairs.clone().count();
    [if is_same { SAME_FIELDS } else { 0 }, ms, seq]
        .into_iter()
        .for_each(|number| listpack::push_number(bytes, number));
    let mut elements = 3 + pair_count;
    if !is_same {
        listpack::push_number(bytes, i64::try_from(pair_count).expect("a command has fewer words than that"));
        elements += 1 + pair_count;
    }
    for (field, value) in pairs {
        if !is_same {
            listpack::push_text(bytes, field);
        }
        listpack::push_text(bytes, value);
    }
    listpack::push_number(bytes, i64::try_from(elements).expect("a command has fewer words than that"));
    elements + 1
}

/// Where an entry lies in its chunk, until that is changed.
#[derive(Clone, Copy)]
pub(super) struct EntryPlace(usize);

impl Lying<'_> {
    pub(super) fn place(&self) -> EntryPlace {
        EntryPlace(self.start)
    }
}

/// The entries of a chunk, deleted ones included.
#[derive(Clone)]
pub(super) struct Entries<'a> {
    chunk: &'a Chunk,
    first: StreamId,
    head: Head,
    front: usize,
    back: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Lying<'a>;

    fn next(&mut self) -> Option<Lying<'a>> {
        if self.front >= self.back {
            return None;
        }
        let lying = self.chunk.lying(self.first, &self.head, self.front);
        self.front = lying.end;
        Some(lying)
    }
}

impl<'a> DoubleEndedIterator for Entries<'a> {
    fn next_back(&mut self) -> Option<Lying<'a>> {
        if self.front >= self.back {
            return None;
        }
        let before = |end| listpack::previous(&self.chunk.bytes, end).expect("checked when it came");
        let mut start = before(self.back);
        for _ in 0..self.chunk.number(start).0 {
            start = before(start);
        }
        self.back = start;
        Some(self.chunk.lying(self.first, &self.head, start))
    }
}
