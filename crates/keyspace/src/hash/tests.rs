//! A hash against a plain vector of pairs.

use super::*;
use crate::Random;

type Model = Vec<(Vec<u8>, Vec<u8>)>;

fn settings(entries_max: usize) -> Settings {
    let mut settings = Settings::new([1, 2]);
    settings.hash.entries_max = entries_max;
    settings
}

fn text(random: &mut Random, bound: usize) -> Vec<u8> {
    format!("{}", random.below(bound)).into_bytes()
}

fn assert_same(hash: &HashValue, model: &Model) {
    let pairs: Vec<_> = hash.pairs().map(|(field, value)| (field.to_vec(), value.to_vec())).collect();
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

fn frozen_pairs(model: &Model) -> impl Iterator<Item = Pair<'_>> {
    model.iter().map(|(field, value)| (&field[..], &value[..]))
}

/// Random commands, growing and shrinking, with a frozen copy held all the while.
fn behaves_as_a_vector(entries_max: usize, fields: usize) {
    let settings = settings(entries_max);
    let mut random = Random::new(entries_max as u64);
    let (mut hash, mut model) = (HashValue::empty(), Model::new());
    let mut frozen = (hash.clone(), model.clone());
    for round in 0..6 * fields {
        let field = text(&mut random, fields);
        let grows = (round / fields).is_multiple_of(2);
        if random.below(4) < if grows { 3 } else { 1 } {
            let value = vec![b'v'; random.below(80)];
            let is_new = hash.insert(&field, &value, &settings);
            match model.iter_mut().find(|pair| pair.0 == field) {
                Some(pair) => pair.1 = value,
                None => model.push((field.clone(), value)),
            }
            assert_eq!(is_new, !frozen.0.contains(&field));
        } else {
            let is_packed = hash.is_packed();
            assert_eq!(hash.remove(&field), remove_from(&mut model, &field, is_packed));
        }
        assert_eq!(hash.get(&field), model.iter().find(|pair| pair.0 == field).map(|pair| &pair.1[..]));
        if round % 97 == 0 {
            assert_same(&frozen.0, &frozen.1);
            assert_same(&hash, &model);
            // What a snapshot keeps goes on as the hash itself would.
            hash = HashValue::restore(hash.is_packed(), frozen_pairs(&model), &settings).expect("it was a hash");
        }
        frozen = (hash.clone(), frozen.1);
        frozen.1.clone_from(&model);
    }
    assert_same(&hash, &model);
}

#[test]
fn dense_behaves_as_a_vector() {
    behaves_as_a_vector(0, 700);
}

#[test]
fn behaves_as_a_vector_across_the_threshold() {
    behaves_as_a_vector(60, 200);
}

#[test]
fn packed_behaves_as_a_vector() {
    behaves_as_a_vector(usize::MAX, 100);
}

#[test]
fn a_long_value_or_one_field_too_many_makes_it_big_for_good() {
    let settings = settings(2);
    let mut hash = HashValue::empty();
    hash.insert(b"a", &[0; 64], &settings);
    hash.insert(b"b", b"", &settings);
    assert_eq!(hash.encoding(), "listpack");
    hash.insert(b"c", b"", &settings);
    assert_eq!(hash.encoding(), "hashtable");
    hash.remove(b"c");
    assert_eq!(hash.encoding(), "hashtable");
    let mut hash = HashValue::empty();
    hash.insert(b"a", &[0; 65], &settings);
    assert_eq!(hash.encoding(), "hashtable");
}

/// Whatever is there all the while is returned, however much else comes and goes.
#[test]
fn a_walk_misses_nothing_that_stays() {
    let settings = settings(0);
    let mut random = Random::new(5);
    let mut hash = HashValue::empty();
    for number in 0..1000 {
        hash.insert(format!("{number}").as_bytes(), b"", &settings);
    }
    let (mut cursor, mut seen) = (0, std::collections::BTreeSet::new());
    loop {
        let (next, pairs) = hash.scan(cursor, 7);
        seen.extend(pairs.map(|pair| pair.0.to_vec()));
        cursor = next;
        if cursor == 0 {
            break;
        }
        hash.remove(format!("{}", 100 + random.below(900)).as_bytes());
        hash.insert(format!("new{}", random.below(50)).as_bytes(), b"", &settings);
    }
    assert!((0..100).all(|number| seen.contains(format!("{number}").as_bytes())));
}

#[test]
fn a_walk_over_a_packed_hash_takes_one_step() {
    let mut hash = HashValue::empty();
    (0..50).for_each(|number| {
        hash.insert(format!("{number}").as_bytes(), b"", &settings(100));
    });
    let (cursor, pairs) = hash.scan(0, 10);
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
            hash.insert(format!("{number}").as_bytes(), &vec![b'x'; 3 * round], &settings);
        }
    }
    assert!(hash.allocated_bytes() > empty + 500 * 8);
    for number in 0..500 {
        assert!(hash.remove(format!("{number}").as_bytes()));
    }
    assert_eq!(hash.allocated_bytes(), empty);
}

#[test]
fn increments_say_what_is_wrong() {
    let mut hash = HashValue::empty();
    hash.insert(b"n", b"41", &settings(9));
    hash.insert(b"t", b" 1", &settings(9));
    hash.insert(b"m", format!("{}", i64::MAX).as_bytes(), &settings(9));
    assert_eq!(hash.incremented(b"n", 1), Ok(42));
    assert_eq!(hash.incremented(b"new", -1), Ok(-1));
    assert_eq!(hash.incremented(b"t", 1), Err(DataError::FieldNotInteger));
    assert_eq!(hash.incremented(b"m", 1), Err(DataError::Overflow));
}

#[test]
fn a_hash_with_a_field_twice_is_not_restored() {
    let pairs: [Pair<'_>; 3] = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")];
    for is_packed in [true, false] {
        assert!(HashValue::restore(is_packed, pairs.into_iter(), &settings(9)).is_none());
        assert!(HashValue::restore(is_packed, pairs.into_iter().take(2), &settings(9)).is_some());
    }
}
