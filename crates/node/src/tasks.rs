//! The only place of this crate that starts threads and tasks.

use std::future::Future;
use std::io;

use tokio::task::{JoinHandle, LocalSet};

use crate::platform::{Main, Place, Threads};

/// Starts a task beside the current one, on the same thread.
#[expect(clippy::disallowed_methods, reason = "the spawn site")]
pub(crate) fn beside(task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
    tokio::task::spawn_local(task)
}

/// A machine's threads: one operating-system thread, with a runtime of its own, for each place.
#[derive(Clone, Copy, Debug)]
pub struct OsThreads {
    io_threads: usize,
}

impl OsThreads {
    /// `io_threads` threads for connections, at least one.
    pub fn new(io_threads: usize) -> Self {
        assert!(io_threads > 0, "connections need a thread");
        Self { io_threads }
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name(name).spawn(move || {
            let local = LocalSet::new();
            local.block_on(&runtime, async move { main().await });
        })?;
        Ok(())
    }
}
