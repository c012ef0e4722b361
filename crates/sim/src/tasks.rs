//! The only place of this crate that starts tasks.

use std::future::Future;

use tokio::task::JoinHandle;

/// Starts a task beside the current one: of the run, or of the node whose place this is.
#[expect(clippy::disallowed_methods, reason = "the spawn site")]
pub(crate) fn beside<T: 'static>(task: impl Future<Output = T> + 'static) -> JoinHandle<T> {
    tokio::task::spawn_local(task)
}
