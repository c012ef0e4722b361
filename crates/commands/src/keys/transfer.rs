//! Values on their way between servers: DUMP, RESTORE.

use keyspace::{Context, Keyspace};
use rdb::PayloadError;
use resp::Reply;

use crate::args::Args;
use crate::error::{CommandError, CommandResult, KeyError};

pub(super) fn dump(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    match keyspace.value(context, key) {
        Some((value, _)) => reply.bulk(rdb::dump(&value)),
        None => reply.null(),
    }
    Ok(())
}

/// The options of RESTORE.
#[derive(Default)]
struct RestoreOptions {
    replace: bool,
    is_absolute: bool,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

impl RestoreOptions {
    fn parse(args: &mut Args<'_>) -> Result<Self, CommandError> {
        let mut this = Self::default();
        while !args.is_empty() {
            let has_value = args.remaining() > 1;
            if args.keyword("REPLACE") {
                this.replace = true;
            } else if args.keyword("ABSTTL") {
                this.is_absolute = true;
            } else if has_value && this.frequency.is_none() && args.keyword("IDLETIME") {
                let seconds = u64::try_from(args.integer()?).map_err(|_| KeyError::NegativeIdleTime)?;
                this.idle_seconds = Some(seconds);
            } else if has_value && this.idle_seconds.is_none() && args.keyword("FREQ") {
                let frequency = u8::try_from(args.integer()?).map_err(|_| KeyError::InvalidFrequency)?;
                this.frequency = Some(frequency);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(this)
    }
}

pub(super) fn restore(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, mut time) = (args.bytes()?, args.clone());
    args.bytes()?;
    let payload = args.bytes()?;
    let options = RestoreOptions::parse(args)?;
    if !options.replace && k.finds(context, key) {
        return Err(KeyError::Busy.into());
    }
    let time = time.integer()?;
    if time < 0 {
        return Err(KeyError::NegativeTtl.into());
    }
    let value = rdb::restore(payload, k.settings(), context.now_ms).map_err(|error| match error {
        PayloadError::Footer => KeyError::PayloadFooter,
        PayloadError::Value(_) => KeyError::PayloadValue,
    })?;
    let base_ms = if options.is_absolute { 0 } else { context.now_ms };
    // As in Redis, a time that is too far to be told has passed.
    let deadline_ms =
        (time > 0).then(|| base_ms.checked_add_signed(time).filter(|&at| i64::try_from(at).is_ok()).unwrap_or(0));
    // So has a hash whose fields all have.
    let value = value.filter(|_| deadline_ms.is_none_or(|deadline_ms| deadline_ms > context.now_ms));
    match value {
        None => {
            k.remove(context, key);
        }
        Some(value) => k.put_anew(context, key, value, deadline_ms),
    }
    if let Some(seconds) = options.idle_seconds {
        k.set_idle_seconds(context, key, seconds);
    }
    if let Some(frequency) = options.frequency {
        k.set_frequency(context, key, frequency);
    }
    reply.ok();
    Ok(())
}
