//! The process's memory, as the system and the allocator count it.

use std::fs;

use node::{AllocatorBytes, MemoryProbe};
use tikv_jemalloc_ctl::stats_print::{Options, stats_print};
use tikv_jemalloc_ctl::{Access, AsName, arenas, epoch, stats, version};

/// Returns what was freed to the system and keeps small boxes dense; the system's allocator does neither well.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What can be told here.
pub(crate) const PROBE: MemoryProbe =
    MemoryProbe { resident_bytes, machine_bytes, allocator, allocator_bytes, report, purge };

fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn machine_bytes() -> Option<u64> {
    let info = rustix::system::sysinfo();
    let unit = u64::from(info.mem_unit.max(1));
    Some(info.totalram * unit)
}

/// Its version without the commit that it was built from.
fn allocator() -> Option<String> {
    let full = version::read().ok()?;
    Some(format!("jemalloc-{}", full.split('-').next()?))
}

fn allocator_bytes() -> Option<AllocatorBytes> {
    // The counts are those of the last epoch.
    epoch::advance().ok()?;
    Some(AllocatorBytes {
        allocated: stats::allocated::read().ok()? as u64,
        active: stats::active::read().ok()? as u64,
        resident: stats::resident::read().ok()? as u64,
    })
}

fn report() -> Option<String> {
    let mut report = Vec::new();
    stats_print(&mut report, Options::default()).ok()?;
    String::from_utf8(report).ok()
}

/// An arena that is to keep unused pages for no time lets those go that it keeps. Then it keeps them for as long as it was made to: not as before,
/// which is no time while another client purges.
fn purge() {
    let kept_for: Result<isize, _> = "opt.dirty_decay_ms\0".name().read();
    let Ok(kept_for) = kept_for else { return };
    for arena in 0..arenas::narenas::read().unwrap_or(0) {
        let name = format!("arena.{arena}.dirty_decay_ms\0");
        // An arena that nobody has used yet has nothing to say, and nothing to give.
        if name.name().write(0isize).is_ok()
            && let Err(error) = name.name().write(kept_for)
        {
            tracing::warn!(arena, %error, "an arena of the allocator keeps no pages any more");
        }
    }
}
