//! XDEL, XDELEX, XACKDEL: stream entries that go.

use keyspace::{Context, Edit, Keyspace, References, StreamId, StreamValue};
use resp::Reply;

use super::id::{take_id, take_ids};
use super::trim::take_references;
use crate::args::Args;
use crate::error::{CommandError, CommandResult, StreamError};

/// What XDELEX and XACKDEL answer for an id: there is none, it went, it stayed because some group needs it.
const ABSENT: i64 = -1;
const DELETED: i64 = 1;
const REFERENCED: i64 = 2;

pub(super) fn xdel(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let Some(mut stream) = k.edit::<StreamValue>(context, key)? else {
        reply.integer(0);
        return Ok(());
    };
    let ids = take_ids(args)?;
    reply.count(ids.into_iter().filter(|id| delete(&mut stream, *id)).count());
    Ok(())
}

/// Deletes a stream entry; says whether it was there.
fn delete(stream: &mut Edit<'_, StreamValue>, id: StreamId) -> bool {
    // Looks first: only a change may be seen as one.
    stream.contains(id) && stream.delete(id)
}

/// Takes KEEPREF, DELREF or ACKED, and IDS, in any order.
fn take_options(args: &mut Args<'_>) -> Result<(References, Vec<StreamId>), CommandError> {
    let (mut references, mut ids) = (None, None);
    while !args.is_empty() {
        if let Some(given) = take_references(args) {
            if references.replace(given).is_some() {
                return Err(CommandError::Syntax);
            }
        } else if args.remaining() > 1 && args.keyword("IDS") {
            let count = args.integer().ok().and_then(|count| usize::try_from(count).ok()).filter(|&count| count > 0);
            let count = count.ok_or(StreamError::IdCountNotPositive)?;
            if count > args.remaining() || ids.is_some() {
                return Err(StreamError::IdCountMismatch.into());
            }
            ids = Some((0..count).map(|_| take_id(args)).collect::<Result<Vec<_>, _>>()?);
        } else if ids.is_some() {
            return Err(StreamError::IdCountMismatch.into());
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok((references.unwrap_or_default(), ids.ok_or(CommandError::Syntax)?))
}

/// Deletes a stream entry unless some group needs it, and says what became of it.
fn delete_or_keep(stream: &mut Edit<'_, StreamValue>, id: StreamId, references: References) -> i64 {
    let is_there = stream.contains(id);
    match references {
        References::Keep => {}
        References::Remove => {
            if stream.groups().any(|(_, group)| group.pending(id).is_some()) {
                stream.dereference(id);
            }
        }
        // Of a stream without groups nothing was acknowledged.
        References::Acknowledged if is_there && (stream.group_count() == 0 || stream.is_referenced(id)) => {
            return REFERENCED;
        }
        References::Acknowledged => {}
    }
    if delete(stream, id) { DELETED } else { ABSENT }
}

pub(super) fn xdelex(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let (references, ids) = take_options(args)?;
    let mut stream = k.edit::<StreamValue>(context, key)?;
    reply.array(ids.len());
    for id in ids {
        reply.integer(stream.as_mut().map_or(ABSENT, |stream| delete_or_keep(stream, id, references)));
    }
    Ok(())
}

pub(super) fn xackdel(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, name) = (args.bytes()?, args.bytes()?);
    let (references, ids) = take_options(args)?;
    let stream = k.edit::<StreamValue>(context, key)?;
    let mut stream = stream.filter(|stream| stream.group(name).is_some());
    reply.array(ids.len());
    for id in ids {
        reply.integer(stream.as_mut().map_or(ABSENT, |stream| {
            let is_pending = stream.group(name).is_some_and(|group| group.pending(id).is_some());
            if is_pending {
                stream.change_group(name, |group| group.acknowledge(id));
            }
            match delete_or_keep(stream, id, references) {
                // What was not given to this group is not its to delete.
                _ if !is_pending => ABSENT,
                became => became,
            }
        }));
    }
    Ok(())
}
