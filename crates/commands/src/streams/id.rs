//! Ids as clients write them.

use keyspace::StreamId;
use resp::Reply;

use crate::args::Args;
use crate::error::{CommandError, StreamError};

/// The longest text that is looked at.
const TEXT_BYTES_MAX: usize = 127;

/// The id that XADD is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewId {
    /// `*`
    Auto,
    /// `ms-*`
    OfTime(u64),
    /// `ms-seq`
    Exactly(StreamId),
}

/// Reads a number as strtoull does where it is not written as this program would: there may be blanks, a sign and zeros in front. A negative
/// one counts from the end of 64 bits, but in its plain form.
fn parse_number(text: &[u8]) -> Option<u64> {
    let unsigned = |digits: &[u8]| {
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        if is_number { std::str::from_utf8(digits).ok()?.parse::<u64>().ok() } else { None }
    };
    if let Some(number) = keyspace::parse_integer(text) {
        return u64::try_from(number).ok();
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let text = &text[text.iter().take_while(|byte| is_blank(byte)).count()..];
    match text {
        [b'-', digits @ ..] => unsigned(digits).map(u64::wrapping_neg),
        [b'+', digits @ ..] | digits => unsigned(digits),
    }
}

/// `ms`, `ms-seq` or `ms-*`; `None` for the sequence: there is none, and whether it is left to the server.
fn parse_parts(text: &[u8]) -> Option<(u64, Option<u64>, bool)> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    // A zero byte ends the strings of Redis.
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    match text.iter().position(|&byte| byte == b'-') {
        None => Some((parse_number(text)?, None, false)),
        Some(at) if &text[at + 1..] == b"*" => Some((parse_number(&text[..at])?, None, true)),
        Some(at) => Some((parse_number(&text[..at])?, Some(parse_number(&text[at + 1..])?), false)),
    }
}

/// An id of the forms `ms` and `ms-seq`; what is missing is filled in.
pub(super) fn parse_id(text: &[u8], missing_seq: u64) -> Result<StreamId, StreamError> {
    match parse_parts(text) {
        Some((ms, seq, false)) => Ok(StreamId::new(ms, seq.unwrap_or(missing_seq))),
        _ => Err(StreamError::InvalidId),
    }
}

/// As [`parse_id`], or `-` or `+` for the least and the greatest.
pub(super) fn parse_bound(text: &[u8], missing_seq: u64) -> Result<StreamId, StreamError> {
    match text {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => parse_id(text, missing_seq),
    }
}

/// The id of XADD.
pub(super) fn parse_new_id(text: &[u8]) -> Result<NewId, StreamError> {
    match parse_parts(text).ok_or(StreamError::InvalidId)? {
        (ms, None, true) => Ok(NewId::OfTime(ms)),
        (ms, seq, _) => Ok(NewId::Exactly(StreamId::new(ms, seq.unwrap_or(0)))),
    }
}

/// The first id of a range, which may be excluded by a bracket in front.
pub(super) fn parse_start(text: &[u8]) -> Result<StreamId, StreamError> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => parse_id(id, 0)?.next().ok_or(StreamError::InvalidStart),
        _ => parse_bound(text, 0),
    }
}

/// The last id of a range.
pub(super) fn parse_end(text: &[u8]) -> Result<StreamId, StreamError> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => parse_id(id, u64::MAX)?.previous().ok_or(StreamError::InvalidEnd),
        _ => parse_bound(text, u64::MAX),
    }
}

/// Takes an id.
pub(super) fn take_id(args: &mut Args<'_>) -> Result<StreamId, CommandError> {
    Ok(parse_id(args.bytes()?, 0)?)
}

/// Takes all ids that are left.
pub(super) fn take_ids(args: &mut Args<'_>) -> Result<Vec<StreamId>, CommandError> {
    args.take_rest().map(|text| Ok(parse_id(text, 0)?)).collect()
}

/// Writes an id.
pub(super) fn write_id(reply: &mut Reply, id: StreamId) {
    reply.bulk(id.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_redis_does() {
        let id = |text: &str| parse_id(text.as_bytes(), 7).ok().map(|id| (id.ms, id.seq));
        assert_eq!(id("5"), Some((5, 7)));
        assert_eq!(id("5-0"), Some((5, 0)));
        assert_eq!(id("18446744073709551615-18446744073709551615"), Some((u64::MAX, u64::MAX)));
        assert_eq!(id(" 05-+3"), Some((5, 3)));
        assert_eq!(id("1--05"), Some((1, u64::MAX - 4)));
        for bad in ["", "-", "+", "5-", "-5", "5-*", "*", "5-6-7", "1--5", "18446744073709551616", "a", "5 ", "(5"] {
            assert_eq!(id(bad), None, "{bad}");
        }
        assert_eq!(parse_new_id(b"5-*"), Ok(NewId::OfTime(5)));
        assert_eq!(parse_start(b"(5-18446744073709551615"), Ok(StreamId::new(6, 0)));
        assert_eq!(parse_end(b"(5"), Ok(StreamId::new(5, u64::MAX - 1)));
        assert_eq!(parse_end(b"(0-0"), Err(StreamError::InvalidEnd));
        assert_eq!(parse_start(b"(-"), Err(StreamError::InvalidId));
    }
}
