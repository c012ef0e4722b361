//! The arguments of one command, as places in the bytes that hold it, and the encoding of a command.
//!
//! ```text
//! raw:      * 3 CRLF  $ 3 CRLF  S E T CRLF  $ 1 CRLF  k CRLF  $ 2 CRLF  v v CRLF
//! ranges:                       [   0   ]             [1]               [ 2 ]
//! ```

use crate::number::{push_line, short_length};
use std::fmt;

/// Above so many arguments, the memory for their ranges is given back with the next command.
const RANGES_KEPT: usize = 1024;

/// One argument's place, from the first byte of its command's array.
#[derive(Clone, Copy, Debug)]
struct Range {
    start: usize,
    end: usize,
}

/// The places of one command's arguments: memory that is used again for one command after the other.
#[derive(Clone, Debug, Default)]
pub struct ArgumentRanges(Vec<Range>);

/// A view of one complete command: its arguments, the name first, and its bytes as an array of bulk strings.
///
/// Cheap to copy and to pass on. It borrows the bytes that were decoded and the ranges found in them.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    raw: &'a [u8],
    ranges: &'a [Range],
}

/// What was stored as a command is not one complete array of at least one bulk string in its only spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedCommand;

impl ArgumentRanges {
    /// No ranges yet; nothing is allocated.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Forgets the ranges. Keeps their memory for the next command, unless it is unusually much.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
        if self.0.capacity() > RANGES_KEPT {
            self.0.shrink_to(0);
        }
    }

    pub(crate) fn push(&mut self, start: usize, end: usize) {
        debug_assert!(start <= end);
        self.0.push(Range { start, end });
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The view of a command whose array is `raw`.
    pub(crate) fn view<'a>(&'a self, raw: &'a [u8]) -> Arguments<'a> {
        debug_assert!(self.0.last().is_none_or(|last| last.end + 2 == raw.len()));
        Arguments { raw, ranges: &self.0 }
    }
}

impl<'a> Arguments<'a> {
    /// How many arguments there are, the name included: at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a command has a name")]
    pub const fn len(self) -> usize {
        self.ranges.len()
    }

    /// The argument at a place, the name being at 0; `None` behind the last.
    #[inline]
    pub fn get(self, place: usize) -> Option<&'a [u8]> {
        self.ranges.get(place).map(|range| &self.raw[range.start..range.end])
    }

    /// The command's name as the client spelled it.
    pub fn name(self) -> &'a [u8] {
        self.get(0).expect("a decoded command has at least one argument")
    }

    /// The whole command as one array of bulk strings, whatever way the client sent it.
    pub const fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// The arguments in order, the name first.
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> + DoubleEndedIterator + Clone {
        self.between(0..self.len())
    }

    /// Those at these places, which end at most at the length. Going past those in front takes no time.
    pub fn between(
        self,
        places: std::ops::Range<usize>,
    ) -> impl ExactSizeIterator<Item = &'a [u8]> + DoubleEndedIterator + Clone {
        self.ranges[places].iter().map(move |range| &self.raw[range.start..range.end])
    }
}

/// Names the command and its size only: arguments may be passwords, and logs are read by many.
impl fmt::Debug for Arguments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arguments({} of {}, {} bytes)", self.name().escape_ascii(), self.len(), self.raw.len())
    }
}

/// Shows the command that stands at the start of `bytes`, as it stands in a log entry. It ends where
/// [`Arguments::raw`] ends; what follows is not looked at. `ranges` is overwritten.
///
/// Meant for bytes that a decoder or [`write_command`] made, and strict about it; it bounds nothing but that every
/// argument lies within `bytes`.
///
/// # Errors
///
/// [`MalformedCommand`] for anything else: the entry is damaged, or written by something unknown.
pub fn parse_stored<'a>(bytes: &'a [u8], ranges: &'a mut ArgumentRanges) -> Result<Arguments<'a>, MalformedCommand> {
    ranges.clear();
    let line = |at: usize, kind: u8| {
        let (&first, rest) = bytes.get(at..).and_then(<[u8]>::split_first).ok_or(MalformedCommand)?;
        let (length, used) = short_length(rest).filter(|_| first == kind).ok_or(MalformedCommand)?;
        Ok((length, at + 1 + used))
    };
    let (count, mut at) = line(0, b'*')?;
    if count == 0 {
        return Err(MalformedCommand);
    }
    for _ in 0..count {
        let (length, start) = line(at, b'$')?;
        let end = start + length;
        if bytes.get(end..end + 2) != Some(b"\r\n") {
            return Err(MalformedCommand);
        }
        ranges.push(start, end);
        at = end + 2;
    }
    Ok(ranges.view(&bytes[..at]))
}

/// Appends a command to `out` as an array of bulk strings. `arguments` holds at least the name.
pub fn write_command<I>(out: &mut Vec<u8>, arguments: I)
where
    I: IntoIterator<Item: AsRef<[u8]>, IntoIter: ExactSizeIterator>,
{
    let arguments = arguments.into_iter();
    debug_assert!(arguments.len() > 0, "a command has a name");
    push_line(out, b'*', false, arguments.len() as u64);
    for argument in arguments {
        push_bulk(out, argument.as_ref());
    }
}

/// Appends one bulk string.
#[inline]
pub(crate) fn push_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + 16);
    push_line(out, b'$', false, bytes.len() as u64);
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

impl fmt::Display for MalformedCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a complete array of bulk strings")
    }
}

impl std::error::Error for MalformedCommand {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_command_is_shown_as_it_was() {
        let mut bytes = Vec::new();
        write_command(&mut bytes, ["SET", "k", ""]);
        assert_eq!(bytes, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
        let end = bytes.len();
        bytes.extend_from_slice(b"*1\r\n$4\r\nPING\r\n and more");

        let mut ranges = ArgumentRanges::new();
        let first = parse_stored(&bytes, &mut ranges).unwrap();
        assert_eq!((first.len(), first.name(), first.raw()), (3, &b"SET"[..], &bytes[..end]));
        assert_eq!(first.iter().collect::<Vec<_>>(), [&b"SET"[..], b"k", b""]);
        assert_eq!((first.get(1), first.get(3)), (Some(&b"k"[..]), None));
        assert_eq!(format!("{first:?}"), "Arguments(SET of 3, 26 bytes)");
        let second = parse_stored(&bytes[end..], &mut ranges).unwrap();
        assert_eq!((second.len(), second.name()), (1, &b"PING"[..]));
    }

    #[test]
    fn a_damaged_command_is_an_error() {
        let mut whole = Vec::new();
        write_command(&mut whole, [&b"GET"[..], b"key"]);
        let mut ranges = ArgumentRanges::new();
        assert!(parse_stored(&whole, &mut ranges).is_ok());
        for end in 0..whole.len() {
            assert!(parse_stored(&whole[..end], &mut ranges).is_err(), "cut at {end}");
        }
        for bytes in [
            &b"*0\r\n"[..],
            b"*-1\r\n",
            b"PING\r\n",
            b"*1\r\n$-1\r\n",
            b"*1\r\n$9999999999\r\nx\r\n",
            b"*1\r\n$1\r\nxyz",
        ] {
            assert_eq!(parse_stored(bytes, &mut ranges).unwrap_err(), MalformedCommand);
        }
    }

    #[test]
    fn the_memory_of_an_unusually_long_command_is_given_back() {
        let mut bytes = Vec::new();
        write_command(&mut bytes, vec!["a"; 100_000]);
        let mut ranges = ArgumentRanges::new();
        assert_eq!(parse_stored(&bytes, &mut ranges).unwrap().len(), 100_000);
        ranges.clear();
        assert!(ranges.0.capacity() <= RANGES_KEPT);
    }
}
