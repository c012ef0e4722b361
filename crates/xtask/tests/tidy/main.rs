//! The rules of the house that a program can check, as tests. A rule that matters is here or a lint, with a reason.
//!
//! ```text
//! dependencies   who may use what: crates of ours, libraries, banned libraries    from cargo's own answers
//! sources        Rust: sizes, heads, words that we do not use, formatting
//! texts          every text file: blanks, links, paths; README, CHANGELOG, crates/README.md
//! ```
//!
//! Each test collects all that is wrong before it fails, so that one run shows everything.

mod dependencies;
mod sources;
mod texts;
mod tree;

/// Fails with all of `wrong`, one a line, under the `rule` that was broken.
fn assert_none(rule: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{rule}\n  {}", wrong.join("\n  "));
}
