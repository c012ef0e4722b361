//! The links between hosts: latency, loss, cuts one way or both.
//!
//! ```text
//! request -> queue, ordered by arrival -> inbox of the host -> Peers::serve on its raft place -> answer -> queue -> asker
//! ```
//!
//! Messages of one class from one host to another arrive in the order in which they were sent, or not at all. What
//! is under way when its sender loses power still arrives; a host that was started anew hears nothing that was
//! meant for its earlier life's questions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use node::Peers;
use parking_lot::Mutex;
use raft::{Class, GroupId, NodeId, PeerAddress, PeerService, Pieces, Transport, TransportError};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{Notify, oneshot};
use tokio::time::{self, Instant};

use crate::host::{CLIENT_PORT, ip};
use crate::platform::SimPlatform;
use crate::tasks;
use crate::trace::{Topic, Trace};

/// At most so many messages are under way on all links of a run; more means that a queue has no bound.
const UNDER_WAY_MAX: usize = 100_000;

/// How links are when nothing is wrong with them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    /// One way takes from 1 ms up to this.
    pub(crate) latency_ms_max: u64,
    /// Of a million messages so many are lost.
    pub(crate) lost_ppm: u32,
}

/// All links of a run. Clones share them.
#[derive(Clone)]
pub(crate) struct Net(Arc<Shared>);

struct Shared {
    inner: Mutex<Inner>,
    queued: Notify,
    trace: Trace,
}

struct Inner {
    random: SmallRng,
    links: Links,
    /// By host, its peer port.
    addresses: Vec<String>,
    /// Ways that carry nothing: from, to.
    cut: BTreeSet<(usize, usize)>,
    /// Groups whose messages do not arrive: at a host, or anywhere.
    silenced: Vec<(GroupId, Option<usize>)>,
    /// Who listens; `None` while the host is down.
    inboxes: Vec<Option<Arc<Inbox>>>,
    /// Which life of a host may speak.
    lives: Vec<u64>,
    under_way: BTreeMap<(Instant, u64), Message>,
    sent: u64,
    last_arrival: BTreeMap<(usize, usize, Class), Instant>,
}

enum Message {
    Request { from: usize, to: usize, arrived: Arrived },
    Answer { from: usize, to: usize, answer: Bytes, asker: oneshot::Sender<Bytes> },
}

/// A request at its destination.
pub(crate) struct Arrived {
    from: usize,
    node: NodeId,
    class: Class,
    message: Bytes,
    asker: oneshot::Sender<Bytes>,
}

/// What has arrived at a host and was not yet looked at.
#[derive(Default)]
pub(crate) struct Inbox {
    queue: Mutex<VecDeque<Arrived>>,
    filled: Notify,
}

/// Where peers reach a host.
fn peer_address(host: usize) -> String {
    format!("{}:{}", ip(host), CLIENT_PORT + 10_000)
}

impl Net {
    /// Links between `hosts` hosts, all down.
    pub(crate) fn new(hosts: usize, seed: u64, links: Links, trace: Trace) -> Self {
        let inner = Inner {
            random: SmallRng::seed_from_u64(seed),
            links,
            addresses: (0..hosts).map(peer_address).collect(),
            cut: BTreeSet::new(),
            silenced: Vec::new(),
            inboxes: vec![None; hosts],
            lives: vec![0; hosts],
            under_way: BTreeMap::new(),
            sent: 0,
            last_arrival: BTreeMap::new(),
        };
        Self(Arc::new(Shared { inner: Mutex::new(inner), queued: Notify::new(), trace }))
    }

    /// A host starts: its links for this life, and where its requests arrive.
    pub(crate) fn up(&self, host: usize, node: NodeId) -> (SimTransport, Arc<Inbox>) {
        let inbox = Arc::new(Inbox::default());
        let mut inner = self.0.inner.lock();
        inner.lives[host] += 1;
        inner.inboxes[host] = Some(Arc::clone(&inbox));
        (SimTransport { net: self.clone(), host, node, life: inner.lives[host] }, inbox)
    }

    /// A host goes down: nothing more leaves it, nothing arrives.
    pub(crate) fn down(&self, host: usize) {
        let mut inner = self.0.inner.lock();
        inner.lives[host] += 1;
        inner.inboxes[host] = None;
    }

    /// Cuts the way from one host to another.
    pub(crate) fn cut(&self, from: usize, to: usize) {
        self.0.inner.lock().cut.insert((from, to));
    }

    /// Mends the way from one host to another.
    pub(crate) fn mend(&self, from: usize, to: usize) {
        self.0.inner.lock().cut.remove(&(from, to));
    }

    /// Whether nothing that one host sends reaches another.
    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.0.inner.lock().cut.contains(&(from, to))
    }

    /// Lets no message of a group arrive any more, at a host or anywhere.
    pub(crate) fn silence(&self, group: GroupId, at: Option<usize>) {
        self.0.inner.lock().silenced.push((group, at));
    }

    /// Lets the messages of all groups arrive again.
    pub(crate) fn end_silence(&self) {
        self.0.inner.lock().silenced.clear();
    }

    /// Mends everything.
    pub(crate) fn heal(&self) {
        let mut inner = self.0.inner.lock();
        inner.cut.clear();
        inner.silenced.clear();
    }

    /// Sees to it that links lose nothing on their own any more.
    pub(crate) fn lose_nothing(&self) {
        self.0.inner.lock().links.lost_ppm = 0;
    }

    /// Carries messages, for ever.
    pub(crate) async fn run(self) {
        loop {
            let next = self.0.inner.lock().under_way.first_key_value().map(|(&(at, _), _)| at);
            match next {
                Some(at) if at <= Instant::now() => self.arrive(),
                Some(at) => tokio::select! {
                    biased;
                    () = time::sleep_until(at) => (),
                    () = self.0.queued.notified() => (),
                },
                None => self.0.queued.notified().await,
            }
        }
    }

    /// Hands over the message that is due.
    fn arrive(&self) {
        let mut inner = self.0.inner.lock();
        let Some((_, message)) = inner.under_way.pop_first() else { return };
        let (from, to) = match message {
            Message::Request { from, to, .. } | Message::Answer { from, to, .. } => (from, to),
        };
        let lost_ppm = inner.links.lost_ppm;
        let is_silenced = match &message {
            Message::Request { arrived, .. } => {
                let of = raft::group_of(&arrived.message);
                let is_meant =
                    |(group, at): &(GroupId, Option<usize>)| of == Some(*group) && at.is_none_or(|host| host == to);
                inner.silenced.iter().any(is_meant)
            }
            Message::Answer { .. } => false,
        };
        let is_cut = inner.cut.contains(&(from, to)) || is_silenced;
        let lost = is_cut || inner.random.random_range(0..1_000_000) < lost_ppm;
        let inbox = inner.inboxes[to].clone();
        drop(inner);
        let fate = if lost { "lost" } else { "arrived" };
        match message {
            Message::Request { arrived, .. } => {
                self.0.trace.note(Topic::Net, from * 10 + to, fate, &arrived.message);
                if let Some(inbox) = inbox.filter(|_| !lost) {
                    inbox.queue.lock().push_back(arrived);
                    inbox.filled.notify_one();
                }
            }
            Message::Answer { answer, asker, .. } => {
                self.0.trace.note(Topic::Net, from * 10 + to, fate, &answer);
                if !lost {
                    // Whoever does not wait any more has lost it.
                    let _ = asker.send(answer);
                }
            }
        }
    }

    fn send(&self, from: usize, to: usize, class: Option<Class>, message: Message) {
        let mut inner = self.0.inner.lock();
        assert!(inner.under_way.len() < UNDER_WAY_MAX, "messages without end: a queue of the node has no bound");
        let latency_ms_max = inner.links.latency_ms_max;
        let latency_ms = inner.random.random_range(1..=latency_ms_max);
        let mut at = Instant::now() + Duration::from_millis(latency_ms);
        if let Some(class) = class {
            let last = inner.last_arrival.entry((from, to, class)).or_insert(at);
            at = at.max(*last);
            *last = at;
        }
        inner.sent += 1;
        let number = inner.sent;
        inner.under_way.insert((at, number), message);
        drop(inner);
        self.0.queued.notify_one();
    }
}

impl Inbox {
    /// Hands what arrives at `host` to its node, in order. Runs on the node's raft place.
    pub(crate) async fn serve(self: Arc<Self>, host: usize, net: Net, peers: Peers<SimPlatform>) {
        let life = net.0.inner.lock().lives[host];
        loop {
            self.filled.notified().await;
            loop {
                let Some(Arrived { from, node, class, message, asker }) = self.queue.lock().pop_front() else { break };
                let (net, peers) = (net.clone(), peers.clone());
                // Tasks of one set begin in the order in which they were spawned: each takes its place in turn.
                tasks::beside(async move {
                    let answer = peers.serve(node, class, message).await;
                    if net.0.inner.lock().lives[host] == life {
                        net.send(host, from, None, Message::Answer { from: host, to: from, answer, asker });
                    }
                });
            }
        }
    }
}

/// One life of one host on the links.
#[derive(Clone)]
pub(crate) struct SimTransport {
    net: Net,
    host: usize,
    node: NodeId,
    life: u64,
}

impl Transport for SimTransport {
    fn request(
        &self,
        to: &PeerAddress,
        class: Class,
        message: Pieces,
        deadline: Duration,
    ) -> impl Future<Output = Result<Bytes, TransportError>> + Send + use<> {
        let (asker, answer) = oneshot::channel();
        let from = self.host;
        let reached = {
            let inner = self.net.0.inner.lock();
            let to = inner.addresses.iter().position(|address| *address == to.address);
            to.filter(|&to| inner.lives[from] == self.life && inner.inboxes[to].is_some())
        };
        if let Some(to) = reached {
            let message = message.into_bytes();
            let arrived = Arrived { from, node: self.node, class, message, asker };
            self.net.send(from, to, Some(class), Message::Request { from, to, arrived });
        }
        async move {
            if reached.is_none() {
                return Err(TransportError::Unreachable("connection refused".to_owned()));
            }
            // A lost message is noticed by nobody: only the deadline tells.
            let answered = async {
                match answer.await {
                    Ok(answer) => answer,
                    Err(_) => pending().await,
                }
            };
            time::timeout(deadline, answered).await.map_err(|_| TransportError::Lost)
        }
    }
}
