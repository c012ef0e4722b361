//! Connections and sessions. `node` runs them; their rows stand here.

use crate::session::SessionCommand;
use crate::spec::{Arity::*, Flags, Spec};

/// What most commands about the session have in common.
const READY: Flags = Flags::LOADING.with(Flags::STALE);
const SESSION: Flags = READY.with(Flags::NOSCRIPT);
const ANY_TIME: Flags = SESSION.with(Flags::ALLOW_BUSY);
/// And what those have that stand before authentication.
const GREETING: Flags = ANY_TIME.with(Flags::FAST).with(Flags::NO_AUTH);
const ON_ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];
const NONDETERMINISTIC: &[&str] = &["nondeterministic_output"];

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::session("PING", AtLeast(1), SessionCommand::Ping, "Answers PONG, or the message that it was given.")
        .fast()
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Spec::session("ECHO", Exactly(2), SessionCommand::Echo, "Answers the message that it was given.")
        .fast()
        .flags(READY),
    Spec::session("QUIT", AtLeast(1), SessionCommand::Quit, "Answers OK and closes the connection.").flags(GREETING),
    Spec::session("RESET", Exactly(1), SessionCommand::Reset, "Puts the session back to how it began.").flags(GREETING),
    Spec::session("SELECT", Exactly(2), SessionCommand::Select, "Changes the selected database.")
        .fast()
        .flags(READY.with(Flags::ALLOW_BUSY)),
    Spec::session("HELLO", AtLeast(1), SessionCommand::Hello, "Agrees on a protocol, and introduces both sides.")
        .flags(GREETING),
    Spec::session("AUTH", AtLeast(2), SessionCommand::Auth, "Authenticates the session.").flags(GREETING),
    Spec::container("CLIENT", "About the clients' sessions."),
    Spec::session("CLIENT|ID", Exactly(2), SessionCommand::ClientId, "Returns the session's number.").flags(ANY_TIME),
    Spec::session("CLIENT|SETNAME", Exactly(3), SessionCommand::ClientSetName, "Names the session.")
        .flags(ANY_TIME)
        .tips(ON_ALL_NODES),
    Spec::session("CLIENT|GETNAME", Exactly(2), SessionCommand::ClientGetName, "Returns the session's name.")
        .flags(ANY_TIME),
    Spec::session(
        "CLIENT|SETINFO",
        Exactly(4),
        SessionCommand::ClientSetInfo,
        "Tells the client library's name or version.",
    )
    .flags(ANY_TIME)
    .tips(ON_ALL_NODES),
    Spec::session("CLIENT|INFO", Exactly(2), SessionCommand::ClientInfo, "Describes this session.")
        .flags(SESSION)
        .tips(NONDETERMINISTIC),
    Spec::session("CLIENT|REPLY", Exactly(3), SessionCommand::ClientReply, "Says whether commands are answered.")
        .flags(ANY_TIME.with(Flags::NO_MULTI)),
    Spec::session(
        "CLIENT|NO-EVICT",
        Exactly(3),
        SessionCommand::ClientNoEvict,
        "Marks the session as not to be closed for memory.",
    )
    .flags(ANY_TIME.with(Flags::ADMIN)),
    Spec::session(
        "CLIENT|NO-TOUCH",
        Exactly(3),
        SessionCommand::ClientNoTouch,
        "Says whether reads count as accesses.",
    )
    .flags(ANY_TIME),
    Spec::session("CLIENT|GETREDIR", Exactly(2), SessionCommand::ClientGetRedir, "Returns where invalidations go.")
        .flags(ANY_TIME),
    Spec::session(
        "CLIENT|TRACKINGINFO",
        Exactly(2),
        SessionCommand::ClientTrackingInfo,
        "Describes the session's tracking.",
    )
    .flags(SESSION),
    Spec::session("CLIENT|HELP", Exactly(2), SessionCommand::ClientHelp, "Lists the subcommands.").flags(READY),
    Spec::node("CLIENT|LIST", AtLeast(2), crate::NodeCommand::ClientList, "Describes all sessions.")
        .flags(SESSION.with(Flags::ADMIN))
        .tips(NONDETERMINISTIC),
    Spec::node("CLIENT|KILL", AtLeast(3), crate::NodeCommand::ClientKill, "Closes sessions.")
        .flags(SESSION.with(Flags::ADMIN)),
    Spec::node(
        "CLIENT|PAUSE",
        AtLeast(3),
        crate::NodeCommand::ClientPause,
        "Holds all commands, or writes, for some time.",
    )
    .flags(SESSION.with(Flags::ADMIN)),
    Spec::node("CLIENT|UNBLOCK", AtLeast(3), crate::NodeCommand::ClientUnblock, "Ends the waiting of a session.")
        .flags(SESSION.with(Flags::ADMIN)),
    Spec::node("CLIENT|UNPAUSE", Exactly(2), crate::NodeCommand::ClientUnpause, "Ends a pause.")
        .flags(SESSION.with(Flags::ADMIN)),
];

/// About the session, but of the group of the commands about the cluster.
pub(crate) const STALENESS: &[Spec] = &[
    Spec::session("READONLY", Exactly(1), SessionCommand::ReadOnly, "Allows stale reads from a follower.")
        .fast()
        .flags(READY.with(Flags::CONNECTION)),
    Spec::session("READWRITE", Exactly(1), SessionCommand::ReadWrite, "Takes READONLY back.")
        .fast()
        .flags(READY.with(Flags::CONNECTION)),
];
