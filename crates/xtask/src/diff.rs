//! `diff`: random commands to a real valkey-server and to Cairn, more of them than the test suite has time for.
//!
//! The commands and the comparison are those of `tests/compare`; this tells it how many, from which seed, of which families,
//! and whether collections are small at first.

use std::process::Command;

use crate::setup;
use crate::stage::{Error, Outcome, Stages};
use crate::tree::Tree;

/// What each option tells the tests.
const OPTIONS: [(&str, &str); 4] = [
    ("--commands", "CAIRN_TEST_COMMANDS"),
    ("--seed", "CAIRN_TEST_SEED"),
    ("--families", "CAIRN_TEST_FAMILIES"),
    ("--thresholds", "CAIRN_TEST_THRESHOLDS"),
];

/// Commands for each protocol of a run that names none.
const COMMANDS_DEFAULT: &str = "1000000";

/// Runs the comparison as `options` ask for.
pub(crate) fn diff(tree: &Tree, options: &[&str]) -> Outcome {
    let variables = parse(options)?;
    let mut stages = Stages::new();
    let tools = stages.step("set-up", || setup::set_up(tree))?;
    let mut tests = tree.cargo(["test", "--locked", "--quiet", "-p", "cairn", "--test", "main", "--"]);
    tests.args(["compare::random", "--nocapture"]);
    tests.env("CAIRN_TEST_PYTHON", &tools.python).env("CAIRN_TEST_VALKEY", &tools.valkey);
    tests.env("CAIRN_TEST_COMMANDS", COMMANDS_DEFAULT);
    set(&mut tests, &variables);
    stages.check("diff", tests);
    stages.finish()
}

fn parse<'a>(options: &[&'a str]) -> Outcome<Vec<(&'static str, &'a str)>> {
    let (pairs, rest) = options.as_chunks::<2>();
    let variable = |option: &str| OPTIONS.iter().find(|(known, _)| *known == option).map(|(_, variable)| *variable);
    let is_right = |option: &str, value: &str| match option {
        "--families" => true,
        "--thresholds" => ["usual", "least"].contains(&value),
        _ => value.parse::<u64>().is_ok(),
    };
    let variables = pairs.iter().map(|&[option, value]| {
        let variable = variable(option).filter(|_| is_right(option, value));
        variable
            .map(|variable| (variable, value))
            .ok_or_else(|| Error::Usage(format!("`diff` does not know `{option} {value}`")))
    });
    match rest {
        [] => variables.collect(),
        rest => Err(Error::Usage(format!("`diff` does not know `{}`", rest.join(" ")))),
    }
}

fn set(command: &mut Command, variables: &[(&str, &str)]) {
    for (name, value) in variables {
        command.env(name, value);
    }
}
