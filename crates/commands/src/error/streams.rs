//! The texts of what stream commands refuse.

use std::fmt;

/// Why a stream command failed. `Display` is the error's line as Redis has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// The argument is no id.
    InvalidId,
    /// There is no id behind the excluded one with which the range begins.
    InvalidStart,
    /// There is no id before the excluded one with which it ends.
    InvalidEnd,
    /// Both MAXLEN and MINID, or one of them twice.
    SeveralTrims,
    /// An option is no count; its name.
    NegativeOption(&'static str),
    /// LIMIT without MAXLEN or MINID.
    LimitOfNothing,
    /// LIMIT of an exact trimming.
    LimitOfExact,
    /// XTRIM with neither MAXLEN nor MINID.
    NoTrim,
    /// XADD with the id 0-0.
    ZeroId,
    /// The id of XADD does not come behind the last.
    IdTooSmall,
    /// The last id is the greatest there is.
    IdsExhausted,
    /// The stream entry is longer than any may be.
    EntryTooBig,
    /// XSETID with an id below that of the last stream entry.
    LastIdBelowTop,
    /// XSETID with an id below MAXDELETEDID.
    LastIdBelowGivenDeleted,
    /// XSETID with an id below the greatest that was deleted.
    LastIdBelowDeleted,
    /// ENTRIESADDED is negative.
    NegativeAdded,
    /// ENTRIESADDED is less than there are stream entries.
    AddedBelowLength,
    /// ENTRIESREAD is below -1.
    NegativeRead,
    /// There is no such group in the stream: the group's name, and the key.
    NoGroup(String, String),
    /// There is no such stream or group: the key, the group's name, and what follows.
    NoKeyOrGroup(String, String, &'static str),
    /// XGROUP of a key that is not there.
    GroupOfNothing,
    /// The name is another group's.
    GroupExists,
    /// The keys and the ids of XREAD are not equally many: the command in lower case, and the sign that stands for what is new.
    Unbalanced(&'static str, char),
    /// An option of XREADGROUP in XREAD; its name.
    OptionOfReadGroup(&'static str),
    /// XREADGROUP without GROUP.
    GroupMissing,
    /// The ids `$` and `+` in XREADGROUP.
    MeaninglessId(char),
    /// The id `>` in XREAD.
    NewOfNoGroup,
    /// A number of XCLAIM or XAUTOCLAIM is none: which, and the command in upper case.
    InvalidNumber(&'static str, &'static str),
    /// XCLAIM with an option that there is not.
    UnknownClaimOption(String),
    /// COUNT of XAUTOCLAIM is not positive.
    CountNotPositive,
    /// The number of ids is not positive.
    IdCountNotPositive,
    /// The number of ids is not that of those that follow.
    IdCountMismatch,
    /// XNACK with a mode that there is not.
    UnknownMode,
    /// XNACK with an option that there is not, or without a value, or once more.
    UnknownReleaseOption(String),
    /// XNACK without IDS.
    IdsMissing,
    /// The number of ids of XNACK is not positive.
    ReleaseCountNotPositive,
    /// There are fewer ids than XNACK says.
    ReleaseCountMismatch,
    /// RETRYCOUNT of XNACK is negative.
    RetryCountNegative,
    /// CLAIM is not an integer.
    IdleNotInteger,
    /// CLAIM is negative.
    IdleNegative,
    /// A bound of a whole reply is not positive; its name.
    BoundNotPositive(&'static str),
    /// MAXCOUNT is less than COUNT.
    BoundBelowCount,
    /// IDMP and IDMPAUTO, or one of them twice.
    SeveralProducers,
    /// IDMP or IDMPAUTO with an id that is not left to the server.
    IdOfProducer,
    /// An empty id: the option, and whose id it is.
    EmptyProducerId(&'static str, &'static str),
    /// XCFGSET of nothing.
    NoLimit,
    /// A limit of XCFGSET is out of its range: its name, the greatest, and of what.
    LimitOutOfRange(&'static str, u64, &'static str),
    /// XIDMPRECORD of a stream entry that is not there.
    RecordOfNothing,
    /// XIDMPRECORD of an id that stands for another stream entry.
    RecordedOtherwise,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SeveralTrims => {
                f.write_str("ERR syntax error, MAXLEN and MINID options at the same time are not compatible")
            }
            Self::NegativeOption(name) => write!(f, "ERR The {name} argument must be >= 0."),
            Self::LimitOfNothing => {
                f.write_str("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
            }
            Self::LimitOfExact => f.write_str("ERR syntax error, LIMIT cannot be used without the special ~ option"),
            Self::NoTrim => f.write_str("ERR syntax error, XTRIM must be called with a trimming strategy"),
            Self::NoGroup(group, key) => {
                write!(f, "NOGROUP No such consumer group '{group}' for key name '{key}'")
            }
            Self::NoKeyOrGroup(key, group, tail) => {
                write!(f, "NOGROUP No such key '{key}' or consumer group '{group}'{tail}")
            }
            Self::GroupExists => f.write_str("BUSYGROUP Consumer Group name already exists"),
            Self::Unbalanced(command, sign) => write!(
                f,
                "ERR Unbalanced '{command}' list of streams: for each stream key an ID or '{sign}' must be specified."
            ),
            Self::OptionOfReadGroup(name) => {
                write!(f, "ERR The {name} option is only supported by XREADGROUP. You called XREAD instead.")
            }
            Self::MeaninglessId(sign) => write!(
                f,
                "ERR The {sign} ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                 consumer by specifying a proper ID, or use the > ID to get new messages. The {sign} ID would just return \
                 an empty result set."
            ),
            Self::InvalidNumber(which, command) => write!(f, "ERR Invalid {which} argument for {command}"),
            Self::UnknownReleaseOption(option) => write!(f, "ERR Unrecognized XNACK option '{option}'"),
            Self::BoundNotPositive(name) => write!(f, "ERR {name} must be a positive integer"),
            Self::EmptyProducerId(option, which) => write!(f, "ERR {option} requires a non-empty {which} ID"),
            Self::LimitOutOfRange(name, most, unit) => write!(f, "ERR {name} must be between 1 and {most} {unit}"),
            Self::UnknownClaimOption(option) => write!(f, "ERR Unrecognized XCLAIM option '{option}'"),
            plain => write!(f, "ERR {}", plain.plain_text()),
        }
    }
}

impl StreamError {
    /// The text of what has nothing to fill in, without its code.
    fn plain_text(&self) -> &'static str {
        match self {
            Self::InvalidId => "Invalid stream ID specified as stream command argument",
            Self::InvalidStart => "invalid start ID for the interval",
            Self::InvalidEnd => "invalid end ID for the interval",
            Self::ZeroId => "The ID specified in XADD must be greater than 0-0",
            Self::IdTooSmall => "The ID specified in XADD is equal or smaller than the target stream top item",
            Self::IdsExhausted => "The stream has exhausted the last possible ID, unable to add more items",
            Self::EntryTooBig => "Elements are too large to be stored",
            Self::LastIdBelowTop => "The ID specified in XSETID is smaller than the target stream top item",
            Self::LastIdBelowGivenDeleted => {
                "The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
            }
            Self::LastIdBelowDeleted => "The ID specified in XSETID is smaller than current max_deleted_entry_id",
            Self::NegativeAdded => "entries_added must be positive",
            Self::AddedBelowLength => "The entries_added specified in XSETID is smaller than the target stream length",
            Self::NegativeRead => "value for ENTRIESREAD must be positive or -1",
            Self::GroupOfNothing => {
                "The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
                 option to create an empty stream automatically."
            }
            Self::GroupMissing => "Missing GROUP option for XREADGROUP",
            Self::NewOfNoGroup => {
                "The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
            }
            Self::CountNotPositive => "COUNT must be > 0",
            Self::IdCountNotPositive => "Number of IDs must be a positive integer",
            Self::UnknownMode => "mode must be SILENT, FAIL, or FATAL",
            Self::IdsMissing => "syntax error, expected IDS keyword",
            Self::ReleaseCountNotPositive => "numids must be a positive integer",
            Self::ReleaseCountMismatch => "number of IDs doesn't match numids",
            Self::RetryCountNegative => "Invalid RETRYCOUNT value, must be >= 0",
            Self::IdleNotInteger => "min-idle-time is not an integer",
            Self::IdleNegative => "min-idle-time must be a positive integer",
            Self::BoundBelowCount => "MAXCOUNT must be greater than or equal to COUNT",
            Self::SeveralProducers => "IDMP/IDMPAUTO specified multiple times",
            Self::IdOfProducer => "IDMP/IDMPAUTO can be used only with auto-generated IDs",
            Self::NoLimit => "At least one parameter must be specified",
            Self::RecordOfNothing => "The specified stream ID does not exist",
            Self::RecordedOtherwise => "The idempotent ID already maps to a different stream ID",
            Self::IdCountMismatch => "The `numids` parameter must match the number of arguments",
            _ => unreachable!("what has something to fill in has an arm of its own"),
        }
    }
}
