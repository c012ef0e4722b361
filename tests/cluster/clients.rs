//! Cluster clients that others wrote.

use std::process::{Command, Stdio};

use redis::Commands;
use redis::cluster::{ClusterClient, ClusterConnection, cluster_pipe};
use redis::cluster_read_routing::RandomReplicaStrategy;

use crate::harness::nodes::{Nodes, address};
use crate::harness::tools::{redis_cli, run_python};

#[test]
fn real_clients() {
    let nodes = Nodes::create(6, 1);
    redis_cli_follows(&nodes);
    redis_py(&nodes);
    redis_rs(&nodes);
    redis_benchmark(&nodes);
}

/// `redis-cli -c`, from a node that is not the right one.
fn redis_cli_follows(nodes: &Nodes) {
    for at in [0, 5] {
        let said = redis_cli(
            nodes.list[at].port,
            &["-c"],
            "SET foo bar\nGET foo\nSET hello world\nGET hello\nDEL foo\nDEL hello\n",
        );
        let answers: Vec<&str> = said.lines().filter(|line| !line.starts_with("-> ")).collect();
        assert_eq!(answers, ["OK", "\"bar\"", "OK", "\"world\"", "(integer) 1", "(integer) 1"], "{said}");
    }
}

fn redis_py(nodes: &Nodes) {
    for kind in ["sync", "asyncio"] {
        for protocol in ["2", "3"] {
            run_python("cluster.py", nodes.list[4].port, &[protocol, kind]);
        }
    }
}

fn redis_rs(nodes: &Nodes) {
    for protocol in ["resp2", "resp3"] {
        for reads_from_replicas in [false, true] {
            use_redis_rs(nodes, protocol, reads_from_replicas)
                .unwrap_or_else(|error| panic!("redis-rs, {protocol}: {error}"));
        }
    }
}

fn use_redis_rs(nodes: &Nodes, protocol: &str, reads_from_replicas: bool) -> redis::RedisResult<()> {
    let urls: Vec<String> =
        nodes.list.iter().take(2).map(|node| format!("redis://{}/?protocol={protocol}", address(node.port))).collect();
    let mut builder = ClusterClient::builder(urls);
    if reads_from_replicas {
        builder = builder.read_routing_strategy(RandomReplicaStrategy);
    }
    let mut connection = builder.build()?.get_connection()?;
    for number in 0..50 {
        let key = format!("rs-{protocol}-{number}");
        connection.set::<_, _, ()>(&key, number)?;
        assert_eq!(value_of(&mut connection, &key, number)?, Some(number));
    }
    let mut pipeline = cluster_pipe();
    for number in 0..50 {
        pipeline.get(format!("rs-{protocol}-{number}"));
    }
    if !reads_from_replicas {
        let values: Vec<usize> = pipeline.query(&mut connection)?;
        assert!(values.into_iter().eq(0..50));
    }
    let (one, two): (usize, usize) = cluster_pipe().incr("{rs}one", 1).incr("{rs}two", 2).query(&mut connection)?;
    assert_eq!((one, two), (1, 2));
    connection.del::<_, ()>(&["{rs}one", "{rs}two"])?;
    assert!(connection.check_connection());
    Ok(())
}

/// What the cluster has for a key; a replica that is a moment behind is asked again.
fn value_of(connection: &mut ClusterConnection, key: &str, expected: usize) -> redis::RedisResult<Option<usize>> {
    let mut value = None;
    for _ in 0..1000 {
        value = connection.get(key)?;
        if value == Some(expected) {
            break;
        }
    }
    Ok(value)
}

/// `redis-benchmark --cluster` finds all masters and ends; every key that it sets is there.
fn redis_benchmark(nodes: &Nodes) {
    let port = nodes.list[3].port.to_string();
    let mut command = Command::new("timeout");
    command.args([
        "60",
        "redis-benchmark",
        "-p",
        &port,
        "--cluster",
        "-t",
        "set,get",
        "-n",
        "3000",
        "-c",
        "12",
        "-P",
        "4",
    ]);
    command.args(["-r", "100", "--csv", "--threads", "2"]).stdin(Stdio::null());
    let output = command.output().expect("redis-benchmark, of redis-tools");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("\"SET\",") && said.contains("\"GET\","), "{said}");
}
