//! `verify` and `test`: everything that must hold of the tree. Neither writes to it.
//!
//! `test` is what CI calls: the same stages, after the set-up that gives the black-box tests their foreign clients
//! and servers. The simulated seeds and the house rules are tests, so the last stage runs them too, and its output
//! ends as `cargo test`'s does.

use std::process::Command;

use crate::setup::{self, Tools};
use crate::stage::{Error, Outcome, Stages};
use crate::tree::Tree;

/// Formatting, lints, documentation and tests; with `fast` formatting, lints and the house rules.
pub(crate) fn verify(tree: &Tree, fast: bool) -> Outcome {
    let tests = match setup::tools(tree) {
        _ if fast => tree.cargo(["test", "--locked", "-p", "xtask"]),
        Some(tools) => all_tests(tree, &tools),
        None => {
            let message = "the tests need foreign clients and servers: run `cargo xtask test` once, it sets them up";
            return Err(Error::Failed(message.into()));
        }
    };
    let mut stages = Stages::new();
    check_texts(tree, &mut stages, fast);
    stages.check("tests", tests);
    stages.finish()
}

/// The set-up, then everything.
pub(crate) fn test(tree: &Tree) -> Outcome {
    let mut stages = Stages::new();
    stages.step("components", || setup::components(tree))?;
    let tools = stages.step("set-up", || setup::set_up(tree))?;
    check_texts(tree, &mut stages, false);
    stages.print_times();
    stages.check("tests", all_tests(tree, &tools));
    stages.finish()
}

fn check_texts(tree: &Tree, stages: &mut Stages, fast: bool) {
    stages.check("format", tree.cargo(["fmt", "--all", "--check"]));
    let clippy = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    stages.check("lints", tree.cargo(clippy));
    if !fast {
        let mut doc = tree.cargo(["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"]);
        // What is documented is all of it, so a link to something private leads somewhere.
        doc.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links --cfg tokio_unstable");
        stages.check("documentation", doc);
    }
}

fn all_tests(tree: &Tree, tools: &Tools) -> Command {
    let mut tests = tree.cargo(["test", "--locked", "--workspace", "--no-fail-fast"]);
    tests.env("CAIRN_TEST_PYTHON", &tools.python).env("CAIRN_TEST_VALKEY", &tools.valkey);
    tests
}
