//! What INFO, SLOWLOG and LATENCY show of what has happened.
//!
//! No command takes a lock for it: sums are renewed once per socket read, counts by command belong to the thread that runs
//! it ([`Tally`]). Only a command that failed or was slow does more. Each I/O thread has counters of its own: one that two
//! threads add to wanders between their cores, which costs a small command more than what it counts.

mod latency;
mod slow_log;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use commands::{Flags, Place, Spec};
use parking_lot::Mutex;
use resp::Arguments;

use crate::clients::Clients;
use crate::config::{Config, Settings};
pub(crate) use latency::Latency;
pub(crate) use slow_log::SlowLog;
pub(crate) use tally::{Tally, Totals};

/// I/O threads that have counters of their own; those beyond share them.
const COUNTS: usize = 16;

/// So many different first words of errors are told apart.
const ERROR_KINDS_MAX: usize = 128;

/// What has happened since the start, or since CONFIG RESETSTAT.
#[derive(Default)]
pub(crate) struct Stats {
    pub(crate) clients: Arc<Clients>,
    counts: [Counts; COUNTS],
    /// Clients whose command waits for a key.
    pub(crate) waiting_clients: AtomicU64,
    pub(crate) over_query_limit: AtomicU64,
    pub(crate) over_output_limit: AtomicU64,
    pub(crate) error_count: AtomicU64,
    errors: Mutex<BTreeMap<String, u64>>,
    tallies: Mutex<Vec<Arc<Tally>>>,
    /// What the tallies held at the last RESETSTAT: only their own threads write them.
    forgotten: Mutex<Vec<Totals>>,
    pub(crate) slow: SlowLog,
    pub(crate) latency: Latency,
    pub(crate) rates: Mutex<Rates>,
}

/// What one I/O thread counts. On cache lines of its own, also where they are fetched in pairs.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Counts {
    pub(crate) commands: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    /// Socket reads.
    pub(crate) reads: AtomicU64,
    /// Socket writes.
    pub(crate) writes: AtomicU64,
    /// Keys that reads have found.
    pub(crate) hits: AtomicU64,
    /// Keys that reads have not found.
    pub(crate) misses: AtomicU64,
}

/// A command that has run.
pub(crate) struct Ran<'a> {
    pub(crate) place: Place,
    pub(crate) spec: &'a Spec,
    pub(crate) arguments: Arguments<'a>,
    pub(crate) nanoseconds: Option<u64>,
    pub(crate) reply: &'a [u8],
    /// The id of the client that sent it.
    pub(crate) client: u64,
}

/// How much happened per second between two looks.
#[derive(Clone, Copy, Default)]
pub(crate) struct Rates {
    since_ms: u64,
    sums: [u64; 3],
    /// Commands, bytes in, bytes out, each per second.
    pub(crate) per_second: [f64; 3],
}

impl Stats {
    /// The counters of the I/O thread with this number.
    pub(crate) fn of(&self, io: u16) -> &Counts {
        &self.counts[usize::from(io) % COUNTS]
    }

    /// The counters of apply.
    pub(crate) fn of_apply(&self) -> &Counts {
        &self.counts[COUNTS - 1]
    }

    /// Commands that were done.
    pub(crate) fn commands(&self) -> u64 {
        self.sum(|counts| &counts.commands)
    }

    /// Bytes that clients have sent.
    pub(crate) fn bytes_in(&self) -> u64 {
        self.sum(|counts| &counts.bytes_in)
    }

    /// Bytes that clients were sent.
    pub(crate) fn bytes_out(&self) -> u64 {
        self.sum(|counts| &counts.bytes_out)
    }

    /// Socket reads.
    pub(crate) fn reads(&self) -> u64 {
        self.sum(|counts| &counts.reads)
    }

    /// Socket writes.
    pub(crate) fn writes(&self) -> u64 {
        self.sum(|counts| &counts.writes)
    }

    /// Keys that reads have found.
    pub(crate) fn hits(&self) -> u64 {
        self.sum(|counts| &counts.hits)
    }

    /// Keys that reads have not found.
    pub(crate) fn misses(&self) -> u64 {
        self.sum(|counts| &counts.misses)
    }

    fn sum(&self, counter: impl Fn(&Counts) -> &AtomicU64) -> u64 {
        self.counts.iter().map(|counts| counter(counts).load(Ordering::Relaxed)).sum()
    }

    /// Takes over the directives about what is noted, now and whenever they change.
    pub(crate) fn follow(self: &Arc<Self>, config: &Config) {
        self.configure(&config.current());
        let stats = Arc::clone(self);
        config.watch(move |settings| stats.configure(settings));
    }

    fn configure(&self, settings: &Settings) {
        self.slow.set_threshold(settings.slowlog_log_slower_than_us);
        self.slow.set_max_len(settings.slowlog_max_len as usize);
        self.latency.set_threshold(settings.latency_monitor_threshold_ms.into());
    }

    /// A tally for a thread of its own.
    pub(crate) fn tally(&self) -> Arc<Tally> {
        let tally = Arc::new(Tally::default());
        self.tallies.lock().push(Arc::clone(&tally));
        tally
    }

    /// Notes that a command ran, how long if it was timed, and what it answered. `now_ms` is asked for by a slow one only.
    pub(crate) fn ran(&self, tally: &Tally, ran: &Ran<'_>, now_ms: impl FnOnce() -> u64) {
        let failed = ran.reply.first() == Some(&b'-');
        tally.called(ran.place, ran.nanoseconds, failed);
        if failed {
            self.error(ran.reply);
        }
        if let Some(nanoseconds) = ran.nanoseconds
            && (self.slow.wants(nanoseconds) || self.latency.wants(nanoseconds))
        {
            let time = now_ms() / 1000;
            if self.latency.wants(nanoseconds) {
                self.latency.add(
                    if ran.spec.flags.contains(Flags::FAST) { "fast-command" } else { "command" },
                    time,
                    nanoseconds,
                );
            }
            if self.slow.wants(nanoseconds) && SlowLog::notes(ran.spec.name) {
                self.slow.add(time, nanoseconds, ran.arguments, self.clients.address_and_name(ran.client));
            }
        }
    }

    /// Notes an error that a client was answered with, as it was written.
    pub(crate) fn error(&self, reply: &[u8]) {
        self.error_count.fetch_add(1, Ordering::Relaxed);
        let line = reply.strip_prefix(b"-").unwrap_or(reply);
        let word = line.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
        let mut errors = self.errors.lock();
        let word = String::from_utf8_lossy(word);
        if let Some(count) = errors.get_mut(word.as_ref()) {
            *count += 1;
        } else if errors.len() < ERROR_KINDS_MAX {
            errors.insert(word.into_owned(), 1);
        }
    }

    /// How often each first word of an error was answered.
    pub(crate) fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.lock().clone()
    }

    /// By the number of the command's row, what all threads have counted.
    pub(crate) fn totals(&self) -> Vec<Totals> {
        let mut totals = self.all_time();
        for (total, forgotten) in totals.iter_mut().zip(self.forgotten.lock().iter()) {
            total.subtract(forgotten);
        }
        totals
    }

    fn all_time(&self) -> Vec<Totals> {
        let mut totals: Vec<Totals> = commands::rows().map(|_| Totals::default()).collect();
        for tally in self.tallies.lock().iter() {
            tally.add_to(&mut totals);
        }
        totals
    }

    /// Looks at the rates; they are renewed when the last look was half a second ago or longer.
    pub(crate) fn rates(&self, now_ms: u64) -> Rates {
        let mut rates = self.rates.lock();
        let passed_ms = now_ms.saturating_sub(rates.since_ms);
        if passed_ms >= 500 {
            let sums = [self.commands(), self.bytes_in(), self.bytes_out()];
            #[expect(clippy::cast_precision_loss, reason = "shown with two decimals")]
            let rate = |place: usize| sums[place].saturating_sub(rates.sums[place]) as f64 * 1000.0 / passed_ms as f64;
            // The first look has nothing to compare with.
            let per_second = if rates.since_ms == 0 { [0.0; 3] } else { [rate(0), rate(1), rate(2)] };
            *rates = Rates { since_ms: now_ms, sums, per_second };
        }
        *rates
    }

    /// CONFIG RESETSTAT.
    pub(crate) fn reset(&self) {
        for counts in &self.counts {
            let Counts { commands, bytes_in, bytes_out, reads, writes, hits, misses } = counts;
            for counter in [commands, bytes_in, bytes_out, reads, writes, hits, misses] {
                counter.store(0, Ordering::Relaxed);
            }
        }
        let limits = [&self.over_query_limit, &self.over_output_limit, &self.error_count];
        for counter in limits.into_iter().chain([&self.clients.accepted, &self.clients.rejected]) {
            counter.store(0, Ordering::Relaxed);
        }
        self.errors.lock().clear();
        *self.rates.lock() = Rates::default();
        *self.forgotten.lock() = self.all_time();
    }
}
