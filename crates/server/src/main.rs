//! `cairn-server`.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Returns what was freed to the system and keeps small boxes dense; the system's allocator does neither well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long, in ms, the allocator holds back what was freed. It reads that from the environment, before `main`.
const PURGE_DELAY: &str = "MIMALLOC_PURGE_DELAY";

fn main() -> ExitCode {
    if std::env::var_os(PURGE_DELAY).is_none() {
        // Returns only when it failed: the allocator's own settings are good enough then.
        let _ = begin_again_with_settings();
    }
    server::run(storage::Options::new)
}

/// Puts this program in its own place (the same process, by its id), with the allocator set to give back soon.
///
/// By default it waits for a second, and then for its thread to free something else: what a thread that has become idle had freed, a
/// snapshot's buffers for example, was never given back. A million small strings took 380 MB after SAVE for 176. Giving back at once is 10 MB
/// better still, but what is asked for again meanwhile is fetched anew: a restart with a million keys took a tenth longer.
fn begin_again_with_settings() -> std::io::Error {
    let mut arguments = std::env::args_os();
    let mut again = match std::env::current_exe() {
        Ok(program) => Command::new(program),
        Err(why) => return why,
    };
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    again.args(arguments).env(PURGE_DELAY, "1").exec()
}
