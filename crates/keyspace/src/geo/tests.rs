use super::*;
use crate::random::Random;
use crate::settings::Settings;
use crate::sorted_set::SortedSetValue;

fn position(random: &mut Random) -> Position {
    let mut within = |end: f64| {
        let part = f64::from(u32::try_from(random.bits() >> 32).unwrap()) / f64::from(u32::MAX);
        (part * 2.0 - 1.0) * end
    };
    Position { longitude: within(LONGITUDE_MAX), latitude: within(LATITUDE_MAX) }
}

/// From redis-server, which has them from its documentation.
#[test]
fn scores_and_places_are_those_of_redis() {
    let palermo = Position::new(13.361389, 38.115556).unwrap();
    let catania = Position::new(15.087269, 37.502669).unwrap();
    assert_eq!(palermo.to_score(), 3_479_099_956_230_698.0);
    assert_eq!(catania.to_score(), 3_479_447_370_796_909.0);
    let stored = Position::of_score(palermo.to_score());
    assert_eq!(
        format!("{:.17} {:.17}", stored.longitude, stored.latitude),
        "13.36138933897018433 38.11555639549629859"
    );
    assert_eq!(&stored.to_geohash(), b"sqc8b49rny0");
    let distance = stored.distance_m(Position::of_score(catania.to_score()));
    assert_eq!(format!("{distance:.4}"), "166274.1516");
    assert_eq!(Position::new(180.0, 85.05112878).unwrap().to_score(), 13_510_798_882_111_488.0);
    assert_eq!(Position::new(-180.0, -85.05112878).unwrap().to_score(), 0.0);
}

#[test]
fn a_score_holds_its_place() {
    let mut random = Random::new(1);
    for _ in 0..2_000 {
        let place = position(&mut random);
        let stored = Position::of_score(place.to_score());
        assert!((stored.longitude - place.longitude).abs() < 6e-6 && (stored.latitude - place.latitude).abs() < 3e-6);
        assert_eq!(stored.to_score(), place.to_score());
    }
    for score in [-1.0, 1.5, 1e300, f64::INFINITY, f64::NEG_INFINITY, 18_446_744_073_709_551_615.0] {
        let place = Position::of_score(score);
        assert!(Position::new(place.longitude, place.latitude).is_some(), "{score}");
    }
    assert_eq!(Position::new(180.1, 0.0), None);
    assert_eq!(Position::new(0.0, f64::NAN), None);
}

/// A search finds what a look at every member would, away from the poles and from the date line, where Redis's cells end.
#[test]
fn finds_what_lies_within() {
    let mut random = Random::new(2);
    let settings = Settings::new([1, 2]);
    for round in 0..60 {
        let around = Position { longitude: 10.0 + f64::from(round), latitude: f64::from(round) - 30.0 };
        let near = |random: &mut Random, spread: f64| {
            let offset = position(random);
            Position {
                longitude: around.longitude + offset.longitude / 180.0 * spread,
                latitude: around.latitude + offset.latitude / 90.0 * spread,
            }
        };
        let members: Vec<_> =
            (0..300u32).map(|number| (number.to_le_bytes(), near(&mut random, 8.0).to_score())).collect();
        let set = SortedSetValue::collect(members.iter().copied(), &settings);
        let middle = near(&mut random, 1.0);
        let size = 1.0 + f64::from(u32::try_from(random.below(600)).unwrap());
        let searches = [
            Search::around(middle, Shape::Circle { radius: size }, 1000.0),
            Search::around(middle, Shape::Box { width: size, height: size / 2.0 }, 1000.0),
            Search::within((0..3 + random.below(4)).map(|_| near(&mut random, 4.0)).collect()),
        ];
        for search in searches {
            let mut found: Vec<_> = search.find(&set, 0).into_iter().map(|found| found.member).collect();
            found.sort();
            let is_in = |score: f64| search.distance_within(Position::of_score(score)).is_some();
            let mut wanted: Vec<_> =
                members.iter().filter(|(_, score)| is_in(*score)).map(|(member, _)| member.to_vec()).collect();
            wanted.sort();
            assert_eq!(found, wanted, "{search:?}");
            assert_eq!(search.find(&set, 2).len(), wanted.len().min(2));
        }
    }
}

#[test]
fn a_cell_is_surrounded_by_eight() {
    let cell = Cell::around(Position { longitude: 0.1, latitude: 0.1 }, MERCATOR, 3);
    assert_eq!(cell.moved(1, 1).moved(-1, -1), cell);
    let corner = Cell::around(Position { longitude: -180.0, latitude: -85.0 }, MERCATOR, 3);
    assert_eq!(corner.moved(-1, 0).bounds(MERCATOR).longitude.1, 180.0);
    assert_eq!(corner.moved(0, -1).bounds(MERCATOR).latitude.1, LATITUDE_MAX);
}
