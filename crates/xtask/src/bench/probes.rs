//! Probes: threads that do one thing again and again while something else happens, and keep how long it took each time.
//!
//! ```text
//! GET     one small key of the server    what needs no log: pauses of the server itself
//! SET     another one                    the same, and the way through the log
//! sleep   1 ms                           how late the machine wakes a thread: the processor is busy with others
//! sync    4 KiB written over, fdatasync  what the disk makes anybody wait for, server or not
//! ```
//! The last two tell the machine's own pauses from the server's. Samples are counted in the phase in which they end.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::client::Client;
use super::clock;
use super::server::START_LIMIT;
use crate::stage::{Error, Outcome};

/// Between one command of a probe and the next.
const PAUSE: Duration = Duration::from_micros(500);
/// What the sleeper asks for.
const NAP: Duration = Duration::from_millis(1);
/// Between one bare sync and the next: it must not become a load of its own.
const SYNC_EVERY: Duration = Duration::from_millis(10);
const SYNC_BYTES: [u8; 4096] = [7; 4096];

/// What one probe saw in one phase.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Seen {
    /// In ms; 0 without a sample.
    pub(crate) worst_ms: f64,
    /// The 99th percentile.
    pub(crate) p99_ms: f64,
}

impl Seen {
    /// Of samples in any order.
    pub(crate) fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        Self { worst_ms: at(&samples, 1.0), p99_ms: at(&samples, 0.99) }
    }
}

/// The sample, in ms, that this part of all does not exceed; 0 of none.
pub(crate) fn at(sorted: &[Duration], part: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few")]
    let place = ((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(0.0, |sample| sample.as_secs_f64() * 1e3)
}

/// What all probes saw in one phase.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Beside {
    pub(crate) get: Seen,
    pub(crate) set: Seen,
    /// How much later than asked for a sleep ended.
    pub(crate) sleep: Seen,
    pub(crate) sync: Seen,
}

/// The samples of the phase that goes on.
#[derive(Default)]
struct Samples(Mutex<Vec<Duration>>);

impl Samples {
    fn add(&self, sample: Duration) {
        self.0.lock().expect("no holder panics").push(sample);
    }

    fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.0.lock().expect("no holder panics"))
    }
}

/// The running probes.
#[derive(Default)]
pub(crate) struct Probes {
    get: Samples,
    set: Samples,
    sleep: Samples,
    sync: Samples,
    is_over: AtomicBool,
}

impl Probes {
    /// Runs `work` while the probes look at the server on this port and at a file in `dir`.
    #[expect(clippy::disallowed_methods, reason = "clients of real servers are threads of this machine")]
    pub(crate) fn beside<T>(port: u16, dir: &Path, work: impl FnOnce(&Self) -> Outcome<T>) -> Outcome<T> {
        let failed = |error: std::io::Error| Error::Failed(format!("a probe: {error}"));
        let connect = || Client::connect(port, START_LIMIT).map_err(failed);
        let (get, set) = (connect()?, connect()?);
        let file = File::create(dir.join("probe")).map_err(failed)?;
        file.write_all_at(&SYNC_BYTES, 0).and_then(|()| file.sync_all()).map_err(failed)?;
        let probes = Self::default();
        thread::scope(|scope| {
            let probes = &probes;
            let threads = [
                scope.spawn(move || probes.ask(get, &["GET", "probe:get"], &probes.get)),
                scope.spawn(move || probes.ask(set, &["SET", "probe:set", "1"], &probes.set)),
                scope.spawn(move || probes.nap()),
                scope.spawn(move || probes.bare_sync(&file)),
            ];
            let result = work(probes);
            probes.is_over.store(true, Ordering::Relaxed);
            for thread in threads {
                thread.join().expect("a probe does not panic").map_err(failed)?;
            }
            result
        })
    }

    /// What was seen since the last call.
    pub(crate) fn take(&self) -> Beside {
        let [get, set, sleep, sync] =
            [&self.get, &self.set, &self.sleep, &self.sync].map(|samples| Seen::of(samples.take()));
        Beside { get, set, sleep, sync }
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    fn ask(&self, mut client: Client, words: &[&str], samples: &Samples) -> std::io::Result<()> {
        while self.goes_on() {
            let start = clock::now();
            client.ask(words)?;
            samples.add(clock::since(start));
            clock::pause(PAUSE);
        }
        Ok(())
    }

    fn nap(&self) -> std::io::Result<()> {
        while self.goes_on() {
            let start = clock::now();
            clock::pause(NAP);
            self.sleep.add(clock::since(start).saturating_sub(NAP));
        }
        Ok(())
    }

    fn bare_sync(&self, file: &File) -> std::io::Result<()> {
        while self.goes_on() {
            let start = clock::now();
            file.write_all_at(&SYNC_BYTES, 0)?;
            file.sync_data()?;
            self.sync.add(clock::since(start));
            clock::pause(SYNC_EVERY);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let samples: Vec<Duration> = (1..=1000).rev().map(Duration::from_millis).collect();
        let seen = Seen::of(samples);
        assert_eq!((seen.worst_ms, seen.p99_ms), (1000.0, 991.0));
        assert_eq!(Seen::of(Vec::new()), Seen::default());
    }
}
