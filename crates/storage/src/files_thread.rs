//! The thread for files that no answer waits for: reads of the log, snapshots, and removing them.

use std::io;

use tokio::sync::{mpsc, oneshot};

/// A piece of work for the thread.
type Job = Box<dyn FnOnce() + Send>;

/// The most jobs that wait; who has one more waits itself.
const JOBS_MAX: usize = 64;

/// A handle of the thread, which ends when the last of them is gone.
#[derive(Clone)]
pub(crate) struct FilesThread {
    jobs: mpsc::Sender<Job>,
}

impl FilesThread {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(JOBS_MAX);
        crate::store::spawn("files", move || {
            if let Err(why) = crate::give_way() {
                tracing::warn!("snapshots are written at the same priority as everything else: {why}");
            }
            while let Some(job) = queue.blocking_recv() {
                job();
            }
        })?;
        Ok(Self { jobs })
    }

    /// Runs `work` there, in the order of these calls. When the future is dropped before `work` began, it still runs.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            // Whoever asked may have gone.
            let _gone = answer.send(work());
        });
        let stopped = || io::Error::other("the store is stopping");
        self.jobs.send(job).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
    /// Runs `work` there some time, unless too much waits: then `work` is dropped.
    pub(crate) fn run_later(&self, work: impl FnOnce() + Send + 'static) {
        let _dropped = self.jobs.try_send(Box::new(work));
    }
}
