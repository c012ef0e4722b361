//! A bank: transfers between accounts by WATCH, MULTI and EXEC, and looks at all balances at once.
//!
//! A transfer that saw old balances, or that was done by halves or twice, changes the sum.

use super::Outcome;

/// So many accounts there are.
pub(crate) const ACCOUNTS: usize = 4;
/// Each begins with so much.
pub(crate) const BALANCE_FIRST: i64 = 1000;

/// What was seen of the bank.
#[derive(Default)]
pub(crate) struct Bank {
    transfers: usize,
    conflicts: usize,
    looks: usize,
    wrong: Option<String>,
}

impl Bank {
    /// A transfer was tried.
    pub(crate) fn transferred(&mut self, outcome: Outcome) {
        self.transfers += usize::from(outcome == Outcome::Done);
        self.conflicts += usize::from(outcome == Outcome::Refused);
    }

    /// All balances at one moment, of any replica: an old moment is a moment, too.
    pub(crate) fn looked(&mut self, balances: &[Option<i64>]) {
        let known: Vec<i64> = balances.iter().flatten().copied().collect();
        let sum: i64 = known.iter().sum();
        let (accounts, expected) = (balances.len(), BALANCE_FIRST * i64::try_from(ACCOUNTS).expect("accounts are few"));
        // Before the bank was opened there are no accounts at all.
        self.looks += usize::from(known.len() == accounts);
        if !known.is_empty() && (known.len() != accounts || sum != expected) {
            self.wrong.get_or_insert_with(|| format!("the bank: {balances:?} sum up to {sum}, not {expected}"));
        }
    }

    pub(crate) fn answered(&self) -> usize {
        self.transfers + self.looks
    }

    pub(crate) fn judge(&self) -> Result<(), String> {
        self.wrong.clone().map_or(Ok(()), Err)
    }
}
