//! Differences that stay, and why. Everything else is a bug, of ours or of these tests.

use crate::harness::Value;

/// One difference: the command, how valkey-server's reply begins, how ours does.
struct Difference {
    /// The name of the command; empty for any.
    command: &'static str,
    valkey: &'static str,
    cairn: &'static str,
    reason: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        command: "SCAN",
        valkey: "ERR unknown type name",
        cairn: "",
        reason: "Redis 7.2 finds no keys of a type that it does not know",
    },
    Difference {
        command: "MOVE",
        valkey: "ERR value is out of range, value must between",
        cairn: "ERR DB index is out of range",
        reason: "an index that does not even fit there is out of range here",
    },
    Difference {
        command: "OBJECT",
        valkey: "skiplist",
        cairn: "listpack",
        reason: "there, the longest member that ZADD names decides, also when XX keeps it out",
    },
    Difference {
        command: "COPY",
        valkey: "ERR value is out of range, value must between",
        cairn: "ERR DB index is out of range",
        reason: "as for MOVE",
    },
];

/// Why the two replies may differ, if they may.
pub(crate) fn reason(command: &str, expected: &Value, found: &Value) -> Option<&'static str> {
    let fits = |difference: &&Difference| {
        (difference.command.is_empty() || difference.command == command)
            && begins(expected, difference.valkey)
            && begins(found, difference.cairn)
    };
    DIFFERENCES.iter().find(fits).map(|difference| difference.reason)
}

fn begins(value: &Value, with: &str) -> bool {
    value.text().starts_with(with)
}
