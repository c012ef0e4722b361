//! All rows, and finding one by its name.
//!
//! A hash table of fixed size, filled once per process from the families' slices. Its hash is of the name's letters without regard to
//! case and involves no seed, so it shows nowhere and differs nowhere.

use std::sync::OnceLock;

use resp::{Arguments, Reply};

use crate::error::CommandError;
use crate::spec::{Handler, Spec};
use crate::{
    bitmaps, cluster, connection, debug, geo, hashes, hyperloglog, keys, lists, lolwut, memory, server, sets,
    sorted_sets, streams, strings, transactions,
};

/// The groups of COMMAND DOCS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// `string`
    String,
    /// `bitmap`
    Bitmap,
    /// `geo`
    Geo,
    /// `hyperloglog`
    HyperLogLog,
    /// `hash`
    Hash,
    /// `list`
    List,
    /// `set`
    Set,
    /// `sorted-set`
    SortedSet,
    /// `stream`
    Stream,
    /// `generic`
    Generic,
    /// `connection`
    Connection,
    /// `transactions`
    Transactions,
    /// `server`
    Server,
    /// `cluster`
    Cluster,
}

impl Group {
    /// The group's name in COMMAND DOCS, which is also that of its scripts' folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Bitmap => "bitmap",
            Self::Geo => "geo",
            Self::HyperLogLog => "hyperloglog",
            Self::Hash => "hash",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "sorted-set",
            Self::Stream => "stream",
            Self::Generic => "generic",
            Self::Connection => "connection",
            Self::Transactions => "transactions",
            Self::Server => "server",
            Self::Cluster => "cluster",
        }
    }

    /// The ACL category that all commands of the group are in.
    pub fn category(self) -> Option<&'static str> {
        Some(match self.name() {
            "string" => "@string",
            "bitmap" => "@bitmap",
            "geo" => "@geo",
            "hyperloglog" => "@hyperloglog",
            "hash" => "@hash",
            "list" => "@list",
            "set" => "@set",
            "sorted-set" => "@sortedset",
            "stream" => "@stream",
            "connection" => "@connection",
            "transactions" => "@transaction",
            _ => return None,
        })
    }
}

/// The rows of one file.
pub struct Family {
    /// What COMMAND DOCS calls it.
    pub group: Group,
    /// The rows, as the file lists them.
    pub rows: &'static [Spec],
}

/// Every family. A new one adds its line here.
pub fn families() -> &'static [Family] {
    &[
        Family { group: Group::Connection, rows: connection::COMMANDS },
        Family { group: Group::Transactions, rows: transactions::COMMANDS },
        Family { group: Group::Server, rows: server::COMMANDS },
        Family { group: Group::Server, rows: debug::COMMANDS },
        Family { group: Group::Server, rows: memory::COMMANDS },
        Family { group: Group::Server, rows: lolwut::COMMANDS },
        Family { group: Group::Server, rows: keys::databases::COMMANDS },
        Family { group: Group::Server, rows: keys::MIGRATING },
        Family { group: Group::Cluster, rows: cluster::COMMANDS },
        Family { group: Group::Cluster, rows: connection::STALENESS },
        Family { group: Group::Generic, rows: keys::COMMANDS },
        Family { group: Group::Generic, rows: server::WAITING },
        Family { group: Group::String, rows: strings::COMMANDS },
        Family { group: Group::Bitmap, rows: bitmaps::COMMANDS },
        Family { group: Group::Geo, rows: geo::COMMANDS },
        Family { group: Group::HyperLogLog, rows: hyperloglog::COMMANDS },
        Family { group: Group::Hash, rows: hashes::COMMANDS },
        Family { group: Group::List, rows: lists::COMMANDS },
        Family { group: Group::Set, rows: sets::COMMANDS },
        Family { group: Group::SortedSet, rows: sorted_sets::COMMANDS },
        Family { group: Group::Stream, rows: streams::COMMANDS },
    ]
}

/// The group of a row.
pub fn group_of(spec: &Spec) -> Group {
    let home = families().iter().find(|family| family.rows.iter().any(|row| row.name == spec.name));
    home.expect("every row is some family's").group
}

/// The rows of a container's subcommands.
pub fn subcommands(container: &Spec) -> impl Iterator<Item = &'static Spec> {
    rows().filter(move |row| row.container_name() == Some(container.name))
}

/// Answers HELP of a container; its name in upper case.
pub fn write_help(container: &str, reply: &mut Reply) {
    let head = format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    let named = rows().filter_map(|row| Some((row.name.strip_prefix(container)?.strip_prefix('|')?, row)));
    let lines = named.flat_map(|(name, row)| {
        [format!("{name} {}", row.usage()).trim_end().to_owned(), format!("    {}", row.summary)]
    });
    let lines: Vec<String> = std::iter::once(head).chain(lines).collect();
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
}

const TABLE_SLOTS: usize = 2048;
/// The longest name, in bytes: longer ones are unknown without being hashed.
const NAME_BYTES_MAX: usize = 40;
/// At most this much of a name or of the arguments is shown in an error.
const SHOWN_BYTES_MAX: usize = 128;
/// A container that is one command in Redis: it says of an unknown subcommand and of a wrong number of arguments the same.
const ONE_COMMAND: &str = "DEBUG";

#[derive(Clone, Copy)]
struct Row {
    spec: &'static Spec,
    has_subcommands: bool,
    place: Place,
}

/// Where a row stands among all rows, for who counts by command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Counts from 0 through [`rows`].
    pub number: usize,
    /// It takes the same short time whatever its arguments are, or nearly: O(1), or said to be fast.
    pub is_quick: bool,
}

struct Table {
    slots: [Option<Row>; TABLE_SLOTS],
}

/// All rows, in the order of their numbers.
pub fn rows() -> impl Iterator<Item = &'static Spec> {
    families().iter().flat_map(|family| family.rows)
}

/// Where a row stands.
pub fn place_of(spec: &Spec) -> Place {
    find(hash(START, spec.name.as_bytes()), |row| row == spec.name).expect("every row is in the table").place
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut slots = [None; TABLE_SLOTS];
        for (number, spec) in rows().enumerate() {
            let has_subcommands = rows().any(|row| row.container_name() == Some(spec.name));
            let mut at = hash(START, spec.name.as_bytes());
            while slots[at % TABLE_SLOTS].is_some() {
                at = at.wrapping_add(1);
            }
            slots[at % TABLE_SLOTS] =
                Some(Row { spec, has_subcommands, place: Place { number, is_quick: spec.is_quick() } });
        }
        Table { slots }
    })
}

/// FNV-1a over the upper-case letters.
const START: usize = 0x811c_9dc5;
fn hash(start: usize, name: &[u8]) -> usize {
    name.iter().fold(start, |hash, byte| (hash ^ usize::from(byte.to_ascii_uppercase())).wrapping_mul(0x0100_0193))
}

fn find(hash: usize, is_named: impl Fn(&str) -> bool) -> Option<Row> {
    let table = table();
    let mut at = hash;
    while let Some(row) = table.slots[at % TABLE_SLOTS] {
        if is_named(row.spec.name) {
            return Some(row);
        }
        at = at.wrapping_add(1);
    }
    None
}

fn find_row(name: &[u8]) -> Option<Row> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    find(hash(START, name), |row| row.as_bytes().eq_ignore_ascii_case(name))
}

/// The row of a command, or of a subcommand as `container|name`, in any case.
pub fn lookup(name: &[u8]) -> Option<&'static Spec> {
    find_row(name).map(|row| row.spec)
}

/// The row for these arguments: a command's, or a subcommand's where the first argument names one. Its arity fits.
pub fn resolve(arguments: Arguments<'_>) -> Result<&'static Spec, CommandError> {
    let name = arguments.name();
    // A name with a bar is how rows are written, not how commands are called.
    let found = find_row(name).filter(|row| row.spec.container_name().is_none());
    let Some(row) = found else { return Err(unknown_command(arguments)) };
    let mut spec = row.spec;
    if row.has_subcommands
        && let Some(subcommand) = arguments.get(1)
    {
        spec = find_subcommand(spec, subcommand)?;
    }
    if matches!(spec.handler, Handler::Container) || !spec.arity.accepts(arguments.len()) {
        return Err(match arguments.get(1).filter(|_| row.spec.name == ONE_COMMAND) {
            Some(name) => subcommand_syntax(row.spec.name, name),
            None => CommandError::WrongArity(spec.name.to_ascii_lowercase()),
        });
    }
    Ok(spec)
}

fn find_subcommand(container: &'static Spec, name: &[u8]) -> Result<&'static Spec, CommandError> {
    let hash = hash(hash(hash(START, container.name.as_bytes()), b"|"), name);
    let is_named = |row: &str| {
        row.split_once('|')
            .is_some_and(|(before, after)| before == container.name && after.as_bytes().eq_ignore_ascii_case(name))
    };
    let row = if name.len() <= NAME_BYTES_MAX { find(hash, is_named) } else { None };
    let unknown = || match container.name {
        ONE_COMMAND => subcommand_syntax(container.name, name),
        of => CommandError::UnknownSubcommand { container: of, name: shown(name, SHOWN_BYTES_MAX) },
    };
    row.map(|row| row.spec).ok_or_else(unknown)
}

/// The arguments of a subcommand, which the client called so, do not fit together.
pub(crate) fn subcommand_syntax(container: &'static str, name: &[u8]) -> CommandError {
    CommandError::SubcommandSyntax { container, name: shown(name, SHOWN_BYTES_MAX) }
}

/// Bytes as part of an error's line: line breaks would end it, and a zero byte does, as it ends the strings of Redis.
fn shown(bytes: &[u8], bytes_max: usize) -> String {
    let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(bytes_max)]);
    shown.replace(['\r', '\n'], " ")
}

fn unknown_command(arguments: Arguments<'_>) -> CommandError {
    let mut quoted = String::new();
    for argument in arguments.iter().skip(1) {
        if quoted.len() >= SHOWN_BYTES_MAX {
            break;
        }
        let left = SHOWN_BYTES_MAX - quoted.len();
        quoted.push_str(&format!("'{}' ", shown(argument, left)));
    }
    CommandError::UnknownCommand { name: shown(arguments.name(), SHOWN_BYTES_MAX), arguments: quoted }
}
