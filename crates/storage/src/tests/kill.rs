//! Real processes that are killed at any moment: what they had answered is there.
//!
//! The child is this test binary, started again for one test that only does something when it is told where.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use raft::LogStore;

use super::*;

const DIR: &str = "CAIRN_STORAGE_KILL_DIR";

/// Whether the child withholds what is not synced.
const WITHHOLD: &str = "CAIRN_STORAGE_KILL_WITHHOLD";

/// Appends and purges until it is killed, and prints the last index of the log after each answer.
#[test]
fn child_writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let withhold = std::env::var_os(WITHHOLD).map(|_| Duration::from_millis(1));
    // So small that the journal's files take turns all the time.
    let options = Options { withhold, journal_bytes: 8 << 10, ..Options::new(dir) };
    let store = open(&options).unwrap().store;
    let mut next = store.load(GROUP).unwrap().last.map_or(0, |last| last.index + 1);
    loop {
        write(&store, GROUP, append(1, next..next + 3, 500));
        next += 3;
        if next.is_multiple_of(10) {
            write(&store, GROUP, LogChange::Purge(id(1, next - 10)));
        }
        writeln!(std::io::stderr(), "answered {}", next - 1).unwrap();
    }
}

#[test]
fn what_was_answered_survives_being_killed() {
    let dir = TestDir::new();
    let mut answered = None;
    for kills in 0..10 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        if kills % 2 == 0 {
            command.env(WITHHOLD, "1");
        }
        let mut child = command
            .args(["--exact", "tests::kill::child_writes_until_it_is_killed", "--nocapture"])
            .env(DIR, dir.data())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let answers =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("answered ")?.parse::<u64>().ok());
        // The rest of what it says is read after its end: it goes on while it is being killed.
        let mut answers = answers.inspect(|index| answered = Some(*index));
        assert!(answers.nth(10 + 23 * kills).is_some(), "the child ended by itself");
        child.kill().unwrap();
        answers.for_each(drop);
        child.wait().unwrap();
        let store = dir.open().store;
        let log = store.load(GROUP).unwrap();
        assert!(log.last.map(|last| last.index) >= answered, "{log:?} but {answered:?} was answered");
        let first = log.purged.map_or(0, |purged| purged.index + 1);
        let entries = read(&store, GROUP, first, u64::MAX).unwrap();
        assert!(entries.iter().zip(first..).all(|(found, index)| *found == entry(1, index, 500)));
        assert_eq!(entries.last().map(|last| last.id), log.last);
    }
}
