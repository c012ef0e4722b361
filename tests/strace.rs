//! Every acknowledgement follows a sync of the log: seen from the system calls of the process.
//!
//! kill -9 cannot show this, as the system's cache survives it. strace notes the order of calls over all threads: before
//! the reply to the n-th SET goes out, its value must have been written to a file of the data directory, and a sync of that
//! file must have begun after the write and be complete.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use crate::harness::server::{CAIRN, Process, answers, command, free_port};
use crate::harness::{Client, Directory, Value, wait_for};

/// How many values are set, one after the other.
const SETS: usize = 200;

#[test]
fn a_reply_follows_a_sync_of_the_log() {
    let directory = Directory::new();
    let port = free_port();
    let trace = directory.join("trace");
    let server = command(CAIRN, port, &directory, &[]);
    let mut traced = Command::new("strace");
    // `-y` shows the path behind a file's number, `-s` enough of the bytes to know a reply and a value.
    traced.args(["-f", "-y", "-s", "1000000", "-e"]);
    traced.arg("trace=write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync,sync_file_range,msync");
    traced.arg("-o").arg(&trace).arg(server.get_program()).args(server.get_args());
    traced.current_dir(directory.path());
    let mut process = Process::start(traced, &directory.join("log"));
    wait_for("a server under strace (`cargo xtask test` installs it)", || {
        assert!(process.ended().is_none(), "it ended:\n{}", process.output());
        answers(port).then_some(())
    });
    let mut client = Client::connect(port);
    for number in 0..SETS {
        assert_eq!(client.run(&format!("SET key value-{number}-end")), Value::ok());
    }
    // Ends strace's child, and so strace.
    let _ = client.try_call(&[b"SHUTDOWN"]);
    process.end();
    let replies = check(&fs::read_to_string(&trace).expect("strace wrote its file"));
    assert_eq!(replies, SETS, "the test looks at the wrong calls");
}

/// Reads the trace; how many replies it has seen, each after its sync.
fn check(trace: &str) -> usize {
    let mut replies = 0;
    let mut written: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    let mut durable: BTreeSet<usize> = BTreeSet::new();
    // By thread, as strace shows a call that others interrupted in two lines: what the file held when its sync began.
    let mut syncing: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for line in trace.lines() {
        let thread = line.split_whitespace().next().expect("strace -f names the thread");
        let file = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(file, _)| file);
        let is_of_data = file.contains("/data/");
        if line.contains("sync") && (is_of_data || line.contains("resumed>")) {
            if is_of_data {
                syncing.insert(thread, written.get(file).cloned().unwrap_or_default());
            }
            if line.ends_with("= 0") {
                durable.extend(syncing.remove(thread).unwrap_or_default());
            }
        } else if is_of_data && line.contains("write") {
            written.entry(file).or_default().extend(values(line));
        } else if line.contains("\"+OK") && (file.starts_with("socket:") || file.starts_with("TCP:")) {
            assert!(durable.contains(&replies), "value {replies} is acknowledged before it is durable:\n{line}");
            replies += 1;
        }
    }
    replies
}

/// The numbers of the values that a line shows.
fn values(line: &str) -> impl Iterator<Item = usize> + '_ {
    line.split("value-").skip(1).filter_map(|rest| rest.split_once("-end")?.0.parse().ok())
}
