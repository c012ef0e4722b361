//! Commands about all keys of a node that leads more than one shard: DBSIZE, KEYS, SCAN, RANDOMKEY, FLUSHALL, FLUSHDB.
//!
//! A node leads a second shard for a while when that has no other live home. Clients are shown one node with the slots of both, so
//! each shard is asked, one after the other, as riding reads or writes of its own; what they say becomes one reply.
//!
//! SCAN walks in the order of slots, which no two shards share: each step asks the shard of the first slot that is left, and goes on
//! where that shard's keys end or the next slot of another begins, whichever comes first. What is there during the whole walk
//! is returned; what lies behind the next slot of another may be returned twice, as SCAN may.

use std::sync::Arc;

use commands::{Handler, Spec};
use keyspace::{Random, SCAN_DONE, scan_from, scan_slot};
use resp::{Arguments, Reply};
use slot::Slot;

use crate::batch::Staged;
use crate::replica::Replica;

/// What such a command is told inside of MULTI.
pub(super) const SPANS_SHARDS: &str = "ERR This node serves the slots of another master, too, until that or a replica of it is back: commands \
     about all keys cannot be part of a transaction here, send them outside of MULTI";

/// Whether a command is about the keys of all slots that a node serves.
pub(super) fn spans_slots(spec: &Spec) -> bool {
    matches!(spec.name, "DBSIZE" | "KEYS" | "FLUSHALL" | "FLUSHDB" | "RANDOMKEY" | "SCAN")
}

/// A command, and the replicas that are asked it.
pub(crate) struct Asked {
    how: How,
    /// The command is one that changes data.
    writes: bool,
    database: u8,
    raw: Vec<u8>,
    replicas: Vec<Arc<Replica>>,
    replies: Vec<Vec<u8>>,
}

/// How the shards' replies become one.
#[derive(Clone, Copy)]
enum How {
    /// Numbers are added up.
    Sum,
    /// Arrays are put together.
    Join,
    /// The first error, or the last reply.
    Last,
    /// A page of SCAN, which goes on here at the latest.
    Page { bound: Option<Slot> },
}

impl Asked {
    /// What a command without keys asks of more than one replica; `None` for one that is about a single shard's data.
    pub(super) fn new(
        spec: &'static Spec,
        arguments: Arguments<'_>,
        database: usize,
        mut replicas: Vec<Arc<Replica>>,
        seed: u64,
    ) -> Option<Self> {
        if !spans_slots(spec) {
            return None;
        }
        let mut raw = arguments.raw().to_vec();
        let how = match spec.name {
            "DBSIZE" => How::Sum,
            "KEYS" => How::Join,
            "FLUSHALL" | "FLUSHDB" => How::Last,
            "RANDOMKEY" => {
                replicas = vec![one_at_random(&replicas, database, seed)?];
                How::Last
            }
            "SCAN" => {
                let cursor = std::str::from_utf8(arguments.get(1)?).ok()?.parse().ok()?;
                let (replica, cursor, bound) = next_of_walk(&replicas, cursor)?;
                let words = arguments.iter().enumerate();
                let cursor = cursor.to_string();
                let words: Vec<&[u8]> =
                    words.map(|(at, word)| if at == 1 { cursor.as_bytes() } else { word }).collect();
                raw.clear();
                resp::write_command(&mut raw, words);
                replicas = vec![replica];
                How::Page { bound }
            }
            _ => return None,
        };
        let writes = matches!(spec.handler, Handler::Write(_));
        Some(Self { how, writes, database: u8::try_from(database).ok()?, raw, replicas, replies: Vec::new() })
    }

    /// The next replica that is to be asked.
    pub(crate) fn next(&mut self) -> Option<Arc<Replica>> {
        self.replicas.get(self.replies.len()).cloned()
    }

    /// Stages the command for that replica.
    pub(crate) fn stage(&self, staged: &mut Staged) {
        if self.writes {
            staged.write(self.database, &self.raw);
        } else {
            staged.read(self.database, &self.raw);
        }
    }

    /// It has answered this.
    pub(crate) fn answered(&mut self, reply: Vec<u8>) {
        self.replies.push(reply);
    }

    /// Writes the one reply.
    pub(crate) fn write(&self, reply: &mut Reply) {
        if let Some(error) = self.replies.iter().find(|one| one.starts_with(b"-")) {
            return reply.raw(error);
        }
        match self.how {
            How::Sum => reply.integer(self.replies.iter().filter_map(|one| line(one, b':')).map(|(sum, _)| sum).sum()),
            How::Join => {
                let parts: Vec<(i64, &[u8])> = self.replies.iter().filter_map(|one| line(one, b'*')).collect();
                reply.array(parts.iter().filter_map(|(count, _)| usize::try_from(*count).ok()).sum());
                parts.iter().for_each(|(_, elements)| reply.raw(elements));
            }
            How::Last => self.replies.last().into_iter().for_each(|one| reply.raw(one)),
            How::Page { bound } => self.replies.last().into_iter().for_each(|one| write_page(one, bound, reply)),
        }
    }
}

/// A line of a reply that begins with a mark and a number; what follows it.
fn line(reply: &[u8], mark: u8) -> Option<(i64, &[u8])> {
    let rest = reply.strip_prefix(&[mark])?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let number = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    Some((number, &rest[end + 2..]))
}

/// A page of SCAN as a shard answered it, with a cursor that goes on no later than at `bound`.
fn write_page(page: &[u8], bound: Option<Slot>, reply: &mut Reply) {
    let parts = line(page, b'*').and_then(|(_, rest)| {
        let (length, rest) = line(rest, b'$')?;
        let (cursor, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        Some((std::str::from_utf8(cursor).ok()?.parse::<u64>().ok()?, rest.strip_prefix(b"\r\n")?))
    });
    let Some((cursor, keys)) = parts else { return reply.raw(page) };
    let next = match bound.map(scan_from) {
        Some(bound) if cursor == SCAN_DONE => bound,
        Some(bound) => bound.min(cursor),
        None => cursor,
    };
    reply.array(2);
    reply.bulk(next.to_string());
    reply.raw(keys);
}

/// One of the replicas, each as likely as it has keys.
fn one_at_random(replicas: &[Arc<Replica>], database: usize, seed: u64) -> Option<Arc<Replica>> {
    let counts: Vec<usize> = replicas.iter().map(|replica| replica.shard.data.read().key_count(database)).collect();
    let all = counts.iter().sum::<usize>().max(1) as u64;
    let mut left = usize::try_from(Random::new(seed).bits() % all).expect("below a count");
    for (replica, count) in replicas.iter().zip(counts) {
        if left < count {
            return Some(Arc::clone(replica));
        }
        left -= count;
    }
    replicas.first().cloned()
}

/// Who is asked for the next page of a walk, from which cursor on, and the first slot behind that is another's.
fn next_of_walk(replicas: &[Arc<Replica>], cursor: u64) -> Option<(Arc<Replica>, u64, Option<Slot>)> {
    let Some(from) = scan_slot(cursor) else { return Some((Arc::clone(replicas.first()?), cursor, None)) };
    let owner = |slot: Slot| replicas.iter().position(|replica| replica.shard.data.read().serves(slot));
    let mut owned = Slot::all().skip(from.index()).filter_map(|slot| Some((slot, owner(slot)?)));
    let Some((first, place)) = owned.next() else { return Some((Arc::clone(replicas.first()?), cursor, None)) };
    let bound = owned.find(|(_, other)| *other != place).map(|(slot, _)| slot);
    let start = if first == from { cursor } else { scan_from(first) };
    Some((Arc::clone(&replicas[place]), start, bound))
}

#[cfg(test)]
mod tests {
    use super::*;
    use resp::Protocol;

    fn page(page: &str, bound: Option<u16>) -> String {
        let mut reply = Reply::new(Protocol::Resp2);
        write_page(page.as_bytes(), bound.and_then(Slot::new), &mut reply);
        String::from_utf8(reply.into_bytes()).unwrap()
    }

    #[test]
    fn a_page_goes_on_where_the_next_shard_begins() {
        let keys = "*1\r\n$1\r\nk\r\n";
        let of = |cursor: u64| format!("*2\r\n${}\r\n{cursor}\r\n{keys}", cursor.to_string().len());
        let bound = scan_from(Slot::new(7).unwrap());
        assert_eq!(page(&of(0), None), of(0));
        assert_eq!(page(&of(0), Some(7)), of(bound));
        assert_eq!(page(&of(bound - 1), Some(7)), of(bound - 1));
        assert_eq!(page(&of(bound + 1), Some(7)), of(bound));
        assert_eq!(page(&of(bound + 1), None), of(bound + 1));
    }

    #[test]
    fn lines_are_read_and_nonsense_is_not() {
        assert_eq!(line(b":12\r\n", b':'), Some((12, &b""[..])));
        assert_eq!(line(b"*2\r\n:1\r\n", b'*'), Some((2, &b":1\r\n"[..])));
        assert_eq!(line(b":12", b':'), None);
        assert_eq!(line(b"$1\r\nk\r\n", b'*'), None);
    }
}
