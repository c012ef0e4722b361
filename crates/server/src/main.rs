//! `cairn-server`.

use std::process::ExitCode;

fn main() -> ExitCode {
    server::run(storage::Options::new)
}
