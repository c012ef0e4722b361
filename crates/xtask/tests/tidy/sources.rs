//! Rules about Rust files.

use crate::assert_none;
use crate::tree::{self, File};

/// A file longer than this fails.
const LINES_MAX: usize = 800;
/// A file longer than this is listed: it is about to become two.
const LINES_LONG: usize = 500;

/// Parts of the standard library that a pure crate must not name. (`time::Duration` is a number and fine.)
const IMPURE: [&str; 8] = ["fs", "net", "env", "process", "thread", "io", "time::Instant", "time::SystemTime"];

/// The pure crates; the table of dependencies says the same of them.
const PURE: [&str; 4] = ["slot", "resp", "keyspace", "commands"];

/// Endings of type names that say nothing.
const EMPTY_WORDS: [&str; 6] = ["Manager", "Helper", "Util", "Utils", "Impl", "Info"];

/// Where a forbidden word is somebody else's: (path, word, why).
const FOREIGN_WORDS: &[(&str, &str, &str)] = &[
    ("crates/raft/src/", "fn get_", "methods of openraft's traits"),
    ("crates/rpc/src/", "Info", "the associated type of tonic's Connected"),
];

#[test]
fn files_are_short() {
    let mut wrong = Vec::new();
    let mut long = Vec::new();
    for file in tree::rust_files().iter().filter(|file| !file.is_test()) {
        let lines = file.text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!("{}: {lines} lines", file.path));
        } else if lines > LINES_LONG {
            long.push(format!("{}: {lines} lines", file.path));
        }
    }
    if !long.is_empty() {
        println!("Long already (over {LINES_LONG}):\n  {}", long.join("\n  "));
    }
    assert_none("Files of more than 800 lines:", &wrong);
}

#[test]
fn modules_begin_with_a_head() {
    let lacks_head = |file: &File| {
        let is_source = file.crate_name().is_some() && file.path.contains("/src/") && !file.is_test();
        is_source && !file.text.starts_with("//! ")
    };
    let wrong: Vec<String> =
        tree::rust_files().into_iter().filter(|file| lacks_head(file)).map(|file| file.path).collect();
    assert_none("Modules without a `//!` head (what it is, what it is not, what always holds):", &wrong);
}

#[test]
fn pure_crates_name_no_impure_part_of_std() {
    let mut wrong = Vec::new();
    let files = tree::rust_files();
    for file in files.iter().filter(|file| file.crate_name().is_some_and(|name| PURE.contains(&name))) {
        if file.is_test() || !file.path.contains("/src/") {
            continue;
        }
        for (number, line) in code_lines(&file.text) {
            for part in IMPURE {
                if contains_word(line, &format!("std::{part}")) {
                    wrong.push(format!("{}:{number}: std::{part}", file.path));
                }
            }
        }
    }
    assert_none("Pure crates take such things as arguments:", &wrong);
}

#[test]
fn names_say_something() {
    let mut wrong = Vec::new();
    for file in tree::rust_files() {
        for (number, line) in code_lines(&file.text) {
            if let Some(word) = empty_word(line)
                && !FOREIGN_WORDS.iter().any(|(path, foreign, _)| file.path.starts_with(path) && word == *foreign)
            {
                wrong.push(format!("{}:{number}: {word}", file.path));
            }
        }
    }
    assert_none("Names that the glossary does not want:", &wrong);
}

#[test]
fn open_ends_carry_an_issue_number() {
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["X", "XX"].concat()];
    let mut wrong = Vec::new();
    for file in tree::rust_files() {
        for (number, line) in file.text.lines().enumerate() {
            let open = marks.iter().any(|mark| contains_word(line, mark) && !line.contains(&format!("{mark}(#")));
            if open {
                wrong.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    assert_none("Open ends without an issue number:", &wrong);
}

#[test]
fn tests_are_neither_ignored_nor_meant_to_panic() {
    let attributes = [["#[ign", "ore"].concat(), ["#[should", "_panic"].concat()];
    let mut wrong = Vec::new();
    for file in tree::rust_files() {
        for (number, line) in file.text.lines().enumerate() {
            if attributes.iter().any(|attribute| line.trim_start().starts_with(attribute)) {
                wrong.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    assert_none("A test runs, and says what it expects:", &wrong);
}

#[test]
fn exceptions_give_a_reason() {
    let starts = [["#[al", "low("].concat(), ["#![al", "low("].concat(), ["#[exp", "ect("].concat()];
    let mut wrong = Vec::new();
    for file in tree::rust_files() {
        for start in &starts {
            for (at, _) in file.text.match_indices(start.as_str()) {
                let end = file.text[at..].find(']').map_or(file.text.len(), |length| at + length);
                if !file.text[at..end].contains("reason = ") {
                    wrong.push(format!("{}: {}", file.path, &file.text[at..end]));
                }
            }
        }
    }
    assert_none("Exceptions from lints without a reason:", &wrong);
}

#[test]
fn the_code_is_formatted() {
    tree::cargo(&["fmt", "--all", "--check"]);
}

/// The lines that are not comments, numbered from 1.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The banned word that this line declares, if any.
fn empty_word(line: &str) -> Option<&'static str> {
    let line = line.trim_start();
    let line = line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(crate) ")).unwrap_or(line);
    if line.starts_with("fn get_") || line.starts_with("async fn get_") {
        return Some("fn get_");
    }
    let name = ["struct ", "enum ", "trait ", "type "].iter().find_map(|keyword| line.strip_prefix(keyword))?;
    let name = name.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    EMPTY_WORDS.into_iter().find(|word| name.ends_with(word))
}

/// `word` occurs in `line`, not as part of a longer name.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part)
    })
}

#[test]
fn the_readers_of_lines_read_well() {
    assert_eq!(empty_word("    pub(crate) fn get_value(&self) {"), Some("fn get_"));
    assert_eq!(empty_word("pub struct LogManager {"), Some("Manager"));
    assert_eq!(empty_word("pub struct Implied;"), None);
    assert_eq!(empty_word("fn getrange() {"), None);
    assert!(contains_word("use std::fs;", "std::fs"));
    assert!(!contains_word("use std::fsync;", "std::fs"));
    assert!(!contains_word("my_std::fs", "std::fs"));
}
