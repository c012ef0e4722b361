//! Runs the golden scripts: every file below `scripts/`, which documents one command by showing it.
//!
//! ```text
//! # prose
//! > SET greeting "hello\r\n"      a command, quoted as in redis-cli
//! OK                              the reply, as redis-cli prints it; up to the next line that begins with #, > or @, or is empty
//! @ advance 1500                  time passes, in ms
//! @ resp3                         the protocol of the replies from here on
//! @ accesses counted              they are from here on, as with an LFU policy
//! ```
//!
//! Each script runs on an empty keyspace. The answers were taken from the real thing. `@ ours` in front of a command says that its answer
//! differs on purpose; the prose says why.

#![allow(clippy::unwrap_used, reason = "tests may fail by panicking")]

mod support;
mod thresholds;

use std::fs;
use std::path::{Path, PathBuf};

use keyspace::{Accesses, Settings};
use resp::{Protocol, Value};
use support::Client;

fn scripts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let list = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let mut scripts: Vec<_> = list(&root).iter().flat_map(|family| list(family)).collect();
    scripts.sort();
    scripts
}

#[test]
fn every_script_holds() {
    let mut failures = Vec::new();
    for path in scripts() {
        run(&path, &mut failures);
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// The thresholds between encodings at their least and at their most: what a script sees is the same, but for the order of fields and members,
/// and for what tells of an encoding.
#[test]
fn every_script_holds_whatever_the_thresholds() {
    let mut failures = Vec::new();
    for (name, settings) in thresholds::extremes(&Settings::new([7, 11])) {
        for path in scripts() {
            run_with(&path, name, settings, &mut failures);
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Every command about data has a script that bears its name.
#[test]
fn every_row_has_a_script() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    for family in commands::families() {
        for row in family.rows {
            if matches!(row.handler, commands::Handler::Read(_) | commands::Handler::Write(_)) {
                let path = root.join(family.group.name()).join(row.name.to_ascii_lowercase().replace('|', "-"));
                assert!(path.exists(), "{} has no script {}", row.name, path.display());
            }
        }
    }
}

/// What the directives about LFU policies say where nobody changes them.
const COUNTED: Accesses = Accesses::Counted { log_factor: 10, decay_minutes: 1 };

/// A line of a script that means something.
enum Step {
    /// Time passes, in ms.
    Advance(u64),
    /// The protocol of the replies from here on.
    Speak(Protocol),
    /// What accesses leave at keys from here on.
    Leave(Accesses),
    /// A command and the reply as it is printed.
    Call { line_number: usize, line: String, expected: String },
}

/// Reads a script.
fn steps(path: &Path) -> Vec<Step> {
    let script = fs::read_to_string(path).unwrap();
    let mut lines = script.lines().enumerate().peekable();
    let mut steps = Vec::new();
    while let Some((number, line)) = lines.next() {
        if let Some(directive) = line.strip_prefix("@ ") {
            match directive.split_once(' ') {
                Some(("advance", ms)) => steps.push(Step::Advance(ms.parse().unwrap())),
                Some(("accesses", "counted")) => steps.push(Step::Leave(COUNTED)),
                None if directive == "resp3" => steps.push(Step::Speak(Protocol::Resp3)),
                None if directive == "resp2" => steps.push(Step::Speak(Protocol::Resp2)),
                None if directive == "ours" => {}
                _ => panic!("{}:{}: no such directive", path.display(), number + 1),
            }
        }
        let Some(command) = line.strip_prefix("> ") else { continue };
        let mut expected = Vec::new();
        while let Some((_, line)) = lines.next_if(|(_, line)| !line.is_empty() && !line.starts_with(['#', '>', '@'])) {
            expected.push(line);
        }
        let expected = expected.join("\n").trim_end().to_owned();
        steps.push(Step::Call { line_number: number + 1, line: command.to_owned(), expected });
    }
    steps
}

fn run(path: &Path, failures: &mut Vec<String>) {
    let mut client = Client::new(Settings::new([7, 11]));
    for step in steps(path) {
        match step {
            Step::Advance(ms) => client.now_ms += ms,
            Step::Speak(protocol) => client.protocol = protocol,
            Step::Leave(accesses) => client.keyspace.set_accesses(accesses),
            Step::Call { line_number, line, expected } => {
                let mut got = String::new();
                render(&client.call(&words(&line)), "", &mut got);
                let got = got.trim_end();
                if got != expected {
                    let place = format!("{}:{line_number}", path.display());
                    failures.push(format!("{place}: {line}\n  expected {expected}\n  got      {got}"));
                }
            }
        }
    }
}

/// Runs a script with the usual thresholds and with these.
fn run_with(path: &Path, thresholds: &str, settings: Settings, failures: &mut Vec<String>) {
    let mut clients = [Client::new(Settings::new([7, 11])), Client::new(settings)];
    for step in steps(path) {
        match step {
            Step::Advance(ms) => clients.iter_mut().for_each(|client| client.now_ms += ms),
            Step::Speak(protocol) => clients.iter_mut().for_each(|client| client.protocol = protocol),
            Step::Leave(accesses) => clients.iter_mut().for_each(|client| client.keyspace.set_accesses(accesses)),
            Step::Call { line_number, line, .. } => {
                let words = words(&line);
                let [usual, other] = clients.each_mut().map(|client| thresholds::call(client, &words));
                if !thresholds::is_equal(&words, &usual, &other) {
                    let place = format!("{}:{line_number}, thresholds at their {thresholds}", path.display());
                    let [usual, other] = [&usual, &other].map(|reply| {
                        let mut shown = String::new();
                        render(reply, "", &mut shown);
                        shown.chars().take(1000).collect::<String>()
                    });
                    failures.push(format!("{place}: {line}\n  usually {usual}\n  then    {other}"));
                }
            }
        }
    }
}

/// Splits a line as redis-cli does: blanks separate, double quotes allow escapes, single quotes do not.
fn words(line: &str) -> Vec<Vec<u8>> {
    let (mut words, mut bytes) = (Vec::new(), line.bytes().peekable());
    loop {
        while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
        let Some(first) = bytes.next() else { return words };
        let mut word = Vec::new();
        match first {
            b'"' => loop {
                match bytes.next().expect("closed quotes") {
                    b'"' => break,
                    b'\\' => match bytes.next().expect("an escape") {
                        b'n' => word.push(b'\n'),
                        b'r' => word.push(b'\r'),
                        b't' => word.push(b'\t'),
                        b'x' => {
                            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                            word.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                        }
                        other => word.push(other),
                    },
                    other => word.push(other),
                }
            },
            b'\'' => word.extend(std::iter::from_fn(|| bytes.next().filter(|&byte| byte != b'\''))),
            other => {
                word.push(other);
                word.extend(std::iter::from_fn(|| bytes.next_if(|byte| !byte.is_ascii_whitespace())));
            }
        }
        words.push(word);
    }
}

/// Prints a reply as redis-cli does on a terminal.
fn render(value: &Value, indent: &str, out: &mut String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match value {
        Value::Simple(line) => out.push_str(&text(line)),
        Value::Error(line) => out.push_str(&format!("(error) {}", text(line))),
        Value::Integer(number) => out.push_str(&format!("(integer) {number}")),
        Value::Bulk(bytes) => out.push_str(&quoted(bytes)),
        Value::Null | Value::NullArray => out.push_str("(nil)"),
        Value::Boolean(value) => out.push_str(if *value { "(true)" } else { "(false)" }),
        Value::Double(number) => out.push_str(&format!("(double) {}", text(number))),
        Value::BigNumber(number) => out.push_str(&text(number)),
        Value::Verbatim { text: bytes, .. } => out.push_str(&text(bytes)),
        Value::Array(elements) | Value::Push(elements) => render_all(elements, ')', "(empty array)", indent, out),
        Value::Set(elements) => render_all(elements, '~', "(empty set)", indent, out),
        Value::Map(pairs) => {
            if pairs.is_empty() {
                out.push_str("(empty hash)\n");
                return;
            }
            let width = pairs.len().to_string().len();
            let inner = format!("{indent}{}", " ".repeat(width + 2));
            for (index, (key, value)) in pairs.iter().enumerate() {
                out.push_str(&format!("{}{:>width$}# ", if index == 0 { "" } else { indent }, index + 1));
                render(key, &inner, out);
                out.truncate(out.trim_end_matches('\n').len());
                out.push_str(" => ");
                if matches!(value, Value::Array(of) | Value::Set(of) if !of.is_empty()) {
                    out.truncate(out.len() - 1);
                    out.push_str(&format!("\n{inner}"));
                }
                render(value, &inner, out);
            }
            return;
        }
        Value::Attributed { value, .. } => return render(value, indent, out),
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

fn render_all(elements: &[Value], mark: char, empty: &str, indent: &str, out: &mut String) {
    if elements.is_empty() {
        out.push_str(empty);
    }
    let width = elements.len().to_string().len();
    let inner = format!("{indent}{}", " ".repeat(width + 2));
    for (index, element) in elements.iter().enumerate() {
        out.push_str(&format!("{}{:>width$}{mark} ", if index == 0 { "" } else { indent }, index + 1));
        render(element, &inner, out);
    }
}

/// Bytes as redis-cli quotes them.
fn quoted(bytes: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b'\n' => quoted.push_str("\\n"),
            b'\r' => quoted.push_str("\\r"),
            b'\t' => quoted.push_str("\\t"),
            7 => quoted.push_str("\\a"),
            8 => quoted.push_str("\\b"),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}
