//! A connection whose command waits: for its reply, for time to be up, for the client to go.
//!
//! Whoever ends the wait, the reply comes through the mailbox like any other: this side only says that it is to end. What the client sends
//! meanwhile is read, so that its going is noticed, and run afterwards.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Connection;
use crate::blocking::Leaving;
use crate::clients::Client;
use crate::inbox::Heard;
use crate::machine::Reading;
use crate::platform::{Platform, Socket};
use crate::session::Waiting;
use crate::shard::Shard;
use crate::stats::Stats;

/// A client is shown to wait for as long as this lives.
struct Shown {
    client: Arc<Client>,
    stats: Arc<Stats>,
}

impl Shown {
    fn new(client: &Arc<Client>, stats: &Arc<Stats>, shard: &Arc<Shard>, command: &'static str) -> Self {
        *client.waits_on.lock() = Some(Arc::clone(shard));
        let mut summary = client.summary.lock();
        (summary.waits, summary.last_command) = (true, command);
        drop(summary);
        stats.waiting_clients.fetch_add(1, Ordering::Relaxed);
        Self { client: Arc::clone(client), stats: Arc::clone(stats) }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        *self.client.waits_on.lock() = None;
        self.client.summary.lock().waits = false;
        self.stats.waiting_clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a reply ends a wait in which nothing was found.
fn ends_a_wait(reply: &[u8]) -> bool {
    commands::is_null(reply) || reply.starts_with(b"-UNBLOCKED ")
}

impl<P: Platform> Connection<P> {
    /// Completes a command that may wait. `false`: the client has gone, or has to.
    pub(super) async fn wait(&mut self, waiting: Waiting, stream: &mut <P::Socket as Socket>::Stream) -> bool {
        // What was answered before is not held back, unless it is held for CLIENT REPLY.
        if !self.exchange.is_muted_once() && self.flush(stream).await.is_err() {
            return false;
        }
        let shard = Arc::clone(&self.session.replica().shard);
        let Waiting { spec, timeout, reads } = waiting;
        let mut is_counted = reads.is_none();
        match reads {
            None => self.submit().await,
            Some(reads) => {
                let (route, protocol) = (self.route, self.exchange.reply.protocol());
                let reading = Reading { route, protocol, database: reads.database, raw: reads.raw, stale: reads.stale };
                self.mailbox.expect_one();
                self.session.replica().machine.read_or_park(reading).await;
            }
        }
        if self.mailbox.parked().await {
            let _shown = Shown::new(self.session.client(), &self.io.node.stats, &shard, spec.name);
            if !self.while_parked(&shard, timeout, stream).await {
                return false;
            }
            // What ended without having run again was counted by nobody.
            is_counted &= !self.mailbox.holds(ends_a_wait);
        }
        let mark = self.exchange.reply.mark();
        self.exchange.take_replies(&self.mailbox);
        if !is_counted {
            self.session.count_waited(spec, self.exchange.reply.since(mark));
        }
        true
    }

    /// Waits until the command is answered. `false`: the client has gone.
    async fn while_parked(
        &mut self,
        shard: &Arc<Shard>,
        timeout: Option<Duration>,
        stream: &mut <P::Socket as Socket>::Stream,
    ) -> bool {
        let mailbox = std::rc::Rc::clone(&self.mailbox);
        let client = self.session.id();
        let time_is_up = async {
            match timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(time_is_up);
        let mut is_up = false;
        loop {
            let heard = mailbox.answered_or(async {
                tokio::select! {
                    biased;
                    () = &mut time_is_up, if !is_up => None,
                    read = self.read_some(stream) => Some(read),
                }
            });
            match heard.await {
                Heard::Answered => return true,
                Heard::Input(None) => {
                    is_up = true;
                    shard.withdraw(client, Leaving::Timeout);
                }
                Heard::Input(Some(Ok(true))) => (),
                Heard::Input(Some(_)) | Heard::Closed => {
                    shard.withdraw(client, Leaving::Gone);
                    return false;
                }
            }
        }
    }
}
