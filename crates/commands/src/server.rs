//! The commands about the node, which `node` runs. Their rows stand here.

use crate::spec::{Arity::*, Flags, Spec};

/// A command about this process. Matched exhaustively by the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeCommand {
    /// `INFO [section ...]`
    Info,
    /// `CONFIG GET parameter [parameter ...]`
    ConfigGet,
    /// `CONFIG SET parameter value [parameter value ...]`
    ConfigSet,
    /// `CONFIG RESETSTAT`
    ConfigResetStat,
    /// `CONFIG REWRITE`
    ConfigRewrite,
    /// `CONFIG HELP`
    ConfigHelp,
    /// `COMMAND`
    Command,
    /// `COMMAND COUNT`
    CommandCount,
    /// `COMMAND LIST [FILTERBY ...]`
    CommandList,
    /// `COMMAND INFO [name ...]`
    CommandInfo,
    /// `COMMAND DOCS [name ...]`
    CommandDocs,
    /// `COMMAND GETKEYS command [arg ...]`
    CommandGetKeys,
    /// `COMMAND GETKEYSANDFLAGS command [arg ...]`
    CommandGetKeysAndFlags,
    /// `COMMAND HELP`
    CommandHelp,
    /// `CLIENT LIST [TYPE type] [ID id ...]`
    ClientList,
    /// `ROLE`
    Role,
    /// `WAIT replicas timeout`
    Wait,
    /// `TIME`
    Time,
    /// `LASTSAVE`
    LastSave,
    /// `DEBUG SLEEP seconds`
    DebugSleep,
    /// `SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE]`
    Shutdown,
}

const READY: Flags = Flags::LOADING.with(Flags::STALE);
const ADMIN: Flags = READY.with(Flags::NOSCRIPT).with(Flags::ADMIN).with(Flags::DANGEROUS);

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::node("INFO", AtLeast(1), NodeCommand::Info, "Describes the node.").flags(READY.with(Flags::DANGEROUS)),
    Spec::container("CONFIG", "About the node's directives."),
    Spec::node("CONFIG|GET", AtLeast(3), NodeCommand::ConfigGet, "Returns directives by pattern.").flags(ADMIN),
    Spec::node("CONFIG|SET", AtLeast(4), NodeCommand::ConfigSet, "Changes directives.").flags(ADMIN),
    Spec::node("CONFIG|RESETSTAT", Exactly(2), NodeCommand::ConfigResetStat, "Puts INFO's counters to zero.")
        .flags(ADMIN),
    Spec::node("CONFIG|REWRITE", Exactly(2), NodeCommand::ConfigRewrite, "Writes the directives to their file.")
        .flags(ADMIN),
    Spec::node("CONFIG|HELP", Exactly(2), NodeCommand::ConfigHelp, "Lists the subcommands.").flags(READY),
    Spec::node("COMMAND", AtLeast(1), NodeCommand::Command, "Describes all commands.").flags(READY),
    Spec::node("COMMAND|COUNT", Exactly(2), NodeCommand::CommandCount, "Counts the commands.").flags(READY),
    Spec::node("COMMAND|LIST", AtLeast(2), NodeCommand::CommandList, "Names the commands.").flags(READY),
    Spec::node("COMMAND|INFO", AtLeast(2), NodeCommand::CommandInfo, "Describes commands.").flags(READY),
    Spec::node("COMMAND|DOCS", AtLeast(2), NodeCommand::CommandDocs, "Explains commands.").flags(READY),
    Spec::node("COMMAND|GETKEYS", AtLeast(3), NodeCommand::CommandGetKeys, "Names the keys of a command.").flags(READY),
    Spec::node(
        "COMMAND|GETKEYSANDFLAGS",
        AtLeast(3),
        NodeCommand::CommandGetKeysAndFlags,
        "Names the keys of a command and what it does with each.",
    )
    .flags(READY),
    Spec::node("COMMAND|HELP", Exactly(2), NodeCommand::CommandHelp, "Lists the subcommands.").flags(READY),
    Spec::node("ROLE", Exactly(1), NodeCommand::Role, "Returns the node's role in replication.")
        .fast()
        .flags(READY.with(Flags::NOSCRIPT).with(Flags::ADMIN).with(Flags::DANGEROUS)),
    Spec::node("WAIT", Exactly(3), NodeCommand::Wait, "Waits until this client's writes are on so many replicas.")
        .flags(Flags::BLOCKING),
    Spec::node("TIME", Exactly(1), NodeCommand::Time, "Returns the node's time.").fast().flags(READY),
    Spec::node("LASTSAVE", Exactly(1), NodeCommand::LastSave, "Returns when the last snapshot was taken.")
        .fast()
        .flags(READY.with(Flags::ADMIN).with(Flags::DANGEROUS)),
    Spec::container("DEBUG", "For tests of the server."),
    Spec::node("DEBUG|SLEEP", Exactly(3), NodeCommand::DebugSleep, "Holds this node's apply thread for some seconds.")
        .flags(ADMIN),
    Spec::node("SHUTDOWN", AtLeast(1), NodeCommand::Shutdown, "Stops the node.")
        .flags(ADMIN.with(Flags::NO_MULTI).with(Flags::ALLOW_BUSY)),
];
