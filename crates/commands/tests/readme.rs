//! The README's list of commands is the table's.
//!
//! With `BLESS` set (as `cargo xtask fix` does) the list is written; otherwise a difference fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use commands::Handler;

const BEGIN: &str = "<!-- From the command table; `cargo xtask fix` writes it. -->\n";
const END: &str = "<!-- End of the commands. -->\n";

#[test]
fn the_readme_lists_every_command() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(&path).expect("the tree has a README");
    let (before, rest) = readme.split_once(BEGIN).expect("the README has the mark where the list begins");
    let (list, after) = rest.split_once(END).expect("the README has the mark where the list ends");
    let wanted = rendered();
    if list == wanted {
        return;
    }
    assert!(std::env::var_os("BLESS").is_some(), "the README's list of commands is old: run `cargo xtask fix`");
    fs::write(&path, [before, BEGIN, &wanted, END, after].concat()).expect("the README is writable");
}

/// One row for each group, its commands by name.
fn rendered() -> String {
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for family in commands::families() {
        let names = family.rows.iter().filter(|spec| !matches!(spec.handler, Handler::Container));
        let group = groups.entry(family.group.name().to_owned()).or_default();
        group.extend(names.map(|spec| spec.name.replace('|', " ")));
    }
    let mut out = String::from("| group | commands |\n| --- | --- |\n");
    for (group, names) in groups.iter().filter(|(_, names)| !names.is_empty()) {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        out.push_str(&format!("| {group} | {} |\n", names.join(", ")));
    }
    out
}
