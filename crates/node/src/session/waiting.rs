//! Commands that wait: what the session says of them before the connection waits, and CLIENT UNBLOCK.

use std::sync::Arc;
use std::time::Duration;

use commands::Spec;
use resp::{Arguments, Reply};
use tokio::sync::watch;

use super::{Exchange, Later, Session, Step};
use crate::blocking::Leaving;
use crate::clients::{Client, WaitsOn};
use crate::platform::Platform;
use crate::shard::{Ended, Shard, UNCERTAIN_AFTER_NS};

/// A command that waits if it finds nothing.
pub(crate) struct Waiting {
    pub(crate) spec: &'static Spec,
    /// For how long; `None`: for ever.
    pub(crate) timeout: Option<Duration>,
    /// What only reads, and found nothing here: the connection passes it to the apply thread. Else it is staged.
    pub(crate) reads: Option<Reads>,
}

/// A call that only reads.
pub(crate) struct Reads {
    pub(crate) database: u8,
    pub(crate) raw: Vec<u8>,
    /// What a follower has is good enough.
    pub(crate) stale: bool,
}

/// The wish to end another client's wait.
pub(crate) struct Unblock {
    client: Arc<Client>,
    shard: Arc<Shard>,
    leaving: Leaving,
}

impl<P: Platform> Session<P> {
    /// A write that may wait. Nothing is staged beside it.
    pub(super) fn stage_waiting(
        &self,
        spec: &'static Spec,
        raw: &[u8],
        timeout: Option<Duration>,
        exchange: &mut Exchange,
    ) -> Step {
        if exchange.must_wait() {
            return Step::AfterReplies;
        }
        exchange.staged.waits(self.database(), raw);
        Step::Later(Later::Block(Box::new(Waiting { spec, timeout, reads: None })))
    }

    /// A read that found nothing and waits.
    pub(super) fn read_later(
        &self,
        spec: &'static Spec,
        arguments: Arguments<'_>,
        timeout: Option<Duration>,
        stale: bool,
    ) -> Step {
        let reads = Some(Reads { database: self.database(), raw: arguments.raw().to_vec(), stale });
        Step::Later(Later::Block(Box::new(Waiting { spec, timeout, reads })))
    }

    /// CLIENT UNBLOCK.
    pub(super) fn client_unblock(&self, arguments: Arguments<'_>, reply: &mut Reply) -> Step {
        // The reason first, as Valkey does.
        let leaving = match arguments.get(3).filter(|_| arguments.len() == 4) {
            None => Leaving::Timeout,
            Some(word) if word.eq_ignore_ascii_case(b"timeout") => Leaving::Timeout,
            Some(word) if word.eq_ignore_ascii_case(b"error") => Leaving::Unblocked,
            Some(_) => {
                reply.error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
                return Step::Done;
            }
        };
        let Some(id) = arguments.get(2).and_then(keyspace::parse_integer) else {
            reply.error("ERR value is not an integer or out of range");
            return Step::Done;
        };
        let client = u64::try_from(id).ok().and_then(|id| self.node.clients.get(id));
        let waits_on = |client: &Arc<Client>| client.waits_on.lock().clone();
        let Some((client, waits_on)) = client.and_then(|client| Some((Arc::clone(&client), waits_on(&client)?))) else {
            reply.integer(0);
            return Step::Done;
        };
        match waits_on {
            WaitsOn::Key(shard) => match shard.unblock(client.id, leaving) {
                Ended::NotYet => return Step::Later(Later::Unblock(Box::new(Unblock { client, shard, leaving }))),
                ended => reply.integer(i64::from(ended == Ended::Yes)),
            },
            WaitsOn::Copies(ending) => reply.integer(i64::from(end_once(&ending, leaving))),
        }
        Step::Done
    }
}

/// Says how a wait for copies ends, unless that was said before.
pub(crate) fn end_once(ending: &watch::Sender<Option<Leaving>>, leaving: Leaving) -> bool {
    ending.send_if_modified(|ends| ends.is_none() && ends.replace(leaving).is_none())
}

impl Unblock {
    /// Ends the wait, unless what is in flight for it does.
    pub(super) async fn finish(self, reply: &mut Reply) {
        let Self { client, shard, leaving } = self;
        let ending = async {
            loop {
                let advanced = shard.advanced.notified();
                tokio::pin!(advanced);
                advanced.as_mut().enable();
                match shard.unblock(client.id, leaving) {
                    Ended::NotYet => advanced.await,
                    ended => return ended,
                }
            }
        };
        // Everything that is in flight is answered by then, one way or another.
        let ended = tokio::time::timeout(Duration::from_nanos(2 * UNCERTAIN_AFTER_NS), ending).await;
        reply.integer(i64::from(ended == Ok(Ended::Yes)));
    }
}
