//! MIGRATE between one server and another: what it moves, what it leaves, and what it answers, as valkey-server does.

use crate::harness::server::free_port;
use crate::harness::tools::Valkey;
use crate::harness::{Client, Server, Value};

/// A line, whose words are between single blanks; two quotes stand for the empty word.
fn call(client: &mut Client, line: &str) -> Value {
    let words: Vec<&[u8]> = line.split(' ').map(|word| if word == "''" { &b""[..] } else { word.as_bytes() }).collect();
    client.call(&words)
}

const KEYS: [&str; 4] = ["text", "list", "hash", "lasting"];

fn fill(client: &mut Client) {
    for line in ["SET text some", "RPUSH list a b c", "HSET hash f 1 g 2", "SET lasting 1 PX 100000"] {
        assert!(!call(client, line).is_error(""), "{line}");
    }
}

fn show(client: &mut Client) -> Vec<Value> {
    let ttl = call(client, "PTTL lasting");
    assert!(
        matches!(ttl, Value::Integer(ms) if (50_000..=100_000).contains(&ms)) || ttl == Value::Integer(-2),
        "{ttl:?}"
    );
    ["GET text", "LRANGE list 0 -1", "HGETALL hash", "GET lasting", "TTL text"].map(|line| call(client, line)).to_vec()
}

#[test]
fn keys_go_to_a_real_server_and_come_back() {
    let (valkey, cairn) = (Valkey::start(&[]), Server::start(&[]));
    let (mut there, mut here) = (valkey.client(), cairn.client());
    fill(&mut here);
    let before = show(&mut here);
    let all = |port: u16| format!("MIGRATE 127.0.0.1 {port} '' 0 5000 KEYS nobody {}", KEYS.join(" "));
    assert_eq!(call(&mut here, &all(valkey.port)), Value::ok());
    assert_eq!(show(&mut there), before);
    assert_eq!(call(&mut here, "DBSIZE"), Value::Integer(0));
    assert_eq!(call(&mut there, &all(cairn.port)), Value::ok());
    assert_eq!(show(&mut here), before);
}

/// More keys than go at once, some of them large, of another database into another.
#[test]
fn many_keys_move() {
    let (left, right) = (Server::start(&[]), Server::start(&[]));
    let (mut from, mut to) = (left.client(), right.client());
    assert_eq!(call(&mut from, "SELECT 3"), Value::ok());
    let names: Vec<String> = (0..300).map(|number| format!("k{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        let value = "v".repeat(if number % 50 == 0 { 200_000 } else { number });
        assert_eq!(from.call(&[b"SET", name.as_bytes(), value.as_bytes()]), Value::ok());
    }
    let line = format!("MIGRATE 127.0.0.1 {} '' 5 5000 KEYS {}", right.port, names.join(" "));
    assert_eq!(call(&mut from, &line), Value::ok());
    assert_eq!((call(&mut from, "DBSIZE"), call(&mut to, "DBSIZE")), (Value::Integer(0), Value::Integer(0)));
    assert_eq!(call(&mut to, "SELECT 5"), Value::ok());
    assert_eq!(call(&mut to, "DBSIZE"), Value::Integer(300));
    assert_eq!(call(&mut to, "STRLEN k50"), Value::Integer(200_000));
    assert_eq!(call(&mut to, "STRLEN k299"), Value::Integer(299));
}

/// The same lines to valkey-server and to Cairn, each in front of a target of its own: the same answers, and the same keys where they belong.
#[test]
fn it_answers_as_valkey_does() {
    let (valkey, cairn) = (Valkey::start(&[]), Server::start(&[]));
    let targets = [(); 2].map(|()| Server::start_with_password("secret", &[]));
    let open = targets.each_ref().map(|_| Server::start(&[]));
    let nobody = free_port();
    let mut sources = [valkey.client(), cairn.client()];
    let lines = [
        "MIGRATE 127.0.0.1 OPEN nobody 0 1000",
        "MIGRATE 127.0.0.1 OPEN '' 0 1000 KEYS",
        "MIGRATE 127.0.0.1 OPEN text 0 1000 KEYS list",
        "MIGRATE 127.0.0.1 OPEN text 0 1000 SOMEHOW",
        "MIGRATE 127.0.0.1 OPEN text zero 1000",
        "MIGRATE 127.0.0.1 OPEN text 0 soon",
        "MIGRATE 127.0.0.1 OPEN text zero soon",
        "MIGRATE 127.0.0.1 OPEN text 0 1000 AUTH",
        "MIGRATE 127.0.0.1 OPEN text 0 1000 AUTH2 only",
        "MIGRATE 127.0.0.1 OPEN text 0",
        "MIGRATE 127.0.0.1 NOBODY text 0 1000",
        "MIGRATE 127.0.0.1 NOBODY nobody 0 1000",
        "MIGRATE 127.0.0.1 SHUT text 0 1000",
        "MIGRATE 127.0.0.1 SHUT text 0 1000 AUTH wrong",
        "EXISTS text list",
        "MIGRATE 127.0.0.1 SHUT text 0 1000 COPY AUTH secret",
        "MIGRATE 127.0.0.1 SHUT text 0 1000 COPY AUTH2 default secret",
        "MIGRATE 127.0.0.1 SHUT text 0 -1 REPLACE COPY AUTH2 default secret",
        "MIGRATE 127.0.0.1 OPEN text 0 1000 COPY",
        "EXISTS text",
        "MIGRATE 127.0.0.1 OPEN '' 0 1000 KEYS list text hash",
        "EXISTS list text hash",
        "MIGRATE 127.0.0.1 OPEN text 0 0 replace",
        "EXISTS text",
        "MIGRATE 127.0.0.1 OPEN '' 0 1000",
        "SET '' empty",
        "MIGRATE 127.0.0.1 OPEN '' 0 1000",
        "EXISTS ''",
        "COMMAND GETKEYS MIGRATE h 1 '' 0 1 COPY AUTH KEYS KEYS a b",
        "COMMAND GETKEYS MIGRATE h 1 k 0 1 COPY",
        "COMMAND GETKEYS MIGRATE h 1 k 0 1 KEYS a",
    ];
    for source in &mut sources {
        fill(source);
    }
    for line in lines {
        let answers = [0, 1].map(|at| {
            let ports = [("OPEN", open[at].port), ("SHUT", targets[at].port), ("NOBODY", nobody)];
            let line = ports.iter().fold(line.to_owned(), |line, (name, port)| line.replace(name, &port.to_string()));
            call(&mut sources[at], &line)
        });
        assert_eq!(answers[1], answers[0], "{line}");
    }
    let shown = open.each_ref().map(|target| {
        let mut client = target.client();
        ["GET text", "LRANGE list 0 -1", "HGETALL hash", "DBSIZE"].map(|line| call(&mut client, line))
    });
    assert_eq!(shown[1], shown[0]);
}
