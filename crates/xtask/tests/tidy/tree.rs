//! The files of the tree, read once for each test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directories that hold nothing of ours: made by cargo, by a running server, by git.
const NOT_OURS: [&str; 5] = [".git", "target", "data", ".venv", "__pycache__"];

/// A file of the repository.
pub(crate) struct File {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
}

impl File {
    /// The name of the crate whose folder it lies in, if any.
    pub(crate) fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split_once('/').map(|(name, _)| name)
    }

    /// Written by a program: exempt from the rules about hand-written code.
    pub(crate) fn is_generated(&self) -> bool {
        self.path.contains("/generated/")
    }

    /// Holds tests only.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("tests/")
    }
}

/// The directory of the workspace's manifest.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate lies in crates/xtask").to_path_buf()
}

/// The text of the file at `path` from the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every text file of the tree, by path. Files that are not UTF-8 are not texts.
pub(crate) fn files() -> Vec<File> {
    let mut files = Vec::new();
    collect(&root(), "", &mut files);
    assert!(files.len() > 10, "the walk of the tree found next to nothing");
    files
}

/// Every Rust file that was written by hand.
pub(crate) fn rust_files() -> Vec<File> {
    files().into_iter().filter(|file| file.path.ends_with(".rs") && !file.is_generated()).collect()
}

/// What `cargo` prints for `arguments`, run at the root without a network.
pub(crate) fn cargo(arguments: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.current_dir(root()).args(arguments).output().expect("cargo runs: it runs this test");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "cargo {}\n{}{said}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn collect(dir: &Path, prefix: &str, files: &mut Vec<File>) {
    let mut entries: Vec<_> = fs::read_dir(dir).expect("the tree is readable").flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().expect("our file names are UTF-8");
        let path = format!("{prefix}{name}");
        if NOT_OURS.contains(&name.as_str()) {
            continue;
        }
        let kind = entry.file_type().expect("the tree is readable");
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            files.push(File { path, text });
        }
    }
}
