//! redis-rs, with both protocols. What it expects is first asked of a real valkey-server, then of Cairn.

use std::collections::{BTreeMap, BTreeSet};

use redis::{Commands, Connection, ErrorKind, RedisResult, ServerErrorKind, Value as Typed};

use crate::harness::tools::Valkey;
use crate::harness::trio::Trio;
use crate::harness::{PATIENCE, Server};

const PROTOCOLS: [&str; 2] = ["resp2", "resp3"];

fn connect(port: u16, login: &str, database: usize, protocol: &str) -> RedisResult<Connection> {
    let client = redis::Client::open(format!("redis://{login}127.0.0.1:{port}/{database}?protocol={protocol}"))?;
    client.get_connection_with_timeout(PATIENCE)
}

/// Runs `check` with each protocol, against a real valkey-server and against Cairn.
fn with_both(check: impl Fn(u16, &str) -> RedisResult<()>) {
    let (valkey, cairn) = (Valkey::start(&[]), Server::start(&[]));
    for protocol in PROTOCOLS {
        check(valkey.port, protocol).unwrap_or_else(|error| panic!("valkey, {protocol}: {error}"));
        check(cairn.port, protocol).unwrap_or_else(|error| panic!("Cairn, {protocol}: {error}"));
    }
}

#[test]
fn pipelines_and_transactions_answer_in_order() {
    with_both(|port, protocol| {
        let mut connection = connect(port, "", 0, protocol)?;
        redis::cmd("FLUSHALL").exec(&mut connection)?;
        let mut pipeline = redis::pipe();
        for number in 0..1000 {
            pipeline.set(format!("key-{number}"), number).ignore();
            pipeline.get(format!("key-{number}"));
        }
        let values: Vec<i64> = pipeline.query(&mut connection)?;
        assert!(values.into_iter().eq(0..1000));

        let (counter, list, length): (i64, Vec<String>, usize) = redis::pipe()
            .atomic()
            .set("counter", 41)
            .ignore()
            .incr("counter", 1)
            .rpush("list", &["a", "b"])
            .ignore()
            .lrange("list", 0, -1)
            .strlen("counter")
            .query(&mut connection)?;
        assert_eq!((counter, list, length), (42, vec!["a".to_owned(), "b".to_owned()], 2));

        // An error inside of EXEC is one element of its reply; what stands beside it has happened.
        let refused: RedisResult<()> =
            redis::pipe().atomic().set("beside", 1).incr("list", 1).set("behind", 2).query(&mut connection);
        let refused = refused.expect_err("INCR of a list");
        assert!(refused.to_string().contains("Operation against a key holding the wrong kind of value"), "{refused}");
        assert_eq!(connection.mget::<_, Vec<i64>>(&["beside", "behind"])?, [1, 2]);
        Ok(())
    });
}

#[test]
fn transactions_that_watch_lose_no_increment() {
    const THREADS: usize = 4;
    const INCREMENTS: usize = 25;
    with_both(|port, protocol| {
        let mut connection = connect(port, "", 3, protocol)?;
        connection.set::<_, _, ()>("counter", 0)?;
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut connection = connect(port, "", 3, protocol).expect("a connection");
                    for _ in 0..INCREMENTS {
                        let added: RedisResult<()> = redis::transaction(&mut connection, &["counter"], |con, pipe| {
                            let value: usize = con.get("counter")?;
                            pipe.set("counter", value + 1).query(con)
                        });
                        added.expect("a transaction");
                    }
                });
            }
        });
        assert_eq!(connection.get::<_, usize>("counter")?, THREADS * INCREMENTS);
        Ok(())
    });
}

#[test]
fn replies_have_the_types_of_their_protocol() {
    with_both(|port, protocol| {
        let mut connection = connect(port, "", 0, protocol)?;
        redis::cmd("FLUSHALL").exec(&mut connection)?;
        let is_new = protocol == "resp3";
        connection.hset_multiple::<_, _, _, ()>("hash", &[("one", 1), ("two", 2)])?;
        connection.sadd::<_, _, ()>("set", &["a", "b", "c"])?;
        connection.zadd_multiple::<_, _, _, ()>("zset", &[(0.5, "half"), (f64::INFINITY, "all")])?;
        connection.set_ex::<_, _, ()>("text", "some", 1000)?;

        let mut ask = |words: &[&str]| {
            let mut command = redis::cmd(words[0]);
            command.arg(&words[1..]).query::<Typed>(&mut connection)
        };
        let hash = ask(&["HGETALL", "hash"])?;
        assert_eq!(matches!(hash, Typed::Map(_)), is_new, "{hash:?}");
        let set = ask(&["SMEMBERS", "set"])?;
        assert_eq!(matches!(set, Typed::Set(_)), is_new, "{set:?}");
        let score = ask(&["ZSCORE", "zset", "half"])?;
        assert_eq!(score, if is_new { Typed::Double(0.5) } else { Typed::BulkString(b"0.5".to_vec()) });
        let info = ask(&["INFO", "server"])?;
        assert_eq!(matches!(info, Typed::VerbatimString { .. }), is_new, "{info:?}");
        assert_eq!(ask(&["GET", "nothing"])?, Typed::Nil);
        assert_eq!(ask(&["SET", "text", "other", "NX"])?, Typed::Nil);
        assert_eq!(ask(&["SET", "text", "other", "KEEPTTL"])?, Typed::Okay);
        assert_eq!(ask(&["PING"])?, Typed::SimpleString("PONG".into()));

        // Whatever the protocol, the same value of Rust.
        let hash: BTreeMap<String, i64> = connection.hgetall("hash")?;
        assert_eq!(hash, BTreeMap::from([("one".into(), 1), ("two".into(), 2)]));
        let set: BTreeSet<String> = connection.smembers("set")?;
        assert_eq!(set, BTreeSet::from(["a".into(), "b".into(), "c".into()]));
        let scores: Vec<(String, f64)> = connection.zrange_withscores("zset", 0, -1)?;
        assert_eq!(scores, [("half".into(), 0.5), ("all".into(), f64::INFINITY)]);
        assert_eq!(connection.zrank::<_, _, Option<usize>>("zset", "none")?, None);
        assert!(connection.sismember::<_, _, bool>("set", "a")? && !connection.exists::<_, bool>("nothing")?);
        assert_eq!(connection.get::<_, String>("text")?, "other");
        assert!((1..=1000).contains(&connection.ttl::<_, i64>("text")?));
        let settings: BTreeMap<String, String> = redis::cmd("CONFIG").arg("GET").arg("maxc*").query(&mut connection)?;
        assert!(settings.contains_key("maxclients"), "{settings:?}");
        let keys: RedisResult<BTreeSet<String>> = connection.scan()?.collect();
        assert_eq!(keys?, ["hash", "set", "text", "zset"].map(String::from).into());
        let fields: RedisResult<BTreeMap<String, i64>> = connection.hscan("hash")?.collect();
        assert_eq!(fields?.len(), 2);
        Ok(())
    });
}

#[test]
fn errors_have_their_kinds() {
    with_both(|port, protocol| {
        let mut connection = connect(port, "", 0, protocol)?;
        connection.set::<_, _, ()>("text", "a")?;
        let error = connection.incr::<_, _, i64>("text", 1).expect_err("not a number");
        assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::ResponseError));
        assert_eq!(error.detail(), Some("value is not an integer or out of range"));
        let error = connection.lpush::<_, _, i64>("text", 1).expect_err("not a list");
        assert_eq!(error.code(), Some("WRONGTYPE"));
        let error = connect(port, "", 99, protocol).err().expect("there is no database 99");
        assert_eq!(error.detail(), Some("DB index is out of range"));
        let error = redis::pipe().atomic().cmd("NOSUCH").exec(&mut connection).expect_err("an unknown command");
        assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::ExecAbort), "{error}");
        assert_eq!(connection.get::<_, String>("text")?, "a");
        Ok(())
    });
}

#[test]
fn it_logs_in_and_is_told_who_follows() {
    let server = Server::start_with_password("sesame", &[]);
    for protocol in PROTOCOLS {
        assert!(connect(server.port, "", 0, protocol).and_then(|mut con| con.get::<_, Typed>("k")).is_err());
        let error = connect(server.port, ":wrong@", 0, protocol).err().expect("a wrong password");
        // With RESP3 it logs in by HELLO, with RESP2 by AUTH.
        assert_eq!(error.code() == Some("WRONGPASS"), protocol == "resp3", "{error}");
        assert_eq!(error.kind() == ErrorKind::AuthenticationFailed, protocol == "resp2", "{error}");
        for login in [":sesame@", "default:sesame@"] {
            let mut connection = connect(server.port, login, 5, protocol).expect("a login");
            assert_eq!(connection.set("k", "v"), Ok(()));
        }
    }
    let trio = Trio::start(&[]);
    let follower = trio.others(trio.leader())[0];
    let mut connection = connect(trio.nodes[follower].port, "", 0, "resp3").expect("a connection");
    let error = connection.set::<_, _, ()>("k", "v").expect_err("a write on a follower");
    assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly));
}
