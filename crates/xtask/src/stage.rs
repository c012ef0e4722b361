//! Stages: commands that are run one after the other, each with its time.
//!
//! A *check* that fails lets the others run and fails the chore at its end; a *step* that fails ends the chore.
//! A stage inherits our standard streams, so that the output of cargo is cargo's own. Our lines go to standard error
//! and start with `==`; nothing is printed after the output of a chore's last stage but its time.

use std::process::Command;
use std::time::{Duration, Instant};

/// Why a chore ended early.
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line means nothing to us: print the usage, exit with 2.
    Usage(String),
    /// A stage failed or could not be started: say which, exit with 1.
    Failed(String),
}

/// What a chore and its stages come to.
pub(crate) type Outcome<T = ()> = Result<T, Error>;

/// Runs stages and keeps their times and failures.
pub(crate) struct Stages {
    times: Vec<(&'static str, Duration)>,
    failed: Vec<String>,
}

impl Stages {
    /// No stage has run yet.
    pub(crate) fn new() -> Self {
        Self { times: Vec::new(), failed: Vec::new() }
    }

    /// Runs `command` as the stage `name`. A failure is kept for [`finish`](Self::finish), and the stages behind it run
    /// all the same: one run shows everything that is wrong.
    pub(crate) fn check(&mut self, name: &'static str, mut command: Command) {
        match self.step(name, || expect_success(&mut command)) {
            Ok(()) => {}
            Err(Error::Usage(message) | Error::Failed(message)) => self.failed.push(format!("{name} ({message})")),
        }
    }

    /// Runs `work` as the stage `name`, which those behind it need.
    pub(crate) fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        eprintln!("== {name}");
        let (result, took) = timed(work);
        self.times.push((name, took));
        let verdict = if result.is_ok() { "took" } else { "FAILED after" };
        eprintln!("== {name} {verdict} {:.1} s", took.as_secs_f64());
        result
    }

    /// Prints the times of the stages so far on one line.
    pub(crate) fn print_times(&self) {
        let times: Vec<String> =
            self.times.iter().map(|(name, took)| format!("{name} {:.0} s", took.as_secs_f64())).collect();
        let total: Duration = self.times.iter().map(|(_, took)| *took).sum();
        eprintln!("== so far {:.0} s: {}", total.as_secs_f64(), times.join(", "));
    }

    /// What the checks came to, all together.
    pub(crate) fn finish(self) -> Outcome {
        if self.failed.is_empty() { Ok(()) } else { Err(Error::Failed(format!("failed: {}", self.failed.join(", ")))) }
    }
}

/// Runs `work` and says how long it took.
#[expect(clippy::disallowed_methods, reason = "the times of chores are those of the machine")]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// Runs `command` to its end; anything but success is an error that shows the command.
pub(crate) fn expect_success(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|error| not_started(command, &error))?;
    if status.success() { Ok(()) } else { Err(Error::Failed(format!("{status}: {}", shown(command)))) }
}

/// Runs `command`, keeps its standard output and discards its standard error; `None` when it failed or is not there.
pub(crate) fn output_of(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The error for a program that could not be started at all.
pub(crate) fn not_started(command: &Command, error: &std::io::Error) -> Error {
    Error::Failed(format!("could not start {}: {error}", shown(command)))
}

/// The command as one would type it (without quoting).
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
