//! Commands that wait: what they wait for, and for how long.
//!
//! A command that waits has a handler as any other: it answers at once, with a null where it found nothing. That is what it does in a
//! transaction, and in an entry. Who may wait is kept by the node, which runs the command again when one of its keys has what it wants.

use std::time::Duration;

use keyspace::{Context, Extended, Keyspace, ListValue, Parsed, SortedSetValue, ValueType};
use resp::{Arguments, Reply};

use crate::args::Args;
use crate::error::{CommandError, TimeoutError};
use crate::run::run_read;
use crate::spec::Spec;
use crate::streams;

/// What a row says about waiting.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// The type of value that it waits for.
    pub wants: ValueType,
    /// Where it says for how long.
    pub timeout: TimeoutPlace,
    /// Whether a call would be answered now, where a value of that type alone does not say so.
    pub has_answer: Option<HasAnswer>,
}

/// See [`Waits::has_answer`].
pub type HasAnswer = fn(&Keyspace, Arguments<'_>, &Context) -> bool;

/// Where a command says for how long it waits.
#[derive(Clone, Copy, Debug)]
pub enum TimeoutPlace {
    /// In seconds, at this place; a negative one counts from the end: -1 is the last argument.
    Seconds(isize),
    /// In milliseconds, behind the option BLOCK. Without it the command does not wait.
    Block,
}

/// A call that waits if there is nothing for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The type of value that it waits for.
    pub wants: ValueType,
    /// For how long; `None`: for ever.
    pub timeout: Option<Duration>,
}

/// Whether a call waits if there is nothing for it. `None`: it does not, or its arguments make no sense and it fails by itself.
pub fn wait_of(spec: &Spec, arguments: Arguments<'_>) -> Option<Wait> {
    let Waits { wants, timeout, .. } = spec.waits?;
    let timeout_ms = match timeout {
        TimeoutPlace::Seconds(place) => {
            let place = if place < 0 { arguments.len().checked_add_signed(place)? } else { place.unsigned_abs() };
            seconds_to_ms(arguments.get(place)?, 0).ok()?
        }
        TimeoutPlace::Block => block_ms(streams::find_block(arguments)?, 0).ok()?,
    };
    let timeout = (timeout_ms > 0).then(|| Duration::from_millis(timeout_ms));
    Some(Wait { wants, timeout })
}

/// A time in seconds, in ms: what is not whole is rounded up.
///
/// # Errors
/// When it is none, or ends behind the end of time.
pub(crate) fn seconds_to_ms(text: &[u8], now_ms: u64) -> Result<u64, TimeoutError> {
    let ms = match Extended::parse(text).ok_or(TimeoutError::NotFloat)? {
        // redis: timeout.c getTimeoutFromObjectOrReply multiplies in `long double`, so that -0.001 s is -0 ms.
        Parsed::Finite(seconds) => match seconds.times(1000).and_then(Extended::ceil) {
            Some(ms) => ms,
            None if seconds < Extended::ZERO => return Err(TimeoutError::Negative),
            None => return Err(TimeoutError::OutOfRange),
        },
        Parsed::Infinite { negative: true } => return Err(TimeoutError::Negative),
        Parsed::Infinite { negative: false } => return Err(TimeoutError::OutOfRange),
    };
    if ms < 0 {
        return Err(TimeoutError::Negative);
    }
    in_time(u64::try_from(ms).map_err(|_| TimeoutError::OutOfRange)?, now_ms)
}

/// For how long a command is to wait that says so in milliseconds, as BLOCK does; 0: for ever.
///
/// # Errors
/// When they are no number, negative, or end behind the end of time, as seen from `now_ms`.
pub fn block_ms(text: &[u8], now_ms: u64) -> Result<u64, TimeoutError> {
    let ms = keyspace::parse_integer(text).ok_or(TimeoutError::NotInteger)?;
    in_time(u64::try_from(ms).map_err(|_| TimeoutError::Negative)?, now_ms)
}

fn in_time(ms: u64, now_ms: u64) -> Result<u64, TimeoutError> {
    let ends_ms = ms.checked_add(now_ms).filter(|&ends_ms| i64::try_from(ends_ms).is_ok());
    ends_ms.map(|_| ms).ok_or(TimeoutError::OutOfRange)
}

/// Checks a time in seconds that a handler was given.
pub(crate) fn check_seconds(text: &[u8], context: &Context) -> Result<(), CommandError> {
    Ok(seconds_to_ms(text, context.now_ms).map(drop)?)
}

/// Takes all that is left: keys, and then the time to wait.
pub(crate) fn take_keys_and_seconds<'a>(args: &mut Args<'a>, context: &Context) -> Result<Vec<&'a [u8]>, CommandError> {
    let keys = (1..args.remaining()).map(|_| args.bytes()).collect::<Result<_, _>>()?;
    check_seconds(args.bytes()?, context)?;
    args.end()?;
    Ok(keys)
}

/// How many calls that wait for this type of value at a key may find something there now. A list may serve as many as it has elements; a
/// stream, as many as there are.
pub fn servable(keyspace: &Keyspace, context: &Context, key: &[u8], wants: ValueType) -> usize {
    match wants {
        ValueType::List => keyspace.read::<ListValue>(context, key).ok().flatten().map_or(0, ListValue::len),
        ValueType::SortedSet => {
            keyspace.read::<SortedSetValue>(context, key).ok().flatten().map_or(0, SortedSetValue::len)
        }
        ValueType::Stream => usize::MAX,
        _ => 0,
    }
}

/// Whether a call would be answered now, given that a key of its may serve it ([`servable`]). A consumer of a group is, with an error, also
/// where its stream or its group is gone.
pub fn has_answer(spec: &Spec, keyspace: &Keyspace, arguments: Arguments<'_>, context: &Context) -> bool {
    let has_answer = spec.waits.and_then(|waits| waits.has_answer);
    has_answer.is_none_or(|has_answer| has_answer(keyspace, arguments, context))
}

/// Runs a call of XREAD. Its arguments as they are to be asked again, if it found nothing: the ids `$` are what they were at this moment.
pub fn read_or_wait(
    spec: &Spec,
    keyspace: &Keyspace,
    arguments: Arguments<'_>,
    context: &Context,
    reply: &mut Reply,
) -> Option<Vec<u8>> {
    let mark = reply.mark();
    run_read(spec, keyspace, arguments, context, reply);
    if !is_null(reply.since(mark)) {
        return None;
    }
    reply.rollback(mark);
    Some(streams::fix_ids(keyspace, arguments, context))
}

/// Whether a reply says that there is nothing: what a call that may wait does not say then.
pub fn is_null(reply: &[u8]) -> bool {
    matches!(reply, b"*-1\r\n" | b"$-1\r\n" | b"_\r\n")
}

#[cfg(test)]
mod tests {
    use resp::{ArgumentRanges, parse_stored, write_command};

    use super::*;

    fn wait(line: &str) -> Option<Wait> {
        let (mut raw, mut ranges) = (Vec::new(), ArgumentRanges::default());
        write_command(&mut raw, line.split(' ').collect::<Vec<_>>());
        let arguments = parse_stored(&raw, &mut ranges).unwrap();
        wait_of(crate::resolve(arguments).unwrap(), arguments)
    }

    #[test]
    fn a_call_says_for_how_long_it_waits() {
        let timeout = |line| wait(line).map(|wait| wait.timeout.map(|time| time.as_millis()));
        assert_eq!(timeout("BLPOP a b 0"), Some(None));
        assert_eq!(timeout("BRPOP a 1.5"), Some(Some(1500)));
        assert_eq!(timeout("BLMOVE a b LEFT RIGHT 0.0001"), Some(Some(1)));
        assert_eq!(timeout("BLPOP a -0.001"), Some(None));
        assert_eq!(timeout("BLMOVEM a b LEFT RIGHT 2 COUNT 3 BULK"), Some(Some(2000)));
        assert_eq!(timeout("BLMPOP 3 1 a LEFT"), Some(Some(3000)));
        assert_eq!(timeout("XREAD COUNT 1 BLOCK 7 STREAMS a $"), Some(Some(7)));
        assert_eq!(timeout("XREADGROUP GROUP block 1 BLOCK 0 STREAMS a >"), Some(None));
        for line in ["BLPOP a x", "BLPOP a -1", "BLPOP a nan", "BLPOP a inf", "XREAD STREAMS block 1", "LPOP a"] {
            assert_eq!(wait(line), None, "{line}");
        }
    }

    #[test]
    fn what_ends_behind_the_end_of_time_is_refused() {
        let end = i64::MAX.unsigned_abs();
        assert_eq!(block_ms(end.to_string().as_bytes(), 0), Ok(end));
        assert_eq!(block_ms(end.to_string().as_bytes(), 1), Err(TimeoutError::OutOfRange));
        assert_eq!(seconds_to_ms(b"9223372036854775.9", 0), Err(TimeoutError::OutOfRange));
        assert_eq!(seconds_to_ms(b"1e300", 0), Err(TimeoutError::OutOfRange));
        assert_eq!(seconds_to_ms(b"0x7FFFFFFFFFFFFF", 0), Err(TimeoutError::OutOfRange));
        assert_eq!(seconds_to_ms(b"0x1p-3", 0), Ok(125));
        for text in ["-0.5", "-1e30", "-inf"] {
            assert_eq!(seconds_to_ms(text.as_bytes(), 0), Err(TimeoutError::Negative), "{text}");
        }
        for text in ["", "nan", "1e5000", "1 ", "0x"] {
            assert_eq!(seconds_to_ms(text.as_bytes(), 0), Err(TimeoutError::NotFloat), "{text}");
        }
    }
}
