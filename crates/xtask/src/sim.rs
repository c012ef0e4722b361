//! `sim`: simulated clusters, by the binary of `crates/sim`.
//!
//! The binary takes `--seed S` (one run, with its trace) or `--seeds N` (the seeds 0 to N - 1, ending at the first that
//! fails). It exits with 0 when every seed held, and else with another number after a line that starts with
//! `seed S failed`.

use crate::mutants;
use crate::stage::{Error, Outcome, Stages};
use crate::tree::Tree;

/// Seeds of a run that names none.
const SEEDS_DEFAULT: &str = "32";

/// Runs the seeds, or the seeded bugs, that `options` ask for.
pub(crate) fn sim(tree: &Tree, options: &[&str]) -> Outcome {
    match options {
        [] => seeds(tree, "--seeds", SEEDS_DEFAULT),
        [option @ ("--seed" | "--seeds"), number] if number.parse::<u64>().is_ok() => seeds(tree, option, number),
        ["--mutants"] => mutants::replay(tree),
        _ => Err(Error::Usage(format!("`sim` does not know `{}`", options.join(" ")))),
    }
}

fn seeds(tree: &Tree, option: &str, number: &str) -> Outcome {
    let mut stages = Stages::new();
    stages.check("sim", tree.cargo(["run", "--locked", "--quiet", "-p", "sim", "--", option, number]));
    stages.finish()
}
