//! Conditions on the string at a key: IFEQ and its kin, DELEX, DELIFEQ, and DIGEST, which makes short work of long strings.

use keyspace::{Context, Keyspace, StringRef};
use resp::{Arguments, Reply};

use crate::args::Args;
use crate::error::{CommandError, CommandResult, StringError};
use crate::spec::KeyUse;

/// The digits of a digest.
const DIGEST_DIGITS: usize = 16;

/// What the string at a key must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Comparison<'a> {
    operand: &'a [u8],
    /// The operand is a digest, not a string.
    is_of_digests: bool,
    /// What is wanted is the opposite.
    is_negated: bool,
}

impl<'a> Comparison<'a> {
    /// Takes IFEQ, IFNE, IFDEQ or IFDNE and its operand, if one of them comes next.
    pub(super) fn take(args: &mut Args<'a>) -> Result<Option<Self>, CommandError> {
        let (is_of_digests, is_negated) = match () {
            () if args.keyword("IFEQ") => (false, false),
            () if args.keyword("IFNE") => (false, true),
            () if args.keyword("IFDEQ") => (true, false),
            () if args.keyword("IFDNE") => (true, true),
            () => return Ok(None),
        };
        Ok(Some(Self { operand: args.bytes()?, is_of_digests, is_negated }))
    }

    /// Whether it holds. An absent key equals nothing.
    pub(super) fn holds(self, string: Option<StringRef<'_>>) -> Result<bool, CommandError> {
        let Some(string) = string else { return Ok(self.is_negated) };
        let is_equal = if self.is_of_digests {
            // Redis looks at the digest only when there is something to compare it with.
            if self.operand.len() != DIGEST_DIGITS {
                return Err(StringError::InvalidDigest.into());
            }
            self.operand.eq_ignore_ascii_case(digest_of(string).as_bytes())
        } else {
            string.is(self.operand)
        };
        Ok(is_equal != self.is_negated)
    }
}

fn digest_of(string: StringRef<'_>) -> String {
    format!("{:0width$x}", string.xxh3(), width = DIGEST_DIGITS)
}

pub(super) fn digest(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    args.end()?;
    match keyspace.string(context, key)? {
        Some(string) => reply.bulk(digest_of(string)),
        None => reply.null(),
    }
    Ok(())
}

/// DELEX reads the key only if there is a condition.
pub(super) fn key_use(arguments: Arguments<'_>) -> KeyUse {
    if arguments.len() > 2 { KeyUse::TAKE_AWAY } else { KeyUse::REMOVE }
}

pub(super) fn delex(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let key = args.bytes()?;
    let comparison = match args.remaining() {
        0 => None,
        2 => Some(Comparison::take(args)?.ok_or(CommandError::String(StringError::InvalidCondition))?),
        _ => return Err(CommandError::WrongArity("delex".to_owned())),
    };
    let is_met = match comparison {
        None => true,
        Some(_) if !keyspace.exists(context, key) => false,
        Some(comparison) => {
            let string = keyspace.string(context, key).map_err(|_| StringError::ConditionOnNoString)?;
            comparison.holds(string)?
        }
    };
    reply.integer(i64::from(is_met && keyspace.remove(context, key)));
    Ok(())
}

pub(super) fn delifeq(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let (key, value) = (args.bytes()?, args.bytes()?);
    args.end()?;
    let is_equal = keyspace.string(context, key)?.is_some_and(|string| string.is(value));
    reply.integer(i64::from(is_equal && keyspace.remove(context, key)));
    Ok(())
}
