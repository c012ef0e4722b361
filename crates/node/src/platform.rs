//! What a node stands on, so that the same node runs on a machine and in the simulator.

use std::future::Future;
use std::io;
use std::pin::Pin;

use raft::{Clock, LogStore, Transport};
use tokio::io::{AsyncRead, AsyncWrite};

/// The parts of the world that a node may touch, as types.
pub trait Platform: 'static {
    /// The log and the snapshots.
    type LogStore: LogStore;
    /// The links to other nodes.
    type Transport: Transport;
    /// Time.
    type Clock: Clock;
    /// Randomness.
    type Random: Random;
    /// Where tasks run.
    type Threads: Threads;
    /// An accepted connection on its way to its I/O thread.
    type Socket: Socket;
    /// How much log a replica keeps.
    const LOG_BOUNDS: LogBounds = LogBounds { tail_bytes_max: 8 << 20, snapshot_log_bytes: 64 << 20 };
}

/// How much log a replica keeps, as [`raft::GroupConfig`] has it; less in the simulator, so that short runs see snapshots.
#[derive(Clone, Copy, Debug)]
pub struct LogBounds {
    /// Bytes of the log's tail that stay in memory.
    pub tail_bytes_max: usize,
    /// Bytes of log after which a snapshot is taken.
    pub snapshot_log_bytes: u64,
}

/// A source of random numbers: the operating system's in production, seeded in the simulator.
pub trait Random: Clone + Send + Sync + 'static {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;
}

/// A connection that was accepted, before its I/O thread takes it.
pub trait Socket: Send + 'static {
    /// The byte stream that the connection's task reads and writes.
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;
    /// Turns it into a byte stream; called on the I/O thread that will own it.
    fn open(self) -> io::Result<Self::Stream>;
    /// Connects to the clients' port of another server, `host:port`, on the I/O thread that will own the stream: for MIGRATE.
    fn connect(address: String) -> impl Future<Output = io::Result<Self::Stream>>;
}

impl Socket for std::net::TcpStream {
    type Stream = tokio::net::TcpStream;

    fn open(self) -> io::Result<Self::Stream> {
        self.set_nonblocking(true)?;
        self.set_nodelay(true)?;
        tokio::net::TcpStream::from_std(self)
    }

    async fn connect(address: String) -> io::Result<Self::Stream> {
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Socket for tokio::io::DuplexStream {
    type Stream = Self;

    fn open(self) -> io::Result<Self::Stream> {
        Ok(self)
    }

    async fn connect(_: String) -> io::Result<Self::Stream> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A thread of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Connections, from accept to close; numbered from 0.
    Io(usize),
    /// Every group's openraft tasks, the peers' streams, timers.
    Raft,
    /// Runs entries on keyspaces; numbered from 0.
    Apply(usize),
    /// Encodes snapshots and frees what is big, so that nobody waits for it.
    Reclaim,
}

/// What runs on a [`Place`] for as long as the node does. It is made on that thread and never leaves it.
pub type Main = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Runs a node's long-lived tasks on its threads.
pub trait Threads: Clone + Send + Sync + 'static {
    /// How many I/O threads there are.
    fn io_threads(&self) -> usize;
    /// Starts a thread's work. Called once for each place.
    fn start(&self, place: Place, main: Main) -> io::Result<()>;
}
