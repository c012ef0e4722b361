//! Strings: bytes, counters and sums.
//!
//! A string of at most [`INLINE_BYTES_MAX`] is kept with its key, a longer one as a [`BigString`] beside it. A number is kept as its
//! digits: OBJECT ENCODING and INCR read them.

use std::borrow::Cow;
use std::hash::Hasher;

use triomphe::Arc;
use twox_hash::XxHash3_64;

use crate::access::Accesses;
use crate::big_string::BigString;
use crate::collection::{Collection, CollectionValue};
use crate::context::Context;
use crate::error::DataError;
use crate::hash::HashValue;
use crate::integer::{format_integer, parse_integer};
use crate::keyspace::{Found, Keyspace, Place};
use crate::part::NewBody;
use crate::record::Body;

/// The longest string that is kept with its key, in bytes.
pub const INLINE_BYTES_MAX: usize = 16 * 1024;

/// The longest string, in bytes (Redis's default `proto-max-bulk-len`).
pub const STRING_BYTES_MAX: usize = 512 * 1024 * 1024;

/// The longest string that OBJECT ENCODING calls `embstr`.
const EMBSTR_BYTES_MAX: usize = 44;

/// A string in the keyspace.
#[derive(Clone, Copy)]
pub enum StringRef<'a> {
    /// In one piece; and whether it counts as raw whatever its length.
    Inline(&'a [u8], bool),
    /// In chunks.
    Big(&'a BigString),
}

impl<'a> StringRef<'a> {
    /// The bytes in the string.
    pub fn len(self) -> usize {
        match self {
            Self::Inline(bytes, _) => bytes.len(),
            Self::Big(big) => big.len(),
        }
    }

    /// Whether the string has no bytes.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The string's pieces, in order.
    pub fn pieces(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        let (one, many) = match self {
            Self::Inline(bytes, _) => (Some(bytes), None),
            Self::Big(big) => (None, Some(big.pieces())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The pieces of the bytes from `start` up to `end`, both at most the length.
    pub fn range(self, start: usize, end: usize) -> impl Iterator<Item = &'a [u8]> + Clone {
        let (one, many) = match self {
            Self::Inline(bytes, _) => (bytes.get(start..end), None),
            Self::Big(big) => (None, Some(big.range(start, end))),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The string in one piece; a copy if it is big.
    pub fn to_bytes(self) -> Cow<'a, [u8]> {
        match self {
            Self::Inline(bytes, _) => Cow::Borrowed(bytes),
            Self::Big(big) => Cow::Owned(big.pieces().collect::<Vec<_>>().concat()),
        }
    }

    /// Whether these are its bytes.
    pub fn is(self, bytes: &[u8]) -> bool {
        let mut rest = Some(bytes);
        self.pieces().for_each(|piece| rest = rest.and_then(|rest| rest.strip_prefix(piece)));
        rest.is_some_and(<[u8]>::is_empty)
    }

    /// The XXH3 of its bytes, of 64 bits: what DIGEST shows.
    pub fn xxh3(self) -> u64 {
        if let Self::Inline(bytes, _) = self {
            return XxHash3_64::oneshot(bytes);
        }
        let mut hasher = XxHash3_64::new();
        self.pieces().for_each(|piece| hasher.write(piece));
        hasher.finish()
    }

    /// What OBJECT ENCODING answers.
    pub fn encoding(self) -> &'static str {
        match self {
            Self::Inline(bytes, false) if parse_integer(bytes).is_some() => "int",
            Self::Inline(bytes, false) if bytes.len() <= EMBSTR_BYTES_MAX => "embstr",
            _ => "raw",
        }
    }
}

/// What a write does to the deadline of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadlineChange {
    /// The key no longer expires.
    Clear,
    /// The deadline stays, if there is one.
    Keep,
    /// The key expires at this time, in ms since 1970. One that has passed removes the key.
    At(u64),
}

impl<'a> Found<'a> {
    /// The string at the key.
    pub(crate) fn string(self) -> Result<StringRef<'a>, DataError> {
        match self.record.body {
            Body::Inline { bytes, raw } => Ok(StringRef::Inline(bytes, raw)),
            Body::PackedHash { .. } => Err(DataError::WrongType),
            Body::Beside { .. } => self.value::<BigString>().map(StringRef::Big),
        }
    }
}

impl Keyspace {
    /// The string at a key, for a command that reads. `None`: no such key.
    pub fn string(&self, context: &Context, key: &[u8]) -> Result<Option<StringRef<'_>>, DataError> {
        self.look_up(context, key).map(Found::string).transpose()
    }

    /// What OBJECT ENCODING answers for a key.
    pub fn encoding(&self, context: &Context, key: &[u8]) -> Option<&'static str> {
        let found = self.peek(context, key)?;
        Some(match found.record.body {
            Body::Inline { bytes, raw } => StringRef::Inline(bytes, raw).encoding(),
            Body::PackedHash { .. } => HashValue::empty().encoding(),
            Body::Beside { place, .. } => found.part.value(place).encoding(),
        })
    }

    /// Sets a key to a string, whatever was there.
    pub fn set_string(&mut self, context: &Context, key: &[u8], bytes: &[u8], deadline: DeadlineChange) {
        let place = self.place(context.database, key);
        if self.accesses() != Accesses::Timed
            && let Some(found) = self.find(place, key)
        {
            self.mark_access(context, place, found);
        }
        let deadline_ms = match deadline {
            DeadlineChange::Clear => None,
            DeadlineChange::At(deadline_ms) if deadline_ms <= context.now_ms => {
                self.remove_at(place, key);
                return;
            }
            DeadlineChange::At(deadline_ms) => Some(deadline_ms),
            DeadlineChange::Keep => {
                let kept = self.find(place, key).and_then(|found| found.record.deadline_ms);
                kept.filter(|&deadline_ms| deadline_ms > context.now_ms)
            }
        };
        self.put_string_at(place, key, bytes, false, deadline_ms);
    }

    pub(crate) fn put_string_at(
        &mut self,
        place: Place,
        key: &[u8],
        bytes: &[u8],
        raw: bool,
        deadline_ms: Option<u64>,
    ) {
        debug_assert!(bytes.len() <= STRING_BYTES_MAX);
        if bytes.len() <= INLINE_BYTES_MAX {
            self.put_at(place, key, NewBody::Inline(bytes, raw), deadline_ms);
            return;
        }
        let mut big = BigString::empty();
        big.append(bytes);
        self.put_at(place, key, NewBody::Beside(Collection::String(Arc::new(big))), deadline_ms);
    }

    /// Adds bytes at the end of a string, or makes a new one of them. Returns the new length.
    pub fn append(&mut self, context: &Context, key: &[u8], bytes: &[u8]) -> Result<usize, DataError> {
        let place = self.place_to_write(context, key);
        let Some(found) = self.find(place, key) else {
            self.put_string_at(place, key, bytes, false, None);
            return Ok(bytes.len());
        };
        let length = found.string()?.len();
        self.write_at(place, key, length, bytes)
    }

    /// Writes bytes at an offset of a string, after zeros where nothing was. Returns the new length.
    pub fn set_range(
        &mut self,
        context: &Context,
        key: &[u8],
        offset: usize,
        bytes: &[u8],
    ) -> Result<usize, DataError> {
        let place = self.place_to_write(context, key);
        if bytes.is_empty() {
            return self.find(place, key).map_or(Ok(0), |found| Ok(found.string()?.len()));
        }
        self.write_at(place, key, offset, bytes)
    }

    /// Writes at a place that a command was given to write. The string becomes raw.
    pub(crate) fn write_at(
        &mut self,
        place: Place,
        key: &[u8],
        offset: usize,
        bytes: &[u8],
    ) -> Result<usize, DataError> {
        let found = self.find(place, key);
        let deadline_ms = found.and_then(|found| found.record.deadline_ms);
        let old = found.map(Found::string).transpose()?;
        let end = offset.saturating_add(bytes.len());
        if end > STRING_BYTES_MAX {
            return Err(DataError::StringTooLong);
        }
        match old {
            Some(StringRef::Big(_)) => {
                // The key's access is marked already.
                let mut big = self.edit_at::<BigString>(place, key)?;
                big.write(offset, bytes);
                Ok(big.len())
            }
            Some(StringRef::Inline(old, _)) if end <= INLINE_BYTES_MAX => {
                let mut new = old.to_vec();
                new.resize(old.len().max(end), 0);
                new[offset..end].copy_from_slice(bytes);
                self.put_string_at(place, key, &new, true, deadline_ms);
                Ok(new.len())
            }
            _ => {
                let mut big = BigString::empty();
                old.into_iter().flat_map(StringRef::pieces).for_each(|piece| big.append(piece));
                big.write(offset, bytes);
                let length = big.len();
                if length <= INLINE_BYTES_MAX {
                    let bytes = StringRef::Big(&big).to_bytes().into_owned();
                    self.put_string_at(place, key, &bytes, true, deadline_ms);
                } else {
                    self.put_at(place, key, NewBody::Beside(Collection::String(Arc::new(big))), deadline_ms);
                }
                Ok(length)
            }
        }
    }

    /// Adds to the integer at a key (absent: 0). Keeps the deadline. Returns the sum.
    pub fn increment(&mut self, context: &Context, key: &[u8], by: i64) -> Result<i64, DataError> {
        let place = self.place_to_write(context, key);
        let (old, deadline_ms) = match self.find(place, key) {
            None => (0, None),
            Some(found) => match found.string()? {
                StringRef::Inline(bytes, _) => {
                    (parse_integer(bytes).ok_or(DataError::NotInteger)?, found.record.deadline_ms)
                }
                StringRef::Big(_) => return Err(DataError::NotInteger),
            },
        };
        let sum = old.checked_add(by).ok_or(DataError::Overflow)?;
        self.put_string_at(place, key, &format_integer(sum), false, deadline_ms);
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_string_has_the_digest_of_its_bytes_and_equals_them() {
        let bytes: Vec<u8> = (0..60_000u32).map(|number| number.to_le_bytes()[number as usize % 2]).collect();
        let mut big = BigString::empty();
        big.append(&bytes);
        let (big, inline) = (StringRef::Big(&big), StringRef::Inline(&bytes, false));
        assert_eq!(big.xxh3(), inline.xxh3());
        assert!(big.is(&bytes) && inline.is(&bytes));
        assert!(!big.is(&bytes[1..]) && !big.is(&bytes[..59_999]) && !big.is(b""));
        assert!(StringRef::Inline(b"", false).is(b""));
    }

    /// The examples of Redis's documentation and of its tests.
    #[test]
    fn digests_are_those_of_redis() {
        assert_eq!(StringRef::Inline(b"Hello world", false).xxh3(), 0xb6ac_b9d8_4a38_ff74);
        let zeros = b"v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd";
        assert_eq!(StringRef::Inline(zeros, false).xxh3(), 0x0000_6c38_adf3_1777);
    }
}
