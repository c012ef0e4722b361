//! `cargo xtask`: the chores of this repository, on std alone.
//!
//! Every chore is a list of stages (see [`stage`]): one command each, timed. `verify` never writes to the tree and
//! `fix` does; everything that is made goes below the target directory. What a chore promises is written in [`USAGE`],
//! which is also what an unknown word is answered with.
//!
//! Not here: the rules of the house. They are tests (`tests/tidy`) and run with all the others.

#![expect(clippy::print_stdout, reason = "a command line talks on standard output")]

mod apt;
mod bench;
mod cluster;
mod diff;
mod fix;
mod mutants;
mod setup;
mod sim;
mod stage;
mod tree;
mod verify;

use std::process::ExitCode;

use stage::{Error, Outcome};
use tree::Tree;

const USAGE: &str = "\
usage: cargo xtask <chore>

  verify [--fast]   check formatting, lints, documentation and tests; writes nothing
                    --fast: formatting, lints and the house rules only
  fix               write what can be written: formatting, trailing space, the README's list of commands
  proto             generate crates/rpc/src/generated anew from proto/
  test              set up what the tests need (once), then everything that CI runs
  cluster [options] a cluster on this machine, formed by redis-cli, until Ctrl-C
                      --nodes N    how many (default 6)     --replicas N  of each master (default 1)
                      --port P     the first one's (default 7000); the others' follow, the peers' are 10000 above
  sim [options]     simulated nodes
                      --cluster    six that form a cluster; without it, one shard
                      --relaxed    a shard that acknowledges before it syncs (appendfsync everysec)
                      --waiting    a shard whose clients wait in BLPOP and its like
                      --seed S     one run, with its trace
                      --seeds N [--from S]   N seeds from S on (default 32 from 0)
                      --mutants [NAME]   every seeded bug of crates/sim/mutants must be caught, or that one
  diff [options]    random commands to a real valkey-server and to Cairn, over RESP2 and RESP3
                      --commands N   for each protocol (default 1000000)
                      --seed S       another run                --families a,b   only those of tests/compare/families
                      --thresholds least   with no collection in a small encoding
  bench [what] [options]
                    measure Cairn and its peers in turn; tables for benches/ on standard output
                      standalone   GET and SET against Valkey and Redis
                      shard        SET over three voters against Redis, CPU and commands for each log entry
                      failover     gaps and losses when the leader is killed (--stop: stopped for 3 s)
                      cluster      the same of six nodes, each in turn; hand-over; CPU while idle
                      restart      time from the start to the first answer
                      memory       resident memory of several sets of data against Valkey
                      pauses       what others wait for while big collections grow, are copied, saved and freed, beside
                                   Valkey with a synced log (--elements N: default 10000000; --type T: only that one)
                      log          the store under the log: cargo bench -p storage
                      --binary PATH  measure this server (default: builds target/release/cairn-server)
                      --pairs N    rounds (default 5)      --seconds N  of each measurement (default 5)
                      --kills N    failovers (default 20)  --keys N     loaded keys (default 1000000)
  help              this text";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Usage(message)) => {
            eprintln!("xtask: {message}\n\n{USAGE}");
            ExitCode::from(2)
        }
        Err(Error::Failed(message)) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Outcome {
    let tree = Tree::of_this_crate();
    match words {
        ["verify"] => verify::verify(&tree, false),
        ["verify", "--fast"] => verify::verify(&tree, true),
        ["fix"] => fix::fix(&tree),
        ["proto"] => fix::proto(&tree),
        ["test"] => verify::test(&tree),
        ["cluster", options @ ..] => cluster::cluster(&tree, options),
        ["sim", options @ ..] => sim::sim(&tree, options),
        ["diff", options @ ..] => diff::diff(&tree, options),
        ["bench", options @ ..] => bench::bench(&tree, options),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        [] => Err(Error::Usage("which chore?".into())),
        [chore @ ("verify" | "fix" | "proto" | "test"), rest @ ..] => {
            Err(Error::Usage(format!("`{chore}` does not know `{}`", rest.join(" "))))
        }
        [chore, ..] => Err(Error::Usage(format!("there is no chore `{chore}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(words: &[&str]) -> bool {
        matches!(run(words), Err(Error::Usage(_)))
    }

    #[test]
    fn words_that_mean_nothing_are_refused() {
        assert!(is_refused(&[]));
        assert!(is_refused(&["verfy"]));
        assert!(is_refused(&["verify", "--slow"]));
        assert!(is_refused(&["test", "--fast"]));
        assert!(is_refused(&["cluster", "--nodes", "many"]));
        assert!(is_refused(&["sim", "--seed"]));
        assert!(is_refused(&["sim", "--seeds", "many"]));
        assert!(is_refused(&["bench", "everything"]));
        assert!(is_refused(&["diff", "--commands"]));
        assert!(is_refused(&["diff", "--commands", "many"]));
        assert!(is_refused(&["diff", "--everything", "1"]));
    }
}
