//! Crashes at every step between the journal and sled, and directories of the layout without a journal.

use std::fs;

use super::*;
use crate::tests::TestDir;

const FILE_BYTES: u64 = 4096;
const GROUP: raft::GroupId = raft::GroupId(7);

fn options(dir: &TestDir) -> Options {
    Options { journal_bytes: FILE_BYTES, ..Options::new(dir.data()) }
}

fn open(dir: &TestDir) -> Disk {
    Disk::open(&options(dir), !dir.data().exists()).unwrap()
}

fn write(disk: &mut Disk, key: u64, length: usize) {
    let mut record = Record::new();
    record.insert(&[&b"K"[..], &key.to_be_bytes()].concat(), &vec![key.to_le_bytes()[0]; length]);
    record.insert(b"newest", &key.to_be_bytes());
    disk.write(record).unwrap();
}

/// How many keys there are: they begin at 0 and have no gap, and none is without the mark that came with it.
fn count(disk: &Disk) -> u64 {
    let keys: Vec<_> = disk.db.scan_prefix(b"K").keys().map(Result::unwrap).collect();
    let count = keys.len() as u64;
    assert!(keys.iter().zip(0_u64..).all(|(key, expected)| key[1..] == expected.to_be_bytes()));
    let newest = disk.db.get(b"newest").unwrap().map(|value| value.to_vec());
    assert_eq!(newest, count.checked_sub(1).map(|last| last.to_be_bytes().to_vec()));
    count
}

#[test]
fn what_only_the_journal_has_is_applied_at_the_next_start() {
    let dir = TestDir::new();
    let mut disk = open(&dir);
    for key in 0..3 {
        write(&mut disk, key, 10);
        disk.sync().unwrap();
    }
    assert_eq!(count(&disk), 0, "sled follows later");
    let killed = dir.copy();
    drop(disk);
    for dir in [dir, killed] {
        let mut disk = open(&dir);
        assert_eq!(count(&disk), 3);
        write(&mut disk, 3, 10);
        disk.sync().unwrap();
        drop(disk);
        // Nothing was closed in order: applied again, behind what the start before applied.
        assert_eq!(count(&open(&dir)), 4);
    }
}

#[test]
fn a_crash_at_any_step_of_the_end_of_a_turn_loses_nothing() {
    let dir = TestDir::new();
    let mut disk = open(&dir);
    let mut crashes = Vec::new();
    for key in 0..40 {
        write(&mut disk, key, 300);
        disk.sync().unwrap();
        let mut crash = |step| crashes.push((step, key + 1, dir.copy()));
        match key % 8 {
            0 => crash("synced"),
            2 => {
                disk.settle().unwrap();
                crash("applied");
            }
            4 => {
                // As in `end_turn`, step by step.
                disk.sled.wait_for_sync().unwrap();
                disk.journal.turn().unwrap();
                crash("turned");
                disk.settle().unwrap();
                crash("turned, applied");
                disk.sled.sync();
                crash("asked for the sync");
                disk.sled.wait_for_sync().unwrap();
                crash("sled is synced");
            }
            5 => crash("the other file has its first record"),
            _ => {}
        }
    }
    for (step, expected, copy) in crashes {
        assert_eq!(count(&open(&copy)), expected, "{step}");
    }
}

#[test]
fn a_journal_that_was_cut_at_any_byte_gives_what_was_complete() {
    let dir = TestDir::new();
    let mut disk = open(&dir);
    for key in 0..3 {
        write(&mut disk, key, 10);
        disk.sync().unwrap();
    }
    let end = usize::try_from(disk.journal.at()).unwrap();
    let killed = dir.copy();
    drop(disk);
    let whole = fs::read(killed.data().join("journal/0")).unwrap();
    for cut in (0..=end).step_by(5) {
        let torn = killed.copy();
        let mut bytes = whole.clone();
        bytes[cut..].fill(0xFF);
        fs::write(torn.data().join("journal/0"), &bytes).unwrap();
        let disk = open(&torn);
        assert_eq!(count(&disk), (cut * 3 / end) as u64, "cut at {cut}");
    }
}

#[test]
fn closing_leaves_nothing_to_apply() {
    let dir = TestDir::new();
    let mut disk = open(&dir);
    (0..50).for_each(|key| write(&mut disk, key, 300));
    disk.close().unwrap();
    drop(disk);
    Journal::create(&dir.data().join("journal"), FILE_BYTES).unwrap();
    assert_eq!(count(&open(&dir)), 50);
}

#[test]
fn a_long_turn_ends_by_itself() {
    let dir = TestDir::new();
    let mut disk = open(&dir);
    write(&mut disk, 0, 10);
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    let now = Instant::now();
    disk.tidy(now).unwrap();
    assert_eq!(disk.tidy_due(), Some(now + TURN_TIME));
    disk.tidy(now + TURN_TIME).unwrap();
    disk.sled.wait_for_sync().unwrap();
    assert_eq!((count(&disk), disk.tidy_due()), (1, None));
}

#[test]
fn a_directory_without_a_journal_gets_one() {
    let dir = TestDir::new();
    let mut disk = open(&dir);
    (0..3).for_each(|key| write(&mut disk, key, 10));
    disk.close().unwrap();
    // As the version before left it.
    disk.db.insert(keys::FORMAT_KEY, keys::encode_format(1)).unwrap();
    disk.db.remove(keys::HELD_KEY).unwrap();
    disk.db.flush().unwrap();
    drop(disk);
    fs::remove_dir_all(dir.data().join("journal")).unwrap();
    let mut disk = open(&dir);
    assert_eq!(count(&disk), 3);
    write(&mut disk, 3, 10);
    disk.sync().unwrap();
    let killed = dir.copy();
    assert_eq!(count(&open(&killed)), 4);
    assert_eq!(read_format(&disk.db, &disk.path).unwrap(), Some(keys::FORMAT), "the version before refuses it now");
}

#[test]
fn a_directory_of_longer_parts_in_longer_segments_is_read_and_written() {
    let dir = TestDir::new();
    // As version 2 left it: sled's settings, and an entry in parts of 16 KiB.
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(40_000).collect();
    {
        let path = dir.data().join("raft");
        let db = sled::Config::new().path(&path).segment_size(2 << 20).mode(sled::Mode::HighThroughput).open().unwrap();
        for (part, piece) in bytes.chunks(16 << 10).enumerate() {
            let key = keys::entry_key(GROUP, 7, u32::try_from(part).unwrap());
            let mut value = vec![0; 4];
            if part == 0 {
                value.extend_from_slice(&1u64.to_le_bytes());
                value.extend_from_slice(&40_000u64.to_le_bytes());
            }
            value.extend_from_slice(piece);
            keys::seal(&key, &mut value);
            db.insert(key, value).unwrap();
        }
        db.insert(keys::FORMAT_KEY, keys::encode_format(2)).unwrap();
        db.insert(keys::HELD_KEY, keys::encode_held(0, 1)).unwrap();
        db.flush().unwrap();
    }
    Journal::create(&dir.data().join("journal"), options(&dir).journal_bytes).unwrap();
    for written in 0..3 {
        let mut disk = open(&dir);
        let read = crate::scan::read(&disk.tree(), GROUP, 7, 8, usize::MAX).unwrap();
        assert_eq!(read[0].bytes, bytes);
        assert_eq!(count(&disk), written);
        write(&mut disk, written, 10_000);
        disk.close().unwrap();
    }
}

#[test]
fn a_newer_layout_is_refused() {
    let dir = TestDir::new();
    let disk = open(&dir);
    disk.db.insert(keys::FORMAT_KEY, keys::encode_format(keys::FORMAT + 1)).unwrap();
    disk.db.flush().unwrap();
    drop(disk);
    let error = Disk::open(&options(&dir), false).err().unwrap();
    assert!(matches!(error, Error::Newer { .. }), "{error}");
}
