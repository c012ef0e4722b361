//! The table checked as a table, and the texts that Redis 7.0 gives, taken from a live redis-server.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn get(config: &Config, pattern: &str) -> Vec<(String, String)> {
    config.get(&[pattern.as_bytes()])
}

fn plan(config: &Config, pairs: &[(&str, &str)]) -> Result<Plan, ConfigError> {
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    config.plan(&pairs)
}

fn refusal(pairs: &[(&str, &str)]) -> String {
    plan(&Config::defaults(), pairs).expect_err("must be refused").to_string()
}

fn run(args: &[&str], files: &[(&str, &str)]) -> Result<Loaded, String> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let read = |path: &Path| {
        let found = files.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    match load(&args, &read) {
        Ok(Invocation::Run(loaded)) => Ok(*loaded),
        Ok(other) => Err(format!("{other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

fn file(text: &str) -> Result<Loaded, String> {
    run(&["a.conf"], &[("a.conf", text)])
}

#[test]
fn names_are_unique_lower_case_and_documented() {
    let mut seen = std::collections::BTreeSet::new();
    for param in params() {
        for name in [param.name, param.alias] {
            assert_eq!(name, name.to_ascii_lowercase());
            assert!(name.is_empty() || seen.insert(name), "{name} twice");
        }
        assert!(param.doc.ends_with('.'), "{}", param.name);
    }
}

#[test]
fn every_value_comes_back_as_it_is_shown() {
    for param in params() {
        let mut values = vec![param.default.to_owned()];
        match &param.kind {
            Kind::Flag { .. } => values.extend(["yes".to_owned(), "no".to_owned()]),
            Kind::Integer { min, max, .. } => values.extend([min.to_string(), max.to_string()]),
            Kind::Memory { min, max, .. } => values.extend([min.to_string(), max.to_string()]),
            Kind::Choice { words, .. } => values.extend(words.iter().map(|word| (*word).to_owned())),
            Kind::Text { .. } if (param.check)("a \"b\" c").is_ok() => values.push("a \"b\" c".to_owned()),
            Kind::Text { .. } => values.push("a-b.c".to_owned()),
            Kind::Kept(Form::Integer { min, max }) => values.extend([min.to_string(), max.to_string()]),
            Kind::Kept(Form::Choice(words)) => values.extend(words.iter().map(|word| (*word).to_owned())),
            Kind::Kept(_) | Kind::Words { .. } => {}
        }
        for (at, value) in values.iter().enumerate() {
            let mut settings = Settings::defaults();
            param.set_text(&mut settings, value).unwrap_or_else(|why| panic!("{} {value}: {why}", param.name));
            let shown = param.text(&settings);
            // Except for units in a default, what is shown is what was set: no cast lost anything.
            assert!(at == 0 || shown == *value, "{}: {value} is shown as {shown}", param.name);
            let mut again = Settings::defaults();
            param.set_text(&mut again, &shown).unwrap();
            assert_eq!(settings, again, "{} {value}", param.name);
        }
    }
}

#[test]
fn every_row_writes_a_field_of_its_own() {
    // Two rows on one field would show as a second directive that changes with the first.
    for param in PARAMS {
        let other = match &param.kind {
            Kind::Flag { get, .. } => if get(&Settings::defaults()) { "no" } else { "yes" }.to_owned(),
            Kind::Integer { max, .. } => max.to_string(),
            Kind::Memory { min, .. } if param.text(&Settings::defaults()) != min.to_string() => min.to_string(),
            Kind::Memory { max, .. } => max.to_string(),
            Kind::Choice { words, .. } => words[words.len() - 1].to_owned(),
            Kind::Text { .. } => "other".to_owned(),
            Kind::Kept(_) | Kind::Words { .. } => continue,
        };
        let mut settings = Settings::defaults();
        param.set_text(&mut settings, &other).unwrap();
        let changed: Vec<_> = PARAMS
            .iter()
            .filter(|other| other.text(&settings) != other.text(&Settings::defaults()))
            .map(|other| other.name)
            .collect();
        assert!(changed.is_empty() || changed == [param.name], "{}: {changed:?}", param.name);
    }
}

#[test]
fn the_defaults_pass_the_checks() {
    assert_eq!(Settings::defaults().check(), Ok(()));
    let settings = Settings::defaults();
    assert_eq!((settings.port, settings.databases, settings.peer_port()), (6379, 16, None));
    assert_eq!(settings.client_output_buffer_limit.pubsub.soft_bytes, 8 << 20);
}

#[test]
fn config_get_knows_globs_cases_and_older_names() {
    let config = Config::defaults();
    assert_eq!(get(&config, "MAXCLIENTS"), [("MAXCLIENTS".to_owned(), "10000".to_owned())]);
    assert_eq!(get(&config, "MAXCL*"), [("maxclients".to_owned(), "10000".to_owned())]);
    assert_eq!(get(&config, "hash-max-ziplist-value"), [("hash-max-ziplist-value".to_owned(), "64".to_owned())]);
    assert_eq!(get(&config, "hash-*").len(), 4);
    assert_eq!(get(&config, "proto-max-bulk-len")[0].1, "536870912");
    assert_eq!(
        get(&config, "client-output-buffer-limit")[0].1,
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"
    );
    assert!(get(&config, "nothing").is_empty());
    // Patterns that overlap name a directive once.
    assert_eq!(config.get(&[b"port", b"p[o]*"]).len(), 1);
}

#[test]
fn config_set_refuses_in_redis_words() {
    let failed =
        |name: &str, why: &str| format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}");
    assert_eq!(refusal(&[("foo", "bar")]), "ERR Unknown option or number of arguments for CONFIG SET - 'foo'");
    for (name, value, why) in [
        ("MAXCLIENTS", "abc", "argument couldn't be parsed into an integer"),
        ("maxclients", "05", "argument couldn't be parsed into an integer"),
        ("maxclients", "0", "argument must be between 1 and 4294967295 inclusive"),
        ("timeout", "-1", "argument must be between 0 and 2147483647 inclusive"),
        ("appendonly", "maybe", "argument must be 'yes' or 'no'"),
        ("appendfsync", "maybe", "argument(s) must be one of the following: everysec, always, no"),
        ("maxmemory", "1zz", "argument must be a memory value"),
        ("maxmemory", "-1", "argument must be a memory value"),
        ("client-query-buffer-limit", "1", "argument must be between 1048576 and 9223372036854775807 inclusive"),
        ("databases", "3", "can't set immutable config"),
        ("syslog-ident", "x", "can't set immutable config"),
        ("dir", "x", "can't set protected config"),
        ("dbfilename", "dump.rdb", "can't set protected config"),
        ("cluster-announce-ip", "10.0.0.1 x", "Addresses may only contain alphanumeric characters and .:-_%"),
        ("cluster-announce-hostname", "a_b", "Hostnames may only contain alphanumeric characters, hyphens or dots"),
        ("cluster-announce-human-nodename", "a\nb", "Announced human node name contained invalid character"),
        ("cluster-slave-no-failover", "yes", "argument(s) must be one of the following: no"),
        ("save", "60 1 30", "Invalid save parameters"),
        ("save", "0 1", "Invalid save parameters"),
        ("client-output-buffer-limit", "foo 1 2 3", "Invalid client class specified in buffer limit configuration."),
        ("client-output-buffer-limit", "normal 1 2", "Wrong number of arguments in buffer limit configuration."),
        (
            "client-output-buffer-limit",
            "normal 1 2 -3",
            "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
        ),
        ("hash-max-ziplist-entries", "-1", "argument must be between 0 and 9223372036854775807 inclusive"),
        ("list-max-listpack-size", "9999999999999", "argument must be between -2147483648 and 2147483647 inclusive"),
    ] {
        assert_eq!(refusal(&[(name, value)]), failed(&name.to_ascii_lowercase(), why), "{name} {value}");
    }
    assert_eq!(refusal(&[("timeout", "5"), ("Timeout", "6")]), failed("timeout", "duplicate parameter"));
    // Names before values: the second pair's unknown name wins over the first one's bad value.
    assert_eq!(
        refusal(&[("timeout", "x"), ("foo", "1")]),
        "ERR Unknown option or number of arguments for CONFIG SET - 'foo'"
    );
    assert_eq!(refusal(&[("databases", "3"), ("foo", "1")]), failed("databases", "can't set immutable config"));
}

#[test]
fn config_set_takes_all_or_nothing() {
    let config = Config::defaults();
    let before = config.version();
    plan(&config, &[("maxclients", "100"), ("timeout", "bogus")]).unwrap_err();
    assert_eq!((config.version(), config.current().maxclients), (before, 10_000));
    let plan = plan(&config, &[("maxclients", "100"), ("client-output-buffer-limit", "pubsub 1mb 2 3")]).unwrap();
    assert_eq!((config.version(), config.current().maxclients), (before, 10_000));
    config.commit(&plan);
    assert_eq!((config.version(), config.current().maxclients), (before + 1, 100));
    assert_eq!(config.current().client_output_buffer_limit.pubsub.hard_bytes, 1 << 20);
    assert_eq!(config.current().client_output_buffer_limit.replica.soft_seconds, 60);
}

#[test]
fn shard_settings_wait_for_their_entry() {
    let config = Config::defaults();
    let plan = plan(
        &config,
        &[("hash-max-listpack-entries", "7"), ("hash-max-ziplist-entries", "9"), ("timeout", "5"), ("maxmemory", "0")],
    )
    .unwrap();
    // Older and newer name are one setting, the later value wins; what does not change is not proposed.
    let entry: Vec<(&str, &str)> = plan.shard().iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(entry, [("hash-max-listpack-entries", "9")]);
    config.commit(&plan);
    assert_eq!((config.current().timeout_seconds, config.current().shard.hash_max_listpack_entries), (5, 128));

    let mut state = config.current().shard.clone();
    state.take_pairs(entry).unwrap();
    config.adopt_shard(&state);
    assert_eq!(config.current().shard.hash_max_listpack_entries, 9);
    let version = config.version();
    config.adopt_shard(&state);
    assert_eq!(config.version(), version, "nothing changed");
}

#[test]
fn shard_settings_travel_as_pairs() {
    let mut settings = Settings::defaults().shard;
    settings.list_max_listpack_size = -5;
    settings.maxmemory_policy = EvictionPolicy::AllkeysLfu;
    let pairs = settings.to_pairs();
    let mut other = ShardSettings::default();
    other.take_pairs(pairs.iter().map(|(name, value)| (*name, value.as_str()))).unwrap();
    assert_eq!(settings, other);
    assert!(other.take_pairs([("appendfsync", "no"), ("port", "1")]).is_err(), "a node's directive is not the shard's");
    assert_eq!(settings, other, "an error changes nothing");
}

#[test]
fn the_keyspace_has_the_same_defaults() {
    let hash_key = [1, 2];
    let mut shard = Settings::defaults().shard;
    assert_eq!(shard.to_keyspace(hash_key), keyspace::Settings::new(hash_key));
    shard.take_pairs([("zset-max-ziplist-entries", "0"), ("list-max-listpack-size", "-5")]).unwrap();
    let told = shard.to_keyspace(hash_key);
    assert_eq!((told.sorted_set.entries_max, told.list_packed_size, told.hash.entries_max), (0, -5, 128));
}

#[test]
fn watchers_see_every_change() {
    let config = Config::defaults();
    let seen = Arc::new(AtomicUsize::new(0));
    let shared = Arc::clone(&seen);
    config.watch(move |settings| shared.store(settings.timeout_seconds as usize, Ordering::Relaxed));
    config.commit(&plan(&config, &[("timeout", "17")]).unwrap());
    assert_eq!(seen.load(Ordering::Relaxed), 17);
}

#[test]
fn lines_have_quotes_and_escapes() {
    let split = |line: &str| words::split(line);
    assert_eq!(split(r#" a "b c" 'd "e' "#).unwrap(), ["a", "b c", "d \"e"]);
    assert_eq!(split(r#"x "\x41\n\"" '\''"#).unwrap(), ["x", "A\n\"", "'"]);
    assert_eq!(split(r#"save """#).unwrap(), ["save", ""]);
    for bad in [r#"a "b"#, r#"a "b"c"#, "a 'b", r#"a "\xff""#] {
        assert_eq!(split(bad), None, "{bad}");
    }
    for word in ["", "plain", "two words", "q\"q", "ü", "tab\tnew\nline", "back\\slash", "#x", "\u{1}"] {
        assert_eq!(split(&words::quote(word)).unwrap(), [word], "{word}");
    }
}

#[test]
fn a_file_of_redis_is_read() {
    let loaded = file(
        "# a comment\n\nport 7000\r\nBIND 127.0.0.1 -::1\nsave 900 1\nsave 300 10\nappendonly yes\n\
         appendfsync everysec\nmaxmemory 2gb\nmaxmemory-policy allkeys-lru\naof-use-rdb-preamble yes\n\
         requirepass \"a b\"\nclient-output-buffer-limit pubsub 1mb 0 0\n",
    )
    .unwrap();
    let settings = &loaded.settings;
    assert_eq!((settings.port, settings.bind.len(), settings.bind[1].optional), (7000, 2, true));
    assert_eq!(settings.save, [(900, 1), (300, 10)]);
    assert_eq!((settings.shard.maxmemory_bytes, settings.requirepass.as_str()), (2 << 30, "a b"));
    assert_eq!(loaded.file.as_deref(), Some(Path::new("a.conf")));
    let notes = loaded.notes.join("\n");
    for told in ["maxmemory has no effect", "maxmemory-policy has no effect", "save has no effect", "P1"] {
        assert!(notes.contains(told), "{told} in {notes}");
    }
    assert!(!notes.contains("appendonly"), "yes is what happens anyway: {notes}");
}

#[test]
fn flags_override_the_file() {
    let args = ["a.conf", "--port", "7001", "--bind", "127.0.0.1", "::1", "--save", "60", "1", "--initial-members"];
    let members = ["127.0.0.1:7000", "127.0.0.1:7001", "[::1]:7002"];
    let args: Vec<&str> = args.into_iter().chain(members).collect();
    let loaded = run(&args, &[("a.conf", "port 7000\nsave 900 1\ninclude b.conf\n"), ("b.conf", "timeout 9")]).unwrap();
    let settings = loaded.settings;
    assert_eq!((settings.port, settings.timeout_seconds, settings.bind.len()), (7001, 9, 2));
    assert_eq!(settings.save, [(60, 1)]);
    assert_eq!(settings.initial_members.iter().map(ToString::to_string).collect::<Vec<_>>(), members);
    assert_eq!(settings.peer_port(), Some(17_001));
    let stdin = run(&["--port", "7001", "-"], &[("-", "port 7000\ntimeout 4")]).unwrap().settings;
    assert_eq!((stdin.port, stdin.timeout_seconds), (7001, 4));
    assert_eq!(run(&["-"], &[("-", "timeout 4")]).unwrap().settings.timeout_seconds, 4);
    assert_eq!(run(&[], &[]).unwrap().settings, Settings::defaults());
}

#[test]
fn errors_name_file_line_and_reason() {
    let error = |place: &str, line: &str, reason: &str| {
        format!(
            "*** FATAL CONFIG FILE ERROR (Cairn {}) ***\nReading the {place}\n>>> '{line}'\n{reason}",
            env!("CARGO_PKG_VERSION")
        )
    };
    let at = |line: usize| format!("configuration file 'a.conf', at line {line}");
    for (text, line, shown, reason) in [
        ("port 1\n# c\n\nmaxclients abc\n", 4, "maxclients abc", "argument couldn't be parsed into an integer"),
        ("foo bar", 1, "foo bar", "Bad directive or wrong number of arguments"),
        ("save \"unbalanced", 1, "save \"unbalanced", "Unbalanced quotes in configuration line"),
        ("\ntimeout", 2, "timeout", "wrong number of arguments"),
        ("timeout 1 2", 1, "timeout 1 2", "wrong number of arguments"),
        ("save 1", 1, "save 1", "Invalid save parameters"),
        ("daemonize maybe", 1, "daemonize maybe", "argument must be 'yes' or 'no'"),
        (
            "loglevel x",
            1,
            "loglevel x",
            "argument(s) must be one of the following: debug, verbose, notice, warning, nothing",
        ),
        ("include b.conf", 1, "include b.conf", "can't open config file 'b.conf': entity not found"),
        ("include a.conf", 1, "include a.conf", "too many files include each other"),
        ("port 1\ncluster-replication-factor 4", 2, "cluster-replication-factor 4", "argument must be odd"),
    ] {
        assert_eq!(file(text).unwrap_err(), error(&at(line), shown, reason));
    }
    let flags = run(&["--timeout", "a"], &[]).unwrap_err();
    let reason = "argument couldn't be parsed into an integer";
    assert_eq!(flags, error("flags of the command line", "--timeout a", reason));
    assert!(run(&["gone.conf"], &[]).unwrap_err().contains("can't open config file 'gone.conf'"));
    assert!(run(&["--port"], &[]).unwrap_err().contains("wrong number of arguments"));
}

#[test]
fn directives_that_do_not_go_together_are_refused() {
    for (text, told) in [
        ("replicaof 127.0.0.1 1", "joining as a replica is not in this version yet"),
        ("slaveof 127.0.0.1 1\ninitial-members 127.0.0.1:6379", "exclude each other"),
        ("initial-members 127.0.0.1:1 127.0.0.1:1", "listed twice"),
        ("initial-members 10.0.0.1:1", "masterauth"),
        ("port 60000\ninitial-members 127.0.0.1:60000", "must not exceed 65535"),
        ("port 0\ninitial-members 127.0.0.1:60000", "needs a client port"),
        ("cluster-port 6379\ninitial-members 127.0.0.1:6379", "leave it at 0"),
        ("initial-members 127.0.0.1", "is not host:port"),
        ("tls-port 1", "not in this version yet"),
        ("daemonize yes", "foreground"),
        ("dir \"\"", "a directory is needed"),
        ("election-timeout-ms 500 250", "the second the larger"),
    ] {
        let error = file(text).unwrap_err();
        assert!(error.contains(told), "{text}: {error}");
    }
    file("port 60000").expect("without peers every port is free to take");
    file("slaveof no one").expect("no leader named");
    file("initial-members 10.0.0.1:1\nmasterauth secret").expect("peers with a secret may be anywhere");
    let secret = file("initial-members localhost:1\nmasterauth hush\nreplicaof a 1").unwrap_err();
    assert!(!secret.contains("hush"));
}

#[test]
fn the_sample_file_says_the_defaults() {
    let loaded = file(&sample()).unwrap();
    assert_eq!((loaded.settings, loaded.notes), (Settings::defaults(), Vec::new()));
    for param in PARAMS {
        assert!(sample().contains(&format!("{} ", param.name)), "{}", param.name);
        assert!(help().contains(&format!("--{} ", param.name)), "{}", param.name);
    }
}

#[test]
fn what_only_redis_reads_is_taken_as_redis_takes_it() {
    let loaded =
        file("hz 100\nRepl-Ping-Slave-Period 3\noom-score-adj-values 0 1 2\nrepl-backlog-size 2mb\nrdbchecksum YES")
            .unwrap();
    let notes: Vec<&str> = loaded.notes.iter().filter_map(|note| note.split(' ').next()).collect();
    assert_eq!(notes, ["hz", "oom-score-adj-values", "repl-backlog-size", "repl-ping-replica-period"]);
    let shown = |name: &str| param(name).unwrap().text(&loaded.settings);
    assert_eq!(shown("slave-priority"), "100");
    assert_eq!((shown("repl-ping-replica-period"), shown("repl-backlog-size")), ("3".to_owned(), "2097152".to_owned()));
    let refused = |line: &str| file(line).unwrap_err();
    assert!(refused("hz fast").contains("argument couldn't be parsed into an integer"));
    assert!(refused("rdbcompression maybe").contains("argument(s) must be one of the following: yes, no"));
    assert!(refused("oom-score-adj-values 1 2").contains("argument must be 3 numbers"));
    assert!(refused("notify-keyspace-events KEA").contains("keyspace notifications are not there yet"));
    let text = rewrite("hz 100\n", &loaded.settings);
    assert_eq!(file(&text).unwrap().settings, loaded.settings);
}

#[test]
fn what_is_hidden_is_shown_to_who_knows_it() {
    let shown = |pattern: &str| Config::defaults().get(&[pattern.as_bytes()]);
    assert_eq!(shown("RDB-key-save-delay"), [("RDB-key-save-delay".to_owned(), "0".to_owned())]);
    assert!(shown("*").iter().all(|(name, _)| name != "rdb-key-save-delay") && shown("rdb-key-*").is_empty());
}

#[test]
fn a_rewrite_keeps_comments_and_order() {
    let original = "# mine\nport 7000\n\ninclude b.conf\nsave 900 1\nsave 60 2\n# end\n";
    let mut settings = run(&["a.conf"], &[("a.conf", original), ("b.conf", "")]).unwrap().settings;
    settings.timeout_seconds = 30;
    settings.port = 7001;
    settings.requirepass = "a \"b\"".to_owned();
    settings.client_output_buffer_limit.normal.hard_bytes = 5;
    let text = rewrite(original, &settings);
    assert_eq!(
        text,
        "# mine\nport 7001\n\ninclude b.conf\nsave 900 1 60 2\n# end\n# Generated by CONFIG REWRITE\ntimeout 30\n\
         requirepass \"a \\\"b\\\"\"\nclient-output-buffer-limit normal 5 0 0\n\
         client-output-buffer-limit slave 268435456 67108864 60\n\
         client-output-buffer-limit pubsub 33554432 8388608 60\n"
    );
    assert_eq!(rewrite(&text, &settings), text);
    assert_eq!(run(&["a.conf"], &[("a.conf", &text), ("b.conf", "")]).unwrap().settings, settings);
    assert_eq!(rewrite("", &Settings::defaults()), "");
    // What was cleared is written as cleared.
    settings.save.clear();
    assert!(rewrite(&text, &settings).contains("\nsave \"\"\n"));
}

#[test]
fn a_rewrite_needs_a_file() {
    let without = Config::defaults().rewrite_file().unwrap_err();
    assert_eq!(without.to_string(), "ERR The server is running without a config file");
    let dir = std::env::temp_dir().join(format!("cairn-config-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("a.conf");
    std::fs::write(&path, "# mine\ntimeout 1\n").unwrap();
    let config = Config::new(Settings { timeout_seconds: 9, ..Settings::defaults() }, Some(path.clone()));
    config.rewrite_file().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "# mine\ntimeout 9\n");
    std::fs::remove_dir_all(&dir).unwrap();
    let error = config.rewrite_file().unwrap_err().to_string();
    assert!(error.starts_with("ERR Rewriting config file: "), "{error}");
}
