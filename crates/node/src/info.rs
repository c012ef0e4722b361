//! INFO: sections of `name:value` lines, as Redis 7.2 writes them, and `# Raft`.
//!
//! A field is here when it is true. Redis's fields about what Cairn does not have (forks, an append-only file being
//! rewritten, scripts) are left out, but for those that tools are known to read.

use std::collections::BTreeSet;
use std::fmt::{Arguments as Format, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use commands::REDIS_VERSION;
use keyspace::DATABASE_COUNT;
use raft::Clock;
use resp::{Arguments, Reply};

use crate::memory::Beyond;
use crate::node::{CAIRN_VERSION, Shared};
use crate::platform::Platform;
use crate::session::{Facts, split_address};
use crate::shard::Shard;

type Section<P> = (&'static str, fn(&Shared<P>, &mut Lines));

/// The sections, in the order in which they are shown.
fn sections<P: Platform>() -> [Section<P>; 12] {
    [
        ("Server", server),
        ("Clients", clients),
        ("Memory", memory),
        ("Persistence", persistence),
        ("Stats", stats),
        ("Replication", replication),
        ("CPU", processor),
        ("Commandstats", command_stats),
        ("Errorstats", error_stats),
        ("Latencystats", latency_stats),
        ("Cluster", cluster),
        ("Keyspace", keyspace),
    ]
}

/// Sections that are shown only when they are asked for by name or with `all` or `everything`.
const ON_REQUEST: [&str; 2] = ["Commandstats", "Latencystats"];

/// INFO [section ...]: the usual sections, or those that are named; `all` and `everything` are all, `default` the usual.
pub(crate) fn info<P: Platform>(node: &Shared<P>, arguments: Arguments<'_>, reply: &mut Reply) {
    let wanted: Vec<&[u8]> = arguments.iter().skip(1).collect();
    let is_wanted = |name: &str| {
        let is_usual = !ON_REQUEST.contains(&name);
        let is_meant_by = |word: &&[u8]| match word.to_ascii_lowercase().as_slice() {
            b"all" | b"everything" => true,
            b"default" => is_usual,
            _ => word.eq_ignore_ascii_case(name.as_bytes()),
        };
        if wanted.is_empty() { is_usual } else { wanted.iter().any(is_meant_by) }
    };
    let mut lines = Lines(String::new());
    let raft: Section<P> = ("Raft", raft_section);
    for (name, section) in sections().into_iter().chain([raft]) {
        if is_wanted(name) {
            if !lines.0.is_empty() {
                lines.0.push_str("\r\n");
            }
            lines.0.push_str(&format!("# {name}\r\n"));
            section(node, &mut lines);
        }
    }
    reply.verbatim(b"txt", lines.0);
}

struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, value: impl std::fmt::Display) {
        self.write(format_args!("{name}:{value}\r\n"));
    }

    fn write(&mut self, line: Format<'_>) {
        self.0.write_fmt(line).expect("writing to a string does not fail");
    }
}

fn server<P: Platform>(node: &Shared<P>, lines: &mut Lines) {
    let now_ms = node.clock.wall_ms();
    let uptime_seconds = now_ms.saturating_sub(node.started_ms) / 1000;
    lines.add("redis_version", REDIS_VERSION);
    lines.add("server_name", "cairn");
    lines.add("cairn_version", CAIRN_VERSION);
    lines.add("redis_mode", if node.cluster.is_some() { "cluster" } else { "standalone" });
    lines.add("os", std::env::consts::OS);
    lines.add("arch_bits", usize::BITS);
    lines.add("process_id", std::process::id());
    lines.add("run_id", &node.run_id);
    lines.add("tcp_port", node.config.current().port);
    lines.add("server_time_usec", now_ms * 1000);
    lines.add("uptime_in_seconds", uptime_seconds);
    lines.add("uptime_in_days", uptime_seconds / 86_400);
}

fn clients<P: Platform>(node: &Shared<P>, lines: &mut Lines) {
    lines.add("connected_clients", node.clients.len());
    lines.add("maxclients", node.config.current().maxclients);
    lines.add("blocked_clients", node.stats.waiting_clients.load(Ordering::Relaxed));
    let replicas = node.replicas();
    let waited = replicas.iter().map(|replica| replica.shard.waited_keys());
    let (keys, keys_on_nokey) = waited.fold((0, 0), |sum, keys| (sum.0 + keys.0, sum.1 + keys.1));
    lines.add("total_blocking_keys", keys);
    lines.add("total_blocking_keys_on_nokey", keys_on_nokey);
    let popped = replicas.iter().map(|replica| replica.shard.popped_for_nobody.load(Ordering::Relaxed)).sum::<u64>();
    lines.add("cairn_popped_for_nobody", popped);
    let pause = node.pause.left(&node.clock);
    let (reason, actions) = match pause {
        None => ("none", "none"),
        Some((_, true)) => ("client_pause", "all"),
        Some((_, false)) => ("client_pause", "write"),
    };
    lines.add("paused_reason", reason);
    lines.add("paused_actions", actions);
    lines.add("paused_timeout_milliseconds", pause.map_or(0, |(left, _)| left.as_millis()));
}

fn memory<P: Platform>(node: &Shared<P>, lines: &mut Lines) {
    let usage = node.memory_usage();
    let settings = node.config.current();
    lines.add("used_memory", usage.used_bytes());
    lines.add("used_memory_human", human(usage.used_bytes()));
    if let Some(resident) = usage.resident_bytes {
        lines.add("used_memory_rss", resident);
        lines.add("used_memory_rss_human", human(resident));
    }
    lines.add("used_memory_peak", usage.peak_bytes);
    lines.add("used_memory_peak_human", human(usage.peak_bytes));
    lines.write(format_args!("used_memory_peak_perc:{:.2}%\r\n", usage.percent_of_peak()));
    lines.add("used_memory_overhead", usage.startup_bytes);
    lines.add("used_memory_startup", usage.startup_bytes);
    lines.add("used_memory_dataset", usage.data_bytes);
    lines.write(format_args!("used_memory_dataset_perc:{:.2}%\r\n", usage.percent_of_data()));
    if let Some(allocator) = &usage.allocator {
        lines.add("allocator_allocated", allocator.allocated);
        lines.add("allocator_active", allocator.active);
        lines.add("allocator_resident", allocator.resident);
    }
    if let Some(total) = (node.memory.probe.machine_bytes)() {
        lines.add("total_system_memory", total);
        lines.add("total_system_memory_human", human(total));
    }
    lines.add("maxmemory", settings.shard.maxmemory_bytes);
    lines.add("maxmemory_human", human(settings.shard.maxmemory_bytes));
    lines.add("maxmemory_policy", settings.shard.maxmemory_policy);
    let all = usage.ratio().zip(usage.excess_bytes()).map(|(ratio, bytes)| Beyond { ratio, bytes });
    let beyond = [
        ("allocator_frag", usage.fragmentation()),
        ("allocator_rss", usage.kept()),
        ("rss_overhead", usage.foreign()),
        ("mem_fragmentation", all),
    ];
    for (name, beyond) in beyond {
        if let Some(Beyond { ratio, bytes }) = beyond {
            lines.write(format_args!("{name}_ratio:{ratio:.2}\r\n{name}_bytes:{bytes}\r\n"));
        }
    }
    if let Some(allocator) = (node.memory.probe.allocator)() {
        lines.add("mem_allocator", allocator);
    }
    let replicas = node.replicas();
    let sum = |counter: fn(&Shard) -> &AtomicU64| {
        replicas.iter().map(|replica| counter(&replica.shard).load(Ordering::Relaxed)).sum::<u64>()
    };
    lines.add("lazyfree_pending_objects", sum(|shard| &shard.freeing));
    lines.add("lazyfreed_objects", sum(|shard| &shard.freed));
}

/// Bytes as Redis shows them to people.
fn human(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
    let amount = bytes as f64;
    let units = [("G", 1u64 << 30), ("M", 1 << 20), ("K", 1 << 10)];
    match units.into_iter().find(|&(_, size)| bytes >= size) {
        #[expect(clippy::cast_precision_loss, reason = "a power of two")]
        Some((unit, size)) => format!("{:.2}{unit}", amount / size as f64),
        None => format!("{bytes}B"),
    }
}

/// When the newest snapshot was taken, or the node started, in seconds since 1970.
pub(crate) fn last_save_seconds<P: Platform>(node: &Shared<P>) -> u64 {
    node.home().snapshot_ms().max(node.started_ms) / 1000
}

fn persistence<P: Platform>(node: &Shared<P>, lines: &mut Lines) {
    lines.add("loading", u8::from(!node.is_loaded()));
    lines.add("async_loading", 0);
    // Changing commands since the newest snapshot. They are in the log, which is kept until a snapshot holds them.
    let home = node.home();
    let saved = home.shard.saved_revision.load(Ordering::Relaxed);
    lines.add("rdb_changes_since_last_save", home.shard.data.read().revision().saturating_sub(saved));
    lines.add("rdb_bgsave_in_progress", u8::from(Arc::strong_count(&home.shard.saving) > 1));
    lines.add("rdb_last_save_time", last_save_seconds(node));
    lines.add("rdb_last_bgsave_status", "ok");
    lines.add("aof_enabled", 1);
    lines.add("aof_last_write_status", "ok");
}

fn stats<P: Platform>(node: &Shared<P>, lines: &mut Lines) {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let stats = &node.stats;
    let [commands, bytes_in, bytes_out] = stats.rates(node.clock.wall_ms()).per_second;
    lines.add("total_connections_received", count(&node.clients.accepted));
    lines.add("total_commands_processed", stats.commands());
    lines.write(format_args!("instantaneous_ops_per_sec:{commands:.0}\r\n"));
    lines.add("total_net_input_bytes", stats.bytes_in());
    lines.add("total_net_output_bytes", stats.bytes_out());
    lines.write(format_args!("instantaneous_input_kbps:{:.2}\r\n", bytes_in / 1024.0));
    lines.write(format_args!("instantaneous_output_kbps:{:.2}\r\n", bytes_out / 1024.0));
    lines.add("rejected_connections", count(&node.clients.rejected));
    lines.add("expired_keys", count(&node.home().shard.expired));
    lines.add("expired_fields", count(&node.home().shard.expired_fields));
    lines.add("evicted_keys", 0);
    lines.add("keyspace_hits", stats.hits());
    lines.add("keyspace_misses", stats.misses());
    lines.add("pubsub_channels", 0);
    lines.add("pubsub_patterns", 0);
    lines.add("latest_fork_usec", 0);
    lines.add("total_forks", 0);
    // MIGRATE connects anew each time.
    lines.add("migrate_cached_sockets", 0);
    lines.add("total_error_replies", count(&stats.error_count));
    lines.add("total_reads_processed", stats.reads());
    lines.add("total_writes_processed", stats.writes());
    lines.add("client_query_buffer_limit_disconnections", count(&stats.over_query_limit));
    lines.add("client_output_buffer_limit_disconnections", count(&stats.over_output_limit));
}

fn processor<P: Platform>(node: &Shared<P>, lines: &mut Lines) {
    if let Some(times) = node.processor_times() {
        lines.write(format_args!("used_cpu_sys:{:.6}\r\n", times.system.as_secs_f64()));
        lines.write(format_args!("used_cpu_user:{:.6}\r\n", times.user.as_secs_f64()));
    }
}

fn command_stats<P: Platform>(node: &Shared<P>, lines: &mut Lines) {
    for (spec, total) in commands::rows().zip(node.stats.totals()) {
        if total.calls == 0 && total.rejected == 0 {
            continue;
        }
        let (name, microseconds) = (spec.name.to_ascii_lowercase(), total.microseconds());
        #[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
        let each = if total.calls == 0 { 0.0 } else { microseconds as f64 / total.calls as f64 };
        lines.write(format_args!(
            "cmdstat_{name}:calls={},usec={microseconds},usec_per_call={each:.2},rejected_calls={},failed_calls={}\r\n",
            total.calls, total.rejected, total.failed
        ));
    }
}

fn error_stats<P: Platform>(node: &Shared<P>, lines: &mut Lines) {
    for (word, count) in node.stats.errors() {
        lines.write(format_args!("errorstat_{word}:count={count}\r\n"));
    }
}

fn latency_stats<P: Platform>(node: &Shared<P>, lines: &mut Lines) {
    for (spec, total) in commands::rows().zip(node.stats.totals()) {
        if total.calls > 0 {
            let [half, most, nearly_all] = [50.0, 99.0, 99.9].map(|percent| total.percentile(percent));
            let name = spec.name.to_ascii_lowercase();
            lines.write(format_args!(
                "latency_percentiles_usec_{name}:p50={half}.000,p99={most}.000,p99.9={nearly_all}.000\r\n"
            ));
        }
    }
}

fn replication<P: Platform>(node: &Shared<P>, lines: &mut Lines) {
    let home = node.home();
    let status = home.status();
    let offset = status.applied.map_or(0, |id| id.index);
    match node.cluster.as_ref().map(|cluster| cluster.routes()).as_ref().and_then(|routes| routes.face.as_ref()) {
        Some(face) => lines.0.push_str(&face.replication_lines(faces::Transport::Plain, &Facts(node))),
        None => replication_of(&status, home.leads(), offset, lines),
    }
    let group = home.group().map_or(0, |group| group.id().0);
    lines.add("master_failover_state", "no-failover");
    // The group's id: it stays when the leader changes, as the history does.
    lines.write(format_args!("master_replid:{group:032x}00000000\r\n"));
    lines.write(format_args!("master_replid2:{:040x}\r\n", 0));
    lines.add("master_repl_offset", offset);
    lines.add("second_repl_offset", -1);
}

/// Who is whose replica, on a node that is none of a cluster.
fn replication_of(status: &raft::Status, leads: bool, offset: u64, lines: &mut Lines) {
    lines.add("role", if leads { "master" } else { "slave" });
    if !leads {
        let leader = status.leader.as_ref().map(|member| split_address(&member.client_address));
        let (host, port) = leader.unwrap_or(("", "0"));
        lines.add("master_host", host);
        lines.add("master_port", port);
        lines.add("master_link_status", if leader.is_some() { "up" } else { "down" });
        lines.add("master_last_io_seconds_ago", if leader.is_some() { 0 } else { -1 });
        lines.add("slave_read_repl_offset", offset);
        lines.add("slave_repl_offset", offset);
        lines.add("slave_priority", 100);
        lines.add("slave_read_only", 1);
    }
    lines.add("connected_slaves", if leads { status.matched.len() } else { 0 });
    if leads {
        for (number, (replica, matched)) in status.matched.iter().enumerate() {
            let (ip, port) = status.member(*replica).map_or(("?", "0"), |member| split_address(&member.client_address));
            let offset = matched.map_or(0, |id| id.index);
            lines.write(format_args!("slave{number}:ip={ip},port={port},state=online,offset={offset},lag=0\r\n"));
        }
    }
}

fn cluster<P: Platform>(node: &Shared<P>, lines: &mut Lines) {
    lines.add("cluster_enabled", u8::from(node.cluster.is_some()));
}

fn keyspace<P: Platform>(node: &Shared<P>, lines: &mut Lines) {
    let served = node.served();
    for database in 0..DATABASE_COUNT {
        let (mut keys, mut expiring, mut ttls_ms) = (0, 0, 0);
        for replica in &served {
            let data = replica.shard.data.read();
            let (deadlines, mean_deadline_ms) = data.expiring(database);
            keys += data.key_count(database);
            expiring += deadlines;
            let mean_ttl_ms = mean_deadline_ms.map_or(0, |deadline| deadline.saturating_sub(data.clock_ms()));
            ttls_ms += u128::from(mean_ttl_ms) * deadlines as u128;
        }
        if keys > 0 {
            let mean_ttl_ms = ttls_ms.checked_div(expiring as u128).unwrap_or_default();
            lines.write(format_args!("db{database}:keys={keys},expires={expiring},avg_ttl={mean_ttl_ms}\r\n"));
        }
    }
}

fn raft_section<P: Platform>(node: &Shared<P>, lines: &mut Lines) {
    let status = node.home().status();
    if let Some(topology) = node.cluster.as_ref().and_then(|cluster| cluster.topology()) {
        lines.add("cairn_underreplicated_shards", topology.underreplicated_shards());
    }
    if let Some(meta) = node.cluster.as_ref().and_then(|cluster| cluster.meta()) {
        lines.add("cairn_meta_role", format!("{:?}", meta.status().role).to_lowercase());
    }
    if node.cluster.is_some() {
        // The node that was asked to take this one into its cluster, until it has decided.
        let joining = node.holdings().joining;
        lines.add("cairn_joining", joining.map_or_else(String::new, |joining| joining.address));
    }
    // Those that may have forgotten what they acknowledged, and whose nodes they wait for; none: for a leader.
    let doubts: Vec<_> = node.doubts.lock().values().cloned().collect();
    lines.add("raft_doubtful_replicas", doubts.len());
    let waits_for: BTreeSet<String> = doubts.into_iter().flat_map(|doubt| doubt.waits_for).collect();
    lines.add("raft_waits_for", waits_for.into_iter().collect::<Vec<_>>().join(" "));
    let index = |id: Option<raft::LogId>| id.map_or(0, |id| id.index);
    lines.add("raft_role", format!("{:?}", status.role).to_lowercase());
    lines.add("raft_term", status.term);
    lines.add("raft_leader", status.leader.as_ref().map_or("", |member| member.client_address.as_str()));
    lines.add("raft_voters", status.voters.len());
    lines.add("raft_commit_index", index(status.committed));
    lines.add("raft_applied_index", index(status.applied));
    lines.add("raft_snapshot_index", index(status.snapshot));
    lines.add("raft_entries", node.home().shard.entries.load(Ordering::Relaxed));
    lines.add("raft_commands", node.home().shard.commands.load(Ordering::Relaxed));
    lines.add("raft_log_bytes", status.log_bytes);
    lines.add("raft_lease_ms", node.home().lease_left_ms(node.clock.monotonic_ns()));
}
