//! The commands about clients' sessions, beside a real valkey-server: CLIENT KILL, PAUSE, REPLY and their kin.

use std::time::{Duration, Instant};

use crate::harness::tools::Valkey;
use crate::harness::{Client, Server, Value, wait_for};

/// Both servers, and a client of each.
struct Pair {
    valkey: Valkey,
    cairn: Server,
}

impl Pair {
    fn start() -> Self {
        Self { valkey: Valkey::start(&[]), cairn: Server::start(&[]) }
    }

    /// Runs the lines on a new connection of each; their replies are equal.
    fn agree(&self, lines: &[&str]) {
        let (mut theirs, mut ours) = (self.valkey.client(), self.cairn.client());
        for line in lines {
            assert_eq!(ours.run(line), theirs.run(line), "{line}");
        }
    }

    /// Sends all lines at once, and then `ECHO end`: everything up to that reply is equal.
    fn agree_at_once(&self, lines: &[&str]) -> Vec<Value> {
        let bytes = lines.iter().chain(&["ECHO end"]).flat_map(|line| format!("{line}\r\n").into_bytes());
        let bytes: Vec<u8> = bytes.collect();
        let replies = |mut client: Client| {
            client.send(&bytes).expect("a send");
            let mut replies = Vec::new();
            while replies.last() != Some(&Value::bulk("end")) {
                replies.push(client.reply().expect("a reply"));
            }
            replies
        };
        let (theirs, ours) = (replies(self.valkey.client()), replies(self.cairn.client()));
        assert_eq!(ours, theirs, "{lines:?}");
        ours
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list: a line for each command")]
fn client_commands_answer_as_valkey_does() {
    let pair = Pair::start();
    pair.agree(&[
        "CLIENT GETREDIR",
        "CLIENT TRACKINGINFO",
        "CLIENT NO-EVICT foo",
        "CLIENT NO-EVICT on",
        "CLIENT NO-TOUCH ON",
        "CLIENT KILL FLAGS eT SKIPME yes",
        "CLIENT NO-TOUCH off",
        "CLIENT NO-EVICT OFF",
        "CLIENT REPLY foo",
        "CLIENT REPLY on",
        "CLIENT PAUSE abc",
        "CLIENT PAUSE -1",
        "CLIENT PAUSE 10 foo",
        "CLIENT PAUSE 0 WRITE x",
        "CLIENT PAUSE 1 WRITE",
        "CLIENT UNPAUSE",
        "CLIENT UNPAUSE x",
        "MULTI",
        "CLIENT NO-TOUCH on",
        "CLIENT GETREDIR",
        "CLIENT PAUSE 0",
        "CLIENT KILL ID 9999",
        "EXEC",
        "MULTI",
        "CLIENT REPLY OFF",
        "EXEC",
        "RESET",
    ]);
    let filters = [
        "1.2.3.4:5",
        "ID",
        "ID 0",
        "ID abc",
        "ID 9999",
        "ID 9999 8888",
        "ID 9999 0",
        "ID 9999 TYPE foo",
        "TYPE normal SKIPME maybe",
        "TYPE",
        "TYPE x y z",
        "TYPE normal SKIPME yes",
        "TYPE master",
        "TYPE primary",
        "TYPE pubsub",
        "TYPE replica",
        "TYPE slave",
        "USER nobody",
        "USER default SKIPME yes",
        "MAXAGE 0",
        "MAXAGE abc",
        "MAXAGE -1",
        "MAXAGE 99999",
        "NAME foo",
        "IDLE -1",
        "IDLE 0",
        "IDLE x",
        "IDLE 10000",
        "FLAGS Z",
        "FLAGS T",
        "FLAGS NT",
        "FLAGS a",
        "LIB-NAME x",
        "LIB-VER x",
        "DB 99",
        "DB abc",
        "DB 5",
        "CAPA r",
        "CAPA q",
        "IP 1.2.3.4",
        "NOT-ID 4",
        "NOT-ID 0",
        "NOT-TYPE normal",
        "NOT-TYPE foo",
        "NOT-USER foo",
        "NOT-DB 0",
        "NOT-DB 77",
        "NOT-IP 127.0.0.1",
        "NOT-MAXAGE 3",
        "NOT-ADDR 1.2.3.4:5 ADDR 1.2.3.4:6",
        "FOO bar",
        "ID 9999 FOO",
        "SKIPME yes",
        "LADDR x SKIPME no",
        "SKIPME no NOT-FLAGS N",
    ];
    let count = |client: &mut Client| client.run("CLIENT LIST").text().lines().count();
    for filter in filters {
        // Each counts those that it kills: none of the connections of before may be on its way out.
        let (mut theirs, mut ours) = (pair.valkey.client(), pair.cairn.client());
        wait_for("lone clients", || (count(&mut theirs) + count(&mut ours) == 2).then_some(()));
        let kill = format!("CLIENT KILL {filter}");
        assert_eq!(ours.run(&kill), theirs.run(&kill), "{kill}");
        drop((theirs, ours));
        // What is shown of a client differs; whether one is shown does not.
        let list = format!("CLIENT LIST {filter}");
        let shown = |mut client: Client| match client.run(&list) {
            Value::Error(why) => Err(why),
            lines => Ok(lines.text().lines().count()),
        };
        // The connections of before may still be on their way out.
        wait_for(&list, || (shown(pair.cairn.client()) == shown(pair.valkey.client())).then_some(()));
    }
}

/// What is told of what a client is at. Outside of MULTI, how many commands are queued differs between versions.
fn at(line: &str) -> Vec<String> {
    let is_wanted = |field: &&str| {
        let (name, value) = field.split_once('=').unwrap_or_default();
        ["flags", "db", "watch", "cmd"].contains(&name) || name == "multi" && value.parse().is_ok_and(|n: i64| n > 0)
    };
    line.split_whitespace().filter(is_wanted).map(str::to_owned).collect()
}

#[test]
fn what_a_client_is_at_is_shown_to_others_and_inside_its_transactions() {
    let pair = Pair::start();
    let watched = |(mut client, mut other): (Client, Client)| {
        let Value::Integer(id) = client.run("CLIENT ID") else { panic!("no id") };
        let mut seen = Vec::new();
        for line in [
            "PING",
            "WATCH a b",
            "MULTI",
            "SET a 1",
            "CLIENT INFO",
            "SELECT 3",
            "CLIENT INFO",
            "EXEC",
            "CLIENT INFO",
            "MULTI",
            "CLIENT INFO",
            "EXEC",
            "MULTI",
            "GET",
            "EXEC",
            "MULTI",
            "NOSUCH",
            "DISCARD",
            "HSET a",
            "CLIENT NOSUCH",
            "GET a",
        ] {
            let own = match client.run(line) {
                Value::Array(replies) => {
                    replies.iter().filter(|reply| **reply != Value::ok()).map(Value::text).collect()
                }
                reply @ Value::Bulk(_) => vec![reply.text()],
                _ => Vec::new(),
            };
            let shown = at(&other.run(&format!("CLIENT LIST ID {id}")).text());
            seen.push((line, shown, own.iter().map(|line| at(line)).collect::<Vec<_>>()));
        }
        seen
    };
    let ours = watched((pair.cairn.client(), pair.cairn.client()));
    assert_eq!(ours, watched((pair.valkey.client(), pair.valkey.client())));
    assert_eq!(ours[4].1, ["flags=x", "db=0", "multi=2", "watch=2", "cmd=client|info"]);
}

#[test]
fn client_reply_says_what_is_answered() {
    let pair = Pair::start();
    let answered = pair.agree_at_once(&[
        "SET a 1",
        "CLIENT REPLY SKIP",
        "SET b 2",
        "GET b",
        "CLIENT REPLY OFF",
        "SET c 3",
        "GET c",
        "NOSUCH",
        "CLIENT REPLY SKIP",
        "INCR c",
        "CLIENT REPLY OFF",
        "MULTI",
        "GET a",
        "EXEC",
        "CLIENT REPLY ON",
        "MGET a b c",
    ]);
    assert_eq!(answered.len(), 5, "{answered:?}");
    pair.agree_at_once(&["CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "GET a", "GET b"]);
    pair.agree_at_once(&["CLIENT REPLY SKIP", "CLIENT REPLY ON", "GET a"]);
    pair.agree_at_once(&["CLIENT REPLY SKIP", "MULTI", "SET a 2", "CLIENT REPLY SKIP", "EXEC"]);
    pair.agree_at_once(&["CLIENT REPLY SKIP", "MULTI", "SET a 2", "EXEC"]);
    pair.agree_at_once(&["CLIENT REPLY OFF", "SET a 3", "RESET", "GET a"]);
    pair.agree_at_once(&[
        "CLIENT REPLY SKIP",
        "WAIT 0 0",
        "CLIENT REPLY foo",
        "CLIENT REPLY SKIP",
        "CONFIG GET maxclients",
        "GET a",
    ]);
}

#[test]
fn a_killed_client_is_gone_also_while_it_reads_nothing() {
    let server = Server::start(&[]);
    let mut killer = server.client();
    let (mut idle, mut busy) = (server.client(), server.client());
    for client in [&mut idle, &mut busy] {
        assert_eq!(client.run("CLIENT SETNAME victim"), Value::ok());
    }
    // More replies than the socket takes: the server waits for a reader that does not come.
    assert_eq!(killer.run(&format!("SET big {}", "x".repeat(1 << 20))), Value::ok());
    busy.send(&b"GET big\r\n".repeat(64)).expect("a send");
    assert_eq!(killer.run("CLIENT KILL NAME victim"), Value::Integer(2));
    assert!(idle.until_closed().expect("an end").is_empty());
    wait_for("the other to be gone", || (killer.run("CLIENT KILL NAME victim") == Value::Integer(0)).then_some(()));
    // Who kills itself is told so.
    assert_eq!(killer.run("CLIENT KILL TYPE normal SKIPME no"), Value::Integer(1));
    assert!(killer.until_closed().expect("an end").is_empty());
}

#[test]
fn a_pause_holds_writes_or_everything_for_its_time() {
    let server = Server::start(&[]);
    let (mut operator, mut client) = (server.client(), server.client());
    assert_eq!(operator.run("CLIENT PAUSE 60000 WRITE"), Value::ok());
    assert!(operator.run("INFO clients").text().contains("paused_actions:write"));
    // Its read is answered, its write is not, until the pause ends.
    client.send(b"GET k\r\nSET k v\r\nGET k\r\n").expect("a send");
    assert_eq!(client.reply().expect("a reply"), Value::Null);
    client.patience(Duration::from_millis(100));
    client.reply().expect_err("the write is held");
    client.patience(crate::harness::PATIENCE);
    assert_eq!(operator.run("CLIENT UNPAUSE"), Value::ok());
    assert_eq!(client.reply().expect("a reply"), Value::ok());
    assert_eq!(client.reply().expect("a reply"), Value::bulk("v"));
    // All commands: nobody can end it, it ends by itself.
    let start = Instant::now();
    assert_eq!(operator.run("CLIENT PAUSE 300"), Value::ok());
    assert_eq!(operator.run("CLIENT UNPAUSE"), Value::ok());
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(client.run("GET k"), Value::bulk("v"));
    // A client that is held can be killed when the operator is not held.
    assert_eq!(operator.run("CLIENT PAUSE 60000 WRITE"), Value::ok());
    client.send(b"SET k w\r\n").expect("a send");
    assert_eq!(operator.run("CLIENT KILL TYPE normal"), Value::Integer(1));
    assert!(client.until_closed().expect("an end").is_empty());
    assert_eq!(operator.run("CLIENT UNPAUSE"), Value::ok());
    assert_eq!(operator.run("GET k"), Value::bulk("v"));
}
