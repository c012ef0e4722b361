//! HyperLogLog: estimates of how many different elements there are.

use keyspace::{Context, HyperLogLog, Keyspace, Random, Registers};
use resp::Reply;

use crate::args::Args;
use crate::error::{CommandError, CommandResult, HyperLogLogError};
use crate::spec::{Arity::*, Flags, KeyUse, Keys, Spec};

const ALL: Keys = Keys::Range { first: 1, last: -1, step: 1 };

#[rustfmt::skip]
pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("PFADD",      AtLeast(2), Keys::One(1), pfadd,   "Adds elements to a HyperLogLog.").fast().denyoom().uses(&[KeyUse::ADD]),
    Spec::read ("PFCOUNT",    AtLeast(2), ALL,          pfcount, "Estimates how many elements were added to HyperLogLogs.").leaves(pfcount_and_keep).uses(&[KeyUse::RW.with(KeyUse::ACCESS)]),
    Spec::write("PFMERGE",    AtLeast(2), ALL,          pfmerge, "Adds to a HyperLogLog what was added to others.").denyoom().uses(&[KeyUse::ADD.with(KeyUse::ACCESS), KeyUse::READ]),
    Spec::write("PFDEBUG",    Exactly(3), Keys::One(2), pfdebug, "Shows how a HyperLogLog is kept.").denyoom().flags(Flags::ADMIN).uses(&[KeyUse::RW.with(KeyUse::ACCESS)]),
    Spec::read ("PFSELFTEST", Exactly(1), Keys::None,   pfselftest, "Checks that HyperLogLogs estimate well.").flags(Flags::ADMIN),
];

fn pfadd(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, elements) = (args.bytes()?, args.take_rest());
    let settings = *keyspace.settings();
    let found = keyspace.hyperloglog(context, key)?;
    let mut is_changed = found.is_none();
    let mut sketch = found.unwrap_or_else(HyperLogLog::empty);
    for element in elements {
        is_changed |= sketch.add(element, &settings)?;
    }
    if is_changed {
        sketch.invalidate();
        let sketch = sketch.into_owned();
        keyspace.put_hyperloglog(context, key, &sketch);
    }
    reply.integer(i64::from(is_changed));
    Ok(())
}

fn pfcount(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let keys = args.take_rest();
    let count = if keys.clone().count() == 1 {
        let sketch = keys.map(|key| keyspace.hyperloglog(context, key)).next().expect("there is one")?;
        if sketch.as_ref().is_some_and(|sketch| sketch.kept_count().is_none()) {
            context.leaves.set(true);
        }
        sketch.map_or(Ok(0), |sketch| sketch.count())?
    } else {
        let mut registers = Registers::default();
        for key in keys {
            keyspace.hyperloglog(context, key)?.map_or(Ok(()), |sketch| sketch.merge_into(&mut registers))?;
        }
        registers.count()
    };
    // More than 2^63 only a header that was made up can claim; that bit says there that it does not hold.
    reply.integer(count.cast_signed());
    Ok(())
}

/// The same in an entry, where the estimate of a single key is kept in the key: until its registers change, others find it there.
fn pfcount_and_keep(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let mut keys = args.rest();
    if let (Some(key), None) = (keys.next(), keys.next())
        && let Some(sketch) = k.hyperloglog(context, key)?.filter(|sketch| sketch.kept_count().is_none())
    {
        let count = sketch.count()?;
        let mut sketch = sketch.into_owned();
        sketch.keep_count(count);
        k.put_hyperloglog(context, key, &sketch);
        reply.integer(count.cast_signed());
        return Ok(());
    }
    pfcount(k, args, context, reply)
}

fn pfmerge(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let keys = args.take_rest();
    let destination = keys.clone().next().ok_or(CommandError::Syntax)?;
    let settings = *keyspace.settings();
    let (mut registers, mut is_dense) = (Registers::default(), false);
    for key in keys {
        if let Some(sketch) = keyspace.hyperloglog(context, key)? {
            is_dense |= sketch.is_dense();
            sketch.merge_into(&mut registers)?;
        }
    }
    let mut merged = keyspace.hyperloglog(context, destination)?.unwrap_or_else(HyperLogLog::empty);
    if is_dense {
        merged.make_dense()?;
    }
    merged.merge(&registers, &settings)?;
    merged.invalidate();
    let merged = merged.into_owned();
    keyspace.put_hyperloglog(context, destination, &merged);
    reply.ok();
    Ok(())
}

/// What PFDEBUG is to show.
enum Shown<'a> {
    /// SIMD, which changes nothing here.
    Vectors,
    Registers,
    Runs,
    Encoding,
    ToDense,
    Unknown(&'a [u8]),
}

fn pfdebug(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let shown = match () {
        () if args.keyword("SIMD") => Shown::Vectors,
        () if args.keyword("GETREG") => Shown::Registers,
        () if args.keyword("DECODE") => Shown::Runs,
        () if args.keyword("ENCODING") => Shown::Encoding,
        () if args.keyword("TODENSE") => Shown::ToDense,
        () => Shown::Unknown(args.bytes()?),
    };
    let key = args.bytes()?;
    args.end()?;
    if matches!(shown, Shown::Vectors) {
        return switch_vectors(key, reply);
    }
    let mut sketch = keyspace.hyperloglog(context, key)?.ok_or(HyperLogLogError::NoSuchKey)?.into_owned();
    let was_dense = sketch.is_dense();
    match shown {
        Shown::Vectors => {}
        Shown::Registers => {
            sketch.make_dense()?;
            let counts: Vec<u8> = sketch.counts()?.collect();
            reply.array(counts.len());
            counts.into_iter().for_each(|count| reply.integer(i64::from(count)));
        }
        Shown::Runs => reply.bulk(sketch.runs_text()?.ok_or(HyperLogLogError::NotSparse)?),
        Shown::Encoding => reply.simple(if was_dense { "dense" } else { "sparse" }),
        Shown::ToDense => {
            sketch.make_dense()?;
            reply.integer(i64::from(!was_dense));
        }
        Shown::Unknown(name) => return Err(HyperLogLogError::unknown_subcommand(name).into()),
    }
    if sketch.is_dense() != was_dense {
        keyspace.put_hyperloglog(context, key, &sketch);
    }
    Ok(())
}

/// Answers what a server that has two ways of counting would.
fn switch_vectors(wanted: &[u8], reply: &mut Reply) -> CommandResult {
    let answer = match () {
        () if wanted.eq_ignore_ascii_case(b"ON") => "enabled",
        () if wanted.eq_ignore_ascii_case(b"OFF") => "disabled",
        () => return Err(HyperLogLogError::NeitherOnNorOff.into()),
    };
    reply.simple(answer);
    Ok(())
}

/// Adds elements until there are so many.
const TESTED_ELEMENTS: u64 = 10_000;

/// Sparse and dense registers give the same estimates, and those are near the truth.
fn pfselftest(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    args.end()?;
    let settings = *keyspace.settings();
    let mut random = Random::new(context.seed);
    let salt = random.bits();
    let (mut sketch, mut dense) = (HyperLogLog::empty(), HyperLogLog::empty());
    dense.make_dense()?;
    let mut checkpoint = 1;
    for number in 1..=TESTED_ELEMENTS {
        let element = (number ^ salt).to_le_bytes();
        sketch.add(&element, &settings)?;
        dense.add(&element, &settings)?;
        if number == checkpoint {
            sketch.invalidate();
            dense.invalidate();
            let (count, other) = (sketch.count()?, dense.count()?);
            if count != other {
                return Err(HyperLogLogError::EncodingsDisagree.into());
            }
            // Six times the standard error, which is 1.04 by the root of the number of registers, and one for small numbers.
            let error = count.abs_diff(number);
            if error > number * 6 * 104 / 12_800 + 1 {
                return Err(HyperLogLogError::TooFarOff { number, error }.into());
            }
            checkpoint *= 10;
        }
    }
    reply.ok();
    Ok(())
}
