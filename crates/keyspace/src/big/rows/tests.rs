//! Rows against a vector of vectors.

use super::*;
use crate::random::Random;

type Model = Vec<(u64, Vec<u8>)>;

fn check(rows: &Rows<u64>, model: &Model) {
    assert_eq!(rows.len(), model.len());
    let found = rows.iter().map(|row| (row.head, row.bytes));
    assert!(found.eq(model.iter().map(|(head, bytes)| (*head, bytes.as_slice()))));
}

fn held_bytes(rows: &Rows<u64>) -> usize {
    (0..rows.len()).step_by(CHUNK_ROWS).map(|place| rows.chunk(place / CHUNK_ROWS).held_bytes()).sum()
}

/// Mostly short ones, all lengths around the bound, and none at all.
fn bytes_of(random: &mut Random) -> Vec<u8> {
    let length = match random.below(10) {
        0 => 105 + random.below(15),
        1 => 5000,
        2 => 0,
        _ => random.below(30),
    };
    vec![b'a' + u8::try_from(random.below(26)).unwrap(); length]
}

fn body<'a>(random: &mut Random, bytes: &'a [u8]) -> Body<'a> {
    let (front, rest) = bytes.split_at(random.below(bytes.len() + 1));
    let (middle, back) = rest.split_at(random.below(rest.len() + 1));
    Body::joined([front, middle, back])
}

#[test]
fn rows_of_all_lengths_behave_as_a_vector() {
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let (mut rows, mut model) = (Rows::new(), Model::new());
        let (mut frozen, mut frozen_model) = (rows.clone(), model.clone());
        for step in 0..6000u64 {
            let bytes = bytes_of(&mut random);
            let grows = step / 1500 % 2 == 0;
            match random.below(10) {
                0 if !model.is_empty() => {
                    let place = random.below(model.len());
                    rows.set_head(place, step);
                    model[place].0 = step;
                }
                1..=4 if !model.is_empty() => {
                    let place = random.below(model.len());
                    rows.replace(place, step, body(&mut random, &bytes));
                    model[place] = (step, bytes);
                }
                kind if !model.is_empty() && (kind == 5 || !grows) => {
                    let place = random.below(model.len());
                    rows.swap_remove(place);
                    model.swap_remove(place);
                }
                _ => {
                    rows.push(step, body(&mut random, &bytes));
                    model.push((step, bytes));
                }
            }
            if step % 500 == 0 {
                check(&rows, &model);
                check(&frozen, &frozen_model);
                assert_eq!((rows.held_bytes, frozen.held_bytes), (held_bytes(&rows), held_bytes(&frozen)));
                (frozen, frozen_model) = (rows.clone(), model.clone());
            }
        }
        while !model.is_empty() {
            let place = random.below(model.len());
            rows.swap_remove(place);
            model.swap_remove(place);
        }
        check(&rows, &model);
        assert_eq!(rows.allocated_bytes(), 0);
    }
}

/// Over the seams of chunks and groups and back, with a clone that must not change.
#[test]
fn groups_are_filled_and_opened_again() {
    let count = 2 * GROUP_CHUNKS * CHUNK_ROWS + 300;
    let (mut rows, mut model) = (Rows::new(), Model::new());
    for number in 0..count as u64 {
        let bytes = number.to_le_bytes();
        rows.push(number, Body::whole(&bytes));
        model.push((number, bytes.to_vec()));
    }
    let (frozen, frozen_model) = (rows.clone(), model.clone());
    for place in (0..count).step_by(97) {
        rows.replace(place, 7, Body::whole(b"x"));
        model[place] = (7, b"x".to_vec());
    }
    check(&rows, &model);
    assert!(rows.iter().rev().map(|row| row.head).eq(model.iter().rev().map(|row| row.0)));
    for place in (0..count).rev() {
        let removed = if place % 3 == 0 { 0 } else { place };
        rows.swap_remove(removed);
        model.swap_remove(removed);
    }
    check(&rows, &model);
    check(&frozen, &frozen_model);
}

/// A chunk that is copied while it fills up gets no more room than it needs.
#[test]
fn a_copied_chunk_has_room_for_its_rows() {
    let mut rows = Rows::new();
    for number in 0..4 * CHUNK_ROWS as u64 {
        let frozen = rows.clone();
        rows.push(number, Body::whole(&[b'x'; 16]));
        assert_eq!(frozen.len() + 1, rows.len());
    }
    assert_eq!(rows.held_bytes, 4 * CHUNK_ROWS * (size_of::<u64>() + size_of::<u16>() + 16));
}

/// What a write behind a clone copies is bounded, and long bytes stay where they are.
#[test]
fn a_chunk_is_small_and_shares_long_bytes() {
    let mut rows = Rows::new();
    (0..CHUNK_ROWS).for_each(|_| rows.push((), Body::whole(&[b'x'; 112])));
    assert_eq!(rows.chunk(0).held_bytes(), 14_336 + 256);
    (0..CHUNK_ROWS).for_each(|_| rows.push((), Body::whole(&[b'x'; 10_000])));
    assert_eq!(rows.chunk(1).held_bytes(), 256 + CHUNK_ROWS * (16 + 10_240));
    let mut copy = rows.clone();
    copy.replace(CHUNK_ROWS, (), Body::whole(b"short"));
    assert_eq!(rows.at(CHUNK_ROWS).bytes.len(), 10_000);
    assert_eq!(copy.at(CHUNK_ROWS).bytes, b"short");
    let shared = CHUNK_ROWS + 1;
    assert_eq!(rows.at(shared).bytes.as_ptr(), copy.at(shared).bytes.as_ptr());
    assert_eq!(Rows::<()>::new().body_shares(&copy, shared), copy.at(shared).bytes.as_ptr());
}

impl Rows<()> {
    /// Where the bytes are after a row was moved to other rows.
    fn body_shares(mut self, other: &Self, place: usize) -> *const u8 {
        self.push((), other.body(place));
        self.at(0).bytes.as_ptr()
    }
}
