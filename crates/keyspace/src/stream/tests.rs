//! A stream against a plain map, and what a snapshot keeps of it.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::Random;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A stream as one would say it in words.
#[derive(Clone, Default)]
struct Model {
    entries: BTreeMap<StreamId, Pairs>,
    last_id: StreamId,
    max_deleted_id: StreamId,
    added: u64,
    /// By group: who has what; what was released nobody has, who is called so.
    groups: BTreeMap<Vec<u8>, BTreeMap<StreamId, Vec<u8>>>,
}

fn settings(bytes_max: usize, entries_max: usize) -> Settings {
    let mut settings = Settings::new([1, 2]);
    (settings.stream_chunk_bytes_max, settings.stream_chunk_entries_max) = (bytes_max, entries_max);
    settings
}

fn pairs(random: &mut Random) -> Pairs {
    let text = |random: &mut Random| match random.below(5) {
        0 => Vec::new(),
        1 => format!("{}", random.below(1 << 40)).into_bytes(),
        2 => vec![b'x'; random.below(200)],
        _ => vec![b'a' + u8::try_from(random.below(3)).unwrap()],
    };
    (0..1 + random.below(3)).map(|_| (text(random), text(random))).collect()
}

fn borrowed(pairs: &Pairs) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
    pairs.iter().map(|(field, value)| (&field[..], &value[..]))
}

fn shown(entry: &StreamEntry<'_>) -> (StreamId, Pairs) {
    let pairs: Pairs = entry.fields().map(|(field, value)| (field.to_vec(), value.to_vec())).collect();
    assert_eq!(pairs.len(), entry.field_count());
    (entry.id, pairs)
}

fn digest_of(stream: &StreamValue) -> u64 {
    let mut digest = Digest::new();
    stream.digest(&mut digest);
    digest.finish()
}

fn assert_same(stream: &StreamValue, model: &Model, random: &mut Random) {
    assert_eq!(stream.entry_count(), model.entries.len());
    assert_eq!((stream.last_id(), stream.entries_added()), (model.last_id, model.added));
    assert_eq!(stream.max_deleted_id(), model.max_deleted_id);
    assert_eq!(stream.first_id(), model.entries.keys().next().copied().unwrap_or_default());
    let (from, to) = (StreamId::new(random.bits() % 600, 1), StreamId::new(random.bits() % 600, 1));
    for (from, to) in [(StreamId::MIN, StreamId::MAX), (from.min(to), from.max(to))] {
        let expected: Vec<_> = model.entries.range(from..=to).map(|(id, pairs)| (*id, pairs.clone())).collect();
        assert_eq!(stream.range(from, to).map(|entry| shown(&entry)).collect::<Vec<_>>(), expected);
        let back: Vec<_> = stream.range_back(from, to).map(|entry| shown(&entry)).collect();
        assert!(back.iter().rev().eq(expected.iter()));
    }
    let chunks: usize = stream.chunks.iter().map(|(_, link)| link.chunk.live()).sum();
    assert_eq!(chunks, stream.entry_count());
    stream
        .chunks
        .iter()
        .for_each(|(_, link)| assert_eq!(link.bytes, Link::OVERHEAD_BYTES + link.chunk.allocated_bytes()));
    let bytes: usize = stream.chunks.iter().map(|(_, link)| link.bytes).sum();
    let groups: usize = stream.groups.iter().map(|(name, group)| group_bytes(name, group)).sum();
    assert_eq!(stream.allocated_bytes, bytes + groups);
    for (name, pending) in &model.groups {
        let group = stream.group(name).unwrap();
        let found: Vec<_> = group
            .pending_at(0)
            .map(|(id, pending)| (id, pending.consumer().map(|name| name.to_vec()).unwrap_or_default()))
            .collect();
        assert!(found.iter().map(|(id, name)| (id, name)).eq(pending.iter()));
        let released: Vec<_> = group.turns_at(0).take(group.released_count()).collect();
        assert!(released.iter().all(|id| group.pending(*id).unwrap().consumer().is_none()));
        assert_eq!(released.len(), pending.values().filter(|owner| owner.is_empty()).count());
        assert!(group.turns_at(0).collect::<BTreeSet<_>>().iter().eq(pending.keys()));
        for (name, consumer) in group.consumers() {
            let owned = pending.iter().filter(|(_, owner)| owner[..] == name[..]).map(|(id, _)| *id);
            assert!(consumer.pending_at(0).eq(owned));
        }
    }
}

fn append(stream: &mut StreamValue, model: &mut Model, settings: &Settings, random: &mut Random) {
    let id = StreamId::new(model.last_id.ms + random.bits() % 3, 0).max(model.last_id.next().unwrap());
    let pairs = pairs(random);
    stream.append(id, borrowed(&pairs), settings);
    (model.last_id, model.added) = (id, model.added + 1);
    model.entries.insert(id, pairs);
}

fn trim(stream: &mut StreamValue, model: &mut Model, random: &mut Random) {
    let id = model.entries.keys().nth(random.below(model.entries.len() + 1) / 2).copied().unwrap_or_default();
    let to = if random.below(2) == 0 { TrimTo::Length(random.below(60)) } else { TrimTo::Id(id) };
    let references = [References::Keep, References::Remove, References::Acknowledged][random.below(3)];
    let trim = Trim { to, is_approximate: random.below(2) == 0, count_max: 0, references };
    let plan = stream.plan_trim(&trim);
    let (count, is_nothing, before) = (plan.count(), plan.is_nothing(), digest_of(stream));
    let removed = stream.trim(&plan);
    assert!(!is_nothing || digest_of(stream) == before);
    let is_wanted = |length: usize, id: StreamId| match to {
        TrimTo::Length(most) => length > most,
        TrimTo::Id(least) => id < least,
    };
    let is_referenced = |model: &Model, id: StreamId| {
        stream.groups().any(|(_, group)| group.last_id < id) || model.groups.values().any(|of| of.contains_key(&id))
    };
    let ids: Vec<_> = model.entries.keys().copied().collect();
    let mut gone = BTreeSet::new();
    for id in ids {
        if !is_wanted(model.entries.len() - gone.len(), id) || (trim.is_approximate && gone.len() == count) {
            break;
        }
        let keeps = references == References::Acknowledged && !model.groups.is_empty() && is_referenced(model, id);
        if !keeps {
            gone.insert(id);
        }
    }
    assert_eq!(gone.len(), count, "{trim:?}");
    assert!(removed.entry_count() <= count);
    model.entries.retain(|id, _| !gone.contains(id));
    if references == References::Remove {
        model.groups.values_mut().for_each(|pending| pending.retain(|id, _| !gone.contains(id)));
    }
}

fn change_groups(stream: &mut StreamValue, model: &mut Model, random: &mut Random) {
    let name = [&b"one"[..], b"two"][random.below(2)];
    let consumer = [&b"a"[..], b"b", b"c"][random.below(3)];
    let Some(pending) = model.groups.get_mut(name) else {
        assert!(stream.add_group(name, StreamGroup::new(StreamId::MIN, -1)));
        model.groups.insert(name.to_vec(), BTreeMap::new());
        return;
    };
    assert!(!stream.add_group(name, StreamGroup::new(StreamId::MIN, -1)));
    match random.below(8) {
        0..4 => {
            let from = stream.group(name).unwrap().last_id.next().unwrap();
            let ids: Vec<_> = stream.range(from, StreamId::MAX).take(5).map(|entry| entry.id).collect();
            let progress = stream.progress();
            stream.change_group(name, |group| {
                group.see_consumer(consumer, 1);
                for id in &ids {
                    progress.advance(group, *id);
                    group.assign(*id, consumer, 1, 1);
                }
            });
            pending.extend(ids.into_iter().map(|id| (id, consumer.to_vec())));
        }
        4 => {
            let id = pending.keys().nth(random.below(pending.len() + 1)).copied().unwrap_or_default();
            if let Some(owner) = pending.get_mut(&id) {
                owner.clear();
                stream.change_group(name, |group| group.release(id, 1));
                assert_eq!(
                    stream.group(name).unwrap().turns_at(0).nth(stream.group(name).unwrap().released_count() - 1),
                    Some(id)
                );
            }
        }
        5..7 => {
            let id = pending.keys().nth(random.below(pending.len() + 1)).copied().unwrap_or_default();
            let is_pending = pending.remove(&id).is_some();
            assert_eq!(stream.change_group(name, |group| group.acknowledge(id)), Some(is_pending));
        }
        _ if random.below(4) == 0 => {
            let count = stream.change_group(name, |group| group.remove_consumer(consumer)).unwrap();
            let before = pending.len();
            pending.retain(|_, owner| owner != consumer);
            assert_eq!(before - pending.len(), count);
        }
        _ if random.below(9) == 0 => {
            assert_eq!(stream.take_group(name).unwrap().group_count(), 1);
            model.groups.remove(name);
        }
        _ => {}
    }
}

/// A stream out of the parts that a snapshot keeps.
fn restored(stream: &StreamValue) -> StreamValue {
    let mut restored = StreamValue::default();
    for (first, bytes) in stream.chunks_at(0) {
        assert!(restored.restore_chunk(first, bytes.to_vec()));
        assert!(!restored.restore_chunk(first, bytes.to_vec()), "not twice");
    }
    restored.set_counters(stream.last_id(), stream.max_deleted_id(), stream.entries_added());
    stream.groups().for_each(|(name, group)| assert!(restored.add_group(name, group.clone())));
    restored
}

#[test]
fn is_as_a_plain_map() {
    for (seed, (bytes_max, entries_max)) in
        [(4096, 100), (4096, 3), (300, 0), (0, 10), (1, 100)].into_iter().enumerate()
    {
        let (settings, mut random) = (settings(bytes_max, entries_max), Random::new(seed as u64));
        let (mut stream, mut model, mut frozen) = (StreamValue::default(), Model::default(), Vec::new());
        for step in 0..3000 {
            match random.below(20) {
                0..8 => append(&mut stream, &mut model, &settings, &mut random),
                8..12 => {
                    let id = model.entries.keys().nth(random.below(model.entries.len() + 1)).copied();
                    let id = id.unwrap_or_else(|| StreamId::new(random.bits() % 900, 0));
                    let is_there = model.entries.remove(&id).is_some();
                    assert_eq!(stream.delete(id), is_there);
                    assert!(!stream.delete(id));
                    if is_there {
                        model.max_deleted_id = model.max_deleted_id.max(id);
                    }
                }
                12 if random.below(12) == 0 => trim(&mut stream, &mut model, &mut random),
                13..19 => change_groups(&mut stream, &mut model, &mut random),
                _ if random.below(50) == 0 => frozen.push((stream.clone(), model.clone())),
                _ => {}
            }
            if step % 50 == 0 {
                assert_same(&stream, &model, &mut random);
            }
        }
        frozen.iter().for_each(|(stream, model)| assert_same(stream, model, &mut random));
        let restored = restored(&stream);
        assert_eq!(digest_of(&restored), digest_of(&stream));
        assert_same(&restored, &model, &mut random);
    }
}

/// Whatever happens to the bytes of a chunk, it is refused or can be read.
#[test]
fn damaged_chunks_are_refused_or_harmless() {
    let (mut random, settings) = (Random::new(3), settings(4096, 100));
    let (mut stream, mut model) = (StreamValue::default(), Model::default());
    (0..12).for_each(|_| append(&mut stream, &mut model, &settings, &mut random));
    stream.delete(*model.entries.keys().nth(3).unwrap());
    let (first, bytes) = stream.chunks_at(0).next().unwrap();
    for at in 0..bytes.len() {
        assert!(!StreamValue::default().restore_chunk(first, bytes[..at].to_vec()));
        for bit in 0..8 {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << bit;
            let mut stream = StreamValue::default();
            if stream.restore_chunk(first, damaged) {
                let found: Vec<_> = stream.range(StreamId::MIN, StreamId::MAX).map(|entry| shown(&entry)).collect();
                assert_eq!(found.len(), stream.range_back(StreamId::MIN, StreamId::MAX).count());
                stream.append(StreamId::MAX, borrowed(&pairs(&mut random)), &settings);
            }
        }
    }
}

/// The count of nodes is that of a real valkey-server with the same chunks.
#[test]
fn counts_the_nodes_of_a_radix_tree() {
    let settings = settings(4096, 1);
    let mut stream = StreamValue::default();
    let mut counts = vec![stream.tree_node_count()];
    for (ms, seq) in [(1, 1), (1, 2), (1, 300), (256, 0), (257, 0), (1 << 40, 7), (1 << 40, 8)] {
        stream.append(StreamId::new(ms, seq), [(&b"a"[..], &b"b"[..])].into_iter(), &settings);
        counts.push(stream.tree_node_count());
    }
    assert_eq!(counts, VALKEY_NODE_COUNTS);
}

const VALKEY_NODE_COUNTS: [usize; 8] = [1, 2, 4, 7, 11, 14, 18, 20];

/// The records of producers against a plain list of them.
#[test]
fn producers_are_remembered_within_their_limits() {
    let mut random = Random::new(5);
    let limits = ProducerLimits { duration_s: 2, records_max: 4 };
    let mut producers = Producers::new(limits);
    let mut model: Vec<(u8, u8, StreamId, u64)> = Vec::new();
    for now_ms in (0..60_000_u64).step_by(50) {
        let [name, id] = [3, 9].map(|bound| u8::try_from(random.below(bound)).unwrap());
        let given = IdempotentId::given(&[id]);
        let live = |record: &(u8, u8, StreamId, u64)| now_ms < record.3 + 2000;
        let known = model.iter().filter(|record| live(record)).find(|record| (record.0, record.1) == (name, id));
        assert_eq!(producers.find(&[name], &given, now_ms), known.map(|record| record.2));
        if known.is_none() {
            let entry = StreamId::new(now_ms, 0);
            producers.add(&[name], &given, entry, now_ms);
            model.retain(|record| (record.0, record.1) != (name, id));
            model.push((name, id, entry, now_ms));
            if model.iter().filter(|record| record.0 == name).count() > limits.records_max {
                let oldest = model.iter().position(|record| record.0 == name).unwrap();
                model.remove(oldest);
            }
        }
        assert!(producers.records_at(0).map(|record| record.entry).all(|entry| model.iter().any(|of| of.2 == entry)));
        assert!(model.iter().filter(|record| live(record)).count() <= producers.record_count());
        let names: BTreeSet<_> = producers.records_at(0).map(|record| record.producer.to_vec()).collect();
        assert_eq!(producers.producer_count(), names.len());
    }
    assert!(producers.counts().0 > 100);
    producers.set_limits(ProducerLimits::default());
    assert_eq!((producers.record_count(), producers.producer_count()), (0, 0));
}

#[test]
fn a_content_has_one_id_in_whatever_order() {
    let id = |pairs: &[(&'static str, &'static str)]| {
        let kept = pairs.iter().map(|(field, value)| (field.as_bytes(), value.as_bytes()));
        let mut producers = Producers::new(ProducerLimits::default());
        producers.add(b"p", &IdempotentId::of_content(kept), StreamId::MIN, 0);
        producers.records_at(0).next().unwrap().idempotent_id.to_vec()
    };
    assert_eq!(id(&[("a", "1"), ("b", "2")]), id(&[("b", "2"), ("a", "1")]));
    for other in
        [&[("a", "2"), ("b", "1")][..], &[("a", "1")], &[("ab", ""), ("", "12")], &[("a", "1"), ("b", "2"), ("b", "2")]]
    {
        assert_ne!(id(&[("a", "1"), ("b", "2")]), id(other));
    }
}
