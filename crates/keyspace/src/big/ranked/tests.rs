//! Rows in an order against a vector.

use super::*;
use crate::random::Random;

/// A key and how long the name is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tagged(Option<u64>, usize);

impl Head for Tagged {
    fn name(self, bytes: &[u8]) -> &[u8] {
        &bytes[..self.1]
    }
}

impl Keyed for Tagged {
    fn key(self, _: &[u8]) -> Option<u64> {
        self.0
    }
}

/// By place.
type Model = Vec<(Tagged, Vec<u8>)>;

fn name(row: &(Tagged, Vec<u8>)) -> &[u8] {
    row.0.name(&row.1)
}

/// The places in the order.
fn ordered(model: &Model) -> Vec<usize> {
    let mut places: Vec<_> = (0..model.len()).filter(|&place| model[place].0.0.is_some()).collect();
    places.sort_by_key(|&place| (model[place].0.0, name(&model[place])));
    places
}

fn check(ranked: &Ranked<Tagged>, model: &Model) {
    let owned = |row: Row<'_, Tagged>| (row.head, row.bytes.to_vec());
    assert!(ranked.rows().iter().map(owned).eq(model.iter().cloned()));
    let places = ordered(model);
    assert_eq!(ranked.ranked_count(), places.len());
    assert!(ranked.range(0..places.len()).map(owned).eq(places.iter().map(|&place| model[place].clone())));
    for (rank, &place) in places.iter().enumerate() {
        assert_eq!(ranked.rank(place), Some(rank));
        assert_eq!(ranked.rows().place(name(&model[place])), Some(place));
        assert_eq!(owned(ranked.at_rank(rank)), model[place]);
    }
    let below = places.iter().filter(|&&place| model[place].0.0 < Some(2)).count();
    assert_eq!(ranked.partition_point(|key| key < 2), below);
}

/// Names of different lengths, some of them long; keys of which many are equal, if any.
fn row(random: &mut Random, key_count: usize) -> (Tagged, Vec<u8>) {
    let number = random.below(400);
    let mut bytes = format!("{number}:").into_bytes();
    bytes.resize(bytes.len() + [0, 3, 30, 108, 300][number % 5], b'n');
    let name_length = bytes.len();
    bytes.resize(name_length + [0, 1, 10, 100][random.below(4)], b'v');
    let key = (random.below(4) > 0).then(|| random.below(key_count) as u64);
    (Tagged(key, name_length), bytes)
}

fn run(seed: u64, key_count: usize) {
    let mut random = Random::new(seed);
    let (mut ranked, mut model) = (Ranked::new([1, seed]), Model::new());
    let (mut frozen, mut frozen_model) = (ranked.clone(), model.clone());
    for step in 0..3000 {
        let new = row(&mut random, key_count);
        let place = model.iter().position(|other| name(other) == name(&new));
        assert_eq!(ranked.rows().place(name(&new)), place);
        match (place, random.below(20)) {
            (_, 0) if step % 40 == 0 => {
                let places = ordered(&model);
                let start = random.below(places.len() + 1);
                let end = (start + random.below(40)).min(places.len());
                let removed: Vec<_> = places[start..end].iter().map(|&place| name(&model[place]).to_vec()).collect();
                for gone in removed {
                    model.swap_remove(model.iter().position(|row| name(row) == gone).unwrap());
                }
                ranked.remove_range(start..end);
            }
            (None, _) => {
                ranked.push(new.0, Body::whole(&new.1));
                model.push(new);
            }
            (Some(place), 0..=6) => {
                ranked.remove(place);
                model.swap_remove(place);
            }
            (Some(place), 7..=12) => {
                ranked.set_head(place, new.0);
                model[place].0 = new.0;
            }
            (Some(place), _) => {
                ranked.replace(place, new.0, Body::whole(&new.1));
                model[place] = new;
            }
        }
        if step % 100 == 0 {
            check(&ranked, &model);
            check(&frozen, &frozen_model);
            (frozen, frozen_model) = (ranked.clone(), model.clone());
        }
    }
    check(&ranked, &model);
    let (places, middle) = (ordered(&model), model.len() / 2);
    ranked.keep_around(1..middle);
    let kept = places[..1].iter().chain(&places[middle..]).map(|&place| model[place].clone()).collect();
    check(&ranked, &kept);
}

#[test]
fn rows_stand_where_their_keys_and_names_say() {
    for seed in 0..4 {
        run(seed, 1);
        run(seed, 4);
        run(seed, 100_000);
    }
}
