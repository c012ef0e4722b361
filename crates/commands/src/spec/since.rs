//! What COMMAND DOCS says of arguments that are younger than their command: since which version of Redis, or from 8 on of Valkey. Taken from
//! valkey-server 9.1; `tests/valkey.rs` compares them.

/// A command's row, and for each version the names of the arguments that came with it; behind that of the argument around them where it has two
/// of the name.
type Younger = (&'static str, &'static [(&'static str, &'static str)]);

const MORE_FILTERS: &str = "name idle flags lib-name lib-ver db capa ip not-client-type not-client-id not-username not-addr not-laddr not-name not-flags not-lib-name not-lib-ver not-db not-capa not-ip";

/// When an argument of a command came, given the name of the one around it; `None`: with the command.
pub(super) fn since_of(command: &str, parent: &str, argument: &str) -> Option<&'static str> {
    let (_, versions) = SINCE[SINCE.binary_search_by_key(&command, |row| row.0).ok()?];
    let is_it = |name: &str| match name.split_once('/') {
        Some((around, name)) => around == parent && name == argument,
        None => name == argument,
    };
    versions.iter().find(|(_, names)| names.split(' ').any(is_it)).map(|(version, _)| *version)
}

#[rustfmt::skip]
const SINCE: &[Younger] = &[
    ("AUTH", &[("6.0.0", "username")]),
    ("BGSAVE", &[("3.2.2", "schedule"), ("8.1.0", "cancel")]),
    ("BITCOUNT", &[("7.0.0", "unit")]),
    ("BITPOS", &[("7.0.0", "unit")]),
    ("CLIENT|KILL", &[("2.8.12", "client-id client-type"), ("3.2.0", "client-type/master"), ("5.0.0", "client-type/replica"), ("6.2.0", "laddr"), ("8.0.0", "client-type/primary maxage"), ("9.0.0", MORE_FILTERS)]),
    ("CLIENT|LIST", &[("5.0.0", "client-type"), ("6.2.0", "client-id"), ("8.1.0", "username addr laddr skipme maxage"), ("9.0.0", MORE_FILTERS)]),
    ("CLIENT|PAUSE", &[("6.2.0", "mode")]),
    ("CLUSTER|MEET", &[("4.0.0", "cluster-bus-port")]),
    ("CLUSTER|REPLICATE", &[("9.0.0", "no-one")]),
    ("CLUSTER|SETSLOT", &[("8.0.0", "timeout")]),
    ("EXPIRE", &[("7.0.0", "condition")]),
    ("EXPIREAT", &[("7.0.0", "condition")]),
    ("FLUSHALL", &[("4.0.0", "async"), ("6.2.0", "sync")]),
    ("FLUSHDB", &[("4.0.0", "async"), ("6.2.0", "sync")]),
    ("GEOADD", &[("6.2.0", "condition change")]),
    ("GEORADIUS", &[("6.2.0", "any")]),
    ("GEORADIUS_RO", &[("6.2.0", "any")]),
    ("GEOSEARCH", &[("9.0.0", "polygon")]),
    ("GEOSEARCHSTORE", &[("9.0.0", "polygon")]),
    ("HEXPIREAT", &[("9.0.0", "condition")]),
    ("HPEXPIRE", &[("9.0.0", "condition")]),
    ("HPEXPIREAT", &[("9.0.0", "condition")]),
    ("LPOP", &[("6.2.0", "count")]),
    ("MIGRATE", &[("3.0.0", "copy replace"), ("3.0.6", "keys"), ("4.0.7", "auth"), ("6.0.0", "auth2")]),
    ("PEXPIRE", &[("7.0.0", "condition")]),
    ("PEXPIREAT", &[("7.0.0", "condition")]),
    ("RESTORE", &[("3.0.0", "replace"), ("5.0.0", "absttl seconds frequency")]),
    ("RESTORE-ASKING", &[("3.0.0", "replace"), ("5.0.0", "absttl seconds frequency")]),
    ("RPOP", &[("6.2.0", "count")]),
    ("SCAN", &[("6.0.0", "type")]),
    ("SET", &[("2.6.12", "nx xx seconds milliseconds"), ("6.0.0", "keepttl"), ("6.2.0", "get unix-time-seconds unix-time-milliseconds"), ("8.1.0", "comparison-value")]),
    ("SHUTDOWN", &[("7.0.0", "now force abort"), ("9.0.0", "safe failover")]),
    ("SPOP", &[("3.2.0", "count")]),
    ("SRANDMEMBER", &[("2.6.0", "count")]),
    ("XADD", &[("6.2.0", "nomkstream minid count")]),
    ("XPENDING", &[("6.2.0", "min-idle-time")]),
    ("XSETID", &[("7.0.0", "entries-added max-deleted-id")]),
    ("XTRIM", &[("6.2.0", "minid count")]),
    ("ZADD", &[("3.0.2", "condition change increment"), ("6.2.0", "comparison")]),
    ("ZRANGE", &[("6.2.0", "sortby rev limit")]),
    ("ZRANGEBYSCORE", &[("2.0.0", "withscores")]),
];
