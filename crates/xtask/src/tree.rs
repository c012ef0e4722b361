//! Where things are: the tree of the repository and its target directory.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The working tree that this xtask was built from.
pub(crate) struct Tree {
    root: PathBuf,
    target: PathBuf,
}

impl Tree {
    /// Finds the tree from this crate's own place in it; the current directory does not matter.
    pub(crate) fn of_this_crate() -> Self {
        let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = crate_dir.ancestors().nth(2).expect("this crate lies in crates/xtask");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        Self { root: root.to_path_buf(), target }
    }

    /// The directory of the workspace's manifest.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target directory: all that is made goes below it.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// A call of the cargo that runs us, at the root.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command.current_dir(&self.root).args(arguments);
        command
    }
}
