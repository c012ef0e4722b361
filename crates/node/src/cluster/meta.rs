//! The meta group's replica on this node: the topology, kept by a Raft group, and how changes get into it.
//!
//! ```text
//! entry     u8 version, 1 | u8 kind | ...
//!   kind 0  found: the encoded topology that the cluster begins with; only the first counts
//!   kind 1  change: u64 id, big-endian | a batch of changes, made together
//! snapshot  u32 count, ids of the newest changes u64 each, big-endian | the encoded topology
//! ```
//!
//! A change is proposed by whoever wants it, again and again until this node itself has applied it: its id makes it happen
//! once. So who is told "done" sees it in the node's own view. Apply is small and runs on the raft thread.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use raft::{CommittedEntry, Group, LogId, Refusal as ProposalRefusal, SnapshotReader, Status, Transport, Waiter};
use tokio::sync::{Notify, oneshot, watch};
use topology::{Change, Outcome, Refusal, Topology};

use crate::formation;
use crate::messages::{Identity, Request};

const VERSION: u8 = 1;
const FOUND: u8 = 0;
const CHANGE: u8 = 1;

/// So many changes are remembered, so that one that is proposed again is not made again.
const REMEMBERED_MAX: usize = 4096;
/// A piece of a snapshot.
const CHUNK_BYTES: usize = 1 << 19;
/// How long a proposal waits for its effect here before it is made again.
const AGAIN_AFTER: Duration = Duration::from_millis(400);
/// How long whoever wants a change waits while nobody leads.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// How long a change is tried. Longer than an election takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of a command's changes: what each did, or why none was made.
pub(crate) type Decision = Result<Vec<Outcome>, Refusal>;

/// Why it is not known whether a change was made, or will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Undecided;

/// See the module. Lives as long as the node is in this cluster.
pub(crate) struct Meta {
    pub(crate) identity: Identity,
    group: OnceLock<Group<MetaWaiter>>,
    known: Arc<Known>,
    status: watch::Sender<Status>,
    /// The newest term whose leader said which nodes are not heard of.
    marked_in: AtomicU64,
}

/// What the machine tells the rest of the node.
struct Known {
    topology: watch::Sender<Option<Arc<Topology>>>,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Vec<Decision>>>>,
    changed: Arc<Notify>,
}

impl Meta {
    /// A replica whose group is not open yet. `changed` is notified of every new topology.
    pub(crate) fn new(identity: Identity, changed: Arc<Notify>) -> Self {
        let known = Known { topology: watch::Sender::new(None), waiting: Mutex::default(), changed };
        Self {
            identity,
            group: OnceLock::new(),
            known: Arc::new(known),
            status: watch::Sender::new(Status::default()),
            marked_in: AtomicU64::new(0),
        }
    }

    /// What applies to it.
    pub(crate) fn machine(&self) -> MetaMachine {
        MetaMachine { known: Arc::clone(&self.known), state: State::default() }
    }

    /// The group is open now.
    pub(crate) fn opened(&self, group: Group<MetaWaiter>) {
        assert!(self.group.set(group).is_ok(), "a replica opens its group once");
    }

    pub(crate) fn group(&self) -> Option<&Group<MetaWaiter>> {
        self.group.get()
    }

    /// How the group stands.
    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Whether nobody is known to lead the cluster's metadata: then this node does not know what the cluster does.
    pub(crate) fn is_cut_off(&self) -> bool {
        let status = self.status.borrow();
        status.leader.is_none() || status.leads() && !status.ready
    }

    pub(crate) fn observe(&self, status: &Status) {
        self.status.send_replace(status.clone());
        self.known.changed.notify_one();
    }

    /// The leader of this term says which nodes are not heard of; the newest term whose leader did.
    pub(crate) fn marked_in(&self, term: u64) -> u64 {
        self.marked_in.fetch_max(term, Ordering::Relaxed).max(term)
    }

    /// Whether this node leads the cluster's metadata.
    pub(crate) fn leads(&self) -> bool {
        let status = self.status.borrow();
        status.leads() && status.ready
    }

    /// The topology as this node knows it; `None` before the first entry arrived.
    pub(crate) fn topology(&self) -> Option<Arc<Topology>> {
        self.known.topology.borrow().clone()
    }

    /// Waits until there is a topology, and it fulfils a condition.
    pub(crate) async fn wait_for(&self, holds: impl Fn(&Topology) -> bool) -> Arc<Topology> {
        let mut topology = self.known.topology.subscribe();
        let found = topology.wait_for(|known| known.as_ref().is_some_and(|known| holds(known))).await;
        let found = found.expect("the sender is in this value").clone();
        found.expect("it was looked at")
    }

    /// Proposes what the cluster begins with, on the node that founds it. Done again it does nothing.
    pub(crate) fn found(&self, first: &Topology, term: u64) {
        let mut payload = vec![VERSION, FOUND];
        payload.extend_from_slice(&first.encode());
        if let Some(group) = self.group.get() {
            group.propose(payload.into(), MetaWaiter(None), term);
        }
    }

    /// Takes in what another node proposes. Whether it takes effect that node sees for itself.
    pub(crate) fn take_in(&self, payload: Bytes) -> bool {
        let is_change = payload.starts_with(&[VERSION, CHANGE]);
        let (Some(group), true) = (self.group.get(), is_change && self.leads()) else { return false };
        let term = self.status.borrow().term;
        group.propose(payload, MetaWaiter(None), term);
        true
    }

    /// Makes the changes of these commands, of each all or none: through the meta leader, whoever that is. Returns once this
    /// node's own topology shows it.
    ///
    /// # Errors
    /// [`Undecided`] when that did not come about in time: it may still.
    pub(crate) async fn change<T: Transport>(
        &self,
        id: u64,
        commands: &[Vec<Change>],
        transport: &T,
    ) -> Result<Vec<Decision>, Undecided> {
        let mut payload = vec![VERSION, CHANGE];
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&topology::encode_batch(commands));
        let (tell, decided) = oneshot::channel();
        self.known.waiting.lock().insert(id, tell);
        let proposing = async {
            loop {
                self.propose(payload.clone().into(), transport).await;
            }
        };
        let outcome = tokio::select! {
            biased;
            decided = decided => decided.map_err(|_| Undecided),
            () = proposing => unreachable!("it goes on for ever"),
            () = tokio::time::sleep(PATIENCE) => Err(Undecided),
        };
        self.known.waiting.lock().remove(&id);
        outcome
    }

    /// Proposes once, and waits for a while.
    async fn propose<T: Transport>(&self, payload: Bytes, transport: &T) {
        let (leads, term, leader) = {
            let status = self.status.borrow();
            (status.leads(), status.term, status.leader.clone())
        };
        let accepted = match (leads, leader, self.group.get()) {
            (true, _, Some(group)) => {
                let (tell, refused) = oneshot::channel();
                group.propose(payload, MetaWaiter(Some(tell)), term);
                // Dropped without a word, it is on its way.
                tokio::time::timeout(AGAIN_AFTER, refused).await.is_ok_and(|refused| refused.is_err())
            }
            (false, Some(leader), _) => {
                let request = Request::Change(self.identity.group, payload);
                let answer = formation::ask(transport, &leader.address(), &request).await;
                matches!(answer, Some(crate::messages::Answer::Accepted(_)))
            }
            _ => false,
        };
        tokio::time::sleep(if accepted { AGAIN_AFTER } else { LOOK_AGAIN_AFTER }).await;
    }

    /// Gives leadership to the voter that is furthest, if this replica leads and there is another.
    pub(crate) async fn hand_over(&self) {
        let (Some(group), status) = (self.group.get(), self.status()) else { return };
        if let Some(successor) = status.furthest(|_| true).filter(|_| status.leads()) {
            // Otherwise the others find out by themselves that nobody leads.
            drop(group.transfer_leader(successor).await);
        }
    }

    /// Ends what `raft` runs for this replica.
    pub(crate) async fn stop(&self) {
        if let Some(group) = self.group.get() {
            group.stop().await;
        }
    }
}

/// Waits for a proposal of this node, to hear at once that it was refused. Dropped, it says nothing.
pub(crate) struct MetaWaiter(Option<oneshot::Sender<()>>);

impl Waiter for MetaWaiter {
    fn committed(&mut self, _: LogId) {}

    fn refused(mut self, _: ProposalRefusal) {
        if let Some(tell) = self.0.take() {
            let _ = tell.send(());
        }
    }
}

/// The state machine of the meta group.
pub(crate) struct MetaMachine {
    known: Arc<Known>,
    state: State,
}

#[derive(Default)]
struct State {
    topology: Option<Topology>,
    /// The newest changes by their ids, the newest last.
    made: VecDeque<u64>,
}

impl State {
    /// Applies one entry. Returns the decision on a change that was not made before.
    fn apply(&mut self, payload: &[u8]) -> Result<Option<(u64, Vec<Decision>)>, &'static str> {
        match payload {
            [VERSION, FOUND, first @ ..] => {
                if self.topology.is_none() {
                    self.topology = Some(Topology::decode(first).map_err(|_| "a topology that cannot be read")?);
                }
                Ok(None)
            }
            [VERSION, CHANGE, rest @ ..] => {
                let (id, batch) = rest.split_first_chunk().ok_or("a change that is cut off")?;
                let id = u64::from_be_bytes(*id);
                let commands = topology::decode_batch(batch).map_err(|_| "a change that cannot be read")?;
                // A change that comes before the cluster was founded is nobody's.
                let Some(topology) = self.topology.as_mut().filter(|_| !self.made.contains(&id)) else {
                    return Ok(None);
                };
                if self.made.len() == REMEMBERED_MAX {
                    self.made.pop_front();
                }
                self.made.push_back(id);
                Ok(Some((id, topology.apply_batch(&commands))))
            }
            [VERSION, ..] => Err("an entry of an unknown kind"),
            _ => Err("an entry of a newer version: start a newer cairn-server"),
        }
    }

    fn encode(&self) -> Bytes {
        let count = u32::try_from(self.made.len()).expect("they are bounded");
        let mut out = count.to_be_bytes().to_vec();
        self.made.iter().for_each(|id| out.extend_from_slice(&id.to_be_bytes()));
        if let Some(topology) = &self.topology {
            out.extend_from_slice(&topology.encode());
        }
        out.into()
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk()?;
        bytes = rest;
        let mut made = VecDeque::new();
        for _ in 0..u32::from_be_bytes(*count) {
            let (id, rest) = bytes.split_first_chunk()?;
            made.push_back(u64::from_be_bytes(*id));
            bytes = rest;
        }
        let topology = if bytes.is_empty() { None } else { Some(Topology::decode(bytes).ok()?) };
        Some(Self { topology, made })
    }
}

impl MetaMachine {
    /// Shows the node what changed, then tells who waited for it.
    fn publish(&self, decisions: Vec<(u64, Vec<Decision>)>) {
        self.known.topology.send_replace(self.state.topology.clone().map(Arc::new));
        self.known.changed.notify_one();
        let mut waiting = self.known.waiting.lock();
        for (id, decision) in decisions {
            if let Some(tell) = waiting.remove(&id) {
                let _ = tell.send(decision);
            }
        }
    }
}

impl raft::Machine for MetaMachine {
    type Waiter = MetaWaiter;
    type Frozen = FrozenMeta;

    async fn apply(&mut self, entries: Vec<CommittedEntry<MetaWaiter>>) {
        let mut decisions = Vec::new();
        let mut is_new = false;
        for entry in entries {
            let Some(payload) = entry.payload else { continue };
            let decided = self.state.apply(&payload);
            // What cannot be read stops the process: it does not guess.
            decisions.extend(decided.unwrap_or_else(|why| panic!("entry {} of the meta group: {why}", entry.id)));
            is_new = true;
        }
        if is_new {
            self.publish(decisions);
        }
    }

    async fn freeze(&mut self) -> FrozenMeta {
        FrozenMeta(self.state.encode())
    }

    async fn install<R: SnapshotReader>(&mut self, _: LogId, mut chunks: R) -> io::Result<()> {
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.read().await? {
            bytes.extend_from_slice(&chunk);
        }
        let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "a snapshot of the meta group cannot be read");
        self.state = State::decode(&bytes).ok_or_else(unreadable)?;
        self.publish(Vec::new());
        Ok(())
    }
}

/// The encoded state, handed out piece by piece.
pub(crate) struct FrozenMeta(Bytes);

impl raft::Frozen for FrozenMeta {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let length = self.0.len().min(CHUNK_BYTES);
        Poll::Ready(Ok((length > 0).then(|| self.0.split_to(length))))
    }
}
