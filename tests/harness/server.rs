//! Server processes: Cairn's, and any other that speaks RESP.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Client, Directory, wait_for, wire};

/// Ports are looked for from here up to [`PORTS_END`]: both they and those of the peers, 10000 above, lie below the ports
/// that the system gives to outgoing connections.
const PORTS_START: u16 = 12_000;
const PORTS_END: u16 = 22_000;

/// How often a start is tried again because somebody else took the port in between.
const STARTS_MAX: usize = 5;

/// The server that is shipped.
pub(crate) const CAIRN: &str = env!("CARGO_BIN_EXE_cairn-server");

/// The same server over a log that loses in a kill what was not synced.
pub(crate) const POWER_CUT: &str = env!("CARGO_BIN_EXE_cairn-power-cut");

/// A process whose output goes to a file that is shown when the test fails.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    is_reaped: bool,
}

/// Whether a thread, given by its directory in `/proc`, is stopped or gone.
fn is_stopped(thread: &Path) -> bool {
    // The state comes behind the name, which is in parentheses and may hold any.
    fs::read_to_string(thread.join("stat"))
        .map_or(true, |stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T")))
}

impl Process {
    /// Starts it. `log` is appended to.
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("the test's directory is writable");
        let errors = file.try_clone().expect("a file can be shared");
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command.spawn().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
        Self { child, log: log.to_path_buf(), is_reaped: false }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        assert!(!self.is_reaped, "the process has ended: its id may be another's");
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("ids are positive");
        kill_process(id, signal).expect("it is our child");
    }

    /// Makes it stand still; it does when this returns.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        let threads = format!("/proc/{}/task", self.id());
        // A signal is delivered when one of the threads runs again; until then the others go on, on a busy machine for milliseconds.
        wait_for("a process that stands still", || {
            fs::read_dir(&threads)
                .ok()?
                .all(|thread| thread.is_ok_and(|thread| is_stopped(&thread.path())))
                .then_some(())
        });
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("it is our child");
        self.is_reaped |= status.is_some();
        status
    }

    /// Waits until it has ended.
    pub(crate) fn end(&mut self) -> ExitStatus {
        wait_for("the end of a process", || self.ended())
    }

    /// Everything that it has printed.
    pub(crate) fn output(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.output());
        }
    }
}

/// A running server.
pub(crate) struct Server {
    /// Where clients connect.
    pub(crate) port: u16,
    process: Process,
    directory: Directory,
    program: &'static str,
    arguments: Vec<String>,
}

impl Server {
    /// A Cairn on its own, with further arguments, that answers PING.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_program(CAIRN, arguments)
    }

    /// As [`Self::start`], of another program.
    pub(crate) fn start_program(program: &'static str, arguments: &[&str]) -> Self {
        let is_ready = |port| Client::connect(port).run("PING") == wire::Value::Simple("PONG".into());
        Self::start_where(program, arguments, is_ready)
    }

    /// A Cairn that asks for `password`.
    pub(crate) fn start_with_password(password: &str, arguments: &[&str]) -> Self {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--requirepass", password]).collect();
        Self::start_where(CAIRN, &arguments, |port| {
            let mut client = Client::connect(port);
            client.run(&format!("AUTH {password}")) == wire::Value::ok() && client.run("PING").text() == "PONG"
        })
    }

    /// Starts a Cairn, this program, and does not wait until it serves.
    pub(crate) fn launch(program: &'static str, port: u16, directory: Directory, arguments: Vec<String>) -> Self {
        let process = Process::start(command(program, port, &directory, &arguments), &directory.join("log"));
        Self { port, process, directory, program, arguments }
    }

    fn start_where(program: &'static str, arguments: &[&str], is_ready: impl Fn(u16) -> bool) -> Self {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        for _ in 0..STARTS_MAX {
            let mut server = Self::launch(program, free_port(), Directory::new(), arguments.clone());
            if server.serves(&is_ready) {
                return server;
            }
        }
        panic!("no port stayed free");
    }

    /// Waits until it is ready; false if its port was taken.
    fn serves(&mut self, is_ready: impl Fn(u16) -> bool) -> bool {
        wait_for("a server that serves", || {
            if let Some(status) = self.process.ended() {
                let said = self.process.output();
                assert!(said.contains("is taken"), "the server ended: {status}\n{said}");
                return Some(false);
            }
            let accepts = Client::try_connect(wire::local(self.port), Duration::from_secs(5)).is_ok();
            (accepts && is_ready(self.port)).then_some(true)
        })
    }

    /// A new connection.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.port)
    }

    /// Its process.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its data and its log.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.process.signal(Signal::KILL);
        self.process.end();
    }

    /// Starts it again, on the same port and directory, and does not wait until it serves.
    pub(crate) fn relaunch(&mut self) {
        assert!(self.process.ended().is_some(), "it still runs");
        let command = command(self.program, self.port, &self.directory, &self.arguments);
        self.process = Process::start(command, &self.directory.join("log"));
    }

    /// Starts it again on another port, with the same directory, and waits until it serves.
    pub(crate) fn move_away(&mut self) {
        for _ in 0..STARTS_MAX {
            self.port = free_port();
            self.relaunch();
            if self.serves(answers) {
                return;
            }
        }
        panic!("no port stayed free");
    }

    /// Starts it again and waits until it serves.
    pub(crate) fn restart(&mut self) {
        self.relaunch();
        assert!(self.serves(answers), "its own port was taken:\n{}", self.process.output());
    }

    /// The value of a field of INFO.
    pub(crate) fn info(&self, field: &str) -> String {
        info(&mut self.client(), field)
    }
}

/// Whether a server answers PING with PONG.
pub(crate) fn answers(port: u16) -> bool {
    let asked = Client::try_connect(wire::local(port), Duration::from_secs(5))
        .and_then(|mut client| client.try_call(&[b"PING"]));
    asked.is_ok_and(|reply| reply == wire::Value::Simple("PONG".into()))
}

/// The value of a field of INFO.
pub(crate) fn info(client: &mut Client, field: &str) -> String {
    let text = client.run("INFO").text();
    let found = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned));
    found.unwrap_or_else(|| panic!("INFO has no {field}:\n{text}"))
}

/// A configuration file of this name in a server's directory is the server's.
pub(crate) const FILE: &str = "cairn.conf";

/// The call of a Cairn, this program.
pub(crate) fn command(program: &str, port: u16, directory: &Directory, arguments: &[String]) -> Command {
    let mut command = Command::new(program);
    command.args(Some(directory.join(FILE)).filter(|file| file.exists()));
    command.args(["--port", &port.to_string(), "--dir"]).arg(directory.join("data")).args(arguments);
    command.current_dir(directory.path());
    command
}

/// A port that is free, as is the one of the peers, 10000 above.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = PORTS_END - PORTS_START;
    let start = u16::try_from(std::process::id() % u32::from(span)).expect("below a u16");
    let is_free = |port: u16| std::net::TcpListener::bind(wire::local(port)).is_ok();
    (0..span)
        .map(|_| PORTS_START + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % span)
        .find(|&port| is_free(port) && is_free(port + 10_000))
        .expect("a free pair among ten thousand")
}
