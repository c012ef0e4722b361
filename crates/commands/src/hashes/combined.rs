//! Getting or setting fields, and changing when they expire or removing them, in one step.

use keyspace::{Context, DeadlineChange, Edit, HashValue, Keyspace, Settings};
use resp::Reply;

use super::expiry::{field_deadline, take_fields};
use super::value_or_null;
use crate::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::keys::deadline::Unit;

/// What is asked for in front of FIELDS.
#[derive(Default)]
struct Options<'a> {
    key_is: Option<Presence>,
    fields_are: Option<Presence>,
    expiration: Option<Expiration<'a>>,
}

/// Whether something has to be there, or must not be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Absent,
    Present,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expiration<'a> {
    /// EX, PX, EXAT, PXAT: the option, and the time as it was given.
    Time(&'static str, &'a [u8]),
    /// PERSIST
    Persist,
    /// KEEPTTL
    Keep,
}

const TIMES: [&str; 4] = ["EX", "PX", "EXAT", "PXAT"];

impl<'a> Options<'a> {
    /// Takes what stands in front of FIELDS, and FIELDS.
    fn before_fields(key: &[u8], args: &mut Args<'a>, sets: bool) -> Result<Self, CommandError> {
        match args.until("FIELDS") {
            Some(mut front) => Self::parse(&mut front, sets),
            // Valkey begins its search at the key.
            None if key.eq_ignore_ascii_case(b"FIELDS") => Ok(Self::default()),
            None => Err(CommandError::FieldCount),
        }
    }

    /// Takes all that is left. `sets`: the options of HSETEX, else those of HGETEX.
    fn parse(args: &mut Args<'a>, sets: bool) -> Result<Self, CommandError> {
        let mut options = Self::default();
        while !args.is_empty() {
            let expiration = options.expiration;
            if let Some(time) = TIMES.into_iter().find(|time| args.keyword(time)) {
                // The same option may come again, and the last counts.
                if expiration.is_some_and(|before| !matches!(before, Expiration::Time(name, _) if name == time)) {
                    return Err(CommandError::Syntax);
                }
                options.expiration = Some(Expiration::Time(time, args.bytes()?));
                continue;
            }
            let plain = if sets { ("KEEPTTL", Expiration::Keep) } else { ("PERSIST", Expiration::Persist) };
            if args.keyword(plain.0) {
                options.expiration = Some(plain.1);
                if expiration.is_some_and(|before| before != plain.1) {
                    return Err(CommandError::Syntax);
                }
            } else if !sets || !options.take_condition(args)? {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// Takes a condition, if it is the next argument. The opposite of an earlier one is refused.
    fn take_condition(&mut self, args: &mut Args<'a>) -> Result<bool, CommandError> {
        let (condition, wanted) = if args.keyword("NX") {
            (&mut self.key_is, Presence::Absent)
        } else if args.keyword("XX") {
            (&mut self.key_is, Presence::Present)
        } else if args.keyword("FNX") {
            (&mut self.fields_are, Presence::Absent)
        } else if args.keyword("FXX") {
            (&mut self.fields_are, Presence::Present)
        } else {
            return Ok(false);
        };
        match condition.replace(wanted) {
            Some(before) if before != wanted => Err(CommandError::Syntax),
            _ => Ok(true),
        }
    }

    /// What becomes of the deadlines; `None`: nothing was said.
    fn deadline(&self, context: &Context, command: &'static str) -> Result<Option<DeadlineChange>, CommandError> {
        let (name, time) = match self.expiration {
            None => return Ok(None),
            Some(Expiration::Persist) => return Ok(Some(DeadlineChange::Clear)),
            Some(Expiration::Keep) => return Ok(Some(DeadlineChange::Keep)),
            Some(Expiration::Time(name, time)) => (name, time),
        };
        let time = keyspace::parse_integer(time).ok_or(CommandError::NotInteger)?;
        let unit = if name.starts_with('P') { Unit::Ms } else { Unit::Seconds };
        let base_ms = if name.ends_with("AT") { 0 } else { context.now_ms };
        field_deadline(time, unit, base_ms, command).map(|deadline_ms| Some(DeadlineChange::At(deadline_ms)))
    }
}

pub(super) fn hgetex(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let key = args.bytes()?;
    let options = Options::before_fields(key, args, false)?;
    let fields = take_fields(args, 1)?;
    let settings = *keyspace.settings();
    let mut hash = keyspace.edit::<HashValue>(context, key)?;
    // Redis looks at the time only when it knows that the key holds a hash, or nothing.
    let deadline = options.deadline(context, "hgetex")?;
    reply.array(fields.clone().count());
    for field in fields {
        value_or_null(hash.as_ref().map(|hash| hash.live(context)), field, reply);
        if let (Some(hash), Some(deadline)) = (&mut hash, deadline) {
            hash.drop_due(context, field);
            change_deadline(hash, field, deadline, context, &settings);
        }
    }
    Ok(())
}

/// Changes when a field expires, if it is there. A deadline that has passed removes it.
fn change_deadline(
    hash: &mut Edit<'_, HashValue>,
    field: &[u8],
    deadline: DeadlineChange,
    context: &Context,
    settings: &Settings,
) {
    let Some(current_ms) = hash.live(context).find(field).map(|found| found.deadline_ms) else { return };
    let deadline_ms = match deadline {
        DeadlineChange::At(deadline_ms) if deadline_ms <= context.now_ms => {
            hash.remove(field);
            return;
        }
        DeadlineChange::At(deadline_ms) => Some(deadline_ms),
        DeadlineChange::Clear => None,
        DeadlineChange::Keep => current_ms,
    };
    // Looks first: only a change may be seen as one.
    if deadline_ms != current_ms {
        hash.set_deadline(field, deadline_ms, settings);
    }
}

pub(super) fn hsetex(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let key = args.bytes()?;
    let options = Options::before_fields(key, args, true)?;
    let mut pairs = take_fields(args, 2)?;
    let settings = *keyspace.settings();
    let mut hash = keyspace.edit_or_new::<HashValue>(context, key)?;
    let holds =
        |is_there, wanted: Option<Presence>| wanted.is_none_or(|wanted| is_there == (wanted == Presence::Present));
    if !holds(!hash.is_new(), options.key_is) {
        reply.integer(0);
        return Ok(());
    }
    // Redis looks at the time only where the key is as it has to be.
    let deadline = options.deadline(context, "hsetex")?.unwrap_or(DeadlineChange::Clear);
    let is_met = pairs.clone().step_by(2).all(|field| holds(hash.live(context).contains(field), options.fields_are));
    if is_met {
        let is_over = matches!(deadline, DeadlineChange::At(deadline_ms) if deadline_ms <= context.now_ms);
        // Only a change may be seen as one, and a time that is over changes only what is there.
        if !is_over {
            hash.expect_fields(pairs.clone().count() / 2, &settings);
        }
        while let (Some(field), Some(value)) = (pairs.next(), pairs.next()) {
            hash.drop_due(context, field);
            if is_over {
                change_deadline(&mut hash, field, deadline, context, &settings);
            } else {
                hash.insert(field, value, deadline, &settings);
            }
        }
    }
    reply.integer(i64::from(is_met));
    Ok(())
}

pub(super) fn hgetdel(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let key = args.bytes()?;
    if !args.keyword("FIELDS") {
        return Err(CommandError::Syntax);
    }
    let fields = take_fields(args, 1)?;
    let mut hash = keyspace.edit::<HashValue>(context, key)?;
    reply.array(fields.clone().count());
    for field in fields {
        value_or_null(hash.as_ref().map(|hash| hash.live(context)), field, reply);
        if let Some(hash) = &mut hash
            && hash.live(context).contains(field)
        {
            hash.remove(field);
        }
    }
    Ok(())
}
