//! The seeded bugs of `mutants/`: that they still fit. `cargo xtask sim --mutants` builds and catches them.

use std::path::Path;
use std::process::Command;

#[test]
fn every_patch_still_applies() {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = crate_dir.join("../..");
    let mut count = 0;
    let entries = |dir: &str| std::fs::read_dir(crate_dir.join(dir)).unwrap().map(|entry| entry.unwrap().path());
    let worlds = ["mutants", "mutants/cluster", "mutants/relaxed", "mutants/waiting"];
    let patches = worlds.into_iter().flat_map(entries);
    for patch in patches.filter(|path| path.extension().is_some_and(|extension| extension == "patch")) {
        let applied = Command::new("git").args(["apply", "--check"]).arg(&patch).current_dir(&root).status().unwrap();
        assert!(applied.success(), "{} does not apply any more", patch.display());
        count += 1;
    }
    assert!(count > 0, "no patches");
}
