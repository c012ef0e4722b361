//! What WAIT and WAITAOF said of values that are written once: never that more replicas have one than have had it.

use crate::kept::{Kept, Places};

/// See the module.
#[derive(Default)]
pub(crate) struct Copies {
    kept: Kept,
    counts: usize,
    wrong: Option<String>,
}

/// An answer: how many replicas have it beside the one of the host that was asked; for WAITAOF whether that one has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// WAIT.
    Held(i64),
    /// WAITAOF.
    Stored { here: bool, others: i64 },
}

impl Copies {
    /// With what the disks say.
    pub(crate) fn new(kept: Kept) -> Self {
        Self { kept, ..Self::default() }
    }

    /// A host was asked about a value that it has acknowledged, and has just answered.
    pub(crate) fn counted(&mut self, value: u64, host: usize, count: Count) {
        self.counts += 1;
        let Places { held, stored } = self.kept.places(value);
        let (here, others, hosts) = match count {
            Count::Held(others) => (false, others, &held),
            Count::Stored { here, others } => (here, others, &stored),
        };
        let has_others = hosts.iter().filter(|place| **place != host).count();
        if here && !hosts.contains(&host) || others > i64::try_from(has_others).unwrap_or(i64::MAX) {
            let why =
                format!("host {host} says of the value {value} {count:?}: {held:?} had it, and {stored:?} on disk");
            self.wrong.get_or_insert(why);
        }
    }

    pub(crate) fn answered(&self) -> usize {
        self.counts
    }

    pub(crate) fn judge(&self) -> Result<(), String> {
        self.wrong.clone().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::How;

    #[test]
    fn no_more_are_counted_than_have_it() {
        let is_right = |count| {
            let kept = Kept::new();
            let key = Kept::key(5);
            [0, 1, 2].iter().for_each(|&host| kept.note(host, How::Held, key.as_bytes()));
            [1, 2].iter().for_each(|&host| kept.note(host, How::Stored, key.as_bytes()));
            let mut copies = Copies::new(kept);
            copies.counted(5, 0, count);
            copies.judge().is_ok()
        };
        assert!(is_right(Count::Held(2)) && !is_right(Count::Held(3)));
        assert!(is_right(Count::Stored { here: false, others: 2 }));
        assert!(!is_right(Count::Stored { here: true, others: 0 }));
        assert!(!is_right(Count::Stored { here: false, others: 3 }));
    }
}
