//! The disk under Raft: the logs, votes and snapshots of all groups of one node, in one data directory.
//!
//! The only crate that names sled. It implements [`raft::LogStore`]: bytes in, bytes out, in order, durable when it
//! says so. It knows nothing of terms and majorities beyond comparing log ids, never repairs by guessing, and never
//! answers damaged bytes as data.
//!
//! # The directory
//!
//! ```text
//! dir/                   locked (flock) by the process that has it open
//!   node                 who this directory is                              identity.rs
//!   journal/0, 1         what was made durable lately                       journal.rs
//!   raft/                sled: one tree for all groups                      keys.rs, disk.rs
//!   marks                what both together must hold at the next start     marks.rs
//!   snap/<group>/*.snap  complete snapshots, the newest counts              snapshot.rs
//! ```
//! `node` is written last when a directory is created: without it creation was cut off and begins anew; with it
//! `raft/db`, both files of the journal and `marks` have to be there, or a volume is missing.
//!
//! # Keys and values of the tree
//!
//! ```text
//! 'L' group u128  index u64  part u32  ->  crc u32 | term u64, length u64 (part 0 only) | at most 6 KiB of the entry
//! 'V' group u128                       ->  crc u32 | number u64 | vote
//! 'C' group u128                       ->  crc u32 | term u64, index u64    committed
//! 'P' group u128                       ->  crc u32 | term u64, index u64    purged
//! 'S' group u128                       ->  crc u32 | term u64, index u64    newest complete snapshot
//! 'J'                                  ->  crc u32 | number u64, start u64  the last record of the journal that is in here
//! 'F'                                  ->  crc u32 | version u32            of this layout
//! ```
//! Keys are big-endian, so that they sort; values little-endian. A checksum covers its key too. Why parts of 6 KiB
//! in segments of 512 KiB: see `keys.rs`; a larger record of sled's would not be synced. Version 1 had no journal; such a
//! directory gets one when it is opened. Up to version 2 parts had up to 16 KiB, in segments of 2 MiB, which such a directory keeps.
//! A binary refuses a directory that a newer one has opened.
//!
//! # Order of writes
//!
//! sled is the home of the log, but each flush of its wakes all seven threads of its pool. So the journal makes changes
//! durable, and sled is flushed when a file of the journal is full or two seconds old:
//!
//! ```text
//! queue -> log thread --1 write, 1 fdatasync--> journal/0 <-turns-> journal/1        answered here
//!              `---some records later---> thread sled --one batch--> sled --once a turn--> synced
//! ```
//! The log thread takes what is queued, for all groups at once, at most 1 MiB a round, and then, in this order:
//!
//! 1. if a suffix goes away: lowers `marks` and syncs it;
//! 2. writes one record to the journal, atomic over all groups;
//! 3. if anything in it has to be durable (entries, votes, truncations; not commit marks, not purges): syncs the
//!    journal's file, once;
//! 4. if there is a vote: raises `marks` and syncs it; otherwise `marks` follows at most 100 ms later;
//! 5. calls the answers, in the order of the changes;
//! 6. if 128 records or 256 KiB wait for it: hands them to the thread `sled`, which applies them to sled as one batch that
//!    says in 'J' what its last record was. A reader has the log thread hand over what waits, and reads behind that.
//!
//! So sled comes last: nobody waits for it, and it never has an entry that was not in the journal before. When a file of
//! the journal ends its turn, the log thread syncs it, hands over all of it and goes on in the other file, while the thread
//! `sled` applies it, flushes sled and syncs its file; only then may the first file have another turn.
//!
//! A start reads 'J', and applies the journal's records behind it, in order; doing that again after another crash changes
//! nothing. It ends where a record does not verify: a write that was cut off, and whose answer was not given. It is
//! damage when the first record behind 'J' is not there but a later one is, or when it is of another start: then sled has
//! lost what it had synced.
//!
//! At any moment the tree and the journal together hold at least what `marks` says, and at the next start a store that
//! holds less is damaged: sled cuts its log at the first record that does not fit, and says nothing, and a journal of
//! which the end was lost looks like one that was cut off. For that reason a vote still has a sync of `marks`, although
//! the journal has it: votes are rare, and a lost one is the worst loss. What a commit mark or a purge loses in a crash
//! is harmless; they ride with the next record, or are written within 100 ms. Keys of purged entries are removed in small
//! batches when nothing else is queued (a few at a time under load).
//!
//! A group that is not [`raft::Durability::Always`] has its appends answered when they are written, and `marks` says so before the
//! first such answer. What was written outlives the process, but not the machine: a start in another run of it finds
//! such a log *unsure*, unless it was closed in order.
//!
//! A failed write or sync is final, be it of the journal or of sled: it is answered to everything that is queued, then
//! and later, and never tried again (after a failed fsync the kernel may have dropped the pages and report success the
//! next time).
//!
//! The thread `files` reads entries for laggards and at the start, and writes and reads snapshots, which it syncs every
//! MiB and removes a piece at a time, so that the log's syncs do not wait for it.
//!
//! # What this costs, and what it leaves open
//!
//! - A commit of one small entry takes the log thread 30 to 35 µs of CPU on a busy machine of two cores, where it took 50
//!   with writes through the page cache and sled on the same thread, and 100 to 115 with a flush of sled each time. What
//!   sled takes of it is shared by 128 records.
//! - Every change is written twice, and the journal takes 16 MiB.
//! - sled calls a record stable after sync_file_range. A segment whose live records were moved elsewhere may be written
//!   again between two of our syncs; a power cut in that moment can take the moved records, if the file grew for them. At
//!   most two seconds or one turn are between two syncs. Such a loss is damage that the next start notices ('J' is
//!   behind the journal, or `marks` names more); it is not repaired.
//! - Damage of what was written in the last 100 ms before a crash may be newer than `marks`, and then looks like a log that
//!   ended earlier.
//! - Space: two to eight times the live bytes; only sled's own thread reclaims it.
//!
//! # Cutting the power in a test
//!
//! kill -9 proves nothing about syncs, because the page cache survives it. With [`Options::withhold`] nothing is handed to the
//! system before its sync is due, and the sync itself is held up for a moment. So whatever was answered before its sync is
//! gone after kill -9 (with a probability that grows with the delay), and whatever was answered after it is there:
//! killing such a process at random shows answers that came too early, also those of the code above this crate. It
//! does not show that the system's sync does what it says.

mod disk;
mod error;
mod files;
mod files_thread;
mod group;
mod identity;
mod journal;
mod keys;
mod marks;
mod priority;
mod queue;
mod removal;
mod scan;
mod sled_thread;
mod snapshot;
mod store;
mod writer;

pub use error::Error;
pub use files::free_bytes;
pub use identity::{Identity, RECORD_BYTES_MAX};
pub use priority::give_way;
pub use snapshot::{Reader as SnapshotReader, Writer as SnapshotWriter};
pub use store::{Opened, Options, Store, open};

#[cfg(test)]
mod tests;
