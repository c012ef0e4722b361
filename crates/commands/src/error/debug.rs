//! What DEBUG refuses.

use std::fmt;

/// Why a DEBUG failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DebugError {
    /// RELOAD with an option that there is not.
    ReloadOption,
    /// What RELOAD wrote was not read back; why.
    Reload(String),
    /// A threshold that is none.
    PackedThreshold,
    /// A type of reply that RESP2 has not.
    NotForResp2,
    /// A type of reply that there is not.
    ProtocolType,
}

impl fmt::Display for DebugError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReloadOption => "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
            Self::Reload(why) => return write!(f, "ERR Error trying to load what was saved: {why}"),
            Self::PackedThreshold => "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
            Self::NotForResp2 => "ERR RESP2 is not supported by this command",
            Self::ProtocolType => {
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
            }
        })
    }
}
