//! A machine that was restored goes on as one that was not.

use std::collections::VecDeque;
use std::sync::Arc;

use keyspace::{Keyspace, Random};
use raft::{Clock, CommittedEntry, Frozen, LogId, Machine as _};

use super::*;
use crate::entry::{self, Header, Kind};
use crate::inbox::Inbox;
use crate::machine::Machine;
use crate::shard::Shard;

#[derive(Clone)]
struct NoClock;

impl Clock for NoClock {
    fn monotonic_ns(&self) -> u64 {
        0
    }

    fn wall_ms(&self) -> u64 {
        0
    }
}

/// A machine with its threads' work in one.
fn machine() -> (Machine, Arc<Shard>, impl Future<Output = ()>) {
    let inboxes: Arc<[Inbox]> = Arc::new([Inbox::default()]);
    let shard =
        Arc::new(Shard::new(Keyspace::new(keyspace::Settings::new([0; 2])), Fence::All, inboxes, Arc::default()));
    let (machine, apply, beside) = Machine::new(Arc::clone(&shard), NoClock, Box::new(|_| ()));
    (machine, shard, async move {
        tokio::join!(apply, beside);
    })
}

fn raw(words: &[&str]) -> Vec<u8> {
    let words: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    let count = words.matches('$').count();
    format!("*{count}\r\n{words}").into_bytes()
}

fn command(random: &mut Random) -> Vec<u8> {
    let key = format!("{{{}}}:{}", random.below(5), random.below(9));
    let (one, other) = (random.below(30).to_string(), "v".repeat(random.below(90)));
    let key_of = |name: &str| format!("{name}:{key}");
    match random.below(12) {
        0 => raw(&["SET", &key, &other, "EX", &one]),
        1 => raw(&["APPEND", &key, &other]),
        2 => raw(&["DEL", &key, &key_of("hash")]),
        3 => raw(&["INCR", &key_of("count")]),
        4 => raw(&["HSET", &key_of("hash"), &one, &other]),
        5 => raw(&["HDEL", &key_of("hash"), &one]),
        6 => raw(&["RPUSH", &key_of("list"), &one, &other]),
        7 => raw(&["LPOP", &key_of("list")]),
        8 => raw(&["SADD", &key_of("set"), &one, "12"]),
        9 => raw(&["SPOP", &key_of("set")]),
        10 => raw(&["ZADD", &key_of("sorted"), &one, &other]),
        _ => raw(&["EXPIRE", &key_of("sorted"), &one]),
    }
}

/// Entries of some commands each, from a place of the log on; the first of all sets the shard's settings.
fn entries(from: u64, count: u64) -> Vec<CommittedEntry<crate::shard::EntryWaiter>> {
    let entry = |index: u64| {
        let mut random = Random::new(index);
        let mut bytes = Vec::new();
        entry::begin(&mut bytes);
        let (kind, items) = if index == 0 { (Kind::Settings, 1) } else { (Kind::Commands, 20) };
        if kind == Kind::Settings {
            bytes.extend_from_slice(&raw(&["hash-max-listpack-entries", "5"]));
        } else {
            for _ in 0..items {
                let database = u8::try_from(random.below(3)).expect("it is small");
                entry::put_command(&mut bytes, database, &command(&mut random));
            }
        }
        let header = Header { kind, now_ms: 1_000_000 + 500 * index, seed: random.bits(), sequence: index, items };
        entry::seal(&mut bytes, header);
        CommittedEntry { id: LogId { term: 1, index: index + 1 }, payload: Some(bytes.into()), waiter: None }
    };
    (from..from + count).map(entry).collect()
}

async fn snapshot_of(machine: &mut Machine) -> Vec<Bytes> {
    let mut frozen = machine.freeze().await;
    let mut chunks = Vec::new();
    while let Some(chunk) =
        std::future::poll_fn(|context| frozen.poll_chunk(context)).await.expect("the encoder is there")
    {
        chunks.push(chunk);
    }
    chunks
}

struct Chunks(VecDeque<Bytes>);

impl SnapshotReader for Chunks {
    async fn read(&mut self) -> io::Result<Option<Bytes>> {
        Ok(self.0.pop_front())
    }
}

/// Runs a test beside the threads' work of its machines.
fn run(test: impl Future<Output = ()>, works: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    runtime.block_on(async {
        tokio::select! {
            () = test => (),
            () = works => panic!("the machines stopped"),
        }
    });
}

#[test]
fn a_restored_machine_goes_on_as_the_other() {
    let (mut first, first_shard, first_work) = machine();
    let (mut second, second_shard, second_work) = machine();
    let test = async {
        first.apply(entries(0, 60)).await;
        let mut frozen = first.freeze().await;
        // What is applied now is not in the snapshot.
        first.apply(entries(60, 60)).await;
        let mut chunks = VecDeque::new();
        while let Some(chunk) = std::future::poll_fn(|context| frozen.poll_chunk(context)).await.expect("it encodes") {
            chunks.push_back(chunk);
        }
        second.install(LogId { term: 1, index: 60 }, Chunks(chunks)).await.expect("just written");
        assert_ne!(first_shard.data.read().digest(), second_shard.data.read().digest());
        assert_eq!(second_shard.data.read().settings().hash.entries_max, 5);
        second.apply(entries(60, 60)).await;
        assert_eq!(first_shard.data.read().digest(), second_shard.data.read().digest());
        assert!(snapshot_of(&mut first).await == snapshot_of(&mut second).await, "the bytes are the same, too");
        // An entry that both know already is none; the next one is: the progress was restored.
        first.apply(entries(119, 2)).await;
        second.apply(entries(119, 2)).await;
        assert!(snapshot_of(&mut first).await == snapshot_of(&mut second).await);
    };
    run(test, async {
        tokio::join!(first_work, second_work);
    });
}

#[test]
fn a_damaged_snapshot_leaves_the_state_alone() {
    let (mut machine, shard, work) = machine();
    let test = async {
        machine.apply(entries(0, 5)).await;
        let mut bytes = snapshot_of(&mut machine).await.concat();
        machine.apply(entries(5, 5)).await;
        let before = shard.data.read().digest();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        let id = LogId { term: 1, index: 5 };
        let error = machine.install(id, Chunks([Bytes::from(bytes)].into())).await.expect_err("it is damaged");
        assert!(error.to_string().contains("a snapshot of the shard: the data is damaged"), "{error}");
        assert_eq!(shard.data.read().digest(), before);
    };
    run(test, work);
}

#[test]
fn what_the_machine_keeps_beside_comes_back() {
    let mut settings = Settings::defaults().shard;
    settings.take_pairs([("maxmemory", "12mb"), ("appendfsync", "everysec")]).expect("they are settings of a shard");
    for sequence in [None, Some(0), Some(u64::MAX)] {
        let progress = Progress { term: 7, sequence };
        let mut slots = SlotSet::new();
        slots.insert_range(SlotRange::new(Slot::new(7).unwrap(), Slot::new(9).unwrap()).unwrap());
        let fence = Fence::Slots(Box::new(FencedSlots { version: 3, slots }));
        let bytes = encode_owner(&settings, progress, &fence);
        let mut rest = &bytes[..];
        let (found, of, around) = decode_owner(&mut rest).expect("just written");
        assert!(rest.is_empty() && found == settings && of == progress && around == fence);
        assert!((0..bytes.len()).all(|end| decode_owner(&mut &bytes[..end]).is_none()));
    }
}

/// INFO shows a snapshot for as long as somebody writes it out.
#[test]
fn a_frozen_state_is_one_that_is_saved() {
    let (mut machine, shard, work) = machine();
    let test = async {
        machine.apply(entries(0, 3)).await;
        assert_eq!(Arc::strong_count(&shard.saving), 1);
        let frozen = machine.freeze().await;
        assert_eq!(Arc::strong_count(&shard.saving), 2);
        drop(frozen);
        assert_eq!(Arc::strong_count(&shard.saving), 1);
    };
    run(test, work);
}
