//! Some replicas of one group, the links between them, and what a test asks of them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use openraft::AsyncRuntime;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{self, Instant};

use super::machine::{Ears, Heard, Memory, TestMachine, TestWaiter};
use crate::memory::MemoryLogStore;
use crate::runtime::SeededRuntime;
use crate::transport::{Class, PeerAddress, Pieces, Transport, TransportError};
use crate::{Clock, Group, GroupConfig, GroupId, LogId, Member, NodeId, ReplicaId, Status};

/// One way over a link, in virtual time.
pub(super) const LATENCY: Duration = Duration::from_millis(1);
/// How long a test waits for anything, in virtual time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test on one thread in virtual time.
pub(super) fn simulate<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(b"raft"));
    builder.build().unwrap().block_on(test)
}

type Delivery = (Instant, Bytes, oneshot::Sender<Bytes>);

/// Everybody's links. What is cut loses messages and answers.
#[derive(Default)]
pub(super) struct Links {
    groups: BTreeMap<NodeId, Group<TestWaiter>>,
    cut: BTreeSet<(NodeId, NodeId)>,
    queues: BTreeMap<(NodeId, NodeId, Class), mpsc::Sender<Delivery>>,
}

#[derive(Clone)]
pub(super) struct TestTransport {
    me: NodeId,
    links: Arc<Mutex<Links>>,
}

impl Links {
    fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.cut.contains(&(from, to))
    }
}

impl TestTransport {
    /// Delivers one direction of one class in order, each message a latency after it was sent.
    async fn deliver(self, to: NodeId, class: Class, mut queue: mpsc::Receiver<Delivery>) {
        while let Some((at, message, answer)) = queue.recv().await {
            time::sleep_until(at).await;
            let group = {
                let links = self.links.lock();
                if links.is_cut(self.me, to) { None } else { links.groups.get(&to).cloned() }
            };
            let Some(group) = group else { continue };
            assert_eq!(crate::group_of(&message), Some(group.id()));
            let serving = group.serve(class, message);
            let transport = self.clone();
            SeededRuntime::spawn(async move {
                let reply = serving.await;
                time::sleep(LATENCY).await;
                if !transport.links.lock().is_cut(to, transport.me) {
                    let _ = answer.send(reply);
                }
            });
        }
    }
}

impl Transport for TestTransport {
    fn request(
        &self,
        to: &PeerAddress,
        class: Class,
        message: Pieces,
        deadline: Duration,
    ) -> impl Future<Output = Result<Bytes, TransportError>> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        let to = to.node;
        let mut links = self.links.lock();
        let queue = links.queues.entry((self.me, to, class)).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(1024);
            SeededRuntime::spawn(self.clone().deliver(to, class, receiver));
            sender
        });
        let sent = queue.try_send((Instant::now() + LATENCY, message.into_bytes(), sender));
        async move {
            if sent.is_err() {
                return Err(TransportError::Unreachable("the queue is full".to_owned()));
            }
            match time::timeout(deadline, receiver).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(_)) | Err(_) => Err(TransportError::Lost),
            }
        }
    }
}

/// Virtual time, and how long the machine was suspended beside it.
#[derive(Clone)]
pub(super) struct TestClock {
    start: Instant,
    suspended_ns: Arc<AtomicU64>,
}

impl TestClock {
    pub(super) fn suspend(&self, duration: Duration) {
        self.suspended_ns.fetch_add(duration.as_nanos() as u64, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn monotonic_ns(&self) -> u64 {
        (Instant::now() - self.start).as_nanos() as u64 + 1 + self.suspended_ns.load(Ordering::Relaxed)
    }

    fn wall_ms(&self) -> u64 {
        self.monotonic_ns() / 1_000_000
    }
}

/// One replica and what it needs to start again.
pub(super) struct Replica {
    pub(super) member: Member,
    pub(super) store: MemoryLogStore,
    pub(super) memory: Arc<Mutex<Memory>>,
    pub(super) clock: TestClock,
    group: Option<Group<TestWaiter>>,
    starts: u64,
}

pub(super) struct Cluster {
    pub(super) replicas: Vec<Replica>,
    pub(super) ears: Ears,
    pub(super) configure: fn(&mut GroupConfig),
    links: Arc<Mutex<Links>>,
    start: Instant,
    seed: u64,
    proposals: u64,
}

pub(super) const GROUP: GroupId = GroupId(77);

fn member(number: usize) -> Member {
    let mut node = [0; 20];
    node[19] = number as u8;
    Member {
        replica: ReplicaId(100 + number as u64),
        node: NodeId(node),
        peer_address: format!("peer-{number}"),
        client_address: format!("client-{number}"),
    }
}

impl Cluster {
    /// `count` replicas that run but form no group yet.
    pub(super) async fn empty(count: usize, seed: u64) -> Self {
        Self::configured(count, seed, |_| {}).await
    }

    pub(super) async fn configured(count: usize, seed: u64, configure: fn(&mut GroupConfig)) -> Self {
        let mut cluster = Self {
            replicas: Vec::new(),
            ears: Ears::default(),
            configure,
            links: Arc::default(),
            start: Instant::now(),
            seed,
            proposals: 0,
        };
        for _ in 0..count {
            cluster.add().await;
        }
        cluster
    }

    /// `count` replicas that vote in one group, with a leader that is ready.
    pub(super) async fn formed(count: usize, seed: u64) -> Self {
        let mut cluster = Self::empty(count, seed).await;
        cluster.form().await;
        cluster
    }

    pub(super) async fn form(&mut self) {
        let members = self.replicas.iter().map(|replica| replica.member.clone()).collect();
        self.group(0).initialize(members).await.unwrap();
        self.leader().await;
    }

    /// Starts one more replica, which belongs to no group.
    pub(super) async fn add(&mut self) -> usize {
        let number = self.replicas.len();
        self.replicas.push(Replica {
            member: member(number),
            store: MemoryLogStore::new(),
            memory: Arc::default(),
            clock: TestClock { start: self.start, suspended_ns: Arc::default() },
            group: None,
            starts: 0,
        });
        self.start(number).await;
        number
    }

    pub(super) async fn start(&mut self, number: usize) {
        self.try_start(number).await.unwrap();
    }

    pub(super) async fn try_start(&mut self, number: usize) -> std::io::Result<()> {
        let replica = &mut self.replicas[number];
        replica.starts += 1;
        replica.memory = Arc::default();
        let seed = self.seed.wrapping_mul(1000) + number as u64 * 100 + replica.starts;
        let mut config = GroupConfig::new(GROUP, replica.member.clone(), seed);
        (self.configure)(&mut config);
        let transport = TestTransport { me: replica.member.node, links: self.links.clone() };
        let machine = TestMachine { memory: replica.memory.clone(), start: self.start };
        let group = Group::open(config, replica.store.clone(), transport, replica.clock.clone(), machine).await?;
        self.links.lock().groups.insert(replica.member.node, group.clone());
        replica.group = Some(group);
        Ok(())
    }

    /// Cuts a replica's power.
    pub(super) async fn crash(&mut self, number: usize) {
        let replica = &mut self.replicas[number];
        replica.store = replica.store.crash();
        let group = replica.group.take().unwrap();
        self.links.lock().groups.remove(&replica.member.node);
        group.stop().await;
    }

    pub(super) fn group(&self, number: usize) -> Group<TestWaiter> {
        self.replicas[number].group.clone().unwrap()
    }

    pub(super) fn status(&self, number: usize) -> Status {
        self.group(number).status().borrow().clone()
    }

    pub(super) fn replica_id(&self, number: usize) -> ReplicaId {
        self.replicas[number].member.replica
    }

    pub(super) fn running(&self) -> Vec<usize> {
        (0..self.replicas.len()).filter(|&number| self.replicas[number].group.is_some()).collect()
    }

    pub(super) fn entries(&self, number: usize) -> Vec<(LogId, Bytes)> {
        self.replicas[number].memory.lock().entries.clone()
    }

    /// Cuts a replica off from all others, both ways.
    pub(super) fn isolate(&self, number: usize) {
        let mut links = self.links.lock();
        for other in (0..self.replicas.len()).filter(|&other| other != number) {
            let (one, two) = (self.replicas[number].member.node, self.replicas[other].member.node);
            links.cut.extend([(one, two), (two, one)]);
        }
    }

    /// Cuts one direction of one link.
    pub(super) fn cut(&self, from: usize, to: usize) {
        let nodes = (self.replicas[from].member.node, self.replicas[to].member.node);
        self.links.lock().cut.insert(nodes);
    }

    pub(super) fn is_running(&self, number: usize) -> bool {
        self.replicas[number].group.is_some()
    }

    /// Whether a replica may answer reads from memory now.
    pub(super) fn holds_lease(&self, number: usize) -> bool {
        let now_ns = self.replicas[number].clock.monotonic_ns();
        self.group(number).lease().holds(now_ns)
    }

    pub(super) fn heal(&self) {
        self.links.lock().cut.clear();
    }

    pub(super) async fn wait_for(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The ready leader of the highest term, once there is one.
    pub(super) async fn leader(&self) -> usize {
        let mut found = None;
        self.wait_for("a leader", |cluster| {
            found = cluster.ready_leader();
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    pub(super) fn ready_leader(&self) -> Option<usize> {
        let highest = self.running().into_iter().max_by_key(|&number| self.status(number).term)?;
        let term = self.status(highest).term;
        self.running().into_iter().find(|&number| {
            let status = self.status(number);
            status.ready && status.term == term
        })
    }

    /// Some replica that does not lead.
    pub(super) async fn follower(&self) -> usize {
        let leader = self.leader().await;
        self.running().into_iter().find(|&number| number != leader).unwrap()
    }

    /// Proposes a payload of its own on a replica in its term; the number of the proposal.
    pub(super) fn propose(&mut self, on: usize) -> u64 {
        let term = self.status(on).term;
        self.propose_in(on, term, &[])
    }

    pub(super) fn propose_in(&mut self, on: usize, term: u64, more: &[u8]) -> u64 {
        let number = self.proposals;
        self.proposals += 1;
        let payload = [&b"\x01"[..], &number.to_be_bytes(), more].concat();
        self.group(on).propose(payload.into(), TestWaiter::new(number, self.ears.clone()), term);
        number
    }

    /// What the waiter of a proposal heard.
    pub(super) fn heard(&self, proposal: u64) -> Vec<Heard> {
        let ears = self.ears.lock();
        ears.iter().filter(|(number, _)| *number == proposal).map(|(_, heard)| *heard).collect()
    }

    /// Waits for a proposal's last word.
    pub(super) async fn outcome(&self, proposal: u64) -> Heard {
        let mut last = None;
        self.wait_for("an outcome", |cluster| {
            last = cluster.heard(proposal).last().copied().filter(|heard| !matches!(heard, Heard::Committed(_)));
            last.is_some()
        })
        .await;
        last.unwrap()
    }

    /// Proposes on the leader until one is applied; its log id.
    pub(super) async fn write(&mut self) -> LogId {
        loop {
            let leader = self.leader().await;
            let proposal = self.propose(leader);
            if let Heard::Applied(id) = self.outcome(proposal).await {
                return id;
            }
            time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until all running replicas hold the same entries, `id` among them.
    pub(super) async fn level(&self, id: LogId) {
        self.wait_for("all replicas to be level", |cluster| {
            let all: Vec<_> = cluster.running().into_iter().map(|number| cluster.entries(number)).collect();
            all.iter().all(|entries| *entries == all[0] && entries.last().is_some_and(|(last, _)| *last >= id))
        })
        .await;
    }

    /// The proposals that a replica applied, in order.
    pub(super) fn applied_proposals(&self, number: usize) -> Vec<u64> {
        let decode = |(_, payload): (LogId, Bytes)| u64::from_be_bytes(payload[1..9].try_into().unwrap());
        self.entries(number).into_iter().map(decode).collect()
    }

    /// Virtual milliseconds since the cluster's start.
    pub(super) fn now_ms(&self) -> u128 {
        (Instant::now() - self.start).as_millis()
    }
}
