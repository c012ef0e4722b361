//! Damage is noticed, names its file and why, and is never answered as data.

use raft::{LogChange, LogStore};

use super::*;
use crate::Error;

/// The entries of [`filled`].
const LENGTH: usize = 2500;

/// A closed directory with a vote and the logs of two groups, in one segment of sled's.
fn filled() -> TestDir {
    filled_with(LENGTH)
}

fn filled_with(length: usize) -> TestDir {
    let dir = TestDir::new();
    // Each entry has a turn of the journal, so that sled's file has the tree in many states.
    let store = open(&Options { journal_bytes: 2048, ..dir.options() }).unwrap().store;
    write(&store, GROUP, LogChange::Vote(bytes("vote")));
    for index in 0..40 {
        write(&store, GROUP, append(1, index..index + 1, length));
    }
    write(&store, OTHER, append(1, 0..3, 10));
    store.close();
    drop(store);
    // What sled loses now, the journal does not replace: its records are of the start before.
    dir.open().store.close();
    dir
}

fn try_open(dir: &TestDir) -> Result<Store, Error> {
    open(&dir.options()).map(|opened| opened.store)
}

/// Opens and reads everything; the text of the first error.
fn first_error(dir: &TestDir, length: usize) -> Option<String> {
    let store = match try_open(dir) {
        Ok(store) => store,
        Err(error) => return Some(error.to_string()),
    };
    let load = store.load(GROUP).and_then(|_| read(&store, GROUP, 0, 40)).map(|entries| {
        assert_eq!(entries, (0..40).map(|index| entry(1, index, length)).collect::<Vec<_>>(), "answered as data");
    });
    let vote = store.load(GROUP).map(|log| assert_eq!(log.vote, Some(bytes("vote")), "answered as data"));
    load.and(vote).err().map(|error| error.to_string())
}

#[test]
fn two_processes_cannot_have_one_directory() {
    let dir = TestDir::new();
    let first = dir.open();
    let error = try_open(&dir).err().unwrap();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    assert!(error.to_string().contains(dir.data().to_str().unwrap()), "{error}");
    drop(first);
    assert!(try_open(&dir).is_ok());
}

#[test]
fn a_newer_format_is_refused_and_stays_as_it_is() {
    let dir = filled();
    let path = dir.data().join("node");
    let text = fs::read_to_string(&path).unwrap().replace("cairn-node 1", "cairn-node 2");
    fs::write(&path, &text).unwrap();
    let error = try_open(&dir).err().unwrap();
    assert!(matches!(error, Error::Newer { found: 2, known: 1, .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn every_cut_and_flip_of_the_identity_is_noticed() {
    let dir = filled();
    let path = dir.data().join("node");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        fs::write(&path, &whole[..at]).unwrap();
        assert!(crate::Identity::read(&dir.data()).is_err(), "cut at {at}");
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&path, &flipped).unwrap();
        let error = crate::Identity::read(&dir.data()).expect_err(&format!("byte {at}")).to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_missing_part_is_not_taken_for_an_empty_one() {
    for missing in ["raft", "marks", "raft/db", "journal", "journal/0", "journal/1"] {
        let dir = filled();
        let path = dir.data().join(missing);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
        let error = try_open(&dir).err().unwrap();
        assert!(matches!(error, Error::Missing { .. }), "{missing}: {error}");
        assert!(error.to_string().contains(missing), "{error}");
    }
    let dir = filled();
    fs::remove_file(dir.data().join("node")).unwrap();
    let error = try_open(&dir).err().unwrap();
    assert!(error.is_damage() && error.to_string().contains("node"), "{error}");
}

#[test]
fn a_creation_that_was_cut_off_begins_anew() {
    let dir = TestDir::new();
    drop(dir.open());
    fs::remove_file(dir.data().join("node")).unwrap();
    let opened = dir.open();
    assert!(opened.is_new);
    write(&opened.store, GROUP, append(1, 0..1, 10));
}

#[test]
fn a_log_that_was_cut_behind_its_marks_is_noticed() {
    let mut noticed = 0;
    for keep_percent in [0, 10, 50, 90, 99] {
        let dir = filled();
        remove_sled_snapshots(&dir);
        let db = fs::OpenOptions::new().write(true).open(dir.data().join("raft/db")).unwrap();
        let length = db.metadata().unwrap().len();
        db.set_len(length * keep_percent / 100).unwrap();
        if let Some(error) = first_error(&dir, LENGTH) {
            assert!(error.contains("raft"), "{error}");
            noticed += 1;
        }
    }
    assert!(noticed >= 3, "sled's file may end in bytes that nothing needs, but not in that many");
}

#[test]
fn an_older_copy_of_the_log_is_noticed() {
    let dir = TestDir::new();
    let store = dir.open().store;
    write(&store, GROUP, append(1, 0..5, 10));
    let older = dir.copy();
    write(&store, GROUP, append(1, 5..9, 10));
    write(&store, GROUP, LogChange::Vote(bytes("vote")));
    store.close();
    drop(store);
    for part in ["raft", "journal"] {
        fs::remove_dir_all(dir.data().join(part)).unwrap();
        copy_tree(&older.data().join(part), &dir.data().join(part));
    }
    let store = try_open(&dir).unwrap();
    let error = store.load(GROUP).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("vote 1 was saved, it holds 0"), "{error}");
    assert!(submit(&store, OTHER, append(1, 0..1, 1)).recv().unwrap().is_ok(), "another group is not hindered");
    // The replica is given up: then the group may come back with another one.
    write(&store, GROUP, LogChange::Forget);
    write(&store, GROUP, append(3, 0..1, 10));
    assert_eq!(store.load(GROUP).unwrap().last, Some(id(3, 0)));
}

#[test]
fn an_older_copy_of_sled_alone_is_brought_level_or_noticed() {
    let dir = TestDir::new();
    let store = dir.open().store;
    write(&store, GROUP, append(1, 0..5, 10));
    let older = dir.copy();
    write(&store, GROUP, append(1, 5..9, 10));
    store.close();
    drop(store);
    let replace = |dir: &TestDir| {
        fs::remove_dir_all(dir.data().join("raft")).unwrap();
        copy_tree(&older.data().join("raft"), &dir.data().join("raft"));
    };
    replace(&dir);
    assert_eq!(dir.open().store.load(GROUP).unwrap().last, Some(id(1, 8)), "the journal has the rest");
    let store = dir.open().store;
    write(&store, GROUP, append(1, 9..10, 10));
    drop(store);
    replace(&dir);
    let error = try_open(&dir).err().unwrap();
    assert!(error.is_damage() && error.to_string().contains("raft"), "{error}");
}

/// Flips one byte at a time, evenly spread over sled's file; the number of times that it was noticed.
fn count_noticed_flips(dir: &TestDir, length: usize, flips: u64, prepare: impl Fn(&TestDir)) -> usize {
    let file_length = fs::metadata(dir.data().join("raft/db")).unwrap().len();
    let noticed = |flip: u64| {
        let damaged = dir.copy();
        prepare(&damaged);
        let path = damaged.data().join("raft/db");
        let mut bytes = fs::read(&path).unwrap();
        bytes[usize::try_from(file_length * flip / flips).unwrap()] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        first_error(&damaged, length).is_some_and(|error| {
            assert!(error.contains("raft is damaged"), "{error}");
            true
        })
    };
    (0..flips).filter(|flip| noticed(*flip)).count()
}

#[test]
fn flipped_bytes_where_sled_cuts_its_log_are_noticed_or_were_not_needed() {
    // All but what is free behind the last record: a segment has its full length from the start.
    assert!(count_noticed_flips(&filled(), LENGTH, 40, remove_sled_snapshots) > 20);
}

#[test]
fn flipped_bytes_where_sled_relies_on_its_summary_are_noticed_or_were_not_needed() {
    let length = 200_000;
    let dir = filled_with(length);
    drop(dir.open());
    // Much of the file is older versions of the tree's leaves, in an order that sled chooses anew each time.
    assert!(count_noticed_flips(&dir, length, 24, |_| ()) > 0);
}

#[test]
fn one_torn_slot_of_the_marks_is_survived_and_two_are_not() {
    let dir = filled();
    let path = dir.data().join("marks");
    let whole = fs::read(&path).unwrap();
    for slot in [0, 128 << 10] {
        let mut torn = whole.clone();
        torn[slot + 40] ^= 1;
        fs::write(&path, &torn).unwrap();
        assert!(crate::marks::Marks::open(&path).unwrap().is_some());
    }
    let mut torn = whole;
    (torn[40], torn[(128 << 10) + 40]) = (!torn[40], !torn[(128 << 10) + 40]);
    fs::write(&path, &torn).unwrap();
    let error = try_open(&dir).err().unwrap();
    assert!(error.is_damage() && error.to_string().contains("marks"), "{error}");
}

#[test]
fn a_directory_that_cannot_be_made_says_so() {
    let dir = TestDir::new();
    fs::write(dir.data(), b"a file").unwrap();
    let error = try_open(&dir).err().unwrap().to_string();
    assert!(error.contains(dir.data().to_str().unwrap()), "{error}");
}

#[test]
fn free_space_is_counted() {
    assert!(crate::free_bytes(&std::env::temp_dir()).unwrap() > 0);
    assert!(crate::free_bytes(Path::new("/nowhere/at/all")).is_err());
}

/// Makes sled read its log again instead of its summary.
fn remove_sled_snapshots(dir: &TestDir) {
    for entry in fs::read_dir(dir.data().join("raft")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}
