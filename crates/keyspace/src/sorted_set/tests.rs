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
    let bound = score_of(random);
    assert_eq!(set.partition_point(|score, _| score < bound), all.iter().filter(|pair| pair.1 < bound).count());
    assert_eq!(set.partition_point(|score, _| score <= bound), all.iter().filter(|pair| pair.1 <= bound).count());
    let by_place: BTreeSet<_> = (0..set.len()).map(|place| set.at(place).0.to_vec()).collect();
    assert_eq!(by_place.len(), all.len());
}

/// Few different scores, so that members decide often.
fn score_of(random: &mut Random) -> f64 {
    [f64::NEG_INFINITY, -1.5, 0.0, 1.0, 1.5, 2.0, 1e300, f64::INFINITY][random.below(8)]
}

fn run(seed: u64, settings: &Settings, name_count: usize, steps: usize, check_every: usize) -> SortedSetValue {
    let mut random = Random::new(seed);
    let (mut set, mut model) = (SortedSetValue::empty(), Model::new());
    for step in 0..steps {
        let member = format!("m{}", random.below(name_count)).into_bytes();
        match random.below(20) {
            0..=11 => {
                let score = if random.below(2) == 0 { score_of(&mut random) } else { random.below(1000) as f64 };
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
