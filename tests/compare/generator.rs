//! Random commands: plausible ones from templates, and absurd ones made of those.
//!
//! ```text
//! <s>         something random, by its letter or name (see `Generator::random`)
//! [ ... ]     present or not
//! ( a | b )   one of them
//! { ... }     once to four times
//! ```
//! Words and marks are separated by single blanks.

use std::fmt;

use super::rows::TEMPLATES;
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

    fn of(line: &str) -> Self {
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
    /// What a drawn command makes necessary right after it.
    pending: Vec<Command>,
    /// Commands left in the open transaction.
    in_transaction: usize,
}

/// Keys by the type that they usually have.
const KEYS_PER_TYPE: usize = 3;
const TYPES: [&str; 6] = ["s", "n", "h", "l", "t", "z"];

impl Generator {
    pub(crate) fn new(dice: Dice) -> Self {
        Self { dice, pending: Vec::new(), in_transaction: 0 }
    }

    /// Reads that show the whole state.
    pub(crate) fn inspection(&self) -> Vec<Command> {
        if self.in_transaction > 0 || !self.pending.is_empty() {
            return Vec::new();
        }
        let mut commands = vec![Command::of("DBSIZE"), Command::of("KEYS *")];
        for letter in TYPES.into_iter().chain(["x"]) {
            for number in 0..KEYS_PER_TYPE {
                let key = format!("{letter}{number}");
                let read = match letter {
                    "s" | "n" => format!("GET {key}"),
                    "h" => format!("HGETALL {key}"),
                    "l" => format!("LRANGE {key} 0 -1"),
                    "t" => format!("SMEMBERS {key}"),
                    _ => format!("ZRANGE {key} 0 -1 WITHSCORES"),
                };
                for line in
                    [format!("TYPE {key}"), format!("OBJECT ENCODING {key}"), read, format!("PEXPIRETIME {key}")]
                {
                    commands.push(Command::of(&line));
                }
            }
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
        let template = TEMPLATES[self.dice.below(TEMPLATES.len())];
        let mut words = Vec::new();
        self.expand(&mut template.split(' ').collect::<Vec<_>>().as_slice(), true, &mut words);
        if self.dice.once_in(12) {
            self.make_absurd(&mut words);
        }
        let command = Command::new(words);
        if command.name == "FLUSHDB" || command.name == "SWAPDB" {
            // An absent key that was watched may have been there in between, as far as Cairn remembers after this: EXEC would be
            // refused, one of the false refusals that are allowed.
            self.pending.push(Command::of("UNWATCH"));
        }
        if command.name == "SPOP" {
            // What was popped is the server's choice: forget the rest, in the same transaction.
            self.pending.extend(command.words.get(1).map(|key| Command::new(vec![b"DEL".to_vec(), key.clone()])));
        }
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
                let word = self.random("word");
                words.push(word);
            }
            2 if at > 0 => words[at] = self.random("word"),
            3 => {
                let again = words[at].clone();
                words.insert(at.max(1).min(words.len()), again);
            }
            _ => words[0] = words[0].to_ascii_lowercase(),
        }
    }

    /// Something random of a kind.
    fn random(&mut self, what: &str) -> Vec<u8> {
        let dice = &mut self.dice;
        match what {
            "s" | "n" | "h" | "l" | "t" | "z" => {
                let letter = if dice.once_in(15) { TYPES[dice.below(TYPES.len())] } else { what };
                let number = dice.below(KEYS_PER_TYPE);
                format!("{letter}{number}").into_bytes()
            }
            // Sorted sets whose scores are all equal: only of those is an order by name promised.
            "x" => format!("x{}", dice.below(KEYS_PER_TYPE)).into_bytes(),
            "k" => {
                let letter = TYPES[dice.below(TYPES.len())];
                format!("{letter}{}", dice.below(KEYS_PER_TYPE)).into_bytes()
            }
            "f" | "m" => match dice.below(24) {
                0 => Vec::new(),
                1 => b"a member that is longer than what is kept in a small encoding, by a few bytes".to_vec(),
                2 => b"\x00\xff\r\n".to_vec(),
                number if number < 12 => format!("{}", number - 3).into_bytes(),
                number => vec![b'a' + u8::try_from(number - 12).expect("below 12")],
            },
            "v" => value(dice),
            "i" => integer(dice),
            "index" => format!("{}", i64::try_from(dice.below(12)).expect("small") - 6).into_bytes(),
            // Not negative: what valkey-server does then depends on the encoding.
            "offset" => format!("{}", dice.below(5)).into_bytes(),
            "count" => dice.pick(&["0", "1", "2", "3", "5", "10", "-1", "-3", "100"]).as_bytes().to_vec(),
            "float" => float(dice),
            "score" => match dice.below(3) {
                0 => float(dice),
                _ => format!("{}", dice.below(10)).into_bytes(),
            },
            "bound" => bound(dice),
            "lex" => dice.pick(&["-", "+", "[a", "(a", "[c", "(e", "[zz", "[", "(", "[1", "a"]).as_bytes().to_vec(),
            "seconds" => dice
                .pick(&[
                    "1000",
                    "5000",
                    "100000",
                    "0",
                    "-1",
                    "9223372036854775807",
                    "-9223372036854775808",
                    "1e3",
                    "9223372036854775",
                ])
                .as_bytes()
                .to_vec(),
            "ms" => dice.pick(&["1000000", "5000000", "0", "-1", "9223372036854775807", "x"]).as_bytes().to_vec(),
            "at" => dice.pick(&["4000000000", "4000001000", "1", "0", "-5", "9223372036854775807"]).as_bytes().to_vec(),
            "atms" => dice
                .pick(&["4000000000000", "4000001000000", "1", "0", "-5", "9223372036854775807"])
                .as_bytes()
                .to_vec(),
            "pattern" => {
                dice.pick(&["*", "s*", "?0", "[hl]1", "[^s]*", "*1", "", "\\s0", "[a-", "n[0-9]"]).as_bytes().to_vec()
            }
            "word" => word(dice),
            other => unreachable!("<{other}> in a template"),
        }
    }
}

fn value(dice: &mut Dice) -> Vec<u8> {
    match dice.below(12) {
        0 => Vec::new(),
        1 => b"a value that is too long for the embedded encoding of strings".to_vec(),
        2 => vec![b'x'; 70],
        3 => b"\x00\x01\xfe\xff".to_vec(),
        4 | 5 => integer(dice),
        6 => float(dice),
        7 => vec![b'y'; 300 + dice.below(3000)],
        number => format!("value {number}").into_bytes(),
    }
}

fn integer(dice: &mut Dice) -> Vec<u8> {
    let absurd = [
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "-9223372036854775807",
        "4611686018427387904",
        "007",
        "+1",
        "-0",
        " 1",
        "1 ",
        "1.0",
        "",
        "one",
        "99999999999999999999999",
    ];
    match dice.below(6) {
        0 => dice.pick(&absurd).as_bytes().to_vec(),
        _ => format!("{}", i64::try_from(dice.below(40)).expect("small") - 15).into_bytes(),
    }
}

fn float(dice: &mut Dice) -> Vec<u8> {
    let absurd = [
        "inf",
        "-inf",
        "+inf",
        "infinity",
        "nan",
        "1e308",
        "-1e308",
        "1e-320",
        "1e400",
        "0.1",
        "0.2",
        "3.0e3",
        "-0.0",
        "-0",
        "1e17",
        "1e21",
        "123456789012345678",
        "0.30000000000000004",
        "1.",
        ".5",
        "5.",
        "",
        "1e",
        " 1",
        "1,5",
        "9007199254740993",
        "4611686018427387904",
        "9223372036854775808",
        "1e-7",
        "123456.789e3",
    ];
    match dice.below(3) {
        0 => dice.pick(&absurd).as_bytes().to_vec(),
        1 => format!("{}", i64::try_from(dice.below(200)).expect("small") - 100).into_bytes(),
        _ => format!("{}.{}", dice.below(100), dice.below(10_000)).into_bytes(),
    }
}

fn bound(dice: &mut Dice) -> Vec<u8> {
    match dice.below(6) {
        0 => b"-inf".to_vec(),
        1 => b"+inf".to_vec(),
        2 => format!("({}", dice.below(10)).into_bytes(),
        3 => dice.pick(&["inf", "(inf", "(-inf", "nan", "(", "", "[1", "(1e400", "x"]).as_bytes().to_vec(),
        _ => format!("{}", dice.below(10)).into_bytes(),
    }
}

fn word(dice: &mut Dice) -> Vec<u8> {
    let words = [
        "",
        "0",
        "-1",
        "1",
        "x",
        "NX",
        "XX",
        "GT",
        "LT",
        "EX",
        "KEEPTTL",
        "COUNT",
        "WITHSCORES",
        "LIMIT",
        "GET",
        "CH",
        "INCR",
        "MATCH",
        "LEFT",
        "RIGHT",
        "s0",
        "h1",
        "9223372036854775807",
        "1.5",
        "nan",
        "withscores",
        "REPLACE",
        "DB",
    ];
    dice.pick(&words).as_bytes().to_vec()
}
