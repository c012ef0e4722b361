//! What we say about our commands is what valkey-server 9.1 says.
//!
//! `valkey.tsv` is what it answered to COMMAND and COMMAND DOCS, one line for each command, without the prose. Every row of ours is compared
//! with its line; where we differ on purpose stands in [`DEVIATIONS`]. With `VALKEY` set to the address of a server the file is written anew.
//!
//! ```text
//! name  arity  flags  first,last,step  categories  tips  key specifications  since  group  arguments
//! ```

#![allow(clippy::unwrap_used, reason = "tests may fail by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use commands::{Handler, Spec, families, resolve};
use resp::{ArgumentRanges, Protocol, Reply, Value, parse_reply, parse_stored, write_command};

const COLUMNS: [&str; 9] = ["arity", "flags", "keys", "categories", "tips", "specs", "since", "group", "arguments"];

/// Row, column and why we say something else there.
const DEVIATIONS: &[(&str, &str, &str)] = &[];

/// Rows that Valkey has not, by the beginning of their names, and why we have.
const OURS: &[(&str, &str)] = &[
    ("DEBUG|", "Valkey reads DEBUG's subcommands by code; here each has a row."),
    ("XACKDEL", "Redis 8.2 has it."),
    ("XDELEX", "Redis 8.2 has it."),
    ("XCFGSET", "From Redis 8.6."),
    ("XIDMPRECORD", "From Redis 8.6."),
    ("XNACK", "From Redis 8.8."),
    ("DELEX", "From Redis 8.4."),
    ("DIGEST", "From Redis 8.4."),
    ("INCREX", "From Redis 8.8."),
    ("HIMPORT", "From Redis 8.10."),
    ("BLMOVEM", "From Redis 8.10."),
    ("LMOVEM", "From Redis 8.10."),
    ("SDIFFCARD", "From Redis 8.10."),
    ("SUNIONCARD", "From Redis 8.10."),
];

/// The columns of each command, by its name in upper case.
type Facts = BTreeMap<String, Vec<String>>;

#[test]
fn every_row_says_what_valkey_says() {
    let theirs = theirs();
    let ours = facts(&ask_ours("COMMAND", Protocol::Resp3), &ask_ours("COMMAND DOCS", Protocol::Resp3));
    let mut differences = Vec::new();
    let mut unused = DEVIATIONS.to_vec();
    for (name, ours) in &ours {
        assert!(!ours[6].is_empty(), "{name} has no line in spec/facts.rs");
        let is_ours = OURS.iter().any(|(row, _)| name.starts_with(row));
        assert_eq!(theirs.contains_key(name), !is_ours, "{name}: a row of ours alone is listed as such");
        let Some(theirs) = theirs.get(name) else { continue };
        for ((column, ours), theirs) in COLUMNS.iter().zip(ours).zip(theirs) {
            if ours == theirs {
                continue;
            }
            let before = unused.len();
            unused.retain(|(row, of, _)| !(row == name && of == column));
            if unused.len() == before {
                differences.push(format!("{name} {column}\n  ours   {ours}\n  theirs {theirs}"));
            }
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert!(unused.is_empty(), "no longer deviations: {unused:?}");
}

/// Both protocols carry the same, and every row appears in both answers.
#[test]
fn both_protocols_say_the_same() {
    for line in ["COMMAND", "COMMAND DOCS"] {
        let names = |value: &Value| {
            let text = format!("{value:?}");
            rows().filter(|row| !text.contains(&format!("{:?}", row.name.to_ascii_lowercase().as_bytes()))).count()
        };
        let (two, three) = (ask_ours(line, Protocol::Resp2), ask_ours(line, Protocol::Resp3));
        assert_eq!((names(&two), names(&three)), (0, 0), "{line} leaves rows out");
        assert_eq!(flat(&two), flat(&three), "{line}");
    }
}

fn rows() -> impl Iterator<Item = &'static Spec> {
    families().iter().flat_map(|family| family.rows)
}

/// The leaves in order: RESP2 shows maps and sets as arrays.
fn flat(value: &Value) -> Vec<String> {
    match value {
        Value::Map(pairs) if !pairs.is_empty() => {
            pairs.iter().flat_map(|(key, value)| [flat(key), flat(value)].concat()).collect()
        }
        _ if items(value).is_empty() => vec![text(value)],
        _ => items(value).iter().flat_map(flat).collect(),
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/valkey.tsv")
}

fn theirs() -> Facts {
    if let Ok(address) = std::env::var("VALKEY") {
        let mut server = TcpStream::connect(address).unwrap();
        ask_theirs(&mut server, "HELLO 3");
        let facts = facts(&ask_theirs(&mut server, "COMMAND"), &ask_theirs(&mut server, "COMMAND DOCS"));
        let lines = facts.iter().map(|(name, columns)| format!("{name}\t{}\n", columns.join("\t")));
        fs::write(path(), lines.collect::<String>()).unwrap();
    }
    let file = fs::read_to_string(path()).unwrap();
    let lines = file.lines().map(|line| {
        let (name, columns) = line.split_once('\t').unwrap();
        (name.to_owned(), columns.split('\t').map(str::to_owned).collect())
    });
    lines.collect()
}

fn ask_theirs(server: &mut TcpStream, line: &str) -> Value {
    let (mut request, mut reply) = (Vec::new(), Vec::new());
    write_command(&mut request, line.split(' ').collect::<Vec<_>>());
    server.write_all(&request).unwrap();
    loop {
        if let Some((value, _)) = parse_reply(&reply).unwrap() {
            return value;
        }
        let mut part = vec![0; 1 << 20];
        let length = server.read(&mut part).unwrap();
        assert!(length > 0, "{line} is answered");
        reply.extend_from_slice(&part[..length]);
    }
}

fn ask_ours(line: &str, protocol: Protocol) -> Value {
    let (mut bytes, mut ranges) = (Vec::new(), ArgumentRanges::new());
    write_command(&mut bytes, line.split(' ').collect::<Vec<_>>());
    let arguments = parse_stored(&bytes, &mut ranges).unwrap();
    let Handler::Node(command) = resolve(arguments).unwrap().handler else { panic!("{line} is the node's") };
    let mut reply = Reply::new(protocol);
    commands::describe(command, arguments, &mut reply);
    let (value, length) = parse_reply(reply.as_bytes()).unwrap().unwrap();
    assert_eq!(length, reply.as_bytes().len(), "{line} has one reply");
    value
}

/// The facts in the answers to COMMAND and COMMAND DOCS.
fn facts(infos: &Value, docs: &Value) -> Facts {
    let mut facts = Facts::new();
    items(infos).iter().for_each(|info| add_info(info, &mut facts));
    add_docs(docs, &mut facts);
    facts
}

fn add_info(info: &Value, facts: &mut Facts) {
    let [name, arity, flags, first, last, step, categories, tips, specs, subcommands] = items(info) else {
        panic!("ten parts: {info:?}")
    };
    let columns = vec![
        text(arity),
        words(flags),
        format!("{},{},{}", text(first), text(last), text(step)),
        words(categories),
        words(tips),
        items(specs).iter().map(key_spec).collect::<Vec<_>>().join(" "),
    ];
    facts.insert(text(name).to_ascii_uppercase(), columns);
    items(subcommands).iter().for_each(|info| add_info(info, facts));
}

/// `flags@where it begins:what of it are keys`.
fn key_spec(spec: &Value) -> String {
    let part = |name| {
        let part = get(spec, name).unwrap();
        format!("{}({})", text(get(part, "type").unwrap()), flat(get(part, "spec").unwrap()).join(","))
    };
    let flags = items(get(spec, "flags").unwrap()).iter().map(text).collect::<Vec<_>>().join(",");
    format!("{flags}@{}:{}", part("begin_search"), part("find_keys"))
}

fn add_docs(docs: &Value, facts: &mut Facts) {
    let Value::Map(commands) = docs else { panic!("a map: {docs:?}") };
    for (name, docs) in commands {
        let name = text(name).to_ascii_uppercase();
        let columns = facts.get_mut(&name).expect("COMMAND names it, too");
        columns.extend(["since", "group"].map(|part| get(docs, part).map(text).unwrap_or_default()));
        let arguments = get(docs, "arguments").map(items).unwrap_or_default();
        columns.push(arguments.iter().map(argument).collect::<Vec<_>>().join(" "));
        if let Some(subcommands) = get(docs, "subcommands") {
            add_docs(subcommands, facts);
        }
    }
}

/// An argument and everything that is said about it but its prose and when it went.
fn argument(value: &Value) -> String {
    let part = |name| get(value, name).map(text);
    let flags: Vec<_> = get(value, "flags").map(items).unwrap_or_default().iter().map(text).collect();
    let is = |flag: &str| flags.iter().any(|set| set == flag);
    let (name, type_name) = (part("name").unwrap(), part("type").unwrap());
    let parts = get(value, "arguments").map(items).unwrap_or_default().iter().map(argument).collect::<Vec<_>>();
    let mut out = match type_name.as_str() {
        "oneof" => format!("{name}=({})", parts.join("|")),
        "block" => format!("{name}=({})", parts.join(" ")),
        _ => format!("{name}:{type_name}"),
    };
    let shown = part("display_text");
    out.extend(shown.filter(|shown| *shown != name).map(|shown| format!("/{shown}")));
    out.extend(part("key_spec_index").map(|index| format!("@{index}")));
    if is("multiple") && !is("multiple_token") {
        out.push_str("...");
    }
    if let Some(token) = part("token") {
        out = format!("{token}{} {out}", if is("multiple_token") { "..." } else { "" });
    }
    out.extend(part("since").map(|since| format!(" since {since}")));
    if is("optional") { format!("[{out}]") } else { out }
}

fn get<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Map(pairs) = value else { panic!("a map: {value:?}") };
    pairs.iter().find(|(key, _)| text(key) == name).map(|(_, value)| value)
}

fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        _ => &[],
    }
}

fn words(value: &Value) -> String {
    items(value).iter().map(text).collect::<Vec<_>>().join(" ")
}

fn text(value: &Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        value => String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into_owned(),
    }
}
