//! The log: `tracing`'s events as lines, to standard output or to a file.
//!
//! ```text
//! 4711 21 Nov 2026 22:36:04.820 * Ready to accept connections
//! |    |                        | message, then key=value of the event's fields
//! |    |                        how important: # warning, * notice, - verbose, . debug
//! |    the wall clock, UTC
//! process id
//! ```
//! `loglevel` counts for Cairn's own crates; what libraries say is shown from a warning on, at `debug` in full.
//! It follows CONFIG SET.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Mutex;

use anyhow::Context as _;
use node::config::{Config, LogLevel};
use raft::Clock as _;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, Layer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

use crate::clock::SystemClock;

/// The crates whose lines `loglevel` is about.
const OWN: &[&str] = &["server", "cairn_server", "node", "raft", "storage", "rpc", "commands", "keyspace"];
/// What every start says, whatever `loglevel` is, except `nothing`.
pub(crate) const BANNER: &str = "banner";

/// Starts the log of this process as the configuration has it. Called once, before any other thread.
pub(crate) fn start(config: &Config) -> anyhow::Result<()> {
    let settings = config.current();
    let writer = if settings.logfile.is_empty() {
        BoxMakeWriter::new(io::stdout)
    } else {
        BoxMakeWriter::new(Mutex::new(open(Path::new(&settings.logfile))?))
    };
    let (level, handle) = reload::Layer::new(filter(settings.loglevel));
    let lines = Layer::new().with_ansi(false).with_writer(writer).event_format(Line { pid: std::process::id() });
    Registry::default().with(level).with(lines).try_init().context("starting the log")?;
    config.watch(move |settings| {
        // Fails only when the subscriber is gone, and nothing is logged any more.
        let _ = handle.reload(filter(settings.loglevel));
    });
    Ok(())
}

/// Appends, so that a log can be copied and cut to nothing (logrotate's copytruncate) while it is written.
fn open(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("cannot open the logfile {}: correct logfile, or make it writable", path.display()))
}

fn filter(level: LogLevel) -> Targets {
    let (own, libraries) = match level {
        LogLevel::Debug => (LevelFilter::TRACE, LevelFilter::DEBUG),
        LogLevel::Verbose => (LevelFilter::DEBUG, LevelFilter::WARN),
        // openraft warns of every message that did not arrive, many a second; the links tell it once.
        LogLevel::Notice => (LevelFilter::INFO, LevelFilter::ERROR),
        LogLevel::Warning => (LevelFilter::WARN, LevelFilter::ERROR),
        LogLevel::Nothing => return Targets::new().with_default(LevelFilter::OFF),
    };
    Targets::new()
        .with_default(libraries)
        .with_targets(OWN.iter().map(|name| (*name, own)))
        .with_target(BANNER, LevelFilter::INFO)
}

/// Writes an event as one line.
struct Line {
    pid: u32,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        let level = *event.metadata().level();
        write!(out, "{} {} {} ", self.pid, utc(SystemClock.wall_ms()), mark(level))?;
        let target = event.metadata().target();
        let from = target.split("::").next().unwrap_or(target);
        if from != BANNER && !OWN.contains(&from) {
            write!(out, "{from}: ")?;
        }
        ctx.format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

fn mark(level: Level) -> char {
    match level {
        Level::ERROR | Level::WARN => '#',
        Level::INFO => '*',
        Level::DEBUG => '-',
        Level::TRACE => '.',
    }
}

/// `21 Nov 2026 22:36:04.820` from milliseconds since 1970.
fn utc(ms: u64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{day:02} {} {year} {hour:02}:{minute:02}:{second:02}.{ms:03}", MONTHS[month])
}

/// Year, month from 0 and day from 1 of a day counted from 1970. Counts in years that begin on 1 March, in which the
/// leap day comes last, and in eras of 400 such years, which all have the same number of days.
fn date(days: u64) -> (u64, usize, u64) {
    const ERA_DAYS: u64 = 146_097;
    let since_march_0 = days + 719_468;
    let (era, day_of_era) = (since_march_0 / ERA_DAYS, since_march_0 % ERA_DAYS);
    let leap_corrected = day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / (ERA_DAYS - 1);
    let year_of_era = leap_corrected / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // 153 days are five months of 31, 30, 31, 30, 31 days.
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    (year, month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(utc(0), "01 Jan 1970 00:00:00.000");
        assert_eq!(utc(951_782_400_000), "29 Feb 2000 00:00:00.000");
        assert_eq!(utc(951_868_799_999), "29 Feb 2000 23:59:59.999");
        assert_eq!(utc(951_868_800_000), "01 Mar 2000 00:00:00.000");
        assert_eq!(utc(1_795_300_564_820), "21 Nov 2026 22:36:04.820");
        assert_eq!(utc(4_107_542_400_000), "01 Mar 2100 00:00:00.000");
        assert_eq!(utc(4_107_456_000_000), "28 Feb 2100 00:00:00.000");
    }

    #[test]
    fn levels_reach_their_lines() {
        let shows = |level, target: &'static str, line| filter(level).would_enable(target, &line);
        assert!(shows(LogLevel::Notice, "node::shard", Level::INFO));
        assert!(!shows(LogLevel::Notice, "node::shard", Level::DEBUG));
        assert!(!shows(LogLevel::Notice, "openraft::core", Level::INFO));
        assert!(!shows(LogLevel::Notice, "openraft::core", Level::WARN));
        assert!(shows(LogLevel::Debug, "raft", Level::TRACE));
        assert!(shows(LogLevel::Warning, BANNER, Level::INFO));
        assert!(!shows(LogLevel::Nothing, BANNER, Level::ERROR));
    }
}
