//! What INFO, SLOWLOG and LATENCY show, beside a real valkey-server.

use std::collections::BTreeMap;

use crate::harness::tools::Valkey;
use crate::harness::{Client, Server, Value};

/// The lines of a section, without what takes time: `usec` and percentiles.
fn section(client: &mut Client, name: &str) -> BTreeMap<String, String> {
    let text = client.run(&format!("INFO {name}")).text();
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(field, value)| {
            let untimed: Vec<&str> =
                value.split(',').filter(|part| !part.starts_with("usec") && !part.starts_with('p')).collect();
            (field.to_owned(), untimed.join(","))
        })
        .collect()
}

/// Commands of every kind: read alone and inside MULTI, written, refused, failed, unknown.
const LINES: [&str; 33] = [
    "SET a 1",
    "GET a",
    "GET none",
    "MGET a none b",
    "EXISTS a none",
    "TTL a",
    "TYPE none",
    "STRLEN a",
    "HSET h f v",
    "HGET h f",
    "HGET h none",
    "HGET none f",
    "LPUSH a x",
    "GET h",
    "GET",
    "NOSUCH",
    "HGETALL h",
    "SMEMBERS none",
    "LRANGE a 0 -1",
    "MULTI",
    "GET a",
    "GET none",
    "EXEC",
    "MULTI",
    "SET b 2",
    "GET b",
    "EXEC",
    "MULTI",
    "GET",
    "EXEC",
    "DEL b",
    "INCRBY a x",
    "PING a b c",
];

#[test]
fn info_counts_as_valkey_does() {
    let (valkey, cairn) = (Valkey::start(&[]), Server::start(&[]));
    let [mut theirs, mut ours] = [valkey.client(), cairn.client()];
    for client in [&mut theirs, &mut ours] {
        assert_eq!(client.run("CONFIG RESETSTAT"), Value::ok());
        for line in LINES {
            client.run(line);
        }
    }
    for name in ["commandstats", "errorstats"] {
        let (theirs, mut ours) = (section(&mut theirs, name), section(&mut ours, name));
        ours.retain(|field, _| field != "cmdstat_info" || theirs.contains_key("cmdstat_info"));
        assert_eq!(ours, theirs, "{name}");
    }
    let timed = section(&mut ours, "latencystats");
    assert!(timed.contains_key("latency_percentiles_usec_get"), "{timed:?}");
    let (theirs, ours) = (section(&mut theirs, "stats"), section(&mut ours, "stats"));
    for field in ["keyspace_hits", "keyspace_misses", "total_error_replies"] {
        assert_eq!(ours[field], theirs[field], "{field}");
    }
    for (field, _) in ours {
        assert!(theirs.contains_key(&field), "Valkey has no {field}");
    }
}

#[test]
fn what_memory_is_used_for_adds_up() {
    let (valkey, cairn) = (Valkey::start(&[]), Server::start(&[]));
    let [mut theirs, mut ours] = [valkey.client(), cairn.client()];
    let mut bytes = || {
        let fields = section(&mut ours, "memory");
        let [used, startup, dataset, peak, resident] =
            ["used_memory", "used_memory_startup", "used_memory_dataset", "used_memory_peak", "used_memory_rss"]
                .map(|field| fields[field].parse::<u64>().expect("a number"));
        assert_eq!(used, startup + dataset);
        assert!(used <= peak);
        (used, peak, resident, fields)
    };
    let (empty, _, resident, fields) = bytes();
    assert!(empty > 1 << 20 && empty <= 2 * resident, "{empty} {resident}");
    let theirs = section(&mut theirs, "memory");
    for (field, _) in fields {
        assert!(theirs.contains_key(&field), "Valkey has no {field}");
    }
    let members: Vec<String> = (0..20_000).map(|number| format!("member:{number}")).collect();
    let mut client = cairn.client();
    assert_eq!(client.run(&format!("SADD set {}", members.join(" "))), Value::Integer(20_000));
    let (full, peak, ..) = bytes();
    assert!(full > empty + 20_000 * 12 && full < empty + 20_000 * 100, "{full} {empty}");
    client.run("FLUSHALL");
    let (empty_again, peak_still, ..) = bytes();
    assert_eq!((empty_again, peak_still), (empty, peak));
    let stats = client.run("MEMORY STATS").elements();
    let allocated = stats.iter().position(|name| name.text() == "total.allocated").expect("a total") + 1;
    assert_eq!(stats[allocated].text(), empty.to_string());
}

#[test]
fn resetstat_begins_anew() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for line in ["SET a 1", "GET a", "GET none", "NOSUCH"] {
        client.run(line);
    }
    assert_eq!(client.run("CONFIG RESETSTAT"), Value::ok());
    let stats = section(&mut client, "stats");
    for field in ["keyspace_hits", "keyspace_misses", "total_error_replies", "rejected_connections"] {
        assert_eq!(stats[field], "0", "{field}");
    }
    assert!(section(&mut client, "errorstats").is_empty());
    let commands = section(&mut client, "commandstats");
    assert!(!commands.contains_key("cmdstat_get") && commands.contains_key("cmdstat_info"), "{commands:?}");
}

#[test]
fn the_slow_log_shows_what_ran_for_long_and_for_whom() {
    let (valkey, cairn) = (Valkey::start(&[]), Server::start(&[]));
    let shown = [valkey.client(), cairn.client()].map(|mut client| {
        let long = "x".repeat(200);
        let many: Vec<String> = (0..40).map(|number| format!("member-{number}")).collect();
        let lines = [
            "CLIENT SETNAME somebody".to_owned(),
            "CONFIG SET slowlog-log-slower-than 0".to_owned(),
            format!("SET key {long}"),
            format!("SADD set {}", many.join(" ")),
            "GET key".to_owned(),
            "MULTI".to_owned(),
            "INCR counter".to_owned(),
            "EXEC".to_owned(),
            "CONFIG SET slowlog-log-slower-than -1".to_owned(),
        ];
        lines.iter().for_each(|line| drop(client.run(line)));
        let entries = client.run("SLOWLOG GET -1").elements();
        let address = client.run("CLIENT INFO").text();
        let address =
            address.split("addr=").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address").to_owned();
        for entry in &entries {
            let entry = entry.elements();
            assert_eq!(entry.len(), 6);
            assert_eq!((entry[4].text(), entry[5].text()), (address.clone(), "somebody".to_owned()));
        }
        let mut said: Vec<String> = entries.iter().rev().map(|entry| format!("{:?}", entry.elements()[3])).collect();
        // In which order MULTI, what it holds and EXEC are noted differs.
        said.sort();
        let mut replies = Vec::new();
        for line in [
            "SLOWLOG LEN",
            "CONFIG SET slowlog-max-len 2",
            "SLOWLOG LEN",
            "SLOWLOG GET 0",
            "SLOWLOG RESET",
            "SLOWLOG GET",
            "SLOWLOG LEN",
        ] {
            replies.push(client.run(line));
        }
        for line in ["SLOWLOG GET abc", "SLOWLOG GET -2", "SLOWLOG GET 1 2", "CONFIG GET slowlog*"] {
            replies.push(client.run(line));
        }
        (said, replies)
    });
    let [theirs, ours] = shown;
    assert_eq!(ours, theirs);
}

#[test]
fn latency_shows_spikes_and_histograms() {
    let (valkey, cairn) =
        (Valkey::start(&["--enable-debug-command", "yes"]), Server::start(&["--enable-debug-command", "yes"]));
    let replies = [valkey.client(), cairn.client()].map(|mut client| {
        let mut replies = Vec::new();
        for line in [
            "LATENCY LATEST",
            "LATENCY HISTORY command",
            "LATENCY RESET",
            "LATENCY RESET a b",
            "LATENCY HISTOGRAM nosuch",
            "LATENCY HISTORY",
        ] {
            replies.push(client.run(line));
        }
        for line in ["CONFIG RESETSTAT", "SET a 1", "GET a", "GET b", "CONFIG GET port", "CONFIG GET dir"] {
            client.run(line);
        }
        let histograms = client.run("LATENCY HISTOGRAM get set config nosuch").elements();
        let mut calls: Vec<(String, String)> =
            histograms.chunks(2).map(|pair| (pair[0].text(), pair[1].elements()[1].text())).collect();
        calls.sort();
        (replies, calls)
    });
    let [theirs, ours] = replies;
    assert_eq!(ours, theirs);
}
