//! The commands about a client's session, which `node` runs.

use crate::hashes::FieldsetCommand;

/// A command that touches only its client's session. Matched exhaustively by the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionCommand {
    /// `PING [message]`
    Ping,
    /// `ECHO message`
    Echo,
    /// `QUIT`
    Quit,
    /// `RESET`
    Reset,
    /// `SELECT index`
    Select,
    /// `HELLO [protover [AUTH username password] [SETNAME clientname]]`
    Hello,
    /// `AUTH [username] password`
    Auth,
    /// `CLIENT ID`
    ClientId,
    /// `CLIENT SETNAME connection-name`
    ClientSetName,
    /// `CLIENT GETNAME`
    ClientGetName,
    /// `CLIENT SETINFO LIB-NAME name | LIB-VER version`
    ClientSetInfo,
    /// `CLIENT REPLY ON | OFF | SKIP`
    ClientReply,
    /// `CLIENT NO-EVICT ON | OFF`
    ClientNoEvict,
    /// `CLIENT NO-TOUCH ON | OFF`
    ClientNoTouch,
    /// `CLIENT GETREDIR`
    ClientGetRedir,
    /// `CLIENT TRACKINGINFO`
    ClientTrackingInfo,
    /// `CLIENT INFO`
    ClientInfo,
    /// `CLIENT HELP`
    ClientHelp,
    /// `READONLY`
    ReadOnly,
    /// `READWRITE`
    ReadWrite,
    /// `MULTI`
    Multi,
    /// `EXEC`
    Exec,
    /// `DISCARD`
    Discard,
    /// `WATCH key [key ...]`
    Watch,
    /// `UNWATCH`
    Unwatch,
    /// `HIMPORT PREPARE`, `HIMPORT DISCARD`, `HIMPORT DISCARDALL`
    Fieldsets(FieldsetCommand),
}
