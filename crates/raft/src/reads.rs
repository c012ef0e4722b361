//! Linearizable reads without a lease: many callers share one round of messages (Raft thesis 6.4).
//!
//! One round is under way at a time. A caller that comes while it runs joins the NEXT one: the round under way
//! may have fixed its index before the caller's own earlier writes were acknowledged elsewhere.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{LinearizableReadError, RaftError};
use openraft::{AsyncRuntime, Raft, ReadPolicy};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::machine::Waiter;
use crate::member::Member;
use crate::runtime::SeededRuntime;
use crate::state::State;
use crate::types::Types;

/// Callers waiting for one round; more are turned away.
const CALLERS_MAX: usize = 65_536;

/// Why a read cannot be linearizable here and now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// Another replica leads, or none does: the leader, if known.
    NotLeader(Option<Member>),
    /// No majority answered in time, or this replica did not apply in time.
    Timeout,
    /// The group is stopping.
    Stopping,
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotLeader(_) => "this replica does not lead",
            Self::Timeout => "no majority answered in time",
            Self::Stopping => "the group is stopping",
        })
    }
}

impl std::error::Error for ReadError {}

/// The callers of the next round.
#[derive(Default)]
pub(crate) struct Reads {
    callers: Mutex<Vec<oneshot::Sender<Result<(), ReadError>>>>,
    wake: Notify,
}

impl Reads {
    /// Waits for a round that begins after this call.
    pub(crate) async fn barrier(&self) -> Result<(), ReadError> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut callers = self.callers.lock();
            if callers.len() >= CALLERS_MAX {
                return Err(ReadError::Timeout);
            }
            callers.push(sender);
        }
        self.wake.notify_one();
        receiver.await.unwrap_or(Err(ReadError::Stopping))
    }

    /// Answers everybody: the group stops.
    pub(crate) fn clear(&self) {
        let callers = std::mem::take(&mut *self.callers.lock());
        drop(callers);
    }

    /// Runs rounds for as long as the future is kept.
    pub(crate) async fn run<W: Waiter>(self: Arc<Self>, raft: Raft<Types<W>, State<W>>, patience: Duration) {
        loop {
            self.wake.notified().await;
            loop {
                let callers = std::mem::take(&mut *self.callers.lock());
                if callers.is_empty() {
                    break;
                }
                let result = round(&raft, patience).await;
                for caller in callers {
                    // One that went away does not matter.
                    let _ = caller.send(result.clone());
                }
            }
        }
    }
}

async fn round<W: Waiter>(raft: &Raft<Types<W>, State<W>>, patience: Duration) -> Result<(), ReadError> {
    let asked = SeededRuntime::timeout(patience, raft.get_read_linearizer(ReadPolicy::ReadIndex)).await;
    let linearizer = match asked {
        Err(_) => return Err(ReadError::Timeout),
        Ok(Err(RaftError::Fatal(_))) => return Err(ReadError::Stopping),
        Ok(Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)))) => return Err(ReadError::Timeout),
        Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)))) => {
            let id = forward.leader_id;
            let known = || {
                let server = raft.server_metrics().borrow_watched().clone();
                id.and_then(|id| server.membership_config.membership().get_node(&id).cloned())
            };
            return Err(ReadError::NotLeader(forward.leader_node.or_else(known)));
        }
        Ok(Ok(linearizer)) => linearizer,
    };
    match linearizer.try_await_ready(raft, Some(patience)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(ReadError::Timeout),
        Err(_) => Err(ReadError::Stopping),
    }
}
