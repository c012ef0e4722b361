//! MEMORY USAGE beside what the allocator says, and MEMORY PURGE.

use std::time::Duration;

use crate::harness::wire::encode;
use crate::harness::{Client, Server, Value, wait_for};

/// Loaded for each shape: enough that what else the server does is lost in it.
const LOADED_BYTES: u64 = 16 << 20;
/// How far what is said may be from what is there, as a part of it.
const ERROR_MAX: f64 = 0.2;

/// Memory is at rest when it does not change by more within two of these times.
const REST_BYTES: u64 = 128 << 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// Commands that make a key; its name stands for `KEY`, its number for `#`.
struct Shape {
    name: &'static str,
    commands: Vec<String>,
    /// About what such a key takes, to know how many are to be made.
    about_bytes: u64,
}

fn shapes() -> Vec<Shape> {
    let many = |count: usize, item: fn(usize) -> String| (0..count).map(item).collect::<Vec<_>>().join(" ");
    let pairs = |count| many(count, |at| format!("field{at} value-#-{at}"));
    let members = |count| many(count, |at| format!("member-{at}"));
    let scored = |count| many(count, |at| format!("{} member-{at}", at * 37 % 101));
    let long = "x".repeat(100);
    let shape = |name, about_bytes, commands: &[String]| Shape { name, commands: commands.to_vec(), about_bytes };
    let mut stream: Vec<String> = (1..9).map(|at| format!("XADD KEY {at}-0 sensor {at} value v-#")).collect();
    stream.push("XGROUP CREATE KEY group 0".into());
    for consumer in ["one", "two"] {
        stream.push(format!("XREADGROUP GROUP group {consumer} COUNT 4 STREAMS KEY >"));
    }
    vec![
        shape("short strings", 56, &["SET KEY 12345678".into()]),
        shape("strings that expire", 96, &["SET KEY 12345678 PX 1#00000".into()]),
        shape("long strings", 5200, &[format!("SET KEY {}", long.repeat(50))]),
        shape("lists", 1600, &[format!("RPUSH KEY {}", members(100))]),
        shape("small hashes", 160, &[format!("HSET KEY {}", pairs(5))]),
        shape("hashes", 7500, &[format!("HSET KEY {}", pairs(200))]),
        shape("hashes with a long value", 330, &[format!("HSET KEY {} long {long}", pairs(4))]),
        shape(
            "hashes whose fields expire",
            430,
            &[
                format!("HSET KEY {}", pairs(5)),
                "HPEXPIRE KEY 1#00000 FIELDS 5 field0 field1 field2 field3 field4".into(),
            ],
        ),
        shape("small sets", 150, &[format!("SADD KEY {}", members(5))]),
        shape("sets", 5600, &[format!("SADD KEY {}", members(200))]),
        shape("sets of numbers", 140, &[format!("SADD KEY {}", many(10, |at| format!("{}", at * 1000)))]),
        shape("small sorted sets", 200, &[format!("ZADD KEY {}", scored(5))]),
        shape("sorted sets", 9500, &[format!("ZADD KEY {}", scored(200))]),
        shape("streams", 330, &["XADD KEY 1-0 sensor 7 value v-#".into(), "XADD KEY 2-0 sensor 8 value v-#".into()]),
        shape("streams with groups", 1600, &stream),
    ]
}

/// Sends commands, many at a time; none may fail.
fn run(client: &mut Client, commands: impl Iterator<Item = String>) -> Vec<Value> {
    let mut replies = Vec::new();
    let mut commands = commands.peekable();
    while commands.peek().is_some() {
        let (mut bytes, mut count) = (Vec::new(), 0);
        while let Some(command) = commands.next_if(|_| bytes.len() < 32 << 10) {
            bytes.extend(encode(&command.split(' ').map(str::as_bytes).collect::<Vec<_>>()));
            count += 1;
        }
        client.send(&bytes).expect("the server reads");
        replies.extend((0..count).map(|_| client.reply().expect("the server answers")));
    }
    if let Some(error) = replies.iter().find(|reply| reply.is_error("")) {
        panic!("{error:?}");
    }
    replies
}

/// What the allocator says when nothing is left of the work that made or removed the data: the log is compacted, and threads that free have
/// nothing more to do.
fn allocated(server: &Server, client: &mut Client) -> u64 {
    assert_eq!(client.run("SAVE"), Value::ok());
    let mut looks = Vec::new();
    wait_for("the memory to come to rest", || {
        std::thread::sleep(BETWEEN_LOOKS);
        looks.push(server.info("allocator_allocated").parse::<u64>().expect("a number"));
        let last = looks.last_chunk::<3>()?;
        (last.iter().max()? - last.iter().min()? < REST_BYTES).then_some(last[2])
    })
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "a ratio")]
fn memory_usage_is_within_a_fifth_of_what_the_allocator_says() {
    let server = Server::start(&["--appendfsync", "no", "--save", ""]);
    let mut client = server.client();
    // What a server needs for a load of any kind, it needs from now on.
    run(&mut client, (0..LOADED_BYTES / 100).map(|number| format!("SET key:{number:012} {number}")));
    assert_eq!(client.run("FLUSHALL SYNC"), Value::ok());
    let mut wrong = Vec::new();
    for Shape { name, commands, about_bytes } in shapes() {
        let count = LOADED_BYTES / about_bytes;
        let empty = allocated(&server, &mut client);
        let of_key = |number: u64| {
            let (key, number) = (format!("key:{number:012}"), number.to_string());
            commands.iter().map(move |command| command.replace("KEY", &key).replace('#', &number)).collect::<Vec<_>>()
        };
        run(&mut client, (0..count).flat_map(of_key));
        let there = allocated(&server, &mut client).saturating_sub(empty);
        // Those of a hundred keys, which are all alike.
        let asked = run(
            &mut client,
            (0..count).step_by(count as usize / 100).map(|number| format!("MEMORY USAGE key:{number:012}")),
        );
        let sum: f64 = asked.iter().map(|reply| reply.text().parse::<f64>().expect("a number")).sum();
        let said = sum / asked.len() as f64 * count as f64;
        let ratio = said / there as f64;
        println!(
            "{name}: {count} keys, {:.1} bytes each, MEMORY USAGE says {ratio:.3} of it",
            there as f64 / count as f64
        );
        if (ratio - 1.0).abs() > ERROR_MAX {
            wrong.push((name, ratio));
        }
        assert_eq!(client.run("FLUSHALL SYNC"), Value::ok());
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn memory_purge_gives_unused_pages_back() {
    let server = Server::start(&["--appendfsync", "no", "--save", ""]);
    let mut client = server.client();
    // Several at once leave the arenas as they were.
    let purge = encode(&[b"MEMORY", b"PURGE"]).repeat(500);
    let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| client.send(&purge).expect("the server reads"));
    for client in &mut clients {
        (0..500).for_each(|_| assert_eq!(client.reply().expect("the server answers"), Value::ok()));
    }
    let value = "x".repeat(1000);
    let kept = |server: &Server| server.info("allocator_rss_bytes").parse::<i64>().expect("a number");
    let (before, after) = wait_for("pages that are still kept when nobody frees any more", || {
        run(&mut client, (0..60_000).map(|number| format!("SET key:{number} {value}")));
        assert_eq!(client.run("FLUSHALL SYNC"), Value::ok());
        allocated(&server, &mut client);
        // For ten seconds they are.
        let before = kept(&server);
        assert_eq!(client.run("MEMORY PURGE"), Value::ok());
        (before > 20 << 20).then(|| (before, kept(&server)))
    });
    assert!(after < before / 4, "{before} bytes were kept, {after} still are");
}
