//! Where values are that clients write once: which hosts have held each, and which a power cut would have left it on.
//!
//! The disks say so themselves, by the bytes that reach them, whatever a node or its log store makes of it. What was so once is
//! remembered: a disk that is wiped has had what it had.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

/// The names of such keys begin so; so many digits follow.
const NAME: &[u8] = b"kept:";
const DIGITS: usize = 8;

/// See the module. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Kept(Option<Arc<Mutex<BTreeMap<u64, Places>>>>);

/// The hosts that have a value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// It was given to their disks.
    pub(crate) held: BTreeSet<usize>,
    /// It is on their disks, whatever happens to their power.
    pub(crate) stored: BTreeSet<usize>,
}

/// How much of what a disk was given is on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Held,
    Stored,
}

impl Kept {
    /// One that takes notes. Another looks at nothing: most runs write no such values.
    pub(crate) fn new() -> Self {
        Self(Some(Arc::default()))
    }

    /// Whether it takes notes.
    pub(crate) fn is_watched(&self) -> bool {
        self.0.is_some()
    }

    /// The key of a value.
    pub(crate) fn key(value: u64) -> String {
        format!("kept:{value:0DIGITS$}")
    }

    /// These bytes reached a host's disk.
    pub(crate) fn note(&self, host: usize, how: How, bytes: &[u8]) {
        let Some(places) = &self.0 else { return };
        for value in values(bytes) {
            let mut places = places.lock();
            let places = places.entry(value).or_default();
            let hosts = if how == How::Held { &mut places.held } else { &mut places.stored };
            hosts.insert(host);
        }
    }

    /// Where a value was until now.
    pub(crate) fn places(&self, value: u64) -> Places {
        self.0.as_ref().and_then(|places| places.lock().get(&value).cloned()).unwrap_or_default()
    }
}

/// The values whose keys are somewhere in these bytes.
fn values(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let names = bytes.windows(NAME.len() + DIGITS).filter(|window| window.starts_with(NAME));
    names.filter_map(|name| std::str::from_utf8(&name[NAME.len()..]).ok()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_wherever_they_stand() {
        let bytes = [b"$13\r\n", Kept::key(7).as_bytes(), b"kept:1", Kept::key(1_000_012).as_bytes()].concat();
        assert_eq!(values(&bytes).collect::<Vec<_>>(), [7, 1_000_012]);
        let kept = Kept::new();
        kept.note(2, How::Held, &bytes);
        kept.note(1, How::Stored, &bytes);
        let places = kept.places(7);
        assert_eq!((places.held, places.stored), (BTreeSet::from([2]), BTreeSet::from([1])));
        assert!(kept.places(8).held.is_empty());
    }
}
