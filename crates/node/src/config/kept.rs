//! Directives of Redis and Valkey that mean nothing here, and stand in the files of everybody who has used them.
//!
//! What Redis would take is taken, kept as it was written and shown by CONFIG GET; what it would refuse is refused with its words.
//! Whoever sets one to another value than the default reads at start why that has no effect. A directive whose absence would be
//! noticed (TLS, a Unix socket, modules) is not here: it stays unknown until it works.

use super::params::{Form, Home, Kind, Param};

const INT_MIN: i64 = i32::MIN as i64;
const INT_MAX: i64 = i32::MAX as i64;

const NO_AOF: &str = "has no effect: snapshots and the Raft log take the place of the AOF";
const NO_RDB: &str = "has no effect: snapshots are files of Cairn's own below dir";
const NO_STREAM: &str = "has no effect: replicas follow by the Raft log";
const NO_TABLES: &str = "has no effect: tables grow a little with each command, and nothing is moved in the background";
const NO_LAZINESS: &str = "has no effect: what is big is always freed beside the commands";
const NO_WIDENING: &str = "has no effect: what was acknowledged is on a majority of the voters in any case";
const NO_TUNING: &str = "has no effect: the operating system's own settings stay as they are";
const NO_TITLE: &str = "has no effect: the process keeps its name";
const NO_TIMER: &str = "has no effect: what is due is done when it is due";
const NO_DELAYS: &str = "has no effect: nothing is slowed down for tests";
const NOT_YET: &str = "has no effect in this version yet";

/// Every one of them, by what it would be about.
pub(super) const KEPT: &[Param] = &[
    // The append-only file.
    flag("aof-load-truncated", "yes", NO_AOF),
    flag("aof-rewrite-incremental-fsync", "yes", NO_AOF),
    flag("aof-timestamp-enabled", "no", NO_AOF),
    text("appenddirname", "appendonlydir", NO_AOF).fixed(),
    text("appendfilename", "appendonly.aof", NO_AOF).fixed(),
    number("auto-aof-rewrite-percentage", 0, INT_MAX, "100", NO_AOF),
    memory("auto-aof-rewrite-min-size", "67108864", NO_AOF),
    flag("no-appendfsync-on-rewrite", "no", NO_AOF),
    // The RDB file.
    text("dbfilename", "dump.rdb", NO_RDB).protected(),
    flag("rdbchecksum", "yes", NO_RDB).fixed(),
    flag("rdbcompression", "yes", NO_RDB),
    flag("rdb-del-sync-files", "no", NO_RDB),
    number("rdb-key-save-delay", INT_MIN, INT_MAX, "0", NO_DELAYS).hidden(),
    number("key-load-delay", INT_MIN, INT_MAX, "0", NO_DELAYS).hidden(),
    flag("rdb-save-incremental-fsync", "yes", NO_RDB),
    choice(
        "rdb-version-check",
        &["strict", "relaxed"],
        "strict",
        "has no effect: a payload of a version that is not known is refused",
    ),
    flag(
        "stop-writes-on-bgsave-error",
        "yes",
        "has no effect: a write that cannot be made durable is never acknowledged",
    ),
    choice("sanitize-dump-payload", &["no", "yes", "clients"], "no", "has no effect: payloads are always checked"),
    // Replication.
    flag("repl-disable-tcp-nodelay", "no", NO_STREAM),
    choice("repl-diskless-load", &["disabled", "on-empty-db", "swapdb", "flush-before-load"], "disabled", NO_STREAM),
    flag("repl-diskless-sync", "yes", NO_STREAM),
    number("repl-diskless-sync-delay", 0, INT_MAX, "5", NO_STREAM),
    number("repl-diskless-sync-max-replicas", 0, INT_MAX, "0", NO_STREAM),
    number("repl-ping-replica-period", 1, INT_MAX, "10", NO_STREAM).alias("repl-ping-slave-period"),
    number("repl-timeout", 1, INT_MAX, "60", NO_STREAM),
    memory("repl-backlog-size", "10485760", NO_STREAM),
    number("repl-backlog-ttl", 0, INT_MAX, "3600", NO_STREAM),
    flag("dual-channel-replication-enabled", "no", NO_STREAM),
    flag("replica-lazy-flush", "yes", NO_LAZINESS).alias("slave-lazy-flush"),
    number("replica-priority", 0, INT_MAX, "100", "has no effect: the voters elect a leader").alias("slave-priority"),
    choice("replica-read-only", &["yes"], "yes", NO_STREAM).alias("slave-read-only"),
    choice("replica-serve-stale-data", &["yes"], "yes", NO_STREAM).alias("slave-serve-stale-data"),
    flag("replica-ignore-maxmemory", "yes", NOT_YET).alias("slave-ignore-maxmemory"),
    flag("replica-ignore-disk-write-errors", "no", "has no effect: a replica that cannot write stops"),
    choice("replica-announced", &["yes"], "yes", NO_STREAM),
    number("min-replicas-to-write", 0, INT_MAX, "0", NO_WIDENING).alias("min-slaves-to-write"),
    number("min-replicas-max-lag", 0, INT_MAX, "10", NO_WIDENING).alias("min-slaves-max-lag"),
    // Memory.
    flag("activerehashing", "yes", NO_TABLES),
    choice("activedefrag", &["no"], "no", NO_TABLES),
    memory("active-defrag-ignore-bytes", "104857600", NO_TABLES),
    number("active-defrag-threshold-lower", 0, 1000, "10", NO_TABLES),
    number("active-defrag-threshold-upper", 0, 1000, "100", NO_TABLES),
    number("active-defrag-cycle-min", 1, 99, "1", NO_TABLES),
    number("active-defrag-cycle-max", 1, 99, "25", NO_TABLES),
    number("active-defrag-max-scan-fields", 1, i64::MAX, "1000", NO_TABLES),
    flag("jemalloc-bg-thread", "yes", "has no effect: the allocator always has its threads"),
    flag("lazyfree-lazy-eviction", "yes", NO_LAZINESS),
    flag("lazyfree-lazy-expire", "yes", NO_LAZINESS),
    flag("lazyfree-lazy-server-del", "yes", NO_LAZINESS),
    flag("lazyfree-lazy-user-del", "yes", NO_LAZINESS),
    flag("lazyfree-lazy-user-flush", "yes", NO_LAZINESS),
    number("maxmemory-samples", 1, 64, "5", NOT_YET),
    number("maxmemory-eviction-tenacity", 0, 100, "10", NOT_YET),
    // The process.
    number("hz", 0, INT_MAX, "10", NO_TIMER),
    flag("dynamic-hz", "yes", NO_TIMER),
    number("active-expire-effort", 1, 10, "1", NO_TIMER),
    flag("disable-thp", "yes", "has no effect: the allocator asks for no huge pages in any case").fixed(),
    choice("oom-score-adj", &["no", "yes", "relative", "absolute"], "no", NO_TUNING),
    kept("oom-score-adj-values", Form::Numbers(3), "0 200 800", NO_TUNING),
    text("server-cpulist", "", NO_TUNING).alias("server_cpulist").fixed(),
    text("bio-cpulist", "", NO_TUNING).alias("bio_cpulist").fixed(),
    text("aof-rewrite-cpulist", "", NO_TUNING).alias("aof_rewrite_cpulist").fixed(),
    text("bgsave-cpulist", "", NO_TUNING).alias("bgsave_cpulist").fixed(),
    flag("set-proc-title", "yes", NO_TITLE).fixed(),
    text("proc-title-template", "{title} {listen-addr} {server-mode}", NO_TITLE),
    flag("always-show-logo", "no", "has no effect: there is none").fixed(),
    flag("io-threads-do-reads", "no", "has no effect: the threads of io-threads always read"),
    flag("crash-log-enabled", "yes", "has no effect: a panic is always logged"),
    flag("crash-memcheck-enabled", "yes", "has no effect: the memory is not tested"),
    choice("syslog-enabled", &["no"], "no", "has no effect: logs go to logfile or to standard output").fixed(),
    text("syslog-ident", "valkey", NOT_YET).fixed(),
    text("syslog-facility", "local0", NOT_YET).fixed(),
    text("ignore-warnings", "", "has no effect: there are no such warnings"),
    // What is still to come.
    kept("notify-keyspace-events", Form::Empty("keyspace notifications are not there yet"), "", NOT_YET),
    number("acllog-max-len", 0, i64::MAX, "128", NOT_YET),
    number("busy-reply-threshold", 0, i64::MAX, "5000", NOT_YET).alias("lua-time-limit"),
    flag("latency-tracking", "yes", NOT_YET),
    number("tracking-table-max-keys", 0, i64::MAX, "1000000", NOT_YET),
];

const ABOUT: &str = "Kept for files of Redis.";

const fn kept(name: &'static str, form: Form, default: &'static str, why: &'static str) -> Param {
    Param::new(name, Home::Node, Kind::Kept(form), default, ABOUT).inert(why)
}

const fn flag(name: &'static str, default: &'static str, why: &'static str) -> Param {
    kept(name, Form::Choice(&["yes", "no"]), default, why)
}

const fn number(name: &'static str, min: i64, max: i64, default: &'static str, why: &'static str) -> Param {
    kept(name, Form::Integer { min, max }, default, why)
}

const fn memory(name: &'static str, default: &'static str, why: &'static str) -> Param {
    kept(name, Form::Memory, default, why)
}

const fn choice(name: &'static str, words: &'static [&'static str], default: &'static str, why: &'static str) -> Param {
    kept(name, Form::Choice(words), default, why)
}

const fn text(name: &'static str, default: &'static str, why: &'static str) -> Param {
    kept(name, Form::Text, default, why)
}
