//! A list against a plain vector.

use super::*;
use crate::Random;

type Model = Vec<Vec<u8>>;

fn settings(packed_size: i64) -> Settings {
    let mut settings = Settings::new([1, 2]);
    settings.list_packed_size = packed_size;
    settings
}

/// Mostly short, sometimes longer than a chunk may be.
fn element(random: &mut Random) -> Vec<u8> {
    match random.below(40) {
        0 => vec![b'L'; 5000],
        1..10 => vec![b's'; random.below(300)],
        _ => format!("{}", random.below(20)).into_bytes(),
    }
}

fn assert_same(list: &ListValue, model: &Model) {
    assert_eq!(list.len(), model.len());
    assert!(list.elements().eq(model.iter().map(|element| &element[..])));
    assert!(list.elements().rev().eq(model.iter().rev().map(|element| &element[..])));
}

fn remove_equal(model: &mut Model, element: &[u8], count_max: usize, from: ListEnd) -> usize {
    let equal: Vec<usize> = (0..model.len()).filter(|&index| model[index] == element).collect();
    let removed = equal.len().min(count_max);
    let gone = if from == ListEnd::Front { &equal[..removed] } else { &equal[equal.len() - removed..] };
    gone.iter().rev().for_each(|&index| {
        model.remove(index);
    });
    removed
}

/// One random change of both.
fn change(list: &mut ListValue, model: &mut Model, grows: bool, random: &mut Random, settings: &Settings) {
    let element = element(random);
    let end = if random.below(2) == 0 { ListEnd::Front } else { ListEnd::Back };
    let index = random.below(model.len() + 1);
    match random.below(if grows { 8 } else { 12 }) {
        0..4 => {
            list.push(end, &element, settings);
            model.insert(if end == ListEnd::Front { 0 } else { model.len() }, element);
        }
        4..6 => {
            list.insert(index, &element, settings);
            model.insert(index, element);
        }
        6 if index < model.len() => {
            list.set(index, &element, settings);
            model[index] = element;
        }
        7 => {
            let count_max = 1 + random.below(3);
            let removed = list.remove_equal(&element, count_max, end, settings);
            assert_eq!(removed, remove_equal(model, &element, count_max, end));
        }
        8 if random.below(10) == 0 => {
            let start = random.below(model.len() + 1);
            let range = start.min(index)..start.max(index);
            list.keep(range.clone(), settings);
            *model = model[range].to_vec();
        }
        _ => {
            let count = random.below(4).min(model.len());
            list.remove_at_end(end, count, settings);
            model.drain(if end == ListEnd::Front { 0..count } else { model.len() - count..model.len() });
        }
    }
}

fn digest_of(list: &ListValue) -> u64 {
    let mut digest = Digest::new();
    list.digest(&mut digest);
    digest.finish()
}

/// Random changes, growing and shrinking, with a frozen copy held all the while.
fn behaves_as_a_vector(packed_size: i64) {
    let settings = settings(packed_size);
    let mut random = Random::new(packed_size.unsigned_abs() + 11);
    let (mut list, mut model) = (ListValue::empty(), Model::new());
    let mut frozen = (list.clone(), model.clone());
    let mut encodings = std::collections::BTreeSet::new();
    for round in 0..3000usize {
        change(&mut list, &mut model, (round / 500).is_multiple_of(2), &mut random, &settings);
        encodings.insert(list.encoding());
        let index = random.below(model.len() + 1);
        assert_eq!(list.get(index), model.get(index).map(|element| &element[..]));
        if round % 37 == 0 {
            assert_same(&list, &model);
            assert_same(&frozen.0, &frozen.1);
            assert!(list.range(index..model.len()).eq(model[index..].iter().map(|element| &element[..])));
            frozen = (list.clone(), model.clone());
            // What a snapshot keeps goes on as the list itself would.
            if !list.is_empty() {
                list = ListValue::restore(list.is_packed(), list.chunks()).expect("it was a list");
                assert_eq!(digest_of(&list), digest_of(&frozen.0));
            }
        }
    }
    assert_same(&list, &model);
    assert_eq!(encodings.len(), 2, "the list was small and big");
    list.keep(0..0, &settings);
    assert!(CollectionValue::is_empty(&list));
}

#[test]
fn behaves_as_a_vector_with_limits_in_bytes() {
    (-2..0).for_each(behaves_as_a_vector);
}

#[test]
fn behaves_as_a_vector_with_limits_in_elements() {
    [0, 1, 2, 3, 20, 128].into_iter().for_each(behaves_as_a_vector);
}

/// The figures are those of valkey-server 9.1 with the default limit of 8 KiB.
#[test]
fn is_packed_as_long_as_in_redis() {
    let settings = settings(-2);
    let mut list = ListValue::empty();
    while list.is_packed() {
        list.push(ListEnd::Back, &[b'x'; 30], &settings);
    }
    assert_eq!(list.len(), 256);
    while !list.is_packed() {
        list.remove_at_end(ListEnd::Back, 1, &settings);
    }
    assert_eq!(list.len(), 127);
}

/// What is emptied holds no memory but its own.
#[test]
fn bytes_are_booked_and_given_back() {
    let settings = settings(-1);
    let mut list = ListValue::empty();
    list.unpack();
    let empty = list.allocated_bytes();
    (0..5000).for_each(|number| list.push(ListEnd::Back, format!("{number}").as_bytes(), &settings));
    assert!(list.allocated_bytes() > empty + 5000 * 5);
    list.insert(2500, &[0; 100_000], &settings);
    assert!(list.allocated_bytes() > 100_000);
    list.remove_equal(&[0; 100_000], 1, ListEnd::Front, &settings);
    assert!(list.allocated_bytes() < 100_000);
    let Body::Chunked(chunked) = &mut list.body else { panic!("it is big") };
    chunked.keep(0..0);
    assert_eq!(list.allocated_bytes(), empty);
}

/// No chunk outgrows the limits, wherever elements are put.
#[test]
fn chunks_are_divided() {
    let settings = settings(-1);
    let mut list = ListValue::empty();
    (0..4000).for_each(|number| list.insert(number / 2, format!("{number}").as_bytes(), &settings));
    list.insert(1000, &[b'L'; 20_000], &settings);
    let Body::Chunked(chunked) = &list.body else { panic!("it is big") };
    assert!(chunked.chunks().all(|chunk| chunk.weight() <= 4096 || chunk.len() == 1));
    assert!(chunked.chunks().count() < 30);
}

#[test]
fn a_list_that_cannot_be_is_not_restored() {
    let two = [&[b"a".as_slice(), b"b"][..], &[b"c"]];
    let chunks = |chunks: &'static [&'static [&'static [u8]]]| {
        chunks.iter().map(|elements| elements.iter().copied()).collect::<Vec<_>>().into_iter()
    };
    assert!(ListValue::restore(false, two.iter().map(|elements| elements.iter().copied())).is_some());
    assert!(ListValue::restore(true, two.iter().map(|elements| elements.iter().copied())).is_none());
    assert!(ListValue::restore(true, chunks(&[])).is_none());
    assert!(ListValue::restore(false, chunks(&[&[]])).is_none());
}

/// Redis makes room for an element before it knows that there is no place for it.
#[test]
fn what_is_expected_in_vain_makes_big_and_is_no_change() {
    let mut keyspace = crate::Keyspace::new(settings(-2));
    let (context, small) = (crate::Context::of_entry(0, 1, 1), *keyspace.settings());
    keyspace.edit_or_new::<ListValue>(&context, b"list").unwrap().push(ListEnd::Back, &[b'x'; 8000], &small);
    let before = keyspace.revision();
    for (bytes, encoding) in [(100, "listpack"), (300, "quicklist"), (1, "quicklist")] {
        let mut list = keyspace.edit::<ListValue>(&context, b"list").unwrap().unwrap();
        ListValue::expect_in_vain(&mut list, &vec![b'y'; bytes], &small);
        assert_eq!((list.len(), list.encoding()), (1, encoding));
    }
    assert_eq!(keyspace.revision(), before);
}
