//! The encoder that replies are written into.
//!
//! A reply is a sequence of calls, in the order of the bytes: `array(2)`, then the two elements. The encoder
//! appends to a buffer and speaks the client's protocol; a command names what it means (a map, a double, a null)
//! and need not ask which protocol that is. It does not check that announced lengths are kept: the golden scripts
//! and [`skip_value`](crate::skip_value) do.
//!
//! | call                | RESP2           | RESP3        |
//! |---------------------|-----------------|--------------|
//! | `null`              | `$-1`           | `_`          |
//! | `null_array`        | `*-1`           | `_`          |
//! | `boolean(true)`     | `:1`            | `#t`         |
//! | `double("1.5")`     | `$3` `1.5`      | `,1.5`       |
//! | `big_number("123")` | `$3` `123`      | `(123`       |
//! | `verbatim(b"txt")`  | `$` its text    | `=` its text |
//! | `map(n)`            | `*` 2n          | `%n`         |
//! | `set(n)`            | `*n`            | `~n`         |
//! | `push(n)`           | `*n`            | `>n`         |
//! | `attribute(n)`      | left out        | <code>\|n</code> |

use crate::arguments::push_bulk;
use crate::error::ProtocolError;
use crate::number::{Decimal, push_line};

/// The version of the protocol that a client speaks; `HELLO` changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RESP2, what a connection starts with.
    #[default]
    Resp2,
    /// RESP3, with types of its own for what RESP2 shows as strings and arrays.
    Resp3,
}

/// An encoder of replies over a growable buffer. See the module's table for what each call writes.
///
/// Method names are of RESP's types. All counts are of elements (of pairs for maps), all texts are bytes.
#[derive(Debug)]
pub struct Reply {
    buffer: Vec<u8>,
    protocol: Protocol,
    discard: bool,
}

/// A place in a [`Reply`] to go back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

/// An aggregate whose length is still to be told, by [`Reply::finish`]. A reply that is not finished is broken,
/// unless it is rolled back to before it.
#[must_use = "an aggregate is broken until its length is told by `finish`"]
#[derive(Debug)]
pub struct Deferred {
    at: usize,
    kind: Aggregate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    Array,
    Map,
    Set,
}

/// What stands for the header of a deferred aggregate: as long as the header of one with less than ten elements.
const PLACEHOLDER: &[u8] = b"*?\r\n";

impl Reply {
    /// An encoder with a buffer of its own.
    pub const fn new(protocol: Protocol) -> Self {
        Self::over(Vec::new(), protocol)
    }

    /// An encoder that appends to `buffer`; [`Reply::into_bytes`] gives it back.
    pub const fn over(buffer: Vec<u8>, protocol: Protocol) -> Self {
        Self { buffer, protocol, discard: false }
    }

    /// An encoder that drops everything: for commands that run where nobody waits for their replies.
    pub const fn discarding(protocol: Protocol) -> Self {
        Self { buffer: Vec::new(), protocol, discard: true }
    }

    /// The protocol it writes.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Changes the protocol for what is written from here on.
    pub const fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Whether everything is dropped, so that a command may spare work that only serves its reply.
    pub const fn is_discarding(&self) -> bool {
        self.discard
    }

    /// How many bytes the buffer holds.
    pub const fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether the buffer is empty.
    pub const fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// What is written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Gives the buffer away.
    pub fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }

    /// Takes what is written out and goes on with an empty buffer, without its memory.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// Exchanges the buffer, so that a full one goes out while an empty one with memory comes in.
    pub const fn swap(&mut self, buffer: &mut Vec<u8>) {
        std::mem::swap(&mut self.buffer, buffer);
    }

    /// Drops what is written and keeps the memory.
    pub fn clear(&mut self) {
        self.buffer.clear();
    }

    /// The place behind what is written.
    pub const fn mark(&self) -> Mark {
        Mark(self.buffer.len())
    }

    /// Drops what was written since the mark. The mark must be of this encoder's present buffer.
    pub fn rollback(&mut self, mark: Mark) {
        debug_assert!(mark.0 <= self.buffer.len(), "the mark is of another buffer");
        self.buffer.truncate(mark.0);
    }

    /// What was written since the mark; nothing if what stood before it was taken back too.
    pub fn since(&self, mark: Mark) -> &[u8] {
        self.buffer.get(mark.0..).unwrap_or_default()
    }

    /// Appends bytes that are already replies.
    pub fn raw(&mut self, replies: &[u8]) {
        if !self.discard {
            self.buffer.extend_from_slice(replies);
        }
    }

    /// `+OK`.
    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// A simple string: one line, for status words. CR and LF become spaces.
    pub fn simple(&mut self, text: impl AsRef<[u8]>) {
        self.text_line(b'+', text.as_ref());
    }

    /// An error: its code, such as `ERR` or `WRONGTYPE`, a space and a message. CR and LF become spaces.
    pub fn error(&mut self, line: impl AsRef<[u8]>) {
        self.text_line(b'-', line.as_ref());
    }

    /// The last reply to a client that broke the protocol.
    pub fn protocol_error(&mut self, error: ProtocolError) {
        self.text_line(b'-', &error.line());
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        if !self.discard {
            push_line(&mut self.buffer, b':', value < 0, value.unsigned_abs());
        }
    }

    /// A length or another count as an integer.
    pub fn count(&mut self, count: usize) {
        self.header(b':', count);
    }

    /// A bulk string: any bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: impl AsRef<[u8]>) {
        if !self.discard {
            push_bulk(&mut self.buffer, bytes.as_ref());
        }
    }

    /// A bulk string of parts that lie apart in memory.
    pub fn bulk_parts<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]> + Clone) {
        if !self.discard {
            push_line(&mut self.buffer, b'$', false, parts.clone().map(|part| part.len() as u64).sum());
            parts.for_each(|part| self.buffer.extend_from_slice(part));
            self.buffer.extend_from_slice(b"\r\n");
        }
    }

    /// An integer as a bulk string.
    pub fn bulk_integer(&mut self, value: i64) {
        self.bulk(Decimal::new(value));
    }

    /// The absence of a value.
    pub fn null(&mut self) {
        self.either(b"$-1\r\n", b"_\r\n");
    }

    /// The absence of an array: what EXEC and blocking commands answer for nothing.
    pub fn null_array(&mut self) {
        self.either(b"*-1\r\n", b"_\r\n");
    }

    /// True or false.
    pub fn boolean(&mut self, value: bool) {
        if value { self.either(b":1\r\n", b"#t\r\n") } else { self.either(b":0\r\n", b"#f\r\n") }
    }

    /// A double, as text that is already formatted: `1.5`, `inf`.
    pub fn double(&mut self, text: impl AsRef<[u8]>) {
        self.bulk_or_line(b',', text.as_ref());
    }

    /// An integer that may be of any size, as text.
    pub fn big_number(&mut self, text: impl AsRef<[u8]>) {
        self.bulk_or_line(b'(', text.as_ref());
    }

    /// Text for people, with the three letters of its format: `txt` or `mkd`.
    pub fn verbatim(&mut self, format: &[u8; 3], text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                self.header(b'=', text.len() + 4);
                self.raw(format);
                self.raw(b":");
                self.raw(text);
                self.raw(b"\r\n");
            }
        }
    }

    /// An array; its `count` elements follow.
    #[inline]
    pub fn array(&mut self, count: usize) {
        self.header(b'*', count);
    }

    /// A map; its `pairs` pairs follow, each a key and a value.
    pub fn map(&mut self, pairs: usize) {
        self.aggregate(Aggregate::Map, pairs);
    }

    /// A set; its `count` members follow.
    pub fn set(&mut self, count: usize) {
        self.aggregate(Aggregate::Set, count);
    }

    /// A message that answers no command; its `count` elements follow, the first a name.
    pub fn push(&mut self, count: usize) {
        self.header(if self.protocol == Protocol::Resp3 { b'>' } else { b'*' }, count);
    }

    /// Attributes of the reply that comes next. Returns whether the client can read them: if so, `pairs` pairs
    /// follow; if not, nothing was written and nothing may follow.
    #[must_use = "the pairs may be written only if this is true"]
    pub fn attribute(&mut self, pairs: usize) -> bool {
        let readable = self.protocol == Protocol::Resp3;
        if readable {
            self.header(b'|', pairs);
        }
        readable
    }

    /// An array whose length is told later, by [`Reply::finish`].
    pub fn array_deferred(&mut self) -> Deferred {
        self.deferred(Aggregate::Array)
    }

    /// A map whose number of pairs is told later, by [`Reply::finish`].
    pub fn map_deferred(&mut self) -> Deferred {
        self.deferred(Aggregate::Map)
    }

    /// A set whose length is told later, by [`Reply::finish`].
    pub fn set_deferred(&mut self) -> Deferred {
        self.deferred(Aggregate::Set)
    }

    /// Tells the length of a deferred aggregate: `count` elements, or pairs of a map, were written since.
    /// The aggregates within it must be finished before it. Costs a move of what follows if there are ten or more.
    #[expect(clippy::needless_pass_by_value, reason = "a length is told once")]
    pub fn finish(&mut self, deferred: Deferred, count: usize) {
        if self.discard {
            return;
        }
        let Deferred { at, kind } = deferred;
        debug_assert!(self.buffer[at..].starts_with(PLACEHOLDER), "an outer aggregate was finished first");
        let mut header = Vec::with_capacity(24);
        let (kind, count) = self.spelling(kind, count);
        push_line(&mut header, kind, false, count as u64);
        self.buffer.splice(at..at + PLACEHOLDER.len(), header);
    }

    fn deferred(&mut self, kind: Aggregate) -> Deferred {
        let at = self.buffer.len();
        self.raw(PLACEHOLDER);
        Deferred { at, kind }
    }

    fn aggregate(&mut self, kind: Aggregate, count: usize) {
        let (kind, count) = self.spelling(kind, count);
        self.header(kind, count);
    }

    /// The type byte and the count that announce an aggregate in this protocol.
    const fn spelling(&self, kind: Aggregate, count: usize) -> (u8, usize) {
        match (kind, self.protocol) {
            (Aggregate::Map, Protocol::Resp2) => (b'*', count * 2),
            (Aggregate::Map, Protocol::Resp3) => (b'%', count),
            (Aggregate::Set, Protocol::Resp3) => (b'~', count),
            (Aggregate::Array | Aggregate::Set, _) => (b'*', count),
        }
    }

    #[inline]
    fn header(&mut self, kind: u8, count: usize) {
        if !self.discard {
            push_line(&mut self.buffer, kind, false, count as u64);
        }
    }

    fn either(&mut self, resp2: &[u8], resp3: &[u8]) {
        self.raw(if self.protocol == Protocol::Resp3 { resp3 } else { resp2 });
    }

    fn bulk_or_line(&mut self, kind: u8, text: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => self.text_line(kind, text),
        }
    }

    fn text_line(&mut self, kind: u8, text: &[u8]) {
        if self.discard {
            return;
        }
        self.buffer.reserve(text.len() + 3);
        self.buffer.push(kind);
        let line_safe = |&byte: &u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte };
        self.buffer.extend(text.iter().map(line_safe));
        self.buffer.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests;
