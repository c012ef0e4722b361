//! `restart`: how long a killed server takes until it answers again.
//!
//! Cairn alone, and redis-server with an append-only log as it comes. Both are killed with SIGKILL and started again in
//! turn; the files are in the page cache, as they are after a crash of the process. Timed: from the start of the process
//! to the right value of the key that was loaded last.

use std::time::Duration;

use super::Setting;
use super::client::ask_once;
use super::clock;
use super::load::{key, load_keys, value};
use super::server::{START_LIMIT, Scratch, Server, info_number};
use super::statistics::{Ratio, median};
use super::table::Table;
use crate::stage::Outcome;

/// Longer than the second within which Redis syncs its log.
const SYNCED: Duration = Duration::from_secs(2);

/// A loaded server.
struct Contender {
    name: &'static str,
    server: Server,
    restarts_s: Vec<f64>,
}

/// Loads both, restarts them in turn and prints the table.
pub(crate) fn restart(setting: &Setting<'_>) -> Outcome {
    let mut scratch = Scratch::new(setting.tree)?;
    let mut contenders = [
        loaded("Cairn", scratch.cairn(&setting.binary)?, setting.keys)?,
        loaded("Redis, appendonly", scratch.redis_logging()?, setting.keys)?,
    ];
    for round in 1..=setting.pairs {
        for contender in &mut contenders {
            let took = restarted(&mut contender.server, setting.keys)?.as_secs_f64();
            eprintln!("== restart {round} of {}: {took:.3} s, {}", setting.pairs, contender.name);
            contender.restarts_s.push(took);
        }
    }
    println!("### Restart with {} keys\n", setting.keys);
    println!(
        "16-byte keys, 64-byte values; kill -9, then from the start to the first right GET; medians of {} in turn.\n",
        setting.pairs
    );
    let mut table = Table::new(&["", "restart s", "Cairn's time ÷ its own (95 %)"]);
    for (place, contender) in contenders.iter().enumerate() {
        let ratio = Ratio::of(&contenders[0].restarts_s, &contender.restarts_s);
        table.row([
            contender.name.into(),
            format!("{:.2}", median(&contender.restarts_s)),
            if place == 0 { "–".into() } else { ratio.to_string() },
        ]);
    }
    println!("{table}");
    Ok(())
}

fn loaded(name: &'static str, server: Server, keys: u64) -> Outcome<Contender> {
    eprintln!("== loading {keys} keys into {name}");
    load_keys(server.port(), keys)?;
    clock::pause(SYNCED);
    // A rewrite in progress would be cut short by the kill; servers without such a field have none.
    let is_quiet = || (info_number(server.port(), "persistence", "aof_rewrite_in_progress") != Some(1)).then_some(());
    clock::wait_for("the rewrite of the log", START_LIMIT, is_quiet)?;
    Ok(Contender { name, server, restarts_s: Vec::new() })
}

/// Kills the server, starts it and times it until it has the last key.
fn restarted(server: &mut Server, keys: u64) -> Outcome<Duration> {
    let (last, expected) = (key(keys - 1), value(keys - 1));
    server.kill();
    let start = clock::now();
    server.spawn()?;
    let has_key =
        || ask_once(server.port(), &["GET", &last]).filter(|reply| reply.is_bulk(expected.as_bytes())).map(drop);
    clock::wait_for("a loaded key after the restart", START_LIMIT, has_key)?;
    Ok(clock::since(start))
}
