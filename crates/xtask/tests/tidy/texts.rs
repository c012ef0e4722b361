//! Rules about every text file, and about the few that every reader opens first.

use std::process::Command;

use crate::{assert_none, tree};

/// Hosts that a text may link to. Builds and tests reach none of them.
const HOSTS: &[&str] = &["www.apache.org", "raft.github.io", "redis.io", "valkey.io", "github.com", "rustup.rs"];

/// Files whose texts are not ours.
const FOREIGN: [&str; 2] = ["LICENSE", "Cargo.lock"];

#[test]
fn lines_end_where_their_text_ends() {
    let mut wrong = Vec::new();
    for file in tree::files().iter().filter(|file| !FOREIGN.contains(&file.path.as_str()) && !file.is_generated()) {
        // Patches are compared byte by byte, blanks included; a table's last field may be empty, behind its tab.
        if file.path.ends_with(".patch") || file.path.ends_with(".tsv") {
            continue;
        }
        for (number, line) in file.text.split('\n').enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                wrong.push(format!("{}:{}: blank at the end of the line", file.path, number + 1));
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            wrong.push(format!("{}: no newline at the end", file.path));
        }
    }
    assert_none("`cargo xtask fix` mends these:", &wrong);
}

#[test]
fn texts_name_no_path_of_a_machine() {
    let homes = ["home", "root", "Users", "work"].map(|dir| format!("/{dir}/"));
    let mut wrong = Vec::new();
    for file in tree::files() {
        for (number, line) in file.text.lines().enumerate() {
            // A path begins behind a blank or a quote; `a/work/b` and links are something else.
            let begins = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || ".-_/".contains(c));
            let names = homes.iter().any(|home| line.match_indices(home.as_str()).any(|(at, _)| begins(at)));
            if names {
                wrong.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    assert_none("Paths of somebody's machine:", &wrong);
}

#[test]
fn links_go_to_few_hosts() {
    let mut wrong = Vec::new();
    for file in tree::files() {
        if FOREIGN.contains(&file.path.as_str()) {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            for (at, scheme) in line.match_indices("://") {
                let host: String = line[at + scheme.len()..]
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || ".-".contains(*c))
                    .collect();
                let web = line[..at].ends_with("http") || line[..at].ends_with("https");
                // A name without a dot stands for a peer or for this machine.
                let local = !host.contains('.') || host == "127.0.0.1";
                if web && !local && !HOSTS.contains(&host.as_str()) {
                    wrong.push(format!("{}:{}: {host}", file.path, number + 1));
                }
            }
        }
    }
    assert_none("Links to hosts that the table does not have:", &wrong);
}

#[test]
fn documents_that_are_mentioned_exist() {
    let files = tree::files();
    let exists = |from: &str, name: &str| {
        let beside = from.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let path = format!("{beside}{name}");
        files.iter().any(|file| file.path == name || file.path == path || file.path.ends_with(&format!("/{name}")))
    };
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| !FOREIGN.contains(&file.path.as_str())) {
        for (number, line) in file.text.lines().enumerate() {
            for word in line.split(|c: char| !(c.is_ascii_alphanumeric() || "._-/".contains(c))) {
                let name = word.trim_start_matches("../").trim_end_matches('.');
                let is_document = name.len() > 3 && name.ends_with(".md") && !name.starts_with(['.', '/']);
                if is_document && !exists(&file.path, name) {
                    wrong.push(format!("{}:{}: {name}", file.path, number + 1));
                }
            }
        }
    }
    assert_none("Documents that the tree does not have:", &wrong);
}

#[test]
fn cargo_is_told_of_no_other_registry() {
    let config = tree::read(".cargo/config.toml");
    for word in ["[source", "[registr", "replace-with", "directory ="] {
        assert!(!config.contains(word), ".cargo/config.toml has `{word}`: builds use cargo's own registry");
    }
}

#[test]
fn every_crate_is_in_the_code_map() {
    let map = tree::read("crates/README.md");
    let mut names: Vec<String> = tree::files().iter().filter_map(|file| file.crate_name().map(str::to_owned)).collect();
    names.dedup();
    let wrong: Vec<String> = names.into_iter().filter(|name| !map.contains(&format!("`{name}`"))).collect();
    assert_none("Crates that crates/README.md does not mention:", &wrong);
}

#[test]
fn the_changelog_has_a_place_for_the_next_change() {
    assert!(tree::read("CHANGELOG.md").contains("\n## Unreleased\n"), "CHANGELOG.md: no `## Unreleased`");
}

#[test]
fn the_readme_names_the_two_commands() {
    let readme = tree::read("README.md");
    for command in ["cargo run --release", "cargo xtask test"] {
        assert!(readme.contains(command), "README.md does not say `{command}`");
    }
}

#[test]
fn seeded_bugs_still_apply() {
    let mut wrong = Vec::new();
    for file in tree::files().iter().filter(|file| file.path.ends_with(".patch")) {
        let mut git = Command::new("git");
        let output = git.args(["apply", "--check", &file.path]).current_dir(tree::root()).output().expect("git runs");
        if !output.status.success() {
            wrong.push(format!("{}: {}", file.path, String::from_utf8_lossy(&output.stderr).trim()));
        }
    }
    assert_none("Patches that no longer apply to the tree (write them anew):", &wrong);
}
