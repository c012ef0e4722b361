//! MEMORY, as far as it is about the process. Only what is known is said: the data's own books, and what the system calls resident.

use keyspace::Keyspace;
use resp::Reply;

use super::Session;
use crate::memory::Beyond;
use crate::platform::Platform;

/// Below this much data the process itself is most of what is resident.
const LITTLE_BYTES: u64 = 16 << 20;
/// More resident bytes for each used one than this are worth a word.
const RATIO_MAX: f64 = 2.0;

impl<P: Platform> Session<P> {
    pub(super) fn memory_stats(&self, reply: &mut Reply) {
        let usage = self.node.memory_usage();
        let keys = self.node.replicas().iter().map(|replica| all_keys(&replica.shard.data.read()) as u64).sum::<u64>();
        let [fragmentation, kept, foreign] = [usage.fragmentation(), usage.kept(), usage.foreign()]
            .map(|beyond| beyond.map(|Beyond { ratio, bytes }| (ratio, bytes)).unzip());
        let signed = |amount: u64| i64::try_from(amount).ok();
        let amounts = [
            ("peak.allocated", signed(usage.peak_bytes)),
            ("total.allocated", signed(usage.used_bytes())),
            ("startup.allocated", signed(usage.startup_bytes)),
            ("overhead.total", signed(usage.startup_bytes)),
            ("keys.count", signed(keys)),
            ("keys.bytes-per-key", signed(usage.data_bytes / keys.max(1))),
            ("dataset.bytes", signed(usage.data_bytes)),
            ("allocator.allocated", usage.allocator.and_then(|allocator| signed(allocator.allocated))),
            ("allocator.active", usage.allocator.and_then(|allocator| signed(allocator.active))),
            ("allocator.resident", usage.allocator.and_then(|allocator| signed(allocator.resident))),
            ("allocator-fragmentation.bytes", fragmentation.1),
            ("allocator-rss.bytes", kept.1),
            ("rss-overhead.bytes", foreign.1),
            ("fragmentation.bytes", usage.excess_bytes()),
        ];
        let ratios = [
            ("dataset.percentage", Some(usage.percent_of_data())),
            ("peak.percentage", Some(usage.percent_of_peak())),
            ("allocator-fragmentation.ratio", fragmentation.0),
            ("allocator-rss.ratio", kept.0),
            ("rss-overhead.ratio", foreign.0),
            ("fragmentation", usage.ratio()),
        ];
        // What the platform cannot tell is left out.
        let amounts = amounts.into_iter().filter_map(|(name, amount)| Some((name, amount?)));
        let ratios = ratios.into_iter().filter_map(|(name, ratio)| Some((name, ratio?)));
        reply.map(amounts.clone().count() + ratios.clone().count());
        for (name, amount) in amounts {
            reply.bulk(name);
            reply.integer(amount);
        }
        for (name, ratio) in ratios {
            reply.bulk(name);
            reply.double(keyspace::format_double(ratio));
        }
    }

    pub(super) fn memory_doctor(&self, reply: &mut Reply) {
        let usage = self.node.memory_usage();
        let text = if usage.data_bytes < LITTLE_BYTES {
            "There is little data here: nothing can be said about the use of memory.\n".to_owned()
        } else if let Some(ratio) = usage.ratio().filter(|&ratio| ratio > RATIO_MAX) {
            format!(
                "The process holds {ratio:.1} bytes for each byte that it uses. Much may have been removed lately, or a snapshot keeps \
                 what has changed since it began; the log's tail counts as well. If it stays so, a restart gives the memory back.\n"
            )
        } else {
            "No problem with memory was found.\n".to_owned()
        };
        reply.verbatim(b"txt", text);
    }

    pub(super) fn malloc_stats(&self, reply: &mut Reply) {
        let report = (self.node.memory.probe.report)();
        reply.verbatim(b"txt", report.unwrap_or_else(|| "The allocator has no report to give.\n".to_owned()));
    }
}

fn all_keys(keyspace: &Keyspace) -> usize {
    (0..keyspace::DATABASE_COUNT).map(|database| keyspace.key_count(database)).sum()
}
