//! The server: the command line, the listeners, the log and the signals around one node.
//!
//! Wiring only. What a command does is in `commands`, what a node does in `node`; what is here is what a process needs
//! that the simulator does not have: real clocks, real sockets, limits of the system, and a way to stop.
//!
//! A library with one function, because two binaries are made of it: `cairn-server` (main.rs), and `cairn-power-cut`
//! (power_cut.rs), which only tests run.

mod clock;
mod files;
mod limits;
mod listen;
mod members;
mod memory;
mod platform;
mod serve;
mod signals;
mod telemetry;

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use node::config::{self, Invocation};

pub use platform::StoreOptions;

/// Does what the command line of this process asks for, and returns when that is done: a server, when it was stopped. Its
/// logs and snapshots are opened with what `store_options` makes of the data directory.
pub fn run(store_options: StoreOptions) -> ExitCode {
    let args: Vec<String> = match std::env::args_os().skip(1).map(std::ffi::OsString::into_string).collect() {
        Ok(args) => args,
        Err(arg) => return fail(&format!("the argument {} is not UTF-8", arg.display())),
    };
    match config::load(&args, &read) {
        Ok(Invocation::Version) => say(&version()),
        Ok(Invocation::Help) => say(&config::help()),
        Ok(Invocation::Sample) => say(&config::sample()),
        Ok(Invocation::Run(loaded)) => match serve::serve(*loaded, store_options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&format!("cairn-server: {error:#}")),
        },
        Err(error) => fail(&error.to_string()),
    }
}

/// Text of a configuration file, or of standard input for `-`.
fn read(path: &Path) -> io::Result<String> {
    if path != Path::new("-") {
        return fs::read_to_string(path);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

fn version() -> String {
    format!("Cairn server v={} bits={}\n", env!("CARGO_PKG_VERSION"), usize::BITS)
}

/// Prints what was asked for. A reader that went away (`| head`) is no error.
fn say(text: &str) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// Says why there is no server.
fn fail(why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::FAILURE
}
