//! The settings of a shard that change results or order, so that all of its replicas must agree on them.
//!
//! They are shard state: set by entries, kept in snapshots, never read from this process' configuration.

/// When a small collection turns into a big one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedLimits {
    /// The most members that the packed encoding may hold.
    pub entries_max: usize,
    /// The longest member, field or value in bytes.
    pub value_bytes_max: usize,
}

/// Everything that a keyspace is told at its creation or by a settings entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The shard's SipHash-1-3 key. Never changes in the life of a shard.
    pub hash_key: [u64; 2],
    /// `hash-max-listpack-entries` and `-value`.
    pub hash: PackedLimits,
    /// `set-max-listpack-entries` and `-value`.
    pub set: PackedLimits,
    /// `set-max-intset-entries`.
    pub set_integers_max: usize,
    /// `zset-max-listpack-entries` and `-value`.
    pub sorted_set: PackedLimits,
    /// `stream-node-max-bytes`: the bytes at which a chunk of a stream is full; 0: as many as there may be.
    pub stream_chunk_bytes_max: usize,
    /// `stream-node-max-entries`: the stream entries at which it is; 0: any number.
    pub stream_chunk_entries_max: usize,
    /// `list-max-listpack-size`: positive, a count of elements; -1 to -5, 4 KiB to 64 KiB.
    pub list_packed_size: i64,
    /// `hll-sparse-max-bytes`: a longer HyperLogLog is dense.
    pub hyperloglog_sparse_bytes_max: usize,
}

impl Settings {
    /// The defaults of Redis 7, with the shard's hash key.
    pub fn new(hash_key: [u64; 2]) -> Self {
        let packed = PackedLimits { entries_max: 128, value_bytes_max: 64 };
        Self {
            hash_key,
            hash: packed,
            set: packed,
            set_integers_max: 512,
            sorted_set: packed,
            list_packed_size: -2,
            stream_chunk_bytes_max: 4096,
            stream_chunk_entries_max: 100,
            hyperloglog_sparse_bytes_max: 3000,
        }
    }
}
