//! What clients saw, and whether a correct server could have shown it.
//!
//! Time here is the order of events: a run is one thread, so of any two one came first. An operation lasts from its
//! sending to its reply; one whose outcome is unknown may take effect at any later time, or never.

mod bank;
mod copies;
mod lists;
mod registers;
mod sets;
mod unseen;

pub(crate) use bank::{ACCOUNTS, BALANCE_FIRST, Bank};
pub(crate) use copies::{Copies, Count};
pub(crate) use lists::Lists;
pub(crate) use registers::Registers;
pub(crate) use sets::Sets;

/// When an operation was sent and answered, as numbers of events. `end` is [`NEVER`] for one that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// The end of an operation without an answer.
pub(crate) const NEVER: u64 = u64::MAX;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was acknowledged.
    Done,
    /// It was refused: it did not and will not happen.
    Refused,
    /// It may happen, or not.
    Unknown,
}

/// Everything that the clients of a run saw.
#[derive(Default)]
pub(crate) struct Oracle {
    events: u64,
    pub(crate) registers: Registers,
    pub(crate) lists: Lists,
    pub(crate) bank: Bank,
    pub(crate) sets: Sets,
    pub(crate) copies: Copies,
}

impl Oracle {
    /// The number of the next event.
    pub(crate) fn event(&mut self) -> u64 {
        self.events += 1;
        self.events
    }

    /// How many operations were answered and say something.
    pub(crate) fn answered(&self) -> usize {
        let of_keys = self.registers.answered() + self.lists.answered();
        of_keys + self.bank.answered() + self.sets.answered() + self.copies.answered()
    }

    /// Judges the whole history.
    pub(crate) fn judge(&self) -> Result<(), String> {
        self.registers.judge()?;
        self.lists.judge()?;
        self.bank.judge()?;
        self.sets.judge()?;
        self.copies.judge()
    }
}
