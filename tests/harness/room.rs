//! A room: network interfaces and mounts that only the processes put into it see, and that vanish with it.
//!
//! It stands for another host, whose addresses are not loopback, and for a small disk, without a trace on this machine.
//! Made of Linux's namespaces by `unshare`, entered by `nsenter`: as root, or as anybody where the system lets users
//! have namespaces of their own.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// See the module. Gone when dropped.
pub(crate) struct Room {
    holder: Child,
    apart: &'static [&'static str],
}

impl Room {
    /// Makes one with a network of its own: no interface but loopback, which is down. A shell's script, which runs in it,
    /// says what there is.
    pub(crate) fn with_network(script: &str) -> Self {
        Self::new(&["--net"], script)
    }

    /// Makes one with mounts of its own, at first those of this machine.
    pub(crate) fn with_mounts(script: &str) -> Self {
        Self::new(&["--mount"], script)
    }

    /// Makes a room beside this one, of the same users, with a network of its own as well. A cable joins the two: here its end has
    /// the first address, there the second, both of one /24.
    pub(crate) fn next_door(&self, here: &str, there: &str) -> Self {
        let mut command = self.command("unshare");
        command.arg("--net");
        let room = Self::hold(command, &["--net"], "ip link set lo up");
        self.run(&format!(
            "ip link add cable type veth peer name far netns {}\nip address add {here}/24 dev cable\nip link set cable up",
            room.holder.id()
        ));
        room.run(&format!("ip address add {there}/24 dev far\nip link set far up"));
        room
    }

    /// Runs a shell's script in it, which must succeed.
    pub(crate) fn run(&self, script: &str) {
        let mut command = self.command("sh");
        let output = command.args(["-e", "-c", script]).output().expect("a shell");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn new(apart: &'static [&'static str], script: &str) -> Self {
        let mut command = Command::new("unshare");
        command.args(apart).args(if is_root() { &[][..] } else { &["--user", "--map-root-user"] });
        Self::hold(command, apart, script)
    }

    fn hold(mut command: Command, apart: &'static [&'static str], script: &str) -> Self {
        // It lives until its input ends: with the test, however that ends.
        command.args(["sh", "-e", "-c"]).arg(format!("{script}\necho made\nexec cat"));
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare, of util-linux");
        let mut said = String::new();
        let output = holder.stdout.as_mut().expect("it is piped");
        BufReader::new(output).read_line(&mut said).expect("its output is text");
        assert_eq!(
            said, "made\n",
            "no room: it takes root or a system with user namespaces, mount, and ip of iproute2"
        );
        Self { holder, apart }
    }

    /// A program that is to run in it.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string()]).args(self.apart);
        command.args(if is_root() { &[][..] } else { &["--user", "--preserve-credentials"] });
        command.arg("--").arg(program);
        command
    }

    /// The same call, in the room.
    pub(crate) fn call(&self, call: &Command) -> Command {
        let mut command = self.command(call.get_program());
        command.args(call.get_args());
        command
    }

    /// Where a path of the room is for the test.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        let inside = path.strip_prefix("/").expect("an absolute path");
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(inside)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
