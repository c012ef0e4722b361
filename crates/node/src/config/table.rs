//! The table of directives: one row each, in the order of the sample file.
//!
//! A row is all there is to know about a directive. Adding one is a field in
//! [`Settings`] and a row here; the table's tests then check its default, its bounds
//! and its way through CONFIG SET, file and CONFIG REWRITE. Nothing is accepted that nobody reads, except what
//! common files of Redis set: those rows say why they are inert.
//!
//! The casts in the rows are exact, because a value is in its row's range before it is written.

use super::params::{Home, Kind, Param, listed_address, listed_hostname, node_name};
use super::settings::{DebugCommand, EndpointType, EvictionPolicy, Fsync, LogLevel, Settings, Supervised};
use super::words;

/// The largest C int, the bound of many of Redis's directives.
const INT_MAX: i64 = i32::MAX as i64;
const DATABASES_MAX: i64 = keyspace::DATABASE_COUNT as i64;
const MB: u64 = 1 << 20;
const NOT_YET: &str = "has no effect in this version yet";
const NO_MIGRATION: &str =
    "has no effect: replicas stay with their masters, whose missing voters are replaced by hidden ones";

/// Every directive.
pub const PARAMS: &[Param] = &[
    // Addresses.
    Param::new(
        "bind",
        Home::Node,
        Kind::Words {
            usage: "address ...",
            get: |s| {
                let word = |a: &super::BindAddress| format!("{}{}", if a.optional { "-" } else { "" }, a.host);
                vec![s.bind.iter().map(word).collect::<Vec<_>>().join(" ")]
            },
            set: |s, w| words::bind(w).map(|bind| s.bind = bind),
        },
        "127.0.0.1",
        "Addresses to serve clients and peers on. '*' is every IPv4 address, '::*' every IPv6 address; an address \
         with a leading '-' may be missing on the machine.",
    )
    .fixed(),
    Param::new(
        "port",
        Home::Node,
        integer(0, 65_535, |s| s.port.into(), |s, v| s.port = v as u16),
        "6379",
        "TCP port for clients; 0 for none.",
    )
    .fixed(),
    Param::new(
        "cluster-port",
        Home::Node,
        integer(0, 65_535, |s| s.cluster_port.into(), |s, v| s.cluster_port = v as u16),
        "0",
        "TCP port for peers; 0 is port + 10000, where they look for each other. It opens only with cluster-enabled or \
         initial-members.",
    )
    .fixed(),
    Param::new(
        "tls-port",
        Home::Node,
        integer(0, 65_535, |s| s.tls_port.into(), |s, v| s.tls_port = v as u16),
        "0",
        "TCP port for clients with TLS; only 0 (off) in this version.",
    )
    .fixed(),
    Param::new(
        "admin-port",
        Home::Node,
        integer(0, 65_535, |s| s.admin_port.into(), |s, v| s.admin_port = v as u16),
        "0",
        "TCP port of the operators' gRPC service; only 0 (off) in this version.",
    )
    .fixed(),
    Param::new(
        "http-port",
        Home::Node,
        integer(0, 65_535, |s| s.http_port.into(), |s, v| s.http_port = v as u16),
        "0",
        "TCP port of metrics and console; only 0 (off) in this version.",
    )
    .fixed(),
    Param::new(
        "sentinel-port",
        Home::Node,
        integer(0, 65_535, |s| s.sentinel_port.into(), |s, v| s.sentinel_port = v as u16),
        "0",
        "TCP port of the Sentinel face; only 0 (off) in this version.",
    )
    .fixed(),
    Param::new(
        "tcp-backlog",
        Home::Node,
        integer(1, 65_535, |s| s.tcp_backlog.into(), |s, v| s.tcp_backlog = v as u32),
        "511",
        "Connections that may wait in the kernel to be accepted.",
    )
    .fixed(),
    Param::new(
        "tcp-keepalive",
        Home::Node,
        integer(0, INT_MAX, |s| s.tcp_keepalive_seconds.into(), |s, v| s.tcp_keepalive_seconds = v as u32),
        "300",
        "Seconds of silence after which the kernel probes a client; 0 for never. A change counts for new connections.",
    ),
    // Clients.
    Param::new(
        "databases",
        Home::Node,
        integer(1, DATABASES_MAX, |s| s.databases.into(), |s, v| s.databases = v as u32),
        "16",
        "Databases that SELECT lets a client into.",
    )
    .fixed(),
    Param::new(
        "timeout",
        Home::Node,
        integer(0, INT_MAX, |s| s.timeout_seconds.into(), |s, v| s.timeout_seconds = v as u32),
        "0",
        "Seconds after which an idle client is closed; 0 for never.",
    ),
    Param::new(
        "slowlog-log-slower-than",
        Home::Node,
        integer(-1, i64::MAX, |s| s.slowlog_log_slower_than_us, |s, v| s.slowlog_log_slower_than_us = v),
        "10000",
        "Microseconds that a command runs before SLOWLOG shows it; -1 for never.",
    )
    .alias("commandlog-execution-slower-than"),
    Param::new(
        "slowlog-max-len",
        Home::Node,
        integer(0, u32::MAX as i64, |s| s.slowlog_max_len.into(), |s, v| s.slowlog_max_len = v as u32),
        "128",
        "Commands that SLOWLOG keeps.",
    )
    .alias("commandlog-slow-execution-max-len"),
    Param::new(
        "latency-monitor-threshold",
        Home::Node,
        integer(
            0,
            u32::MAX as i64,
            |s| s.latency_monitor_threshold_ms.into(),
            |s, v| s.latency_monitor_threshold_ms = v as u32,
        ),
        "0",
        "Milliseconds that a command runs before LATENCY shows it as a spike; 0 for never.",
    ),
    Param::new(
        "maxclients",
        Home::Node,
        integer(1, u32::MAX as i64, |s| s.maxclients.into(), |s, v| s.maxclients = v as u32),
        "10000",
        "Clients served at once. Lowered at start when the limit of open files does not allow so many.",
    ),
    Param::new(
        "protected-mode",
        Home::Node,
        Kind::Flag { get: |s| s.protected_mode, set: |s, v| s.protected_mode = v },
        "yes",
        "Without a password, serve only clients on loopback.",
    ),
    Param::new(
        "requirepass",
        Home::Node,
        Kind::Text { get: |s| &s.requirepass, set: |s, v| s.requirepass = v },
        "",
        "The password of the default user; empty for none.",
    )
    .secret(),
    Param::new(
        "enable-debug-command",
        Home::Node,
        Kind::Choice {
            words: DebugCommand::WORDS,
            get: |s| s.enable_debug_command as usize,
            set: |s, v| s.enable_debug_command = DebugCommand::ALL[v],
        },
        "no",
        "Who may use DEBUG: nobody, every client, or clients on loopback.",
    )
    .fixed(),
    Param::new(
        "proto-max-bulk-len",
        Home::Node,
        Kind::Memory {
            min: MB,
            max: 512 * MB,
            get: |s| s.proto_max_bulk_len_bytes,
            set: |s, v| s.proto_max_bulk_len_bytes = v,
        },
        "512mb",
        "The longest string in a command.",
    ),
    Param::new(
        "client-query-buffer-limit",
        Home::Node,
        Kind::Memory {
            min: MB,
            max: i64::MAX as u64,
            get: |s| s.client_query_buffer_limit_bytes,
            set: |s, v| s.client_query_buffer_limit_bytes = v,
        },
        "1gb",
        "Unread input of one client above which it is closed.",
    ),
    Param::new(
        "client-output-buffer-limit",
        Home::Node,
        Kind::Words {
            usage: "class hard soft soft-seconds ...",
            get: |s| words::output_limits_lines(&s.client_output_buffer_limit),
            set: |s, w| {
                words::output_limits(s.client_output_buffer_limit, w)
                    .map(|limits| s.client_output_buffer_limit = limits)
            },
        },
        "normal 0 0 0 slave 256mb 64mb 60 pubsub 32mb 8mb 60",
        "Unsent output of one client above which it is closed, at once (hard) or after some seconds (soft), by class: \
         normal, pubsub, and replica, which is kept for Redis's tools only. 0 is no limit.",
    ),
    // Files and logs.
    Param::new(
        "dir",
        Home::Node,
        Kind::Text { get: |s| &s.dir, set: |s, v| s.dir = v },
        "./data",
        "Where the node keeps everything. Made when it is not there, and locked.",
    )
    .protected(),
    Param::new(
        "pidfile",
        Home::Node,
        Kind::Text { get: |s| &s.pidfile, set: |s, v| s.pidfile = v },
        "",
        "A file for the process id; empty for none. Removed at a clean exit.",
    )
    .fixed(),
    Param::new(
        "logfile",
        Home::Node,
        Kind::Text { get: |s| &s.logfile, set: |s, v| s.logfile = v },
        "",
        "A file for the log; empty for standard output.",
    )
    .fixed(),
    Param::new(
        "loglevel",
        Home::Node,
        Kind::Choice {
            words: LogLevel::WORDS,
            get: |s| s.loglevel as usize,
            set: |s, v| s.loglevel = LogLevel::ALL[v],
        },
        "notice",
        "The least important lines that are logged.",
    ),
    Param::new(
        "daemonize",
        Home::Node,
        Kind::Flag { get: |s| s.daemonize, set: |s, v| s.daemonize = v },
        "no",
        "Only 'no': the server runs in the foreground.",
    )
    .fixed(),
    Param::new(
        "supervised",
        Home::Node,
        Kind::Choice { words: &["no"], get: |s| s.supervised as usize, set: |s, _| s.supervised = Supervised::No },
        "no",
        "Only 'no': the server does not talk to a supervisor.",
    )
    .fixed(),
    // Threads.
    Param::new(
        "io-threads",
        Home::Node,
        integer(0, 128, |s| s.io_threads.into(), |s, v| s.io_threads = v as u32),
        "0",
        "Threads that serve connections; 0 takes one per core, but at most two.",
    )
    .fixed(),
    Param::new(
        "apply-threads",
        Home::Node,
        integer(0, 128, |s| s.apply_threads.into(), |s, v| s.apply_threads = v as u32),
        "0",
        "Threads that run commands on the data, a shard always on the same one; 0 chooses.",
    )
    .fixed()
    .inert("more than one has no effect: there is one shard, and one thread runs its commands"),
    // Raft.
    Param::new(
        "initial-members",
        Home::Node,
        Kind::Words {
            usage: "host:port ...",
            get: |s| vec![s.initial_members.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")],
            set: |s, w| words::members(w).map(|members| s.initial_members = members),
        },
        "",
        "The client addresses of all first voters of a replicated server, this node's own among them, the same on \
         each; empty for a standalone server. Ignored, with a note, once dir holds a replica.",
    )
    .fixed(),
    Param::new(
        "replicaof",
        Home::Node,
        Kind::Words {
            usage: "host port",
            get: |s| vec![s.replicaof.as_ref().map_or_else(String::new, |m| format!("{} {}", m.host, m.port))],
            set: |s, w| words::replicaof(w).map(|leader| s.replicaof = leader),
        },
        "",
        "The node to join as a replica; refused in this version: use initial-members.",
    )
    .alias("slaveof")
    .fixed(),
    Param::new(
        "masterauth",
        Home::Node,
        Kind::Text { get: |s| &s.masterauth, set: |s, v| s.masterauth = v },
        "",
        "The secret that peers prove to know; empty: peers on loopback only.",
    )
    .secret()
    .fixed(),
    Param::new(
        "election-timeout-ms",
        Home::Node,
        Kind::Words {
            usage: "shortest longest",
            get: |s| vec![format!("{} {}", s.election_timeout_ms.min_ms, s.election_timeout_ms.max_ms)],
            set: |s, w| words::election_timeout(w).map(|timeout| s.election_timeout_ms = timeout),
        },
        "250 500",
        "Milliseconds without a leader after which a voter stands for election, drawn between the two. The same on \
         all nodes.",
    )
    .fixed(),
    Param::new(
        "cluster-enabled",
        Home::Node,
        Kind::Flag { get: |s| s.cluster_enabled, set: |s, v| s.cluster_enabled = v },
        "no",
        "Whether the node is one of a cluster.",
    )
    .fixed(),
    Param::new(
        "cluster-node-timeout",
        Home::Node,
        integer(0, INT_MAX, |s| s.cluster_node_timeout_ms as i64, |s, v| s.cluster_node_timeout_ms = v as u64),
        "15000",
        "Milliseconds without a word after which a node is shown as failing. Failover does not wait for it: see \
         election-timeout-ms.",
    ),
    Param::new(
        "cluster-require-full-coverage",
        Home::Node,
        Kind::Flag { get: |s| s.cluster_require_full_coverage, set: |s, v| s.cluster_require_full_coverage = v },
        "yes",
        "Whether nothing is served while some slot has no owner.",
    ),
    Param::new(
        "cluster-allow-reads-when-down",
        Home::Node,
        Kind::Flag { get: |s| s.cluster_allow_reads_when_down, set: |s, v| s.cluster_allow_reads_when_down = v },
        "no",
        "Whether reads are served while some slot has no owner.",
    ),
    Param::new(
        "cluster-replication-factor",
        Home::Cluster,
        integer(1, 9, |s| s.cluster_replication_factor.into(), |s, v| s.cluster_replication_factor = v as u8),
        "3",
        "Voters of a shard with slots, an odd number: counts when this node founds a cluster.",
    )
    .fixed(),
    text(
        "cluster-announce-ip",
        |s| &s.cluster_announce_ip,
        |s, v| s.cluster_announce_ip = v,
        "Address that is shown to clients and peers; empty is the first of bind.",
    )
    .checked(listed_address),
    Param::new(
        "cluster-announce-port",
        Home::Node,
        integer(0, 65_535, |s| s.cluster_announce_port.into(), |s, v| s.cluster_announce_port = v as u16),
        "0",
        "Client port that is shown; 0 is port.",
    ),
    Param::new(
        "cluster-announce-tls-port",
        Home::Node,
        integer(0, 65_535, |s| s.cluster_announce_tls_port.into(), |s, v| s.cluster_announce_tls_port = v as u16),
        "0",
        "TLS port that is shown; 0 is tls-port.",
    ),
    Param::new(
        "cluster-announce-bus-port",
        Home::Node,
        integer(0, 65_535, |s| s.cluster_announce_bus_port.into(), |s, v| s.cluster_announce_bus_port = v as u16),
        "0",
        "Peer port that is shown; 0 is the real one.",
    ),
    text(
        "cluster-announce-hostname",
        |s| &s.cluster_announce_hostname,
        |s, v| s.cluster_announce_hostname = v,
        "Host name that is shown; empty is none.",
    )
    .checked(listed_hostname),
    text(
        "cluster-announce-human-nodename",
        |s| &s.cluster_announce_human_nodename,
        |s, v| s.cluster_announce_human_nodename = v,
        "The node's name in logs; empty is none.",
    )
    .checked(node_name),
    Param::new(
        "cluster-preferred-endpoint-type",
        Home::Node,
        Kind::Choice {
            words: EndpointType::WORDS,
            get: |s| s.cluster_preferred_endpoint_type as usize,
            set: |s, v| s.cluster_preferred_endpoint_type = EndpointType::ALL[v],
        },
        "ip",
        "What clients are sent to: the address, the host name, or the host that they used.",
    ),
    Param::new(
        "cluster-voter-replace-after-ms",
        Home::Cluster,
        integer(
            1_000,
            INT_MAX,
            |s| s.cluster_voter_replace_after_ms as i64,
            |s, v| s.cluster_voter_replace_after_ms = v as u64,
        ),
        "60000",
        "Milliseconds after which a dead voter of a cluster is replaced: counts when this node founds a cluster.",
    )
    .fixed(),
    // Of Redis Cluster, in the files of everybody who has used it.
    Param::new(
        "cluster-config-file",
        Home::Node,
        Kind::Text { get: |s| &s.cluster_config_file, set: |s, v| s.cluster_config_file = v },
        "nodes.conf",
        "Kept for files of Redis Cluster.",
    )
    .fixed()
    .inert("has no effect: what a node knows of its cluster is below dir"),
    Param::new(
        "cluster-migration-barrier",
        Home::Node,
        integer(0, INT_MAX, |s| s.cluster_migration_barrier as i64, |s, v| s.cluster_migration_barrier = v as u64),
        "1",
        "Kept for files of Redis Cluster.",
    )
    .inert(NO_MIGRATION),
    Param::new(
        "cluster-allow-replica-migration",
        Home::Node,
        Kind::Flag { get: |s| s.cluster_allow_replica_migration, set: |s, v| s.cluster_allow_replica_migration = v },
        "yes",
        "Kept for files of Redis Cluster.",
    )
    .inert(NO_MIGRATION),
    Param::new(
        "cluster-replica-validity-factor",
        Home::Node,
        integer(
            0,
            INT_MAX,
            |s| s.cluster_replica_validity_factor as i64,
            |s, v| s.cluster_replica_validity_factor = v as u64,
        ),
        "10",
        "Kept for files of Redis Cluster.",
    )
    .alias("cluster-slave-validity-factor")
    .inert("has no effect: a replica that lacks anything acknowledged is never elected"),
    Param::new(
        "cluster-replica-no-failover",
        Home::Node,
        Kind::Choice { words: &["no"], get: |_| 0, set: |_, _| () },
        "no",
        "Kept for files of Redis Cluster: every replica that votes can be elected.",
    )
    .alias("cluster-slave-no-failover"),
    Param::new(
        "cluster-allow-pubsubshard-when-down",
        Home::Node,
        Kind::Flag {
            get: |s| s.cluster_allow_pubsubshard_when_down,
            set: |s, v| s.cluster_allow_pubsubshard_when_down = v,
        },
        "yes",
        "Kept for files of Redis Cluster.",
    )
    .inert(NOT_YET),
    Param::new(
        "cluster-link-sendbuf-limit",
        Home::Node,
        Kind::Memory {
            min: 0,
            max: u64::MAX >> 1,
            get: |s| s.cluster_link_sendbuf_limit_bytes,
            set: |s, v| s.cluster_link_sendbuf_limit_bytes = v,
        },
        "0",
        "Kept for files of Redis Cluster.",
    )
    .inert("has no effect: what waits for a peer is bounded in any case"),
    // Durability.
    Param::new(
        "appendfsync",
        Home::Shard,
        Kind::Choice {
            words: Fsync::WORDS,
            get: |s| s.shard.appendfsync as usize,
            set: |s, v| s.shard.appendfsync = Fsync::ALL[v],
        },
        "always",
        "When a voter counts as having a write: always, once it is synced to disk; everysec and no, once it is in \
         memory, so that an acknowledged write can be lost (promise P1 does not hold).",
    ),
    Param::new(
        "appendonly",
        Home::Node,
        Kind::Flag { get: |s| s.appendonly, set: |s, v| s.appendonly = v },
        "yes",
        "Kept for Redis's tools.",
    )
    .inert("has no effect but that WAITAOF refuses to count this node's log: it persists every write either way"),
    Param::new(
        "aof-use-rdb-preamble",
        Home::Node,
        Kind::Flag { get: |s| s.aof_use_rdb_preamble, set: |s, v| s.aof_use_rdb_preamble = v },
        "yes",
        "Kept for Redis's tools.",
    )
    .inert("has no effect: snapshots and the Raft log take the place of the AOF"),
    Param::new(
        "save",
        Home::Node,
        Kind::Words {
            usage: "seconds changes ...",
            get: |s| {
                let pairs = s.save.iter().map(|(seconds, changes)| format!("{seconds} {changes}"));
                let pairs: Vec<_> = pairs.collect();
                vec![pairs.join(" ")]
            },
            set: |s, w| words::save(w).map(|save| s.save = save),
        },
        "",
        "Kept for Redis's tools; lines add up, an empty string forgets the earlier ones.",
    )
    .adding_up()
    .inert("has no effect: the Raft log persists every write, and snapshots are taken when it has grown"),
    // The shard's data.
    Param::new(
        "maxmemory",
        Home::Shard,
        Kind::Memory {
            min: 0,
            max: u64::MAX,
            get: |s| s.shard.maxmemory_bytes,
            set: |s, v| s.shard.maxmemory_bytes = v,
        },
        "0",
        "Bytes of data above which keys are evicted or writes refused; 0 for no limit.",
    )
    .inert(NOT_YET),
    Param::new(
        "maxmemory-policy",
        Home::Shard,
        Kind::Choice {
            words: EvictionPolicy::WORDS,
            get: |s| s.shard.maxmemory_policy as usize,
            set: |s, v| s.shard.maxmemory_policy = EvictionPolicy::ALL[v],
        },
        "noeviction",
        "Which keys are evicted at maxmemory; with an LFU policy, accesses are counted, as OBJECT FREQ shows.",
    )
    .inert("has no effect in this version yet but for OBJECT FREQ and IDLETIME: nothing is evicted"),
    Param::new(
        "lfu-log-factor",
        Home::Shard,
        integer(0, INT_MAX, |s| s.shard.lfu_log_factor.into(), |s, v| s.shard.lfu_log_factor = v as u32),
        "10",
        "How much less likely an access is counted with an LFU policy, the more of them were.",
    ),
    Param::new(
        "lfu-decay-time",
        Home::Shard,
        integer(0, INT_MAX, |s| s.shard.lfu_decay_minutes.into(), |s, v| s.shard.lfu_decay_minutes = v as u32),
        "1",
        "Minutes after which a count of accesses is one less; 0 for never.",
    ),
    Param::new(
        "hash-max-listpack-entries",
        Home::Shard,
        count(|s| s.shard.hash_max_listpack_entries as i64, |s, v| s.shard.hash_max_listpack_entries = v as u64),
        "128",
        "Most fields of a hash in the small encoding.",
    )
    .alias("hash-max-ziplist-entries"),
    Param::new(
        "hash-max-listpack-value",
        Home::Shard,
        bytes(|s| s.shard.hash_max_listpack_value, |s, v| s.shard.hash_max_listpack_value = v),
        "64",
        "Longest field or value of a hash in the small encoding, in bytes.",
    )
    .alias("hash-max-ziplist-value"),
    Param::new(
        "list-max-listpack-size",
        Home::Shard,
        integer(
            i32::MIN as i64,
            INT_MAX,
            |s| s.shard.list_max_listpack_size,
            |s, v| s.shard.list_max_listpack_size = v,
        ),
        "-2",
        "Most elements in one block of a list, or, from -1 to -5, most bytes: 4, 8, 16, 32, 64 KiB.",
    )
    .alias("list-max-ziplist-size"),
    Param::new(
        "list-compress-depth",
        Home::Node,
        integer(0, INT_MAX, |s| s.list_compress_depth.into(), |s, v| s.list_compress_depth = v as u32),
        "0",
        "Kept for Redis's tools.",
    )
    .inert("has no effect: blocks of lists are not compressed"),
    Param::new(
        "stream-node-max-bytes",
        Home::Shard,
        bytes(|s| s.shard.stream_node_max_bytes, |s, v| s.shard.stream_node_max_bytes = v),
        "4096",
        "Bytes at which a chunk of a stream is full; 0: any number.",
    ),
    Param::new(
        "stream-node-max-entries",
        Home::Shard,
        count(|s| s.shard.stream_node_max_entries as i64, |s, v| s.shard.stream_node_max_entries = v as u64),
        "100",
        "Stream entries at which a chunk of a stream is full; 0: any number.",
    ),
    Param::new(
        "set-max-intset-entries",
        Home::Shard,
        count(|s| s.shard.set_max_intset_entries as i64, |s, v| s.shard.set_max_intset_entries = v as u64),
        "512",
        "Most members of a set of integers in the integer encoding.",
    ),
    Param::new(
        "set-max-listpack-entries",
        Home::Shard,
        count(|s| s.shard.set_max_listpack_entries as i64, |s, v| s.shard.set_max_listpack_entries = v as u64),
        "128",
        "Most members of a set in the small encoding.",
    ),
    Param::new(
        "set-max-listpack-value",
        Home::Shard,
        bytes(|s| s.shard.set_max_listpack_value, |s, v| s.shard.set_max_listpack_value = v),
        "64",
        "Longest member of a set in the small encoding, in bytes.",
    ),
    Param::new(
        "zset-max-listpack-entries",
        Home::Shard,
        count(|s| s.shard.zset_max_listpack_entries as i64, |s, v| s.shard.zset_max_listpack_entries = v as u64),
        "128",
        "Most members of a sorted set in the small encoding.",
    )
    .alias("zset-max-ziplist-entries"),
    Param::new(
        "zset-max-listpack-value",
        Home::Shard,
        bytes(|s| s.shard.zset_max_listpack_value, |s, v| s.shard.zset_max_listpack_value = v),
        "64",
        "Longest member of a sorted set in the small encoding, in bytes.",
    )
    .alias("zset-max-ziplist-value"),
    Param::new(
        "hll-sparse-max-bytes",
        Home::Shard,
        bytes(|s| s.shard.hll_sparse_max_bytes, |s, v| s.shard.hll_sparse_max_bytes = v),
        "3000",
        "Longest HyperLogLog in the sparse encoding, in bytes.",
    ),
];

const fn text(
    name: &'static str,
    get: fn(&Settings) -> &str,
    set: fn(&mut Settings, String),
    doc: &'static str,
) -> Param {
    Param::new(name, Home::Node, Kind::Text { get, set }, "", doc)
}

const fn integer(min: i64, max: i64, get: fn(&Settings) -> i64, set: fn(&mut Settings, i64)) -> Kind {
    Kind::Integer { min, max, get, set }
}

/// A number of things without a bound of its own.
const fn count(get: fn(&Settings) -> i64, set: fn(&mut Settings, i64)) -> Kind {
    integer(0, i64::MAX, get, set)
}

/// A number of bytes without a bound of its own.
const fn bytes(get: fn(&Settings) -> u64, set: fn(&mut Settings, u64)) -> Kind {
    Kind::Memory { min: 0, max: i64::MAX as u64, get, set }
}
