//! What Linux says about processes and about the machine, from `/proc`.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::stage::{Error, Outcome, output_of};
use crate::tree::Tree;

/// Clock ticks a second in `/proc/PID/stat`: Linux shows 100 to programs, whatever its own timer does.
const TICKS_PER_SECOND: u64 = 100;

/// User and system time that the process `pid` has used so far, in µs, all its threads together, in steps of 10 ms.
pub(crate) fn cpu_us(pid: u32) -> Outcome<u64> {
    read_and_parse(&format!("/proc/{pid}/stat"), cpu_ticks).map(|ticks| ticks * (1_000_000 / TICKS_PER_SECOND))
}

/// Resident memory of the process `pid`, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> Outcome<u64> {
    read_and_parse(&format!("/proc/{pid}/status"), |status| field_kib(status, "VmRSS:")).map(|kib| kib * 1024)
}

/// How long a thread of the process has run so far, whatever it waited for: the one of this name, or the first.
pub(crate) fn thread_run(pid: u32, name: &str) -> Outcome<Duration> {
    let mut thread = pid;
    for entry in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let is_named = fs::read_to_string(entry.path().join("comm")).is_ok_and(|comm| comm.trim() == name);
        if let Some(id) = entry.file_name().to_str().and_then(|id| id.parse().ok()).filter(|_| is_named) {
            thread = id;
        }
    }
    let path = format!("/proc/{pid}/task/{thread}/schedstat");
    read_and_parse(&path, |text| text.split_ascii_whitespace().next()?.parse().ok()).map(Duration::from_nanos)
}

fn read_and_parse(path: &str, parse: impl FnOnce(&str) -> Option<u64>) -> Outcome<u64> {
    let text = fs::read_to_string(path).map_err(|error| Error::Failed(format!("{path}: {error}")))?;
    parse(&text).ok_or_else(|| Error::Failed(format!("{path}: not as Linux writes it")))
}

/// Fields 14 and 15 of `stat`. The second field is a name in parentheses that may hold anything, so count from its end.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?);
    Some(user + system)
}

fn field_kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// One line of markdown that says which tree was measured, when and on what.
pub(crate) fn heading(tree: &Tree, is_own_build: bool) -> String {
    let said =
        |command: &mut Command| output_of(command).map_or_else(|| "unknown".into(), |text| text.trim().to_owned());
    let commit =
        said(Command::new("git").args(["describe", "--always", "--dirty", "--exclude=*"]).current_dir(tree.root()));
    let build = if is_own_build { "" } else { " (a binary given by --binary)" };
    let date = said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| field_kib(&text, "MemTotal:"));
    let system = said(Command::new("uname").args(["-srm"]));
    format!(
        "Commit {commit}{build}, {date}; {cores} cores, {} GiB, {system}; load average {} before.",
        memory.map_or(0, |kib| kib.div_ceil(1 << 20)),
        load_average(),
    )
}

/// The load averages of the last 1, 5 and 15 minutes.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 250 75 9 9 20 0 4 0 100 1000 10";
        assert_eq!(cpu_ticks(stat), Some(325));
        assert_eq!(cpu_ticks("42 (a) S 1 2"), None);
    }

    #[test]
    fn fields_have_a_name_and_a_unit() {
        let status = "Name:\tx\nVmHWM:\t  200 kB\nVmRSS:\t  123 kB\n";
        assert_eq!(field_kib(status, "VmRSS:"), Some(123));
        assert_eq!(field_kib(status, "VmSwap:"), None);
    }

    #[test]
    fn this_process_has_a_size() {
        assert!(resident_bytes(std::process::id()).unwrap() > 1 << 16);
        assert!(cpu_us(std::process::id()).is_ok());
        assert!(thread_run(std::process::id(), "no such thread").is_ok());
    }
}
