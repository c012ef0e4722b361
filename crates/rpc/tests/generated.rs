//! `src/generated` is what `proto/` says. With `BLESS=1` in the environment this test writes it anew
//! (`cargo xtask proto` does that), else it compares.

use std::fs;
use std::path::Path;

/// The checked-in files, one per package of `proto/`.
const GENERATED: &[&str] = &["cairn.peer.v1.rs"];

#[test]
fn generated_code_is_current() {
    let krate = Path::new(env!("CARGO_MANIFEST_DIR"));
    let proto = krate.join("../../proto");
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated");
    fs::create_dir_all(&fresh).unwrap();
    let files = protox::compile(["peer.proto"], [&proto]).unwrap();
    tonic_prost_build::configure().bytes(".").build_transport(false).out_dir(&fresh).compile_fds(files).unwrap();
    for name in GENERATED {
        let (new, old) = (fs::read_to_string(fresh.join(name)).unwrap(), krate.join("src/generated").join(name));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&old, &new).unwrap();
        }
        let current = fs::read_to_string(&old).unwrap_or_default() == new;
        assert!(current, "{name} is not what proto/ says: run `cargo xtask proto`");
    }
}
