//! The same random commands to a real valkey-server and to Cairn, and the same bytes back.
//!
//! A seed decides everything. A run is made of chunks, each on an empty server with a seed of its own; a difference is printed as it is found, with
//! the chunk's seed, and each chunk when it is done, so that a run that is cut short has said something. Commands go to both in small pipelines; replies are compared byte by byte, but where a
//! server may choose (the order of a set, a random member, a walk's steps) by what must be equal nevertheless. What is
//! left are the differences that the families list, each with its reason.
//!
//! `CAIRN_TEST_SEED=n` runs another seed, `CAIRN_TEST_COMMANDS=n` more commands than the suite's, `CAIRN_TEST_FAMILIES=lists,keys`
//! those of some families only, `CAIRN_TEST_THRESHOLDS=least` both servers without small encodings.

mod families;
mod generator;
mod replicas;
mod rules;
mod words;

use std::collections::BTreeMap;

use crate::harness::tools::Valkey;
use crate::harness::{Client, Dice, Server, Value, wire};
use families::FAMILIES;
use generator::{Command, Generator};
use rules::Rule;

/// Commands of the suite, for each protocol.
const COMMANDS: usize = 105_000;
/// So many commands are sent before their replies are read.
const PIPELINE: usize = 40;
/// After so many pipelines everything is read, and not only fingerprints of the data compared.
const INSPECT_EVERY: usize = 10;
/// Commands of one chunk of a run.
const CHUNK: usize = 25_000;
/// From the seed of one chunk to that of the next: the runs of neighbouring seeds have no chunk in common.
const SEED_STEP: u64 = 1000;
/// After so many pipelines the data is written and read back as well, which takes longer than their commands.
const RELOAD_EVERY: usize = 9;
/// Directives with which no collection is small.
const LEAST: [&str; 20] = [
    "--hash-max-listpack-entries",
    "0",
    "--hash-max-listpack-value",
    "0",
    "--list-max-listpack-size",
    "0",
    "--set-max-intset-entries",
    "0",
    "--set-max-listpack-entries",
    "0",
    "--set-max-listpack-value",
    "0",
    "--zset-max-listpack-entries",
    "0",
    "--zset-max-listpack-value",
    "0",
    "--hll-sparse-max-bytes",
    "0",
    // 0 is no limit.
    "--stream-node-max-entries",
    "1",
];
/// The key that a value has where it was carried.
const CARRIED: &str = "carried";
/// After so many differences a run is given up.
const DIFFERENCES_MAX: usize = 30;

#[test]
fn random_commands_have_equal_replies_with_protocol_2() {
    run(2);
}

#[test]
fn random_commands_have_equal_replies_with_protocol_3() {
    run(3);
}

/// A number that the environment tells.
fn told(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn run(protocol: u64) {
    let first = told("CAIRN_TEST_SEED").unwrap_or(20_260_000 + protocol);
    let commands = told("CAIRN_TEST_COMMANDS").map_or(COMMANDS, |count| count.try_into().expect("a usize"));
    // It looks seldom whether who waits has waited long enough: a tenth of a second is too long for a test.
    let mut arguments = vec!["--enable-debug-command", "yes", "--hz", "500"];
    match std::env::var("CAIRN_TEST_THRESHOLDS").as_deref() {
        Ok("least") => arguments.extend(LEAST),
        Ok("usual") | Err(_) => (),
        Ok(other) => panic!("thresholds are least or usual, not {other}"),
    }
    let (valkey, cairn) = (Valkey::start(&arguments), Server::start(&arguments));
    let mut differences = Vec::new();
    let mut seen = BTreeMap::<String, usize>::new();
    let mut done = 0;
    for seed in (0..).map(|number| first + number * SEED_STEP) {
        if done >= commands || differences.len() >= DIFFERENCES_MAX {
            break;
        }
        let before = differences.len();
        let connect = || Pair::connect(&valkey, &cairn, protocol);
        run_chunk(connect, seed, CHUNK.min(commands - done), &mut seen, |difference| {
            let difference = format!("seed {seed}, RESP{protocol}: {difference}");
            eprintln!("{difference}");
            differences.push(difference);
            differences.len() < DIFFERENCES_MAX
        });
        done += CHUNK;
        let found = differences.len() - before;
        eprintln!("seed {seed}, RESP{protocol}: {found} differences; {} of {commands} commands", done.min(commands));
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    eprintln!("RESP{protocol}: {} names", seen.len());
}

/// Runs commands of one seed on empty servers, and tells of each difference for as long as that is wanted.
fn run_chunk(
    connect: impl Fn() -> Pair,
    seed: u64,
    commands: usize,
    seen: &mut BTreeMap<String, usize>,
    mut tell: impl FnMut(String) -> bool,
) {
    let mut pair = connect();
    let mut generator = Generator::new(Dice(seed));
    for number in 1..=commands.div_ceil(PIPELINE) {
        let pipeline: Vec<Command> = (0..PIPELINE).map(|_| generator.command()).collect();
        for command in &pipeline {
            *seen.entry(command.name().to_owned()).or_default() += 1;
        }
        let found = pair.compare(&pipeline).or_else(|| {
            let everything = generator.inspection();
            let is_due = number.is_multiple_of(INSPECT_EVERY);
            let is_inspected = is_due || !pair.has_equal_data(number.is_multiple_of(RELOAD_EVERY));
            if !is_inspected || everything.is_empty() {
                return None;
            }
            pair.compare(&everything).or_else(|| if is_due { pair.carry() } else { None })
        });
        if let Some(difference) = found {
            if !tell(difference) {
                return;
            }
            // What follows from a difference is no news.
            pair = connect();
        }
    }
}

/// A reply and its bytes.
type Reply = (Value, Vec<u8>);

/// A connection to each server, in step.
struct Pair {
    valkey: Client,
    cairn: Client,
    /// The commands of the open transaction.
    queued: Vec<Command>,
    /// For reports: what was run since the last WATCH.
    since_watch: Vec<Command>,
}

impl Pair {
    fn connect(valkey: &Valkey, cairn: &Server, protocol: u64) -> Self {
        let mut pair =
            Self { valkey: valkey.client(), cairn: cairn.client(), queued: Vec::new(), since_watch: Vec::new() };
        for client in [&mut pair.valkey, &mut pair.cairn] {
            assert!(!client.run(&format!("HELLO {protocol}")).is_error(""));
            assert_eq!(client.run("FLUSHALL"), Value::ok());
        }
        pair
    }

    /// Whether the data is surely equal, by Redis' fingerprint of it. Within a transaction nobody knows. If it is to be reloaded, both write it and
    /// read it back just before; for valkey-server that is a change of every key.
    fn has_equal_data(&mut self, reloads: bool) -> bool {
        let expected = self.valkey.run("DEBUG DIGEST");
        if expected == Value::Simple("QUEUED".into()) {
            self.cairn.run("DEBUG DIGEST");
            self.queued.push(Command::of("DEBUG DIGEST"));
            return false;
        }
        if reloads {
            for client in [&mut self.valkey, &mut self.cairn] {
                assert_eq!(client.run("UNWATCH"), Value::ok());
                assert_eq!(client.run("DEBUG RELOAD"), Value::ok());
            }
            self.since_watch.clear();
        }
        self.cairn.run("DEBUG DIGEST") == expected
    }

    /// Carries every value from each to the other by DUMP and RESTORE: there it has the fingerprint of the one that is there already.
    fn carry(&mut self) -> Option<String> {
        if !self.queued.is_empty() {
            return None;
        }
        let back =
            carry(&mut self.cairn, &mut self.valkey).map(|found| format!("from Cairn to valkey-server: {found}"));
        back.or_else(|| {
            carry(&mut self.valkey, &mut self.cairn).map(|found| format!("from valkey-server to Cairn: {found}"))
        })
    }

    /// Runs the commands on both; the first difference.
    fn compare(&mut self, commands: &[Command]) -> Option<String> {
        let bytes: Vec<u8> = commands.iter().flat_map(|command| wire::encode(&command.words())).collect();
        self.valkey.send(&bytes).expect("valkey-server reads");
        self.cairn.send(&bytes).expect("Cairn reads");
        // All of them are read, so that nothing is left to be run when the data is to be begun anew.
        let replies: Vec<_> = commands.iter().map(|_| (self.valkey.raw_reply(), self.cairn.raw_reply())).collect();
        for (command, (expected, found)) in commands.iter().zip(replies) {
            let expected = expected.expect("valkey-server answers");
            let found = match found {
                Ok(found) => found,
                Err(error) => return Some(format!("{command}: no reply: {error}")),
            };
            if command.name() == "WATCH" {
                self.since_watch.clear();
            }
            if let Some((command, expected, found)) = self.difference(command, &expected, &found) {
                let related = self.since_watch.iter().filter(|earlier| command.is_related(earlier)).rev().take(12);
                let related: Vec<String> = related.map(|earlier| format!("\n      after {earlier}")).collect();
                let related: String = related.into_iter().rev().collect();
                return Some(format!("{command}{related}\n    valkey {expected}\n    cairn  {found}"));
            }
            self.since_watch.push(command.clone());
        }
        None
    }

    /// What differs: the command, or the one inside a transaction, and the two replies.
    fn difference(&mut self, command: &Command, expected: &Reply, found: &Reply) -> Option<(Command, String, String)> {
        let queued = Value::Simple("QUEUED".into());
        if expected.0 == queued && found.0 == queued {
            self.queued.push(command.clone());
            return None;
        }
        let inside = match command.name() {
            "EXEC" | "DISCARD" | "MULTI" => std::mem::take(&mut self.queued),
            _ => Vec::new(),
        };
        if expected.1 == found.1 {
            return None;
        }
        if let (Value::Array(expected), Value::Array(found)) = (&expected.0, &found.0)
            && expected.len() == inside.len()
            && found.len() == inside.len()
        {
            let mut elements = inside.into_iter().zip(expected.iter().zip(found));
            let differing = elements.find(|(command, (expected, found))| !is_equal(command, expected, found));
            return differing
                .map(|(command, (expected, found))| (command, format!("{expected:?}"), format!("{found:?}")));
        }
        let shown = |reply: &Reply| String::from_utf8_lossy(&reply.1).trim_end().replace("\r\n", " ");
        (!is_equal(command, &expected.0, &found.0)).then(|| (command.clone(), shown(expected), shown(found)))
    }
}

/// Carries every value from one server to another; the first that is not there what it is here. It has the same fingerprint, or at least what is
/// shown of it is equal by its rule: a score of zero may lose its sign.
fn carry(from: &mut Client, to: &mut Client) -> Option<String> {
    let keys: Vec<_> = generator::keys().collect();
    let asked =
        keys.iter().flat_map(|(key, _)| ["DUMP", "PTTL", "TYPE"].map(|name| Command::of(&format!("{name} {key}"))));
    let told = run_all(from, &asked.collect::<Vec<_>>());
    let (mut carried, mut commands) = (Vec::new(), Vec::new());
    for ((key, sort), told) in keys.iter().zip(told.chunks(3)) {
        let Value::Bulk(payload) = &told[0] else { continue };
        let ttl = if told[1] == Value::Integer(-1) { "0" } else { "100000" };
        let words = ["RESTORE", CARRIED, ttl].map(|word| word.as_bytes().to_vec()).into_iter();
        commands.push(Command::new(words.chain([payload.clone(), b"REPLACE".to_vec()]).collect()));
        commands.push(Command::of(&format!("DEBUG DIGEST-VALUE {CARRIED} {key}")));
        let is_sorted_set = told[2] == Value::Simple("zset".into()) && !sort.is_of_sorted_sets();
        commands.extend([CARRIED, key.as_str()].map(|key| match is_sorted_set {
            true => Command::of(&format!("ZRANGE {key} 0 -1 WITHSCORES")),
            false => sort.read_of(key),
        }));
        carried.push((key, payload));
    }
    commands.push(Command::of(&format!("DEL {CARRIED}")));
    let told = run_all(to, &commands);
    for ((key, payload), (commands, told)) in carried.iter().zip(commands.chunks(4).zip(told.chunks(4))) {
        let [restored, digests, there, here] = told else { panic!("each value has four replies") };
        let is_same = matches!(digests.elements().as_slice(), [there, here] if there == here);
        let looks_same = !here.is_error("") && is_equal(&commands[3], here, there);
        if *restored != Value::ok() || !is_same && !looks_same {
            return Some(format!("{key}: {restored:?}, {there:?}, not {here:?}, of {}", payload.escape_ascii()));
        }
    }
    None
}

/// Runs commands in one pipeline.
fn run_all(client: &mut Client, commands: &[Command]) -> Vec<Value> {
    let bytes: Vec<u8> = commands.iter().flat_map(|command| wire::encode(&command.words())).collect();
    client.send(&bytes).expect("the server reads");
    commands.iter().map(|_| client.reply().expect("the server answers")).collect()
}

fn is_equal(command: &Command, expected: &Value, found: &Value) -> bool {
    Rule::of(&command.words()).is_equal(expected, found) || families::reason(command.name(), expected, found).is_some()
}

#[test]
fn every_command_is_compared_or_excused() {
    let cairn = Server::start(&[]);
    let names: Vec<String> =
        cairn.client().run("COMMAND LIST").elements().iter().map(|name| name.text().to_ascii_uppercase()).collect();
    assert!(names.len() > 100, "{names:?}");
    let is_covered = |name: &str| {
        FAMILIES.iter().any(|family| {
            family.templates.iter().any(|template| template.split(' ').any(|word| word == name))
                || family.without_template.iter().chain(family.ours).any(|(excused, _)| *excused == name)
        })
    };
    let missing: Vec<&String> = names.iter().filter(|name| !name.contains('|') && !is_covered(name)).collect();
    assert!(missing.is_empty(), "commands that nobody compares: {missing:?}");
}

#[test]
fn command_info_agrees() {
    let (valkey, cairn) = (Valkey::start(&[]), Server::start(&[]));
    let (mut valkey, mut cairn) = (valkey.client(), cairn.client());
    let mut differences = Vec::new();
    for name in cairn.run("COMMAND LIST").elements() {
        let Value::Bulk(name) = name else { panic!("{name:?}") };
        let info =
            |client: &mut Client| client.call(&[b"COMMAND", b"INFO", &name]).elements().first().map(Value::elements);
        let (expected, found) = (info(&mut valkey).unwrap_or_default(), info(&mut cairn).unwrap_or_default());
        // A subcommand is as foreign to valkey-server as its command.
        let container = name.split(|byte| *byte == b'|').next().unwrap_or(&name);
        let is_ours = |family: &families::Family| {
            family.ours.iter().any(|(ours, _)| ours.as_bytes().eq_ignore_ascii_case(container))
        };
        // Valkey reads DEBUG's subcommands by code; here each has a row.
        if expected.is_empty() && (FAMILIES.iter().any(is_ours) || name.starts_with(b"debug|")) {
            continue;
        }
        if expected.is_empty() {
            differences.push(format!("{}: valkey-server has no such command", String::from_utf8_lossy(&name)));
            continue;
        }
        // Name, arity, flags, first key, last key, step, categories.
        for (at, what) in
            ["name", "arity", "flags", "first key", "last key", "step", "categories"].into_iter().enumerate()
        {
            let of = |info: &[Value]| match info.get(at) {
                Some(value @ (Value::Array(_) | Value::Set(_))) => {
                    let mut words: Vec<String> = value.elements().iter().map(Value::text).collect();
                    words.sort();
                    words.join(" ")
                }
                other => other.map(Value::text).unwrap_or_default(),
            };
            let (expected, found) = (of(&expected), of(&found));
            if expected != found {
                differences
                    .push(format!("{}: {what}: valkey {expected}, cairn {found}", String::from_utf8_lossy(&name)));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
