//! The listening side: accepts, makes authenticate, and only then speaks HTTP/2.
//!
//! ```text
//!  accept ──> handshake (bounded in number and time; one more closes the oldest) ──> tonic ──> Exchange
//!         who fails is told why once and closed          who passes holds one of connections_max permits
//! ```
//! A connection that has not authenticated costs its future here (one frame of at most 1 KiB) and what the kernel
//! holds; nothing else of this process sees its bytes.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use futures_util::future::{AbortHandle, abortable};
use futures_util::stream::{FuturesUnordered, poll_fn, unfold};
use futures_util::{Stream, StreamExt};
use raft::{Class, NodeId, PeerService};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;
use tonic::codegen::BoxStream;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};

use crate::config::GRPC_BYTES_MAX;
use crate::dial::{CONNECTION_WINDOW_BYTES, HTTP2_FRAME_BYTES_MAX, KEEPALIVE, STREAM_WINDOW_BYTES};
use crate::exchange::{Exchange, Served, Stage};
use crate::frame::{Assembly, Kind, Packer};
use crate::generated::Message;
use crate::generated::peer_server::{Peer, PeerServer};
use crate::handshake;
use crate::links::{Context, PeerLinks};

/// How long to wait after `accept` failed (no more file descriptors, as a rule).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that have authenticated and wait for tonic to take them.
const ADMITTED_MAX: usize = 16;

impl PeerLinks {
    /// Serves peers on this listener until `stop` is ready, then finishes what is being served within
    /// [`Limits::stop_grace`](crate::Limits::stop_grace). Requests of a link that breaks are dropped where they
    /// await; dropping this future stops without grace.
    ///
    /// # Errors
    /// When the listener cannot serve at all.
    pub async fn serve(
        &self,
        listener: TcpListener,
        service: impl PeerService,
        stop: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let (stopping, stopped) = watch::channel(Stage::Open);
        let (admit, mut admitted) = mpsc::channel::<Authenticated>(ADMITTED_MAX);
        let incoming = poll_fn(move |context| admitted.poll_recv(context).map(|next| next.map(Ok::<_, io::Error>)));
        let face = Listening { service, context: Arc::clone(self.context()), stopped: stopped.clone() };
        let serving = Server::builder()
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(HTTP2_FRAME_BYTES_MAX)
            .max_concurrent_streams(1)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .serve_with_incoming_shutdown(
                PeerServer::new(face)
                    .max_decoding_message_size(GRPC_BYTES_MAX)
                    .max_encoding_message_size(GRPC_BYTES_MAX),
                incoming,
                async {
                    let _ = stages(stopped).next().await;
                },
            );
        let mut serving = std::pin::pin!(serving);
        tokio::select! {
            () = self.accept(listener, admit) => unreachable!("accepting does not end"),
            served = &mut serving => return served.map_err(io::Error::other),
            () = stop => {}
        }
        // The listener is closed by now. Receivers exist: `face` holds one.
        let _ = stopping.send(Stage::Stopping);
        let grace = self.context().config.limits.stop_grace;
        if let Ok(served) = timeout(grace, &mut serving).await {
            return served.map_err(io::Error::other);
        }
        let _ = stopping.send(Stage::Ended);
        // Once more: a peer that does not read must not keep this node up.
        timeout(grace, serving).await.unwrap_or(Ok(())).map_err(io::Error::other)
    }

    /// Accepts and authenticates for ever. Handshakes run here, not in tasks of their own.
    async fn accept(&self, listener: TcpListener, admit: mpsc::Sender<Authenticated>) {
        let limits = &self.context().config.limits;
        let permits = Arc::new(Semaphore::new(limits.connections_max));
        let mut handshakes = FuturesUnordered::new();
        let mut running: BTreeMap<u64, AbortHandle> = BTreeMap::new();
        for id in 0.. {
            let (stream, from) = loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, from)) => break (stream, from),
                        Err(error) => {
                            tracing::warn!("peer port: cannot accept connections: {error}");
                            tokio::time::sleep(ACCEPT_PAUSE).await;
                        }
                    },
                    Some((id, _)) = handshakes.next() => drop(running.remove(&id)),
                }
            };
            if running.len() >= limits.unauthenticated_max
                && let Some((_, oldest)) = running.pop_first()
            {
                oldest.abort();
            }
            let (authenticating, handle) = abortable(self.authenticate(stream, from, permits.clone(), admit.clone()));
            running.insert(id, handle);
            handshakes.push(async move { (id, authenticating.await) });
        }
    }

    async fn authenticate(
        &self,
        mut stream: TcpStream,
        from: SocketAddr,
        permits: Arc<Semaphore>,
        admit: mpsc::Sender<Authenticated>,
    ) {
        let (context, from) = (self.context(), from.ip());
        let shaking = handshake::accept(&mut stream, from, &context.config);
        let proved = match timeout(context.config.limits.handshake_deadline, shaking).await {
            Ok(Ok(proved)) => proved,
            Ok(Err(error)) => return context.notices.refused(from, &error.to_string()),
            Err(_) => return context.notices.refused(from, "no handshake within its deadline"),
        };
        let Ok(permit) = permits.try_acquire_owned() else {
            return context.notices.refused(from, "too many peer connections");
        };
        if let Err(error) = stream.set_nodelay(true) {
            return context.notices.refused(from, &error.to_string());
        }
        context.clocks.sample(proved.node, proved.wall_ms, (context.config.wall_ms)());
        context.notices.accepted(from);
        self.hope(proved.node);
        // Tonic's end is gone only when this side stops.
        let admission = Admission::new(Arc::clone(context), proved.node);
        let _ = admit.send(Authenticated { stream, node: proved.node, _permit: permit, _admission: admission }).await;
    }
}

/// The stages that follow; the end when nobody can tell of another.
fn stages(stopped: watch::Receiver<Stage>) -> Pin<Box<dyn Stream<Item = Stage> + Send>> {
    Box::pin(unfold(stopped, async |mut stopped| {
        stopped.changed().await.ok()?;
        let stage = *stopped.borrow_and_update();
        Some((stage, stopped))
    }))
}

/// The gRPC service over a [`PeerService`].
struct Listening<S> {
    service: S,
    context: Arc<Context>,
    stopped: watch::Receiver<Stage>,
}

impl<S: PeerService> Listening<S> {
    fn exchange(
        &self,
        request: Request<Streaming<Message>>,
        class: Class,
    ) -> Result<Response<BoxStream<Message>>, Status> {
        let Some(&Node(from)) = request.extensions().get::<Node>() else {
            return Err(Status::unauthenticated("the connection has not authenticated"));
        };
        let service = self.service.clone();
        let serve = move |id, request: bytes::Bytes| {
            let (service, request_bytes) = (service.clone(), request.len());
            async move { Served { id, request_bytes, answer: service.serve(from, class, request).await } }
        };
        let exchange = Exchange {
            inbound: Some(request.into_inner()),
            arrived: None,
            serve,
            serving: FuturesUnordered::new(),
            serving_bytes: 0,
            bounds: self.context.config.limits.of(class),
            packer: Packer::new(Kind::Answer),
            assembly: Assembly::new(self.context.config.limits.message_bytes_max),
            from,
            class,
            context: Arc::clone(&self.context),
            stages: stages(self.stopped.clone()),
        };
        Ok(Response::new(Box::pin(exchange)))
    }
}

#[tonic::async_trait]
impl<S: PeerService> Peer for Listening<S> {
    type ControlStream = BoxStream<Message>;
    type LogStream = BoxStream<Message>;
    type SnapshotStream = BoxStream<Message>;

    async fn control(&self, request: Request<Streaming<Message>>) -> Result<Response<BoxStream<Message>>, Status> {
        self.exchange(request, Class::Control)
    }

    async fn log(&self, request: Request<Streaming<Message>>) -> Result<Response<BoxStream<Message>>, Status> {
        self.exchange(request, Class::Log)
    }

    async fn snapshot(&self, request: Request<Streaming<Message>>) -> Result<Response<BoxStream<Message>>, Status> {
        self.exchange(request, Class::Snapshot)
    }
}

/// The node that the handshake of a connection proved, as tonic hands it to the service.
#[derive(Clone, Copy)]
struct Node(NodeId);

/// A connection behind the handshake.
struct Authenticated {
    stream: TcpStream,
    node: NodeId,
    _permit: OwnedSemaphorePermit,
    _admission: Admission,
}

/// A place among the connections that are shown, for as long as the connection lives.
struct Admission {
    context: Arc<Context>,
    number: u64,
}

impl Admission {
    fn new(context: Arc<Context>, node: NodeId) -> Self {
        let mut admitted = context.admitted.lock();
        let number = admitted.last_key_value().map_or(0, |(last, _)| last + 1);
        admitted.insert(number, (node, (context.config.wall_ms)()));
        drop(admitted);
        Self { context, number }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.context.admitted.lock().remove(&self.number);
    }
}

impl Connected for Authenticated {
    type ConnectInfo = Node;

    fn connect_info(&self) -> Node {
        Node(self.node)
    }
}

impl AsyncRead for Authenticated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Authenticated {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
