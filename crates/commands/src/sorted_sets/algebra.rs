//! Unions, intersections and differences of sorted sets. Sets take part too; their members have score 1.

use std::collections::BTreeMap;

use keyspace::{Context, DataError, Keyspace, Member, SetValue, SortedSetValue, ValueType};
use resp::Reply;

use super::write_members;
use crate::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::sets::parse_limit;

/// What is done with the sources.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// How the scores of one member become one.
#[derive(Clone, Copy, Default)]
enum Aggregate {
    #[default]
    Sum,
    Min,
    Max,
}

impl Aggregate {
    // redis: t_zset.c zunionInterAggregate. The sum of both infinities is zero.
    fn apply(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Sum => zero_if_nan(left + right),
            Self::Min => {
                if right < left {
                    right
                } else {
                    left
                }
            }
            Self::Max => {
                if right > left {
                    right
                } else {
                    left
                }
            }
        }
    }
}

fn zero_if_nan(number: f64) -> f64 {
    if number.is_nan() { 0.0 } else { number }
}

/// What stands behind the keys.
struct Options {
    /// One for each key, in the order of the keys.
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    limit: usize,
}

/// Which options a command takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Reply,
    Store,
    Count,
}

impl Options {
    fn parse(
        args: &mut Args<'_>,
        key_count: usize,
        operation: Operation,
        purpose: Purpose,
    ) -> Result<Self, CommandError> {
        let weighs = operation != Operation::Difference && purpose != Purpose::Count;
        let weights = vec![1.0; key_count];
        let mut options = Self { weights, aggregate: Aggregate::Sum, with_scores: false, limit: usize::MAX };
        while !args.is_empty() {
            if weighs && args.remaining() > key_count && args.keyword("WEIGHTS") {
                for weight in &mut options.weights {
                    *weight = args.double().map_err(|_| CommandError::WeightNotFloat)?;
                }
            } else if weighs && args.remaining() > 1 && args.keyword("AGGREGATE") {
                options.aggregate = match () {
                    () if args.keyword("SUM") => Aggregate::Sum,
                    () if args.keyword("MIN") => Aggregate::Min,
                    () if args.keyword("MAX") => Aggregate::Max,
                    () => return Err(CommandError::Syntax),
                };
            } else if purpose == Purpose::Reply && args.keyword("WITHSCORES") {
                options.with_scores = true;
            } else if purpose == Purpose::Count && args.remaining() > 1 && args.keyword("LIMIT") {
                options.limit = parse_limit(args.bytes()?)?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

/// What a key holds.
#[derive(Clone, Copy)]
enum Source<'a> {
    Nothing,
    Set(&'a SetValue),
    Sorted(&'a SortedSetValue),
}

impl<'a> Source<'a> {
    fn read(keyspace: &'a Keyspace, context: &Context, key: &[u8]) -> Result<Self, DataError> {
        Ok(match keyspace.value_type(context, key) {
            Some(ValueType::Set) => keyspace.read(context, key)?.map_or(Self::Nothing, Self::Set),
            _ => keyspace.read(context, key)?.map_or(Self::Nothing, Self::Sorted),
        })
    }

    fn len(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Set(set) => set.len(),
            Self::Sorted(set) => set.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Nothing => None,
            Self::Set(set) => {
                if set.contains(member) {
                    Some(1.0)
                } else {
                    None
                }
            }
            Self::Sorted(set) => set.score(member),
        }
    }

    fn iter(self) -> impl Iterator<Item = (Member<'a>, f64)> {
        let (set, sorted) = match self {
            Self::Nothing => (None, None),
            Self::Set(set) => (Some(set), None),
            Self::Sorted(set) => (None, Some(set)),
        };
        let set = set.into_iter().flat_map(|set| set.iter().map(|member| (member, 1.0)));
        let sorted = sorted.into_iter().flat_map(|set| set.range(0..set.len()));
        set.chain(sorted.map(|(member, score)| (Member::Bytes(member), score)))
    }
}

/// A whole command's arguments, and what its keys hold.
struct Query<'a> {
    operation: Operation,
    /// With their weights; the smallest first, but for a difference.
    sources: Vec<(Source<'a>, f64)>,
    options: Options,
}

impl<'a> Query<'a> {
    fn parse(
        keyspace: &'a Keyspace,
        args: &mut Args<'_>,
        context: &Context,
        operation: Operation,
        purpose: Purpose,
        name: &'static str,
    ) -> Result<Self, CommandError> {
        let count = args.integer()?;
        let count = usize::try_from(count).ok().filter(|&count| count > 0).ok_or(CommandError::NoInputKey(name))?;
        if count > args.remaining() {
            return Err(CommandError::Syntax);
        }
        let keys: Vec<_> = (0..count).map(|_| args.bytes()).collect::<Result<_, _>>()?;
        // redis: t_zset.c zunionInterDiffGenericCommand: a wrong type is told before a wrong option.
        let options = Options::parse(args, count, operation, purpose);
        let sources = keys.iter().map(|key| Source::read(keyspace, context, key)).collect::<Result<Vec<_>, _>>()?;
        let options = options?;
        let mut sources: Vec<_> = sources.into_iter().zip(options.weights.iter().copied()).collect();
        if operation != Operation::Difference {
            sources.sort_by_key(|(source, _)| source.len());
        }
        Ok(Self { operation, sources, options })
    }

    /// The members of the result with their scores, by name.
    fn compute(&self) -> BTreeMap<Vec<u8>, f64> {
        let mut scores: BTreeMap<Vec<u8>, f64> = BTreeMap::new();
        match self.operation {
            Operation::Union => {
                for &(source, weight) in &self.sources {
                    for (member, score) in source.iter() {
                        let score = zero_if_nan(weight * score);
                        let put = scores.entry(member.to_vec());
                        put.and_modify(|sum| *sum = self.options.aggregate.apply(*sum, score)).or_insert(score);
                    }
                }
            }
            Operation::Intersection => {
                scores.extend(self.common().map(|(member, score)| (member.to_vec(), score)));
            }
            Operation::Difference => {
                let (first, others) = self.sources.split_first().expect("there is at least one key");
                let left =
                    first.0.iter().filter(|(member, _)| others.iter().all(|other| other.0.score(member).is_none()));
                scores.extend(left.map(|(member, score)| (member.to_vec(), score)));
            }
        }
        scores
    }

    /// The members that all sources have, with their scores.
    fn common(&self) -> impl Iterator<Item = (Member<'a>, f64)> {
        let (smallest, others) = self.sources.split_first().expect("there is at least one key");
        smallest.0.iter().filter_map(|(member, score)| {
            let first = zero_if_nan(smallest.1 * score);
            let sum = others.iter().try_fold(first, |sum, &(other, weight)| {
                Some(self.options.aggregate.apply(sum, weight * other.score(&member)?))
            })?;
            Some((member, sum))
        })
    }
}

fn answer(
    keyspace: &Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
    operation: Operation,
    name: &'static str,
) -> CommandResult {
    let query = Query::parse(keyspace, args, context, operation, Purpose::Reply, name)?;
    let mut result: Vec<_> = query.compute().into_iter().collect();
    // Stable: members with equal scores stay in the order of their names.
    result.sort_by(|left, right| left.1.partial_cmp(&right.1).expect("a score is a number"));
    let members = result.iter().map(|(member, score)| (member.as_slice(), *score));
    write_members(result.len(), members, query.options.with_scores, reply);
    Ok(())
}

fn store(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
    operation: Operation,
    name: &'static str,
) -> CommandResult {
    let destination = args.bytes()?;
    let query = Query::parse(keyspace, args, context, operation, Purpose::Store, name)?;
    let result = SortedSetValue::collect(query.compute().into_iter(), keyspace.settings());
    reply.count(result.len());
    keyspace.put(context, destination, result.into_value(), None);
    Ok(())
}

pub(super) fn zunion(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    answer(keyspace, args, context, reply, Operation::Union, "zunion")
}

pub(super) fn zinter(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    answer(keyspace, args, context, reply, Operation::Intersection, "zinter")
}

pub(super) fn zdiff(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    answer(keyspace, args, context, reply, Operation::Difference, "zdiff")
}

pub(super) fn zintercard(
    keyspace: &Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let query = Query::parse(keyspace, args, context, Operation::Intersection, Purpose::Count, "zintercard")?;
    reply.count(query.common().take(query.options.limit).count());
    Ok(())
}

pub(super) fn zunionstore(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    store(keyspace, args, context, reply, Operation::Union, "zunionstore")
}

pub(super) fn zinterstore(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    store(keyspace, args, context, reply, Operation::Intersection, "zinterstore")
}

pub(super) fn zdiffstore(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    store(keyspace, args, context, reply, Operation::Difference, "zdiffstore")
}
