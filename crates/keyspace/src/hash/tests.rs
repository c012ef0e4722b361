//! A hash against a plain vector of pairs.

use super::*;
use crate::big::{FEW_BYTES_MAX, FEW_MAX};
use crate::{DataError, Random};

type Model = Vec<(Vec<u8>, Vec<u8>)>;

fn settings(entries_max: usize) -> Settings {
    let mut settings = Settings::new([1, 2]);
    settings.hash.entries_max = entries_max;
    settings
}

fn at(now_ms: u64) -> Context {
    Context::of_entry(0, now_ms, 0)
}

/// Names of all lengths up to twenty bytes.
fn name(random: &mut Random, bound: usize) -> Vec<u8> {
    let number = random.below(bound);
    format!("{number:0width$}", width = number % 20).into_bytes()
}

fn assert_same(hash: &HashValue, model: &Model) {
    let pairs: Vec<_> = hash.fields().map(|found| (found.field.to_vec(), found.value.to_vec())).collect();
    assert_eq!(&pairs, model);
    assert_eq!(hash.len(), model.len());
}

/// Removes as the encoding does: shifting, or moving the last pair into the hole.
fn remove_from(model: &mut Model, field: &[u8], is_packed: bool) -> bool {
    let Some(at) = model.iter().position(|pair| pair.0 == field) else { return false };
    if is_packed {
        model.remove(at);
    } else {
        model.swap_remove(at);
    }
    true
}

fn frozen_pairs(model: &Model) -> impl Iterator<Item = Timed<'_>> {
    model.iter().map(|(field, value)| Timed::lasting((field, value)))
}

/// Random commands, growing and shrinking, with a frozen copy held all the while.
fn behaves_as_a_vector(entries_max: usize, fields: usize) {
    let mut settings = settings(entries_max);
    if entries_max == usize::MAX {
        settings.hash.value_bytes_max = 200;
    }
    let mut random = Random::new(entries_max as u64);
    let (mut hash, mut model) = (HashValue::empty(), Model::new());
    let mut frozen = (hash.clone(), model.clone());
    let mut longest = 0;
    for round in 0..6 * fields {
        let field = name(&mut random, fields);
        let grows = (round / fields).is_multiple_of(2);
        if random.below(4) < if grows { 3 } else { 1 } {
            let bound = if random.below(2) == 0 { 20 } else { settings.hash.value_bytes_max + 1 };
            let value = vec![b'v'; random.below(bound)];
            let is_new = hash.insert(&field, &value, DeadlineChange::Clear, &settings);
            match model.iter_mut().find(|pair| pair.0 == field) {
                Some(pair) => pair.1 = value,
                None => model.push((field.clone(), value)),
            }
            assert_eq!(is_new, frozen.0.find(&field).is_none());
        } else {
            let is_packed = hash.is_packed();
            assert_eq!(hash.remove(&field), remove_from(&mut model, &field, is_packed));
        }
        assert_eq!(
            hash.find(&field).map(|found| found.value),
            model.iter().find(|pair| pair.0 == field).map(|pair| &pair.1[..])
        );
        if round % 97 == 0 {
            assert_same(&frozen.0, &frozen.1);
            assert_same(&hash, &model);
            // What a snapshot keeps goes on as the hash itself would.
            hash = HashValue::restore(hash.is_packed(), frozen_pairs(&model), &settings).expect("it was a hash");
            longest = longest.max(if hash.is_packed() { hash.len() } else { 0 });
        }
        frozen = (hash.clone(), frozen.1);
        frozen.1.clone_from(&model);
    }
    assert_same(&hash, &model);
    // One byte of a block tells 127 pairs.
    assert_eq!(longest > 127, entries_max == usize::MAX);
}

#[test]
fn dense_behaves_as_a_vector() {
    behaves_as_a_vector(0, 700);
}

#[test]
fn few_behave_as_a_vector() {
    for fields in 2..=2 * FEW_MAX {
        behaves_as_a_vector(0, fields);
    }
}

/// Few pairs take little more than their bytes, in either way of keeping them; a hash that has grown is dense for good.
#[test]
fn few_pairs_are_kept_in_a_block() {
    let settings = settings(128);
    let mut hash = HashValue::empty();
    hash.insert(b"name", &[0; 65], DeadlineChange::Clear, &settings);
    assert!(matches!(hash.body, Body::Few(_)));
    assert_eq!((hash.encoding(), hash.small_block()), ("hashtable", None));
    assert!(hash.allocated_bytes() < 65 + 64, "{}", hash.allocated_bytes());
    for number in 1..FEW_MAX {
        hash.insert(format!("{number}").as_bytes(), b"", DeadlineChange::Keep, &settings);
        assert!(matches!(hash.body, Body::Few(_)));
    }
    hash.set_deadline(b"1", Some(7), &settings);
    assert!(matches!(hash.body, Body::Few(_)));
    let [mut longer, mut more] = [hash.clone(), hash];
    longer.insert(b"1", &[0; FEW_BYTES_MAX], DeadlineChange::Clear, &settings);
    more.insert(b"more", b"", DeadlineChange::Clear, &settings);
    assert_eq!((longer.expiring_count(), more.expiring_count()), (0, 1));
    for hash in [&mut longer, &mut more] {
        assert!(matches!(hash.body, Body::Dense(_)));
        (1..FEW_MAX).for_each(|number| assert!(hash.remove(format!("{number}").as_bytes())));
        hash.remove(b"more");
        assert!(matches!(hash.body, Body::Dense(_)));
        assert!(hash.fields().eq([Timed::lasting((b"name", &[0; 65]))]));
    }
}

#[test]
fn behaves_as_a_vector_across_the_threshold() {
    behaves_as_a_vector(60, 200);
}

#[test]
fn packed_behaves_as_a_vector() {
    behaves_as_a_vector(usize::MAX, 300);
}

#[test]
fn a_long_value_or_one_field_too_many_makes_it_big_for_good() {
    let settings = settings(2);
    let mut hash = HashValue::empty();
    hash.insert(b"a", &[0; 64], DeadlineChange::Clear, &settings);
    hash.insert(b"b", b"", DeadlineChange::Clear, &settings);
    assert_eq!(hash.encoding(), "listpack");
    hash.insert(b"c", b"", DeadlineChange::Clear, &settings);
    assert_eq!(hash.encoding(), "hashtable");
    hash.remove(b"c");
    assert_eq!(hash.encoding(), "hashtable");
    let mut hash = HashValue::empty();
    hash.insert(b"a", &[0; 65], DeadlineChange::Clear, &settings);
    assert_eq!(hash.encoding(), "hashtable");
}

/// Whatever is there all the while is returned, however much else comes and goes.
#[test]
fn a_walk_misses_nothing_that_stays() {
    let settings = settings(0);
    let mut random = Random::new(5);
    let mut hash = HashValue::empty();
    for number in 0..1000 {
        hash.insert(format!("{number}").as_bytes(), b"", DeadlineChange::Clear, &settings);
    }
    let (mut cursor, mut seen) = (0, std::collections::BTreeSet::new());
    loop {
        let now = at(0);
        let (next, pairs) = hash.live(&now).scan(cursor, 7);
        seen.extend(pairs.map(|pair| pair.0.to_vec()));
        cursor = next;
        if cursor == 0 {
            break;
        }
        hash.remove(format!("{}", 100 + random.below(900)).as_bytes());
        hash.insert(format!("new{}", random.below(50)).as_bytes(), b"", DeadlineChange::Clear, &settings);
    }
    assert!((0..100).all(|number| seen.contains(format!("{number}").as_bytes())));
}

#[test]
fn a_walk_over_a_packed_hash_takes_one_step() {
    let mut hash = HashValue::empty();
    (0..50).for_each(|number| {
        hash.insert(format!("{number}").as_bytes(), b"", DeadlineChange::Clear, &settings(100));
    });
    let now = at(0);
    let (cursor, pairs) = hash.live(&now).scan(0, 10);
    assert_eq!((cursor, pairs.count()), (0, 50));
}

/// A write behind a frozen view weighs the same as one without.
#[test]
fn bytes_are_booked_and_given_back() {
    let settings = settings(0);
    let mut hash = HashValue::empty();
    hash.unpack(&settings);
    let empty = hash.allocated_bytes();
    for round in 0..3 {
        for number in 0..500 {
            hash.insert(format!("{number}").as_bytes(), &vec![b'x'; 3 * round], DeadlineChange::Clear, &settings);
        }
    }
    assert!(hash.allocated_bytes() > empty + 500 * 8);
    for number in 0..500 {
        assert!(hash.remove(format!("{number}").as_bytes()));
    }
    assert!(hash.allocated_bytes() < empty + 512, "but a small table");
}

#[test]
fn increments_say_what_is_wrong() {
    let mut hash = HashValue::empty();
    hash.insert(b"n", b"41", DeadlineChange::Clear, &settings(9));
    hash.insert(b"t", b" 1", DeadlineChange::Clear, &settings(9));
    hash.insert(b"m", format!("{}", i64::MAX).as_bytes(), DeadlineChange::Clear, &settings(9));
    assert_eq!(hash.live(&at(0)).incremented(b"n", 1), Ok(42));
    assert_eq!(hash.live(&at(0)).incremented(b"new", -1), Ok(-1));
    assert_eq!(hash.live(&at(0)).incremented(b"t", 1), Err(DataError::FieldNotInteger));
    assert_eq!(hash.live(&at(0)).incremented(b"m", 1), Err(DataError::Overflow));
}

#[test]
fn a_hash_with_a_field_twice_is_not_restored() {
    let pairs: [Pair<'_>; 3] = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")];
    for is_packed in [true, false] {
        assert!(HashValue::restore(is_packed, pairs.into_iter().map(Timed::lasting), &settings(9)).is_none());
        assert!(HashValue::restore(is_packed, pairs.into_iter().map(Timed::lasting).take(2), &settings(9)).is_some());
    }
}

#[test]
fn deadlines_behave_as_in_a_map() {
    deadlines_behave(400, 4000);
}

#[test]
fn deadlines_of_few_behave_as_in_a_map() {
    for fields in 2..2 * FEW_MAX {
        deadlines_behave(fields, 500);
    }
}

/// Random changes of fields with deadlines against a plain map, with every question after each.
fn deadlines_behave(fields: usize, rounds: usize) {
    let settings = settings(4);
    let mut random = Random::new(fields as u64);
    let mut hash = HashValue::empty();
    let mut model = std::collections::BTreeMap::<Vec<u8>, (Vec<u8>, Option<u64>)>::new();
    for round in 0..rounds {
        let (field, value) = (name(&mut random, fields), name(&mut random, 1000));
        let deadline_ms = 1 + random.below(50) as u64;
        match random.below(8) {
            0..3 => {
                hash.insert(&field, &value, DeadlineChange::At(deadline_ms), &settings);
                model.insert(field, (value, Some(deadline_ms)));
            }
            3 => {
                hash.insert(&field, &value, DeadlineChange::Keep, &settings);
                let kept = model.get(&field).and_then(|found| found.1);
                model.insert(field, (value, kept));
            }
            4 => {
                hash.insert(&field, &value, DeadlineChange::Clear, &settings);
                model.insert(field, (value, None));
            }
            5 => {
                let deadline_ms = Some(deadline_ms).filter(|deadline_ms| deadline_ms % 3 > 0);
                assert_eq!(hash.set_deadline(&field, deadline_ms, &settings), model.contains_key(&field));
                model.entry(field).and_modify(|found| found.1 = deadline_ms);
            }
            _ => assert_eq!(hash.remove(&field), model.remove(&field).is_some()),
        }
        let due = |until_ms: u64| model.values().filter(|found| found.1.is_some_and(|at| at <= until_ms)).count();
        assert_eq!(hash.expiring_count(), due(u64::MAX));
        let now = at(random.below(50) as u64);
        assert_eq!(hash.live(&now).len(), model.len() - due(now.now_ms));
        let first = model.iter().filter_map(|(field, found)| Some((found.1?, field))).min();
        assert_eq!(
            hash.next_due().map(|due| (due.deadline_ms, due.field.to_vec())),
            first.map(|(at, f)| (Some(at), f.clone()))
        );
        if round % 50 == 0 {
            let mut fields: Vec<_> =
                hash.fields().map(|f| (f.field.to_vec(), (f.value.to_vec(), f.deadline_ms))).collect();
            let back = HashValue::restore(hash.is_packed(), hash.fields(), &settings).expect("it was a hash");
            assert!(back.fields().eq(hash.fields()));
            hash = back;
            fields.sort();
            assert!(fields.into_iter().eq(model.clone()));
            assert_eq!(hash.live(&now).pairs().count(), hash.live(&now).len());
        }
    }
}

/// What only the wall clock calls due is shown, and noted.
#[test]
fn a_look_between_the_clocks_is_noted() {
    let settings = settings(4);
    let mut hash = HashValue::empty();
    hash.insert(b"a", b"1", DeadlineChange::At(20), &settings);
    hash.insert(b"b", b"2", DeadlineChange::Clear, &settings);
    let look = |wall_ms: u64, look: &dyn Fn(LiveHash<'_>) -> usize| {
        let context = Context::of_read(0, 10, wall_ms, 0);
        (look(hash.live(&context)), context.met_deadline.get())
    };
    assert_eq!(look(19, &|hash| hash.len()), (2, false));
    assert_eq!(look(20, &|hash| hash.len()), (2, true));
    assert_eq!(look(20, &|hash| usize::from(hash.contains(b"a"))), (1, true));
    assert_eq!(look(20, &|hash| usize::from(hash.contains(b"b"))), (1, false));
    assert_eq!(look(20, &|hash| usize::from(hash.is_empty())), (0, false));
    assert_eq!(look(20, &|hash| hash.pairs().count()), (2, true));
    assert_eq!(hash.live(&at(20)).len(), 1);
    assert!(!hash.live(&at(20)).contains(b"a"));
}
