//! MEMORY, as far as it is about the process. Only what is known is said: the data's own books, and what the system calls resident.

use keyspace::Keyspace;
use resp::Reply;

use super::Session;
use crate::platform::Platform;

/// Below this much data the process itself is most of what is resident.
const LITTLE_BYTES: u64 = 16 << 20;
/// More resident bytes for each used one than this are worth a word.
const RATIO_MAX: f64 = 2.0;

impl<P: Platform> Session<P> {
    pub(super) fn memory_stats(&self, reply: &mut Reply) {
        let usage = self.node.memory_usage();
        let keys = self.node.replicas().iter().map(|replica| all_keys(&replica.shard.data.read()) as u64).sum::<u64>();
        let signed = |amount: u64| i64::try_from(amount).ok();
        let amounts = [
            ("peak.allocated", signed(usage.peak_bytes)),
            ("total.allocated", signed(usage.used_bytes())),
            ("startup.allocated", signed(usage.startup_bytes)),
            ("overhead.total", signed(usage.startup_bytes)),
            ("keys.count", signed(keys)),
            ("keys.bytes-per-key", signed(usage.data_bytes / keys.max(1))),
            ("dataset.bytes", signed(usage.data_bytes)),
            ("allocator.resident", usage.resident_bytes.and_then(signed)),
            ("fragmentation.bytes", usage.excess_bytes()),
        ];
        let ratios = [
            ("dataset.percentage", Some(usage.percent_of_data())),
            ("peak.percentage", Some(usage.percent_of_peak())),
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
}

fn all_keys(keyspace: &Keyspace) -> usize {
    (0..keyspace::DATABASE_COUNT).map(|database| keyspace.key_count(database)).sum()
}

/// MEMORY MALLOC-STATS.
pub(super) fn malloc_stats(reply: &mut Reply) {
    reply.verbatim(b"txt", "The allocator has no report to give.\n");
}
