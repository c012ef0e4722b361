//! Registers: SET and GET of keys whose every written value is unique.
//!
//! Then the operations of one value, its write and the reads that saw it, form a cluster, and a history is
//! linearizable exactly if the clusters can be put in a row (Gibbons and Korach, "Testing Shared Memories", 1997).
//! With `f` the first end and `s` the last start in a cluster:
//!
//! ```text
//! f < s   a forward zone  [f, s]: during all of it the register surely held this value
//! s < f   a backward zone [s, f]: at some moment of it the register held this value
//! ```
//!
//! No two forward zones may overlap, and no backward zone may lie inside a forward one.

use std::collections::BTreeMap;
use std::fmt;

use super::{NEVER, Outcome, Span};

/// The histories of all registers.
#[derive(Default)]
pub(crate) struct Registers {
    keys: BTreeMap<String, Register>,
}

#[derive(Default)]
struct Register {
    /// By value.
    writes: BTreeMap<u64, (Span, Outcome)>,
    /// `None`: there was no value.
    reads: Vec<(Option<u64>, Span)>,
    /// Values that replicas showed which promise nothing about time.
    stale: Vec<(u64, Span)>,
}

#[derive(Clone, Copy)]
struct Zone {
    value: Option<u64>,
    first_end: u64,
    last_start: u64,
}

impl Zone {
    fn is_forward(&self) -> bool {
        self.first_end < self.last_start
    }

    fn low(&self) -> u64 {
        self.first_end.min(self.last_start)
    }

    fn high(&self) -> u64 {
        self.first_end.max(self.last_start)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.map_or_else(|| "no value".to_owned(), |value| value.to_string());
        write!(f, "{value} (first end {}, last start {})", self.first_end, self.last_start)
    }
}

impl Registers {
    /// A write of `value`, which no other write has.
    pub(crate) fn wrote(&mut self, key: &str, value: u64, span: Span, outcome: Outcome) {
        let register = self.keys.entry(key.to_owned()).or_default();
        assert!(register.writes.insert(value, (span, outcome)).is_none(), "values are unique");
    }

    /// A read that promises to be linearizable.
    pub(crate) fn read(&mut self, key: &str, value: Option<u64>, span: Span) {
        self.keys.entry(key.to_owned()).or_default().reads.push((value, span));
    }

    /// A read of a replica that may be behind.
    pub(crate) fn read_stale(&mut self, key: &str, value: Option<u64>, span: Span) {
        if let Some(value) = value {
            self.keys.entry(key.to_owned()).or_default().stale.push((value, span));
        }
    }

    pub(crate) fn answered(&self) -> usize {
        let done = |(_, outcome): &&(Span, Outcome)| *outcome == Outcome::Done;
        self.keys.values().map(|register| register.reads.len() + register.writes.values().filter(done).count()).sum()
    }

    pub(crate) fn judge(&self) -> Result<(), String> {
        self.keys
            .iter()
            .try_for_each(|(key, register)| register.judge().map_err(|why| format!("register {key}: {why}")))
    }
}

impl Register {
    fn judge(&self) -> Result<(), String> {
        let seen = self.reads.iter().filter_map(|&(value, span)| value.map(|value| (value, span)));
        for (value, span) in seen.chain(self.stale.iter().copied()) {
            match self.writes.get(&value) {
                None => return Err(format!("{value} was read and never written")),
                Some((_, Outcome::Refused)) => return Err(format!("{value} was read, but its write was refused")),
                Some((write, _)) if span.end < write.start => {
                    return Err(format!("{value} was read before it was written"));
                }
                Some(_) => (),
            }
        }
        let zones = self.zones();
        for (at, zone) in zones.iter().enumerate().filter(|(_, zone)| zone.is_forward()) {
            for (_, other) in zones.iter().enumerate().filter(|(place, _)| *place != at) {
                let conflict = if other.is_forward() {
                    zone.low() < other.high() && other.low() < zone.high()
                } else {
                    zone.low() < other.low() && other.high() < zone.high()
                };
                if conflict {
                    return Err(format!("no order explains {zone} beside {other}"));
                }
            }
        }
        Ok(())
    }

    /// One zone a value that surely was there.
    fn zones(&self) -> Vec<Zone> {
        let mut zones = BTreeMap::new();
        // The absence of a value was written before everything.
        zones.insert(None, Zone { value: None, first_end: 0, last_start: 0 });
        let seen = |value: u64| self.reads.iter().any(|(read, _)| *read == Some(value));
        for (&value, &(span, outcome)) in &self.writes {
            if outcome == Outcome::Done || outcome == Outcome::Unknown && seen(value) {
                let end = if outcome == Outcome::Done { span.end } else { NEVER };
                zones.insert(Some(value), Zone { value: Some(value), first_end: end, last_start: span.start });
            }
        }
        for &(value, span) in &self.reads {
            if let Some(zone) = zones.get_mut(&value) {
                zone.first_end = zone.first_end.min(span.end);
                zone.last_start = zone.last_start.max(span.start);
            }
        }
        zones.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u64, end: u64) -> Span {
        Span { start, end }
    }

    fn judged(writes: &[(u64, Span, Outcome)], reads: &[(Option<u64>, Span)]) -> bool {
        let mut registers = Registers::default();
        writes.iter().for_each(|&(value, span, outcome)| registers.wrote("k", value, span, outcome));
        reads.iter().for_each(|&(value, span)| registers.read("k", value, span));
        registers.judge().is_ok()
    }

    #[test]
    fn what_one_register_can_show_is_accepted() {
        use Outcome::{Done, Refused, Unknown};
        assert!(judged(&[(1, span(1, 2), Done)], &[(Some(1), span(3, 4))]));
        assert!(judged(&[(1, span(1, 4), Done)], &[(None, span(2, 3)), (Some(1), span(5, 6))]));
        assert!(judged(
            &[(1, span(1, 9), Done), (2, span(2, 8), Done)],
            &[(Some(2), span(3, 4)), (Some(1), span(5, 6))]
        ));
        // An unknown write may come late, or never.
        assert!(judged(&[(1, span(1, 2), Unknown)], &[(None, span(3, 4)), (Some(1), span(5, 6))]));
        assert!(judged(&[(1, span(1, 2), Refused)], &[(None, span(3, 4))]));
    }

    #[test]
    fn what_no_register_can_show_is_refused() {
        use Outcome::{Done, Refused, Unknown};
        // Lost.
        assert!(!judged(&[(1, span(1, 2), Done)], &[(None, span(3, 4))]));
        // Stale.
        assert!(!judged(&[(1, span(1, 2), Done), (2, span(3, 4), Done)], &[(Some(1), span(5, 6))]));
        // Back again.
        assert!(!judged(
            &[(1, span(1, 2), Done), (2, span(3, 9), Unknown)],
            &[(Some(2), span(4, 5)), (Some(1), span(6, 7))]
        ));
        assert!(!judged(&[(1, span(1, 2), Refused)], &[(Some(1), span(3, 4))]));
        assert!(!judged(&[], &[(Some(7), span(3, 4))]));
        assert!(!judged(&[(1, span(5, 6), Done)], &[(Some(1), span(1, 2))]));
    }
}
