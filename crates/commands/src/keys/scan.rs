//! Walking over the keys.

use keyspace::{Context, Keyspace, matches_glob};
use resp::Reply;

use crate::args::Args;
use crate::error::{CommandError, CommandResult};

/// How many keys a step of SCAN visits unless it is told.
const COUNT_DEFAULT: usize = 10;

/// The types that TYPE takes, whether or not there can be such keys here.
const TYPES: [&str; 6] = ["string", "list", "set", "zset", "hash", "stream"];

/// The options of SCAN.
struct ScanOptions<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
    value_type: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    fn parse(args: &mut Args<'a>) -> Result<Self, CommandError> {
        let mut options = Self { count: COUNT_DEFAULT, pattern: None, value_type: None };
        while !args.is_empty() {
            if args.keyword("COUNT") {
                let count = args.integer()?;
                let count = usize::try_from(count).ok().filter(|&count| count > 0);
                options.count = count.ok_or(CommandError::Syntax)?;
            } else if args.keyword("MATCH") {
                options.pattern = Some(args.bytes()?);
            } else if args.keyword("TYPE") {
                let name = args.bytes()?;
                if !TYPES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())) {
                    return Err(CommandError::UnknownType(String::from_utf8_lossy(name).into_owned()));
                }
                options.value_type = Some(name);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

pub(super) fn scan(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let cursor = args.cursor()?;
    let options = ScanOptions::parse(args)?;
    let page = keyspace.scan(context, cursor, options.count, |key| {
        options.pattern.is_none_or(|pattern| matches_glob(pattern, key.name, false))
            && options.value_type.is_none_or(|name| name.eq_ignore_ascii_case(key.value_type.name().as_bytes()))
    });
    reply.array(2);
    reply.bulk(page.cursor.to_string());
    reply.array(page.keys.len());
    page.keys.iter().for_each(|key| reply.bulk(key.name));
    Ok(())
}

pub(super) fn keys(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let pattern = args.bytes()?;
    args.end()?;
    let (array, mut count) = (reply.array_deferred(), 0);
    for key in keyspace.keys(context).filter(|key| matches_glob(pattern, key, false)) {
        reply.bulk(key);
        count += 1;
    }
    reply.finish(array, count);
    Ok(())
}

pub(super) fn randomkey(
    keyspace: &Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    args.end()?;
    match keyspace.random_key(context) {
        Some(key) => reply.bulk(key),
        None => reply.null(),
    }
    Ok(())
}
