//! Clients and the limit of open files: one connection is one file.

use anyhow::bail;
use node::config::Settings;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are not clients: the store, snapshots, links to peers, listeners, the log.
const RESERVED: u64 = 96;

/// Raises the process's limit of open files so that `maxclients` fit, or lowers `maxclients` to what fits. Returns what
/// the operator should be told.
pub(crate) fn fit_clients(settings: &mut Settings) -> anyhow::Result<Option<String>> {
    let wanted = u64::from(settings.maxclients) + RESERVED;
    let before = getrlimit(Resource::Nofile);
    let limit = if below(before.current, wanted) { raise(before, wanted) } else { before.current };
    let Some(clients) = clients_of(limit, settings.maxclients) else {
        bail!(
            "the limit of open files is {}, too low to serve anyone: raise it to at least {wanted} (ulimit -n)",
            limit.unwrap_or(0)
        );
    };
    if clients == settings.maxclients {
        return Ok(None);
    }
    let note = format!(
        "maxclients is {clients} instead of {}: the limit of open files is {}, raise it to {wanted} (ulimit -n)",
        settings.maxclients,
        limit.unwrap_or(0)
    );
    settings.maxclients = clients;
    Ok(Some(note))
}

/// Raises the limit as far as the system lets us; returns what it is then.
fn raise(before: Rlimit, wanted: u64) -> Option<u64> {
    // Above the hard limit only root may go; up to it everyone.
    let hard = if below(before.maximum, wanted) { Some(wanted) } else { before.maximum };
    let tries = [Rlimit { current: Some(wanted), maximum: hard }, Rlimit { current: before.maximum, ..before }];
    for limit in tries {
        if setrlimit(Resource::Nofile, limit).is_ok() {
            break;
        }
    }
    getrlimit(Resource::Nofile).current
}

/// Whether a limit (`None`: unlimited) is below a number.
fn below(limit: Option<u64>, number: u64) -> bool {
    limit.is_some_and(|limit| limit < number)
}

/// How many of `wanted` clients fit, if any.
fn clients_of(limit: Option<u64>, wanted: u32) -> Option<u32> {
    let room = limit.map_or(u64::MAX, |limit| limit.saturating_sub(RESERVED));
    Some(u32::try_from(room).map_or(wanted, |room| room.min(wanted))).filter(|clients| *clients > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_fit_the_files() {
        assert_eq!(clients_of(None, 10_000), Some(10_000));
        assert_eq!(clients_of(Some(1024), 10_000), Some(928));
        assert_eq!(clients_of(Some(1 << 40), 10_000), Some(10_000));
        assert_eq!(clients_of(Some(RESERVED), 10_000), None);
        assert_eq!(clients_of(Some(0), 10_000), None);
    }
}
