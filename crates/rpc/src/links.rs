//! All links of a node, and [`raft::Transport`] over them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use raft::{Class, NodeId, PeerAddress, PeerLink, Pieces, Traffic, Transport, TransportError};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::clocks::{ClockOffset, Clocks};
use crate::config::RpcConfig;
use crate::dial;
use crate::link::{Answer, Link, NotTaken};
use crate::notices::Notices;
use crate::tasks::spawn_link;
use crate::traffic::place;

/// The links of one node to its peers, opened by their first request. Cheap to clone; the last clone that is
/// dropped closes them.
#[derive(Clone)]
pub struct PeerLinks {
    shared: Arc<Shared>,
}

struct Shared {
    context: Arc<Context>,
    runtime: Handle,
    links: Mutex<Links>,
}

/// What dialing and listening share.
pub(crate) struct Context {
    pub(crate) config: Arc<RpcConfig>,
    pub(crate) clocks: Clocks,
    pub(crate) notices: Notices,
    /// The connections of peers that have authenticated, by a number of their own: the node, and since when, ms since 1970.
    pub(crate) admitted: Mutex<BTreeMap<u64, (NodeId, u64)>>,
}

impl Context {
    /// A message of this node arrived with this time of its wall clock. Only the control class is sampled: the
    /// others wait behind their own volume.
    pub(crate) fn heard(&self, node: NodeId, class: Class, wall_ms: u64) {
        if class == Class::Control {
            self.clocks.sample(node, wall_ms, (self.config.wall_ms)());
        }
    }
}

#[derive(Default)]
struct Links {
    /// No link is opened any more.
    closed: bool,
    /// Each peer's links, by [`place`].
    open: BTreeMap<PeerAddress, [Option<Owned>; 3]>,
}

/// A link and its task.
struct Owned {
    link: Arc<Link>,
    task: JoinHandle<()>,
}

impl PeerLinks {
    /// Links that run on the current runtime: call it on the raft thread. Requests may come from any thread.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(config: RpcConfig) -> Self {
        let context = Context {
            config: Arc::new(config),
            clocks: Clocks::new(),
            notices: Notices::default(),
            admitted: Mutex::default(),
        };
        let shared =
            Shared { context: Arc::new(context), runtime: Handle::current(), links: Mutex::new(Links::default()) };
        Self { shared: Arc::new(shared) }
    }

    /// How far the wall clocks of the peers that were heard of within the last seconds are from this node's.
    pub fn clock_offsets(&self) -> Vec<ClockOffset> {
        self.shared.context.clocks.offsets()
    }

    /// Takes no more requests, waits up to `grace` for the answers of those that were taken, and closes.
    pub async fn close(&self, grace: Duration) {
        let mut closing = self.shared.close();
        let all = async {
            for owned in &mut closing {
                // A task that panicked has ended too.
                let _ = (&mut owned.task).await;
            }
        };
        if tokio::time::timeout(grace, all).await.is_err() {
            closing.iter().for_each(Owned::end);
        }
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.shared.context
    }

    /// A node has authenticated on the listening side, so it is there: broken links to it try again at once.
    pub(crate) fn hope(&self, node: NodeId) {
        let links = self.shared.links.lock();
        let to_node = links.open.iter().filter(|(to, _)| to.node == node);
        to_node.flat_map(|(_, classes)| classes).flatten().for_each(|owned| owned.link.hope());
    }

    fn send(&self, to: &PeerAddress, class: Class, message: &Pieces, deadline: Duration) -> Result<Answer, String> {
        // Twice: the link that was found may have ended for being idle. A fresh one has not.
        for _ in 0..2 {
            let link = self.shared.link(to, class)?;
            match link.request(message.clone(), deadline) {
                Ok(answer) => return Ok(answer),
                Err(NotTaken::Unreachable(why)) => return Err(why),
                Err(NotTaken::Ended) => {}
            }
        }
        Err("the link is closing".to_owned())
    }
}

impl Transport for PeerLinks {
    fn request(
        &self,
        to: &PeerAddress,
        class: Class,
        message: Pieces,
        deadline: Duration,
    ) -> impl Future<Output = Result<Bytes, TransportError>> + Send + use<> {
        let sent = self.send(to, class, &message, deadline);
        async move {
            match sent {
                // A link answers or fails each request it took; only the end of the runtime drops them.
                Ok(answer) => answer.await.unwrap_or(Err(TransportError::Lost)),
                Err(why) => Err(TransportError::Unreachable(why)),
            }
        }
    }

    fn clock_offsets_ms(&self) -> Vec<i64> {
        self.clock_offsets().into_iter().map(|offset| offset.offset_ms).collect()
    }

    fn links(&self) -> Option<Vec<PeerLink>> {
        let outgoing: Vec<Arc<Link>> = {
            let links = self.shared.links.lock();
            links.open.values().flatten().flatten().map(|owned| Arc::clone(&owned.link)).collect()
        };
        let mut all: Vec<PeerLink> = outgoing.iter().filter_map(|link| link.stands()).collect();
        let admitted = self.context().admitted.lock();
        let incoming = |(node, since_ms): &(NodeId, u64)| PeerLink {
            node: *node,
            is_outgoing: false,
            since_ms: *since_ms,
            queued_bytes: 0,
        };
        all.extend(admitted.values().map(incoming));
        Some(all)
    }

    fn traffic(&self) -> (Traffic, Traffic) {
        self.context().config.counters.read()
    }

    fn rename(&self, node: NodeId) {
        self.context().config.rename(node);
        // AFTER the name: what connects from now on proves the new one.
        let open = std::mem::take(&mut self.shared.links.lock().open);
        open.into_values().flatten().flatten().for_each(|owned| owned.end());
    }
}

impl Shared {
    /// The link to a peer in a class, opened if there is none.
    fn link(&self, to: &PeerAddress, class: Class) -> Result<Arc<Link>, String> {
        let mut links = self.links.lock();
        if let Some(Some(owned)) = links.open.get(to).map(|classes| &classes[place(class)])
            && !owned.link.has_ended()
        {
            return Ok(Arc::clone(&owned.link));
        }
        if links.closed {
            return Err("the links are closed".to_owned());
        }
        let (config, known) = (&self.context.config, links.open.contains_key(to));
        if !known && links.open.len() >= config.limits.peers_max {
            links.open.retain(|_, classes| classes.iter().flatten().any(|owned| !owned.link.has_ended()));
            if links.open.len() >= config.limits.peers_max {
                return Err("too many peers".to_owned());
            }
        }
        let link = Arc::new(Link::new(to.clone(), class, &config.limits));
        let task = spawn_link(&self.runtime, dial::drive(Arc::clone(&link), Arc::clone(&self.context)));
        let owned = Owned { link: Arc::clone(&link), task };
        links.open.entry(to.clone()).or_default()[place(class)] = Some(owned);
        Ok(link)
    }

    fn close(&self) -> Vec<Owned> {
        let mut links = self.links.lock();
        links.closed = true;
        let closing: Vec<_> = std::mem::take(&mut links.open).into_values().flatten().flatten().collect();
        closing.iter().for_each(|owned| owned.link.close());
        closing
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close().iter().for_each(Owned::end);
    }
}

impl Owned {
    fn end(&self) {
        self.link.end();
        self.task.abort();
    }
}
