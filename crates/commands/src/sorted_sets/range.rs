//! Ranges of sorted sets, by rank, score or name. All of them end as a range of ranks.

use std::ops::Range;

use keyspace::{Context, Keyspace, SortedSetValue, parse_double};
use resp::Reply;

use super::write_members;
use crate::args::Args;
use crate::error::{CommandError, CommandResult};

/// What a range counts by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Name,
}

/// A range of members.
enum Span<'a> {
    /// From one rank to another, both included; negative ones count from the end.
    Ranks(i64, i64),
    Scores(Bound<f64>, Bound<f64>),
    Names(Bound<&'a [u8]>, Bound<&'a [u8]>),
}

/// One end of a range of scores or names.
#[derive(Clone, Copy)]
enum Bound<T> {
    /// Before everything: `-`.
    First,
    /// Behind everything: `+`.
    Last,
    Included(T),
    Excluded(T),
}

impl<T: Copy + PartialOrd> Bound<T> {
    /// Whether something lies before a range that begins here.
    fn begins_behind(&self, value: T) -> bool {
        match self {
            Self::First => false,
            Self::Last => true,
            Self::Included(bound) => value < *bound,
            Self::Excluded(bound) => value <= *bound,
        }
    }

    /// Whether something lies before the end of a range that ends here.
    fn ends_behind(&self, value: T) -> bool {
        match self {
            Self::First => false,
            Self::Last => true,
            Self::Included(bound) => value <= *bound,
            Self::Excluded(bound) => value < *bound,
        }
    }
}

/// Reads a bound of scores: a number, or a number behind `(`. Nothing at all is zero, and what is too big is infinite, as C's
/// `strtod` has it.
fn score_bound(argument: &[u8]) -> Result<Bound<f64>, CommandError> {
    let (text, is_open) = match argument {
        [b'(', text @ ..] => (text, true),
        text => (text, false),
    };
    let saturated = || std::str::from_utf8(text).ok()?.parse::<f64>().ok().filter(|number| !number.is_nan());
    let number = if text.is_empty() { Some(0.0) } else { parse_double(text).or_else(saturated) };
    let number = number.ok_or(CommandError::BoundsNotFloats)?;
    Ok(if is_open { Bound::Excluded(number) } else { Bound::Included(number) })
}

/// Reads a bound of names: `-`, `+`, or a name behind `[` or `(`.
fn name_bound(argument: &[u8]) -> Result<Bound<&[u8]>, CommandError> {
    match argument {
        [b'-'] => Ok(Bound::First),
        [b'+'] => Ok(Bound::Last),
        [b'[', name @ ..] => Ok(Bound::Included(name)),
        [b'(', name @ ..] => Ok(Bound::Excluded(name)),
        _ => Err(CommandError::BoundsNotNames),
    }
}

impl<'a> Span<'a> {
    fn parse(by: By, low: &'a [u8], high: &'a [u8]) -> Result<Self, CommandError> {
        let integer = |argument| keyspace::parse_integer(argument).ok_or(CommandError::NotInteger);
        match by {
            By::Rank => Ok(Self::Ranks(integer(low)?, integer(high)?)),
            By::Score => Ok(Self::Scores(score_bound(low)?, score_bound(high)?)),
            By::Name => Ok(Self::Names(name_bound(low)?, name_bound(high)?)),
        }
    }

    /// The ranks of the members in the range; counted from the end if reversed, which only a range of ranks heeds.
    fn ranks(&self, set: &SortedSetValue, is_reversed: bool) -> Range<usize> {
        let (start, end) = match self {
            Self::Ranks(first, last) => {
                let (start, end) = between(*first, *last, set.len());
                if is_reversed { (set.len() - end, set.len() - start) } else { (start, end) }
            }
            Self::Scores(low, high) => (
                set.partition_by_score(|score| low.begins_behind(score)),
                set.partition_by_score(|score| high.ends_behind(score)),
            ),
            Self::Names(low, high) => (
                set.partition_by_member(|name| low.begins_behind(name)),
                set.partition_by_member(|name| high.ends_behind(name)),
            ),
        };
        start..end.max(start)
    }
}

/// The half-open range of indexes below a length that Redis' two inclusive indexes mean. The start is at most the end.
fn between(first: i64, last: i64, length: usize) -> (usize, usize) {
    let index = |at: i64| {
        let magnitude = usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX);
        if at < 0 { length.checked_sub(magnitude) } else { Some(magnitude) }
    };
    let start = index(first).unwrap_or(0).min(length);
    let end = index(last).map_or(0, |last| last.saturating_add(1)).min(length);
    (start, end.max(start))
}

/// What ZRANGE and its relatives ask for.
struct RangeQuery<'a> {
    span: Span<'a>,
    is_reversed: bool,
    with_scores: bool,
    /// LIMIT: how many members to skip, see [`skipped_of`], and how many to return; negative, all.
    limit: Option<(i64, i64)>,
}

impl<'a> RangeQuery<'a> {
    /// Takes the bounds and the options, to the end. `by` and `is_reversed` are what the command's name says; `None` leaves it
    /// to the options.
    fn parse(
        args: &mut Args<'a>,
        by: Option<By>,
        is_reversed: Option<bool>,
        stores: bool,
    ) -> Result<Self, CommandError> {
        let (first, second) = (args.bytes()?, args.bytes()?);
        let (mut chosen, mut reversed) = (by, is_reversed);
        let (mut with_scores, mut limit) = (false, None);
        while !args.is_empty() {
            if !stores && args.keyword("WITHSCORES") {
                with_scores = true;
            } else if args.remaining() > 2 && args.keyword("LIMIT") {
                limit = Some((args.integer()?, args.integer()?));
            } else if reversed.is_none() && args.keyword("REV") {
                reversed = Some(true);
            } else if chosen.is_none() && args.keyword("BYLEX") {
                chosen = Some(By::Name);
            } else if chosen.is_none() && args.keyword("BYSCORE") {
                chosen = Some(By::Score);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let (by, is_reversed) = (chosen.unwrap_or(By::Rank), reversed.unwrap_or(false));
        if by == By::Rank && limit.is_some_and(|(_, count)| count != -1) {
            return Err(CommandError::LimitOfRanks);
        }
        if by == By::Name && with_scores {
            return Err(CommandError::ScoresOfNames);
        }
        // A reversed range of scores or names is given from its upper end.
        let (low, high) = if is_reversed && by != By::Rank { (second, first) } else { (first, second) };
        let limit = if by == By::Rank { None } else { limit };
        Ok(Self { span: Span::parse(by, low, high)?, is_reversed, with_scores, limit })
    }

    /// The ranks of the members to return.
    fn ranks(&self, set: &SortedSetValue) -> Range<usize> {
        let Range { start, end } = self.span.ranks(set, self.is_reversed);
        let Some((skipped, count)) = self.limit else { return start..end };
        let Some(skipped) = skipped_of(skipped, end - start, set.is_packed()) else { return start..start };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if self.is_reversed {
            let end = end.saturating_sub(skipped).max(start);
            end.saturating_sub(count).max(start)..end
        } else {
            let start = start.saturating_add(skipped).min(end);
            start..start.saturating_add(count).min(end)
        }
    }
}

/// How many members of a range are skipped; `None`: all. To skip a negative number is nowhere documented; of a sorted set that is packed valkey-server
/// returns nothing then, of another that many from the end of the range, if it has them.
fn skipped_of(told: i64, length: usize, is_packed: bool) -> Option<usize> {
    match usize::try_from(told) {
        Ok(skipped) => Some(skipped),
        Err(_) if is_packed => None,
        Err(_) => length.checked_sub(usize::try_from(told.unsigned_abs()).ok()?),
    }
}

fn query(
    keyspace: &Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
    by: Option<By>,
    is_reversed: Option<bool>,
) -> CommandResult {
    let key = args.bytes()?;
    let query = RangeQuery::parse(args, by, is_reversed, false)?;
    let Some(set) = keyspace.read::<SortedSetValue>(context, key)? else {
        reply.array(0);
        return Ok(());
    };
    let ranks = query.ranks(set);
    let count = ranks.len();
    let members = set.range(ranks);
    if query.is_reversed {
        write_members(count, members.rev(), query.with_scores, reply);
    } else {
        write_members(count, members, query.with_scores, reply);
    }
    Ok(())
}

pub(super) fn zrange(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    query(keyspace, args, context, reply, None, None)
}

pub(super) fn zrevrange(
    keyspace: &Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    query(keyspace, args, context, reply, Some(By::Rank), Some(true))
}

pub(super) fn zrangebyscore(
    keyspace: &Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    query(keyspace, args, context, reply, Some(By::Score), Some(false))
}

pub(super) fn zrevrangebyscore(
    keyspace: &Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    query(keyspace, args, context, reply, Some(By::Score), Some(true))
}

pub(super) fn zrangebylex(
    keyspace: &Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    query(keyspace, args, context, reply, Some(By::Name), Some(false))
}

pub(super) fn zrevrangebylex(
    keyspace: &Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    query(keyspace, args, context, reply, Some(By::Name), Some(true))
}

pub(super) fn zrangestore(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let (destination, source) = (args.bytes()?, args.bytes()?);
    let query = RangeQuery::parse(args, None, None, true)?;
    let source = keyspace.read::<SortedSetValue>(context, source)?;
    let members = source.into_iter().flat_map(|set| set.range(query.ranks(set)));
    let result = SortedSetValue::collect(members, keyspace.settings());
    reply.count(result.len());
    keyspace.put(context, destination, result.into_value(), None);
    Ok(())
}

fn count(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply, by: By) -> CommandResult {
    let key = args.bytes()?;
    let span = Span::parse(by, args.bytes()?, args.bytes()?)?;
    args.end()?;
    let set = keyspace.read::<SortedSetValue>(context, key)?;
    reply.count(set.map_or(0, |set| span.ranks(set, false).len()));
    Ok(())
}

pub(super) fn zcount(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    count(keyspace, args, context, reply, By::Score)
}

pub(super) fn zlexcount(
    keyspace: &Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    count(keyspace, args, context, reply, By::Name)
}

fn remove(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply, by: By) -> CommandResult {
    let key = args.bytes()?;
    let span = Span::parse(by, args.bytes()?, args.bytes()?)?;
    args.end()?;
    let mut removed = 0;
    if let Some(mut set) = keyspace.edit::<SortedSetValue>(context, key)? {
        let ranks = span.ranks(&set, false);
        removed = ranks.len();
        if removed > 0 {
            set.free_later(removed);
            set.remove_range(ranks);
        }
    }
    reply.count(removed);
    Ok(())
}

pub(super) fn zremrangebyrank(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    remove(keyspace, args, context, reply, By::Rank)
}

pub(super) fn zremrangebyscore(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    remove(keyspace, args, context, reply, By::Score)
}

pub(super) fn zremrangebylex(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    remove(keyspace, args, context, reply, By::Name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As valkey-server 9.1 has it.
    #[test]
    fn a_negative_number_to_skip_counts_from_the_end_of_what_is_not_packed() {
        assert_eq!(skipped_of(2, 4, true), Some(2));
        assert_eq!(skipped_of(9, 4, false), Some(9));
        assert_eq!([-1, -4, -5, i64::MIN].map(|told| skipped_of(told, 4, true)), [None; 4]);
        assert_eq!([-1, -4, -5, i64::MIN].map(|told| skipped_of(told, 4, false)), [Some(3), Some(0), None, None]);
    }
}
