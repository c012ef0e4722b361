//! Sets.

use keyspace::{Context, DataError, FETCHED_MAX, Keyspace, Member, Random, SetValue};
use resp::{Mark, Reply};

use crate::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::scan::{Beside, ScanOptions};
use crate::spec::{Arity::*, KeyUse, Keys, Spec};

const ALL: Keys = Keys::Range { first: 1, last: -1, step: 1 };
const FROM_TO: Keys = Keys::Range { first: 1, last: 2, step: 1 };
const COUNTED: Keys = Keys::Counted { count: 1, also: None };

/// The most draws of one command that may draw a member again: such a command can ask for any number of members of a small set, and
/// while it answers nobody else is served.
const DRAWS_MAX: usize = 1 << 24;
/// The longest reply of repeated draws, in bytes.
const DRAWN_BYTES_MAX: usize = 512 << 20;

#[rustfmt::skip]
pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("SADD",        AtLeast(3), Keys::One(1), sadd,        "Adds members to a set.").fast().denyoom().uses(&[KeyUse::ADD]),
    Spec::write("SREM",        AtLeast(3), Keys::One(1), srem,        "Removes members from a set.").fast().uses(&[KeyUse::TAKE_AWAY]),
    Spec::write("SMOVE",       Exactly(4), FROM_TO,      smove,       "Moves a member to another set.").fast().uses(&[KeyUse::TAKE, KeyUse::ADD]),
    Spec::write("SPOP",        AtLeast(2), Keys::One(1), spop,        "Removes and returns random members of a set.").fast().uses(&[KeyUse::TAKE]).tips(&["nondeterministic_output"]),
    Spec::read ("SMEMBERS",    Exactly(2), Keys::One(1), smembers,    "Returns the members of a set.").tips(&["nondeterministic_output_order"]),
    Spec::read ("SISMEMBER",   Exactly(3), Keys::One(1), sismember,   "Says whether a member is in a set.").fast().uses(&[KeyUse::LOOK]),
    Spec::read ("SMISMEMBER",  AtLeast(3), Keys::One(1), smismember,  "Says which of the members are in a set.").fast(),
    Spec::read ("SCARD",       Exactly(2), Keys::One(1), scard,       "Counts the members of a set.").fast().uses(&[KeyUse::LOOK]),
    Spec::read ("SRANDMEMBER", AtLeast(2), Keys::One(1), srandmember, "Returns random members of a set.").tips(&["nondeterministic_output"]),
    Spec::read ("SSCAN",       AtLeast(3), Keys::One(1), sscan,       "Walks over the members of a set.").tips(&["nondeterministic_output"]),
    Spec::read ("SINTER",      AtLeast(2), ALL,          sinter,      "Returns the members that all sets have.").tips(&["nondeterministic_output_order"]),
    Spec::read ("SINTERCARD",  AtLeast(3), COUNTED,      sintercard,  "Counts the members that all sets have."),
    // From the documentation of Redis 8.10: redis.io/docs/latest/commands/sdiffcard and sunioncard.
    Spec::read ("SDIFFCARD",   AtLeast(3), COUNTED,      sdiffcard,   "Counts the first set's members that no other set has."),
    Spec::read ("SUNIONCARD",  AtLeast(3), COUNTED,      sunioncard,  "Counts the members that any set has."),
    Spec::write("SINTERSTORE", AtLeast(3), ALL,          sinterstore, "Stores the members that all sets have.").denyoom().uses(&[KeyUse::OVERWRITE, KeyUse::READ]),
    Spec::read ("SUNION",      AtLeast(2), ALL,          sunion,      "Returns the members that any set has.").tips(&["nondeterministic_output_order"]),
    Spec::write("SUNIONSTORE", AtLeast(3), ALL,          sunionstore, "Stores the members that any set has.").denyoom().uses(&[KeyUse::OVERWRITE, KeyUse::READ]),
    Spec::read ("SDIFF",       AtLeast(2), ALL,          sdiff,       "Returns the first set's members that no other set has.").tips(&["nondeterministic_output_order"]),
    Spec::write("SDIFFSTORE",  AtLeast(3), ALL,          sdiffstore,  "Stores the first set's members that no other set has.").denyoom().uses(&[KeyUse::OVERWRITE, KeyUse::READ]),
];

fn sadd(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let is_one = args.remaining() == 1;
    let members = args.take_rest();
    let settings = *keyspace.settings();
    let mut set = keyspace.edit_or_new::<SetValue>(context, key)?;
    let first = members.clone().next().unwrap_or_default();
    SetValue::expect(&mut set, first, members.clone().count(), &settings);
    let (mut added, mut ahead) = (0, members.clone());
    for (index, member) in members.clone().enumerate() {
        if index.is_multiple_of(FETCHED_MAX) && !is_one {
            set.fetch(ahead.by_ref().take(FETCHED_MAX));
        }
        if !set.contains(member) {
            set.insert(member, &settings);
            added += 1;
        }
    }
    reply.count(added);
    Ok(())
}

fn srem(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, members) = (args.bytes()?, args.take_rest());
    let mut removed = 0;
    if let Some(mut set) = keyspace.edit::<SetValue>(context, key)? {
        for member in members {
            if set.contains(member) {
                set.remove(member);
                removed += 1;
            }
        }
    }
    reply.count(removed);
    Ok(())
}

fn smove(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (from, to, member) = (args.bytes()?, args.bytes()?, args.bytes()?);
    args.end()?;
    let Some(source) = keyspace.read::<SetValue>(context, from)? else {
        reply.integer(0);
        return Ok(());
    };
    let is_there = source.contains(member);
    // The destination's type is checked BEFORE anything is taken from the source.
    keyspace.read::<SetValue>(context, to)?;
    if is_there && from != to {
        if let Some(mut source) = keyspace.edit::<SetValue>(context, from)? {
            source.remove(member);
        }
        let settings = *keyspace.settings();
        let mut destination = keyspace.edit_or_new::<SetValue>(context, to)?;
        if !destination.contains(member) {
            destination.insert(member, &settings);
        }
    }
    reply.integer(i64::from(is_there));
    Ok(())
}

fn spop(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let count = if args.is_empty() { None } else { Some(args.bytes()?) };
    args.end()?;
    let count = count.map(positive).transpose()?;
    let mut random = Random::new(context.seed);
    let Some(set) = keyspace.read::<SetValue>(context, key)? else {
        match count {
            Some(_) => reply.set(0),
            None => reply.null(),
        }
        return Ok(());
    };
    let Some(count) = count else {
        let member = set.at(random.below(set.len())).to_vec();
        reply.bulk(&member);
        remove_members(keyspace, context, key, &[member])?;
        return Ok(());
    };
    let popped: Vec<_> = set.sample(&mut random, count).map(|member| member.to_vec()).collect();
    reply.set(popped.len());
    popped.iter().for_each(|member| reply.bulk(member));
    if popped.len() == set.len() {
        keyspace.remove(context, key);
    } else if !popped.is_empty() {
        remove_members(keyspace, context, key, &popped)?;
    }
    Ok(())
}

/// A count that is not negative, in SPOP's and ZPOPMIN's words.
pub(crate) fn positive(argument: &[u8]) -> Result<usize, CommandError> {
    let count = keyspace::parse_integer(argument).ok_or(CommandError::NotPositive)?;
    usize::try_from(count).map_err(|_| CommandError::NotPositive)
}

fn remove_members(keyspace: &mut Keyspace, context: &Context, key: &[u8], members: &[Vec<u8>]) -> CommandResult {
    if let Some(mut set) = keyspace.edit::<SetValue>(context, key)? {
        members.iter().for_each(|member| {
            set.remove(member);
        });
    }
    Ok(())
}

fn smembers(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    let set = keyspace.read::<SetValue>(context, key)?;
    reply.set(set.map_or(0, SetValue::len));
    set.into_iter().flat_map(SetValue::iter).for_each(|member| reply.bulk(member));
    Ok(())
}

fn sismember(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, member) = (args.bytes()?, args.bytes()?);
    args.end()?;
    let set = keyspace.read::<SetValue>(context, key)?;
    reply.integer(i64::from(set.is_some_and(|set| set.contains(member))));
    Ok(())
}

fn smismember(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, members) = (args.bytes()?, args.take_rest());
    let set = keyspace.read::<SetValue>(context, key)?;
    reply.array(members.clone().count());
    members.for_each(|member| reply.integer(i64::from(set.is_some_and(|set| set.contains(member)))));
    Ok(())
}

fn scard(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    reply.count(keyspace.read::<SetValue>(context, key)?.map_or(0, SetValue::len));
    Ok(())
}

fn srandmember(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let count = if args.is_empty() { None } else { Some(args.bytes()?) };
    args.end()?;
    let count = count.map(Draws::parse).transpose()?;
    let mut random = Random::new(context.seed);
    let set = keyspace.read::<SetValue>(context, key)?;
    match (set, count) {
        (None, None) => reply.null(),
        (None, Some(_)) => reply.array(0),
        (Some(set), None) => reply.bulk(set.at(random.below(set.len()))),
        (Some(set), Some(Draws::Different(count))) => {
            reply.array(count.min(set.len()));
            set.sample(&mut random, count).for_each(|member| reply.bulk(member));
        }
        (Some(set), Some(Draws::Any(count))) => {
            let start = reply.mark();
            reply.array(count);
            for _ in 0..count {
                reply.bulk(set.at(random.below(set.len())));
                check_drawn(reply, start)?;
            }
        }
    }
    Ok(())
}

/// How many members SRANDMEMBER and ZRANDMEMBER draw.
pub(crate) enum Draws {
    /// Each at most once.
    Different(usize),
    /// Each as often as it is drawn.
    Any(usize),
}

impl Draws {
    /// Reads a count: a negative one may draw a member again.
    pub(crate) fn parse(argument: &[u8]) -> Result<Self, CommandError> {
        let count = keyspace::parse_integer(argument).ok_or(CommandError::NotInteger)?;
        if count == i64::MIN {
            return Err(CommandError::NotBetween { least: -i64::MAX, most: i64::MAX });
        }
        let magnitude = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        if count >= 0 {
            return Ok(Self::Different(magnitude));
        }
        if magnitude > DRAWS_MAX { Err(CommandError::OutOfRange) } else { Ok(Self::Any(magnitude)) }
    }
}

/// Refuses a reply of repeated draws that has become too long.
pub(crate) fn check_drawn(reply: &Reply, start: Mark) -> CommandResult {
    if reply.since(start).len() > DRAWN_BYTES_MAX { Err(CommandError::OutOfRange) } else { Ok(()) }
}

fn sscan(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let cursor = args.cursor()?;
    let Some(set) = keyspace.read::<SetValue>(context, key)? else {
        write_finished_scan(reply);
        return Ok(());
    };
    let options = ScanOptions::parse(args, Beside::Nothing)?;
    let mut found = Vec::new();
    let cursor = set.scan(cursor, options.count, |member| {
        if options.matches(member) {
            found.push(member.to_vec());
        }
    });
    reply.array(2);
    reply.bulk(cursor.to_string());
    reply.array(found.len());
    found.iter().for_each(|member| reply.bulk(member));
    Ok(())
}

/// Replies that a walk is over and found nothing: what an absent key answers, whatever the options.
pub(crate) fn write_finished_scan(reply: &mut Reply) {
    reply.array(2);
    reply.bulk("0");
    reply.array(0);
}

/// The sets at these keys. Each must be a set or absent, also where the result is known without it.
fn sets<'a, 'b>(
    keyspace: &'a Keyspace,
    context: &Context,
    keys: impl Iterator<Item = &'b [u8]>,
) -> Result<Vec<Option<&'a SetValue>>, DataError> {
    keys.map(|key| keyspace.read(context, key)).collect()
}

/// The members that all sets have, by a walk over the smallest.
fn intersection<'a>(sets: &[Option<&'a SetValue>]) -> impl Iterator<Item = Member<'a>> + use<'a> {
    let mut all: Vec<_> = sets.iter().copied().collect::<Option<_>>().unwrap_or_default();
    all.sort_by_key(|set| set.len());
    let smallest = all.first().copied();
    smallest.into_iter().flat_map(SetValue::iter).filter(move |member| all[1..].iter().all(|set| set.contains(member)))
}

/// The members of the first set that no other has.
fn difference<'a>(sets: &[Option<&'a SetValue>]) -> impl Iterator<Item = Member<'a>> + use<'a> {
    let first = sets.first().copied().flatten();
    let others: Vec<_> = sets.iter().skip(1).copied().flatten().collect();
    first.into_iter().flat_map(SetValue::iter).filter(move |member| !others.iter().any(|set| set.contains(member)))
}

/// Replies with the members that an iterator finds.
fn write_found<'a>(found: impl Iterator<Item = Member<'a>>, reply: &mut Reply) {
    let deferred = reply.set_deferred();
    let count = found.inspect(|member| reply.bulk(member)).count();
    reply.finish(deferred, count);
}

/// Puts a result where it belongs and replies with its size.
fn store(keyspace: &mut Keyspace, context: &Context, key: &[u8], result: SetValue, reply: &mut Reply) {
    reply.count(result.len());
    keyspace.put(context, key, result.into_value(), None);
}

fn sinter(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    write_found(intersection(&sets(keyspace, context, args.take_rest())?), reply);
    Ok(())
}

fn sinterstore(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (destination, keys) = (args.bytes()?, args.take_rest());
    let sets = sets(keyspace, context, keys)?;
    let result = SetValue::collect(intersection(&sets), keyspace.settings());
    store(keyspace, context, destination, result, reply);
    Ok(())
}

fn sintercard(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (keys, limit) = (counted_keys(args)?, take_limit(args, false)?);
    let found = intersection(&sets(keyspace, context, keys.into_iter())?).take(limit);
    reply.count(found.count());
    Ok(())
}

fn sdiffcard(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (keys, limit) = (counted_keys(args)?, take_limit(args, false)?);
    let found = difference(&sets(keyspace, context, keys.into_iter())?).take(limit);
    reply.count(found.count());
    Ok(())
}

fn sunioncard(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (keys, limit) = (counted_keys(args)?, take_limit(args, true)?);
    let sets = sets(keyspace, context, keys.into_iter())?;
    // Each member counts at the first set that has it.
    let is_first = |at: usize, member: &[u8]| !sets[..at].iter().flatten().any(|earlier| earlier.contains(member));
    let members = sets
        .iter()
        .enumerate()
        .flat_map(|(at, set)| set.iter().flat_map(|set| set.iter()).map(move |member| (at, member)));
    reply.count(members.filter(|(at, member)| is_first(*at, member)).take(limit).count());
    Ok(())
}

/// Takes LIMIT, and APPROX where it is allowed, to the end of the arguments. An exact count is as good an approximation as any.
fn take_limit(args: &mut Args<'_>, allows_approx: bool) -> Result<usize, CommandError> {
    let mut limit = usize::MAX;
    while !args.is_empty() {
        if allows_approx && args.keyword("APPROX") {
            continue;
        }
        if !args.keyword("LIMIT") || args.is_empty() {
            return Err(CommandError::Syntax);
        }
        limit = parse_limit(args.bytes()?)?;
    }
    Ok(limit)
}

/// The keys behind their number, of SINTERCARD and ZINTERCARD.
pub(crate) fn counted_keys<'a>(args: &mut Args<'a>) -> Result<Vec<&'a [u8]>, CommandError> {
    let count = keyspace::parse_integer(args.bytes()?).and_then(|count| usize::try_from(count).ok());
    let count = count.filter(|&count| count > 0).ok_or(CommandError::NoKeys)?;
    if count > args.remaining() {
        return Err(CommandError::TooFewKeys);
    }
    (0..count).map(|_| args.bytes()).collect()
}

/// The bound of SINTERCARD and ZINTERCARD; 0 means none, which comes back as [`usize::MAX`].
pub(crate) fn parse_limit(argument: &[u8]) -> Result<usize, CommandError> {
    let limit = keyspace::parse_integer(argument).and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.ok_or(CommandError::NegativeOption("LIMIT"))?;
    Ok(if limit == 0 { usize::MAX } else { limit })
}

fn sunion(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let sets = sets(keyspace, context, args.take_rest())?;
    let union = SetValue::collect(sets.iter().flatten().flat_map(|set| set.iter()), keyspace.settings());
    reply.set(union.len());
    union.iter().for_each(|member| reply.bulk(member));
    Ok(())
}

fn sunionstore(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (destination, keys) = (args.bytes()?, args.take_rest());
    let sets = sets(keyspace, context, keys)?;
    let union = SetValue::collect(sets.iter().flatten().flat_map(|set| set.iter()), keyspace.settings());
    store(keyspace, context, destination, union, reply);
    Ok(())
}

fn sdiff(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    write_found(difference(&sets(keyspace, context, args.take_rest())?), reply);
    Ok(())
}

fn sdiffstore(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (destination, keys) = (args.bytes()?, args.take_rest());
    let result = SetValue::collect(difference(&sets(keyspace, context, keys)?), keyspace.settings());
    store(keyspace, context, destination, result, reply);
    Ok(())
}
