//! Lists. The commands that wait have a file below.

mod waiting;

use std::ops::Range;

use keyspace::{Context, DataError, Keyspace, ListEnd, ListValue, ValueType, parse_integer};
use resp::Reply;

use crate::args::Args;
use crate::blocking::{TimeoutPlace, Waits};
use crate::error::{CommandError, CommandResult};
use crate::pops::Pops;
use crate::spec::{Arity::*, KeyUse, Keys, Spec};

const TWO: Keys = Keys::Range { first: 1, last: 2, step: 1 };
const COUNTED: Keys = Keys::Counted { count: 1, also: None };
/// All arguments but the last.
const ALL_BUT_LAST: Keys = Keys::Range { first: 1, last: -2, step: 1 };
const fn waits(place: isize) -> Waits {
    Waits { wants: ValueType::List, timeout: TimeoutPlace::Seconds(place), has_answer: None }
}

#[rustfmt::skip]
pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("LPUSH",     AtLeast(3), Keys::One(1), lpush,     "Adds elements in front of a list.").fast().denyoom().uses(&[KeyUse::ADD]),
    Spec::write("RPUSH",     AtLeast(3), Keys::One(1), rpush,     "Adds elements at the end of a list.").fast().denyoom().uses(&[KeyUse::ADD]),
    Spec::write("LPUSHX",    AtLeast(3), Keys::One(1), lpushx,    "Adds elements in front of a list that is there.").fast().denyoom().uses(&[KeyUse::ADD]),
    Spec::write("RPUSHX",    AtLeast(3), Keys::One(1), rpushx,    "Adds elements at the end of a list that is there.").fast().denyoom().uses(&[KeyUse::ADD]),
    Spec::write("LPOP",      AtLeast(2), Keys::One(1), lpop,      "Removes and returns the first elements of a list.").fast().uses(&[KeyUse::TAKE]),
    Spec::write("RPOP",      AtLeast(2), Keys::One(1), rpop,      "Removes and returns the last elements of a list.").fast().uses(&[KeyUse::TAKE]),
    Spec::write("LMPOP",     AtLeast(4), COUNTED,      lmpop,     "Removes and returns elements of the first list that is there.").uses(&[KeyUse::TAKE]),
    Spec::write("BLPOP",     AtLeast(3), ALL_BUT_LAST, waiting::blpop, "LPOP of the first list that is there; waits for one.").waits(waits(-1)).uses(&[KeyUse::TAKE]),
    Spec::write("BRPOP",     AtLeast(3), ALL_BUT_LAST, waiting::brpop, "RPOP of the first list that is there; waits for one.").waits(waits(-1)).uses(&[KeyUse::TAKE]),
    Spec::write("BLMPOP",    AtLeast(5), Keys::Counted { count: 2, also: None }, waiting::blmpop, "As LMPOP; waits for a list.").waits(waits(1)).uses(&[KeyUse::TAKE]),
    Spec::read ("LLEN",      Exactly(2), Keys::One(1), llen,      "Returns the length of a list.").fast().uses(&[KeyUse::LOOK]),
    Spec::read ("LINDEX",    Exactly(3), Keys::One(1), lindex,    "Returns an element of a list by its index."),
    Spec::read ("LRANGE",    Exactly(4), Keys::One(1), lrange,    "Returns a range of elements of a list."),
    Spec::read ("LPOS",      AtLeast(3), Keys::One(1), lpos,      "Returns the indexes of equal elements of a list."),
    Spec::write("LSET",      Exactly(4), Keys::One(1), lset,      "Replaces an element of a list.").denyoom(),
    Spec::write("LINSERT",   Exactly(5), Keys::One(1), linsert,   "Adds an element beside another one of a list.").denyoom().uses(&[KeyUse::ADD]),
    Spec::write("LREM",      Exactly(4), Keys::One(1), lrem,      "Removes equal elements from a list.").uses(&[KeyUse::TAKE_AWAY]),
    Spec::write("LTRIM",     Exactly(4), Keys::One(1), ltrim,     "Removes what lies outside of a range of a list.").uses(&[KeyUse::TAKE_AWAY]),
    // From the documentation of Redis 8.10: redis.io/docs/latest/commands/lmovem.
    Spec::write("LMOVEM",    AtLeast(5), TWO,          lmovem,    "Moves elements from an end of one list to an end of another.").denyoom().uses(&[KeyUse::TAKE, KeyUse::ADD]),
    Spec::write("LMOVE",     Exactly(5), TWO,          lmove,     "Moves an element from an end of one list to an end of another.").denyoom().uses(&[KeyUse::TAKE, KeyUse::ADD]),
    Spec::write("RPOPLPUSH", Exactly(3), TWO,          rpoplpush, "Moves the last element of one list to the front of another.").denyoom().uses(&[KeyUse::TAKE, KeyUse::ADD]),
    // From the documentation of Redis 8.10: redis.io/docs/latest/commands/blmovem.
    Spec::write("BLMOVEM",   AtLeast(6), TWO,          waiting::blmovem, "As LMOVEM; waits for the elements.").denyoom().waits(Waits { has_answer: Some(waiting::has_enough), ..waits(5) }).uses(&[KeyUse::TAKE, KeyUse::ADD]),
    Spec::write("BLMOVE",    Exactly(6), TWO,          waiting::blmove, "As LMOVE; waits for an element.").denyoom().waits(waits(5)).uses(&[KeyUse::TAKE, KeyUse::ADD]),
    Spec::write("BRPOPLPUSH", Exactly(4), TWO,         waiting::brpoplpush, "As RPOPLPUSH; waits for an element.").denyoom().waits(waits(3)).uses(&[KeyUse::TAKE, KeyUse::ADD]),
];

/// The place of an index that may count from the end, if it is within the list.
fn place_of(index: i64, length: usize) -> Option<usize> {
    let place = if index < 0 {
        length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?
    } else {
        usize::try_from(index).ok()?
    };
    if place < length { Some(place) } else { None }
}

/// The places from one index to another, both included, each of which may count from the end and lie outside.
fn range_of(start: i64, last: i64, length: usize) -> Range<usize> {
    let from_front = |index: i64| {
        let distance = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
        if index < 0 { length.checked_sub(distance) } else { Some(distance) }
    };
    let start = from_front(start).unwrap_or(0);
    let end = from_front(last).map_or(0, |last| last.saturating_add(1).min(length));
    if start < end { start..end } else { 0..0 }
}

/// Takes LEFT or RIGHT.
fn take_end(args: &mut Args<'_>) -> Result<ListEnd, CommandError> {
    if args.keyword("LEFT") {
        Ok(ListEnd::Front)
    } else if args.keyword("RIGHT") {
        Ok(ListEnd::Back)
    } else {
        Err(CommandError::Syntax)
    }
}

/// Takes an integer whose negative is one too.
fn take_signed(args: &mut Args<'_>) -> Result<i64, CommandError> {
    match args.integer()? {
        i64::MIN => Err(CommandError::NotBetween { least: -i64::MAX, most: i64::MAX }),
        number => Ok(number),
    }
}

/// A distance from an end, in the terms of memory: nothing is longer than `usize::MAX`.
fn magnitude(number: i64) -> usize {
    usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX)
}

fn llen(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    reply.count(keyspace.read::<ListValue>(context, key)?.map_or(0, ListValue::len));
    Ok(())
}

fn lindex(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, index) = (args.bytes()?, args.bytes()?);
    args.end()?;
    let Some(list) = keyspace.read::<ListValue>(context, key)? else {
        reply.null();
        return Ok(());
    };
    // Redis looks at the index only where there is a list.
    let index = parse_integer(index).ok_or(CommandError::NotInteger)?;
    match place_of(index, list.len()).and_then(|place| list.get(place)) {
        Some(element) => reply.bulk(element),
        None => reply.null(),
    }
    Ok(())
}

fn lrange(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, start, last) = (args.bytes()?, args.integer()?, args.integer()?);
    args.end()?;
    let list = keyspace.read::<ListValue>(context, key)?;
    let range = range_of(start, last, list.map_or(0, ListValue::len));
    reply.array(range.len());
    list.into_iter().flat_map(|list| list.range(range.clone())).for_each(|element| reply.bulk(element));
    Ok(())
}

fn lpush(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    push(keyspace, args, context, ListEnd::Front, reply)
}

fn rpush(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    push(keyspace, args, context, ListEnd::Back, reply)
}

fn push(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    end: ListEnd,
    reply: &mut Reply,
) -> CommandResult {
    let (key, settings) = (args.bytes()?, *keyspace.settings());
    let mut list = keyspace.edit_or_new::<ListValue>(context, key)?;
    list.push_all(end, args.take_rest(), &settings);
    reply.count(list.len());
    Ok(())
}

fn lpushx(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    push_if_there(keyspace, args, context, ListEnd::Front, reply)
}

fn rpushx(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    push_if_there(keyspace, args, context, ListEnd::Back, reply)
}

fn push_if_there(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    end: ListEnd,
    reply: &mut Reply,
) -> CommandResult {
    let key = args.clone().bytes()?;
    if keyspace.read::<ListValue>(context, key)?.is_some() {
        return push(keyspace, args, context, end, reply);
    }
    reply.integer(0);
    Ok(())
}

fn lpop(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    pop(keyspace, args, context, ListEnd::Front, "lpop", reply)
}

fn rpop(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    pop(keyspace, args, context, ListEnd::Back, "rpop", reply)
}

fn pop(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    end: ListEnd,
    command: &str,
    reply: &mut Reply,
) -> CommandResult {
    let key = args.bytes()?;
    if args.remaining() > 1 {
        return Err(CommandError::WrongArity(command.to_owned()));
    }
    let is_counted = !args.is_empty();
    let count = if is_counted { args.integer().ok().filter(|&count| count >= 0) } else { Some(1) };
    let count = magnitude(count.ok_or(CommandError::NotPositive)?);
    let settings = *keyspace.settings();
    let list = keyspace.edit::<ListValue>(context, key)?;
    match list {
        None if is_counted => reply.null_array(),
        None => reply.null(),
        Some(mut list) if is_counted => pop_array(&mut list, end, count, &settings, reply),
        Some(mut list) => {
            reply.bulk(list.at_end(end).expect("no list is empty"));
            list.remove_at_end(end, 1, &settings);
        }
    }
    Ok(())
}

/// Pops at most so many elements into an array, the outermost first.
fn pop_array(
    list: &mut keyspace::Edit<'_, ListValue>,
    end: ListEnd,
    count: usize,
    settings: &keyspace::Settings,
    reply: &mut Reply,
) {
    let count = count.min(list.len());
    reply.array(count);
    match end {
        ListEnd::Front => list.elements().take(count).for_each(|element| reply.bulk(element)),
        ListEnd::Back => list.elements().rev().take(count).for_each(|element| reply.bulk(element)),
    }
    // Looks first: only a change may be seen as one.
    if count > 0 {
        list.free_later(count);
        list.remove_at_end(end, count, settings);
    }
}

/// Pops from the first of the keys that has any.
fn pop_first(pops: &Pops<'_, ListEnd>, keyspace: &mut Keyspace, context: &Context, reply: &mut Reply) -> CommandResult {
    let settings = *keyspace.settings();
    for key in &pops.keys {
        if let Some(mut list) = keyspace.edit::<ListValue>(context, key)? {
            reply.array(2);
            reply.bulk(key);
            pop_array(&mut list, pops.end, pops.count, &settings, reply);
            return Ok(());
        }
    }
    reply.null_array();
    Ok(())
}

fn lmpop(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    pop_first(&Pops::parse(args, take_end)?, keyspace, context, reply)
}

/// An end of the list at a key.
type Place<'a> = (&'a [u8], ListEnd);

/// Takes from where to where elements go: two keys, and then an end of each.
fn take_way<'a>(args: &mut Args<'a>) -> Result<(Place<'a>, Place<'a>), CommandError> {
    let (source, target) = (args.bytes()?, args.bytes()?);
    Ok(((source, take_end(args)?), (target, take_end(args)?)))
}

fn lmove(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (source, target) = take_way(args)?;
    args.end()?;
    move_element(keyspace, context, source, target, reply)
}

fn rpoplpush(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (source, target) = (args.bytes()?, args.bytes()?);
    args.end()?;
    move_element(keyspace, context, (source, ListEnd::Back), (target, ListEnd::Front), reply)
}

fn move_element(
    keyspace: &mut Keyspace,
    context: &Context,
    (source, from): (&[u8], ListEnd),
    (target, to): (&[u8], ListEnd),
    reply: &mut Reply,
) -> CommandResult {
    if keyspace.read::<ListValue>(context, source)?.is_none() {
        reply.null();
        return Ok(());
    }
    // Both types are known to be right BEFORE anything changes.
    keyspace.read::<ListValue>(context, target)?;
    let settings = *keyspace.settings();
    let mut list = keyspace.edit::<ListValue>(context, source)?.expect("it was just read");
    if source == target {
        // Within one edit, so that a list of one element keeps its key and its deadline.
        reply.bulk(list.turn(from, to, &settings));
        return Ok(());
    }
    let element = list.at_end(from).expect("no list is empty").to_vec();
    list.remove_at_end(from, 1, &settings);
    drop(list);
    keyspace.edit_or_new::<ListValue>(context, target)?.push(to, &element, &settings);
    reply.bulk(element);
    Ok(())
}

/// How many elements LMOVEM moves, and how they arrive.
struct Many {
    count: usize,
    /// All of them or none.
    exactly: bool,
    /// One by one, as LMOVE would; else in the order in which they stand.
    one_by_one: bool,
}

impl Many {
    fn parse(args: &mut Args<'_>) -> Result<Self, CommandError> {
        if args.is_empty() {
            return Ok(Self { count: 1, exactly: false, one_by_one: true });
        }
        let exactly = args.keyword("EXACTLY");
        if !exactly && !args.keyword("COUNT") {
            return Err(CommandError::Syntax);
        }
        let count = parse_integer(args.bytes()?).filter(|&count| count > 0).ok_or(CommandError::CountNotPositive)?;
        let one_by_one = args.keyword("OBO");
        if !one_by_one && !args.keyword("BULK") {
            return Err(CommandError::Syntax);
        }
        args.end()?;
        Ok(Self { count: magnitude(count), exactly, one_by_one })
    }
}

fn lmovem(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (source, target) = take_way(args)?;
    let many = Many::parse(args)?;
    move_elements(keyspace, context, source, target, &many, reply)
}

fn move_elements(
    keyspace: &mut Keyspace,
    context: &Context,
    (source, from): (&[u8], ListEnd),
    (target, to): (&[u8], ListEnd),
    many: &Many,
    reply: &mut Reply,
) -> CommandResult {
    let length = keyspace.read::<ListValue>(context, source)?.map_or(0, ListValue::len);
    if length == 0 || many.exactly && length < many.count {
        reply.null_array();
        return Ok(());
    }
    // Both types are known to be right BEFORE anything changes.
    keyspace.read::<ListValue>(context, target)?;
    let (settings, count) = (*keyspace.settings(), many.count.min(length));
    let mut list = keyspace.edit::<ListValue>(context, source)?.expect("it was just read");
    let range = if from == ListEnd::Front { 0..count } else { length - count..length };
    // As they stand, then as they will.
    let mut moved: Vec<Vec<u8>> = list.range(range).map(<[u8]>::to_vec).collect();
    if many.one_by_one && (from == ListEnd::Front) == (to == ListEnd::Front) {
        moved.reverse();
    }
    let elements = moved.iter().map(Vec::as_slice);
    if source == target {
        // Within one edit, so that a list that is moved as a whole keeps its key and its deadline.
        list.remove_at_end(from, count, &settings);
        push_block(&mut list, to, elements, &settings);
    } else {
        list.free_later(count);
        list.remove_at_end(from, count, &settings);
        drop(list);
        push_block(&mut *keyspace.edit_or_new::<ListValue>(context, target)?, to, elements, &settings);
    }
    reply.array(count);
    moved.iter().for_each(|element| reply.bulk(element));
    Ok(())
}

/// Puts elements at an end so that they stand in this order.
fn push_block<'a>(
    list: &mut ListValue,
    to: ListEnd,
    elements: impl DoubleEndedIterator<Item = &'a [u8]> + Clone,
    settings: &keyspace::Settings,
) {
    match to {
        ListEnd::Front => list.push_all(to, elements.rev(), settings),
        ListEnd::Back => list.push_all(to, elements, settings),
    }
}

fn lset(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, index, element) = (args.bytes()?, args.bytes()?, args.bytes()?);
    args.end()?;
    let settings = *keyspace.settings();
    let mut list = keyspace.edit::<ListValue>(context, key)?.ok_or(DataError::NoSuchKey)?;
    // Redis looks at the index only where there is a list.
    let index = parse_integer(index).ok_or(CommandError::NotInteger)?;
    let Some(place) = place_of(index, list.len()) else {
        ListValue::expect_in_vain(&mut list, element, &settings);
        return Err(DataError::IndexOutOfRange.into());
    };
    list.set(place, element, &settings);
    reply.ok();
    Ok(())
}

fn linsert(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let is_behind = !args.keyword("BEFORE");
    if is_behind && !args.keyword("AFTER") {
        return Err(CommandError::Syntax);
    }
    let (pivot, element) = (args.bytes()?, args.bytes()?);
    args.end()?;
    let settings = *keyspace.settings();
    let Some(mut list) = keyspace.edit::<ListValue>(context, key)? else {
        reply.integer(0);
        return Ok(());
    };
    let place = list.elements().position(|found| found == pivot);
    match place {
        Some(place) => {
            list.insert(place + usize::from(is_behind), element, &settings);
            reply.count(list.len());
        }
        None => {
            ListValue::expect_in_vain(&mut list, element, &settings);
            reply.integer(-1);
        }
    }
    Ok(())
}

fn lrem(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, count, element) = (args.bytes()?, take_signed(args)?, args.bytes()?);
    args.end()?;
    let settings = *keyspace.settings();
    let from = if count < 0 { ListEnd::Back } else { ListEnd::Front };
    let count_max = if count == 0 { usize::MAX } else { magnitude(count) };
    let removed = match keyspace.edit::<ListValue>(context, key)? {
        // Looks first: only a change may be seen as one.
        Some(mut list) if list.elements().any(|found| found == element) => {
            list.remove_equal(element, count_max, from, &settings)
        }
        _ => 0,
    };
    reply.count(removed);
    Ok(())
}

fn ltrim(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, start, last) = (args.bytes()?, args.integer()?, args.integer()?);
    args.end()?;
    let settings = *keyspace.settings();
    if let Some(mut list) = keyspace.edit::<ListValue>(context, key)? {
        let range = range_of(start, last, list.len());
        if range.len() < list.len() {
            let removed = list.len() - range.len();
            list.free_later(removed);
            list.keep(range, &settings);
        }
    }
    reply.ok();
    Ok(())
}

/// The options of LPOS.
struct Search {
    /// Which match is the first to be returned, from 1; negative: from the end.
    rank: i64,
    /// How many matches are returned as an array, 0 for all; `None`: one, without an array.
    count: Option<usize>,
    /// How many elements are looked at; 0: all.
    looks_max: usize,
}

impl Search {
    fn parse(args: &mut Args<'_>) -> Result<Self, CommandError> {
        let mut search = Self { rank: 1, count: None, looks_max: 0 };
        while !args.is_empty() {
            if args.keyword("RANK") {
                search.rank = take_signed(args)?;
                if search.rank == 0 {
                    return Err(CommandError::RankIsZero);
                }
            } else if args.keyword("COUNT") {
                search.count = Some(Self::number(args, "COUNT")?);
            } else if args.keyword("MAXLEN") {
                search.looks_max = Self::number(args, "MAXLEN")?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(search)
    }

    fn number(args: &mut Args<'_>, option: &'static str) -> Result<usize, CommandError> {
        let number = parse_integer(args.bytes()?).filter(|&number| number >= 0);
        number.map(magnitude).ok_or(CommandError::NegativeOption(option))
    }

    /// The indexes that are wanted, in the order of the search.
    fn find(&self, list: &ListValue, element: &[u8]) -> Vec<usize> {
        let all_if_zero = |number: usize| if number == 0 { usize::MAX } else { number };
        let looks = list.len().min(all_if_zero(self.looks_max));
        let skipped = magnitude(self.rank) - 1;
        let wanted = self.count.map_or(1, all_if_zero);
        let matches = |(index, found): (usize, &[u8])| if found == element { Some(index) } else { None };
        if self.rank > 0 {
            let indexes = list.elements().take(looks).enumerate().filter_map(matches);
            indexes.skip(skipped).take(wanted).collect()
        } else {
            let indexes = list.elements().rev().take(looks).enumerate().filter_map(matches);
            indexes.skip(skipped).take(wanted).map(|index| list.len() - 1 - index).collect()
        }
    }
}

fn lpos(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, element) = (args.bytes()?, args.bytes()?);
    let search = Search::parse(args)?;
    let list = keyspace.read::<ListValue>(context, key)?;
    let indexes = list.map_or_else(Vec::new, |list| search.find(list, element));
    if search.count.is_some() {
        reply.array(indexes.len());
        indexes.into_iter().for_each(|index| reply.count(index));
    } else if let Some(&index) = indexes.first() {
        reply.count(index);
    } else {
        reply.null();
    }
    Ok(())
}
