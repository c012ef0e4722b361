//! What COMMAND DOCS says of how a command has grown: since which version of Redis, or from 8 on of Valkey, it takes or tells what more.

/// Versions and what came with each, in short.
type Changes = &'static [(&'static str, &'static str)];

const CONDITIONS: Changes = &[("7.0.0", "`NX`, `XX`, `GT`, `LT`.")];
const SEVERAL_ELEMENTS: &str = "Several elements.";
const FLUSH_MODES: Changes = &[("4.0.0", "`ASYNC`."), ("6.2.0", "`SYNC`.")];
const UPPER_UNITS: (&str, &str) = ("7.0.0", "Units in upper case.");
const RADIUS: Changes = &[("6.2.0", "`ANY` behind `COUNT`."), UPPER_UNITS];
const SEARCH: Changes = &[UPPER_UNITS, ("9.0.0", "`BYPOLYGON`.")];
const RESTORED: Changes = &[("3.0.0", "`REPLACE`."), ("5.0.0", "`ABSTTL`."), ("5.0.0", "`IDLETIME` and `FREQ`.")];
const PRIMARIES: (&str, &str) = ("8.0.0", "The type `primary`, besides `master`.");
const MORE_FILTERS: (&str, &str) = (
    "9.0.0",
    "`NAME`, `IDLE`, `FLAGS`, `LIB-NAME`, `LIB-VER`, `DB`, `CAPA`, `IP`, and `NOT-` in front of most filters.",
);
const EXCLUSIVE: Changes = &[("6.2.0", "Bounds that are left out themselves.")];

/// How a command has grown, by the name of its row; empty if it has not.
pub(super) fn history_of(name: &str) -> Changes {
    HISTORY.iter().find(|(of, _)| *of == name).map_or(&[], |(_, changes)| changes)
}

#[rustfmt::skip]
const HISTORY: &[(&str, Changes)] = &[
    ("AUTH", &[("6.0.0", "A user's name in front of the password.")]),
    ("BGSAVE", &[("3.2.2", "`SCHEDULE`."), ("8.1.0", "`CANCEL`.")]),
    ("BITCOUNT", &[("7.0.0", "`BYTE` and `BIT`."), ("8.0.0", "A range without an end goes to the last byte.")]),
    ("BITPOS", &[("7.0.0", "`BYTE` and `BIT`.")]),
    ("CLIENT|KILL", &[
        ("2.8.12", "Filters."), ("2.8.12", "`ID`."), ("3.2.0", "The type `master`."), ("5.0.0", "The type `replica`, besides `slave`."),
        ("6.2.0", "`LADDR`."), ("8.0.0", "`MAXAGE`."), PRIMARIES, ("8.1.0", "Several ids."), MORE_FILTERS,
    ]),
    ("CLIENT|LIST", &[
        ("2.8.12", "`id`."), ("5.0.0", "`TYPE`."), ("6.0.0", "`user`."), ("6.2.0", "`argv-mem`, `tot-mem`, `laddr`, `redir`; the filter `ID`."),
        ("7.0.0", "`resp`, `multi-mem`, `rbs`, `rbp`."), ("7.0.3", "`ssub`."), PRIMARIES, ("8.1.0", "`USER`, `ADDR`, `LADDR`, `SKIPME`, `MAXAGE`."),
        MORE_FILTERS,
    ]),
    ("CLIENT|PAUSE", &[("6.2.0", "`WRITE` and `ALL`.")]),
    ("CLUSTER|COUNT-FAILURE-REPORTS", &[("9.0.0", "Of a node that has failed no more reports are counted.")]),
    ("CLUSTER|MEET", &[("4.0.0", "The port of the cluster's bus.")]),
    ("CLUSTER|REPLICATE", &[("9.0.0", "`NO ONE`, which makes a replica a primary.")]),
    ("CLUSTER|SETSLOT", &[("8.0.0", "`TIMEOUT`.")]),
    ("CLUSTER|SHARDS", &[("9.1.0", "`id` of a shard, `availability-zone` of a node.")]),
    ("CLUSTER|SLOTS", &[("4.0.0", "Ids of nodes."), ("7.0.0", "More of where a node is to be found."), ("9.1.0", "`availability-zone` among that.")]),
    ("COMMAND|INFO", &[("7.0.0", "All commands, if none is named.")]),
    ("CONFIG|GET", &[("7.0.0", "Several patterns.")]),
    ("CONFIG|SET", &[("7.0.0", "Several parameters, all or none.")]),
    ("EXISTS", &[("3.0.3", "Several keys.")]),
    ("EXPIRE", CONDITIONS),
    ("EXPIREAT", CONDITIONS),
    ("FLUSHALL", FLUSH_MODES),
    ("FLUSHDB", FLUSH_MODES),
    ("GEOADD", &[("6.2.0", "`CH`, `NX`, `XX`.")]),
    ("GEORADIUS", RADIUS),
    ("GEORADIUSBYMEMBER", RADIUS),
    ("GEORADIUSBYMEMBER_RO", RADIUS),
    ("GEORADIUS_RO", RADIUS),
    ("GEOSEARCH", SEARCH),
    ("GEOSEARCHSTORE", SEARCH),
    ("HDEL", &[("2.4.0", "Several fields.")]),
    ("HELLO", &[("8.1.0", "`availability_zone`, where one is configured."), ("6.2.0", "Without a protocol it tells of the connection.")]),
    ("HSET", &[("4.0.0", "Several fields.")]),
    ("INFO", &[("7.0.0", "Several sections.")]),
    ("LPOP", &[("6.2.0", "A count.")]),
    ("LPUSH", &[("2.4.0", SEVERAL_ELEMENTS)]),
    ("LPUSHX", &[("4.0.0", SEVERAL_ELEMENTS)]),
    ("PEXPIRE", CONDITIONS),
    ("PEXPIREAT", CONDITIONS),
    ("PTTL", &[("2.8.0", "-2, if there is no such key.")]),
    ("RENAMENX", &[("3.2.0", "Both names may be the same.")]),
    ("RESTORE", RESTORED),
    ("RESTORE-ASKING", RESTORED),
    ("RPOP", &[("6.2.0", "A count.")]),
    ("RPUSH", &[("2.4.0", SEVERAL_ELEMENTS)]),
    ("RPUSHX", &[("4.0.0", SEVERAL_ELEMENTS)]),
    ("SADD", &[("2.4.0", "Several members.")]),
    ("SCAN", &[("6.0.0", "`TYPE`.")]),
    ("SET", &[
        ("2.6.12", "`EX`, `PX`, `NX`, `XX`."), ("6.0.0", "`KEEPTTL`."), ("6.2.0", "`GET`, `EXAT`, `PXAT`."), ("7.0.0", "`NX` together with `GET`."),
        ("8.1.0", "`IFEQ`."),
    ]),
    ("SHUTDOWN", &[("7.0.0", "`NOW`, `FORCE`, `ABORT`."), ("9.0.0", "`SAFE`, `FAILOVER`.")]),
    ("SLOWLOG|GET", &[("4.0.0", "The client's address and name.")]),
    ("SPOP", &[("3.2.0", "A count.")]),
    ("SRANDMEMBER", &[("2.6.0", "A count.")]),
    ("SREM", &[("2.4.0", "Several members.")]),
    ("TTL", &[("2.8.0", "-2, if there is no such key.")]),
    ("XADD", &[("6.2.0", "`NOMKSTREAM`, `MINID`, `LIMIT`."), ("7.0.0", "Ids of the form `<ms>-*`.")]),
    ("XAUTOCLAIM", &[("7.0.0", "The ids that are gone, as a third element.")]),
    ("XGROUP|CREATE", &[("7.0.0", "`ENTRIESREAD`.")]),
    ("XGROUP|SETID", &[("7.0.0", "`ENTRIESREAD`.")]),
    ("XINFO|CONSUMERS", &[("7.2.0", "`inactive`; `idle` means attempts too.")]),
    ("XINFO|GROUPS", &[("7.0.0", "`entries-read`, `lag`.")]),
    ("XINFO|STREAM", &[
        ("6.0.0", "`FULL`."), ("7.0.0", "`max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read`, `lag`."),
        ("7.2.0", "`active-time`; `seen-time` means attempts too."),
    ]),
    ("XPENDING", &[("6.2.0", "`IDLE`, and bounds that are left out themselves.")]),
    ("XRANGE", EXCLUSIVE),
    ("XREVRANGE", EXCLUSIVE),
    ("XSETID", &[("7.0.0", "`ENTRIESADDED`, `MAXDELETEDID`.")]),
    ("XTRIM", &[("6.2.0", "`MINID`, `LIMIT`.")]),
    ("ZADD", &[("2.4.0", "Several members."), ("3.0.2", "`XX`, `NX`, `CH`, `INCR`."), ("6.2.0", "`GT`, `LT`.")]),
    ("ZRANGE", &[("6.2.0", "`REV`, `BYSCORE`, `BYLEX`, `LIMIT`.")]),
    ("ZRANGEBYSCORE", &[("2.0.0", "`WITHSCORES`.")]),
    ("ZRANK", &[("7.2.0", "`WITHSCORE`.")]),
    ("ZREM", &[("2.4.0", "Several members.")]),
    ("ZREVRANGEBYSCORE", &[("2.1.6", "Bounds that are left out themselves.")]),
    ("ZREVRANK", &[("7.2.0", "`WITHSCORE`.")]),
    ("ZSCAN", &[("8.0.0", "`NOSCORES`.")]),
];

#[cfg(test)]
mod tests {
    use super::HISTORY;
    use crate::table::rows;

    #[test]
    fn only_commands_have_a_history() {
        let unknown: Vec<_> = HISTORY.iter().filter(|(name, _)| !rows().any(|row| row.name == *name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        assert!(HISTORY.is_sorted_by_key(|(name, _)| *name), "the names are in order");
    }
}
