//! Threads that give way to those that somebody waits for.

use std::io;

use rustix::process::{getpriority_process, setpriority_process};

/// How far: see setpriority(2).
const NICENESS: i32 = 5;

/// Lowers the priority of the thread that calls it; on Linux each has its own.
pub fn give_way() -> io::Result<()> {
    Ok(getpriority_process(None).and_then(|own| setpriority_process(None, own + NICENESS))?)
}
