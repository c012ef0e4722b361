//! `sim`: simulated clusters, by the binary of `crates/sim`.
//!
//! The binary takes `--cluster` for clusters of six nodes, `--relaxed` for one shard that acknowledges before it syncs, `--waiting`
//! for one whose clients wait in BLPOP (without them: one that does neither), and then `--seed S` (one run, with its trace) or `--seeds N --from S` (the seeds S, or 0, and those behind it,
//! ending at the first that fails). It exits with 0 when every seed held, and else with another number after a line that starts with
//! `seed S failed`.

use crate::mutants;
use crate::stage::{Error, Outcome, Stages};
use crate::tree::Tree;

/// Seeds of a run that names none.
const SEEDS_DEFAULT: &str = "32";

/// What `options` ask for: seeds of one shard or of a cluster, or the seeded bugs.
pub(crate) fn sim(tree: &Tree, options: &[&str]) -> Outcome {
    let (world, rest): (&[&str], _) = match options {
        ["--cluster", rest @ ..] => (&["--cluster"], rest),
        ["--relaxed", rest @ ..] => (&["--relaxed"], rest),
        ["--waiting", rest @ ..] => (&["--waiting"], rest),
        rest => (&[], rest),
    };
    match rest {
        [] => seeds(tree, world, &["--seeds", SEEDS_DEFAULT]),
        [option @ ("--seed" | "--seeds"), number] if is_number(number) => seeds(tree, world, &[option, number]),
        ["--seeds", count, "--from", first] if is_number(count) && is_number(first) => seeds(tree, world, rest),
        ["--mutants"] if world.is_empty() => mutants::replay(tree, None),
        ["--mutants", name] if world.is_empty() => mutants::replay(tree, Some(name)),
        _ => Err(Error::Usage(format!("`sim` does not know `{}`", options.join(" ")))),
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<u64>().is_ok()
}

fn seeds(tree: &Tree, world: &[&str], which: &[&str]) -> Outcome {
    let mut stages = Stages::new();
    let run = ["run", "--locked", "--quiet", "-p", "sim", "--"];
    let arguments: Vec<&str> = run.iter().chain(world).chain(which).copied().collect();
    stages.check("sim", tree.cargo(arguments));
    stages.finish()
}
