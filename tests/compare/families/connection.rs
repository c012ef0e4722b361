//! Transactions, the connection, and what is about the server.

use super::*;

pub(crate) const FAMILY: Family = Family {
    name: "connection",
    templates: &[
        "WATCH { <k> }",
        "UNWATCH",
        "MULTI",
        "EXEC",
        "DISCARD",
        "PING [ <m> ]",
        "( READONLY | READWRITE )",
        "ECHO <v>",
        "SELECT ( 0 | 16 | -1 | x )",
        "SWAPDB <count> <count>",
        "FLUSHDB [ ( ASYNC | SYNC | NOW ) ]",
        "NOSUCH { <v> }",
        "OBJECT",
        "( COMMAND | CONFIG | CLIENT ) ( NOSUCH | NOSUCH <v> )",
        "CLIENT SETNAME ( worker | a-b | <index> | x )",
        "CLIENT GETNAME",
        "COMMAND GETKEYS ( GET <k> | MSET { <k> <v> } | ZUNIONSTORE <z> <count> <z> <z> | LMPOP <count> <l> <l> LEFT | PING )",
    ],
    rule,
    without_template: &[
        ("ASKING", "refused by valkey-server without a cluster"),
        ("CLUSTER", "refused by valkey-server without a cluster"),
        ("AUTH", "needs a password; in `limits` and `python`"),
        ("CLIENT", "its rows are templates, but for those about the process"),
        ("COMMAND", "describes another server; its rows are compared by `rows_agree`"),
        ("CONFIG", "another server's directives"),
        ("HELLO", "changes the protocol"),
        ("INFO", "another server's"),
        ("SLOWLOG", "another server's"),
        ("LATENCY", "another server's"),
        ("LASTSAVE", "a time"),
        ("QUIT", "closes the connection"),
        ("LOLWUT", "another drawing"),
        ("RESET", "changes the protocol"),
        ("ROLE", "offsets"),
        ("SAVE", "the other writes a file of its own"),
        ("BGSAVE", "the other writes a file of its own"),
        ("BGREWRITEAOF", "the other writes a file of its own"),
        ("SHUTDOWN", "stops the server"),
        ("TIME", "a time"),
        ("WAIT", "waits"),
        ("WAITAOF", "waits"),
    ],
    ..Family::NONE
};

fn rule(name: &str, words: &[&[u8]]) -> Option<Rule> {
    // Describes or counts all commands, theirs and ours: `COMMAND`, and what an odd word makes of it, `COMMAND COUNT`.
    (name == "COMMAND" && words.len() <= 2).then_some(Rule::Anything)
}
