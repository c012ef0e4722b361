//! MIGRATE's arguments. `node` runs it: it takes a connection to another server.

use resp::Arguments;

use crate::args::Args;
use crate::error::{CommandError, KeyError};
use crate::spec::KeyPlaces;

/// How long the other server may take if nothing sensible is said.
const TIMEOUT_DEFAULT_MS: u64 = 1000;

/// A MIGRATE: which keys go where, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The other server's host.
    pub host: String,
    /// Its port, as it was given.
    pub port: String,
    /// The database there.
    pub database: i64,
    /// How long connecting, and each answer, may take, in ms.
    pub timeout_ms: u64,
    /// The keys stay here, too.
    pub copies: bool,
    /// Keys of the same names there are overwritten.
    pub replaces: bool,
    /// What to authenticate with there: the arguments of AUTH.
    pub credentials: Vec<Vec<u8>>,
    /// The keys.
    pub keys: Vec<Vec<u8>>,
}

impl Migration {
    /// Reads the arguments, which have passed the arity.
    ///
    /// # Errors
    /// They do not fit together.
    pub fn parse(arguments: Arguments<'_>) -> Result<Self, CommandError> {
        let mut args = Args::new(arguments, 1);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (host, port, key) = (text(args.bytes()?), text(args.bytes()?), args.bytes()?);
        let mut numbers = args.clone();
        args.bytes()?;
        args.bytes()?;
        let (mut copies, mut replaces, mut credentials) = (false, false, Vec::new());
        let mut keys = vec![key.to_vec()];
        while !args.is_empty() {
            if args.keyword("COPY") {
                copies = true;
            } else if args.keyword("REPLACE") {
                replaces = true;
            } else if args.keyword("AUTH") {
                credentials = vec![args.bytes()?.to_vec()];
            } else if args.keyword("AUTH2") {
                credentials = vec![args.bytes()?.to_vec(), args.bytes()?.to_vec()];
            } else if args.keyword("KEYS") {
                if !key.is_empty() {
                    return Err(KeyError::MigrateKeyBesideKeys.into());
                }
                keys = args.take_rest().map(<[u8]>::to_vec).collect();
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let (database, timeout_ms) = (numbers.integer(), numbers.integer()?);
        let timeout_ms = u64::try_from(timeout_ms).ok().filter(|&ms| ms > 0).unwrap_or(TIMEOUT_DEFAULT_MS);
        Ok(Self { host, port, database: database?, timeout_ms, copies, replaces, credentials, keys })
    }
}

/// The one key, or those behind KEYS.
pub(super) fn keys_of_migrate(arguments: Arguments<'_>) -> Option<KeyPlaces> {
    let mut at = 6;
    while let Some(word) = arguments.get(at) {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword.as_bytes());
        if is("KEYS") {
            let is_alone = arguments.get(3).is_some_and(<[u8]>::is_empty);
            return is_alone.then_some(KeyPlaces { also: None, next: at + 1, end: arguments.len(), step: 1 });
        }
        at += 1 + if is("AUTH") { 1 } else { 2 * usize::from(is("AUTH2")) };
    }
    Some(KeyPlaces { also: None, next: 3, end: 4, step: 1 })
}
