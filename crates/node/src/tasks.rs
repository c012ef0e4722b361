//! The only place of this crate that starts threads and tasks.

use std::future::Future;
use std::io;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::platform::{Main, Place, Threads};

/// Starts a task beside the current one, on the same thread.
#[expect(clippy::disallowed_methods, reason = "the spawn site")]
pub(crate) fn beside(task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
    tokio::task::spawn_local(task)
}

/// Work that may wait for its thread to take it up; a node has few replicas, and each gives one piece.
const WORK_MAX: usize = 256;

/// A thread that runs what it is given, side by side, for as long as the node lives.
#[derive(Clone)]
pub(crate) struct Crew(mpsc::Sender<Main>);

/// The threads that all replicas of a node share.
#[derive(Clone)]
pub(crate) struct Crews {
    /// Applies entries: a shard always on the same thread.
    pub(crate) apply: Crew,
    /// Encodes snapshots and frees what is big.
    pub(crate) reclaim: Crew,
}

impl Crew {
    fn start<T: Threads>(threads: &T, place: Place) -> io::Result<Self> {
        let (sender, mut given) = mpsc::channel::<Main>(WORK_MAX);
        let work = async move {
            while let Some(work) = given.recv().await {
                drop(beside(work()));
            }
            // The pieces that run end with the thread: the node's handles to them are gone as well.
            std::future::pending::<()>().await;
        };
        threads.start(place, Box::new(move || Box::pin(work)))?;
        Ok(Self(sender))
    }

    /// Has the thread run this. An error when it has too much to take up.
    pub(crate) fn give(&self, work: Main) -> io::Result<()> {
        self.0.try_send(work).map_err(|_| io::Error::other("a thread of the node takes up no more work"))
    }
}

impl Crews {
    pub(crate) fn start<T: Threads>(threads: &T) -> io::Result<Self> {
        Ok(Self { apply: Crew::start(threads, Place::Apply(0))?, reclaim: Crew::start(threads, Place::Reclaim)? })
    }
}

/// A machine's threads: one operating-system thread, with a runtime of its own, for each place.
#[derive(Clone, Copy, Debug)]
pub struct OsThreads {
    io_threads: usize,
    on_start: fn(Place),
}

impl OsThreads {
    /// `io_threads` threads for connections, at least one. Every thread calls `on_start` with its place before it does anything else.
    pub fn new(io_threads: usize, on_start: fn(Place)) -> Self {
        assert!(io_threads > 0, "connections need a thread");
        Self { io_threads, on_start }
    }
}

impl Threads for OsThreads {
    fn io_threads(&self) -> usize {
        self.io_threads
    }

    #[expect(clippy::disallowed_methods, reason = "where a machine's threads are born")]
    fn start(&self, place: Place, main: Main) -> io::Result<()> {
        let name = match place {
            Place::Io(number) => format!("io-{number}"),
            Place::Raft => "raft".to_owned(),
            Place::Apply(number) => format!("apply-{number}"),
            Place::Reclaim => "reclaim".to_owned(),
        };
        let on_start = self.on_start;
        // The runtime is made on its thread, which it cannot leave: so the tasks of a connection need no lock.
        let (made, is_made) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new().name(name).spawn(move || {
            on_start(place);
            let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => runtime,
                Err(why) => return drop(made.send(Err(why))),
            };
            drop(made.send(Ok(())));
            runtime.block_on(async move { main().await });
        })?;
        is_made.recv().expect("the thread says how it went before it ends")
    }
}
