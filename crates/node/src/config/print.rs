//! The table as text: `--help` and the sample file.

use std::fmt::Write as _;

use super::kept::KEPT;
use super::params::{Kind, Mutable, Param};
use super::table::PARAMS;

/// Columns of the texts.
const WIDTH: usize = 100;

/// What `--help` prints.
pub fn help() -> String {
    let mut out = String::from(
        "Usage: cairn-server [FILE | -] [--directive value ...] [-]\n\
         \x20      cairn-server --sample-config    prints a configuration file with every default\n\
         \x20      cairn-server -v | --version\n\
         \x20      cairn-server -h | --help\n\n\
         FILE is a configuration file as of Redis, - reads one from standard input; flags override both.\n\n\
         Examples:\n\
         \x20      cairn-server                                        one server on 127.0.0.1:6379, data in ./data\n\
         \x20      cairn-server --port 7000 --dir /var/lib/cairn       the same elsewhere\n\
         \x20      cairn-server /etc/cairn.conf --loglevel debug\n\
         \x20      cairn-server --port 7000 --initial-members 127.0.0.1:7000 127.0.0.1:7001 127.0.0.1:7002\n\n\
         Directives:\n",
    );
    for param in PARAMS {
        let _ = writeln!(out, "  --{} {}{}", param.name, usage(param), default(param));
        wrap(&mut out, "        ", &doc(param));
    }
    out.push_str("\nKept for files of Redis, without effect:\n");
    wrap(&mut out, "  ", &kept_names());
    out
}

/// A configuration file with every directive at its default, each with its doc.
pub fn sample() -> String {
    let mut out =
        String::from("# Cairn's directives with their defaults. Sizes: 1k is 1000, 1kb is 1024, likewise m, g.\n");
    for param in PARAMS {
        out.push('\n');
        wrap(&mut out, "# ", &doc(param));
        let set = if param.default.is_empty() { "# " } else { "" };
        let value = match (param.default, &param.kind) {
            ("", Kind::Words { usage, .. }) => (*usage).to_owned(),
            ("", _) => "\"\"".to_owned(),
            (default, _) => default.to_owned(),
        };
        let _ = writeln!(out, "{set}{} {value}", param.name);
    }
    out.push('\n');
    wrap(&mut out, "# ", &format!("Kept for files of Redis, without effect: {}", kept_names()));
    out
}

fn kept_names() -> String {
    KEPT.iter().map(|param| param.name).collect::<Vec<_>>().join(" ")
}

fn doc(param: &Param) -> String {
    let mut doc = param.doc.to_owned();
    if !param.inert.is_empty() {
        let _ = write!(doc, " It {}.", param.inert);
    }
    if !param.alias.is_empty() {
        let _ = write!(doc, " Also called {}.", param.alias);
    }
    if param.mutable == Mutable::Yes {
        doc.push_str(" CONFIG SET may change it.");
    }
    doc
}

fn usage(param: &Param) -> String {
    match &param.kind {
        Kind::Flag { .. } => "yes|no".to_owned(),
        Kind::Integer { .. } => "number".to_owned(),
        Kind::Memory { .. } => "bytes".to_owned(),
        Kind::Choice { words, .. } => words.join("|"),
        Kind::Text { .. } => "text".to_owned(),
        Kind::Words { usage, .. } => (*usage).to_owned(),
        Kind::Kept(_) => "value".to_owned(),
    }
}

fn default(param: &Param) -> String {
    if param.default.is_empty() { String::new() } else { format!(" (default: {})", param.default) }
}

/// Lines of whole words, each behind the margin.
fn wrap(out: &mut String, margin: &str, text: &str) {
    let mut column = 0;
    for word in text.split(' ') {
        if column == 0 || column + 1 + word.len() > WIDTH {
            if column > 0 {
                out.push('\n');
            }
            out.push_str(margin);
            out.push_str(word);
            column = margin.len() + word.len();
        } else {
            out.push(' ');
            out.push_str(word);
            column += 1 + word.len();
        }
    }
    out.push('\n');
}
