//! Replies as owned values: for tests, tools and simulated clients. The server itself never reads a reply.

use crate::skip::length;
use std::fmt;

/// Aggregates may be nested so deep; deeper ones are refused, since they are parsed by recursion.
const DEPTH_MAX: usize = 64;

/// One reply. Texts are kept as bytes; RESP2 and RESP3 differ only in which variants occur.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `+`: a status.
    Simple(Vec<u8>),
    /// `-` or `!`: an error, its code first.
    Error(Vec<u8>),
    /// `:`
    Integer(i64),
    /// `$`
    Bulk(Vec<u8>),
    /// `_`, or RESP2's `$-1`.
    Null,
    /// RESP2's `*-1`.
    NullArray,
    /// `#`
    Boolean(bool),
    /// `,`: a double, as the text that was sent.
    Double(Vec<u8>),
    /// `(`: an integer of any size, as the text that was sent.
    BigNumber(Vec<u8>),
    /// `=`
    Verbatim {
        /// What the text is: `txt` or `mkd`.
        format: [u8; 3],
        /// The text itself.
        text: Vec<u8>,
    },
    /// `*`
    Array(Vec<Self>),
    /// `%`, in the order sent.
    Map(Vec<(Self, Self)>),
    /// `~`, in the order sent.
    Set(Vec<Self>),
    /// `>`: a message that answers no command.
    Push(Vec<Self>),
    /// `|`: a reply with attributes.
    Attributed {
        /// The attributes, in the order sent.
        attributes: Vec<(Self, Self)>,
        /// The reply that they are about.
        value: Box<Self>,
    },
}

/// The bytes are no reply, or one nested deeper than 64 aggregates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedReply;

impl Value {
    /// The bytes of a string of any kind, of an error, or of a number sent as text.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(text)
            | Self::Error(text)
            | Self::Bulk(text)
            | Self::Double(text)
            | Self::BigNumber(text)
            | Self::Verbatim { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The integer that was sent as one.
    pub const fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(value) = self { Some(*value) } else { None }
    }

    /// The elements of an array, a set or a push.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) | Self::Set(elements) | Self::Push(elements) => Some(elements),
            _ => None,
        }
    }

    /// The line of an error.
    pub fn as_error(&self) -> Option<&[u8]> {
        if let Self::Error(line) = self { Some(line) } else { None }
    }

    /// Whether it is a null of either protocol.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null | Self::NullArray)
    }
}

/// Reads the reply at the start of `bytes`: the reply and how many bytes it is, or `None` if more bytes must come.
/// Starts from the beginning at each call, and allocates no more than a small multiple of `bytes`.
///
/// # Errors
///
/// [`MalformedReply`] if no bytes to come could make it a reply, or it is nested too deep.
pub fn parse_reply(bytes: &[u8]) -> Result<Option<(Value, usize)>, MalformedReply> {
    let mut parser = Parser { bytes, at: 0 };
    match parser.value(0) {
        Ok(value) => Ok(Some((value, parser.at))),
        Err(Stop::Incomplete) => Ok(None),
        Err(Stop::Malformed) => Err(MalformedReply),
    }
}

enum Stop {
    Incomplete,
    Malformed,
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::Malformed);
        }
        let (kind, text) = self.line()?;
        Ok(match kind {
            b'+' => Value::Simple(text.to_vec()),
            b'-' => Value::Error(text.to_vec()),
            b':' => Value::Integer(crate::number::integer(text).ok_or(Stop::Malformed)?),
            b'_' if text.is_empty() => Value::Null,
            b'#' if text == b"t" => Value::Boolean(true),
            b'#' if text == b"f" => Value::Boolean(false),
            b',' => Value::Double(text.to_vec()),
            b'(' => Value::BigNumber(text.to_vec()),
            b'$' => match announced(text)? {
                Some(length) => Value::Bulk(self.body(length)?.to_vec()),
                None => Value::Null,
            },
            b'!' => Value::Error(self.body(counted(text)?)?.to_vec()),
            b'=' => {
                let body = self.body(counted(text)?)?;
                let (format, text) = body.split_first_chunk::<3>().ok_or(Stop::Malformed)?;
                let text = text.strip_prefix(b":").ok_or(Stop::Malformed)?;
                Value::Verbatim { format: *format, text: text.to_vec() }
            }
            b'*' => match announced(text)? {
                Some(count) => Value::Array(self.elements(count, depth)?),
                None => Value::NullArray,
            },
            b'~' => Value::Set(self.elements(counted(text)?, depth)?),
            b'>' => Value::Push(self.elements(counted(text)?, depth)?),
            b'%' => Value::Map(self.pairs(counted(text)?, depth)?),
            b'|' => {
                let attributes = self.pairs(counted(text)?, depth)?;
                Value::Attributed { attributes, value: Box::new(self.value(depth + 1)?) }
            }
            _ => return Err(Stop::Malformed),
        })
    }

    /// The type byte and the rest of the line.
    fn line(&mut self) -> Result<(u8, &'a [u8]), Stop> {
        let rest = &self.bytes[self.at..];
        if rest.first().is_some_and(|kind| !b"+-:$*_#,(=!~>%|".contains(kind)) {
            return Err(Stop::Malformed);
        }
        let end = rest.windows(2).position(|two| two == b"\r\n").ok_or(Stop::Incomplete)?;
        let (&kind, text) = rest[..end].split_first().ok_or(Stop::Malformed)?;
        self.at += end + 2;
        Ok((kind, text))
    }

    /// `length` bytes and a line end.
    fn body(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let (body, behind) = rest.split_at_checked(length).ok_or(Stop::Incomplete)?;
        match behind {
            [b'\r', b'\n', ..] => self.at += length + 2,
            [] | [b'\r'] => return Err(Stop::Incomplete),
            _ => return Err(Stop::Malformed),
        }
        Ok(body)
    }

    /// Nothing is reserved for what is only announced.
    fn elements(&mut self, count: usize, depth: usize) -> Result<Vec<Value>, Stop> {
        (0..count).map(|_| self.value(depth + 1)).collect()
    }

    fn pairs(&mut self, count: usize, depth: usize) -> Result<Vec<(Value, Value)>, Stop> {
        (0..count).map(|_| Ok((self.value(depth + 1)?, self.value(depth + 1)?))).collect()
    }
}

/// A length that may be the null of RESP2.
fn announced(text: &[u8]) -> Result<Option<usize>, Stop> {
    length(text).ok_or(Stop::Malformed)
}

/// A length that may not.
fn counted(text: &[u8]) -> Result<usize, Stop> {
    announced(text)?.ok_or(Stop::Malformed)
}

impl fmt::Display for MalformedReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a reply of RESP2 or RESP3")
    }
}

impl std::error::Error for MalformedReply {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(bytes: &[u8]) -> Value {
        let (value, end) = parse_reply(bytes).unwrap().unwrap();
        assert_eq!(end, bytes.len());
        value
    }

    #[test]
    fn every_type_is_read() {
        assert_eq!(parsed(b"+OK\r\n"), Value::Simple(b"OK".to_vec()));
        assert_eq!(parsed(b"-ERR no\r\n").as_error(), Some(&b"ERR no"[..]));
        assert_eq!(parsed(b"!6\r\nERR no\r\n").as_error(), Some(&b"ERR no"[..]));
        assert_eq!(parsed(b":-7\r\n").as_integer(), Some(-7));
        assert_eq!(parsed(b"$3\r\na\r\n\r\n").as_bytes(), Some(&b"a\r\n"[..]));
        assert!(parsed(b"$-1\r\n").is_null() && parsed(b"*-1\r\n").is_null() && parsed(b"_\r\n").is_null());
        assert_eq!(parsed(b"#f\r\n"), Value::Boolean(false));
        assert_eq!(parsed(b",-inf\r\n"), Value::Double(b"-inf".to_vec()));
        assert_eq!(parsed(b"=6\r\nmkd:# \r\n"), Value::Verbatim { format: *b"mkd", text: b"# ".to_vec() });
        let (one, two) = (Value::Integer(1), Value::Integer(2));
        assert_eq!(parsed(b">2\r\n:1\r\n:2\r\n").as_array(), Some(&[one.clone(), two.clone()][..]));
        assert_eq!(parsed(b"%1\r\n:1\r\n:2\r\n"), Value::Map(vec![(one.clone(), two.clone())]));
        let attributed = Value::Attributed { attributes: vec![(one, two)], value: Box::new(Value::Set(Vec::new())) };
        assert_eq!(parsed(b"|1\r\n:1\r\n:2\r\n~0\r\n"), attributed);
    }

    #[test]
    fn what_cannot_become_a_reply_is_malformed() {
        for bytes in [
            &b"PING"[..],
            b"\r\n",
            b":x\r\n",
            b"$-2\r\n",
            b"%-1\r\n",
            b"=2\r\nab\r\n",
            b"$1\r\nabc",
            b"#x\r\n",
            b"_x\r\n",
        ] {
            assert_eq!(parse_reply(bytes), Err(MalformedReply), "{}", bytes.escape_ascii());
        }
        assert_eq!(parse_reply(b""), Ok(None));
    }

    #[test]
    fn nesting_is_bounded_and_an_announced_length_costs_nothing() {
        let nested = |depth: usize| format!("{}:1\r\n", "*1\r\n".repeat(depth)).into_bytes();
        assert!(parse_reply(&nested(DEPTH_MAX)).unwrap().is_some());
        assert_eq!(parse_reply(&nested(DEPTH_MAX + 1)), Err(MalformedReply));
        assert_eq!(parse_reply(b"*9223372036854775807\r\n:1\r\n"), Ok(None));
        assert_eq!(parse_reply(b"$9223372036854775807\r\n"), Ok(None));
    }
}
