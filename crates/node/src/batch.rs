//! A batch: commands of many connections on their way into one entry, and who waits for their replies.
//!
//! A connection stages what one socket read brought ([`Staged`]), then adds it to the shard's open batch as one
//! *run*. Inside a run, reads that stand behind a write ride along: they are run at their place at apply, on the
//! node that proposed the entry, and are never replicated.

mod placing;

use bytes::Bytes;
use resp::{ArgumentRanges, Arguments, Protocol, Reply};
use slot::Slot;

use crate::blocking::Number;
use crate::entry::{self, Item, Kind};
use crate::fence::{self, FencedSlots};
use crate::inbox::{Delivery, Route};
use crate::router;

/// No entry grows beyond this, but for one that holds a single larger command.
pub(crate) const BATCH_BYTES_MAX: usize = 64 * 1024;
/// A run holds at most this many commands, so that the replies of one entry are bounded.
pub(crate) const RUN_OPS_MAX: usize = 1024;

/// What one place of a run asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// The next item of the entry: a command or a transaction.
    Item,
    /// The next item of the entry, a command that waits if it finds nothing. It is a run of its own.
    Waits,
    /// The next item of the entry, the command of a waiter. It is no run's.
    Served(Number),
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
    /// The client's commands leave no marks of access here: CLIENT NO-TOUCH.
    pub(crate) no_touch: bool,
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

    /// Stages a command that waits if it finds nothing; nothing else may be staged beside it.
    pub(crate) fn waits(&mut self, database: u8, raw: &[u8]) {
        assert!(self.is_empty(), "what waits is a run of its own");
        self.write(database, raw);
        self.ops[0] = Op::Waits;
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

    /// Answers everything that is staged with an error, which may depend on the slot that a command is about, and forgets it.
    pub(crate) fn fail(&mut self, line: impl Fn(Option<Slot>) -> String, reply: &mut Reply) {
        let items = self.items.get(entry::HEADER_BYTES..).filter(|_| !self.settings).unwrap_or_default();
        let mut slots = Slots::new(items, &self.reads);
        let mut ranges = ArgumentRanges::default();
        for op in &self.ops {
            reply.error(line(slots.of(*op, &mut ranges)));
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

/// Finds out which slot each command is about, in order, long after it was routed: for errors that say where the slot is now.
struct Slots<'a> {
    items: &'a [u8],
    reads: &'a [u8],
}

impl<'a> Slots<'a> {
    /// `items` are those of an entry, without its header.
    const fn new(items: &'a [u8], reads: &'a [u8]) -> Self {
        Self { items, reads }
    }

    /// The slot of the next op; `None` for one without keys.
    fn of(&mut self, op: Op, ranges: &mut ArgumentRanges) -> Option<Slot> {
        match op {
            Op::Item | Op::Waits | Op::Served(_) => {
                let mut reader = entry::Reader::of_items(self.items, ranges);
                let slot = slot_of_item(&mut reader);
                let left = reader.rest().len();
                self.items = &self.items[self.items.len() - left..];
                slot
            }
            Op::Read { start, end, .. } => {
                let raw = self.reads.get(start as usize..end as usize)?;
                slot_of(resp::parse_stored(raw, ranges).ok()?)
            }
        }
    }
}

fn slot_of_item(reader: &mut entry::Reader<'_>) -> Option<Slot> {
    match reader.item().ok()? {
        Item::Command => slot_of(reader.command().ok()?.1),
        // What is watched is of the same shard.
        Item::Transaction { preconditions, commands } => {
            let mut slot = preconditions.first().map(|condition| Slot::of_key(condition.key));
            for _ in 0..commands {
                slot = slot_of(reader.command().ok()?.1).or(slot);
            }
            slot
        }
    }
}

fn slot_of(arguments: Arguments<'_>) -> Option<Slot> {
    router::slot_of(commands::resolve(arguments).ok()?, arguments).ok()?
}

fn offset(length: usize) -> u32 {
    u32::try_from(length).expect("a run's reads are bounded by client-query-buffer-limit, below 4 GiB")
}

/// The commands of one connection in a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) route: Route,
    pub(crate) protocol: Protocol,
    /// How many of the batch's ops are this run's, those of waiters between them not counted.
    pub(crate) ops: u32,
    /// They leave no marks of access on this node.
    pub(crate) no_touch: bool,
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
            Op::Read { database, start, end } => Op::Read { database, start: base + start, end: base + end },
            other => other,
        }));
        self.runs.push(Run { route, protocol, ops: offset(staged.ops.len()), no_touch: staged.no_touch });
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

    /// The waiters whose commands are part of it.
    pub(crate) fn served(&self) -> impl Iterator<Item = Number> {
        self.ops.iter().filter_map(|op| if let Op::Served(number) = op { Some(*number) } else { None })
    }

    /// Whether it was never sealed.
    pub(crate) fn is_fresh(&self) -> bool {
        self.ordinal.is_none() && self.sealed.is_none()
    }

    /// One delivery per I/O thread that answers every op with an error, which may depend on the slot that a command is about.
    pub(crate) fn failed(&self, io_threads: usize, line: impl Fn(Option<Slot>) -> String) -> Vec<Delivery> {
        let mut deliveries: Vec<Delivery> = (0..io_threads).map(|_| Delivery::default()).collect();
        let payload = self.sealed.as_deref().unwrap_or(&self.payload);
        let items = payload.get(entry::HEADER_BYTES..).filter(|_| self.kind == Kind::Commands).unwrap_or_default();
        let (mut slots, mut ranges) = (Slots::new(items, &self.reads), ArgumentRanges::default());
        let mut ops = self.ops.iter();
        for run in &self.runs {
            let delivery = &mut deliveries[usize::from(run.route.io)];
            let mut reply = Reply::over(std::mem::take(&mut delivery.bytes), run.protocol);
            let mut left = run.ops;
            while left > 0
                && let Some(op) = ops.next()
            {
                let slot = slots.of(*op, &mut ranges);
                if !matches!(op, Op::Served(_)) {
                    reply.error(line(slot));
                    left -= 1;
                }
            }
            delivery.bytes = reply.into_bytes();
            delivery.parts.push((run.route, delivery.bytes.len()));
        }
        deliveries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: Route = Route { io: 0, place: 0, generation: 0, client: 0 };

    fn staged() -> Staged {
        let command = |words: &[&str]| {
            let mut raw = Vec::new();
            resp::write_command(&mut raw, words);
            raw
        };
        let mut staged = Staged::default();
        staged.write(0, &command(&["INCR", "foo"]));
        staged.read(0, &command(&["GET", "hello"]));
        staged.transaction(&[], 2);
        staged.transaction_command(0, &command(&["DBSIZE"]));
        staged.transaction_command(0, &command(&["DEL", "{hello}1"]));
        staged.write(0, &command(&["FLUSHALL"]));
        staged
    }

    fn told(slot: Option<Slot>) -> String {
        slot.map_or_else(|| "DOWN".to_owned(), |slot| format!("MOVED {slot} there"))
    }

    const TOLD: &str = "-MOVED 12182 there\r\n-MOVED 866 there\r\n-MOVED 866 there\r\n-DOWN\r\n";

    #[test]
    fn what_was_staged_is_told_by_its_slots() {
        let mut reply = Reply::new(Protocol::Resp2);
        let mut staged = staged();
        staged.fail(told, &mut reply);
        assert_eq!(String::from_utf8(reply.into_bytes()).unwrap(), TOLD);
        assert!(staged.is_empty());
    }

    #[test]
    fn a_batch_is_told_by_its_slots_whether_it_was_sealed_or_not() {
        let mut batch = Batch::default();
        batch.add(&mut staged(), ROUTE, Protocol::Resp2);
        batch.add(&mut staged(), ROUTE, Protocol::Resp2);
        for sealed in [false, true] {
            if sealed {
                batch.seal(1, 2, 3);
            }
            let deliveries = batch.failed(1, told);
            assert_eq!(String::from_utf8_lossy(&deliveries[0].bytes), TOLD.repeat(2));
            let ends: Vec<usize> = deliveries[0].parts.iter().map(|(_, end)| *end).collect();
            assert_eq!(ends, [TOLD.len(), 2 * TOLD.len()]);
        }
    }
}
