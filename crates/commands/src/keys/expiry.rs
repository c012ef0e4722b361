//! When keys expire. A deadline is absolute: a relative time counts from the entry's time.

use keyspace::{Context, Keyspace};
use resp::Reply;

use crate::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::keys::deadline::{Unit, deadline_of, time_left};

/// On what EXPIRE depends; any of them may be given.
#[derive(Default)]
pub(crate) struct Conditions {
    only_without: bool,
    only_with: bool,
    only_later: bool,
    only_earlier: bool,
}

impl Conditions {
    /// Takes all that is left.
    pub(crate) fn parse(args: &mut Args<'_>) -> Result<Self, CommandError> {
        let mut this = Self::default();
        while let Some(option) = args.peek() {
            if args.keyword("NX") {
                this.only_without = true;
            } else if args.keyword("XX") {
                this.only_with = true;
            } else if args.keyword("GT") {
                this.only_later = true;
            } else if args.keyword("LT") {
                this.only_earlier = true;
            } else {
                return Err(CommandError::UnsupportedOption(String::from_utf8_lossy(option).into_owned()));
            }
        }
        if this.only_without && (this.only_with || this.only_later || this.only_earlier) {
            return Err(CommandError::ExpireNxWithOthers);
        }
        if this.only_later && this.only_earlier {
            return Err(CommandError::ExpireGtAndLt);
        }
        Ok(this)
    }

    /// Whether a key with this deadline may get that one. No deadline counts as one that never comes.
    pub(crate) fn allow(&self, current_ms: Option<u64>, new_ms: u64) -> bool {
        let is_later = current_ms.is_some_and(|current_ms| new_ms > current_ms);
        let is_earlier = current_ms.is_none_or(|current_ms| new_ms < current_ms);
        !(self.only_without && current_ms.is_some()
            || self.only_with && current_ms.is_none()
            || self.only_later && !is_later
            || self.only_earlier && !is_earlier)
    }
}

pub(super) fn expire(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    change(k, args, Unit::Seconds, context.now_ms, "expire", context, reply)
}

pub(super) fn pexpire(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    change(k, args, Unit::Ms, context.now_ms, "pexpire", context, reply)
}

pub(super) fn expireat(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    change(k, args, Unit::Seconds, 0, "expireat", context, reply)
}

pub(super) fn pexpireat(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    change(k, args, Unit::Ms, 0, "pexpireat", context, reply)
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
    // Redis complains about options first.
    let conditions = Conditions::parse(args)?;
    let deadline_ms = deadline_of(time.integer()?, unit, base_ms).ok_or(CommandError::InvalidExpireTime(command))?;
    // What lies before 1970 has passed as well.
    let deadline_ms = u64::try_from(deadline_ms).unwrap_or(0);
    let current = keyspace.deadline_to_change(context, key);
    let changes = current.is_some_and(|current_ms| conditions.allow(current_ms, deadline_ms));
    if changes {
        keyspace.set_deadline(context, key, Some(deadline_ms));
    }
    reply.integer(i64::from(changes));
    Ok(())
}

pub(super) fn persist(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    let expires = keyspace.deadline_to_change(context, key).flatten().is_some();
    if expires {
        keyspace.set_deadline(context, key, None);
    }
    reply.integer(i64::from(expires));
    Ok(())
}

pub(super) fn ttl(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    show(k, args, Unit::Seconds, context.now_ms, context, reply)
}

pub(super) fn pttl(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    show(k, args, Unit::Ms, context.now_ms, context, reply)
}

pub(super) fn expiretime(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    show(k, args, Unit::Seconds, 0, context, reply)
}

pub(super) fn pexpiretime(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    show(k, args, Unit::Ms, 0, context, reply)
}

/// Replies with the deadline counted from `base_ms`; -1: the key does not expire; -2: there is no such key.
fn show(
    keyspace: &Keyspace,
    args: &mut Args<'_>,
    unit: Unit,
    base_ms: u64,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    reply.integer(match keyspace.deadline_ms(context, key) {
        None => -2,
        Some(None) => -1,
        Some(Some(deadline_ms)) => time_left(deadline_ms, unit, base_ms),
    });
    Ok(())
}
