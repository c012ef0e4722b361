//! Sets against a simple model, in all encodings.

use super::*;

fn settings(integers_max: usize, entries_max: usize) -> Settings {
    let mut settings = Settings::new([1, 2]);
    settings.set_integers_max = integers_max;
    settings.set.entries_max = entries_max;
    settings
}

fn members_of(set: &SetValue) -> Vec<Vec<u8>> {
    set.iter().map(|member| member.to_vec()).collect()
}

fn digest_of(set: &SetValue) -> u64 {
    let mut digest = Digest::new();
    set.digest(&mut digest);
    digest.finish()
}

/// Random changes, mostly over few members, and every question after each.
fn run(seed: u64, settings: &Settings, names: &[Vec<u8>], steps: usize) -> SetValue {
    let mut random = Random::new(seed);
    let (mut set, mut model) = (SetValue::empty(), BTreeSet::new());
    for step in 0..steps {
        let name = &names[random.below(names.len())];
        // It grows at first and shrinks later.
        if random.below(steps) >= step / 2 {
            assert_eq!(set.insert(name, settings), model.insert(name.clone()));
        } else {
            assert_eq!(set.remove(name), model.remove(name));
        }
        assert_eq!(set.len(), model.len());
        let other = &names[random.below(names.len())];
        assert_eq!(set.contains(other), model.contains(other));
        if !set.is_empty() {
            assert!(model.contains(&*set.at(random.below(set.len()))));
        }
    }
    assert_eq!(members_of(&set).into_iter().collect::<BTreeSet<_>>(), model);
    assert_eq!(members_of(&set).len(), model.len());
    set
}

#[test]
fn agrees_with_a_model_in_every_encoding() {
    let numbers: Vec<_> = (-40..40i64).map(|n| (n * n * n * 100_003).to_string().into_bytes()).collect();
    let mut mixed = numbers.clone();
    mixed.extend((0..40).map(|n| vec![b'x'; n * 2]));
    for seed in 0..8 {
        run(seed, &settings(512, 128), &numbers, 600);
        run(seed, &settings(20, 30), &numbers, 600);
        run(seed, &settings(512, 128), &mixed, 600);
        run(seed, &settings(0, 0), &mixed, 600);
        run(seed, &settings(10, 30), &mixed, 600);
    }
}

#[test]
fn many_members_are_found_across_partitions() {
    let names: Vec<_> = (0..30_000).map(|n| format!("member:{n}").into_bytes()).collect();
    let set = run(7, &settings(0, 0), &names, 60_000);
    assert_eq!(set.set_encoding(), SetEncoding::Many);
    assert!(set.len() > 5_000);
}

#[test]
fn the_same_changes_give_the_same_order_whatever_the_hash_key() {
    let names: Vec<_> = (0..500).map(|n| format!("m{n}").into_bytes()).collect();
    let mut other = settings(0, 0);
    other.hash_key = [99, 98];
    let (left, right) = (run(3, &settings(0, 0), &names, 3000), run(3, &other, &names, 3000));
    assert_eq!(members_of(&left), members_of(&right));
    assert_eq!(digest_of(&left), digest_of(&right));
}

/// A snapshot does not say in which of its two ways a hashtable was kept.
#[test]
fn a_hashtable_of_few_members_goes_on_as_a_dense_one() {
    let limits = settings(0, 0);
    let mut random = Random::new(17);
    let names: Vec<_> = (0..2 * FEW_MAX).map(|n| vec![b'n'; n]).collect();
    for _ in 0..50 {
        let mut dense = SetValue::collect(names.iter(), &limits);
        names[5..].iter().for_each(|name| assert!(dense.remove(name)));
        let mut few = SetValue::restore(dense.set_encoding(), dense.iter(), &limits).unwrap();
        assert!(matches!((&dense.0, &few.0), (Encoding::Many(_), Encoding::Few(_))));
        assert!(few.allocated_bytes() + 100 < dense.allocated_bytes());
        while matches!(few.0, Encoding::Few(_)) {
            let name = &names[random.below(names.len())];
            if random.below(5) < 3 {
                assert_eq!(few.insert(name, &limits), dense.insert(name, &limits));
            } else {
                assert_eq!(few.remove(name), dense.remove(name));
            }
            assert_eq!(members_of(&few), members_of(&dense));
            let [mut walked, mut expected] = [Vec::new(), Vec::new()];
            let cursor = few.scan(3, 2, |member| walked.push(member.to_vec()));
            assert_eq!(cursor, dense.scan(3, 2, |member| expected.push(member.to_vec())));
            assert_eq!(walked, expected);
        }
        assert!(few.len() > FEW_MAX);
    }
    let mut long = SetValue::collect([vec![b'l'; FEW_BYTES_MAX - 2]].iter(), &limits);
    assert!(matches!(long.0, Encoding::Few(_)));
    long.insert(b"one more", &limits);
    assert!(matches!(long.0, Encoding::Many(_)));
}

#[test]
fn encodings_change_where_redis_changes_them() {
    let limits = settings(3, 5);
    let mut set = SetValue::empty();
    for number in ["3", "-1", "70000"] {
        assert!(set.insert(number.as_bytes(), &limits));
    }
    assert_eq!(set.encoding(), "intset");
    assert_eq!(members_of(&set), [&b"-1"[..], b"3", b"70000"]);
    let mut packed = set.clone();
    packed.insert(b"a", &limits);
    packed.insert(b"007", &limits);
    assert_eq!(packed.encoding(), "listpack");
    assert_eq!(members_of(&packed), [&b"-1"[..], b"3", b"70000", b"a", b"007"]);
    packed.insert(b"sixth", &limits);
    assert_eq!(packed.encoding(), "hashtable");
    set.insert(b"5", &limits);
    assert_eq!(set.encoding(), "hashtable");
    let mut long = SetValue::empty();
    long.insert(&[b'x'; 65], &limits);
    assert_eq!(long.encoding(), "hashtable");
}

/// Redis looks at how many members are named, also if all are members already.
#[test]
fn what_is_expected_decides_the_encoding_and_is_no_change() {
    let limits = settings(3, 5);
    let mut keyspace = crate::Keyspace::new(limits);
    let context = crate::Context::of_entry(0, 1, 1);
    for (key, member, count, encoding) in [
        (b"n", b"1", 3, "intset"),
        (b"p", b"1", 4, "listpack"),
        (b"w", b"x", 1, "listpack"),
        (b"m", b"1", 6, "hashtable"),
    ] {
        let mut set = keyspace.edit_or_new::<SetValue>(&context, key).unwrap();
        SetValue::expect(&mut set, member, count, &limits);
        set.insert(member, &limits);
        assert_eq!(set.encoding(), encoding);
    }
    let before = keyspace.revision();
    for (key, count, encoding) in [
        (b"n", 3, "intset"),
        (b"n", 4, "hashtable"),
        (b"w", 5, "listpack"),
        (b"w", 6, "hashtable"),
        (b"w", 1, "hashtable"),
    ] {
        let mut set = keyspace.edit::<SetValue>(&context, key).unwrap().unwrap();
        SetValue::expect(&mut set, b"1", count, &limits);
        assert_eq!((set.len(), set.encoding()), (1, encoding));
    }
    assert_eq!(keyspace.revision(), before);
}

#[test]
fn a_walk_returns_what_is_there_throughout() {
    let limits = settings(0, 0);
    let mut random = Random::new(5);
    let mut set = SetValue::empty();
    for n in 0..1000 {
        set.insert(format!("stays:{n}").as_bytes(), &limits);
        set.insert(format!("goes:{n}").as_bytes(), &limits);
    }
    let (mut seen, mut cursor, mut steps) = (BTreeSet::new(), 0, 0);
    loop {
        cursor = set.scan(cursor, 10, |member| {
            seen.insert(member.to_vec());
        });
        for _ in 0..5 {
            set.remove(format!("goes:{}", random.below(1000)).as_bytes());
            set.insert(format!("comes:{steps}").as_bytes(), &limits);
        }
        steps += 1;
        if cursor == 0 {
            break;
        }
    }
    assert!((0..1000).all(|n| seen.contains(format!("stays:{n}").as_bytes())));
    assert!(steps <= 201);
}

#[test]
fn samples_are_fair_and_without_repeats() {
    let mut random = Random::new(11);
    let mut hits = [0u32; 10];
    for _ in 0..10_000 {
        let places = sample_places(&mut random, 10, 3);
        assert_eq!(places.len(), 3);
        places.into_iter().for_each(|place| hits[place] += 1);
    }
    assert!(hits.iter().all(|&count| (2800..3200).contains(&count)), "{hits:?}");
    assert_eq!(sample_places(&mut random, 4, 9).len(), 4);
    assert!(sample_places(&mut random, 0, 9).is_empty());
}

#[test]
fn a_frozen_copy_keeps_its_members() {
    let limits = settings(0, 0);
    let mut set = SetValue::collect((0..9000).map(|n| n.to_string().into_bytes()), &limits);
    let frozen = set.clone();
    let before = digest_of(&frozen);
    for n in 0..9000 {
        set.remove(n.to_string().as_bytes());
    }
    assert!(set.is_empty());
    assert_eq!(digest_of(&frozen), before);
    assert_eq!(frozen.len(), 9000);
}

#[test]
fn a_snapshot_gives_the_same_set_back() {
    let names: Vec<_> = (0..300).map(|n| n.to_string().into_bytes()).collect();
    for (integers_max, entries_max) in [(512, 128), (0, 512), (0, 0)] {
        let limits = settings(integers_max, entries_max);
        let set = run(9, &limits, &names, 900);
        let back = SetValue::restore(set.set_encoding(), set.iter(), &settings(7, 7)).unwrap();
        assert_eq!(digest_of(&back), digest_of(&set));
        assert_eq!(members_of(&back), members_of(&set));
        let twice = set.iter().chain(set.iter());
        assert!(SetValue::restore(set.set_encoding(), twice, &limits).is_none());
    }
    assert!(SetValue::restore(SetEncoding::Integers, ["2", "1"].iter(), &settings(9, 9)).is_none());
    assert!(SetValue::restore(SetEncoding::Integers, ["a"].iter(), &settings(9, 9)).is_none());
}
