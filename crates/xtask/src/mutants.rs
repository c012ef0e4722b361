//! Seeded bugs: the patches of `crates/sim/mutants`, each of which the simulator must catch.
//!
//! A patch is applied to a copy of the tree below the target directory, never to the tree. The copy shares the target
//! directory, so that only our own crates are built again, and between two patches only the files that differ are
//! written, so that cargo rebuilds what the patch touched and no more.
//!
//! ```text
//! target/mutants/tree    the copy, with one patch applied
//! ```
//!
//! A patch may name the seed that is known to catch it, in a line `Seed: N` before its first file. That seed is tried first, on the
//! tree as it is too, where it must hold: what fails anyway proves nothing. Without such a line, or when that seed holds, seeds from
//! 0 on are tried.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::stage::{Error, Outcome, expect_success, not_started, output_of, timed};
use crate::tree::Tree;

/// A world of the simulator, and the patches that it must catch.
struct World {
    /// Where they are, below the root.
    dir: &'static str,
    /// What the simulator is told.
    flags: &'static [&'static str],
    /// Seeds that a mutant may survive before it counts as not caught.
    seeds_max: &'static str,
}

const WORLDS: [World; 4] = [
    World { dir: "crates/sim/mutants", flags: &[], seeds_max: "1000" },
    World { dir: "crates/sim/mutants/relaxed", flags: &["--relaxed"], seeds_max: "1000" },
    World { dir: "crates/sim/mutants/waiting", flags: &["--waiting"], seeds_max: "1000" },
    World { dir: "crates/sim/mutants/cluster", flags: &["--cluster"], seeds_max: "200" },
];

/// A seeded bug, and where it must be caught.
struct Mutant {
    world: &'static World,
    patch: PathBuf,
    /// The seed that caught it before.
    known: Option<u64>,
}

impl Mutant {
    fn name(&self) -> String {
        self.patch.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// Replays every patch, or that of one name, and prints a table row for each; fails when one was not caught, does not apply or does
/// not build, or when a seed that is known to catch one fails without it.
pub(crate) fn replay(tree: &Tree, wanted: Option<&str>) -> Outcome {
    let mut mutants = Vec::new();
    for world in &WORLDS {
        for patch in patches(tree, world.dir)? {
            let text = fs::read_to_string(&patch);
            let text = text.map_err(|error| Error::Failed(format!("{}: {error}", patch.display())))?;
            mutants.push(Mutant { world, patch, known: known_seed(&text) });
        }
    }
    mutants.retain(|mutant| wanted.is_none_or(|name| mutant.name() == name));
    if mutants.is_empty() {
        return Err(Error::Usage(format!("there is no mutant {}", wanted.unwrap_or_default())));
    }
    let copy = tree.target().join("mutants").join("tree");
    hold_without(tree, &copy, &mutants)?;
    println!("| mutant | caught by | seconds |\n| --- | --- | --- |");
    let mut survivors = Vec::new();
    for mutant in &mutants {
        copy_tracked(tree, &copy)?;
        apply(&copy, &mutant.patch)?;
        expect_success(&mut cargo_in(tree, &copy, "build"))?;
        let known = mutant.known.map(|seed| seed.to_string());
        let one = known.as_ref().map(|seed| ["--seeds", "1", "--from", seed]);
        let all = ["--seeds", mutant.world.seeds_max];
        let tries = one.iter().map(|words| &words[..]).chain([&all[..]]);
        let (caught, took) = timed(|| {
            let mut caught = tries.map(|words| failure(tree, &copy, mutant.world, words));
            caught.find(|caught| !matches!(caught, Ok(None))).unwrap_or(Ok(None))
        });
        match caught? {
            Some(verdict) => println!("| {} | {verdict} | {:.1} |", mutant.name(), took.as_secs_f64()),
            None => survivors.push(mutant.name()),
        }
    }
    if survivors.is_empty() {
        return Ok(());
    }
    Err(Error::Failed(format!("not caught: {}", survivors.join(", "))))
}

/// Runs the known seeds of these mutants on the tree as it is.
fn hold_without(tree: &Tree, copy: &Path, mutants: &[Mutant]) -> Outcome {
    copy_tracked(tree, copy)?;
    expect_success(&mut cargo_in(tree, copy, "build"))?;
    for mutant in mutants {
        let Some(seed) = mutant.known.map(|seed| seed.to_string()) else { continue };
        if let Some(verdict) = failure(tree, copy, mutant.world, &["--seeds", "1", "--from", &seed])? {
            return Err(Error::Failed(format!("without {}: {verdict}", mutant.name())));
        }
    }
    Ok(())
}

/// Runs seeds in the copy. What the simulator says of the one that fails, if one does.
fn failure(tree: &Tree, copy: &Path, world: &World, seeds: &[&str]) -> Outcome<Option<String>> {
    let mut run = cargo_in(tree, copy, "run");
    run.arg("--").args(world.flags).args(seeds);
    let output = run.output().map_err(|error| not_started(&run, &error))?;
    let said = [output.stdout, output.stderr].concat();
    Ok((!output.status.success()).then(|| verdict(&String::from_utf8_lossy(&said)).to_owned()))
}

/// The seed that a patch names before its first file.
fn known_seed(patch: &str) -> Option<u64> {
    let head = patch.lines().take_while(|line| !line.starts_with("--- "));
    head.filter_map(|line| line.strip_prefix("Seed: ")).find_map(|seed| seed.parse().ok())
}

/// The patches of a directory by name; none at all is an error, as it would prove nothing.
fn patches(tree: &Tree, dir: &str) -> Outcome<Vec<PathBuf>> {
    let dir = tree.root().join(dir);
    let read = fs::read_dir(&dir).map_err(|error| Error::Failed(format!("{}: {error}", dir.display())))?;
    let mut patches: Vec<PathBuf> = read
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "patch"))
        .collect();
    patches.sort();
    if patches.is_empty() {
        return Err(Error::Failed(format!("{}: no patches", dir.display())));
    }
    Ok(patches)
}

/// Makes `copy` equal to the files that git knows of, writing only what differs.
fn copy_tracked(tree: &Tree, copy: &Path) -> Outcome {
    let mut list = Command::new("git");
    list.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]).current_dir(tree.root());
    let files = output_of(&mut list).ok_or_else(|| Error::Failed("git ls-files: not a git repository?".into()))?;
    for file in files.split_terminator('\0') {
        let (from, to) = (tree.root().join(file), copy.join(file));
        // A file that is deleted but still in the index.
        let Ok(bytes) = fs::read(&from) else { continue };
        if fs::read(&to).is_ok_and(|old| old == bytes) {
            continue;
        }
        let write = || {
            fs::create_dir_all(to.parent().expect("a file lies in a directory"))?;
            fs::write(&to, &bytes)
        };
        write().map_err(|error| Error::Failed(format!("{}: {error}", to.display())))?;
    }
    Ok(())
}

/// Applies `patch` in `copy`, outside any repository: git would skip what lies below an ignored directory.
fn apply(copy: &Path, patch: &Path) -> Outcome {
    let outside = copy.parent().expect("the copy lies below the target directory");
    let mut git = Command::new("git");
    git.arg("apply").arg(patch).current_dir(copy).env("GIT_CEILING_DIRECTORIES", outside);
    expect_success(&mut git)
}

fn cargo_in(tree: &Tree, copy: &Path, verb: &str) -> Command {
    let mut cargo = tree.cargo([verb, "--locked", "--quiet", "-p", "sim"]);
    // What is built anew for each patch, node and sim, is built quickly rather than to run quickly: a known seed or two is all they run.
    for package in ["node", "sim"] {
        cargo.arg("--config").arg(format!("profile.dev.package.{package}.opt-level=0"));
    }
    cargo.current_dir(copy).env("CARGO_TARGET_DIR", tree.target()).env("CARGO_INCREMENTAL", "1");
    cargo
}

/// The part of the simulator's words that names the seed; what it panicked about, where a panic left it no words.
fn verdict(said: &str) -> &str {
    let mut behind_panic = said.lines().skip_while(|line| !line.contains("panicked at")).skip(1);
    let named = said.lines().find(|line| line.starts_with("seed "));
    named.or_else(|| behind_panic.next()).unwrap_or("an end without a word")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_the_copy_though_git_ignores_its_place() {
        let tree = Tree::of_this_crate();
        let copy = tree.target().join(format!("xtask-test-{}", std::process::id())).join("tree");
        fs::create_dir_all(&copy).expect("the target directory is writable");
        fs::write(copy.join("fence.rs"), "fn held() -> bool {\n    true\n}\n").expect("the copy is writable");
        let patch = copy.join("fence.patch");
        let text = "Why: an example.\n\n--- a/fence.rs\n+++ b/fence.rs\n@@ -1,3 +1,3 @@\n fn held() -> bool {\n\
                    -    true\n+    false\n }\n";
        fs::write(&patch, text).expect("the copy is writable");
        apply(&copy, &patch).expect("the patch fits");
        let changed = fs::read_to_string(copy.join("fence.rs")).expect("the file is still there");
        assert_eq!(changed, "fn held() -> bool {\n    false\n}\n");
        fs::remove_dir_all(copy.parent().expect("made above")).expect("the directory is ours");
    }

    #[test]
    fn a_patch_names_its_seed_in_its_head() {
        assert_eq!(known_seed("Why: an example.\n\nSeed: 258\n\n--- a/fence.rs\n"), Some(258));
        assert_eq!(known_seed("Why: an example.\n\n--- a/fence.rs\n Seed: 1\nSeed: 2\n"), None);
    }

    #[test]
    fn the_verdict_is_the_line_that_names_the_seed() {
        assert_eq!(verdict("running\nseed 17 failed: lost a write\ntrace\n"), "seed 17 failed: lost a write");
        assert_eq!(verdict("thread 'main' panicked at log.rs:1:2:\nit is shorter\n"), "it is shorter");
        assert_eq!(verdict("killed\n"), "an end without a word");
    }
}
