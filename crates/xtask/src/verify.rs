//! `verify` and `test`: everything that must hold of the tree. Neither writes to it.
//!
//! `test` is what CI calls: the same stages, after the set-up that gives the black-box tests their foreign clients
//! and servers. The simulated seeds and the house rules are tests, so the last stage runs them too, and its output
//! ends as `cargo test`'s does.

use std::process::Command;

use crate::setup;
use crate::stage::{Outcome, Stages};
use crate::tree::Tree;

/// Formatting, lints, documentation and tests; with `fast` formatting, lints and the house rules.
pub(crate) fn verify(tree: &Tree, fast: bool) -> Outcome {
    let mut stages = Stages::new();
    check(tree, &mut stages, fast)?;
    let tests = if fast { tree.cargo(["test", "--locked", "-p", "xtask"]) } else { all_tests(tree) };
    stages.command("tests", tests)
}

/// The set-up, then everything.
pub(crate) fn test(tree: &Tree) -> Outcome {
    let mut stages = Stages::new();
    stages.step("components", || setup::components(tree))?;
    let tools = stages.step("set-up", || setup::set_up(tree))?;
    check(tree, &mut stages, false)?;
    stages.print_times();
    let mut tests = all_tests(tree);
    tests.env("CAIRN_TEST_PYTHON", tools.python).env("CAIRN_TEST_VALKEY", tools.valkey);
    stages.command("tests", tests)
}

fn check(tree: &Tree, stages: &mut Stages, fast: bool) -> Outcome {
    stages.command("format", tree.cargo(["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--locked", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    stages.command("lints", tree.cargo(clippy))?;
    if !fast {
        let mut doc =
            tree.cargo(["doc", "--locked", "--workspace", "--no-deps", "--document-private-items", "--quiet"]);
        doc.env("RUSTDOCFLAGS", "-D warnings --cfg tokio_unstable");
        stages.command("documentation", doc)?;
    }
    Ok(())
}

fn all_tests(tree: &Tree) -> Command {
    tree.cargo(["test", "--locked", "--workspace", "--no-fail-fast"])
}
