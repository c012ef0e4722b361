//! Things that vanish: sets that members are drawn from by SPOP, lists that clients wait on, and keys with deadlines.
//!
//! What is gone and was given to nobody was taken by a pop whose answer was lost, each by one of its own, that was under way at the
//! time. A client who was told that there was nothing has taken nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::unseen::{Window, untaken};
use super::{Outcome, Span};

/// What was seen of them.
#[derive(Default)]
pub(crate) struct Sets {
    added: BTreeMap<u64, Added>,
    /// Those of them that certainly were added, whatever was answered: a mark was written with each, and is there.
    marked: BTreeSet<u64>,
    popped: BTreeMap<u64, Span>,
    /// The pops whose answers were lost, each perhaps with a member: from when they were sent to when they can take none any more.
    pops_unknown: Vec<Window>,
    /// What was there, and when that was asked.
    looks: Vec<(BTreeSet<u64>, Window)>,
    /// What was left at the end.
    left: Option<BTreeSet<u64>>,
    /// Clocks jumped in this run: deadlines say nothing about virtual time.
    clocks_jump: bool,
    /// Keys that are written once, with a deadline: when they were, and what was read of them.
    mortals: BTreeMap<u64, Mortal>,
    wrong: Option<String>,
}

/// How far the clocks of two leaders may be apart while none of them jumps, and what a tick and a round take, in ms.
const CLOCKS_APART_MS: u64 = 700;

struct Added {
    span: Span,
    outcome: Outcome,
    /// When it was sent and answered.
    ms: Window,
}

struct Mortal {
    write: Span,
    outcome: Outcome,
    /// When it is due, in ms of virtual time counted from the sending of its write to that of its answer.
    due_ms: (u64, u64),
    /// When a read that must be linearizable saw it, or did not any more.
    there: Vec<Span>,
    gone: Vec<Span>,
}

impl Sets {
    /// A member that is added once. `ms`: when that was sent and answered.
    pub(crate) fn added(&mut self, member: u64, span: Span, outcome: Outcome, ms: Window) {
        self.added.insert(member, Added { span, outcome, ms });
    }

    /// With each of these members a mark was written, in one transaction, and the marks are there.
    pub(crate) fn marked(&mut self, members: impl Iterator<Item = u64>) {
        self.marked.extend(members);
    }

    /// All of the members, as a read that must be linearizable saw them. `ms`: when that was sent and answered.
    pub(crate) fn looked(&mut self, members: BTreeSet<u64>, ms: Window) {
        self.looks.push((members, ms));
    }

    /// A pop gave this member to somebody.
    pub(crate) fn popped(&mut self, member: u64, span: Span) {
        if self.popped.insert(member, span).is_some() {
            self.wrong.get_or_insert_with(|| format!("the member {member} was popped twice"));
        }
    }

    /// A pop was sent, and no answer came; from when to when it may have taken a member.
    pub(crate) fn popped_perhaps(&mut self, ms: Window) {
        self.pops_unknown.push(ms);
    }

    /// All is over, and this is left.
    pub(crate) fn left(&mut self, members: BTreeSet<u64>) {
        self.left = Some(members);
    }

    /// Wall clocks jump in this run.
    pub(crate) fn clocks_jump(&mut self) {
        self.clocks_jump = true;
    }

    /// A key was written, with a deadline; `due_ms` counts from the sending and from the answer.
    pub(crate) fn wrote_mortal(&mut self, key: u64, write: Span, outcome: Outcome, due_ms: (u64, u64)) {
        self.mortals.insert(key, Mortal { write, outcome, due_ms, there: Vec::new(), gone: Vec::new() });
    }

    /// Such a key was looked for, between these two moments of virtual time.
    pub(crate) fn read_mortal(&mut self, key: u64, found: bool, span: Span, (sent_ms, answered_ms): (u64, u64)) {
        let Some(mortal) = self.mortals.get_mut(&key) else { return };
        let (earliest_ms, latest_ms) = mortal.due_ms;
        let is_wrong = match found {
            true => mortal.outcome == Outcome::Done && sent_ms > latest_ms + CLOCKS_APART_MS,
            false => {
                let is_written = mortal.outcome == Outcome::Done && mortal.write.end < span.start;
                is_written && answered_ms + CLOCKS_APART_MS < earliest_ms
            }
        };
        if is_wrong && !self.clocks_jump {
            let due = format!("the key {key}, due at {:?} ms, was found: {found}, at {sent_ms} ms", mortal.due_ms);
            self.wrong.get_or_insert(due);
        }
        let reads = if found { &mut mortal.there } else { &mut mortal.gone };
        reads.push(span);
    }

    pub(crate) fn answered(&self) -> usize {
        self.popped.len() + self.mortals.values().map(|mortal| mortal.there.len() + mortal.gone.len()).sum::<usize>()
    }

    /// When a member that is gone was taken.
    fn went(&self, member: u64, added: &Added) -> Window {
        let seen = self.looks.iter().filter(|(members, _)| members.contains(&member)).map(|(_, ms)| ms.0);
        let is_late = |ms: &Window| added.outcome == Outcome::Done && ms.0 > added.ms.1;
        let missed = self.looks.iter().filter(|(members, ms)| is_late(ms) && !members.contains(&member));
        (seen.fold(added.ms.0, u64::max), missed.map(|(_, ms)| ms.1).min().unwrap_or(u64::MAX))
    }

    pub(crate) fn judge(&self) -> Result<(), String> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        for (member, popped) in &self.popped {
            match self.added.get(member) {
                None => return Err(format!("the member {member} was popped and never added")),
                Some(Added { outcome: Outcome::Refused, .. }) => {
                    return Err(format!("the member {member} was popped, but its addition was refused"));
                }
                Some(added) if popped.end < added.span.start => {
                    return Err(format!("the member {member} was popped before it was added"));
                }
                Some(_) => (),
            }
        }
        if let Some(left) = &self.left {
            let unseen = |member: &u64| !self.popped.contains_key(member) && !left.contains(member);
            let certain = self.added.iter().filter(|(member, added)| {
                added.outcome == Outcome::Done || added.outcome == Outcome::Unknown && self.marked.contains(member)
            });
            let (lost, went): (Vec<u64>, Vec<Window>) = certain
                .filter(|(member, _)| unseen(member))
                .map(|(member, added)| (*member, self.went(*member, added)))
                .unzip();
            if let Some(place) = untaken(&went, &self.pops_unknown) {
                let (member, pops) = (lost[place], &self.pops_unknown);
                return Err(format!(
                    "the members {lost:?} were popped unseen, in {went:?} ms; {member} by nobody: unanswered are the pops {pops:?}"
                ));
            }
            if let Some(member) = left.iter().find(|member| self.popped.contains_key(member)) {
                return Err(format!("the member {member} was popped and is still there"));
            }
        }
        self.mortals.iter().try_for_each(|(key, mortal)| mortal.judge().map_err(|why| format!("the key {key} {why}")))
    }
}

impl Mortal {
    fn judge(&self) -> Result<(), &'static str> {
        if self.outcome == Outcome::Refused && !self.there.is_empty() {
            return Err("was read, but its write was refused");
        }
        // Once it was surely written and then seen gone, it stays gone.
        let written = match self.outcome {
            Outcome::Done => self.write.end,
            _ => self.there.iter().map(|read| read.end).min().unwrap_or(u64::MAX),
        };
        let seen_gone = self.gone.iter().filter(|read| read.start > written).map(|read| read.end).min();
        match seen_gone {
            Some(seen_gone) if self.there.iter().any(|read| read.start > seen_gone) => Err("was gone and came back"),
            _ => Ok(()),
        }
    }
}
