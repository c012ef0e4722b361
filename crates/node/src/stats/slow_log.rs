//! The slow log: the newest commands that ran for longer than `slowlog-log-slower-than`.
//!
//! Running is what counts: neither the wait for the log nor that for a socket.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use resp::Arguments;

// Redis: slowlog.h SLOWLOG_ENTRY_MAX_ARGC and SLOWLOG_ENTRY_MAX_STRING.
const ARGUMENTS_MAX: usize = 32;
const ARGUMENT_BYTES_MAX: usize = 128;

/// Directives whose values nobody is to read here.
const SECRETS: [&[u8]; 2] = [b"requirepass", b"masterauth"];

/// What is never noted: EXEC is but a frame, and the others carry passwords.
const UNNOTED: [&str; 3] = ["AUTH", "EXEC", "HELLO"];

/// See the module.
pub(crate) struct SlowLog {
    /// In microseconds; negative for never.
    threshold: AtomicI64,
    max_len: AtomicUsize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    next: u64,
    /// The newest in front.
    list: VecDeque<SlowCommand>,
}

/// A slow command.
#[derive(Clone)]
pub(crate) struct SlowCommand {
    pub(crate) id: u64,
    /// When it ran, in seconds since 1970.
    pub(crate) time: u64,
    pub(crate) microseconds: u64,
    /// Shortened, as Redis shortens them.
    pub(crate) arguments: Vec<Vec<u8>>,
    pub(crate) client_address: String,
    pub(crate) client_name: String,
}

impl Default for SlowLog {
    fn default() -> Self {
        Self { threshold: AtomicI64::new(10_000), max_len: AtomicUsize::new(128), entries: Mutex::default() }
    }
}

impl SlowLog {
    /// `slowlog-log-slower-than`.
    pub(crate) fn set_threshold(&self, microseconds: i64) {
        self.threshold.store(microseconds, Ordering::Relaxed);
    }

    /// `slowlog-max-len`. What is there goes with the next command that is added, as in Redis.
    pub(crate) fn set_max_len(&self, max_len: usize) {
        self.max_len.store(max_len, Ordering::Relaxed);
    }

    /// Whether so quick commands are wanted that each has to be timed.
    pub(crate) fn wants_all(&self) -> bool {
        (0..1000).contains(&self.threshold.load(Ordering::Relaxed))
    }

    /// Whether a command that took so long is wanted.
    pub(crate) fn wants(&self, nanoseconds: u64) -> bool {
        let threshold = self.threshold.load(Ordering::Relaxed);
        u64::try_from(threshold).is_ok_and(|threshold| nanoseconds / 1000 >= threshold)
    }

    /// Whether slow calls of the command with this name are noted.
    pub(crate) fn notes(name: &str) -> bool {
        !UNNOTED.contains(&name)
    }

    /// Adds a command; `client` is its address and name.
    pub(crate) fn add(&self, time: u64, nanoseconds: u64, arguments: Arguments<'_>, client: (String, String)) {
        let max_len = self.max_len.load(Ordering::Relaxed);
        let mut entries = self.entries.lock();
        let (client_address, client_name) = client;
        let entry = SlowCommand {
            id: entries.next,
            time,
            microseconds: nanoseconds / 1000,
            arguments: shorten(arguments),
            client_address,
            client_name,
        };
        entries.next += 1;
        entries.list.push_front(entry);
        entries.list.truncate(max_len);
    }

    /// The newest commands, the newest first.
    pub(crate) fn newest(&self, count: usize) -> Vec<SlowCommand> {
        self.entries.lock().list.iter().take(count).cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.lock().list.len()
    }

    /// SLOWLOG RESET: numbers go on.
    pub(crate) fn reset(&self) {
        self.entries.lock().list.clear();
    }
}

fn shorten(arguments: Arguments<'_>) -> Vec<Vec<u8>> {
    let count = arguments.len();
    let shown = if count > ARGUMENTS_MAX { ARGUMENTS_MAX - 1 } else { count };
    let mut short: Vec<Vec<u8>> = arguments.iter().take(shown).map(shorten_one).collect();
    let is_config = arguments.name().eq_ignore_ascii_case(b"config");
    for at in 3..shown {
        // The values of CONFIG SET stand behind their names.
        if is_config && SECRETS.iter().any(|name| short[at - 1].eq_ignore_ascii_case(name)) {
            short[at] = b"(redacted)".to_vec();
        }
    }
    if count > shown {
        short.push(format!("... ({} more arguments)", count - shown).into_bytes());
    }
    short
}

fn shorten_one(argument: &[u8]) -> Vec<u8> {
    let more = argument.len().saturating_sub(ARGUMENT_BYTES_MAX);
    let mut short = argument[..argument.len() - more].to_vec();
    if more > 0 {
        short.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
    }
    short
}
