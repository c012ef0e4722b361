//! MEMORY, as far as it is about the process. Only what is known is said: the data's own books, and what the system calls resident.

use resp::Reply;

use super::Session;
use crate::platform::Platform;

/// Below this much data the process itself is most of what is resident.
const LITTLE_BYTES: usize = 16 << 20;
/// More resident bytes for each byte of data than this are worth a word.
const RATIO_MAX: f64 = 2.0;

/// What is known.
struct Figures {
    data_bytes: usize,
    key_count: usize,
    resident_bytes: Option<u64>,
}

impl Figures {
    /// Resident bytes for each byte of data.
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    fn ratio(&self) -> Option<f64> {
        self.resident_bytes.filter(|_| self.data_bytes > 0).map(|resident| resident as f64 / self.data_bytes as f64)
    }
}

impl<P: Platform> Session<P> {
    fn memory_figures(&self) -> Figures {
        let home = self.node.home();
        let keyspace = home.shard.data.read();
        let key_count = (0..keyspace::DATABASE_COUNT).map(|database| keyspace.key_count(database)).sum();
        let data_bytes = keyspace.allocated_bytes();
        drop(keyspace);
        Figures { data_bytes, key_count, resident_bytes: self.node.resident_bytes() }
    }

    pub(super) fn memory_stats(&self, reply: &mut Reply) {
        let figures = self.memory_figures();
        let (map, mut count) = (reply.map_deferred(), 0);
        let mut line = |name: &str, bytes: u64| {
            reply.bulk(name);
            reply.integer(i64::try_from(bytes).unwrap_or(i64::MAX));
            count += 1;
        };
        line("total.allocated", figures.data_bytes as u64);
        line("dataset.bytes", figures.data_bytes as u64);
        line("keys.count", figures.key_count as u64);
        line("keys.bytes-per-key", (figures.data_bytes / figures.key_count.max(1)) as u64);
        if let Some(resident) = figures.resident_bytes {
            line("allocator.resident", resident);
        }
        if let Some(ratio) = figures.ratio() {
            reply.bulk("fragmentation");
            reply.double(keyspace::format_double(ratio));
            count += 1;
        }
        reply.finish(map, count);
    }

    pub(super) fn memory_doctor(&self, reply: &mut Reply) {
        let figures = self.memory_figures();
        let text = if figures.data_bytes < LITTLE_BYTES {
            "There is little data here: nothing can be said about the use of memory.\n".to_owned()
        } else if let Some(ratio) = figures.ratio().filter(|&ratio| ratio > RATIO_MAX) {
            format!(
                "The process holds {ratio:.1} bytes for each byte of data. Much may have been removed lately, or a snapshot keeps \
                 what has changed since it began; the log's tail counts as well. If it stays so, a restart gives the memory back.\n"
            )
        } else {
            "No problem with memory was found.\n".to_owned()
        };
        reply.verbatim(b"txt", text);
    }
}

/// MEMORY MALLOC-STATS.
pub(super) fn malloc_stats(reply: &mut Reply) {
    reply.verbatim(b"txt", "The allocator has no report to give.\n");
}
