//! Debian packages, installed only when a program is missing and we may.
//!
//! Installing `redis-server` must not start one, now or at the next boot: it would sit on port 6379, where `cargo run` wants to be. Debian's
//! way to say so is `/usr/sbin/policy-rc.d`; ours exists while apt-get runs, and never replaces one that is there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::stage::{Error, Outcome, expect_success, output_of};

/// The package that wants to run as a service.
const SERVICE: &str = "redis-server";

const POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY_TEXT: &str = "#!/bin/sh\n# Written by Cairn's `cargo xtask test` while it installs packages.\nexit 101\n";

/// Installs `packages`, as root or with a clear error.
pub(crate) fn install(packages: &[&str]) -> Outcome {
    let by_hand = format!("apt-get install {}", packages.join(" "));
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(Error::Failed(format!("the tests need what Debian packages as: {}", packages.join(" "))));
    }
    let user = output_of(Command::new("id").arg("-u")).unwrap_or_default();
    if user.trim() != "0" {
        return Err(Error::Failed(format!("the tests need packages, and only root may install them: {by_hand}")));
    }
    let _policy = Policy::hold()?;
    let offline = |error| match error {
        Error::Failed(message) => Error::Failed(format!("{message}\nIs this machine online? By hand: {by_hand}")),
        usage @ Error::Usage(_) => usage,
    };
    eprintln!("{by_hand}");
    expect_success(apt_get().args(["update", "-qq"])).map_err(offline)?;
    let mut install = apt_get();
    install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages);
    expect_success(&mut install).map_err(offline)?;
    if packages.contains(&SERVICE) {
        // Nor at the next boot. A machine without systemd has nothing to disable.
        let _ = output_of(Command::new("systemctl").args(["disable", SERVICE]));
    }
    Ok(())
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
    command
}

/// Keeps packages from starting their services; removed on drop.
struct Policy {
    ours: bool,
}

impl Policy {
    fn hold() -> Outcome<Self> {
        match fs::read_to_string(POLICY) {
            // Left behind by a run that was killed.
            Ok(text) if text == POLICY_TEXT => return Ok(Self { ours: true }),
            Ok(_) => return Ok(Self { ours: false }),
            Err(_) => {}
        }
        let write = || {
            fs::write(POLICY, POLICY_TEXT)?;
            fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))
        };
        write().map_err(|error| Error::Failed(format!("{POLICY}: {error}")))?;
        Ok(Self { ours: true })
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if self.ours && fs::remove_file(POLICY).is_err() {
            eprintln!("xtask: remove {POLICY} by hand: while it is there, no package starts its service");
        }
    }
}
