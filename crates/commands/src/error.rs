//! Why a command failed, and the line that says so. The only file with these texts.

use std::fmt;

use keyspace::DataError;

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
    /// The argument is no cursor of a SCAN.
    InvalidCursor,
    /// The argument is not a number.
    NotFloat,
    /// An expire time that is not positive, or too far; the command's name in lower case.
    InvalidExpireTime(&'static str),
    /// Both `IFEQ`-like options that exclude each other, in Redis's words.
    Text(&'static str),
}

impl From<DataError> for CommandError {
    fn from(error: DataError) -> Self {
        Self::Data(error)
    }
}

impl fmt::Display for CommandError {
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
            Self::NotInteger => f.write_str("ERR value is not an integer or out of range"),
            Self::OutOfRange => f.write_str("ERR value is out of range"),
            Self::NotBetween { least, most } => {
                write!(f, "ERR value is out of range, value must between {least} and {most}")
            }
            Self::InvalidCursor => f.write_str("ERR invalid cursor"),
            Self::NotFloat => f.write_str("ERR value is not a valid float"),
            Self::InvalidExpireTime(name) => write!(f, "ERR invalid expire time in '{name}' command"),
            Self::Text(text) => f.write_str(text),
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
        DataError::NoSuchKey => "ERR no such key",
        DataError::IndexOutOfRange => "ERR index out of range",
    }
}
