//! Bringing what commands need near the processor before they run.
//!
//! Keys lie all over the memory: a command waits for half a dozen places of it, one after the other, each named by the one before. For many commands at once
//! these waits can go on side by side, so the first places of all keys are looked at, then the second, and so on. Nothing is changed by it and
//! nothing comes of it but time. Big collections do the same for the members that a command names.

use slot::Slot;

use crate::keyspace::{Keyspace, Place};
use crate::part::Part;

/// How many keys are fetched at once at most. More would push each other out of the processor's nearest cache.
pub const FETCHED_MAX: usize = 16;

/// A collection of fewer rows is near by itself, if it is used at all: there, looking ahead would be looking twice.
pub(crate) const FAR_ROWS_MIN: usize = 10_000;

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
        let parts = || parts.iter().flatten();
        look(parts().map(|part| part.len()));
        look(parts().map(|part| part.look_at_lists()));
        look(parts().map(|part| part.look_at_end()));
    }
}

/// The first items that are to be fetched, and how many they are.
pub(crate) fn first_of<T: Copy + Default>(items: impl Iterator<Item = T>) -> ([T; FETCHED_MAX], usize) {
    let (mut first, mut count) = ([T::default(); FETCHED_MAX], 0);
    for (to, item) in first.iter_mut().zip(items) {
        *to = item;
        count += 1;
    }
    (first, count)
}

/// Looks at what is seen in several places that do not depend on each other.
pub(crate) fn look(seen: impl Iterator<Item = usize>) {
    // It is of no use, which the compiler must not know.
    std::hint::black_box(seen.fold(0, |all, one| all ^ one));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collection::CollectionValue;
    use crate::{Context, DeadlineChange, HashValue, SetValue, Settings, SortedSetValue};

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

    /// Members of collections of every size, and others.
    #[test]
    fn any_members_may_be_fetched() {
        let settings = Settings::new([1, 2]);
        let names: Vec<Vec<u8>> = (0..30_000u32).map(|number| number.to_string().into_bytes()).collect();
        let scores = || names.iter().zip(0i32..).map(|(name, number)| (&name[..], f64::from(number % 99)));
        for size in [0, 1, 100, 600, 20_000] {
            let set = SetValue::collect(names[..size].iter(), &settings);
            let sorted_set = SortedSetValue::collect(scores().take(size), &settings);
            let mut hash = HashValue::empty();
            for name in &names[..size] {
                hash.insert(name, b"value", DeadlineChange::Clear, &settings);
            }
            for some in names.chunks(FETCHED_MAX + 1) {
                set.fetch(some.iter().map(|name| &name[..]));
                hash.fetch(some.iter().map(|name| &name[..]));
            }
            let scored: Vec<_> = scores().map(|(name, score)| (score - 5.0, name)).collect();
            scored.chunks(FETCHED_MAX + 1).for_each(|some| sorted_set.fetch(some));
            set.fetch(std::iter::empty());
            sorted_set.fetch(&[]);
            assert_eq!([set.len(), hash.len(), sorted_set.len()], [size; 3]);
        }
    }
}
