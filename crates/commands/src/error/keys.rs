//! What commands on keys of any type refuse.

use std::fmt;

/// Why a command on keys of any type failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// RESTORE to a key that is there, without REPLACE.
    Busy,
    /// A time of RESTORE that is negative.
    NegativeTtl,
    /// An IDLETIME that is negative.
    NegativeIdleTime,
    /// MIGRATE of a key, and of others behind KEYS.
    MigrateKeyBesideKeys,
    /// A FREQ that is none.
    InvalidFrequency,
    /// A payload whose version or checksum is wrong.
    PayloadFooter,
    /// A payload that is no value.
    PayloadValue,
    /// What SORT is to order by is no number.
    WeightNotFloat,
    /// OBJECT FREQ, without an LFU policy.
    NoLfuPolicy,
    /// OBJECT IDLETIME, with one.
    LfuPolicy,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "BUSYKEY Target key name already exists.",
            Self::NegativeTtl => "ERR Invalid TTL value, must be >= 0",
            Self::NegativeIdleTime => "ERR Invalid IDLETIME value, must be >= 0",
            Self::MigrateKeyBesideKeys => {
                "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
            }
            Self::InvalidFrequency => "ERR Invalid FREQ value, must be >= 0 and <= 255",
            Self::PayloadFooter => "ERR DUMP payload version or checksum are wrong",
            Self::PayloadValue => "ERR Bad data format",
            Self::WeightNotFloat => "ERR One or more scores can't be converted into double",
            Self::NoLfuPolicy => {
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
                 between policies at runtime LRU and LFU data will take some time to adjust."
            }
            Self::LfuPolicy => {
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between \
                 policies at runtime LRU and LFU data will take some time to adjust."
            }
        })
    }
}
