//! LATENCY's samples: by event, the longest time of each of the last seconds in which there was a spike.
//!
//! A spike is what takes `latency-monitor-threshold` ms or longer. The events are `command` and `fast-command`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Samples kept of each event.
const SAMPLES_MAX: usize = 160;

/// See the module.
#[derive(Default)]
pub(crate) struct Latency {
    /// In ms; 0 for never.
    threshold_ms: AtomicU64,
    events: Mutex<BTreeMap<&'static str, Event>>,
}

/// A second, since 1970, and the longest spike in it, in ms.
pub(crate) type Sample = (u64, u64);

#[derive(Clone, Default)]
struct Event {
    samples: VecDeque<Sample>,
    max_ms: u64,
}

impl Latency {
    /// `latency-monitor-threshold`.
    pub(crate) fn set_threshold(&self, threshold_ms: u64) {
        self.threshold_ms.store(threshold_ms, Ordering::Relaxed);
    }

    /// Whether a command that took so long is a spike.
    pub(crate) fn wants(&self, nanoseconds: u64) -> bool {
        let threshold_ms = self.threshold_ms.load(Ordering::Relaxed);
        threshold_ms > 0 && nanoseconds / 1_000_000 >= threshold_ms
    }

    /// Adds a spike of an event at this second.
    pub(crate) fn add(&self, event: &'static str, time: u64, nanoseconds: u64) {
        let milliseconds = nanoseconds / 1_000_000;
        let mut events = self.events.lock();
        let event = events.entry(event).or_default();
        event.max_ms = event.max_ms.max(milliseconds);
        match event.samples.back_mut() {
            Some((second, longest)) if *second == time => *longest = milliseconds.max(*longest),
            _ => event.samples.push_back((time, milliseconds)),
        }
        if event.samples.len() > SAMPLES_MAX {
            event.samples.pop_front();
        }
    }

    /// Each event's newest sample and longest spike.
    pub(crate) fn latest(&self) -> Vec<(&'static str, Sample, u64)> {
        let events = self.events.lock();
        events.iter().filter_map(|(name, event)| Some((*name, *event.samples.back()?, event.max_ms))).collect()
    }

    /// The samples of an event, the oldest first.
    pub(crate) fn history(&self, name: &[u8]) -> Vec<Sample> {
        let events = self.events.lock();
        let found = events.iter().find(|(event, _)| event.as_bytes() == name);
        found.map(|(_, event)| event.samples.iter().copied().collect()).unwrap_or_default()
    }

    /// Forgets the events that are wanted; how many there were.
    pub(crate) fn reset(&self, is_wanted: impl Fn(&str) -> bool) -> usize {
        let mut events = self.events.lock();
        let before = events.len();
        events.retain(|name, _| !is_wanted(name));
        before - events.len()
    }
}
