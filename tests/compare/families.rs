//! Families of commands, a file each: what is sent, how replies are compared, what may differ.
//!
//! To add one: a file below `families/` with a `FAMILY`, and its line in [`FAMILIES`].

mod bitmaps;
mod connection;
mod geo;
mod hashes;
mod hyperloglogs;
mod keys;
mod lists;
mod sets;
mod sorted_sets;
mod streams;
mod strings;

use super::generator::Command;
use super::rules::Rule;
use crate::harness::{Dice, Value};

/// Every family.
pub(crate) const FAMILIES: &[Family] = &[
    strings::FAMILY,
    bitmaps::FAMILY,
    geo::FAMILY,
    hyperloglogs::FAMILY,
    keys::FAMILY,
    hashes::FAMILY,
    lists::FAMILY,
    sets::FAMILY,
    sorted_sets::FAMILY,
    streams::FAMILY,
    connection::FAMILY,
];

/// One family of commands.
pub(crate) struct Family {
    /// How CAIRN_TEST_FAMILIES calls it.
    pub(crate) name: &'static str,
    /// One line a form of a command, in the generator's language; a form that is written twice comes twice as often.
    pub(crate) templates: &'static [&'static str],
    /// Commands of the family without a template, and why.
    pub(crate) without_template: &'static [(&'static str, &'static str)],
    /// Commands of the family that valkey-server has not, and from where they are. Their golden scripts say what is documented.
    pub(crate) ours: &'static [(&'static str, &'static str)],
    /// The keys that usually hold its types.
    pub(crate) keys: &'static [KeySort],
    /// A random word of a sort that the generator does not know itself.
    pub(crate) word: fn(&str, &mut Dice) -> Option<Vec<u8>>,
    /// How the replies of a command are compared, by its name in upper case and all of its words. `None`: they are equal.
    pub(crate) rule: fn(&str, &[&[u8]]) -> Option<Rule>,
    /// What a command of the family makes necessary right behind it, the last first.
    pub(crate) follow: fn(&Command) -> Vec<Command>,
    /// Differences that stay.
    pub(crate) differences: &'static [Difference],
}

impl Family {
    /// A family without anything, for the rest of a literal.
    pub(crate) const NONE: Self = Self {
        name: "",
        templates: &[],
        without_template: &[],
        ours: &[],
        keys: &[],
        word: |_, _| None,
        rule: |_, _| None,
        follow: |_| Vec::new(),
        differences: &[],
    };
}

/// Keys that begin with a letter and go on with a digit: `<letter>` in a template is one of them, and now and then a key of another sort.
pub(crate) struct KeySort {
    /// One letter, of this sort alone.
    pub(crate) letter: &'static str,
    /// The read that shows all of the value: what stands before the key, and behind it.
    pub(crate) read: (&'static str, &'static str),
    /// Other commands leave these keys alone.
    pub(crate) is_of_its_own: bool,
}

impl KeySort {
    pub(crate) const fn new(letter: &'static str, read: &'static str) -> Self {
        Self { letter, read: (read, ""), is_of_its_own: false }
    }

    /// With more words behind the key, each after a blank.
    pub(crate) const fn with(self, behind: &'static str) -> Self {
        Self { read: (self.read.0, behind), ..self }
    }

    pub(crate) const fn of_its_own(self) -> Self {
        Self { is_of_its_own: true, ..self }
    }

    /// Whether its keys usually hold sorted sets.
    pub(crate) fn is_of_sorted_sets(&self) -> bool {
        self.read.0 == "ZRANGE"
    }

    /// The sorts of all families.
    pub(crate) fn all() -> impl Iterator<Item = &'static Self> {
        FAMILIES.iter().flat_map(|family| family.keys)
    }

    /// The read of one key.
    pub(crate) fn read_of(&self, key: &str) -> Command {
        Command::of(&format!("{} {key}{}", self.read.0, self.read.1))
    }
}

/// A difference that stays. Everything else is a bug, of ours or of these tests.
pub(crate) struct Difference {
    /// The name of the command in upper case.
    pub(crate) command: &'static str,
    /// How valkey-server's reply begins.
    pub(crate) valkey: &'static str,
    /// How ours does.
    pub(crate) cairn: &'static str,
    /// Why, so that a reader can check it.
    pub(crate) reason: &'static str,
}

/// Why the two replies may differ, if they may.
pub(crate) fn reason(command: &str, expected: &Value, found: &Value) -> Option<&'static str> {
    let fits = |difference: &&Difference| {
        difference.command == command
            && expected.text().starts_with(difference.valkey)
            && found.text().starts_with(difference.cairn)
    };
    FAMILIES.iter().flat_map(|family| family.differences).find(fits).map(|difference| difference.reason)
}
