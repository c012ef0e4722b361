//! Searches: the members of a sorted set within a shape.

use super::cell::{Bounds, Cell, STEP_MAX};
use super::{EARTH_RADIUS_M, MERCATOR, Position, degrees, radians};
use crate::sorted_set::SortedSetValue;

/// Half of the width of Web Mercator, in metres.
const MERCATOR_MAX_M: f64 = 20_037_726.37;

/// What is searched.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Everything within a distance from the middle.
    Circle {
        /// The distance.
        radius: f64,
    },
    /// Everything within half a width to the east and west of the middle, at the latitude where it is, and half a height to the north and south.
    Box {
        /// From west to east.
        width: f64,
        /// From south to north.
        height: f64,
    },
    /// Everything within these vertices, at least three, joined in order by lines of the map.
    Polygon(Vec<Position>),
}

/// A shape around its middle.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    shape: Shape,
    middle: Position,
    /// The metres of the unit in which the shape is given.
    unit_m: f64,
}

/// A member that lies within the shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The member.
    pub member: Vec<u8>,
    /// Its score.
    pub score: f64,
    /// Its place.
    pub position: Position,
    /// Its distance from the middle, in metres.
    pub distance_m: f64,
}

impl Search {
    /// A search around a place. The shape is in units of so many metres.
    pub fn around(middle: Position, shape: Shape, unit_m: f64) -> Self {
        debug_assert!(!matches!(shape, Shape::Polygon(_)), "a polygon has a middle of its own");
        Self { shape, middle, unit_m }
    }

    /// A search within a polygon.
    pub fn within(vertices: Vec<Position>) -> Self {
        debug_assert!(vertices.len() >= 3);
        Self { middle: mean(&vertices), shape: Shape::Polygon(vertices), unit_m: 1.0 }
    }

    /// The members within the shape, cell by cell, in each by score; `count_max` of them, if that is not 0. None where the middle is nearer to a pole
    /// than a place can be, as that of a polygon around the pole: Valkey has no cell for it, and searches in what its memory happens to hold.
    pub fn find(&self, set: &SortedSetValue, count_max: usize) -> Vec<Found> {
        let mut found = Vec::new();
        if self.middle.latitude.abs() > MERCATOR.latitude_max {
            return found;
        }
        let mut last = None;
        for (at, cell) in self.cells().into_iter().enumerate() {
            let Some(cell) = cell else { continue };
            // Of a wide search neighbours may be the same: redis: geo.c membersOfAllNeighbors.
            if last == Some(cell) {
                continue;
            }
            last = (at > 0).then_some(cell);
            let scores = cell.scores();
            let first = set.partition_by_score(|score| score < scores.start);
            for (member, score) in set.range(first..set.len()).take_while(|(_, score)| *score < scores.end) {
                if count_max > 0 && found.len() >= count_max {
                    return found;
                }
                let position = Position::of_score(score);
                if let Some(distance_m) = self.distance_within(position) {
                    found.push(Found { member: member.to_vec(), score, position, distance_m });
                }
            }
        }
        found
    }

    /// The distance of a place from the middle, in metres, if the shape holds the place.
    pub(super) fn distance_within(&self, position: Position) -> Option<f64> {
        let distance_m = || self.middle.distance_m(position);
        match &self.shape {
            Shape::Circle { radius } => {
                let distance_m = distance_m();
                // Not a number is not greater either.
                if distance_m > radius * self.unit_m { None } else { Some(distance_m) }
            }
            Shape::Box { width, height } => {
                let to_north_m = EARTH_RADIUS_M * (radians(self.middle.latitude) - radians(position.latitude)).abs();
                let beside = Position { latitude: position.latitude, ..self.middle };
                let is_outside =
                    to_north_m > height * self.unit_m / 2.0 || position.distance_m(beside) > width * self.unit_m / 2.0;
                if is_outside { None } else { Some(distance_m()) }
            }
            Shape::Polygon(vertices) => {
                if is_within(position, vertices) {
                    Some(distance_m())
                } else {
                    None
                }
            }
        }
    }

    /// The cell of the middle and those around it that the shape may reach.
    fn cells(&self) -> [Option<Cell>; 9] {
        let reach = self.reach();
        let mut step = steps(self.radius_m(&reach), self.middle.latitude);
        let mut cell = Cell::around(self.middle, MERCATOR, step);
        let bounds = |cell: Cell| cell.bounds(MERCATOR);
        let is_too_small = bounds(cell.moved(0, 1)).latitude.1 < reach.latitude.1
            || bounds(cell.moved(0, -1)).latitude.0 > reach.latitude.0
            || bounds(cell.moved(1, 0)).longitude.1 < reach.longitude.1
            || bounds(cell.moved(-1, 0)).longitude.0 > reach.longitude.0;
        if step > 1 && is_too_small {
            step -= 1;
            cell = Cell::around(self.middle, MERCATOR, step);
        }
        let own = bounds(cell);
        let is_needed = |east: i32, north: i32| {
            step < 2
                || !(north < 0 && own.latitude.0 < reach.latitude.0
                    || north > 0 && own.latitude.1 > reach.latitude.1
                    || east < 0 && own.longitude.0 < reach.longitude.0
                    || east > 0 && own.longitude.1 > reach.longitude.1)
        };
        [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)]
            .map(|(east, north)| is_needed(east, north).then(|| cell.moved(east, north)))
    }

    /// The distance from the middle to the farthest end of the shape, or of a polygon's reach, more or less, in metres.
    fn radius_m(&self, reach: &Bounds) -> f64 {
        let diagonal =
            |width: f64, height: f64| ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt();
        match &self.shape {
            Shape::Circle { radius } => radius * self.unit_m,
            Shape::Box { width, height } => diagonal(*width, *height) * self.unit_m,
            Shape::Polygon(_) => {
                // Not to its vertices: if it crosses the meridian of 180 degrees, the corners lie far from the middle.
                let Bounds { longitude: (west, east), latitude: (south, north) } = *reach;
                let corners = [(west, south), (west, north), (east, south), (east, north)];
                let distance_m = |(longitude, latitude)| self.middle.distance_m(Position { longitude, latitude });
                corners.map(distance_m).into_iter().fold(0.0, f64::max)
            }
        }
    }

    /// The least and the greatest coordinates of the shape.
    fn reach(&self) -> Bounds {
        let (width, height) = match &self.shape {
            Shape::Circle { radius } => (*radius, *radius),
            Shape::Box { width, height } => (width / 2.0, height / 2.0),
            Shape::Polygon(vertices) => return hull(vertices),
        };
        let Position { longitude, latitude } = self.middle;
        let to_north = degrees(self.unit_m * height / EARTH_RADIUS_M);
        // The shape is widest on the side of the pole.
        let widest = if latitude < 0.0 { latitude - to_north } else { latitude + to_north };
        let to_east = degrees(self.unit_m * width / EARTH_RADIUS_M / libm::cos(radians(widest)));
        Bounds {
            longitude: (longitude - to_east, longitude + to_east),
            latitude: (latitude - to_north, latitude + to_north),
        }
    }
}

/// How many bits of a coordinate tell cells of at least this size apart.
fn steps(mut range_m: f64, latitude: f64) -> u32 {
    if range_m == 0.0 {
        return STEP_MAX;
    }
    let mut step = 1i32;
    while range_m < MERCATOR_MAX_M {
        range_m *= 2.0;
        step += 1;
    }
    // So that the range lies within the cells in most cases; towards the poles they are narrower.
    step -= 2 + i32::from(latitude.abs() > 66.0) + i32::from(latitude.abs() > 80.0);
    u32::try_from(step.max(1)).expect("positive").min(STEP_MAX)
}

fn hull(vertices: &[Position]) -> Bounds {
    let ends = |coordinate: fn(&Position) -> f64| {
        let all = vertices.iter().map(coordinate);
        (all.clone().fold(f64::INFINITY, f64::min), all.fold(f64::NEG_INFINITY, f64::max))
    };
    Bounds { longitude: ends(|vertex| vertex.longitude), latitude: ends(|vertex| vertex.latitude) }
}

/// The middle of places: the mean of the directions to them from the middle of the earth.
fn mean(vertices: &[Position]) -> Position {
    let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
    for vertex in vertices {
        let (longitude, latitude) = (radians(vertex.longitude), radians(vertex.latitude));
        x += libm::cos(latitude) * libm::cos(longitude);
        y += libm::cos(latitude) * libm::sin(longitude);
        z += libm::sin(latitude);
    }
    #[expect(clippy::cast_precision_loss, reason = "the arguments of a command are fewer than 2^52")]
    let count = vertices.len() as f64;
    (x, y, z) = (x / count, y / count, z / count);
    let longitude = degrees(libm::atan2(y, x));
    let latitude = degrees(libm::atan2(z, (x * x + y * y).sqrt()));
    Position { longitude, latitude }
}

/// Whether a line from a place to the east crosses the edges of a polygon an odd number of times.
fn is_within(position: Position, vertices: &[Position]) -> bool {
    let Position { longitude: x, latitude: y } = position;
    let mut is_within = false;
    let mut before = vertices[vertices.len() - 1];
    for &vertex in vertices {
        let crosses = (vertex.latitude > y) != (before.latitude > y)
            && x < (before.longitude - vertex.longitude) * (y - vertex.latitude) / (before.latitude - vertex.latitude)
                + vertex.longitude;
        is_within ^= crosses;
        before = vertex;
    }
    is_within
}
