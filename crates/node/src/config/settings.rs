//! The typed side of the directives: what the rest of the program reads.
//!
//! Plain data. A value here has passed its row's checks; [`Settings::check`] holds the rules that need more
//! than one directive. Numbers carry their unit in the name.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use keyspace::{Accesses, PackedLimits};

use super::params::params;

/// The distance between the client port and the peer port, as between Redis's client port and its cluster bus.
pub const PEER_PORT_OFFSET: u16 = 10_000;

/// All directives of one process, typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// By name, what is kept for files of Redis and read by nobody.
    pub kept: BTreeMap<&'static str, String>,
    /// Addresses to listen on, in the order given.
    pub bind: Vec<BindAddress>,
    /// TCP port for clients; 0: no TCP.
    pub port: u16,
    /// TCP port for peers; 0: `port` + 10000, the only one for now. Read it through [`Settings::peer_port`].
    pub cluster_port: u16,
    /// Reserved for TLS; only 0 passes the checks.
    pub tls_port: u16,
    /// Reserved for the operators' gRPC; only 0 passes the checks.
    pub admin_port: u16,
    /// Reserved for metrics; only 0 passes the checks.
    pub http_port: u16,
    /// Reserved for the Sentinel face; only 0 passes the checks.
    pub sentinel_port: u16,
    /// Length of the queue of connections that the kernel has accepted and we have not.
    pub tcp_backlog: u32,
    /// Seconds of silence after which the kernel probes a client; 0: never.
    pub tcp_keepalive_seconds: u32,
    /// Databases that SELECT lets a client into, numbered from 0.
    pub databases: u32,
    /// Seconds after which an idle client is closed; 0: never.
    pub timeout_seconds: u32,
    /// Commands that run for this many microseconds or longer come into the slow log; negative: none.
    pub slowlog_log_slower_than_us: i64,
    /// How many commands the slow log keeps.
    pub slowlog_max_len: u32,
    /// Commands that run for this many ms or longer are spikes of latency; 0: none is.
    pub latency_monitor_threshold_ms: u32,
    /// Clients served at once; one more is answered with an error and closed.
    pub maxclients: u32,
    /// Without a password, serve loopback clients only.
    pub protected_mode: bool,
    /// Who may use DEBUG.
    pub enable_debug_command: DebugCommand,
    /// The password of the default user; empty: none needed.
    pub requirepass: String,
    /// The secret that peers share; empty: peers on loopback only.
    pub masterauth: String,
    /// Where the node keeps everything. The server makes it absolute before the node starts.
    pub dir: String,
    /// The file for the process id; empty: none.
    pub pidfile: String,
    /// The file for log lines; empty: standard output.
    pub logfile: String,
    /// The least important lines that are logged.
    pub loglevel: LogLevel,
    /// Only `false` passes the checks: a supervisor runs the process in the foreground.
    pub daemonize: bool,
    /// Only `no` exists.
    pub supervised: Supervised,
    /// Threads that serve connections; 0: chosen by [`Settings::io_threads_on`].
    pub io_threads: u32,
    /// Threads that apply entries; 0: chosen by [`Settings::apply_threads_on`].
    pub apply_threads: u32,
    /// The longest string in a command, in bytes.
    pub proto_max_bulk_len_bytes: u64,
    /// The most unread input that is held for one client, in bytes.
    pub client_query_buffer_limit_bytes: u64,
    /// The most unsent output that is held for one client, by class.
    pub client_output_buffer_limit: OutputLimits,
    /// Kept for CONFIG GET; the Raft log always persists.
    pub appendonly: bool,
    /// Kept for CONFIG GET.
    pub aof_use_rdb_preamble: bool,
    /// Kept for CONFIG GET.
    pub list_compress_depth: u32,
    /// Kept for CONFIG GET: (seconds, changes) pairs.
    pub save: Vec<(u64, u64)>,
    /// Whether the node is one of a cluster.
    pub cluster_enabled: bool,
    /// Milliseconds without a word after which a node is shown as failing.
    pub cluster_node_timeout_ms: u64,
    /// Whether nothing is served while some slot has no owner.
    pub cluster_require_full_coverage: bool,
    /// Whether reads are served while the cluster is down.
    pub cluster_allow_reads_when_down: bool,
    /// Voters of a shard with slots, when this node founds a cluster. Odd.
    pub cluster_replication_factor: u8,
    /// The address that is shown to clients and peers; empty: the first of `bind`.
    pub cluster_announce_ip: String,
    /// The client port that is shown; 0: `port`.
    pub cluster_announce_port: u16,
    /// The TLS port that is shown; 0: `tls_port`.
    pub cluster_announce_tls_port: u16,
    /// The peer port that is shown; 0: the real one.
    pub cluster_announce_bus_port: u16,
    /// The host name that is shown; empty: none.
    pub cluster_announce_hostname: String,
    /// The node's name in logs; empty: none.
    pub cluster_announce_human_nodename: String,
    /// Shown, and without effect, as are the next five.
    pub cluster_config_file: String,
    /// `cluster-migration-barrier`.
    pub cluster_migration_barrier: u64,
    /// `cluster-allow-replica-migration`.
    pub cluster_allow_replica_migration: bool,
    /// `cluster-replica-validity-factor`.
    pub cluster_replica_validity_factor: u64,
    /// `cluster-allow-pubsubshard-when-down`.
    pub cluster_allow_pubsubshard_when_down: bool,
    /// `cluster-link-sendbuf-limit`.
    pub cluster_link_sendbuf_limit_bytes: u64,
    /// What clients are sent to: address, host name, or the host they know.
    pub cluster_preferred_endpoint_type: EndpointType,
    /// Milliseconds after which a dead voter is replaced in cluster mode.
    pub cluster_voter_replace_after_ms: u64,
    /// The shortest and the longest wait for a leader before an election, in milliseconds.
    pub election_timeout_ms: ElectionTimeout,
    /// The client addresses of all first voters, the node's own among them; empty: one voter, standalone.
    pub initial_members: Vec<Member>,
    /// The node to copy from; refused by the checks for now.
    pub replicaof: Option<Member>,
    /// What the shard's own state decides. On a running node this mirrors the shard; before, it is the file's wish.
    pub shard: ShardSettings,
}

/// The directives whose truth is in the shard's own log, because they change results, order or durability.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardSettings {
    /// When a voter counts as having an entry.
    pub appendfsync: Fsync,
    /// Bytes of data after which writes that grow it are refused or keys evicted; 0: no limit.
    pub maxmemory_bytes: u64,
    /// What is evicted at the limit.
    pub maxmemory_policy: EvictionPolicy,
    /// How much less likely every further step of a count of accesses is.
    pub lfu_log_factor: u32,
    /// Minutes after which such a count is one less; 0: never.
    pub lfu_decay_minutes: u32,
    /// Most fields of a hash in the small encoding.
    pub hash_max_listpack_entries: u64,
    /// Longest field or value of a hash in the small encoding, in bytes.
    pub hash_max_listpack_value: u64,
    /// Positive: most elements in one list block. Negative, -1 to -5: 4, 8, 16, 32, 64 KiB.
    pub list_max_listpack_size: i64,
    /// Bytes at which a chunk of a stream is full; 0: any number.
    pub stream_node_max_bytes: u64,
    /// Stream entries at which it is; 0: any number.
    pub stream_node_max_entries: u64,
    /// Most members of a set of integers in the integer encoding.
    pub set_max_intset_entries: u64,
    /// Most members of a set in the small encoding.
    pub set_max_listpack_entries: u64,
    /// Longest member of a set in the small encoding, in bytes.
    pub set_max_listpack_value: u64,
    /// Most members of a sorted set in the small encoding.
    pub zset_max_listpack_entries: u64,
    /// Longest member of a sorted set in the small encoding, in bytes.
    pub zset_max_listpack_value: u64,
    /// Longest HyperLogLog in the sparse encoding, in bytes.
    pub hll_sparse_max_bytes: u64,
}

/// `cluster-preferred-endpoint-type`: what clients are sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndpointType {
    /// The address.
    #[default]
    Ip,
    /// The host name, or `?` where a node announces none.
    Hostname,
    /// The host that the client used.
    Unknown,
}

impl EndpointType {
    /// The directive's words, in the order of the variants.
    pub(super) const WORDS: &'static [&'static str] = &["ip", "hostname", "unknown-endpoint"];
    pub(super) const ALL: [Self; 3] = [Self::Ip, Self::Hostname, Self::Unknown];
}

/// One address of `bind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAddress {
    /// An IP address, a host name, `*` (every IPv4 address) or `::*` (every IPv6 address).
    pub host: String,
    /// Written with a leading `-`: not having this address on the machine is no error.
    pub optional: bool,
}

/// A node by the address its clients use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// An IP address (without brackets) or a host name.
    pub host: String,
    /// Its client port.
    pub port: u16,
}

impl Member {
    /// Whether the address can only mean this machine.
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost") || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Bounds of the randomized election timeout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ElectionTimeout {
    /// The shortest wait in milliseconds.
    pub min_ms: u64,
    /// The longest wait in milliseconds, above the shortest.
    pub max_ms: u64,
}

/// When a client's unsent output gets it closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// Closed at once above this many bytes; 0: no limit.
    pub hard_bytes: u64,
    /// Closed when above this many bytes for `soft_seconds`; 0: no limit.
    pub soft_bytes: u64,
    /// How long the soft limit may be exceeded.
    pub soft_seconds: u64,
}

/// The output limits of the three classes of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimits {
    /// Ordinary clients, MONITOR among them.
    pub normal: OutputLimit,
    /// Kept for CONFIG GET: replicas are peers and never appear as clients.
    pub replica: OutputLimit,
    /// Clients with subscriptions.
    pub pubsub: OutputLimit,
}

/// How much is logged. The order is that of the directive's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Rarely useful detail.
    Verbose,
    /// What an operator wants to see.
    #[default]
    Notice,
    /// What an operator has to see.
    Warning,
    /// Not a line.
    Nothing,
}

impl LogLevel {
    /// The directive's words.
    pub(super) const WORDS: &[&str] = &["debug", "verbose", "notice", "warning", "nothing"];
    /// In the order of the words.
    pub(super) const ALL: [Self; 5] = [Self::Debug, Self::Verbose, Self::Notice, Self::Warning, Self::Nothing];
}

/// Who may use DEBUG. The order is that of the directive's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DebugCommand {
    /// Nobody.
    #[default]
    No,
    /// Every client.
    Yes,
    /// Clients on loopback.
    Local,
}

impl DebugCommand {
    /// The directive's words.
    pub(super) const WORDS: &[&str] = &["no", "yes", "local"];
    /// In the order of the words.
    pub(super) const ALL: [Self; 3] = [Self::No, Self::Yes, Self::Local];
}

/// Process supervision; only the foreground is supported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Supervised {
    /// No supervisor is told anything.
    #[default]
    No,
}

/// When a voter counts as having an entry. The order is that of the directive's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// In memory; synced once a second. Promise P1 does not hold.
    EverySecond,
    /// Synced. Promise P1 holds.
    #[default]
    Always,
    /// In memory; the operating system syncs when it likes. Promise P1 does not hold.
    No,
}

impl From<Fsync> for raft::Durability {
    fn from(fsync: Fsync) -> Self {
        match fsync {
            Fsync::Always => Self::Always,
            Fsync::EverySecond => Self::EverySecond,
            Fsync::No => Self::No,
        }
    }
}

impl Fsync {
    /// The directive's words.
    pub(super) const WORDS: &[&str] = &["everysec", "always", "no"];
    /// In the order of the words.
    pub(super) const ALL: [Self; 3] = [Self::EverySecond, Self::Always, Self::No];
}

/// What `maxmemory-policy` evicts. The order is that of the directive's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EvictionPolicy {
    /// Keys with a deadline, least recently used first.
    VolatileLru,
    /// Keys with a deadline, least frequently used first.
    VolatileLfu,
    /// Keys with a deadline, at random.
    VolatileRandom,
    /// Keys with a deadline, the nearest first.
    VolatileTtl,
    /// Any key, least recently used first.
    AllkeysLru,
    /// Any key, least frequently used first.
    AllkeysLfu,
    /// Any key, at random.
    AllkeysRandom,
    /// Nothing: writes that grow the data are refused.
    #[default]
    NoEviction,
}

impl EvictionPolicy {
    /// The directive's words.
    pub(super) const WORDS: &[&str] = &[
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "noeviction",
    ];
    /// In the order of the words.
    pub(super) const ALL: [Self; 8] = [
        Self::VolatileLru,
        Self::VolatileLfu,
        Self::VolatileRandom,
        Self::VolatileTtl,
        Self::AllkeysLru,
        Self::AllkeysLfu,
        Self::AllkeysRandom,
        Self::NoEviction,
    ];
}

impl fmt::Display for EvictionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::WORDS[*self as usize])
    }
}

impl Settings {
    /// Every directive at the default of its row.
    pub fn defaults() -> Self {
        let mut settings = Self::default();
        for param in params() {
            param.set_text(&mut settings, param.default).expect("a table test parses every default");
        }
        settings
    }

    /// Whether there are other nodes to speak with.
    pub fn has_peers(&self) -> bool {
        !self.initial_members.is_empty() || self.replicaof.is_some() || self.cluster_enabled
    }

    /// The port for peers, when there is one: with `initial-members`, `replicaof` or `cluster-enabled`.
    pub fn peer_port(&self) -> Option<u16> {
        match (self.has_peers(), self.cluster_port, self.port) {
            (false, _, _) | (true, 0, 0) => None,
            (true, 0, port) => port.checked_add(PEER_PORT_OFFSET),
            (true, cluster_port, _) => Some(cluster_port),
        }
    }

    /// How many threads serve connections on a machine with so many cores.
    pub fn io_threads_on(&self, cores: usize) -> usize {
        if self.io_threads == 0 { cores.clamp(1, 2) } else { self.io_threads as usize }
    }

    /// How many threads apply entries on a machine with so many cores. A node has one shard for now, and a shard
    /// is always applied by one thread, so more than one is never chosen.
    pub fn apply_threads_on(&self, _cores: usize) -> usize {
        if self.apply_threads == 0 { 1 } else { self.apply_threads as usize }
    }

    /// The rules between directives. An error names the directive to change and says why.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.dir.is_empty() {
            return Err(("dir", "a directory is needed".to_owned()));
        }
        self.check_not_yet()?;
        self.check_members()?;
        if self.cluster_enabled && !self.initial_members.is_empty() {
            let reason =
                "a cluster is formed by CLUSTER MEET, or by redis-cli --cluster create: leave initial-members out";
            return Err(("cluster-enabled", reason.to_owned()));
        }
        if self.cluster_replication_factor.is_multiple_of(2) {
            return Err(("cluster-replication-factor", "argument must be odd".to_owned()));
        }
        if !self.has_peers() {
            return Ok(());
        }
        if self.port == 0 {
            return Err(("port", "a node with peers needs a client port: it is known by it".to_owned()));
        }
        let Some(peer_port) = self.port.checked_add(PEER_PORT_OFFSET) else {
            return Err((
                "port",
                format!("peers are served on port + {PEER_PORT_OFFSET}, which must not exceed 65535"),
            ));
        };
        if ![0, peer_port].contains(&self.cluster_port) {
            let reason =
                format!("peers look for each other on port + {PEER_PORT_OFFSET}: leave it at 0 in this version");
            return Err(("cluster-port", reason));
        }
        Ok(())
    }

    /// What an operator should be told about these settings at start, as lines for the log.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.shard.appendfsync != Fsync::Always {
            let note = "appendfsync is not always: promise P1 does not hold, a write that was acknowledged can be lost";
            notes.push(note.to_owned());
        }
        if !self.initial_members.is_empty() && self.initial_members.len().is_multiple_of(2) {
            notes.push(format!(
                "initial-members lists {} voters: an even number survives no more losses than one voter less",
                self.initial_members.len()
            ));
        }
        notes
    }

    /// Refuses what later versions will accept, so that nobody relies on it meanwhile.
    fn check_not_yet(&self) -> Result<(), (&'static str, String)> {
        let ports = [
            ("tls-port", self.tls_port, "TLS"),
            ("admin-port", self.admin_port, "the admin service"),
            ("http-port", self.http_port, "the metrics page"),
            ("sentinel-port", self.sentinel_port, "the Sentinel face"),
        ];
        for (name, port, what) in ports {
            if port != 0 {
                return Err((name, format!("{what} is not in this version yet: leave it at 0")));
            }
        }
        if self.daemonize {
            let reason = "the server runs in the foreground only: start it from a supervisor, or leave it at no";
            return Err(("daemonize", reason.to_owned()));
        }
        if self.replicaof.is_some() {
            let reason = if self.initial_members.is_empty() {
                "joining as a replica is not in this version yet: list all nodes in initial-members instead"
            } else {
                "replicaof and initial-members exclude each other: initial-members forms a shard, replicaof joins one"
            };
            return Err(("replicaof", reason.to_owned()));
        }
        Ok(())
    }

    fn check_members(&self) -> Result<(), (&'static str, String)> {
        for (at, member) in self.initial_members.iter().enumerate() {
            if self.initial_members[..at].contains(member) {
                return Err(("initial-members", format!("{member} is listed twice")));
            }
            if self.masterauth.is_empty() && !member.is_loopback() {
                let reason =
                    format!("{member} is not on loopback: peers on other machines need a shared secret in masterauth");
                return Err(("initial-members", reason));
            }
        }
        Ok(())
    }
}

impl ShardSettings {
    /// The part that the keyspace decides by. The hash key is the shard's and never changes.
    pub fn to_keyspace(&self, hash_key: [u64; 2]) -> keyspace::Settings {
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let limits = |entries, value| PackedLimits { entries_max: count(entries), value_bytes_max: count(value) };
        keyspace::Settings {
            hash_key,
            hash: limits(self.hash_max_listpack_entries, self.hash_max_listpack_value),
            set: limits(self.set_max_listpack_entries, self.set_max_listpack_value),
            set_integers_max: count(self.set_max_intset_entries),
            sorted_set: limits(self.zset_max_listpack_entries, self.zset_max_listpack_value),
            stream_chunk_bytes_max: count(self.stream_node_max_bytes),
            stream_chunk_entries_max: count(self.stream_node_max_entries),
            // As Redis takes what is outside of -5 to -1 and above 0.
            list_packed_size: match self.list_max_listpack_size {
                0 => 1,
                size => size.max(-5),
            },
            hyperloglog_sparse_bytes_max: count(self.hll_sparse_max_bytes),
        }
    }

    /// What accesses leave at a key: no part of the state, but the same on all replicas.
    pub fn accesses(&self) -> Accesses {
        match self.maxmemory_policy {
            EvictionPolicy::VolatileLfu | EvictionPolicy::AllkeysLfu => {
                Accesses::Counted { log_factor: self.lfu_log_factor, decay_minutes: self.lfu_decay_minutes }
            }
            _ => Accesses::Timed,
        }
    }

    /// The settings as (directive, value) pairs in table order: what an entry or a snapshot carries.
    pub fn to_pairs(&self) -> Vec<(&'static str, String)> {
        let settings = Settings { shard: self.clone(), ..Settings::default() };
        super::params::of_shard().map(|param| (param.name, param.text(&settings))).collect()
    }

    /// Takes over (directive, value) pairs, as [`ShardSettings::to_pairs`] and [`super::Plan::shard`] produce them.
    /// On an error, which names the directive, nothing was changed. Deterministic: fit for apply.
    pub fn take_pairs<'a>(
        &mut self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), super::ConfigError> {
        let mut settings = Settings { shard: self.clone(), ..Settings::default() };
        for (name, value) in pairs {
            let Some(param) = super::params::of_shard().find(|param| param.answers_to(name)) else {
                return Err(super::ConfigError::Unknown(name.to_owned()));
            };
            param
                .set_text(&mut settings, value)
                .map_err(|reason| super::ConfigError::Refused { name: name.to_owned(), reason })?;
        }
        *self = settings.shard;
        Ok(())
    }
}
