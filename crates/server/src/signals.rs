//! SIGTERM and SIGINT: the first asks for an orderly stop, the second does not wait for it.

use std::future::poll_fn;
use std::task::Poll;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Receives the signals of this process, from when it was made.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// A closed terminal does not stop a server; without a handler it would.
    hangup: Signal,
}

impl Signals {
    /// Starts to receive them, on this runtime.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("installing a signal handler");
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal that asks to stop and returns its name. Dropping the future loses none.
    pub(crate) async fn stop(&mut self) -> &'static str {
        poll_fn(|cx| {
            if self.terminate.poll_recv(cx).is_ready() {
                return Poll::Ready("SIGTERM");
            }
            if self.interrupt.poll_recv(cx).is_ready() {
                return Poll::Ready("SIGINT");
            }
            while self.hangup.poll_recv(cx).is_ready() {}
            Poll::Pending
        })
        .await
    }
}
