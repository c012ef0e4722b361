//! Links over 127.0.0.1: order, bounds, breaks, and what strangers meet.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use raft::{Class, Clock, NodeId, PeerAddress, PeerLink, PeerService, Traffic, Transport, TransportError};
use rpc::{ClassLimits, PeerLinks, RpcConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// More than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Wall(i64);

impl Clock for Wall {
    fn monotonic_ns(&self) -> u64 {
        0
    }
    fn wall_ms(&self) -> u64 {
        1_000_000_u64.saturating_add_signed(self.0)
    }
}

fn config(node: u8) -> RpcConfig {
    RpcConfig::new(NodeId([node; 20]), "s3cret".to_owned(), (250, 500), 1, Wall(0))
}

/// Answers with the request; `hold…` only when a permit is there.
#[derive(Clone)]
struct Echo {
    arrived: Arc<Mutex<BTreeMap<Class, Vec<Bytes>>>>,
    permits: Arc<Semaphore>,
    serving: Arc<AtomicUsize>,
}

impl Echo {
    fn new() -> Self {
        Self { arrived: Arc::default(), permits: Arc::new(Semaphore::new(0)), serving: Arc::default() }
    }

    fn arrived(&self, class: Class) -> Vec<Bytes> {
        self.arrived.lock().get(&class).cloned().unwrap_or_default()
    }
}

impl PeerService for Echo {
    async fn serve(&self, from: NodeId, class: Class, message: Bytes) -> Bytes {
        assert_eq!(from, NodeId([1; 20]));
        self.arrived.lock().entry(class).or_default().push(message.clone());
        if message.starts_with(b"hold") {
            self.serving.fetch_add(1, Ordering::SeqCst);
            self.permits.acquire().await.unwrap().forget();
            self.serving.fetch_sub(1, Ordering::SeqCst);
        }
        message
    }
}

/// A node that listens.
struct Listening {
    links: PeerLinks,
    echo: Echo,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Listening {
    async fn start(config: RpcConfig) -> Self {
        Self::start_at(config, "127.0.0.1:0".parse().unwrap()).await
    }

    async fn start_at(config: RpcConfig, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (links, echo, (stop, stopped)) = (PeerLinks::new(config), Echo::new(), oneshot::channel::<()>());
        let (serving, service) = (links.clone(), echo.clone());
        let task = spawn(async move {
            let stopped = async { drop(stopped.await) };
            serving.serve(listener, service, stopped).await.unwrap();
        });
        Self { links, echo, address, stop: Some(stop), task }
    }

    fn peer(&self) -> PeerAddress {
        PeerAddress { node: NodeId([2; 20]), address: self.address.to_string() }
    }

    async fn stop(mut self) {
        drop(self.stop.take());
        timeout(PATIENCE, self.task).await.expect("it stops").unwrap();
    }
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    #[expect(clippy::disallowed_methods, reason = "a test's own task")]
    tokio::spawn(task)
}

async fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn ask(links: &PeerLinks, to: &PeerAddress, message: &'static str) -> Result<Bytes, TransportError> {
    links.request(to, Class::Control, Bytes::from(message).into(), PATIENCE).await
}

/// Asks until the answer is what is expected, as callers with a retry do.
async fn ask_until(links: &PeerLinks, to: &PeerAddress, expected: impl Fn(&Result<Bytes, TransportError>) -> bool) {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = ask(links, to, "again").await;
        if expected(&answer) {
            return;
        }
        assert!(Instant::now() < end, "last answer: {answer:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn many_in_flight_arrive_in_order_and_meet_their_answers() {
    let (listening, links) = (Listening::start(config(2)).await, PeerLinks::new(config(1)));
    let requests: Vec<Bytes> = (0..3000).map(|n| Bytes::from(format!("request {n}"))).collect();
    let to = listening.peer();
    let sent: Vec<_> =
        requests.iter().map(|request| links.request(&to, Class::Log, request.clone().into(), PATIENCE)).collect();
    for (request, answer) in requests.iter().zip(sent) {
        assert_eq!(&answer.await.unwrap(), request);
    }
    assert_eq!(listening.echo.arrived(Class::Log), requests);
}

#[tokio::test]
async fn large_messages_pass_up_to_the_bound() {
    let (listening, links) = (Listening::start(config(2)).await, PeerLinks::new(config(1)));
    for length in [0, 255 << 10, 1 << 20, 9 << 20, 64 << 20] {
        let request = Bytes::from(vec![length as u8; length]);
        let answer = links.request(&listening.peer(), Class::Snapshot, request.clone().into(), PATIENCE).await.unwrap();
        assert!(answer == request, "{length} bytes");
    }
    // Both answers become ready at once and share a message.
    let held = [200 << 10, 64 << 20].map(|length| Bytes::from([&b"hold"[..], &vec![0; length - 4]].concat()));
    let mut answers = Vec::new();
    for request in &held {
        answers.push(links.request(&listening.peer(), Class::Snapshot, request.clone().into(), PATIENCE));
        wait_for("it to arrive", || listening.echo.serving.load(Ordering::SeqCst) == answers.len()).await;
    }
    listening.echo.permits.add_permits(2);
    for (answer, request) in answers.into_iter().zip(held) {
        assert!(answer.await.unwrap() == request);
    }
    let too_large = Bytes::from(vec![0; (64 << 20) + 1]);
    let answer = links.request(&listening.peer(), Class::Snapshot, too_large.into(), PATIENCE).await;
    assert!(matches!(answer, Err(TransportError::Unreachable(why)) if why.contains("larger")));
}

#[tokio::test]
async fn a_deadline_is_met_and_the_link_goes_on() {
    let (listening, links) = (Listening::start(config(2)).await, PeerLinks::new(config(1)));
    let to = listening.peer();
    assert_eq!(ask(&links, &to, "hello").await, Ok(Bytes::from("hello")));
    let start = Instant::now();
    let held = links.request(&to, Class::Control, Bytes::from("hold").into(), Duration::from_millis(30)).await;
    assert_eq!(held, Err(TransportError::Lost));
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert_eq!(ask(&links, &to, "hello").await, Ok(Bytes::from("hello")), "not behind the held one");
}

#[tokio::test]
async fn classes_do_not_block_each_other() {
    let mut narrow = config(2);
    narrow.limits.snapshot = ClassLimits { requests_max: 2, bytes_max: 1 << 20 };
    let (listening, links) = (Listening::start(narrow).await, PeerLinks::new(config(1)));
    let to = listening.peer();
    let chunk = Bytes::from([&b"hold"[..], &vec![0; 1 << 20]].concat());
    // More than the peer serves at once and more than HTTP/2's window: this class stands still.
    let held: Vec<_> = (0..10).map(|_| links.request(&to, Class::Snapshot, chunk.clone().into(), PATIENCE)).collect();
    wait_for("the bound on what is served", || listening.echo.serving.load(Ordering::SeqCst) == 1).await;
    for _ in 0..100 {
        assert_eq!(ask(&links, &to, "heartbeat").await, Ok(Bytes::from("heartbeat")));
    }
    assert!(listening.echo.arrived(Class::Snapshot).len() <= 2, "reading stops at the bound");
    listening.echo.permits.add_permits(10);
    for answer in held {
        assert_eq!(answer.await.unwrap(), chunk);
    }
}

#[tokio::test]
async fn a_broken_link_loses_what_was_in_flight_and_comes_back() {
    let (listening, links) = (Listening::start(config(2)).await, PeerLinks::new(config(1)));
    let (to, address) = (listening.peer(), listening.address);
    let held = links.request(&to, Class::Control, Bytes::from("hold").into(), PATIENCE);
    wait_for("the request to arrive", || listening.echo.serving.load(Ordering::SeqCst) == 1).await;
    listening.stop().await; // nothing frees the held request, so the grace passes
    assert_eq!(held.await, Err(TransportError::Lost));
    ask_until(&links, &to, |answer| matches!(answer, Err(TransportError::Unreachable(_)))).await;
    let _again = Listening::start_at(config(2), address).await;
    ask_until(&links, &to, Result::is_ok).await;
}

#[tokio::test]
async fn what_was_sent_is_lost_when_the_stream_breaks() {
    // A proxy whose connections can be cut.
    let listening = Listening::start(config(2)).await;
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = PeerAddress { node: NodeId([2; 20]), address: proxy.local_addr().unwrap().to_string() };
    let (cut, target) = (Arc::new(tokio::sync::Notify::new()), listening.address);
    let cutting = Arc::clone(&cut);
    let proxy = spawn(async move {
        loop {
            let (mut near, _) = proxy.accept().await.unwrap();
            let mut far = TcpStream::connect(target).await.unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                () = cutting.notified() => {}
            }
        }
    });
    let links = PeerLinks::new(config(1));
    let held = links.request(&to, Class::Control, Bytes::from("hold").into(), PATIENCE);
    wait_for("the request to arrive", || listening.echo.serving.load(Ordering::SeqCst) == 1).await;
    cut.notify_one();
    assert_eq!(held.await, Err(TransportError::Lost));
    ask_until(&links, &to, Result::is_ok).await;
    proxy.abort();
}

#[tokio::test]
async fn a_dead_peer_fails_at_once_and_is_found_when_it_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (links, to) = (PeerLinks::new(config(1)), PeerAddress { node: NodeId([2; 20]), address: address.to_string() });
    let first = ask(&links, &to, "hello").await;
    assert!(matches!(first, Err(TransportError::Unreachable(_))), "{first:?}");
    let start = Instant::now();
    for _ in 0..100 {
        assert!(ask(&links, &to, "hello").await.is_err());
    }
    assert!(start.elapsed() < Duration::from_millis(500), "callers do not wait for attempts");
    let _listening = Listening::start_at(config(2), address).await;
    ask_until(&links, &to, Result::is_ok).await;
}

#[tokio::test]
async fn a_peer_that_comes_by_itself_is_tried_at_once() {
    let mut patient = config(1);
    patient.limits.backoff_min = 10 * PATIENCE;
    patient.limits.backoff_max = 10 * PATIENCE;
    let one = Listening::start(patient).await;
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let to = PeerAddress { node: NodeId([2; 20]), address: address.to_string() };
    assert!(ask(&one.links, &to, "hello").await.is_err(), "and waits out its backoff from here on");
    let two = Listening::start_at(config(2), address).await;
    let to_one = PeerAddress { node: NodeId([1; 20]), address: one.address.to_string() };
    // Opens the link. Echo takes only node 1, so nothing is to be served there.
    let _knock = two.links.request(&to_one, Class::Snapshot, Bytes::new().into(), Duration::ZERO);
    ask_until(&one.links, &to, Result::is_ok).await;
}

#[tokio::test]
async fn a_peer_that_never_answers_the_handshake_is_unreachable_soon() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap(); // its backlog accepts
    let to = PeerAddress { node: NodeId([2; 20]), address: silent.local_addr().unwrap().to_string() };
    let mut impatient = config(1);
    impatient.limits.connect_deadline = Duration::from_millis(50);
    let links = PeerLinks::new(impatient);
    let answer = ask(&links, &to, "hello").await;
    assert!(matches!(answer, Err(TransportError::Unreachable(why)) if why.contains("deadline")));
}

#[tokio::test]
async fn a_peer_with_another_secret_or_another_name_is_refused_with_a_reason() {
    let listening = Listening::start(config(2)).await;
    let mut wrong = config(1);
    wrong.secret = "guess".to_owned();
    let answer = ask(&PeerLinks::new(wrong), &listening.peer(), "hello").await;
    assert!(matches!(&answer, Err(TransportError::Unreachable(why)) if why.contains("masterauth")), "{answer:?}");

    let stranger = PeerAddress { node: NodeId([9; 20]), ..listening.peer() };
    let answer = ask(&PeerLinks::new(config(1)), &stranger, "hello").await;
    assert!(matches!(&answer, Err(TransportError::Unreachable(why)) if why.contains("another node")), "{answer:?}");

    let unnamed = PeerAddress { node: NodeId([0; 20]), ..listening.peer() };
    assert!(ask(&PeerLinks::new(config(1)), &unnamed, "hello").await.is_ok(), "only the address is known yet");
    assert_eq!(listening.echo.arrived(Class::Control).len(), 1);
}

#[tokio::test]
async fn garbage_on_the_port_is_closed_and_harms_nobody() {
    let listening = Listening::start(config(2)).await;
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for garbage in [&http2[..], b"*1\r\n$4\r\nPING\r\n", &[0xff; 100_000], &[0; 64]] {
        let mut stream = TcpStream::connect(listening.address).await.unwrap();
        let _ = stream.write_all(garbage).await; // it may be closed before all is sent
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the connection is closed");
        assert!(read.is_err() || answer.len() < 1024);
    }
    assert!(ask(&PeerLinks::new(config(1)), &listening.peer(), "hello").await.is_ok());
}

#[tokio::test]
async fn a_slow_handshake_meets_its_deadline() {
    let mut hurried = config(2);
    hurried.limits.handshake_deadline = Duration::from_millis(50);
    let listening = Listening::start(hurried).await;
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    stream.write_all(&[0]).await.unwrap();
    let end = timeout(PATIENCE, stream.read(&mut [0; 1])).await.expect("closed at the deadline");
    assert!(matches!(end, Ok(0) | Err(_)));
}

#[tokio::test]
async fn many_silent_connections_keep_no_peer_out() {
    let mut narrow = config(2);
    narrow.limits.unauthenticated_max = 32;
    let listening = Listening::start(narrow).await;
    let mut silent = Vec::new();
    // Few enough for a limit of 1024 open files.
    for _ in 0..300 {
        silent.push(TcpStream::connect(listening.address).await.unwrap());
    }
    // The oldest make room, so the newest, which is a peer, gets in.
    assert!(ask(&PeerLinks::new(config(1)), &listening.peer(), "hello").await.is_ok());
    let closed = timeout(PATIENCE, silent[0].read(&mut [0; 1])).await.expect("the oldest was closed");
    assert!(matches!(closed, Ok(0) | Err(_)));
}

#[tokio::test]
async fn clocks_are_compared_both_ways() {
    let ahead = RpcConfig::new(NodeId([2; 20]), "s3cret".to_owned(), (250, 500), 1, Wall(700));
    let (listening, links) = (Listening::start(ahead).await, PeerLinks::new(config(1)));
    ask(&links, &listening.peer(), "heartbeat").await.unwrap();
    let seen = |links: &PeerLinks| links.clock_offsets().iter().map(|seen| (seen.node.0[0], seen.offset_ms)).collect();
    let (here, there): (Vec<_>, Vec<_>) = (seen(&links), seen(&listening.links));
    assert_eq!((here, there), (vec![(2, 700)], vec![(1, -700)]));
}

#[tokio::test]
async fn both_ends_show_the_connection_and_count_what_goes_over_it() {
    let (listening, links) = (Listening::start(config(2)).await, PeerLinks::new(config(1)));
    assert_eq!((links.links(), listening.links.links()), (Some(Vec::new()), Some(Vec::new())));
    assert_eq!(links.traffic(), (Traffic::default(), Traffic::default()));
    ask(&links, &listening.peer(), "hello").await.unwrap();
    let shown = |links: &PeerLinks| {
        let row = |link: &PeerLink| (link.node.0[0], link.is_outgoing, link.since_ms, link.queued_bytes);
        links.links().iter().flatten().map(row).collect::<Vec<_>>()
    };
    assert_eq!(shown(&links), [(2, true, 1_000_000, 0)]);
    assert_eq!(shown(&listening.links), [(1, false, 1_000_000, 0)]);
    let ((sent, received), (sent_there, received_there)) = (links.traffic(), listening.links.traffic());
    assert_eq!((sent, received), (received_there, sent_there));
    assert!(sent.control == 1 && sent.log == 0 && received.control == 1 && sent.bytes > 5 && received.bytes > 5);
    links.close(PATIENCE).await;
    wait_for("the connection to be gone", || shown(&listening.links).is_empty() && shown(&links).is_empty()).await;
}

#[tokio::test]
async fn a_node_under_another_id_proves_it_with_its_next_connection() {
    // It serves nobody but node 1, which is the one that asks.
    let (listening, links) = (Listening::start(config(2)).await, PeerLinks::new(config(9)));
    links.rename(NodeId([1; 20]));
    ask(&links, &listening.peer(), "hello").await.unwrap();
    // A listener under another id is another node: the address that names the old one leads nowhere.
    listening.links.rename(NodeId([3; 20]));
    links.rename(NodeId([1; 20]));
    ask_until(&links, &listening.peer(), |answer| matches!(answer, Err(TransportError::Unreachable(_)))).await;
    let to = PeerAddress { node: NodeId([3; 20]), ..listening.peer() };
    ask_until(&links, &to, Result::is_ok).await;
}

#[tokio::test]
async fn closing_answers_what_was_taken_and_takes_no_more() {
    let (listening, links) = (Listening::start(config(2)).await, PeerLinks::new(config(1)));
    let to = listening.peer();
    let held = links.request(&to, Class::Log, Bytes::from("hold").into(), PATIENCE);
    wait_for("the request to arrive", || listening.echo.serving.load(Ordering::SeqCst) == 1).await;
    let (closing, permits) = (links.clone(), Arc::clone(&listening.echo.permits));
    let closing = spawn(async move { closing.close(PATIENCE).await });
    wait_for("the links to close", || {
        let refused = links.request(&to, Class::Log, Bytes::new().into(), PATIENCE);
        matches!(futures_util::FutureExt::now_or_never(refused), Some(Err(TransportError::Unreachable(_))))
    })
    .await;
    permits.add_permits(1);
    assert_eq!(held.await, Ok(Bytes::from("hold")));
    timeout(PATIENCE, closing).await.expect("it closes").unwrap();
}

#[tokio::test]
async fn stopping_answers_what_is_being_served() {
    let (mut listening, links) = (Listening::start(config(2)).await, PeerLinks::new(config(1)));
    let held = links.request(&listening.peer(), Class::Log, Bytes::from("hold").into(), PATIENCE);
    wait_for("the request to arrive", || listening.echo.serving.load(Ordering::SeqCst) == 1).await;
    drop(listening.stop.take());
    listening.echo.permits.add_permits(1);
    assert_eq!(held.await, Ok(Bytes::from("hold")));
    timeout(PATIENCE, listening.task).await.expect("it stops").unwrap();
}

/// Requests may come from other threads than the one that runs the links.
#[test]
fn requests_come_from_any_thread() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let raft = runtime();
    let (listening, links) = raft.block_on(async { (Listening::start(config(2)).await, PeerLinks::new(config(1))) });
    let to = listening.peer();
    let (done, finished) = oneshot::channel();
    #[expect(clippy::disallowed_methods, reason = "a test's own thread")]
    let asking = std::thread::spawn(move || {
        let answers: Vec<_> =
            (0..100).map(|_| links.request(&to, Class::Control, Bytes::from("hello").into(), PATIENCE)).collect();
        for answer in answers {
            assert_eq!(runtime().block_on(answer), Ok(Bytes::from("hello")));
        }
        done.send(()).unwrap();
    });
    raft.block_on(finished).unwrap();
    asking.join().unwrap();
}
