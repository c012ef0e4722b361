//! HIMPORT: hashes whose fields a client names once, and then sends only the values of.
//!
//! What was named belongs to a session ([`Fieldsets`]), of which the log knows nothing. So an entry does not hold what the client sent, but what
//! [`Fieldsets::put_log_form`] made of it:
//!
//! ```text
//! HIMPORT SET key name value ...                     the client's
//! HIMPORT SET key name count field ... value ...     the log's
//! HIMPORT SET key name 0 value ...                   there is no such fieldset
//! HIMPORT SET key name -1 value ...                  there are not as many values as fields
//! ```
//!
//! From the documentation of Redis 8.10, <https://redis.io/docs/latest/commands/himport/>, and its texts of errors. There such hashes may share
//! the names of their fields in memory; here they are hashes like any other, and their fields are in the order in which they were named.

use std::collections::{BTreeMap, BTreeSet};

use keyspace::{CollectionValue, Context, DeadlineChange, HashValue, Keyspace, Value};
use resp::{Arguments, Reply, write_command};

use crate::args::Args;
use crate::error::{CommandResult, HashError};

/// The bytes that the fieldsets of one session may take.
const FIELDSETS_BYTES_MAX: usize = 16 << 20;
/// What a name or a field takes besides its bytes.
const BESIDE_BYTES: usize = 32;

/// The count in the log where the session has no such fieldset.
const NO_FIELDSET: i64 = 0;
/// The count in the log where there are not as many values as fields.
const NO_MATCH: i64 = -1;

/// What a session does with its fieldsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldsetCommand {
    /// `HIMPORT PREPARE fieldset-name field [field ...]`
    Prepare,
    /// `HIMPORT DISCARD fieldset-name`
    Discard,
    /// `HIMPORT DISCARDALL`
    DiscardAll,
}

/// The fieldsets of a session: names of lists of fields.
#[derive(Clone, Debug, Default)]
pub struct Fieldsets {
    by_name: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    bytes: usize,
}

impl Fieldsets {
    /// Runs one of the commands about them, whose arity was checked, and writes its reply.
    pub fn run(&mut self, command: FieldsetCommand, arguments: Arguments<'_>, reply: &mut Reply) {
        let name = arguments.get(2).unwrap_or_default();
        match command {
            FieldsetCommand::Prepare => match self.prepare(name, arguments.iter().skip(3)) {
                Ok(()) => reply.ok(),
                Err(error) => reply.error(error.to_string()),
            },
            FieldsetCommand::Discard => reply.integer(i64::from(self.discard(name))),
            FieldsetCommand::DiscardAll => {
                reply.count(self.by_name.len());
                self.clear();
            }
        }
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The bytes that they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn prepare<'a>(&mut self, name: &[u8], fields: impl Iterator<Item = &'a [u8]> + Clone) -> Result<(), HashError> {
        let mut known = BTreeSet::new();
        if !fields.clone().all(|field| known.insert(field)) {
            return Err(HashError::FieldTwice);
        }
        let fields: Vec<Vec<u8>> = fields.map(<[u8]>::to_vec).collect();
        let replaced = self.by_name.get(name).map_or(0, |fields| bytes_of(name, fields));
        let bytes = self.bytes - replaced + bytes_of(name, &fields);
        if bytes > FIELDSETS_BYTES_MAX {
            return Err(HashError::TooManyFieldsets);
        }
        self.bytes = bytes;
        self.by_name.insert(name.to_vec(), fields);
        Ok(())
    }

    fn discard(&mut self, name: &[u8]) -> bool {
        let Some(fields) = self.by_name.remove(name) else { return false };
        self.bytes -= bytes_of(name, &fields);
        true
    }

    /// Appends what an entry holds for a `HIMPORT SET` of this session, whose arity was checked.
    pub fn put_log_form(&self, arguments: Arguments<'_>, out: &mut Vec<u8>) {
        let fields = self.by_name.get(arguments.get(3).unwrap_or_default());
        let (count, fields) = match fields {
            None => (NO_FIELDSET.to_string(), &[][..]),
            Some(fields) if fields.len() != arguments.len() - 4 => (NO_MATCH.to_string(), &[][..]),
            Some(fields) => (fields.len().to_string(), fields.as_slice()),
        };
        let mut words: Vec<&[u8]> = Vec::with_capacity(arguments.len() + fields.len() + 1);
        words.extend(arguments.iter().take(4));
        words.push(count.as_bytes());
        words.extend(fields.iter().map(Vec::as_slice));
        words.extend(arguments.iter().skip(4));
        write_command(out, words);
    }
}

fn bytes_of(name: &[u8], fields: &[Vec<u8>]) -> usize {
    let one = |bytes: &[u8]| bytes.len() + BESIDE_BYTES;
    one(name) + fields.iter().map(|field| one(field)).sum::<usize>()
}

/// `HIMPORT SET` as the log has it.
pub(super) fn set(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, _name) = (args.bytes()?, args.bytes()?);
    let count = match args.integer()? {
        NO_FIELDSET => return Err(HashError::NoSuchFieldset.into()),
        count => usize::try_from(count).unwrap_or(0),
    };
    if count == 0 || args.remaining() != count.saturating_mul(2) {
        return Err(HashError::ValueCount.into());
    }
    let words = args.take_rest();
    let (fields, values) = (words.clone().take(count), words.skip(count));
    // What is no hash stays.
    keyspace.edit::<HashValue>(context, key)?;
    let settings = *keyspace.settings();
    let mut hash = HashValue::empty();
    hash.expect_fields(count, &settings);
    for (field, value) in fields.zip(values) {
        hash.insert(field, value, DeadlineChange::Clear, &settings);
    }
    keyspace.put(context, key, Value::of(hash), None);
    reply.ok();
    Ok(())
}
