//! Bad input, bounds and refusals: each is told, and costs nobody else anything.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::server::{CAIRN, command, free_port};
use crate::harness::{Client, Directory, PATIENCE, Server, Value, wait_for, wire};

/// Sends bytes on a connection of their own; all that comes back until it is closed.
fn shout(server: &Server, bytes: &[u8]) -> String {
    let mut client = server.client();
    client.send(bytes).expect("a fresh connection takes some bytes");
    let heard = client.until_closed().expect("the server closes");
    String::from_utf8_lossy(&heard).into_owned()
}

#[test]
fn malformed_input_is_told_and_closed() {
    let server = Server::start(&[]);
    for (sent, told) in [
        ("*abc\r\n", "invalid multibulk length"),
        ("*1048577\r\n", "invalid multibulk length"),
        ("*99999999999999999999\r\n", "invalid multibulk length"),
        ("*1\r\n:5\r\n", "expected '$', got ':'"),
        ("*1\r\n$abc\r\n", "invalid bulk length"),
        ("*1\r\n$-5\r\n", "invalid bulk length"),
        ("*1\r\n$536870913\r\n", "invalid bulk length"),
        ("SET \"key\r\n", "unbalanced quotes in request"),
    ] {
        assert_eq!(shout(&server, sent.as_bytes()), format!("-ERR Protocol error: {told}\r\n"), "{sent:?}");
    }
    // What came before is done and answered first.
    let heard = shout(&server, b"SET before it\r\nGET before\r\n*x\r\n");
    assert_eq!(heard, "+OK\r\n$2\r\nit\r\n-ERR Protocol error: invalid multibulk length\r\n");
    // An inline command without an end.
    let heard = shout(&server, &[b'x'; 70 * 1024]);
    assert_eq!(heard, "-ERR Protocol error: too big inline request\r\n");
    // A line of a multibulk without an end.
    let endless = [b"*".as_slice(), &[b'1'; 70 * 1024]].concat();
    assert_eq!(shout(&server, &endless), "-ERR Protocol error: too big mbulk count string\r\n");
    assert_eq!(server.client().run("PING").text(), "PONG");
}

#[test]
fn empty_and_inline_commands_are_what_they_are_with_redis() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send(b"\r\n\n*0\r\n*-1\r\nPING\r\nping \"a b\"\nset k '\\'' \r\nget k\r\n").expect("a send");
    let replies: Vec<String> = (0..4).map(|_| client.reply().expect("a reply").text()).collect();
    assert_eq!(replies, ["PONG", "a b", "OK", "'"]);
}

#[test]
fn input_that_comes_in_single_bytes_is_whole_in_the_end() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let bytes = [wire::encode(&[b"SET", b"k", b"a\r\nb"]), wire::encode(&[b"GET", b"k"])].concat();
    for byte in bytes {
        client.send(&[byte]).expect("a send");
    }
    assert_eq!(client.reply().expect("a reply"), Value::ok());
    assert_eq!(client.reply().expect("a reply"), Value::bulk("a\r\nb"));
}

#[test]
fn an_argument_may_be_as_long_as_the_directive_says() {
    let server = Server::start(&["--proto-max-bulk-len", "2mb"]);
    let mut client = server.client();
    let longest = vec![b'v'; 2 * 1024 * 1024];
    assert_eq!(client.call(&[b"SET", b"k", &longest]), Value::ok());
    assert_eq!(client.call(&[b"GET", b"k"]), Value::Bulk(longest));
    let heard = shout(&server, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2097153\r\n");
    assert_eq!(heard, "-ERR Protocol error: invalid bulk length\r\n");
    // What a command makes is bounded by the shard's own limit, which every replica shares.
    assert!(client.run("SETRANGE k 536870912 x").is_error("ERR string exceeds maximum allowed size"));
}

#[test]
fn a_query_buffer_over_its_limit_closes_the_client_only() {
    let server = Server::start(&["--client-query-buffer-limit", "1mb"]);
    let mut other = server.client();
    let mut client = server.client();
    // 8 MB in pieces that are fine by themselves: one command that never ends.
    let _ = client.send(b"*9\r\n$3\r\nDEL\r\n");
    let piece = [b"$1000000\r\n".as_slice(), &[b'x'; 1_000_000], b"\r\n"].concat();
    let is_cut = (0..8).any(|_| client.send(&piece).is_err()) || client.until_closed().is_ok();
    assert!(is_cut);
    assert_eq!(other.run("PING").text(), "PONG");
}

#[test]
fn output_over_its_limit_closes_the_client_only() {
    let server = Server::start(&["--client-output-buffer-limit", "normal", "100kb", "0", "0"]);
    let mut other = server.client();
    let value = vec![b'v'; 90_000];
    assert_eq!(other.call(&[b"SET", b"k", &value]), Value::ok());
    assert_eq!(other.call(&[b"GET", b"k"]), Value::Bulk(value));
    // Two of them are more than is held for one client.
    let mut client = server.client();
    client.send(b"GET k\r\nGET k\r\n").expect("a send");
    assert!(client.until_closed().expect("the server closes").is_empty());
    assert_eq!(other.run("PING").text(), "PONG");
}

#[test]
fn more_clients_than_allowed_are_refused_and_places_come_back() {
    let server = Server::start(&["--maxclients", "5"]);
    let mut clients = wait_for("five places", || {
        let mut clients: Vec<Client> = (0..5).map(|_| server.client()).collect();
        clients
            .iter_mut()
            .all(|client| client.try_call(&[b"PING"]).is_ok_and(|reply| reply.text() == "PONG"))
            .then_some(clients)
    });
    let heard = server.client().until_closed().expect("the server closes");
    assert_eq!(String::from_utf8_lossy(&heard), "-ERR max number of clients reached\r\n");
    assert_eq!(clients[0].run("PING").text(), "PONG");
    clients.pop();
    wait_for("a free place", || {
        let reply = server.client().try_call(&[b"PING"]);
        reply.is_ok_and(|reply| reply.text() == "PONG").then_some(())
    });
}

#[test]
fn an_idle_client_is_closed_after_its_time() {
    let server = Server::start(&["--timeout", "1"]);
    let mut idle = server.client();
    assert_eq!(idle.run("PING").text(), "PONG");
    let start = Instant::now();
    assert!(idle.until_closed().expect("the server closes").is_empty());
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(900), "closed after {waited:?}");
}

#[test]
fn who_has_not_authenticated_may_hold_little() {
    let server = Server::start_with_password("secret", &[]);
    let mut client = server.client();
    assert!(client.run("GET k").is_error("NOAUTH Authentication required."));
    assert!(client.run("NOSUCH").is_error("NOAUTH") || client.run("NOSUCH").is_error("ERR unknown command"));
    assert_eq!(shout(&server, b"*11\r\n"), "-ERR Protocol error: unauthenticated multibulk length\r\n");
    assert_eq!(
        shout(&server, b"*2\r\n$3\r\nGET\r\n$16385\r\n"),
        "-ERR Protocol error: unauthenticated bulk length\r\n"
    );
    assert!(client.run("AUTH wrong").is_error("WRONGPASS"));
    assert!(client.run("AUTH default wrong").is_error("WRONGPASS"));
    assert!(client.run("HELLO 3").is_error("NOAUTH"));
    assert_eq!(client.run("AUTH secret"), Value::ok());
    assert_eq!(client.call(&[b"SET", b"k", &[b'v'; 20_000]]), Value::ok());
    assert!(matches!(server.client().run("HELLO 3 AUTH default secret"), Value::Map(_)));
}

#[test]
fn strangers_cannot_make_the_server_hold_much() {
    let server = Server::start_with_password("secret", &[]);
    let resident = || resident_kib(&server);
    let before = resident();
    // 200 strangers, each with as much as it may send.
    let mut strangers: Vec<Client> = (0..200).map(|_| server.client()).collect();
    for stranger in &mut strangers {
        let mut bytes = b"*10\r\n".to_vec();
        for _ in 0..9 {
            bytes.extend_from_slice(b"$16384\r\n");
            bytes.extend_from_slice(&[b'x'; 16_384]);
            bytes.extend_from_slice(b"\r\n");
        }
        // What the server does not take stays with us.
        stranger.patience(Duration::from_millis(100));
        let _ = stranger.send(&bytes);
    }
    let mut known = server.client();
    assert_eq!(known.run("AUTH secret"), Value::ok());
    let held = resident().saturating_sub(before);
    assert!(held < 200 * 80, "200 strangers make it hold {held} KiB");
}

/// Resident memory of a server, in KiB.
fn resident_kib(server: &Server) -> u64 {
    let mut client = server.client();
    assert_eq!(client.run("AUTH secret"), Value::ok());
    let text = client.run("INFO memory").text();
    let field = text.lines().find_map(|line| line.strip_prefix("used_memory_rss:"));
    field.and_then(|bytes| bytes.parse::<u64>().ok()).expect("INFO has used_memory_rss") / 1024
}

/// Runs a server that is expected not to start; what it says.
fn refused(port: u16, directory: &Directory, arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let output = command(CAIRN, port, directory, &arguments).output().expect("the server's binary");
    assert!(!output.status.success(), "it should not start with {arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_taken_port_is_named() {
    let server = Server::start(&[]);
    let said = refused(server.port, &Directory::new(), &[]);
    assert!(said.contains(&format!("127.0.0.1:{}", server.port)) && said.contains("taken"), "{said}");
}

#[test]
fn a_directory_has_one_server() {
    let server = Server::start(&[]);
    let said = refused(free_port(), server.directory(), &[]);
    let data = server.directory().join("data").display().to_string();
    assert!(said.contains(&data) && said.contains("another process holds"), "{said}");
    assert_eq!(server.client().run("PING").text(), "PONG");
}

#[test]
fn a_directory_that_cannot_be_is_named() {
    let directory = Directory::new();
    fs::write(directory.join("data"), "a file").expect("the test's directory is writable");
    let said = refused(free_port(), &directory, &[]);
    assert!(said.contains(&directory.join("data").display().to_string()), "{said}");
}

#[test]
fn configuration_errors_name_the_place() {
    let directory = Directory::new();
    let file = directory.join("wrong.conf");
    let path = file.display().to_string();
    for (text, line, told) in [
        ("# fine\nmaxclients many\n", 2, "maxclients"),
        ("nosuchdirective 1\n", 1, "nosuchdirective"),
        ("\n\n\nport 99999\n", 4, "port"),
        ("appendfsync sometimes\n", 1, "appendfsync"),
        ("timeout\n", 1, "timeout"),
        ("requirepass \"open\n", 1, "requirepass"),
    ] {
        fs::write(&file, text).expect("the test's directory is writable");
        let said = start_refused_by(&path);
        assert!(said.contains(&path), "{said}");
        assert!(said.contains(&format!("{path}:{line}")) || said.contains(&format!("line {line}")), "{text:?}: {said}");
        assert!(said.contains(told), "{text:?}: {said}");
    }
    let said = refused(free_port(), &directory, &["--maxclients", "many"]);
    assert!(said.contains("maxclients"), "{said}");
    let said = refused(free_port(), &directory, &["--nosuchdirective", "1"]);
    assert!(said.contains("nosuchdirective"), "{said}");
    let said = refused(free_port(), &directory, &["--initial-members", "127.0.0.1:1", "127.0.0.1:2"]);
    assert!(said.contains("initial-members"), "{said}");
}

/// Runs a server with a file of configuration alone.
fn start_refused_by(file: &str) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_cairn-server")).arg(file).output();
    let output = output.expect("the server's binary");
    assert!(!output.status.success(), "it should not start");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn config_set_is_all_or_nothing_and_says_why() {
    let server = Server::start(&[]);
    let mut client = server.client();
    assert_eq!(client.run("CONFIG SET maxclients 77 timeout 30"), Value::ok());
    assert_eq!(client.run("CONFIG GET maxclients").elements()[1].text(), "77");
    let refused = client.run("CONFIG SET timeout 10 maxclients none");
    assert!(refused.is_error("ERR CONFIG SET failed (possibly related to argument 'maxclients')"), "{refused:?}");
    assert_eq!(client.run("CONFIG GET timeout").elements()[1].text(), "30");
    assert!(
        client
            .run("CONFIG SET nosuch 1")
            .is_error("ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'")
    );
    assert!(
        client
            .run("CONFIG SET port 1")
            .is_error("ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config")
    );
    assert!(client.run("CONFIG GET nosuch*").elements().is_empty());
}

#[test]
fn debug_is_off_unless_it_is_allowed() {
    let server = Server::start(&[]);
    assert!(server.client().run("DEBUG SLEEP 0").is_error("ERR DEBUG command not allowed."));
    let server = Server::start(&["--enable-debug-command", "yes"]);
    assert_eq!(server.client().run("DEBUG SLEEP 0"), Value::ok());
}

#[test]
fn a_transaction_may_sleep() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut client = server.client();
    // Commands about data may be written, be only read, or not be there.
    for others in [&["SET k v", "GET k"][..], &["GET k"], &[]] {
        client.run("MULTI");
        for line in others.iter().chain(&["DEBUG SLEEP 0.2", "PING", "DEBUG SLEEP 0.2"]) {
            assert_eq!(client.run(line), Value::Simple("QUEUED".into()));
        }
        let begun = Instant::now();
        let replies = client.run("EXEC");
        assert!(begun.elapsed() >= Duration::from_millis(400), "{others:?} took {:?}", begun.elapsed());
        let last = [Value::ok(), Value::Simple("PONG".into()), Value::ok()];
        assert_eq!(replies.elements()[others.len()..], last);
    }
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    let server = Server::start(&[]);
    let mut writer = server.client();
    assert_eq!(writer.call(&[b"SET", b"big", &vec![b'x'; 1024 * 1024]]), Value::ok());
    let mut deaf = TcpStream::connect(wire::local(server.port)).expect("the server listens");
    deaf.set_write_timeout(Some(PATIENCE)).expect("a positive time");
    deaf.write_all(&wire::encode(&[b"GET", b"big"]).repeat(200)).expect("small commands fit");
    assert_eq!(writer.run("SET small value"), Value::ok());
    assert_eq!(writer.run("GET small").text(), "value");
    let mut start = [0; 10];
    deaf.read_exact(&mut start).expect("replies wait for us");
    assert_eq!(&start, b"$1048576\r\n");
}
