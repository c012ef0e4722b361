//! Things that vanish: sets that members are drawn from by SPOP, and keys with deadlines.

use std::collections::BTreeMap;

use super::{Outcome, Span};

/// What was seen of them.
#[derive(Default)]
pub(crate) struct Sets {
    added: BTreeMap<u64, (Span, Outcome)>,
    popped: BTreeMap<u64, Span>,
    /// Keys that are written once, with a deadline: when they were, and what was read of them.
    mortals: BTreeMap<u64, Mortal>,
    wrong: Option<String>,
}

struct Mortal {
    write: Span,
    outcome: Outcome,
    /// When a read that must be linearizable saw it, or did not any more.
    there: Vec<Span>,
    gone: Vec<Span>,
}

impl Sets {
    /// A member that no other SADD adds.
    pub(crate) fn added(&mut self, member: u64, span: Span, outcome: Outcome) {
        self.added.insert(member, (span, outcome));
    }

    /// SPOP gave this member to somebody.
    pub(crate) fn popped(&mut self, member: u64, span: Span) {
        if self.popped.insert(member, span).is_some() {
            self.wrong.get_or_insert_with(|| format!("the member {member} was popped twice"));
        }
    }

    /// A key was written, with a deadline.
    pub(crate) fn wrote_mortal(&mut self, key: u64, write: Span, outcome: Outcome) {
        self.mortals.insert(key, Mortal { write, outcome, there: Vec::new(), gone: Vec::new() });
    }

    /// Such a key was looked for.
    pub(crate) fn read_mortal(&mut self, key: u64, found: bool, span: Span) {
        if let Some(mortal) = self.mortals.get_mut(&key) {
            let reads = if found { &mut mortal.there } else { &mut mortal.gone };
            reads.push(span);
        }
    }

    pub(crate) fn answered(&self) -> usize {
        self.popped.len() + self.mortals.values().map(|mortal| mortal.there.len() + mortal.gone.len()).sum::<usize>()
    }

    pub(crate) fn judge(&self) -> Result<(), String> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        for (member, popped) in &self.popped {
            match self.added.get(member) {
                None => return Err(format!("the member {member} was popped and never added")),
                Some((_, Outcome::Refused)) => {
                    return Err(format!("the member {member} was popped, but its SADD was refused"));
                }
                Some((added, _)) if popped.end < added.start => {
                    return Err(format!("the member {member} was popped before it was added"));
                }
                Some(_) => (),
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
