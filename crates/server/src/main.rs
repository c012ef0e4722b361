//! `cairn-server`.

use std::process::ExitCode;

/// Returns what was freed to the system and keeps small boxes dense; the system's allocator does neither well.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    server::run(storage::Options::new)
}
