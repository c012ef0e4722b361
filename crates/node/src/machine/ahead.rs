//! The keys of the next items of an entry, fetched before the items run: see `Keyspace::fetch`. Without a say in what they do.

use keyspace::{FETCHED_MAX, Keyspace, Spot};
use resp::ArgumentRanges;

use crate::entry::Reader;

/// Fewer items do not pay for a look ahead.
const ITEMS_MIN: u32 = 4;
/// No further is looked ahead: long commands take their time themselves.
const LOOK_BYTES_MAX: usize = 16 << 10;

/// How far ahead of the items that run the keys are fetched.
#[derive(Default)]
pub(super) struct Ahead {
    ranges: ArgumentRanges,
    /// Items of the entry that have not begun.
    left: u32,
    /// The first of these, whose keys were looked for.
    fetched: u32,
}

impl Ahead {
    /// An entry of so many items follows.
    pub(super) fn begin(&mut self, items: u32) {
        (self.left, self.fetched) = (items, 0);
    }

    /// To be called before every item, which `reader` is about to read.
    pub(super) fn maybe_fetch(&mut self, reader: &Reader<'_>, keyspace: &Keyspace) {
        if self.fetched == 0 && self.left >= ITEMS_MIN {
            self.fetched = self.fetch(reader, keyspace);
        }
        self.fetched = self.fetched.saturating_sub(1);
        self.left = self.left.saturating_sub(1);
    }

    /// Fetches what most commands take for their key, their first argument. Returns for how many items; for the first in any case.
    fn fetch(&mut self, reader: &Reader<'_>, keyspace: &Keyspace) -> u32 {
        let (mut spots, mut count, mut items) = ([Spot::NOWHERE; FETCHED_MAX], 0, 0);
        let mut next = reader.fork(&mut self.ranges);
        let bytes = next.rest().len();
        let is_near = |next: &Reader<'_>| bytes - next.rest().len() < LOOK_BYTES_MAX;
        // A transaction ends the look: its commands run one after the other, too, but are one item.
        while count < FETCHED_MAX && items < self.left && is_near(&next) && next.is_at_command() {
            let Ok(_) = next.item() else { break };
            let Ok((database, arguments)) = next.command() else { break };
            items += 1;
            if let Some(key) = arguments.get(1) {
                spots[count] = keyspace.spot(usize::from(database), key);
                count += 1;
            }
        }
        keyspace.fetch(&spots[..count]);
        items.max(1)
    }
}

#[cfg(test)]
mod tests {
    use keyspace::Settings;

    use super::*;
    use crate::entry::{self, Item};

    const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";

    fn entry_of(kinds: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        entry::begin(&mut bytes);
        for kind in kinds.chars() {
            match kind {
                'c' => entry::put_command(&mut bytes, 0, GET),
                'n' => entry::put_command(&mut bytes, 0, b"*1\r\n$4\r\nPING\r\n"),
                _ => {
                    entry::put_transaction(&mut bytes, &[], 2);
                    (0..2).for_each(|_| entry::put_transaction_command(&mut bytes, 0, GET));
                }
            }
        }
        let items = u32::try_from(kinds.len()).unwrap();
        entry::seal(&mut bytes, entry::Header { kind: entry::Kind::Commands, now_ms: 1, seed: 1, sequence: 0, items });
        bytes
    }

    /// How many items were fetched ahead before each.
    fn looks(kinds: &str) -> Vec<u32> {
        let (bytes, mut ranges) = (entry_of(kinds), ArgumentRanges::default());
        let (header, mut reader) = Reader::open(&bytes, &mut ranges).unwrap();
        let (keyspace, mut ahead) = (Keyspace::new(Settings::new([1, 2])), Ahead::default());
        ahead.begin(header.items);
        let mut looks = Vec::new();
        for _ in 0..header.items {
            ahead.maybe_fetch(&reader, &keyspace);
            looks.push(ahead.fetched);
            let commands = if let Item::Transaction { commands, .. } = reader.item().unwrap() { commands } else { 1 };
            (0..commands).for_each(|_| assert!(reader.command().is_ok()));
        }
        looks
    }

    #[test]
    fn items_are_fetched_up_to_a_transaction_and_not_when_they_are_few() {
        assert_eq!(looks("ccc"), [0, 0, 0]);
        assert_eq!(looks("ccccc"), [4, 3, 2, 1, 0]);
        assert_eq!(looks("cntcccc"), [1, 0, 0, 3, 2, 1, 0]);
        assert_eq!(looks(&"c".repeat(40))[..18], [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14]);
    }
}
