//! SET and the commands that set a string, or its deadline, with conditions.

use keyspace::{Context, DeadlineChange, Keyspace};
use resp::{Arguments, Reply};

use super::comparison::Comparison;
use super::write_string;
use crate::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::keys::deadline::{Unit, deadline_of};
use crate::spec::KeyUse;

/// On what SET depends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition<'a> {
    /// Nothing.
    None,
    /// NX: the key is absent.
    Absent,
    /// XX: the key is there.
    Present,
    /// IFEQ and its kin: what the key holds.
    Value(Comparison<'a>),
}

/// SET reads the key only where it is to return it.
pub(super) fn key_use(arguments: Arguments<'_>) -> KeyUse {
    let is_read = arguments.iter().skip(3).any(|word| word.eq_ignore_ascii_case(b"GET"));
    if is_read { KeyUse::READ_AND_CHANGE } else { KeyUse::OVERWRITE }
}

/// The options about expiry: their words, the unit of the time that follows, and whether it counts from now.
const EXPIRE_OPTIONS: [(&str, Unit, bool); 4] =
    [("EX", Unit::Seconds, true), ("PX", Unit::Ms, true), ("EXAT", Unit::Seconds, false), ("PXAT", Unit::Ms, false)];

/// The options of SET and, without GET and without comparisons, of MSETEX.
pub(super) struct SetOptions<'a> {
    condition: Condition<'a>,
    /// What becomes of the keys' deadlines.
    pub(super) deadline: DeadlineChange,
    reply_old: bool,
}

impl<'a> SetOptions<'a> {
    pub(super) fn parse(args: &mut Args<'a>, context: &Context, command: &'static str) -> Result<Self, CommandError> {
        let of_one_key = command == "set";
        let mut options = Self { condition: Condition::None, deadline: DeadlineChange::Clear, reply_old: false };
        // A time that cannot be is told only when all the words are in order, as Redis does.
        let (mut wrong_time, mut word) = (None, None);
        while !args.is_empty() {
            let free = options.condition == Condition::None;
            // A word that is repeated is no error in Redis.
            if (free || options.condition == Condition::Absent) && args.keyword("NX") {
                options.condition = Condition::Absent;
            } else if (free || options.condition == Condition::Present) && args.keyword("XX") {
                options.condition = Condition::Present;
            } else if let Some(comparison) = if free && of_one_key { Comparison::take(args)? } else { None } {
                options.condition = Condition::Value(comparison);
            } else if of_one_key && args.keyword("GET") {
                options.reply_old = true;
            } else if matches!(options.deadline, DeadlineChange::Clear | DeadlineChange::Keep)
                && wrong_time.is_none()
                && args.keyword("KEEPTTL")
            {
                options.deadline = DeadlineChange::Keep;
            } else {
                let next = Some(next_expire_word(args).ok_or(CommandError::Syntax)?);
                // Two of them exclude each other; of one that is repeated the last time counts.
                if options.deadline != DeadlineChange::Clear && next != word {
                    return Err(CommandError::Syntax);
                }
                (wrong_time, word) = (None, next);
                match expire_option(args, context, command) {
                    Ok(deadline) => options.deadline = deadline.ok_or(CommandError::Syntax)?,
                    Err(CommandError::Syntax) => return Err(CommandError::Syntax),
                    Err(why) => {
                        wrong_time = Some(why);
                        options.deadline = DeadlineChange::Keep;
                    }
                }
            }
        }
        wrong_time.map_or(Ok(options), Err)
    }

    /// Whether the condition holds for a key.
    pub(super) fn is_met(&self, keyspace: &Keyspace, context: &Context, key: &[u8]) -> Result<bool, CommandError> {
        match self.condition {
            Condition::None => Ok(true),
            Condition::Absent => Ok(!keyspace.finds(context, key)),
            Condition::Present => Ok(keyspace.finds(context, key)),
            Condition::Value(comparison) => comparison.holds(keyspace.string(context, key)?),
        }
    }
}

/// Those of EX, PX, EXAT and PXAT that come next, as far as they are the same: the last time counts, as in Redis.
fn expire_options(
    args: &mut Args<'_>,
    context: &Context,
    command: &'static str,
) -> Result<Option<DeadlineChange>, CommandError> {
    let (first, mut change) = (next_expire_word(args), Ok(None));
    while first.is_some() && next_expire_word(args) == first && change != Err(CommandError::Syntax) {
        change = expire_option(args, context, command);
    }
    change
}

/// The word of the option about expiry that comes next, if one does.
fn next_expire_word(args: &Args<'_>) -> Option<&'static str> {
    EXPIRE_OPTIONS.into_iter().map(|(word, ..)| word).find(|word| args.clone().keyword(word))
}

/// EX, PX, EXAT or PXAT with its time.
pub(super) fn expire_option(
    args: &mut Args<'_>,
    context: &Context,
    command: &'static str,
) -> Result<Option<DeadlineChange>, CommandError> {
    for (word, unit, is_relative) in EXPIRE_OPTIONS {
        if args.keyword(word) {
            let time = args.integer()?;
            return positive_deadline(time, unit, is_relative.then_some(context), command).map(Some);
        }
    }
    Ok(None)
}

/// A deadline from a time that must be positive.
fn positive_deadline(
    time: i64,
    unit: Unit,
    relative_to: Option<&Context>,
    command: &'static str,
) -> Result<DeadlineChange, CommandError> {
    if time <= 0 {
        return Err(CommandError::InvalidExpireTime(command));
    }
    let base_ms = relative_to.map_or(0, |context| context.now_ms);
    let deadline_ms = deadline_of(time, unit, base_ms).ok_or(CommandError::InvalidExpireTime(command))?;
    Ok(DeadlineChange::At(deadline_ms.unsigned_abs()))
}

pub(super) fn set(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, value) = (args.bytes()?, args.bytes()?);
    if args.is_empty() {
        keyspace.set_string(context, key, value, DeadlineChange::Clear);
        reply.ok();
        return Ok(());
    }
    let options = SetOptions::parse(args, context, "set")?;
    if options.reply_old {
        write_string(keyspace.string(context, key)?, reply);
    }
    let is_met = options.is_met(keyspace, context, key)?;
    if is_met {
        keyspace.set_string(context, key, value, options.deadline);
    }
    match (options.reply_old, is_met) {
        (true, _) => {}
        (false, true) => reply.ok(),
        (false, false) => reply.null(),
    }
    Ok(())
}

pub(super) fn setnx(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let (key, value) = (args.bytes()?, args.bytes()?);
    args.end()?;
    let is_absent = !keyspace.finds(context, key);
    if is_absent {
        keyspace.set_string(context, key, value, DeadlineChange::Clear);
    }
    reply.integer(i64::from(is_absent));
    Ok(())
}

pub(super) fn setex(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    set_expiring(k, args, Unit::Seconds, "setex", context, reply)
}

pub(super) fn psetex(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    set_expiring(k, args, Unit::Ms, "psetex", context, reply)
}

fn set_expiring(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    unit: Unit,
    command: &'static str,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let (key, time, value) = (args.bytes()?, args.integer()?, args.bytes()?);
    args.end()?;
    let deadline = positive_deadline(time, unit, Some(context), command)?;
    keyspace.set_string(context, key, value, deadline);
    reply.ok();
    Ok(())
}

pub(super) fn getset(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let (key, value) = (args.bytes()?, args.bytes()?);
    args.end()?;
    write_string(keyspace.string(context, key)?, reply);
    keyspace.set_string(context, key, value, DeadlineChange::Clear);
    Ok(())
}

pub(super) fn getex(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let key = args.bytes()?;
    let change = if args.keyword("PERSIST") {
        // A word that is repeated is no error in Redis.
        while args.keyword("PERSIST") {}
        Some(DeadlineChange::Clear)
    } else if args.is_empty() {
        None
    } else {
        let change = expire_options(args, context, "getex");
        // As for SET: the words first, then the time.
        args.end()?;
        Some(change?.ok_or(CommandError::Syntax)?)
    };
    args.end()?;
    let string = keyspace.string(context, key)?;
    write_string(string, reply);
    let had_deadline = keyspace.deadline_ms(context, key).flatten().is_some();
    match change {
        Some(DeadlineChange::At(deadline_ms)) => {
            keyspace.set_deadline(context, key, Some(deadline_ms));
        }
        Some(DeadlineChange::Clear) if had_deadline => {
            keyspace.set_deadline(context, key, None);
        }
        _ => {}
    }
    Ok(())
}
