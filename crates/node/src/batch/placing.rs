//! Sealing, where clients wait for keys: the commands of waiters are placed directly behind the item that may serve them, in the order in
//! which they wait, so that nobody comes between.
//!
//! How many of them an item may serve is guessed by its arguments, within bounds. A guess that is too high costs a command that finds
//! nothing; one that is too low, an entry more: what is left over is found when the entry is applied.

use commands::{Arity, Group, KeyUse, Spec};
use keyspace::ValueType;
use resp::{ArgumentRanges, Arguments};

use super::{BATCH_BYTES_MAX, Batch, Op, slot_of_item};
use crate::blocking::{Blocking, Number};
use crate::entry::{self, Item, Kind, Reader};

/// Behind one item stand at most so many commands of waiters …
const PLACED_MAX: usize = 1024;
/// … and of those who wait for a key of which its arguments do not tell how much it may hold.
const GUESSED_MAX: usize = 64;
/// What is larger is not written anew: the thread that seals would be held up. It is one item; behind that waiters are placed.
const WRITTEN_ANEW_BYTES_MAX: usize = 4 * BATCH_BYTES_MAX;
/// Nor is it looked through if it has more arguments than this.
const LOOKED_THROUGH_ARGUMENTS_MAX: usize = 1 << 16;

/// Commands of waiters, and where they are to stand.
struct Placing<'a> {
    blocking: &'a mut Blocking,
    /// Behind so many items, these.
    placed: Vec<(usize, Vec<Number>)>,
    /// So many bytes may still be placed.
    room: usize,
    items: usize,
}

/// A key that a command may have added to: its database, itself, and to how many waiters at most.
struct Added {
    database: u8,
    key: Vec<u8>,
    most: usize,
    group: Group,
}

impl Batch {
    /// Puts the commands of waiters into a batch that is about to be sealed for the first time: in front those that are due, then those that
    /// what it holds may serve. Returns those that are due and had no room.
    pub(crate) fn place(&mut self, blocking: &mut Blocking, due: Vec<Number>) -> Vec<Number> {
        assert!(self.sealed.is_none(), "what was proposed is proposed again as it was");
        let mut ranges = ArgumentRanges::default();
        let mut reader = Reader::of_items(self.payload.get(entry::HEADER_BYTES..).unwrap_or_default(), &mut ranges);
        let is_large = self.payload.len() > WRITTEN_ANEW_BYTES_MAX;
        let is_simple = || reader.has_at_most(LOOKED_THROUGH_ARGUMENTS_MAX);
        if self.kind != Kind::Commands || is_large && !(self.items == 1 && is_simple()) {
            return due;
        }
        let mut placing = Placing { blocking, placed: Vec::new(), room: BATCH_BYTES_MAX, items: 0 };
        let mut in_front = Vec::new();
        let mut due = due.into_iter();
        while placing.room > 0
            && !is_large
            && let Some(number) = due.next()
        {
            in_front.extend(placing.launch(number));
        }
        placing.put(in_front);
        for _ in 0..self.items {
            let added = added_by_item(&mut reader, placing.blocking);
            placing.items += 1;
            placing.serve(added);
        }
        let (placed, blocking) = (placing.placed, placing.blocking);
        if !placed.is_empty() {
            self.insert(&placed, blocking);
        }
        due.collect()
    }

    /// Puts what was placed behind the last item.
    fn append(&mut self, placed: &[Number], blocking: &Blocking) {
        let is_item = |op: &Op| matches!(op, Op::Item | Op::Waits);
        let at = self.ops.iter().rposition(is_item).expect("it was placed behind one") + 1;
        // Reads may ride behind it.
        self.ops.splice(at..at, placed.iter().map(|&number| Op::Served(number)));
        for &number in placed {
            let waiter = blocking.get(number).expect("it was launched under the same lock");
            entry::put_command(&mut self.payload, waiter.database, &waiter.raw);
            self.items += 1;
        }
    }

    /// Rewrites the items and the ops with what was placed.
    fn insert(&mut self, placed: &[(usize, Vec<Number>)], blocking: &Blocking) {
        if let [(behind, numbers)] = placed
            && *behind > 0
            && *behind == self.items as usize
        {
            return self.append(numbers, blocking);
        }
        let old = std::mem::take(&mut self.payload);
        let ops = std::mem::take(&mut self.ops);
        let items = old.get(entry::HEADER_BYTES..).unwrap_or_default();
        entry::begin(&mut self.payload);
        let (mut placed, mut ranges) = (placed.iter().peekable(), ArgumentRanges::default());
        let (mut at, mut count) = (0, 0);
        let mut put_placed = |batch: &mut Self, count: usize| {
            while let Some((_, numbers)) = placed.next_if(|(behind, _)| *behind == count) {
                for &number in numbers {
                    let waiter = blocking.get(number).expect("it was launched under the same lock");
                    entry::put_command(&mut batch.payload, waiter.database, &waiter.raw);
                    batch.ops.push(Op::Served(number));
                    batch.items += 1;
                }
            }
        };
        put_placed(self, 0);
        for op in ops {
            self.ops.push(op);
            if let Op::Item | Op::Waits = op {
                let mut reader = Reader::of_items(&items[at..], &mut ranges);
                slot_of_item(&mut reader);
                let end = items.len() - reader.rest().len();
                self.payload.extend_from_slice(&items[at..end]);
                (at, count) = (end, count + 1);
                put_placed(self, count);
            }
        }
    }
}

impl Placing<'_> {
    /// Launches a waiter, if nothing of it is in flight.
    fn launch(&mut self, number: Number) -> Option<Number> {
        let bytes = self.blocking.launch(number)?.raw.len();
        self.room = self.room.saturating_sub(bytes);
        Some(number)
    }

    /// Launches those who wait for what was added, and then those who wait for what these may add, and so on.
    fn serve(&mut self, mut added: Vec<Added>) {
        let (mut next, mut launched) = (0, Vec::new());
        while next < added.len() && launched.len() < PLACED_MAX && self.room > 0 {
            let Added { database, key, most, group } = &added[next];
            let fits = |wants| fits(*group, wants);
            let most = (*most).clamp(1, PLACED_MAX - launched.len());
            let mut more = Vec::new();
            for number in self.blocking.launchable(*database, key, most, fits) {
                if self.room > 0
                    && let Some(number) = self.launch(number)
                {
                    launched.push(number);
                    more.extend(self.added_by_waiter(number));
                }
            }
            added.extend(more);
            next += 1;
        }
        self.put_behind(launched);
    }

    fn added_by_waiter(&self, number: Number) -> Vec<Added> {
        let Some(waiter) = self.blocking.get(number) else { return Vec::new() };
        let mut ranges = ArgumentRanges::default();
        let (spec, arguments) = waiter.command(&mut ranges);
        let mut added = Vec::new();
        note_added(spec, arguments, waiter.database, self.blocking, &mut added);
        added
    }

    fn put(&mut self, numbers: Vec<Number>) {
        // What these may add serves others, too.
        let added = numbers.iter().flat_map(|number| self.added_by_waiter(*number)).collect();
        self.put_behind(numbers);
        self.serve(added);
    }

    fn put_behind(&mut self, numbers: Vec<Number>) {
        if !numbers.is_empty() {
            self.placed.push((self.items, numbers));
        }
    }
}

/// Whether a command of this group may make what somebody waits for.
fn fits(group: Group, wants: ValueType) -> bool {
    match group {
        Group::Generic => true,
        Group::List => wants == ValueType::List,
        Group::SortedSet | Group::Geo => wants == ValueType::SortedSet,
        Group::Stream => wants == ValueType::Stream,
        _ => false,
    }
}

/// The keys that the next item may add to, of those that are waited for.
fn added_by_item(reader: &mut Reader<'_>, blocking: &Blocking) -> Vec<Added> {
    let mut added = Vec::new();
    let commands = match reader.item().expect("it was just written") {
        Item::Command => 1,
        Item::Transaction { commands, .. } => commands,
    };
    for _ in 0..commands {
        let (database, arguments) = reader.command().expect("it was just written");
        if let Ok(spec) = commands::resolve(arguments) {
            note_added(spec, arguments, database, blocking, &mut added);
        }
    }
    added
}

fn note_added(spec: &Spec, arguments: Arguments<'_>, database: u8, blocking: &Blocking, added: &mut Vec<Added>) {
    if !spec.is_write() {
        return;
    }
    if let Some(databases) = commands::swapped_databases(spec, arguments) {
        // What somebody waits for in one of them may be in the other.
        let keys = blocking.all_keys().into_iter().filter(|(database, _)| databases.contains(database));
        let group = Group::Generic;
        added.extend(keys.map(|(database, key)| Added { database, key: key.into(), most: GUESSED_MAX, group }));
    }
    let target = commands::target_database(spec, arguments);
    let database = target.unwrap_or(database);
    for (number, place) in spec.keys(arguments).into_iter().flatten().enumerate() {
        let key_use = spec.key_use(number, arguments);
        let Some(key) = arguments.get(place).filter(|_| key_use.may_add()) else { continue };
        if blocking.is_waited_for(database, key, true) {
            let most = match spec.arity {
                // As many as what was copied, renamed or moved holds.
                _ if key_use.contains(KeyUse::OW) || target.is_some() => GUESSED_MAX,
                // An element is at least one argument.
                Arity::AtLeast(_) => arguments.len() - 1 - place,
                Arity::Exactly(_) => 1,
            };
            added.push(Added { database, key: key.to_vec(), most, group: commands::group_of(spec) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Staged;
    use crate::blocking::Waiter;
    use crate::inbox::Route;
    use resp::Protocol;

    const ROUTE: Route = Route { io: 0, place: 0, generation: 0, client: 99 };

    fn raw(line: &str) -> Vec<u8> {
        let mut raw = Vec::new();
        resp::write_command(&mut raw, line.split(' ').collect::<Vec<_>>());
        raw
    }

    fn waiting(lines: &[&str]) -> Blocking {
        let mut blocking = Blocking::default();
        blocking.lead(true);
        for (client, line) in (1..).zip(lines) {
            let (raw, mut ranges) = (raw(line), ArgumentRanges::default());
            let spec = commands::resolve(resp::parse_stored(&raw, &mut ranges).unwrap()).unwrap();
            let route = Route { client, ..ROUTE };
            assert!(blocking.park(Waiter::new(route, Protocol::Resp2, 0, &raw, spec, false)).is_ok());
        }
        blocking
    }

    fn batch(lines: &[&str]) -> Batch {
        let (mut batch, mut staged) = (Batch::default(), Staged::default());
        lines.iter().for_each(|line| staged.write(0, &raw(line)));
        if !lines.is_empty() {
            batch.add(&mut staged, ROUTE, Protocol::Resp2);
        }
        batch
    }

    /// The commands of an entry, and whose they are: 0 for the run's.
    fn commands_of(batch: &mut Batch) -> Vec<(Number, String)> {
        let ops = batch.ops.clone();
        let (entry, mut ranges) = (batch.seal(1, 2, 3), ArgumentRanges::default());
        let (header, mut reader) = Reader::open(&entry, &mut ranges).unwrap();
        assert_eq!(header.items as usize, ops.len());
        let whose = |op: &Op| if let Op::Served(number) = op { *number } else { 0 };
        ops.iter()
            .map(|op| {
                assert_eq!(reader.item().unwrap(), Item::Command);
                let (_, arguments) = reader.command().unwrap();
                let words: Vec<_> = arguments.iter().map(String::from_utf8_lossy).collect();
                (whose(op), words.join(" "))
            })
            .collect()
    }

    fn owned(expected: &[(Number, &str)]) -> Vec<(Number, String)> {
        expected.iter().map(|(number, line)| (*number, (*line).to_owned())).collect()
    }

    #[test]
    fn waiters_stand_behind_what_may_serve_them() {
        let mut blocking =
            waiting(&["BLPOP a b 0", "BZPOPMIN a 0", "BLMOVE b c LEFT LEFT 0", "BRPOP c 0", "BLPOP a 0"]);
        let mut batch = batch(&["RPUSH a 1", "RPUSH b 1 2", "DEL a", "SET b x"]);
        assert!(batch.place(&mut blocking, Vec::new()).is_empty());
        // The first is in flight when b is pushed to; who waits for what BLMOVE moves follows it.
        let expected = [
            (0, "RPUSH a 1"),
            (1, "BLPOP a b 0"),
            (0, "RPUSH b 1 2"),
            (3, "BLMOVE b c LEFT LEFT 0"),
            (4, "BRPOP c 0"),
            (0, "DEL a"),
            (0, "SET b x"),
        ];
        assert_eq!(commands_of(&mut batch), owned(&expected));
        assert_eq!(batch.served().collect::<Vec<_>>(), [1, 3, 4]);
        // What fails is told to the run alone.
        assert_eq!(batch.failed(1, |_| "DOWN".to_owned())[0].bytes, b"-DOWN\r\n".repeat(4));
    }

    #[test]
    fn those_who_are_due_stand_in_front() {
        let mut blocking = waiting(&["BLPOP a 0", "BLMOVE b a LEFT LEFT 0", "BLPOP z 0"]);
        assert!(blocking.make_due(2) && blocking.make_due(3));
        let mut batch = batch(&["GETDEL x"]);
        assert!(batch.place(&mut blocking, vec![2, 3, 7]).is_empty());
        let expected = [(2, "BLMOVE b a LEFT LEFT 0"), (3, "BLPOP z 0"), (1, "BLPOP a 0"), (0, "GETDEL x")];
        assert_eq!(commands_of(&mut batch), owned(&expected));
    }

    /// Waiters wait in database 0.
    #[test]
    fn what_comes_from_another_database_serves_as_well() {
        for line in ["MOVE a 0", "COPY b a DB 0", "SWAPDB 5 0", "SWAPDB 0 5"] {
            let mut blocking = waiting(&["BLPOP a 0"]);
            let (mut batch, mut staged) = (Batch::default(), Staged::default());
            staged.write(5, &raw(line));
            batch.add(&mut staged, ROUTE, Protocol::Resp2);
            batch.place(&mut blocking, Vec::new());
            assert_eq!(commands_of(&mut batch), owned(&[(0, line), (1, "BLPOP a 0")]));
        }
        let mut blocking = waiting(&["BLPOP a 0"]);
        let mut elsewhere = batch(&["MOVE a 5", "SWAPDB 4 5", "COPY b a DB 5", "SWAPDB 0 x"]);
        elsewhere.place(&mut blocking, Vec::new());
        assert_eq!(elsewhere.served().count(), 0);
    }

    #[test]
    fn what_is_large_serves_as_well() {
        let mut blocking = waiting(&["BLPOP a 0", "BLPOP z 0"]);
        assert!(blocking.make_due(2));
        let line = format!("RPUSH a {}", "x".repeat(WRITTEN_ANEW_BYTES_MAX));
        let (mut large, mut staged) = (Batch::default(), Staged::default());
        staged.write(0, &raw(&line));
        staged.read(0, &raw("LLEN a"));
        large.add(&mut staged, ROUTE, Protocol::Resp2);
        assert_eq!(large.place(&mut blocking, vec![2]), [2], "nothing is put in front of it");
        assert!(matches!(large.ops[..], [Op::Item, Op::Served(1), Op::Read { .. }]));
        large.ops.pop();
        assert_eq!(commands_of(&mut large), owned(&[(0, &line), (1, "BLPOP a 0")]));
        let mut many = batch(&[&format!("RPUSH a{}", " xxxx".repeat(LOOKED_THROUGH_ARGUMENTS_MAX))]);
        many.place(&mut waiting(&["BLPOP a 0"]), Vec::new());
        assert_eq!(many.served().count(), 0, "it has too many arguments");
    }

    #[test]
    fn a_push_of_one_element_serves_one() {
        let mut blocking = waiting(&["BLPOP a 0"; 100]);
        let mut one = batch(&["LPUSH a 1"]);
        one.place(&mut blocking, Vec::new());
        assert_eq!(one.served().collect::<Vec<_>>(), [1]);
        let mut many = batch(&["RENAME other a"]);
        many.place(&mut blocking, Vec::new());
        assert_eq!(many.served().count(), GUESSED_MAX);
    }

    #[test]
    fn a_push_of_many_elements_serves_many() {
        let mut blocking = waiting(&["BLPOP a 0"; 300]);
        let mut push = batch(&[&format!("RPUSH a{}", " x".repeat(250)), "LPOP a"]);
        push.place(&mut blocking, Vec::new());
        assert_eq!(push.served().count(), 250);
        assert!(matches!(push.ops[..], [Op::Item, .., Op::Served(250), Op::Item]));
    }

    #[test]
    fn a_large_transaction_serves_as_well() {
        let of = |lines: &[String]| {
            let (mut batch, mut staged) = (Batch::default(), Staged::default());
            staged.transaction(&[], u32::try_from(lines.len()).unwrap());
            lines.iter().for_each(|line| staged.transaction_command(0, &raw(line)));
            batch.add(&mut staged, ROUTE, Protocol::Resp2);
            batch.place(&mut waiting(&["BLPOP a 0"]), Vec::new());
            batch.served().count()
        };
        let large = format!("SET b {}", "x".repeat(WRITTEN_ANEW_BYTES_MAX));
        assert_eq!(of(&[large.clone(), "RPUSH a 1".into()]), 1);
        let half = format!("DEL{}", " b".repeat(LOOKED_THROUGH_ARGUMENTS_MAX / 2));
        assert_eq!(of(&[large, half.clone(), half, "RPUSH a 1".into()]), 0, "it has too many arguments");
    }
}
