//! WAIT and WAITAOF: how many replicas have what a connection wrote.
//!
//! A write that was answered is committed, so a majority has it (and has synced it, unless the shard is relaxed). Which nodes these are a
//! commit does not say: WAIT asks of the others what they are known to *hold*. WAITAOF asks what they, and this node, have *stored*: what a
//! loss of power would leave on their disks, whatever `appendfsync` says. Of that nobody tells by himself. So this node syncs its own log
//! and asks the others to do so, unless it is known already; what was stored once stays so, and is remembered by the replica.
//!
//! Replicas that clients are not shown do not count. Several shards that a connection wrote to count as the one that has fewest copies.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use raft::{Member, ReplicaId};

use crate::formation;
use crate::messages::{Answer, Request};
use crate::node::Shared;
use crate::platform::Platform;
use crate::replica::Replica;

/// A member that did not answer, or has not stored enough, is asked again after this.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// How long the first pause between two looks at what the others hold is; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// From then on the group's status, which is as old at most, says when there is something new.
const LAST_PAUSE: Duration = Duration::from_millis(64);

/// What a connection wrote: for each shard, up to where its log answered it.
#[derive(Default)]
pub(crate) struct Written(Vec<(Weak<Replica>, u64)>);

/// Entries of a shard's log that copies are counted of: all up to an index.
pub(crate) type Part = (Arc<Replica>, u64);

/// What counts as a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// WAIT: a replica holds it.
    Held,
    /// WAITAOF: it is on a replica's disk. `here`: this node's has to be among them.
    Stored { here: bool },
}

/// A call of WAIT or WAITAOF.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) kind: Kind,
    /// So many replicas beside this node's.
    pub(crate) others: usize,
    /// For how long it waits; `None`: for ever.
    pub(crate) timeout: Option<Duration>,
}

/// How many copies there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    /// This node has stored it.
    pub(crate) here: bool,
    pub(crate) others: usize,
}

/// This replica does not lead any more: what the others have it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demoted;

/// A wish on its way.
pub(crate) struct Counting<P: Platform> {
    node: Arc<Shared<P>>,
    parts: Vec<Part>,
    wish: Wish,
}

impl Written {
    /// A shard has answered something at this index of its log.
    pub(crate) fn note(&mut self, replica: &Arc<Replica>, index: u64) {
        let known = self.0.iter_mut().find(|(known, _)| std::ptr::eq(known.as_ptr(), Arc::as_ptr(replica)));
        match known {
            Some((_, last)) => *last = (*last).max(index),
            None => {
                // A node has few replicas; those that are gone are not kept.
                self.0.retain(|(known, _)| known.strong_count() > 0);
                self.0.push((Arc::downgrade(replica), index));
            }
        }
    }

    /// What copies are counted of; nothing of `home` where nothing was written. Where another node leads by now nothing can be counted:
    /// that is said once, and then forgotten.
    pub(crate) fn parts(&mut self, home: &Arc<Replica>) -> Result<Vec<Part>, Demoted> {
        let parts = self.0.iter().filter_map(|(replica, index)| Some((replica.upgrade()?, *index)));
        let parts: Vec<Part> = parts.filter(|(replica, _)| replica.leads()).collect();
        if parts.len() < self.0.len() {
            self.0 = parts.iter().map(|(replica, index)| (Arc::downgrade(replica), *index)).collect();
            return Err(Demoted);
        }
        Ok(if parts.is_empty() { vec![(Arc::clone(home), 0)] } else { parts })
    }
}

impl Wish {
    /// Whether this node's own log is to have it.
    pub(crate) fn needs_log(&self) -> bool {
        self.kind == Kind::Stored { here: true }
    }
}

impl Kind {
    /// The name of the command's row.
    pub(crate) fn command(self) -> &'static str {
        match self {
            Self::Held => "WAIT",
            Self::Stored { .. } => "WAITAOF",
        }
    }
}

impl<P: Platform> Counting<P> {
    pub(crate) fn new(node: Arc<Shared<P>>, parts: Vec<Part>, wish: Wish) -> Self {
        Self { node, parts, wish }
    }

    /// What is known at this moment.
    pub(crate) fn count(&self) -> Count {
        let here = self.parts.iter().all(|(replica, index)| replica.has_stored(*index));
        let others = self.parts.iter().map(|(replica, index)| self.others(replica, *index).len());
        Count { here, others: others.min().unwrap_or(0) }
    }

    /// Whether so many copies are what was wished for.
    pub(crate) fn is_enough(&self, count: Count) -> bool {
        count.others >= self.wish.others && (count.here || !self.wish.needs_log())
    }

    /// Waits until there are enough.
    pub(crate) async fn enough(&self) -> Result<(), Demoted> {
        let mut parts: Vec<Asking<'_, Result<(), Demoted>>> = Vec::new();
        for (replica, index) in &self.parts {
            parts.push(Box::pin(self.enough_others(replica, *index)));
            if self.wish.kind != Kind::Held {
                parts.push(Box::pin(self.stored_here(replica, *index)));
            }
        }
        while !parts.is_empty() {
            next(&mut parts).await?;
        }
        Ok(())
    }

    /// Has this node's replica store it, if that is wished for.
    async fn stored_here(&self, replica: &Replica, index: u64) -> Result<(), Demoted> {
        // It fails only where the log has failed: the node is going down.
        let is_stored = replica.store(index).await.is_some_and(|stored| stored >= index);
        if is_stored || !self.wish.needs_log() { Ok(()) } else { std::future::pending().await }
    }

    async fn enough_others(&self, replica: &Replica, index: u64) -> Result<(), Demoted> {
        let mut status = replica.watch_status();
        let (mut asking, mut asked) = (Vec::new(), BTreeSet::new());
        let mut pause = FIRST_PAUSE;
        loop {
            if !replica.leads() {
                return Err(Demoted);
            }
            let have = self.others(replica, index);
            if have.len() >= self.wish.others {
                return Ok(());
            }
            if self.wish.kind != Kind::Held {
                for member in self.holders(replica, index).into_iter().filter(|member| !have.contains(&member.replica))
                {
                    if asked.insert(member.replica) {
                        asking.push(Box::pin(self.ask(replica, member, index)) as Asking<'_, ReplicaId>);
                    }
                }
            }
            tokio::select! {
                biased;
                answered = next(&mut asking) => {
                    asked.remove(&answered);
                }
                changed = status.changed() => {
                    changed.map_err(|_| Demoted)?;
                }
                () = tokio::time::sleep(pause), if pause <= LAST_PAUSE => pause *= 2,
            }
        }
    }

    /// Asks a member that holds it to store it, too; returns which it was, whatever it said.
    async fn ask(&self, replica: &Replica, member: Member, index: u64) -> ReplicaId {
        if let (Some(group), Some(transport)) = (replica.group(), self.node.transport()) {
            let request = Request::Store { group: group.id(), index };
            let answer = formation::ask(transport, &member.address(), &request).await;
            if let Some(Answer::Index(stored)) = answer
                && stored >= index
            {
                replica.is_stored_by(member.replica, stored);
                return member.replica;
            }
        }
        tokio::time::sleep(ASK_AGAIN_AFTER).await;
        member.replica
    }

    /// The others that have it, as far as is known.
    fn others(&self, replica: &Replica, index: u64) -> BTreeSet<ReplicaId> {
        let holders = self.holders(replica, index).into_iter().map(|member| member.replica);
        match self.wish.kind {
            Kind::Held => holders.collect(),
            Kind::Stored { .. } => holders.filter(|holder| replica.has_been_stored_by(*holder, index)).collect(),
        }
    }

    /// The others that hold it and that clients are shown.
    fn holders(&self, replica: &Replica, index: u64) -> Vec<Member> {
        let Some(group) = replica.group() else { return Vec::new() };
        let members = replica.holders(index).into_iter();
        members.filter(|member| self.node.is_visible(group.id(), member)).collect()
    }
}

/// One of several things that are waited for side by side.
type Asking<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What the first of them that is done gives; the others go on with the next call. Where there are none it waits for ever.
async fn next<T>(all: &mut Vec<Asking<'_, T>>) -> T {
    std::future::poll_fn(|context| {
        for at in 0..all.len() {
            if let Poll::Ready(done) = all[at].as_mut().poll(context) {
                drop(all.swap_remove(at));
                return Poll::Ready(done);
            }
        }
        Poll::Pending
    })
    .await
}
