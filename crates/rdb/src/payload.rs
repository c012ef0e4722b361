//! Values on their way between servers: what DUMP answers and RESTORE takes.
//!
//! ```text
//! type and value as in RDB | version u16 | CRC-64 of all bytes before it        little-endian
//! ```

use crc::{CRC_64_REDIS, Crc, Table};
use keyspace::{Collection, Settings, Value};

use crate::error::Error;
use crate::input::{Input, Stop};
use crate::load::{Source, load_value};
use crate::save::save_value;

/// The version of RDB that is written: Redis 7.0's.
const VERSION: u16 = 10;
/// The newest version of Redis' RDB that is read. Not every one below is told apart: what a reader does not know is refused by its type.
const REDIS_VERSION_MAX: u16 = 15;
/// Valkey has left the numbers that follow to Redis, and gone on from here.
const VALKEY_VERSION: u16 = 80;

const FOOTER_BYTES: usize = 10;
const CHECKSUM_BYTES: usize = 8;

static CHECKSUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// Why a payload is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadError {
    /// Its end is wrong: it is too short, of a version that is not known, or its bytes are not those that were written.
    Footer,
    /// Its bytes are no value, though nothing happened to them on the way.
    Value(Error),
}

/// The payload of a value. Every replica writes the same bytes. A hash whose fields expire is for Valkey 9: Redis 7.0 knows none.
pub fn dump(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    save_value(&mut out, value);
    let is_expiring = matches!(value, Value::Collection(Collection::Hash(hash)) if hash.expiring_count() > 0);
    let version = if is_expiring { VALKEY_VERSION } else { VERSION };
    out.extend_from_slice(&version.to_le_bytes());
    let checksum = CHECKSUM.checksum(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// How many bytes the value is in a payload, without its type and the footer.
pub fn dumped_bytes(value: &Value) -> usize {
    let mut out = Vec::new();
    save_value(&mut out, value);
    out.len() - 1
}

/// The value of a payload, in the encoding that the settings give it. `None`: it is a hash, and all of its fields are due by `now_ms`, in ms
/// since 1970.
///
/// # Errors
///
/// Whatever the bytes are, the answer is a value or an error; what is held on the way is bounded by them.
pub fn restore(payload: &[u8], settings: &Settings, now_ms: u64) -> Result<Option<Value>, PayloadError> {
    let value_bytes = payload.len().checked_sub(FOOTER_BYTES).ok_or(PayloadError::Footer)?;
    let (covered, checksum) = payload.split_at(payload.len() - CHECKSUM_BYTES);
    let (value, version) = covered.split_at(value_bytes);
    let version = u16::from_le_bytes(version.try_into().expect("what is between value and checksum"));
    let is_known = version <= REDIS_VERSION_MAX || version == VALKEY_VERSION;
    if !is_known || CHECKSUM.checksum(covered).to_le_bytes() != checksum {
        return Err(PayloadError::Footer);
    }
    let source = Source { settings, now_ms, is_valkey: version == VALKEY_VERSION };
    Input::whole(value, |input| load_value(input, &source)).map_err(|stop| match stop {
        Stop::Bad(error) => PayloadError::Value(error),
        Stop::Short => unreachable!("what is short is damaged"),
    })
}
