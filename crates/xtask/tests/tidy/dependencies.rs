//! Who may use what. The tables are the architecture: an edge that is not here is refused.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{assert_none, tree};

/// A crate of ours and what it may name.
struct Row {
    name: &'static str,
    /// Crates of ours, in its code and its tests.
    uses: &'static [&'static str],
    /// Further crates of ours that only its tests may use.
    tests_use: &'static [&'static str],
    /// Libraries that it owns, or shares by [`SHARED`].
    libraries: &'static [&'static str],
    /// Sync and total: no clock, no randomness, no threads, no I/O.
    pure: bool,
}

impl Row {
    /// The path of its manifest from the root.
    fn manifest(&self) -> String {
        if self.name == "cairn" { "Cargo.toml".to_owned() } else { format!("crates/{}/Cargo.toml", self.name) }
    }
}

/// Bottom up, as in crates/README.md. The root package is `cairn`, whose sources are crates/server.
const ROWS: &[Row] = &[
    Row { name: "base2histogram", uses: &[], tests_use: &[], libraries: &[], pure: true },
    Row { name: "slot", uses: &[], tests_use: &[], libraries: &["crc16"], pure: true },
    Row { name: "resp", uses: &[], tests_use: &[], libraries: &[], pure: true },
    Row {
        name: "keyspace",
        uses: &["slot"],
        tests_use: &[],
        libraries: &["triomphe", "hashbrown", "siphasher", "libm", "twox-hash"],
        pure: true,
    },
    Row { name: "rdb", uses: &["keyspace"], tests_use: &[], libraries: &["crc"], pure: true },
    Row {
        name: "commands",
        uses: &["keyspace", "rdb", "resp", "slot"],
        tests_use: &[],
        libraries: &["sha1"],
        pure: true,
    },
    Row { name: "topology", uses: &["slot"], tests_use: &[], libraries: &[], pure: true },
    Row { name: "faces", uses: &["commands", "resp", "slot", "topology"], tests_use: &[], libraries: &[], pure: true },
    Row {
        name: "raft",
        uses: &[],
        tests_use: &[],
        libraries: &["openraft", "futures-util", "rand", "tokio", "bytes", "tracing", "parking_lot"],
        pure: false,
    },
    Row {
        name: "storage",
        uses: &["raft"],
        tests_use: &[],
        libraries: &["sled", "crc32fast", "rustix", "tokio", "bytes", "tracing", "parking_lot"],
        pure: false,
    },
    Row {
        name: "rpc",
        uses: &["raft"],
        tests_use: &[],
        libraries: &[
            "tonic",
            "tonic-prost",
            "prost",
            "hmac",
            "sha2",
            "rand",
            "hyper-util",
            "futures-util",
            "tokio",
            "bytes",
            "tracing",
            "parking_lot",
        ],
        pure: false,
    },
    Row {
        name: "node",
        uses: &["slot", "resp", "keyspace", "rdb", "commands", "topology", "faces", "raft"],
        tests_use: &[],
        libraries: &["tokio", "bytes", "tracing", "parking_lot"],
        pure: false,
    },
    Row {
        name: "sim",
        uses: &["node", "raft", "resp", "slot"],
        tests_use: &[],
        libraries: &["rand", "tokio", "bytes", "tracing", "parking_lot"],
        pure: false,
    },
    Row {
        name: "cairn",
        uses: &["node", "raft", "rpc", "storage"],
        tests_use: &["resp", "commands"],
        libraries: &[
            "tracing-subscriber",
            "tikv-jemallocator",
            "tikv-jemalloc-ctl",
            "anyhow",
            "rustix",
            "tokio",
            "tracing",
        ],
        pure: false,
    },
    Row { name: "xtask", uses: &[], tests_use: &[], libraries: &[], pure: false },
];

/// Libraries that more than one crate may name, and why.
const SHARED: &[(&str, &str)] = &[
    ("tokio", "the runtime of everything that waits"),
    ("bytes", "buffers cross the seams without a copy"),
    ("tracing", "every part of the shell logs"),
    ("parking_lot", "the one kind of lock"),
    ("rand", "raft draws replica ids and election jitter, sim its faults, both seeded; rpc the nonces of a handshake"),
    ("rustix", "storage asks for locks and syncs, the server for limits and the boottime clock"),
    ("futures-util", "streams, as the traits of openraft (raft) and tonic (rpc) ask for them"),
];

/// Libraries that need no reason in a manifest.
const OBVIOUS: &[&str] = &["tokio", "bytes", "tracing", "parking_lot"];

/// Libraries for tests only, and the crate that may use them there.
const FOR_TESTS: &[(&str, &str)] = &[
    ("proptest", "any"),
    ("protox", "rpc"),
    ("tonic-prost-build", "rpc"),
    ("serde_json", "xtask"),
    ("redis", "cairn"),
];

/// Libraries that are not to come in by any way, and why.
const BANNED: &[(&str, &str)] = &[
    ("openssl", "TLS is rustls"),
    ("openssl-sys", "TLS is rustls"),
    ("native-tls", "TLS is rustls"),
    ("async-std", "one runtime: tokio"),
    ("smol", "one runtime: tokio"),
    ("bincode", "formats are drawn, written by hand and versioned"),
];

/// Libraries that a pure crate must not reach by any path: clocks, threads, randomness, I/O.
const IMPURE: &[&str] =
    &["tokio", "mio", "futures-core", "rand", "rand_core", "getrandom", "parking_lot", "libc", "rustix", "ahash"];

/// The packages of the workspace, as cargo sees them.
fn packages() -> Vec<Value> {
    let text = tree::cargo(&["metadata", "--format-version", "1", "--no-deps", "--offline"]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo metadata prints JSON");
    metadata["packages"].as_array().expect("metadata lists packages").clone()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

fn is_for_tests(row: &Row, library: &str) -> bool {
    FOR_TESTS.iter().any(|(name, owner)| *name == library && (*owner == "any" || *owner == row.name))
}

#[test]
fn every_crate_has_a_row_and_lies_in_a_folder_of_its_name() {
    let mut wrong = Vec::new();
    let packages = packages();
    for package in &packages {
        let name = text(package, "name");
        let manifest = text(package, "manifest_path");
        match row(name) {
            Some(row) if tree::root().join(row.manifest()) == *manifest => {}
            Some(_) => wrong.push(format!("{name}: its manifest is {manifest}")),
            None => wrong.push(format!("{name}: no row in {}", file!())),
        }
    }
    for row in ROWS {
        if !packages.iter().any(|package| text(package, "name") == row.name) {
            wrong.push(format!("{}: a row without a crate", row.name));
        }
    }
    assert_none("The table of crates and the workspace differ:", &wrong);
}

#[test]
fn crates_use_only_what_their_row_allows() {
    let mut wrong = Vec::new();
    for package in packages() {
        let Some(row) = row(text(&package, "name")) else { continue };
        for dependency in package["dependencies"].as_array().expect("a package lists dependencies") {
            let (name, for_tests) = (text(dependency, "name"), text(dependency, "kind") == "dev");
            let ours = !dependency["path"].is_null();
            let allowed = if ours {
                row.uses.contains(&name) || for_tests && row.tests_use.contains(&name)
            } else {
                row.libraries.contains(&name) || for_tests && is_for_tests(row, name)
            };
            if !allowed {
                wrong.push(format!("{} -> {name}", row.name));
            }
            if text(dependency, "kind") == "build" {
                wrong.push(format!("{} -> {name}: nothing is generated while building", row.name));
            }
        }
    }
    assert_none("Edges that the table does not allow (move a boundary there and in crates/README.md):", &wrong);
}

#[test]
fn a_library_has_one_owner_or_a_reason() {
    let mut wrong = Vec::new();
    let all: BTreeSet<&str> = ROWS.iter().flat_map(|row| row.libraries).copied().collect();
    for library in all {
        let owners: Vec<&str> =
            ROWS.iter().filter(|row| row.libraries.contains(&library)).map(|row| row.name).collect();
        let shared = SHARED.iter().any(|(name, _)| *name == library);
        if owners.len() > 1 && !shared {
            wrong.push(format!("{library}: {}", owners.join(", ")));
        }
    }
    assert_none("Libraries with several owners:", &wrong);
}

#[test]
fn crates_of_ours_form_layers() {
    for (place, row) in ROWS.iter().enumerate() {
        for used in row.uses {
            let below = ROWS[..place].iter().any(|lower| lower.name == *used);
            assert!(below, "{} uses {used}, which stands above it in the table", row.name);
            let pure = ROWS.iter().any(|lower| lower.name == *used && lower.pure);
            assert!(pure || !row.pure, "{} is pure and uses {used}, which is not", row.name);
        }
    }
}

#[test]
fn pure_crates_reach_nothing_impure() {
    let mut wrong = Vec::new();
    for row in ROWS.iter().filter(|row| row.pure) {
        let reached = tree::cargo(&[
            "tree",
            "--offline",
            "--locked",
            "--package",
            row.name,
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{lib}",
        ]);
        for library in reached.lines() {
            if IMPURE.iter().any(|impure| impure.replace('-', "_") == library) {
                wrong.push(format!("{} reaches {library}", row.name));
            }
        }
    }
    assert_none("Pure crates have no clock, randomness, threads or I/O:", &wrong);
}

#[test]
fn the_lock_file_names_no_banned_library_and_no_foreign_source() {
    let lock = tree::read("Cargo.lock");
    let mut wrong = Vec::new();
    for line in lock.lines() {
        if let Some(name) = line.strip_prefix("name = ").map(|name| name.trim_matches('"'))
            && let Some((_, reason)) = BANNED.iter().find(|(banned, _)| *banned == name)
        {
            wrong.push(format!("{name}: {reason}"));
        }
        if line.starts_with("source = ") && !line.contains("\"registry+https://github.com/rust-lang/crates.io-index\"")
        {
            wrong.push(line.to_owned());
        }
    }
    assert_none("Cargo.lock:", &wrong);
}

#[test]
fn every_manifest_takes_the_lints_of_the_workspace() {
    for row in ROWS {
        let path = row.manifest();
        assert!(tree::read(&path).contains("[lints]\nworkspace = true"), "{path}: no `[lints] workspace = true`");
    }
}

#[test]
fn manifests_say_why_they_need_a_library() {
    let mut wrong = Vec::new();
    for row in ROWS {
        let mut in_dependencies = false;
        // A comment gives the reason for the libraries that follow it without anything else between.
        let mut has_reason = false;
        for line in tree::read(&row.manifest()).lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if line.starts_with('[') {
                in_dependencies = matches!(line, "[dependencies]" | "[dev-dependencies]");
                has_reason = false;
            } else if line.starts_with('#') {
                has_reason = true;
            } else if name.is_empty() || OBVIOUS.contains(&name) || ROWS.iter().any(|row| row.name == name) {
                has_reason = false;
            } else if in_dependencies && !has_reason {
                wrong.push(format!("{}: {name}", row.manifest()));
            }
        }
    }
    assert_none("Libraries without a reason in a comment above them:", &wrong);
}
