//! Time as benchmarks need it: the machine's clock, pauses, and waiting for a condition with a limit.
//!
//! The one place of `bench` that reads the clock or sleeps.

#![expect(clippy::disallowed_methods, reason = "a benchmark times real processes, which share no simulated clock")]

use std::time::{Duration, Instant};

use crate::stage::{Error, Outcome};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(2);

/// The machine's monotonic clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// How long ago `start` was.
pub(crate) fn since(start: Instant) -> Duration {
    now().saturating_duration_since(start)
}

/// Lets time pass: for a steady load, or until a poll is due.
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Looks every 2 ms until `condition` has a value. `what` names it in the error after `limit`.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Outcome<T> {
    let start = now();
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if since(start) > limit {
            return Err(Error::Failed(format!("waited {} s in vain for {what}", limit.as_secs())));
        }
        pause(POLL);
    }
}
