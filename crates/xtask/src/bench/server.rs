//! The servers under measurement: started on 127.0.0.1, killed by their handle, gone when the chore ends.
//!
//! A [`Server`] kills its process when it is dropped, errors included. A chore that is killed itself cannot do so;
//! therefore each server also asks the kernel, through util-linux' `setpriv` where that is installed, to die with the
//! chore. Ctrl-C reaches the servers too: they share the chore's process group.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::client::{Reply, ask_once};
use super::{clock, machine};
use crate::stage::{Error, Outcome, expect_success, not_started, output_of};
use crate::tree::Tree;

/// How long a server may take until it answers; loading a million keys in a debug build fits.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(120);

/// Ports are taken from below Linux' ephemeral ones, where a connection might sit on them while a server restarts.
const PORT_FIRST: u16 = 10_000;
const PORT_LAST: u16 = 22_000;
/// A node's peers are expected this far above its clients' port.
pub(crate) const PEER_PORT_OFFSET: u16 = 10_000;

/// Lines of a server's log in the error that it does not serve.
const LOG_LINES_SHOWN: usize = 10;

/// The directory of one run, below the target directory; removed at the end.
pub(crate) struct Scratch {
    path: PathBuf,
    next_port: u16,
    is_kept: bool,
}

impl Scratch {
    /// Makes the directory anew.
    pub(crate) fn new(tree: &Tree) -> Outcome<Self> {
        let id = std::process::id();
        let path = tree.target().join("bench").join(id.to_string());
        make_dir(&path)?;
        // Two runs at once begin at different ports.
        let spread = u16::try_from(id % u32::from(PORT_LAST - PORT_FIRST)).expect("a remainder of a u16");
        Ok(Self { path, next_port: PORT_FIRST + spread, is_kept: false })
    }

    /// The directory of this name below the target directory, emptied; it stays at the end, for whoever wants to look.
    pub(crate) fn in_place(tree: &Tree, name: &str) -> Outcome<Self> {
        let path = tree.target().join(name);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(|error| Error::Failed(format!("{}: {error}", path.display())))?;
        }
        make_dir(&path)?;
        Ok(Self { path, next_port: PORT_FIRST, is_kept: true })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A port for clients whose peer port is free as well.
    fn free_port(&mut self) -> Outcome<u16> {
        for _ in PORT_FIRST..PORT_LAST {
            let port = self.next_port;
            self.next_port = if port + 1 < PORT_LAST { port + 1 } else { PORT_FIRST };
            if is_free(port) && is_free(port + PEER_PORT_OFFSET) {
                return Ok(port);
            }
        }
        Err(Error::Failed(format!("no free port from {PORT_FIRST} to {PORT_LAST}")))
    }

    fn server(&mut self, name: &str, program: &Path, flags: &[&str]) -> Outcome<Server> {
        let port = self.free_port()?;
        self.server_at(port, name, program, flags)
    }

    fn server_at(&self, port: u16, name: &str, program: &Path, flags: &[&str]) -> Outcome<Server> {
        let dir = self.path.join(format!("{name}-{port}"));
        make_dir(&dir)?;
        let mut arguments = vec!["--port".into(), port.to_string().into(), "--dir".into(), dir.clone().into()];
        arguments.extend(flags.iter().map(OsString::from));
        Ok(Server { name: name.to_owned(), program: program.to_owned(), arguments, dir, port, child: None })
    }

    /// A Cairn of its own.
    pub(crate) fn cairn(&mut self, binary: &Path) -> Outcome<Server> {
        self.server("cairn", binary, &[])?.started()
    }

    /// Three nodes of Cairn that form one shard.
    pub(crate) fn cairn_shard(&mut self, binary: &Path) -> Outcome<Vec<Server>> {
        let mut nodes = (0..3).map(|_| self.server("cairn", binary, &[])).collect::<Outcome<Vec<Server>>>()?;
        let members: Vec<OsString> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port).into()).collect();
        for node in &mut nodes {
            node.arguments.push("--initial-members".into());
            node.arguments.extend(members.iter().cloned());
        }
        // All at once: a node alone forms nothing, and may wait for the others before it answers.
        nodes.iter_mut().try_for_each(Server::spawn)?;
        nodes.iter_mut().try_for_each(Server::wait_until_ready)?;
        Ok(nodes)
    }

    /// A node that may become one of a cluster, not started yet.
    pub(crate) fn cluster_node(&self, binary: &Path, port: u16) -> Outcome<Server> {
        self.server_at(port, "node", binary, &["--cluster-enabled", "yes"])
    }

    /// Some of these, running, on ports found free.
    pub(crate) fn cluster_nodes(&mut self, binary: &Path, count: usize) -> Outcome<Vec<Server>> {
        let ports = (0..count).map(|_| self.free_port()).collect::<Outcome<Vec<u16>>>()?;
        let mut nodes =
            ports.into_iter().map(|port| self.cluster_node(binary, port)).collect::<Outcome<Vec<Server>>>()?;
        nodes.iter_mut().try_for_each(Server::spawn)?;
        nodes.iter_mut().try_for_each(Server::wait_until_ready)?;
        Ok(nodes)
    }

    /// redis-server that syncs each round of commands to its log before it answers, and never rewrites the log.
    pub(crate) fn redis_always(&mut self) -> Outcome<Server> {
        let flags = ["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"];
        self.redis("redis-always", &flags)
    }

    /// redis-server with a log as it comes: synced every second, rewritten when it has doubled.
    pub(crate) fn redis_logging(&mut self) -> Outcome<Server> {
        self.redis("redis", &["--appendonly", "yes"])
    }

    fn redis(&mut self, name: &str, flags: &[&str]) -> Outcome<Server> {
        let flags = [&["--bind", "127.0.0.1", "--save", ""], flags].concat();
        self.server(name, Path::new("redis-server"), &flags)?.started()
    }

    /// valkey-server with one thread and nothing on disk.
    pub(crate) fn valkey(&mut self, binary: &Path) -> Outcome<Server> {
        let flags = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--io-threads", "1"];
        self.server("valkey", binary, &flags)?.started()
    }

    /// valkey-server with one thread that syncs each round of commands to its log before it answers, and never rewrites it.
    pub(crate) fn valkey_always(&mut self, binary: &Path) -> Outcome<Server> {
        let flags = ["--bind", "127.0.0.1", "--save", "", "--io-threads", "1"];
        let log = ["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"];
        self.server("valkey-always", binary, &[&flags[..], &log].concat())?.started()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("== could not remove {}: {error}", self.path.display());
        }
    }
}

/// Whether nobody listens there.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// One server process, which can be killed and started again.
pub(crate) struct Server {
    name: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    dir: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// What it is, for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where its data is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where its clients go, on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts it and waits until it answers.
    fn started(mut self) -> Outcome<Self> {
        self.spawn()?;
        self.wait_until_ready()?;
        Ok(self)
    }

    /// Starts the process; it need not answer yet.
    pub(crate) fn spawn(&mut self) -> Outcome {
        assert!(self.child.is_none(), "a server runs once");
        let log = |error: std::io::Error| Error::Failed(format!("{}: {error}", self.log().display()));
        let output = File::options().create(true).append(true).open(self.log()).map_err(log)?;
        let errors = output.try_clone().map_err(log)?;
        let mut command = dying_with_us(&self.program);
        command.args(&self.arguments).current_dir(&self.dir);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        self.child = Some(command.spawn().map_err(|error| not_started(&command, &error))?);
        Ok(())
    }

    /// Waits until it answers PING with PONG. A process that has ended is not waited for.
    pub(crate) fn wait_until_ready(&mut self) -> Outcome {
        let (name, port) = (&self.name, self.port);
        let child = self.child.as_mut().ok_or_else(|| Error::Failed(format!("{name} does not run")))?;
        let answers = || match ask_once(port, &["PING"]) {
            Some(reply) if reply == Reply::Simple("PONG".into()) => Some(None),
            _ => child.try_wait().ok().flatten().map(Some),
        };
        match clock::wait_for(&format!("{name} on port {port}"), START_LIMIT, answers) {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failed(&format!("{name} ended at once, {status}"))),
            Err(Error::Usage(message) | Error::Failed(message)) => Err(self.failed(&message)),
        }
    }

    /// Fails if the process has ended.
    pub(crate) fn expect_running(&mut self) -> Outcome {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        ended.map_or(Ok(()), |status| Err(self.failed(&format!("{} on port {} ended, {status}", self.name, self.port))))
    }

    /// The error for a server that does not serve, with the end of its log.
    fn failed(&self, message: &str) -> Error {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
        Error::Failed(format!("{message}; it said last:\n{}", last.join("\n")))
    }

    /// SIGKILL, and waits until the process is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only for a child that was waited for already, which `take` rules out.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops the process where it stands (SIGSTOP), as a long pause of its machine would.
    pub(crate) fn stop(&self) -> Outcome {
        self.signal("STOP")
    }

    /// Lets a stopped process go on.
    pub(crate) fn go_on(&self) -> Outcome {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> Outcome {
        let script = format!("kill -{name} {}", self.pid()?);
        expect_success(Command::new("sh").args(["-c", &script]))
    }

    /// User and system time of the process so far, in µs.
    pub(crate) fn cpu_us(&self) -> Outcome<u64> {
        machine::cpu_us(self.pid()?)
    }

    /// How long the thread that runs commands has run so far: Cairn's apply thread, the first of another server.
    pub(crate) fn commands_run(&self) -> Outcome<Duration> {
        machine::thread_run(self.pid()?, "apply-0")
    }

    /// Resident memory of the process, in bytes.
    pub(crate) fn resident_bytes(&self) -> Outcome<u64> {
        machine::resident_bytes(self.pid()?)
    }

    fn pid(&self) -> Outcome<u32> {
        let child = self.child.as_ref().ok_or_else(|| Error::Failed(format!("{} does not run", self.name)))?;
        Ok(child.id())
    }

    fn log(&self) -> PathBuf {
        self.dir.join("output.txt")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A field of a server's `INFO section`, as a number.
pub(crate) fn info_number(port: u16, section: &str, field: &str) -> Option<u64> {
    let Some(Reply::Bulk(Some(text))) = ask_once(port, &["INFO", section]) else { return None };
    number_in(&String::from_utf8_lossy(&text), field)
}

fn number_in(info: &str, field: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')?.trim().parse().ok())
}

/// The place in `nodes` of the one that leads, as ROLE tells; `None` while there is none.
pub(crate) fn leader_of(nodes: &[Server]) -> Option<usize> {
    let leads = |node: &Server| match ask_once(node.port, &["ROLE"]) {
        Some(Reply::Array(items)) => items.first().is_some_and(|role| role.is_bulk(b"master")),
        _ => false,
    };
    nodes.iter().position(leads)
}

fn dying_with_us(program: &Path) -> Command {
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--pdeathsig", "KILL", "--"]);
    let mut probe = Command::new("setpriv");
    if output_of(probe.args(["--pdeathsig", "KILL", "--", "true"])).is_none() {
        return Command::new(program);
    }
    setpriv.arg(program);
    setpriv
}

fn make_dir(path: &Path) -> Outcome {
    fs::create_dir_all(path).map_err(|error| Error::Failed(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_whole_name() {
        let info = "# Raft\r\nraft_entries_max:9\r\nraft_entries:12\r\nraft_role:leader\r\n";
        assert_eq!(number_in(info, "raft_entries"), Some(12));
        assert_eq!(number_in(info, "raft_role"), None);
        assert_eq!(number_in(info, "raft"), None);
    }
}
