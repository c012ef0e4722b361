//! A link's task: connects, reads answers, waits and tries again.
//!
//! ```text
//!        ┌── long-lived link broke: requests wait ──┐
//!        v                                          |
//!   connecting ── ok ──> connected ── broke ────────┤
//!     ^   |                                         | broke at once
//!     |   └── failed ──> down: requests fail <──────┘
//!     └── backoff over, or the peer was heard of ──┘
//! ```

use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use raft::{Class, NodeId};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use crate::config::GRPC_BYTES_MAX;
use crate::frame::Assembly;
use crate::generated::Message;
use crate::generated::peer_client::PeerClient;
use crate::handshake::{self, HandshakeError};
use crate::link::Link;
use crate::links::Context;

/// HTTP/2 pings after this much silence, and gives the connection up after as much again without an answer.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(1);
/// What a peer that has authenticated may send before it waits to be read: a stream, and its connection.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 4 << 20;
/// As [`STREAM_WINDOW_BYTES`]; a connection carries one stream.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
/// The largest HTTP/2 frame: a link carries one stream, so nothing waits behind a large one.
pub(crate) const HTTP2_FRAME_BYTES_MAX: u32 = 256 << 10;

/// An open stream. The channel is kept for as long as the stream is read: it owns the connection.
struct Connected {
    _channel: Channel,
    answers: Streaming<Message>,
    node: NodeId,
}

/// Why there is no link.
struct Failure {
    /// A refusal, by either side, stays until somebody changes a setting; anything else may pass.
    refused: bool,
    why: String,
}

impl Failure {
    #[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
    fn passing(why: impl ToString) -> Self {
        Self { refused: false, why: why.to_string() }
    }
}

impl From<HandshakeError> for Failure {
    fn from(error: HandshakeError) -> Self {
        Self { refused: !matches!(error, HandshakeError::Broken(_)), why: error.to_string() }
    }
}

/// Runs a link until it is closed or idle for long.
pub(crate) async fn drive(link: Arc<Link>, context: Arc<Context>) {
    let limits = &context.config.limits;
    let mut backoff = limits.backoff_min;
    let mut noted = String::new();
    loop {
        let attempt = timeout(limits.connect_deadline, connect(&link, &context));
        let Some(attempt) = link.attend(attempt).await else { break };
        let failure = match attempt.unwrap_or_else(|_| Err(Failure::passing("no answer within the connect deadline"))) {
            Ok(connected) => {
                link.connected(connected.node, (context.config.wall_ms)());
                let since = Instant::now();
                let Some(why) = link.attend(read_answers(&link, &context, connected, &mut noted)).await else { break };
                link.disconnected();
                if since.elapsed() >= limits.backoff_max {
                    // It stood for a while: try again at once, and let requests wait for that.
                    backoff = limits.backoff_min;
                    note(&link, &mut noted, &Failure::passing(why));
                    continue;
                }
                Failure::passing(why)
            }
            Err(failure) => failure,
        };
        link.down(&failure.why);
        note(&link, &mut noted, &failure);
        let pause = async {
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = link.hoped() => {}
            }
        };
        if link.attend(pause).await.is_none() {
            break;
        }
        backoff = (backoff * 2).min(limits.backoff_max);
    }
    link.end();
}

/// Logs why a link is down when it is another reason than the last time.
fn note(link: &Link, noted: &mut String, failure: &Failure) {
    let Failure { refused, why } = failure;
    if noted == why {
        return;
    }
    why.clone_into(noted);
    let Link { to, class, .. } = link;
    if *refused {
        tracing::warn!("peer {} at {} ({class:?}): {why}", to.node, to.address);
    } else {
        tracing::info!("peer {} at {} ({class:?}): {why}", to.node, to.address);
    }
}

/// From nothing to an open stream; the text says why not.
async fn connect(link: &Arc<Link>, context: &Context) -> Result<Connected, Failure> {
    let config = &context.config;
    let mut stream = TcpStream::connect(&link.to.address).await.map_err(Failure::passing)?;
    stream.set_nodelay(true).map_err(Failure::passing)?;
    let peer: SocketAddr = stream.peer_addr().map_err(Failure::passing)?;
    handshake::admits(&config.secret, peer.ip()).map_err(HandshakeError::Refused)?;
    let proved = handshake::dial(&mut stream, config).await?;
    if link.to.node != NodeId([0; 20]) && link.to.node != proved.node {
        return Err(HandshakeError::Refused(format!("another node, {}, is at this address", proved.node)).into());
    }
    context.clocks.sample(proved.node, proved.wall_ms, (config.wall_ms)());

    let channel = Endpoint::from_static("http://localhost")
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(HTTP2_FRAME_BYTES_MAX)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true)
        .connect_with_connector(Authenticated(Some(stream)))
        .await
        .map_err(Failure::passing)?;
    let mut client = PeerClient::new(channel.clone())
        .max_decoding_message_size(GRPC_BYTES_MAX)
        .max_encoding_message_size(GRPC_BYTES_MAX);
    let writer = link.writer(config);
    let opened = match link.class {
        Class::Control => client.control(writer).await,
        Class::Log => client.log(writer).await,
        Class::Snapshot => client.snapshot(writer).await,
    };
    let answers = opened.map_err(|status| Failure::passing(text(&status)))?.into_inner();
    Ok(Connected { _channel: channel, answers, node: proved.node })
}

/// Hands over answers until the stream ends; the text says why it did.
async fn read_answers(link: &Link, context: &Context, mut connected: Connected, noted: &mut String) -> String {
    let mut assembly = Assembly::new(context.config.limits.message_bytes_max);
    loop {
        match connected.answers.message().await {
            Ok(Some(message)) => {
                context.config.counters.received(link.class, &message);
                match link.take_answers(message, &mut assembly) {
                    Ok(wall_ms) => context.heard(connected.node, link.class, wall_ms),
                    Err(malformed) => return malformed.to_string(),
                }
            }
            Ok(None) => return "the peer closed the link".to_owned(),
            Err(status) => return text(&status),
        }
        if !noted.is_empty() {
            tracing::info!("peer {} at {} ({:?}): connected", link.to.node, link.to.address, link.class);
            noted.clear();
        }
        if link.is_finished() {
            return "closed".to_owned();
        }
    }
}

fn text(status: &Status) -> String {
    format!("the link broke: {}", status.message())
}

/// The connector that tonic asks for a connection: gives the one that has authenticated, once.
struct Authenticated(Option<TcpStream>);

impl Service<Uri> for Authenticated {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        // Asked again after the connection broke: dial.rs opens the next one, with a new handshake.
        ready(self.0.take().map(TokioIo::new).ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}
