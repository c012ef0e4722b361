//! `memory`: what data takes in memory, resident, beside Valkey.
//!
//! Each of these sets of data goes into a fresh server of either kind. Measured is the resident memory of a server that has
//! come to rest: empty, and loaded after its log was compacted (SAVE, of Cairn; Valkey keeps none) and MEMORY PURGE. What
//! counts is the one less the other; what a server takes when it is loaded stands beside it.

use std::fmt;
use std::time::Duration;

use super::clock;
use super::load::{Loader, key, load_keys};
use super::server::{START_LIMIT, Scratch, Server};
use super::statistics::{Ratio, median};
use super::table::Table;
use super::{Setting, client::Client};
use crate::stage::{Error, Outcome};

/// A server is at rest when its memory stayed within so many bytes for so long.
const REST_BYTES: u64 = 256 << 10;
const REST: Duration = Duration::from_secs(3);
/// How long a server may take to come to rest.
const REST_LIMIT: Duration = Duration::from_secs(60);
/// How often its memory is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Hashes for each string that the other chores would load, and the fields of each.
const KEYS_PER_HASH: u64 = 10;
const FIELDS: u64 = 10;
/// What there is of each in a collection of few, and how long one is that makes it big.
const FEW: u64 = 5;
const LONG_VALUE_BYTES: usize = 120;
const LONG_MEMBER_BYTES: usize = 76;
/// When fields expire, in ms since 1970: not while this runs.
const DEADLINE_MS: u64 = 4_000_000_000_000;
/// Members that one ZADD adds.
const MEMBERS_PER_COMMAND: u64 = 50;

/// A set of data.
#[derive(Clone, Copy)]
enum Data {
    Strings,
    Hashes,
    SortedSet,
    LongHashes,
    TimedHashes,
    LongSets,
}

const ALL: [Data; 6] =
    [Data::Strings, Data::Hashes, Data::SortedSet, Data::LongHashes, Data::TimedHashes, Data::LongSets];

/// Memory of one server, in bytes.
#[derive(Clone, Copy)]
struct Sample {
    empty: u64,
    loaded: u64,
}

impl Sample {
    fn growth(self) -> f64 {
        to_f64(self.loaded.saturating_sub(self.empty))
    }
}

impl Data {
    /// How many elements there are of it, where `keys` strings are loaded.
    fn count(self, keys: u64) -> u64 {
        match self {
            Self::Strings | Self::SortedSet => keys,
            Self::Hashes | Self::LongHashes | Self::TimedHashes | Self::LongSets => keys.div_ceil(KEYS_PER_HASH),
        }
    }

    fn load(self, port: u16, keys: u64) -> Outcome {
        let count = self.count(keys);
        let command = match self {
            Self::Strings => return load_keys(port, count),
            Self::SortedSet => {
                let mut loader = Loader::connect(port)?;
                let starts = (0..count).step_by(usize::try_from(MEMBERS_PER_COMMAND).expect("a small number"));
                for start in starts {
                    loader.send(&members(start..count.min(start + MEMBERS_PER_COMMAND)))?;
                }
                return loader.finish();
            }
            Self::Hashes => hash,
            Self::LongHashes => long_hash,
            Self::TimedHashes => timed_hash,
            Self::LongSets => long_set,
        };
        let mut loader = Loader::connect(port)?;
        (0..count).try_for_each(|number| loader.send(&command(number)))?;
        loader.finish()
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strings => "strings of 64 bytes, keys of 16",
            Self::Hashes => "hashes of ten fields",
            Self::SortedSet => "members of one sorted set",
            Self::LongHashes => "hashes of five fields, one of 120 bytes",
            Self::TimedHashes => "hashes of five fields that expire",
            Self::LongSets => "sets of five members of 76 bytes",
        })
    }
}

/// So many fields with values of 9 to 16 bytes.
fn pairs(number: u64, count: u64) -> impl Iterator<Item = String> {
    (0..count).flat_map(move |field| [format!("field{field}"), format!("value-{number}-{field}")])
}

/// HSET of ten fields.
fn hash(number: u64) -> Vec<String> {
    ["HSET".to_owned(), key(number)].into_iter().chain(pairs(number, FIELDS)).collect()
}

/// HSET of five fields, the last of which is longer than those of a small hash.
fn long_hash(number: u64) -> Vec<String> {
    let long = [format!("field{}", FEW - 1), "v".repeat(LONG_VALUE_BYTES)];
    ["HSET".to_owned(), key(number)].into_iter().chain(pairs(number, FEW - 1)).chain(long).collect()
}

/// HSETEX of five fields that expire together.
fn timed_hash(number: u64) -> Vec<String> {
    let head =
        ["HSETEX", &key(number), "PXAT", &DEADLINE_MS.to_string(), "FIELDS", &FEW.to_string()].map(str::to_owned);
    head.into_iter().chain(pairs(number, FEW)).collect()
}

/// SADD of five members, longer than those of a small set.
fn long_set(number: u64) -> Vec<String> {
    let members = (0..FEW).map(|member| format!("{:0>LONG_MEMBER_BYTES$}", format!("{number}-{member}")));
    ["SADD".to_owned(), key(number)].into_iter().chain(members).collect()
}

/// ZADD of these members, whose scores are in another order than their numbers.
fn members(numbers: std::ops::Range<u64>) -> Vec<String> {
    // A multiplier that is odd: no two numbers below 2^32 have the same score.
    let score = |number: u64| (number.wrapping_mul(2_654_435_761) & 0xffff_ffff).to_string();
    let pairs = numbers.flat_map(|number| [score(number), format!("member:{number:09}")]);
    ["ZADD".to_owned(), "sorted".to_owned()].into_iter().chain(pairs).collect()
}

/// Measures both servers with each set of data, and prints the table.
pub(crate) fn memory(setting: &Setting<'_>) -> Outcome {
    let heads =
        ["data", "server", "empty MB", "loaded MB", "loaded less empty MB", "bytes each", "Cairn ÷ Valkey (95 %)"];
    let mut table = Table::new(&heads);
    let mut names = Vec::new();
    for data in ALL {
        names.push(format!("{} {data}", data.count(setting.keys)));
        let (mut cairn, mut valkey) = (Vec::new(), Vec::new());
        for round in 1..=setting.pairs {
            let mut scratch = Scratch::new(setting.tree)?;
            cairn.push(measured(data, &scratch.cairn(&setting.binary)?, true, setting.keys)?);
            valkey.push(measured(data, &scratch.valkey(&setting.valkey()?)?, false, setting.keys)?);
            let growth = |samples: &[Sample]| samples.last().map_or(0.0, |sample| sample.growth() / 1e6);
            eprintln!(
                "== {data}, round {round} of {}: {:.1} MB, Valkey {:.1}",
                setting.pairs,
                growth(&cairn),
                growth(&valkey)
            );
        }
        let ratio = Ratio::of(&growths(&cairn), &growths(&valkey)).to_string();
        let count = to_f64(data.count(setting.keys));
        for (name, samples, ratio) in [("Cairn", &cairn, ratio), ("Valkey", &valkey, String::new())] {
            let megabytes = |of: fn(&Sample) -> u64| {
                format!("{:.1}", median(&samples.iter().map(|sample| to_f64(of(sample)) / 1e6).collect::<Vec<_>>()))
            };
            let growth = median(&growths(samples));
            table.row([
                if name == "Cairn" { names.last().cloned().unwrap_or_default() } else { String::new() },
                name.into(),
                megabytes(|sample| sample.empty),
                megabytes(|sample| sample.loaded),
                format!("{:.1}", growth / 1e6),
                format!("{:.0}", growth / count),
                ratio,
            ]);
        }
    }
    println!("### Memory\n");
    println!(
        "Resident, each server fresh and at rest; loaded: after SAVE (of Cairn, whose log it compacts) and MEMORY PURGE; medians \
         of {} rounds. MB are 10^6 bytes.\n",
        setting.pairs
    );
    println!("{table}");
    Ok(())
}

/// Loads a fresh server, which is gone afterwards.
fn measured(data: Data, server: &Server, compacts: bool, keys: u64) -> Outcome<Sample> {
    let empty = at_rest(server)?;
    data.load(server.port(), keys)?;
    if compacts {
        ask(server, &["SAVE"])?;
    }
    at_rest(server)?;
    ask(server, &["MEMORY", "PURGE"])?;
    Ok(Sample { empty, loaded: at_rest(server)? })
}

fn ask(server: &Server, words: &[&str]) -> Outcome {
    let failed = |why: &dyn fmt::Display| Error::Failed(format!("{}: {why}", words.join(" ")));
    let mut client = Client::connect(server.port(), START_LIMIT).map_err(|error| failed(&error))?;
    let reply = client.ask(words).map_err(|error| failed(&error))?;
    if reply.is_ok() { Ok(()) } else { Err(failed(&format!("answered {reply:?}"))) }
}

/// The resident memory of a server once it no longer changes.
fn at_rest(server: &Server) -> Outcome<u64> {
    let start = clock::now();
    let (mut since, mut settled) = (start, server.resident_bytes()?);
    while clock::since(since) < REST {
        if clock::since(start) > REST_LIMIT {
            return Err(Error::Failed("the memory of a server did not come to rest".into()));
        }
        clock::pause(LOOK);
        let now = server.resident_bytes()?;
        if now.abs_diff(settled) > REST_BYTES {
            (since, settled) = (clock::now(), now);
        }
    }
    server.resident_bytes()
}

fn growths(samples: &[Sample]) -> Vec<f64> {
    samples.iter().map(|sample| sample.growth().max(1.0)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "sizes of processes are far below 2^53")]
fn to_f64(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_what_the_table_says() {
        assert_eq!(Data::Hashes.count(1_000_000), 100_000);
        assert_eq!(Data::SortedSet.count(1_000_000), 1_000_000);
        let hash = hash(99_999);
        assert_eq!((hash.len(), hash[1].len(), hash[21].as_str()), (22, 16, "value-99999-9"));
        for (command, words, last) in
            [(long_hash as fn(u64) -> Vec<String>, 12, 120), (timed_hash, 16, 9), (long_set, 7, 76)]
        {
            let command = command(7);
            assert_eq!((command.len(), command.last().map(String::len)), (words, Some(last)), "{command:?}");
        }
        let zadd = members(7..9);
        assert_eq!((zadd.len(), zadd[3].as_str(), zadd[5].as_str()), (6, "member:000000007", "member:000000008"));
        assert_ne!(zadd[2], zadd[4]);
    }

    #[test]
    fn growth_is_never_below_nothing() {
        assert_eq!(Sample { empty: 5, loaded: 3 }.growth(), 0.0);
        assert_eq!(Sample { empty: 3, loaded: 5 }.growth(), 2.0);
    }
}
