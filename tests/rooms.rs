//! What needs another host or a small disk: protected mode, and a disk that fills up.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::room::Room;
use crate::harness::server::{CAIRN, Process, answers, command, free_port};
use crate::harness::tools::python;
use crate::harness::{Client, Directory, Value, wait_for};

/// An address of the kind for documentation, which no other machine has.
const ELSEWHERE: &str = "192.0.2.1";

/// So many keys are on the disk before it fills up.
const KEYS: u32 = 500;

/// Connects, sends nothing, and prints what comes until the connection is closed.
const KNOCK: &str = "import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60) as peer:
    while data := peer.recv(65536):
        sys.stdout.buffer.write(data)";

/// As [`KNOCK`], but asks for PING and for the end of the connection.
const PING: &str = "import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60) as peer:
    peer.sendall(b'PING\\r\\nQUIT\\r\\n')
    while data := peer.recv(65536):
        sys.stdout.buffer.write(data)";

fn talk(room: &Room, script: &str, host: &str, port: u16) -> Option<String> {
    let mut command = room.command(python());
    command.args(["-c", script, host, &port.to_string()]).stdin(Stdio::null());
    let output = command.output().expect("a Python that starts");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn protected_mode_answers_other_hosts_as_redis_does() {
    let room = Room::with_network(&format!("ip link set lo up\nip address add {ELSEWHERE}/32 dev lo"));
    let directory = Directory::new();
    let arguments = ["--bind", "0.0.0.0"].map(String::from);
    let start = |call: &Command, name: &str, port: u16| {
        let mut process = Process::start(room.call(call), &directory.join(name));
        wait_for("a server in a room", || {
            assert!(process.ended().is_none(), "{name} ended:\n{}", process.output());
            talk(&room, PING, "127.0.0.1", port).filter(|said| said.starts_with("+PONG"))
        });
        process
    };
    let (redis_port, cairn_port, open_port) = (free_port(), free_port(), free_port());
    let mut redis = Command::new("redis-server");
    redis.args(["--port", &redis_port.to_string(), "--bind", "0.0.0.0", "--save", ""]);
    let _redis = start(&redis, "redis", redis_port);
    let _cairn = start(&command(CAIRN, cairn_port, &directory, &arguments), "cairn", cairn_port);

    let expected = talk(&room, KNOCK, ELSEWHERE, redis_port).expect("Redis's answer");
    assert!(expected.starts_with("-DENIED Redis is running in protected mode"), "{expected}");
    assert_eq!(talk(&room, KNOCK, ELSEWHERE, cairn_port).as_deref(), Some(expected.as_str()));

    let open = Directory::new();
    let arguments = ["--bind", "0.0.0.0", "--protected-mode", "no"].map(String::from);
    let _open = start(&command(CAIRN, open_port, &open, &arguments), "open", open_port);
    assert_eq!(talk(&room, PING, ELSEWHERE, open_port).as_deref(), Some("+PONG\r\n+OK\r\n"));
}

/// Writes a file of so many bytes, or as many as there is room for.
fn fill(path: &Path, bytes: u64) {
    let chunk = vec![0; 1 << 20];
    let mut file = fs::File::create(path).expect("a file");
    for _ in 0..bytes >> 20 {
        // The last piece of a full disk is written in part.
        if std::io::Write::write_all(&mut file, &chunk).is_err() {
            break;
        }
    }
}

fn free_bytes(path: &Path) -> u64 {
    let stat = rustix::fs::statvfs(path).expect("a file system");
    stat.f_bavail * stat.f_frsize
}

#[test]
fn a_full_disk_refuses_what_adds_data_then_ends_the_server_and_loses_nothing() {
    let directory = Directory::new();
    let disk = directory.join("data");
    fs::create_dir(&disk).expect("a directory");
    let room = Room::with_mounts(&format!("mount -t tmpfs -o size=160m tmpfs '{}'", disk.display()));
    let filler = room.path(&disk.join("filler"));
    let port = free_port();
    let start = || {
        let call = room.call(&command(CAIRN, port, &directory, &[]));
        let mut process = Process::start(call, &directory.join("log"));
        wait_for("a server on a small disk", || {
            assert!(process.ended().is_none(), "it ended:\n{}", process.output());
            answers(port).then_some(())
        });
        process
    };
    let mut process = start();
    let mut client = Client::connect(port);
    for number in 0..KEYS {
        assert_eq!(client.run(&format!("SET key-{number} value")), Value::ok());
    }

    // Below the reserve: refused is what adds data, before it is proposed.
    fill(&filler, free_bytes(&room.path(&disk)) - (32 << 20));
    wait_for("a refusal", || client.run("SET early 1").is_error("MISCONF ").then_some(()));
    for refused in ["INCR refused", "LPUSH refused a", "APPEND key-1 more", "HSET refused f v"] {
        assert!(client.run(refused).is_error("MISCONF "), "{refused}");
    }
    assert_eq!(client.run("MULTI"), Value::ok());
    assert!(client.run("SET refused 1").is_error("MISCONF "));
    assert!(client.run("EXEC").is_error("EXECABORT "));
    assert_eq!(client.run("GET key-1").text(), "value");
    assert_eq!(client.run("DEL key-0"), Value::Integer(1));
    assert_eq!(client.run("EXPIRE key-1 5000"), Value::Integer(1));
    assert_eq!(client.run("EXISTS refused key-0"), Value::Integer(0));
    fs::remove_file(&filler).expect("the filler");
    wait_for("room again", || (client.run("SET again 1") == Value::ok()).then_some(()));

    // Full to the last byte: the first thing that the log cannot write is the end, with a reason.
    fill(&filler, u64::MAX);
    let mut deleted = 1;
    while let Ok(reply) = client.try_call(&[b"DEL", format!("key-{deleted}").as_bytes()]) {
        match reply {
            Value::Integer(1) if deleted + 1 < KEYS => deleted += 1,
            Value::Integer(_) => (),
            // This one's fate is not known.
            reply => {
                assert!(reply.is_error("UNCERTAIN "), "{reply:?}");
                break;
            }
        }
    }
    assert!(!process.end().success());
    let said = process.output();
    // Other threads may have a line of their own to say after it.
    let is_reason =
        |line: &str| line.starts_with("cairn-server: the log in ") && line.contains("No space left on device");
    assert!(said.lines().any(is_reason), "{said}");

    // With room again it starts, and has everything.
    fs::remove_file(&filler).expect("the filler");
    let _process = start();
    let mut client = Client::connect(port);
    for number in 1..KEYS {
        let found = client.run(&format!("EXISTS key-{number}"));
        // The one after the last that was answered may or may not be there.
        assert!(number == deleted || found == Value::Integer(i64::from(number > deleted)), "key-{number}: {found:?}");
    }
    assert_eq!(client.run("GET again").text(), "1");
}
