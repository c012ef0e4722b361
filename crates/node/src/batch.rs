//! A batch: commands of many connections on their way into one entry, and who waits for their replies.
//!
//! A connection stages what one socket read brought ([`Staged`]), then adds it to the shard's open batch as one
//! *run*. Inside a run, reads that stand behind a write ride along: they are run at their place at apply, on the
//! node that proposed the entry, and are never replicated.

use bytes::Bytes;
use resp::{Protocol, Reply};

use crate::entry::{self, Kind};
use crate::fence::{self, FencedSlots};
use crate::inbox::{Delivery, Route};

/// No entry grows beyond this, but for one that holds a single larger command.
pub(crate) const BATCH_BYTES_MAX: usize = 64 * 1024;
/// A run holds at most this many commands, so that the replies of one entry are bounded.
pub(crate) const RUN_OPS_MAX: usize = 1024;

/// What one place of a run asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// The next item of the entry: a command or a transaction.
    Item,
    /// A riding read: a database and the place of its RESP array in the batch's own bytes.
    Read { database: u8, start: u32, end: u32 },
}

/// What a connection collects from one socket read before it takes the shard's lock once.
#[derive(Default)]
pub(crate) struct Staged {
    items: Vec<u8>,
    item_count: u32,
    reads: Vec<u8>,
    ops: Vec<Op>,
    /// Settings of the shard, which make an entry of their own kind.
    settings: bool,
}

impl Staged {
    pub(crate) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Whether `more` bytes still fit beside what is there.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        self.ops.is_empty()
            || (self.ops.len() < RUN_OPS_MAX && self.items.len() + self.reads.len() + more <= BATCH_BYTES_MAX)
    }

    pub(crate) fn write(&mut self, database: u8, raw: &[u8]) {
        entry::put_command(self.items(), database, raw);
        self.item_count += 1;
        self.ops.push(Op::Item);
    }

    pub(crate) fn read(&mut self, database: u8, raw: &[u8]) {
        let start = offset(self.reads.len());
        self.reads.extend_from_slice(raw);
        self.ops.push(Op::Read { database, start, end: offset(self.reads.len()) });
    }

    /// Starts a transaction; `commands` calls of [`Self::transaction_command`] follow.
    pub(crate) fn transaction(&mut self, preconditions: &[entry::Precondition], commands: u32) {
        entry::put_transaction(self.items(), preconditions, commands);
        self.item_count += 1;
        self.ops.push(Op::Item);
    }

    pub(crate) fn transaction_command(&mut self, database: u8, raw: &[u8]) {
        entry::put_transaction_command(&mut self.items, database, raw);
    }

    /// Stages settings of the shard; nothing else may be staged beside them.
    pub(crate) fn settings(&mut self, pairs: &[(&'static str, String)]) {
        assert!(self.is_empty(), "settings make an entry of their own");
        for (name, value) in pairs {
            resp::write_command(self.items(), [name.as_bytes(), value.as_bytes()]);
            self.item_count += 1;
        }
        self.ops.push(Op::Item);
        self.settings = true;
    }

    /// The items, behind the room for an entry's header: a large run becomes the entry without being copied.
    fn items(&mut self) -> &mut Vec<u8> {
        if self.items.is_empty() {
            entry::begin(&mut self.items);
        }
        &mut self.items
    }

    /// Answers everything that is staged with one error and forgets it.
    pub(crate) fn fail(&mut self, line: &str, reply: &mut Reply) {
        for _ in 0..self.ops.len() {
            reply.error(line);
        }
        self.clear();
    }

    fn clear(&mut self) {
        self.items.clear();
        self.reads.clear();
        self.ops.clear();
        self.item_count = 0;
        self.settings = false;
        // One huge command must not keep its buffer for the life of the connection.
        self.items.shrink_to(BATCH_BYTES_MAX);
        self.reads.shrink_to(BATCH_BYTES_MAX);
    }
}

fn offset(length: usize) -> u32 {
    u32::try_from(length).expect("a run's reads are bounded by client-query-buffer-limit, below 4 GiB")
}

/// The commands of one connection in a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) route: Route,
    pub(crate) protocol: Protocol,
    /// How many of the batch's ops are this run's.
    pub(crate) ops: u32,
}

/// Runs of many connections, open for more or sealed.
#[derive(Default)]
pub(crate) struct Batch {
    payload: Vec<u8>,
    /// The sealed entry, kept so that a refused batch can be sealed anew.
    sealed: Option<Bytes>,
    items: u32,
    kind: Kind,
    pub(crate) runs: Vec<Run>,
    pub(crate) ops: Vec<Op>,
    pub(crate) reads: Vec<u8>,
    /// When it was first sealed, on the monotonic clock: what bounds how long it is held.
    pub(crate) first_sealed_ns: u64,
    /// Its place in the order of first sealings, from then on: batches take effect in this order.
    pub(crate) ordinal: Option<u64>,
}

impl Batch {
    /// Settings of the shard that nobody waits for.
    pub(crate) fn of_settings(pairs: &[(&'static str, String)], now_ns: u64) -> Self {
        let mut staged = Staged::default();
        staged.settings(pairs);
        let (items, ops) = (staged.item_count, staged.ops);
        Self { payload: staged.items, items, ops, kind: Kind::Settings, first_sealed_ns: now_ns, ..Self::default() }
    }

    /// A change of the fence that nobody waits for.
    pub(crate) fn of_fence(fence: &FencedSlots, now_ns: u64) -> Self {
        Self::of_words(&fence.to_words(), now_ns)
    }

    /// The key of the shard's hash tables, for nobody in particular.
    pub(crate) fn of_hash_key(key: [u64; 2], now_ns: u64) -> Self {
        Self::of_words(&fence::hash_key_words(key), now_ns)
    }

    fn of_words(words: &[String], now_ns: u64) -> Self {
        let mut payload = Vec::new();
        entry::begin(&mut payload);
        resp::write_command(&mut payload, words.iter().map(String::as_bytes));
        Self { payload, items: 1, ops: vec![Op::Item], kind: Kind::Fence, first_sealed_ns: now_ns, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    pub(crate) fn commands(&self) -> usize {
        self.ops.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.payload.len() + self.reads.len()
    }

    /// Whether the staged run may join.
    pub(crate) fn has_room(&self, staged: &Staged) -> bool {
        self.is_empty()
            || !(self.kind != Kind::Commands || staged.settings)
                && self.bytes() + staged.items.len() + staged.reads.len() <= BATCH_BYTES_MAX
    }

    /// Adds a connection's run and empties `staged`.
    pub(crate) fn add(&mut self, staged: &mut Staged, route: Route, protocol: Protocol) {
        assert!(!staged.is_empty(), "a run answers at least one command");
        if self.payload.is_empty() && staged.items.len() > BATCH_BYTES_MAX {
            // The thread that seals waits meanwhile.
            self.payload = std::mem::take(&mut staged.items);
        } else {
            if self.payload.is_empty() {
                entry::begin(&mut self.payload);
            }
            self.payload.extend_from_slice(staged.items.get(entry::HEADER_BYTES..).unwrap_or_default());
        }
        self.items += staged.item_count;
        if staged.settings {
            self.kind = Kind::Settings;
        }
        let base = offset(self.reads.len());
        self.reads.extend_from_slice(&staged.reads);
        self.ops.extend(staged.ops.iter().map(|op| match *op {
            Op::Item => Op::Item,
            Op::Read { database, start, end } => Op::Read { database, start: base + start, end: base + end },
        }));
        self.runs.push(Run { route, protocol, ops: offset(staged.ops.len()) });
        staged.clear();
    }

    /// Seals the batch under this context, for the first time or anew, and returns the entry.
    pub(crate) fn seal(&mut self, now_ms: u64, seed: u64, sequence: u64) -> Bytes {
        let mut payload = match self.sealed.take() {
            Some(refused) => refused.to_vec(),
            None => std::mem::take(&mut self.payload),
        };
        if payload.is_empty() {
            entry::begin(&mut payload);
        }
        entry::seal(&mut payload, entry::Header { kind: self.kind, now_ms, seed, sequence, items: self.items });
        let entry = Bytes::from(payload);
        self.sealed = Some(entry.clone());
        entry
    }

    /// One delivery per I/O thread that answers every op with the same error.
    pub(crate) fn failed(&self, io_threads: usize, line: &str) -> Vec<Delivery> {
        let mut deliveries: Vec<Delivery> = (0..io_threads).map(|_| Delivery::default()).collect();
        for run in &self.runs {
            let delivery = &mut deliveries[usize::from(run.route.io)];
            let mut reply = Reply::over(std::mem::take(&mut delivery.bytes), run.protocol);
            for _ in 0..run.ops {
                reply.error(line);
            }
            delivery.bytes = reply.into_bytes();
            delivery.parts.push((run.route, delivery.bytes.len()));
        }
        deliveries
    }
}
