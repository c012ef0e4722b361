//! `bench`: Cairn and its peers on this machine, in one run and in turn.
//!
//! Figures of different runs do not compare: the machine is another one from one minute to the next. So each chore
//! starts every contender, measures one after the other round by round, and prints ratios with their intervals as
//! markdown on standard output; what it is doing goes to standard error. Nothing here decides whether a figure is good
//! enough: `benches/README.md` says what they are compared with.
//!
//! All servers listen on 127.0.0.1, on ports found free, with their data below the target directory.

pub(crate) mod client;
pub(crate) mod clock;
mod cluster;
mod failover;
mod load;
mod machine;
mod memory;
mod pauses;
mod probes;
mod restart;
pub(crate) mod server;
mod statistics;
mod table;
mod throughput;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::setup;
use crate::stage::{Error, Outcome, expect_success};
use crate::tree::Tree;
use load::{Kind, Load};
use pauses::{TYPES, Type};

/// One thing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chore {
    Standalone,
    Shard,
    Failover,
    Cluster,
    Restart,
    Memory,
    Pauses,
    Log,
}

/// What is measured unless one is named. Pauses are not: they take a quarter of an hour by themselves.
const ALL: [Chore; 7] =
    [Chore::Standalone, Chore::Shard, Chore::Failover, Chore::Cluster, Chore::Restart, Chore::Memory, Chore::Log];

/// The command line, read.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    chores: Vec<Chore>,
    binary: Option<PathBuf>,
    pairs: u32,
    seconds: u32,
    keys: u32,
    kills: u32,
    stop: bool,
    elements: u32,
    types: Vec<Type>,
}

/// What a chore works with.
pub(crate) struct Setting<'a> {
    tree: &'a Tree,
    /// The server of Cairn, a release build.
    binary: PathBuf,
    /// Rounds, each of which measures every contender.
    pairs: u32,
    /// How long one measurement of throughput lasts.
    time: Duration,
    /// Keys that are loaded.
    keys: u64,
    /// Failovers.
    kills: u32,
    /// Whether failovers come from SIGSTOP instead of SIGKILL.
    stop: bool,
    /// Elements of a big collection.
    elements: u64,
    /// The types of big collections.
    types: Vec<Type>,
}

impl Setting<'_> {
    /// A load on the keys that are loaded.
    fn load(&self, kind: Kind, clients: u32, pipeline: u32) -> Load {
        Load { kind, clients, pipeline, keys: self.keys }
    }

    /// The binary of a real valkey-server: the environment's, else the set-up's.
    fn valkey(&self) -> Outcome<PathBuf> {
        let named = std::env::var_os("CAIRN_TEST_VALKEY").map(PathBuf::from);
        named.or_else(|| setup::tools(self.tree).map(|tools| tools.valkey)).ok_or_else(|| {
            Error::Failed("no valkey-server to compare with: run `cargo xtask test` once, it sets one up".into())
        })
    }
}

/// Measures what `words` ask for.
pub(crate) fn bench(tree: &Tree, words: &[&str]) -> Outcome {
    let options = read(words)?;
    let is_own_build = options.binary.is_none();
    let needs_binary = options.chores != [Chore::Log];
    let binary = match options.binary {
        Some(path) => std::path::absolute(&path).map_err(|error| Error::Failed(error.to_string()))?,
        None if needs_binary => release_build(tree)?,
        None => PathBuf::new(),
    };
    if needs_binary && !binary.is_file() {
        return Err(Error::Failed(format!("{}: there is no such server", binary.display())));
    }
    let setting = Setting {
        tree,
        binary,
        pairs: options.pairs,
        time: Duration::from_secs(options.seconds.into()),
        keys: options.keys.into(),
        kills: options.kills,
        stop: options.stop,
        elements: options.elements.into(),
        types: options.types,
    };
    println!("{}\n", machine::heading(tree, is_own_build));
    // What fails lets the others run: the figures of a long run are worth having.
    let mut failed = Vec::new();
    for chore in options.chores {
        if let Err(Error::Usage(message) | Error::Failed(message)) = run(&setting, chore) {
            eprintln!("== {chore:?} FAILED: {message}");
            failed.push(format!("{chore:?} ({message})"));
        }
    }
    eprintln!("== done; load average now {}", machine::load_average());
    if failed.is_empty() { Ok(()) } else { Err(Error::Failed(format!("failed: {}", failed.join(", ")))) }
}

fn run(setting: &Setting<'_>, chore: Chore) -> Outcome {
    eprintln!("== {chore:?}");
    match chore {
        Chore::Standalone => throughput::standalone(setting),
        Chore::Shard => throughput::shard(setting),
        Chore::Failover => failover::failover(setting),
        Chore::Cluster => cluster::cluster(setting),
        Chore::Restart => restart::restart(setting),
        Chore::Memory => memory::memory(setting),
        Chore::Pauses => pauses::pauses(setting),
        Chore::Log => {
            println!("### The log on disk\n\n```text");
            let outcome = expect_success(&mut setting.tree.cargo(["bench", "--locked", "--quiet", "-p", "storage"]));
            println!("```\n");
            outcome
        }
    }
}

/// Builds the server as it is shipped; where it is.
pub(crate) fn release_build(tree: &Tree) -> Outcome<PathBuf> {
    eprintln!("== cargo build --release");
    expect_success(&mut tree.cargo(["build", "--locked", "--release"]))?;
    Ok(tree.target().join(Path::new("release/cairn-server")))
}

fn read(words: &[&str]) -> Outcome<Options> {
    let mut options = Options {
        chores: ALL.into(),
        binary: None,
        pairs: 5,
        seconds: 5,
        keys: 1_000_000,
        kills: 20,
        stop: false,
        elements: 10_000_000,
        types: TYPES.into(),
    };
    let mut words = words.iter().copied().peekable();
    if let Some(word) = words.next_if(|word| !word.starts_with('-')) {
        options.chores = vec![chore_of(word)?];
    }
    while let Some(option) = words.next() {
        let mut number = || {
            let word = words.next().unwrap_or_default();
            let number = word.parse::<u32>().ok().filter(|&number| number > 0);
            number.ok_or_else(|| Error::Usage(format!("`{option}` wants a number above 0, not `{word}`")))
        };
        match option {
            "--pairs" => options.pairs = number()?,
            "--seconds" => options.seconds = number()?,
            "--keys" => options.keys = number()?,
            "--kills" => options.kills = number()?,
            "--elements" => options.elements = number()?,
            "--type" => {
                let word = words.next().unwrap_or_default();
                let named = TYPES.into_iter().find(|kind| kind.to_string() == word);
                options.types = vec![named.ok_or_else(|| Error::Usage(format!("`--type` does not know `{word}`")))?];
            }
            "--stop" => options.stop = true,
            "--binary" => {
                let path = words.next().ok_or_else(|| Error::Usage("`--binary` wants a path".into()))?;
                options.binary = Some(path.into());
            }
            _ => return Err(Error::Usage(format!("`bench` does not know `{option}`"))),
        }
    }
    Ok(options)
}

fn chore_of(word: &str) -> Outcome<Chore> {
    match word {
        "standalone" => Ok(Chore::Standalone),
        "shard" => Ok(Chore::Shard),
        "failover" => Ok(Chore::Failover),
        "cluster" => Ok(Chore::Cluster),
        "restart" => Ok(Chore::Restart),
        "memory" => Ok(Chore::Memory),
        "pauses" => Ok(Chore::Pauses),
        "log" => Ok(Chore::Log),
        _ => Err(Error::Usage(format!("`bench` does not know `{word}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_words_everything_is_measured() {
        let options = read(&[]).unwrap();
        assert_eq!(options.chores, ALL);
        assert_eq!((options.pairs, options.seconds, options.keys, options.kills), (5, 5, 1_000_000, 20));
    }

    #[test]
    fn options_are_read_behind_the_chore() {
        let options = read(&["failover", "--kills", "3", "--stop", "--binary", "a/b"]).unwrap();
        assert_eq!(options.chores, [Chore::Failover]);
        assert!(options.stop && options.kills == 3);
        assert_eq!(options.binary, Some("a/b".into()));
        assert_eq!(read(&["--pairs", "2"]).unwrap().pairs, 2);
        let options = read(&["pauses", "--elements", "7", "--type", "sorted-set"]).unwrap();
        assert_eq!((options.elements, options.types), (7, vec![Type::SortedSet]));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for words in [&["speed"][..], &["--pairs"], &["--pairs", "0"], &["--keys", "many"], &["shard", "log"], &["--x"]]
        {
            assert!(matches!(read(words), Err(Error::Usage(_))), "{words:?}");
        }
    }
}
