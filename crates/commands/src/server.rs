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
    /// `MIGRATE host port key database timeout [option ...]`
    Migrate,
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
    /// `CLIENT LIST [filter value ...]`
    ClientList,
    /// `CLIENT KILL address | filter value ...`
    ClientKill,
    /// `CLIENT PAUSE timeout [WRITE | ALL]`
    ClientPause,
    /// `CLIENT UNBLOCK id [TIMEOUT | ERROR]`
    ClientUnblock,
    /// `CLIENT UNPAUSE`
    ClientUnpause,
    /// `SLOWLOG GET [count]`
    SlowlogGet,
    /// `SLOWLOG LEN`
    SlowlogLen,
    /// `SLOWLOG RESET`
    SlowlogReset,
    /// `SLOWLOG HELP`
    SlowlogHelp,
    /// `LATENCY LATEST`
    LatencyLatest,
    /// `LATENCY HISTORY event`
    LatencyHistory,
    /// `LATENCY RESET [event ...]`
    LatencyReset,
    /// `LATENCY HISTOGRAM [command ...]`
    LatencyHistogram,
    /// `LATENCY HELP`
    LatencyHelp,
    /// `ROLE`
    Role,
    /// `WAIT replicas timeout`
    Wait,
    /// `WAITAOF here replicas timeout`
    WaitAof,
    /// `TIME`
    Time,
    /// `SAVE`
    Save,
    /// `BGSAVE [SCHEDULE]`
    BackgroundSave,
    /// `BGREWRITEAOF`
    BackgroundRewrite,
    /// `LASTSAVE`
    LastSave,
    /// `MEMORY DOCTOR`
    MemoryDoctor,
    /// `MEMORY STATS`
    MemoryStats,
    /// `MEMORY MALLOC-STATS`
    MemoryMallocStats,
    /// `MEMORY PURGE`
    MemoryPurge,
    /// `MEMORY HELP`
    MemoryHelp,
    /// `DEBUG SLEEP seconds`
    DebugSleep,
    /// `SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE]`
    Shutdown,
}

const READY: Flags = Flags::LOADING.with(Flags::STALE);
const ADMIN: Flags = READY.with(Flags::NOSCRIPT).with(Flags::ADMIN);
/// Of no use before the data is there.
const SAVING: Flags = Flags::NOSCRIPT.with(Flags::ADMIN).with(Flags::NO_ASYNC_LOADING);
/// For the operators' eyes: in the categories of ADMIN, but nothing else comes of it.
const OPERATORS: Flags = READY.with(Flags::FAST).with(Flags::ADMIN_CATEGORY).with(Flags::DANGEROUS);
/// About the server, but what every client asks.
const ABOUT: Flags = READY.with(Flags::CONNECTION);
const SLOW: Flags = READY.with(Flags::ADMIN);
const LATENCIES: &[&str] = &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];
const ON_ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];
const IN_ANY_ORDER: &[&str] = &["nondeterministic_output_order"];
const NONDETERMINISTIC: &[&str] = &["nondeterministic_output"];

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::node("INFO", AtLeast(1), NodeCommand::Info, "Describes the node.")
        .flags(READY.with(Flags::DANGEROUS))
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    Spec::container("CONFIG", "About the node's directives."),
    Spec::node("CONFIG|GET", AtLeast(3), NodeCommand::ConfigGet, "Returns directives by pattern.").flags(ADMIN),
    Spec::node("CONFIG|SET", AtLeast(4), NodeCommand::ConfigSet, "Changes directives.").flags(ADMIN).tips(ON_ALL_NODES),
    Spec::node("CONFIG|RESETSTAT", Exactly(2), NodeCommand::ConfigResetStat, "Puts INFO's counters to zero.")
        .flags(ADMIN)
        .tips(ON_ALL_NODES),
    Spec::node("CONFIG|REWRITE", Exactly(2), NodeCommand::ConfigRewrite, "Writes the directives to their file.")
        .flags(ADMIN)
        .tips(ON_ALL_NODES),
    Spec::node("CONFIG|HELP", Exactly(2), NodeCommand::ConfigHelp, "Lists the subcommands.").flags(READY),
    Spec::node("COMMAND", AtLeast(1), NodeCommand::Command, "Describes all commands.").flags(ABOUT).tips(IN_ANY_ORDER),
    Spec::node("COMMAND|COUNT", Exactly(2), NodeCommand::CommandCount, "Counts the commands.").flags(ABOUT),
    Spec::node("COMMAND|LIST", AtLeast(2), NodeCommand::CommandList, "Names the commands.")
        .flags(ABOUT)
        .tips(IN_ANY_ORDER),
    Spec::node("COMMAND|INFO", AtLeast(2), NodeCommand::CommandInfo, "Describes commands.")
        .flags(ABOUT)
        .tips(IN_ANY_ORDER),
    Spec::node("COMMAND|DOCS", AtLeast(2), NodeCommand::CommandDocs, "Explains commands.")
        .flags(ABOUT)
        .tips(IN_ANY_ORDER),
    Spec::node("COMMAND|GETKEYS", AtLeast(3), NodeCommand::CommandGetKeys, "Names the keys of a command.").flags(ABOUT),
    Spec::node(
        "COMMAND|GETKEYSANDFLAGS",
        AtLeast(3),
        NodeCommand::CommandGetKeysAndFlags,
        "Names the keys of a command and what it does with each.",
    )
    .flags(ABOUT),
    Spec::node("COMMAND|HELP", Exactly(2), NodeCommand::CommandHelp, "Lists the subcommands.").flags(ABOUT),
    Spec::container("SLOWLOG", "The commands that ran for long."),
    Spec::node("SLOWLOG|GET", AtLeast(2), NodeCommand::SlowlogGet, "Shows the newest commands that ran for long.")
        .flags(SLOW)
        .tips(&["request_policy:all_nodes", "nondeterministic_output"]),
    Spec::node("SLOWLOG|LEN", Exactly(2), NodeCommand::SlowlogLen, "Counts the commands that are kept.")
        .flags(SLOW)
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"]),
    Spec::node("SLOWLOG|RESET", Exactly(2), NodeCommand::SlowlogReset, "Forgets the commands that are kept.")
        .flags(SLOW)
        .tips(ON_ALL_NODES),
    Spec::node("SLOWLOG|HELP", Exactly(2), NodeCommand::SlowlogHelp, "Lists the subcommands.").flags(READY),
    Spec::container("LATENCY", "How long commands take."),
    Spec::node("LATENCY|LATEST", Exactly(2), NodeCommand::LatencyLatest, "Shows the newest spike of each event.")
        .flags(ADMIN)
        .tips(LATENCIES),
    Spec::node("LATENCY|HISTORY", Exactly(3), NodeCommand::LatencyHistory, "Shows the spikes of an event.")
        .flags(ADMIN)
        .tips(LATENCIES),
    Spec::node("LATENCY|RESET", AtLeast(2), NodeCommand::LatencyReset, "Forgets the spikes of events, or of all.")
        .flags(ADMIN)
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum"]),
    Spec::node(
        "LATENCY|HISTOGRAM",
        AtLeast(2),
        NodeCommand::LatencyHistogram,
        "Shows how the times of commands are spread.",
    )
    .flags(ADMIN)
    .tips(LATENCIES),
    Spec::node("LATENCY|HELP", Exactly(2), NodeCommand::LatencyHelp, "Lists the subcommands.").flags(READY),
    Spec::node("ROLE", Exactly(1), NodeCommand::Role, "Returns the node's role in replication.")
        .flags(OPERATORS.with(Flags::NOSCRIPT)),
    Spec::node("TIME", Exactly(1), NodeCommand::Time, "Returns the node's time.")
        .fast()
        .flags(READY)
        .tips(NONDETERMINISTIC),
    Spec::node("SAVE", Exactly(1), NodeCommand::Save, "Takes a snapshot of this replica and waits for it.")
        .flags(SAVING.with(Flags::NO_MULTI)),
    Spec::node(
        "BGREWRITEAOF",
        Exactly(1),
        NodeCommand::BackgroundRewrite,
        "Begins a snapshot, which the log is shortened by.",
    )
    .flags(SAVING),
    Spec::node("BGSAVE", AtLeast(1), NodeCommand::BackgroundSave, "Begins a snapshot of this replica.").flags(SAVING),
    Spec::node("LASTSAVE", Exactly(1), NodeCommand::LastSave, "Returns when the last snapshot was taken.")
        .flags(OPERATORS)
        .tips(NONDETERMINISTIC),
    Spec::container("DEBUG", "For tests of the server.").flags(ADMIN),
    Spec::node("DEBUG|SLEEP", Exactly(3), NodeCommand::DebugSleep, "Holds this node's apply thread for some seconds.")
        .flags(ADMIN),
    Spec::node("SHUTDOWN", AtLeast(1), NodeCommand::Shutdown, "Stops the node.")
        .flags(ADMIN.with(Flags::NO_MULTI).with(Flags::ALLOW_BUSY)),
];

/// Neither about keys nor about the node, but of the same group as commands about keys.
pub(crate) const WAITING: &[Spec] = &[
    Spec::node("WAIT", Exactly(3), NodeCommand::Wait, "Waits until so many replicas have this client's writes.")
        .flags(COPIES)
        .tips(FEWEST_COPIES),
    Spec::node("WAITAOF", Exactly(4), NodeCommand::WaitAof, "Waits until this client's writes are on so many disks.")
        .flags(COPIES)
        .tips(FEWEST_COPIES),
];
const COPIES: Flags = Flags::BLOCKING.with(Flags::CONNECTION);
const FEWEST_COPIES: &[&str] = &["request_policy:all_shards", "response_policy:agg_min"];
