//! What HSCAN, SSCAN and ZSCAN have in common: their options. (SCAN itself walks over keys, and is one of theirs.)

use keyspace::matches_glob;

use crate::args::Args;
use crate::error::CommandError;

/// How many elements a step looks at, unless COUNT says so.
const COUNT_DEFAULT: usize = 10;

/// What a walk shows with each element, and may leave out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Fields have values.
    Values,
    /// Members of sorted sets have scores.
    Scores,
    /// Members of sets are alone.
    Nothing,
}

/// The options of HSCAN, SSCAN and ZSCAN.
pub(crate) struct ScanOptions<'a> {
    pattern: Option<&'a [u8]>,
    /// How many elements the step looks at; positive.
    pub(crate) count: usize,
    /// Elements without what they have beside them.
    pub(crate) is_bare: bool,
}

impl<'a> ScanOptions<'a> {
    /// Takes MATCH and COUNT, and NOVALUES or NOSCORES where there are such, to the end of the arguments.
    pub(crate) fn parse(args: &mut Args<'a>, beside: Beside) -> Result<Self, CommandError> {
        let mut options = Self { pattern: None, count: COUNT_DEFAULT, is_bare: false };
        while !args.is_empty() {
            if args.keyword("COUNT") {
                let count = args.integer()?;
                options.count = usize::try_from(count).ok().filter(|&count| count > 0).ok_or(CommandError::Syntax)?;
            } else if args.keyword("MATCH") {
                options.pattern = Some(args.bytes()?);
            } else if args.keyword("NOVALUES") {
                if beside != Beside::Values {
                    return Err(CommandError::NoValuesToLeaveOut);
                }
                options.is_bare = true;
            } else if args.keyword("NOSCORES") {
                if beside != Beside::Scores {
                    return Err(CommandError::NoScoresToLeaveOut);
                }
                options.is_bare = true;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// Whether the step returns this element.
    pub(crate) fn matches(&self, element: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| matches_glob(pattern, element, false))
    }
}
