//! Sorted sets against a simple model, in both encodings.

use std::collections::BTreeMap;

use super::packed::by_order;
use super::*;

fn settings(entries_max: usize) -> Settings {
    let mut settings = Settings::new([1, 2]);
    settings.sorted_set.entries_max = entries_max;
    settings
}

type Model = BTreeMap<Vec<u8>, f64>;

fn ordered(model: &Model) -> Vec<(Vec<u8>, f64)> {
    let mut all: Vec<_> = model.iter().map(|(member, &score)| (member.clone(), score)).collect();
    all.sort_by(|left, right| by_order((left.1, &left.0), (right.1, &right.0)));
    all
}

fn owned<'a>(pairs: impl Iterator<Item = (&'a [u8], f64)>) -> Vec<(Vec<u8>, f64)> {
    pairs.map(|(member, score)| (member.to_vec(), score)).collect()
}

fn digest_of(set: &SortedSetValue) -> u64 {
    let mut digest = Digest::new();
    set.digest(&mut digest);
    digest.finish()
}

/// Everything that can be asked, compared with the model.
fn check(set: &SortedSetValue, model: &Model, random: &mut Random) {
    let all = ordered(model);
    assert_eq!(set.len(), all.len());
    assert_eq!(owned(set.range(0..all.len())), all);
    let (left, right) = (random.below(all.len() + 1), random.below(all.len() + 1));
    let (start, end) = (left.min(right), left.max(right));
    assert_eq!(owned(set.range(start..end)), all[start..end]);
    let backwards: Vec<_> = all[start..end].iter().rev().cloned().collect();
    assert_eq!(owned(set.range(start..end).rev()), backwards);
    for (rank, (member, score)) in all.iter().enumerate() {
        assert_eq!(set.rank(member), Some((rank, *score)));
    }
    let bound = drawn_score(random);
    assert_eq!(set.partition_by_score(|score| score < bound), all.iter().filter(|pair| pair.1 < bound).count());
    assert_eq!(set.partition_by_score(|score| score <= bound), all.iter().filter(|pair| pair.1 <= bound).count());
    let by_place: BTreeSet<_> = (0..set.len()).map(|place| set.at(place).0.to_vec()).collect();
    assert_eq!(by_place.len(), all.len());
}

/// Few different scores, so that members decide often.
fn drawn_score(random: &mut Random) -> f64 {
    [f64::NEG_INFINITY, -1.5, -0.0, 0.0, 1.0, 1.5, 1e300, f64::INFINITY][random.below(8)]
}

fn run(seed: u64, settings: &Settings, name_count: usize, steps: usize, check_every: usize) -> SortedSetValue {
    let mut random = Random::new(seed);
    let (mut set, mut model) = (SortedSetValue::empty(), Model::new());
    for step in 0..steps {
        let member = format!("m{}", random.below(name_count)).into_bytes();
        match random.below(20) {
            0..=11 => {
                let score = if random.below(2) == 0 { drawn_score(&mut random) } else { random.below(1000) as f64 };
                assert_eq!(set.insert(&member, score, settings), model.insert(member.clone(), score));
            }
            12..=18 => assert_eq!(set.remove(&member), model.remove(&member)),
            _ => {
                let start = random.below(model.len() + 1);
                let end = (start + random.below(5)).min(model.len());
                for (member, _) in &ordered(&model)[start..end] {
                    model.remove(member);
                }
                set.remove_range(start..end);
            }
        }
        assert_eq!(set.score(&member), model.get(&member).copied());
        if step % check_every == 0 {
            check(&set, &model, &mut random);
        }
    }
    check(&set, &model, &mut random);
    set
}

#[test]
fn agrees_with_a_model_in_both_encodings() {
    for seed in 0..6 {
        assert_eq!(run(seed, &settings(128), 60, 800, 1).encoding(), "listpack");
        assert_eq!(run(seed, &settings(0), 60, 800, 1).encoding(), "skiplist");
        run(seed, &settings(20), 60, 800, 1);
    }
}

#[test]
fn many_members_keep_their_order_across_chunks() {
    for seed in 0..2 {
        run(seed, &settings(0), 5000, 30_000, 3000);
    }
}

#[test]
fn grows_and_shrinks_from_either_end() {
    let limits = settings(0);
    for descending in [false, true] {
        let number = |n: u32| f64::from(if descending { 20_000 - n } else { n });
        let mut set = SortedSetValue::empty();
        for n in 0..20_000u32 {
            set.insert(&n.to_be_bytes(), number(n), &limits);
        }
        for n in (0..20_000u32).step_by(371) {
            let rank = if descending { 19_999 - n } else { n };
            assert_eq!(set.rank(&n.to_be_bytes()), Some((rank as usize, number(n))));
        }
        set.remove_range(100..19_900);
        assert_eq!(set.len(), 200);
        assert_eq!(set.range(0..200).count(), 200);
        while !set.is_empty() {
            let (lowest, score) = set.range(0..1).next().map(|(member, score)| (member.to_vec(), score)).unwrap();
            assert_eq!(set.remove(&lowest), Some(score));
        }
    }
}

#[test]
fn the_same_changes_give_the_same_state_whatever_the_hash_key() {
    let mut other = settings(0);
    other.hash_key = [99, 98];
    let (left, right) = (run(3, &settings(0), 500, 3000, 1000), run(3, &other, 500, 3000, 1000));
    assert_eq!(digest_of(&left), digest_of(&right));
}

/// Scores come first, then members, whatever their lengths are: some are kept out of line.
#[test]
fn equal_scores_are_ordered_by_members_of_all_lengths() {
    let (limits, mut random) = (settings(0), Random::new(11));
    let (mut set, mut model) = (SortedSetValue::empty(), Model::new());
    for step in 0..4000 {
        let number = random.below(600);
        let mut member = format!("{}", number % 7).into_bytes();
        member.resize(member.len() + [0, 100, 110, 111, 112, 113, 500][number % 7], b'-');
        member.extend(number.to_string().into_bytes());
        if random.below(3) == 0 {
            assert_eq!(set.remove(&member), model.remove(&member));
        } else {
            let score = random.below(2) as f64;
            assert_eq!(set.insert(&member, score, &limits), model.insert(member, score));
        }
        if step % 400 == 0 {
            check(&set, &model, &mut random);
        }
    }
    model.keys().for_each(|member| {
        set.insert(member, 0.0, &limits);
    });
    let members: Vec<_> = model.keys().collect();
    assert!(set.range(0..set.len()).map(|pair| pair.0).eq(members.iter().map(|member| member.as_slice())));
    for (rank, member) in members.iter().enumerate() {
        assert_eq!(set.partition_by_member(|other| other < member.as_slice()), rank);
        assert_eq!(set.partition_by_member(|other| other <= member.as_slice()), rank + 1);
    }
}

/// A range of members is asked for although the scores differ: then nobody says what it holds, but equal sorted sets have to agree.
#[test]
fn a_range_of_members_does_not_depend_on_how_the_sorted_set_grew() {
    let limits = settings(0);
    let grown = run(9, &limits, 3000, 20_000, 20_000);
    let restored = SortedSetValue::restore(false, grown.by_place(), &limits).unwrap();
    for number in 0..3000 {
        let bound = format!("m{number}").into_bytes();
        let found = [&grown, &restored].map(|set| set.partition_by_member(|member| member < bound.as_slice()));
        assert_eq!(found[0], found[1]);
    }
}

#[test]
fn keys_are_in_the_order_of_the_scores() {
    let scores = [f64::NEG_INFINITY, -1e300, -1.5, -f64::MIN_POSITIVE, 0.0, 5e-324, 1.0, 1e300, f64::INFINITY];
    let keys = scores.map(|score| Score(score).key(b"").unwrap());
    assert!(keys.is_sorted_by(|left, right| left < right));
    assert_eq!(keys.map(score_of), scores);
    assert_eq!(Score(-0.0).key(b""), Score(0.0).key(b""));
}

#[test]
fn a_frozen_copy_keeps_members_and_scores() {
    let limits = settings(0);
    let mut set = SortedSetValue::collect((0..3000).map(|n| (n.to_string(), f64::from(n))), &limits);
    let frozen = set.clone();
    let before = digest_of(&frozen);
    for n in 0..3000 {
        set.insert(n.to_string().as_bytes(), f64::from(-n), &limits);
    }
    set.remove_range(0..1000);
    assert_eq!(digest_of(&frozen), before);
    assert_eq!(frozen.rank(b"2999"), Some((2999, 2999.0)));
}

#[test]
fn encodings_change_where_redis_changes_them() {
    let limits = settings(2);
    let mut set = SortedSetValue::empty();
    set.insert(b"a", 1.0, &limits);
    set.insert(b"b", 2.0, &limits);
    assert_eq!(set.encoding(), "listpack");
    set.insert(b"b", 3.0, &limits);
    assert_eq!(set.encoding(), "listpack");
    set.insert(b"c", 3.0, &limits);
    assert_eq!(set.encoding(), "skiplist");
    let mut long = SortedSetValue::empty();
    long.insert(&[b'x'; 65], 1.0, &limits);
    assert_eq!(long.encoding(), "skiplist");
    let mut announced = SortedSetValue::empty();
    announced.prepare(3, 1, &limits);
    assert_eq!(announced.encoding(), "skiplist");
}

/// Redis looks at what is named, also if it comes not to be put.
#[test]
fn what_is_expected_in_vain_makes_big_and_is_no_change() {
    let limits = settings(2);
    for (count, bytes, encoding) in [(2, 64, "listpack"), (3, 1, "skiplist"), (1, 65, "skiplist")] {
        let mut keyspace = crate::Keyspace::new(limits);
        let context = crate::Context::of_entry(0, 1, 1);
        keyspace.edit_or_new::<SortedSetValue>(&context, b"set").unwrap().insert(b"a", 1.0, &limits);
        let before = keyspace.revision();
        let mut set = keyspace.edit::<SortedSetValue>(&context, b"set").unwrap().unwrap();
        SortedSetValue::expect(&mut set, count, bytes, &limits);
        assert_eq!((set.len(), set.encoding()), (1, encoding));
        drop(set);
        assert_eq!(keyspace.revision(), before);
    }
}

#[test]
fn a_walk_returns_what_is_there_throughout() {
    let limits = settings(0);
    let mut set = SortedSetValue::collect((0..500).map(|n| (format!("stays:{n}"), 1.0)), &limits);
    let (mut seen, mut cursor, mut step) = (BTreeSet::new(), 0, 0);
    loop {
        cursor = set.scan(cursor, 7, |member, _| {
            seen.insert(member.to_vec());
        });
        set.insert(format!("comes:{step}").as_bytes(), f64::from(step), &limits);
        set.remove(format!("comes:{}", step - 3).as_bytes());
        step += 1;
        if cursor == 0 {
            break;
        }
    }
    assert!((0..500).all(|n| seen.contains(format!("stays:{n}").as_bytes())));
}

#[test]
fn a_snapshot_gives_the_same_sorted_set_back() {
    for entries_max in [0, 128] {
        let limits = settings(entries_max);
        let set = run(5, &limits, 60, 500, 100);
        let back = SortedSetValue::restore(set.is_packed(), set.by_place(), &settings(3)).unwrap();
        assert_eq!(digest_of(&back), digest_of(&set));
        assert_eq!(owned(back.range(0..back.len())), owned(set.range(0..set.len())));
        assert!(SortedSetValue::restore(set.is_packed(), set.by_place().chain(set.by_place()), &limits).is_none());
    }
    let limits = settings(9);
    assert!(SortedSetValue::restore(true, [("b", 2.0), ("a", 1.0)].into_iter(), &limits).is_none());
    assert!(SortedSetValue::restore(false, [("b", 2.0), ("a", 1.0)].into_iter(), &limits).is_some());
    assert!(SortedSetValue::restore(false, [("b", f64::NAN)].into_iter(), &limits).is_none());
}
