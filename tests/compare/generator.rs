//! Random commands: plausible ones from templates, and absurd ones made of those.
//!
//! ```text
//! <s>         something random, by its letter or name (see `words` and the families')
//! [ ... ]     present or not
//! ( a | b )   one of them
//! { ... }     once to four times
//! =           in front of a template: it is never made absurd
//! ```
//! Words and marks are separated by single blanks.

use std::fmt;

use super::families::{FAMILIES, Family, KeySort};
use super::words;
use crate::harness::Dice;

/// A command's words.
#[derive(Clone)]
pub(crate) struct Command {
    words: Vec<Vec<u8>>,
    name: String,
}

impl Command {
    pub(crate) fn new(words: Vec<Vec<u8>>) -> Self {
        let name = String::from_utf8_lossy(&words[0]).to_ascii_uppercase();
        Self { words, name }
    }

    /// The words of a line, between single blanks.
    pub(crate) fn of(line: &str) -> Self {
        Self::new(line.split(' ').map(|word| word.as_bytes().to_vec()).collect())
    }

    /// In upper case.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn words(&self) -> Vec<&[u8]> {
        self.words.iter().map(Vec::as_slice).collect()
    }

    /// Whether an earlier command may have to do with what this one shows: it names a key of it, or is about transactions.
    pub(crate) fn is_related(&self, earlier: &Self) -> bool {
        let is_key = |word: &&Vec<u8>| word.len() == 2 && word[1].is_ascii_digit();
        let keys = self.words.iter().skip(1).filter(is_key);
        let shares_key = keys.into_iter().any(|key| earlier.words.contains(key));
        shares_key || (self.name == "EXEC" && !matches!(earlier.name(), "GET" | "TTL" | "KEYS"))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.words.iter().enumerate() {
            let blank = if at == 0 { "" } else { " " };
            let shown = String::from_utf8_lossy(&word[..word.len().min(60)]).escape_debug().to_string();
            let shown = if shown.is_empty() || shown.contains(' ') { format!("\"{shown}\"") } else { shown };
            write!(out, "{blank}{shown}")?;
        }
        Ok(())
    }
}

/// Where commands come from.
pub(crate) struct Generator {
    dice: Dice,
    /// Of all families.
    templates: Vec<&'static str>,
    /// What a drawn command makes necessary right after it.
    pending: Vec<Command>,
    /// Commands left in the open transaction.
    in_transaction: usize,
}

/// Keys of each sort.
const KEYS_PER_SORT: usize = 3;

/// Every key that commands are about, and its sort.
pub(crate) fn keys() -> impl Iterator<Item = (String, &'static KeySort)> {
    KeySort::all().flat_map(|sort| (0..KEYS_PER_SORT).map(move |number| (format!("{}{number}", sort.letter), sort)))
}

impl Generator {
    pub(crate) fn new(dice: Dice) -> Self {
        let wanted = std::env::var("CAIRN_TEST_FAMILIES").ok();
        let is_wanted =
            |family: &&Family| wanted.as_ref().is_none_or(|wanted| wanted.split(',').any(|name| name == family.name));
        let families = FAMILIES.iter().filter(is_wanted);
        let templates: Vec<_> = families.flat_map(|family| family.templates).copied().collect();
        assert!(!templates.is_empty(), "no such family: {wanted:?}");
        Self { dice, templates, pending: Vec::new(), in_transaction: 0 }
    }

    /// Whether no transaction is open, and nothing belongs to what was drawn last.
    pub(crate) fn is_between(&self) -> bool {
        self.in_transaction == 0 && self.pending.is_empty()
    }

    /// Reads that show the whole state; none within a transaction.
    pub(crate) fn inspection(&self) -> Vec<Command> {
        if !self.is_between() {
            return Vec::new();
        }
        let mut commands = vec![Command::of("DBSIZE"), Command::of("KEYS *")];
        for (key, sort) in keys() {
            commands.push(sort.read_of(&key));
            let about = [format!("TYPE {key}"), format!("OBJECT ENCODING {key}"), format!("PEXPIRETIME {key}")];
            commands.extend(about.iter().map(|line| Command::of(line)));
        }
        commands
    }

    /// The next command.
    pub(crate) fn command(&mut self) -> Command {
        if let Some(command) = self.pending.pop() {
            return command;
        }
        if self.in_transaction > 0 {
            self.in_transaction -= 1;
            if self.in_transaction == 0 {
                return Command::of(self.dice.pick(&["EXEC", "EXEC", "EXEC", "DISCARD"]));
            }
        } else if self.dice.once_in(60) {
            self.in_transaction = 2 + self.dice.below(5);
            return Command::of("MULTI");
        }
        let template = self.templates[self.dice.below(self.templates.len())];
        let mut words = Vec::new();
        let is_taken_as_it_is = template.starts_with("= ");
        let template = template.trim_start_matches("= ");
        self.expand(&mut template.split(' ').collect::<Vec<_>>().as_slice(), true, &mut words);
        if !is_taken_as_it_is && self.dice.once_in(12) {
            self.make_absurd(&mut words);
        }
        let command = Command::new(words);
        self.pending.extend(FAMILIES.iter().flat_map(|family| (family.follow)(&command)));
        command
    }

    /// Expands words up to the end or a closing mark, which it takes.
    fn expand(&mut self, rest: &mut &[&str], wanted: bool, out: &mut Vec<Vec<u8>>) {
        while let Some((&word, tail)) = rest.split_first() {
            *rest = tail;
            match word {
                "]" | "}" | ")" | "|" => return,
                "[" => {
                    let present = wanted && self.dice.once_in(2);
                    self.expand(rest, present, out);
                }
                "{" => self.repeat(rest, wanted, out),
                "(" => self.choose(rest, wanted, out),
                _ if !wanted => (),
                _ => match word.strip_prefix('<').and_then(|word| word.strip_suffix('>')) {
                    Some(what) => {
                        let random = self.random(what);
                        out.push(random);
                    }
                    None => out.push(word.as_bytes().to_vec()),
                },
            }
        }
    }

    fn repeat(&mut self, rest: &mut &[&str], wanted: bool, out: &mut Vec<Vec<u8>>) {
        let body = *rest;
        let times = if self.dice.once_in(40) { 40 } else { 1 + self.dice.below(4) };
        for _ in 0..times {
            *rest = body;
            self.expand(rest, wanted, out);
        }
    }

    fn choose(&mut self, rest: &mut &[&str], wanted: bool, out: &mut Vec<Vec<u8>>) {
        let mut choices = Vec::new();
        loop {
            let mut choice = Vec::new();
            // The mark that ended it tells whether there is another.
            let before = *rest;
            self.expand(rest, wanted, &mut choice);
            choices.push(choice);
            let taken = before.len() - rest.len();
            if before[taken - 1] == ")" {
                break;
            }
        }
        let chosen = self.dice.below(choices.len());
        out.append(&mut choices[chosen]);
    }

    fn make_absurd(&mut self, words: &mut Vec<Vec<u8>>) {
        let at = self.dice.below(words.len());
        match self.dice.below(5) {
            0 if at > 0 => drop(words.remove(at)),
            1 => {
                let word = self.stray(words);
                words.push(word);
            }
            2 if at > 0 => words[at] = self.stray(words),
            3 => {
                let again = words[at].clone();
                words.insert(at.max(1).min(words.len()), again);
            }
            _ => words[0] = words[0].to_ascii_lowercase(),
        }
    }

    /// A word that does not belong there. Nothing is to expire while the test looks on, and nothing to wait for ever.
    fn stray(&mut self, words: &[Vec<u8>]) -> Vec<u8> {
        const OF_TIME: [&str; 5] = ["EX", "PX", "EXPIRE", "SETEX", "RESTORE"];
        let is_of_time = |word: &Vec<u8>| {
            let word = String::from_utf8_lossy(word).to_ascii_uppercase();
            OF_TIME.iter().any(|part| word == *part || (part.len() > 2 && word.contains(part)))
        };
        let stray = self.random("word");
        // BLOCK counts ms, all others seconds.
        let waits =
            words[0].to_ascii_uppercase().starts_with(b"B") && !words[0].to_ascii_uppercase().starts_with(b"BIT");
        let waits_ms = words.iter().any(|word| word.eq_ignore_ascii_case(b"BLOCK"));
        match stray.as_slice() {
            b"0" | b"1" | b"1.5" if waits => return b"0.003".to_vec(),
            b"0" if waits_ms => return b"3".to_vec(),
            _ => (),
        }
        if stray == b"1" && words.iter().any(is_of_time) { b"1000001".to_vec() } else { stray }
    }

    /// Something random of a sort.
    fn random(&mut self, what: &str) -> Vec<u8> {
        if let Some(sort) = KeySort::all().find(|sort| sort.letter == what) {
            let strays = !sort.is_of_its_own && self.dice.once_in(15);
            return if strays { self.any_key() } else { self.key(sort.letter) };
        }
        if what == "k" {
            return self.any_key();
        }
        let dice = &mut self.dice;
        let word = words::word(what, dice).or_else(|| FAMILIES.iter().find_map(|family| (family.word)(what, dice)));
        word.unwrap_or_else(|| panic!("<{what}> in a template"))
    }

    fn key(&mut self, letter: &str) -> Vec<u8> {
        format!("{letter}{}", self.dice.below(KEYS_PER_SORT)).into_bytes()
    }

    fn any_key(&mut self) -> Vec<u8> {
        let sorts: Vec<_> = KeySort::all().filter(|sort| !sort.is_of_its_own).collect();
        let letter = sorts[self.dice.below(sorts.len())].letter;
        self.key(letter)
    }
}
