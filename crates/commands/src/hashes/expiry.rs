//! When fields expire. Replies come field by field.

use keyspace::{Context, HashValue, Keyspace, Timed};
use resp::Reply;

use crate::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::keys::deadline::{Unit, deadline_of, time_left};
use crate::keys::expiry::Conditions;

/// There is no such field.
const NO_FIELD: i64 = -2;
/// The field does not expire.
const LASTS: i64 = -1;
/// A condition does not hold.
const NOT_CHANGED: i64 = 0;
/// The field expires, or no longer does.
const CHANGED: i64 = 1;
/// The time has passed: the field is gone.
const REMOVED: i64 = 2;

/// Takes the number behind FIELDS and as many fields (of `width` arguments each), to the end of the arguments.
pub(super) fn take_fields<'a>(
    args: &mut Args<'a>,
    width: usize,
) -> Result<impl Iterator<Item = &'a [u8]> + Clone + use<'a>, CommandError> {
    let count =
        args.integer().map_err(|error| if error == CommandError::Syntax { CommandError::FieldCount } else { error })?;
    let given = args.remaining();
    if given == 0 || usize::try_from(count).ok().and_then(|count| count.checked_mul(width)) != Some(given) {
        return Err(CommandError::FieldCount);
    }
    Ok(args.take_rest())
}

/// The deadline of a time that is not negative, in ms since 1970. Zero has passed.
pub(super) fn field_deadline(time: i64, unit: Unit, base_ms: u64, command: &'static str) -> Result<u64, CommandError> {
    let deadline_ms = if time < 0 { None } else { deadline_of(time, unit, base_ms) };
    deadline_ms.and_then(|ms| u64::try_from(ms).ok()).ok_or(CommandError::InvalidExpireTime(command))
}

pub(super) fn hexpire(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    change(k, args, Unit::Seconds, context.now_ms, "hexpire", context, reply)
}

pub(super) fn hpexpire(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    change(k, args, Unit::Ms, context.now_ms, "hpexpire", context, reply)
}

pub(super) fn hexpireat(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    change(k, args, Unit::Seconds, 0, "hexpireat", context, reply)
}

pub(super) fn hpexpireat(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    change(k, args, Unit::Ms, 0, "hpexpireat", context, reply)
}

fn change(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    unit: Unit,
    base_ms: u64,
    command: &'static str,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let (key, mut time) = (args.bytes()?, args.clone());
    args.bytes()?;
    let conditions = Conditions::parse(&mut args.until("FIELDS").ok_or(CommandError::FieldCount)?)?;
    let fields = take_fields(args, 1)?;
    let deadline_ms = field_deadline(time.integer()?, unit, base_ms, command)?;
    let settings = *keyspace.settings();
    let mut hash = keyspace.edit::<HashValue>(context, key)?;
    reply.array(fields.clone().count());
    for field in fields {
        let found = hash.as_mut().and_then(|hash| {
            hash.drop_due(context, field);
            hash.live(context).find(field).map(|found| found.deadline_ms)
        });
        reply.integer(match (&mut hash, found) {
            (Some(_), Some(current_ms)) if !conditions.allow(current_ms, deadline_ms) => NOT_CHANGED,
            (Some(hash), Some(_)) if deadline_ms <= context.now_ms => {
                hash.remove(field);
                REMOVED
            }
            (Some(hash), Some(_)) => {
                hash.set_deadline(field, Some(deadline_ms), &settings);
                CHANGED
            }
            _ => NO_FIELD,
        });
    }
    Ok(())
}

pub(super) fn hpersist(
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
    let settings = *keyspace.settings();
    let mut hash = keyspace.edit::<HashValue>(context, key)?;
    reply.array(fields.clone().count());
    for field in fields {
        let found = hash.as_ref().and_then(|hash| hash.live(context).find(field).map(|found| found.deadline_ms));
        reply.integer(match (&mut hash, found) {
            (Some(hash), Some(Some(_))) => {
                hash.set_deadline(field, None, &settings);
                CHANGED
            }
            (_, Some(None)) => LASTS,
            _ => NO_FIELD,
        });
    }
    Ok(())
}

pub(super) fn httl(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    show(k, args, Unit::Seconds, context.now_ms, context, reply)
}

pub(super) fn hpttl(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    show(k, args, Unit::Ms, context.now_ms, context, reply)
}

pub(super) fn hexpiretime(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    show(k, args, Unit::Seconds, 0, context, reply)
}

pub(super) fn hpexpiretime(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    show(k, args, Unit::Ms, 0, context, reply)
}

fn show(
    keyspace: &Keyspace,
    args: &mut Args<'_>,
    unit: Unit,
    base_ms: u64,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let key = args.bytes()?;
    if !args.keyword("FIELDS") {
        return Err(CommandError::Syntax);
    }
    // Whoever only asks hears of a syntax error.
    let fields = take_fields(args, 1).map_err(|error| match error {
        CommandError::FieldCount => CommandError::Syntax,
        other => other,
    })?;
    let hash = keyspace.read_hash(context, key)?;
    reply.array(fields.clone().count());
    for field in fields {
        reply.integer(match hash.and_then(|hash| hash.find(field)) {
            None => NO_FIELD,
            Some(Timed { deadline_ms: None, .. }) => LASTS,
            Some(Timed { deadline_ms: Some(deadline_ms), .. }) => time_left(deadline_ms, unit, base_ms),
        });
    }
    Ok(())
}
