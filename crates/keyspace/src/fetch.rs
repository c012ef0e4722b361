//! Bringing what commands need near the processor before they run.
//!
//! Keys lie all over the memory: a command waits for half a dozen places of it, one after the other, each named by the one before. For many commands at once
//! these waits can go on side by side, so the first places of all keys are looked at, then the second, and so on. Nothing is changed by it and
//! nothing comes of it but time.

use slot::Slot;

use crate::keyspace::{Keyspace, Place};
use crate::part::Part;

/// How many keys are fetched at once at most. More would push each other out of the processor's nearest cache.
pub const FETCHED_MAX: usize = 16;

/// Where a key is, or would be.
#[derive(Clone, Copy)]
pub struct Spot(Place);

impl Spot {
    /// Of nobody: to fill a list with.
    pub const NOWHERE: Self = Self(Place { database: 0, slot: Slot::FIRST, hash: 0 });
}

impl Keyspace {
    /// Where a key of a database, whose number is below [`crate::DATABASE_COUNT`], is or would be.
    pub fn spot(&self, database: usize, key: &[u8]) -> Spot {
        Spot(self.place(database, key))
    }

    /// Brings near what commands about keys at these spots will look at first. Of more than [`FETCHED_MAX`] only so many are fetched.
    pub fn fetch(&self, spots: &[Spot]) {
        let mut parts: [Option<&Part>; FETCHED_MAX] = [None; FETCHED_MAX];
        for (part, spot) in parts.iter_mut().zip(spots) {
            *part = self.part(spot.0);
        }
        // What is seen is of no use, which the compiler must not know.
        let look = |look: fn(&Part) -> usize| {
            std::hint::black_box(parts.iter().flatten().fold(0, |seen: usize, part| seen.wrapping_add(look(part))));
        };
        look(Part::len);
        look(Part::look_at_lists);
        look(Part::look_at_end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, DeadlineChange, Settings};

    /// Any keys may be fetched, wherever they are and whether they are there or not, and stay what they are.
    #[test]
    fn fetching_changes_nothing() {
        let mut keyspace = Keyspace::new(Settings::new([1, 2]));
        let context = Context::of_entry(3, 1, 1);
        for number in 0..5000u32 {
            let value = vec![b'v'; number as usize % 700];
            keyspace.set_string(&context, &number.to_le_bytes(), &value, DeadlineChange::Clear);
        }
        let (digest, revision) = (keyspace.digest(), keyspace.revision());
        for database in [0, 3] {
            let spots: Vec<Spot> =
                (0..20_000u32).map(|number| keyspace.spot(database, &number.to_le_bytes())).collect();
            spots.chunks(FETCHED_MAX + 1).for_each(|some| keyspace.fetch(some));
        }
        keyspace.fetch(&[Spot::NOWHERE]);
        keyspace.fetch(&[]);
        assert_eq!((keyspace.digest(), keyspace.revision()), (digest, revision));
    }
}
