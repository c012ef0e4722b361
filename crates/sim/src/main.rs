//! `cargo run -p sim -- [--cluster | --relaxed | --waiting] --seed S | --seeds N [--from S]`: runs seeds until one fails.

#![expect(clippy::print_stdout, reason = "a command line talks on standard output")]

use std::process::ExitCode;

use sim::World;

const USAGE: &str = "usage: sim [--cluster | --relaxed | --waiting] --seed S | --seeds N [--from S]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (world, words) = match &words[..] {
        ["--cluster", words @ ..] => (World::Cluster, words),
        ["--relaxed", words @ ..] => (World::Relaxed, words),
        ["--waiting", words @ ..] => (World::Waiting, words),
        words => (World::Shard, words),
    };
    let number = |text: &str| text.parse::<u64>().ok();
    match *words {
        ["--seed", seed] => number(seed).map_or_else(refuse, |seed| one(world, seed)),
        ["--seeds", count] => number(count).map_or_else(refuse, |count| many(world, 0, count)),
        ["--seeds", count, "--from", from] => match (number(count), number(from)) {
            (Some(count), Some(from)) => many(world, from, count),
            _ => refuse(),
        },
        _ => refuse(),
    }
}

fn refuse() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// One run with all that happened in it.
fn one(world: World, seed: u64) -> ExitCode {
    let report = sim::run(world, seed, Some(|line| println!("{line}")));
    show(&report)
}

/// Runs one seed after the other, up to the first that fails.
fn many(world: World, from: u64, count: u64) -> ExitCode {
    let mut answered = 0;
    for seed in from..from.saturating_add(count) {
        let report = sim::run(world, seed, None);
        answered += report.answered;
        if report.failure.is_some() {
            return show(&report);
        }
    }
    println!("{count} seeds from {from} held; clients got {answered} answers");
    ExitCode::SUCCESS
}

fn show(report: &sim::Report) -> ExitCode {
    let sim::Report { seed, plan, answered, trace, failure, .. } = report;
    match failure {
        None => {
            println!("{plan}\nseed {seed} held: {answered} answers, trace {trace:016x}");
            ExitCode::SUCCESS
        }
        Some(why) => {
            println!("{plan}\nseed {seed} failed: {why}");
            ExitCode::FAILURE
        }
    }
}
