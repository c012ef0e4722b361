//! A prototype for comparison, not shipped: a segmented append-only log behind [`LogStore`], timed against `storage`.
//!
//! ```text
//! NNNNNNNN.seg   records back to back from 0, then zeros (or what an earlier use of the file left)
//! record:        crc u32  length u32  kind u8  group u128  term u64  index u64  payload
//! ```
//! One thread writes all groups' records with one write and one `fdatasync` a round. Files have their full size from
//! the start and are used again after a purge, so that a sync writes no metadata. The checksum covers the number of
//! the segment: what an earlier use left is not a record. Missing against a shipped store: snapshots, several
//! damaged-file messages, marks, relaxed durability, a bound for reads. Run: `cargo bench -p storage`.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark times and prints")]
#![allow(missing_docs, reason = "nobody links to a benchmark")]

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes};
use parking_lot::Mutex;
use raft::{Done, GroupId, GroupLog, LogChange, LogId, LogStore, SnapshotMeta, StoredEntry};

const SEGMENT_BYTES: u64 = 16 << 20;
const HEAD_BYTES: usize = 4 + 4 + 1 + 16 + 8 + 8;
const ROUND_BYTES_MAX: usize = 1 << 20;

/// What a group's log is, and where.
#[derive(Default)]
struct Group {
    log: GroupLog,
    /// Segment, place and length of each entry's payload, from the first that is not purged on.
    entries: VecDeque<(LogId, u64, u64, u32)>,
}

impl Group {
    fn apply(&mut self, kind: u8, id: LogId, payload: &[u8], place: (u64, u64)) {
        match kind {
            b'L' => {
                let length = u32::try_from(payload.len()).expect("records are far below 4 GiB");
                self.entries.push_back((id, place.0, place.1, length));
                self.log.last = Some(id);
            }
            b'V' => self.log.vote = Some(Bytes::copy_from_slice(payload)),
            b'C' => self.log.committed = Some(id),
            // Its index is the number of entries' indexes that stay.
            b'T' => {
                while self.entries.back().is_some_and(|(last, ..)| last.index >= id.index) {
                    self.entries.pop_back();
                }
                self.log.last = self.entries.back().map(|(last, ..)| *last).or(self.log.purged);
            }
            b'P' => {
                while self.entries.front().is_some_and(|(first, ..)| first.index <= id.index) {
                    self.entries.pop_front();
                }
                self.log.purged = Some(id);
                self.log.last = self.log.last.max(Some(id));
            }
            _ => *self = Self::default(),
        }
    }
}

struct Segments {
    dir: PathBuf,
    /// The number of the oldest segment; the newest is `file`'s.
    oldest: u64,
    newest: u64,
    file: File,
    at: u64,
    groups: Arc<Mutex<BTreeMap<GroupId, Group>>>,
    buffer: Vec<u8>,
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.seg"))
}

fn checksum(segment: u64, record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&segment.to_le_bytes());
    hasher.update(record);
    hasher.finalize()
}

/// Zeros, so that later writes find their blocks in place.
fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    for at in 0..SEGMENT_BYTES >> 20 {
        file.write_all_at(&[0; 1 << 20], at << 20)?;
    }
    file.sync_all()?;
    Ok(file)
}

impl Segments {
    fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let names =
            fs::read_dir(dir)?.filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".seg")?.parse().ok());
        let mut numbers: Vec<u64> = names.collect();
        numbers.sort_unstable();
        let mut groups = BTreeMap::new();
        let mut end = 0;
        for number in &numbers {
            end = replay(&fs::read(path(dir, *number))?, *number, &mut groups);
        }
        let oldest = numbers.first().copied().unwrap_or(1);
        let newest = numbers.last().copied().unwrap_or(1);
        let file = match numbers.is_empty() {
            true => create(&path(dir, newest))?,
            false => OpenOptions::new().read(true).write(true).open(path(dir, newest))?,
        };
        File::open(dir)?.sync_all()?;
        let groups = Arc::new(Mutex::new(groups));
        Ok(Self { dir: dir.to_path_buf(), oldest, newest, file, at: end, groups, buffer: Vec::new() })
    }

    /// Adds a record to the buffer and to the index.
    fn record(&mut self, kind: u8, group: GroupId, id: LogId, payload: &[u8]) -> io::Result<()> {
        let length = HEAD_BYTES + payload.len();
        if self.at + (self.buffer.len() + length) as u64 > SEGMENT_BYTES {
            self.flush()?;
            self.roll()?;
        }
        let begin = self.buffer.len();
        self.buffer.put_u32_le(0);
        self.buffer.put_u32_le(u32::try_from(length).map_err(io::Error::other)?);
        self.buffer.put_u8(kind);
        self.buffer.put_u128_le(group.0);
        self.buffer.put_u64_le(id.term);
        self.buffer.put_u64_le(id.index);
        self.buffer.put_slice(payload);
        let crc = checksum(self.newest, &self.buffer[begin + 4..]);
        self.buffer[begin..begin + 4].copy_from_slice(&crc.to_le_bytes());
        let place = (self.newest, self.at + (begin + HEAD_BYTES) as u64);
        self.groups.lock().entry(group).or_default().apply(kind, id, payload, place);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.file.write_all_at(&self.buffer, self.at)?;
            self.at += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Goes on in the next file: one that is purged, or a new one. Votes and marks are repeated in it.
    fn roll(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let needed = |group: &Group| group.entries.front().map(|(_, segment, ..)| *segment);
        let needed = self.groups.lock().values().filter_map(needed).min().unwrap_or(self.newest);
        let next = path(&self.dir, self.newest + 1);
        if self.oldest < needed.min(self.newest) {
            fs::rename(path(&self.dir, self.oldest), &next)?;
            self.oldest += 1;
            self.file = OpenOptions::new().read(true).write(true).open(&next)?;
        } else {
            self.file = create(&next)?;
        }
        File::open(&self.dir)?.sync_all()?;
        (self.newest, self.at) = (self.newest + 1, 0);
        let marks: Vec<_> = self.groups.lock().iter().map(|(group, state)| (*group, state.log.clone())).collect();
        for (group, log) in marks {
            if let Some(vote) = log.vote {
                self.record(b'V', group, LogId::default(), &vote)?;
            }
            for (kind, id) in [(b'C', log.committed), (b'P', log.purged)] {
                id.map_or(Ok(()), |id| self.record(kind, group, id, &[]))?;
            }
        }
        Ok(())
    }

    fn change(&mut self, group: GroupId, change: &LogChange) -> io::Result<()> {
        let index = |index| LogId { term: 0, index };
        match change {
            LogChange::Append(entries) => {
                entries.iter().try_for_each(|entry| self.record(b'L', group, entry.id, &entry.bytes))
            }
            LogChange::Vote(vote) => self.record(b'V', group, index(0), vote),
            LogChange::Committed(id) => self.record(b'C', group, *id, &[]),
            LogChange::Truncate { keep } => self.record(b'T', group, index(keep.map_or(0, |keep| keep + 1)), &[]),
            LogChange::Purge(id) => self.record(b'P', group, *id, &[]),
            LogChange::Forget => self.record(b'F', group, index(0), &[]),
            LogChange::Sync | LogChange::Vouch | LogChange::Doubt => Ok(()),
        }
    }

    fn run(mut self, work: &Receiver<Work>) {
        while let Ok(first) = work.recv() {
            let (mut round, mut bytes, mut sync, mut next) = (Vec::new(), 0, false, Some(first));
            let mut result = Ok(());
            while let Some((group, change, done)) = next {
                if let LogChange::Append(entries) = &change {
                    bytes += entries.iter().map(|entry| entry.bytes.len()).sum::<usize>();
                }
                sync |= !matches!(change, LogChange::Committed(_) | LogChange::Purge(_));
                result = result.and_then(|()| self.change(group, &change));
                round.push(done);
                next = if bytes < ROUND_BYTES_MAX { work.try_recv().ok() } else { None };
            }
            if sync {
                result = result.and_then(|()| self.flush()).and_then(|()| self.file.sync_data());
            }
            for done in round {
                done(result.as_ref().copied().map_err(|error| io::Error::other(error.to_string())));
            }
        }
    }
}

/// Reads one segment's records up to where they end.
fn replay(bytes: &[u8], number: u64, groups: &mut BTreeMap<GroupId, Group>) -> u64 {
    let mut at = 0;
    while let Some((head, _)) = bytes[at..].split_first_chunk::<HEAD_BYTES>() {
        let length = u32::from_le_bytes(head[4..8].try_into().expect("four bytes")) as usize;
        let Some(record) = bytes.get(at..at + length).filter(|_| length >= HEAD_BYTES) else { break };
        if checksum(number, &record[4..]).to_le_bytes() != head[..4] {
            break;
        }
        let group = GroupId(u128::from_le_bytes(head[9..25].try_into().expect("sixteen bytes")));
        let number_at = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        let id = LogId { term: number_at(25), index: number_at(33) };
        let place = (number, (at + HEAD_BYTES) as u64);
        groups.entry(group).or_default().apply(head[8], id, &record[HEAD_BYTES..], place);
        at += length;
    }
    at as u64
}

type Work = (GroupId, LogChange, Done);

#[derive(Clone)]
struct SegmentedLog {
    dir: PathBuf,
    groups: Arc<Mutex<BTreeMap<GroupId, Group>>>,
    work: SyncSender<Work>,
}

impl SegmentedLog {
    fn open(dir: &Path) -> io::Result<Self> {
        let segments = Segments::open(dir)?;
        let groups = Arc::clone(&segments.groups);
        let (work, queue) = sync_channel(4096);
        std::thread::spawn(move || segments.run(&queue));
        Ok(Self { dir: dir.to_path_buf(), groups, work })
    }
}

/// Snapshots are plain files with either store: not part of the comparison.
struct NoSnapshot;

impl raft::SnapshotWriter for NoSnapshot {
    async fn write(&mut self, _: Bytes) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    async fn finish(self, _: SnapshotMeta) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl raft::SnapshotReader for NoSnapshot {
    async fn read(&mut self) -> io::Result<Option<Bytes>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl LogStore for SegmentedLog {
    type SnapshotWriter = NoSnapshot;
    type SnapshotReader = NoSnapshot;

    fn load(&self, group: GroupId) -> io::Result<GroupLog> {
        Ok(self.groups.lock().get(&group).map(|group| group.log.clone()).unwrap_or_default())
    }

    fn submit(&self, group: GroupId, change: LogChange, done: Done) {
        if let Err(refused) = self.work.send((group, change, done)) {
            (refused.0.2)(Err(io::Error::other("stopping")));
        }
    }

    fn synced(&self, _: GroupId) -> Option<LogId> {
        // Nobody asks in the comparison.
        None
    }

    async fn read(&self, group: GroupId, from: u64, to: u64, max_bytes: usize) -> io::Result<Vec<StoredEntry>> {
        let groups = self.groups.lock();
        let places = groups.get(&group).into_iter().flat_map(|group| &group.entries);
        let (mut entries, mut taken) = (Vec::new(), 0);
        for (id, segment, at, length) in places.filter(|(id, ..)| (from..to).contains(&id.index)) {
            taken += *length as usize;
            if !entries.is_empty() && taken > max_bytes {
                break;
            }
            let mut bytes = vec![0; *length as usize];
            File::open(path(&self.dir, *segment))?.read_exact_at(&mut bytes, *at)?;
            entries.push(StoredEntry { id: *id, bytes: bytes.into() });
        }
        Ok(entries)
    }

    async fn create_snapshot(&self, _: GroupId) -> io::Result<NoSnapshot> {
        Ok(NoSnapshot)
    }

    fn newest_snapshot(&self, _: GroupId) -> io::Result<Option<(SnapshotMeta, NoSnapshot)>> {
        Ok(None)
    }
}

fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().expect("not negative"), time.tv_nsec.try_into().expect("below 10^9"))
}

/// Appends entries one behind the other, `depth` of them on their way, and keeps 32 MiB of log, as a group does that
/// takes snapshots.
fn measure<S: LogStore>(store: &S, next: &mut u64, length: usize, depth: u64, time: Duration) -> String {
    let group = GroupId(1);
    let bytes = Bytes::from(vec![7; length]);
    let keep = (32 << 20) / length.max(1024) as u64;
    let (done, wait) = sync_channel(1024);
    let (begin, cpu_begin, first) = (Instant::now(), cpu(), *next);
    let (mut latencies, mut waiting) = (Vec::new(), 0);
    while begin.elapsed() < time || waiting > 0 {
        if waiting < depth && begin.elapsed() < time {
            let id = LogId { term: 1, index: *next };
            let (sent, done) = (Instant::now(), done.clone());
            let answer =
                move |result: io::Result<()>| done.send(result.map(|()| sent.elapsed())).expect("is waited for");
            store.submit(group, LogChange::Append(vec![StoredEntry { id, bytes: bytes.clone() }]), Box::new(answer));
            if next.is_multiple_of(keep / 4) && *next > keep {
                store.submit(group, LogChange::Purge(LogId { term: 1, index: *next - keep }), Box::new(|_| ()));
            }
            (*next, waiting) = (*next + 1, waiting + 1);
        } else {
            latencies.push(wait.recv().expect("the store answers").expect("the disk works"));
            waiting -= 1;
        }
    }
    let (count, took) = (*next - first, begin.elapsed());
    latencies.sort_unstable();
    let at = |part: usize| latencies[latencies.len() * part / 1000].as_micros();
    let cpu = (cpu() - cpu_begin).as_micros() / u128::from(count);
    format!(
        "{:>8.0}/s  p50 {:>6}  p99 {:>6}  p99.9 {:>6} µs  CPU {cpu:>4} µs",
        count as f64 / took.as_secs_f64(),
        at(500),
        at(990),
        at(999)
    )
}

fn disk_bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => disk_bytes(&entry.path()),
        Ok(meta) => std::os::unix::fs::MetadataExt::blocks(&meta) * 512,
        Err(_) => 0,
    };
    entries.map(size).sum()
}

fn main() {
    let seconds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(2.0);
    let dir = std::env::temp_dir().join(format!("cairn-segmented-log-{}", std::process::id()));
    let (sled_dir, own_dir) = (dir.join("sled"), dir.join("segmented"));
    let sled = storage::open(&storage::Options::new(&sled_dir)).expect("a fresh directory").store;
    let own = SegmentedLog::open(&own_dir).expect("a fresh directory");
    let (mut sled_next, mut own_next) = (0, 0);
    let time = Duration::from_secs_f64(seconds);
    for depth in [1, 4] {
        for length in [128, 1 << 10, 8 << 10, 64 << 10] {
            // In turn, twice: what else the machine does falls on both.
            for _ in 0..2 {
                println!("{length:>6} B x{depth}  sled       {}", measure(&sled, &mut sled_next, length, depth, time));
                println!("{length:>6} B x{depth}  segmented  {}", measure(&own, &mut own_next, length, depth, time));
            }
        }
    }
    println!("on disk: sled {} MiB, segmented {} MiB", disk_bytes(&sled_dir) >> 20, disk_bytes(&own_dir) >> 20);
    sled.close();
    drop(sled);
    // A start reads everything.
    let begin = Instant::now();
    drop(storage::open(&storage::Options::new(&sled_dir)).expect("closed in order"));
    println!("start: sled {:?}", begin.elapsed());
    let begin = Instant::now();
    let again = SegmentedLog::open(&own_dir).expect("what was synced is there");
    assert_eq!(again.load(GroupId(1)).expect("read").last.map(|last| last.index + 1), Some(own_next));
    println!("start: segmented {:?}", begin.elapsed());
    fs::remove_dir_all(&dir).expect("the directory is ours");
}
