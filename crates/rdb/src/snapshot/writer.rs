//! Writes a frozen state.

use keyspace::{Deleted, Digest, Frozen, FrozenKey, PackedLimits, Settings};

use super::{DELETED_DATABASE, DELETED_KEY, END, FORMAT, HAS_DEADLINE, IS_OF_INTEGERS, IS_PACKED, IS_RAW, KEY, MAGIC};
use crate::number::write_length;
use crate::string::write_string;
use crate::write::{Room, Shape, write_value};

/// A frozen state on its way out. Holds a chunk, and what an element of a value is longer than a chunk.
pub struct SnapshotWriter {
    frozen: Frozen,
    next: Place,
    key_count: u64,
    /// What was written and not yet given out, from `given` on.
    out: Vec<u8>,
    given: usize,
    digest: Digest,
    is_ended: bool,
}

/// Where to go on.
#[derive(Clone, Copy, Default)]
struct Place {
    span: usize,
    part: usize,
    key: usize,
    /// Within the value of that key; 0: the key was not begun.
    element: usize,
}

impl SnapshotWriter {
    /// Begins a snapshot. `owner` is what [`super::Restored::owner`] gives back.
    pub fn new(frozen: Frozen, owner: &[u8]) -> Self {
        let mut out = Vec::new();
        write_head(&mut out, &frozen, owner);
        let mut digest = Digest::new();
        digest.stream(&out);
        Self { frozen, next: Place::default(), key_count: 0, out, given: 0, digest, is_ended: false }
    }

    /// The next chunk, of at most so many bytes (at least one); `None` at the end. How the stream is cut does not matter to who reads it.
    pub fn next_chunk(&mut self, bytes_max: usize) -> Option<Vec<u8>> {
        if !self.is_ended && self.out.len() - self.given < bytes_max {
            // What is left is the end of the last element. It moves to the front: if it stayed where it is, so would everything given out.
            self.out.drain(..std::mem::take(&mut self.given));
            self.out.shrink_to(2 * bytes_max);
            let written = self.out.len();
            self.fill(bytes_max);
            self.digest.stream(&self.out[written..]);
            if self.next.span == self.frozen.span_count() {
                self.end();
            }
        }
        let chunk = &self.out[self.given..self.out.len().min(self.given + bytes_max)];
        self.given += chunk.len();
        if chunk.is_empty() { None } else { Some(chunk.to_vec()) }
    }

    /// Writes keys until the output has that length or there are no more.
    fn fill(&mut self, bytes_max: usize) {
        let mut room = Room { out: &mut self.out, bytes_max };
        while self.next.span < self.frozen.span_count() {
            let part_count = self.frozen.part_count(self.next.span);
            while self.next.part < part_count {
                for key in self.frozen.keys_of_part(self.next.span, self.next.part).skip(self.next.key) {
                    if room.out.len() >= bytes_max {
                        return;
                    }
                    if self.next.element == 0 {
                        write_key(room.out, &key);
                        self.key_count += 1;
                    }
                    match write_value(&key, self.next.element, &mut room) {
                        Some(element) => {
                            self.next.element = element;
                            return;
                        }
                        None => self.next = Place { key: self.next.key + 1, element: 0, ..self.next },
                    }
                }
                self.next = Place { span: self.next.span, part: self.next.part + 1, ..Place::default() };
            }
            self.next = Place { span: self.next.span + 1, ..Place::default() };
        }
    }

    fn end(&mut self) {
        let start = self.out.len();
        self.out.push(END);
        write_length(&mut self.out, self.key_count);
        self.digest.stream(&self.out[start..]);
        self.out.extend_from_slice(&self.digest.finish().to_le_bytes());
        self.is_ended = true;
    }
}

fn write_head(out: &mut Vec<u8>, frozen: &Frozen, owner: &[u8]) {
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    write_settings(out, &frozen.settings);
    write_length(out, frozen.clock_ms);
    write_length(out, frozen.revision);
    out.push(u8::from(frozen.expires_actively));
    write_string(out, owner);
    let (forgotten, ring) = frozen.deletions.parts();
    write_length(out, forgotten);
    write_length(out, ring.len() as u64);
    for (revision, deleted) in ring {
        write_length(out, revision);
        match deleted {
            Deleted::Key { database, slot, hash } => {
                out.extend_from_slice(&[DELETED_KEY, database_byte(database)]);
                write_length(out, u64::from(slot));
                out.extend_from_slice(&hash.to_le_bytes());
            }
            Deleted::Database(database) => out.extend_from_slice(&[DELETED_DATABASE, database_byte(database)]),
        }
    }
}

fn write_settings(out: &mut Vec<u8>, settings: &Settings) {
    settings.hash_key.iter().for_each(|half| out.extend_from_slice(&half.to_le_bytes()));
    let mut limits = |limits: PackedLimits| {
        write_length(out, limits.entries_max as u64);
        write_length(out, limits.value_bytes_max as u64);
    };
    limits(settings.hash);
    limits(settings.set);
    limits(settings.sorted_set);
    write_length(out, settings.set_integers_max as u64);
    out.extend_from_slice(&settings.list_packed_size.to_le_bytes());
    write_length(out, settings.stream_chunk_bytes_max as u64);
    write_length(out, settings.stream_chunk_entries_max as u64);
    write_length(out, settings.hyperloglog_sparse_bytes_max as u64);
}

fn write_key(out: &mut Vec<u8>, key: &FrozenKey<'_>) {
    let shape = Shape::of(key);
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    let flags = flag(key.deadline_ms.is_some(), HAS_DEADLINE)
        | flag(shape.raw, IS_RAW)
        | flag(shape.packed, IS_PACKED)
        | flag(shape.integers, IS_OF_INTEGERS);
    out.extend_from_slice(&[KEY, database_byte(key.database), flags]);
    write_length(out, key.revision);
    if let Some(deadline_ms) = key.deadline_ms {
        write_length(out, deadline_ms);
    }
    write_string(out, key.key);
}

fn database_byte(database: usize) -> u8 {
    u8::try_from(database).expect("there are sixteen databases")
}

#[cfg(test)]
mod tests {
    use keyspace::{Context, DeadlineChange, Keyspace};

    use super::*;

    /// However long a snapshot is, little more than a chunk of it is held.
    #[test]
    fn what_was_given_out_is_let_go() {
        let mut keyspace = Keyspace::new(Settings::new([1, 2]));
        for number in 0..2000u32 {
            keyspace.begin_command();
            let (context, key) = (Context::of_entry(0, 1, 2), number.to_le_bytes());
            keyspace.set_string(&context, &key, &[7; 50], DeadlineChange::Clear);
        }
        let mut writer = SnapshotWriter::new(keyspace.freeze(), b"");
        let mut length = 0;
        while let Some(chunk) = writer.next_chunk(1000) {
            length += chunk.len();
            assert!(writer.out.capacity() < 4000, "{} bytes are held behind {length}", writer.out.capacity());
        }
        assert!(length > 100_000);
    }
}
