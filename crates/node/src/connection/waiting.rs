//! A connection whose command waits, for a key or for copies: for its reply, for time to be up, for the client to go.
//!
//! Whoever ends the wait for a key, the reply comes through the mailbox like any other: this side only says that it is to end. What the client sends
//! meanwhile is read, so that its going is noticed, and run afterwards.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::Connection;
use crate::blocking::{DEMOTED, Leaving, UNBLOCKED};
use crate::clients::{Client, WaitsOn};
use crate::copies::{Count, Counting, Wish};
use crate::inbox::Heard;
use crate::machine::Reading;
use crate::platform::{Platform, Socket};
use crate::session::{NO_APPENDONLY, Waiting, end_once, write_count};
use crate::shard::Shard;
use crate::stats::Stats;

/// A client is shown to wait for as long as this lives.
struct Shown {
    client: Arc<Client>,
    stats: Arc<Stats>,
}

impl Shown {
    fn new(client: &Arc<Client>, stats: &Arc<Stats>, waits_on: WaitsOn, command: &'static str) -> Self {
        *client.waits_on.lock() = Some(waits_on);
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

/// What a connection hears of while it waits for copies.
enum News {
    /// The wait is over; why, if not because there are enough.
    Over(Option<&'static str>),
    /// Input from the client; or its end.
    Input(bool),
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
            let waits_on = WaitsOn::Key(Arc::clone(&shard));
            let _shown = Shown::new(self.session.client(), &self.io.node.stats, waits_on, spec.name);
            if !self.while_parked(&shard, timeout, stream).await {
                return false;
            }
            // What ended without having run again was counted by nobody.
            is_counted &= !self.mailbox.holds(ends_a_wait);
        }
        let mark = self.exchange.reply.mark();
        self.take_replies();
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

    /// Completes WAIT or WAITAOF. `false`: the client has gone, or has to.
    pub(super) async fn wait_for_copies(&mut self, wish: Wish, stream: &mut <P::Socket as Socket>::Stream) -> bool {
        let spec = commands::lookup(wish.kind.command().as_bytes()).expect("it has a row");
        let answer = match self.session.counting(wish) {
            Err(why) => Err(why),
            Ok(counting) => {
                let count = counting.count();
                if counting.is_enough(count) {
                    Ok(count)
                } else {
                    if !self.exchange.is_muted_once() && self.flush(stream).await.is_err() {
                        return false;
                    }
                    match self.while_copied(&counting, wish, spec.name, stream).await {
                        Some(answer) => answer,
                        None => return false,
                    }
                }
            }
        };
        let mark = self.exchange.reply.mark();
        match answer {
            Ok(count) => write_count(wish.kind, count, &mut self.exchange.reply),
            Err(why) => self.exchange.reply.error(why),
        }
        self.session.count_waited(spec, self.exchange.reply.since(mark));
        true
    }

    /// Waits until there are enough copies, time is up, or somebody ends it. `None`: the client has gone, or has to.
    async fn while_copied(
        &mut self,
        counting: &Counting<P>,
        wish: Wish,
        command: &'static str,
        stream: &mut <P::Socket as Socket>::Stream,
    ) -> Option<Result<Count, &'static str>> {
        let (ending, mut ended) = watch::channel(None);
        let ending = Arc::new(ending);
        let waits_on = WaitsOn::Copies(Arc::clone(&ending));
        let _shown = Shown::new(self.session.client(), &self.io.node.stats, waits_on, command);
        let mailbox = std::rc::Rc::clone(&self.mailbox);
        let enough = async {
            match wish.timeout {
                // An answer that is late is still an answer.
                Some(timeout) => tokio::time::timeout(timeout, counting.enough()).await.unwrap_or(Ok(())),
                None => counting.enough().await,
            }
        };
        tokio::pin!(enough);
        let mut appendonly = self.io.node.appendonly.subscribe();
        let failure = loop {
            let heard = mailbox.unless_closed(async {
                tokio::select! {
                    biased;
                    _ = appendonly.wait_for(|on| !on), if wish.needs_log() => News::Over(Some(NO_APPENDONLY)),
                    done = &mut enough => News::Over(done.err().map(|_| DEMOTED)),
                    _ = ended.wait_for(Option::is_some) => News::Over(None),
                    read = self.read_some(stream) => News::Input(matches!(read, Ok(true))),
                }
            });
            match heard.await {
                Some(News::Over(failure)) => break failure,
                Some(News::Input(true)) => (),
                Some(News::Input(false)) | None => return None,
            }
        };
        // Who was told that he ended the wait did so, whatever came in the same moment.
        let is_mine = end_once(&ending, Leaving::Timeout);
        let is_unblocked = !is_mine && *ended.borrow() == Some(Leaving::Unblocked);
        Some(match failure.filter(|_| is_mine) {
            _ if is_unblocked => Err(UNBLOCKED),
            Some(why) => Err(why),
            None => Ok(counting.count()),
        })
    }
}
