//! Bytes that may go on later.

use crate::error::Error;

/// Why reading stopped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The bytes end within something: it is read again, from its beginning, when there are more.
    Short,
    /// Nothing that follows can mend it.
    Bad(Error),
}

pub(crate) type Read<T> = Result<T, Stop>;

/// A refusal for good.
pub(crate) fn bad<T>(what: &'static str) -> Read<T> {
    Err(Stop::Bad(Error::Malformed(what)))
}

/// The bytes that are there, and how far they were read.
#[derive(Clone)]
pub(crate) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(crate) fn taken(&self) -> usize {
        self.at
    }

    /// The bytes that were read.
    pub(crate) fn behind(&self) -> &'a [u8] {
        &self.bytes[..self.at]
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len()).ok_or(Stop::Short)?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        Ok(self.bytes(N)?.try_into().expect("so many bytes were taken"))
    }

    pub(crate) fn byte(&mut self) -> Read<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// Reads a whole text that nothing follows: what is short is damaged.
    pub(crate) fn whole<T>(bytes: &'a [u8], read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        let mut input = Self::new(bytes);
        match read(&mut input) {
            Err(Stop::Short) => bad("a string ends within something"),
            Ok(_) if input.left() > 0 => bad("a string goes on behind its contents"),
            result => result,
        }
    }
}
