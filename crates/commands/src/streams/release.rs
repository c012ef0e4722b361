//! XNACK: what a consumer gives back. From Redis's documentation of version 8.8.

use keyspace::{Context, Edit, Keyspace, StreamId, StreamValue};
use resp::Reply;

use super::id::take_id;
use super::{no_key_or_group, shown};
use crate::args::Args;
use crate::error::{CommandError, CommandResult, StreamError};

/// The number of deliveries of what nobody should be given again.
pub(super) const GIVEN_UP: i64 = i64::MAX;

/// What becomes of the number of deliveries.
#[derive(Clone, Copy)]
enum Mode {
    /// As if the last one had not been.
    Silent,
    /// It stays.
    Fail,
    /// It is the greatest there is.
    Fatal,
}

impl Mode {
    fn take(args: &mut Args<'_>) -> Result<Self, StreamError> {
        let all = [("SILENT", Self::Silent), ("FAIL", Self::Fail), ("FATAL", Self::Fatal)];
        let found = all.into_iter().find(|(keyword, _)| args.keyword(keyword));
        found.map(|(_, mode)| mode).ok_or(StreamError::UnknownMode)
    }

    fn deliveries(self, before: i64) -> i64 {
        match self {
            Self::Silent => before.saturating_sub(1).max(0),
            Self::Fail => before,
            Self::Fatal => GIVEN_UP,
        }
    }
}

#[derive(Default)]
struct Options {
    ids: Vec<StreamId>,
    deliveries: Option<i64>,
    /// Also what is not pending.
    makes_pending: bool,
}

impl Options {
    /// Takes options in front of IDS, and behind.
    fn parse(args: &mut Args<'_>) -> Result<Self, CommandError> {
        let mut this = Self::default();
        while !args.is_empty() {
            let has_more = args.remaining() > 1;
            if args.keyword("FORCE") {
                this.makes_pending = true;
            } else if has_more && args.keyword("RETRYCOUNT") {
                match args.integer()? {
                    count @ 0.. => this.deliveries = Some(count),
                    _ => return Err(StreamError::RetryCountNegative.into()),
                }
            } else if has_more && this.ids.is_empty() && args.keyword("IDS") {
                let count =
                    args.integer().ok().and_then(|count| usize::try_from(count).ok()).filter(|&count| count > 0);
                let count = count.ok_or(StreamError::ReleaseCountNotPositive)?;
                if count > args.remaining() {
                    return Err(StreamError::ReleaseCountMismatch.into());
                }
                this.ids = (0..count).map(|_| take_id(args)).collect::<Result<_, _>>()?;
            } else {
                return Err(StreamError::UnknownReleaseOption(shown(args.bytes()?)).into());
            }
        }
        if this.ids.is_empty() { Err(StreamError::IdsMissing.into()) } else { Ok(this) }
    }
}

pub(super) fn xnack(k: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, group) = (args.bytes()?, args.bytes()?);
    let (mode, options) = (Mode::take(args)?, Options::parse(args)?);
    let stream = k.edit::<StreamValue>(context, key)?;
    let stream = stream.filter(|stream| stream.group(group).is_some());
    let mut stream = stream.ok_or_else(|| no_key_or_group(key, group))?;
    let mut count = 0;
    for &id in &options.ids {
        count += usize::from(release(&mut stream, group, id, mode, &options));
    }
    reply.count(count);
    Ok(())
}

/// Takes a stream entry from whoever has it; says whether it is pending.
fn release(stream: &mut Edit<'_, StreamValue>, name: &[u8], id: StreamId, mode: Mode, options: &Options) -> bool {
    let pending = stream.group(name).and_then(|group| group.pending(id));
    let before = match pending {
        Some(pending) => pending.deliveries,
        None if options.makes_pending && stream.contains(id) => 0,
        None => return false,
    };
    let deliveries = options.deliveries.unwrap_or_else(|| mode.deliveries(before));
    stream.change_group(name, |group| group.release(id, deliveries));
    true
}
