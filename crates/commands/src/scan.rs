//! What HSCAN, SSCAN and ZSCAN have in common: their options. (SCAN itself walks over keys, and is one of theirs.)

use keyspace::matches_glob;

use crate::args::Args;
use crate::error::CommandError;

/// How many elements a step looks at, unless COUNT says so.
const COUNT_DEFAULT: usize = 10;

/// The options of HSCAN, SSCAN and ZSCAN.
pub(crate) struct ScanOptions<'a> {
    pattern: Option<&'a [u8]>,
    /// How many elements the step looks at; positive.
    pub(crate) count: usize,
    /// Fields without their values (HSCAN alone).
    pub(crate) no_values: bool,
}

impl<'a> ScanOptions<'a> {
    /// Takes MATCH and COUNT, and NOVALUES where it is allowed, to the end of the arguments.
    pub(crate) fn parse(args: &mut Args<'a>, allows_no_values: bool) -> Result<Self, CommandError> {
        let mut options = Self { pattern: None, count: COUNT_DEFAULT, no_values: false };
        while !args.is_empty() {
            if args.keyword("COUNT") {
                let count = args.integer()?;
                options.count = usize::try_from(count).ok().filter(|&count| count > 0).ok_or(CommandError::Syntax)?;
            } else if args.keyword("MATCH") {
                options.pattern = Some(args.bytes()?);
            } else if allows_no_values && args.keyword("NOVALUES") {
                options.no_values = true;
            } else if args.keyword("NOVALUES") {
                return Err(CommandError::NoValuesToLeaveOut);
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
