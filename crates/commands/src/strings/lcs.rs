//! LCS: the longest common subsequence of two strings.

use keyspace::{Context, Keyspace, STRING_BYTES_MAX, StringRef};
use resp::Reply;

use crate::args::Args;
use crate::error::{CommandError, CommandResult, StringError};

/// The options of LCS.
#[derive(Default)]
struct LcsOptions {
    length_only: bool,
    matches: bool,
    match_length_min: usize,
    with_match_length: bool,
}

impl LcsOptions {
    fn parse(args: &mut Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        while !args.is_empty() {
            if args.keyword("LEN") {
                options.length_only = true;
            } else if args.keyword("IDX") {
                options.matches = true;
            } else if args.keyword("WITHMATCHLEN") {
                options.with_match_length = true;
            } else if args.keyword("MINMATCHLEN") {
                options.match_length_min = usize::try_from(args.integer()?).unwrap_or(0);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if options.length_only && options.matches {
            return Err(StringError::LcsLenAndIdx.into());
        }
        Ok(options)
    }
}

/// Lengths of the longest common subsequences of all pairs of prefixes.
struct Lengths<'a> {
    left: &'a [u8],
    right: &'a [u8],
    table: Vec<u32>,
}

impl<'a> Lengths<'a> {
    /// `None`: the table would take more than a string may.
    fn new(left: &'a [u8], right: &'a [u8]) -> Option<Self> {
        let width = right.len() + 1;
        let cells =
            (left.len() + 1).checked_mul(width).filter(|&cells| cells <= STRING_BYTES_MAX / size_of::<u32>())?;
        let mut table = vec![0u32; cells];
        for (row, byte) in left.iter().enumerate() {
            for (column, other) in right.iter().enumerate() {
                let above = row * width + column;
                table[above + width + 1] =
                    if byte == other { table[above] + 1 } else { table[above + 1].max(table[above + width]) };
            }
        }
        Some(Self { left, right, table })
    }

    fn at(&self, row: usize, column: usize) -> u32 {
        self.table[row * (self.right.len() + 1) + column]
    }

    fn total(&self) -> usize {
        self.at(self.left.len(), self.right.len()) as usize
    }

    /// The pairs of equal bytes, from the last to the first.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let (mut row, mut column) = (self.left.len(), self.right.len());
        std::iter::from_fn(move || {
            while row > 0 && column > 0 {
                if self.left[row - 1] == self.right[column - 1] {
                    (row, column) = (row - 1, column - 1);
                    return Some((row, column));
                }
                // redis: t_string.c lcsCommand goes up only if that is longer.
                if self.at(row - 1, column) > self.at(row, column - 1) {
                    row -= 1;
                } else {
                    column -= 1;
                }
            }
            None
        })
    }

    /// The runs of pairs as (place in the left, place in the right, length), from the last to the first.
    fn runs(&self) -> Vec<(usize, usize, usize)> {
        let mut runs: Vec<(usize, usize, usize)> = Vec::new();
        for (row, column) in self.pairs() {
            match runs.last_mut() {
                Some(run) if run.0 == row + 1 && run.1 == column + 1 => *run = (row, column, run.2 + 1),
                _ => runs.push((row, column, 1)),
            }
        }
        runs
    }
}

pub(super) fn lcs(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (left, right) = (args.bytes()?, args.bytes()?);
    let string = |key| {
        let found = keyspace.string(context, key).map_err(|_| StringError::LcsNotStrings)?;
        Ok::<_, CommandError>(found.map(StringRef::to_bytes).unwrap_or_default())
    };
    // redis: t_string.c lcsCommand looks at the keys before it looks at the options.
    let (left, right) = (string(left)?, string(right)?);
    let options = LcsOptions::parse(args)?;
    let lengths = Lengths::new(&left, &right).ok_or(StringError::LcsTooLong)?;
    if options.matches {
        write_matches(&lengths, &options, reply);
    } else if options.length_only {
        reply.count(lengths.total());
    } else {
        let mut common: Vec<u8> = lengths.pairs().map(|(row, _)| left[row]).collect();
        common.reverse();
        reply.bulk(common);
    }
    Ok(())
}

fn write_matches(lengths: &Lengths<'_>, options: &LcsOptions, reply: &mut Reply) {
    let runs = lengths.runs();
    let shown = || runs.iter().filter(|run| run.2 >= options.match_length_min);
    reply.map(2);
    reply.bulk("matches");
    reply.array(shown().count());
    for &(row, column, length) in shown() {
        reply.array(2 + usize::from(options.with_match_length));
        for start in [row, column] {
            reply.array(2);
            reply.count(start);
            reply.count(start + length - 1);
        }
        if options.with_match_length {
            reply.count(length);
        }
    }
    reply.bulk("len");
    reply.count(lengths.total());
}
