//! What LMPOP, ZMPOP and those of their kin that wait have in common: from which keys they pop, at which end, and how many.

use keyspace::{Context, parse_integer};

use crate::args::Args;
use crate::blocking::check_seconds;
use crate::error::CommandError;

/// The arguments; `E` says what an end is.
pub(crate) struct Pops<'a, E> {
    pub(crate) keys: Vec<&'a [u8]>,
    pub(crate) end: E,
    pub(crate) count: usize,
}

impl<'a, E> Pops<'a, E> {
    /// `numkeys key [key ...] <end> [COUNT count]`
    pub(crate) fn parse(
        args: &mut Args<'a>,
        take_end: impl FnOnce(&mut Args<'a>) -> Result<E, CommandError>,
    ) -> Result<Self, CommandError> {
        let key_count = above_zero(args.bytes()?).ok_or(CommandError::NoKeys)?;
        if key_count >= args.remaining() {
            return Err(CommandError::Syntax);
        }
        let keys = (0..key_count).map(|_| args.bytes()).collect::<Result<_, _>>()?;
        let end = take_end(args)?;
        let mut count = 1;
        if args.keyword("COUNT") {
            count = above_zero(args.bytes()?).ok_or(CommandError::CountNotPositive)?;
        }
        args.end()?;
        Ok(Self { keys, end, count })
    }

    /// As [`Self::parse`], behind the time to wait: that is looked at last.
    pub(crate) fn parse_waiting(
        args: &mut Args<'a>,
        context: &Context,
        take_end: impl FnOnce(&mut Args<'a>) -> Result<E, CommandError>,
    ) -> Result<Self, CommandError> {
        let timeout = args.bytes()?;
        let pops = Self::parse(args, take_end)?;
        check_seconds(timeout, context)?;
        Ok(pops)
    }
}

fn above_zero(text: &[u8]) -> Option<usize> {
    parse_integer(text).and_then(|count| usize::try_from(count).ok()).filter(|&count| count > 0)
}
