//! Lists that only grow: RPUSH of unique elements, LRANGE of everything.
//!
//! The reply of a push says where its element is, and a read's length where the read stands among the pushes: so
//! every operation has its place in the one order there can be, and that order must agree with time.

use std::collections::BTreeMap;

use super::{Outcome, Span};

/// The histories of all lists.
#[derive(Default)]
pub(crate) struct Lists {
    keys: BTreeMap<String, List>,
}

#[derive(Default)]
struct List {
    /// By element: when, what became of it, and the length that was answered.
    pushes: BTreeMap<u64, (Span, Outcome, usize)>,
    /// Elements that one client pushed at once, in its order.
    rows: Vec<Vec<u64>>,
    /// What was read, and whether the read promises to be linearizable.
    reads: Vec<(Vec<u64>, Span, bool)>,
}

impl Lists {
    /// A push of `element`, which no other push has; `length` is the reply, if there was one.
    pub(crate) fn pushed(&mut self, key: &str, element: u64, span: Span, outcome: Outcome, length: usize) {
        let list = self.keys.entry(key.to_owned()).or_default();
        assert!(list.pushes.insert(element, (span, outcome, length)).is_none(), "elements are unique");
    }

    /// These elements were sent at once, so they must stand in this order, those of them that are there.
    pub(crate) fn sent_in_row(&mut self, key: &str, elements: Vec<u64>) {
        self.keys.entry(key.to_owned()).or_default().rows.push(elements);
    }

    /// A read of the whole list.
    pub(crate) fn read(&mut self, key: &str, elements: Vec<u64>, span: Span, linearizable: bool) {
        self.keys.entry(key.to_owned()).or_default().reads.push((elements, span, linearizable));
    }

    pub(crate) fn answered(&self) -> usize {
        let done = |(_, outcome, _): &&(Span, Outcome, usize)| *outcome == Outcome::Done;
        self.keys.values().map(|list| list.reads.len() + list.pushes.values().filter(done).count()).sum()
    }

    pub(crate) fn judge(&self) -> Result<(), String> {
        self.keys.iter().try_for_each(|(key, list)| list.judge().map_err(|why| format!("list {key}: {why}")))
    }
}

impl List {
    fn judge(&self) -> Result<(), String> {
        let longest = self.reads.iter().map(|(elements, ..)| elements).max_by_key(|elements| elements.len());
        let Some(longest) = longest else { return Ok(()) };
        for (elements, ..) in &self.reads {
            if !longest.starts_with(elements) {
                return Err(format!("one read saw {elements:?}, another {longest:?}"));
            }
        }
        let mut places = BTreeMap::new();
        for (at, &element) in longest.iter().enumerate() {
            if let Some(before) = places.insert(element, at) {
                return Err(format!("{element} is there twice, at places {before} and {at}"));
            }
            if !self.pushes.contains_key(&element) {
                return Err(format!("{element} was read and never pushed"));
            }
        }
        for row in &self.rows {
            let there: Vec<_> = row.iter().filter_map(|element| places.get(element)).collect();
            if !there.is_sorted() {
                return Err(format!("{row:?} were pushed in this order and stand at {there:?}"));
            }
        }
        self.judge_times(longest.len(), &places)
    }

    /// Whether the order of the list agrees with time. `places` says where each element stands.
    fn judge_times(&self, longest: usize, places: &BTreeMap<u64, usize>) -> Result<(), String> {
        // Where each operation stands: a push behind the elements before it, a read behind what it saw.
        let mut placed = Vec::new();
        for (&element, &(span, outcome, length)) in &self.pushes {
            let at = places.get(&element).copied();
            match (outcome, at) {
                (Outcome::Refused, Some(_)) => return Err(format!("{element} is there, but its push was refused")),
                (Outcome::Done, Some(at)) if at + 1 != length => {
                    return Err(format!("{element} is at place {at}, but its push was answered {length}"));
                }
                (Outcome::Done, None) if length <= longest => {
                    return Err(format!("{element} was acknowledged and is gone"));
                }
                (Outcome::Done, None) => placed.push((2 * length, span)),
                (_, Some(at)) => placed.push((2 * (at + 1), span)),
                (_, None) => (),
            }
        }
        let reads = self.reads.iter().filter(|(.., linearizable)| *linearizable);
        placed.extend(reads.map(|(elements, span, _)| (2 * elements.len() + 1, *span)));
        placed.sort_by_key(|&(place, _)| place);
        let mut last_start = 0;
        for group in placed.chunk_by(|(one, _), (other, _)| one == other) {
            if let Some((place, span)) = group.iter().find(|(_, span)| span.end < last_start) {
                return Err(format!("the operation {span:?} at place {place} ended before an earlier one was begun"));
            }
            last_start = group.iter().map(|(_, span)| span.start).fold(last_start, u64::max);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u64, end: u64) -> Span {
        Span { start, end }
    }

    fn judged(pushes: &[(u64, Span, Outcome, usize)], reads: &[(&[u64], Span)]) -> bool {
        let mut lists = Lists::default();
        pushes.iter().for_each(|&(element, span, outcome, length)| lists.pushed("k", element, span, outcome, length));
        reads.iter().for_each(|&(elements, span)| lists.read("k", elements.to_vec(), span, true));
        lists.judge().is_ok()
    }

    #[test]
    fn what_one_list_can_show_is_accepted() {
        use Outcome::{Done, Unknown};
        assert!(judged(&[(1, span(1, 2), Done, 1), (2, span(3, 4), Done, 2)], &[(&[1, 2], span(5, 6))]));
        assert!(judged(&[(1, span(1, 4), Done, 1)], &[(&[], span(2, 3)), (&[1], span(5, 6))]));
        assert!(judged(&[(1, span(1, super::super::NEVER), Unknown, 0)], &[(&[], span(2, 3)), (&[1], span(5, 6))]));
    }

    #[test]
    fn what_no_list_can_show_is_refused() {
        use Outcome::{Done, Refused};
        assert!(!judged(&[(1, span(1, 2), Done, 1)], &[(&[], span(3, 4)), (&[1], span(5, 6))]));
        assert!(!judged(&[(1, span(1, 2), Done, 1), (2, span(1, 2), Done, 2)], &[(&[2, 1], span(5, 6))]));
        assert!(!judged(&[(1, span(1, 2), Refused, 0)], &[(&[1], span(5, 6))]));
        assert!(!judged(&[(1, span(1, 2), Done, 1)], &[(&[1, 9], span(5, 6))]));
        assert!(!judged(
            &[(1, span(1, 2), Done, 1), (2, span(3, 4), Done, 2)],
            &[(&[1, 2], span(5, 6)), (&[1], span(7, 8))]
        ));
        assert!(!judged(&[(1, span(1, 2), Done, 1), (2, span(3, 4), Done, 1)], &[(&[1, 2], span(5, 6))]));
        let never = span(1, super::super::NEVER);
        assert!(!judged(&[(1, never, Outcome::Unknown, 0)], &[(&[1, 1], span(5, 6))]), "it happened twice");
    }

    #[test]
    fn what_was_sent_in_a_row_stands_in_that_row() {
        let judged = |row: &[u64]| {
            let mut lists = Lists::default();
            [1, 2].iter().for_each(|&element| lists.pushed("k", element, span(1, 2), Outcome::Done, element as usize));
            lists.sent_in_row("k", row.to_vec());
            lists.read("k", vec![1, 2], span(3, 4), true);
            lists.judge().is_ok()
        };
        assert!(judged(&[1, 9, 2]));
        assert!(!judged(&[2, 1]));
    }
}
