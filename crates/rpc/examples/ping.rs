//! What one request and its answer cost in CPU time: two nodes in this process, each with a thread of its own,
//! talk over 127.0.0.1. `cargo run --release -p rpc --example ping`
//!
//! On two busy virtual cores (2026-11-21): 100 bytes 15.7 µs alone, 8.2 with two in flight, 2.5 with eight, 1.0 with
//! 64; 8 KiB 18.4 µs; 64 KiB 46 µs. Alone, each side makes one `epoll_wait`, one `recvfrom` and one `writev` for it
//! (the dialer of this program two more `epoll_wait` that do not wait: it asks from the root of its runtime).
#![expect(clippy::print_stdout, reason = "a measurement talks on standard output")]

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use raft::{Class, Clock, NodeId, PeerAddress, PeerService, Transport};
use rpc::{PeerLinks, RpcConfig};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

const REQUESTS: u32 = 100_000;

#[derive(Clone)]
struct NoClock;

impl Clock for NoClock {
    fn monotonic_ns(&self) -> u64 {
        0
    }
    fn wall_ms(&self) -> u64 {
        0
    }
}

#[derive(Clone)]
struct Echo;

impl PeerService for Echo {
    async fn serve(&self, _: NodeId, _: Class, message: Bytes) -> Bytes {
        message
    }
}

fn config(node: u8) -> RpcConfig {
    RpcConfig::new(NodeId([node; 20]), "secret".to_owned(), (250, 500), 1, NoClock)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime starts")
}

/// CPU time of all threads of this process, in µs.
fn cpu_us() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux has /proc");
    let nanoseconds: u64 = tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum();
    nanoseconds as f64 / 1000.0
}

#[expect(clippy::disallowed_methods, reason = "a thread of the measurement's own")]
fn main() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.set_nonblocking(true).expect("a socket can be set up");
    let address = listener.local_addr().expect("a listener has an address").to_string();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let listener = TcpListener::from_std(listener).expect("the runtime takes a listener");
            PeerLinks::new(config(2)).serve(listener, Echo, std::future::pending()).await
        })
    });
    let to = PeerAddress { node: NodeId([2; 20]), address };
    runtime().block_on(async {
        let links = PeerLinks::new(config(1));
        for (length, in_flight) in [(100, 1), (100, 2), (100, 8), (100, 64), (8192, 1), (65536, 1)] {
            measure(&links, &to, length, in_flight).await;
        }
    });
}

async fn measure(links: &PeerLinks, to: &PeerAddress, length: usize, in_flight: usize) {
    let request = Bytes::from(vec![7; length]);
    let ask = || links.request(to, Class::Log, request.clone().into(), Duration::from_secs(5));
    ask().await.expect("the peer answers");
    let (cpu, start) = (cpu_us(), Instant::now());
    let mut asking: FuturesUnordered<_> = (0..in_flight).map(|_| ask()).collect();
    for _ in 0..REQUESTS {
        asking.next().await.expect("requests are in flight").expect("the peer answers");
        asking.push(ask());
    }
    let requests = f64::from(REQUESTS);
    let (cpu, wall) = ((cpu_us() - cpu) / requests, start.elapsed().as_secs_f64() * 1e6 / requests);
    println!("{length} bytes, {in_flight} in flight: {cpu:.1} µs CPU, {wall:.1} µs each");
}
