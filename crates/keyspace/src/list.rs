//! Lists.
//!
//! A list is one block until it outgrows the limit of the shard, and again when it has shrunk to half of it, as in Redis: its limits are
//! counted in the bytes of Redis' listpack, so that OBJECT ENCODING says what it says there.
//!
//! ```text
//! Packed   one chunk                `listpack`      see `chunk`
//! Chunked  chunks in a spine        `quicklist`     see `chunked`
//! ```

mod chunk;
mod chunked;
mod limits;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::collection::{CollectionValue, ValueType, collection_variant};
use crate::digest::Digest;
use crate::edit::Edit;
use crate::settings::Settings;
use chunk::Chunk;
use chunked::Chunked;
use limits::Limits;

/// A sequence of elements.
#[derive(Clone)]
pub struct ListValue {
    body: Body,
}

#[derive(Clone)]
enum Body {
    Packed(Chunk),
    Chunked(Box<Chunked>),
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListEnd {
    /// Where index 0 is.
    Front,
    /// Where index -1 is.
    Back,
}

impl ListValue {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        match &self.body {
            Body::Packed(chunk) => chunk.len(),
            Body::Chunked(chunked) => chunked.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the list is one block of bytes. A snapshot keeps this: see [`ListValue::restore`].
    pub fn is_packed(&self) -> bool {
        matches!(self.body, Body::Packed(_))
    }

    /// Every element, from either end.
    pub fn elements(&self) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
        self.chunks_of_body().flat_map(Chunk::elements)
    }

    /// The elements by chunk, in order. A snapshot keeps the chunks: when a list is packed again depends on them.
    pub fn chunks(&self) -> impl Iterator<Item = impl Iterator<Item = &[u8]> + Clone> + Clone {
        self.chunks_of_body().map(Chunk::elements)
    }

    /// The bytes that Redis' listpacks of these chunks take.
    pub fn listpack_bytes(&self) -> usize {
        self.chunks_of_body().map(Chunk::weight).sum()
    }

    fn chunks_of_body(&self) -> impl DoubleEndedIterator<Item = &Chunk> + Clone {
        let (packed, chunked) = match &self.body {
            Body::Packed(chunk) => (Some(chunk), None),
            Body::Chunked(chunked) => (None, Some(chunked)),
        };
        packed.into_iter().chain(chunked.into_iter().flat_map(|chunked| chunked.chunks()))
    }

    /// A list as a snapshot kept it: in this encoding, whatever the limits are now, with these chunks. `None`: a chunk is empty, or a packed list
    /// has not exactly one.
    pub fn restore<'a, C>(is_packed: bool, chunks: impl Iterator<Item = C>) -> Option<Self>
    where
        C: Iterator<Item = &'a [u8]>,
    {
        let mut chunked = Chunked::new();
        for elements in chunks {
            let mut chunk = Chunk::new();
            chunk.extend(elements);
            if chunk.len() == 0 {
                return None;
            }
            chunked.push_chunk(chunk);
        }
        match (is_packed, chunked.only_chunk()) {
            (false, _) => Some(Self { body: Body::Chunked(Box::new(chunked)) }),
            (true, Some(chunk)) => Some(Self { body: Body::Packed(chunk.clone()) }),
            (true, None) => None,
        }
    }

    /// The elements of a range of indexes within the list.
    pub fn range(&self, range: Range<usize>) -> impl Iterator<Item = &[u8]> + Clone {
        let (packed, chunked) = match &self.body {
            Body::Packed(chunk) => (Some(chunk.elements_from(range.start)), None),
            Body::Chunked(chunked) => (None, Some(chunked.elements_from(range.start))),
        };
        packed.into_iter().flatten().chain(chunked.into_iter().flatten()).take(range.len())
    }

    /// The element with this index, if there is one.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        if index < self.len() { self.range(index..index + 1).next() } else { None }
    }

    /// The element at an end.
    pub fn at_end(&self, end: ListEnd) -> Option<&[u8]> {
        match end {
            ListEnd::Front => self.elements().next(),
            ListEnd::Back => self.elements().next_back(),
        }
    }

    /// Makes the list big if it would become so with so many elements and bytes more.
    fn expect(&mut self, count: usize, bytes: usize, settings: &Settings) {
        if self.is_outgrown_by(count, bytes, settings) {
            self.unpack();
        }
    }

    /// Whether it is small, and would become big with so many elements and bytes more.
    fn is_outgrown_by(&self, count: usize, bytes: usize, settings: &Settings) -> bool {
        let Body::Packed(chunk) = &self.body else { return false };
        Limits::of(settings).are_exceeded_by(chunk.weight() + bytes, chunk.len() + count)
    }

    /// As if an element was about to be added, which then was not: Redis makes room before it looks for the place (t_list.c linsertCommand,
    /// lsetCommand), and the list stays big. Its elements are the same, so nobody is told of a change.
    pub fn expect_in_vain(list: &mut Edit<'_, Self>, element: &[u8], settings: &Settings) {
        if list.is_outgrown_by(1, element.len(), settings) {
            list.reshape().unpack();
        }
    }

    /// Adds elements at an end, one after the other.
    pub fn push_all<'a>(
        &mut self,
        end: ListEnd,
        elements: impl Iterator<Item = &'a [u8]> + Clone,
        settings: &Settings,
    ) {
        // All of them decide at once whether the list becomes big, as in Redis.
        let (count, bytes) =
            elements.clone().fold((0, 0), |(count, bytes), element| (count + 1, bytes + element.len()));
        self.expect(count, bytes, settings);
        elements.for_each(|element| self.add(end, element, settings));
    }

    /// Adds an element at an end.
    pub fn push(&mut self, end: ListEnd, element: &[u8], settings: &Settings) {
        self.expect(1, element.len(), settings);
        self.add(end, element, settings);
    }

    fn add(&mut self, end: ListEnd, element: &[u8], settings: &Settings) {
        let at_front = end == ListEnd::Front;
        match &mut self.body {
            Body::Packed(chunk) => chunk.insert(if at_front { 0 } else { chunk.len() }, element),
            Body::Chunked(chunked) => chunked.push(element, at_front, &Limits::of(settings)),
        }
    }

    /// Puts an element in front of the one with this index; at the length, at the end.
    pub fn insert(&mut self, index: usize, element: &[u8], settings: &Settings) {
        self.expect(1, element.len(), settings);
        match &mut self.body {
            Body::Packed(chunk) => chunk.insert(index, element),
            Body::Chunked(chunked) => chunked.insert(index, element, &Limits::of(settings)),
        }
    }

    /// Puts another element into the place of the one with this index, which is there.
    pub fn set(&mut self, index: usize, element: &[u8], settings: &Settings) {
        self.expect(1, element.len(), settings);
        match &mut self.body {
            Body::Packed(chunk) => chunk.set(index, element),
            Body::Chunked(chunked) => chunked.set(index, element, &Limits::of(settings)),
        }
        self.maybe_pack(settings);
    }

    /// Keeps the elements of a range of indexes within the list, and no others.
    pub fn keep(&mut self, range: Range<usize>, settings: &Settings) {
        self.keep_only(range);
        self.maybe_pack(settings);
    }

    fn keep_only(&mut self, range: Range<usize>) {
        match &mut self.body {
            Body::Packed(chunk) => {
                chunk.remove(range.end..chunk.len());
                chunk.remove(0..range.start);
            }
            Body::Chunked(chunked) => chunked.keep(range),
        }
    }

    /// Removes elements from an end, at most as many as there are.
    pub fn remove_at_end(&mut self, end: ListEnd, count: usize, settings: &Settings) {
        self.keep(self.without(end, count), settings);
    }

    /// The indexes that are left when elements are removed from an end.
    fn without(&self, end: ListEnd, count: usize) -> Range<usize> {
        match end {
            ListEnd::Front => count..self.len(),
            ListEnd::Back => 0..self.len() - count,
        }
    }

    /// Moves an element from one end to the other, or to where it was, and returns it. There is one.
    pub fn turn(&mut self, from: ListEnd, to: ListEnd, settings: &Settings) -> Vec<u8> {
        let element = self.at_end(from).expect("there is an element").to_vec();
        self.keep_only(self.without(from, 1));
        // Only now, so that a long element does not make the list small for a moment.
        self.push(to, &element, settings);
        self.maybe_pack(settings);
        element
    }

    /// Removes at most so many elements that are equal to this one, counted from an end, and returns how many they were.
    pub fn remove_equal(&mut self, element: &[u8], count_max: usize, from: ListEnd, settings: &Settings) -> usize {
        let from_back = from == ListEnd::Back;
        let removed = match &mut self.body {
            Body::Packed(chunk) => chunk.remove_equal(element, count_max, from_back),
            Body::Chunked(chunked) => chunked.remove_equal(element, count_max, from_back),
        };
        self.maybe_pack(settings);
        removed
    }

    /// Adds a chunk, which is not empty, at the end, as [`ListValue::chunks`] gave it and whatever the limits: to a big list. A packed one
    /// stays so and gets its elements.
    pub fn push_chunk<T: AsRef<[u8]>>(&mut self, elements: impl IntoIterator<Item = T>) {
        match &mut self.body {
            Body::Packed(chunk) => chunk.extend(elements),
            Body::Chunked(chunked) => {
                let mut chunk = Chunk::new();
                chunk.extend(elements);
                chunked.push_chunk(chunk);
            }
        }
    }

    /// A list of these elements, small if the limits allow it.
    pub fn collect<T: AsRef<[u8]>>(elements: impl Iterator<Item = T>, settings: &Settings) -> Self {
        let mut list = Self { body: Body::Chunked(Box::new(Chunked::new())) };
        elements.for_each(|element| list.add(ListEnd::Back, element.as_ref(), settings));
        list.loaded(settings);
        list
    }

    /// Adds elements at the end of a big list, as a piece that another server made of them: it stays one if the limits allow that.
    pub fn load_chunk<T: AsRef<[u8]>>(&mut self, elements: &[T], settings: &Settings) {
        let limits = Limits::of(settings);
        let mut chunk = Chunk::new();
        chunk.extend(elements);
        match &mut self.body {
            Body::Chunked(chunked) if chunk.len() == 1 || !limits.are_exceeded_by(chunk.weight(), chunk.len()) => {
                chunked.push_chunk(chunk);
            }
            _ => elements.iter().for_each(|element| self.add(ListEnd::Back, element.as_ref(), settings)),
        }
    }

    /// Ends what [`ListValue::load_chunk`] began: a list of one piece that a small list may hold becomes small.
    pub fn loaded(&mut self, settings: &Settings) {
        if let Body::Chunked(chunked) = &self.body
            && let Some(chunk) = chunked.only_chunk()
            && !Limits::of(settings).are_exceeded_by(chunk.weight(), chunk.len())
        {
            self.body = Body::Packed(chunk.clone());
        }
    }

    /// Makes the list big, whatever its size. It is packed again by the next removal that leaves it small.
    pub fn unpack(&mut self) {
        if let Body::Packed(chunk) = &mut self.body {
            let chunk = std::mem::replace(chunk, Chunk::new());
            let mut chunked = Box::new(Chunked::new());
            if chunk.len() > 0 {
                chunked.push_chunk(chunk);
            }
            self.body = Body::Chunked(chunked);
        }
    }

    fn maybe_pack(&mut self, settings: &Settings) {
        if let Body::Chunked(chunked) = &self.body
            && let Some(chunk) = chunked.only_chunk()
            && Limits::of(settings).allow_packing(chunk)
        {
            self.body = Body::Packed(chunk.clone());
        }
    }
}

impl CollectionValue for ListValue {
    const TYPE: ValueType = ValueType::List;

    fn empty() -> Self {
        Self { body: Body::Packed(Chunk::new()) }
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn allocated_bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.body {
                Body::Packed(chunk) => chunk.allocated_bytes() - size_of::<Chunk>(),
                Body::Chunked(chunked) => chunked.allocated_bytes(),
            }
    }

    fn encoding(&self) -> &'static str {
        if self.is_packed() { "listpack" } else { "quicklist" }
    }

    fn digest(&self, digest: &mut Digest) {
        digest.number(u64::from(self.is_packed()));
        for chunk in self.chunks_of_body() {
            digest.number(chunk.len() as u64);
            chunk.elements().for_each(|element| digest.bytes(element));
        }
    }

    collection_variant!(List);
}
