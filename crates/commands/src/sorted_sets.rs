//! Sorted sets: adding, removing, scores, ranks, pops, random members. Ranges and the algebra have files of their own.

mod algebra;
mod range;
mod waiting;

use keyspace::{Context, Edit, FETCHED_MAX, Keyspace, Random, SortedSetValue, ValueType, format_double};
use resp::{Protocol, Reply};

use crate::args::Args;
use crate::blocking::{TimeoutPlace, Waits};
use crate::error::{CommandError, CommandResult};
use crate::pops::Pops;
use crate::scan::{Beside, ScanOptions};
use crate::sets::{Draws, check_drawn, positive, write_finished_scan};
use crate::spec::{Arity::*, KeyUse, Keys, Spec};

const ONE: Keys = Keys::One(1);
const COUNTED: Keys = Keys::Counted { count: 1, also: None };
/// All arguments but the last.
const ALL_BUT_LAST: Keys = Keys::Range { first: 1, last: -2, step: 1 };
const fn waits(place: isize) -> Waits {
    Waits { wants: ValueType::SortedSet, timeout: TimeoutPlace::Seconds(place), has_answer: None }
}
const STORED: Keys = Keys::Counted { count: 2, also: Some(1) };
const FROM_TO: Keys = Keys::Range { first: 1, last: 2, step: 1 };

#[rustfmt::skip]
pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("ZADD",             AtLeast(4), ONE,     zadd,                    "Adds members to a sorted set, or changes their scores.").fast().denyoom(),
    Spec::write("ZINCRBY",          Exactly(4), ONE,     zincrby,                 "Adds to the score of a member.").fast().denyoom().uses(&[KeyUse::READ_AND_CHANGE]),
    Spec::write("ZREM",             AtLeast(3), ONE,     zrem,                    "Removes members from a sorted set.").fast().uses(&[KeyUse::TAKE_AWAY]),
    Spec::read ("ZCARD",            Exactly(2), ONE,     zcard,                   "Counts the members of a sorted set.").fast().uses(&[KeyUse::LOOK]),
    Spec::read ("ZSCORE",           Exactly(3), ONE,     zscore,                  "Returns the score of a member.").fast(),
    Spec::read ("ZMSCORE",          AtLeast(3), ONE,     zmscore,                 "Returns the scores of members.").fast(),
    Spec::read ("ZRANK",            AtLeast(3), ONE,     zrank,                   "Returns the rank of a member, by ascending score.").fast(),
    Spec::read ("ZREVRANK",         AtLeast(3), ONE,     zrevrank,                "Returns the rank of a member, by descending score.").fast(),
    Spec::read ("ZCOUNT",           Exactly(4), ONE,     range::zcount,           "Counts the members within a range of scores.").fast(),
    Spec::read ("ZLEXCOUNT",        Exactly(4), ONE,     range::zlexcount,        "Counts the members within a range of names.").fast(),
    Spec::read ("ZRANGE",           AtLeast(4), ONE,     range::zrange,           "Returns members within a range of ranks, scores or names."),
    Spec::read ("ZREVRANGE",        AtLeast(4), ONE,     range::zrevrange,        "Returns members within a range of ranks, reversed."),
    Spec::read ("ZRANGEBYSCORE",    AtLeast(4), ONE,     range::zrangebyscore,    "Returns members within a range of scores."),
    Spec::read ("ZREVRANGEBYSCORE", AtLeast(4), ONE,     range::zrevrangebyscore, "As ZRANGEBYSCORE, in reverse order."),
    Spec::read ("ZRANGEBYLEX",      AtLeast(4), ONE,     range::zrangebylex,      "Returns members within a range of names."),
    Spec::read ("ZREVRANGEBYLEX",   AtLeast(4), ONE,     range::zrevrangebylex,   "As ZRANGEBYLEX, in reverse order."),
    Spec::write("ZRANGESTORE",      AtLeast(5), FROM_TO, range::zrangestore,      "Stores the members that ZRANGE would return.").denyoom().uses(&[KeyUse::OVERWRITE, KeyUse::READ]),
    Spec::write("ZREMRANGEBYRANK",  Exactly(4), ONE,     range::zremrangebyrank,  "Removes members within a range of ranks.").uses(&[KeyUse::TAKE_AWAY]),
    Spec::write("ZREMRANGEBYSCORE", Exactly(4), ONE,     range::zremrangebyscore, "Removes members within a range of scores.").uses(&[KeyUse::TAKE_AWAY]),
    Spec::write("ZREMRANGEBYLEX",   Exactly(4), ONE,     range::zremrangebylex,   "Removes members within a range of names.").uses(&[KeyUse::TAKE_AWAY]),
    Spec::write("ZPOPMIN",          AtLeast(2), ONE,     zpopmin,                 "Removes and returns members with the lowest scores.").fast().uses(&[KeyUse::TAKE]),
    Spec::write("ZPOPMAX",          AtLeast(2), ONE,     zpopmax,                 "Removes and returns members with the highest scores.").fast().uses(&[KeyUse::TAKE]),
    Spec::write("ZMPOP",            AtLeast(4), COUNTED, zmpop,                   "Pops members from the first sorted set that has any.").uses(&[KeyUse::TAKE]),
    Spec::write("BZPOPMIN",         AtLeast(3), ALL_BUT_LAST, waiting::bzpopmin,  "ZPOPMIN of the first sorted set that is there; waits for one.").fast().waits(waits(-1)).uses(&[KeyUse::TAKE]),
    Spec::write("BZPOPMAX",         AtLeast(3), ALL_BUT_LAST, waiting::bzpopmax,  "ZPOPMAX of the first sorted set that is there; waits for one.").fast().waits(waits(-1)).uses(&[KeyUse::TAKE]),
    Spec::write("BZMPOP",           AtLeast(5), Keys::Counted { count: 2, also: None }, waiting::bzmpop, "As ZMPOP; waits for a sorted set.").waits(waits(1)).uses(&[KeyUse::TAKE]),
    Spec::read ("ZRANDMEMBER",      AtLeast(2), ONE,     zrandmember,             "Returns random members of a sorted set.").tips(&["nondeterministic_output"]),
    Spec::read ("ZSCAN",            AtLeast(3), ONE,     zscan,                   "Walks over the members of a sorted set.").tips(&["nondeterministic_output"]),
    Spec::read ("ZUNION",           AtLeast(3), COUNTED, algebra::zunion,         "Returns the members that any sorted set has."),
    Spec::read ("ZINTER",           AtLeast(3), COUNTED, algebra::zinter,         "Returns the members that all sorted sets have."),
    Spec::read ("ZDIFF",            AtLeast(3), COUNTED, algebra::zdiff,          "Returns the first one's members that no other has."),
    Spec::read ("ZINTERCARD",       AtLeast(3), COUNTED, algebra::zintercard,     "Counts the members that all sorted sets have."),
    Spec::write("ZUNIONSTORE",      AtLeast(4), STORED,  algebra::zunionstore,    "Stores what ZUNION would return.").denyoom().uses(&[KeyUse::OVERWRITE, KeyUse::READ]),
    Spec::write("ZINTERSTORE",      AtLeast(4), STORED,  algebra::zinterstore,    "Stores what ZINTER would return.").denyoom().uses(&[KeyUse::OVERWRITE, KeyUse::READ]),
    Spec::write("ZDIFFSTORE",       AtLeast(4), STORED,  algebra::zdiffstore,     "Stores what ZDIFF would return.").denyoom().uses(&[KeyUse::OVERWRITE, KeyUse::READ]),
];

/// The conditions of ZADD, and what it answers.
#[derive(Default)]
pub(crate) struct AddOptions {
    pub(crate) only_new: bool,
    pub(crate) only_present: bool,
    only_greater: bool,
    only_less: bool,
    /// CH: changed members count too.
    counts_changed: bool,
    /// INCR: the score is added to the member's.
    increments: bool,
}

impl AddOptions {
    /// Takes the options, up to the first score.
    fn parse(args: &mut Args<'_>) -> Self {
        let mut options = Self::default();
        loop {
            let option = match () {
                () if args.keyword("NX") => &mut options.only_new,
                () if args.keyword("XX") => &mut options.only_present,
                () if args.keyword("GT") => &mut options.only_greater,
                () if args.keyword("LT") => &mut options.only_less,
                () if args.keyword("CH") => &mut options.counts_changed,
                () if args.keyword("INCR") => &mut options.increments,
                () => return options,
            };
            *option = true;
        }
    }

    /// Takes the options of GEOADD, up to the first coordinate.
    pub(crate) fn parse_for_places(args: &mut Args<'_>) -> Self {
        let mut options = Self::default();
        loop {
            let option = match () {
                () if args.keyword("NX") => &mut options.only_new,
                () if args.keyword("XX") => &mut options.only_present,
                () if args.keyword("CH") => &mut options.counts_changed,
                () => return options,
            };
            *option = true;
        }
    }

    fn check(&self, pair_count: usize) -> CommandResult {
        if self.only_new && self.only_present {
            return Err(CommandError::AddNewAndPresent);
        }
        if [self.only_new, self.only_greater, self.only_less].into_iter().filter(|&set| set).count() > 1 {
            return Err(CommandError::AddConditions);
        }
        if self.increments && pair_count > 1 { Err(CommandError::IncrementsSeveral) } else { Ok(()) }
    }

    /// The score that a member is to get; `None`: the conditions do not hold.
    fn decide(&self, current: Option<f64>, score: f64) -> Result<Option<f64>, CommandError> {
        let Some(current) = current else { return Ok(if self.only_present { None } else { Some(score) }) };
        if self.only_new {
            return Ok(None);
        }
        let wanted = if self.increments { current + score } else { score };
        if wanted.is_nan() {
            return Err(CommandError::ScoreNotANumber);
        }
        let holds = !(self.only_greater && wanted <= current || self.only_less && wanted >= current);
        Ok(if holds { Some(wanted) } else { None })
    }
}

fn zadd(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let options = AddOptions::parse(args);
    if args.is_empty() || !args.remaining().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    options.check(args.remaining() / 2)?;
    let mut pairs = Vec::with_capacity(args.remaining() / 2);
    while !args.is_empty() {
        pairs.push((args.double()?, args.bytes()?));
    }
    add(keyspace, context, key, &options, &pairs, reply)
}

fn zincrby(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    // redis: t_zset.c zaddGenericCommand takes it for an option of ZADD, and then the rest is no pair.
    if ["NX", "XX", "GT", "LT", "CH", "INCR"].iter().any(|option| args.keyword(option)) {
        return Err(CommandError::Syntax);
    }
    let (by, member) = (args.double()?, args.bytes()?);
    args.end()?;
    let options = AddOptions { increments: true, ..AddOptions::default() };
    add(keyspace, context, key, &options, &[(by, member)], reply)
}

/// Adds members with their scores, as ZADD and GEOADD do.
pub(crate) fn add(
    keyspace: &mut Keyspace,
    context: &Context,
    key: &[u8],
    options: &AddOptions,
    pairs: &[(f64, &[u8])],
    reply: &mut Reply,
) -> CommandResult {
    let settings = *keyspace.settings();
    let (mut added, mut changed, mut result) = (0, 0, None);
    if let Some(mut set) = edit_to_add(keyspace, context, key, options)? {
        let longest = pairs.iter().map(|pair| pair.1.len()).max().unwrap_or(0);
        SortedSetValue::expect(&mut set, pairs.len(), longest, &settings);
        for (index, &(score, member)) in pairs.iter().enumerate() {
            if index.is_multiple_of(FETCHED_MAX) && pairs.len() > 1 {
                set.fetch(&pairs[index..]);
            }
            let before = set.score(member);
            result = options.decide(before, score)?;
            let Some(score) = result else { continue };
            added += usize::from(before.is_none());
            changed += usize::from(before.is_some_and(|before| before != score));
            if before != Some(score) {
                set.insert(member, score, &settings);
            }
        }
    }
    match result {
        Some(score) if options.increments => write_score(score, reply),
        None if options.increments => reply.null(),
        _ => reply.count(if options.counts_changed { added + changed } else { added }),
    }
    Ok(())
}

fn edit_to_add<'a>(
    keyspace: &'a mut Keyspace,
    context: &Context,
    key: &'a [u8],
    options: &AddOptions,
) -> Result<Option<Edit<'a, SortedSetValue>>, CommandError> {
    let edit =
        if options.only_present { keyspace.edit(context, key)? } else { Some(keyspace.edit_or_new(context, key)?) };
    Ok(edit)
}

/// Replies with a score: a double, or its text in RESP2.
fn write_score(score: f64, reply: &mut Reply) {
    reply.double(format_double(score));
}

/// Replies with members, in RESP3 each in an array with its score, in RESP2 one behind the other.
fn write_members<'a>(
    count: usize,
    members: impl Iterator<Item = (&'a [u8], f64)>,
    with_scores: bool,
    reply: &mut Reply,
) {
    begin_members(count, with_scores, reply);
    members.for_each(|member| write_member(member, with_scores, reply));
}

/// Writes what comes before so many members.
fn begin_members(count: usize, with_scores: bool, reply: &mut Reply) {
    let is_flat = with_scores && reply.protocol() == Protocol::Resp2;
    reply.array(if is_flat { count * 2 } else { count });
}

fn write_member((member, score): (&[u8], f64), with_scores: bool, reply: &mut Reply) {
    if with_scores && reply.protocol() == Protocol::Resp3 {
        reply.array(2);
    }
    reply.bulk(member);
    if with_scores {
        write_score(score, reply);
    }
}

fn zrem(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, members) = (args.bytes()?, args.take_rest());
    let mut removed = 0;
    if let Some(mut set) = keyspace.edit::<SortedSetValue>(context, key)? {
        for member in members {
            if set.score(member).is_some() {
                set.remove(member);
                removed += 1;
            }
        }
    }
    reply.count(removed);
    Ok(())
}

fn zcard(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    reply.count(keyspace.read::<SortedSetValue>(context, key)?.map_or(0, SortedSetValue::len));
    Ok(())
}

fn zscore(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, member) = (args.bytes()?, args.bytes()?);
    args.end()?;
    let set = keyspace.read::<SortedSetValue>(context, key)?;
    write_score_or_null(set.and_then(|set| set.score(member)), reply);
    Ok(())
}

fn zmscore(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, members) = (args.bytes()?, args.take_rest());
    let set = keyspace.read::<SortedSetValue>(context, key)?;
    reply.array(members.clone().count());
    members.for_each(|member| write_score_or_null(set.and_then(|set| set.score(member)), reply));
    Ok(())
}

fn write_score_or_null(score: Option<f64>, reply: &mut Reply) {
    match score {
        Some(score) => write_score(score, reply),
        None => reply.null(),
    }
}

fn zrank(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    rank(keyspace, args, context, reply, "zrank", |rank, _| rank)
}

fn zrevrank(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    rank(keyspace, args, context, reply, "zrevrank", |rank, length| length - 1 - rank)
}

fn rank(
    keyspace: &Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
    name: &'static str,
    count_from: fn(usize, usize) -> usize,
) -> CommandResult {
    let (key, member) = (args.bytes()?, args.bytes()?);
    if args.remaining() > 1 {
        return Err(CommandError::WrongArity(name.to_owned()));
    }
    let with_score = args.keyword("WITHSCORE");
    args.end()?;
    let set = keyspace.read::<SortedSetValue>(context, key)?;
    match set.and_then(|set| set.rank(member).map(|(rank, score)| (count_from(rank, set.len()), score))) {
        Some((rank, score)) if with_score => {
            reply.array(2);
            reply.count(rank);
            write_score(score, reply);
        }
        Some((rank, _)) => reply.count(rank),
        None if with_score => reply.null_array(),
        None => reply.null(),
    }
    Ok(())
}

/// From which end members are popped.
#[derive(Clone, Copy)]
enum End {
    Lowest,
    Highest,
}

fn zpopmin(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    pop(keyspace, args, context, reply, End::Lowest)
}

fn zpopmax(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    pop(keyspace, args, context, reply, End::Highest)
}

fn pop(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply, end: End) -> CommandResult {
    let key = args.bytes()?;
    let count = if args.is_empty() { None } else { Some(args.bytes()?) };
    args.end()?;
    let count = count.map(positive).transpose()?;
    let popped = take_members(keyspace, context, key, end, count.unwrap_or(1))?;
    let members = popped.iter().map(|(member, score)| (member.as_slice(), *score));
    match count {
        Some(_) => write_members(popped.len(), members, true, reply),
        // Without a count the reply is flat in either protocol.
        None => {
            reply.array(popped.len() * 2);
            for (member, score) in members {
                reply.bulk(member);
                write_score(score, reply);
            }
        }
    }
    Ok(())
}

/// Removes up to so many members from an end, and returns them, the outermost first.
fn take_members(
    keyspace: &mut Keyspace,
    context: &Context,
    key: &[u8],
    end: End,
    count: usize,
) -> Result<Vec<(Vec<u8>, f64)>, CommandError> {
    let Some(mut set) = keyspace.edit::<SortedSetValue>(context, key)? else { return Ok(Vec::new()) };
    let (length, count) = (set.len(), count.min(set.len()));
    if count == 0 {
        return Ok(Vec::new());
    }
    let owned = |(member, score): (&[u8], f64)| (member.to_vec(), score);
    let (ranks, taken) = match end {
        End::Lowest => (0..count, set.range(0..count).map(owned).collect()),
        End::Highest => (length - count..length, set.range(length - count..length).rev().map(owned).collect()),
    };
    set.free_later(ranks.len());
    set.remove_range(ranks);
    Ok(taken)
}

fn take_end(args: &mut Args<'_>) -> Result<End, CommandError> {
    if args.keyword("MIN") {
        Ok(End::Lowest)
    } else if args.keyword("MAX") {
        Ok(End::Highest)
    } else {
        Err(CommandError::Syntax)
    }
}

/// Pops from the first of the keys that has any.
fn pop_first(pops: &Pops<'_, End>, keyspace: &mut Keyspace, context: &Context, reply: &mut Reply) -> CommandResult {
    for key in &pops.keys {
        let popped = take_members(keyspace, context, key, pops.end, pops.count)?;
        if !popped.is_empty() {
            reply.array(2);
            reply.bulk(key);
            reply.array(popped.len());
            for (member, score) in popped {
                reply.array(2);
                reply.bulk(member);
                write_score(score, reply);
            }
            return Ok(());
        }
    }
    reply.null_array();
    Ok(())
}

fn zmpop(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    pop_first(&Pops::parse(args, take_end)?, keyspace, context, reply)
}

fn zrandmember(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let mut random = Random::new(context.seed);
    if args.is_empty() {
        match keyspace.read::<SortedSetValue>(context, key)? {
            Some(set) => reply.bulk(set.at(random.below(set.len())).0),
            None => reply.null(),
        }
        return Ok(());
    }
    let draws = Draws::parse(args.bytes()?);
    let with_scores = draws.is_ok() && args.keyword("WITHSCORES");
    let draws = draws?;
    args.end()?;
    if with_scores && matches!(draws, Draws::Different(count) if count > COUNT_WITH_SCORES_MAX) {
        return Err(CommandError::OutOfRange);
    }
    let Some(set) = keyspace.read::<SortedSetValue>(context, key)? else {
        reply.array(0);
        return Ok(());
    };
    match draws {
        Draws::Different(count) => {
            write_members(count.min(set.len()), set.sample(&mut random, count), with_scores, reply);
        }
        Draws::Any(count) => {
            let start = reply.mark();
            begin_members(count, with_scores, reply);
            for _ in 0..count {
                write_member(set.at(random.below(set.len())), with_scores, reply);
                check_drawn(reply, start)?;
            }
        }
    }
    Ok(())
}

/// Redis refuses a count of which it cannot have twice as many.
const COUNT_WITH_SCORES_MAX: usize = usize::MAX >> 2;

fn zscan(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let cursor = args.cursor()?;
    let Some(set) = keyspace.read::<SortedSetValue>(context, key)? else {
        write_finished_scan(reply);
        return Ok(());
    };
    let options = ScanOptions::parse(args, Beside::Scores)?;
    let mut found = Vec::new();
    let cursor = set.scan(cursor, options.count, |member, score| {
        if options.matches(member) {
            found.push((member.to_vec(), score));
        }
    });
    reply.array(2);
    reply.bulk(cursor.to_string());
    reply.array(found.len() * if options.is_bare { 1 } else { 2 });
    for (member, score) in found {
        reply.bulk(member);
        if !options.is_bare {
            // A walk shows scores as text in either protocol.
            reply.bulk(format_double(score));
        }
    }
    Ok(())
}
