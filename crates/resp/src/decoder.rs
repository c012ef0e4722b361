//! Finds commands in the bytes of a client, one at a time, wherever the reads happened to cut them.
//!
//! The caller owns the bytes. It passes what it has, from the first byte of the command in progress on, and drops
//! what was consumed. The decoder keeps no bytes (but of an inline command, which it rewrites as an array), only
//! places, so that a command that arrives in many reads is scanned once:
//!
//! ```text
//!            at (next byte to parse)   scanned (no line end before it)
//!            v                         v
//! [*3 $3 SET $100000 ..................        ]   left = 2: arguments still to come
//! ```
//!
//! Invariant: what is decoded does not depend on how the bytes were cut.

use crate::arguments::{ArgumentRanges, Arguments, push_bulk};
use crate::error::ProtocolError;
use crate::inline;
use crate::number::{integer, push_line, short_length};
use std::fmt;

/// What a client may announce before it has authenticated. // redis: networking.c processMultibulkBuffer
const UNAUTHENTICATED_ARGS_MAX: usize = 10;
const UNAUTHENTICATED_BULK_MAX_BYTES: usize = 16384;

/// More scratch than this is given back with the next command.
const SCRATCH_KEPT_BYTES: usize = 4096;

/// What a client may send. May change from one command to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest argument in bytes: `proto-max-bulk-len`.
    pub bulk_max_bytes: usize,
    /// The most arguments of a command, its name included.
    pub args_max: usize,
    /// The longest line in bytes: an inline command, or a number.
    pub inline_max_bytes: usize,
    /// Whether the client has authenticated or need not. If not, 10 arguments of 16384 bytes must do.
    pub authenticated: bool,
}

impl Default for Limits {
    /// Those of Redis: 512 MiB an argument, 64 KiB a line; 1024 * 1024 arguments; authenticated.
    fn default() -> Self {
        Self {
            bulk_max_bytes: 512 * 1024 * 1024,
            args_max: 1024 * 1024,
            inline_max_bytes: 64 * 1024,
            authenticated: true,
        }
    }
}

/// What [`RequestDecoder::decode`] found at the start of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A command of `consumed` bytes; [`RequestDecoder::arguments`] shows it.
    Command {
        /// How many bytes the command is. The next one starts behind them.
        consumed: usize,
    },
    /// `consumed` bytes that ask for nothing: an empty line or an empty array. To be dropped without a reply.
    Nothing {
        /// How many bytes to drop.
        consumed: usize,
    },
    /// The command is not complete yet. To be called again with the same bytes and more.
    Incomplete {
        /// At least so many more bytes must come before it is: at least 1. A hint for how much to read, but the
        /// client's word: an unbounded reservation would be its to make.
        needed: usize,
    },
}

/// Reads the commands of one connection.
///
/// ```
/// use resp::{Decoded, Limits, RequestDecoder};
///
/// let (mut decoder, limits) = (RequestDecoder::new(), Limits::default());
/// let buffer = b"*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\nPING\r\n*1\r\n$4\r\nPI";
/// let (mut start, mut names) = (0, Vec::new());
/// loop {
///     match decoder.decode(&buffer[start..], &limits).unwrap() {
///         Decoded::Command { consumed } => {
///             names.push(decoder.arguments(&buffer[start..]).name().to_vec());
///             start += consumed;
///         }
///         Decoded::Nothing { consumed } => start += consumed,
///         Decoded::Incomplete { needed } => break assert_eq!(needed, 4),
///     }
/// }
/// assert_eq!(names, [b"ECHO", b"PING"]);
/// ```
#[derive(Default)]
pub struct RequestDecoder {
    ranges: ArgumentRanges,
    /// An inline command rewritten as an array.
    scratch: Vec<u8>,
    /// Where the array of the decoded command is: in `scratch`, or in the caller's first so many bytes.
    decoded: Source,
    /// Arguments of the command in progress that are still to come; 0 between commands.
    left: usize,
    /// The next byte to parse.
    at: usize,
    /// No line end is before this place in the line that starts at `at`.
    scanned: usize,
}

#[derive(Clone, Copy, Debug, Default)]
enum Source {
    #[default]
    None,
    Scratch,
    Buffer {
        end: usize,
    },
}

/// A line that gives a number, parsed or not yet complete.
enum Line {
    Number(Option<i64>),
    Incomplete,
}

impl RequestDecoder {
    /// A decoder at the start of a connection; nothing is allocated.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks for one command at the start of `buffer`.
    ///
    /// After [`Decoded::Incomplete`] the next call must pass the same bytes again, with more behind them, though
    /// they may lie elsewhere; after the others, what follows the consumed bytes.
    ///
    /// # Errors
    ///
    /// What the client did wrong, in Redis's words; the connection answers it and closes.
    ///
    /// # Panics
    ///
    /// If bytes of the command in progress are missing.
    pub fn decode(&mut self, buffer: &[u8], limits: &Limits) -> Result<Decoded, ProtocolError> {
        debug_assert!(
            self.at <= buffer.len() && self.scanned <= buffer.len(),
            "bytes of a command in progress are gone"
        );
        let decoded = self.advance(buffer, limits);
        if decoded.is_err() {
            *self = Self::default();
        }
        decoded
    }

    /// The command that [`RequestDecoder::decode`] found last, given the same bytes again.
    ///
    /// # Panics
    ///
    /// If the last call did not find one, or `buffer` is shorter than the command.
    pub fn arguments<'a>(&'a self, buffer: &'a [u8]) -> Arguments<'a> {
        match self.decoded {
            Source::Scratch => self.ranges.view(&self.scratch),
            Source::Buffer { end } => self.ranges.view(&buffer[..end]),
            Source::None => panic!("arguments are asked for where no command was decoded"),
        }
    }

    fn advance(&mut self, buffer: &[u8], limits: &Limits) -> Result<Decoded, ProtocolError> {
        if self.left == 0 {
            self.forget();
            match buffer.first() {
                Some(b'*') => match self.count(buffer, limits)? {
                    None => return Ok(Decoded::Incomplete { needed: 1 }),
                    Some(0) => return Ok(self.finish(Source::None)),
                    Some(count) => self.left = count,
                },
                Some(_) => return self.inline(buffer, limits),
                None => return Ok(Decoded::Incomplete { needed: 1 }),
            }
        }
        while self.left > 0 {
            if let Some(needed) = self.argument(buffer, limits)? {
                return Ok(Decoded::Incomplete { needed });
            }
        }
        Ok(self.finish(Source::Buffer { end: self.at }))
    }

    /// Drops what is kept of the command before.
    fn forget(&mut self) {
        self.decoded = Source::None;
        self.ranges.clear();
        self.scratch.clear();
        self.scratch.shrink_to(SCRATCH_KEPT_BYTES);
    }

    /// Ends the command, or the nothing, of `at` bytes.
    fn finish(&mut self, decoded: Source) -> Decoded {
        let consumed = std::mem::take(&mut self.at);
        self.scanned = 0;
        self.decoded = decoded;
        match decoded {
            Source::None => Decoded::Nothing { consumed },
            _ => Decoded::Command { consumed },
        }
    }

    /// The number of arguments that `*` announces; `None` while its line is not complete.
    fn count(&mut self, buffer: &[u8], limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        let count = match self.line(buffer, b'*', limits, ProtocolError::CountLineTooBig)? {
            Line::Incomplete => return Ok(None),
            // A negative number is as good as none. // redis: processMultibulkBuffer
            Line::Number(number) => number.map(|count| usize::try_from(count).unwrap_or(0)),
        };
        let count = count.filter(|&count| count <= limits.args_max).ok_or(ProtocolError::InvalidCount)?;
        if !limits.authenticated && count > UNAUTHENTICATED_ARGS_MAX {
            return Err(ProtocolError::UnauthenticatedCount);
        }
        Ok(Some(count))
    }

    /// Takes the next argument in. If it is not complete, returns how many more bytes it needs at least.
    #[inline]
    fn argument(&mut self, buffer: &[u8], limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        let line_start = self.at;
        let length = match self.line(buffer, b'$', limits, ProtocolError::BulkLineTooBig)? {
            Line::Incomplete => return Ok(Some(1)),
            Line::Number(number) => number.and_then(|length| usize::try_from(length).ok()),
        };
        let length =
            length.filter(|&length| length <= limits.bulk_max_bytes).ok_or(ProtocolError::InvalidBulkLength)?;
        if !limits.authenticated && length > UNAUTHENTICATED_BULK_MAX_BYTES {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        let end = self.at.saturating_add(length);
        match buffer.get(end..end.saturating_add(2)) {
            Some(b"\r\n") => {
                self.ranges.push(self.at, end);
                self.left -= 1;
                self.at = end + 2;
                self.scanned = self.at;
                Ok(None)
            }
            Some(_) => Err(ProtocolError::InvalidLineEnd),
            None => {
                // The line is parsed again with the next bytes: it is short, and found at once.
                self.at = line_start;
                Ok(Some(end.saturating_add(2) - buffer.len()))
            }
        }
    }

    /// Reads the line at `at`, which is to be `kind` and a number, and steps over it.
    #[inline]
    fn line(&mut self, buffer: &[u8], kind: u8, limits: &Limits, big: ProtocolError) -> Result<Line, ProtocolError> {
        if let Some((&first, rest)) = buffer[self.at..].split_first()
            && first == kind
            && let Some((number, used)) = short_length(rest)
        {
            self.at += 1 + used;
            return Ok(Line::Number(i64::try_from(number).ok()));
        }
        self.unusual_line(buffer, kind, limits, big)
    }

    /// As `line`, for lines that are incomplete, negative, long or wrong.
    #[cold]
    fn unusual_line(
        &mut self,
        buffer: &[u8],
        kind: u8,
        limits: &Limits,
        big: ProtocolError,
    ) -> Result<Line, ProtocolError> {
        let Some(end) = self.find(buffer, b'\r', limits.inline_max_bytes, big)? else { return Ok(Line::Incomplete) };
        let Some(&behind) = buffer.get(end + 1) else { return Ok(Line::Incomplete) };
        if buffer[self.at] != kind {
            return Err(ProtocolError::ExpectedBulk(buffer[self.at]));
        }
        if behind != b'\n' {
            return Err(ProtocolError::InvalidLineEnd);
        }
        let number = integer(&buffer[self.at + 1..end]);
        self.at = end + 2;
        Ok(Line::Number(number))
    }

    /// Where `end` first stands in the line at `at`; `None` if it has not arrived, `big` if it is too far.
    fn find(&mut self, buffer: &[u8], end: u8, max: usize, big: ProtocolError) -> Result<Option<usize>, ProtocolError> {
        let within = buffer.len().min(self.at.saturating_add(max).saturating_add(1));
        let from = self.scanned.clamp(self.at, within);
        if let Some(place) = buffer[from..within].iter().position(|&byte| byte == end) {
            self.scanned = from + place;
            return Ok(Some(from + place));
        }
        self.scanned = within;
        if within - self.at > max { Err(big) } else { Ok(None) }
    }

    /// Reads an inline command and rewrites it as an array.
    fn inline(&mut self, buffer: &[u8], limits: &Limits) -> Result<Decoded, ProtocolError> {
        let big = ProtocolError::InlineTooBig;
        let Some(end) = self.find(buffer, b'\n', limits.inline_max_bytes, big)? else {
            return Ok(Decoded::Incomplete { needed: 1 });
        };
        let line = &buffer[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // Two passes: how many words there are must be written, and checked, before the words are.
        let count = split(line, |_| ())?;
        if count > limits.args_max {
            return Err(ProtocolError::InvalidCount);
        }
        if !limits.authenticated && count > UNAUTHENTICATED_ARGS_MAX {
            return Err(ProtocolError::UnauthenticatedCount);
        }
        self.at = end + 1;
        if count == 0 {
            return Ok(self.finish(Source::None));
        }
        push_line(&mut self.scratch, b'*', false, count as u64);
        split(line, |word| {
            push_bulk(&mut self.scratch, word);
            let end = self.scratch.len() - 2;
            self.ranges.push(end - word.len(), end);
        })?;
        debug_assert_eq!(self.ranges.len(), count);
        Ok(self.finish(Source::Scratch))
    }
}

/// Shows the progress only: an inline command may hold a password.
impl fmt::Debug for RequestDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestDecoder({} arguments, {} to come, at byte {})", self.ranges.len(), self.left, self.at)
    }
}

/// Calls `take` with each word of an inline command; returns how many there are.
fn split(mut line: &[u8], mut take: impl FnMut(&[u8])) -> Result<usize, ProtocolError> {
    let (mut word, mut count) = (Vec::new(), 0);
    while inline::next_word(&mut line, &mut word).map_err(|_| ProtocolError::UnbalancedQuotes)? {
        take(&word);
        word.clear();
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
pub(crate) mod tests;
