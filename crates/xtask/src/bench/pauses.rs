//! `pauses`: what others wait for while a collection of ten million elements grows, is copied, saved and freed.
//!
//! One collection of each type, in a fresh server of either kind: Cairn, and Valkey with `appendfsync always`, which promises
//! the same for a single disk. While one client does something to it, [`Probes`] time a GET and a SET of another key,
//! and what the machine itself makes anybody wait for. Printed is the worst of each, because the gate is about the worst.
//!
//! The *own share* of a command does not depend on who else is busy: how long the thread that runs commands was on a processor for it.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use super::Setting;
use super::client::{Client, Reply, encode};
use super::clock;
use super::probes::{Beside, Probes, at};
use super::server::{START_LIMIT, Scratch, Server};
use super::table::Table;
use crate::stage::{Error, Outcome, expect_success};

/// Elements that one command adds.
const PER_COMMAND: u64 = 500;
/// Bytes of a string that count as one element.
const STRING_ELEMENT_BYTES: u64 = 50;
/// How long others are watched after something happened: what was put off comes then.
const WATCHED: Duration = Duration::from_millis(1500);
/// How often a server is asked whether it still saves.
const SAVE_LOOK: Duration = Duration::from_millis(20);
/// While it is saved, a collection grows by one for so many.
const GROWS_BY_ONE_IN: u64 = 20;

const BIG: &str = "big";
const COPY: &str = "copy";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    List,
    Set,
    Hash,
    SortedSet,
    Stream,
    String,
}

pub(crate) const TYPES: [Type; 6] = [Type::List, Type::Set, Type::Hash, Type::SortedSet, Type::Stream, Type::String];

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "list",
            Self::Set => "set",
            Self::Hash => "hash",
            Self::SortedSet => "sorted-set",
            Self::Stream => "stream",
            Self::String => "string",
        })
    }
}

impl Type {
    /// What is sent to add these elements to a key, and how many replies it has.
    fn addition(self, bytes: &mut Vec<u8>, key: &str, numbers: std::ops::Range<u64>) -> u64 {
        let head = |name: &str| [name.to_owned(), key.to_owned()].into_iter();
        let element = |number: u64| format!("e{number:08}");
        let words: Vec<String> = match self {
            Self::List => head("RPUSH").chain(numbers.map(element)).collect(),
            Self::Set => head("SADD").chain(numbers.map(element)).collect(),
            Self::Hash => {
                let pairs = numbers.flat_map(|number| [element(number), format!("v{number}")]);
                head("HSET").chain(pairs).collect()
            }
            Self::SortedSet => {
                // A multiplier that is odd: members come in no order of their scores.
                let score = |number: u64| (number.wrapping_mul(2_654_435_761) & 0xffff_ffff).to_string();
                let pairs = numbers.flat_map(|number| [score(number), element(number)]);
                head("ZADD").chain(pairs).collect()
            }
            Self::Stream => {
                let count = numbers.end - numbers.start;
                for number in numbers {
                    encode(bytes, &["XADD", key, "*", "f", &element(number)]);
                }
                return count;
            }
            Self::String => {
                let length = (numbers.end - numbers.start) * STRING_ELEMENT_BYTES;
                let text = "s".repeat(usize::try_from(length).expect("a small piece"));
                head("APPEND").chain([text]).collect()
            }
        };
        encode(bytes, &words);
        1
    }
}

/// One thing that was done.
struct Phase {
    name: &'static str,
    /// What its own client saw: of one command its time, of many the median, the 99.9th percentile and the worst, in ms.
    itself: String,
    /// The longest own share of a command, in ms.
    own_ms: f64,
    beside: Beside,
}

/// Measures the types that were asked for and prints a table for each, and one with the worst of all.
pub(crate) fn pauses(setting: &Setting<'_>) -> Outcome {
    let mut summary = Table::new(&[
        "worst of all, ms",
        "Cairn: own share",
        "GET, SET beside",
        "sleep, sync",
        "Valkey: own share",
        "GET, SET beside",
        "sleep, sync",
    ]);
    for &kind in setting.types.iter() {
        let mut scratch = Scratch::new(setting.tree)?;
        let cairn = measured(kind, &scratch.cairn(&setting.binary)?, setting)?;
        let valkey = measured(kind, &scratch.valkey_always(&setting.valkey()?)?, setting)?;
        print(kind, setting.elements, &cairn, &valkey);
        let [[own, beside, machine], [their_own, their_beside, their_machine]] = [worst_of(&cairn), worst_of(&valkey)];
        summary.row([kind.to_string(), own, beside, machine, their_own, their_beside, their_machine]);
    }
    println!("### The worst of all\n\n{summary}");
    Ok(())
}

fn worst_of(phases: &[Phase]) -> [String; 3] {
    let worst = |of: fn(&Beside) -> f64| phases.iter().map(|phase| of(&phase.beside)).fold(0.0, f64::max);
    [
        format!("{:.1}", phases.iter().map(|phase| phase.own_ms).fold(0.0, f64::max)),
        format!("{:.1}, {:.1}", worst(|beside| beside.get.worst_ms), worst(|beside| beside.set.worst_ms)),
        format!("{:.1}, {:.1}", worst(|beside| beside.sleep.worst_ms), worst(|beside| beside.sync.worst_ms)),
    ]
}

fn print(kind: Type, elements: u64, cairn: &[Phase], valkey: &[Phase]) {
    println!("### Pauses: a {kind} of {elements} elements\n");
    println!(
        "In ms. Own: the longest that the thread which runs commands was on a processor for one. GET and SET: the worst of another key \
         beside it; sleep and sync: how late the machine woke a thread at worst, and what it took for a bare fdatasync.\n"
    );
    let mut table = Table::new(&[
        "what happens",
        "Cairn: itself",
        "own",
        "GET",
        "SET (99 %)",
        "sleep, sync",
        "Valkey: itself",
        "own",
        "GET",
        "SET (99 %)",
        "sleep, sync",
    ]);
    for (ours, theirs) in cairn.iter().zip(valkey) {
        let beside = |phase: &Phase| {
            let Beside { get, set, sleep, sync } = phase.beside;
            [
                format!("{:.1}", phase.own_ms),
                format!("{:.1}", get.worst_ms),
                format!("{:.1} ({:.1})", set.worst_ms, set.p99_ms),
                format!("{:.1}, {:.1}", sleep.worst_ms, sync.worst_ms),
            ]
        };
        let ([our_own, our_get, our_set, our_machine], [own, get, set, machine]) = (beside(ours), beside(theirs));
        let (our_itself, itself) = (ours.itself.clone(), theirs.itself.clone());
        table.row([
            ours.name.into(),
            our_itself,
            our_own,
            our_get,
            our_set,
            our_machine,
            itself,
            own,
            get,
            set,
            machine,
        ]);
    }
    println!("{table}");
}

/// A server under measurement, and what was found so far.
struct Run<'a> {
    kind: Type,
    server: &'a Server,
    client: Client,
    probes: &'a Probes,
    own: Own,
    phases: Vec<Phase>,
}

/// The longest own share of a command.
#[derive(Default)]
struct Own {
    run: Duration,
    worst: Duration,
}

impl Own {
    /// To be called behind every command, with how long the thread has run by then.
    fn see(&mut self, run: Duration) {
        self.worst = self.worst.max(run.saturating_sub(self.run));
        self.run = run;
    }
}

fn measured(kind: Type, server: &Server, setting: &Setting<'_>) -> Outcome<Vec<Phase>> {
    eprintln!("== {kind}, {}", server.name());
    // What others left unwritten, a build's 100 MB perhaps, is written now, and not half a minute later while a sync waits.
    expect_success(&mut Command::new("sync"))?;
    Probes::beside(server.port(), server.dir(), |probes| {
        let client = Client::connect(server.port(), START_LIMIT).map_err(|error| failed(&error))?;
        let own = Own::default();
        let mut run = Run { kind, server, client, probes, own, phases: Vec::new() };
        run.all(setting.elements)?;
        Ok(run.phases)
    })
}

fn failed(why: &dyn fmt::Display) -> Error {
    Error::Failed(format!("pauses: {why}"))
}

impl Run<'_> {
    fn all(&mut self, elements: u64) -> Outcome {
        self.ask(&["SET", "probe:get", "1"])?;
        self.probes.take();
        self.watched("nothing", |_| Ok(String::new()))?;
        self.watched("growing", |run| run.grow(BIG, 0..elements))?;
        self.watched("COPY", |run| run.one(&["COPY", BIG, COPY]))?;
        self.watched("the first change of the copy", |run| run.grow(COPY, elements..elements + 1))?;
        self.watched("DEL of the copy", |run| run.one(&["DEL", COPY]))?;
        self.watched("BGSAVE", |run| {
            run.ask(&["BGSAVE"])?;
            run.until_saved()
        })?;
        self.watched("BGSAVE, and growing", |run| {
            run.ask(&["BGSAVE"])?;
            let grown = run.grow(BIG, elements..elements + elements / GROWS_BY_ONE_IN)?;
            run.until_saved()?;
            Ok(grown)
        })?;
        self.watched("BGSAVE, COPY, a change, DEL", |run| {
            run.ask(&["BGSAVE"])?;
            let mut times = vec![run.one(&["COPY", BIG, COPY])?];
            times.push(run.grow(COPY, 2 * elements..2 * elements + 1)?);
            times.push(run.one(&["DEL", COPY])?);
            run.until_saved()?;
            Ok(times.join(", "))
        })?;
        self.watched("UNLINK", |run| run.one(&["UNLINK", BIG]))?;
        self.watched("growing anew", |run| run.grow(BIG, 0..elements))?;
        self.watched("FLUSHALL ASYNC", |run| run.one(&["FLUSHALL", "ASYNC"]))
    }

    /// Does something, watches what comes of it, and notes it all.
    fn watched(&mut self, name: &'static str, work: impl FnOnce(&mut Self) -> Outcome<String>) -> Outcome {
        self.own = Own { run: self.server.commands_run()?, worst: Duration::ZERO };
        let itself = work(self)?;
        let own_ms = self.own.worst.as_secs_f64() * 1e3;
        clock::pause(WATCHED);
        let beside = self.probes.take();
        eprintln!(
            "== {name}: {itself}; own {own_ms:.1}, GET {:.1}, SET {:.1}, sleep {:.1}, sync {:.1}",
            beside.get.worst_ms, beside.set.worst_ms, beside.sleep.worst_ms, beside.sync.worst_ms
        );
        self.phases.push(Phase { name, itself, own_ms, beside });
        Ok(())
    }

    /// One command, and how long it took.
    fn one(&mut self, words: &[&str]) -> Outcome<String> {
        let start = clock::now();
        self.ask(words)?;
        Ok(format!("{:.1}", clock::since(start).as_secs_f64() * 1e3))
    }

    fn ask(&mut self, words: &[&str]) -> Outcome<Reply> {
        let reply = self.client.ask(words).map_err(|error| failed(&error))?;
        self.own.see(self.server.commands_run()?);
        match reply {
            Reply::Error(why) => Err(failed(&format!("{}: {why}", words.join(" ")))),
            reply => Ok(reply),
        }
    }

    /// Adds elements to a key, so many at once, each command after the reply to the one before.
    fn grow(&mut self, key: &str, numbers: std::ops::Range<u64>) -> Outcome<String> {
        let mut times = Vec::new();
        let (mut bytes, mut from) = (Vec::new(), numbers.start);
        while from < numbers.end {
            let to = numbers.end.min(from + PER_COMMAND);
            bytes.clear();
            let replies = self.kind.addition(&mut bytes, key, from..to);
            let start = clock::now();
            self.client.send(&bytes).map_err(|error| failed(&error))?;
            for _ in 0..replies {
                if let Reply::Error(why) = self.client.receive().map_err(|error| failed(&error))? {
                    return Err(failed(&why));
                }
            }
            times.push(clock::since(start));
            self.own.see(self.server.commands_run()?);
            from = to;
        }
        times.sort_unstable();
        let [median, high, worst] = [0.5, 0.999, 1.0].map(|part| format!("{:.1}", at(&times, part)));
        Ok(if times.len() == 1 { worst } else { format!("{median} / {high} / {worst}") })
    }

    /// Waits until the server has saved.
    fn until_saved(&mut self) -> Outcome<String> {
        let start = clock::now();
        loop {
            clock::pause(SAVE_LOOK);
            let Reply::Bulk(Some(info)) = self.ask(&["INFO", "persistence"])? else {
                return Err(failed(&"INFO was not answered with a text"));
            };
            if !String::from_utf8_lossy(&info).contains("rdb_bgsave_in_progress:1") {
                return Ok(format!("{:.1} s", clock::since(start).as_secs_f64()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additions_have_as_many_replies_as_commands() {
        for kind in TYPES {
            let mut bytes = Vec::new();
            let replies = kind.addition(&mut bytes, "k", 7..9);
            let commands = bytes.iter().filter(|&&byte| byte == b'*').count() as u64;
            // An id of a stream is a star of its own.
            assert_eq!(if kind == Type::Stream { commands / 2 } else { commands }, replies, "{kind}");
        }
    }
}
