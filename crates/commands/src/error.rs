//! Why a command failed, and the line that says so. The only place with these texts; families with many have a file below.

mod bitmaps;
mod blocking;
mod debug;
mod geo;
mod hashes;
mod hyperloglog;
mod keys;
mod streams;
mod strings;

use std::fmt;

use keyspace::DataError;

pub use bitmaps::BitmapError;
pub use blocking::TimeoutError;
pub use debug::DebugError;
pub use geo::GeoError;
pub use hashes::HashError;
pub use hyperloglog::HyperLogLogError;
pub use keys::KeyError;
pub use streams::StreamError;
pub use strings::StringError;

/// What a handler returns: its reply is written, or nothing happened.
pub type CommandResult = Result<(), CommandError>;

/// A failed command. `Display` is the error's line as Redis has it, without the leading `-` and the line's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// The data refused.
    Data(DataError),
    /// The arguments do not fit together.
    Syntax,
    /// Too few or too many arguments for this command; its name in lower case.
    WrongArity(String),
    /// There is no such command; the whole line's arguments, shortened.
    UnknownCommand {
        /// What the client called.
        name: String,
        /// Its arguments, quoted, each followed by a space.
        arguments: String,
    },
    /// A container has no such subcommand.
    UnknownSubcommand {
        /// The container's name in upper case.
        container: &'static str,
        /// What the client called.
        name: String,
    },
    /// Not what LOLWUT draws.
    Drawing,
    /// The arguments of a subcommand do not fit together.
    SubcommandSyntax {
        /// The container's name in upper case.
        container: &'static str,
        /// The subcommand as the client wrote it.
        name: String,
    },
    /// A time to wait is none.
    Timeout(TimeoutError),
    /// A stream command refused.
    Stream(StreamError),
    /// There is no such key.
    NoSuchKey,
    /// The argument is not an integer, or out of range.
    NotInteger,
    /// The argument is an integer, and out of range.
    OutOfRange,
    /// The argument is an integer outside of these bounds.
    NotBetween {
        /// The least that is allowed.
        least: i64,
        /// The most.
        most: i64,
    },
    /// The argument is no count: not an integer, negative, or out of range.
    NotPositive,
    /// The rank of LPOS is neither from the front nor from the end.
    RankIsZero,
    /// An option of LPOS is no count; its name.
    NegativeOption(&'static str),
    /// The number of keys is not positive.
    NoKeys,
    /// The COUNT of LMPOP is not positive.
    CountNotPositive,
    /// The argument is no cursor of a SCAN.
    InvalidCursor,
    /// The argument is not a number.
    NotFloat,
    /// The argument is an infinite number.
    NotFinite,
    /// An expire time that is not positive, or too far; the command's name in lower case.
    InvalidExpireTime(&'static str),
    /// A DEBUG.
    Debug(DebugError),
    /// A command on keys of any type.
    Key(KeyError),
    /// A command on bits.
    Bitmap(BitmapError),
    /// A command on places.
    Geo(GeoError),
    /// HIMPORT.
    Hash(HashError),
    /// A command on HyperLogLogs.
    HyperLogLog(HyperLogLogError),
    /// A command on strings.
    String(StringError),
    /// EXPIRE with NX and one of the other conditions.
    ExpireNxWithOthers,
    /// EXPIRE with both GT and LT.
    ExpireGtAndLt,
    /// EXPIRE with an option that there is not; the option.
    UnsupportedOption(String),
    /// A database that is not there.
    DatabaseOutOfRange,
    /// A database that is no number; which of SWAPDB's two.
    InvalidDatabaseIndex(&'static str),
    /// MOVE or COPY of a key onto itself.
    SameSourceAndDestination,
    /// COMMAND GETKEYS of a command with too few or too many arguments.
    GetKeysWrongArity,
    /// COMMAND GETKEYS of a command that there is not.
    GetKeysUnknownCommand,
    /// COMMAND GETKEYS of a command whose arguments make no sense.
    GetKeysInvalid,
    /// COMMAND GETKEYS of a command without keys.
    GetKeysNone,
    /// More keys are announced than there are arguments.
    TooFewKeys,
    /// A type of values that there is not.
    UnknownType(String),
    /// NOVALUES of a walk that knows no values.
    NoValuesToLeaveOut,
    /// NOSCORES of a walk that knows no scores.
    NoScoresToLeaveOut,
    /// ZADD with both NX and XX.
    AddNewAndPresent,
    /// ZADD with two of NX, GT and LT.
    AddConditions,
    /// ZADD with INCR and more than one member.
    IncrementsSeveral,
    /// The sum of two scores is not a number.
    ScoreNotANumber,
    /// A bound of a range of scores is no number.
    BoundsNotFloats,
    /// A bound of a range of names does not say whether it is included.
    BoundsNotNames,
    /// LIMIT of a range of ranks.
    LimitOfRanks,
    /// WITHSCORES of a range of names.
    ScoresOfNames,
    /// A weight is no number.
    WeightNotFloat,
    /// FIELDS with a number that is not that of the fields behind it.
    FieldCount,
    /// A count of keys that is not positive; the command's name in lower case.
    NoInputKey(&'static str),
}

impl From<BitmapError> for CommandError {
    fn from(error: BitmapError) -> Self {
        Self::Bitmap(error)
    }
}

impl From<DebugError> for CommandError {
    fn from(error: DebugError) -> Self {
        Self::Debug(error)
    }
}

impl From<KeyError> for CommandError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl From<HashError> for CommandError {
    fn from(error: HashError) -> Self {
        Self::Hash(error)
    }
}

impl From<HyperLogLogError> for CommandError {
    fn from(error: HyperLogLogError) -> Self {
        Self::HyperLogLog(error)
    }
}

impl From<StringError> for CommandError {
    fn from(error: StringError) -> Self {
        Self::String(error)
    }
}

impl From<DataError> for CommandError {
    fn from(error: DataError) -> Self {
        Self::Data(error)
    }
}

impl From<TimeoutError> for CommandError {
    fn from(error: TimeoutError) -> Self {
        Self::Timeout(error)
    }
}

impl From<StreamError> for CommandError {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

impl fmt::Display for CommandError {
    #[expect(clippy::too_many_lines, reason = "a table: a line for each error")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(error) => f.write_str(data_error(*error)),
            Self::Syntax => f.write_str("ERR syntax error"),
            Self::WrongArity(name) => write!(f, "ERR wrong number of arguments for '{name}' command"),
            Self::UnknownCommand { name, arguments } => {
                write!(f, "ERR unknown command '{name}', with args beginning with: {arguments}")
            }
            Self::UnknownSubcommand { container, name } => {
                write!(f, "ERR unknown subcommand '{name}'. Try {container} HELP.")
            }
            Self::SubcommandSyntax { container, name } => {
                write!(f, "ERR unknown subcommand or wrong number of arguments for '{name}'. Try {container} HELP.")
            }
            Self::Drawing => f.write_str("ERR Syntax error. Use: LOLWUT [columns rows] [real imaginary]"),
            Self::Timeout(error) => error.fmt(f),
            Self::Stream(error) => error.fmt(f),
            Self::NoSuchKey => f.write_str(data_error(DataError::NoSuchKey)),
            Self::NotInteger => f.write_str("ERR value is not an integer or out of range"),
            Self::OutOfRange => f.write_str("ERR value is out of range"),
            Self::NotBetween { least, most } => {
                write!(f, "ERR value is out of range, value must between {least} and {most}")
            }
            Self::NotPositive => f.write_str("ERR value is out of range, must be positive"),
            Self::RankIsZero => f.write_str(
                "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
                 or use negative to start from the end of the list",
            ),
            Self::NegativeOption(option) => write!(f, "ERR {option} can't be negative"),
            Self::NoKeys => f.write_str("ERR numkeys should be greater than 0"),
            Self::CountNotPositive => f.write_str("ERR count should be greater than 0"),
            Self::NotFloat => f.write_str("ERR value is not a valid float"),
            Self::NotFinite => f.write_str("ERR value is NaN or Infinity"),
            Self::InvalidExpireTime(name) => write!(f, "ERR invalid expire time in '{name}' command"),
            Self::Debug(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
            Self::Bitmap(error) => error.fmt(f),
            Self::Geo(error) => error.fmt(f),
            Self::Hash(error) => error.fmt(f),
            Self::HyperLogLog(error) => error.fmt(f),
            Self::String(error) => error.fmt(f),
            Self::ExpireNxWithOthers => {
                f.write_str("ERR NX and XX, GT or LT options at the same time are not compatible")
            }
            Self::ExpireGtAndLt => f.write_str("ERR GT and LT options at the same time are not compatible"),
            Self::UnsupportedOption(option) => write!(f, "ERR Unsupported option {option}"),
            Self::InvalidCursor => f.write_str("ERR invalid cursor"),
            Self::DatabaseOutOfRange => f.write_str("ERR DB index is out of range"),
            Self::InvalidDatabaseIndex(which) => write!(f, "ERR invalid {which} DB index"),
            Self::SameSourceAndDestination => f.write_str("ERR source and destination objects are the same"),
            Self::GetKeysWrongArity => f.write_str("ERR Invalid number of arguments specified for command"),
            Self::GetKeysUnknownCommand => f.write_str("ERR Invalid command specified"),
            Self::GetKeysInvalid => f.write_str("ERR Invalid arguments specified for command"),
            Self::GetKeysNone => f.write_str("ERR The command has no key arguments"),
            Self::TooFewKeys => f.write_str("ERR Number of keys can't be greater than number of args"),
            Self::UnknownType(name) => write!(f, "ERR unknown type name '{name}'"),
            Self::NoValuesToLeaveOut => f.write_str("ERR NOVALUES option can only be used in HSCAN"),
            Self::NoScoresToLeaveOut => f.write_str("ERR NOSCORES option can only be used in ZSCAN"),
            Self::AddNewAndPresent => f.write_str("ERR XX and NX options at the same time are not compatible"),
            Self::AddConditions => f.write_str("ERR GT, LT, and/or NX options at the same time are not compatible"),
            Self::IncrementsSeveral => f.write_str("ERR INCR option supports a single increment-element pair"),
            Self::ScoreNotANumber => f.write_str("ERR resulting score is not a number (NaN)"),
            Self::BoundsNotFloats => f.write_str("ERR min or max is not a float"),
            Self::BoundsNotNames => f.write_str("ERR min or max not valid string range item"),
            Self::LimitOfRanks => {
                f.write_str("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
            }
            Self::ScoresOfNames => f.write_str("ERR syntax error, WITHSCORES not supported in combination with BYLEX"),
            Self::WeightNotFloat => f.write_str("ERR weight value is not a float"),
            Self::FieldCount => {
                f.write_str("ERR numfields should be greater than 0 and match the provided number of fields")
            }
            Self::NoInputKey(name) => write!(f, "ERR at least 1 input key is needed for '{name}' command"),
        }
    }
}

impl std::error::Error for CommandError {}

fn data_error(error: DataError) -> &'static str {
    match error {
        DataError::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
        DataError::NotInteger => "ERR value is not an integer or out of range",
        DataError::NotFloat => "ERR value is not a valid float",
        DataError::FieldNotInteger => "ERR hash value is not an integer",
        DataError::FieldNotFloat => "ERR hash value is not a float",
        DataError::Overflow => "ERR increment or decrement would overflow",
        DataError::NotFinite => "ERR increment would produce NaN or Infinity",
        DataError::StringTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
        DataError::NotHyperLogLog => "WRONGTYPE Key is not a valid HyperLogLog string value.",
        DataError::CorruptHyperLogLog => "INVALIDOBJ Corrupted HLL object detected",
        DataError::NoSuchKey => "ERR no such key",
        DataError::IndexOutOfRange => "ERR index out of range",
    }
}
