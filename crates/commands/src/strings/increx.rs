//! INCREX: a sum within bounds, and its deadline. From Redis's documentation of version 8.8.

use keyspace::{
    Context, DataError, DeadlineChange, Extended, Keyspace, Parsed, StringRef, format_integer, parse_integer,
};
use resp::Reply;

use super::set::expire_option;
use crate::args::Args;
use crate::error::{CommandError, CommandResult, StringError};

/// By what is added.
#[derive(Clone, Copy)]
enum By<'a> {
    Integer(&'a [u8]),
    Float(&'a [u8]),
}

/// The options, as they stand there: how numbers are read depends on BYFLOAT, which may come last.
#[derive(Default)]
struct Options<'a> {
    by: Option<By<'a>>,
    lower: Option<&'a [u8]>,
    upper: Option<&'a [u8]>,
    /// SATURATE: a sum beyond a bound becomes the bound.
    saturates: bool,
    deadline: Option<DeadlineChange>,
    /// ENX: the deadline is for a key without one.
    only_first_deadline: bool,
}

impl<'a> Options<'a> {
    fn parse(args: &mut Args<'a>, context: &Context) -> Result<Self, CommandError> {
        let mut options = Self::default();
        // As for SET: the words first, then the time.
        let mut wrong_time = None;
        while !args.is_empty() {
            if options.by.is_none() && args.keyword("BYINT") {
                options.by = Some(By::Integer(args.bytes()?));
            } else if options.by.is_none() && args.keyword("BYFLOAT") {
                options.by = Some(By::Float(args.bytes()?));
            } else if options.lower.is_none() && args.keyword("LBOUND") {
                options.lower = Some(args.bytes()?);
            } else if options.upper.is_none() && args.keyword("UBOUND") {
                options.upper = Some(args.bytes()?);
            } else if args.keyword("SATURATE") {
                options.saturates = true;
            } else if args.keyword("ENX") {
                options.only_first_deadline = true;
            } else if options.deadline.is_some() {
                return Err(CommandError::Syntax);
            } else if args.keyword("PERSIST") {
                options.deadline = Some(DeadlineChange::Clear);
            } else {
                options.deadline = Some(match expire_option(args, context, "increx") {
                    Ok(deadline) => deadline.ok_or(CommandError::Syntax)?,
                    Err(CommandError::Syntax) => return Err(CommandError::Syntax),
                    Err(why) => {
                        wrong_time = Some(why);
                        DeadlineChange::Keep
                    }
                });
            }
        }
        match (options.only_first_deadline, options.deadline) {
            (true, Some(DeadlineChange::Clear)) => return Err(CommandError::Syntax),
            (true, None) => return Err(StringError::FirstDeadlineOfNone.into()),
            _ => {}
        }
        wrong_time.map_or(Ok(options), Err)
    }

    /// What becomes of the deadline of a key that has one, or not.
    fn deadline_change(&self, has_deadline: bool) -> DeadlineChange {
        match self.deadline {
            Some(deadline) if !(self.only_first_deadline && has_deadline) => deadline,
            _ => DeadlineChange::Keep,
        }
    }
}

/// A sum, and what was added for it. `None`: it lies beyond the bounds, so nothing is.
type Sum<T> = Option<(T, T)>;

fn add_integers(old: i64, by: &[u8], options: &Options<'_>) -> Result<Sum<i64>, CommandError> {
    let integer = |text: &[u8], name| parse_integer(text).ok_or(StringError::NumberNotInteger(name));
    let by = integer(by, "Increment")?;
    let lower = options.lower.map_or(Ok(i64::MIN), |text| integer(text, "LBOUND"))?;
    let upper = options.upper.map_or(Ok(i64::MAX), |text| integer(text, "UBOUND"))?;
    if lower > upper {
        return Err(StringError::BoundsCrossed.into());
    }
    let wanted = i128::from(old) + i128::from(by);
    let sum = wanted.clamp(i128::from(lower), i128::from(upper));
    if sum != wanted && !options.saturates {
        return Ok(None);
    }
    let sum = i64::try_from(sum).expect("between the bounds");
    let added = sum.checked_sub(old).ok_or(StringError::AddedTooMuch)?;
    Ok(Some((sum, added)))
}

fn add_floats(old: Extended, by: &[u8], options: &Options<'_>) -> Result<Sum<Extended>, CommandError> {
    let number = |text: &[u8], name| Extended::parse(text).ok_or(StringError::NumberNotFloat(name));
    let Parsed::Finite(by) = number(by, "Increment")? else { return Err(DataError::NotFinite.into()) };
    let lowest = Parsed::Finite(Extended::MAX.negated());
    let highest = Parsed::Finite(Extended::MAX);
    let lower = options.lower.map_or(Ok(lowest), |text| number(text, "LBOUND"))?;
    let upper = options.upper.map_or(Ok(highest), |text| number(text, "UBOUND"))?;
    if lower > upper {
        return Err(StringError::BoundsCrossed.into());
    }
    // What is infinite lies on the side of what is added.
    let is_below = by < Extended::ZERO;
    let wanted = old.plus(by).map_or(Parsed::Infinite { negative: is_below }, Parsed::Finite);
    // An infinite bound bounds nothing that is finite.
    let sum = wanted.clamp(lower, upper).clamp(lower.max(lowest).min(upper), upper.min(highest).max(lower));
    if sum != wanted && !options.saturates {
        return Ok(None);
    }
    let Parsed::Finite(sum) = sum else { return Err(StringError::AddedInfinity.into()) };
    let added = sum.minus(old).ok_or(StringError::AddedInfinity)?;
    Ok(Some((sum, added)))
}

pub(super) fn increx(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let key = args.bytes()?;
    let options = Options::parse(args, context)?;
    let old = keyspace.string(context, key)?.map(StringRef::to_bytes);
    let old = old.as_deref().unwrap_or(b"0");
    let stored = match options.by.unwrap_or(By::Integer(b"1")) {
        By::Integer(by) => {
            let old = parse_integer(old).ok_or(CommandError::NotInteger)?;
            let sum = add_integers(old, by, &options)?;
            let (new, added) = sum.unwrap_or((old, 0));
            reply.array(2);
            reply.integer(new);
            reply.integer(added);
            sum.map(|_| format_integer(new).to_vec())
        }
        By::Float(by) => {
            let Some(Parsed::Finite(old)) = Extended::parse(old) else { return Err(CommandError::NotFloat) };
            let sum = add_floats(old, by, &options)?;
            let (new, added) = sum.unwrap_or((old, Extended::ZERO));
            reply.array(2);
            reply.double(new.to_text());
            reply.double(added.to_text());
            sum.map(|_| new.to_text().into_bytes())
        }
    };
    if let Some(text) = stored {
        let has_deadline = keyspace.deadline_ms(context, key).flatten().is_some();
        keyspace.set_string(context, key, &text, options.deadline_change(has_deadline));
    }
    Ok(())
}
