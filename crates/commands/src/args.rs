//! The cursor with which a handler takes its arguments.

use keyspace::{parse_double, parse_integer};
use resp::Arguments;

use crate::error::{CommandError, CommandResult};

/// The arguments of one command behind its name (and behind its subcommand's). Taking one that is not there is a syntax error: the
/// arity has been checked, so only options come to that.
#[derive(Clone)]
pub struct Args<'a> {
    arguments: Arguments<'a>,
    at: usize,
    /// Where they end.
    end: usize,
}

impl<'a> Args<'a> {
    /// A cursor at this place of the arguments: 1 behind a command's name, 2 behind a subcommand's.
    pub fn new(arguments: Arguments<'a>, at: usize) -> Self {
        Self { arguments, at, end: arguments.len() }
    }

    /// The first argument behind the command's name as the client wrote it: a subcommand's name.
    pub fn subcommand(&self) -> &'a [u8] {
        self.arguments.get(1).unwrap_or_default()
    }

    /// The command's name as the client wrote it.
    pub fn name(&self) -> &'a [u8] {
        self.arguments.name()
    }

    /// How many arguments are left.
    pub fn remaining(&self) -> usize {
        self.end - self.at.min(self.end)
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// The next argument, left where it is.
    pub fn peek(&self) -> Option<&'a [u8]> {
        if self.at < self.end { self.arguments.get(self.at) } else { None }
    }

    /// Takes an argument as it is.
    pub fn bytes(&mut self) -> Result<&'a [u8], CommandError> {
        let bytes = self.peek().ok_or(CommandError::Syntax)?;
        self.at += 1;
        Ok(bytes)
    }

    /// Takes a 64-bit integer.
    pub fn integer(&mut self) -> Result<i64, CommandError> {
        parse_integer(self.bytes()?).ok_or(CommandError::NotInteger)
    }

    /// Takes an integer that is not negative.
    pub fn unsigned(&mut self) -> Result<u64, CommandError> {
        u64::try_from(self.integer()?).map_err(|_| CommandError::NotInteger)
    }

    /// Takes the cursor of a SCAN: what strtoull reads, so there may be blanks and a plus in front.
    pub fn cursor(&mut self) -> Result<u64, CommandError> {
        let text = std::str::from_utf8(self.bytes()?).map_err(|_| CommandError::InvalidCursor)?;
        let number = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
        number.parse().map_err(|_| CommandError::InvalidCursor)
    }

    /// Takes a double: a score, an increment of one.
    pub fn double(&mut self) -> Result<f64, CommandError> {
        parse_double(self.bytes()?).ok_or(CommandError::NotFloat)
    }

    /// Takes the next argument if it is this keyword (in upper case), in any case.
    pub fn keyword(&mut self, keyword: &str) -> bool {
        let is_next = self.peek().is_some_and(|next| next.eq_ignore_ascii_case(keyword.as_bytes()));
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes what stands in front of a keyword (in upper case), and the keyword. `None`: it is not there, and nothing was taken.
    pub fn until(&mut self, keyword: &str) -> Option<Self> {
        let count = self.rest().position(|argument| argument.eq_ignore_ascii_case(keyword.as_bytes()))?;
        let front = Self { end: self.at + count, ..self.clone() };
        self.at += count + 1;
        Some(front)
    }

    /// Everything that is left, without taking it. With [`Args::clone`], the way to look at arguments before acting on them.
    pub fn rest(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.arguments.between(self.at.min(self.end)..self.end)
    }

    /// Takes everything that is left.
    pub fn take_rest(&mut self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let rest = self.rest();
        self.at = self.end;
        rest
    }

    /// Refuses what is left over. Every handler calls it (or takes the rest) before it touches the keyspace.
    pub fn end(&self) -> CommandResult {
        if self.is_empty() { Ok(()) } else { Err(CommandError::Syntax) }
    }
}
