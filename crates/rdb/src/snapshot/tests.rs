//! Random keyspaces there and back, and what damage does.

use keyspace::{
    Context, DeadlineChange, HashValue, IdempotentId, Keyspace, ListEnd, ListValue, PackedLimits, ProducerLimits,
    Random, SetValue, Settings, SortedSetValue, StreamGroup, StreamId, StreamValue,
};

use super::*;
use crate::Error;

fn settings(random: &mut Random) -> Settings {
    let mut limits = || PackedLimits { entries_max: random.below(40), value_bytes_max: 10 + random.below(60) };
    let (hash, set, sorted_set) = (limits(), limits(), limits());
    let set_integers_max = random.below(40);
    let list_packed_size = [-1, -2, 3, 128][random.below(4)];
    let (stream_chunk_bytes_max, stream_chunk_entries_max) = (random.below(900), random.below(5));
    Settings {
        hash_key: [random.bits(), 5],
        hash,
        set,
        sorted_set,
        set_integers_max,
        list_packed_size,
        stream_chunk_bytes_max,
        stream_chunk_entries_max,
        hyperloglog_sparse_bytes_max: random.below(20_000),
    }
}

fn text(random: &mut Random) -> Vec<u8> {
    match random.below(12) {
        0 => vec![b'x'; random.below(200)],
        1 => vec![b'y'; random.below(9000)],
        2 => (random.bits() as i64).to_string().into_bytes(),
        3 => format!("{}.5", random.below(9)).into_bytes(),
        _ => random.below(60).to_string().into_bytes(),
    }
}

fn score(random: &mut Random) -> f64 {
    let all = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e300, 5e-324, 0.1, -7.0];
    if random.below(2) == 0 { all[random.below(all.len())] } else { f64::from_bits(random.bits() >> 2) }
}

/// One random command, on a few keys, so that values grow and shrink.
fn change(keyspace: &mut Keyspace, now_ms: u64, random: &mut Random) {
    keyspace.begin_command();
    let settings = *keyspace.settings();
    let context = Context::of_entry(random.below(3) * 7, now_ms, random.bits());
    let key = format!("key:{}", random.below(12)).into_bytes();
    let (one, other) = (text(random), text(random));
    match random.below(19) {
        0 => {
            let deadline = DeadlineChange::At(now_ms + 1 + random.below(5000) as u64);
            let deadline = if random.below(2) == 0 { deadline } else { DeadlineChange::Clear };
            keyspace.set_string(&context, &key, &one, deadline);
        }
        1 => drop(keyspace.append(&context, &key, &one.repeat(1 + random.below(4)))),
        2 => drop(keyspace.remove(&context, &key)),
        3 => drop(keyspace.set_deadline(&context, &key, Some(now_ms + 1 + random.below(5000) as u64))),
        4..7 => {
            if let Ok(mut hash) = keyspace.edit_or_new::<HashValue>(&context, &[&key[..], b"h"].concat()) {
                let deadline = match random.below(6) {
                    0 => DeadlineChange::At(now_ms + 1 + random.below(5000) as u64),
                    1 => DeadlineChange::Keep,
                    _ => DeadlineChange::Clear,
                };
                hash.insert(&one, &other, deadline, &settings);
                hash.remove(&text(random));
            }
        }
        7..10 => {
            if let Ok(mut set) = keyspace.edit_or_new::<SetValue>(&context, &[&key[..], b"s"].concat()) {
                set.insert(if random.below(9) > 0 { b"12" } else { &one }, &settings);
                set.insert(random.below(70_000).to_string().as_bytes(), &settings);
                set.remove(&other);
            }
        }
        10..13 => {
            if let Ok(mut set) = keyspace.edit_or_new::<SortedSetValue>(&context, &[&key[..], b"z"].concat()) {
                set.insert(&one, score(random), &settings);
                set.remove(&other);
            }
        }
        13..16 => {
            if let Ok(mut stream) = keyspace.edit_or_new::<StreamValue>(&context, &[&key[..], b"x"].concat()) {
                change_stream(&mut stream, (&one, &other), now_ms, random, &settings);
            }
        }
        _ => {
            if let Ok(mut list) = keyspace.edit_or_new::<ListValue>(&context, &[&key[..], b"l"].concat()) {
                list.push(if random.below(2) == 0 { ListEnd::Front } else { ListEnd::Back }, &one, &settings);
                let length = list.len();
                list.insert(random.below(length), &other, &settings);
                if random.below(5) == 0 {
                    list.remove_at_end(ListEnd::Front, random.below(length), &settings);
                }
            }
        }
    }
    keyspace.take_effects();
}

fn change_stream(
    stream: &mut StreamValue,
    pair: (&[u8], &[u8]),
    now_ms: u64,
    random: &mut Random,
    settings: &Settings,
) {
    let id = StreamId::new(now_ms, 0).max(stream.last_id().next().expect("far from the last"));
    stream.append(id, [pair, (b"n", b"1")].into_iter().take(1 + random.below(2)), settings);
    let ids: Vec<_> = stream.range(StreamId::MIN, StreamId::MAX).map(|entry| entry.id).collect();
    let (some, group) = (ids[random.below(ids.len())], [&b"g"[..], b"h"][random.below(2)]);
    match random.below(10) {
        8 => drop(stream.change_group(group, |group| group.release(some, 3))),
        9 => stream.change_producers(|producers| {
            let id = if random.below(2) == 0 {
                IdempotentId::given(pair.1)
            } else {
                IdempotentId::of_content([pair].into_iter())
            };
            producers.add(&pair.0[..pair.0.len().min(1)], &id, some, now_ms);
            producers.set_limits(ProducerLimits { records_max: 3, ..producers.limits() });
        }),
        0 => drop(stream.delete(some)),
        1 => drop(stream.add_group(group, StreamGroup::new(some, -1))),
        2 if random.below(4) == 0 => drop(stream.take_group(group)),
        3 => drop(stream.change_group(group, |group| group.acknowledge(some))),
        _ => {
            let consumer = &pair.0[..pair.0.len().min(1)];
            stream.change_group(group, |group| {
                group.see_consumer(consumer, i64::try_from(now_ms).expect("it is small"));
                group.assign(some, consumer, 5, 2);
            });
        }
    }
}

fn keyspace(seed: u64, changes: usize) -> Keyspace {
    let mut random = Random::new(seed);
    let mut keyspace = Keyspace::new(settings(&mut random));
    advance(&mut keyspace, &mut random, changes);
    keyspace
}

fn advance(keyspace: &mut Keyspace, random: &mut Random, changes: usize) {
    for step in 0..changes {
        let now_ms = 1_000_000 + 10 * step as u64;
        keyspace.remove_due(now_ms, 4);
        change(keyspace, now_ms, random);
        if random.below(200) == 0 {
            keyspace.begin_command();
            keyspace.flush(7);
        }
    }
}

fn written(keyspace: &Keyspace, owner: &[u8], chunk_bytes: usize) -> Vec<u8> {
    let mut writer = SnapshotWriter::new(keyspace.freeze(), owner);
    let chunks: Vec<_> = std::iter::from_fn(|| writer.next_chunk(chunk_bytes)).collect();
    assert!(chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= chunk_bytes));
    assert!(chunks.iter().rev().skip(1).all(|chunk| chunk.len() == chunk_bytes), "only the last is short");
    chunks.concat()
}

fn read(bytes: &[u8], chunk_bytes: usize) -> Result<Restored, Error> {
    let mut reader = SnapshotReader::new();
    bytes.chunks(chunk_bytes).try_for_each(|chunk| reader.push(chunk))?;
    reader.finish()
}

/// Everything in order, as a text to compare.
fn told(keyspace: &Keyspace) -> Vec<String> {
    let frozen = keyspace.freeze();
    let told = frozen.keys().map(|key| {
        let encoding =
            key.collection.as_deref().map_or_else(|| key.string.map_or("", |text| text.encoding()), |c| c.encoding());
        format!("{} {:?} {:?} {} {encoding}", key.database, key.key, key.deadline_ms, key.revision)
    });
    told.collect()
}

#[test]
fn a_keyspace_comes_back_as_it_was() {
    for seed in 0..20 {
        let before = keyspace(seed, 100 + 60 * usize::try_from(seed).expect("it is small"));
        let bytes = written(&before, b"owner", 1 << 20);
        for chunk_bytes in [1000, 1 << 20] {
            let restored = read(&bytes, chunk_bytes).expect("just written");
            assert_eq!(restored.owner, b"owner");
            assert_eq!(restored.keyspace.digest(), before.digest());
            assert_eq!(told(&restored.keyspace), told(&before));
            assert_eq!(written(&restored.keyspace, b"owner", 777), bytes);
        }
    }
}

/// What was restored goes on as what was not: nothing that decides the future is missing.
#[test]
fn the_future_is_the_same() {
    for seed in 0..10 {
        let mut went_on = keyspace(seed, 900);
        let mut restored = read(&written(&went_on, b"", 5000), 3000).expect("just written").keyspace;
        let mut random = Random::new(seed + 1000);
        advance(&mut went_on, &mut random, 900);
        advance(&mut restored, &mut Random::new(seed + 1000), 900);
        assert_eq!(restored.digest(), went_on.digest());
        assert_eq!(written(&restored, b"", 1 << 20), written(&went_on, b"", 1 << 20));
    }
}

#[test]
fn how_the_stream_is_cut_does_not_matter() {
    let before = keyspace(3, 300);
    let bytes = written(&before, b"owner", 1 << 20);
    for chunk_bytes in [1, 2, 3, 7, 64, 4096] {
        assert_eq!(written(&before, b"owner", chunk_bytes), bytes);
        assert_eq!(read(&bytes, chunk_bytes).expect("just written").keyspace.digest(), before.digest());
    }
}

/// One string, and collections of many and of long elements, longer than a chunk.
#[test]
fn values_longer_than_a_chunk_are_cut() {
    let mut before = Keyspace::new(Settings::new([1, 2]));
    let settings = *before.settings();
    let context = Context::of_entry(0, 1, 0);
    before.set_string(&context, b"string", &vec![1; 300_000], DeadlineChange::Clear);
    for number in 0..3000 {
        let text = format!("element {number}");
        before.edit_or_new::<HashValue>(&context, b"hash").unwrap().insert(
            text.as_bytes(),
            b"v",
            DeadlineChange::Clear,
            &settings,
        );
        before.edit_or_new::<SetValue>(&context, b"set").unwrap().insert(text.as_bytes(), &settings);
        before.edit_or_new::<SortedSetValue>(&context, b"sorted").unwrap().insert(text.as_bytes(), 1.5, &settings);
        before.edit_or_new::<ListValue>(&context, b"list").unwrap().push(ListEnd::Back, text.as_bytes(), &settings);
    }
    before.edit_or_new::<ListValue>(&context, b"list").unwrap().push(ListEnd::Back, &[7; 100_000], &settings);
    let bytes = written(&before, b"", 10_000);
    let restored = read(&bytes, 9_000).expect("just written").keyspace;
    assert_eq!(restored.digest(), before.digest());
    assert_eq!(written(&restored, b"", 1 << 20), bytes);
}

/// A small collection by the shard's limits, but too long for a listpack.
#[test]
fn a_packed_collection_of_any_size_stays_packed() {
    let mut settings = Settings::new([1, 2]);
    let limits = PackedLimits { entries_max: usize::MAX, value_bytes_max: usize::MAX };
    (settings.hash, settings.set, settings.sorted_set) = (limits, limits, limits);
    settings.set_integers_max = usize::MAX;
    let mut before = Keyspace::new(settings);
    let context = Context::of_entry(0, 1, 0);
    for number in 0..15u8 {
        let text = vec![b'a' + number; 100_000];
        before.edit_or_new::<HashValue>(&context, b"hash").unwrap().insert(
            &text,
            b"v",
            DeadlineChange::Clear,
            &settings,
        );
        before.edit_or_new::<SetValue>(&context, b"set").unwrap().insert(&text, &settings);
        before.edit_or_new::<SortedSetValue>(&context, b"sorted").unwrap().insert(&text, 1.5, &settings);
    }
    let mut integers = before.edit_or_new::<SetValue>(&context, b"integers").unwrap();
    for number in 0..150_000u32 {
        integers.insert(number.to_string().as_bytes(), &settings);
    }
    drop(integers);
    let restored = read(&written(&before, b"", 10_000), 9_000).expect("just written").keyspace;
    assert_eq!(restored.digest(), before.digest());
    assert_eq!(told(&restored), told(&before));
}

#[test]
fn an_empty_keyspace_is_a_state_too() {
    let before = Keyspace::new(Settings::new([1, 2]));
    assert_eq!(read(&written(&before, b"", 10), 10).expect("just written").keyspace.digest(), before.digest());
}

#[test]
fn an_end_too_early_is_an_error() {
    let bytes = written(&keyspace(5, 60), b"owner", 1 << 20);
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end], 1 << 20).is_err(), "{end} of {}", bytes.len());
    }
    assert!(read(&[&bytes[..], b"x"].concat(), 1 << 20).is_err());
}

#[test]
fn a_changed_bit_is_an_error() {
    let bytes = written(&keyspace(6, 400), b"owner", 1 << 20);
    let mut random = Random::new(1);
    for _ in 0..2000 {
        let mut changed = bytes.clone();
        changed[random.below(bytes.len())] ^= 1 << random.below(8);
        assert!(read(&changed, 1 << 20).is_err());
    }
}

/// With the digest made to fit, damage may read as another state, but never stops the program, and the other state is sound.
#[test]
fn forged_bytes_are_an_error_or_a_state() {
    let bytes = written(&keyspace(8, 300), b"owner", 1 << 20);
    let mut random = Random::new(2);
    let mut states = 0;
    for _ in 0..800 {
        let mut forged = bytes[..bytes.len() - size_of::<u64>()].to_vec();
        for _ in 0..=random.below(3) {
            let at = random.below(forged.len());
            forged[at] =
                if random.below(2) == 0 { forged[at] ^ 1 << random.below(8) } else { random.bits().to_le_bytes()[0] };
        }
        let mut digest = keyspace::Digest::new();
        digest.stream(&forged);
        forged.extend_from_slice(&digest.finish().to_le_bytes());
        if let Ok(mut restored) = read(&forged, 1 << 20) {
            let again = written(&restored.keyspace, &restored.owner, 1 << 20);
            assert_eq!(read(&again, 999).expect("just written").keyspace.digest(), restored.keyspace.digest());
            advance(&mut restored.keyspace, &mut random, 30);
            states += 1;
        }
    }
    assert!(states > 30, "the test reaches what is behind the digest: {states}");
}

#[test]
fn a_newer_format_is_named() {
    let mut bytes = written(&keyspace(6, 10), b"owner", 1 << 20);
    bytes[MAGIC.len()] += 1;
    let error = read(&bytes, 1 << 20).err().expect("it is newer");
    assert_eq!(error, Error::Newer { found: FORMAT + 1, known: FORMAT });
    assert!(error.to_string().contains("newer version"));
    assert!(read(b"REDIS0011 and more", 4).is_err());
}
