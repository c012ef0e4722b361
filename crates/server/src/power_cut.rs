//! `cairn-power-cut`: the server, over a log that kill -9 cuts as a power cut would. For tests of durability; never shipped.
//!
//! The page cache outlives a killed process, so that killing `cairn-server` shows nothing about syncs. Here nothing is
//! handed to the system before its sync is due, and each sync is held up for a moment (`storage::Options::withhold`): a
//! reply that did not wait for its sync is lost by the kill.

use std::process::ExitCode;
use std::time::Duration;

/// How long each sync is held up: much longer than a reply is on its way, so that one that went out too early has
/// arrived when the kill comes; and short enough for a load.
const HELD_UP: Duration = Duration::from_millis(2);

fn main() -> ExitCode {
    server::run(|dir| storage::Options { withhold: Some(HELD_UP), ..storage::Options::new(dir) })
}
